"""
squeue with tickets.

The real squeue is asked for the very fields that the caller wants, each followed by a separator, and for the ids of
each row in front of them. Rows of other jobs are put together again byte for byte. A row of a merged array becomes
one row for each call that has tasks in it, in which only the fields that tell of the array are written anew.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from sbatch_shim.book import (
    DROPPED,
    FLYING,
    REFUSED,
    SUBMITTED,
    Book,
    Job,
    Pages,
    Target,
    split_ids,
    target,
    task_string,
)
from sbatch_shim.calls import Call
from sbatch_shim.companion import Context, say, write
from sbatch_shim.drop import without_met
from sbatch_shim.meaning import canonical
from sbatch_shim.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, read
from sbatch_shim.reverse import dependency_with_tickets
from sbatch_shim.spool import ticket_numbers
from sbatch_shim.upkeep import by_itself

TABLE: Table = {
    "account": ("A", REQUIRED),
    "accounts": ("A", REQUIRED),
    "all": ("a", NONE),
    "array": ("r", NONE),
    "array-unique": ("", NONE),
    "cluster": ("M", REQUIRED),
    "clusters": ("M", REQUIRED),
    "federation": ("", NONE),
    "format": ("o", REQUIRED),
    "Format": ("O", REQUIRED),
    "help": ("", NONE),
    "hide": ("", NONE),
    "iterate": ("i", REQUIRED),
    "jobs": ("j", OPTIONAL),
    "json": ("", NONE),
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
    "yaml": ("", NONE),
}
START, FIELD, END = "\x1d", "\x1f", "\x1e"
DEFAULT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
LONG = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
STARTS = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"
STEPS = "%.15i %.8j %.9P %.8u %.9M %N"
ALL = "|".join("%" + letter for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Fields that tell of the array and not of the call; the names are those of --Format.
LETTERS = {
    "i": "jobarrayid",
    "A": "jobid",
    "F": "arrayjobid",
    "K": "arraytaskid",
    "j": "name",
    "o": "command",
    "Z": "workdir",
    "E": "dependency",
}
# What a job that waits shows in the other fields.
PENDING_LETTERS = {
    "a": "account", "P": "partition", "u": "username", "t": "statecompact", "T": "state", "M": "timeused",
    "l": "timelimit", "D": "numnodes", "R": "reasonlist", "r": "reason", "C": "numcpus", "m": "minmemory",
    "S": "starttime", "e": "endtime", "L": "timeleft", "U": "userid", "V": "submittime", "q": "qos", "g": "groupname",
    "N": "nodelist", "B": "batchhost", "Q": "prioritylong", "p": "priority", "k": "comment", "h": "oversubscribe",
    "y": "nice", "f": "feature", "b": "tres-per-node", "v": "reservation", "w": "wckey", "x": "excnodes",
    "n": "reqnodes", "Y": "schednodes", "W": "licenses", "G": "groupid", "c": "mincpus", "d": "mintmpdisk",
}  # fmt: skip


@dataclass
class Field:
    """
    A column.

    Attributes:
        name: Its name in --Format, in lower case; empty for one that we never write ourselves.
        token: How the real squeue is asked for it.
        width: Bytes, 0 for as many as there are.
        right: Right-justified.
        suffix: Text behind it.
    """

    name: str
    token: str
    width: int
    right: bool
    suffix: str

    def show(self, text: str, cut: int | None = None) -> bytes:
        """A value of ours as squeue would print it."""
        data = os.fsencode(text)
        if cut is not None and "SLURM_BITSTR_LEN" not in os.environ:
            data = data[:cut]
        if self.width:
            data = data[: self.width]
            data = data.rjust(self.width) if self.right else data.ljust(self.width)
        return data


@dataclass
class Layout:
    """The columns that the caller asked for, and the option that asks the real squeue for them and the hidden ones."""

    prefix: str
    fields: list[Field]
    option: tuple[str, str]


HIDDEN = ("A", "F", "K", "o", "j")
HIDDEN_LONG = ("JobID", "ArrayJobID", "ArrayTaskID", "Command", "Name")


def short_layout(form: str) -> Layout:
    """Read a value of --format, as squeue's opts.c does."""
    if form.lower() == "%all":
        form = ALL
    prefix, percent, rest = form.partition("%")
    fields = []
    for token in rest.split("%") if percent else []:
        found = re.match(r"(\.?)([0-9]*)(.)(.*)", token, re.S)
        if token and found is None:
            raise Unreadable(form)
        if found:
            name = LETTERS.get(found[3]) or PENDING_LETTERS.get(found[3], "")
            whole = f"%{found[1]}{found[2]}{found[3]}"
            fields.append(Field(name, whole, int(found[2] or 0), bool(found[1]), found[4]))
    hidden = FIELD.join("%" + letter for letter in HIDDEN)
    return Layout(
        prefix, fields, ("format", START + hidden + "".join(FIELD + one.token for one in fields) + END)
    )


