# requires: clusterfutures==0.5 setuptools
"""Functions as jobs of their own, and as an array."""

from pathlib import Path

import cfut


def square(number):
    return number * number


if __name__ == "__main__":
    with cfut.SlurmExecutor(additional_setup_lines=["#SBATCH --mem=200M"]) as executor:
        futures = [executor.submit(square, number) for number in range(6)]
        found = [future.result(timeout=120) for future in futures]
        found += list(executor.map(square, range(6, 10)))
    Path("result.txt").write_text(f"{found}\n")
