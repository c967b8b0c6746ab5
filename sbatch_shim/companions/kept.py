"""
What is cancelled while it waits keeps a record of its own.

Of tasks that wait in an array's common record slurmctld keeps none when they are cancelled: they vanish from every
list and from accounting, and a job that waits for their success starts (tried on 22.05; 24.11 forgets the accounting
only). A plain job stays in the queue as CANCELLED, and never lets such a job start. So tasks of a call of which
nothing would be left waiting are split off first, by giving them another name and the old one again (24.11 accounts
for what was really changed); or the whole array is cancelled, which keeps its record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sbatch_shim.companions.book import Job, compact
from sbatch_shim.companions.companion import Context
from sbatch_shim.companions.shown import parse_tasks

ELEMENT = re.compile("([0-9]+)_([0-9]+)", re.A)


def with_records(context: Context, ids: list[str]) -> list[str]:
    """The ids for scancel, after splitting off what would vanish."""
    jobs = context.book.jobs
    arrays: dict[int, set[int]] = {}
    for one in ids:
        element = ELEMENT.fullmatch(one)
        if element and int(element[1]) in jobs:
            arrays.setdefault(int(element[1]), set()).add(int(element[2]))
    whole = {number for number, indices in arrays.items() if indices.issuperset(jobs[number].indices)}
    for number, live, waiting, name in looked_at(context, sorted(arrays.keys() - whole)):
        if live <= arrays[number]:
            whole.add(number)
            continue
        going = without_rest(jobs[number], waiting, waiting & arrays[number])
        # An update of all that waits would change the common record and split nothing.
        parts = [going] if len(going) < len(waiting) else [going[:-1], going[-1:]]
        for part in filter(None, parts):
            elements = ",".join(compact(f"{number}_{index}" for index in part))
            # Where a site forbids it, they are cancelled all the same.
            for given in (re.sub(r"(\+[0-9]+)?$", "+0", name, count=1), name):
                context.run("scontrol", ["update", f"JobId={elements}", f"JobName={given}"])
    named = [found[1] if (found := ELEMENT.fullmatch(one)) and int(found[1]) in whole else one for one in ids]
    return compact(dict.fromkeys(named))


def looked_at(context: Context, asked: list[int]) -> Iterator[tuple[int, set[int], set[int], str]]:
    """Of each array that has not ended: its live tasks, those which wait in its common record, and its name."""
    if not asked:
        return
    # A single id that is gone would be an error.
    words = ["-h", "-a", "-j", ",".join(map(str, [*asked, asked[0]])), "-o", "%i|%j"]
    answer = context.run("squeue", words, **{**context.unfiltered(), "SLURM_BITSTR_LEN": "0"})
    rows = [line.partition("|") for line in answer.out.decode(errors="surrogateescape").splitlines()]
    for number in asked:
        live: set[int] = set()
        waiting: set[int] = set()
        name = ""
        for one, _, called in rows:
            array, _, tasks = one.partition("_")
            if array != str(number):
                continue
            indices = set(parse_tasks(tasks.strip("[]"))[0])
            live |= indices
            if tasks.startswith("["):
                waiting, name = indices, called
        if live:
            yield number, live, waiting, name


def without_rest(job: Job, waiting: set[int], cancelled: set[int]) -> list[int]:
    """Those of the cancelled tasks whose call has no other that waits."""
    left = job.shares(sorted(waiting - cancelled))
    return [index for index in sorted(cancelled) if not left.keys() & job.shares([index]).keys()]
