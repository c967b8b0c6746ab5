"""
Rows of squeue with tickets.

The real squeue is asked for the very fields that the caller wants, each followed by a separator, and for the ids of
each row in front of them. Rows of other jobs are put together again byte for byte. A row of a merged array becomes
one row for each call that has tasks in it, in which only the fields that tell of the array are written anew.
"""

from __future__ import annotations

import os
import sys
import time

from sbatch_shim.companions.formats.columns import JOBS, LOGS, Field, Layout, asked, assemble, parts_of, sort_by_id
from sbatch_shim.companions.listing import translated
from sbatch_shim.companions.parts import Entry, Part, shares_of_entry
from sbatch_shim.companions.to_tickets import dependency_with_tickets
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import JobId
from sbatch_shim.state.plain import dataclass, replace
from sbatch_shim.state.tickets import Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sbatch_shim.companions.formats.waiting import Value
    from sbatch_shim.companions.options import Line
    from sbatch_shim.companions.squeue import Queue
    from sbatch_shim.companions.unsubmitted import Unsubmitted


ID_FIELDS = ("jobid", "arrayjobid", "arraytaskid", "jobarrayid")
# What --only-job-state shows of a job that waits (tried on 24.11): Slurm is not asked for the rest.
ONLY_STATE = {
    "statecompact": "PD",
    "state": "PENDING",
    "timeused": "0:00",
    "timelimit": "0:00",
    "numnodes": "0",
    "numcpus": "0",
    "username": "root",
    "userid": "0",
    "reason": "None",
    "reasonlist": "(None)",
    "submittime": "N/A",
}


@dataclass
class Row(Entry):
    """
    A row of the real squeue.

    Attributes:
        before: Text in front of it (the date of --long).
        texts: The columns as squeue printed them.
    """

    before: bytes
    texts: list[bytes]


def rows_of(out: bytes, layout: Layout) -> list[Row]:
    """The rows of jobs."""
    found = []
    for before, (raw, one, command, name), texts in parts_of(out, layout):
        found.append(Row(JobId.printed(one), raw, name, command, before, texts))
    return found


