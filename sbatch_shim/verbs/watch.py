"""sarray status --watch: the same again and again, with a bar for each session, until every task has ended."""

from __future__ import annotations

import os
import shutil
import sys
import time

from sbatch_shim.companions.companion import Context
from sbatch_shim.verbs.status import CACHE_SECONDS, OVER, Found, gather, summary, table, told

# To another screen and without line wrap, and back, as less and top do; to the corner and clear.
ENTER, LEAVE, CLEAR = "\x1b[?1049h\x1b[?7l\x1b[?25l", "\x1b[?25h\x1b[?7h\x1b[?1049l", "\x1b[H\x1b[J"


def bars(found: Found, width: int) -> list[str]:
    """A line for each session: how far it is."""
    lines = []
    longest = max(map(len, found.sessions), default=0)
    for name, states in found.sessions.items():
        total = sum(states.values())
        ended = sum(count for state, count in states.items() if state in OVER)
        room = max(10, min(40, width - longest - 30))
        filled = room * ended // total
        lines.append(f"{name:{longest}} [{'#' * filled}{'.' * (room - filled)}] {ended}/{total}  {told(states)}")
    return lines


def screen(found: Found, width: int, height: int) -> str:
    """All that fits: bars, as much of the table as there is room for, totals."""
    top, rows, last = bars(found, width), table(found.lines), [*summary(found)[:3], *found.problems[:2]]
    third = max(2, height // 3)
    if len(top) > third:
        top = [*top[: third - 1], f"and {len(top) - third + 1} more sessions"]
    room = max(2, height - len(top) - len(last) - 2)
    if len(rows) > room:
        rows = [*rows[: room - 1], f"and {len(rows) - room + 1} more calls"]
    return "\n".join([*top, "", *rows, *last][: max(1, height - 1)])


def watch(context: Context, tickets: list[int], session: str | None) -> int:
    """
    Show it on a terminal; elsewhere print the bars whenever they have changed.

    Returns 0 when every task has ended; 1 when a ticket is not known.
    """
    terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    before: list[str] = []
    found = gather(context, tickets, session)
    if terminal:
        sys.stdout.write(ENTER)
    try:
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
            context.book.refresh()
            found = gather(context, tickets, session)
    finally:
        if terminal:
            sys.stdout.write(LEAVE)
            print("\n".join(bars(found, shutil.get_terminal_size().columns)), flush=True)
    for problem in found.problems:
        print(f"sarray status: {problem}", file=sys.stderr)
    return 1 if found.problems else 0
