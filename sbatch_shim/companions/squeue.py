"""
squeue with tickets.

The real squeue is asked for the very fields that the caller wants, each followed by a separator, and for the ids of
each row in front of them. Rows of other jobs are put together again byte for byte. A row of a merged array becomes
one row for each call that has tasks in it, in which only the fields that tell of the array are written anew.
"""

from __future__ import annotations

import gc
import os
import sys
import time

from sbatch_shim.companions import clusters
from sbatch_shim.companions.context import LIVE_SECONDS, Context, say, write
from sbatch_shim.companions.formats.columns import (
    JOBS,
    LOGS,
    STEPS,
    Field,
    Layout,
    Row,
    asked,
    assemble,
    layout_of,
    rows_of,
    sort_by_id,
)
from sbatch_shim.companions.formats.separators import START
from sbatch_shim.companions.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, Unseparable, read
from sbatch_shim.companions.parts import Entry, Part, Selection, selection_of, shares_of_entry, whole
from sbatch_shim.companions.to_tickets import dependency_with_tickets
from sbatch_shim.companions.unsubmitted import Unsubmitted
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_JOB, JobId, is_number, split_ids
from sbatch_shim.state.lazy import re
from sbatch_shim.state.plain import cached_property, replace
from sbatch_shim.state.tickets import Job, SessionTickets, Tickets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


TABLE: Table = {
    "account": ("A", REQUIRED),
    "accounts": ("A", REQUIRED),
    "all": ("a", NONE),
    "array": ("r", NONE),
    "array-unique": ("", NONE),
    "cluster": ("M", REQUIRED),
    "clusters": ("M", REQUIRED),
    "expand-patterns": ("", NONE),
    "federation": ("", NONE),
    "format": ("o", REQUIRED),
    "Format": ("O", REQUIRED),
    "help": ("", NONE),
    "hide": ("", NONE),
    "iterate": ("i", REQUIRED),
    "jobs": ("j", OPTIONAL),
    "json": ("", OPTIONAL),
    "licenses": ("L", REQUIRED),
    "local": ("", NONE),
    "long": ("l", NONE),
    "me": ("", NONE),
    "name": ("n", REQUIRED),
    "noconvert": ("", NONE),
    "node": ("w", REQUIRED),
    "nodes": ("w", REQUIRED),
    "nodelist": ("w", REQUIRED),
    "noheader": ("h", NONE),
    "notme": ("", NONE),
    "only-job-state": ("", NONE),
    "partitions": ("p", REQUIRED),
    "priority": ("P", NONE),
    "qos": ("q", REQUIRED),
    "reservation": ("R", REQUIRED),
    "sib": ("", NONE),
    "sibling": ("", NONE),
    "sort": ("S", REQUIRED),
    "start": ("", NONE),
    "states": ("t", REQUIRED),
    "steps": ("s", OPTIONAL),
    "usage": ("", NONE),
    "user": ("u", REQUIRED),
    "users": ("u", REQUIRED),
    "verbose": ("v", NONE),
    "version": ("V", NONE),
    "yaml": ("", OPTIONAL),
}

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

# Options of sbatch by whose values squeue can choose.
FILTERED = ("partition", "account", "qos")

# A task that no array has: above the highest MaxArraySize (squeue reads no larger ones).
TASK_OF_NOBODY = 4000000


