"""An array as a command line of sbatch: its options, its log files, its dependencies by real ids."""

from __future__ import annotations

import os
from collections.abc import Callable

from sbatch_shim.errors import ShimError
from sbatch_shim.grammar import OPTIONS
from sbatch_shim.merge import logs
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.render import common_folder
from sbatch_shim.spool import make_folder
from sbatch_shim.state.dependency import with_places
from sbatch_shim.state.ids import ranges
from sbatch_shim.state.journal import Place


def option(name: str, value: bytes | None) -> bytes:
    """One word that sets an option."""
    return b"--" + name.encode() + (b"" if value is None else b"=" + value)


def job_name(array: Array) -> bytes:
    """What squeue shows: the calls' name, or the first one's and how many more there are."""
    names = list(dict.fromkeys(os.fsencode(call.shown_name) for call in array.calls))
    return names[0] if len(names) == 1 else b"%s+%d" % (names[0], len(names) - 1)


def array_spec(array: Array, throttle: int | None) -> bytes | None:
    """The value of --array; None for a plain job."""
    if array.is_plain:
        return None
    if array.own_indices:
        spec = (array.calls[0].options["array"] or b"").partition(b"%")[0]
        limit = array.calls[0].throttle if throttle is None else throttle
    else:
        spec = ranges(task.index for task in array.tasks()).encode()
        limit = throttle or 0
    return spec + (b"%%%d" % limit if limit else b"")


def dependency(array: Array, limits: Limits, place_of: Callable[[int], Place]) -> bytes:
    """The value of --dependency by real ids; empty where there is none."""
    asked = array.options.get("kill-on-invalid-dep")
    cancelled = limits.kills_impossible if asked is None else asked.lower() == b"yes"
    terms = []
    if array.upstream:
        jobs = [place_of(one.calls[0].ticket).job for one in array.upstream]
        terms.append(b"aftercorr:" + b":".join(b"%d" % job for job in jobs))
    if array.waits.conditions:
        terms.append(with_places(array.waits, place_of, any(call.is_array for call in array.calls), cancelled))
    return b",".join(terms)


def elements_to_split(array: Array, limits: Limits) -> bytes:
    """
    The elements to split off at once, so that slurmctld sees every lane; empty where it does.

    Of an array that waits with aftercorr, slurmctld splits off and looks at `correspond_after_task_cnt` elements
    at a time: slow lanes would hold up fast ones, and as many failed ones stop the others for ever. An update of
    elements splits each of them off, all in one request, and then each waits by itself (tried on 22.05 with slow
    and failing lanes). All but the last one: an update of the whole array splits nothing.
    """
    if not array.upstream or array.size <= limits.lookahead:
        return b""
    return ranges([task.index for task in array.tasks()][:-1]).encode()


def log_options(array: Array, folder: bytes, limits: Limits) -> list[bytes]:
    """
    The options that name log and input files; makes the links that they go through.

    Args:
        folder: The array's own folder, which holds the links.
    """
    words = []
    for kind in logs.KINDS:
        call = array.calls[0]
        # A backslash in the folder of a default name would switch the pattern off: links, then.
        by_pattern = not call.is_array or kind in call.options or b"\\" not in call.folder
        if (array.own_indices or array.is_plain) and by_pattern:
            first = call.tasks[0] if call.is_array else None
            name = logs.expand(call, kind, first, call.is_array, limits.launch_sets_name)
            if name is not None:
                words.append(option(kind, name.path if call.is_array or name.on_node else logs.literal(name.path)))
            continue
        found = [
            logs.expand(task.call, kind, task.local_id, launch_sets_name=limits.launch_sets_name)
            for task in array.tasks()
        ]
        if not any(found):
            continue
        names = [logs.Name(b"/dev/null", False) if name is None else name for name in found]
        if len({name.path for name in names}) == 1:
            words.append(option(kind, names[0].path if names[0].on_node else logs.literal(names[0].path)))
            continue
        links = folder + b"/" + kind.encode()
        make_folder(links)
        for task, name in zip(array.tasks(), names):
            if limits.makes_log_folders and kind != "input":
                make_log_folder(os.path.dirname(name.path))
            os.symlink(name.path, b"%s/%d" % (links, task.index))
        if b"\\" in links:
            raise ShimError("the path of the state folder holds a backslash, which switches Slurm's log patterns off")
        words.append(option(kind, links.replace(b"%", b"%%") + b"/%a"))
    return words


def make_log_folder(path: bytes) -> None:
    """
    Make a log's missing folders, 0755, as Slurm does from 23.02 on: it would make those of the link only.

    Where that fails, Slurm cannot open the log either, and fails the job as it does directly.
    """
    before = os.umask(0o022)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError:
        pass
    finally:
        os.umask(before)


def command_line(
    array: Array,
    folder: bytes,
    script: bytes,
    limits: Limits,
    throttle: int | None,
    extra: list[bytes],
    place_of: Callable[[int], Place],
) -> list[bytes]:
    """
    The words after `sbatch` that submit an array.

    Args:
        folder: The array's own folder.
        script: Absolute path of its script.
        throttle: Tasks at a time for every array, 0 for no limit, None to keep what the calls say.
        extra: Options for all arrays that no call could carry.
        place_of: Where a ticket's tasks run; every producer is submitted by now.
    """
    words = [b"--parsable", b"--ignore-pbs"]
    for name, value in array.options.items():
        if name == "mail-type" and value is not None and not array.own_indices and not array.is_plain:
            value += b",ARRAY_TASKS"
        if OPTIONS[name][1] and value is not None:
            words.append(option(name, value))
        else:
            words.append(option(name, None))
    waits = dependency(array, limits, place_of)
    if waits:
        words.append(option("dependency", waits))
    spec = array_spec(array, throttle)
    if spec is not None:
        words.append(option("array", spec))
    name_word = job_name(array)
    words.append(option("job-name", name_word))
    words.append(option("chdir", common_folder(array) or b"/"))
    if array.login:
        words.append(b"--export=NONE")
    words += log_options(array, folder, limits)
    return [*words, *extra, script]


def places(array: Array) -> dict[str, tuple[int | None, str | None]]:
    """For the journal: for each ticket of the array, the index of its first task, and its --array."""
    found: dict[str, tuple[int | None, str | None]] = {}
    for call, span in array.members:
        spec = call.options.get("array")
        found[str(call.ticket)] = (span.first, None if spec is None else spec.decode())
    return found
