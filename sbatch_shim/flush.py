"""
One flush: claim, plan, render, submit, record.

Every step is in the journal before the next one, so that what a killed flush has done is known.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sbatch_shim import submission
from sbatch_shim.calls import Call, pending
from sbatch_shim.environment import submit_key
from sbatch_shim.errors import ShimError
from sbatch_shim.journal import Journal, TicketMap, flush_folders
from sbatch_shim.limits import Limits
from sbatch_shim.locks import exclusive
from sbatch_shim.plan import Array, halve, plan
from sbatch_shim.render import render
from sbatch_shim.slurm import Answer, read_limits, split_off, submit
from sbatch_shim.spool import Session, create, make_folder, ticket_numbers

# Bytes of an --array value that slurmctld takes (tried).
MAX_SPEC = 4096


@dataclass
class Wishes:
    """
    What the user asked of this flush beyond the calls.

    Attributes:
        throttle: Tasks at a time for every array (0: no limit), or None.
        overrides: Options that replace the calls' own.
        extra: Options that are passed on as they are.
        keep_names: Calls with different job names do not share an array.
        keep_arrays: Array calls stay alone; for a flush in the middle of a pipeline.
        wide_lanes: Leave it to slurmctld how many lanes of an array it looks at together.
        scripts: A folder that also gets the scripts, or None.
    """

    throttle: int | None = None
    overrides: dict[str, bytes | None] = field(default_factory=dict)
    extra: list[bytes] = field(default_factory=list)
    keep_names: bool = False
    keep_arrays: bool = False
    wide_lanes: bool = False
    scripts: str | None = None


@dataclass
class Outcome:
    """
    What became of one array.

    Attributes:
        job: Its real id; None when it was not submitted.
        text: sbatch's stderr, or why it was not tried.
        uncertain: It may have been accepted.
    """

    array: Array
    script: bytes
    job: int | None
    text: str = ""
    uncertain: bool = False


class Backend(Protocol):
    """What arrays are given to: Slurm, or this machine (local.py)."""

    def limits(self, calls: list[Call]) -> Limits:
        """What one array may hold."""

    def submit(self, array: Array, words: list[bytes], environment: dict[bytes, bytes]) -> Answer:
        """Submit one array; `words` are those after `sbatch`."""

    def lanes(self, array: Array, elements: bytes) -> dict[str, Any]:
        """What `split_off` will need, as JSON."""

    def split_off(self, job: int, lanes: dict[str, Any]) -> str:
        """Make the scheduler see each of an array's lanes; what went wrong, or an empty string."""


class Slurm:
    """The real sbatch: the one that the calls would have run, else the one on PATH."""

    def __init__(self, fallback: Callable[[], str]) -> None:
        self.fallback = fallback

    def sbatch(self, call: Call) -> str:
        recorded = os.fsdecode(call.sbatch)
        return recorded if recorded and os.access(recorded, os.X_OK) else self.fallback()

    def limits(self, calls: list[Call]) -> Limits:
        found = None
        for sbatch, variables in {(self.sbatch(call), submit_key(call)) for call in calls}:
            limits = read_limits(sbatch, dict(variables))
            if found is not None:
                # One plan for several controllers: the narrower limits hold for all of them.
                limits = replace(
                    limits,
                    array_size=min(limits.array_size, found.array_size),
                    script_bytes=min(limits.script_bytes, found.script_bytes),
                )
            found = limits
        return found or Limits()

    def submit(self, array: Array, words: list[bytes], environment: dict[bytes, bytes]) -> Answer:
        call = array.calls[0]
        limits = {}
        for part in call.limits.decode().split(","):
            name, _, value = part.partition("=")
            limits[name] = int(value)
        return submit([os.fsencode(self.sbatch(call)), *words], environment, int(call.umask, 8), limits, b"/")

    def lanes(self, array: Array, elements: bytes) -> dict[str, Any]:
        call = array.calls[0]
        return {
            "elements": elements.decode(),
            "name": os.fsdecode(submission.job_name(array)),
            "sbatch": self.sbatch(call),
            "variables": {os.fsdecode(name): os.fsdecode(value) for name, value in submit_key(call)},
        }

    def split_off(self, job: int, lanes: dict[str, Any]) -> str:
        environment = {os.fsencode(name): os.fsencode(value) for name, value in lanes["variables"].items()}
        return split_off(lanes["sbatch"], environment, job, lanes["elements"], os.fsencode(lanes["name"]))


