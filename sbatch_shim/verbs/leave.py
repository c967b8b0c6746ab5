"""What becomes of the calls that are still queued when their shell ends: that of `sarray listen`, or of a login."""

from __future__ import annotations

import os
import sys

from sbatch_shim.companions.context import Context
from sbatch_shim.flush import cli
from sbatch_shim.flush.sessions import whereabouts
from sbatch_shim.merge.graph import counted
from sbatch_shim.verbs.cancel import cancel


def leave(context: Context, session: bytes) -> int:
    """Ask at a terminal what to do with them; 0, or 1 when calls stay queued."""
    pages = context.tickets.open(session)
    pages.read()
    tickets = [ticket for ticket, where in context.tickets.unsubmitted() if where is pages]
    if not tickets:
        return 0
    held = counted(len(tickets), "call")
    name = os.fsdecode(session)
    if sys.stdin.isatty():
        try:
            what = whereabouts(pages, tickets)
            told = held
            if what:
                told = f"{held} ({what})"
            print(f"still queued: {told}. [s]ubmit, [d]rop or [k]eep? ", end="", flush=True)
            answer = sys.stdin.readline().strip().lower()
        except KeyboardInterrupt:
            answer = ""
        if answer in ("s", "submit"):
            return cli.run(["--session", name])
        if answer in ("d", "drop"):
            return cancel(context, [], {session}, yes=True)
        if not answer:
            print()
    print(f"still queued: {held}; sarray-flush --session {name} submits what is queued", file=sys.stderr)
    return 1
