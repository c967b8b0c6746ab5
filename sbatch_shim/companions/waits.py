"""Dependencies on the job that a call is made in: the id that a merged job sees may be its whole array's."""

from __future__ import annotations

import os

from sbatch_shim.companions.context import Context
from sbatch_shim.companions.this_job import own_job
from sbatch_shim.spool import session_of, ticket_numbers
from sbatch_shim.state.dependency import Condition, Dependency
from sbatch_shim.state.journal import Origin
from sbatch_shim.state.plain import replace


class OwnConditions:
    """
    What conditions on the job around a call become.

    Args:
        real: Path of the real command; Slurm's others are found beside it.
        entries: The call's environment.
    """

    def __init__(self, real: bytes, entries: list[bytes]) -> None:
        environment = dict(entry.partition(b"=")[::2] for entry in entries)
        self.context = Context("sbatch", os.fsdecode(real), b"", [], environment, os.umask(0o077))
        os.umask(self.context.umask)

    def state_of(self, spec: bytes, state: bytes) -> bytes:
        """The state folder that has the tickets of a dependency: that of the job around us where `state` has not."""
        if all(session_of(state, ticket) is not None for ticket in ticket_numbers(spec)):
            return state
        own = own_job(self.context)
        if own:
            return own.state
        return state

    def is_here(self, origin: Origin) -> bool:
        """Whether a submission went to the cluster that takes the call."""
        return self.context.is_here(origin)

    def __call__(self, waits: Dependency) -> Dependency | None:
        """The dependency with the job's own element; None where no condition names the job around us."""
        raw = self.context.variable("SLURM_JOB_ID") or ""
        if not raw.isdigit() or all(one.job != int(raw) for one in waits.conditions):
            return None
        own = own_job(self.context)
        array, _, task = own.element.partition("_") if own else ("", "", "")
        if not task:
            return None  # a job of its own, or none of ours

        def mine(one: Condition) -> Condition:
            if one.job != int(raw) or one.element is not None:
                return one
            # aftercorr would look at the other tasks of the array too.
            kind = one.kind
            if one.kind == "aftercorr":
                kind = "afterok"
            return replace(one, kind=kind, job=int(array), element=int(task))

        return Dependency(tuple(dict.fromkeys(map(mine, waits.conditions))), waits.any_of)
