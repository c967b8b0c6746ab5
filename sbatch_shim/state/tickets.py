"""
All that is known about tickets, for the commands that show or take them.

A ticket is queued (in the spool), refused (Slurm refused its array; the next flush tries again), in flight (its
array is being submitted, or nobody knows what came of that), dropped (cancelled before it was submitted), failed
(refused for good after its caller had been answered, in auto mode) or submitted.
Queues are read before journals, so that a flush in between shows a ticket twice and never not at all.
"""

from __future__ import annotations

import os
import sys
import time
from _operator import itemgetter
from bisect import bisect_right

from sbatch_shim.errors import HandOver, ShimError
from sbatch_shim.spool import BLOCK, Session, session_of, was_issued
from sbatch_shim.state.calls import Call, QueueFiles, Shared, build, comment_of_all, queue_files
from sbatch_shim.state.dropped import drop, dropped
from sbatch_shim.state.events import Ran, Submitted
from sbatch_shim.state.folders import claimed, flush_lock, is_done, is_pool_script
from sbatch_shim.state.ids import JobId, TaskSet, is_number
from sbatch_shim.state.journal import (
    UNKNOWN_ORIGIN,
    History,
    Journal,
    Origin,
    Place,
    flush_folders,
    is_elsewhere,
    last_words,
    not_submitted,
    script_of,
)
from sbatch_shim.state.plain import cached_property, dataclass, field
from sbatch_shim.state.seek import payload_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from sbatch_shim.state.briefs import Brief, Briefs
    from sbatch_shim.state.calls import QueueFile


QUEUED, REFUSED, IN_FLIGHT, DROPPED, SUBMITTED = "queued", "refused", "in flight", "dropped", "submitted"
FAILED = "failed"
# The size of the column in which slurmdbd keeps a submit line (TEXT of MariaDB).
LINE_BYTES = 65535
# As many calls are looked for one by one, before all are read.
FEW = 16
# The same for the models of calls whose briefs are remembered.
MODELS = 300
# How long an array that is being submitted is waited for.
IN_FLIGHT_SECONDS = 5.0


class Job:
    """
    The calls of one real job, found by task index.

    Attributes:
        number: Its id, which is another job's on another cluster, and once ids begin again.
        origin: Where it was submitted, and with which script: that is its own for ever.
        flush: The name of the flush folder; names sort by time.
    """

    def __init__(
        self, number: int, places: dict[int, Place], origin: Origin = UNKNOWN_ORIGIN, flush: bytes = b""
    ) -> None:
        self.number = number
        self.origin = origin
        self.flush = flush
        self.places = places
        # First index, ticket, place.
        self.entries = sorted((place.first or 0, ticket, place) for ticket, place in places.items())
        self.comment: str | None = None
        self.starts = [first for first, _, _ in self.entries]

    @property
    def is_array(self) -> bool:
        return len(self.entries) > 1 or bool(self.entries[0][2].indices)

    @property
    def spare(self) -> int | None:
        """The index of the element that is nobody's and has its id; None where there is none."""
        place = self.entries[0][2]
        return place.end - 1 if place.spare else None

    def is_spare(self, task: str) -> bool:
        """Whether a row that names this task, or none, is that of the spare (26.05 forgets which one it was)."""
        return self.spare is not None and task in ("", "N/A", str(self.spare))

    @property
    def indices(self) -> list[int]:
        """All tasks; none of a plain job."""
        return [index for _, _, place in self.entries for index in place.indices]

    def task(self, index: int | None) -> tuple[int, int | None]:
        """The ticket and local id (None: a plain call) of a task; KeyError for an index that is nobody's."""
        if len(self.entries) == 1 and self.entries[0][2].first is None:
            _, ticket, place = self.entries[0]
            return ticket, None if place.spec is None else index
        if index is None:
            raise KeyError(self.number)
        at = bisect_right(self.starts, index) - 1
        if at < 0:
            raise KeyError(index)
        _, ticket, place = self.entries[at]
        return ticket, place.span.local_id_of(index)

    def runs(self, command: str) -> bool:
        """Whether a job with this number and this command, as Slurm tells them, is this one."""
        return self.origin.script == script_of(command)

    def submitted_by(self, line: str) -> bool:
        """
        Whether a job with this number and this line of sbatch, as the accounting tells it, is this one.

        An older accounting has no such line, and none has more of it than LINE_BYTES.
        """
        return not line or f" {self.origin.script} " in f"{line} " or len(os.fsencode(line)) >= LINE_BYTES

    def last_task(self, ticket: int) -> int | None:
        """The highest local id of an array call; None for a plain one."""
        place = self.places[ticket]
        if place.spec is None:
            return None
        return place.local_ids[-1]

    def shares(self, ids: Iterable[int | None]) -> dict[int, list[int | None]]:
        """Tasks by ticket: their local ids."""
        found: dict[int, list[int | None]] = {}
        for index in ids:
            try:
                ticket, local = self.task(index)
            except KeyError:
                continue
            found.setdefault(ticket, []).append(local)
        return found


