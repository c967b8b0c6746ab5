"""Tickets as real ids: their calls are submitted first where no flush has done so."""

from __future__ import annotations

from sbatch_shim.companions.context import Context
from sbatch_shim.errors import ShimError
from sbatch_shim.state.tickets import (
    DROPPED,
    FLYING,
    QUEUED,
    REFUSED,
    SUBMITTED,
    SessionTickets,
    Target,
    elements,
)


def placed(context: Context, found: Target, pages: SessionTickets) -> list[str]:
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


def submit_session(context: Context, pages: SessionTickets) -> None:
    """Flush a session, and read again what became of it."""
    from sbatch_shim.flush.handover import submit_now

    submit_now(pages.session, lambda: context.tool("sbatch"))
    pages.read()
    context.tickets.index()
