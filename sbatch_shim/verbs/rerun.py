"""
sarray rerun: calls queued again from their kept snapshots.

`sessions/<name>/reruns` tells what was queued again: a line `OLD =DIGEST` on disk before the call is queued (the digest
is that of its record), and `OLD NEW` after it. So whoever is killed in between leaves a record that its digest finds,
or none, and `--failed` queues nothing twice.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from functools import cached_property

from sbatch_shim.companions.context import Context
from sbatch_shim.errors import ShimError
from sbatch_shim.flush.handover import with_option
from sbatch_shim.record import decode, digest, encode
from sbatch_shim.spool import read, ticket_numbers, write
from sbatch_shim.state.calls import Call, payloads
from sbatch_shim.state.ids import TaskSet
from sbatch_shim.state.journal import is_elsewhere
from sbatch_shim.state.locks import exclusive
from sbatch_shim.state.tickets import DROPPED, SUBMITTED, SessionTickets
from sbatch_shim.verbs.found import BROKEN
from sbatch_shim.verbs.status import States, all_tickets, pages_of

ENDED_OTHERWISE = (*BROKEN, "CANCELLED", "PREEMPTED")


class Reruns:
    """What was queued again in a session."""

    def __init__(self, pages: SessionTickets) -> None:
        self.pages = pages
        self.path = pages.session.folder + b"/reruns"
        self.new: dict[int, set[int]] = {}
        begun: list[tuple[int, bytes]] = []
        try:
            lines = [line.split() for line in read(self.path).split(b"\n")[:-1]]
        except FileNotFoundError:
            lines = []
        try:
            for old, new in lines:
                if new.startswith(b"="):
                    begun.append((int(old), new[1:]))
                else:
                    self.new.setdefault(int(old), set()).add(int(new))
        except ValueError:
            raise ShimError(
                f"{os.fsdecode(self.path)} is damaged, so it is not known what was queued again; "
                "a line is OLD NEW, or OLD =DIGEST"
            ) from None
        if begun:
            told = {new for some in self.new.values() for new in some}
            untold = {digest(payload).encode(): one for one, payload in self.payloads.items() if one not in told}
            for ticket, name in begun:
                if name in untold:
                    self.new.setdefault(ticket, set()).add(untold[name])

    @cached_property
    def payloads(self) -> dict[int, bytes]:
        """The records of the session."""
        return payloads(self.pages.session)

    def reran(self, ticket: int) -> bool:
        """Whether a call was queued again, and that was not cancelled."""
        return any(self.pages.state(new) != DROPPED for new in self.new.get(ticket, ()))

    def queue(self, ticket: int, payload: bytes) -> int:
        """Queue a call again; returns its new ticket."""
        self.note(b"%d =%s\n" % (ticket, digest(payload).encode()))
        new = self.pages.session.append(payload)
        self.note(b"%d %d\n" % (ticket, new))
        return new

    def note(self, line: bytes) -> None:
        """Add a line, and have it on disk; one that was torn is cut off."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            whole = read(self.path).rfind(b"\n") + 1
            os.ftruncate(descriptor, whole)
            os.lseek(descriptor, whole, os.SEEK_SET)
            write(descriptor, line)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def failed_tasks(call: Call, pages: SessionTickets, states: States, which: tuple[str, ...]) -> list[int | None]:
    """The local ids (None: a plain call) of the tasks in one of these states."""
    place = pages.places[call.ticket]
    found: list[int | None] = []
    for task in call.tasks if call.is_array else [None]:
        one = place.elements()[0] if task is None else place.element(task)
        if states.of(one)[0] in which:
            found.append(task)
    return found


def rerun(context: Context, tickets: list[int], *, as_json: bool) -> int:
    """
    Queue again the failed tasks of these calls, or of all calls when none is named.

    A dependency on a call that is queued again follows it. Of all calls, those that have been queued again already are
    left out, so that this can be repeated until nothing fails. The exit status is 1 when nothing had failed.
    """
    with exclusive(context.state + b"/rerun.lock", who="another sarray rerun"):
        queued, sessions = queue_failed(context, tickets)
    if as_json:
        calls = [asdict(one) for one in queued]
        print(json.dumps({"calls": calls, "sessions": sessions}, indent=1))
    else:
        for one in queued:
            told = ""
            if one.tasks:
                told = f" (tasks {TaskSet(tuple(one.tasks)).shown()})"
            print(f"{one.ticket}{told} is queued again as {one.queued_as}")
    if not queued:
        none_left = "no failed task is left to queue again"
        if tickets:
            none_left = "none of these tasks failed"
        print(f"sarray rerun: {none_left}", file=sys.stderr)
        return 1
    sys.stdout.flush()
    for name in sessions:
        print(f"to submit: sarray-flush --session {name}", file=sys.stderr)
    return 0