@dataclass
class SessionTickets:
    """
    What one session's folder tells.

    Attributes:
        asked: The tickets that are asked for, where nothing else needs to be known; None for all of them.
        unsubmitted: The queue files that were read for what no flush has submitted.
        sought: How many records were looked for one by one.
    """

    session: Session
    asked: set[int] | None = None
    queued: set[int] = field(default_factory=set)
    dropped: dict[int, int] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    # By flush folder and array, as two clusters may have given one id; and by ticket.
    arrays: dict[tuple[bytes, int], Job] = field(default_factory=dict)
    jobs: dict[int, Job] = field(default_factory=dict)
    history: History = field(default_factory=History)
    ran: set[int] = field(default_factory=set)
    records: dict[int, bytes] | None = None
    calls: dict[int, Call | None] = field(default_factory=dict)
    unsubmitted: list[bytes] = field(default_factory=list)
    sought: int = 0
    shared: Shared = field(default_factory=Shared)

    @cached_property
    def files(self) -> QueueFiles:
        return QueueFiles(self.session)

    def read(self) -> SessionTickets:
        """Read, or read again; what was queued before stays known as such."""
        self.read_once()
        if self.asked is not None and not all(map(self.is_known, self.asked)):
            # Nobody was told that number; or its record is where a search does not find it.
            self.widen()
        return self

    def widen(self) -> None:
        """Read all that there is."""
        self.asked = None
        self.read_once()

    def is_known(self, ticket: int) -> bool:
        """Whether it is clear what a ticket is, or that nobody was told it."""
        if self.state(ticket) is not None or ticket in self.ran:
            return True
        return not was_issued(self.session.state, ticket)

    def read_once(self) -> None:
        self.unsubmitted.clear()
        self.note_queued(self.session.queue)
        history = History()
        for folder in flush_folders(self.session):
            journal = Journal(folder)
            events = journal.events() if self.asked is None else journal.events_about(self.asked)
            if not is_done(folder):
                self.note_queued(claimed(folder))
            history.take(events, folder)
        self.history = history
        self.ran = set(history.places(Ran))
        for key, landed in history.landed[Submitted].items():
            self.places.update(landed.places)
            job = Job(landed.event.job, landed.places, landed.origin, os.path.basename(landed.folder))
            self.arrays[key] = job
            self.jobs.update(dict.fromkeys(landed.places, job))
        self.dropped = dropped(self.session)

    def note_queued(self, path: bytes) -> None:
        """Note which calls are in a queue file."""
        try:
            if self.asked is None:
                self.queued |= self.files.file(path).tickets
                self.unsubmitted.append(path)
            else:
                self.queued.update(ticket for ticket in self.asked if payload_of(path, ticket) is not None)
        except OSError:
            pass

    def call(self, ticket: int) -> Call | None:
        """The call itself; None when its record is gone or damaged."""
        if ticket not in self.calls:
            payload = self.payload(ticket)
            if payload is not None:
                try:
                    self.calls[ticket] = build(self.session, ticket, payload, self.shared)
                except (ValueError, KeyError, OSError, HandOver):
                    self.calls[ticket] = None
                except Exception as error:  # a fault of ours: all else is shown
                    from sbatch_shim.state.faults import report

                    report(error, self.session.state)
                    self.calls[ticket] = None
        return self.calls.get(ticket)

    def payload(self, ticket: int) -> bytes | None:
        """The record of a call; None when it is gone."""
        few = FEW
        if self.asked is None:
            few = MODELS if self.records is None and self.files.remembered else 0
        if self.sought < few:
            self.sought += 1
            for path in queue_files(self.session):
                found = payload_of(path, ticket)
                if found is not None:
                    return found
        if self.records is None or (ticket not in self.records and ticket in self.queued):
            self.records = self.files.of_session()
        return self.records.get(ticket) or None

    def briefs(self) -> Iterator[Brief]:
        """What listings show of calls that wait for a flush, as far as it is known in bulk, and remembered from now."""
        for path in self.unsubmitted:
            file = self.files.read[path]
            if file.seen is None:
                try:
                    file.seen = self.briefs_in(file)
                except Exception as error:  # a fault of ours: each call is looked at by itself
                    from sbatch_shim.state.faults import report

                    report(error, self.session.state)
                    continue
            yield from file.seen.rows()

    def briefs_in(self, file: QueueFile) -> Briefs:
        from sbatch_shim.state.briefs import Briefs, remember

        found = file.briefs or Briefs(file.stamp[0])
        found.take({ticket: payload for ticket, payload in file.payloads.items() if payload}, self.call)
        found.end, found.tail = file.end, file.tail
        remember(self.session.folder, found)
        return found

    def state(self, ticket: int) -> str | None:
        """One of the words above; None for a number that nobody was told."""
        if ticket in self.places:
            return SUBMITTED
        if ticket in self.ran:
            return None  # by sarray-flush --local: over, and no job of Slurm's
        if ticket in self.dropped:
            return DROPPED
        if ticket in self.history.in_flight:
            return IN_FLIGHT
        if ticket in self.history.failed:
            return FAILED
        if ticket in self.history.refused:
            return REFUSED
        if ticket not in self.queued:
            return None
        return QUEUED

    @property
    def waiting(self) -> set[int]:
        """The calls that wait for a flush: those whose state is queued, refused or in flight, of what is queued."""
        failed = self.history.failed.keys() - self.history.in_flight
        return self.queued.difference(self.places, self.ran, self.dropped, failed)

    @property
    def untried(self) -> set[int]:
        """Those whose state is queued."""
        return self.waiting.difference(self.history.in_flight, self.history.refused)

    @property
    def alive(self) -> set[int]:
        """Those that are known not to be dropped."""
        return self.queued.union(self.places).difference(self.dropped)

    def refusal(self, ticket: int) -> str:
        """Why Slurm refused a call, for good or when tried last, in the last of its words; empty if it did not."""
        return last_words(self.history.failed.get(ticket) or self.history.refused.get(ticket, ""))

    def drop(self, tickets: list[int]) -> list[int]:
        """
        Cancel calls that are not submitted; a flush that is running is waited for.

        Returns:
            Those that a flush has submitted meanwhile.

        Raises ShimError for a flush that was stopped in the middle of its work.
        """
        from sbatch_shim.state.locks import exclusive

        with exclusive(flush_lock(self.session)):
            self.queued.clear()
            self.widen()
            gone = [ticket for ticket in tickets if self.state(ticket) in (QUEUED, REFUSED)]
            if gone:
                drop(self.session, gone)
            self.read()
        return [ticket for ticket in tickets if self.state(ticket) in (SUBMITTED, IN_FLIGHT)]


