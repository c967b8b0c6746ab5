"""
What became of a call that a clerk was asked to queue and gave no answer to; never twice, never lost.

A clerk (clerk/clerk.py) does one call at a time, under the session's lock:

::

    clerk:     pending: "SLOT, CALLER, TICKET, FROM..TO"   the record   fdatasync   ledger: "CALLER TOLD"   pending: ""
                        ^ from here on the next that opens the queue looks whether the record is whole (settle)

A launcher that gets no answer in time, or sees the clerk stopped, ends the clerk for good before it does anything else
(main). From then on nobody writes for it any more, so that the ledger and `pending` tell: either the call is on disk
and its ticket is told, or it never will be, and it goes the ordinary way. Imported only then, and by the clerk.
"""

import posix
import time
from _signal import SIGKILL  # type: ignore[import-not-found]

from sbatch_shim.errors import ShimError, Unsure, complain
from sbatch_shim.record import TAIL_BYTES, tail_ticket
from sbatch_shim.spool import Session, close, launched_with, read

# An entry of a ledger, in bytes: there is one for each slot.
ENTRY = 128
# How long a clerk may take to die, in seconds: it may be waiting for a disk.
DYING_SECONDS = 5.0
# Exit status of main where the call is not queued and never will be.
NOT_QUEUED = 3


class Pending:
    """
    A record that a clerk is about to write.

    Attributes:
        clerk: Name of the clerk's folder.
        slot, caller: Which entry of its ledger is whose process's.
        ticket, start, end: Of the record, and its offsets in the queue.
        told: What the caller is told.
    """

    __slots__ = ("caller", "clerk", "end", "slot", "start", "ticket", "told")

    def __init__(self, clerk: bytes, slot: int, caller: int, ticket: int, start: int, end: int, told: bytes) -> None:
        self.clerk, self.slot, self.caller = clerk, slot, caller
        self.ticket, self.start, self.end = ticket, start, end
        self.told = told

    def line(self) -> bytes:
        numbers = (self.slot, self.caller, self.ticket, self.start, self.end)
        return b"%s %d %d %d %d %d %s" % (self.clerk, *numbers, self.told)


def pending_of(session: Session) -> "Pending | None":
    """What a clerk of this session has begun to write."""
    try:
        clerk, slot, caller, ticket, start, end, told = read(session.folder + b"/pending").split(b" ", 6)
        return Pending(clerk, int(slot), int(caller), int(ticket), int(start), int(end), told)
    except (OSError, ValueError):
        return None


def ledger_path(session: Session, clerk: bytes) -> bytes:
    return session.folder + b"/clerks/" + clerk + b"/ledger"


def entry(caller: int, told: bytes) -> bytes:
    """The call of this process is on disk."""
    return (b"%d %s\n" % (caller, told)).ljust(ENTRY, b"\0")


def settle(session: Session) -> None:
    """
    Say in the ledger whether a clerk that was killed had written its record. Under the lock.

    Whoever opens the queue does this first, so that no other record can stand where that one would.
    """
    begun = pending_of(session)
    if begun is not None and is_whole(session, begun):
        try:
            descriptor = posix.open(ledger_path(session, begun.clerk), posix.O_WRONLY | posix.O_CLOEXEC)
        except FileNotFoundError:
            pass  # nobody asks any more
        else:
            try:
                posix.pwrite(descriptor, entry(begun.caller, begun.told), ENTRY * begun.slot)
            finally:
                close(descriptor)
    descriptor = posix.open(session.folder + b"/pending", posix.O_WRONLY | posix.O_CLOEXEC | posix.O_TRUNC)
    close(descriptor)


