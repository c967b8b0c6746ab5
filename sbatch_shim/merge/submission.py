"""An array as what is submitted: options, indices, dependency by real ids, log files. A value, no command line yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sbatch_shim.errors import ShimError
from sbatch_shim.merge import logs
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.render import appends, common_folder
from sbatch_shim.state.calls import comment_of_all
from sbatch_shim.state.dependency import Condition, Dependency, with_places
from sbatch_shim.state.ids import TaskSet
from sbatch_shim.state.journal import Place


@dataclass(frozen=True)
class LogFile:
    """
    A log or input file of an array, as Slurm is told to open it.

    Attributes:
        kind: output, error or input.
        pattern: Slurm's pattern for all tasks.
        paths: By index, the path of a task's file; empty where the pattern says it.
        folder: Of the links to these that the pattern goes through; empty where there are none, and each task opens
            its own.
    """

    kind: str
    pattern: bytes
    paths: dict[int, bytes] = field(default_factory=dict)
    folder: bytes = b""


@dataclass(frozen=True)
class Submission:
    """
    One array, ready to be given to a backend.

    Attributes:
        script: Absolute path of its script.
        environment: What sbatch is started with.
        name: The job's name as squeue shows it.
        comment: The job's comment, or empty.
        spec: The value of --array; None for a plain job.
        folder: Where its tasks start.
        waits: What all of it waits for, by real ids.
        logs: Its log and input files.
        to_split: The elements to split off once it is submitted, so that slurmctld sees each by itself.
        extra: Options for all arrays that no call could carry.
        last_waits: What its last task waits for, to be told once it is submitted; None where Slurm sees that.
        own: The script's arguments where it is the call's own; None where it is the dispatcher.
        spare: The index of a last task that is no call's, to be cancelled once the others are split off; None where
            there is none.
    """

    array: Array
    script: bytes
    environment: dict[bytes, bytes]
    name: bytes
    comment: bytes
    spec: bytes | None
    folder: bytes
    waits: Dependency
    logs: tuple[LogFile, ...]
    to_split: TaskSet
    extra: tuple[bytes, ...] = ()
    last_waits: Dependency | None = None
    own: Sequence[bytes] | None = None
    spare: int | None = None

    @property
    def options(self) -> dict[str, bytes | None]:
        """What Slurm applies to all of it, beside what has an attribute of its own."""
        return self.array.options


def submission_of(
    array: Array,
    home: bytes,
    environment: dict[bytes, bytes],
    limits: Limits,
    place_of: Callable[[int], Place],
    *,
    own_logs: tuple[LogFile, ...] | None = None,
    throttle: int | None = None,
    extra: tuple[bytes, ...] = (),
    has_room: bool = True,
) -> Submission:
    """
    What is submitted for an array.

    Args:
        home: The array's own folder, which holds its script and the links to its logs.
        environment: What sbatch is started with.
        place_of: Where a ticket's tasks run; every producer is submitted by now.
        own_logs: Its log files where the tasks open them.
        throttle: Tasks at a time for every array, 0 for no limit, None to keep what the calls say.
            (What the site has set is in `limits`.)
        extra: Options for all arrays that no call could carry.
        has_room: A limit on submitted jobs, as far as it is known, lets one more in than there are tasks.

    Raises:
        ShimError: Slurm has no words for it.
    """
    waits = dependency(array, limits, place_of)
    files = log_files(array, limits) if own_logs is None else own_logs
    spare = spare_of(array, limits, files) if has_room else None
    return Submission(
        array,
        home + b"/script",
        environment,
        job_name(array),
        comment_of_all(array.calls),
        array_spec(array, throttle, limits, spare),
        start_folder(array),
        waits,
        linked(files, home, spare) if own_logs is None else files,
        elements_to_split(array, limits, spare),
        extra,
        last_waits(array, waits, limits) if spare is None else None,
        spare=spare,
    )


def spare_of(array: Array, limits: Limits, files: Sequence[LogFile]) -> int | None:
    """
    The index of an array's spare, one after its last task; None where it can have none.

    Slurm gives the array's own id to the element that waits longest, and takes that id for the whole array: a program
    that cancelled or requeued its own job by SLURM_JOB_ID would hit all its neighbours (tried on 22.05). So the
    element with that id is nobody's. It is cancelled before it starts, unless there is room for all at once: then it
    ends without doing anything, and it must not touch a log.

    Args:
        files: The log files of the array's tasks.
    """
    if not limits.spares or array.is_plain or array.own_indices:
        return None
    # Tasks of a call's own array wait together, as one row of squeue. Of a spare its user would get mail. And what so
    # many wait for has to be named by the array's id.
    if any(call.is_array for call in array.calls) or "mail-type" in array.options or array.named_whole:
        return None
    if not all(may_be_opened_once_more(file, array, limits) for file in files):
        return None
    spare = array.members[-1].span.indices[-1] + 1
    return spare if spare < limits.array_size else None


def may_be_opened_once_more(file: LogFile, array: Array, limits: Limits) -> bool:
    """Whether an element that is nobody's leaves the logs of others as they are."""
    by_task = bool(file.paths) or file.pattern == b"/dev/null"
    return by_task or file.kind == "input" or appends(array, limits)


