"""
A lock that somebody else holds: waited for in the kernel's queue, where nobody is overtaken, but not for ever.

Who was stopped (SIGSTOP, Ctrl-Z) or hangs while it holds a lock must not hang everybody else. Imported by the hot
path when a lock is not free, and only then; stdlib only.
"""

import fcntl
import posix
import time
from _signal import SIGKILL  # type: ignore[import-not-found]
from _thread import allocate_lock, start_new_thread

from sbatch_shim.errors import SpoolError
from sbatch_shim.spool import close, read, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Between two looks at who holds it, in seconds.
SLICE = 0.5
# How long a holder may show no sign of life: many writers with a slow disk take turns, and each turn is one.
LONGEST_SECONDS = 30
# The same for one that was stopped.
STOPPED_SECONDS = 5


def wait(descriptor: int, look: "Callable[[], None]") -> None:
    """
    Wait until the lock on an open file is ours.

    A thread does: it keeps its place among those that wait, and unlike a timer it leaves nothing behind for the
    command that may be executed next.

    Args:
        look: Called every half second; what it raises ends the waiting.
    """
    own = posix.dup(descriptor)  # the thread may outlast the caller's descriptor
    taken = allocate_lock()
    taken.acquire()
    failed = []  # type: list[OSError]

    def take() -> None:
        try:
            fcntl.flock(own, fcntl.LOCK_EX)
        except OSError as error:
            failed.append(error)
        close(own)
        taken.release()

    try:
        start_new_thread(take, ())
    except RuntimeError:  # a limit on processes or memory
        close(own)
        poll(descriptor, look)
        return
    while not taken.acquire(timeout=SLICE):
        look()
    if failed:
        raise failed[0]


def poll(descriptor: int, look: "Callable[[], None]") -> None:
    """The same where there can be no thread."""
    due = time.monotonic() + SLICE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return
        if time.monotonic() > due:
            look()
            due = time.monotonic() + SLICE


class Holder:
    """
    A process that holds a lock.

    Attributes:
        pid: 0 where it is not known: on another host, or in another container.
        name: Of its program.
        stopped: By SIGSTOP, from its terminal, or by a debugger.
    """

    def __init__(self, path: bytes) -> None:
        self.pid = holding(path)
        self.name = ""
        self.stopped = False
        if self.pid:
            try:
                # The name may hold blanks and brackets.
                name, _, rest = read(b"/proc/%d/stat" % self.pid).rpartition(b") ")
            except OSError:
                return
            self.name = text(name.partition(b"(")[2])
            self.stopped = rest[:1] in (b"T", b"t")

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        return "process %d (%s%s)" % (self.pid, self.name, ", stopped" if self.stopped else "")


def holding(path: bytes) -> int:
    """The process that holds the lock on a file, by the kernel's table of locks; 0 where that does not tell."""
    try:
        found = posix.stat(path)
        lines = read(b"/proc/locks").splitlines()
    except OSError:
        return 0
    device = b"%02x:%02x" % (posix.major(found.st_dev), posix.minor(found.st_dev))
    alike = 0
    for line in lines:
        # 1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END; those that wait have a -> behind the number.
        words = line.split()
        if len(words) != 8 or words[3] != b"WRITE":
            continue
        where, _, inode = words[5].rpartition(b":")
        if inode == b"%d" % found.st_ino and words[4].isdigit():
            if where == device:
                return int(words[4])
            alike = int(words[4])  # btrfs shows another device there
    return alike


class Stuck:
    """
    Gives up on a lock that is held for a moment by those who work, once its holder shows no sign of life.

    Signs are another holder, and a change of the file that all of them write.
    """

    def __init__(self, path: bytes, sign: bytes = b"", seconds: float = LONGEST_SECONDS) -> None:
        self.path = path
        self.sign = sign
        self.seconds = seconds
        self.seen = self.signs(Holder(path))
        self.since = time.monotonic()

    def signs(self, holder: Holder) -> "tuple[object, ...]":
        try:
            found = posix.stat(self.sign)
        except OSError:
            return holder.pid, holder.stopped
        return holder.pid, holder.stopped, found.st_ino, found.st_size, found.st_mtime_ns

    def __call__(self) -> None:
        holder = Holder(self.path)
        seen = self.signs(holder)
        if seen != self.seen:
            self.seen, self.since = seen, time.monotonic()
        if holder.stopped:
            end_clerk(self.path, holder.pid)
        waited = time.monotonic() - self.since
        if waited >= (STOPPED_SECONDS if holder.stopped else self.seconds):
            raise SpoolError("%s has been held for %d s by %s" % (text(self.path), waited, holder))


def end_clerk(path: bytes, pid: int) -> None:
    """
    End a stopped process that holds a session's lock, if it is the session's clerk: nothing is lost with it.

    (given_up.py; what it had begun is settled by whoever gets the lock.)
    """
    if pid == holding(path.rpartition(b"/")[0] + b"/clerk.lock"):
        try:
            posix.kill(pid, SIGKILL)
        except OSError:
            pass
