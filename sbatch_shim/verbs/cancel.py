"""sarray cancel: queued calls are dropped, submitted ones cancelled."""

from __future__ import annotations

import os
import sys

from sbatch_shim.companions.context import Context
from sbatch_shim.companions.options import Line
from sbatch_shim.errors import ShimError
from sbatch_shim.flush.release import give_back
from sbatch_shim.spool import ticket_numbers
from sbatch_shim.state.journal import is_elsewhere
from sbatch_shim.state.pools import is_given_out
from sbatch_shim.state.tickets import IN_FLIGHT, QUEUED, REFUSED, SUBMITTED, SessionTickets
from sbatch_shim.verbs.status import pages_of
from sbatch_shim.verbs.words import session_ends, sure


def cancel(context: Context, tickets: list[int], sessions: set[bytes] | None, *, yes: bool) -> int:
    """
    Drop queued calls and cancel submitted ones.

    Args:
        tickets: The calls; none: what is queued in `sessions`.
        sessions: Their names; None for all of them.
        yes: Do not ask.

    Returns:
        The exit status.
    """
    all_known = context.tickets
    if tickets:
        chosen = []
        for ticket in tickets:
            pages = all_known.await_placed(ticket)
            if pages is None:
                what = "is not a ticket of yours"
                if pages_of(all_known, ticket):
                    what = "ran here, without Slurm"
                raise ShimError(f"{ticket} {what}; nothing was cancelled")
            if ticket in pages.jobs and not context.is_here(pages.jobs[ticket].origin):
                raise ShimError(f"{is_elsewhere(ticket, pages.jobs[ticket].origin.cluster)}; nothing was cancelled")
            chosen.append((ticket, pages))
    else:
        chosen = [one for one in all_known.unsubmitted() if sessions is None or one[1].session.name in sessions]
    queued = [one for one in chosen if one[1].state(one[0]) in (QUEUED, REFUSED)]
    submitted = [ticket for ticket, pages in chosen if tickets and pages.state(ticket) in (SUBMITTED, IN_FLIGHT)]
    if not queued and not submitted:
        nothing_to_cancel(context, sessions, named=bool(tickets))
        return 0
    gone = {ticket for ticket, _ in queued}
    waiting = dependents(context, gone | set(submitted))
    if waiting:
        print(f"these wait for them: {', '.join(str(ticket) for ticket in waiting)}", file=sys.stderr)
    if not sure(f"cancel calls (queued: {len(queued)}, submitted: {len(submitted)})?", yes=yes):
        print("sarray cancel: nothing was cancelled", file=sys.stderr)
        return 1
    by_session: dict[bytes, tuple[SessionTickets, list[int]]] = {}
    for ticket, pages in queued:
        by_session.setdefault(pages.session.name, (pages, []))[1].append(ticket)
    for pages, some in by_session.values():
        submitted += pages.drop(some)
        if any(map(is_given_out, some)):
            give_back(pages.session, lambda recorded: context.tool("sbatch") or recorded)
    all_known.index()
    if gone:
        print(f"queued calls dropped: {len(gone - set(submitted))}")
    if not tickets:
        session_ends(context)
    if submitted:
        from sbatch_shim.companions.scancel import Cancel

        sys.stdout.flush()
        if Cancel(context, Line([], [str(ticket) for ticket in submitted])).run() != 0:
            return 1
        print(f"submitted calls given to scancel: {len(submitted)}")
    return 0


def nothing_to_cancel(context: Context, sessions: set[bytes] | None, *, named: bool) -> None:
    """Say so, and where calls are queued."""
    if named:
        print("sarray cancel: all of these were cancelled before", file=sys.stderr)
        return
    session_ends(context)
    others = sorted({os.fsdecode(pages.session.name) for _, pages in context.tickets.unsubmitted()})
    if sessions is None or not others:
        print("sarray cancel: nothing is queued", file=sys.stderr)
        return
    print("sarray cancel: nothing is queued in this session", file=sys.stderr)
    print(f"sarray cancel: other sessions hold calls; sarray cancel --session {others[0]}, or --all", file=sys.stderr)


def dependents(context: Context, tickets: set[int]) -> list[int]:
    """Queued calls that wait for any of these, or for such a call, and are not among them."""
    found: list[int] = []
    # A call can only wait for older ones, so one pass in the order of the tickets finds those behind others.
    reached = set(tickets)
    for ticket, pages in context.tickets.unsubmitted():
        if ticket in tickets:
            continue
        call = pages.call(ticket)
        if call and reached & set(ticket_numbers(call.options.get("dependency") or b"")):
            found.append(ticket)
            reached.add(ticket)
    return found
