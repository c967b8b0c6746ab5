"""
Where launchers ask a clerk: FIFOs in a folder of the session, and what the clerk has answered.

::

    SESSION/clerk            "PID DESCRIPTOR NAME SLOTS": /proc/PID/fd/DESCRIPTOR is `calls` as long as the clerk lives
    SESSION/clerks/NAME/
      slot-N                 exists while slot N is somebody's: who has made it, exclusively
      calls                  "SLOT CALLER WORDS DESCRIPTOR REAL\0", at the end "SLOT\0"; the clerk takes the slot back
      reply-N                "CALLER KIND TEXT\0", which only the slot's owner reads
      rest                   nobody ever writes here: bash waits with it
      ledger                 what became of each slot's call (given_up.py)

Nobody ever waits to write: so many messages as there are slots fit into `calls`. Nobody waits to read longer than it
wants to: bash looks whether there is something, and then reads, so no two of them may read one FIFO. All open FIFOs for
reading and writing, so no open waits, and nobody is killed for want of a reader.
"""

import fcntl
import posix
import time

from sbatch_shim.errors import SpoolError
from sbatch_shim.given_up import ENTRY
from sbatch_shim.spool import Session, close, make_folder, read, replace, write

MOST_SLOTS = 64
# Longest message, in bytes; the launcher goes the ordinary way where the path of the real sbatch has 200 letters.
MESSAGE = 1024
PAGE = 4096
# A message does not begin in one page of a FIFO and end in the next, so one page may hold only so many.
IN_A_PAGE = PAGE // MESSAGE - 1
F_GETPIPE_SZ = 1032
FLAGS = posix.O_RDWR | posix.O_NONBLOCK | posix.O_CLOEXEC | posix.O_NOFOLLOW
NEW = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC


class Asked:
    """
    One message of a launcher.

    Attributes:
        slot: Its number.
        caller: Its process.
        words: How many arguments the call has.
        descriptor: Of the FIFO for the answer, in its process.
        real: The real sbatch that it found.
    """

    __slots__ = ("caller", "descriptor", "real", "slot", "words")

    def __init__(self, message: bytes) -> None:
        """ValueError for what no launcher writes."""
        slot, caller, words, descriptor, self.real = message.split(b" ", 4)
        self.slot, self.caller = int(slot), int(caller)
        self.words, self.descriptor = int(words), int(descriptor)


def make_fifo(path: bytes) -> int:
    posix.mkfifo(path, 0o600)
    posix.chmod(path, 0o600)
    return posix.open(path, FLAGS)


class Desk:
    """The open FIFOs of one clerk."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.name = b"%d-%d" % (posix.getpid(), time.time_ns())
        make_folder(session.folder + b"/clerks")
        self.folder = session.folder + b"/clerks/" + self.name
        make_folder(self.folder)
        self.calls = make_fifo(self.folder + b"/calls")
        posix.close(make_fifo(self.folder + b"/rest"))
        self.rest = b""
        room = fcntl.fcntl(self.calls, F_GETPIPE_SZ) // PAGE * IN_A_PAGE
        self.slots = min(MOST_SLOTS, room - 1)  # a little less, for the short ones
        if self.slots < 1:
            raise SpoolError("FIFOs are too small here")
        self.replies = [make_fifo(b"%s/reply-%d" % (self.folder, slot)) for slot in range(self.slots)]
        self.ids = [identity(one) for one in self.replies]
        flags = posix.O_RDWR | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
        self.ledger = posix.open(self.folder + b"/ledger", flags, 0o600)
        write(self.ledger, b"\0" * (ENTRY * self.slots))  # so that a full disk takes the entries

    def open(self) -> None:
        """Let launchers come."""
        told = (posix.getpid(), self.calls, self.name, self.slots)
        replace(self.session.folder + b"/clerk", b"%d %d %s %d\n" % told)

    def asked(self) -> "list[Asked]":
        """What launchers have written."""
        try:
            self.rest += posix.read(self.calls, 1 << 20)
        except BlockingIOError:
            return []
        *messages, self.rest = self.rest.split(b"\0")
        found = []
        for message in messages:
            try:
                if b" " in message:
                    found.append(Asked(message))
                else:
                    posix.unlink(self.slot(int(message)))
            except (ValueError, FileNotFoundError):
                pass
        return found

    def slot(self, number: int) -> bytes:
        """The file that exists while the slot is taken."""
        return b"%s/slot-%d" % (self.folder, number)

    def reply(self, asked: Asked, text: bytes) -> None:
        posix.write(self.replies[asked.slot], b"%d %s\0" % (asked.caller, text))

    def put_back(self, slot: int) -> None:
        """Free the slot of a caller that has gone."""
        try:
            posix.read(self.replies[slot], 1 << 16)
        except BlockingIOError:
            pass
        posix.unlink(self.slot(slot))

    def is_full(self) -> bool:
        """Whether all slots are taken."""
        return sum(name[:5] == b"slot-" for name in posix.listdir(self.folder)) >= self.slots

    def close(self) -> None:
        """Let no launcher come any more."""
        self.taken = 0
        try:
            if read(self.session.folder + b"/clerk").split()[2:3] == [self.name]:
                posix.unlink(self.session.folder + b"/clerk")
        except OSError:
            pass

    def take_slots(self) -> bool:
        """
        Take the slots that are free, for good.

        Returns:
            Whether all are ours: then nobody asks any more. (Who asks later sees that the clerk has ended.)
        """
        for slot in range(self.slots):
            try:
                close(posix.open(self.slot(slot), NEW, 0o600))
                self.taken += 1
            except OSError:
                pass
        return self.taken == self.slots

    def remove(self) -> None:
        """Take the folder away; only while nobody may ask what became of a call."""
        for name in posix.listdir(self.folder):
            posix.unlink(self.folder + b"/" + name)
        posix.rmdir(self.folder)


def identity(descriptor: int) -> "tuple[int, int]":
    found = posix.fstat(descriptor)
    return found.st_dev, found.st_ino