def without_spare(submission: Submission, limits: Limits, throttle: int | None) -> Submission:
    """The same without a spare; `throttle` as submission_of takes it."""
    array = submission.array
    return replace(
        submission,
        spec=array_spec(array, throttle, limits),
        to_split=elements_to_split(array, limits),
        last_waits=last_waits(array, submission.waits, limits),
        spare=None,
    )


def job_name(array: Array) -> bytes:
    """What squeue shows: the calls' name, or the first one's and how many more there are."""
    names = list(dict.fromkeys(os.fsencode(call.shown_name) for call in array.calls))
    if len(names) == 1:
        return names[0]
    return b"%s+%d" % (names[0], len(names) - 1)


def array_spec(array: Array, throttle: int | None, limits: Limits, spare: int | None = None) -> bytes | None:
    """The value of --array, `throttle` as submission_of takes it; None for a plain job."""
    if array.is_plain:
        return None
    ids = indices_of(array).ids
    spec = TaskSet(ids if spare is None else (*ids, spare)).ranges().encode()
    if array.own_indices:
        spec = (array.calls[0].options["array"] or b"").partition(b"%")[0]
    limit = tasks_at_a_time(array, throttle, limits)
    return spec + (b"%%%d" % limit if limit else b"")


def tasks_at_a_time(array: Array, throttle: int | None, limits: Limits) -> int:
    """How many tasks of an array may run at a time, `throttle` as submission_of takes it; 0 for no limit."""
    if array.is_plain:
        return 0
    return limits.throttle(throttle, array.calls[0].throttle if array.own_indices else 0)


def start_folder(array: Array) -> bytes:
    """
    Where Slurm starts the tasks: their folder, or the deepest one that is there and holds all of theirs.

    A site's rules may look at it (work_dir in job_submit plugins); the dispatcher takes each task on to its own.
    """
    same = common_folder(array)
    if same is not None:
        return same
    folder = os.path.commonpath([os.path.normpath(call.folder) for call in array.calls])
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def indices_of(array: Array) -> TaskSet:
    """The indices of all tasks."""
    return TaskSet(tuple(task.index for task in array.tasks()))


def dependency(array: Array, limits: Limits, place_of: Callable[[int], Place]) -> Dependency:
    """What an array waits for, by real ids."""
    asked = array.options.get("kill-on-invalid-dep")
    cancelled = limits.kills_impossible if asked is None else asked.lower() == b"yes"
    lanes = tuple(Condition("aftercorr", place_of(one.calls[0].ticket).job) for one in array.upstream)
    common = with_places(
        array.waits, place_of, for_array=any(call.is_array for call in array.calls), may_be_cancelled=cancelled
    )
    return Dependency((*lanes, *common.conditions), common.any_of)


