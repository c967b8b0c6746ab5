"""
What is cancelled while it waits keeps a record of its own.

Of tasks that wait in an array's common record slurmctld keeps none when they are cancelled: they vanish from every
list and from accounting, and a job that waits for their success starts (tried on 22.05; 24.11 forgets the accounting
only). A plain job stays in the queue as CANCELLED, and never lets such a job start. So tasks of a call of which
nothing would be left waiting are split off first, by giving them another name and the old one again (24.11 accounts
for what was really changed; so there it is done to those that Slurm has split off by itself, too); or the whole array
is cancelled, which keeps its record.
"""

from __future__ import annotations

from sbatch_shim.companions import as_shown
from sbatch_shim.companions.context import Context, listable
from sbatch_shim.state.ids import JobId, compact
from sbatch_shim.state.lazy import re
from sbatch_shim.state.plain import dataclass, field
from sbatch_shim.state.tickets import Job


def with_records(context: Context, ids: list[str]) -> list[str]:
    """The ids for scancel, after splitting off what would vanish."""
    jobs: dict[int, Job] = {}
    arrays: dict[int, set[int]] = {}
    for one in ids:
        element = JobId.printed(one)
        if element is not None and element.task is not None and not element.step:
            job = context.tickets.job_here(element.job)
            if job is None:
                continue
            jobs[element.job] = job
            arrays.setdefault(element.job, set()).add(element.task)
    late = bool(arrays) and context.version >= as_shown.LATE_RECORDS
    whole = {number for number, indices in arrays.items() if indices.issuperset(jobs[number].indices)}
    for waiting in looked_at(context, sorted(arrays.keys() if late else arrays.keys() - whole)):
        number, going = waiting.array, arrays[waiting.array]
        if waiting.live <= going:
            whole.add(number)
        parts = []
        if late:
            parts = [sorted(waiting.alone & going)]
        if number not in whole:
            parts += in_parts(waiting.together, without_rest(jobs[number], waiting.together, waiting.together & going))
        for part in filter(None, parts):
            elements = ",".join(compact(f"{number}_{index}" for index in part))
            # Where a site forbids it, they are cancelled all the same.
            for name in (re.sub(r"(\+[0-9]+)?$", "+0", waiting.name, count=1), waiting.name):
                context.run("scontrol", ["update", f"JobId={elements}", f"JobName={name}"])
    return compact(dict.fromkeys(array_instead(one, whole) for one in ids))


def array_instead(one: str, whole: set[int]) -> str:
    """The id of an element's array, where that goes as a whole; any other id as it is."""
    found = JobId.printed(one)
    if found is not None and found.task is not None and found.job in whole:
        return str(found.job)
    return one


def in_parts(waiting: set[int], going: list[int]) -> list[list[int]]:
    """An update of all that waits would change the common record and split nothing."""
    if len(going) < len(waiting):
        return [going]
    return [going[:-1], going[-1:]]


@dataclass
class LiveArray:
    """
    The tasks of an array that has not ended.

    Attributes:
        live: All that have not ended.
        together: Those which wait in the array's common record.
        alone: Those which wait in a record of their own.
        name: The array's.
    """

    array: int
    live: set[int] = field(default_factory=set)
    together: set[int] = field(default_factory=set)
    alone: set[int] = field(default_factory=set)
    name: str = ""


def looked_at(context: Context, asked: list[int]) -> list[LiveArray]:
    """What waits of these arrays; those that have ended are left out."""
    if not asked:
        return []
    words = ["-h", "-a", "-j", listable(asked), "-o", "%i|%T|%j"]
    answer = context.run("squeue", words, **{**context.unfiltered(), "SLURM_BITSTR_LEN": "0"})
    found = {number: LiveArray(number) for number in asked}
    for one, state, name in answer.rows("|", 3):
        listed = JobId.printed(one)
        waiting = None
        if listed is not None:
            waiting = found.get(listed.job)
        if listed is None or waiting is None:
            continue
        indices = set(listed.tasks or ())
        waiting.live |= indices
        if state == "PENDING":
            waiting.name = name
            if listed.folded:
                waiting.together |= indices
            else:
                waiting.alone |= indices
    return [waiting for waiting in found.values() if waiting.live]


def without_rest(job: Job, waiting: set[int], cancelled: set[int]) -> list[int]:
    """Those of the cancelled tasks whose call has no other that waits."""
    left = job.shares(sorted(waiting - cancelled))
    return [index for index in sorted(cancelled) if not left.keys() & job.shares([index]).keys()]