class Queue:
    """One look at the queue."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        self.tickets: Tickets = context.tickets
        self.one_per_task = line.has("array") or context.variable("SQUEUE_ARRAY") is not None
        names = line.last("name") if line.has("name") else context.variable("SQUEUE_NAMES")
        self.wanted: Selection = selection_of(self.tickets, line.last("jobs"), names)
        # Slurm tells nothing else then.
        self.only_state = line.has("only-job-state")
        self.apart: dict[tuple[int, int], Row] = {}
        self.waiting = self.tickets.unsubmitted(None if self.wanted.anything else self.wanted.targets)

    def real_line(self) -> Line:
        """The line for the real squeue, but for the format: names are compared by us, ids are real ones."""
        line = self.line.without("jobs", "name")
        if not self.wanted.anything:
            asked = list(self.wanted.asked)
            if len(asked) == 1 and len(self.wanted.targets) + len(self.wanted.reals) > 1 and not self.only_state:
                # A single unknown id is an error, which it would not be among the caller's others.
                asked.append(asked[0])
            line.options.append(("jobs", ",".join(asked)))
        return line

    def nothing_real(self) -> bool:
        """Only tickets that Slurm does not know yet are asked for."""
        return not self.wanted.anything and not self.wanted.asked

    def asked_line(self) -> Line:
        """real_line, or where nothing is asked of Slurm, one for the header's sake: no job has this name, or id."""
        line = self.real_line()
        if self.nothing_real():
            line = line.without("jobs", "user", "users")
            # With --only-job-state names do not count; without it an unknown id is an error.
            line.options += [("jobs", str(NO_JOB))] if self.only_state else [("me", None), ("name", START)]
        return line

    def ask(self, layout: Layout) -> tuple[int, bytes]:
        """The whole output, and the exit status."""
        # Its date is told by us: the real one takes no format beside --long.
        line = self.asked_line().without("long")
        answer, layout = asked(self.context, line, layout, JOBS)
        sys.stderr.buffer.write(answer.err)
        line.options.append(layout.option)
        if answer.status != 0 and not answer.out:
            return answer.status, b""
        rows = rows_of(answer.out, layout)
        self.tickets.settle((row.id.job if row.id else None, row.command) for row in rows)
        self.apart = self.rows_apart(rows, line, layout)
        header = not self.line.has("noheader")
        out = []
        if header and self.line.has("long"):
            out.append(time.strftime("%a %b %d %H:%M:%S %Y\n").encode())
        if header and rows:
            out.append(assemble(layout, rows[0].texts, rows[0].before))
        body = self.body(rows[1:] if header else rows, layout)
        return answer.status, b"".join([*out, *body])

    def rows_apart(self, rows: list[Row], line: Line, layout: Layout) -> dict[tuple[int, int], Row]:
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
        found = rows_of(answer.out, layout) if answer.status == 0 else []
        ours = (row for row in found if self.job(row))
        return {(row.id.job, row.id.task): row for row in ours if row.id is not None and row.id.task is not None}

    def job(self, row: Row) -> Job | None:
        """The merged job that a row tells of; None for any other."""
        if row.id is None:
            return None
        if self.only_state:  # which tells no command
            return self.tickets.job_here(row.id.job)
        return self.tickets.job(row.id.job, row.command)

    def shares(self, row: Row) -> list[Part]:
        """The calls that a row tells of; none where the job is not of ours."""
        job = self.job(row)
        if job is None:
            return []

        def elsewhere() -> list[int]:
            answer = self.context.run("squeue", ["-h", "-r", "-t", "all", "-j", str(job.number), "-o", "%K"])
            return [int(word) for word in answer.out.split() if word.isdigit()]

        found = shares_of_entry(job, row, elsewhere)
        if not self.one_per_task or not any(one.folded for one in found):
            return found
        return [
            replace(one, tasks=[task], folded=False) if one.tasks else one for one in found for task in one.tasks or [0]
        ]

    def body(self, rows: list[Row], layout: Layout) -> list[bytes]:
        """The rows below the header, tickets in place of merged jobs."""
        seen: set[int] = set()
        out: list[bytes] = []
        ours: list[tuple[int, bytes]] = []
        places: list[int] = []
        for row in rows:
            found = self.shares(row)
            seen.update(one.ticket for one in found)
            if not found and self.tickets.hides(row.command):
                continue
            if not found and self.wanted.has_name(row.name) and self.wanted.names_other(row):
                out.append(assemble(layout, self.others(row, layout), row.before))
            for one in found:
                chosen = self.chosen(one, row)
                if chosen is not None:
                    places.append(len(out))
                    ours.append((one.ticket, assemble(layout, self.merged(chosen, row, layout), row.before)))
                    out.append(b"")
        sort_by_id(ours, self.line.last("sort") or self.context.variable("SQUEUE_SORT") or "")
        for at, (_, text) in zip(places, ours):
            out[at] = text
        return [*self.pending([one for one in self.waiting if one[0] not in seen], layout), *out]

    def chosen(self, shown: Part, row: Entry | None) -> Part | None:
        """What of a call in a row the caller wants."""
        if self.wanted.names is not None:
            call = self.tickets.call(shown.ticket)
            name = call.shown_name if call else ""
            if row is not None:
                name = self.tickets.name(shown.ticket, row.name)
            if not self.wanted.has_name(name):
                return None
        held = self.tickets.find(shown.ticket) if row is not None and not self.wanted.anything else None
        if row is not None and held is not None:
            real = self.wanted.takes_real(shown, row, held.jobs[shown.ticket])
            if real is not None:
                return real
        chosen = self.wanted.takes(shown)
        if chosen is None or chosen is shown:
            return chosen
        # Of an array that waits, a single task is shown as T_3, and some of them without the limit.
        return replace(chosen, folded=chosen.folded and len(chosen.tasks or ()) > 1, throttle=0)

    def others(self, row: Row, layout: Layout) -> list[bytes]:
        """Somebody else's row: only what SLURM_BITSTR_LEN=0 let grow is cut again."""
        if row.id is None or not row.id.folded:
            return row.texts
        shown = Part(row.id.job, list(row.tasks), folded=True, throttle=row.tasks.throttle)
        texts = list(row.texts)
        for at, column in enumerate(layout.fields):
            if column.name in ("jobarrayid", "arraytaskid"):
                texts[at] = column.show(shown.ids(column.name), folded=True)
        return texts

    def merged(self, shown: Part, row: Row, layout: Layout) -> list[bytes]:
        """A row of ours: its ids, and what the call had of its own."""
        row = self.apart.get((row.id.job if row.id else 0, shown.index), row)
        call = self.tickets.call(shown.ticket)
        texts = list(row.texts)
        for at, column in enumerate(layout.fields):
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
                texts[at] = column.show(text, shown.folded)
        return texts

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
        if field in ("jobid", "arrayjobid", "arraytaskid", "jobarrayid"):
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
        return as_shown.log_column(self.context, call, field, shown, self.line.has("expand-patterns"))

    def writer(self, field: str) -> Callable[[Unsubmitted, Part], str]:
        """What writes a field of a call that no flush has submitted."""
        if field in ("jobid", "arrayjobid", "arraytaskid", "jobarrayid"):
            return lambda values, shown: shown.ids(field)
        if self.only_state:
            text = ONLY_STATE.get(field, "(null)")
            return lambda values, shown: text
        if field in ("name", "workdir", "command", *LOGS):
            return lambda values, shown: self.own_text(shown, values.call, field) or ""
        told = WAITING.get(field)
        return lambda values, shown: told(values) if told is not None else "N/A"

    def pending(self, waiting: list[tuple[int, SessionTickets]], layout: Layout) -> list[bytes]:
        """Rows of the calls that no flush has submitted."""
        found = []
        columns = [(column, self.writer(column.name)) for column in layout.fields]
        for ticket, pages in waiting:
            call = pages.call(ticket)
            if call is None or not self.passes(call):
                continue
            each = [replace(whole(call), throttle=0) if self.only_state else whole(call)]
            if call.is_array and self.one_per_task:
                each = [Part(ticket, [task]) for task in call.tasks]
            values = Unsubmitted(self.context, call, pages.state(ticket) or "")
            for one in each:
                chosen = self.chosen(one, None)
                if chosen is not None:
                    texts = [column.show(text(values, chosen), chosen.folded) for column, text in columns]
                    found.append(assemble(layout, texts))
        return found

    @cached_property
    def filters(self) -> dict[str, list[str]] | None:
        """By option of sbatch, the values of a queued call that the caller wants; None where no such call is wanted."""
        line, variable = self.line, self.context.variable
        unseen = ("nodes", "nodelist", "node", "licenses", "reservation", "notme")
        if line.has(*unseen) or variable("SQUEUE_LICENSES"):
            return None
        users = line.last("user", "users") or variable("SQUEUE_USERS")
        if users and not {self.context.user, str(os.getuid())} & set(users.split(",")):
            return None
        states = (line.last("states") or variable("SQUEUE_STATES") or "PD").upper().split(",")
        if not {"PD", "PENDING", "ALL"} & set(states):
            return None
        asked = {name: line.last(name, name + "s") or variable(f"SQUEUE_{name.upper()}") for name in FILTERED}
        return {name: wanted.split(",") for name, wanted in asked.items() if wanted}

    def passes(self, call: Call) -> bool:
        """Whether a queued call passes the caller's filters."""
        if self.filters is None:
            return False
        for name, wanted in self.filters.items():
            given = call.options.get(name)
            own = os.fsdecode(given or b"")
            if name == "partition" and not given:
                own = self.context.default_partition
            if own not in wanted:
                return False
        return True


