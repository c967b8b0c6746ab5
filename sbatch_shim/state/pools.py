"""
Pools: real job ids that Slurm has given out before anybody needs them.

A pool is an array that waits held, each element split off and so with an id of its own. A call that needs to know its
job's id when sbatch answers gets the next one; the flush releases what was taken and cancels the rest.

::

    sessions/<name>/pools/
      lock                    held while an id is taken or a pool is made, and by a flush while it closes all of them
      open/list               the pools whose elements later calls may wait for one by one (aligned.py)
      open/<key>              what such calls take from: id of element 0 of a pool, how many it gives out and has given
                              out; and of all pools, the ids given out to such calls, and the elements made
      failed                  why no pool could be made; its age says when
      exposed                 exists where the site sees what sbatch sends, so that calls of a pool agree on that
      <number>/
        script                what was submitted: it reads `tasks`, which the flush writes
        asked                 what is asked for, JSON, before sbatch starts: as the `submitting` line of a journal
        ids                   job id of the array, id of element 0, how many are to be given out
        sent                  exists where that was sent with it
        waits                 exists where its call waits for tickets: Slurm is told for what at the flush
        tasks                 what each element runs
        output, error, input  links to the log files, by element
        trimmed               exists once all that is no call's was cancelled, though calls of it still wait
        done                  exists once nothing of it waits any more

    STATE/ids/<id>            a link, its target is the name of the session that gave this id out

An id is contiguous with its neighbours: element k has that of element 0 plus k (tried on 22.05, 24.11 and 26.05), and
whoever makes a pool checks it. The last element has the array's own id, and is never given out. The first call of a
kind gets a plain job that waits held: a pool of one id, in which the job and its only element are the same. So does
each call that shares no pool (reserve.ALONE).
"""

from __future__ import annotations

import os

from sbatch_shim.spool import FIRST_TICKET, Session, read
from sbatch_shim.state.events import Submitting, event_in
from sbatch_shim.state.folders import is_done
from sbatch_shim.state.ids import TaskSet
from sbatch_shim.state.plain import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Pool:
    """
    One pool.

    Attributes:
        folder: Its own.
        job: The id of its array.
        first: The id of element 0.
        count: How many ids it gives out, those of elements 0 to count - 1.
    """

    folder: bytes
    job: int
    first: int
    count: int

    @property
    def script(self) -> bytes:
        """The path that sbatch was given."""
        return self.folder + b"/script"

    @property
    def is_plain(self) -> bool:
        """It is a job of its own, for the first call of a kind, and no array."""
        return self.first == self.job

    @property
    def waits_for_tickets(self) -> bool:
        """Slurm has not been told what its only call waits for."""
        return os.path.exists(waits_file(self.folder))

    @property
    def sent(self) -> bool:
        """What its calls agree on of their environments was sent with it."""
        return os.path.exists(sent_file(self.folder))

    def target(self, elements: TaskSet) -> str:
        """Elements, as scontrol and scancel take them."""
        return str(self.job) if self.is_plain else f"{self.job}_[{elements.ranges()}]"

    def rest(self, taken: Collection[int | None]) -> TaskSet:
        """All other elements; the last one of an array too, which has the array's own id."""
        size = self.count if self.is_plain else self.count + 1
        return TaskSet(tuple(element for element in range(size) if element not in taken))

    def place(self, element: int) -> int | None:
        """The index that a call's only task has in it; None in a plain job."""
        return None if self.is_plain else element

    def element_of(self, job_id: int) -> int | None:
        """The element that has an id; None for an id of no element that is given out."""
        element = job_id - self.first
        return element if 0 <= element < self.count else None

    def asked(self) -> Submitting:
        """What was asked for."""
        return asked_in(self.folder)


def waits_file(folder: bytes) -> bytes:
    """Of a pool's folder; see above."""
    return folder + b"/waits"


def sent_file(folder: bytes) -> bytes:
    """Of a pool's folder; see above."""
    return folder + b"/sent"


def trimmed_file(folder: bytes) -> bytes:
    """Of a pool's folder; see above."""
    return folder + b"/trimmed"


def exposed_file(session: Session) -> bytes:
    """Of all pools of a session; see above."""
    return session.folder + b"/pools/exposed"


def asked_in(folder: bytes) -> Submitting:
    """What a pool's folder tells of the submission that was to make it; FileNotFoundError or ValueError for nothing."""
    found = event_in(read(folder + b"/asked"))
    if not isinstance(found, Submitting):
        raise ValueError("no submission")
    return found


def is_given_out(job_id: int) -> bool:
    """Whether the number of a call is a real id, and no ticket."""
    return job_id < FIRST_TICKET


def pool_in(folder: bytes) -> Pool | None:
    """The pool of a folder; None where it is not known to have been made."""
    try:
        job, first, count = read(folder + b"/ids").split()
    except (OSError, ValueError):
        return None
    return Pool(folder, int(job), int(first), int(count))


def pool_folders(session: Session) -> list[bytes]:
    """The folders of all pools of a session, oldest first."""
    try:
        names = [name for name in os.listdir(session.folder + b"/pools") if name.isdigit()]
    except FileNotFoundError:
        return []
    return [session.folder + b"/pools/" + name for name in sorted(names, key=int)]


def unfinished(session: Session) -> list[bytes]:
    """The folders of the pools of which something may wait in Slurm."""
    return [folder for folder in pool_folders(session) if not is_done(folder)]


def untrimmed(session: Session) -> list[bytes]:
    """Those of them of which something may wait that is no call's."""
    return [folder for folder in unfinished(session) if not os.path.exists(trimmed_file(folder))]
