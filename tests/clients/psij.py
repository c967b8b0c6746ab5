# requires: psij-python==0.9.11
"""Ten jobs through the slurm executor, waited for; exit codes, a failure, and output files."""

from datetime import timedelta
from pathlib import Path

from psij import Job, JobAttributes, JobExecutor, JobSpec

executor = JobExecutor.get_instance("slurm")
jobs = []
for number in range(10):
    spec = JobSpec("/bin/sh", ["-c", f"echo {number}; exit {3 if number == 4 else 0}"])
    spec.stdout_path = Path.cwd() / f"{number}.out"
    spec.attributes = JobAttributes(duration=timedelta(minutes=5), queue_name="main")
    job = Job(spec)
    executor.submit(job)
    jobs.append(job)
found = []
for job in jobs:
    status = job.wait(timeout=timedelta(minutes=5))
    assert status is not None and status.final, (job, status)
    found.append(f"{status.state.name} {status.exit_code} {job.spec.stdout_path.read_text()}")
Path("result.txt").write_text("".join(found))