def long_layout(form: str) -> Layout:
    """Read a value of --Format."""
    fields = []
    for token in form.split(","):
        name, colon, how = token.strip().partition(":")
        found = re.fullmatch(r"(\.?)([0-9]*)(.*)", how, re.S)
        if not name or found is None:
            raise Unreadable(form)
        width = int(found[2] or 0) if colon else 20
        fields.append(Field(name.lower(), f"{name}:{found[1]}{width}", width, bool(found[1]), found[3]))
    hidden = [f"{name}:0{FIELD}" for name in HIDDEN_LONG]
    words = [f"{one.token}{FIELD if one is not fields[-1] else END}" for one in fields]
    return Layout("", fields, ("Format", ",".join(hidden + words)))


@dataclass
class Row:
    """
    A row of the real squeue.

    Attributes:
        before: Text in front of it (the date of --long).
        raw: The job id of this very task.
        array: Id of the array or the plain job.
        task: Its index, the folded indices of a pending array, or N/A.
        texts: The columns as squeue printed them.
    """

    before: bytes
    raw: str
    array: str
    task: str
    command: str
    name: str
    texts: list[bytes]


def rows_of(out: bytes, layout: Layout) -> list[Row]:
    """Take squeue's output apart; ValueError where a value holds a separator."""
    found = []
    for chunk in out.split(os.fsencode(END) + b"\n")[:-1]:
        before = b""
        if layout.option[0] == "format":
            before, _, chunk = chunk.partition(os.fsencode(START))
        elif b"\n" in chunk.partition(os.fsencode(FIELD))[0]:
            before, _, chunk = chunk.rpartition(b"\n")
            before += b"\n"
        parts = chunk.split(os.fsencode(FIELD))
        if len(parts) != len(HIDDEN) + len(layout.fields):
            raise ValueError("a value holds a control character")
        raw, array, task, command, name = (os.fsdecode(part).strip() for part in parts[: len(HIDDEN)])
        found.append(Row(before, raw, array, task, command, name, parts[len(HIDDEN) :]))
    return found


def assemble(layout: Layout, texts: list[bytes], before: bytes = b"") -> bytes:
    parts = [before, os.fsencode(layout.prefix)]
    for column, text in zip(layout.fields, texts):
        parts += [text, os.fsencode(column.suffix)]
    return b"".join(parts) + b"\n"


@dataclass
class Shown:
    """
    One call, or one task of it, in a row.

    Attributes:
        tasks: Local ids; None for a plain call.
        folded: The tasks wait together, as `T_[1-4]`.
    """

    ticket: int
    tasks: list[int] | None
    folded: bool
    throttle: int = 0
    raw: str = ""
    index: int = -1

    def ids(self, name: str) -> str:
        """The value of an id field."""
        ticket = str(self.ticket)
        if name in ("jobid", "arrayjobid") or (name == "jobarrayid" and self.tasks is None):
            return self.raw if name == "jobid" and self.raw else ticket
        if self.tasks is None:
            return "N/A"
        tasks = task_string(self.tasks, self.throttle) if self.folded else str(self.tasks[0])
        if name == "arraytaskid":
            return tasks
        return f"{ticket}_[{tasks}]" if self.folded else f"{ticket}_{tasks}"