# What a field shows of a call that no flush has submitted, where that is none of its own.
WAITING: dict[str, Callable[[Unsubmitted], str]] = {
    "username": lambda values: values.user,
    "userid": lambda values: str(values.user_id),
    "groupname": lambda values: values.group,
    "groupid": lambda values: str(values.group_id),
    "partition": lambda values: values.partition,
    "statecompact": lambda _: "PD",
    "state": lambda _: "PENDING",
    "reason": lambda values: values.reason,
    "reasonlist": lambda values: f"({values.reason})",
    "timeused": lambda _: "0:00",
    "timelimit": lambda values: values.short_time_limit,
    "timeleft": lambda values: values.short_time_limit,
    "numnodes": lambda values: values.nodes,
    "numcpus": lambda values: values.cpus,
    "mincpus": lambda values: values.option("cpus-per-task", "1"),
    "minmemory": lambda values: values.option("mem", values.option("mem-per-cpu", "0")),
    "account": lambda values: values.option("account"),
    "qos": lambda values: values.option("qos"),
    "submittime": lambda values: values.submitted,
    "nodelist": lambda _: "",
    "batchhost": lambda _: "n/a",
    "nice": lambda _: "0",
    "priority": lambda _: "0.00000000000000",
    "prioritylong": lambda _: "0",
    "comment": lambda values: values.option("comment"),
    "dependency": lambda values: values.dependency,
    "feature": lambda values: values.option("constraint"),
    "reservation": lambda values: values.option("reservation"),
}