class Rows:
    """The rows of one look at the queue."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.context = queue.context
        self.tickets = queue.tickets
        self.only_state = queue.only_state
        self.apart: dict[tuple[int, int], Row] = {}

    def ask(self, layout: Layout) -> tuple[int, bytes]:
        """The whole output, and the exit status."""
        given = self.queue.line
        # Its date is told by us: the real one takes no format beside --long.
        line = self.queue.asked_line().without("long")
        answer, self.layout = asked(self.context, line, layout, JOBS)
        sys.stderr.buffer.write(answer.err)
        line.options.append(self.layout.option)
        if answer.status != 0 and not answer.out:
            return answer.status, b""
        rows = rows_of(answer.out, self.layout)
        self.tickets.settle((row.id.job if row.id else None, row.command) for row in rows)
        self.apart = self.rows_apart(rows, line)
        out = []
        if not given.has("noheader"):
            if given.has("long"):
                out.append(time.strftime("%a %b %d %H:%M:%S %Y\n").encode())
            out += [assemble(self.layout, row.texts, row.before) for row in rows[:1]]
            rows = rows[1:]
        order = given.last("sort") or self.context.variable("SQUEUE_SORT") or ""
        seen: set[int] = set()
        body = translated(self, rows, seen, lambda ours: sort_by_id(ours, order))
        return answer.status, b"".join([*out, *self.unsubmitted(seen), *body])

    def rows_apart(self, rows: list[Row], line: Line) -> dict[tuple[int, int], Row]:
        """
        By array and index, the tasks of folded rows that hold several calls.

        squeue folds what waits of an array into one row, with the values of one of its tasks; the calls in it may
        have been given others since (a time limit, a hold).
        """
        asked = set()
        for row in rows:
            job = self.job(row)
            if job is not None and len(job.entries) > 1 and len(row.tasks.ids) > 1:
                asked.add(str(job.number))
        if not asked:
            return {}
        line = line.without("jobs")
        line.options += [("array", None), ("noheader", None), ("jobs", ",".join(sorted(asked)))]
        answer = self.context.run("squeue", line.words(), SLURM_BITSTR_LEN="0")
        if answer.status != 0:
            return {}
        ours = (row for row in rows_of(answer.out, self.layout) if self.job(row))
        return {(row.id.job, row.id.task): row for row in ours if row.id is not None and row.id.task is not None}

    def job(self, row: Row) -> Job | None:
        """The merged job that a row tells of; None for any other."""
        if row.id is None:
            return None
        if self.only_state:  # which tells no command
            return self.tickets.job_here(row.id.job)
        return self.tickets.job(row.id.job, row.command)

    def parts(self, row: Row) -> list[Part] | None:
        """The calls that a row tells of; None where it tells of none."""
        job = self.job(row)
        if job is None:
            return None

        def elsewhere() -> list[int]:
            answer = self.context.run("squeue", ["-h", "-r", "-t", "all", "-j", str(job.number), "-o", "%K"])
            return [int(word) for word in answer.out.split() if word.isdigit()]

        found = shares_of_entry(job, row, elsewhere)
        if self.queue.one_per_task and any(one.folded for one in found):
            found = [each for one in found for each in one.tasks_apart()]
        return found or None

    def others(self, row: Row) -> list[bytes]:
        """Somebody else's row: only what SLURM_BITSTR_LEN=0 let grow is cut again."""
        if not self.queue.wants_other(row) or self.tickets.hides(row.command):
            return []
        texts = row.texts
        if row.id is not None and row.id.folded:
            shown = Part(row.id.job, list(row.tasks), folded=True, throttle=row.tasks.throttle)
            texts = list(texts)
            for at, column in enumerate(self.layout.fields):
                if column.name in ("jobarrayid", "arraytaskid"):
                    texts[at] = column.show(shown.ids(column.name), folded=True)
        return [assemble(self.layout, texts, row.before)]

    def ours(self, row: Row, part: Part) -> list[bytes]:
        """A row of ours: its ids, and what the call had of its own."""
        shown = self.queue.chosen(part, row)
        if shown is None:
            return []
        before = row.before
        row = self.apart.get((row.id.job if row.id else 0, shown.index), row)
        call = self.tickets.call(shown.ticket)
        texts = list(row.texts)
        for at, column in enumerate(self.layout.fields):
            text = self.own_text(shown, call, column.name)
            if column.name == "name" and not self.only_state:
                text = self.tickets.name(shown.ticket, row.name)
            elif column.name == "comment" and not self.only_state:
                real = os.fsdecode(row.texts[at]).strip()
                text = self.tickets.comment(shown.ticket, "" if real == "(null)" else real) or "(null)"
            elif call is not None and not self.only_state and self.is_updated(call, shown, column, texts[at]):
                continue
            elif column.name == "dependency":
                text = dependency_with_tickets(os.fsdecode(row.texts[at]).strip(), self.tickets, call, shown.index)
            if text is not None:
                texts[at] = column.show(text, folded=shown.folded)
        return [assemble(self.layout, texts, before)]

    def is_updated(self, call: Call, shown: Part, column: Field, text: bytes) -> bool:
        """Whether the real squeue's text is what scontrol update has set."""
        real = os.fsdecode(text).strip()
        if column.name in LOGS:
            from sbatch_shim.companions import as_shown

            return as_shown.is_updated(self.context, call, LOGS[column.name], real, column.width)
        if column.name != "workdir" or (column.width and len(os.fsencode(real)) >= column.width):
            return False
        return self.tickets.folder(shown.ticket, real) != os.fsdecode(call.folder)

    def own_text(self, shown: Part, call: Call | None, field: str) -> str | None:
        """What a field shows for a call; None where the real squeue's text is right."""
        if field in ID_FIELDS:
            return shown.ids(field)
        if call is None or self.only_state:
            return None
        if field == "name":
            return call.shown_name
        if field == "workdir":
            return os.fsdecode(call.folder)
        if field not in LOGS and field != "command":
            return None
        from sbatch_shim.companions import as_shown

        if field == "command":
            return as_shown.command(self.context, call)
        return as_shown.log_column(self.context, call, field, shown, expanded=self.queue.line.has("expand-patterns"))

    def unsubmitted(self, seen: set[int]) -> list[bytes]:
        """Rows of the calls that no flush has submitted."""
        found: list[bytes] = []
        writers: list[tuple[Field, Callable[[Unsubmitted, Part], str]]] = []
        for shown, values in self.queue.unsubmitted(seen, one_per_task=self.queue.one_per_task):
            if self.only_state:
                shown = replace(shown, throttle=0)
            writers = writers or self.writers()
            texts = [column.show(text(values, shown), folded=shown.folded) for column, text in writers]
            found.append(assemble(self.layout, texts))
        return found

    def writers(self) -> list[tuple[Field, Callable[[Unsubmitted, Part], str]]]:
        """The columns, each with what writes it for a call that no flush has submitted."""
        from sbatch_shim.companions.formats import waiting

        values = waiting.by_name(waiting.SQUEUE)
        unknown = waiting.always("N/A")
        return [(column, self.writer(column.name, values.get(column.name, unknown))) for column in self.layout.fields]

    def writer(self, field: str, value: Value) -> Callable[[Unsubmitted, Part], str]:
        if field in ID_FIELDS:
            return lambda values, shown: shown.ids(field)
        if self.only_state:
            return lambda values, shown: ONLY_STATE.get(field, "(null)")
        if field in ("name", "workdir", "command", *LOGS):
            return lambda values, shown: self.own_text(shown, values.call, field) or ""
        return lambda values, shown: text_of(value(values))


def text_of(value: str | int | None) -> str:
    """As squeue and scontrol write a value."""
    if value is None:
        return "(null)"
    return str(value)
