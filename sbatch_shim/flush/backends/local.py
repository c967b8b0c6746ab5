"""
`sarray-flush --local`: the same arrays as processes on this machine, for trying a pipeline without Slurm.

As many tasks at once as there are cores; log files and dependencies are respected, resources are not. It is no
scheduler: it returns when all tasks have ended, and only says then which jobs ran.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable

from sbatch_shim.flush.backends.local_run import LocalJob, Run
from sbatch_shim.flush.backends.recovery import NEVER_LEFT, Fate
from sbatch_shim.flush.backends.sbatch import Answer, group_trouble
from sbatch_shim.flush.backends.sight import Sight
from sbatch_shim.flush.patience import Patience, Stop
from sbatch_shim.flush.room import Held
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.submission import Submission
from sbatch_shim.spool import Lock, read, replace
from sbatch_shim.state.calls import Call
from sbatch_shim.state.events import Asked, Collected, Placed, Ran, Submitting


class Local:
    """A backend that collects jobs and runs them at the end."""

    accepted: type[Placed] = Collected
    placing_event: type[Placed] = Ran

    def __init__(self, state: bytes) -> None:
        self.state = state
        self.jobs: dict[int, LocalJob] = {}

    def controller(self, call: Call) -> Hashable:
        return None

    def limits(self, call: Call) -> Limits:
        """No controller to ask: Slurm's defaults."""
        return Limits()

    def sight(self, call: Call) -> Sight:
        return Sight("jobs run here", "")

    def usable(self, recorded: str) -> str:
        return recorded

    def clusters(self, call: Call) -> tuple[str, ...]:
        """This machine is none."""
        return ()

    def asked(self, array: Array) -> Asked | None:
        """Nobody."""
        return None

    def settle(self, submitting: Submitting, patience: Patience) -> Fate:
        """Slurm is not asked here: a later flush does that."""
        if submitting.asked is None:
            return NEVER_LEFT
        return Fate(known=False, why="it may have gone to Slurm, which `sarray-flush` without --local asks")

    def prepare(self, submission: Submission, limits: Limits) -> None:
        """Nothing: a task's logs are opened by their own names."""

    def submit(self, submission: Submission) -> Answer:
        """Keep an array for `complete`."""
        call = submission.array.calls[0]
        trouble = group_trouble(call.group, os.fsdecode(call.session.name), "sarray-flush", "--local")
        if trouble:
            return Answer(None, 1, trouble, unsent=True)
        job = LocalJob(self.next_number(), submission)
        self.jobs[job.number] = job
        return Answer(job.number, 0, "")

    def has(self, submitting: Submitting, job: int) -> bool | None:
        """Slurm is not asked here."""
        return None

    def held(self, call: Call) -> Held:
        """There are no limits."""
        return None

    def split_off(self, submitting: Submitting, job: int) -> str:
        """Nothing to do: `complete` looks at every task."""
        return ""

    def next_number(self) -> int:
        """Job ids of this machine, small like those of a new cluster."""
        path = self.state + b"/local-job"
        with Lock(self.state + b"/local-lock"):
            try:
                number = int(read(path)) + 1
            except FileNotFoundError:
                number = 1
            replace(path, b"%d" % number)
        return number

    def complete(self, stop: Stop, note: Callable[[int, type[Placed]], None]) -> None:
        """
        Run everything that was submitted; says on stderr how it ended.

        A signal ends what runs; of those jobs it is not known then what they have done, and the others stay queued.
        """
        Run(self.jobs, note).until(stop)
