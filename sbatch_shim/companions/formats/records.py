"""`scontrol show job` with tickets: records of merged jobs as those of their calls, and records of what is queued."""

from __future__ import annotations

import os
import sys

from sbatch_shim.companions import as_shown, clusters
from sbatch_shim.companions.context import Context, write
from sbatch_shim.companions.listing import translated, unsubmitted, with_states
from sbatch_shim.companions.options import Line
from sbatch_shim.companions.parts import Part, shares, shares_of_rest, whole
from sbatch_shim.companions.this_job import own_element
from sbatch_shim.companions.to_tickets import dependency_with_tickets, error_with_tickets
from sbatch_shim.companions.unsubmitted import RECORD, Unsubmitted, by_name, text_of
from sbatch_shim.errors import ShimError
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_TASK, TaskSet, is_number
from sbatch_shim.state.lazy import re
from sbatch_shim.state.plain import dataclass, replace
from sbatch_shim.state.tickets import Named, SessionTickets, elements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


COMMENT = "   Comment="
LOG_LINES = {"StdOut": "output", "StdErr": "error", "StdIn": "input"}


@dataclass(frozen=True)
class Head:
    """
    The words in front of the name in the first line of a record.

    Attributes:
        raw: The job's own id.
        array: The id of its array; empty for a plain job.
        tasks: As Slurm writes them: one, a list of those that wait, or NO_TASK; empty for a plain job.
        rest: Whatever else stands there, with the blank in front of it.
    """

    raw: str
    array: str = ""
    tasks: str = ""
    rest: str = ""

    @property
    def number(self) -> int:
        """The array's id, or the plain job's."""
        return int(self.array or self.raw)

    @classmethod
    def of(cls, record: str) -> Head | None:
        """That of a record; None for any other text."""
        head, named, _ = record.partition(" JobName=")
        raw, *words = head.removeprefix("JobId=").split(" ")
        if not named or not record.startswith("JobId=") or not is_number(raw):
            return None
        array = tasks = ""
        if len(words) > 1 and words[0].startswith("ArrayJobId=") and words[1].startswith("ArrayTaskId="):
            array, tasks = (word.partition("=")[2] for word in words[:2])
            words = words[2:]
        if array and not is_number(array):
            return None
        return cls(raw, array, tasks, "".join(" " + word for word in words))


