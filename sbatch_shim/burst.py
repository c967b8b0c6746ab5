"""
Whether calls follow each other so closely that a clerk pays (clerk/clerk.py), and how it is started.

Imported by calls that follow each other closely, after they were answered; stdlib only.
"""

import fcntl
import posix
import time

from sbatch_shim.keeping import start
from sbatch_shim.spool import FOLLOWING_SECONDS, Session, close, open_private

CLERK = b"sbatch_shim.clerk.clerk"
# Before the name of a variable, without SARRAY_: what the site has set it to, as the clerk is told.
DEFAULT = b"SARRAY_DEFAULT_"
CAP = b"SARRAY_CAP_"
# So many calls that follow each other closely start a clerk, which costs as much as it saves with so many more.
CALLS = 8


def another_call(
    session: Session, entries: "list[bytes]", defaults: "dict[bytes, bytes]", caps: "dict[bytes, bytes]"
) -> None:
    """
    Count a call that was queued, and start a clerk with the eighth one; a failure is no matter of the call.

    Where none can live, it is tried again with the sixteenth, the 32nd, and so on.

    Args:
        entries: The environment that the clerk gets.
        defaults, caps: What the site has set, which it gets too.
    """
    try:
        calls = count(session)
        if calls >= CALLS and calls & (calls - 1) == 0 and not attended(session):
            site = [DEFAULT + name[7:] + b"=" + value for name, value in defaults.items()]
            site += [CAP + name[7:] + b"=" + value for name, value in caps.items()]
            start(session, entries + site, CLERK, b"/clerk.log")
    except Exception:  # the call was answered, and a fault here must not undo that in words
        pass


def count_path(session: Session) -> bytes:
    """A file that has as many bytes as calls followed others closely; a clerk that has queued one takes it away."""
    return session.folder + b"/burst"


def count(session: Session) -> int:
    """How many calls have followed each other closely, the first one, which nobody counts, included."""
    descriptor = open_private(count_path(session), posix.O_WRONLY | posix.O_APPEND)
    try:
        found = posix.fstat(descriptor)
        calls = found.st_size + 2
        if abs(time.time() - found.st_mtime) > FOLLOWING_SECONDS:
            posix.ftruncate(descriptor, 0)
            calls = 2
        posix.write(descriptor, b".")
        return calls
    finally:
        close(descriptor)


def lock_path(session: Session) -> bytes:
    """What the clerk holds a lock on while it lives; it exists once the session had one."""
    return session.folder + b"/clerk.lock"


def attended(session: Session) -> bool:
    """Whether a clerk lives (or cannot be the only one, where there is no flock)."""
    descriptor = open_private(lock_path(session), posix.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        close(descriptor)
    return False
