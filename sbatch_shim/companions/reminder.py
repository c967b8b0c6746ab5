"""Queue mode: a pipeline that polls for a queued call is told, once, that nothing of it runs before a flush."""

from __future__ import annotations

import os
import time

from sbatch_shim.companions.context import Context, say
from sbatch_shim.errors import ShimError
from sbatch_shim.spool import Session, read, replace
from sbatch_shim.state.plain import dataclass
from sbatch_shim.state.tickets import QUEUED

# This many questions about one ticket, over this many seconds, are a poll.
MANY = 10
LONG_SECONDS = 10


@dataclass
class Asked:
    """
    How often a pipeline has asked for a queued call of its own: a file of the session, with these as numbers.

    Attributes:
        ticket: The last one that it asked for.
        since: When it began to, in seconds since the epoch.
        count: The questions.
        told: It was told what it waits for.
    """

    ticket: int
    since: float
    count: int = 0
    told: bool = False

    @classmethod
    def read(cls, path: bytes) -> Asked | None:
        """What the file tells; None where there is none, or it was damaged."""
        try:
            ticket, since, count, told = read(path).split()
            return cls(int(ticket), float(since), int(count), told == b"1")
        except (OSError, ValueError):
            return None

    def write(self, path: bytes) -> None:
        replace(path, b"%d %.3f %d %d\n" % (self.ticket, self.since, self.count, self.told))

    @property
    def is_poll(self) -> bool:
        return self.count >= MANY and time.time() - self.since >= LONG_SECONDS


def remind(context: Context, tickets: list[int]) -> None:
    """
    Count a question about queued tickets, and say on stderr what a poll waits for.

    Only where the pipeline itself asks, by its session, and not in auto mode. A failure is nobody's concern.
    """
    if b"SARRAY_MODE" not in context.environment and not os.path.exists(context.state + b"/mode"):
        return
    try:
        session = context.session()
        if context.mode != b"queue" or os.path.exists(session.keeper_lock):
            return
        ticket = next((one for one in tickets if is_queued(context, session, one)), None)
        if ticket is None:
            return
        path = session.folder + b"/asked"
        asked = Asked.read(path)
        if asked is not None and asked.told:
            return
        if asked is None or asked.ticket != ticket:
            asked = Asked(ticket, time.time())
        asked.count += 1
        asked.told = asked.is_poll
        asked.write(path)
        if asked.told:
            say(
                f"{context.command}: {ticket} is queued by sbatch-shim, and nothing of it runs before sarray-flush; "
                "with SARRAY_MODE=auto calls are submitted by themselves (said once)"
            )
    except (ShimError, OSError):
        pass


def is_queued(context: Context, session: Session, ticket: int) -> bool:
    """Whether a ticket of this session waits for a flush."""
    held = context.tickets.find(ticket)
    return held is not None and held.session.name == session.name and held.state(ticket) == QUEUED
