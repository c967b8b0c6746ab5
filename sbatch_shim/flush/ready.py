"""Calls as arrays that are ready to be submitted: planned, then rendered one by one."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from sbatch_shim.flush.backends import Backend
from sbatch_shim.flush.wishes import Wishes, apply_overrides
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, halve, plan
from sbatch_shim.merge.render import render
from sbatch_shim.merge.submission import LogFile, array_spec, log_files
from sbatch_shim.merge.tables import Opening, Script
from sbatch_shim.state.calls import Call
from sbatch_shim.state.dependency import Dependency

# Bytes of an --array value that slurmctld takes (tried).
MAX_SPEC = 4096


@dataclass(frozen=True)
class Ready:
    """
    An array with its script, and the environment that sbatch is started with.

    Attributes:
        whole: Where its tasks read the script's tables, if not in their own copy.
        own_logs: Its log files where its tasks may not see links to them; None where Slurm goes through links.
        lacks: What is lost by that, in a sentence; empty for nothing.
        mark: What a task makes that sees the state folder all the same; empty for nothing.
        fault: What went wrong where a single call could not be rendered; then there is no script.
    """

    array: Array
    script: Script
    environment: dict[bytes, bytes]
    whole: bytes | None = None
    own_logs: tuple[LogFile, ...] | None = None
    lacks: str = ""
    mark: bytes = b""
    fault: Exception | None = None


def arrays_of(
    calls: list[Call],
    limits: Limits,
    wishes: Wishes,
    apart: Set[int] = frozenset(),
    later: Sequence[Dependency] = (),
) -> list[Array]:
    """
    Plan calls as the user wishes, producers first; changes the calls' options.

    Args:
        apart: Tickets that share arrays with each other only.
        later: What other calls wait for that are not planned.
    """
    for call in calls:
        apply_overrides(call, wishes.overrides)
    keep_comments = limits.reads_comments
    if wishes.keep_comments is not None:
        keep_comments = wishes.keep_comments
    return plan(
        calls,
        limits,
        keep_names=wishes.keep_names,
        keep_arrays=wishes.keep_arrays,
        keep_comments=keep_comments,
        apart=apart,
        later=later,
    )


def next_ready(
    arrays: list[Array], limits: Limits, wishes: Wishes, home: bytes = b"", backend: Backend | None = None
) -> Ready:
    """
    Take the first of the arrays out of the list and render it; while it is too large, or that fails, halve it before.

    Args:
        home: The array's own folder.
        backend: What it is given to; None in a dry run.
    """
    while True:
        array = arrays.pop(0)
        try:
            ready = ready_of(array, limits, home, backend)
            spec = array_spec(array, wishes.throttle, limits) or b""
        except Exception as error:  # a fault of ours, or a blob that is gone: one call must not hold up the others
            if len(array.members) == 1:
                return Ready(array, Script(), {}, fault=error)
            arrays[:] = halve(array, arrays)
            continue
        if len(array.members) == 1:
            return ready
        script = ready.script
        if len(script) <= limits.script_bytes and script.is_fair and len(spec) <= MAX_SPEC:
            return ready
        arrays[:] = halve(array, arrays)


def ready_of(array: Array, limits: Limits, home: bytes, backend: Backend | None) -> Ready:
    """An array rendered, however large, so that its tasks need no state folder which they may not see."""
    if backend is None:
        return Ready(array, *render(array, limits))
    logs = log_files(array, limits)
    paths = {log.kind: log.paths for log in logs if log.paths}
    whole = None
    if limits.stores_scripts:
        whole = home + b"/whole"
    sight = None
    if paths or whole:
        sight = backend.sight(array.calls[0])
    if sight is None or sight.why:
        return Ready(array, *render(array, limits, whole), whole)
    opening = None
    if paths:
        opening = Opening(paths, sight.here, home + b"/script", sight.mark)
    script, environment = render(array, limits, None, opening)
    lost = []
    if paths:
        lost.append("jobs open their logs themselves: Slurm's own lines (cancelled, time limit) are not in them")
    if limits.stores_scripts:
        lost.append("the batch scripts that the site's accounting keeps hold the calls' variables")
    lacks = (
        f"it is not proven that the compute nodes see the state folder (its file system is {sight.file_system}), "
        f"so {', and '.join(lost)}. `sarray doctor --run` can prove it"
    )
    return Ready(array, script, environment, own_logs=logs, lacks=lacks, mark=sight.mark if opening else b"")


def all_ready(calls: list[Call], limits: Limits, wishes: Wishes, later: Sequence[Dependency] = ()) -> list[Ready]:
    """All arrays of a dry run; `later` as arrays_of takes it."""
    arrays = arrays_of(calls, limits, wishes, later=later)
    found = []
    while arrays:
        found.append(next_ready(arrays, limits, wishes))
    return found
