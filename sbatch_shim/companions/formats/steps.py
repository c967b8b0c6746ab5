"""`squeue --steps` with tickets: the rows of running steps, in which only the ids are written anew."""

from __future__ import annotations

import sys
import time

from sbatch_shim.companions import clusters
from sbatch_shim.companions.context import Context
from sbatch_shim.companions.formats.columns import STEPS, Layout, Row, asked, assemble, parts_of, sort_by_id
from sbatch_shim.companions.listing import translated
from sbatch_shim.companions.options import Line
from sbatch_shim.companions.parts import Part, selection_of, shares
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
    if name == "arrayjobid" and shown.tasks is None:
        return "0"
    return shown.ids(name)


class Steps:
    """The rows of one look at the steps; as with the real squeue names and states select none."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        self.wanted = selection_of(context.tickets, line.last("jobs"), None)

    def real_line(self) -> Line:
        """The line for the real squeue, but for the format."""
        line = self.line.without("jobs", "steps", "long")
        steps = self.line.last("steps")
        line.options.append(("steps", None if steps is None else real_steps(self.context, steps)))
        if not self.wanted.anything:
            line.options.append(("jobs", ",".join(self.wanted.asked) or str(NO_JOB)))
        return line

    def ask(self, layout: Layout) -> tuple[int, bytes]:
        """The whole output, and the exit status."""
        answer, self.layout = asked(self.context, self.real_line(), layout, STEPS)
        sys.stderr.buffer.write(answer.err)
        if answer.status != 0 and not answer.out:
            return answer.status, b""
        self.context.tickets.refresh()
        rows = []
        for before, (raw, one), texts in parts_of(answer.out, self.layout):
            rows.append(Row(JobId.printed(one), raw if raw.isdigit() else "", "", "", before, texts))
        self.jobs = clusters.jobs_with(self.context, {row.id.job for row in rows if row.id is not None})
        order = self.line.last("sort") or self.context.variable("SQUEUE_SORT") or "i"
        out = translated(self, rows, set(), lambda ours: sort_by_id(ours, order))
        if self.line.has("long") and not self.line.has("noheader"):
            out.insert(0, time.strftime("%a %b %d %H:%M:%S %Y\n").encode())
        return answer.status, b"".join(out)

    def parts(self, row: Row) -> list[Part] | None:
        job = self.jobs.get(row.number)
        if job is None:
            return None
        return shares(job, row.tasks, folded=False, raw=row.raw)

    def others(self, row: Row) -> list[bytes]:
        if row.id is not None and not self.wanted.names_other(row):
            return []
        return [assemble(self.layout, row.texts, row.before)]

    def ours(self, row: Row, part: Part) -> list[bytes]:
        job = self.jobs.get(row.number)
        if row.id is None or job is None or not (self.wanted.takes_real(part, row, job) or self.wanted.takes(part)):
            return []
        texts = list(row.texts)
        for at, column in enumerate(self.layout.fields):
            if column.name in ("stepid", "jobid", "arrayjobid", "arraytaskid"):
                texts[at] = column.show(ids(part, column.name, row.id.step[1:]))
        return [assemble(self.layout, texts, row.before)]
