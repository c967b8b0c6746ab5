"""Calls as arrays that are ready to be submitted: planned, then rendered one by one."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from sbatch_shim.flush.backends import Backend
from sbatch_shim.flush.backends.sight import Sight, host
from sbatch_shim.flush.wishes import Wishes, apply_overrides
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, halve, plan
from sbatch_shim.merge.render import Opening, Script, render
from sbatch_shim.merge.submission import LogFile, array_spec, log_files, needs_links
from sbatch_shim.state.calls import Call

# Bytes of an --array value that slurmctld takes (tried).
MAX_SPEC = 4096


@dataclass(frozen=True)
class Ready:
    """
    An array with its script, and the environment that sbatch is started with.

    Attributes:
        whole: Where its tasks read the script's tables, if not in their own copy.
        own_logs: Its log files where its tasks open them; None where Slurm does.
    """

    array: Array
    script: Script
    environment: dict[bytes, bytes]
    whole: bytes | None = None
    own_logs: tuple[LogFile, ...] | None = None


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


def unseen(array: Array, limits: Limits, backend: Backend) -> Sight | None:
    """What is known of the state folder, where an array's tasks would need it and may not see it; else None."""
    if not limits.stores_scripts and not needs_links(array, limits):
        return None
    sight = backend.sight(array.calls[0])
    return None if sight.why else sight


def next_ready(
    arrays: list[Array], limits: Limits, wishes: Wishes, home: bytes | None = None, backend: Backend | None = None
) -> Ready:
    """
    Take the first of the arrays out of the list and render it; while it is too large, halve it before.

    Args:
        home: The array's own folder; None in a dry run.
        backend: What it is given to; None in a dry run.
    """
    while True:
        array = arrays.pop(0)
        sight = None if backend is None else unseen(array, limits, backend)
        own_logs = None if sight is None else log_files(array, None, limits)
        whole = home + b"/whole" if home is not None and limits.stores_scripts and sight is None else None
        opening = None
        if sight is not None and own_logs is not None and home is not None:
            paths = {log.kind: log.paths for log in own_logs if log.paths}
            opening = Opening(paths, host(), home + b"/script", sight.mark)
        script, environment = render(array, limits, whole, opening)
        spec = array_spec(array, wishes.throttle) or b""
        if len(array.members) == 1 or (len(script) <= limits.script_bytes and len(spec) <= MAX_SPEC):
            return Ready(array, script, environment, whole, own_logs)
        arrays[:] = halve(array, arrays)


def all_ready(calls: list[Call], limits: Limits, wishes: Wishes) -> list[Ready]:
    """All arrays of a dry run."""
    arrays = arrays_of(calls, limits, wishes)
    found = []
    while arrays:
        found.append(next_ready(arrays, limits, wishes))
    return found
