"""What arrays are given to: Slurm (slurm.py), or this machine (local.py)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the companions import `sbatch.py` beside this, and no other module that is named here
    from sbatch_shim.flush.backends.recovery import Fate
    from sbatch_shim.flush.backends.sbatch import Answer
    from sbatch_shim.flush.backends.sight import Sight
    from sbatch_shim.flush.patience import Patience, Stop
    from sbatch_shim.flush.room import Held
    from sbatch_shim.merge.limits import Limits
    from sbatch_shim.merge.plan import Array
    from sbatch_shim.merge.submission import Submission
    from sbatch_shim.state.calls import Call
    from sbatch_shim.state.events import Asked, Placed, Submitting


class Backend(Protocol):
    """
    What arrays are given to: Slurm, or this machine (local.py).

    Attributes:
        accepted: The event for an array that was taken.
        placing_event: The event that tells a later flush where its tickets run.
    """

    accepted: type[Placed]
    placing_event: type[Placed]

    def controller(self, call: Call) -> Hashable:
        """A key that is equal for calls which one controller takes."""

    def limits(self, call: Call) -> Limits:
        """What the controller of a call allows; NoAnswer when it does not tell."""

    def sight(self, call: Call) -> Sight:
        """What is known of the view that the tasks have of the state folder."""

    def clusters(self, call: Call) -> tuple[str, ...]:
        """
        The names of the cluster that takes a call, once `limits` was asked.

        The controller's own first, then what slurm.conf says where that is another; none where there is no cluster.
        """

    def usable(self, recorded: str) -> str:
        """The real sbatch that was recorded, or one that may stand in for it."""

    def asked(self, array: Array) -> Asked | None:
        """For the journal: what `settle` will need to know of a submission that is made now."""

    def prepare(self, submission: Submission, limits: Limits) -> None:
        """Make what a submission needs on disk beside its script."""

    def submit(self, submission: Submission) -> Answer:
        """Submit one array."""

    def settle(self, submitting: Submitting, patience: Patience) -> Fate:
        """What became of a submission whose outcome is not known; NoAnswer when that cannot be asked now."""

    def has(self, submitting: Submitting, job: int) -> bool | None:
        """Whether a job is the one of this submission; None where another cluster would have to be asked."""

    def held(self, call: Call) -> Held:
        """What limits on submitted jobs count this user's jobs for, at the controller of a call, each task once."""

    def split_off(self, submitting: Submitting, job: int) -> str:
        """Do what the submission's `splitting` says; what went wrong, or an empty string."""

    def complete(self, stop: Stop, note: Callable[[int, type[Placed]], None]) -> None:
        """
        Run what was collected, where nobody else does.

        Args:
            stop: Cuts it short.
            note: Gets a job's number and an event, before or after it.
        """
