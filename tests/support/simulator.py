"""
Slurm's dependency rules, as far as they decide which task waits for what (slurmctld 22.05).

Written from what was tried on a real Slurm, and on the text that slurmctld gets, so that it shares nothing with
the planner. test_dependencies.py holds it against the real one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

# A task: the job's id and the index, None for a plain job.
Task = tuple[int, "int | None"]
# Something to wait for: what must have happened, and to which tasks (to one of them for "some failed", else to all).
Atom = tuple[str, frozenset[Task]]

WHAT = {"afterok": "succeeded", "aftercorr": "succeeded", "afterany": "ended", "after": "started"}


@dataclass
class Job:
    """One submission as slurmctld sees it; `kill` is --kill-on-invalid-dep=yes."""

    number: int
    indices: list[int] | None
    dependency: str
    kill: bool = False

    def tasks(self) -> list[Task]:
        return [(self.number, index) for index in ([None] if self.indices is None else self.indices)]


def waits(jobs: dict[int, Job], task: Task) -> tuple[bool, frozenset[Atom]]:
    """What a task waits for, and whether one of it is enough; ids that name nothing are satisfied."""
    number, index = task
    spec = jobs[number].dependency
    any_of = "?" in spec
    atoms: list[Atom] = []
    spec = re.sub(r"(\d+)_\[(\d+)-(\d+)\]", _elements, spec)
    for term in re.split(r"[,?]", spec) if spec else []:
        kind, colon, ids = term.partition(":")
        if term.lower() == "singleton":
            atoms.append(("singleton", frozenset()))
            continue
        if not colon:
            kind, ids = "afterany", term
        for one in ids.split(":"):
            atoms += _atoms(jobs, index, kind.lower(), one.partition("+")[0])
    if any_of and len(set(atoms)) > 1:
        return True, frozenset(atoms)
    single = [atom for atom in atoms if atom[0] == "some failed" or not atom[1]]
    single += [(what, frozenset([task])) for what, tasks in atoms if what != "some failed" for task in tasks]
    return False, frozenset(single)


def _elements(match: re.Match[str]) -> str:
    return ":".join(f"{match[1]}_{index}" for index in range(int(match[2]), int(match[3]) + 1))


def _atoms(jobs: dict[int, Job], index: int | None, kind: str, one: str) -> list[Atom]:
    name, underscore, element = one.partition("_")
    producer = jobs.get(int(name))
    if producer is None:
        return []
    tasks = producer.tasks()
    if kind == "aftercorr" and index is not None and (producer.number, index) in tasks:
        tasks = [(producer.number, index)]
    elif underscore and element != "*":
        tasks = [task for task in tasks if task[1] == int(element)]
    if kind == "afternotok":
        return [("some failed", frozenset(tasks))] if tasks else []
    return [(WHAT[kind], frozenset(tasks))] if tasks else []


def outcomes(jobs: list[Job], failing: set[Task], cancelled: Collection[Task] = ()) -> dict[Task, str]:
    """
    How each task ends: COMPLETED, FAILED, CANCELLED (by --kill-on-invalid-dep) or PENDING for ever.

    Args:
        jobs: In the order of submission, so that producers come first.
        failing: The tasks that fail if they run.
        cancelled: Those that are cancelled before they run.
    """
    known = {job.number: job for job in jobs}
    ended: dict[Task, str] = {}
    for job in jobs:
        for task in job.tasks():
            if task in cancelled:
                ended[task] = "CANCELLED"
                continue
            any_of, atoms = waits(known, task)
            answers = [_met(atom, ended) for atom in atoms]
            if not atoms or (any(one is True for one in answers) if any_of else all(one is True for one in answers)):
                ended[task] = "FAILED" if task in failing else "COMPLETED"
            elif (all if any_of else any)(one is False for one in answers) and job.kill:
                ended[task] = "CANCELLED"
            else:
                ended[task] = "PENDING"
    return ended


def _met(atom: Atom, ended: dict[Task, str]) -> bool | None:
    """Whether a condition is met in the end: False for never, None where nobody will know."""
    what, tasks = atom
    states = [ended[task] for task in tasks]
    if what == "singleton":
        return True
    if "PENDING" in states:
        # Slurm judges a whole array when all of it has ended.
        return False if what == "succeeded" and {"FAILED", "CANCELLED"} & set(states) else None
    if what == "succeeded":
        return set(states) == {"COMPLETED"}
    if what == "some failed":
        return bool(set(states) & {"FAILED", "CANCELLED"})
    return True
