"""
The merge: calls in, arrays out. Pure: no clock, no environment, no files but the bodies that the calls name.

Two calls share an array only where that cannot change what either does. What Slurm applies to a whole array
is the merge key; what the dispatcher restores for each task is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sbatch_shim import environment, logs
from sbatch_shim.calls import Call
from sbatch_shim.meaning import array_options, canonical
from sbatch_shim.spool import ticket_numbers


@dataclass(frozen=True)
class Limits:
    """
    What the controller allows.

    Attributes:
        array_size: Largest index + 1 (MaxArraySize - 1 is the largest index).
        script_bytes: Largest batch script (max_script_size).
        launch_sets_name: Slurm 24.11 or newer: SLURM_JOB_NAME is written at launch.
        makes_log_folders: Slurm 23.02 or newer: missing folders of a log are created.
    """

    array_size: int = 1001
    script_bytes: int = 4194304
    launch_sets_name: bool = False
    makes_log_folders: bool = False


@dataclass
class Array:
    """
    One submission.

    Attributes:
        calls: In the order of their tickets.
        options: What Slurm applies to all of it, from the first call (the others mean the same).
        alone: Why nothing may join it, in words; empty when others may.
        own_indices: Its indices are the local ids of its one call.
        login: The node adds the user's login environment.
        producers: Tickets that it waits for.
    """

    calls: list[Call]
    options: dict[str, bytes | None]
    alone: str = ""
    login: bool = False
    producers: list[int] = field(default_factory=list)

    @property
    def own_indices(self) -> bool:
        return len(self.calls) == 1 and self.calls[0].is_array

    @property
    def is_plain(self) -> bool:
        """One plain call: submitted without --array."""
        return len(self.calls) == 1 and not self.calls[0].is_array

    @property
    def size(self) -> int:
        """The number of tasks."""
        return sum(task_count(call) for call in self.calls)

    def tasks(self) -> list[tuple[int, Call, int | None]]:
        """(index, call, local id or None) for each task, by index; a plain job's index is 0."""
        if self.own_indices:
            return [(task, self.calls[0], task) for task in self.calls[0].tasks]
        found: list[tuple[int, Call, int | None]] = []
        for call in self.calls:
            for task in call.tasks if call.is_array else [None]:
                found.append((len(found), call, task))
        return found


def task_count(call: Call) -> int:
    return len(call.tasks) if call.is_array else 1


def waited_for_as_arrays(calls: Sequence[Call]) -> set[int]:
    """The tickets that later calls wait for in ways that need a whole array: as one of several, or by its indices."""
    found: set[int] = set()
    for call in calls:
        spec = call.options.get("dependency") or b""
        for term in spec.replace(b"?", b",").split(b","):
            if b"?" in spec or term.startswith((b"afternotok:", b"aftercorr:")):
                found.update(ticket_numbers(term))
    return found


def reason_alone(call: Call, body: bytes, as_arrays: set[int]) -> str:
    """Why a call may not join others, or an empty string."""
    options = call.options
    if call.is_array and call.ticket in as_arrays:
        return "another call waits for it by afternotok, aftercorr or with ?"
    if call.throttle:
        return "it limits its own tasks (%)"
    if "singleton" in (options.get("dependency") or b"").decode("latin-1"):
        return "--dependency=singleton counts jobs, not tasks"
    if call.is_array and "mail-type" in options:
        return "one mail is sent for a whole array"
    if call.is_array:
        for kind in logs.KINDS:
            name = logs.expand(call, kind, call.tasks[0])
            if name is not None and name.on_node:
                return f"only the node knows the name of its --{kind} file"
    if (b"scancel" in body or b"scontrol" in body) and (b"SLURM_JOB_ID" in body or b"SLURM_JOBID" in body):
        return "the script manages itself by SLURM_JOB_ID"
    return ""


def merge_key(call: Call, keep_names: bool) -> tuple[object, ...]:
    """What calls of one array have in common."""
    options = array_options(call.options, call.time)
    node_names = []
    for kind in logs.KINDS:
        name = logs.expand(call, kind, call.tasks[0] if call.is_array else None)
        if name is not None:
            node_names.append(name.path if name.on_node else b"")
    return (
        tuple((name, canonical(name, value)) for name, value in options.items()),
        call.umask,
        call.limits,
        call.sbatch,
        "error" in call.options,
        environment.submit_key(call),
        environment.needs_login(call),
        tuple(node_names) if any(node_names) else (),
        call.name if keep_names else None,
    )


def plan(
    calls: Sequence[Call], limits: Limits, keep_names: bool = False, keep_arrays: bool = False
) -> list[Array]:
    """
    Group calls into arrays.

    Args:
        calls: In the order of their tickets; not modified.
        limits: Of the controller.
        keep_names: Calls with different job names do not share an array.
        keep_arrays: Array calls stay alone, since it is not known yet how others will wait for them.

    Returns:
        Arrays that together hold each call exactly once, an array after all that it waits for; inside an
        array, the order of the calls is kept. The script's size is the renderer's matter (see split).
    """
    arrays: list[Array] = []
    open_arrays: dict[object, Array] = {}
    filled: dict[int, int] = {}
    bodies: dict[bytes, bytes] = {}
    as_arrays = {call.ticket for call in calls} if keep_arrays else waited_for_as_arrays(calls)
    for call in calls:
        body = bodies.get(call.body_hash)
        if body is None:
            body = bodies[call.body_hash] = call.body()
        alone = reason_alone(call, body, as_arrays)
        key = merge_key(call, keep_names)
        array = None if alone else open_arrays.get(key)
        if array is not None and filled[id(array)] + task_count(call) > limits.array_size:
            array = None
        if array is None:
            array = Array(
                [],
                array_options(call.options, call.time),
                alone,
                environment.needs_login(call),
                ticket_numbers(call.options.get("dependency") or b""),
            )
            arrays.append(array)
            filled[id(array)] = 0
            if not alone:
                open_arrays[key] = array
        array.calls.append(call)
        filled[id(array)] += task_count(call)
    return in_order(arrays)


def in_order(arrays: Iterable[Array]) -> list[Array]:
    """
    Producers before what waits for them, else as they came.

    All calls of an array wait for the same tickets, and a ticket is older than whoever names it, so arrays
    cannot wait for each other in a circle.
    """
    home = {call.ticket: array for array in arrays for call in array.calls}
    ordered: list[Array] = []
    seen: set[int] = set()
    stack = [(array, False) for array in reversed(list(arrays))]
    while stack:
        array, ready = stack.pop()
        if ready:
            ordered.append(array)
            continue
        if id(array) in seen:
            continue
        seen.add(id(array))
        stack.append((array, True))
        for ticket in reversed(array.producers):
            if ticket in home and id(home[ticket]) not in seen:
                stack.append((home[ticket], False))
    return ordered


def split(array: Array) -> list[Array]:
    """Two arrays of half the calls each, for a script that is too large; a single call cannot be split."""
    half = len(array.calls) // 2
    return [
        Array(part, array.options, array.alone, array.login, array.producers)
        for part in (array.calls[:half], array.calls[half:])
    ]