def parse_tasks(text: str) -> tuple[list[int], int]:
    """A task column: the indices (none for N/A), and the array's own limit."""
    spec, _, throttle = text.partition("%")
    found: list[int] = []
    for part in spec.split(","):
        match = re.fullmatch(r"([0-9]+)(?:-([0-9]+)(?::([0-9]+))?)?", part)
        if match is None:
            return [], 0
        found += range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1))
    return found, int(throttle) if throttle.isdigit() else 0


def shares(row: Row, job: Job, one_per_task: bool) -> list[Shown]:
    """The calls that have tasks in a row of a merged job."""
    indices, throttle = parse_tasks(row.task)
    folded = bool(indices) and not row.task.isdigit()
    first: dict[int, int] = {}
    for index in indices:
        for ticket in job.shares([index]):
            first.setdefault(ticket, index)
    found = []
    for ticket, locals_ in job.shares(indices or [None]).items():
        tasks = [task for task in locals_ if task is not None]
        if not tasks:
            found += [Shown(ticket, None, False, index=first.get(ticket, -1))]
        elif folded and one_per_task:
            found += [Shown(ticket, [task], False) for task in tasks]
        else:
            # The task that still holds its array's id holds the ticket's.
            raw = "" if folded or row.raw == row.array else row.raw
            found.append(Shown(ticket, tasks, folded, throttle, raw, first[ticket]))
    return found


@dataclass
class Wanted:
    """The caller's -j: targets by ticket, real ids, and the filters that we apply ourselves."""

    targets: dict[int, list[Target]]
    reals: set[str]
    anything: bool
    names: set[str] | None

    def takes(self, shown: Shown, row: Row | None, name: str) -> Shown | None:
        """What of a row is wanted; None for nothing."""
        if self.names is not None and name not in self.names:
            return None
        if self.anything:
            return shown
        if row is not None and self.reals:
            if row.array in self.reals or row.raw in self.reals:
                return shown
            indices = {f"{row.array}_{index}" for index in parse_tasks(row.task)[0]}
            if indices & self.reals:
                return shown
        targets = self.targets.get(shown.ticket)
        if not targets:
            return None
        if shown.tasks is None or any(one.tasks is None for one in targets):
            return shown
        chosen = [task for task in shown.tasks if any(task in (one.tasks or ()) for one in targets)]
        if not chosen:
            return None
        folded = shown.folded and len(chosen) > 1
        # squeue leaves the array's own limit out where it was asked for some of its tasks.
        return replace(shown, tasks=chosen, folded=folded, throttle=0)


def wanted_of(line: Line, context: Context) -> tuple[Wanted, list[str]]:
    """What the caller selects, and the job ids to ask the real squeue for."""
    jobs = line.last("jobs")
    names = line.last("name")
    wanted = Wanted({}, set(), jobs is None, set(names.split(",")) if names is not None else None)
    asked: list[str] = []
    for word in split_ids(jobs or ""):
        found = target(word)
        pages = context.book.landed(found.ticket) if found else None
        if found is None or pages is None:
            wanted.reals.add(word)
            asked.append(word)
            continue
        wanted.targets.setdefault(found.ticket, []).append(found)
        if pages.state(found.ticket) == SUBMITTED:
            asked.append(str(pages.places[found.ticket].job))
    return wanted, list(dict.fromkeys(asked))


