"""
Calls that were cancelled before a flush submitted them.

They stay in their queue file; `sessions/<name>/dropped` says that no flush may take them: one line `TICKET TIME`
each, written under the flush's lock, so that a flush either sees the line or has submitted the call.
"""

from __future__ import annotations

import os
import time

from sbatch_shim.errors import ShimError
from sbatch_shim.spool import Session, read, write
from sbatch_shim.state.dependency import Dependency, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


# Conditions that a job which was cancelled satisfies (tried on 22.05).
MET_BY_CANCELLED = ("after", "afterany", "afternotok")


def dropped(session: Session) -> dict[int, int]:
    """The dropped tickets of a session, and when, in seconds since the epoch; ShimError when that cannot be read."""
    path = session.folder + b"/dropped"
    try:
        with open(path, "rb") as stream:
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return {}
    try:
        pairs = (line.partition(b" ") for line in lines[:-1])
        return {int(ticket): int(when) for ticket, _, when in pairs}
    except ValueError:
        raise ShimError(
            f"{os.fsdecode(path)} is damaged, so it is not known which calls were cancelled; a line is TICKET TIME"
        ) from None


def drop(session: Session, tickets: Iterable[int]) -> None:
    """Let no flush submit these; under the flush's lock. On return it is on disk, after an error none of it is."""
    path = session.folder + b"/dropped"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        whole = read(path).rfind(b"\n") + 1  # who was killed may have left a part of a line
        os.ftruncate(descriptor, whole)
        try:
            write(descriptor, b"".join(b"%d %d\n" % (ticket, time.time()) for ticket in tickets))
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, whole)
            raise
    finally:
        os.close(descriptor)


def without_met(spec: bytes, is_dropped: Callable[[int], bool]) -> bytes | None:
    """
    A dependency without the conditions that dropped tickets satisfy, as cancelled jobs do.

    What they can never satisfy (afterok) stays, and keeps the call from being submitted, unless there are alternatives.

    Returns:
        What remains; None when nothing does.
    """
    waits = parse(spec)
    judged = [one for one in waits.conditions if one.on_ticket and is_dropped(one.job)]
    met = [one for one in judged if one.kind in MET_BY_CANCELLED]
    if waits.any_of and met:
        return None  # any one of them is enough
    over = judged if waits.any_of else met
    if not over:
        return spec
    left = Dependency(tuple(one for one in waits.conditions if one not in over), waits.any_of).spec
    return left or (spec if waits.any_of else None)
