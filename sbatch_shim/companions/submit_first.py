"""Tickets as real ids: their calls are submitted first where no flush has done so."""

from __future__ import annotations

from sbatch_shim.companions import clusters
from sbatch_shim.companions.context import Context
from sbatch_shim.errors import ShimError
from sbatch_shim.state.tickets import DROPPED, FAILED, IN_FLIGHT, QUEUED, REFUSED, Named, SessionTickets


def placed(context: Context, named: Named) -> list[str]:
    """
    The real ids of a ticket's tasks, after submitting what is still queued; ShimError when that fails.

    Of one whose job is not here it is the ticket itself.
    """
    if named.state in (QUEUED, REFUSED):
        submit_session(context, named.held)
    if named.submitted:
        # Slurm knows no such id, and says so.
        if clusters.has(context, named.job):
            return named.elements()
        return [str(named.id)]
    reasons = {
        FAILED: "Slurm has refused it, so that it never ran; see sarray status",
        DROPPED: "it was cancelled before it was submitted",
        IN_FLIGHT: "it is not known whether Slurm took it; see sarray status",
    }
    raise ShimError(f"{named.ticket}: {reasons.get(named.state or '', 'Slurm refused it; see sarray status')}")


def submit_session(context: Context, held: SessionTickets) -> None:
    """Flush a session, and read again what became of it."""
    from sbatch_shim.flush.handover import submit_now

    submit_now(held.session, lambda: context.tool("sbatch"))
    held.read()
    context.tickets.index()
