"""
What a flush did, line by line, on disk before the next step; and the map from tickets to real jobs.

::

    sessions/<name>/flushes/<stamp>/
      claimed              the records that this flush took from the queue (may be missing: it took none)
      journal              one JSON document per line, in the order of events
      arrays/<n>/script    what was given to the real sbatch
      arrays/<n>/output/<i>  links to the log files of its tasks (error/, input/ alike), where nodes see them
      done                 exists when nothing of `claimed` is left to submit

Events: `submitting` {array, script, tickets: {ticket: place}, sbatch, variables, since: the controller's time, cluster:
its name, conf: the name in slurm.conf where that is another one, controller: host and port},
`submitted` {array, job, tickets: {ticket: place}}, `refused` {array, tickets, status, text}, `uncertain` {array,
tickets, text}, `failed` {array, tickets, text}: refused for good, and never tried again (sarray-flush --final),
`absent` {array, tickets}: Slurm does not have it, `assumed` {array, tickets}: the user says it does.
A place is [index of the first task or null, the call's --array or null]; see Place.
A `submitting` that none but `uncertain` follows is a submission whose outcome is not known (recovery.py). One with
`lanes` {elements, name} is of an array whose elements must be split off once it is submitted
(submission.elements_to_split); `seen` {array, tickets} says that they are. `damaged` {array, tickets, script: the
journal as it was, text} stands for lines that could not be read: any of those tickets may be submitted.

sarray-flush --local: `collected` {array, job, tickets: {ticket: place}} in place of `submitted`, `started` {array, job,
tickets}, and `ran` {array, job, tickets: {ticket: place}} at the end. These jobs' numbers are this machine's own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sbatch_shim.errors import NeverMet, Refused, ShimError
from sbatch_shim.spool import BLOCK, Session, dropped, replace, session_of, sync_folder, write
from sbatch_shim.state.span import Span
from sbatch_shim.values import indices

# The events that tell where tickets run.
SUBMITTED, COLLECTED, RAN = "submitted", "collected", "ran"
STARTED = "started"
FAILED = "failed"
# The name of a flush folder (flush.new_folder).
STAMP = re.compile(rb"\d{8}-\d{6}-\d{3,}")


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
    def of(cls, submitting: dict[str, Any]) -> Origin:
        """Of a `submitting` event."""
        told = submitting.get
        names = told("cluster", ""), told("conf", ""), told("controller", "")
        return cls(submitting["script"], *names, told("since"))

    def is_of(self, names: Collection[str]) -> bool:
        """Whether that was the cluster of these names; so was a submission of which no cluster is known."""
        return not self.cluster or self.cluster in names or (bool(self.conf) and self.conf in names)


UNKNOWN_ORIGIN = Origin("")


def origins(events: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Origin]]:
    """The events of a journal in their order, each with where its array went."""
    known: dict[int, Origin] = {}
    for event in events:
        if event["event"] == "submitting":
            known[event["array"]] = Origin.of(event)
        yield event, known.get(event["array"], UNKNOWN_ORIGIN)


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
        end: One after the last index of the job, where calls share it.
    """

    job: int
    first: int | None
    spec: str | None
    whole: bool
    tasks: int
    end: int

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
        return local_id if self.first is None else max(self.end, local_id)


class Journal:
    """The journal of one flush folder."""

    def __init__(self, folder: bytes) -> None:
        self.path = folder + b"/journal"
        self.mended = False

    def add(self, event: str, **fields: Any) -> dict[str, Any]:
        """Append an event; on return it is on disk."""
        whole = {"event": event, **fields}
        line = json.dumps(whole, separators=(",", ":")) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if not self.mended:
                os.ftruncate(descriptor, self.whole_bytes())
                sync_folder(os.path.dirname(self.path))
            self.mended = False
            write(descriptor, line.encode())
            os.fdatasync(descriptor)
            self.mended = True
        finally:
            os.close(descriptor)
        return whole

    def whole_bytes(self) -> int:
        """The size without a torn last line, which was never relied upon."""
        with open(self.path, "rb") as stream:
            return stream.read().rfind(b"\n") + 1

    def events(self) -> list[dict[str, Any]]:
        """All whole events; ShimError for a journal that something else has damaged."""
        found, damaged = self.lines()
        if damaged:
            what = "the next sarray-flush sets it aside"
            if os.path.exists(os.path.dirname(self.path) + b"/done"):
                what = "that flush was done, and nothing of it is submitted again: you may take the line out"
            raise ShimError(
                f"line {damaged[0]} of {os.fsdecode(self.path)} is damaged, so it is not known what was submitted; "
                + what
            )
        return found

    def lines(self) -> tuple[list[dict[str, Any]], list[int]]:
        """All events that can be read, and the numbers of the lines that cannot."""
        try:
            with open(self.path, "rb") as stream:
                lines = stream.read().split(b"\n")
        except FileNotFoundError:
            return [], []
        found: list[dict[str, Any]] = []
        damaged: list[int] = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                event = json.loads(line)
                event["event"], event["array"], [int(ticket) for ticket in event["tickets"]]
            except (ValueError, KeyError, TypeError):
                damaged.append(number)
            else:
                found.append(event)
        return found, damaged

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
        tickets = sorted(set(claimed) - settled(events))
        event = {"event": "damaged", "array": -number, "tickets": tickets, "script": os.fsdecode(copy), "text": text}
        lines = [json.dumps(one, separators=(",", ":")) + "\n" for one in [*events, event]]
        replace(self.path, "".join(lines).encode())

    def settled(self) -> set[int]:
        """The tickets that must not be submitted again: submitted, or of unknown outcome."""
        return settled(self.events())

    def lanes_to_split(self) -> list[tuple[dict[str, Any], int]]:
        """The `submitting` events and job ids of submitted arrays whose elements are still to be split off."""
        tried: dict[int, dict[str, Any]] = {}
        waiting: dict[int, tuple[dict[str, Any], int]] = {}
        for event in self.events():
            if event["event"] == "submitting":
                tried[event["array"]] = event
            elif event["event"] == "submitted" and "lanes" in tried.get(event["array"], ()):
                waiting[event["array"]] = (tried[event["array"]], event["job"])
            elif event["event"] == "seen":
                waiting.pop(event["array"], None)
        return list(waiting.values())

    def uncertain(self) -> list[dict[str, Any]]:
        """The `submitting` events of submissions whose outcome is not known, and the like: `damaged`, `started`."""
        open_ones: dict[int, dict[str, Any]] = {}
        for event in self.events():
            if event["event"] in ("submitting", "damaged", STARTED):
                open_ones[event["array"]] = event
            elif event["event"] != "uncertain":
                open_ones.pop(event["array"], None)
        return list(open_ones.values())


