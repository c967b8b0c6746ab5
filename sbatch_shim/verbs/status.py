"""sarray status: what is queued, and what each call became."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass

from sbatch_shim.calls import Call
from sbatch_shim.companions.book import DROPPED, FLYING, REFUSED, SUBMITTED, Book, Pages, elements
from sbatch_shim.companions.companion import Context
from sbatch_shim.companions.shown import parse_tasks
from sbatch_shim.merge import logs
from sbatch_shim.spool import Session, replace

CACHE_SECONDS = 3
BROKEN = ("FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE")
ENDED = ("COMPLETED", "CANCELLED", "PREEMPTED", *BROKEN)


@dataclass
class Line:
    """
    One call.

    Attributes:
        job: The real job or array id; None while it is not submitted.
        tasks: Its real ids.
        states: State to number of tasks.
        exit: The worst exit code of its ended tasks, as Slurm writes it; empty when none has ended.
        log: Where its stdout goes; an array's with its local id's pattern left in.
    """

    ticket: int
    session: str
    name: str
    job: int | None
    tasks: list[str]
    states: dict[str, int]
    exit: str
    log: str


def task_states(context: Context, jobs: set[int]) -> dict[str, tuple[str, str]]:
    """State and exit code by real id (`A_3`, `A`): from squeue, and from sacct for what that has forgotten."""
    if not jobs:
        return {}
    cache = context.state + b"/states"
    try:
        if time.time() - os.stat(cache).st_mtime < CACHE_SECONDS:
            with open(cache, "rb") as stream:
                kept = json.load(stream)
            if set(kept["jobs"]) >= jobs:
                return {one: (state, code) for one, (state, code) in kept["states"].items()}
    except (OSError, ValueError, KeyError):
        pass
    form = "ArrayJobID:0|,ArrayTaskID:0|,State:0|,exit_code:0"
    words = ["-h", "-r", "-t", "all", "-u", str(os.getuid()), "-O", form]
    answer = context.run("squeue", words, SLURM_BITSTR_LEN="0")
    found: dict[str, tuple[str, str]] = {}
    for text in answer.out.decode(errors="replace").splitlines():
        array, task, state, code = (part.strip() for part in text.split("|"))
        waited = int(code) if code.isdigit() else 0  # as wait(2) gives it
        found[array if task == "N/A" else f"{array}_{task}"] = (state, f"{waited >> 8}:{waited & 127}")
    forgotten = jobs - {int(one.partition("_")[0]) for one in found}
    if forgotten:
        asked = ",".join(str(job) for job in sorted(forgotten))
        answer = context.run("sacct", ["-n", "-X", "-P", "-j", asked, "-o", "JobID,State,ExitCode"])
        for text in answer.out.decode(errors="replace").splitlines() if answer.status == 0 else []:
            one, state, code = text.split("|")
            base, _, rest = one.partition("_[")
            many = [f"{base}_{index}" for index in parse_tasks(rest.rstrip("]"))[0]] if rest else [one]
            found.update(dict.fromkeys(many, (state.partition(" ")[0], code)))
    try:
        replace(cache, json.dumps({"jobs": sorted(jobs), "states": found}).encode())
    except OSError:
        pass
    return found


def log_of(call: Call) -> str:
    """Where stdout goes."""
    task = call.tasks[0] if call.is_array else None
    name = logs.expand(call, "output", task, keep_index=call.is_array)
    return os.fsdecode(name.path) if name is not None else "/dev/null"


def lines_of(context: Context, chosen: list[tuple[int, Pages]]) -> list[Line]:
    """One line for each ticket."""
    jobs = {pages.places[ticket].job for ticket, pages in chosen if ticket in pages.places}
    states = task_states(context, jobs)
    found = []
    for ticket, pages in chosen:
        call = pages.call(ticket)
        state = pages.state(ticket)
        job: int | None = None
        tasks: list[str] = []
        counts: Counter[str] = Counter()
        code = ""
        if state == SUBMITTED:
            place = pages.places[ticket]
            job = place.job
            tasks = elements(place, None)
            if place.whole and place.spec is not None:
                tasks = [place.element(task) for task in (call.tasks if call else [])]
            for one in tasks:
                # Slurm forgets the tasks of what it cancels while it waits: the array's own record stands for them.
                told, exit_code = states.get(one) or states.get(str(job)) or ("UNKNOWN", "")
                counts[told] += 1
                if told in ENDED and exit_code > code:
                    code = exit_code
        else:
            counts[{REFUSED: "REFUSED", FLYING: "UNCERTAIN", DROPPED: "DROPPED"}.get(state or "", "QUEUED")] += (
                len(call.tasks) if call and call.is_array else 1
            )
        found.append(
            Line(
                ticket,
                os.fsdecode(pages.session.name),
                call.shown_name if call else "?",
                job,
                tasks,
                dict(counts),
                code,
                log_of(call) if call else "?",
            )
        )
    return found


def passed_reasons(session: Session) -> dict[str, int]:
    """Why calls of a session went to the real sbatch, and how many."""
    try:
        with open(session.folder + b"/passed", encoding="utf-8", errors="replace") as stream:
            return dict(Counter(line.rstrip("\n") for line in stream).most_common())
    except FileNotFoundError:
        return {}


def all_tickets(book: Book) -> list[tuple[int, Pages]]:
    found = [
        (ticket, pages)
        for pages in book.pages.values()
        for ticket in pages.queued | set(pages.places) | pages.flying | set(pages.dropped)
    ]
    return sorted(found, key=lambda one: one[0])


def gather(context: Context, tickets: list[int], session: str | None) -> tuple[list[Line], dict[str, object], int]:
    """The lines to show, the totals, and the exit status."""
    book = context.book
    status = 0
    if tickets:
        chosen = []
        for ticket in tickets:
            pages = book.find(ticket)
            if pages is None:
                sys.stderr.write(f"sarray status: {ticket} is not a ticket of yours\n")
                status = 1
            else:
                chosen.append((ticket, pages))
    else:
        chosen = all_tickets(book)
        if session is not None:
            chosen = [one for one in chosen if os.fsdecode(one[1].session.name) == session]
    lines = lines_of(context, chosen)
    submitted = [line for line in lines if line.job is not None]
    arrays = len({line.job for line in submitted})
    states: Counter[str] = Counter()
    for line in lines:
        states.update(line.states)
    sessions = {pages.session.name: pages.session for _, pages in chosen}
    reasons: Counter[str] = Counter()
    for one in sessions.values():
        reasons.update(passed_reasons(one))
    totals: dict[str, object] = {
        "calls": len(lines),
        "submitted": len(submitted),
        "arrays": arrays,
        "submissions_saved": len(submitted) - arrays,
        "states": dict(states),
        "passed": dict(reasons),
    }
    return lines, totals, status


def table(lines: list[Line], totals: dict[str, object]) -> str:
    """The lines as a table, and the totals below it."""
    rows = [("TICKET", "NAME", "JOB", "STATE", "EXIT", "LOG")]
    for line in lines:
        job = "" if line.job is None else line.tasks[0] if len(line.tasks) == 1 else str(line.job)
        one = list(line.states.values()) == [1]
        states = [state if one else f"{state}:{count}" for state, count in line.states.items()]
        rows.append((str(line.ticket), line.name, job, ",".join(states), line.exit, line.log))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    text = ""
    for row in rows:
        text += "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[-1]]).rstrip() + "\n"
    text += (
        f"calls: {totals['calls']}, submitted: {totals['submitted']}, as arrays or jobs: {totals['arrays']}, "
        f"submissions saved: {totals['submissions_saved']}\n"
    )
    passed = totals["passed"]
    if isinstance(passed, dict):
        for reason, count in passed.items():
            text += f"{count} went to the real sbatch: {reason}\n"
    return text


def bars(lines: list[Line], width: int) -> str:
    """A line for each session: how far it is."""
    text = ""
    sessions: dict[str, Counter[str]] = {}
    for line in lines:
        sessions.setdefault(line.session, Counter()).update(line.states)
    longest = max(map(len, sessions), default=0)
    for name, states in sessions.items():
        total = sum(states.values())
        ended = sum(count for state, count in states.items() if state in ENDED)
        room = max(10, min(40, width - longest - 30))
        filled = room * ended // total if total else 0
        told = ", ".join(f"{count} {state.lower()}" for state, count in states.most_common())
        text += f"{name:{longest}} [{'#' * filled}{'.' * (room - filled)}] {ended}/{total}  {told}\n"
    return text


def show(context: Context, tickets: list[int], session: str | None, as_json: bool) -> int:
    """Print once; returns the exit status."""
    lines, totals, status = gather(context, tickets, session)
    if as_json:
        print(json.dumps({"calls": [asdict(line) for line in lines], "totals": totals}, indent=1))
    elif lines or not status:
        print(table(lines, totals), end="")
    return status


def watch(context: Context, tickets: list[int], session: str | None) -> int:
    """Show again and again until every task has ended."""
    while True:
        lines, totals, status = gather(context, tickets, session)
        size = os.get_terminal_size() if sys.stdout.isatty() else os.terminal_size((80, 24))
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[J")
        rest = "\n".join(table(lines, totals).splitlines()[: max(3, size.lines - 6)])
        print(f"{bars(lines, size.columns)}\n{rest}", flush=True)
        states = totals["states"]
        if isinstance(states, dict) and all(state in (*ENDED, "DROPPED") for state in states):
            return status
        time.sleep(CACHE_SECONDS + 1)
        context.book.refresh()
