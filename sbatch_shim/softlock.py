"""The lock for file systems without flock: filelock's, which is a file that exists while it is held."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from filelock import SoftFileLock, Timeout

from sbatch_shim.contended import LONGEST_SECONDS, SLICE
from sbatch_shim.errors import SpoolError


def acquire(path: bytes, look: Callable[[], None] | None = None, seconds: float = LONGEST_SECONDS) -> SoftFileLock:
    """
    Take the soft lock beside `path`; release() gives it back.

    Args:
        look: Called every half second; what it raises ends the waiting.
        seconds: How long one and the same file may be in the way. It is held while a record is written; whoever is
            killed then leaves it behind, which nothing tells from holding it. SpoolError after that.
    """
    lock = SoftFileLock(os.fsdecode(path) + ".soft")
    seen, since = (0, 0), time.monotonic()
    while True:
        try:
            lock.acquire(timeout=min(SLICE, seconds), poll_interval=0.01)
            return lock
        except Timeout:
            pass
        try:
            found = os.stat(lock.lock_file)
        except OSError:
            continue
        now = (found.st_ino, found.st_mtime_ns)
        if now != seen and seen != (0, 0):
            since = time.monotonic()
        seen = now
        if time.monotonic() - since >= seconds:
            raise SpoolError(
                f"{lock.lock_file} has been held for {seconds:g} s; "
                "remove it if no sbatch or sarray-flush of yours runs"
            )
        if look is not None:
            look()
