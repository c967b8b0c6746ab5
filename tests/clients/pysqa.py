# requires: pysqa==1.1.1
"""A queue adapter with a template of its own: submit in a loop, poll by id and by user until all have ended."""

import time
from pathlib import Path

from pysqa import QueueAdapter

adapter = QueueAdapter(queue_type="SLURM")
folder = Path.cwd()
ids = []
for number in range(8):
    work = folder / f"job{number}"
    work.mkdir()
    ids.append(
        adapter.submit_job(
            job_name=f"job{number}",
            working_directory=str(work),
            cores=1,
            run_time_max=300,
            partition="main",
            command=f"echo {number} squared is $(({number} * {number})) >result.txt",
        )
    )
assert len(set(ids)) == len(ids) and all(isinstance(one, int) for one in ids), ids
after = folder / "after"
after.mkdir()
ids.append(
    adapter.submit_job(
        job_name="after", working_directory=str(after), cores=1, partition="main",
        dependency_list=[str(one) for one in ids], command="cat ../job?/result.txt >result.txt",
    )
)  # fmt: skip
listed = adapter.get_queue_status()
assert set(listed["jobname"].str.strip()) <= {f"job{number}" for number in range(8)} | {"after"}, listed
while any(adapter.get_status_of_jobs(process_id_lst=ids)[place] in ("pending", "running") for place in range(len(ids))):
    time.sleep(0.5)
(after / "result.txt").rename("result.txt")
