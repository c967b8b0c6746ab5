"""A row of squeue, sacct or scontrol that tells of a merged array, as rows of the calls that are in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sbatch_shim.state.calls import Call
from sbatch_shim.state.tickets import SUBMITTED, Job, Target, Tickets, split_ids, target, task_string


@dataclass
class Part:
    """
    One call, or some tasks of it, in a row.

    Attributes:
        tasks: Local ids; None for a plain call, and for an array call of which the row names no tasks.
        folded: The tasks wait together, as `T_[1-4]`.
        throttle: The call's own limit of tasks at a time, 0 for none.
        raw: The row's own job id; empty where the ticket stands for it.
        index: The index of the first of the tasks.
    """

    ticket: int
    tasks: list[int] | None
    folded: bool
    throttle: int = 0
    raw: str = ""
    index: int = -1

    def ids(self, name: str) -> str:
        """The value of an id field, by its name in squeue's --Format."""
        ticket = str(self.ticket)
        if name in ("jobid", "arrayjobid") or (name == "jobarrayid" and self.tasks is None):
            return self.raw if name == "jobid" and self.raw else ticket
        if self.tasks is None:
            return "N/A"
        tasks = task_string(self.tasks, self.throttle) if self.folded else str(self.tasks[0])
        if name == "arraytaskid":
            return tasks
        return f"{ticket}_[{tasks}]" if self.folded else f"{ticket}_{tasks}"


def whole(call: Call) -> Part:
    """A call that waits as a whole, as squeue shows an array or a job that nothing has touched."""
    return Part(call.ticket, call.tasks if call.is_array else None, call.is_array, call.throttle)


def parse_tasks(text: str) -> tuple[list[int], int]:
    """A task column: the indices (none for N/A, or a list that was cut), and the array's own limit."""
    spec, _, throttle = text.partition("%")
    found: list[int] = []
    for part in spec.split(","):
        match = re.fullmatch(r"([0-9]+)(?:-([0-9]+)(?::([0-9]+))?)?", part)
        if match is None:
            return [], 0
        found += range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1))
    return found, int(throttle) if throttle.isdigit() else 0


def shares(job: Job, indices: list[int], folded: bool, throttle: int = 0, raw: str = "") -> list[Part]:
    """
    The calls that have tasks in a row of a merged job.

    Args:
        indices: Of the row; empty for a plain job.
        folded: The tasks wait together.
        throttle: The array's own limit.
        raw: The row's own job id.
    """
    first: dict[int, int] = {}
    for index in indices:
        for ticket in job.shares([index]):
            first.setdefault(ticket, index)
    found = []
    for ticket, locals_ in job.shares(indices or [None]).items():
        tasks = [task for task in locals_ if task is not None]
        # An array's last task has the array's own id, and so the ticket; a plain call has only the one id.
        last = bool(tasks) and tasks[-1] == job.last_task(ticket)
        own = "" if folded or not tasks or last or raw == str(job.number) else raw
        found.append(Part(ticket, tasks or None, folded and bool(tasks), throttle, own, first.get(ticket, -1)))
    return found


def shares_of_rest(job: Job, elsewhere: Iterable[int]) -> list[Part]:
    """
    The calls in a row that names no tasks: slurmctld forgets which they were when it cancels what waits of an array.

    Args:
        elsewhere: The indices that have rows of their own.
    """
    known = set(elsewhere)
    return [
        Part(ticket, None, False)
        for first, ticket, place in job.entries
        if not known.issuperset(place.indices)
    ]


@dataclass
class Selection:
    """
    What -j and --name select; names are compared by us, as Slurm knows a merged array by one name.

    Attributes:
        targets: By ticket.
        reals: Real ids, and what is no id.
        asked: Ids for the real command: `reals`, and the jobs of the submitted tickets.
        anything: There is no -j.
        names: None for any.
    """

    targets: dict[int, list[Target]]
    reals: list[str]
    asked: list[str]
    anything: bool
    names: set[str] | None

    def has_name(self, name: str) -> bool:
        return self.names is None or name in self.names

    def names_real(self, array: str, raw: str, indices: Iterable[int | str]) -> bool:
        """Whether -j names a row by a real id."""
        return not {array, raw, *(f"{array}_{index}" for index in indices)}.isdisjoint(self.reals)

    def takes(self, shown: Part, step: str = "") -> Part | None:
        """What -j wants of a row; None for nothing."""
        if self.anything:
            return shown
        targets = [one for one in self.targets.get(shown.ticket, ()) if not one.rest or one.rest == step]
        if not targets:
            return None
        if shown.tasks is None or any(one.tasks is None for one in targets):
            return shown
        chosen = [task for task in shown.tasks if any(task in (one.tasks or ()) for one in targets)]
        return replace(shown, tasks=chosen) if chosen else None


def selection_of(tickets: Tickets, jobs: str | None, names: str | None) -> Selection:
    """
    The caller's selection.

    Args:
        jobs: The value of -j; None when it was not given.
        names: The value of --name; None when it was not given.
    """
    wanted = Selection({}, [], [], jobs is None, set(names.split(",")) if names is not None else None)
    asked: list[str] = []
    for word in split_ids(jobs or ""):
        found = target(word)
        pages = tickets.landed(found.ticket) if found else None
        if found is None or pages is None:
            wanted.reals.append(word)
            asked.append(word)
            continue
        targets = wanted.targets.setdefault(found.ticket, [])
        call = pages.call(found.ticket) if found.tasks is not None else None
        if call is not None and not call.is_array:
            continue  # a job without tasks
        targets.append(found)
        if pages.state(found.ticket) == SUBMITTED:
            asked.append(str(pages.places[found.ticket].job))
    wanted.asked = list(dict.fromkeys(asked))
    return wanted
