"""
sacct with tickets.

The real sacct is asked, in its parsable form, for the caller's columns and, in front of them, for the ids of each row.
"""

from __future__ import annotations

import os
import pwd
import sys
import time

from sbatch_shim.companions import as_shown, clusters
from sbatch_shim.companions.context import Context, listable, write
from sbatch_shim.companions.formats.columns import LOGS
from sbatch_shim.companions.formats.separators import FIELD
from sbatch_shim.companions.formats.table import BRIEF, DEFAULT, HIDDEN, LAST, LONG, Output, Row, columns_of
from sbatch_shim.companions.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, Unseparable, read
from sbatch_shim.companions.parts import Part, Selection, selection_of, shares, shares_of_rest, whole
from sbatch_shim.companions.this_job import with_own_job
from sbatch_shim.companions.unsubmitted import Unsubmitted
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_JOB, JobId, TaskSet
from sbatch_shim.state.lazy import re
from sbatch_shim.state.plain import replace
from sbatch_shim.state.tickets import DROPPED, FAILED, IN_FLIGHT, SUBMITTED, Job, SessionTickets, elements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


TABLE: Table = {
    "accounts": ("A", REQUIRED),
    "allocations": ("X", NONE),
    "allusers": ("a", NONE),
    "associations": ("x", REQUIRED),
    "allclusters": ("L", NONE),
    "array": ("", NONE),
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
    "expand-patterns": ("", NONE),
    "federation": ("", NONE),
    "file": ("f", REQUIRED),
    "flags": ("F", REQUIRED),
    "format": ("o", REQUIRED),
    "gid": ("g", REQUIRED),
    "group": ("g", REQUIRED),
    "help": ("h", NONE),
    "helpformat": ("e", NONE),
    "jobs": ("j", REQUIRED),
    "json": ("", OPTIONAL),
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
    "use-local-uid": ("", NONE),
    "user": ("u", REQUIRED),
    "verbose": ("v", NONE),
    "version": ("V", NONE),
    "wckeys": ("W", REQUIRED),
    "whole-hetjob": ("", OPTIONAL),
    "yaml": ("", OPTIONAL),
}


# How long a record may be on its way to the database, in seconds: slurmctld sends them together.
RECORD_SECONDS = 30


