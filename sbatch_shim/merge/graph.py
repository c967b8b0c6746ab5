"""The plan in words: each array, what it waits for, and why it is no part of another one."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Sequence

from sbatch_shim.merge.meaning import canonical
from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.submission import job_name
from sbatch_shim.state.dependency import Dependency

# What a terminal shows without breaking lines.
COLUMNS = 80
# Below the name of an array.
INDENT = " " * 7
# Of one array's dependencies; thousands of them help nobody.
MOST_LINES = 4


def describe(array: Array, why: str = "") -> str:
    """One array in words, and in a line of its own why it has no company."""
    text = summary([call.ticket for call in array.calls], array.size)
    if not why:
        return text
    return text + "\n" + explained(why, "      ")


def explained(why: str, indent: str) -> str:
    """Why calls were not merged, as lines that fit a terminal."""
    return textwrap.fill(f"not merged: {why}", COLUMNS, initial_indent=indent, subsequent_indent=indent + "  ")


def summary(tickets: list[int], tasks: int) -> str:
    """How much an array holds."""
    first, last = min(tickets), max(tickets)
    told = f"tickets {first}..{last}"
    if first == last:
        told = f"ticket {first}"
    return f"{counted(len(tickets), 'call')}, {counted(tasks, 'task')}, {told}"


def counted(number: int, word: str, words: str = "") -> str:
    """
    A number of things, `1 call` or `2 calls`.

    Args:
        words: The plural, where more than an s makes it.
    """
    if number == 1:
        return f"1 {word}"
    return f"{number} {words or word + 's'}"


def with_real_ids(number: int) -> str:
    """A number of calls that got the ids of their jobs from sbatch."""
    return counted(number, "call with a real id", "calls with real ids")


def reason(array: Array) -> str:
    """Why a call that waits for something has no company; empty for arrays of several calls."""
    if array.alone or len(array.calls) > 1 or not array.waits.conditions:
        return array.alone
    kinds = sorted({one.kind for one in array.waits.conditions} - {"afterok", "aftercorr"})
    if array.waits.any_of:
        return "no other call waits for the same, and with ? Slurm waits for whole arrays"
    if kinds:
        return f"no other call waits for the same, and Slurm has no {kinds[0]} task by task"
    return "no other call waits for the same, or task by task for the same arrays"


def reasons(arrays: Sequence[Array]) -> list[str]:
    """
    For each array why it has no company; empty where it has, or where nothing here could have been its company.

    Company must have the same options. What only waits for something else than all others is worth a word where
    several do that: the one call at the end of a pipeline that waits for all is as it should be.
    """
    wants = [tuple(sorted((name, canonical(name, value)) for name, value in one.options.items())) for one in arrays]
    whys = [reason(array) for array in arrays]
    same_options = Counter(wants)
    same_reason = Counter(zip(wants, whys))
    told = []
    for array, want, why in zip(arrays, wants, whys):
        others = same_reason[want, why]
        if array.alone:
            others = same_options[want]
        if others == 1:
            why = ""
        told.append(why)
    return told


def graph(arrays: Sequence[Array], options: Sequence[str] = ()) -> str:
    """
    All arrays, numbered in the order of submission, with those that each waits for; those that look the same share
    a line::

        1        100 tasks  align
               --mem=4G --time=10
        2        100 tasks  call     <- 1 lane by lane
        3         30 jobs   clean    <- 1 of 1 (afterany)
               not merged: ...
        33         1 job    summary  <- all of 2 (afterok)

    Args:
        options: What each array is submitted with, in words; none to leave that out.
    """
    number_of = {call.ticket: number for number, array in enumerate(arrays, 1) for call in array.calls}
    alike: dict[tuple[bytes, int, str, str, str], list[int]] = defaultdict(list)
    whys = reasons(arrays)
    given = options or [""] * len(arrays)
    for number, array in enumerate(arrays, 1):
        waits = [f"{number_of[one.calls[0].ticket]} lane by lane" for one in array.upstream]
        waits += conditions(array.waits, arrays, number_of)
        separator = " or " if array.waits.any_of else ", "
        # Arrays are worth a line each; plain jobs come in thousands.
        own = 0 if array.is_plain else number
        alike[job_name(array), own, separator.join(waits), whys[number - 1], given[number - 1]].append(number)
    wide = min(30, max((len(name) for name, *_ in alike), default=0))
    lines = []
    for (name, number, arrow, why, words), numbers in alike.items():
        size = counted(len(numbers), "job")
        if number:
            size = counted(arrays[number - 1].size, "task")
        count, word = size.split()
        shown = name.decode(errors="backslashreplace")
        lines += headed(f"{numbers[0]:>5}  {count:>6} {word:5}  {shown:{wide}}", arrow)
        if words:
            lines += textwrap.wrap(
                words, COLUMNS, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False
            )
        if why:
            lines.append(explained(why, INDENT))
    return "\n".join(line.rstrip() for line in lines)


def headed(head: str, arrow: str) -> list[str]:
    """The line of an array and, there or below, what it waits for."""
    if not arrow:
        return [head]
    if len(head) + len(arrow) + 5 <= COLUMNS:
        return [f"{head}  <- {arrow}"]
    waits = textwrap.wrap(arrow, COLUMNS, initial_indent=f"{INDENT}<- ", subsequent_indent=f"{INDENT}   ")
    if len(waits) > MOST_LINES:
        waits[MOST_LINES:] = [f"{INDENT}   ..."]
    return [head, *waits]


def conditions(waits: Dependency, arrays: Sequence[Array], number_of: dict[int, int]) -> list[str]:
    """What an array waits for as a whole: tasks of other arrays, and jobs that Slurm has already."""
    within: dict[tuple[int, str], int] = defaultdict(int)
    words = []
    for one in waits.conditions:
        number = number_of.get(one.job)
        if number is None and one.job:
            words.append(f"job {one.job} ({one.kind})")
        elif number is None:
            words.append(one.kind)
        else:
            call = next(call for call in arrays[number - 1].calls if call.ticket == one.job)
            whole = one.element is None and call.is_array
            within[number, one.kind] += len(call.tasks) if whole else 1
    for (number, kind), count in within.items():
        what = f"{count} of "
        if arrays[number - 1].is_plain:
            what = ""
        elif count >= arrays[number - 1].size:
            what = "all of "
        words.append(f"{what}{number} ({kind})")
    return words
