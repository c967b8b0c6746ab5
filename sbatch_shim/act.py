"""What scancel, scontrol and sarray do with tickets: find the real jobs, submit first, drop."""

from __future__ import annotations

import os
import re
import sys

from sbatch_shim.book import DROPPED, FLYING, QUEUED, REFUSED, SUBMITTED, Pages, Target, elements
from sbatch_shim.companion import Context
from sbatch_shim.drop import drop
from sbatch_shim.errors import ShimError

# A job of ours runs a script in a flush's folder.
OUR_SCRIPT = re.compile(r"^ *Command=.*/sessions/[^/]+/flushes/[^/]+/arrays/[^/]+/script$", re.M)


def own_task(context: Context) -> str | None:
    """
    Inside a merged job, its own element (`A_i`), as the controller knows it; None elsewhere.

    The flush need not have noted the job yet, and the state folder need not be known.
    """
    raw = context.variable("SLURM_JOB_ID") or ""
    if not raw.isdigit():
        return None
    answer = context.run("scontrol", ["show", "job", raw])
    for record in re.split(r"^(?=JobId=)", answer.out.decode(errors="replace"), flags=re.M):
        found = re.match(r"JobId=([0-9]+) ArrayJobId=([0-9]+) ArrayTaskId=([0-9]+) ", record)
        if found and found[1] == raw and OUR_SCRIPT.search(record):
            return f"{found[2]}_{found[3]}"
    return None


def state_of_own_job(context: Context) -> bytes | None:
    """The state folder from which this job was submitted: its script lies there. None outside of our jobs."""
    raw = context.variable("SLURM_JOB_ID") or ""
    if not raw.isdigit():
        return None
    found = OUR_SCRIPT.search(context.run("scontrol", ["show", "job", raw]).out.decode(errors="surrogateescape"))
    if found is None:
        return None
    return os.fsencode(found[0].partition("Command=")[2].partition("/sessions/")[0])


def placed(context: Context, found: Target, pages: Pages) -> list[str]:
    """The real ids of a ticket's tasks, after submitting what is still queued; ShimError when that fails."""
    if pages.state(found.ticket) in (QUEUED, REFUSED):
        submit_session(context, pages)
    state = pages.state(found.ticket)
    if state == SUBMITTED:
        return [one + found.rest for one in elements(pages.places[found.ticket], found.tasks)]
    reasons = {
        DROPPED: "it was cancelled before it was submitted",
        FLYING: "it is not known whether Slurm took it; see sarray status",
    }
    raise ShimError(f"{found.ticket}: {reasons.get(state or '', 'Slurm refused it; see sarray status')}")


def submit_session(context: Context, pages: Pages) -> None:
    """Flush a session, as sarray-flush does; what Slurm says goes to stderr."""
    from sbatch_shim.flush import Flush, Slurm, Wishes

    flush = Flush(pages.session, Slurm(lambda: context.tool("sbatch")), Wishes(keep_arrays=True))
    flush.run()
    for outcome in flush.outcomes:
        if outcome.text:
            sys.stderr.write(outcome.text.rstrip("\n") + "\n")
    pages.read()
    context.book.index()


def drop_queued(pages: Pages, tickets: list[int]) -> list[int]:
    """
    Cancel calls that are not submitted; a flush that is running is waited for.

    Returns:
        Those that a flush has submitted meanwhile.
    """
    from sbatch_shim.locks import exclusive

    with exclusive(pages.session.folder + b"/flush.lock"):
        pages.queued.clear()
        pages.read()
        gone = [ticket for ticket in tickets if pages.state(ticket) in (QUEUED, REFUSED)]
        if gone:
            drop(pages.session, gone)
        pages.read()
    return [ticket for ticket in tickets if pages.state(ticket) in (SUBMITTED, FLYING)]
