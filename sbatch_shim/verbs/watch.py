"""sarray status --watch: the same again and again, with a bar for each session, until every task has ended."""

from __future__ import annotations

import os
import shutil
import sys
import time

from sbatch_shim.companions.context import Context
from sbatch_shim.merge.graph import counted
from sbatch_shim.verbs.found import OVER, Found
from sbatch_shim.verbs.status import CACHE_SECONDS, gather
from sbatch_shim.verbs.view import colours, in_words, interest, summary, table

# To another screen and without line wrap, and back, as less and top do; to the corner and clear.
ENTER, LEAVE, CLEAR = "\x1b[?1049h\x1b[?7l\x1b[?25l", "\x1b[?25h\x1b[?7h\x1b[?1049l", "\x1b[H\x1b[J"

# Sessions that are told of when a terminal is left.
ROOM = 20


def bars(found: Found, width: int, room: int | None = None) -> list[str]:
    """A line for each session: how far it is. Not more than `room` lines, and then what goes on first."""
    sessions = list(found.sessions.items())
    more = []
    if room is not None and len(sessions) > room:
        sessions = sorted(sessions, key=lambda one: interest(one[1]))[: room - 1]
        more = [f"and {counted(len(found.sessions) - len(sessions), 'more session')}"]
    lines = []
    longest = max((len(name) for name, _ in sessions), default=0)
    for name, states in sessions:
        total = sum(states.values())
        ended = sum(count for state, count in states.items() if state in OVER)
        columns = max(10, min(40, width - longest - 30))
        filled = columns * ended // total
        lines.append(f"{name:{longest}} [{'#' * filled}{'.' * (columns - filled)}] {ended}/{total}  {in_words(states)}")
    return lines + more


def screen(found: Found, width: int, height: int) -> str:
    """All that fits: bars, as much of the table as there is room for, totals."""
    top, last = bars(found, width, max(2, height // 3)), [*summary(found)[:3], *found.problems[:2]]
    room = max(2, height - len(top) - len(last) - 2)
    shown, more = found.count, []
    if shown + 1 > room:
        shown = room - 2
        more = [f"and {counted(found.count - shown, 'more call')}"]
    lines = found.foremost(shown, lambda line: interest(line.states, line.reason))
    rows = table(lines, width, colour=colours())
    cut = [[line[:width] for line in part] for part in ([*top, ""], [*more, *last])]
    return "\n".join([*cut[0], *rows, *cut[1]][: max(1, height - 1)])


def watch(context: Context, tickets: list[int], session: str | None) -> int:
    """
    Show it on a terminal; elsewhere print the bars whenever they have changed.

    Returns 0 when every task has ended; 1 when a ticket is not known.
    """
    terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    before: list[str] = []
    found: Found | None = None
    if terminal:
        # At once: many calls take a moment to read, and a busy controller to answer.
        sys.stdout.write(f"{ENTER}{CLEAR}reading the calls and asking Slurm ...")
        sys.stdout.flush()
    try:
        found = gather(context, tickets, session)
        while True:
            size = shutil.get_terminal_size()
            if terminal:
                sys.stdout.write(CLEAR + screen(found, size.columns, size.lines))
                sys.stdout.flush()
            elif [*bars(found, size.columns), *found.problems] != before:
                before = [*bars(found, size.columns), *found.problems]
                print("\n".join(before), flush=True)
            if found.over:
                break
            time.sleep(CACHE_SECONDS + 1)
            context.tickets.refresh()
            found = gather(context, tickets, session)
    finally:
        if terminal:
            sys.stdout.write(LEAVE)
            if found is not None:
                print("\n".join(bars(found, shutil.get_terminal_size().columns, ROOM)), flush=True)
    for problem in found.problems:
        print(f"sarray status: {problem}", file=sys.stderr)
    if found.problems:
        return 1
    return 0
