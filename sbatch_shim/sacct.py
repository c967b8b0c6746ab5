"""
sacct with tickets.

The real sacct is asked, in its parsable form, for the caller's columns and, in front of them, for the ids of each row.
For a table its own header, with the line of dashes below it, says how wide each column is and on which side it is
justified. (The width of a column is kept with its name, so that hidden columns cannot have widths of their own.)
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

from sbatch_shim.book import DROPPED, FLYING, QUEUED, REFUSED, SUBMITTED, Job, Pages, Target, split_ids, target
from sbatch_shim.calls import Call
from sbatch_shim.companion import Context, write
from sbatch_shim.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, read
from sbatch_shim.squeue import Shown, parse_tasks, time_text

TABLE: Table = {
    "accounts": ("A", REQUIRED),
    "allocations": ("X", NONE),
    "allusers": ("a", NONE),
    "associations": ("x", REQUIRED),
    "allclusters": ("L", NONE),
    "batch-script": ("B", NONE),
    "brief": ("b", NONE),
    "cluster": ("M", REQUIRED),
    "clusters": ("M", REQUIRED),
    "completion": ("c", NONE),
    "constraints": ("C", REQUIRED),
    "delimiter": ("", REQUIRED),
    "duplicates": ("D", NONE),
    "endtime": ("E", REQUIRED),
    "env-vars": ("", NONE),
    "federation": ("", NONE),
    "file": ("f", REQUIRED),
    "flags": ("F", REQUIRED),
    "format": ("o", REQUIRED),
    "gid": ("g", REQUIRED),
    "group": ("g", REQUIRED),
    "help": ("h", NONE),
    "helpformat": ("e", NONE),
    "jobs": ("j", REQUIRED),
    "json": ("", NONE),
    "local": ("", NONE),
    "long": ("l", NONE),
    "name": ("", REQUIRED),
    "ncpus": ("I", REQUIRED),
    "nnodes": ("i", REQUIRED),
    "noconvert": ("", NONE),
    "nodelist": ("N", REQUIRED),
    "noheader": ("n", NONE),
    "parsable": ("p", NONE),
    "parsable2": ("P", NONE),
    "partition": ("r", REQUIRED),
    "qos": ("q", REQUIRED),
    "reason": ("R", REQUIRED),
    "starttime": ("S", REQUIRED),
    "state": ("s", REQUIRED),
    "timelimit-max": ("K", REQUIRED),
    "timelimit-min": ("k", REQUIRED),
    "truncate": ("T", NONE),
    "uid": ("u", REQUIRED),
    "units": ("", REQUIRED),
    "usage": ("", NONE),
    "user": ("u", REQUIRED),
    "verbose": ("v", NONE),
    "version": ("V", NONE),
    "wckeys": ("W", REQUIRED),
    "whole-hetjob": ("", OPTIONAL),
    "yaml": ("", NONE),
}
DEFAULT = "jobid,jobname,partition,account,alloccpus,state,exitcode"
BRIEF = "jobid,state,exitcode"
LONG = (
    "jobid,jobidraw,jobname,partition,maxvmsize,maxvmsizenode,maxvmsizetask,avevmsize,maxrss,maxrssnode,maxrsstask,"
    "averss,maxpages,maxpagesnode,maxpagestask,avepages,mincpu,mincpunode,mincputask,avecpu,ntasks,alloccpus,elapsed,"
    "state,exitcode,avecpufreq,reqcpufreqmin,reqcpufreqmax,reqcpufreqgov,reqmem,consumedenergy,maxdiskread,"
    "maxdiskreadnode,maxdiskreadtask,avediskread,maxdiskwrite,maxdiskwritenode,maxdiskwritetask,avediskwrite,reqtres,"
    "alloctres,tresusageinave,tresusageinmax,tresusageinmaxn,tresusageinmaxt,tresusageinmin,tresusageinminn,"
    "tresusageinmint,tresusageintot,tresusageoutmax,tresusageoutmaxn,tresusageoutmaxt,tresusageoutave,tresusageouttot"
)
# Columns that we write.
OWN_COLUMNS = ("jobid", "jobidraw", "jobname", "workdir", "submitline")
HIDDEN = "JobID,JobIDRaw,JobName"
SEPARATOR = "\x1f"
# An id that no job has, for the header alone.
NO_JOB = "2147483646"
ID = re.compile(r"([0-9]+)(?:_([0-9]+)|_\[([^\]]*)\]?)?(\..*)?", re.A)


@dataclass
class Column:
    """
    A column of the caller's.

    Attributes:
        name: One of OWN_COLUMNS or of those that PENDING_VALUES knows, as far as it is known.
        left: Left-justified.
    """

    name: str
    left: bool


def columns_of(form: str) -> list[Column]:
    """The columns of --format."""
    found = []
    for token in form.split(","):
        name, percent, width = token.strip().lower().partition("%")
        if not name:
            continue
        for whole in OWN_COLUMNS:
            if whole.startswith(name) and len(name) > 1:
                name = "submit" if whole == "submitline" and "submit".startswith(name) else whole
                break
        if name == "j":
            name = "jobid"
        left = width.startswith("-") if percent else name in ("jobid", "jobidraw")
        found.append(Column(name, left))
    return found


@dataclass
class Row:
    """
    A row of sacct.

    Attributes:
        texts: The caller's columns as printed.
    """

    id: str
    raw: str
    name: str
    texts: list[bytes]


class Output:
    """
    sacct's rows taken apart, and how to print them.

    Args:
        out: From `--parsable2` with our separator, the hidden columns first.
        header: What the real sacct prints for the caller's own format and no job: its titles, and for a table the
            dashes that tell each column's width.
    """

    def __init__(self, out: bytes, header: bytes, columns: list[Column], parsable: bool) -> None:
        self.columns = columns
        self.parsable = parsable
        self.header = header
        self.widths: list[int] = []
        if not parsable:
            titles, dashes = header.split(b"\n")[:2]
            at = 0
            for column, part in zip(columns, dashes.split()):
                self.widths.append(len(part))
                title = titles[at : at + len(part)]
                column.left = title[:1] != b" " and title[-1:] == b" "
                at += len(part) + 1
        self.rows: list[Row] = []
        for line in out.split(b"\n")[:-1]:
            parts = line.split(os.fsencode(SEPARATOR))
            if len(parts) != HIDDEN.count(",") + 1 + len(columns):
                raise ValueError("a value holds a control character or a line end")
            job, raw, name = (os.fsdecode(part) for part in parts[:3])
            self.rows.append(Row(job, raw, name, parts[3:]))

    def line(self, texts: list[bytes], delimiter: bytes, ends: bool) -> bytes:
        """A row as sacct prints it."""
        if self.parsable:
            return delimiter.join(texts) + (delimiter if ends else b"") + b"\n"
        return b"".join(self.cell(at, text) for at, text in enumerate(texts)) + b"\n"

    def cell(self, at: int, text: bytes) -> bytes:
        width = self.widths[at]
        if len(text) > width:
            text = text[: width - 1] + b"+"
        return (text.ljust(width) if self.columns[at].left else text.rjust(width)) + b" "


@dataclass
class Wanted:
    """What -j and --name select."""

    targets: dict[int, list[Target]]
    anything: bool
    names: set[str] | None

    def takes(self, shown: Shown, step: str, name: str) -> Shown | None:
        if self.names is not None and name not in self.names:
            return None
        if self.anything:
            return shown
        targets = [one for one in self.targets.get(shown.ticket, ()) if not one.rest or one.rest == step]
        if not targets:
            return None
        if shown.tasks is None or any(one.tasks is None for one in targets):
            return shown
        chosen = [task for task in shown.tasks if any(task in (one.tasks or ()) for one in targets)]
        return replace(shown, tasks=chosen) if chosen else None


class Accounting:
    """One look at the accounting records."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        names = line.last("name")
        jobs = [value or "" for option, value in line.options if option == "jobs"]
        self.wanted = Wanted({}, not jobs, set(names.split(",")) if names is not None else None)
        self.asked: list[str] = []
        for word in split_ids(",".join(jobs)):
            found = target(word)
            pages = context.book.landed(found.ticket) if found else None
            if found is None or pages is None:
                self.asked.append(word)
                continue
            self.wanted.targets.setdefault(found.ticket, []).append(found)
            if pages.state(found.ticket) == SUBMITTED:
                self.asked.append(str(pages.places[found.ticket].job))
        self.has_jobs = bool(jobs)

    def real_line(self) -> Line:
        line = self.line.without("jobs", "name")
        if self.has_jobs:
            line.options.append(("jobs", ",".join(dict.fromkeys(self.asked)) or NO_JOB))
        return line

    def table(self, form: str) -> int:
        """Print the table; the exit status."""
        columns = columns_of(form)
        parsable = self.line.has("parsable", "parsable2")
        ask = ("noheader", "parsable", "parsable2", "delimiter", "brief", "long", "format")
        header = b""
        if not parsable or not self.line.has("noheader"):
            probe = self.line.without("noheader", "brief", "long", "format", "jobs", "name")
            probe.options += [("jobs", NO_JOB), ("format", form)]
            first = self.context.run("sacct", probe.words())
            if first.status != 0:
                sys.stderr.buffer.write(first.err)
                return first.status
            header = first.out
        line = self.real_line().without(*ask)
        line.options += [("noheader", None), ("parsable2", None), ("delimiter", SEPARATOR)]
        line.options.append(("format", f"{HIDDEN},{form}"))
        answer = self.context.run("sacct", line.words())
        sys.stderr.buffer.write(answer.err)
        if answer.status != 0:
            return answer.status
        table = Output(answer.out, header, columns, parsable)
        self.context.book.refresh()
        ours: list[tuple[tuple[int, int], list[bytes]]] = []
        out: list[list[bytes]] = []
        places: list[int] = []
        seen: set[int] = set()
        kept_names: set[str] = set()
        for row in table.rows:
            found = ID.fullmatch(row.id)
            job = self.context.book.jobs.get(int(found[1])) if found else None
            if found is None or job is None:
                base = row.id.partition(".")[0]
                if self.wanted.names is not None and row.name in self.wanted.names and "." not in row.id:
                    kept_names.add(base)
                if self.wanted.names is None or base in kept_names:
                    out.append(row.texts)
                continue
            step = found[4] or ""
            for shown in self.shares(found, row, job):
                seen.add(shown.ticket)
                call = self.call(shown.ticket)
                chosen = self.wanted.takes(shown, step, os.fsdecode(call.name or b"sbatch") if call else "")
                if chosen is not None:
                    order = (chosen.ticket, chosen.tasks[0] if chosen.tasks else 0)
                    ours.append((order, self.merged(table, row, chosen, step, call)))
                    places.append(len(out))
                    out.append([])
        ours.sort(key=lambda one: one[0])
        for at, (_, texts) in zip(places, ours):
            out[at] = texts
        out += self.unsubmitted(table, seen)
        delimiter = os.fsencode(self.line.last("delimiter") or "|")
        # The last of -p and -P decides.
        ends = [name for name, _ in self.line.options if name in ("parsable", "parsable2")][-1:] == ["parsable"]
        top = b"" if self.line.has("noheader") else table.header
        write(top + b"".join(table.line(texts, delimiter, ends) for texts in out))
        return answer.status

    def shares(self, found: re.Match[str], row: Row, job: Job) -> list[Shown]:
        """The calls that a row tells of."""
        if found[2] is None and found[3] is None and (len(job.entries) > 1 or job.entries[0][2].first is not None):
            return []  # for a moment, a task that starts stands under its array's id alone
        if found[3] is not None:
            indices, throttle = parse_tasks(found[3])
            if not indices:
                indices, throttle = self.pending_indices(job), parse_tasks("0" + found[3][found[3].rfind("%") :])[1]
        else:
            indices, throttle = ([int(found[2])] if found[2] else []), 0
        shown = []
        for ticket, locals_ in job.shares(indices or [None]).items():
            tasks = [task for task in locals_ if task is not None]
            folded = bool(tasks) and found[3] is not None
            raw = row.raw.partition(".")[0]
            own_raw = raw if tasks and not folded and raw != found[1] else ""
            shown.append(Shown(ticket, tasks or None, folded, throttle, own_raw))
        return shown

    def pending_indices(self, job: Job) -> list[int]:
        """The waiting tasks of an array whose list sacct cuts short."""
        answer = self.context.run(
            "squeue", ["-h", "-t", "PD", "-j", str(job.number), "-o", "%K"], SLURM_BITSTR_LEN="0"
        )
        return [index for line in answer.out.decode().splitlines() for index in parse_tasks(line)[0]]

    def call(self, ticket: int) -> Call | None:
        pages = self.context.book.find(ticket)
        return pages.call(ticket) if pages else None

    def merged(self, table: Output, row: Row, shown: Shown, step: str, call: Call | None) -> list[bytes]:
        """The columns of a row of ours."""
        texts = list(row.texts)
        for at, column in enumerate(table.columns):
            text = own_text(column.name, shown, step, call)
            blank = column.name in ("workdir", "submitline") and not texts[at].strip()
            if text is not None and not blank:
                texts[at] = os.fsencode(text)
        return texts

    def unsubmitted(self, table: Output, seen: set[int]) -> list[list[bytes]]:
        """Rows of the calls that Slurm does not know."""
        found = []
        for ticket, pages, state in self.waiting():
            call = pages.call(ticket)
            if ticket in seen or call is None or not self.filtered(state):
                continue
            tasks = call.tasks if call.is_array else None
            chosen = self.wanted.takes(
                Shown(ticket, tasks, tasks is not None, call.throttle), "", os.fsdecode(call.name or b"sbatch")
            )
            if chosen is None:
                continue
            texts = []
            for column in table.columns:
                text = own_text(column.name, chosen, "", call)
                if text is None:
                    text = pending_value(column.name, call, state)
                texts.append(os.fsencode(text))
            found.append(texts)
        return found

    def waiting(self) -> list[tuple[int, Pages, str]]:
        book = self.context.book
        found = [(ticket, pages, pages.state(ticket) or "") for ticket, pages in book.unsubmitted()]
        midnight = time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1))
        for pages in book.pages.values():
            found += [
                (ticket, pages, DROPPED)
                for ticket, when in pages.dropped.items()
                if when >= midnight or ticket in self.wanted.targets
            ]
        return sorted(found, key=lambda one: one[0])

    def filtered(self, state: str) -> bool:
        """Whether calls in this state pass the caller's filters."""
        me = pwd.getpwuid(os.getuid())
        users = self.line.last("user", "uid")
        if users and not {me.pw_name, str(me.pw_uid)} & set(users.split(",")):
            return False
        states = self.line.last("state")
        if states:
            names = {"CA", "CANCELLED"} if state == DROPPED else {"PD", "PENDING"}
            if not names & set(states.upper().split(",")):
                return False
        return not self.line.has("nodelist", "accounts", "qos", "partition", "gid", "group", "completion")