@dataclass(frozen=True)
class Queued:
    """
    A call that was queued again.

    Attributes:
        tasks: The failed ones; none for a plain call.
    """

    ticket: int
    tasks: list[int]
    queued_as: int


def queue_failed(context: Context, tickets: list[int]) -> tuple[list[Queued], list[str]]:
    """The work of `rerun`, under its lock; returns the names of their sessions too."""
    chosen, reruns = submitted_of(context, tickets)
    states = States(context, [pages.jobs[ticket] for ticket, pages in chosen])
    if states.problem:
        raise ShimError(f"it is not known which tasks failed: {states.problem}; nothing was queued")
    which = ENDED_OTHERWISE if tickets else BROKEN
    renamed: dict[int, int] = {}
    queued: list[Queued] = []
    for ticket, pages in chosen:
        call = pages.call(ticket)
        if call is None and tickets:
            raise ShimError(f"the record of {ticket} is gone; nothing was queued")
        tasks = failed_tasks(call, pages, states, which) if call is not None else []
        if call is None or not tasks:
            continue
        again = reruns[pages.session.name]
        some = [task for task in tasks if task is not None]
        renamed[ticket] = again.queue(ticket, record_again(again.payloads[ticket], call, some, renamed))
        queued.append(Queued(ticket, some, renamed[ticket]))
    return queued, sorted({os.fsdecode(pages.session.name) for ticket, pages in chosen if ticket in renamed})


def submitted_of(context: Context, tickets: list[int]) -> tuple[list[tuple[int, SessionTickets]], dict[bytes, Reruns]]:
    """
    The submitted calls that may be queued again: these, or all that were not yet; and the reruns of their sessions.

    Raises:
        ShimError: One that was named is none.
    """
    all_known = context.tickets
    reruns: dict[bytes, Reruns] = {}
    chosen = []
    for ticket, pages in [(ticket, pages_of(all_known, ticket)) for ticket in tickets] or all_tickets(all_known):
        if pages is None:
            raise ShimError(f"{ticket} is not a ticket of yours; nothing was queued")
        if pages.state(ticket) == SUBMITTED:
            chosen.append((ticket, pages))
        elif tickets:
            what = "was not submitted"
            if ticket in pages.ran:
                what = "ran here, without Slurm"
            raise ShimError(f"{ticket} {what}; nothing was queued")
        if pages.session.name not in reruns:
            reruns[pages.session.name] = Reruns(pages)
    if not tickets:
        chosen = [(ticket, pages) for ticket, pages in chosen if not reruns[pages.session.name].reran(ticket)]
    here = [(ticket, pages) for ticket, pages in chosen if context.is_here(pages.jobs[ticket].origin)]
    for ticket, pages in chosen if tickets else ():
        if (ticket, pages) not in here:
            raise ShimError(f"{is_elsewhere(ticket, pages.jobs[ticket].origin.cluster)}; nothing was queued")
    return here, reruns


def record_again(payload: bytes, call: Call, some: list[int], renamed: dict[int, int]) -> bytes:
    """
    The record of a call that is queued again.

    Args:
        some: The tasks of an array call that are wanted.
        renamed: The new tickets of calls that were queued again before it, by the old.
    """
    values, words, removed, changed = decode(payload)
    values["time"] = b"%d" % time.time()
    if some and len(some) < len(call.tasks):
        words = with_option(words, b"--array=" + TaskSet(tuple(some), call.throttle).shown(limit=0).encode())
    spec = call.options.get("dependency")
    if spec and set(ticket_numbers(spec)) & set(renamed):
        for old, new in renamed.items():
            spec = spec.replace(b"%d" % old, b"%d" % new)
        words = with_option(words, b"--dependency=" + spec)
    return encode(values, words, removed, changed)
