"""
squeue with tickets.

The real squeue is asked for the very fields that the caller wants, each followed by a separator, and for the ids of
each row in front of them. Rows of other jobs are put together again byte for byte. A row of a merged array becomes
one row for each call that has tasks in it, in which only the fields that tell of the array are written anew.
"""

from __future__ import annotations

import os
import pwd
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from string import ascii_letters

from sbatch_shim.calls import Call
from sbatch_shim.companions import documents, own
from sbatch_shim.companions.act import with_own_job
from sbatch_shim.companions.book import NO_JOB, Book, Job, Pages
from sbatch_shim.companions.companion import Context, say, write
from sbatch_shim.companions.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, read
from sbatch_shim.companions.reverse import dependency_with_tickets
from sbatch_shim.companions.shown import Shown, Wanted, parse_tasks, shares, shares_of_rest, wanted_of, whole
from sbatch_shim.companions.squeue_columns import (
    DEFAULT,
    FIELD,
    LONG,
    START,
    STARTS,
    STATES,
    Layout,
    Row,
    assemble,
    long_layout,
    rows_of,
    short_layout,
)
from sbatch_shim.companions.upkeep import by_itself
from sbatch_shim.companions.waiting import Waiting

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


class Queue:
    """One look at the queue."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        self.book: Book = context.book
        self.one_per_task = line.has("array") or context.variable("SQUEUE_ARRAY") is not None
        # Slurm tells nothing else then.
        self.only_state = line.has("only-job-state")
        self.wanted: Wanted = wanted_of(self.book, line.last("jobs"), line.last("name"))
        self.apart: dict[tuple[int, int], Row] = {}
        self.waiting = self.book.unsubmitted()
        if not self.wanted.anything:
            self.waiting = [one for one in self.waiting if one[0] in self.wanted.targets]

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
            line.options += [("jobs", NO_JOB)] if self.only_state else [("me", None), ("name", START)]
        return line

    def ask(self, layout: Layout) -> tuple[int, bytes]:
        """The whole output, and the exit status."""
        # The real one takes no format beside --long, which is one.
        line = self.asked_line().without("long")
        line.options.append(layout.option)
        answer = self.context.run("squeue", line.words(), SLURM_BITSTR_LEN="0")
        sys.stderr.buffer.write(answer.err)
        if answer.status != 0 and not answer.out:
            return answer.status, b""
        rows = rows_of(answer.out, layout)
        self.book.settle((row.array, row.command) for row in rows)
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
            if job is not None and len(job.entries) > 1 and len(parse_tasks(row.tasks)[0]) > 1:
                asked.add(str(job.number))
        if not asked:
            return {}
        line = line.without("jobs")
        line.options += [("array", None), ("noheader", None), ("jobs", ",".join(sorted(asked)))]
        answer = self.context.run("squeue", line.words(), SLURM_BITSTR_LEN="0")
        found = rows_of(answer.out, layout) if answer.status == 0 else []
        return {(row.array, int(row.tasks)): row for row in found if row.array and row.tasks.isdigit()}

    def job(self, row: Row) -> Job | None:
        """The merged job that a row tells of; None for any other."""
        return self.book.jobs.get(row.array) if row.array is not None else None

    def shares(self, row: Row) -> list[Shown]:
        """The calls that a row tells of; none where the job is not of ours."""
        job = self.job(row)
        if job is None:
            return []
        indices, throttle = parse_tasks(row.tasks)
        if job.is_array and not indices:
            answer = self.context.run("squeue", ["-h", "-r", "-t", "all", "-j", str(job.number), "-o", "%K"])
            return shares_of_rest(job, (int(word) for word in answer.out.split() if word.isdigit()))
        found = shares(job, indices, row.folded, throttle, row.raw)
        if not (row.folded and self.one_per_task):
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
            if not found and self.wanted.has_name(row.name):
                out.append(assemble(layout, self.others(row, layout), row.before))
            for one in found:
                chosen = self.chosen(one, row)
                if chosen is not None:
                    places.append(len(out))
                    ours.append((one.ticket, assemble(layout, self.merged(chosen, row, layout), row.before)))
                    out.append(b"")
        if self.sorts_by_id():
            ours.sort(key=lambda one: one[0])
        for at, (_, text) in zip(places, ours):
            out[at] = text
        return [*self.pending([one for one in self.waiting if one[0] not in seen], layout), *out]

    def chosen(self, shown: Shown, row: Row | None) -> Shown | None:
        """What of a call in a row the caller wants."""
        call = self.book.call(shown.ticket) if self.wanted.names is not None else None
        if call is not None and not self.wanted.has_name(call.shown_name):
            return None
        if row is not None and self.wanted.reals:
            real = {str(row.array), row.raw, *(f"{row.array}_{index}" for index in parse_tasks(row.tasks)[0])}
            if real.intersection(self.wanted.reals):
                return shown
        chosen = self.wanted.takes(shown)
        if chosen is None or chosen is shown:
            return chosen
        # Of an array that waits, a single task is shown as T_3, and some of them without the limit.
        return replace(chosen, folded=chosen.folded and len(chosen.tasks or ()) > 1, throttle=0)

    def sorts_by_id(self) -> bool:
        given = self.line.last("sort") or self.context.variable("SQUEUE_SORT") or ""
        return given.lstrip("+")[:1] in ("i", "A", "F") and bool(given)

    def others(self, row: Row, layout: Layout) -> list[bytes]:
        """Somebody else's row: only what SLURM_BITSTR_LEN=0 let grow is cut again."""
        if not row.folded or row.array is None:
            return row.texts
        indices, throttle = parse_tasks(row.tasks)
        shown = Shown(row.array, indices, True, throttle)
        texts = list(row.texts)
        for at, column in enumerate(layout.fields):
            if column.name in ("jobarrayid", "arraytaskid"):
                texts[at] = column.show(shown.ids(column.name), folded=True)
        return texts

    def merged(self, shown: Shown, row: Row, layout: Layout) -> list[bytes]:
        """A row of ours: its ids, and what the call had of its own."""
        row = self.apart.get((row.array or 0, shown.index), row)
        call = self.book.call(shown.ticket)
        texts = list(row.texts)
        for at, column in enumerate(layout.fields):
            text = self.own_text(shown, call, column.name)
            if column.name == "dependency":
                text = dependency_with_tickets(os.fsdecode(row.texts[at]).strip(), self.book, call, shown.index)
            if text is not None:
                texts[at] = column.show(text, shown.folded)
        return texts

    def own_text(self, shown: Shown, call: Call | None, field: str) -> str | None:
        """What a field shows for a call; None where the real squeue's text is right."""
        if field in ("jobid", "arrayjobid", "arraytaskid", "jobarrayid"):
            return shown.ids(field)
        if call is None or self.only_state:
            return None
        if field == "name":
            return call.shown_name
        if field == "workdir":
            return os.fsdecode(call.folder)
        if field == "command":
            return own.command(self.context, call)
        if field in own.KINDS:
            expanded = self.line.has("expand-patterns")
            return own.log_column(self.context, call, field, shown, expanded)
        return None

    def waiting_text(self, field: str, values: Waiting, shown: Shown) -> str:
        """What a field shows for a call that no flush has submitted."""
        text = self.own_text(shown, values.call, field)
        if text is None:
            text = ONLY_STATE.get(field, "(null)") if self.only_state else waiting_text(field, values)
        return text

    def pending(self, waiting: list[tuple[int, Pages]], layout: Layout) -> list[bytes]:
        """Rows of the calls that no flush has submitted."""
        found = []
        for ticket, pages in waiting:
            call = pages.call(ticket)
            if call is None or not self.passes(call):
                continue
            each = [replace(whole(call), throttle=0) if self.only_state else whole(call)]
            if call.is_array and self.one_per_task:
                each = [Shown(ticket, [task], False) for task in call.tasks]
            values = Waiting(self.context, call, pages.state(ticket) or "")
            for one in each:
                chosen = self.chosen(one, None)
                if chosen is not None:
                    texts = [
                        column.show(self.waiting_text(column.name, values, chosen), chosen.folded)
                        for column in layout.fields
                    ]
                    found.append(assemble(layout, texts))
        return found

    def passes(self, call: Call) -> bool:
        """Whether a queued call passes the caller's filters."""
        line, variable = self.line, self.context.variable
        if line.has("nodes", "nodelist", "node", "licenses", "reservation", "notme"):
            return False
        me = pwd.getpwuid(os.getuid()).pw_name
        users = line.last("user", "users") or variable("SQUEUE_USERS")
        if users and not {me, str(os.getuid())} & set(users.split(",")):
            return False
        states = (line.last("states") or variable("SQUEUE_STATES") or "PD").upper().split(",")
        if not {"PD", "PENDING", "ALL"} & set(states):
            return False
        for option, name in (("partitions", "partition"), ("account", "account"), ("qos", "qos")):
            asked = line.last(option, option + "s")
            given = call.options.get(name)
            own = os.fsdecode(given) if given else self.context.default_partition if name == "partition" else ""
            if asked and own not in asked.split(","):
                return False
        return True