class Records:
    """What one `scontrol show job` prints."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line

    def show(self, given: str | None = None) -> int:
        """`show job [ID]`."""
        if self.line.has("json", "yaml"):
            from sbatch_shim.companions.formats import document

            return document.scontrol(self.context, self.line, given)
        if given is not None and not is_element_or_job(given):
            return self.context.become(self.context.words)
        named = None
        if given:
            named = self.context.tickets.named(given)
        options = [one for one in self.line.options if one[0] != "oneliner"]
        asked: list[str] = []
        names: dict[str, str] = {}
        if named is not None:
            if not named.submitted:
                found = records_of_queued(self.context, [(named.ticket, named.held)], named.tasks)
                if not found:
                    raise ShimError(f"the record of {named.ticket} cannot be read")
                return self.print_records(found)
            asked = [str(named.place.job)]
            names[asked[0]] = given or ""
        elif given:
            asked = [own_element(self.context, given) or given]
        answer = self.context.run("scontrol", Line(options, ["show", "job", *asked]).words(), SLURM_BITSTR_LEN="0")
        sys.stderr.buffer.write(error_with_tickets(answer.err, self.context.tickets, names))
        text = answer.out.decode(errors="surrogateescape")
        self.context.tickets.refresh()
        originals = records_in(text)
        records = translated(Jobs(self.context, originals, named), originals, set())
        if not given:
            records += records_of_queued(self.context, self.context.tickets.unsubmitted())
            records = [record for record in records if not record.startswith("No jobs")] or records
        if named is not None and answer.status == 0 and not records and not clusters.has(self.context, named.job):
            return self.context.become(self.context.words)  # Slurm knows no such job, and says so
        if named is not None and answer.status == 0 and not records and named.tasks:
            if not self.line.has("quiet"):
                write(f"Job {given} not found\n".encode())
            return 1
        self.print_records(records)
        return answer.status

    def show_steps(self, given: str = "") -> int:
        """
        `show step [ID]`.

        Before 24.11 scontrol reads the first of a list only, takes any name for step 0, and looks at the step for a
        plain job's id only. Since then it takes no list, and finds a step of the last element of an array only.
        """
        strict = self.context.version >= as_shown.STEP_OF_TASK
        if strict and not re.fullmatch(r"([0-9]+(_[0-9]+)?(\.[0-9a-z]+)?)?", given):
            return self.context.become(self.context.words)
        word, dot, step = given.partition(",")[0].partition(".")
        element = own_element(self.context, word)
        named = None
        if element is None:
            named = self.context.tickets.named(word)
        wanted = ""
        if dot and (strict or (named is not None and named.tasks is None)):
            wanted = "0"
            if strict or step.isdigit():
                wanted = step
        missing = f"Job step {word}.{wanted} not found\n"
        if named is not None and not named.submitted:
            write(missing.encode())
            return 1
        if named is not None and not clusters.has(self.context, named.job):
            return self.context.become(self.context.words)
        asked = []
        places: list[str] | None = None
        if named is not None:
            asked, places = [str(named.place.job)], steps_places(named, only_last=bool(wanted))
        elif element:
            asked = [element + dot + step]
        elif given:
            asked = [given]
        options = [one for one in self.line.options if one[0] != "oneliner"]
        answer = self.context.run("scontrol", Line(options, ["show", "step", *asked]).words())
        sys.stderr.buffer.write(error_with_tickets(answer.err, self.context.tickets, dict.fromkeys(asked, word)))
        self.context.tickets.refresh()
        records = self.steps_of(answer.out, places, wanted)
        if not given:
            records = [one for one in records if one.startswith("StepId=")] + self.plain_steps(answer.out) or records
        if places is not None and not records and not answer.err:
            records = [missing]
            answer.status = 1
        self.print_records(records)
        return answer.status

    def steps_of(self, printed: bytes, places: list[str] | None, wanted: str) -> list[str]:
        """
        Records of steps with tickets.

        Args:
            places: The elements that are wanted; None for all, and for what is no step.
            wanted: The step that is; empty for all.
        """
        records = []
        clusters.jobs_with(self.context, {int(head[2]) for _, head in steps_in(printed) if head})  # in one look
        for record, head in steps_in(printed):
            if head is None:
                if record and places is None:
                    records.append(record)
            elif places is None or (head[1] in places and wanted in ("", head[4])):
                records.append(self.step_of_ticket(record, head)[1])
        return records

    def step_of_ticket(self, record: str, head: re.Match[str]) -> tuple[Part | None, str]:
        """A record of a step, with the ticket of its call."""
        job = clusters.job_with(self.context, int(head[2]))
        if job is None:
            return None, record
        for shown in shares(job, TaskSet.parse(head[3] or ""), folded=False):
            return shown, f"StepId={shown.ids('jobarrayid')}.{head[4]}{record[head.end() :]}"
        return None, record

    def plain_steps(self, printed: bytes) -> list[str]:
        """The steps of plain calls that became elements, where without an id plain jobs alone are shown (22.05)."""
        listed = self.context.run("squeue", ["-h", "-s", "-u", str(os.getuid()), "-o", "%i"]).out.decode().split()
        there = {head[1] for _, head in steps_in(printed) if head}
        places = (one.partition(".")[0] for one in listed)
        arrays = dict.fromkeys(one.partition("_")[0] for one in places if "_" in one and one not in there)
        records = []
        clusters.jobs_with(self.context, map(int, arrays))  # in one look
        for array in arrays:
            if clusters.job_with(self.context, int(array)) is not None:
                for record, head in steps_in(self.context.run("scontrol", ["show", "step", array]).out):
                    shown, text = self.step_of_ticket(record, head) if head else (None, "")
                    if shown is not None and shown.tasks is None:
                        records += [text]
        return records

    def print_records(self, records: list[str]) -> int:
        for record in records:
            if self.line.has("oneliner"):
                kinds = ("JobId=", "StepId=")
                if record.startswith(kinds):
                    record = record.replace("\n   ", " ").rstrip("\n") + "\n"
            write(record.encode(errors="surrogateescape"))
        return 0


class Jobs:
    """
    The records of one `scontrol show job`.

    Args:
        records: What the real scontrol has printed.
        wanted: The call that is asked for; None for another job, or for all.
    """

    def __init__(self, context: Context, records: list[str], wanted: Named | None) -> None:
        self.context = context
        self.records = records
        self.wanted = wanted

    def parts(self, record: str) -> list[Part] | None:
        head = Head.of(record)
        if head is None:
            return None
        job = self.context.tickets.await_job(head.number, command_in(record))
        if job is None:
            return None
        if head.tasks == str(NO_TASK):
            heads = (Head.of(other) for other in self.records)
            same = (one.tasks for one in heads if one and one.array == head.array and one.tasks != str(NO_TASK))
            return shares_of_rest(job, (index for spec in same for index in TaskSet.parse(spec)))
        return shares(job, TaskSet.parse(head.tasks), folded=not head.tasks.isdigit(), raw=head.raw)

    def others(self, record: str) -> list[str]:
        if Head.of(record) is None:
            if not record:
                return []
            return [record]
        hidden = self.wanted is not None or self.context.tickets.hides(command_in(record))
        if hidden:
            return []
        return [cut_tasks(record)]

    def ours(self, record: str, part: Part) -> list[str]:
        each = [part]
        if self.wanted is not None and self.wanted.ticket != part.ticket:
            each = []
        elif self.wanted is not None and self.wanted.tasks is not None:
            # A record for each, as scontrol shows `A_3` of an array that waits.
            some = [task for task in part.tasks or () if task in self.wanted.tasks]
            each = [replace(part, tasks=[task], folded=False) for task in some]
        head = Head.of(record)
        if head is None:
            return []
        return [self.rewrite(record, head.rest, one) for one in each]

    def rewrite(self, record: str, rest: str, shown: Part) -> str:
        """One record of a call."""
        call = self.context.tickets.call(shown.ticket)
        name = self.context.tickets.name(shown.ticket, record.partition(" JobName=")[2].partition("\n")[0])
        first = f"JobId={shown.ids('jobid')}"
        if call is not None and call.is_array:
            first += f" ArrayJobId={shown.ticket} ArrayTaskId={shown.ids('arraytaskid') if shown.tasks else NO_TASK}"
        lines = record.split("\n")
        lines[0] = f"{first}{rest} JobName={name}"
        lines = self.own_comment(lines, shown)
        for at, line in enumerate(lines):
            key = line.strip().partition("=")[0]
            if " Dependency=" in line:
                before, _, spec = line.partition(" Dependency=")
                spec = dependency_with_tickets(spec, self.context.tickets, call, shown.index)
                lines[at] = f"{before} Dependency={spec}"
            elif call is not None:
                value = own_line(self.context, call, key, shown)
                real = line.partition("=")[2]
                if key == "WorkDir":
                    value = self.context.tickets.folder(shown.ticket, real)
                if key in LOG_LINES and as_shown.is_updated(self.context, call, LOG_LINES[key], real):
                    value = None
                if value is not None:
                    lines[at] = f"   {key}={value}"
        return "\n".join(lines)

    def own_comment(self, lines: list[str], shown: Part) -> list[str]:
        """The lines of a record with the call's own comment; a call without one has no line of it."""
        at = next((at for at, line in enumerate(lines) if line.startswith(COMMENT)), None)
        if at is None:
            return lines
        # Slurm writes a blank behind it (22.05 to 24.11).
        value = lines[at].removeprefix(COMMENT)
        real = value.removesuffix(" ")
        told = self.context.tickets.comment(shown.ticket, real)
        mine = []
        if told:
            mine = [COMMENT + told + value[len(real) :]]
        return [*lines[:at], *mine, *lines[at + 1 :]]


