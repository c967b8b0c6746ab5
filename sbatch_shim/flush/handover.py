"""A call that goes to the real sbatch but waits for tickets: their producers are submitted first."""

from __future__ import annotations

import os
from collections.abc import Callable

from sbatch_shim import grammar, request
from sbatch_shim.errors import HandOver, ShimError, complain
from sbatch_shim.spool import Session, open_state, ticket_numbers, wrong_path
from sbatch_shim.state.dependency import parse, with_places
from sbatch_shim.state.journal import TicketMap


def dependency_of(words: list[bytes], script: bytes | None) -> bytes | None:
    """The dependency that sbatch would use, as far as the call can be read."""
    try:
        options, source, _ = request.read_words(words, judge=False)
        found = request.last(options, "dependency")
        if found is None and source != request.WRAP:
            found = request.last(request.from_directives(request.script_of(words, script), True), "dependency")
    except HandOver:
        return None
    return found


def with_real_ids(words: list[bytes], state: bytes, script: bytes | None) -> list[bytes]:
    """
    The words of a call with tickets in its dependency replaced by real ids.

    The sessions of those that are not submitted yet are flushed first; where all are, nothing is, and nobody is asked.

    Args:
        words: The words after `sbatch`.
        script: What was read from stdin, or None.

    Returns:
        The words unchanged when no ticket of ours is in the dependency.

    Raises:
        ShimError: a producer could not be submitted, or the state folder is not to be used; the call must not be
            submitted either, as Slurm takes an unknown id for a job that has ended.
    """
    dependency = dependency_of(words, script)
    if not dependency:
        return words
    named = ticket_numbers(dependency)
    if named and wrong_path(state):
        raise ShimError(wrong_path(state))
    tickets = TicketMap(state)
    named = [ticket for ticket in named if tickets.session(ticket) is not None]
    if not named:
        return words
    open_state(state)  # root with the HOME of a user must not submit what is queued there
    sessions = {tickets.session(ticket) for ticket in named if not is_placed(tickets, ticket)}
    if sessions:
        # Imported here, as most of the time of a call that needs no flush would go into it.
        from sbatch_shim.flush.backends.sbatch import real_sbatch

        # Read anew: another flush may have submitted them since.
        tickets = TicketMap(state)
        for name in sorted(name for name in sessions if name is not None):
            submit_now(Session(state, name), lambda: real_sbatch(os.environ.get("PATH", os.defpath)), tickets)
    real = with_places(parse(dependency), tickets.place, for_array=True)
    return with_option(words, b"--dependency=" + real.spec)


def is_placed(tickets: TicketMap, ticket: int) -> bool:
    """Whether the real job of a ticket is known."""
    try:
        tickets.place(ticket)
    except ShimError:
        return False
    return True


def submit_now(session: Session, sbatch: Callable[[], str], tickets: TicketMap | None = None) -> None:
    """
    Flush a session because somebody needs its real ids; what Slurm says goes to stderr.

    Args:
        sbatch: Finds the real sbatch where a call's own is gone.
        tickets: Learns what was submitted.

    Raises ShimError when a signal cut it short.
    """
    from sbatch_shim.flush.backends.slurm import Slurm
    from sbatch_shim.flush.flush import Flush
    from sbatch_shim.flush.patience import Stop, bystander
    from sbatch_shim.flush.wishes import Wishes

    with Stop() as stop:
        flush = Flush(session, Slurm(sbatch), Wishes(keep_arrays=True), tickets, bystander(stop))
        flush.run()
    if stop.signal:
        raise ShimError("interrupted")
    for outcome in flush.outcomes:
        if outcome.text:
            complain(outcome.text.rstrip("\n") + "\n")


def with_option(words: list[bytes], option: bytes) -> list[bytes]:
    """sbatch's words with one more option, which wins: behind the caller's own and in front of the script."""
    rest = grammar.parse(words)[1]
    at = len(words) - len(rest)
    if at and words[at - 1] == b"--":
        at -= 1
    return [*words[:at], option, *words[at:]]
