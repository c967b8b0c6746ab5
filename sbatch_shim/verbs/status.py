"""sarray status: what is queued, and what each call became."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Set
from dataclasses import replace as replace_of
from operator import itemgetter

from sbatch_shim import burst
from sbatch_shim.companions.context import Context
from sbatch_shim.contended import Holder
from sbatch_shim.flush import cli, passed
from sbatch_shim.flush.sessions import NAMED, in_clause
from sbatch_shim.keeping import attended
from sbatch_shim.spool import Session, replace, session_name, session_of
from sbatch_shim.state.calls import shown_name
from sbatch_shim.state.ids import JobId, ranges
from sbatch_shim.state.journal import is_elsewhere
from sbatch_shim.state.tickets import (
    FAILED,
    REFUSED,
    SUBMITTED,
    Job,
    SessionTickets,
    Tickets,
    elements,
)
from sbatch_shim.verbs.found import (
    BROKEN,
    ELSEWHERE,
    ENDED,
    FORGOTTEN,
    NEVER,
    SHOWN,
    UNKNOWN,
    UNSUBMITTED,
    About,
    Alike,
    Found,
    Line,
)
from sbatch_shim.verbs.view import interest, next_steps, rows_or_summary, summary
from sbatch_shim.verbs.words import complaint, inherited_mode, named_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sbatch_shim.state.briefs import Brief

CACHE_SECONDS = 3
# So many calls that wait are worth looking at in bulk.
MANY = 64


class States:
    """
    State, exit code and reason of real tasks (`A_3`, `A`): from squeue, and from sacct for what that has forgotten.

    Args:
        jobs: What to ask about. Those that were submitted on another cluster are left out.

    Attributes:
        problem: What squeue said when it failed; then what is not found is not known.
    """

    def __init__(self, context: Context, jobs: Iterable[Job]) -> None:
        self.found: dict[str, tuple[str, str, str]] = {}
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
            self.found = {one: (state, code, reason) for one, (state, code, reason) in kept["states"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True

    def ask(self, context: Context, here: dict[str, Job]) -> None:
        """
        Ask Slurm.

        Args:
            here: The jobs by their scripts, which tell them from others with their ids.
        """
        form = "ArrayJobID:0|,ArrayTaskID:0|,State:0|,exit_code:0|,Reason:0|,Command:0"
        words = ["-h", "-r", "-t", "all", "-u", str(os.getuid()), "-O", form]
        answer = context.run("squeue", words, SLURM_BITSTR_LEN="0")
        if answer.status != 0:
            self.problem = complaint(answer, "squeue does not answer")
        for array, task, state, code, reason, command in answer.rows("|", 6):
            if command not in here or here[command].is_spare(task):
                continue
            if ":" not in code:
                # as wait(2) gives it, before 24.11
                waited = 0
                if code.isdigit():
                    waited = int(code)
                code = f"{waited >> 8}:{waited & 127}"
            self.found[array if task == "N/A" else f"{array}_{task}"] = (state, code, reason)
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
            if printed is None:
                continue
            jobs = [job for job in forgotten if job.number == printed.job and job.submitted_by(line)]
            if not jobs or jobs[0].is_spare(one.partition("_")[2]):
                continue
            many = [f"{printed.job}_{index}" for index in printed.tasks or ()] if printed.folded else [one]
            self.found.update(dict.fromkeys(many, (state.partition(" ")[0], code, "")))

    def of(self, element: str) -> tuple[str, str, str]:
        """State, exit code and reason of a task."""
        # Slurm forgets the tasks of what it cancels while it waits: the array's own record stands for them.
        found = self.found.get(element) or self.found.get(element.partition("_")[0])
        return found or (UNKNOWN if self.problem else FORGOTTEN, "", "")


# What the exit code says better, or what is none.
NO_REASON = ("", "None", "NonZeroExitCode")


def severity(code: str) -> tuple[int, ...]:
    """Orders exit codes as Slurm writes them (`3:0`, `0:9`)."""
    return tuple(int(part) if part.isdigit() else 0 for part in code.split(":"))


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
    reasons: Counter[str] = Counter()
    code = ""
    if state == SUBMITTED:
        place = pages.places[ticket]
        job = place.job
        tasks = elements(place, None)
        if place.whole and place.spec is not None:
            tasks = [place.element(task) for task in place.local_ids]
        for one in tasks if here else ():
            told, exit_code, why = states.of(one)
            counts[told] += 1
            if told in ("PENDING", *BROKEN) and why not in NO_REASON:
                reasons[why] += 1
            if told in ENDED and severity(exit_code) >= severity(code):
                code = exit_code
        if not here:
            counts[ELSEWHERE] = len(tasks)
    else:
        shown = SHOWN.get(state, "QUEUED")
        counts[shown] += len(call.tasks) if call and call.is_array else 1
        if state in (FAILED, REFUSED) and pages.refusal(ticket):
            reasons[pages.refusal(ticket)] += 1
    return Line(
        ticket,
        os.fsdecode(pages.session.name),
        call.shown_name if call else "?",
        job,
        tasks,
        dict(counts),
        code,
        # Of several the one that never passes, else the commonest.
        NEVER if NEVER in reasons else next((why for why, _ in reasons.most_common(1)), ""),
        os.fsdecode(call.cwd) if call else "",
        call.time if call else 0,
        call,
    )


def by_itself(ticket: int, pages: SessionTickets, states: States, *, here: bool) -> Alike:
    """A call for which nothing is known in bulk."""
    line = line_of(ticket, pages, states, here=here)
    return Alike(line, [ticket], lambda _: line, line.time, {line.name: ticket} if line.time else {})


def in_bulk(pages: SessionTickets) -> dict[int, Brief]:
    """The calls of a session that are queued, as far as they are known in bulk; none where they are few."""
    untried = pages.untried
    if len(untried) < MANY:
        return {}
    readable = {0: False}
    known = {}
    for brief in pages.briefs():
        ticket, model = brief[0], brief[4]
        if model not in readable:
            readable[model] = pages.call(model) is not None
        if readable[model] and ticket in untried:
            known[ticket] = brief
    return known


def groups_of(pages: SessionTickets, known: dict[int, Brief], states: States) -> list[Alike]:
    """What is known in bulk of a session, in groups of calls that have the same model."""
    by_model: dict[int, list[int]] = {}
    for ticket in sorted(known):
        by_model.setdefault(known[ticket][4], []).append(ticket)
    lines: dict[bytes | None, Line] = {}  # by record, as many may be alike

    def line(ticket: int) -> Line:
        kind = pages.payload(ticket)
        if kind not in lines:
            lines[kind] = line_of(ticket, pages, states, here=True)
        return lines[kind].of_another(ticket)

    groups = []
    for own in by_model.values():
        names: dict[str, int] = {}
        for ticket in own:
            names.setdefault(shown_name(known[ticket][2]), ticket)
            if len(names) > NAMED:
                break
        since = min(known[ticket][1] for ticket in own)
        groups.append(Alike(line_of(own[0], pages, states, here=True), own, line, since, names))
    return groups


def told_of(pages: SessionTickets) -> set[int]:
    """The tickets of a session that are shown."""
    history = pages.history
    return pages.queued.union(pages.places, history.in_flight, pages.dropped, pages.ran, history.failed)


def all_tickets(all_known: Tickets) -> list[tuple[int, SessionTickets]]:
    found = [(ticket, pages) for pages in all_known.pages.values() for ticket in told_of(pages)]
    return sorted(found, key=itemgetter(0))


def pages_of(all_known: Tickets, ticket: int) -> SessionTickets | None:
    """The pages of a ticket that somebody was told; None for any other number."""
    name = session_of(all_known.state, ticket)
    if name is None:
        return None
    pages = all_known.open(name)
    if pages.state(ticket) is not None or ticket in pages.ran:
        return pages
    return None


def gather(context: Context, tickets: list[int], session: str | None) -> Found:
    """All about these tickets, else about the calls of one session, or of all that are live."""
    all_known = context.tickets
    problems = []
    sessions: dict[bytes, Session] = {}
    chosen: list[tuple[int, SessionTickets]] = []
    held: list[SessionTickets] = []
    for ticket in tickets:
        pages = pages_of(all_known, ticket)
        if pages is None:
            problems.append(f"{ticket} is not a ticket of yours")
        else:
            chosen.append((ticket, pages))
    if not tickets and session is not None:
        held = [all_known.open(named_session(context, session))]
        sessions[held[0].session.name] = held[0].session
    elif not tickets:
        held = [*all_known.pages.values()]
        # Also where all calls went to the real sbatch, so that none is listed.
        name = session_name(cli.asked(context.state))
        sessions[name] = Session(context.state, name)
    known = [(pages, in_bulk(pages)) for pages in held]
    for pages, briefs in known:
        chosen += [(ticket, pages) for ticket in told_of(pages).difference(briefs)]
    if not tickets:
        chosen.sort(key=itemgetter(0))
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
    several = [
        (by_itself(ticket, pages, states, here=ticket not in elsewhere), pages.session) for ticket, pages in chosen
    ]
    several += [(group, pages.session) for pages, briefs in known for group in groups_of(pages, briefs, states)]
    if not tickets:
        several.sort(key=lambda one: one[0].tickets[0])
    groups = [group for group, _ in several]
    by_session: dict[str, Counter[str]] = defaultdict(Counter)
    for group in groups:
        for state, count in group.line.states.items():
            by_session[group.line.session][state] += count * len(group.tickets)
    total: Counter[str] = Counter()
    for told in by_session.values():
        total.update(told)
    submitted = [group.line for group in groups if group.line.job is not None]
    arrays = len({line.job for line in submitted})
    sessions.update((session.name, session) for _, session in several)
    reasons: Counter[str] = Counter()
    for one in sessions.values():
        reasons.update(passed.reasons(one))
    totals: dict[str, object] = {
        "calls": sum(len(group.tickets) for group in groups),
        "submitted": len(submitted),
        "arrays": arrays,
        "submissions_saved": len(submitted) - arrays,
        "states": dict(total),
        "passed": dict(reasons),
    }
    return Found(groups, by_session, totals, dict(reasons), problems, about(groups))


def keepers(found: Found, state: bytes) -> list[str]:
    """Who flushes the sessions of auto mode, and who queues calls of a burst."""
    lines = []
    for name, states in found.sessions.items():
        session = Session(state, os.fsencode(name))
        if clerk := Holder(burst.lock_path(session)).pid:
            lines.append(f"session {name} has a clerk, process {clerk}, which queues calls of a burst")
        if not os.path.exists(session.keeper_lock):
            continue
        if attended(session):
            holder = Holder(session.keeper_lock)
            who = "on another host"
            if holder.pid:
                who = f"process {holder.pid}"
            lines.append(f"session {name} has a keeper, {who}; log: {os.fsdecode(session.folder)}/keeper.log")
        elif states.keys() & {*UNSUBMITTED, "UNCERTAIN"}:  # else none is missed
            lines.append(f"session {name} has no keeper now; the next sbatch of that session starts one")
    return lines


def refusals(chosen: list[tuple[int, SessionTickets]]) -> list[str]:
    """What Slurm said of the calls that it refused for good, each words once."""
    by_words: dict[str, list[int]] = {}
    for ticket, pages in chosen:
        if ticket in pages.history.failed and pages.state(ticket) == FAILED:
            by_words.setdefault(pages.refusal(ticket), []).append(ticket)
    return [f"refused after the answer: {ranges(tickets)}: {words}" for words, tickets in by_words.items()]


def about(groups: list[Alike]) -> dict[str, About]:
    """Which calls each session holds."""
    by_session: dict[str, list[Alike]] = {}
    for group in groups:
        if group.since:
            by_session.setdefault(group.line.session, []).append(group)
    found = {}
    for session, own in by_session.items():
        names = [(ticket, name) for group in own for name, ticket in group.names.items()]
        if any(len(group.tickets) > 1 for group in own):
            names.sort()
        since = min(group.since for group in own)
        found[session] = About(since, in_clause([name for _, name in names], own[0].line.folder))
    return found


def is_chosen(line: Line, wanted: str) -> bool:
    """Whether a filter leaves a call: `failed` (also refused, or waiting for ever) or `queued`."""
    if wanted == "failed":
        return interest(line.states, line.reason) == 0
    return bool(line.states.keys() & {*UNSUBMITTED, "UNCERTAIN"})


def show(
    context: Context, tickets: list[int], session: str | None, wanted: str = "", *, as_json: bool, long: bool = False
) -> int:
    """
    Print once; returns the exit status.

    Args:
        wanted: A filter (is_chosen); totals are of all calls.
        long: A row for each call, however many.
    """
    # What is made lives until the end; looking for garbage in it costs a long list a quarter of its time.
    gc.disable()
    found = gather(context, tickets, session)
    shown = found
    if wanted:
        shown = replace_of(found, groups=[group for group in found.groups if is_chosen(group.line, wanted)])
    if as_json:
        sessions = [{"name": name, "states": dict(states)} for name, states in found.sessions.items()]
        calls = [line.members() for line in shown.lines]
        print(json.dumps({"sessions": sessions, "calls": calls, "totals": found.totals}, indent=1))
    elif found.groups:
        told = rows_or_summary(shown, long=long or bool(tickets))
        more = [*keepers(found, context.state), *summary(found), *next_steps(found, context.state)]
        print("\n".join([*told, *more]))
    elif not tickets:
        print("\n".join(["no call is queued or listed (--all: also of sessions that ended)", *summary(found)[1:]]))
    for problem in (*found.problems, inherited_mode(context)):
        if problem:
            print(f"sarray status: {problem}", file=sys.stderr)
    if found.problems:
        return 1
    return 0