def steps_places(named: Named, *, only_last: bool) -> list[str]:
    """The elements that a ticket's tasks are; `only_last`: the last one of the call, if it is among them."""
    place = named.place
    every = place.elements() if place.spec is None else elements(place, tuple(place.local_ids))
    places = every if named.tasks is None else elements(place, named.tasks)
    if only_last:
        return [one for one in places if one == every[-1]]
    return places


def steps_in(out: bytes) -> Iterator[tuple[str, re.Match[str] | None]]:
    """Records of steps, each with the ids at its head; None where it is none."""
    for record in re.split(r"^(?=StepId=)", out.decode(errors="surrogateescape"), flags=re.M):
        yield record, re.match(r"StepId=(([0-9]+)(?:_([0-9]+))?)\.([^ ]*)", record)


def cut_tasks(record: str) -> str:
    """Undo SLURM_BITSTR_LEN=0 in somebody else's record."""

    def cut(found: re.Match[str]) -> str:
        tasks = TaskSet.parse(found[1])
        if found[1].isdigit() or not tasks:
            return found[0]
        return " ArrayTaskId=" + tasks.shown()

    return re.sub(r" ArrayTaskId=([^ ]+)", cut, record, count=1)


def is_element_or_job(word: str) -> bool:
    """Whether a word is an id as `scontrol show job` reads one: `7`, `+7`, `7_3`."""
    job, under, task = word.removeprefix("+").partition("_")
    return is_number(job) and (not under or is_number(task))