def elements_to_split(array: Array, limits: Limits, spare: int | None = None) -> TaskSet:
    """
    The elements to split off at once: all in front of a spare, else those that slurmctld would not see as lanes.

    Of an array that waits with aftercorr, slurmctld splits off and looks at `correspond_after_task_cnt` elements
    at a time: slow lanes would hold up fast ones, and as many failed ones stop the others for ever. An update of
    elements splits each of them off, all in one request, and then each waits by itself (tried on 22.05 with slow
    and failing lanes). All but the last one: an update of the whole array splits nothing.
    """
    if spare is not None:
        return indices_of(array)
    if not array.upstream or array.size <= limits.lookahead:
        return TaskSet()
    return TaskSet(indices_of(array).ids[:-1])


def last_waits(array: Array, waits: Dependency, limits: Limits) -> Dependency | None:
    """
    What the last task of an array waits for, where Slurm has to be told by itself.

    An array call's own aftercorr is left as it is: its last task waits for all of the other array directly too.

    Args:
        waits: What the array is submitted with; the lanes come first.
    """
    lanes = len(array.upstream)
    if not (lanes and limits.last_lane_waits) or array.own_indices:
        return None
    last = indices_of(array).ids[-1]
    own = tuple(Condition("afterok", one.job, element=last) for one in waits.conditions[:lanes])
    return Dependency(own + waits.conditions[lanes:], waits.any_of)


def log_files(array: Array, limits: Limits) -> tuple[LogFile, ...]:
    """An array's log and input files; those of which only the task's own name is known have paths, and no folder."""
    found = (log_file(array, kind, limits) for kind in logs.KINDS)
    return tuple(one for one in found if one is not None)


def log_file(array: Array, kind: str, limits: Limits) -> LogFile | None:
    """One kind of log_files; None where there is no such file."""
    call = array.calls[0]
    # A backslash anywhere turns Slurm's expansion off, so a default log name in such a folder is not left to Slurm.
    by_pattern = not call.is_array or kind in call.options or b"\\" not in call.folder
    if (array.own_indices or array.is_plain) and by_pattern:
        first = None
        if call.is_array:
            first = call.tasks[0]
        name = logs.expand(call, kind, first, keep_index=call.is_array, launch_sets_name=limits.launch_sets_name)
        if name is None:
            return None
        return LogFile(kind, name.path if call.is_array or name.on_node else logs.literal(name.path))
    tasks = array.tasks()
    found = [logs.expand(one.call, kind, one.local_id, launch_sets_name=limits.launch_sets_name) for one in tasks]
    if not any(found):
        return None
    names = [logs.Name(b"/dev/null") if name is None else name for name in found]
    if len({name.path for name in names}) == 1:
        return LogFile(kind, names[0].path if names[0].on_node else logs.literal(names[0].path))
    return LogFile(kind, b"/dev/null", paths={task.index: name.path for task, name in zip(tasks, names)})


def linked(files: tuple[LogFile, ...], home: bytes, spare: int | None = None) -> tuple[LogFile, ...]:
    """
    The same with links for Slurm to go through, so that it opens all of them.

    Args:
        home: The array's own folder, which holds the links.
        spare: The index of the array's spare, which gets /dev/null.

    Raises:
        ShimError: links are needed where Slurm expands no patterns.
    """
    if b"\\" in home and any(one.paths for one in files):
        raise ShimError("the path of the state folder holds a backslash, which switches Slurm's log patterns off")
    return tuple(with_links(one, home + b"/" + one.kind.encode(), spare) if one.paths else one for one in files)


def with_links(file: LogFile, folder: bytes, spare: int | None) -> LogFile:
    paths = file.paths if spare is None else {**file.paths, spare: b"/dev/null"}
    return replace(file, pattern=folder.replace(b"%", b"%%") + b"/%a", folder=folder, paths=paths)


def places(array: Array) -> dict[int, tuple[int | None, str | None]]:
    """For the journal: for each ticket of the array, the index of its first task, and its --array."""
    found: dict[int, tuple[int | None, str | None]] = {}
    for call, span in array.members:
        spec = call.options.get("array")
        found[call.ticket] = (span.first, None if spec is None else spec.decode())
    return found
