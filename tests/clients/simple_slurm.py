# requires: simple-slurm==0.3.6
"""Scripts through a here-document, its own reader of squeue, an array, and a job that depends on all of them."""

import time
from pathlib import Path

from simple_slurm import Slurm

ids = []
for number in range(8):
    slurm = Slurm(job_name=f"part{number}", output=f"part{number}.log", time="0:05:00", mem="100M")
    ids.append(slurm.sbatch(f"echo part {number} >part{number}.txt", verbose=False))
slurm.squeue.update_squeue()
while slurm.squeue.jobs:  # (It cannot read the row of an array, so that comes later.)
    time.sleep(0.5)
    slurm.squeue.update_squeue()
array = Slurm(array=range(3), job_name="tasks", output="tasks_%a.log")
ids.append(array.sbatch("echo task $SLURM_ARRAY_TASK_ID >task$SLURM_ARRAY_TASK_ID.txt", verbose=False))
assert all(isinstance(one, int) for one in ids), ids
last = Slurm(job_name="last", output="last.log", dependency={"afterok": ":".join(map(str, ids))})
last.sbatch("cat part*.txt task*.txt >all.txt; touch done", verbose=False)
while not Path("done").exists():
    time.sleep(0.2)
Path("all.txt").rename("result.txt")
