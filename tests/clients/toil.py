# requires: toil==9.6.0
"""A workflow of jobs with children and a follow-on, in the Slurm batch system."""

from pathlib import Path

from toil.common import Toil
from toil.job import Job


def square(job, number):
    return number * number


def total(job, numbers):
    return sum(numbers)


def spread(job, count):
    children = [job.addChildJobFn(square, number, cores=1, memory="200M", disk="10M").rv() for number in range(count)]
    return job.addFollowOnJobFn(total, children, cores=1, memory="200M", disk="10M").rv()


if __name__ == "__main__":
    options = Job.Runner.getDefaultOptions(str(Path.cwd() / "jobs"))
    options.batchSystem = "slurm"
    options.slurmTime = 600
    options.slurmPartition = "main"
    options.logLevel = "INFO"
    options.disableCaching = True
    options.retryCount = 0
    options.workDir = str(Path.cwd())
    with Toil(options) as flow:
        found = flow.start(Job.wrapJobFn(spread, 8, cores=1, memory="200M", disk="10M"))
    Path("result.txt").write_text(f"{found}\n")
