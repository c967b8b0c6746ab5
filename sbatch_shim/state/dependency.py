"""
What a job waits for: `--dependency` taken apart and written again.

The grammar is that of slurmctld 22.05 (`update_job_dependency`), tried there: an id without a type in front of
it means afterany; one `?` anywhere makes all conditions alternatives; in `after:A+10:B` both are delayed;
`N_[1-9:2]` is `N_1` only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sbatch_shim.errors import ShimError
from sbatch_shim.spool import FIRST_TICKET, LAST_TICKET
from sbatch_shim.state.journal import Place
from sbatch_shim.values import indices

# Types of which Slurm understands an array's id as all of its elements, each by itself.
BY_ELEMENT = ("after", "afterok", "afterany")
# The most elements that one dependency can name: 131,071 bytes, 12 for each.
MOST_ELEMENTS = 10000


@dataclass(frozen=True)
class Condition:
    """
    One thing to wait for.

    Attributes:
        kind: The type, in lower case.
        job: A ticket or a real id; 0 for singleton.
        element: The array task meant; None for the whole job.
        delay: Minutes, for `after`.
    """

    kind: str
    job: int = 0
    element: int | None = None
    delay: int = 0

    @property
    def as_slurm_reads(self) -> tuple[str, bytes]:
        """Type and id, as Slurm reads them."""
        number = b"%d" % self.job if self.job else b""
        if self.element is not None:
            number += b"_%d" % self.element
        return self.kind, number + (b"+%d" % self.delay if self.delay else b"")

    @property
    def on_ticket(self) -> bool:
        """Whether the number can only be a ticket."""
        return FIRST_TICKET <= self.job <= LAST_TICKET


@dataclass(frozen=True)
class Dependency:
    """All conditions, each once and in the order given; `any_of`: one of them is enough."""

    conditions: tuple[Condition, ...] = ()
    any_of: bool = False

    @property
    def tickets(self) -> list[int]:
        """The tickets named, each once."""
        return list(dict.fromkeys(condition.job for condition in self.conditions if condition.on_ticket))


# An id with several of its elements.
BRACKETS = re.compile(rb"([0-9]+)_\[([0-9,-]+)(:[0-9]+)?\]")


def parse(spec: bytes | None) -> Dependency:
    """Take a dependency apart; ValueError when it is none."""
    if not spec:
        return Dependency()
    spec = BRACKETS.sub(elements_of_brackets, spec)
    any_of = b"?" in spec
    conditions = []
    for term in spec.split(b"?" if any_of else b","):
        kind, colon, ids = term.partition(b":")
        if kind.lower() == b"singleton" and not colon:
            conditions.append(Condition("singleton"))
            continue
        if not colon:
            if b"+" in term:
                raise ValueError("a delay without a type")
            kind, ids = b"afterany", term
        delay = 0
        for one in ids.split(b":"):
            number, plus, minutes = one.partition(b"+")
            if plus:
                delay = int(minutes)
                if delay < 1:
                    raise ValueError("a delay of nothing")
            job, underscore, task = number.partition(b"_")
            element = None if not underscore or task == b"*" else int(task)
            name = kind.decode().lower()
            conditions.append(Condition(name, int(job), element, delay if name == "after" else 0))
    found = tuple(dict.fromkeys(conditions))
    return Dependency(found, any_of and len(found) > 1)


def elements_of_brackets(found: re.Match[bytes]) -> bytes:
    """`N_[1-3]` as `N_1:N_2:N_3`."""
    ids = indices(found.group(2))[0]
    if found.group(3):
        ids = ids[:1]
    return b":".join(b"%s_%d" % (found.group(1), one) for one in ids)


def write(terms: list[tuple[str, bytes]], any_of: bool) -> bytes:
    """Types with ids as one spec, neighbours of one type in one term; with `?` each is an alternative of its own."""
    words: list[bytes] = []
    last = ""
    for kind, number in terms:
        if kind == last and not any_of:
            words[-1] += b":" + number
        else:
            words.append(kind.encode() + b":" + number if number else kind.encode())
        last = kind
    return (b"?" if any_of else b",").join(words)


def with_places(
    waits: Dependency, place_of: Callable[[int], Place], for_array: bool, may_be_cancelled: bool = True
) -> bytes:
    """
    The dependency as Slurm must be told, every ticket replaced by the real ids of its tasks.

    Args:
        for_array: What waits is an array, whose aftercorr looks at its own indices.
        may_be_cancelled: Slurm cancels what waits as soon as its dependency cannot be met any more.

    Raises:
        ShimError: a ticket whose tasks share an array with others, in a way that Slurm cannot express.
    """
    found: list[tuple[str, bytes, Place | None]] = []  # type, id, and the array that it is one element of
    for condition in waits.conditions:
        kind = condition.kind
        if kind == "aftercorr" and not for_array:
            kind = "afterok"  # all that a job without an index can mean by it (tried)
        delay = b"+%d" % condition.delay if condition.delay else b""
        if not condition.on_ticket:
            found.append((kind, condition.as_slurm_reads[1], None))
            continue
        place = place_of(condition.job)
        one_task = place.spec is None or condition.element is not None
        if kind == "aftercorr" and one_task and not place.whole:
            kind = "afterok"  # said of a shared array, it would look at the others too
        if condition.element is not None:
            exists = condition.element in place.local_ids
            found.append((kind, place.element(condition.element).encode() + delay, place if exists else None))
        elif place.whole and (kind != "aftercorr" or place.first is None):
            found.append((kind, b"%d" % place.job + delay, None))
        elif one_task or (kind in BY_ELEMENT and not waits.any_of):
            found += [(kind, element.encode() + delay, place) for element in place.elements()]
        else:
            raise ShimError(
                f"{kind} on {condition.job}: that call was merged with others, so Slurm cannot be told to wait for "
                "it in this way; submit this call with SARRAY_MODE=pass"
            )
    terms = [(kind, number) for kind, number, _ in found] if waits.any_of else fold(found, may_be_cancelled)
    return write(list(dict.fromkeys(terms)), waits.any_of)


def fold(found: list[tuple[str, bytes, Place | None]], may_be_cancelled: bool) -> list[tuple[str, bytes]]:
    """
    An array's id in place of all its elements, where that means the same.

    Slurm judges an array when all of it has ended, so a failed element would cancel too late what waits with afterok.
    """
    kinds: tuple[str, ...] = BY_ELEMENT
    if may_be_cancelled and len(found) <= MOST_ELEMENTS:
        kinds = ("after", "afterany")
    elements: dict[tuple[str, int], set[bytes]] = {}
    for kind, number, place in found:
        if place is not None and kind in kinds and b"+" not in number:
            elements.setdefault((kind, place.job), set()).add(number)
    folded = []
    for kind, number, place in found:
        whole = place is not None and len(elements.get((kind, place.job), ())) == place.tasks
        folded.append((kind, b"%d" % place.job if whole and place is not None else number))
    return folded
