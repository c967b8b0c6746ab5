"""An array as a command line of sbatch: its options, its log files, its dependencies by real ids."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from sbatch_shim import logs
from sbatch_shim.errors import ShimError
from sbatch_shim.grammar import OPTIONS
from sbatch_shim.journal import Place
from sbatch_shim.plan import Array, Limits, task_count
from sbatch_shim.render import common_folder
from sbatch_shim.spool import make_folder, ticket_numbers
from sbatch_shim.values import indices


def option(name: str, value: bytes | None) -> bytes:
    """One word that sets an option."""
    return b"--" + name.encode() + (b"" if value is None else b"=" + value)


def job_name(array: Array) -> bytes | None:
    """What squeue shows: the calls' name, or the first one's and how many more there are."""
    names = list(dict.fromkeys(call.name or b"sbatch" for call in array.calls))
    return names[0] if len(names) == 1 else b"%s+%d" % (names[0], len(names) - 1)


def array_spec(array: Array, throttle: int | None) -> bytes | None:
    """The value of --array; None for a plain job."""
    if array.is_plain:
        return None
    if array.own_indices:
        spec = (array.calls[0].options["array"] or b"").partition(b"%")[0]
        limit = array.calls[0].throttle if throttle is None else throttle
    else:
        spec = b"0-%d" % (array.size - 1)
        limit = throttle or 0
    return spec + (b"%%%d" % limit if limit else b"")


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
        if len(array.calls) == 1 and by_pattern:
            task = call.tasks[0] if call.is_array else None
            name = logs.expand(call, kind, task, call.is_array, limits.launch_sets_name)
            if name is not None:
                words.append(option(kind, name.path if call.is_array or name.on_node else logs.literal(name.path)))
            continue
        found = [
            logs.expand(call, kind, task, launch_sets_name=limits.launch_sets_name) for _, call, task in array.tasks()
        ]
        if not any(found):
            continue
        names = [logs.Name(b"/dev/null", False) if name is None else name for name in found]
        if len({name.path for name in names}) == 1:
            words.append(option(kind, names[0].path if names[0].on_node else logs.literal(names[0].path)))
            continue
        links = folder + b"/" + kind.encode()
        make_folder(links)
        for index, name in enumerate(names):
            if limits.makes_log_folders and kind != "input":
                make_log_folder(os.path.dirname(name.path))
            os.symlink(name.path, b"%s/%d" % (links, index))
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
        if name == "dependency" and value is not None:
            value = with_places(value, place_of, any(call.is_array for call in array.calls))
        elif name == "mail-type" and value is not None and not array.own_indices and not array.is_plain:
            value += b",ARRAY_TASKS"
        if OPTIONS[name][1] and value is not None:
            words.append(option(name, value))
        else:
            words.append(option(name, None))
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


def with_places(spec: bytes, place_of: Callable[[int], Place], for_array: bool) -> bytes:
    """
    A dependency with every ticket replaced by the real ids of its tasks.

    Args:
        for_array: What waits is an array, whose aftercorr looks at indices.

    Raises:
        ShimError: a ticket whose tasks share an array with others, in a way that Slurm cannot express.
        ValueError: this is no dependency.
    """
    if not ticket_numbers(spec):
        return spec
    spec = BRACKETS.sub(elements_of_brackets, spec)
    separator = b"?" if b"?" in spec else b","
    terms = []
    for term in spec.split(separator):
        kind, colon, ids = term.partition(b":")
        if not ticket_numbers(term):
            terms.append(term)
            continue
        if not colon:
            kind, ids = b"afterany", term  # what Slurm takes an id without a type for
        kept: list[tuple[bytes, Place | None]] = []
        moved: list[tuple[bytes, Place | None]] = []
        for one in ids.split(b":"):
            number, plus, delay = one.partition(b"+")
            job, underscore, task = number.partition(b"_")
            if not ticket_numbers(job):
                kept.append((one, None))
                continue
            place = place_of(int(job))
            if underscore and task != b"*":
                moved.append((place.element(int(task)).encode() + plus + delay, place))
            elif place.whole:
                kept.append((b"%d" % place.job + plus + delay, None))
            elif place.spec is None:
                target = moved if kind == b"aftercorr" else kept
                target.append((place.elements()[0].encode() + plus + delay, place))
            elif kind in (b"afternotok", b"aftercorr") or separator == b"?":
                raise ShimError(
                    f"{spec.decode()}: ticket {int(job)} was merged with others, so Slurm cannot be told to "
                    "wait for it in this way; submit this call with SARRAY_MODE=pass"
                )
            else:
                kept += [(element.encode() + plus + delay, place) for element in place.elements()]
        if moved and kind == b"aftercorr" and for_array:
            terms.append(b"afterok:" + b":".join(text for text, _ in moved))
        else:
            kept += moved
        if kept:
            # With ? each id is an alternative of its own.
            listed = [text for text, _ in kept] if separator == b"?" else fold(kind, kept)
            terms.append(kind + b":" + b":".join(listed))
    return separator.join(terms)


# A ticket with several of its elements; Slurm reads no more than the first number where there is a step.
BRACKETS = re.compile(rb"([12][0-9]{9})_\[([0-9,-]+)(?::[0-9]+)?\]")


def elements_of_brackets(found: re.Match[bytes]) -> bytes:
    """`T_[1-3]` as `T_1:T_2:T_3`."""
    ticket, spec = found.group(1), found.group(2)
    ids = indices(spec)[0]
    if b":" in found.group():
        ids = ids[:1]
    return b":".join(b"%s_%d" % (ticket, one) for one in ids)


def fold(kind: bytes, found: list[tuple[bytes, Place | None]]) -> list[bytes]:
    """
    Ids of one term, an array's id in place of all its elements where that means the same.

    Args:
        found: Each id as Slurm writes it, and the place it came from where it is one of an array's elements.
    """
    elements: dict[int, set[bytes]] = {}
    totals: dict[int, int] = {}
    for text, place in found:
        if place is not None and b"+" not in text:
            elements.setdefault(place.job, set()).add(text)
            totals[place.job] = place.tasks
    whole = {job for job, texts in elements.items() if len(texts) == totals[job]}
    if kind not in (b"after", b"afterok", b"afterany"):
        whole = set()
    folded = [b"%d" % place.job if place is not None and place.job in whole else text for text, place in found]
    return list(dict.fromkeys(folded))


def places(array: Array) -> dict[str, tuple[int | None, str | None]]:
    """For the journal: for each ticket of the array, the index of its first task, and its --array."""
    found: dict[str, tuple[int | None, str | None]] = {}
    index = 0
    for call in array.calls:
        spec = call.options.get("array")
        text = None if spec is None else spec.decode()
        found[str(call.ticket)] = (None if array.own_indices or array.is_plain else index, text)
        index += task_count(call)
    return found
