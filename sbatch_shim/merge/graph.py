"""The plan in words: each array, what it waits for, and why it is no part of another one."""

from __future__ import annotations

from collections import defaultdict

from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.submission import job_name
from sbatch_shim.state.dependency import Dependency


def describe(array: Array) -> str:
    """One array in words."""
    text = summary([call.ticket for call in array.calls], array.size)
    why = reason(array)
    return text + (f"; alone: {why}" if why else "")


def summary(tickets: list[int], tasks: int) -> str:
    """How much an array holds."""
    first, last = min(tickets), max(tickets)
    told = f"ticket {first}" if first == last else f"tickets {first}..{last}"
    return f"{counted(len(tickets), 'call')}, {counted(tasks, 'task')}, {told}"


def counted(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


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


def graph(arrays: list[Array]) -> str:
    """
    All arrays, numbered in the order of submission, with those that each waits for; those that look the same share
    a line::

        1        100 tasks  align
        2        100 tasks  call     <- 1 lane by lane
        3         30 jobs   clean    <- 1 of 1 (afterany)
              alone: ...
        33         1 job    summary  <- all of 2 (afterok)
    """
    number_of = {call.ticket: number for number, array in enumerate(arrays, 1) for call in array.calls}
    alike: dict[tuple[bytes, int, str, str], list[int]] = defaultdict(list)
    for number, array in enumerate(arrays, 1):
        waits = [f"{number_of[one.calls[0].ticket]} lane by lane" for one in array.upstream]
        waits += conditions(array.waits, arrays, number_of)
        arrow = (" or " if array.waits.any_of else ", ").join(waits)
        # Arrays are worth a line each; plain jobs come in thousands.
        alike[job_name(array), 0 if array.is_plain else number, arrow, reason(array)].append(number)
    wide = min(30, max((len(name) for name, *_ in alike), default=0))
    lines = []
    for (name, number, arrow, why), numbers in alike.items():
        size = counted(arrays[number - 1].size, "task") if number else counted(len(numbers), "job")
        count, word = size.split()
        shown = name.decode(errors="backslashreplace")
        lines.append(f"{numbers[0]:>5}  {count:>6} {word:5}  {shown:{wide}}" + (f"  <- {arrow}" if arrow else ""))
        if why:
            lines.append(f"{'':7}alone: {why}")
    return "\n".join(line.rstrip() for line in lines)


def conditions(waits: Dependency, arrays: list[Array], number_of: dict[int, int]) -> list[str]:
    """What an array waits for as a whole: tasks of other arrays, and jobs that Slurm has already."""
    within: dict[tuple[int, str], int] = defaultdict(int)
    words = []
    for one in waits.conditions:
        number = number_of.get(one.job)
        if number is None:
            words.append(one.kind if not one.job else f"job {one.job} ({one.kind})")
            continue
        call = next(call for call in arrays[number - 1].calls if call.ticket == one.job)
        within[number, one.kind] += 1 if one.element is not None or not call.is_array else len(call.tasks)
    for (number, kind), count in within.items():
        what = "all of " if count >= arrays[number - 1].size else f"{count} of "
        if arrays[number - 1].is_plain:
            what = ""
        words.append(f"{what}{number} ({kind})")
    return words
