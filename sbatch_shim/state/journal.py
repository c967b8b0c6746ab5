"""
What a flush did, line by line, on disk before the next step; and the map from tickets to real jobs.

::

    sessions/<name>/flushes/<stamp>/
      claimed              the records that this flush took from the queue (may be missing: it took none)
      journal              one JSON document per line, in the order of events
      arrays/<n>/script    what was given to the real sbatch
      arrays/<n>/output/<i>  links to the log files of its tasks (error/, input/ alike), where nodes see them
      done                 exists when nothing of `claimed` is left to submit

The events are types (events.py), and what they come to is a `History`. A `submitting` that none but `uncertain` follows
is a submission whose outcome is not known (recovery.py). --local has `collected` in place of `submitted`, `started` and
`ran`, with numbers that are this machine's own.
"""

from __future__ import annotations

import os

from sbatch_shim.errors import NeverMet, Refused, ShimError
from sbatch_shim.spool import BLOCK, FIRST_TICKET, Session, dropped, replace, session_of, sync_folder, write
from sbatch_shim.state import jsonlines
from sbatch_shim.state.events import (
    Absent,
    Assumed,
    Collected,
    Damaged,
    Event,
    Failed,
    Placed,
    Ran,
    Seen,
    Started,
    Submitted,
    Submitting,
    Uncertain,
    event_in,
)
from sbatch_shim.state.events import (
    Refused as RefusedEvent,
)
from sbatch_shim.state.folders import is_done
from sbatch_shim.state.lazy import pattern
from sbatch_shim.state.plain import cached_property, dataclass
from sbatch_shim.state.span import Span
from sbatch_shim.values import indices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

# A job's command as Slurm tells it: 22.05 puts the arguments behind the script (a merged job's has them only where
# it is the call's own, see flush/untouched.py).
WITH_ARGUMENTS = pattern(r"(?s)(.*?/sessions/[^/]+/flushes/[^/]+/arrays/\d+/script) ")


@dataclass(frozen=True)
class Origin:
    """
    Where a submission went. Ids belong to a cluster, and only until somebody lets them begin again.

    Attributes:
        script: The path that sbatch was given, which is the job's command: no other job has it.
        cluster: The name of the controller that was to take it; empty in journals of version 0.1.0.
        conf: What slurm.conf called that cluster, where it was not `cluster`; else empty.
        controller: Host and port of the controller, which tell apart two clusters of one name; or empty.
        since: The controller's time at the submission, seconds since the epoch; None where it is not known.
    """

    script: str
    cluster: str = ""
    conf: str = ""
    controller: str = ""
    since: int | None = None

    @classmethod
    def of(cls, submitting: Submitting) -> Origin:
        """Of a submission."""
        asked = submitting.asked
        if asked is None:
            return cls(submitting.script)
        return cls(submitting.script, asked.cluster, asked.conf, asked.controller, asked.since)

    def is_of(self, names: Collection[str]) -> bool:
        """Whether that was the cluster of these names; so was a submission of which no cluster is known."""
        return not self.cluster or self.cluster in names or (bool(self.conf) and self.conf in names)


UNKNOWN_ORIGIN = Origin("")


def script_of(command: str) -> str:
    """The script of a merged job from its command as Slurm tells it; any other command as it is."""
    if " " in command and (found := WITH_ARGUMENTS.match(command)):
        return str(found[1])
    return command


@dataclass(frozen=True)
class Place:
    """
    Where a ticket's tasks run.

    Attributes:
        job: The real job id: of an array, or of a plain job.
        first: Index of the call's first task; None when the job is a plain one, or the indices are the
            local ids that the call asked for.
        spec: What the call's --array asked for; None for a plain call.
        whole: The job holds nothing but this call.
        tasks: How many tasks the job has in all.
        end: An index that no task of the job has, nor one behind it, where calls share it.
        spare: The job has a last element that is nobody's and was cancelled, so that its id is no name for all tasks.
    """

    job: int
    first: int | None
    spec: str | None
    whole: bool
    tasks: int
    end: int
    spare: bool = False

    @cached_property
    def span(self) -> Span:
        """The indices of the call's tasks."""
        return Span(self.first, None if self.spec is None else indices(self.spec.encode())[0])

    @property
    def local_ids(self) -> Sequence[int]:
        """The task ids that the call asked for, in rising order; empty for a plain call."""
        return self.span.local_ids or ()

    @property
    def indices(self) -> Sequence[int]:
        """The indices of the call's tasks; empty for a plain job."""
        return self.span.indices

    def elements(self) -> list[str]:
        """The ids of all tasks, as Slurm writes them; the job's own where the call's indices are the job's."""
        if self.first is None:
            return [str(self.job)]
        return [f"{self.job}_{index}" for index in self.indices]

    def element(self, local_id: int) -> str:
        """
        The id of the task that the call knows as `local_id`.

        For one that it does not have, an element that nobody has: Slurm judges that, as it does directly. (An index
        beyond MaxArraySize stays one, since Slurm has other words for those.)
        """
        return f"{self.job}_{self.element_index(local_id)}"

    def element_index(self, local_id: int) -> int:
        """The index in that id."""
        index = self.span.index_of(local_id)
        if index is not None:
            return index
        if self.first is None:
            return local_id
        return max(self.end, local_id)


