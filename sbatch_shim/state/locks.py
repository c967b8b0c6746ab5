"""The locks of a flush: those of the hot path (spool.Lock), waited for in a way that a person can follow and end."""

from __future__ import annotations

import fcntl
import os
import time

from sbatch_shim.contended import STOPPED_SECONDS, Holder, Stuck
from sbatch_shim.errors import ShimError, SpoolError
from sbatch_shim.spool import Lock, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sbatch_shim.flush.patience import Patience


class Busy(ShimError):
    """A lock was not free for as long as could be waited."""


class Followed(Lock):
    """A lock with a rule of its own for how long it is waited for."""

    def __init__(self, path: bytes, rule: Callable[[], Callable[[], None]]) -> None:
        super().__init__(path)
        self.rule = rule

    def look(self) -> Callable[[], None]:
        return self.rule()

    def soft_look(self) -> Callable[[], None]:
        return self.rule()


def exclusive(
    path: bytes,
    patience: Patience | None = None,
    seconds: float | None = None,
    who: str = "another sarray-flush of this session",
) -> Lock:
    """
    The lock on `path`, which others may hold for long; a context manager that takes it and gives it back.

    Args:
        patience: Says that there is something to wait for, and may be stopped by a signal (ShimError). None: that of a
            bystander.
        seconds: How long to wait; Busy after that. None: as long as the patience has.
            A holder that was stopped is not waited for (Busy too).
        who: Has the lock, in words.
    """
    from sbatch_shim.flush.patience import bystander

    return Followed(path, lambda: Turn(path, patience or bystander(), seconds, who))


def brief(session: Session, patience: Patience) -> Lock:
    """The lock of a session that sbatch takes for a record, for a flush (ShimError when it is not to be had)."""

    def rule() -> Callable[[], None]:
        stuck = Stuck(session.folder + b"/lock", session.queue)

        def look() -> None:
            if patience.stop.signal:
                raise ShimError(f"interrupted while {Holder(stuck.path)} held {os.fsdecode(stuck.path)}")
            try:
                stuck()
            except SpoolError as error:
                raise SpoolError(f"{error}; nothing was submitted, and all calls stay queued") from None

        return look

    return Followed(session.folder + b"/lock", rule)


def unless_held(path: bytes) -> Lock:
    """A lock for which nobody waits: Busy after a moment."""

    def look() -> None:
        raise Busy(f"{os.fsdecode(path)} is held by {Holder(path)}")

    return Followed(path, lambda: look)


class Turn:
    """Waits for somebody whose work may take long, but not for one that was stopped in the middle of it."""

    def __init__(self, path: bytes, patience: Patience, seconds: float | None, who: str) -> None:
        self.path = path
        self.patience = patience
        self.seconds = seconds
        if seconds is None:
            self.seconds = patience.bound
        self.who = who
        self.begun = time.monotonic()
        self.stopped_since: float | None = None

    def __call__(self) -> None:
        holder = Holder(self.path)
        who = f"{self.who} is at work"
        if holder.pid:
            who += f": {holder}"
        if self.patience.stop.signal:
            raise ShimError(f"interrupted while {who}")
        now = time.monotonic()
        if not holder.stopped:
            self.stopped_since = None
        elif self.stopped_since is None:
            self.stopped_since = now
        elif now - self.stopped_since >= STOPPED_SECONDS:
            raise Busy(f"{who}; continue it (kill -CONT {holder.pid}), or end it")
        if self.seconds is not None and now - self.begun > self.seconds:
            raise Busy(who)
        self.patience.say(f"{who}; waiting for it")


def try_lock(path: bytes) -> bool | None:
    """
    Take the lock on a file and give it back: True, or False while somebody holds it, or None where there are no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return True
