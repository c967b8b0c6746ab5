"""What arrays are given to: Slurm here, this machine in local.py."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from sbatch_shim.calls import Call
from sbatch_shim.flush.controller import Controller
from sbatch_shim.flush.patience import Patience, Stop
from sbatch_shim.flush.recovery import NEVER_LEFT, Fate, hold, settle
from sbatch_shim.flush.slurm import Answer, limits_of, submit
from sbatch_shim.journal import SUBMITTED
from sbatch_shim.merge.environment import controller_variables
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array


class Backend(Protocol):
    """
    What arrays are given to: Slurm, or this machine (local.py).

    Attributes:
        accepted: The event for an array that was taken.
        told_by: The event that tells a later flush where its tickets run.
    """

    accepted: str
    told_by: str

    def controller(self, call: Call) -> Hashable:
        """Equal for calls that one controller takes."""

    def limits(self, call: Call) -> Limits:
        """What the controller of a call allows; NoAnswer when it does not tell."""

    def origin(self, array: Array) -> dict[str, Any]:
        """For the journal: what `settle` will need to know of a submission that is made now."""

    def submit(self, array: Array, words: list[bytes], environment: dict[bytes, bytes]) -> Answer:
        """Submit one array; `words` are those after `sbatch`, the last one is the script."""

    def settle(self, submitting: dict[str, Any], patience: Patience) -> Fate:
        """What became of a submission whose outcome is not known; NoAnswer when that cannot be asked now."""

    def split_off(self, submitting: dict[str, Any], job: int) -> str:
        """Make the scheduler see each of a job's lanes; what went wrong, or an empty string."""

    def complete(self, stop: Stop, note: Callable[[int, str], None]) -> None:
        """
        Run what was collected, where nobody else does.

        Args:
            stop: Cuts it short.
            note: Gets a job's number and an event, before or after it.
        """


class Slurm:
    """The real sbatch: the one that the calls would have run, else the one on PATH."""

    accepted = told_by = SUBMITTED

    def __init__(self, fallback: Callable[[], str]) -> None:
        self.fallback = fallback
        # By sbatch and variables: the controller's time less time.monotonic().
        self.clocks: dict[tuple[str, tuple[tuple[bytes, bytes], ...]], float] = {}

    def sbatch(self, call: Call) -> str:
        return self.usable(os.fsdecode(call.sbatch))

    def usable(self, recorded: str) -> str:
        return recorded if recorded and os.access(recorded, os.X_OK) else self.fallback()

    def controller(self, call: Call) -> Hashable:
        return self.sbatch(call), controller_variables(call)

    def limits(self, call: Call) -> Limits:
        sbatch, variables = self.sbatch(call), controller_variables(call)
        values = Controller(sbatch, dict(variables)).config()
        if "clock" in values:
            self.clocks[sbatch, variables] = int(values["clock"]) - time.monotonic()
        return limits_of(values)

    def submit(self, array: Array, words: list[bytes], environment: dict[bytes, bytes]) -> Answer:
        call = array.calls[0]
        limits = {}
        for part in call.limits.decode().split(","):
            name, _, value = part.partition("=")
            limits[name] = int(value)
        held = hold(words[-1])
        try:
            words = [os.fsencode(self.sbatch(call)), *words]
            return submit(words, environment, int(call.umask, 8), limits, b"/", held)
        finally:
            os.close(held)

    def origin(self, array: Array) -> dict[str, Any]:
        call = array.calls[0]
        sbatch, variables = self.sbatch(call), controller_variables(call)
        clock = self.clocks.get((sbatch, variables))
        return {
            "sbatch": sbatch,
            "variables": {os.fsdecode(name): os.fsdecode(value) for name, value in variables},
            "since": None if clock is None else int(clock + time.monotonic()),
        }

    def settle(self, submitting: dict[str, Any], patience: Patience) -> Fate:
        if "sbatch" not in submitting:
            return NEVER_LEFT
        return settle(submitting, self.usable(submitting["sbatch"]), patience)

    def split_off(self, submitting: dict[str, Any], job: int) -> str:
        lanes = submitting["lanes"]
        controller = Controller.recorded(self.usable(submitting["sbatch"]), submitting["variables"])
        return controller.split_off(job, lanes["elements"], os.fsencode(lanes["name"]))

    def complete(self, stop: Stop, note: Callable[[int, str], None]) -> None:
        """Slurm does."""