def records_in(printed: str) -> list[str]:
    """The records of jobs that scontrol has printed, and whatever stands in front of them."""
    first, *others = ("\n" + printed).split("\nJobId=")
    records = [first.removeprefix("\n"), *("JobId=" + one for one in others)]
    return [*(one + "\n" for one in records[:-1] if one), records[-1]]


def command_in(record: str) -> str:
    """The script's path; empty where the record tells none."""
    return record.partition("\n   Command=")[2].partition("\n")[0]


def own_line(context: Context, call: Call, key: str, shown: Part) -> str | None:
    """The value of a line that tells of the call; None for all others."""
    if key == "Command":
        return as_shown.command(context, call)
    if key == "WorkDir":
        return os.fsdecode(call.folder)
    if key == "SubmitLine":
        return as_shown.submit_line(call)
    kind = LOG_LINES.get(key)
    if kind is None:
        return None
    return as_shown.log_name(context, call, kind, shown, joined=kind != "error" or as_shown.joins_stderr(context, call))


# The lines of a record of what waits, by what stands in them. Not all calls, and versions, have the last ones.
WAITING_LINES = (
    "UserId GroupId MCS_label",
    "Priority Nice Account QOS",
    "JobState Reason Dependency",
    "Requeue Restarts BatchFlag Reboot ExitCode",
    "RunTime TimeLimit TimeMin",
    "SubmitTime EligibleTime",
    "StartTime EndTime Deadline",
    "Partition",
    "NumNodes NumCPUs NumTasks",
    "Command",
    "WorkDir",
    "Comment",
    "StdErr",
    "StdIn",
    "StdOut",
    "Power",
)


def records_of_queued(
    context: Context, calls: Iterable[tuple[int, SessionTickets]], tasks: TaskSet | None = None
) -> list[str]:
    """
    What scontrol would show of calls that wait.

    Args:
        tasks: Those that are asked for; None for all.
    """

    def wanted(call: Call, _: str) -> list[Part]:
        if tasks is None or not call.is_array:
            return [whole(call)]
        some = [task for task in call.tasks if task in tasks]
        return [replace(whole(call), tasks=some, folded=len(some) > 1)]

    return [record_of_queued(*one) for one in unsubmitted(context, with_states(calls), wanted)]


def record_of_queued(part: Part, values: Unsubmitted) -> str:
    context, call = values.context, values.call
    first = f"JobId={part.ids('jobid')}"
    if call.is_array:
        first += f" ArrayJobId={part.ticket} ArrayTaskId={part.ids('arraytaskid')}"
    known = {key: text_of(values.value(value)) for key, value in by_name(RECORD).items()}
    known.update((key, own_line(context, call, key, part) or "") for key in ("Command", "WorkDir", *LOG_LINES))
    lines = [f"{first} JobName={call.shown_name}"]
    if call.comment:
        known["Comment"] = os.fsdecode(call.comment) + as_shown.comment_end(context)
    if context.version < as_shown.NO_POWER:
        known["Power"] = ""
    keys = ([key for key in line.split() if key in known] for line in WAITING_LINES)
    lines += [" ".join(f"{key}={known[key]}" for key in line) for line in keys if line]
    return "\n   ".join([*lines, ""]) + "\n\n"