def own_text(column: str, shown: Shown, step: str, call: Call | None) -> str | None:
    """What one of our columns shows; None where the real sacct's text is right."""
    if column == "jobid":
        return shown.ids("jobarrayid") + step
    if column == "jobidraw":
        return shown.ids("jobid") + step
    if call is None or step:
        return None
    if column == "jobname":
        return os.fsdecode(call.name or b"sbatch")
    if column == "workdir":
        return os.fsdecode(call.folder)
    if column == "submitline":
        return " ".join(["sbatch", *(os.fsdecode(word) for word in call.words)])
    return None


def pending_value(column: str, call: Call, state: str) -> str:
    """What any other column shows of a call that is not submitted."""

    def option(name: str, missing: str = "") -> str:
        value = call.options.get(name)
        return os.fsdecode(value) if value else missing

    user = pwd.getpwuid(os.getuid())
    values: dict[str, Callable[[], str]] = {
        "account": lambda: option("account"),
        "alloccpus": lambda: option("cpus-per-task", "1"),
        "ncpus": lambda: option("cpus-per-task", "1"),
        "reqcpus": lambda: option("cpus-per-task", "1"),
        "partition": lambda: option("partition"),
        "qos": lambda: option("qos"),
        "state": lambda: f"CANCELLED by {user.pw_uid}" if state == DROPPED else "PENDING",
        "exitcode": lambda: "0:0",
        "derivedexitcode": lambda: "0:0",
        "user": lambda: user.pw_name,
        "uid": lambda: str(user.pw_uid),
        "submit": lambda: time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(call.time)),
        "start": lambda: "None" if state == DROPPED else "Unknown",
        "end": lambda: "Unknown",
        "elapsed": lambda: "00:00:00",
        "elapsedraw": lambda: "0",
        "nodelist": lambda: "None assigned",
        "reason": lambda: {QUEUED: "SarrayQueued", REFUSED: "SarrayRefused", FLYING: "None"}.get(state, "None"),
        "timelimit": lambda: time_text(call),
        "allocnodes": lambda: "0",
        "nnodes": lambda: option("nodes", "1"),
    }
    return values[column]() if column in values else ""


