"""
The events of a flush's journal, as types.

A line is a JSON object: `event` (the word of the type), `array` (the number of the flush's array), `tickets`, and the
other fields under their names. Where the event places tickets, `tickets` is an object, and each ticket's value is
[index of the first task or null, the call's --array or null]; else it is a list. Fields that are empty are left out.
A line of a word that is not known here is an `Event`: it settles its tickets.
"""

from __future__ import annotations

from sbatch_shim.state import jsonlines
from sbatch_shim.state.plain import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any, ClassVar

    # By ticket: the index of its first task, and the call's --array; see journal.Place.
    Placing = Mapping[int, tuple[int | None, str | None]]


@dataclass(frozen=True)
class Event:
    """
    Something that happened to an array.

    Attributes:
        array: Its number within the flush.
        tickets: Its calls.
    """

    array: int
    tickets: Collection[int]

    word: ClassVar[str] = ""

    def more(self) -> dict[str, Any]:
        """The fields that only this event has, as JSON."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """As a line of the journal."""
        tickets = self.tickets
        shown = tickets if isinstance(tickets, dict) else list(tickets)
        return {"event": self.word, "array": self.array, "tickets": shown, **self.more()}

    @classmethod
    def read(cls, told: dict[str, Any], array: int, tickets: Collection[int]) -> Event:
        """
        An event of this type from a line.

        Raises KeyError or TypeError where something is missing.
        """
        return cls(array, tickets)


@dataclass(frozen=True)
class Asked:
    """
    Whom a submission to Slurm was given to.

    Attributes:
        sbatch: Path of the real sbatch.
        variables: Those that tell Slurm's commands which controller to ask.
        since: The controller's time, seconds since the epoch; None where it is not known.
        cluster: The name that the controller told; empty in journals of version 0.1.0.
        conf: What slurm.conf called that cluster, where it was not `cluster`; else empty.
        controller: Host and port of the controller; or empty.
    """

    sbatch: str
    variables: Mapping[str, str]
    since: int | None
    cluster: str = ""
    conf: str = ""
    controller: str = ""

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"sbatch": self.sbatch, "variables": self.variables, "since": self.since}
        names = {"cluster": self.cluster, "conf": self.conf, "controller": self.controller}
        found.update((name, value) for name, value in names.items() if value)
        return found

    @classmethod
    def read(cls, told: dict[str, Any]) -> Asked | None:
        """From a line; None for one of `sarray-flush --local`."""
        if "sbatch" not in told:
            return None
        get = told.get
        names = get("cluster", ""), get("conf", ""), get("controller", "")
        return cls(told["sbatch"], get("variables", {}), get("since"), *names)


@dataclass(frozen=True)
class Splitting:
    """
    What Slurm must be told of an array once it is submitted, so that it sees its tasks each by itself.

    Attributes:
        elements: Ranges of indices to split off (Submission.to_split); empty for none.
        name: The array's job name.
        last: The index of the last task.
        last_waits: Its dependency by itself (Submission.last_waits); empty where that is the array's.
        spare: The index to cancel then (Submission.spare); None for none.
        for_lanes: Slow or failed tasks may hold up others until that is done.
    """

    elements: str
    name: str
    last: int = 0
    last_waits: str = ""
    spare: int | None = None
    for_lanes: bool = True

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"elements": self.elements, "name": self.name}
        if not self.for_lanes:
            found["for_lanes"] = False
        if self.last_waits:
            found.update(last=self.last, last_waits=self.last_waits)
        if self.spare is not None:
            found["spare"] = self.spare
        return found

    @classmethod
    def read(cls, told: dict[str, Any]) -> Splitting:
        get = told.get
        return cls(
            told["elements"], told["name"], get("last", 0), get("last_waits", ""), get("spare"), get("for_lanes", True)
        )


@dataclass(frozen=True)
class Submitting(Event):
    """
    An array is about to be given to sbatch. Where nothing but `Uncertain` follows, its outcome is not known.

    Attributes:
        tickets: A Placing.
        script: The path that sbatch is given.
        asked: None for --local.
        splitting: None where Slurm need not be told anything.
        pool: They wait held in a pool (pools.py), and are released.
    """

    script: str
    asked: Asked | None = None
    splitting: Splitting | None = None
    pool: bool = False

    word = "submitting"

    def to_json(self) -> dict[str, Any]:
        found = {"event": self.word, "array": self.array, "script": self.script, "tickets": self.tickets}
        if self.asked is not None:
            found.update(self.asked.to_json())
        if self.splitting is not None:
            found["lanes"] = self.splitting.to_json()  # named for what it was first there for, in older journals
        if self.pool:
            return {**found, "pool": True}
        return found

    @classmethod
    def read(cls, told: dict[str, Any], array: int, tickets: Collection[int]) -> Submitting:
        lanes = told.get("lanes")
        splitting = None if lanes is None else Splitting.read(lanes)
        return cls(array, tickets, told["script"], Asked.read(told), splitting, bool(told.get("pool")))

    @property
    def has_spare(self) -> bool:
        """Whether the array has a spare."""
        return self.splitting is not None and self.splitting.spare is not None


@dataclass(frozen=True)
class Placed(Event):
    """
    Tickets have got a place in a job.

    Attributes:
        tickets: A Placing.
        job: Its id: of Slurm's, or one of this machine's own (--local).
        pool: The job is a pool, so that it holds more than these tickets.
        spare: The job has a spare behind its last task (Submission.spare).
    """

    job: int
    pool: bool = False
    spare: bool = False

    def to_json(self) -> dict[str, Any]:
        found = {"event": self.word, "array": self.array, "job": self.job, "tickets": self.tickets}
        for name in ("pool", "spare"):
            if getattr(self, name):
                found[name] = True
        return found

    @classmethod
    def read(cls, told: dict[str, Any], array: int, tickets: Collection[int]) -> Placed:
        return cls(array, tickets, told["job"], bool(told.get("pool")), bool(told.get("spare")))


@dataclass(frozen=True)
class Submitted(Placed):
    """Slurm has it."""

    word = "submitted"


@dataclass(frozen=True)
class Collected(Placed):
    """--local has it, and will run it at the end of the flush; it still counts as queued."""

    word = "collected"


@dataclass(frozen=True)
class Started(Placed):
    """Its first task runs here: from now on it must not be submitted again. (`tickets` may be a list.)"""

    word = "started"


@dataclass(frozen=True)
class Ran(Placed):
    """It ran here, to its end."""

    word = "ran"


@dataclass(frozen=True)
class Worded(Event):
    """
    An event with words.

    Attributes:
        text: Slurm's, or ours.
    """

    text: str

    def more(self) -> dict[str, Any]:
        return {"text": self.text}

    @classmethod
    def read(cls, told: dict[str, Any], array: int, tickets: Collection[int]) -> Worded:
        return cls(array, tickets, told["text"])


@dataclass(frozen=True)
class Refused(Worded):
    """
    Slurm has refused it; the next flush tries again.

    Attributes:
        text: What sbatch said.
        status: Its exit status.
        passes: The refusal was one for a time.
    """

    status: int = 1
    passes: bool = False

    word = "refused"

    def more(self) -> dict[str, Any]:
        found = {"status": self.status, "text": self.text}
        if self.passes:
            return {**found, "passes": True}
        return found

    @classmethod
    def read(cls, told: dict[str, Any], array: int, tickets: Collection[int]) -> Refused:
        return cls(array, tickets, told["text"], told.get("status", 1), bool(told.get("passes")))


@dataclass(frozen=True)
class Failed(Worded):
    """Slurm has refused it for good, and it is never tried again (sarray-flush --final)."""

    word = "failed"


@dataclass(frozen=True)
class Uncertain(Worded):
    """sbatch's answer does not tell whether Slurm has it."""

    word = "uncertain"