def waiting_text(field: str, values: Waiting) -> str:
    """What any other field shows of a call that no flush has submitted."""
    table: dict[str, Callable[[], str]] = {
        "username": lambda: values.user,
        "userid": lambda: str(values.user_id),
        "partition": lambda: values.partition,
        "statecompact": lambda: "PD",
        "state": lambda: "PENDING",
        "reason": lambda: values.reason,
        "reasonlist": lambda: f"({values.reason})",
        "timeused": lambda: "0:00",
        "timelimit": lambda: values.short_time_limit,
        "timeleft": lambda: values.short_time_limit,
        "numnodes": lambda: values.nodes,
        "numcpus": lambda: values.cpus,
        "mincpus": lambda: values.option("cpus-per-task", "1"),
        "minmemory": lambda: values.option("mem", values.option("mem-per-cpu", "0")),
        "account": lambda: values.option("account"),
        "qos": lambda: values.option("qos"),
        "submittime": lambda: values.submitted,
        "nodelist": lambda: "",
        "batchhost": lambda: "n/a",
        "nice": lambda: "0",
        "priority": lambda: "0.00000000000000",
        "prioritylong": lambda: "0",
        "comment": lambda: values.option("comment"),
        "dependency": lambda: values.dependency,
        "feature": lambda: values.option("constraint"),
        "reservation": lambda: values.option("reservation"),
    }
    return table[field]() if field in table else "N/A"


