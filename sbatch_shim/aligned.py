"""
Calls with real ids that wait for one element of a pool each: they share a pool that waits for the other by aftercorr.

So a thousand chains A, B, C of jobs that know their ids need three pools of each size. Element k of such a pool waits
for element k of the other alone (tried on 22.05, 24.11 and 26.05), and is given to nobody else.
All of it is under the pools' lock, and gone when a flush closes the pools (state/pools.py).
"""

import posix

from sbatch_shim.record import digest
from sbatch_shim.reserve import exists, most_elements, place_of
from sbatch_shim.spool import Session, close, dropped, open_private, read, replace

# Calls of one kind that wait for the same element; more get jobs of their own.
TURNS = 8
HEAD_BYTES = 22
FREE, TAKEN = b".", b"x"


class Awaited:
    """
    One element of a pool that gives out ids, or the only job of one.

    Attributes:
        job: The array's id.
        element: Its index; None for a plain job.
        count: How many elements of that array are given out.
        depth: How many pools that one waits for, one after the other.
    """

    __slots__ = ("count", "depth", "element", "job")

    def __init__(self, job: int, element: "int | None", count: int, depth: int) -> None:
        self.job, self.element, self.count, self.depth = job, element, count, depth


def list_file(session: Session) -> bytes:
    """
    The pools whose elements may be waited for, a line each.

    It holds id, id of element 0, how many, for how many pools each waits, and which Slurm has given these ids.
    """
    return place_of(session, b"list")


def note_pool(session: Session, job: int, first: int, count: int, depth: int, slurm: bytes) -> None:
    """Let later calls wait for the elements of a pool one by one."""
    descriptor = open_private(list_file(session), posix.O_WRONLY | posix.O_APPEND)
    try:
        # The line end is in front, so that a line that a full disk has cut stays by itself.
        posix.write(descriptor, b"\n%d %d %d %d %s" % (job, first, count, depth, slurm))
    finally:
        close(descriptor)


def awaited(session: Session, spec: bytes, slurm: bytes) -> "Awaited | None":
    """
    What a dependency waits for, where that is the success of one element, which nobody has cancelled.

    Args:
        slurm: Which one the call is for: to another one the same id means another job.
    """
    kind, _, word = spec.partition(b":")
    if kind.lower() != b"afterok" or not word.isdigit():
        return None
    number = int(word)
    try:
        lines = read(list_file(session)).splitlines()
    except FileNotFoundError:
        return None
    for fields in [line.split() for line in lines]:
        if len(fields) != 5 or fields[4] != slurm:
            continue
        job, first, count, depth = map(int, fields[:4])
        if first <= number < first + count and not dropped(session.state, number):
            return Awaited(job, number - first if first != job else None, count, depth)
    return None


class Budget:
    """
    How many calls of a kind have asked, and how many elements were made for them.

    The calls at each place in a chain are a kind of their own: else the first ones would use up what is for the next.

    Args:
        kind: What such calls have in common but for what they wait for.
    """

    def __init__(self, session: Session, kind: bytes, depth: int) -> None:
        self.place = place_of(session, digest(b"%s at %d" % (kind, depth)).encode())
        try:
            self.asked, self.made = [int(field) for field in read(self.place).split()]
        except (OSError, ValueError):
            self.asked = self.made = 0

    def allows(self, elements: int) -> bool:
        """Whether so many more may be made for the call that asks now; the first one gets a job of its own."""
        return self.made > 0 and self.made + elements <= most_elements(self.asked + 1)

    def note(self, elements: int) -> None:
        """One more has asked, for which so many were made."""
        # Not brought to the disk: after a power cut the kind is another one (reserve.key_of).
        descriptor = open_private(self.place, posix.O_WRONLY)
        try:
            posix.pwrite(descriptor, b"%10d %10d" % (self.asked + 1, self.made + elements), 0)
        finally:
            close(descriptor)


class Row:
    """
    A pool that is aligned with another one.

    Args:
        turn: Which of the pools of this kind that wait for that one, from 0.
    """

    def __init__(self, session: Session, kind: bytes, waits: Awaited, turn: int) -> None:
        assert waits.element is not None
        self.place = place_of(session, digest(b"%s %d %d" % (kind, waits.job, turn)).encode())
        self.element = waits.element

    def exists(self) -> bool:
        return exists(self.place)

    def open(self, first: int, count: int) -> None:
        """Let its ids be taken."""
        replace(self.place, b"%10d %10d " % (first, count) + FREE * count)

    def take(self) -> "int | None":
        """The id of its element, once."""
        told = read(self.place)
        first, count = [int(field) for field in told[:HEAD_BYTES].split()]
        at = HEAD_BYTES + self.element
        if self.element >= count or told[at : at + 1] != FREE:
            return None
        descriptor = posix.open(self.place, posix.O_WRONLY | posix.O_CLOEXEC)
        try:
            posix.pwrite(descriptor, TAKEN, at)
        finally:
            close(descriptor)
        return first + self.element
