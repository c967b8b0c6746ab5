"""What the parts of one flush share: whose calls it submits and to what, and what it has done so far."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from sbatch_shim.errors import ShimError
from sbatch_shim.flush.backends import Backend
from sbatch_shim.flush.backends.controller import NoAnswer
from sbatch_shim.flush.backends.recovery import Fate
from sbatch_shim.flush.backends.sbatch import may_pass
from sbatch_shim.flush.patience import Patience
from sbatch_shim.flush.result import FlushResult
from sbatch_shim.flush.wishes import Wishes
from sbatch_shim.merge.graph import counted
from sbatch_shim.merge.limits import Limits
from sbatch_shim.spool import Session
from sbatch_shim.state import spares
from sbatch_shim.state.calls import Call
from sbatch_shim.state.events import Failed, Seen, Submitting
from sbatch_shim.state.faults import in_words, report
from sbatch_shim.state.journal import Journal, Place, TicketMap, last_words

NO_ROOM = "no room for it at present"
LEFT_BEHIND = "it waits for a call that was not submitted"
REFUSED_BEHIND = "it waits for a call that Slurm has refused"
ELSEWHERE = "it waits for a call that was made for another cluster"


def by_controller(backend: Backend, calls: list[Call]) -> list[list[Call]]:
    """The calls, those for one controller together."""
    groups: dict[Hashable, list[Call]] = {}
    for call in calls:
        groups.setdefault(backend.controller(call), []).append(call)
    return list(groups.values())


@dataclass
class Work:
    """
    What the parts of one flush of one session share.

    Attributes:
        within: The sessions of the flushes that this one is a part of.
        hurried: It is a part of a keeper's.
        result: What it has done so far.
        left_behind: The tickets that cannot be waited for, and why.
        told: The limits that controllers have told.
        faults: The sentences for faults of ours, each reported once, by what went wrong.
    """

    session: Session
    backend: Backend
    wishes: Wishes
    tickets: TicketMap
    patience: Patience
    within: frozenset[bytes] = frozenset()
    hurried: bool = False
    result: FlushResult = field(default_factory=FlushResult)
    left_behind: dict[int, str] = field(default_factory=dict)
    told: dict[Hashable, Limits] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def keep(self, tickets: Iterable[int]) -> None:
        """Note that calls stay queued, each once."""
        self.result.kept += [ticket for ticket in tickets if ticket not in self.result.kept]

    def words_for(self, error: Exception) -> str:
        """An error of one call: its own sentence, or that of a fault, which is reported once."""
        if isinstance(error, (ShimError, OSError)):
            return str(error)
        words = in_words(error)
        if words not in self.faults:
            self.faults[words] = report(error, self.session.state)
        return self.faults[words]

    def give_up(self, journal: Journal, number: int, tickets: list[int], text: str) -> None:
        """Note that calls are over that Slurm has refused for good, and keep the words for the next sbatch."""
        text = text.strip()
        journal.add(Failed(number, tickets, text))
        self.result.failed.update(dict.fromkeys(tickets, text))
        words = last_words(text)
        with open(self.session.folder + b"/failed", "a", errors="surrogateescape") as stream:
            stream.write("".join(f"{ticket} {words}\n" for ticket in tickets))

    def placer(self, call: Call) -> Callable[[int], Place]:
        """Where tickets run, for a call that waits for them."""
        return self.tickets.placer(lambda origin: origin.is_of(self.backend.clusters(call)))

    def reachable(self, calls: list[Call]) -> tuple[Limits, set[int]]:
        """The limits of the controllers that answer, and the tickets for the others; ShimError when none answers."""
        found: Limits | None = None
        silent: set[int] = set()
        why = ""
        for group in by_controller(self.backend, calls):
            key = self.backend.controller(group[0])
            while True:
                try:
                    limits = self.told[key] = self.told.get(key) or self.backend.limits(group[0])
                except NoAnswer as error:
                    why = str(error)
                    if self.patience.again(why):
                        continue
                    silent.update(call.ticket for call in group)
                    self.result.problems.append(f"{why}; kept: {counted(len(group), 'call')} for that controller")
                else:
                    found = limits.narrowed(found)
                    self.result.elsewhere += self.meant_for_others(group)
                break
        if found is None:
            self.result.problems.clear()
            raise ShimError(f"{why}; nothing was submitted, the calls stay queued")
        return self.wishes.within(found), silent | set(self.result.elsewhere)

    def meant_for_others(self, calls: list[Call]) -> set[int]:
        """The tickets of calls that were made for another cluster than the one that would take them: they are kept."""
        here = self.backend.clusters(calls[0])
        meant: dict[str, set[int]] = {}
        for call in calls if here and not self.wishes.any_cluster else ():
            if call.cluster and call.cluster not in here:
                meant.setdefault(call.cluster, set()).add(call.ticket)
        for name, tickets in meant.items():
            session = os.fsdecode(self.session.name)
            self.result.problems.append(
                f"kept, as made for the cluster {name} while {here[0]} answers here: {counted(len(tickets), 'call')}; "
                f"sarray-flush --session {session} submits them there, and with --any-cluster here"
            )
        return {ticket for tickets in meant.values() for ticket in tickets}

    def ask(self, submitting: Submitting) -> Fate:
        """What became of a submission; NoAnswer when Slurm does not answer for longer than the patience lasts."""
        while True:
            try:
                fate = self.backend.settle(submitting, self.patience)
            except NoAnswer as error:
                if not self.patience.again(str(error)):
                    raise
            else:
                return fate

    def split_off(self, journal: Journal, submitted: list[tuple[Submitting, int]]) -> None:
        """Have Slurm see the tasks of arrays each by itself; by `submitting` event and job id."""
        for event, job in submitted:
            if event.has_spare:
                spares.note(self.session, job)
            while trouble := self.backend.split_off(event, job):
                if event.splitting is not None and not event.splitting.for_lanes and not may_pass(trouble):
                    self.note_together(trouble)
                    journal.add(Seen(event.array, list(event.tickets)))
                    break
                if not self.patience.again(trouble):
                    self.result.problems.append(
                        f"job {job}: Slurm could not be told to look at its tasks each by itself ({trouble}), so that "
                        "slow or failed ones may hold up others; the next flush of this session tries again"
                    )
                    break
            else:
                self.patience.refill()
                journal.add(Seen(event.array, list(event.tickets)))

    def note_together(self, trouble: str) -> None:
        """Note, once, what it means that Slurm leaves the tasks of arrays together for good."""
        note = (
            f"Slurm does not let arrays be split up here ({trouble}), so a job that cancels or requeues itself past "
            "sbatch-shim's commands may hit others of its array; --wide-lanes saves the attempt"
        )
        if note not in self.result.notes:
            self.result.notes.append(note)
