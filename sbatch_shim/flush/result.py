"""What a flush has done, for the terminal, for a document, and for a flush that this one was a part of."""

from __future__ import annotations

from dataclasses import dataclass, field

from sbatch_shim.merge.plan import Array


@dataclass
class Outcome:
    """
    What became of one array.

    Attributes:
        job: Its real id; None when it was not submitted.
        text: sbatch's stderr, or why it was not tried.
        uncertain: It may have been accepted.
        final: Slurm has refused it for good, or what it waits for.
        hopeless: It waits for a call that was cancelled, so that no flush can submit it.
    """

    array: Array
    script: bytes
    job: int | None
    text: str = ""
    uncertain: bool = False
    final: bool = False
    hopeless: bool = False


@dataclass
class Adopted:
    """
    A submission of an earlier flush that Slurm turned out to have.

    Attributes:
        script: Its path.
        tickets: In their order.
        tasks: How many tasks it has.
    """

    job: int
    script: bytes
    tickets: list[int]
    tasks: int


@dataclass
class FlushResult:
    """
    What one flush, or several, have done.

    Attributes:
        outcomes: One for each array that was tried or kept, in the order of submission.
        adopted: Submissions of earlier flushes that Slurm turned out to have.
        problems: Sentences about what went wrong beside that.
        notes: Sentences about how it was submitted, each once.
        kept: Tickets that stay queued.
        failed: Tickets that Slurm has refused and that no flush tries again, each with the reason.
        elsewhere: Those among them that were made for another cluster, or wait for such a call.
        uncertain: Tickets of which it is not known whether Slurm has them.
        halted: Why nothing more is tried, in words; empty while all is well.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    adopted: list[Adopted] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    elsewhere: list[int] = field(default_factory=list)
    uncertain: list[int] = field(default_factory=list)
    halted: str = ""

    def absorb(self, other: FlushResult) -> None:
        """Take over what another flush has done."""
        self.outcomes += other.outcomes
        self.adopted += other.adopted
        self.problems += other.problems
        self.notes += [note for note in other.notes if note not in self.notes]
        self.kept += other.kept
        self.failed.update(other.failed)
        self.elsewhere += other.elsewhere
        self.uncertain += other.uncertain
        self.halted = self.halted or other.halted

    @property
    def waiting(self) -> list[int]:
        """The tickets that a later flush may submit, without anybody doing something about them."""
        over = [one for one in self.outcomes if one.final or one.hopeless]
        known = {call.ticket for one in over for call in one.array.calls} | set(self.elsewhere)
        return [ticket for ticket in self.kept if ticket not in known]

    @property
    def submitted(self) -> int:
        """How many calls Slurm has taken."""
        return sum(len(one.array.calls) for one in self.outcomes if one.job is not None) + sum(
            len(one.tickets) for one in self.adopted
        )

    @property
    def hopeless(self) -> list[int]:
        """The tickets that no flush can submit."""
        return [call.ticket for outcome in self.outcomes if outcome.hopeless for call in outcome.array.calls]