class Accounting:
    """One look at the accounting records."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        self.tickets = context.tickets
        self.wanted: Selection = selection_of(self.tickets, asked_jobs(line), line.last("name"))
        if line.has("allocations"):  # then a step means its job
            for targets in self.wanted.targets.values():
                targets[:] = [replace(one, step="") for one in targets]

    def real_line(self) -> Line:
        """The line for the real sacct, but for the format: names are compared by us, ids are real ones."""
        line = self.line.without("jobs", "name")
        if not self.wanted.anything:
            line.options.append(("jobs", ",".join(self.wanted.asked) or str(NO_JOB)))
        return line

    def header(self, form: str) -> tuple[int, bytes]:
        """What the real sacct prints above the caller's columns, and its exit status."""
        line = self.line.without("noheader", "brief", "long", "format", "jobs", "name")
        line.options += [("jobs", str(NO_JOB)), ("format", form)]
        answer = self.context.run("sacct", line.words())
        if answer.status != 0:
            sys.stderr.buffer.write(answer.err)
        return answer.status, answer.out

    def table(self, form: str) -> int:
        """Print the table; the exit status."""
        columns = columns_of(form)
        parsable = self.line.has("parsable", "parsable2")
        header = b""
        if not parsable or not self.line.has("noheader"):
            status, header = self.header(form)
            if status != 0:
                return status
        line = self.real_line().without("noheader", "parsable", "parsable2", "delimiter", "brief", "long", "format")
        line.options += [("noheader", None), ("parsable2", None), ("delimiter", FIELD)]
        line.options.append(("format", f"{HIDDEN},{form},{LAST}"))
        answer = self.context.run("sacct", line.words())
        sys.stderr.buffer.write(answer.err)
        if answer.status != 0:
            return answer.status
        table = Output(answer.out, header, columns, parsable)
        self.tickets.refresh()
        delimiter = os.fsencode(self.line.last("delimiter") or "|")
        # The last of -p and -P decides.
        ends = [name for name, _ in self.line.options if name in ("parsable", "parsable2")][-1:] == ["parsable"]
        top = b"" if self.line.has("noheader") else table.header
        write(top + b"".join(table.line(texts, delimiter, ends) for texts in self.rows(table)))
        return answer.status

    def rows(self, table: Output) -> list[list[bytes]]:
        """All rows: ours in the order of their tickets, in the places where those of merged jobs stood."""
        ours: list[tuple[tuple[int, int], list[bytes]]] = []
        out: list[list[bytes]] = []
        places: list[int] = []
        seen: set[int] = set()
        kept_names: set[str] = set()
        lines: dict[str, str] = {}
        for row in table.rows:
            found = JobId.printed(row.id)
            raw = row.raw.partition(".")[0]
            if "." not in row.id:
                lines[raw] = row.submitted  # which the steps that follow do not tell
            job = self.tickets.accounted(found.job, row.cluster, lines.get(raw, "")) if found else None
            if found is None or job is None:
                if self.tickets.hides(lines.get(raw, "").rpartition(" ")[2]):
                    continue  # a pool's
                if found is not None and found.job in self.wanted.for_tickets and not self.names(found, row):
                    continue  # another's, with the id that a ticket's job has elsewhere
                # Steps have names of their own and follow their job.
                base = row.id.partition(".")[0]
                if "." not in row.id and self.wanted.has_name(row.name):
                    kept_names.add(base)
                if self.wanted.names is None or base in kept_names:
                    out.append(row.texts)
                continue
            for shown in self.shares(found, row, job, table):
                seen.add(shown.ticket)
                call = self.tickets.call(shown.ticket)
                chosen = shown if self.names(found, row) else self.takes(shown, found.step)
                if chosen is not None and self.wanted.has_name(self.tickets.name(shown.ticket, row.name)):
                    order = (chosen.ticket, chosen.tasks[0] if chosen.tasks else 0)
                    ours.append((order, self.merged(table, row, chosen, found.step, call)))
                    places.append(len(out))
                    out.append([])
        ours.sort(key=lambda one: one[0])
        for at, (_, texts) in zip(places, ours):
            out[at] = texts
        return out + self.unsubmitted(table, seen)

    def names(self, found: JobId, row: Row) -> bool:
        """Whether a row is asked for by a real id."""
        return self.wanted.names_record(found, row.raw.partition(".")[0], self.step_asked(found.step))

    def step_asked(self, step: str) -> str:
        """The step that an id must name to have this row; a step means its job with -X."""
        return "" if self.line.has("allocations") else step

    def takes(self, shown: Part, step: str = "") -> Part | None:
        """What -j wants of a row: of an array that waits no single tasks."""
        chosen = self.wanted.takes(shown, step)
        return None if shown.folded and chosen is not shown else chosen

    def shares(self, found: JobId, row: Row, job: Job, table: Output) -> list[Part]:
        """The calls that a row tells of."""
        raw = row.raw.partition(".")[0]
        if found.tasks is None:
            # For a moment, a task that starts stands under its array's id alone.
            return [] if job.is_array else shares(job, TaskSet(), folded=False, raw=raw)
        if not found.folded:
            return shares(job, found.tasks, folded=False, raw=raw)
        # sacct cuts a long list.
        tasks = found.tasks or self.pending_tasks(job, row.id)
        if not tasks:
            others = (JobId.printed(one.id) for one in table.rows)
            same = (one.task for one in others if one is not None and one.job == found.job)
            return shares_of_rest(job, (task for task in same if task is not None))
        return shares(job, tasks, folded=True)

    def pending_tasks(self, job: Job, printed: str) -> TaskSet:
        """The waiting tasks of an array whose list sacct cuts short, with the limit that stands behind the list."""
        answer = self.context.run("squeue", ["-h", "-t", "PD", "-j", str(job.number), "-o", "%K"], SLURM_BITSTR_LEN="0")
        limit = re.search(r"%([0-9]+)\]?$", printed)
        indices = [index for line in answer.out.decode().splitlines() for index in TaskSet.parse(line)]
        return TaskSet(tuple(sorted(indices)), int(limit[1]) if limit else 0)

    def merged(self, table: Output, row: Row, shown: Part, step: str, call: Call | None) -> list[bytes]:
        """The columns of a row of ours."""
        texts = list(row.texts)
        for at, column in enumerate(table.columns):
            text = self.own_text(column.name, shown, step, call)
            if column.name == "jobname" and not step:
                text = self.tickets.name(shown.ticket, row.name)
            if column.name == "comment" and not step:
                text = self.tickets.comment(shown.ticket, os.fsdecode(texts[at]))
            blank = column.name in ("workdir", "submitline", *LOGS) and not texts[at].strip()
            if text is not None and not blank:
                texts[at] = os.fsencode(text)
        return texts

    def own_text(self, column: str, shown: Part, step: str, call: Call | None) -> str | None:
        """What one of our columns shows; None where the real sacct's text is right."""
        if column == "jobid":
            return shown.ids("jobarrayid") + step
        if column == "jobidraw":
            return shown.ids("jobid") + step
        if call is None or step:
            return None
        if column == "jobname":
            return call.shown_name
        if column == "workdir":
            return os.fsdecode(call.folder)
        if column == "submitline":
            return as_shown.submit_line(call)
        if column in LOGS and self.line.has("expand-patterns"):
            return as_shown.log_name(self.context, call, LOGS[column], shown, joined=False)
        return as_shown.log_pattern(call, LOGS[column]) if column in LOGS else None

    def unsubmitted(self, table: Output, seen: set[int]) -> list[list[bytes]]:
        """Rows of the calls that Slurm does not know."""
        found = []
        for shown, values in self.unknown(seen):
            texts = []
            for column in table.columns:
                text = self.own_text(column.name, shown, "", values.call)
                texts.append(os.fsencode(waiting_text(column.name, values) if text is None else text))
            found.append(texts)
        return found

    def unknown(self, seen: set[int]) -> Iterator[tuple[Part, Unsubmitted]]:
        """
        The calls that Slurm does not know, as far as the caller asks for them.

        sacct looks at a span of time, and lists in it without -j only what may start.
        """
        for ticket, pages, state in sorted(self.waiting() + self.unaccounted(seen), key=lambda one: one[0]):
            call = pages.call(ticket)
            if ticket in seen or call is None or not self.passes(state) or not self.wanted.has_name(call.shown_name):
                continue
            if (
                self.wanted.anything
                and state not in (DROPPED, FAILED)
                and {"hold", "begin", "dependency"} & call.options.keys()
            ):
                continue
            shown = self.takes(whole(call))
            if shown is None:
                continue
            each = [shown]
            if self.line.has("array") and shown.tasks:
                each = [replace(shown, tasks=[task], folded=False) for task in shown.tasks]
            for one in each:
                yield one, Unsubmitted(self.context, call, state)

    def waiting(self) -> list[tuple[int, SessionTickets, str]]:
        """The calls that wait for a flush, and the dropped ones that sacct would still list."""
        found = [(ticket, pages, pages.state(ticket) or "") for ticket, pages in self.tickets.unsubmitted()]
        midnight = time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1))
        for pages in self.tickets.pages.values():
            found += [
                (ticket, pages, DROPPED)
                for ticket, when in pages.dropped.items()
                if when >= midnight or ticket in self.wanted.targets
            ]
            found += [(ticket, pages, FAILED) for ticket in pages.history.failed if pages.state(ticket) == FAILED]
        return found

    def unaccounted(self, seen: set[int]) -> list[tuple[int, SessionTickets, str]]:
        """
        The calls asked for by ticket that Slurm has, but without a record.

        24.11 writes one for a plain job at once, but none for a task that was split off its array before it starts.
        On its way to the database each takes a moment, in which what was listed while it was queued must not be gone.
        """
        if self.line.has("state", "endtime"):
            return []  # there may be one, which the real sacct did not let pass
        missing = []
        for ticket in self.wanted.targets.keys() - seen:
            pages = self.tickets.find(ticket)
            if pages is not None and pages.state(ticket) == SUBMITTED:
                missing.append((ticket, pages))
        clusters.look_at(self.context, (pages.jobs[ticket] for ticket, pages in missing))
        missing = [(ticket, pages) for ticket, pages in missing if clusters.has(self.context, pages.jobs[ticket])]
        if not missing:
            return []
        jobs = listable(pages.places[ticket].job for ticket, pages in missing)
        words = ["-h", "-a", "-r", "-t", "all", "-j", jobs, "-o", "%i|%T|%V"]
        answer = self.context.run("squeue", words, **self.context.unfiltered(), SLURM_TIME_FORMAT="%s")
        recent = time.time() - RECORD_SECONDS
        listed = {
            one
            for one, state, submitted in answer.rows("|", 3)
            if state == "PENDING" or (submitted.isdigit() and int(submitted) > recent)
        }
        return [
            (ticket, pages, IN_FLIGHT)
            for ticket, pages in missing
            if not listed.isdisjoint(elements(pages.places[ticket], None))
        ]

    def passes(self, state: str) -> bool:
        """Whether calls in this state pass the caller's filters."""
        me = pwd.getpwuid(os.getuid())
        users = self.line.last("user", "uid")
        if users and not {me.pw_name, str(me.pw_uid)} & set(users.split(",")):
            return False
        states = self.line.last("state")
        if states:
            names = {DROPPED: {"CA", "CANCELLED"}, FAILED: {"F", "FAILED"}}.get(state, {"PD", "PENDING"})
            if not names & set(states.upper().split(",")):
                return False
        return not self.line.has("nodelist", "accounts", "qos", "partition", "gid", "group", "completion")