def show(context: Context, line: Line, layout: Layout | None) -> int:
    """Print one look; Unseparable, before anything is printed, where a value cannot be told from its neighbours."""
    if layout is None:
        from sbatch_shim.companions.formats import document

        status, out = document.squeue(Queue(context, line))
    elif line.has("steps"):
        from sbatch_shim.companions.formats import steps

        status, out = steps.ask(context, line, layout)
    else:
        status, out = Queue(context, line).ask(layout)
    write(out)
    return status


def look_after(context: Context) -> None:
    """Do the housekeeping where some is due; a failure is nobody's concern."""
    live = context.state + b"/live"
    try:
        latest = time.time() - LIVE_SECONDS
        if all(os.stat(live + b"/" + name).st_mtime >= latest for name in os.listdir(live)):
            return
    except OSError:
        return
    from sbatch_shim.companions.housekeeping import by_itself

    by_itself(context)


def as_numbers(jobs: str) -> str:
    """The tickets of a list as squeue reads ids: a number, `_` and a number, and whatever follows is left out."""

    def number(word: str) -> str:
        if is_number(word):
            return word
        found = re.match(r"\s*\+?([0-9]+)(?:(_)([0-9]+|\[[^\]]*\])?)?", word)
        if found is None or JobId.of_ticket(found[1]) is None:
            return word
        return found[1] + (f"_{found[3] or TASK_OF_NOBODY}" if found[2] else "")

    return ",".join(number(word) for word in split_ids(jobs))


def main(context: Context) -> int:
    """squeue; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.has("help", "usage", "version", "sibling", "sib"):
            raise Unreadable("not about jobs")
        line, others = clusters.asked(context, line)
        if others is not None and line.has("steps") and not clusters.alone(context, others):
            raise Unreadable("a step does not tell its cluster")
        for option in ("jobs", "steps"):
            # A word that stands alone is theirs, even where there was a value.
            if line.has(option) and line.operands:
                line = line.without(option)
                line.options.append((option, line.operands.pop(0)))
        if line.has("jobs") and line.has("steps") and line.last("jobs") is None and line.last("steps") is None:
            raise Unreadable("neither has a value")
        if line.operands:
            raise Unreadable(line.operands[0])
        every = line.last("iterate")
        if every is not None and not every.isdigit():
            raise Unreadable(every)
        layout = None
        if not line.has("json", "yaml"):
            layout = layout_of(line, context, STEPS if line.has("steps") else JOBS)
    except Unreadable:
        return context.become(context.words)
    once = line.without("iterate", "format", "Format", "jobs")
    if line.has("jobs"):
        jobs = line.last("jobs")
        if jobs is not None:
            jobs = as_numbers(jobs)
            if context.variable("SLURM_JOB_ID") is not None:
                from sbatch_shim.companions.this_job import with_own_job

                jobs = with_own_job(context, jobs)
        once.options.append(("jobs", jobs))
    try:
        if every is None:
            status = show(context, once, layout)
            look_after(context)
            return status
        gc.enable()
        while True:
            if not line.has("noheader", "long", "verbose"):
                write(time.strftime("%a %b %d %H:%M:%S %Y\n").encode())
            show(context, once, layout)
            write(b"\n")
            sys.stderr.flush()
            time.sleep(int(every))
            context.tickets.refresh()
    except Unseparable as error:
        say(f"squeue: ids are shown as they are: {error}")
        return context.become(context.words)
