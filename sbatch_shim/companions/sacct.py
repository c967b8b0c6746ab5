"""
sacct with tickets.

The real sacct is asked, in its parsable form, for the caller's columns and, in front of them, for the ids of each row.
"""

from __future__ import annotations

import os
import sys
import time

from sbatch_shim.companions import as_shown, clusters
from sbatch_shim.companions.context import Context, listable, write
from sbatch_shim.companions.formats.columns import LOGS
from sbatch_shim.companions.formats.separators import FIELD
from sbatch_shim.companions.formats.table import BRIEF, DEFAULT, HIDDEN, LAST, LONG, Output, Row, columns_of
from sbatch_shim.companions.listing import translated, unsubmitted, with_states
from sbatch_shim.companions.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, Unseparable, read
from sbatch_shim.companions.parts import Part, Selection, selection_of, shares, shares_of_pending, shares_of_rest, whole
from sbatch_shim.companions.this_job import with_own_job
from sbatch_shim.companions.unsubmitted import SACCT, Unsubmitted, by_name
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_JOB, TaskSet
from sbatch_shim.state.lazy import re
from sbatch_shim.state.plain import replace
from sbatch_shim.state.tickets import DROPPED, FAILED, IN_FLIGHT, SUBMITTED, Job, SessionTickets, elements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


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
        output = Output(answer.out, header, columns, parsable=parsable)
        self.tickets.refresh()
        rows = Rows(self, output).all()
        delimiter = os.fsencode(self.line.last("delimiter") or "|")
        # The last of -p and -P decides.
        ends = [name for name, _ in self.line.options if name in ("parsable", "parsable2")][-1:] == ["parsable"]
        top = b""
        if not self.line.has("noheader"):
            top = header
        write(top + b"".join(output.line(texts, delimiter, ends=ends) for texts in rows))
        return answer.status

    def takes(self, shown: Part, step: str = "") -> Part | None:
        """What -j wants of a row: of an array that waits no single tasks."""
        chosen = self.wanted.takes(shown, step)
        if shown.folded and chosen is not shown:
            return None
        return chosen

    def unknown(self, seen: set[int]) -> Iterator[tuple[Part, Unsubmitted]]:
        """
        The calls that Slurm does not know, as far as the caller asks for them.

        sacct looks at a span of time, and lists in it without -j, or of some state, only what may start.
        """
        listed = not self.wanted.anything and not self.line.last("state")

        def wanted(call: Call, state: str) -> list[Part]:
            if not self.passes(call, state) or not self.wanted.has_name(call.shown_name):
                return []
            may_start = not {"hold", "begin", "dependency"} & call.options.keys()
            if not (listed or may_start or state in (DROPPED, FAILED)):
                return []
            shown = self.takes(whole(call))
            if shown is None:
                return []
            if self.line.has("array"):
                return shown.tasks_apart()
            return [shown]

        calls = sorted(self.waiting() + self.unaccounted(seen), key=lambda one: one[0])
        return unsubmitted(self.context, calls, wanted, seen)

    def waiting(self) -> list[tuple[int, SessionTickets, str]]:
        """The calls that wait for a flush, and the dropped ones that sacct would still list."""
        found = [*with_states(self.tickets.unsubmitted())]
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

    def passes(self, call: Call, state: str) -> bool:
        """Whether a call in this state passes the caller's filters."""
        users = [value for name, value in self.line.options if name in ("user", "uid") and value]
        if users and not any(map(self.context.is_user, ",".join(users).split(","))):
            return False
        states = self.line.last("state")
        if states:
            names = {DROPPED: {"CA", "CANCELLED"}, FAILED: {"F", "FAILED"}}.get(state, {"PD", "PENDING"})
            if not names & set(states.upper().split(",")):
                return False
        for name, option in (("account", "accounts"), ("partition", "partition")):
            if not self.line.has(option):
                continue
            own = os.fsdecode(call.options.get(name) or b"")
            if name == "partition" and not own:
                own = self.context.default_partition
            # The database compares without case.
            if not own or own.lower() not in (self.line.last(option) or "").lower().split(","):
                return False
        return not self.line.has("nodelist", "qos", "gid", "group", "completion")


