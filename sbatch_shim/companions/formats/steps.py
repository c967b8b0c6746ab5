"""`squeue --steps` with tickets: the rows of running steps, in which only the ids are written anew."""

from __future__ import annotations

import sys
import time

from sbatch_shim.companions import clusters
from sbatch_shim.companions.context import Context
from sbatch_shim.companions.formats.columns import STEPS, Layout, asked, assemble, parts_of, sort_by_id
from sbatch_shim.companions.options import Line
from sbatch_shim.companions.parts import Entry, Part, selection_of, shares
from sbatch_shim.companions.this_job import own_element
from sbatch_shim.state.ids import NO_JOB, JobId, split_ids


def real_steps(context: Context, given: str) -> str:
    """A list of step ids, `T.0,T_3.1`, with real ids; a call that has not been submitted has no steps."""
    found = []
    for one in split_ids(given):
        job, dot, step = one.partition(".")
        named = context.tickets.named(job)
        if named is not None and dot:
            if named.submitted:
                found += [f"{real}.{step}" for real in named.elements() if clusters.has(context, named.job)]
        else:
            found.append(f"{own_element(context, job) or job}{dot}{step}")
    return ",".join(found) or f"{NO_JOB}.0"


def ids(shown: Part, name: str, step: str) -> str:
    """The value of an id field of a step; directly, a plain job's array has the id 0."""
    if name == "stepid":
        return f"{shown.ids('jobarrayid')}.{step}"
    return "0" if name == "arrayjobid" and shown.tasks is None else shown.ids(name)


def ask(context: Context, line: Line, layout: Layout) -> tuple[int, bytes]:
    """The whole output, and the exit status; as with the real squeue names and states select no step."""
    tickets = context.tickets
    wanted = selection_of(tickets, line.last("jobs"), None)
    real = line.without("jobs", "steps", "long")
    steps = line.last("steps")
    real.options.append(("steps", None if steps is None else real_steps(context, steps)))
    if not wanted.anything:
        real.options.append(("jobs", ",".join(wanted.asked) or str(NO_JOB)))
    answer, layout = asked(context, real, layout, STEPS)
    sys.stderr.buffer.write(answer.err)
    if answer.status != 0 and not answer.out:
        return answer.status, b""
    tickets.refresh()
    head = time.strftime("%a %b %d %H:%M:%S %Y\n").encode() if line.has("long") and not line.has("noheader") else b""
    rows: list[bytes] = []
    ours: list[tuple[int, bytes]] = []
    places: list[int] = []
    parts = list(parts_of(answer.out, layout))
    printed = (JobId.printed(one) for _, (_, one), _ in parts)
    jobs = clusters.jobs_with(context, {found.job for found in printed if found is not None})
    for before, (raw, one), texts in parts:
        found = JobId.printed(one)
        job = jobs.get(found.job) if found else None
        if found is None or job is None:
            if found is not None and not wanted.names_other(Entry(found, raw if raw.isdigit() else "", "", "")):
                continue
            rows.append(assemble(layout, texts, before))
            continue
        entry = Entry(found, raw if raw.isdigit() else "", "", "")
        for shown in shares(job, entry.tasks, folded=False, raw=entry.raw):
            if not (wanted.takes_real(shown, entry, job) or wanted.takes(shown)):
                continue
            for at, column in enumerate(layout.fields):
                if column.name in ("stepid", "jobid", "arrayjobid", "arraytaskid"):
                    texts[at] = column.show(ids(shown, column.name, found.step[1:]))
            places.append(len(rows))
            ours.append((shown.ticket, assemble(layout, texts, before)))
            rows.append(b"")
    sort_by_id(ours, line.last("sort") or context.variable("SQUEUE_SORT") or "i")
    for at, (_, text) in zip(places, ours):
        rows[at] = text
    return answer.status, head + b"".join(rows)
