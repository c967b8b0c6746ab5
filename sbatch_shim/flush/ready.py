"""Calls as arrays that are ready to be submitted: planned, then rendered one by one."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from sbatch_shim.flush.wishes import Wishes, apply_overrides
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, halve, plan
from sbatch_shim.merge.render import Script, render
from sbatch_shim.merge.submission import array_spec
from sbatch_shim.state.calls import Call

# Bytes of an --array value that slurmctld takes (tried).
MAX_SPEC = 4096


@dataclass(frozen=True)
class Ready:
    """An array with its script, and the environment that sbatch is started with."""

    array: Array
    script: Script
    environment: dict[bytes, bytes]


def arrays_of(calls: list[Call], limits: Limits, wishes: Wishes, apart: Set[int] = frozenset()) -> list[Array]:
    """
    Plan calls as the user wishes, producers first; changes the calls' options.

    Args:
        apart: Tickets that share arrays with each other only.
    """
    for call in calls:
        apply_overrides(call, wishes.overrides)
    keep_comments = limits.reads_comments if wishes.keep_comments is None else wishes.keep_comments
    return plan(
        calls,
        limits,
        keep_names=wishes.keep_names,
        keep_arrays=wishes.keep_arrays,
        keep_comments=keep_comments,
        apart=apart,
    )


def next_ready(arrays: list[Array], limits: Limits, wishes: Wishes, whole: bytes | None = None) -> Ready:
    """
    Take the first of the arrays out of the list and render it; while it is too large, halve it before.

    Args:
        whole: Where its script is to be read by the tasks, if not from their own copy (see render).
    """
    while True:
        array = arrays.pop(0)
        script, environment = render(array, limits, whole)
        spec = array_spec(array, wishes.throttle) or b""
        if len(array.members) == 1 or (len(script) <= limits.script_bytes and len(spec) <= MAX_SPEC):
            return Ready(array, script, environment)
        arrays[:] = halve(array, arrays)


def all_ready(calls: list[Call], limits: Limits, wishes: Wishes) -> list[Ready]:
    """All arrays of a dry run."""
    arrays = arrays_of(calls, limits, wishes)
    found = []
    while arrays:
        found.append(next_ready(arrays, limits, wishes))
    return found