def settled(events: list[dict[str, Any]]) -> set[int]:
    """The tickets that are submitted or may be, by the events of a journal."""
    found: set[int] = set()
    for event in events:
        tickets = {int(ticket) for ticket in event["tickets"]}
        if event["event"] in ("refused", "absent", "collected"):
            found -= tickets
        else:
            found |= tickets
    return found


def places_in(event: dict[str, Any]) -> dict[int, Place]:
    """Where the tickets of an event run that tells their places and a job; empty for any other event."""
    if event["event"] not in (SUBMITTED, COLLECTED, RAN):
        return {}
    sizes = {
        ticket: 1 if spec is None else len(indices(spec.encode())[0]) for ticket, (_, spec) in event["tickets"].items()
    }
    end = max(sizes[ticket] + (first or 0) for ticket, (first, _) in event["tickets"].items())
    return {
        int(ticket): Place(event["job"], first, spec, len(sizes) == 1, sum(sizes.values()), end)
        for ticket, (first, spec) in event["tickets"].items()
    }


def flush_folders(session: Session) -> list[bytes]:
    """The flush folders of a session, oldest first; whatever else stands there (NFS makes files) is none."""
    folder = session.folder + b"/flushes"
    try:
        names = [name for name in os.listdir(folder) if STAMP.fullmatch(name)]
    except FileNotFoundError:
        return []
    # The last part is a number: of more than a thousand in one second, or while a clock is behind.
    return [folder + b"/" + name for name in sorted(names, key=lambda name: (name[:15], int(name[16:])))]


def open_folders(session: Session) -> list[bytes]:
    """The flush folders of which something may be left to submit, or to find out."""
    return [folder for folder in flush_folders(session) if not os.path.exists(folder + b"/done")]


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

    def __init__(self, state: bytes, placing_event: str = SUBMITTED) -> None:
        self.state = state
        self.placing_event = placing_event
        self.sessions: dict[int, bytes | None] = {}  # by block
        self.known: dict[int, Place] = {}
        self.read: set[bytes] = set()  # sessions
        self.assumed: set[int] = set()
        self.elsewhere: dict[int, str] = {}
        self.failed: set[int] = set()
        self.origins: dict[int, Origin] = {}

    def session(self, ticket: int) -> bytes | None:
        """The name of the session that a ticket belongs to; None for a number that is no ticket of ours."""
        block = ticket // BLOCK
        if block not in self.sessions:
            self.sessions[block] = session_of(self.state, ticket)
        return self.sessions[block]

    def place(self, ticket: int) -> Place:
        """Where a ticket's tasks run; ShimError while it is not submitted."""
        name = self.session(ticket)
        if name is not None and name not in self.read:
            self.read.add(name)
            for folder in flush_folders(Session(self.state, name)):
                for event, origin in origins(Journal(folder).events()):
                    if event["event"] in ("assumed", self.placing_event):
                        self.learn(event, origin)
                    elif event["event"] == FAILED:
                        self.failed.update(map(int, event["tickets"]))
                    elif event["event"] in (SUBMITTED, RAN):
                        self.elsewhere.update(dict.fromkeys(places_in(event), event["event"]))
        if ticket in self.known:
            return self.known[ticket]
        if ticket in self.assumed:
            raise ShimError(f"it waits for {ticket}, which was assumed to be submitted: its job id is not known")
        if ticket in self.elsewhere:
            where = "which Slurm has" if self.elsewhere[ticket] == SUBMITTED else "which ran here, without Slurm"
            raise ShimError(f"it waits for {ticket}, {where}")
        if ticket in self.failed:
            raise Refused(f"it waits for {ticket}, which Slurm has refused")
        raise not_submitted(self.state, ticket)

    def placer(self, is_here: Callable[[Origin], bool]) -> Callable[[int], Place]:
        """
        Like `place`, for one cluster: of a ticket on another one it raises ShimError.

        Args:
            is_here: Whether a submission went to that cluster.
        """

        def place(ticket: int) -> Place:
            found = self.place(ticket)
            origin = self.origins.get(ticket, UNKNOWN_ORIGIN)
            if not is_here(origin):
                raise ShimError(f"it waits for a job of another cluster: {is_elsewhere(ticket, origin.cluster)}")
            return found

        return place

    def learn(self, event: dict[str, Any], origin: Origin) -> None:
        """
        Take in what a flush has done.

        Args:
            origin: Where the array of the event went.
        """
        self.origins.update(dict.fromkeys(map(int, event["tickets"]), origin))
        if event["event"] == "assumed":
            self.assumed.update(int(ticket) for ticket in event["tickets"])
        self.known.update(places_in(event))