@dataclass(frozen=True)
class Named:
    """
    A ticket that a command line names, and what is known of its call.

    Attributes:
        id: The ticket, with the tasks and the step that were asked for.
        held: Its session's tickets.
    """

    id: JobId
    held: SessionTickets

    @property
    def ticket(self) -> int:
        return self.id.job

    @property
    def tasks(self) -> TaskSet | None:
        """The local ids asked for; None for the whole call."""
        return self.id.tasks

    @property
    def state(self) -> str | None:
        return self.held.state(self.ticket)

    @property
    def submitted(self) -> bool:
        return self.state == SUBMITTED

    @property
    def call(self) -> Call | None:
        """The call itself; None when its record is gone or damaged."""
        return self.held.call(self.ticket)

    @property
    def place(self) -> Place:
        """Where its tasks run; only of one that is submitted."""
        return self.held.places[self.ticket]

    @property
    def job(self) -> Job:
        """What its tasks are part of; only of one that is submitted."""
        return self.held.jobs[self.ticket]

    def elements(self) -> list[str]:
        """The real ids of what is named; only of one that is submitted."""
        return [one + self.id.step for one in elements(self.place, self.tasks)]


class Tickets:
    """
    The tickets of a state folder.

    Args:
        everything: Read all sessions and not only those that are live, for sacct.
        is_here: Whether a submission went to the cluster that the companion speaks to; asked only where that matters.
        asked: The tickets that a command line names. Where there are few, of their sessions no more is read than what
            is told of them, until something else is asked for.
    """

    def __init__(
        self,
        state: bytes,
        *,
        everything: bool = False,
        is_here: Callable[[Origin], bool] = lambda origin: True,
        asked: Collection[int] = (),
    ) -> None:
        self.state = state
        self.is_here = is_here
        self.listing = state + (b"/sessions" if everything else b"/live")
        self.asked = set()
        if len(asked) <= FEW:
            self.asked = {*asked}
        self.opened: dict[bytes, SessionTickets] = {}
        self.sessions: dict[int, bytes] = {}  # by block
        self.all_open = False
        self.known_by_number: dict[int, list[Job]] | None = None

    @property
    def pages(self) -> dict[bytes, SessionTickets]:
        """The sessions, read as a whole, by name."""
        if not self.all_open:
            self.all_open = True
            self.index()
            try:
                names = sorted(os.listdir(self.listing))
            except OSError:
                names = []
            for name in [*self.opened, *names]:
                try:
                    self.open(name)
                except (ShimError, OSError) as error:
                    # The other jobs can be told of all the same; who names a ticket of the session is refused.
                    print(f"sarray: {error}", file=sys.stderr)
                except Exception as error:
                    from sbatch_shim.state.faults import report

                    why = report(error, self.state)
                    print(f"sarray: session {os.fsdecode(name)} cannot be read: {why}", file=sys.stderr)
        return self.opened

    def open(self, name: bytes) -> SessionTickets:
        """A session, read as a whole."""
        if name not in self.opened:
            self.opened[name] = SessionTickets(Session(self.state, name)).read()
            self.index()
        elif self.opened[name].asked is not None:
            self.opened[name].widen()
            self.index()
        return self.opened[name]

    def session(self, ticket: int) -> bytes | None:
        """The name of a ticket's session; None for a number that is no ticket of ours."""
        block = ticket // BLOCK
        name = self.sessions.get(block)
        if name is None:
            name = session_of(self.state, ticket)
            if name is not None:
                self.sessions[block] = name
        return name

    def look_up(self, ticket: int, name: bytes) -> SessionTickets:
        """A ticket's session, of which nothing else may have been read."""
        held = self.opened.get(name)
        if held is None and ticket in self.asked and not self.all_open:
            asked = {one for one in self.asked if session_of(self.state, one) == name}
            self.opened[name] = SessionTickets(Session(self.state, name), asked).read()
            self.index()
            return self.opened[name]
        if held is None or (held.asked is not None and ticket not in held.asked):
            return self.open(name)
        return held

    def index(self) -> None:
        """Look again at which jobs there are, after a session was read again."""
        self.known_by_number = None

    @property
    def by_number(self) -> dict[int, list[Job]]:
        """From real jobs to tickets: those of one number, the youngest first."""
        if self.known_by_number is None:
            found: dict[int, list[Job]] = {}
            for held in self.pages.values():
                for job in held.arrays.values():
                    found.setdefault(job.number, []).append(job)
            for jobs in found.values():
                jobs.sort(key=lambda job: job.flush, reverse=True)
            self.known_by_number = found
        return self.known_by_number

    def job(self, number: int, command: str) -> Job | None:
        """
        The merged job with this id and this command; None for any other job.

        Args:
            command: The path of the script, as Slurm tells it. Other clusters have jobs of the same ids, and so has
                this one when its ids have begun again.
        """
        if not self.all_open:
            arrays = (job for held in self.opened.values() for job in held.arrays.values())
            asked = next((job for job in arrays if job.number == number and job.runs(command)), None)
            if asked is not None:
                return asked
        jobs = self.by_number.get(number, ())
        found = next((job for job in jobs if job.runs(command)), None)
        if found is None and self.ours(command):
            # The line of a damaged journal that told the script is lost.
            return next((job for job in jobs if not job.origin.script), None)
        return found

    def accounted(self, number: int, cluster: str, line: str) -> Job | None:
        """
        The merged job that a record of the accounting tells of; None for any other job.

        Args:
            cluster: Its name; empty where it is this one.
            line: The words of its sbatch.
        """
        jobs = [job for job in self.by_number.get(number, ()) if job.submitted_by(line)]
        if not cluster:
            return next((job for job in jobs if self.is_here(job.origin)), None)
        return next((job for job in jobs if job.origin.is_of((cluster,))), None)

    def job_here(self, number: int) -> Job | None:
        """
        The merged job with an id of this cluster, where its command is not told; the youngest one.

        Only for what was looked up by `job` before, or for what nothing is done to.
        """
        return next((job for job in self.by_number.get(number, ()) if self.is_here(job.origin)), None)

    def refresh(self) -> None:
        """Read again what a flush may have written meanwhile."""
        for held in self.opened.values():
            held.read()
        self.index()

    def find(self, ticket: int) -> SessionTickets | None:
        """The pages that a ticket stands on; None for a number that nobody was told."""
        name = self.session(ticket)
        if name is None:
            return None
        held = self.look_up(ticket, name)
        if held.state(ticket) is None:
            return None
        return held

    def call(self, ticket: int) -> Call | None:
        """A call by its ticket; None for a number that nobody was told, or when its record is gone."""
        pages = self.find(ticket)
        if not pages:
            return None
        return pages.call(ticket)

    def name(self, ticket: int, real: str) -> str:
        """
        The name of a submitted call: its own, or the one that scontrol update gave it since.

        Args:
            real: What Slurm tells: a merged array has the name of a first call, and how many more there are.
        """
        pages = self.find(ticket)
        call = None
        if pages:
            call = pages.call(ticket)
        if pages is None or call is None or real in ("", call.shown_name):
            if call:
                return call.shown_name
            return real
        job = pages.jobs[ticket]
        others = (pages.call(other) for _, other, _ in job.entries)
        first, plus, more = real.rpartition("+")
        names = {one.shown_name for one in others if one is not None}
        if plus and is_number(more) and first in names:
            return call.shown_name
        return real

    def comment(self, ticket: int, real: str) -> str:
        """
        The comment of a submitted call: its own, or the one that scontrol update gave it since.

        Args:
            real: What Slurm tells, empty for none: a merged array's has the first one and how many others there are.
        """
        pages = self.find(ticket)
        call = None
        if pages:
            call = pages.call(ticket)
        if pages is None or call is None or not real:
            return real
        job = pages.jobs[ticket]
        if job.comment is None:
            calls = [pages.call(other) for _, other, _ in job.entries]
            job.comment = os.fsdecode(comment_of_all([one for one in calls if one is not None]))
        if real == job.comment:
            return os.fsdecode(call.comment)
        return real

    def home(self, ticket: int) -> str:
        """The folder of the array that a submitted call is in."""
        pages = self.find(ticket)
        if pages and ticket in pages.jobs:
            return os.path.dirname(pages.jobs[ticket].origin.script)
        return ""

    def folder(self, ticket: int, real: str) -> str:
        """
        The folder of a submitted call: its own, or the one that scontrol update gave it since.

        Args:
            real: What Slurm tells: an array whose calls have several folders has one that holds them all, if it is
                there.
        """
        pages = self.find(ticket)
        call = None
        if pages:
            call = pages.call(ticket)
        if pages is None or call is None:
            return real
        own = os.fsdecode(call.folder)
        if not real.startswith("/") or real == own:
            return own
        calls = [pages.call(other) for _, other, _ in pages.jobs[ticket].entries]
        folders = {os.path.normpath(os.fsdecode(one.folder)) for one in calls if one is not None}
        told = os.path.commonpath(folders) + "/"
        if real == "/" and self.hides(pages.jobs[ticket].origin.script):
            return own
        if len(folders) > 1 and told.startswith(real.rstrip("/") + "/"):
            return own
        return real

    def await_placed(self, ticket: int) -> SessionTickets | None:
        """Like find, but waits a moment for a ticket that is being submitted right now."""
        deadline = time.monotonic() + IN_FLIGHT_SECONDS
        while True:
            pages = self.find(ticket)
            if pages is None or pages.state(ticket) != IN_FLIGHT or time.monotonic() > deadline:
                return pages
            time.sleep(0.02)
            self.refresh()

    def named(self, word: str) -> Named | None:
        """What a word names, if it is a ticket that somebody was told; waits a moment for one that is in flight."""
        found = JobId.of_ticket(word) or self.given_out(word)
        held = None
        if found:
            held = self.await_placed(found.job)
        if found is not None and held is not None:
            return Named(found, held)
        return None

    def given_out(self, word: str) -> JobId | None:
        """The same for a word whose number sbatch answered with in place of a ticket."""
        found = JobId.given(word)
        if found is not None and session_of(self.state, found.job) is not None:
            return found
        return None

    def await_job(self, number: int, command: str) -> Job | None:
        """Like `job`, but waits a moment for the flush to note it where the script is one of ours."""
        deadline = time.monotonic() + IN_FLIGHT_SECONDS
        while self.job(number, command) is None and self.ours(command) and time.monotonic() < deadline:
            time.sleep(0.02)
            self.refresh()
        return self.job(number, command)

    def settle(self, jobs: Iterable[tuple[int, str]]) -> None:
        """
        Read again what flushes have done, after a look at Slurm.

        Args:
            jobs: Id (0 for none) and command of all that was seen; those of ours are waited for until their flush has
                noted them.
        """
        self.refresh()
        for number, command in jobs:
            if number:
                self.await_job(number, command)

    def place(self, ticket: int) -> Place:
        """Where a ticket's tasks run; ShimError while it is not submitted, and for one on another cluster."""
        pages = self.find(ticket)
        if pages is None or ticket not in pages.places:
            raise not_submitted(self.state, ticket)
        origin = pages.jobs[ticket].origin
        if not self.is_here(origin):
            raise ShimError(is_elsewhere(ticket, origin.cluster))
        return pages.places[ticket]

    def unsubmitted(self, asked: Collection[int] | None = None) -> list[tuple[int, SessionTickets]]:
        """
        The tickets that wait for a flush, each with its pages, in their order.

        Args:
            asked: Of these only; None for all.
        """
        if asked is not None:
            held = ((ticket, self.find(ticket)) for ticket in sorted(asked))
            return [(ticket, one) for ticket, one in held if one and ticket in one.waiting]
        found = [(ticket, pages) for pages in self.pages.values() for ticket in sorted(pages.waiting)]
        return sorted(found, key=itemgetter(0))

    def ours(self, command: str) -> bool:
        """Whether a script path is one of a flush of this state folder."""
        path = os.fsencode(command)
        return path.startswith(self.state + b"/sessions/") and not is_pool_script(path)

    def hides(self, command: str) -> bool:
        """Whether what runs a script is an element of a pool, of which nobody was told where it is no call's."""
        path = os.fsencode(command)
        return path.startswith(self.state + b"/sessions/") and is_pool_script(path)


def elements(place: Place, tasks: Iterable[int] | None) -> list[str]:
    """The real ids of a ticket's tasks: the job's own id where they are all of it."""
    if tasks is None:
        if place.whole:
            return [str(place.job)]
        return place.elements()
    return [place.element(task) for task in tasks]
