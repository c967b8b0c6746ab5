"""
--clusters with tickets, and what is another cluster's.

A ticket is at home on the cluster that sbatch submits to by itself: a call that names another is not queued.
Where two clusters share a home, a ticket may be of the other one; and ids begin again one day. So before anything is
done to a merged job, Slurm is asked whether it is the one that was submitted.
"""

from __future__ import annotations

from sbatch_shim.companions.context import Context, listable
from sbatch_shim.companions.options import Line, Unreadable
from sbatch_shim.state.tickets import Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


OPTIONS = ("clusters", "cluster")


def alone(context: Context, given: str) -> bool:
    """Whether no other cluster is asked for."""
    if given.lower() != "all":
        return given == context.cluster
    return context.run("sacctmgr", ["-n", "-P", "list", "clusters", "format=cluster"]).out.count(b"\n") == 1


def asked(context: Context, line: Line) -> tuple[Line, str | None]:
    """
    The clusters that are asked for, in an option; Unreadable where this one is not among them.

    Returns:
        The line, with SLURM_CLUSTERS made an option, and the option's value.
    """
    given = line.last(*OPTIONS)
    if not line.has(*OPTIONS):
        given = context.variable("SLURM_CLUSTERS")
        if given is not None:
            line = Line([*line.options, ("clusters", given)], line.operands)
    judge(context, given)
    return line, given


def judge(context: Context, given: str | None) -> None:
    """Unreadable where this cluster is not among those asked for."""
    if given is not None and given.lower() != "all" and context.cluster not in given.split(","):
        raise Unreadable("another cluster")


def look_at(context: Context, jobs: Iterable[Job]) -> None:
    """Ask once for all of these, so that `has` need not ask for each."""
    asked = sorted({job.number for job in jobs} - context.commands.keys())
    if not asked:
        return
    words = ["-h", "-a", "-t", "all", "-j", listable(asked), "-o", "%F|%o"]
    answer = context.run("squeue", words, **context.unfiltered())
    context.commands.update(dict.fromkeys(asked, ""))
    for number, command in answer.rows("|", 2):
        if number.isdigit():
            context.commands[int(number)] = command


def has(context: Context, job: Job) -> bool:
    """
    Whether an id here is that of a merged job: not where it is another job's by now, or was given by another cluster.

    One that Slurm has forgotten is taken for here, if it was submitted here.
    """
    look_at(context, [job])
    command = context.commands[job.number]
    if command:
        found = context.tickets.job(job.number, command)
        return found is not None and found.origin == job.origin
    return context.is_here(job.origin)


def jobs_with(context: Context, numbers: Iterable[int]) -> dict[int, Job]:
    """The merged jobs with these ids, where the output that names them tells no command; others are left out."""
    candidates = {number: context.tickets.by_number.get(number, []) for number in numbers}
    look_at(context, (job for jobs in candidates.values() for job in jobs))
    return {number: job for number, jobs in candidates.items() for job in reversed(jobs) if has(context, job)}


def job_with(context: Context, number: int) -> Job | None:
    """The merged job with an id; None for any other job."""
    return jobs_with(context, [number]).get(number)
