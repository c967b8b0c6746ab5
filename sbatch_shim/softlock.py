"""The lock for file systems without flock: filelock's, which is a file that exists while it is held."""

from __future__ import annotations

import os

from filelock import SoftFileLock, Timeout

from sbatch_shim.errors import SpoolError

# It is held while a record is written. Whoever is killed then leaves it behind, which nothing tells from holding it.
LONGEST_SECONDS = 30


def acquire(path: bytes, seconds: float = LONGEST_SECONDS) -> SoftFileLock:
    """Take the soft lock beside `path`; release() gives it back. SpoolError when it is not free for so long."""
    lock = SoftFileLock(os.fsdecode(path) + ".soft")
    try:
        lock.acquire(timeout=seconds, poll_interval=0.01)
    except Timeout:
        raise SpoolError(
            f"{lock.lock_file} has been held for {seconds:g} s; remove it if no sbatch or sarray-flush of yours runs"
        ) from None
    return lock