class Queue:
    """One look at the queue."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        self.book: Book = context.book
        self.one_per_task = line.has("array") or context.variable("SQUEUE_ARRAY") is not None
        self.wanted, self.asked = wanted_of(line, context)
        self.waiting = self.book.unsubmitted()
        self.apart: dict[tuple[str, int], Row] = {}
        if not self.wanted.anything:
            self.waiting = [one for one in self.waiting if one[0] in self.wanted.targets]

    def real_line(self) -> Line:
        """The line for the real squeue, but for the format: names are compared by us, ids are real ones."""
        line = self.line.without("jobs", "name")
        if not self.wanted.anything:
            asked = list(self.asked)
            if len(asked) == 1 and len(self.wanted.targets) + len(self.wanted.reals) > 1:
                # A single unknown id is an error, which it would not be among the caller's others.
                asked.append(asked[0])
            line.options.append(("jobs", ",".join(asked)))
        return line

    def nothing_real(self) -> bool:
        """Only tickets that Slurm does not know yet are asked for."""
        return not self.wanted.anything and not self.asked

    def ask(self, layout: Layout) -> tuple[int, bytes]:
        """The whole output, and the exit status."""
        line = self.real_line()
        if self.nothing_real():
            # For the header's sake, which is the real squeue's own: no job has this name.
            line = line.without("jobs", "user", "users")
            line.options += [("me", None), ("name", START)]
        # The real one takes no format beside --long, which is one.
        line = line.without("long")
        line.options.append(layout.option)
        answer = self.context.run("squeue", line.words(), SLURM_BITSTR_LEN="0")
        sys.stderr.buffer.write(answer.err)
        if answer.status != 0 and not answer.out:
            return answer.status, b""
        rows = rows_of(answer.out, layout)
        self.settle(rows)
        self.apart = self.rows_apart(rows, line, layout)
        header = not self.line.has("noheader")
        out = []
        if header and self.line.has("long"):
            out.append(time.strftime("%a %b %d %H:%M:%S %Y\n").encode())
        if header and rows:
            out.append(assemble(layout, rows[0].texts, rows[0].before))
        body = self.body(rows[1:] if header else rows, layout)
        return answer.status, b"".join([*out, *body])

    def settle(self, rows: list[Row]) -> None:
        """Wait for the flush to note the jobs that it has just submitted; then read its journal again."""
        self.book.refresh()
        for row in rows:
            if self.book.ours(row.command) and row.array.isdigit():
                self.book.job_landed(int(row.array))

    def rows_apart(self, rows: list[Row], line: Line, layout: Layout) -> dict[tuple[str, int], Row]:
        """
        By array and index, the tasks of folded rows that hold several calls.

        squeue folds what waits of an array into one row, with the values of one of its tasks; the calls in it may
        have been given others since (a time limit, a hold).
        """
        asked = set()
        for row in rows:
            job = self.book.jobs.get(int(row.array)) if row.array.isdigit() else None
            if job is not None and len(job.entries) > 1 and len(parse_tasks(row.task)[0]) > 1:
                asked.add(row.array)
        if not asked:
            return {}
        line = line.without("jobs")
        line.options += [("array", None), ("noheader", None), ("jobs", ",".join(sorted(asked)))]
        answer = self.context.run("squeue", line.words(), SLURM_BITSTR_LEN="0")
        found = rows_of(answer.out, layout) if answer.status == 0 else []
        return {(row.array, int(row.task)): row for row in found if row.task.isdigit()}

    def body(self, rows: list[Row], layout: Layout) -> list[bytes]:
        """The rows below the header, tickets in place of merged jobs."""
        seen: set[int] = set()
        out: list[bytes] = []
        ours: list[tuple[int, bytes]] = []
        places: list[int] = []
        for row in rows:
            job = self.book.jobs.get(int(row.array)) if row.array.isdigit() else None
            found = shares(row, job, self.one_per_task) if job is not None else []
            seen.update(one.ticket for one in found)
            if not found:
                if self.wanted.names is None or row.name in self.wanted.names:
                    out.append(assemble(layout, self.others(row, layout), row.before))
                continue
            for one in found:
                chosen = self.wanted.takes(one, row, self.name(one.ticket))
                if chosen is not None:
                    places.append(len(out))
                    ours.append((one.ticket, assemble(layout, self.merged(chosen, row, layout), row.before)))
                    out.append(b"")
        if self.sorts_by_id():
            ours.sort(key=lambda one: one[0])
        for at, (_, text) in zip(places, ours):
            out[at] = text
        waiting = [one for one in self.waiting if one[0] not in seen]
        return [*self.pending(waiting, layout), *out]

    def sorts_by_id(self) -> bool:
        given = self.line.last("sort") or self.context.variable("SQUEUE_SORT") or ""
        return given.lstrip("+")[:1] in ("i", "A", "F") and bool(given)

    def others(self, row: Row, layout: Layout) -> list[bytes]:
        """Somebody else's row: only what SLURM_BITSTR_LEN=0 let grow is cut again."""
        if not row.task.strip("N/A") or row.task.isdigit():
            return row.texts
        indices, throttle = parse_tasks(row.task)
        shown = Shown(int(row.array), indices, True, throttle)
        texts = list(row.texts)
        for at, column in enumerate(layout.fields):
            if column.name in ("jobarrayid", "arraytaskid"):
                texts[at] = column.show(shown.ids(column.name), 31 if column.name == "jobarrayid" else None)
        return texts

    def call(self, ticket: int) -> Call | None:
        pages = self.book.find(ticket)
        return pages.call(ticket) if pages else None

    def name(self, ticket: int) -> str:
        call = self.call(ticket) if self.wanted.names is not None else None
        return os.fsdecode(call.name or b"sbatch") if call else ""

    def merged(self, shown: Shown, row: Row, layout: Layout) -> list[bytes]:
        """A row of ours: its ids, and what the call had of its own."""
        row = self.apart.get((row.array, shown.index), row)
        texts = list(row.texts)
        for at, column in enumerate(layout.fields):
            text = self.own_text(shown, column.name)
            if text is not None:
                texts[at] = column.show(text, 31 if column.name == "jobarrayid" and shown.folded else None)
            elif column.name == "dependency":
                given = os.fsdecode(row.texts[at])
                call = self.call(shown.ticket)
                texts[at] = column.show(dependency_with_tickets(given.strip(), self.book, wholes(call)))
        return texts

    def own_text(self, shown: Shown, field: str) -> str | None:
        """What a field shows for a call; None where the real squeue's text is right."""
        if field in ("jobid", "arrayjobid", "arraytaskid", "jobarrayid"):
            return shown.ids(field)
        if field not in ("name", "command", "workdir"):
            return None
        call = self.call(shown.ticket)
        if call is None:
            return None
        if field == "name":
            return os.fsdecode(call.name or b"sbatch")
        if field == "workdir":
            return os.fsdecode(call.folder)
        return command_of(call)

    def pending(self, waiting: list[tuple[int, Pages]], layout: Layout) -> list[bytes]:
        """Rows of the calls that no flush has submitted."""
        found = []
        for ticket, pages in waiting:
            call = pages.call(ticket)
            if call is None or not self.filtered(call):
                continue
            tasks = call.tasks if call.is_array else None
            whole = Shown(ticket, tasks, tasks is not None, call.throttle)
            each = [whole]
            if tasks is not None and (self.one_per_task or len(tasks) == 1):
                each = [Shown(ticket, [task], False) for task in tasks]
            for one in each:
                chosen = self.wanted.takes(one, None, os.fsdecode(call.name or b"sbatch"))
                if chosen is None:
                    continue
                values = PendingValues(self, call, pages.state(ticket) or "", chosen)
                texts = [
                    column.show(values.of(column.name), 31 if column.name == "jobarrayid" and chosen.folded else None)
                    for column in layout.fields
                ]
                found.append(assemble(layout, texts))
        return found

    def is_dropped(self, ticket: int) -> bool:
        pages = self.book.find(ticket)
        return pages is not None and pages.state(ticket) == DROPPED

    def filtered(self, call: Call) -> bool:
        """Whether a queued call passes the caller's filters."""
        line, variable = self.line, self.context.variable
        if line.has("nodes", "nodelist", "node", "licenses", "reservation", "steps"):
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
            own = os.fsdecode(given) if given is not None else self.default(name)
            if asked and own not in asked.split(","):
                return False
        return True

    def default(self, name: str) -> str:
        """What Slurm takes where a call names none."""
        if name != "partition":
            return ""
        if not hasattr(self, "_partition"):
            answer = self.context.run("sinfo", ["-h", "-o", "%P"])
            marked = [word for word in answer.out.decode().split() if word.endswith("*")]
            self._partition = marked[0][:-1] if marked else "(null)"
        return self._partition


