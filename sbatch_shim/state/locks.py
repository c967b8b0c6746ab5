"""The flush's locks: filelock, on the same files and with the same primitive as the hot path (spool.Lock)."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

from filelock import BaseFileLock, Timeout, UnixFileLock

from sbatch_shim.errors import ShimError
from sbatch_shim.softlock import acquire

if TYPE_CHECKING:
    from sbatch_shim.flush.patience import Patience


class Busy(ShimError):
    """A lock was not free for as long as could be waited."""


def exclusive(path: bytes, patience: Patience | None = None, seconds: float | None = None) -> BaseFileLock:
    """
    Take the lock on `path`, waiting for it; a context manager that gives it back.

    Uses the soft lock where the file system has no flock, as the hot path does there.

    Args:
        patience: Says that there is something to wait for, and may be stopped by a signal (ShimError).
        seconds: How long to wait, with a patience; Busy after that. None: for ever.
    """
    if not has_flock(path):
        return acquire(path)
    lock = UnixFileLock(os.fsdecode(path), mode=0o600)
    begun = time.monotonic()
    while True:
        try:
            lock.acquire(timeout=-1 if patience is None else 1, poll_interval=0.01)
            return lock
        except Timeout:
            if patience is None or patience.stop.signal:
                raise ShimError("interrupted while another sarray-flush of this session is at work") from None
            if seconds is not None and time.monotonic() - begun > seconds:
                raise Busy("another sarray-flush of this session is at work") from None
            patience.say("another sarray-flush of this session is at work; waiting for it")


def has_flock(path: bytes) -> bool:
    """Whether the file system locks; filelock would take most errors for a lock that somebody holds."""
    return try_lock(path, os.O_CREAT | os.O_NOFOLLOW) is not None


def try_lock(path: bytes, flags: int = 0) -> bool | None:
    """
    Take the lock on a file and give it back: True, or False while somebody holds it, or None where there are no locks.

    Args:
        flags: For open(2), beside reading and writing.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return True