def layout_of(line: Line, context: Context) -> Layout:
    """The columns: --format or --Format, the variables, or the default."""
    if line.has("format") and line.has("Format"):
        raise Unreadable("both formats")
    short, long = line.last("format"), line.last("Format")
    if short is None and long is None:
        short, long = context.variable("SQUEUE_FORMAT"), context.variable("SQUEUE_FORMAT2")
    if long is not None and not line.has("format"):
        return long_layout(long)
    if short is None:
        short = LONG if line.has("long") else STARTS if line.has("start") else DEFAULT
        short = STATES if line.has("only-job-state") else short
    return short_layout(every_column(context) if short.lower() == "%all" else short)


def every_column(context: Context) -> str:
    """`%all`: the letters that the real squeue has a column for, whose number shrinks; others it prints as they are."""
    asked = ["--me", f"--name={START}", "--format=" + FIELD.join(f"%{letter}" for letter in ascii_letters)]
    titles = os.fsdecode(context.run("squeue", asked).out.rstrip(b"\n")).split(FIELD)
    known = [f"%{letter}" for letter, title in zip(ascii_letters, titles) if title != f"%{letter}"]
    return "|".join(known if len(titles) == len(ascii_letters) else (f"%{letter}" for letter in ascii_letters))


def show(context: Context, line: Line, layout: Layout | None) -> int:
    """Print one look; ValueError, before anything is printed, where a value cannot be told from its neighbours."""
    if layout is None:
        status, out = documents.squeue(Queue(context, line))
    else:
        status, out = Queue(context, line).ask(layout)
    write(out)
    return status


def main(context: Context) -> int:
    """squeue; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.has("help", "usage", "version", "clusters", "cluster", "federation", "sibling", "sib", "steps"):
            raise Unreadable("not about the jobs of this cluster")
        if line.has("jobs") and line.last("jobs") is None and line.operands:
            line = line.without("jobs")
            line.options.append(("jobs", line.operands.pop(0)))
        if line.operands:
            raise Unreadable(line.operands[0])
        every = line.last("iterate")
        if every is not None and not every.isdigit():
            raise Unreadable(every)
        layout = None if line.has("json", "yaml") else layout_of(line, context)
    except Unreadable:
        return context.become(context.words)
    once = line.without("iterate", "format", "Format", "jobs")
    if line.has("jobs"):
        jobs = line.last("jobs")
        once.options.append(("jobs", None if jobs is None else with_own_job(context, jobs)))
    try:
        if every is None:
            status = show(context, once, layout)
            by_itself(context)
            return status
        while True:
            if not line.has("noheader", "long", "verbose"):
                write(time.strftime("%a %b %d %H:%M:%S %Y\n").encode())
            show(context, once, layout)
            write(b"\n")
            sys.stderr.flush()
            time.sleep(int(every))
            context.book.refresh()
    except ValueError as error:
        say(f"squeue: ids are shown as they are: {error}")
        return context.become(context.words)
