"""What sarray status found, as a terminal shows it: rows, sessions, totals, and the commands that come next."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sbatch_shim.flush import cli
from sbatch_shim.keeping import attended
from sbatch_shim.merge.graph import counted
from sbatch_shim.merge.meaning import describe_time
from sbatch_shim.spool import Session
from sbatch_shim.verbs.found import BROKEN, NEVER, OVER, UNSUBMITTED, Alike, Found, Line

# Above so many calls a summary says more than a row for each.
MOST_ROWS = 50
# Rows of failed calls below a summary.
FAILED_ROWS = 20
# Tickets in a command that is proposed.
MOST_TICKETS = 5
HEADING = ("TICKET", "SESSION", "NAME", "JOB", "STATE", "EXIT", "REASON", "LOG")
# On a terminal, where there is no room for both: what waits has no log yet.
NARROW = (*HEADING[:-2], "REASON OR LOG")
STATE = HEADING.index("STATE")
BAD_STATES = frozenset({*BROKEN, "REFUSED"})
# Columns that give way on a narrow terminal, and how far; the beginning of a log's path says the least.
SHRINKS = {"SESSION": 10, "NAME": 8, NARROW[-1]: 24}
BAD, GOOD, WAITING, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"


def colours() -> bool:
    """Whether stdout is a terminal that shows colours, of somebody who wants them (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def columns() -> int | None:
    """How wide a line may be; None where no terminal breaks them."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def is_bad(states: Mapping[str, int], reason: str = "") -> bool:
    """Whether something failed, or never starts."""
    return reason == NEVER or not BAD_STATES.isdisjoint(states)


def interest(states: Mapping[str, int], reason: str = "") -> int:
    """What is shown first: what failed or never starts, what runs, what will run, what is over."""
    if is_bad(states, reason):
        return 0
    if "RUNNING" in states:
        return 1
    if any(state not in OVER for state in states):
        return 2
    return 3


def printable(text: str) -> str:
    """A line as any terminal and any locale can show it: names and paths may hold what they like."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def row(line: Line, *, narrow: bool) -> tuple[str, ...]:
    """The cells of a call, below HEADING or NARROW."""
    job = ""
    if line.job is not None:
        job = line.tasks[0] if len(line.tasks) == 1 else str(line.job)
    one = list(line.states.values()) == [1]
    states = [state if one else f"{state}:{count}" for state, count in line.states.items()]
    cells = [str(line.ticket), line.session, line.name, job, ",".join(states), line.exit]
    if not narrow:
        cells += [line.reason, line.log]
    elif line.reason and (line.job is None or not line.states.keys() & set(BROKEN)):
        cells.append(line.reason)
    else:
        cells.append(near(line.log))
    return tuple(printable(cell) for cell in cells)


def near(path: str) -> str:
    """A path as somebody in this folder would write it, where it lies below."""
    try:
        here = os.getcwd().rstrip("/") + "/"
    except OSError:
        return path
    if path.startswith(here):
        return path[len(here) :]
    return path


def table(lines: Sequence[Line], width: int | None = None, *, colour: bool = False) -> list[str]:
    """
    A row for each call, below a heading; columns that tell nothing are left out.

    Args:
        width: That of a terminal, and no line is wider; None for as wide as it gets.
    """
    heading = HEADING if width is None else NARROW
    rows = [row(line, narrow=width is not None) for line in lines]
    several = len({line.session for line in lines}) > 1
    kept = [at for at, name in enumerate(heading) if any(one[at] for one in rows) and (several or name != "SESSION")]
    names = [heading[at] for at in kept]
    shown = [names, *([one[at] for at in kept] for one in rows)]
    widths = fitting([max(len(one[at]) for one in shown) for at in range(len(kept))], names, width)
    told = []
    for number, cells in enumerate(shown):
        cut = [shortened(cell, wide) for cell, wide in zip(cells, widths)]
        text = "  ".join(cell.ljust(wide) for cell, wide in zip(cut, widths)).rstrip()[:width]
        if number and colour:
            start = sum(wide + 2 for wide in widths[: kept.index(STATE)])
            end = start + len(cut[kept.index(STATE)])
            text = text[:start] + painted(text[start:end], lines[number - 1]) + text[end:]
        told.append(text)
    return told


def fitting(widths: list[int], names: Sequence[str], width: int | None) -> list[int]:
    """The widths of columns, of which the widest give way until a line fits, each as far as it can."""
    while width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        giving = [at for at, name in enumerate(names) if widths[at] > SHRINKS.get(name, 1 << 30)]
        if not giving:
            break
        widths[max(giving, key=lambda at: widths[at])] -= 1
    return widths


def shortened(text: str, width: int) -> str:
    """A cell that fits: of a path the end, else the beginning."""
    if len(text) <= width:
        return text
    if "/" in text:
        return "..." + text[3 - width :]
    return text[: width - 3] + "..."


def painted(text: str, line: Line) -> str:
    """A state in its colour."""
    colour = (BAD, PLAIN, WAITING, PLAIN)[interest(line.states, line.reason)]
    if set(line.states) == {"COMPLETED"}:
        colour = GOOD
    if colour == PLAIN:
        return text
    return f"{colour}{text}{PLAIN}"


def in_words(states: Mapping[str, int]) -> str:
    """The states of a session's tasks in words."""
    return ", ".join(f"{count} {state.lower()}" for state, count in Counter(states).most_common())


def session_lines(found: Found) -> list[str]:
    """What is told of each session: its states, and below which calls those are, as nobody knows sessions by name."""
    told = []
    for name, states in found.sessions.items():
        told.append(printable(f"session {name}: {in_words(states)}"))
        about = found.about.get(name)
        if about is not None:
            told.append(printable(f"  since {describe_time(about.since)}: {about.what}"))
    return told


def summary(found: Found) -> list[str]:
    """Totals, and why calls were not queued."""
    totals = found.totals
    lines = [
        f"calls: {totals['calls']}, submitted: {totals['submitted']}, as arrays or jobs: {totals['arrays']}, "
        f"submissions saved: {totals['submissions_saved']}"
    ]
    return lines + [printable(f"{count} went to the real sbatch: {reason}") for reason, count in found.passed.items()]


def some(tickets: Iterable[int]) -> str:
    """Tickets in a command that is proposed."""
    listed = list(tickets)
    return " ".join(map(str, listed[:MOST_TICKETS])) + (" ..." if len(listed) > MOST_TICKETS else "")


def has_keeper(session: Session) -> bool:
    """Whether a keeper flushes a session; asking makes no lock where there never was one."""
    return os.path.exists(session.keeper_lock) and attended(session)


def flush_of(groups: Iterable[Alike], state: bytes) -> str:
    """The command that flushes the sessions of these calls."""
    return cli.flush_of(set(map(os.fsencode, {group.line.session for group in groups})), state)


def calls_in(groups: Iterable[Alike], what: str) -> str:
    """How many calls there are in groups."""
    return counted(sum(len(group.tickets) for group in groups), what)


def next_steps(found: Found, state: bytes) -> list[str]:
    """The commands that come next, with what they do."""
    alone = {name for name in found.sessions if not has_keeper(Session(state, os.fsencode(name)))}
    waiting: list[Alike] = []
    doubtful: list[Alike] = []
    failed: list[Alike] = []
    never: list[int] = []
    for group in found.groups:
        line = group.line
        if line.session in alone and not UNSUBMITTED.isdisjoint(line.states):
            waiting.append(group)
        if "UNCERTAIN" in line.states:
            doubtful.append(group)
        if line.job is not None and line.states.keys() & set(BROKEN):
            failed.append(group)
        if line.reason == NEVER:
            never += group.tickets
    steps = []
    if waiting:
        steps.append(f"{flush_of(waiting, state)}  # submits {calls_in(waiting, 'queued call')}")
    if doubtful:
        steps.append(f"{flush_of(doubtful, state)}  # asks what became of {calls_in(doubtful, 'call')}")
    if failed:
        steps.append(f"sarray rerun --failed  # queues again what failed: {calls_in(failed, 'call')}")
    if never:
        steps.append(f"sarray cancel {some(never)}  # what they wait for failed, so they never start")
    return [f"next: {one}" for one in steps]


def rows_or_summary(found: Found, *, long: bool) -> list[str]:
    """Each call, or where those are too many for a screen the sessions and what failed."""
    width, colour = columns(), colours()
    if long or found.count <= MOST_ROWS:
        told = table(found.lines, width, colour=colour) if found.groups else ["no call is like that"]
        return told + (session_lines(found) if len(found.sessions) > 1 else [])
    told = session_lines(found)
    bad = replace(found, groups=[group for group in found.groups if is_bad(group.line.states, group.line.reason)])
    if bad.groups:
        told += ["", *table(bad.foremost(FAILED_ROWS, lambda line: 0), width, colour=colour)]
        if bad.count > FAILED_ROWS:
            told.append(f"and {bad.count - FAILED_ROWS} more that failed (--failed lists them)")
        told.append("")
    return [*told, f"{counted(found.count, 'call')}; --long lists each, and --failed or --queued some"]
