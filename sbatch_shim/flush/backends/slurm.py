"""The real sbatch as what arrays are given to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable
from typing import Any

from sbatch_shim.flush.backends.controller import Controller
from sbatch_shim.flush.backends.recovery import NEVER_LEFT, Fate, hold, settle
from sbatch_shim.flush.backends.sbatch import Answer, limits_of, submit
from sbatch_shim.flush.patience import Patience, Stop
from sbatch_shim.merge.environment import controller_variables
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array
from sbatch_shim.state.calls import Call
from sbatch_shim.state.journal import SUBMITTED


class Slurm:
    """The real sbatch: the one that the calls would have run, else the one on PATH."""

    accepted = placing_event = SUBMITTED

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