def wholes(call: Call | None) -> set[int]:
    """The tickets that a call waits for as wholes, and not for one of their tasks."""
    spec = (call.options.get("dependency") or b"") if call else b""
    return {int(number) for number in re.findall(rb"(?<![0-9])([12][0-9]{9})(?![0-9_])", spec)}


def command_of(call: Call) -> str:
    """The script as squeue shows it: its path and arguments, or (null)."""
    if call.source != b"file":
        return "(null)"
    path = os.path.join(call.cwd, call.script)
    return " ".join(os.fsdecode(word) for word in [path, *call.arguments])


class PendingValues:
    """What each field shows for a call that is not submitted."""

    def __init__(self, queue: Queue, call: Call, state: str, shown: Shown) -> None:
        self.queue = queue
        self.call = call
        self.shown = shown
        self.reason = {REFUSED: "SarrayRefused", FLYING: "None"}.get(state, "SarrayQueued")
        waits_for = ticket_numbers(without_met(call.options.get("dependency") or b"", queue.is_dropped) or b"")
        if any(queue.is_dropped(ticket) for ticket in waits_for):
            self.reason = "DependencyNeverSatisfied"

    def option(self, name: str, missing: str = "(null)") -> str:
        value = self.call.options.get(name)
        return os.fsdecode(value) if value else missing

    def of(self, field: str) -> str:
        own = self.queue.own_text(self.shown, field)
        if own is not None:
            return own
        user = pwd.getpwuid(os.getuid())
        values: dict[str, Callable[[], str]] = {
            "username": lambda: user.pw_name,
            "userid": lambda: str(user.pw_uid),
            "partition": lambda: self.option("partition", "") or self.queue.default("partition"),
            "statecompact": lambda: "PD",
            "state": lambda: "PENDING",
            "reason": lambda: self.reason,
            "reasonlist": lambda: f"({self.reason})",
            "timeused": lambda: "0:00",
            "timelimit": lambda: time_text(self.call),
            "timeleft": lambda: time_text(self.call),
            "numnodes": lambda: self.option("nodes", "1").partition("-")[0],
            "numcpus": lambda: self.cpus(),
            "mincpus": lambda: self.option("cpus-per-task", "1"),
            "minmemory": lambda: self.option("mem", self.option("mem-per-cpu", "0")),
            "account": lambda: self.option("account"),
            "qos": lambda: self.option("qos"),
            "submittime": lambda: time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(self.call.time)),
            "starttime": lambda: "N/A",
            "endtime": lambda: "N/A",
            "nodelist": lambda: "",
            "batchhost": lambda: "n/a",
            "nice": lambda: "0",
            "priority": lambda: "0.00000000000000",
            "prioritylong": lambda: "0",
            "comment": lambda: self.option("comment"),
            "dependency": lambda: self.option("dependency"),
            "feature": lambda: self.option("constraint"),
            "reservation": lambda: self.option("reservation"),
        }
        return values[field]() if field in values else "N/A"

    def cpus(self) -> str:
        tasks, each = self.option("ntasks", "1"), self.option("cpus-per-task", "1")
        return str(int(tasks) * int(each)) if tasks.isdigit() and each.isdigit() else "1"


