"""sarray throttle: how many tasks of an array run at a time, changed while it runs."""

from __future__ import annotations

import os
import re

from sbatch_shim.companions import clusters
from sbatch_shim.companions.context import Context
from sbatch_shim.errors import ShimError
from sbatch_shim.flush import cli
from sbatch_shim.merge.graph import counted
from sbatch_shim.state.journal import is_elsewhere
from sbatch_shim.state.settings import in_effect
from sbatch_shim.state.tickets import DROPPED, Job, Named
from sbatch_shim.verbs.words import complaint

DONE = {"requeue": "requeued", "kill": "cancelled"}


def throttle(context: Context, word: str, limit: int, act: str | None) -> int:
    """
    Set ArrayTaskThrottle, and deal with the running tasks above it.

    Args:
        word: A real job id or a ticket.
        limit: Tasks at a time, 0 for no limit.
        act: "requeue", "kill" or None: what becomes of the most recently started tasks above the limit.

    Raises:
        ShimError: before anything was changed; also where `act` would reach tasks of calls that were not named.
    """
    refuse_above_the_site(limit)
    named = context.tickets.named(word)
    number = word
    if named is not None:
        refuse_unsubmitted(context, word, named, limit)
        number = str(named.place.job)
    if not number.isdigit():
        raise cli.Usage(f"{word!a} is neither a job id nor a ticket")
    records = records_of(context, word, number)
    array = records[0]["ArrayJobId"]
    job = clusters.job_with(context, int(array))
    above = started_last(records, limit) if act and limit else []
    if named is not None and job is not None:
        others = {ticket for index in above for ticket in job.shares([index])} - {named.ticket}
        if others:
            raise ShimError(
                f"{word} shares array {array} with {', '.join(map(str, sorted(others)))}, of which tasks would be "
                f"{DONE[act or '']} too; to have that done, name the array: sarray throttle {array}"
            )
    set_throttle(context, array, limit)
    shared = ""
    if job and len(job.entries) > 1:
        shared = f" (it holds {counted(len(job.entries), 'call')})"
    told = "any number of tasks"
    if limit:
        told = f"at most {counted(limit, 'task')}"
    print(f"array {array}{shared}: {told} at a time")
    status = 0
    for index in above:
        one = f"{array}_{index}"
        done = context.run("scontrol", ["requeue", one]) if act == "requeue" else context.run("scancel", [one])
        if done.status != 0:
            print(f"{name_of(job, one, index)}: {done.err.decode(errors='replace').strip()}")
            status = 1
        else:
            print(f"{name_of(job, one, index)} {DONE[act or '']}")
    return status


def refuse_above_the_site(limit: int) -> None:
    """ShimError where the site has set a most, and this is more."""
    site = in_effect()
    most = site.limit(site.caps)
    if most and not 0 < limit <= most:
        raise ShimError(f"{site.source} allows at most {counted(most, 'task')} of an array at a time")


def refuse_unsubmitted(context: Context, word: str, named: Named, limit: int) -> None:
    """ShimError for a ticket that is no job on this cluster."""
    if named.state == DROPPED:
        raise ShimError(f"{word} was cancelled before it was submitted")
    if not named.submitted:
        raise ShimError(f"{word} is not submitted yet; sarray-flush --throttle {limit} submits it with a limit")
    if not context.is_here(named.job.origin):
        raise ShimError(is_elsewhere(named.ticket, named.job.origin.cluster))
    if not clusters.has(context, named.job):
        raise ShimError(f"job {word} was not found")


def records_of(context: Context, word: str, number: str) -> list[dict[str, str]]:
    """What scontrol shows of an array of the user's; ShimError where it is none of which a task waits or runs."""
    answer = context.run("scontrol", ["-o", "show", "job", number])
    records = [fields(line) for line in answer.out.decode(errors="replace").splitlines() if line.startswith("JobId=")]
    if answer.status != 0 or not records:
        said = complaint(answer, "scontrol does not answer")
        raise ShimError(f"job {word} was not found" if "Invalid job id" in said else said)
    if f"({os.getuid()})" not in records[0].get("UserId", ""):
        raise ShimError(f"job {word} is not yours")
    if "ArrayJobId" not in records[0]:
        raise ShimError(f"job {word} is not an array")
    if not any(record.get("JobState") in ("PENDING", "RUNNING", "SUSPENDED") for record in records):
        raise ShimError(f"all tasks of job {word} have ended")
    return records


def set_throttle(context: Context, array: str, limit: int) -> None:
    """Tell Slurm; ShimError with what it says."""
    changed = context.run("scontrol", ["update", f"JobId={array}", f"ArrayTaskThrottle={limit}"])
    said = (changed.out + changed.err).decode(errors="replace").strip()
    if changed.status != 0 and not all(line.endswith(("No error", "already finished")) for line in said.splitlines()):
        raise ShimError(said)


def started_last(records: list[dict[str, str]], limit: int) -> list[int]:
    """The indices of the running tasks beyond `limit`, in the order in which they started."""
    running = [record for record in records if record.get("JobState") == "RUNNING"]
    running.sort(key=lambda record: (record["StartTime"], int(record["ArrayTaskId"])))
    return [int(record["ArrayTaskId"]) for record in running[limit:]]


def name_of(job: Job | None, element: str, index: int) -> str:
    """A task as its caller knows it."""
    for ticket, locals_ in job.shares([index]).items() if job else ():
        if locals_[0] is None:
            return str(ticket)
        return f"{ticket}_{locals_[0]}"
    return element


def fields(line: str) -> dict[str, str]:
    """KEY=value words of a one-line record; the first of each name."""
    found: dict[str, str] = {}
    for key, value in re.findall(r"(?:^| )([A-Za-z:/]+)=([^ ]*)", line):
        found.setdefault(key, value)
    return found
