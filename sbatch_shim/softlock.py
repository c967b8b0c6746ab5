"""The lock for file systems without flock: filelock's, which is a file that exists while it is held."""

from __future__ import annotations

import os

from filelock import SoftFileLock


def acquire(path: bytes) -> SoftFileLock:
    """Take the soft lock beside `path`; release() gives it back."""
    lock = SoftFileLock(os.fsdecode(path) + ".soft")
    lock.acquire(poll_interval=0.01)
    return lock

