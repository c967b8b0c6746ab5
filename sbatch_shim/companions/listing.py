"""
The one algorithm of all listings: squeue's rows, steps and documents, sacct's and scontrol's.

What the real command has printed is gone through entry by entry. An entry of somebody else's job is shown as it is, if
it is wanted; one of a merged job becomes an entry for each call in it that is wanted. What Slurm does not know yet is
added. A form of output says what its entries are and how they are written; a selection says what is wanted.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator
    from typing import Protocol, TypeVar

    from sbatch_shim.companions.context import Context
    from sbatch_shim.companions.parts import Part
    from sbatch_shim.companions.unsubmitted import Unsubmitted
    from sbatch_shim.state.calls import Call
    from sbatch_shim.state.tickets import SessionTickets

    E = TypeVar("E", contravariant=True)
    S = TypeVar("S")

    class Form(Protocol[E, S]):
        """A form of output: `E` is what the real command has printed of a job, `S` is what is shown."""

        def parts(self, entry: E) -> list[Part] | None:
            """
            The calls that an entry tells of; None where it is of a job that is none of ours.

            An element of a merged array may be nobody's (Submission.spare), and is not shown.
            """

        def others(self, entry: E) -> list[S]:
            """What is shown of somebody else's job."""

        def ours(self, entry: E, part: Part) -> list[S]:
            """What is shown of a call in an entry; nothing where it is not wanted."""


def translated(
    form: Form[E, S],
    entries: Iterable[E],
    seen: set[int],
    sort: Callable[[list[tuple[Part, S]]], None] = lambda ours: None,
) -> list[S]:
    """
    What is shown of what the real command has printed.

    Args:
        seen: Takes the tickets of all calls that were met, wanted or not.
        sort: Puts what is shown of calls in order; it then takes the places where that of any call stood.
    """
    out: list[S] = []
    ours: list[tuple[Part, S]] = []
    places: list[int] = []
    for entry in entries:
        parts = form.parts(entry)
        if parts is None:
            out += form.others(entry)
            continue
        for part in parts:
            seen.add(part.ticket)
            for shown in form.ours(entry, part):
                places.append(len(out))
                ours.append((part, shown))
                out.append(shown)
    sort(ours)
    for at, (_, shown) in zip(places, ours):
        out[at] = shown
    return out


def with_states(waiting: Iterable[tuple[int, SessionTickets]]) -> Iterator[tuple[int, SessionTickets, str]]:
    """Calls that are not submitted, each with its state."""
    return ((ticket, held, held.state(ticket) or "") for ticket, held in waiting)


def unsubmitted(
    context: Context,
    waiting: Iterable[tuple[int, SessionTickets, str]],
    wanted: Callable[[Call, str], list[Part]],
    seen: Container[int] = (),
) -> Iterator[tuple[Part, Unsubmitted]]:
    """
    What is shown of the calls that no flush has submitted, each part with its values.

    Args:
        waiting: Their tickets, and the state that each is in.
        wanted: The parts of a call, in its state, that the caller wants.
        seen: Tickets that the real command has told of meanwhile.
    """
    from sbatch_shim.companions.unsubmitted import Unsubmitted

    for ticket, held, state in waiting:
        if ticket in seen:
            continue
        call = held.call(ticket)
        if call is None:
            continue
        parts = wanted(call, state)
        if parts:
            values = Unsubmitted(context, call, state)
            for part in parts:
                yield part, values
