"""The calls of a session that went to the real sbatch while it queued: how many, and why."""

from __future__ import annotations

import os
from collections import Counter

from sbatch_shim.merge.graph import counted
from sbatch_shim.spool import Session, read, replace

# How many reasons are worth a line.
MOST_REASONS = 5


def reasons(session: Session, start: int = 0) -> dict[str, int]:
    """
    Why calls of a session went to the real sbatch, and how many, the commonest first.

    Args:
        start: Bytes of the list to leave out.
    """
    try:
        text = read(session.folder + b"/passed")[start:]
    except OSError:
        return {}
    return dict(Counter(text.decode(errors="replace").splitlines()).most_common())


def untold(session: Session) -> dict[str, int]:
    """Those that no flush has told of; they count as told from now on."""
    told = session.folder + b"/passed-told"
    try:
        start = int(read(told))
    except (OSError, ValueError):
        start = 0
    try:
        size = os.stat(session.folder + b"/passed").st_size
        if size != start:
            found = reasons(session, start if start < size else 0)
            found.pop("--test-only", None)  # a question
            replace(told, b"%d" % size)
            return found
    except OSError:
        pass  # at worst they are told of again
    return {}


def summary(found: dict[str, int]) -> str:
    """A clause about them, without the full stop."""
    total = sum(found.values())
    named = [reason if times == 1 else f"{reason} ({times})" for reason, times in list(found.items())[:MOST_REASONS]]
    more = len(found) - len(named)
    rest = ""
    if more:
        rest = f" and {counted(more, 'other reason')}"
    return f"{counted(total, 'call')} went to the real sbatch at once: {', '.join(named)}{rest}"
