"""What the user asked of a flush beyond the calls."""

from __future__ import annotations

from dataclasses import dataclass, field

from sbatch_shim.errors import ShimError
from sbatch_shim.merge.limits import Limits
from sbatch_shim.state.calls import Call
from sbatch_shim.state.plain import replace


@dataclass
class Wishes:
    """
    What the user asked of this flush beyond the calls.

    Attributes:
        throttle: Tasks at a time for every array (0: no limit), or None.
        overrides: Options that replace the calls' own.
        extra: Options that are passed on as they are.
        keep_names: Calls with different job names do not share an array.
        keep_comments: Calls with different comments share an array (False) or do not (True); None: they do where
            nothing of the site's own gets the comments (see Limits).
        keep_arrays: Array calls stay alone; for a flush in the middle of a pipeline.
        final: What Slurm refuses for good is over, and is not tried by later flushes.
        repeated: It is tried again by itself, so it looks whether there is room before it submits.
        wide_lanes: Arrays are left as Slurm makes them: slurmctld looks at as many lanes as it does by itself, and
            there are no spares.
        scripts: A folder that also gets the scripts, or None.
        any_cluster: Calls that were made for another cluster are submitted too.
        assume: What to take for the fate of submissions that cannot be known: submitted, lost, or None.
        only: The tickets that somebody needs real ids of; what has nothing to do with them stays queued, if it is not
            too much (see submit.py). None: all.
    """

    throttle: int | None = None
    overrides: dict[str, bytes | None] = field(default_factory=dict)
    extra: list[bytes] = field(default_factory=list)
    keep_names: bool = False
    keep_comments: bool | None = None
    keep_arrays: bool = False
    final: bool = False
    repeated: bool = False
    wide_lanes: bool = False
    scripts: str | None = None
    any_cluster: bool = False
    assume: str | None = None
    only: frozenset[int] | None = None

    def within(self, limits: Limits) -> Limits:
        """What the controller allows, less what the user does not want."""
        return replace(limits, spares=limits.spares and not self.wide_lanes)


def apply_overrides(call: Call, overrides: dict[str, bytes | None]) -> None:
    """Replace a call's options; a dependency is added to the call's own, which a flush may not drop."""
    for name, value in overrides.items():
        own = call.options.get("dependency")
        if name == "dependency" and own and value:
            if b"?" in own or b"?" in value:
                raise ShimError("--dependency with ? cannot be added to calls that have a dependency of their own")
            value = own + b"," + value
        call.options = {**call.options, name: value}
