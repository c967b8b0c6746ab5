# requires: executorlib[cluster]==1.11.0
"""Functions as jobs of their own through files, of which one takes the result of two others."""

from pathlib import Path

from executorlib import SlurmClusterExecutor


def add(first: int, second: int) -> int:
    return first + second


with SlurmClusterExecutor(cache_directory="cache", resource_dict={"cores": 1, "partition": "main"}) as executor:
    firsts = [executor.submit(add, number, 1) for number in range(6)]
    last = executor.submit(add, firsts[0], firsts[1])
    found = [future.result() for future in (*firsts, last)]
Path("result.txt").write_text(f"{found}\n")