@dataclass(frozen=True)
class Damaged(Worded):
    """
    Lines could not be read: any of these tickets may be submitted.

    Attributes:
        array: Below zero: none of the flush's.
        script: The path of the journal as it was.
    """

    script: str = ""

    word = "damaged"

    def more(self) -> dict[str, Any]:
        return {"script": self.script, "text": self.text}

    @classmethod
    def read(cls, told: dict[str, Any], array: int, tickets: Collection[int]) -> Damaged:
        return cls(array, tickets, told["text"], told["script"])


@dataclass(frozen=True)
class Absent(Event):
    """Slurm does not have it, after all."""

    word = "absent"


@dataclass(frozen=True)
class Assumed(Event):
    """The user says that Slurm has it."""

    word = "assumed"


@dataclass(frozen=True)
class Seen(Event):
    """Slurm has been told what the `splitting` of its submission says."""

    word = "seen"


TYPES: dict[str, type[Event]] = {
    one.word: one
    for one in (
        Submitting,
        Submitted,
        Collected,
        Started,
        Ran,
        Refused,
        Failed,
        Uncertain,
        Damaged,
        Absent,
        Assumed,
        Seen,
    )
}


def event_in(line: bytes) -> Event:
    """
    The event in a line of a journal.

    Raises ValueError, KeyError, TypeError or AttributeError for a damaged one.
    """
    told = jsonlines.loads(line)
    tickets = told["tickets"]
    numbers: Collection[int]
    if isinstance(tickets, dict):
        numbers = {int(ticket): place for ticket, place in tickets.items()}
    else:
        numbers = [int(ticket) for ticket in tickets]
    kind = TYPES.get(told["event"], Event)
    return kind.read(told, told["array"], numbers)
