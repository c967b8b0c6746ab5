"""sarray status: what is queued, and what each call became."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import asdict, dataclass

from sbatch_shim.companions.context import Context
from sbatch_shim.contended import Holder
from sbatch_shim.flush import cli, passed
from sbatch_shim.keeping import attended, lock_path
from sbatch_shim.merge import logs
from sbatch_shim.spool import Session, replace, session_name, session_of
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import JobId, ranges
from sbatch_shim.state.journal import is_elsewhere
from sbatch_shim.state.tickets import (
    DROPPED,
    FAILED,
    IN_FLIGHT,
    REFUSED,
    SUBMITTED,
    Job,
    SessionTickets,
    Tickets,
    elements,
)
from sbatch_shim.verbs.words import complaint, inherited_mode, named_session

CACHE_SECONDS = 3
BROKEN = ("FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE")
ENDED = ("COMPLETED", "CANCELLED", "PREEMPTED", *BROKEN)
# By sarray-flush --local, on this machine.
RAN = "RAN_HERE"
# Slurm answered, and does not know the job any more: it has ended, nobody can say how.
FORGOTTEN = "FORGOTTEN"
# Slurm did not answer.
UNKNOWN = "UNKNOWN"
# On another cluster, of which Slurm does not tell here.
ELSEWHERE = "ELSEWHERE"
# What will not change any more.
OVER = (*ENDED, FORGOTTEN, RAN, "DROPPED")


# Calls that no flush has submitted; the others are queued.
SHOWN = {REFUSED: "REFUSED", FAILED: "FAILED", IN_FLIGHT: "UNCERTAIN", DROPPED: "DROPPED", None: RAN}


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


@dataclass
class Found:
    """
    What there is to show.

    Attributes:
        sessions: Name to the states of its tasks.
        totals: Over all lines.
        passed: Why calls went to the real sbatch, and how many.
        problems: A sentence for each thing that could not be known.
    """

    lines: list[Line]
    sessions: dict[str, Counter[str]]
    totals: dict[str, object]
    passed: dict[str, int]
    problems: list[str]

    @property
    def over(self) -> bool:
        """Whether nothing of it will change any more."""
        return all(state in OVER for states in self.sessions.values() for state in states)


class States:
    """
    State and exit code of real tasks (`A_3`, `A`): from squeue, and from sacct for what that has forgotten.

    Args:
        jobs: What to ask about. Those that were submitted on another cluster are left out.

    Attributes:
        problem: What squeue said when it failed; then what is not found is not known.
    """

    def __init__(self, context: Context, jobs: Iterable[Job]) -> None:
        self.found: dict[str, tuple[str, str]] = {}
        self.problem = ""
        here = {job.origin.script: job for job in jobs if context.is_here(job.origin)}
        if here and not self.kept(context, here.keys()):
            self.ask(context, here)

    def kept(self, context: Context, scripts: Set[str]) -> bool:
        """Take what was asked a moment ago, if it is enough."""
        cache = context.state + b"/states"
        try:
            if not 0 <= time.time() - os.stat(cache).st_mtime < CACHE_SECONDS:
                return False
            with open(cache, "rb") as stream:
                kept = json.load(stream)
            if not set(kept["scripts"]) >= scripts:
                return False
            self.found = {one: (state, code) for one, (state, code) in kept["states"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True

    def ask(self, context: Context, here: dict[str, Job]) -> None:
        """
        Ask Slurm.

        Args:
            here: The jobs by their scripts, which tell them from others with their ids.
        """
        form = "ArrayJobID:0|,ArrayTaskID:0|,State:0|,exit_code:0|,Command:0"
        words = ["-h", "-r", "-t", "all", "-u", str(os.getuid()), "-O", form]
        answer = context.run("squeue", words, SLURM_BITSTR_LEN="0")
        if answer.status != 0:
            self.problem = complaint(answer, "squeue does not answer")
        for array, task, state, code, command in answer.rows("|", 5):
            if command not in here:
                continue
            if ":" not in code:
                waited = int(code) if code.isdigit() else 0  # as wait(2) gives it, before 24.11
                code = f"{waited >> 8}:{waited & 127}"
            self.found[array if task == "N/A" else f"{array}_{task}"] = (state, code)
        known = {int(one.partition("_")[0]) for one in self.found}
        forgotten = [job for job in here.values() if job.number not in known]
        if forgotten:
            self.ask_accounting(context, forgotten)
        if not self.problem:
            try:
                replace(context.state + b"/states", json.dumps({"scripts": [*here], "states": self.found}).encode())
            except OSError:
                pass

    def ask_accounting(self, context: Context, forgotten: list[Job]) -> None:
        """What squeue has forgotten; of one id the accounting may know several jobs."""
        asked = ",".join(str(number) for number in sorted({job.number for job in forgotten}))
        words = ["-n", "-X", "-P", "-D", "-j", asked, "-o", "JobID,State,ExitCode,SubmitLine"]
        answer = context.run("sacct", words)
        for one, state, code, line in answer.rows("|", 4) if answer.status == 0 else []:
            printed = JobId.printed(one)
            if printed is None or not any(job.number == printed.job and job.submitted_by(line) for job in forgotten):
                continue
            folded = printed is not None and printed.folded
            many = [f"{printed.job}_{index}" for index in printed.tasks or ()] if printed and folded else [one]
            self.found.update(dict.fromkeys(many, (state.partition(" ")[0], code)))

    def of(self, element: str) -> tuple[str, str]:
        """State and exit code of a task."""
        # Slurm forgets the tasks of what it cancels while it waits: the array's own record stands for them.
        found = self.found.get(element) or self.found.get(element.partition("_")[0])
        return found or (UNKNOWN if self.problem else FORGOTTEN, "")


def severity(code: str) -> tuple[int, ...]:
    """Orders exit codes as Slurm writes them (`3:0`, `0:9`)."""
    return tuple(int(part) if part.isdigit() else 0 for part in code.split(":"))


def log_of(call: Call) -> str:
    """Where stdout goes."""
    task = call.tasks[0] if call.is_array else None
    name = logs.expand(call, "output", task, keep_index=call.is_array)
    return os.fsdecode(name.path) if name is not None else "/dev/null"


def line_of(ticket: int, pages: SessionTickets, states: States, *, here: bool) -> Line:
    """
    What there is to say of a call.

    Args:
        here: It was submitted on this cluster, if at all.
    """
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
            tasks = [place.element(task) for task in place.local_ids]
        for one in tasks if here else ():
            told, exit_code = states.of(one)
            counts[told] += 1
            if told in ENDED and severity(exit_code) >= severity(code):
                code = exit_code
        if not here:
            counts[ELSEWHERE] = len(tasks)
    else:
        shown = SHOWN.get(state, "QUEUED")
        counts[shown] += len(call.tasks) if call and call.is_array else 1
    return Line(
        ticket,
        os.fsdecode(pages.session.name),
        call.shown_name if call else "?",
        job,
        tasks,
        dict(counts),
        code,
        log_of(call) if call else "?",
    )


def all_tickets(all_known: Tickets) -> list[tuple[int, SessionTickets]]:
    found = [
        (ticket, pages)
        for pages in all_known.pages.values()
        for ticket in pages.queued
        | set(pages.places)
        | pages.history.in_flight
        | set(pages.dropped)
        | pages.ran
        | set(pages.history.failed)
    ]
    return sorted(found, key=lambda one: one[0])


def pages_of(all_known: Tickets, ticket: int) -> SessionTickets | None:
    """The pages of a ticket that somebody was told; None for any other number."""
    name = session_of(all_known.state, ticket)
    if name is None:
        return None
    pages = all_known.open(name)
    return pages if pages.state(ticket) is not None or ticket in pages.ran else None


def gather(context: Context, tickets: list[int], session: str | None) -> Found:
    """All about these tickets, else about the calls of one session, or of all that are live."""
    all_known = context.tickets
    problems = []
    sessions: dict[bytes, Session] = {}
    if tickets:
        chosen = []
        for ticket in tickets:
            pages = pages_of(all_known, ticket)
            if pages is None:
                problems.append(f"{ticket} is not a ticket of yours")
            else:
                chosen.append((ticket, pages))
    elif session is not None:
        pages = all_known.open(named_session(context, session))
        sessions[pages.session.name] = pages.session
        chosen = [one for one in all_tickets(all_known) if one[1] is pages]
    else:
        chosen = all_tickets(all_known)
        # Also where all calls went to the real sbatch, so that none is listed.
        name = session_name(cli.asked(context.state))
        sessions[name] = Session(context.state, name)
    problems += refusals(chosen)
    states = States(context, [pages.jobs[ticket] for ticket, pages in chosen if ticket in pages.jobs])
    elsewhere = {
        ticket: pages.jobs[ticket].origin.cluster
        for ticket, pages in chosen
        if ticket in pages.jobs and not context.is_here(pages.jobs[ticket].origin)
    }
    problems += [is_elsewhere(ticket, elsewhere[ticket]) for ticket in tickets if ticket in elsewhere]
    if states.problem:
        problems.append(f"squeue does not answer, so states may be old or not known: {states.problem}")
    lines = [line_of(ticket, pages, states, here=ticket not in elsewhere) for ticket, pages in chosen]
    by_session: dict[str, Counter[str]] = {}
    for line in lines:
        by_session.setdefault(line.session, Counter()).update(line.states)
    total: Counter[str] = Counter()
    for counted in by_session.values():
        total.update(counted)
    submitted = [line for line in lines if line.job is not None]
    arrays = len({line.job for line in submitted})
    sessions.update({pages.session.name: pages.session for _, pages in chosen})
    reasons: Counter[str] = Counter()
    for one in sessions.values():
        reasons.update(passed.reasons(one))
    totals: dict[str, object] = {
        "calls": len(lines),
        "submitted": len(submitted),
        "arrays": arrays,
        "submissions_saved": len(submitted) - arrays,
        "states": dict(total),
        "passed": dict(reasons),
    }
    return Found(lines, by_session, totals, dict(reasons), problems)


def keepers(found: Found, state: bytes) -> list[str]:
    """Who flushes the sessions of auto mode."""
    lines = []
    for name, states in found.sessions.items():
        session = Session(state, os.fsencode(name))
        if not os.path.exists(lock_path(session)):
            continue
        if attended(session):
            holder = Holder(lock_path(session))
            who = f"process {holder.pid}" if holder.pid else "on another host"
            lines.append(f"session {name} has a keeper, {who}; log: {os.fsdecode(session.folder)}/keeper.log")
        elif states.keys() - set(OVER) - {SUBMITTED}:
            lines.append(f"session {name} has no keeper now; the next sbatch of that session starts one")
    return lines


def refusals(chosen: list[tuple[int, SessionTickets]]) -> list[str]:
    """What Slurm said of the calls that it refused for good, each words once."""
    by_words: dict[str, list[int]] = {}
    for ticket, pages in chosen:
        if pages.state(ticket) == FAILED:
            by_words.setdefault(pages.refusal(ticket), []).append(ticket)
    return [f"refused after the answer: {ranges(tickets)}: {words}" for words, tickets in by_words.items()]


def table(lines: list[Line]) -> list[str]:
    """A row for each call, below a heading."""
    rows = [("TICKET", "NAME", "JOB", "STATE", "EXIT", "LOG")]
    for line in lines:
        job = ""
        if line.job is not None:
            job = line.tasks[0] if len(line.tasks) == 1 else str(line.job)
        one = list(line.states.values()) == [1]
        states = [state if one else f"{state}:{count}" for state, count in line.states.items()]
        rows.append((str(line.ticket), line.name, job, ",".join(states), line.exit, line.log))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    return [
        printable("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[-1]]).rstrip())
        for row in rows
    ]


def printable(text: str) -> str:
    """A line as any terminal and any locale can show it: names and paths may hold what they like."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def in_words(states: Counter[str]) -> str:
    """The states of a session's tasks in words."""
    return ", ".join(f"{count} {state.lower()}" for state, count in states.most_common())


