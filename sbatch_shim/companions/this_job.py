"""The merged job that a companion runs in, and the words by which a job names itself."""

from __future__ import annotations

import os

from sbatch_shim.companions.context import Context
from sbatch_shim.state.ids import split_ids
from sbatch_shim.state.lazy import pattern, re
from sbatch_shim.state.plain import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sbatch_shim.state.calls import Call

# A job of ours runs a script in the folder of a flush or of a pool.
OUR_SCRIPT = pattern(r"(?m)^ *Command=(.*?)/sessions/[^/]+/(?:flushes/[^/]+/arrays/[^/]+|pools/[0-9]+)/script(?: .*)?$")


@dataclass(frozen=True)
class OwnJob:
    """
    The merged job that this command runs in, as the controller knows it.

    Attributes:
        raw: Its SLURM_JOB_ID.
        element: The same task as `A_i`; equal to `raw` in a plain job. In an array the raw id of one element is that
            of the array too, and that of any other one means nothing to scancel.
        state: The state folder from which it was submitted.
    """

    raw: str
    element: str
    state: bytes


def own_job(context: Context) -> OwnJob | None:
    """
    The merged job around us; None elsewhere.

    Nothing but its id is needed: neither the map, which the flush may not have written yet, nor SARRAY_STATE_DIR,
    which does not reach a job.
    """
    raw = context.variable("SLURM_JOB_ID") or ""
    if not raw.isdigit():
        return None
    if raw not in context.own_jobs:
        answer = context.run("scontrol", ["show", "job", raw])
        context.own_jobs[raw] = own_job_in(raw, answer.out.decode(errors="surrogateescape"))
    return context.own_jobs[raw]


def own_job_in(raw: str, records: str) -> OwnJob | None:
    """The job in what `scontrol show job` says: all elements, where its raw id is also the array's."""
    for record in re.split(r"^(?=JobId=)", records, flags=re.M):
        script = OUR_SCRIPT.search(record)
        found = re.match(r"JobId=([0-9]+) (?:ArrayJobId=([0-9]+) ArrayTaskId=([0-9]+) )?", record)
        if script and found and found[1] == raw:
            element = raw
            if found[2]:
                element = f"{found[2]}_{found[3]}"
            return OwnJob(raw, element, os.fsencode(script[1]))
    return None


def own_element(context: Context, word: str) -> str | None:
    """This very job's element, where a word names it as a job names itself; None otherwise."""
    array, task = context.variable("SLURM_ARRAY_JOB_ID"), context.variable("SLURM_ARRAY_TASK_ID")
    if word != context.variable("SLURM_JOB_ID") and (array is None or word != f"{array}_{task}"):
        return None
    own = own_job(context)
    if not own:
        return None
    return own.element


def own_number(context: Context, word: str) -> bool:
    """Whether a word is the number of this very job, and not that of its array too."""
    if word != context.variable("SLURM_JOB_ID"):
        return False
    own = own_job(context)
    return own is not None and not own.element.startswith(f"{own.raw}_")


def own_call(context: Context, word: str) -> Call | None:
    """The call of the merged job that this command runs in, where a word names that; None otherwise."""
    array, _, index = (own_element(context, word) or "").partition("_")
    job = context.tickets.job_here(int(array)) if array else None
    if job is None:
        return None
    shares = job.shares([int(index) if index else None])
    return next((context.tickets.call(ticket) for ticket in shares), None)


def with_own_job(context: Context, jobs: str) -> str:
    """A list of job ids in which this job's own is that of its element."""
    return ",".join(
        own_element(context, one) or one if one == context.variable("SLURM_JOB_ID") else one for one in split_ids(jobs)
    )