def prepare(calls: list[Call], limits: Limits, wishes: Wishes) -> list[tuple[Array, bytes, dict[bytes, bytes]]]:
    """Plan and render: each array with its script and sbatch's environment, producers first."""
    for call in calls:
        apply_overrides(call, wishes.overrides)
    ready: list[tuple[Array, bytes, dict[bytes, bytes]]] = []
    arrays = plan(calls, limits, wishes.keep_names, wishes.keep_arrays)
    while len(ready) < len(arrays):
        at = len(ready)
        array = arrays[at]
        script, environment = render(array, limits)
        spec = submission.array_spec(array, wishes.throttle) or b""
        if len(array.calls) > 1 and (len(script) > limits.script_bytes or len(spec) > MAX_SPEC):
            arrays[at:] = halve(array, arrays[at + 1 :])
        else:
            ready.append((array, script, environment))
    return ready


def apply_overrides(call: Call, overrides: dict[str, bytes | None]) -> None:
    """Replace a call's options; a dependency is added to the call's own, which a flush may not drop."""
    for name, value in overrides.items():
        own = call.options.get("dependency")
        if name == "dependency" and own and value:
            if b"?" in own or b"?" in value:
                raise ShimError("--dependency with ? cannot be added to calls that have a dependency of their own")
            value = own + b"," + value
        call.options[name] = value


