"""The calls of a flush that have real ids: their pools are closed, then let go, and the rest of them is cancelled."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable

from sbatch_shim.errors import NeverMet, Refused, ShimError
from sbatch_shim.flush.backends.controller import Controller
from sbatch_shim.flush.backends.sbatch import may_pass
from sbatch_shim.flush.changes import changes_of
from sbatch_shim.flush.release import (
    Release,
    cancel_rest,
    close_all,
    controller_of,
    members_of,
    name_elements,
    namesakes_in,
    was_never_asked_for,
)
from sbatch_shim.flush.result import Outcome
from sbatch_shim.flush.wishes import apply_overrides
from sbatch_shim.flush.work import LEFT_BEHIND, REFUSED_BEHIND, Work
from sbatch_shim.merge.graph import with_real_ids
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.submission import dependency
from sbatch_shim.state.calls import Call
from sbatch_shim.state.events import Submitted
from sbatch_shim.state.journal import Journal
from sbatch_shim.state.locks import exclusive
from sbatch_shim.state.pools import pool_in, unfinished, waits_file


class Reserved:
    """
    The calls of one flush that have real ids.

    Attributes:
        calls: Themselves, once the queue was claimed.
        closed: The folders of the pools of which nobody takes an id any more, and something may wait in Slurm.
        changes: What Slurm is told of all jobs that are released.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.calls: list[Call] = []
        self.closed: list[bytes] = []
        self.changes: list[bytes] = []

    def claim_all(self, claim: Callable[[], bytes | None]) -> bytes | None:
        """Claim, and close the pools first: so whoever took an id of one is among the claimed."""
        folder = self.work.session.folder + b"/pools"
        if self.work.wishes.only is not None or not os.path.isdir(folder):
            return claim()
        with exclusive(folder + b"/lock", self.work.patience, who="an sbatch of this session that asks Slurm for ids"):
            close_all(self.work.session)
            self.closed = unfinished(self.work.session)
            return claim()

    def homes(self) -> tuple[list[bytes], list[bytes]]:
        """The folders of the closed pools: those that can be let go at once, and those behind calls with tickets."""
        if not self.may_release():
            return [], []
        waits = "dependency" in self.work.wishes.overrides
        behind = [home for home in self.closed if waits or os.path.exists(waits_file(home))]
        return [home for home in self.closed if home not in behind], behind

    def may_release(self) -> bool:
        """Whether these calls can be released, else they are kept; ShimError for a wish that could not be fulfilled."""
        if self.work.wishes.only is not None:
            # Who needs real ids of others has those of these.
            self.work.keep(call.ticket for call in self.calls)
            return False
        if self.calls:
            self.changes = changes_of(self.work.wishes)
        for call in self.calls:
            apply_overrides(call, self.work.wishes.overrides)
        if self.work.backend.placing_event is Submitted:
            return True
        if self.calls:
            verb, whom = ("waits", "it") if len(self.calls) == 1 else ("wait", "them")
            self.work.result.problems.append(
                f"{with_real_ids(len(self.calls))} {verb} in Slurm and cannot run here: sarray-flush without --local "
                f"releases {whom}; queue with SARRAY_IDS=ticket for --local"
            )
            self.work.keep(call.ticket for call in self.calls)
            self.work.left_behind.update((call.ticket, LEFT_BEHIND) for call in self.calls)
        return False

    def name_for(self, calls: list[Call]) -> None:
        """Let singletons among the calls with tickets wait for those with real ids that came before."""
        namesakes = namesakes_in(self.work.session, calls, self.calls)
        self.work.result.notes += name_elements(self.work.session, namesakes, self.work.backend.usable)

    def release_all(self, folder: bytes, homes: list[bytes], number: int = 0) -> int:
        """
        Let the calls start that have real ids, and cancel what was not taken of their pools.

        Args:
            homes: The folders of the pools that are looked at.
            number: Of the last array of this flush before them.

        Returns:
            The number of the last array of this flush.
        """
        pools = [(home, pool_in(home)) for home in homes if not was_never_asked_for(home)]
        taken = {home: [] if pool is None else members_of(pool, self.calls) for home, pool in pools}
        here = [call for calls in taken.values() for call, _ in calls]
        limits, silent = self.work.reachable(here) if here else (Limits(), set())
        self.work.keep(silent)
        known: dict[Hashable, Controller] = {}
        for home, pool in pools:
            calls = [(call, element) for call, element in taken[home] if call.ticket not in silent]
            try:
                controller = controller_of(home, self.work.backend.usable, known)
                if pool is not None and calls:
                    number += 1
                    self.release(Journal(folder), number, Release(pool, calls, limits), controller)
                kept = any(call.ticket in self.work.result.kept for call, _ in taken[home])
                trouble = cancel_rest(self.work.session, home, controller, self.work.patience, is_needed=kept)
                if trouble:
                    self.work.result.notes.append(
                        f"what nobody took of the pool {os.fsdecode(home)} still waits: {trouble}"
                    )
            except ShimError as error:
                self.work.result.problems.append(f"the pool {os.fsdecode(home)}: {error}")
                self.work.keep(call.ticket for call, _ in calls)
        return number

    def release(self, journal: Journal, number: int, release: Release, controller: Controller) -> None:
        """Release the calls of one pool."""
        array, script = release.array, release.pool.script
        tickets = [call.ticket for call in array.calls]
        changes = self.changes
        if release.pool.waits_for_tickets or "dependency" in self.work.wishes.overrides:
            outcome, more = self.waits_of(release)
            changes = [*changes, *more]
            if outcome is not None:
                self.work.result.outcomes.append(outcome)
                if outcome.final and self.work.wishes.final:
                    controller.cancel(str(release.pool.job))
                    self.work.give_up(journal, number, tickets, outcome.text)
                else:
                    self.work.result.kept += tickets
                return
        release.prepare()
        event, trouble = release.submit(journal, number, controller, changes)
        while trouble and (may_pass(trouble) or not changes) and self.work.patience.again(trouble):
            event, trouble = release.submit(journal, number, controller, changes)
        if event is None:
            self.work.result.kept += tickets
            self.work.result.outcomes.append(Outcome(array, script, None, trouble))
            return
        self.work.patience.refill()
        self.work.tickets.learn(event, os.path.dirname(journal.path), release.submitting(number))
        self.work.result.outcomes.append(Outcome(array, script, release.pool.job))

    def waits_of(self, release: Release) -> tuple[Outcome | None, list[bytes]]:
        """
        What Slurm is to be told of the tickets that a call with a real id waits for.

        Returns:
            The outcome where it cannot be told; and how it is told.
        """
        array, script = release.array, release.pool.script
        stopped = next((self.work.left_behind[one] for one in array.producers if one in self.work.left_behind), "")
        if stopped:
            return Outcome(array, script, None, stopped, final=stopped == REFUSED_BEHIND), []
        try:
            waits = dependency(array, release.limits, self.work.placer(array.calls[0]))
        except ShimError as error:
            final, hopeless = isinstance(error, Refused), isinstance(error, NeverMet)
            return Outcome(array, script, None, f"not released: {error}", final=final, hopeless=hopeless), []
        return None, [b"Dependency=" + waits.spec] if waits else []

    def keep_lost(self, folder: bytes) -> None:
        """Say of which calls with real ids the pool cannot be found; they stay queued."""
        settled = Journal(folder).history().settled if self.calls else set()
        for call in self.calls:
            if call.ticket not in settled and call.ticket not in self.work.result.kept:
                self.work.result.kept.append(call.ticket)
                self.work.result.problems.append(f"{call.ticket}: its pool is gone, so it cannot be released")
