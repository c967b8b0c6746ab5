"""
Whether calls follow each other so closely that a clerk pays (clerk/clerk.py), and how it is started.

Imported by calls with `SARRAY_KEEPER=on`, after they were answered; stdlib only.
"""

import fcntl
import posix
import time

from sbatch_shim.keeping import start
from sbatch_shim.spool import Session, close

CLERK = b"sbatch_shim.clerk.clerk"
# So many calls, each within so many seconds of the one before, start a clerk.
CALLS, SECONDS = 3, 2.0


def another_call(session: Session, entries: "list[bytes]") -> None:
    """
    Count a call that was queued, and start a clerk with the third one; a failure is no matter of the call.

    Args:
        entries: The environment that the clerk gets.
    """
    try:
        if any(entry[:13] == b"SLURM_JOB_ID=" for entry in entries):
            return  # it would end with the job
        if count(session) >= CALLS and not attended(session):
            start(session, entries, CLERK, b"/clerk.log")
    except Exception:  # the call was answered, and a fault here must not undo that in words
        pass


def count(session: Session) -> int:
    """How many calls have followed each other closely, this one included."""
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC | posix.O_NOFOLLOW
    descriptor = posix.open(session.folder + b"/burst", flags, 0o600)
    try:
        found = posix.fstat(descriptor)
        calls = found.st_size + 1
        if time.time() - found.st_mtime > SECONDS:
            posix.ftruncate(descriptor, 0)
            calls = 1
        posix.write(descriptor, b".")
        return calls
    finally:
        close(descriptor)


def lock_path(session: Session) -> bytes:
    """What the clerk holds a lock on while it lives; it exists once the session had one."""
    return session.folder + b"/clerk.lock"


def attended(session: Session) -> bool:
    """Whether a clerk lives (or cannot be the only one, where there is no flock)."""
    flags = posix.O_RDWR | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW
    descriptor = posix.open(lock_path(session), flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        close(descriptor)
    return False
