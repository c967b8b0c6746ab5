"""Queue mode: a pipeline that polls for a queued call is told, once, that nothing of it runs before a flush."""

from __future__ import annotations

import os
import time

from sbatch_shim.companions.context import Context, say
from sbatch_shim.errors import ShimError
from sbatch_shim.spool import Session, mode_of, replace, session_name
from sbatch_shim.state.lazy import json
from sbatch_shim.state.tickets import QUEUED

# This many questions about one ticket, over this many seconds, are a poll.
MANY = 10
LONG_SECONDS = 10


def remind(context: Context, tickets: list[int]) -> None:
    """
    Count a question about queued tickets, and say on stderr what a poll waits for.

    Only where the pipeline itself asks, by its session, and not in auto mode. A failure is nobody's concern.
    """
    if b"SARRAY_MODE" not in context.environment and not os.path.exists(context.state + b"/mode"):
        return
    from sbatch_shim.keeping import lock_path

    variables = {name: value for name, value in context.environment.items() if name.startswith(b"SARRAY_")}
    variables[b"SARRAY_MODE"] = mode_of(variables, context.state)
    try:
        session = Session(context.state, session_name(variables))
        if variables[b"SARRAY_MODE"] != b"queue" or os.path.exists(lock_path(session)):
            return
        ticket = next((one for one in tickets if is_queued(context, session, one)), None)
        if ticket is None:
            return
        path = session.folder + b"/asked"
        asked = {"ticket": ticket, "since": time.time(), "count": 0, "told": False}
        if os.path.exists(path):
            with open(path, "rb") as stream:
                before = json.load(stream)
            if before["told"]:
                return
            if before["ticket"] == ticket:
                asked = before
        asked["count"] += 1
        asked["told"] = asked["count"] >= MANY and time.time() - asked["since"] >= LONG_SECONDS
        replace(path, json.dumps(asked).encode())
        if asked["told"]:
            say(
                f"{context.command}: {ticket} is queued by sbatch-shim, and nothing of it runs before sarray-flush; "
                "with SARRAY_MODE=auto calls are submitted by themselves (said once)"
            )
    except (ShimError, OSError, ValueError, KeyError, TypeError):
        pass


def is_queued(context: Context, session: Session, ticket: int) -> bool:
    """Whether a ticket of this session waits for a flush."""
    held = context.tickets.find(ticket)
    return held is not None and held.session.name == session.name and held.state(ticket) == QUEUED