def document(accounting: Accounting) -> int:
    """--json, and --yaml, of which JSON is a form."""
    line = accounting.real_line().without("yaml", "json")
    answer = accounting.context.run("sacct", [*line.words(), "--json"])
    sys.stderr.buffer.write(answer.err)
    if answer.status != 0:
        write(answer.out)
        return answer.status
    whole = json.loads(answer.out)
    accounting.context.book.refresh()
    kept = []
    for job in whole["jobs"]:
        array = job.get("array") or {}
        number = array.get("job_id") or job["job_id"]
        merged = accounting.context.book.jobs.get(int(number))
        if merged is None:
            if accounting.wanted.names is None or job.get("name") in accounting.wanted.names:
                kept.append(job)
            continue
        task = array.get("task_id")
        indices = [task] if task is not None else parse_tasks(str(array.get("task") or ""))[0]
        for ticket, locals_ in merged.shares(indices or [None]).items():
            tasks = [local for local in locals_ if local is not None] or None
            raw = "" if job["job_id"] == number or not tasks else str(job["job_id"])
            call = accounting.call(ticket)
            name = os.fsdecode(call.name or b"sbatch") if call else job.get("name", "")
            chosen = accounting.wanted.takes(Shown(ticket, tasks, task is None, 0, raw), "", name)
            if chosen is None:
                continue
            ids = int(chosen.ids("jobid"))
            own = {
                "job_id": ids,
                "name": name,
                "array": {
                    **array,
                    "job_id": 0 if chosen.tasks is None else ticket,
                    "task_id": chosen.tasks[0] if chosen.tasks and not chosen.folded else None,
                    "task": chosen.ids("arraytaskid") if chosen.tasks and chosen.folded else None,
                },
                "steps": [
                    {**step, "step": {**step["step"], "job_id": ids}} if isinstance(step.get("step"), dict) else step
                    for step in job.get("steps", [])
                ],
            }
            if call is not None:
                own["working_directory"] = os.fsdecode(call.folder)
            kept.append({**job, **own})
    whole["jobs"] = kept
    write(json.dumps(whole, indent=2).encode() + b"\n")
    return 0


def main(context: Context) -> int:
    """sacct; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.operands or line.has(
            "help", "usage", "version", "helpformat", "batch-script", "env-vars", "completion", "file", "federation"
        ):
            raise Unreadable("not about jobs")
        form = line.last("format")
        if form is not None and line.has("long"):
            raise Unreadable("two formats")
    except Unreadable:
        return context.become(context.words)
    if not context.book.pages:
        return context.become(context.words)
    if form is None:
        form = LONG if line.has("long") else BRIEF if line.has("brief") else None
    form = form or context.variable("SACCT_FORMAT") or DEFAULT
    if "all" in form.lower().split(","):
        every = ",".join(context.run("sacct", ["--helpformat"]).out.decode().split())
        form = ",".join(every if one.lower() == "all" else one for one in form.split(","))
    if line.has("json", "yaml"):
        return document(Accounting(context, line))
    try:
        return Accounting(context, line).table(form)
    except ValueError:
        return context.become(context.words)