def asked_jobs(line: Line) -> str | None:
    """The values of all -j; None without one, or where they are empty. sacct reads a number up to a blank."""
    values = ",".join(value for option, value in line.options if option == "jobs" and value)
    return re.sub(r"(?<=[0-9])\s[^,]*", "", values) or None


def waiting_text(column: str, values: Unsubmitted) -> str:
    """What any other column shows of a call that is not submitted."""
    state = f"CANCELLED by {values.user_id}" if values.dropped else values.state
    code = "1:0" if values.failed else "0:0"
    table: dict[str, Callable[[], str]] = {
        "account": lambda: values.option("account", ""),
        "alloccpus": lambda: as_shown.allocated(values),
        "ncpus": lambda: as_shown.allocated(values),
        "reqcpus": lambda: values.cpus,
        "partition": lambda: values.partition,
        "qos": lambda: values.option("qos", ""),
        "state": lambda: state,
        "exitcode": lambda: code,
        "derivedexitcode": lambda: "0:0",
        "user": lambda: values.user,
        "uid": lambda: str(values.user_id),
        "submit": lambda: values.submitted,
        "start": lambda: "None" if values.over else "Unknown",
        "end": lambda: "Unknown",
        "elapsed": lambda: "00:00:00",
        "elapsedraw": lambda: "0",
        "nodelist": lambda: "None assigned",
        "reason": lambda: values.reason,
        "timelimit": lambda: values.time_limit if "time" in values.call.options else "Partition_Limit",
        "timelimitraw": lambda: values.raw_time_limit if "time" in values.call.options else "Partition_Limit",
        "allocnodes": lambda: "0",
        "nnodes": lambda: values.nodes,
        "reqnodes": lambda: values.nodes,
        "cluster": lambda: values.context.cluster,
        "gid": lambda: str(values.group_id),
        "group": lambda: values.group,
        "eligible": lambda: "Unknown",
        **{column: lambda: "00:00:00" for column in ("cputime", "suspended", "systemcpu", "totalcpu", "usercpu")},
        **{column: lambda: "0" for column in ("associd", "consumedenergy", "consumedenergyraw", "cputimeraw")},
    }
    return table[column]() if column in table else ""


def main(context: Context) -> int:
    """sacct; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.operands or line.has(
            "help", "usage", "version", "helpformat", "batch-script", "env-vars", "completion", "file"
        ):
            raise Unreadable("not about jobs")
        clusters.judge(context, line.last(*clusters.OPTIONS))
        form = line.last("format")
        if form is not None and line.has("long"):
            raise Unreadable("two formats")
    except Unreadable:
        return context.become(context.words)
    if not context.tickets.pages:
        return context.become(context.words)
    if form is None and line.has("long"):
        form = LONG
    elif form is None and line.has("brief"):
        form = BRIEF
    form = form or context.variable("SACCT_FORMAT") or DEFAULT
    if "all" in form.lower().split(","):
        every = ",".join(context.run("sacct", ["--helpformat"]).out.decode().split())
        form = ",".join(every if one.lower() == "all" else one for one in form.split(","))
    jobs = asked_jobs(line)
    if jobs is not None:
        line = line.without("jobs")
        line.options.append(("jobs", with_own_job(context, jobs)))
    if line.has("json", "yaml"):
        from sbatch_shim.companions.formats import document

        return document.sacct(Accounting(context, line))
    try:
        return Accounting(context, line).table(form)
    except Unseparable:
        return context.become(context.words)