def time_text(call: Call) -> str:
    """The time limit as squeue shows it."""
    given = call.options.get("time")
    if given is None:
        return "UNLIMITED"
    minutes = canonical("time", given)
    if not isinstance(minutes, int):
        return os.fsdecode(given)
    days, rest = divmod(minutes, 1440)
    hours, left = divmod(rest, 60)
    if days:
        return f"{days}-{hours:02}:{left:02}:00"
    return f"{hours}:{left:02}:00" if hours else f"{left}:00"


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
    return short_layout(short)


def main(context: Context) -> int:
    """squeue; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.has("help", "usage", "version", "clusters", "cluster", "federation", "sibling", "sib", "steps"):
            raise Unreadable("not about the jobs of this cluster")
        if line.operands and line.options and line.has("jobs") and line.last("jobs") is None:
            line = line.without("jobs")
            line.options.append(("jobs", line.operands.pop(0)))
        if line.operands:
            raise Unreadable(line.operands[0])
        every = line.last("iterate")
        if every is not None and not every.isdigit():
            raise Unreadable(every)
        once = line.without("iterate", "format", "Format", "json", "yaml")
        layout = None if line.has("json", "yaml") else layout_of(line, context)
    except Unreadable:
        return context.become(context.words)
    while True:
        if every is not None and not line.has("noheader", "long", "verbose"):
            write(time.strftime("%a %b %d %H:%M:%S %Y\n").encode())
        queue = Queue(context, once if layout is not None else Line([], []))
        if layout is None:
            status, out = document(queue)
        else:
            try:
                status, out = queue.ask(layout)
            except ValueError as error:
                say(f"squeue: ids are shown as they are: {error}")
                return context.become(context.words)
        write(out)
        if every is None:
            by_itself(context)
            return status
        write(b"\n")
        sys.stderr.flush()
        time.sleep(int(every))
        context.book.refresh()


def document(queue: Queue) -> tuple[int, bytes]:
    """--json, and --yaml, of which JSON is a form. squeue filters neither."""
    answer = queue.context.run("squeue", ["--json"], SLURM_BITSTR_LEN="0")
    sys.stderr.buffer.write(answer.err)
    if answer.status != 0:
        return answer.status, answer.out
    whole = json.loads(answer.out)
    rows = [row_of_document(job) for job in whole["jobs"]]
    queue.settle(rows)
    kept = []
    seen: set[int] = set()
    for row, job in zip(rows, whole["jobs"]):
        merged = queue.book.jobs.get(int(row.array))
        found = shares(row, merged, one_per_task=False) if merged else []
        kept += [{**job, **own_document(queue, one)} for one in found] if found else [job]
        seen.update(one.ticket for one in found)
    for ticket, pages in queue.waiting:
        call = pages.call(ticket)
        if ticket in seen or call is None:
            continue
        tasks = call.tasks if call.is_array else None
        shown = Shown(ticket, tasks, tasks is not None, call.throttle)
        values = PendingValues(queue, call, pages.state(ticket) or "", shown)
        kept.append(
            {
                **own_document(queue, shown),
                "job_state": "PENDING",
                "state_reason": values.reason,
                "partition": values.of("partition"),
                "user_name": values.of("username"),
                "user_id": os.getuid(),
                "submit_time": call.time,
            }
        )
    whole["jobs"] = kept
    return 0, json.dumps(whole, indent=2).encode() + b"\n"


def row_of_document(job: dict[str, object]) -> Row:
    array = job.get("array_job_id") or job["job_id"]
    task = job.get("array_task_string") or job.get("array_task_id")
    return Row(
        b"",
        str(job["job_id"]),
        str(array),
        "N/A" if task is None or task == "" else str(task),
        str(job.get("command") or ""),
        str(job.get("name") or ""),
        [],
    )


def own_document(queue: Queue, shown: Shown) -> dict[str, object]:
    """The members of a job's document that tell of the call."""
    own: dict[str, object] = {
        "job_id": int(shown.ids("jobid")),
        "array_job_id": 0 if shown.tasks is None else shown.ticket,
        "array_task_id": shown.tasks[0] if shown.tasks and not shown.folded else None,
        "array_task_string": shown.ids("arraytaskid") if shown.folded else "",
    }
    call = queue.call(shown.ticket)
    if call is not None:
        own["name"] = os.fsdecode(call.name or b"sbatch")
        own["current_working_directory"] = os.fsdecode(call.folder)
        own["command"] = "" if call.source != b"file" else command_of(call)
    return own