class Rows:
    """
    The rows of one look at the accounting.

    Args:
        output: Those of the real sacct.
    """

    def __init__(self, accounting: Accounting, output: Output) -> None:
        self.accounting = accounting
        self.context = accounting.context
        self.tickets = accounting.tickets
        self.wanted = accounting.wanted
        self.output = output
        # By raw id, the words of a job's sbatch, which the steps that follow do not tell.
        self.lines: dict[str, str] = {}
        # Other jobs, and calls in jobs by raw id, that have a name which is asked for: steps follow them.
        self.kept: set[str] = set()
        self.kept_calls: set[tuple[str, int]] = set()

    def all(self) -> list[list[bytes]]:
        """All rows: ours in the order of their tickets, in the places where those of merged jobs stood."""
        seen: set[int] = set()
        out = translated(self, self.output.rows, seen, by_ticket)
        values = by_name(SACCT)
        for part, call in self.accounting.unknown(seen):
            texts = [self.unsubmitted_text(column.name, part, call, values) for column in self.output.columns]
            out.append(list(map(os.fsencode, texts)))
        return out

    def parts(self, row: Row) -> list[Part] | None:
        """The calls that a row tells of; None for another job."""
        job = self.job(row)
        if row.id is None or job is None:
            return None
        if row.id.tasks is None:
            # For a moment, a task that starts stands under its array's id alone.
            if job.is_array:
                return []
            return shares(job, TaskSet(), folded=False, raw=row.raw_job)
        if not row.id.folded:
            return shares(job, row.id.tasks, folded=False, raw=row.raw_job)
        ids = (one.id for one in self.output.rows)
        tasks_of = (one.task for one in ids if one is not None and one.job == job.number)
        apart = [task for task in tasks_of if task is not None]
        # sacct cuts a long list.
        tasks = row.id.tasks or self.pending_tasks(job, row)
        if tasks:
            return shares_of_pending(job, tasks, apart)
        return shares_of_rest(job, apart)

    def job(self, row: Row) -> Job | None:
        """The merged job that a row tells of, or a row of a step that follows it."""
        if not row.is_step:
            self.lines[row.raw_job] = row.submitted
        if row.id is None:
            return None
        return self.tickets.accounted(row.id.job, row.cluster, self.lines.get(row.raw_job, ""))

    def others(self, row: Row) -> list[list[bytes]]:
        if self.tickets.hides(self.lines.get(row.raw_job, "").rpartition(" ")[2]):
            return []  # a pool's
        if row.id is not None and row.id.job in self.wanted.for_tickets and not self.is_named(row):
            return []  # another's, with the id that a ticket's job has elsewhere
        # Steps have names of their own and follow their job.
        base = row.printed.partition(".")[0]
        if not row.is_step and self.wanted.has_name(row.name):
            self.kept.add(base)
        if self.wanted.names is None or base in self.kept:
            return [row.texts]
        return []

    def ours(self, row: Row, part: Part) -> list[list[bytes]]:
        step = ""
        if row.id is not None:
            step = row.id.step
        chosen = part if self.is_named(row) else self.accounting.takes(part, step)
        if not step and self.wanted.has_name(self.tickets.name(part.ticket, row.name)):
            self.kept_calls.add((row.raw_job, part.ticket))
        if chosen is None or (self.wanted.names is not None and (row.raw_job, part.ticket) not in self.kept_calls):
            return []
        call = self.tickets.call(part.ticket)
        texts = list(row.texts)
        for at, column in enumerate(self.output.columns):
            text = self.own_text(column.name, chosen, step, call)
            if column.name == "jobname" and not step:
                text = self.tickets.name(part.ticket, row.name)
            if column.name == "comment" and not step:
                text = self.tickets.comment(part.ticket, os.fsdecode(texts[at]))
            blank = column.name in ("workdir", "submitline", *LOGS) and not texts[at].strip()
            if text is not None and not blank:
                texts[at] = os.fsencode(text)
        return [texts]

    def is_named(self, row: Row) -> bool:
        """Whether a row is asked for by a real id; a step means its job with -X."""
        if row.id is None:
            return False
        step = ""
        if not self.accounting.line.has("allocations"):
            step = row.id.step
        return self.wanted.names_record(row.id, row.raw_job, step)

    def pending_tasks(self, job: Job, row: Row) -> TaskSet:
        """The waiting tasks of an array whose list sacct cuts short, with the limit that stands behind the list."""
        answer = self.context.run("squeue", ["-h", "-t", "PD", "-j", str(job.number), "-o", "%K"], SLURM_BITSTR_LEN="0")
        limit = re.search(r"%([0-9]+)\]?$", row.printed)
        indices = [index for line in answer.out.decode().splitlines() for index in TaskSet.parse(line)]
        return TaskSet(tuple(sorted(indices)), int(limit[1]) if limit else 0)

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
        if column not in LOGS:
            return None
        if self.accounting.line.has("expand-patterns"):
            return as_shown.log_name(self.context, call, LOGS[column], shown, joined=False)
        return as_shown.log_pattern(call, LOGS[column])

    def unsubmitted_text(self, column: str, part: Part, values: Unsubmitted, known: dict[str, str]) -> str:
        """What a column shows of a call that Slurm does not know; nothing where that is not clear."""
        own = self.own_text(column, part, "", values.call)
        if own is not None or column not in known:
            return own or ""
        value = values.value(known[column])
        if value is None:
            return ""
        return str(value)


def by_ticket(ours: list[tuple[Part, list[bytes]]]) -> None:
    ours.sort(key=lambda one: (one[0].ticket, (one[0].tasks or [0])[0]))


def asked_jobs(line: Line) -> str | None:
    """The values of all -j; None without one, or where they are empty. sacct reads a number up to a blank."""
    values = ",".join(value for option, value in line.options if option == "jobs" and value)
    if not any(one.isspace() for one in values):
        return values or None
    return re.sub(r"(?<=[0-9])\s[^,]*", "", values) or None


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