def is_whole(session: Session, begun: Pending) -> bool:
    """Whether that record is in the queue; then it is on disk, too."""
    try:
        descriptor = posix.open(session.queue, posix.O_RDWR | posix.O_CLOEXEC | posix.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        tail = posix.pread(descriptor, TAIL_BYTES, begun.end - TAIL_BYTES)
        if tail_ticket(tail, begun.end) != begun.ticket:
            return False
        posix.fdatasync(descriptor)
        return True
    finally:
        close(descriptor)


def in_ledger(session: Session, clerk: bytes, slot: int, caller: int) -> "bytes | None":
    """What a caller whose call is on disk is told; None for another one."""
    try:
        descriptor = posix.open(ledger_path(session, clerk), posix.O_RDONLY | posix.O_CLOEXEC)
    except FileNotFoundError:
        raise Unsure("whether the call is queued cannot be said: what the clerk wrote down has gone") from None
    try:
        found = posix.pread(descriptor, ENTRY, ENTRY * slot)
    finally:
        close(descriptor)
    who, _, told = found.partition(b"\n")[0].partition(b" ")
    return told if who == b"%d" % caller else None


def outcome(session: Session, clerk: bytes, slot: int, caller: int) -> "bytes | None":
    """
    What the caller is told; None where its call is not queued, and never will be. The clerk has ended.

    Raises Unsure where that cannot be said.
    """
    # In this order: who settles writes the ledger first.
    begun = pending_of(session)
    if begun is not None and (begun.clerk, begun.slot, begun.caller) == (clerk, slot, caller):
        try:
            with session.lock():
                close(session.open_queue())
        except (ShimError, OSError) as error:
            raise Unsure("whether the call is queued cannot be said (%s); see sarray status" % error) from None
    return in_ledger(session, clerk, slot, caller)


class Process:
    """
    A clerk, as a launcher saw it.

    Attributes:
        pid: Its number.
        descriptor: Of the FIFO that it reads, in it.
        calls: That FIFO's path. It shows that the process is the clerk, and lives.
    """

    def __init__(self, pid: int, descriptor: int, calls: bytes) -> None:
        self.pid, self.descriptor, self.calls = pid, descriptor, calls

    def lives(self) -> bool:
        try:
            seen = posix.stat(b"/proc/%d/fd/%d" % (self.pid, self.descriptor))
            own = posix.stat(self.calls)
        except OSError:
            return False
        return (seen.st_dev, seen.st_ino) == (own.st_dev, own.st_ino)

    def end(self) -> None:
        """
        Kill it, and wait until it runs no more.

        Raises Unsure where it does not die (not even in a wait for a disk that never answers).
        """
        until = time.monotonic() + DYING_SECONDS
        while self.lives():
            try:
                posix.kill(self.pid, SIGKILL)
            except ProcessLookupError:
                return
            if time.monotonic() > until:
                # It would die before it did anything else.
                if self.state() == b"D":
                    return
                raise Unsure("whether the call is queued cannot be said: process %d does not end" % self.pid)
            time.sleep(0.002)

    def state(self) -> bytes:
        """One letter, as in /proc/PID/stat."""
        try:
            # The name may hold blanks and brackets.
            return read(b"/proc/%d/stat" % self.pid).rpartition(b") ")[2][:1]
        except OSError:
            return b""


def main() -> int:
    """
    Entry of the launcher: `python -I -S -c CODE STATE SESSION CLERK SLOT CALLER PID DESCRIPTOR`.

    Prints what the caller is told. Exit status 0: the call is queued; NOT_QUEUED: it is not; 1: see stderr.
    """
    words = launched_with()
    state, name, clerk = words[:3]
    slot, caller, pid, descriptor = [int(word) for word in words[3:7]]
    session = Session(state, name)
    try:
        Process(pid, descriptor, b"%s/clerks/%s/calls" % (session.folder, clerk)).end()
        found = outcome(session, clerk, slot, caller)
    except Unsure as error:
        complain("sbatch: error: %s\n" % error)
        return 1
    except Exception as error:
        complain("sbatch: error: whether the call is queued cannot be said (%s); see sarray status\n" % error)
        return 1
    if found is None:
        return NOT_QUEUED
    posix.write(1, found)
    return 0
