"""The flush's locks: filelock, on the same files and with the same primitive as the hot path (spool.Lock)."""

from __future__ import annotations

import os

from filelock import BaseFileLock, UnixFileLock

from sbatch_shim.softlock import acquire


def exclusive(path: bytes) -> BaseFileLock:
    """
    Take the lock on `path`, waiting for it; a context manager that gives it back.

    Uses the soft lock where the file system has no flock, as the hot path does there.
    """
    lock = UnixFileLock(os.fsdecode(path), mode=0o600)
    try:
        lock.acquire(poll_interval=0.01)
    except NotImplementedError:
        return acquire(path)
    return lock
