"""A call that goes to the real sbatch but waits for tickets: their producers are submitted first."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Protocol

from sbatch_shim import clustername, grammar, request
from sbatch_shim.errors import BadDependency, HandOver, ShimError, complain
from sbatch_shim.spool import Session, dropped, open_state, session_of, ticket_numbers, wrong_path
from sbatch_shim.state.calls import look
from sbatch_shim.state.dependency import Dependency, parse, with_places
from sbatch_shim.state.dropped import without_met
from sbatch_shim.state.journal import Origin, Place, TicketMap
from sbatch_shim.state.pools import is_given_out
from sbatch_shim.state.spares import by_elements


class Surroundings(Protocol):
    """What a dependency is written for: the job and the cluster around a call."""

    def __call__(self, waits: Dependency) -> Dependency | None:
        """All conditions, those on the job around the call by its element; None where none names it."""

    def is_here(self, origin: Origin) -> bool:
        """Whether a submission went to the cluster that takes the call."""


class OutsideJobs:
    """
    The surroundings of a call that is made outside of jobs, known without asking Slurm where slurm.conf tells.

    Args:
        real: Path of the real sbatch.
        entries: The call's environment.
    """

    def __init__(self, real: bytes, entries: list[bytes]) -> None:
        self.real = real
        self.entries = entries

    def __call__(self, waits: Dependency) -> Dependency | None:
        return None

    def is_here(self, origin: Origin) -> bool:
        environment = dict(entry.partition(b"=")[::2] for entry in self.entries)
        name = clustername.here(environment, self.real)
        if origin.is_of([name] if name else []):
            return True
        # Imported here, as most calls are spared what that imports.
        from sbatch_shim.companions.waits import OwnConditions

        return OwnConditions(self.real, self.entries).is_here(origin)


def with_real_ids(words: list[bytes], state: bytes, script: bytes | None, own: Surroundings) -> list[bytes]:
    """
    The words of a call with the dependency that Slurm must be told.

    What tickets that are not submitted yet have to do with is submitted first; where all are, nobody is asked.

    Args:
        words: The words after `sbatch`.
        script: What was read from stdin, or None.
        own: Tells what becomes of conditions on the job that the call is made in, and of jobs elsewhere.

    Returns:
        The words unchanged where the dependency means the same to Slurm.

    Raises:
        BadDependency: there are tickets in what is no dependency.
        ShimError: a producer could not be submitted, or the state folder is not to be used; the call must not be
            submitted either, as Slurm takes an unknown id for a job that has ended.
    """
    dependency = request.dependency_of(words, script)
    if not dependency:
        return words
    real = real_dependency(dependency, state, own, for_array=True)
    if real is None:
        return words
    return with_option(words, b"--dependency=" + real.spec)


def real_dependency(spec: bytes, state: bytes, own: Surroundings, *, for_array: bool) -> Dependency | None:
    """
    A dependency as Slurm must be told, its producers submitted; None where it may stay as it is.

    Args:
        for_array: What waits may be an array.

    Raises as with_real_ids does.
    """
    if ticket_numbers(spec) and wrong_path(state):
        raise ShimError(wrong_path(state))
    tickets = TicketMap(state)
    named = [ticket for ticket in ticket_numbers(spec) if tickets.session(ticket) is not None]
    try:
        left = without_met(spec, lambda ticket: dropped(state, ticket)) or b""
        waits = parse(left)
    except BadDependency:
        if named:
            raise
        return None  # Slurm has words of its own for it
    found = own(waits)
    found = by_elements(found or waits, tickets, own.is_here) or found
    named = [ticket for ticket in named if ticket in waits.tickets]
    if not named and found is None:
        return waits if left != spec else None
    if named:
        alone = all(one.kind != "singleton" for one in waits.conditions)
        tickets = submitted(named, tickets, state, frozenset(named) if alone else None)

    def place(ticket: int) -> Place:
        # A number like a ticket's that nobody was told stays, for Slurm to judge.
        if named:
            return tickets.placer(own.is_here)(ticket)
        return Place(ticket, None, None, whole=True, tasks=1, end=1)

    return with_places(found or waits, place, for_array=for_array)


def submitted(named: list[int], tickets: TicketMap, state: bytes, only: frozenset[int] | None) -> TicketMap:
    """
    Where tickets run, after submitting those that are not yet, with all that has to do with them.

    Args:
        only: Them; None for all of their sessions, as what waits for a job name may have to do with each call.
    """
    open_state(state)  # root with the HOME of a user must not submit what is queued there
    sessions = {tickets.session(ticket) for ticket in named if not is_placed(tickets, ticket)}
    if not sessions:
        return tickets
    # Imported here, as most of the time of a call that needs no flush would go into it.
    from sbatch_shim.flush.backends.sbatch import real_sbatch

    # Read anew: another flush may have submitted them since.
    tickets = TicketMap(state)
    for name in sorted(name for name in sessions if name is not None):
        session = Session(state, name)
        submit_now(session, lambda: real_sbatch(os.environ.get("PATH", os.defpath)), tickets, only)
    return tickets


def release_awaited(spec: bytes, state: bytes) -> None:
    """
    Flush the sessions of calls that have real ids and wait for that, where something is about to wait for them.

    Args:
        spec: What names them, a dependency or a list of ids.

    Raises as submit_now does.
    """
    from sbatch_shim.flush.backends.sbatch import real_sbatch

    named = {int(number) for number in re.findall(rb"\d+", spec)}
    sessions = {session_of(state, number) for number in named if is_given_out(number)}
    for name in sorted(name for name in sessions if name is not None):
        session = Session(state, name)
        if any(call.ticket in named for call in look(session)[0]):
            submit_now(session, lambda: real_sbatch(os.environ.get("PATH", os.defpath)))


def submit_namesakes(session: Session, name: bytes | None, *, in_person: bool) -> None:
    """
    See that a singleton which is about to be submitted waits for all older calls of its name in its session.

    Those with tickets are submitted, and the held jobs of those with real ids get their calls' names.

    Args:
        name: The singleton's; None where that is not known, for all calls.
        in_person: Its caller waits for it, and flushes nothing meanwhile: so held jobs are released too, with all else
            in the session.

    Raises as submit_now does.
    """
    from sbatch_shim.flush.backends.sbatch import real_sbatch
    from sbatch_shim.flush.release import Namesakes, name_elements
    from sbatch_shim.state.locks import exclusive

    older = [call for call in look(session)[0] if name is None or os.fsencode(call.shown_name) == name]
    tickets = frozenset(call.ticket for call in older if not is_given_out(call.ticket))

    def sbatch() -> str:
        return real_sbatch(os.environ.get("PATH", os.defpath))

    if tickets:
        submit_now(session, sbatch, only=tickets, keep_names=True)
    given = [call for call in older if is_given_out(call.ticket)]
    if given:
        with exclusive(session.folder + b"/pools/lock", who="an sbatch of this session that asks Slurm for ids"):
            for sentence in name_elements(session, Namesakes(given, []), lambda recorded: recorded):
                complain(f"sbatch: {sentence}\n")
        if in_person:
            submit_now(session, sbatch, keep_names=True)


def is_placed(tickets: TicketMap, ticket: int) -> bool:
    """Whether the real job of a ticket is known."""
    try:
        tickets.place(ticket)
    except ShimError:
        return False
    return True


def submit_now(
    session: Session,
    sbatch: Callable[[], str],
    tickets: TicketMap | None = None,
    only: frozenset[int] | None = None,
    *,
    keep_names: bool = False,
) -> None:
    """
    Flush a session because somebody needs its real ids; what Slurm says goes to stderr.

    Args:
        sbatch: Finds the real sbatch where a call's own is gone.
        tickets: Learns what was submitted.
        only, keep_names: See Wishes.

    Raises ShimError when a signal cut it short.
    """
    from sbatch_shim.flush.backends.slurm import Slurm
    from sbatch_shim.flush.flush import Flush
    from sbatch_shim.flush.patience import Stop, bystander
    from sbatch_shim.flush.wishes import Wishes

    with Stop() as stop:
        wishes = Wishes(keep_arrays=True, only=only, keep_names=keep_names)
        flush = Flush(session, Slurm(sbatch, brief=True), wishes, tickets, bystander(stop))
        flush.run()
    if stop.signal:
        raise ShimError("interrupted")
    for outcome in flush.result.outcomes:
        if outcome.text:
            complain(outcome.text.rstrip("\n") + "\n")


def with_option(words: list[bytes], option: bytes) -> list[bytes]:
    """
    sbatch's words with one more option, which wins: behind the caller's own and in front of the script.

    Where they cannot all be read, a dependency takes the place of the one that stands there.
    """
    try:
        rest = grammar.parse(words)[1]
    except HandOver:
        place = request.dependency_place(words)
        if place is None:
            raise
        at, offset = place
        return [*words[:at], words[at][:offset] + option.partition(b"=")[2], *words[at + 1 :]]
    at = len(words) - len(rest)
    if at and words[at - 1] == b"--":
        at -= 1
    return [*words[:at], option, *words[at:]]
