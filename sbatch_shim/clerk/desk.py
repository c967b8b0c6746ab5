"""
Where launchers ask a clerk: FIFOs in a folder of the session, and what the clerk has answered.

::

    SESSION/clerk            "PID DESCRIPTOR NAME": /proc/PID/fd/DESCRIPTOR is `calls` as long as the clerk lives
    SESSION/clerks/NAME/
      free                   one byte for each free slot; who takes it owns the slot, and puts it back
      calls                  "SLOT CALLER WORDS DESCRIPTOR REAL\\0", of at most MESSAGE bytes
      reply-SLOT             "CALLER KIND TEXT\\0"
      ledger                 what became of each slot's call (given_up.py)

Nobody ever waits to write: there are no more messages than slots, and so many fit into a FIFO of the least size.
All open FIFOs for reading and writing, so no open waits, and nobody is killed for want of a reader.
"""

import fcntl
import posix
import time

from sbatch_shim.errors import SpoolError
from sbatch_shim.given_up import ENTRY
from sbatch_shim.spool import Session, make_folder, read, replace, write

SLOTS = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
# Longest message, in bytes; the launcher goes the ordinary way where the path of the real sbatch has 200 letters.
MESSAGE = 1024
PAGE = 4096
# A message does not begin in one page of a FIFO and end in the next, so one page may hold only so many.
IN_A_PAGE = PAGE // MESSAGE - 1
F_GETPIPE_SZ = 1032
FIONREAD = 0x541B
FLAGS = posix.O_RDWR | posix.O_NONBLOCK | posix.O_CLOEXEC | posix.O_NOFOLLOW


class Asked:
    """
    One message of a launcher.

    Attributes:
        slot: Index in SLOTS.
        caller: Its process.
        words: How many arguments the call has.
        descriptor: Of the FIFO for the answer, in its process.
        real: The real sbatch that it found.
    """

    __slots__ = ("caller", "descriptor", "real", "slot", "words")

    def __init__(self, message: bytes) -> None:
        """ValueError for what no launcher writes."""
        slot, caller, words, descriptor, self.real = message.split(b" ", 4)
        self.slot = SLOTS.index(slot)
        self.caller, self.words, self.descriptor = int(caller), int(words), int(descriptor)


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
        self.free = make_fifo(self.folder + b"/free")
        self.rest = b""
        room = fcntl.fcntl(self.calls, F_GETPIPE_SZ) // PAGE * IN_A_PAGE
        self.slots = min(len(SLOTS), room)
        if self.slots < 1:
            raise SpoolError("FIFOs are too small here")
        self.replies = [make_fifo(b"%s/reply-%c" % (self.folder, SLOTS[slot])) for slot in range(self.slots)]
        self.ids = [identity(one) for one in self.replies]
        flags = posix.O_RDWR | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
        self.ledger = posix.open(self.folder + b"/ledger", flags, 0o600)
        write(self.ledger, b"\0" * (ENTRY * self.slots))  # so that a full disk takes the entries

    def open(self) -> None:
        """Let launchers come."""
        posix.write(self.free, SLOTS[: self.slots])
        replace(self.session.folder + b"/clerk", b"%d %d %s\n" % (posix.getpid(), self.calls, self.name))

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
                found.append(Asked(message))
            except ValueError:
                pass
        return found

    def reply(self, asked: Asked, text: bytes) -> None:
        posix.write(self.replies[asked.slot], b"%d %s\0" % (asked.caller, text))

    def put_back(self, slot: int) -> None:
        """Free the slot of a caller that has gone."""
        try:
            posix.read(self.replies[slot], 1 << 20)
        except BlockingIOError:
            pass
        posix.write(self.free, SLOTS[slot : slot + 1])

    def free_slots(self) -> int:
        return int.from_bytes(fcntl.ioctl(self.free, FIONREAD, b"\0\0\0\0"), "little")

    def close(self) -> bool:
        """
        Let no launcher come any more.

        Returns:
            Whether none is there. (One that is sees that the clerk has ended.)
        """
        try:
            if read(self.session.folder + b"/clerk").split()[2:] == [self.name]:
                posix.unlink(self.session.folder + b"/clerk")
            return len(posix.read(self.free, PAGE)) == self.slots
        except OSError:
            return False

    def remove(self) -> None:
        """Take the folder away; only while nobody may ask what became of a call."""
        for name in posix.listdir(self.folder):
            posix.unlink(self.folder + b"/" + name)
        posix.rmdir(self.folder)


def identity(descriptor: int) -> "tuple[int, int]":
    found = posix.fstat(descriptor)
    return found.st_dev, found.st_ino