def summary(found: Found) -> list[str]:
    """Totals, and why calls were not queued."""
    totals = found.totals
    lines = [
        f"calls: {totals['calls']}, submitted: {totals['submitted']}, as arrays or jobs: {totals['arrays']}, "
        f"submissions saved: {totals['submissions_saved']}"
    ]
    return lines + [printable(f"{count} went to the real sbatch: {reason}") for reason, count in found.passed.items()]


def show(context: Context, tickets: list[int], session: str | None, as_json: bool) -> int:
    """Print once; returns the exit status."""
    found = gather(context, tickets, session)
    if as_json:
        sessions = [{"name": name, "states": dict(states)} for name, states in found.sessions.items()]
        calls = [asdict(line) for line in found.lines]
        print(json.dumps({"sessions": sessions, "calls": calls, "totals": found.totals}, indent=1))
    elif found.lines:
        several = found.sessions.items() if len(found.sessions) > 1 else ()
        by_session = [f"session {name}: {in_words(states)}" for name, states in several]
        print("\n".join([*table(found.lines), *by_session, *keepers(found, context.state), *summary(found)]))
    elif not tickets:
        print("\n".join(["no call is queued or listed (--all: also of sessions that ended)", *summary(found)[1:]]))
    for problem in (*found.problems, inherited_mode(context)):
        if problem:
            print(f"sarray status: {problem}", file=sys.stderr)
    return 1 if found.problems else 0
