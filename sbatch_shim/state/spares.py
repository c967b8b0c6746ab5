"""
Arrays that have a spare (merge/submission.spare_of), found by their ids, which sarray-flush prints.

Slurm takes an array's id for all of its elements, and the spare was cancelled: what waits for that id by afterok would
wait for ever. So where the shims meet it in a dependency, they name the elements that are calls'. In the state folder
`spares/ID` is a link to the name of the session.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from sbatch_shim.errors import ShimError
from sbatch_shim.spool import Session, make_folder
from sbatch_shim.state.dependency import MOST_ELEMENTS, Condition, Dependency
from sbatch_shim.state.journal import Origin, TicketMap
from sbatch_shim.state.plain import replace

# Where the links are.
LINKS = b"spares"


def note(session: Session, job: int) -> None:
    """Note an array whose spare is about to be cancelled."""
    make_folder(session.state + b"/" + LINKS)
    session.link(LINKS, job)


def by_elements(waits: Dependency, tickets: TicketMap, is_here: Callable[[Origin], bool]) -> Dependency | None:
    """
    A dependency with elements in place of the ids of arrays that have a spare; None where it names none.

    Args:
        tickets: Where calls run.
        is_here: Whether a submission went to the cluster that is asked.

    Raises ShimError for what Slurm cannot be told by elements.
    """
    found: list[Condition] = []
    any_of = waits.any_of
    for condition in waits.conditions:
        elements = []
        if condition.kind in ("afterok", "afternotok") and condition.element is None and not condition.on_ticket:
            elements = elements_of(condition.job, tickets, is_here)
        if not elements:
            found.append(condition)
            continue
        if condition.kind == "afterok":
            sayable = not waits.any_of  # that all have succeeded is no single alternative
        else:
            sayable = any_of = waits.any_of or len(waits.conditions) == 1  # one that has failed is enough
        if not sayable or len(elements) > MOST_ELEMENTS:
            raise ShimError(
                f"{condition.kind} on the array {condition.job}: Slurm cannot be told to wait for its calls in this "
                "way; wait for it by afterany, or name tickets"
            )
        found += [replace(condition, element=element) for element in elements]
    if found == list(waits.conditions):
        return None
    return Dependency(tuple(dict.fromkeys(found)), any_of)


def elements_of(job: int, tickets: TicketMap, is_here: Callable[[Origin], bool]) -> list[int]:
    """The elements that are calls' of an array with a spare; none of another job."""
    try:
        name = os.readlink(tickets.state + b"/%s/%d" % (LINKS, job))
    except OSError:
        return []
    places = tickets.places_of(job, name, is_here)
    return sorted(index for place in places if place.spare for index in place.indices)
