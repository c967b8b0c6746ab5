"""
Room under a limit on submitted jobs, for flushes that are tried again by themselves (a keeper's, sarray-flush --feed).

Slurm does not tell how much room is left, and asking it with submissions that it refuses is what a limit is there to
prevent. So such a flush notes how many jobs this user has when a limit is met. The next one looks at that number
first: where it is no smaller nothing is submitted, else as much as has ended. Now and then a single call is tried all
the same, since the limit may have changed, or may count the jobs of others.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

from sbatch_shim.merge.plan import Array
from sbatch_shim.spool import Session, read, replace
from sbatch_shim.state.calls import Call

# How long a limit is trusted to be as it was, in seconds.
TRUSTED_SECONDS = 60
# What limits on submitted jobs are counted for.
COUNTED = ("account", "qos", "partition", "reservation")

Kind = tuple[Optional[bytes], ...]
# The kinds of this user's jobs, each task once; None where nobody can tell.
Held = Optional[list[Kind]]


def kind_of(array: Array | Call) -> Kind:
    """What limits on submitted jobs count an array or a call for."""
    return tuple(array.options.get(name) for name in COUNTED)


@dataclass
class Room:
    """
    How many more tasks of some kinds may be submitted.

    Attributes:
        kinds: Those that have met a limit; for all others there is no bound.
        left: None where nothing is known.
        probing: The limit may have changed: what was accepted says that nothing is known.
    """

    kinds: frozenset[Kind] = frozenset()
    left: int | None = None
    probing: bool = False

    def bound(self, array: Array | Call) -> int | None:
        """How many tasks of this kind may be tried; None for any number."""
        if kind_of(array) not in self.kinds:
            return None
        return self.left

    def accepted(self, array: Array) -> None:
        """Slurm has taken it."""
        if self.left is None or kind_of(array) not in self.kinds:
            return
        self.left = None if self.probing else max(0, self.left - array.size)


def counted(held: list[Kind], kinds: frozenset[Kind]) -> int:
    """How many jobs count for the limits of these kinds; what a call does not say, and a list, may be any."""

    def counts_for(job: Kind, kind: Kind) -> bool:
        return all(given is None or b"," in given or given == found for given, found in zip(kind, job))

    return sum(any(counts_for(job, kind) for kind in kinds) for job in held)


def path_of(session: Session) -> bytes:
    """Where a flush leaves what it has met."""
    return session.folder + b"/room"


def look(session: Session, held: Callable[[], Held]) -> Room:
    """The room that is left for a session's calls; `held` asks Slurm, if it needs to."""
    try:
        noted = json.loads(read(path_of(session)))
        age = time.time() - noted["since"]
        kinds = frozenset(tuple(None if one is None else os.fsencode(one) for one in kind) for kind in noted["kinds"])
        before = int(noted["jobs"])
    except (OSError, ValueError, LookupError, TypeError):
        return Room()
    jobs = held()
    if jobs is None:
        return Room()
    ended = max(0, before - counted(jobs, kinds))
    if not 0 <= age < TRUSTED_SECONDS and not ended:
        return Room(kinds, 1, probing=True)
    return Room(kinds, ended)


def note(session: Session, full: frozenset[Kind], held: Held) -> None:
    """Leave for the next flush that these kinds have met a limit just now, with how many jobs."""
    if held is None:
        return
    kinds = [[None if one is None else os.fsdecode(one) for one in kind] for kind in full]
    found = {"jobs": counted(held, full), "since": time.time(), "kinds": kinds}
    with suppress(OSError):  # a full disk: the next flush asks with a submission
        replace(path_of(session), json.dumps(found).encode())


def forget(session: Session) -> None:
    """No limit is in the way."""
    with suppress(FileNotFoundError):
        os.unlink(path_of(session))
