"""What sarray status finds: calls, sessions, totals, and the words for their states."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import nsmallest
from operator import itemgetter

from sbatch_shim.merge import logs
from sbatch_shim.state.calls import Call
from sbatch_shim.state.tickets import DROPPED, FAILED, IN_FLIGHT, REFUSED

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
# A reason of squeue: a task that waits for one that failed.
NEVER = "DependencyNeverSatisfied"
# Calls that no flush has submitted; the others are queued.
SHOWN = {REFUSED: "REFUSED", FAILED: "FAILED", IN_FLIGHT: "UNCERTAIN", DROPPED: "DROPPED", None: RAN}
# Of those the ones that a flush submits.
UNSUBMITTED = {"QUEUED", "REFUSED"}


@dataclass
class Line:
    """
    One call.

    Attributes:
        job: The real job or array id; None while it is not submitted.
        tasks: Its real ids.
        states: State to number of tasks.
        exit: The worst exit code of its ended tasks, as Slurm writes it; empty when none has ended.
        reason: Why tasks wait, or could not be started, in Slurm's words; empty for none.
        folder: Where sbatch was called.
        time: When, in seconds since the epoch; 0: its record is gone.
        call: The call, or one that is like it in all but ticket and time; None where its record is gone.
    """

    ticket: int
    session: str
    name: str
    job: int | None
    tasks: list[str]
    states: dict[str, int]
    exit: str
    reason: str
    folder: str
    time: int
    call: Call | None

    def of_another(self, ticket: int) -> Line:
        """The line of a call that is like this one in all but its ticket."""
        made = object.__new__(Line)  # dataclasses.replace takes much longer
        made.__dict__ = {**self.__dict__, "ticket": ticket}
        return made

    @property
    def log(self) -> str:
        """
        Where its stdout goes; an array's with its local id's pattern left in.

        It is found out for what is shown only, as that takes longer than all else here.
        """
        if self.call is None:
            return "?"
        call = self.call.made_again(self.ticket, self.time)
        task = None
        if call.is_array:
            task = call.tasks[0]
        name = logs.expand(call, "output", task, keep_index=call.is_array)
        if name is None:
            return "/dev/null"
        return os.fsdecode(name.path)

    def members(self) -> dict[str, object]:
        """For --json."""
        told = ("ticket", "session", "name", "job", "tasks", "states", "exit", "log", "reason", "folder", "time")
        return {name: getattr(self, name) for name in told}


@dataclass
class Alike:
    """
    Calls of one session in the same states, for the same reason.

    Attributes:
        line: Of the first of them.
        tickets: All of them, rising.
        line_of: Tells the line of each.
        since: When the earliest of them was made, in seconds since the epoch; 0 where no record is left.
        names: Some that they have, and the first one with it; more than a clause holds, if there are.
    """

    line: Line
    tickets: Sequence[int]
    line_of: Callable[[int], Line]
    since: int
    names: Mapping[str, int]


@dataclass
class About:
    """What a session is: when its first call was made, in seconds since the epoch, and its calls in a clause."""

    since: int
    what: str


@dataclass
class Found:
    """
    What there is to show.

    Attributes:
        groups: All calls, by the first ticket of each group.
        sessions: Name to the states of its tasks.
        totals: Over all calls.
        passed: Why calls went to the real sbatch, and how many.
        problems: A sentence for each thing that could not be known.
        about: Which calls a session holds, by its name.
    """

    groups: list[Alike]
    sessions: dict[str, Counter[str]]
    totals: dict[str, object]
    passed: dict[str, int]
    problems: list[str]
    about: dict[str, About]

    @cached_property
    def lines(self) -> list[Line]:
        """A line for each call."""
        return self.foremost(self.count, lambda line: 0)

    @property
    def count(self) -> int:
        """How many calls there are."""
        return sum(len(group.tickets) for group in self.groups)

    def foremost(self, count: int, key: Callable[[Line], int]) -> list[Line]:
        """
        The first lines in an order of groups; among equals by ticket, or as they were asked for.

        Args:
            key: Orders groups by a line of each.
        """
        mixed = any(len(one.tickets) > 1 for one in self.groups)
        candidates = (
            (key(one.line), ticket if mixed else at, ticket, one)
            for at, one in enumerate(self.groups)
            for ticket in one.tickets[:count]
        )
        chosen = nsmallest(count, candidates, key=itemgetter(0, 1))
        return [one.line_of(ticket) for _, _, ticket, one in chosen]

    @property
    def over(self) -> bool:
        """Whether nothing of it will change any more."""
        return all(state in OVER for states in self.sessions.values() for state in states)