class Flush:
    """
    One flush of one session.

    Attributes:
        outcomes: One for each array that was planned, in the order of submission.
        problems: Sentences about records that could not be read.
        kept: Tickets that stay queued.
    """

    def __init__(
        self, session: Session, backend: Backend, wishes: Wishes, tickets: TicketMap | None = None
    ) -> None:
        self.session = session
        self.tickets = tickets or TicketMap(session.state)
        self.backend = backend
        self.wishes = wishes
        self.outcomes: list[Outcome] = []
        self.problems: list[str] = []
        self.kept: list[int] = []
        self.uncertain: list[int] = []

    def run(self, progress: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Claim and submit everything; raises ShimError before anything was submitted."""
        if not os.path.isdir(self.session.folder):
            return
        with exclusive(self.session.folder + b"/flush.lock"):
            folder = self.claim()
            calls, self.problems = pending(self.session)
            for one in flush_folders(self.session):
                if not os.path.exists(one + b"/done"):
                    self.split_off(Journal(one), Journal(one).unseen())
                    for event in Journal(one).uncertain():
                        self.uncertain += [int(ticket) for ticket in event["tickets"]]
            if calls:
                if folder is None:
                    folder = self.new_folder()
                self.submit_all(folder, calls, progress)
            self.finish()

    def new_folder(self) -> bytes:
        """A folder for this flush; names sort by time."""
        stamp = time.strftime("%Y%m%d-%H%M%S").encode()
        number = 0
        while True:
            folder = b"%s/flushes/%s-%03d" % (self.session.folder, stamp, number)
            try:
                os.mkdir(folder, 0o700)
                return folder
            except FileExistsError:
                number += 1

    def claim(self) -> bytes | None:
        """Set the queue aside in a new flush folder; None when nothing was queued."""
        folder = self.new_folder()
        with exclusive(self.session.folder + b"/lock"):
            claimed = self.session.claim(folder + b"/claimed")
        if not claimed:
            os.rmdir(folder)
            return None
        return folder

    def submit_all(self, folder: bytes, calls: list[Call], progress: Callable[[int, int], None]) -> None:
        """Plan `calls` and submit their arrays, one after the other."""
        limits = self.backend.limits(calls)
        self.flush_producers(calls)
        ready = prepare(calls, limits, self.wishes)
        journal = Journal(folder)
        make_folder(folder + b"/arrays")
        left_behind: dict[int, str] = {}
        for number, (array, script, environment) in enumerate(ready, 1):
            progress(number - 1, len(ready))
            home = b"%s/arrays/%d" % (folder, number)
            path = home + b"/script"
            tickets = [call.ticket for call in array.calls]
            stopped = next((left_behind[ticket] for ticket in array.producers if ticket in left_behind), "")
            if stopped:
                outcome = Outcome(array, path, None, stopped)
            else:
                make_folder(home)
                create(path, script)
                if self.wishes.scripts is not None:
                    self.keep_script(script, os.path.basename(folder), number)
                outcome = self.submit_one(journal, number, array, home, path, environment, limits)
            self.outcomes.append(outcome)
            if outcome.job is None:
                left_behind.update((ticket, "it waits for a call that was not submitted") for ticket in tickets)
                (self.uncertain if outcome.uncertain else self.kept).extend(tickets)
        progress(len(ready), len(ready))

    def submit_one(
        self,
        journal: Journal,
        number: int,
        array: Array,
        home: bytes,
        path: bytes,
        environment: dict[bytes, bytes],
        limits: Limits,
    ) -> Outcome:
        """Submit one array, with a line in the journal before and after."""
        tickets = [call.ticket for call in array.calls]
        try:
            words = submission.command_line(
                array,
                home,
                path,
                limits,
                self.wishes.throttle,
                self.wishes.extra,
                self.tickets.place,
            )
        except (ShimError, ValueError) as error:
            return Outcome(array, path, None, f"not submitted: {error}")
        journal.add("submitting", array=number, script=os.fsdecode(path), tickets=tickets)
        answer = self.backend.submit(array, words, environment)
        if answer.job is not None:
            elements = b"" if self.wishes.wide_lanes else submission.unseen_elements(array, limits)
            more = {"lanes": self.backend.lanes(array, elements)} if elements else {}
            event = journal.add("submitted", array=number, job=answer.job, tickets=submission.places(array), **more)
            self.tickets.learn(event)
            if elements:
                self.split_off(journal, [event])
        elif answer.uncertain:
            journal.add("uncertain", array=number, tickets=tickets, text=answer.text)
        else:
            journal.add("refused", array=number, tickets=tickets, status=answer.status, text=answer.text)
        return Outcome(array, path, answer.job, answer.text, answer.uncertain)

    def split_off(self, journal: Journal, events: list[dict[str, Any]]) -> None:
        """Split off the elements that slurmctld would not see, of arrays that were submitted."""
        for event in events:
            trouble = self.backend.split_off(event["job"], event["lanes"])
            if trouble:
                self.problems.append(
                    f"job {event['job']}: Slurm could not be told to look at all of its lanes ({trouble}), so that "
                    "slow or failed ones may hold up others; the next sarray-flush tries again"
                )
            else:
                journal.add("seen", array=event["array"])

    def flush_producers(self, calls: list[Call]) -> None:
        """Flush the other sessions that hold calls which these wait for."""
        own = {call.ticket for call in calls}
        done = {self.session.name}
        for call in calls:
            for ticket in ticket_numbers(call.options.get("dependency") or b""):
                name = self.tickets.session(ticket)
                if ticket not in own and name is not None and name not in done:
                    done.add(name)
                    session = Session(self.session.state, name)
                    other = Flush(session, self.backend, Wishes(keep_arrays=True), self.tickets)
                    other.run()
                    self.outcomes += other.outcomes

    def keep_script(self, script: bytes, stamp: bytes, number: int) -> None:
        """A private copy of a script where the user asked for one."""
        folder = self.wishes.scripts or "."
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(os.fsencode(folder), b"%s-%d.sh" % (stamp, number))
        if os.path.lexists(path):
            os.unlink(path)
        create(path, script)

    def finish(self) -> None:
        """Mark the flush folders of which nothing is left to submit."""
        if self.kept or self.uncertain or self.problems:
            return
        for folder in flush_folders(self.session):
            if not os.path.exists(folder + b"/done"):
                create(folder + b"/done", b"")
