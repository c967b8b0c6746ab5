"""sarray rerun: calls queued again from their kept snapshots."""

from __future__ import annotations

import os
import sys
import time

from sbatch_shim.calls import Call
from sbatch_shim.companions.book import DROPPED, SUBMITTED, Pages, task_string
from sbatch_shim.companions.companion import Context
from sbatch_shim.errors import ShimError
from sbatch_shim.flush.handover import with_option
from sbatch_shim.journal import flush_folders
from sbatch_shim.record import decode, encode, frames
from sbatch_shim.spool import QUEUE_HEAD, read, ticket_numbers
from sbatch_shim.verbs.status import BROKEN, all_tickets, task_states

ENDED_OTHERWISE = (*BROKEN, "CANCELLED", "PREEMPTED")


def payload_of(pages: Pages, ticket: int) -> bytes:
    """The record of a call, from the queue file that holds it."""
    for folder in flush_folders(pages.session):
        try:
            records = frames(read(folder + b"/claimed"), len(QUEUE_HEAD))[0]
        except OSError:
            continue
        for number, payload in records:
            if number == ticket and payload:
                return payload
    raise ShimError(f"the record of {ticket} is gone; nothing was queued")


def failed_tasks(
    call: Call, pages: Pages, states: dict[str, tuple[str, str]], which: tuple[str, ...]
) -> list[int | None]:
    """The local ids (None: a plain call) of the tasks in one of these states."""
    place = pages.places[call.ticket]
    found: list[int | None] = []
    for task in call.tasks if call.is_array else [None]:
        one = place.elements()[0] if task is None else place.element(task)
        if states.get(one, ("", ""))[0] in which:
            found.append(task)
    return found


def reran(ticket: int, pages: Pages) -> bool:
    """Whether a call was queued again, and that was not cancelled (`sessions/<name>/reruns`: lines OLD NEW)."""
    try:
        with open(pages.session.folder + b"/reruns", "rb") as stream:
            pairs = [line.split() for line in stream]
    except FileNotFoundError:
        return False
    return any(int(old) == ticket and pages.state(int(new)) != DROPPED for old, new in pairs)


def rerun(context: Context, tickets: list[int]) -> int:
    """
    Queue again the failed tasks of these calls, or of all calls when none is named.

    A dependency on a call that is queued again follows it. Of all calls, those that have been queued again already are
    left out, so that this can be repeated until nothing fails. The exit status is 1 when nothing had failed.
    """
    book = context.book
    which = ENDED_OTHERWISE if tickets else BROKEN
    chosen = []
    if tickets:
        for ticket in tickets:
            pages = book.find(ticket)
            if pages is None or pages.state(ticket) != SUBMITTED:
                raise ShimError(f"{ticket} was not submitted; nothing was queued")
            chosen.append((ticket, pages))
    else:
        chosen = [one for one in all_tickets(book) if one[1].state(one[0]) == SUBMITTED and not reran(*one)]
    states = task_states(context, {pages.places[ticket].job for ticket, pages in chosen})
    renamed: dict[int, int] = {}
    for ticket, pages in chosen:
        call = pages.call(ticket)
        tasks = failed_tasks(call, pages, states, which) if call else []
        if call is None or not tasks:
            continue
        values, words, removed, changed = decode(payload_of(pages, ticket))
        values["time"] = b"%d" % time.time()
        if call.is_array and len(tasks) < len(call.tasks):
            some = [task for task in tasks if task is not None]
            spec = task_string(some, call.throttle, limit=0)
            words = with_option(words, b"--array=" + spec.encode())
        spec_now = call.options.get("dependency")
        if spec_now and set(ticket_numbers(spec_now)) & set(renamed):
            for old, new in renamed.items():
                spec_now = spec_now.replace(b"%d" % old, b"%d" % new)
            words = with_option(words, b"--dependency=" + spec_now)
        renamed[ticket] = pages.session.append(encode(values, words, removed, changed))
        with open(pages.session.folder + b"/reruns", "ab") as stream:
            stream.write(b"%d %d\n" % (ticket, renamed[ticket]))
        told = "" if not call.is_array else f" (tasks {task_string([task for task in tasks if task is not None])})"
        print(f"{ticket}{told} is queued again as {renamed[ticket]}")
    if not renamed:
        print("sarray rerun: none of these tasks has failed", file=sys.stderr)
        return 1
    names = sorted({os.fsdecode(pages.session.name) for ticket, pages in chosen if ticket in renamed})
    sys.stdout.flush()
    for name in names:
        print(f"to submit: sarray-flush --session {name}", file=sys.stderr)
    return 0