# How a line begins.
LINE_START = b'{"event":"'


class Journal:
    """The journal of one flush folder."""

    def __init__(self, folder: bytes) -> None:
        self.folder = folder
        self.path = folder + b"/journal"
        self.mended = False

    def add(self, event: Event) -> None:
        """Append an event; on return it is on disk."""
        line = jsonlines.dumps(event.to_json()) + b"\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if not self.mended:
                os.ftruncate(descriptor, self.whole_bytes())
                sync_folder(os.path.dirname(self.path))
            self.mended = False
            write(descriptor, line)
            os.fdatasync(descriptor)
            self.mended = True
        finally:
            os.close(descriptor)

    def whole_bytes(self) -> int:
        """The size without a torn last line, which was never relied upon."""
        with open(self.path, "rb") as stream:
            return stream.read().rfind(b"\n") + 1

    def events(self) -> list[Event]:
        """All whole events; ShimError for a journal that something else has damaged."""
        found, damaged = self.lines()
        if damaged:
            what = "the next sarray-flush sets it aside"
            if is_done(os.path.dirname(self.path)):
                what = "that flush was done, and nothing of it is submitted again: you may take the line out"
            raise ShimError(
                f"line {damaged[0]} of {os.fsdecode(self.path)} is damaged, so it is not known what was submitted; "
                + what
            )
        return found

    def lines(self) -> tuple[list[Event], list[int]]:
        """All events that can be read, and the numbers of the lines that cannot."""
        found: list[Event] = []
        damaged: list[int] = []
        for number, line in enumerate(self.raw_lines(), 1):
            try:
                found.append(event_in(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                damaged.append(number)
        return found, damaged

    def events_about(self, tickets: Collection[int]) -> list[Event]:
        """
        The events that have to do with some tickets, where the other lines look whole.

        A line is parsed only if it has the digits of one of them. Raises ShimError as `events`.
        """
        lines = self.raw_lines()
        if not all(line.startswith(LINE_START) and line.endswith(b"}") and line.isascii() for line in lines):
            return self.events()
        digits = [b"%d" % ticket for ticket in tickets]
        try:
            return [event_in(line) for line in lines if any(one in line for one in digits)]
        except (ValueError, KeyError, TypeError, AttributeError):
            return self.events()

    def raw_lines(self) -> list[bytes]:
        """The whole lines."""
        try:
            with open(self.path, "rb") as stream:
                return stream.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    def history(self) -> History:
        """What the events come to."""
        return History().take(self.events())

    def set_damage_aside(self, claimed: Iterable[int]) -> None:
        """
        Keep a damaged journal as it is under another name, and go on with the lines that can be read.

        Args:
            claimed: The tickets that this flush could have submitted. Those of which no readable line tells become
                uncertain, until the user decides.
        """
        events, damaged = self.lines()
        number = 1
        while True:
            copy = b"%s.damaged-%d" % (self.path, number)
            try:
                os.link(self.path, copy)
                break
            except FileExistsError:
                if os.path.samefile(self.path, copy):
                    break  # a flush that was killed here
                number += 1
        text = f"line {damaged[0]} is damaged, so it is not known which of these calls were submitted"
        tickets = sorted(set(claimed) - History().take(events).settled)
        event = Damaged(-number, tickets, text, os.fsdecode(copy))
        kept = [line for at, line in enumerate(self.raw_lines(), 1) if at not in damaged]
        kept.append(jsonlines.dumps(event.to_json()))
        replace(self.path, b"".join(line + b"\n" for line in kept))


@dataclass(frozen=True)
class Landed:
    """
    An array that was taken.

    Attributes:
        event: Which tells its job.
        places: Of its tickets.
        origin: Where it went.
        folder: That of its flush.
    """

    event: Placed
    places: dict[int, Place]
    origin: Origin
    folder: bytes = b""


class History:
    """
    What the events of one journal, or of a session's journals in their order, come to.

    Attributes:
        settled: The tickets that must not be submitted again: submitted, or of unknown outcome.
        in_flight: Those that are being submitted, or of which it is not known.
        refused: Those that Slurm has refused, whatever followed: the newest of its words, by ticket.
        refused_alone: Those that it refused for good, each by itself.
        failed: Refused for good and never tried again: Slurm's words, by ticket.
        assumed: Those that the user says were submitted.
        landed: The arrays that were taken, by flush folder and array, under the type of the event.
        origins: Where the ticket went that was submitted, or is assumed to be.
        open: By flush folder and array, the event of unknown outcome: `Submitting`, `Damaged` or `Started`.
        to_split: By flush folder and array, submitted arrays whose `splitting` is not done yet, with their job.
    """

    def __init__(self) -> None:
        self.settled: set[int] = set()
        self.in_flight: set[int] = set()
        self.refused: dict[int, str] = {}
        self.refused_alone: set[int] = set()
        self.failed: dict[int, str] = {}
        self.assumed: set[int] = set()
        self.landed: dict[type[Placed], dict[tuple[bytes, int], Landed]] = {Submitted: {}, Collected: {}, Ran: {}}
        self.origins: dict[int, Origin] = {}
        self.open: dict[tuple[bytes, int], Event] = {}
        self.to_split: dict[tuple[bytes, int], tuple[Submitting, int]] = {}
        self.tried: dict[tuple[bytes, int], Submitting] = {}

    def take(self, events: Iterable[Event], folder: bytes = b"") -> History:
        """Go on with the events of a flush folder."""
        for event in events:
            self.add(event, folder)
        return self

    def add(self, event: Event, folder: bytes = b"") -> None:
        """Go on with one event."""
        key = folder, event.array
        tickets = event.tickets
        if isinstance(event, (RefusedEvent, Absent, Collected)):
            self.settled.difference_update(tickets)
        else:
            self.settled.update(tickets)
        if isinstance(event, (Submitting, Uncertain, Damaged, Started)):
            self.in_flight.update(tickets)
        else:
            self.in_flight.difference_update(tickets)
        if isinstance(event, (Submitting, Damaged, Started)):
            self.open[key] = event
        elif not isinstance(event, Uncertain):
            self.open.pop(key, None)
        if isinstance(event, Submitting):
            self.tried[key] = event
        elif isinstance(event, (Submitted, Collected, Ran)):
            self.land(event, folder)
        elif isinstance(event, RefusedEvent):
            self.refused.update(dict.fromkeys(tickets, event.text))
            if len(tickets) == 1 and not event.passes:
                self.refused_alone.update(tickets)
        elif isinstance(event, Failed):
            self.failed.update(dict.fromkeys(tickets, event.text))
        elif isinstance(event, Assumed):
            self.assumed.update(tickets)
            self.origins.update(dict.fromkeys(tickets, self.origin(key)))
        elif isinstance(event, Seen):
            self.to_split.pop(key, None)

    def land(self, event: Placed, folder: bytes) -> None:
        """Note where the tickets of an array run, or ran."""
        key = folder, event.array
        origin = self.origin(key)
        self.landed[type(event)][key] = Landed(event, places_in(event), origin, folder)
        self.origins.update(dict.fromkeys(event.tickets, origin))
        submitting = self.tried.get(key)
        if isinstance(event, Submitted) and submitting is not None and submitting.splitting is not None:
            self.to_split[key] = submitting, event.job

    def origin(self, key: tuple[bytes, int]) -> Origin:
        """Where the array went, by flush folder and number."""
        if key in self.tried:
            return Origin.of(self.tried[key])
        return UNKNOWN_ORIGIN

    def places(self, kind: type[Placed]) -> dict[int, Place]:
        """Where tickets run, by events of one type."""
        found: dict[int, Place] = {}
        for landed in self.landed[kind].values():
            found.update(landed.places)
        return found


def places_in(event: Placed) -> dict[int, Place]:
    """Where the tickets of an event run."""
    placing = event.tickets
    assert isinstance(placing, dict)
    sizes = {ticket: 1 if spec is None else len(indices(spec.encode())[0]) for ticket, (_, spec) in placing.items()}
    end = max((sizes[ticket] + (first or 0) for ticket, (first, _) in placing.items()), default=0) + event.spare
    tasks = sum(sizes.values())
    return {
        ticket: Place(event.job, first, spec, len(sizes) == 1 and not event.pool, tasks, end, event.spare)
        for ticket, (first, spec) in placing.items()
    }


def is_stamp(name: bytes) -> bool:
    """Whether a name is that of a flush folder, `20261025-025900-000` (flush.new_folder)."""
    parts = name.split(b"-")
    return len(parts) == 3 and all(map(bytes.isdigit, parts)) and len(name) >= 19 and [*map(len, parts)][:2] == [8, 6]


def flush_folders(session: Session) -> list[bytes]:
    """The flush folders of a session, oldest first; whatever else stands there (NFS makes files) is none."""
    folder = session.folder + b"/flushes"
    try:
        names = [name for name in os.listdir(folder) if is_stamp(name)]
    except FileNotFoundError:
        return []
    # The last part is a number: of more than a thousand in one second, or while a clock is behind.
    return [folder + b"/" + name for name in sorted(names, key=lambda name: (name[:15], int(name[16:])))]


def open_folders(session: Session) -> list[bytes]:
    """The flush folders of which something may be left to submit, or to find out."""
    return [folder for folder in flush_folders(session) if not is_done(folder)]


def last_words(text: str) -> str:
    """The last of sbatch's errors without its name, which says most; of other texts all."""
    return text.strip().rpartition("error: ")[2].replace("\n", " ")


def is_elsewhere(ticket: int, cluster: str) -> str:
    """What to say of a ticket on another cluster."""
    return f"{ticket} is on the cluster {cluster}, which is not the one that answers here"


def not_submitted(state: bytes, ticket: int) -> ShimError:
    """Why a ticket cannot be waited for."""
    if dropped(state, ticket):
        return NeverMet(f"it waits for {ticket}, which was cancelled")
    return ShimError(f"it waits for {ticket}, which is not submitted")


class TicketMap:
    """
    From tickets to real jobs, over all sessions of a state folder; each journal is read once.

    Args:
        placing_event: The event that tells where a ticket runs: of Slurm's jobs, or of those that ran here.
    """

    def __init__(self, state: bytes, placing_event: type[Placed] = Submitted) -> None:
        self.state = state
        self.placing_event = placing_event
        self.sessions: dict[int, bytes | None] = {}  # by block; by less than 0 for a real id
        self.known: dict[int, Place] = {}
        self.read: set[bytes] = set()  # sessions
        self.history = History()
        # The events that place a ticket elsewhere, in Slurm or here, by ticket.
        self.elsewhere: dict[int, type[Placed]] = {}

    def session(self, ticket: int) -> bytes | None:
        """The name of the session that a ticket belongs to; None for a number that is no ticket of ours."""
        block = ticket // BLOCK if ticket >= FIRST_TICKET else -ticket
        if block not in self.sessions:
            self.sessions[block] = session_of(self.state, ticket)
        return self.sessions[block]

    def place(self, ticket: int) -> Place:
        """Where a ticket's tasks run; ShimError while it is not submitted."""
        name = self.session(ticket)
        if name is not None:
            self.read_session(name)
        if ticket in self.known:
            return self.known[ticket]
        if ticket in self.history.assumed:
            raise ShimError(f"it waits for {ticket}, which was assumed to be submitted: its job id is not known")
        if ticket in self.elsewhere:
            where = "which ran here, without Slurm"
            if self.elsewhere[ticket] is Submitted:
                where = "which Slurm has"
            raise ShimError(f"it waits for {ticket}, {where}")
        if ticket in self.history.failed:
            raise Refused(f"it waits for {ticket}, which Slurm has refused")
        raise not_submitted(self.state, ticket)

    def read_session(self, name: bytes) -> None:
        """Read the journals of a session, once."""
        if name in self.read:
            return
        self.read.add(name)
        for folder in flush_folders(Session(self.state, name)):
            self.history.take(Journal(folder).events(), folder)
        self.known.update(self.history.places(self.placing_event))
        for kind in (Submitted, Ran):
            if kind is not self.placing_event:
                self.elsewhere.update(dict.fromkeys(self.history.places(kind), kind))

    def places_of(self, job: int, session: bytes, is_here: Callable[[Origin], bool]) -> list[Place]:
        """
        The places of calls in a job of Slurm, by a session's journals.

        Args:
            is_here: See placer; a job of the same id on another cluster is another one.
        """
        self.read_session(session)
        found = ((place, self.history.origins.get(ticket, UNKNOWN_ORIGIN)) for ticket, place in self.known.items())
        return [place for place, origin in found if place.job == job and is_here(origin)]

    def placer(self, is_here: Callable[[Origin], bool]) -> Callable[[int], Place]:
        """
        Like `place`, for one cluster: of a ticket on another one it raises ShimError.

        Args:
            is_here: Whether a submission went to that cluster.
        """

        def place(ticket: int) -> Place:
            found = self.place(ticket)
            origin = self.history.origins.get(ticket, UNKNOWN_ORIGIN)
            if not is_here(origin):
                raise ShimError(f"it waits for a job of another cluster: {is_elsewhere(ticket, origin.cluster)}")
            return found

        return place

    def learn(self, event: Event, folder: bytes, submitting: Submitting | None = None) -> None:
        """
        Take in what a flush has done.

        Args:
            folder: That of the flush.
            submitting: What went before it, if any of it was submitted.
        """
        if submitting is not None:
            self.history.add(submitting, folder)
        self.history.add(event, folder)
        if isinstance(event, Placed) and isinstance(event.tickets, dict):
            self.known.update(places_in(event))
