"""
What a job waits for: `--dependency` taken apart and written again.

The grammar is that of slurmctld 22.05 (`update_job_dependency`), tried there: an id without a type in front of
it means afterany; one `?` anywhere makes all conditions alternatives; in `after:A+10:B` both are delayed;
`N_[1-9:2]` is `N_1` only.
"""

from __future__ import annotations

from sbatch_shim.errors import BadDependency, ShimError
from sbatch_shim.spool import FIRST_TICKET, LAST_TICKET
from sbatch_shim.state.journal import Place
from sbatch_shim.state.lazy import pattern, re
from sbatch_shim.state.plain import dataclass, replace
from sbatch_shim.values import indices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


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
    def number(self) -> bytes:
        """The id, as Slurm reads it; empty for singleton."""
        number = b""
        if self.job:
            number = b"%d" % self.job
        if self.element is not None:
            number += b"_%d" % self.element
        return number + (b"+%d" % self.delay if self.delay else b"")

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

    def __bool__(self) -> bool:
        return bool(self.conditions)

    @property
    def spec(self) -> bytes:
        """As --dependency takes it: neighbours of one type in one term; with `?` each is an alternative of its own."""
        words: list[bytes] = []
        last = ""
        for condition in self.conditions:
            number = condition.number
            if condition.kind == last and number and not self.any_of:
                words[-1] += b":" + number
            else:
                words.append(condition.kind.encode() + (b":" + number if number else b""))
            last = condition.kind
        return (b"?" if self.any_of else b",").join(words)


# An id with several of its elements.
BRACKETS = pattern(rb"([0-9]+)_\[([0-9,-]+)(:[0-9]+)?\]")


def parse(spec: bytes | None) -> Dependency:
    """Take a dependency apart; BadDependency when it is none."""
    if not spec:
        return Dependency()
    try:
        return taken_apart(spec)
    except ValueError as error:
        raise BadDependency(f"{spec.decode(errors='surrogateescape')!r} is no dependency: {error}") from None


def taken_apart(spec: bytes) -> Dependency:
    """What parse does; ValueError, also of int and decode, where a part is not what Slurm takes there."""
    if b"[" in spec:
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


def with_places(
    waits: Dependency, place_of: Callable[[int], Place], *, for_array: bool, may_be_cancelled: bool = True
) -> Dependency:
    """
    The dependency as Slurm must be told, every ticket replaced by the real ids of its tasks.

    Args:
        for_array: What waits is an array, whose aftercorr looks at its own indices.
        may_be_cancelled: Slurm cancels what waits as soon as its dependency cannot be met any more.

    Raises:
        ShimError: a ticket whose tasks share an array with others, in a way that Slurm cannot express.
    """
    found: list[Real] = []
    for condition in waits.conditions:
        if condition.kind == "aftercorr" and not for_array:
            condition = replace(condition, kind="afterok")  # all that a job without an index can mean by it (tried)
        if condition.on_ticket:
            found += placed(condition, place_of(condition.job), any_of=waits.any_of)
        else:
            found.append(Real(condition))
    if waits.any_of:
        conditions = [one.condition for one in found]
    else:
        conditions = fold(found, may_be_cancelled=may_be_cancelled)
    return Dependency(tuple(dict.fromkeys(conditions)), waits.any_of)


@dataclass(frozen=True)
class Real:
    """
    A condition by real ids.

    Attributes:
        place: Of the call whose element it names; None where it names a whole job, or an element that nobody has.
    """

    condition: Condition
    place: Place | None = None


def placed(condition: Condition, place: Place, *, any_of: bool) -> list[Real]:
    """
    A condition on a ticket as conditions on the jobs that it became.

    Args:
        any_of: It is one of several alternatives.
    """
    one_task = place.spec is None or condition.element is not None
    if condition.kind == "aftercorr" and one_task and not place.whole:
        condition = replace(condition, kind="afterok")  # said of a shared array, it would look at the others too
    here = replace(condition, job=place.job)
    if condition.element is not None:
        element = replace(here, element=place.element_index(condition.element))
        return [Real(element, place if condition.element in place.local_ids else None)]
    if place.whole and (condition.kind != "aftercorr" or place.first is None):
        return [Real(here)]
    if one_task or (condition.kind in BY_ELEMENT and not any_of):
        return [Real(replace(here, element=index), place) for index in place.indices]
    raise ShimError(
        f"{condition.kind} on {condition.job}: that call was merged with others, so Slurm cannot be told to wait for "
        "it in this way; submit this call with SARRAY_MODE=pass"
    )


def fold(found: list[Real], *, may_be_cancelled: bool) -> list[Condition]:
    """
    An array's id in place of all its elements, where that means the same.

    Slurm judges an array when all of it has ended, so a failed element would cancel too late what waits with afterok.
    One that was cancelled, as a spare is, has failed; `after` and `afterany` are met by it (tried on 22.05).
    """
    by_element = may_be_cancelled and len(found) <= MOST_ELEMENTS
    elements: dict[tuple[str, int], set[int | None]] = {}
    for one in found:
        condition = one.condition
        if one.place is None or condition.delay:
            continue
        judged = condition.kind == "afterok" and (by_element or one.place.spare)
        if condition.kind in BY_ELEMENT and not judged:
            elements.setdefault((condition.kind, condition.job), set()).add(condition.element)
    folded = []
    for one in found:
        condition = one.condition
        named = elements.get((condition.kind, condition.job), ())
        whole = one.place is not None and not condition.delay and len(named) == one.place.tasks
        folded.append(replace(condition, element=None) if whole else condition)
    return folded
