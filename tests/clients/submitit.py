# requires: submitit==1.5.4
# variables: SARRAY_IDS=real
"""Single functions with a memory limit, in a loop, and map_array."""

from pathlib import Path

import submitit


def square(number: int) -> int:
    return number * number


executor = submitit.AutoExecutor(folder="log", cluster="slurm")
executor.update_parameters(timeout_min=5, mem_gb=1, slurm_partition="main", name="square")
single = [executor.submit(square, number) for number in range(10)]
mapped = executor.map_array(square, range(10, 20))
found = [job.result() for job in (*single, *mapped)]
assert found == [number * number for number in range(20)], found
Path("result.txt").write_text(f"{found}\n")
