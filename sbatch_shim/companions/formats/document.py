"""--json of squeue, sacct and scontrol, job by job; --yaml prints the same, as JSON is a form of YAML."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from sbatch_shim.companions import as_shown
from sbatch_shim.companions.context import Context, write
from sbatch_shim.companions.formats.columns import LOGS
from sbatch_shim.companions.formats.document_form import DocumentForm, JsonJob, plain
from sbatch_shim.companions.listing import translated, unsubmitted, with_states
from sbatch_shim.companions.options import Line
from sbatch_shim.companions.parts import Entry, Part, shares, shares_of_entry, shares_of_pending, whole
from sbatch_shim.companions.this_job import own_element
from sbatch_shim.companions.to_tickets import dependency_with_tickets, error_with_tickets
from sbatch_shim.companions.unsubmitted import ACCOUNTING, QUEUE, Unsubmitted
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_JOB, JobId, TaskSet
from sbatch_shim.state.lazy import json
from sbatch_shim.state.tickets import Named, Tickets

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from sbatch_shim.companions.sacct import Accounting
    from sbatch_shim.companions.squeue import Queue


def document_in(out: bytes) -> tuple[bytes, JsonJob | None]:
    """What stands before the document, as the date of --long does, and the document; None where there is none."""
    at = out.find(b"{")
    try:
        text = out[at:].decode(errors="surrogateescape")
        if at >= 0:
            return (out[:at], json.loads(text))
        return (out, None)
    except ValueError:
        return out, None


def printed(document: JsonJob, jobs: list[JsonJob], words: list[str]) -> bytes:
    """
    The document with these jobs.

    Args:
        words: The caller's; newer versions write all but the last of them into it.
    """
    meta = document.get("meta", {})
    if "command" in meta:
        document["meta"] = {**meta, "command": words[:-1]}
    if jobs and "warnings" in document:
        nothing = "Zero jobs to dump"
        document["warnings"] = [one for one in document["warnings"] if one.get("description") != nothing]
    # As Slurm writes it: with slashes escaped, and letters of other alphabets as they are.
    text = json.dumps({**document, "jobs": jobs}, indent=2, ensure_ascii=False).replace("/", "\\/")
    return text.encode(errors="surrogateescape") + b"\n"


def asked_as_json(line: Line) -> Line:
    """The line for the real command; the last of --json and --yaml says how numbers are written."""
    asked = [value for name, value in line.options if name in ("json", "yaml")]
    line = line.without("json", "yaml")
    line.options.append(("json", asked[-1]))
    return line


def squeue(queue: Queue) -> tuple[int, bytes]:
    """squeue's exit status and document."""
    context = queue.context
    line = asked_as_json(queue.asked_line())
    answer = context.run("squeue", line.words(), SLURM_BITSTR_LEN="0", SQUEUE_NAMES=None)
    sys.stderr.buffer.write(answer.err)
    before, document = document_in(answer.out)
    if answer.status != 0 or document is None:
        return answer.status, answer.out
    kept = states(queue, document["jobs"]) if queue.only_state else Squeue(queue, document).jobs()
    return 0, before + printed(document, kept, ["squeue", *context.words])


class Jobs:
    """The jobs of a document of squeue or scontrol."""

    def __init__(self, context: Context, document: JsonJob) -> None:
        self.context = context
        self.tickets = context.tickets
        self.form = DocumentForm.of(document)
        self.printed: list[JsonJob] = document["jobs"]
        entries = map(entry_of, self.printed)
        # The flushes that have these jobs note them.
        self.tickets.settle((entry.number, entry.command) for entry in entries)

    def parts(self, job: JsonJob) -> list[Part] | None:
        return shares_of(self.tickets, job, self.printed)

    def is_hidden(self, job: JsonJob) -> bool:
        """Whether it is an element of a pool, of which nobody was told."""
        return self.tickets.hides(job.get("command") or "")

    def ours(self, job: JsonJob, part: Part) -> list[JsonJob]:
        return [{**job, **own_members(self.context, self.form, part, job)}]

    def unsubmitted(self, part: Part, values: Unsubmitted) -> JsonJob:
        """A call that no flush has submitted."""
        blank = self.form.waiting("queue", values.members(QUEUE))
        return {**blank, **waiting_members(self.context, self.form, values.call, part)}

    def all_unsubmitted(self, seen: Container[int] = ()) -> Iterator[tuple[Part, Unsubmitted]]:
        calls = with_states(self.tickets.unsubmitted())
        return unsubmitted(self.context, calls, lambda call, _: [whole(call)], seen)


class Squeue(Jobs):
    """squeue's; 22.05 ignores all filters in a document."""

    def __init__(self, queue: Queue, document: JsonJob) -> None:
        super().__init__(queue.context, document)
        self.queue = queue

    def jobs(self) -> list[JsonJob]:
        """What the document shows."""
        seen: set[int] = set()
        kept = translated(self, self.printed, seen)
        more = self.all_unsubmitted(seen)
        if self.form.filtered:
            more = self.queue.unsubmitted(with_states(self.queue.waiting), seen)
        return kept + [self.unsubmitted(part, values) for part, values in more]

    def others(self, job: JsonJob) -> list[JsonJob]:
        wanted = not self.form.filtered or self.queue.wants_other(entry_of(job))
        if wanted and not self.is_hidden(job):
            return [uncut(job)]
        return []

    def ours(self, job: JsonJob, part: Part) -> list[JsonJob]:
        chosen = self.queue.chosen(part, entry_of(job)) if self.form.filtered else part
        if chosen is None:
            return []
        return super().ours(job, chosen)


def entry_of(job: JsonJob) -> Entry:
    """What squeue's other forms would tell of the ids of a job."""
    task = plain(job["array_task_id"])
    folded = TaskSet.parse(job["array_task_string"] or "")
    tasks = folded if task is None else TaskSet((task,))
    array = plain(job["array_job_id"]) or job["job_id"]
    id_ = JobId(array, tasks or None, folded=task is None and bool(folded))
    return Entry(id_, str(job["job_id"]), job["name"], job.get("command") or "")


def shares_of(tickets: Tickets, job: JsonJob, others: list[JsonJob]) -> list[Part] | None:
    """The calls in a job of squeue's or scontrol's document; None where it is not of ours."""
    entry = entry_of(job)
    merged = None
    if entry.id is not None:
        merged = tickets.job(entry.id.job, entry.command)
    if merged is None:
        return None
    number = merged.number

    def own_entries() -> list[int]:
        same = [plain(one["array_task_id"]) for one in others if plain(one["array_job_id"]) == number]
        return [index for index in same if index is not None]

    return shares_of_entry(merged, entry, own_entries)


def uncut(job: JsonJob) -> JsonJob:
    """Somebody else's job: only what SLURM_BITSTR_LEN=0 let grow is cut again."""
    tasks = TaskSet.parse(job["array_task_string"] or "")
    if tasks:
        return {**job, "array_task_string": tasks.shown()}
    return job


def id_members(form: DocumentForm, part: Part, *, is_array: bool) -> JsonJob:
    """The members that tell of the call's ids."""
    number = int(part.ids("jobid"))
    return {
        "job_id": number,
        "array_job_id": form.number(part.ticket if is_array else 0),
        "array_task_id": form.number(part.single),
        "array_task_string": form.text(part.ids("arraytaskid") if part.folded else ""),
    }


def shown_script(context: Context, form: DocumentForm, call: Call) -> str | None:
    script = as_shown.command(context, call)
    if script == "(null)":
        script = ""
    return form.text(script)


def log_of(context: Context, form: DocumentForm, call: Call, kind: str, part: Part) -> str:
    """The name of a log; 22.05 shows the pattern, and none for a default."""
    if form.filtered:
        return as_shown.log_name(context, call, kind, part)
    if kind == "input" or kind in call.options:
        return as_shown.log_pattern(call, kind)
    return ""


def waiting_members(context: Context, form: DocumentForm, call: Call, part: Part) -> JsonJob:
    """The members of a call that no flush has submitted, in squeue's or scontrol's document."""
    return {
        **id_members(form, part, is_array=call.is_array),
        "name": call.shown_name,
        "current_working_directory": os.fsdecode(call.folder),
        "command": shown_script(context, form, call),
        **{f"standard_{kind}": log_of(context, form, call, kind, part) for kind in LOGS.values()},
    }


def own_members(context: Context, form: DocumentForm, part: Part, job: JsonJob) -> JsonJob:
    """The members of a job in squeue's or scontrol's document that tell of the call."""
    tickets = context.tickets
    call = tickets.call(part.ticket)
    found = id_members(form, part, is_array=call is not None and call.is_array)
    step = job.get("step_id")
    if isinstance(step, dict) and isinstance(step.get("job_id"), dict):  # 26.05
        found["step_id"] = {**step, "job_id": form.number(found["job_id"])}
    if call is None:
        return found
    found["name"] = tickets.name(part.ticket, job["name"])
    if "comment" in job:
        found["comment"] = form.text(tickets.comment(part.ticket, job["comment"] or ""))
    if job.get("submit_line"):
        found["submit_line"] = as_shown.submit_line(call)
    found["current_working_directory"] = tickets.folder(part.ticket, job["current_working_directory"] or "")
    found["command"] = shown_script(context, form, call)
    found["dependency"] = dependency_with_tickets(job["dependency"], tickets, call, part.index)
    for column, kind in LOGS.items():
        name, expanded = f"standard_{kind}", f"{column}_expanded"
        if as_shown.is_updated(context, call, kind, job[name]):
            continue
        if job.get(expanded):
            found[expanded] = as_shown.log_name(context, call, kind, part)
        if expanded in job:
            found[name] = as_shown.raw_pattern(call, kind)
        else:
            found[name] = log_of(context, form, call, kind, part)
    return found


def states(queue: Queue, jobs: list[JsonJob]) -> list[JsonJob]:
    """--only-job-state: an id and a state for each job and each task of an array."""
    queue.tickets.refresh()
    seen: set[int] = set()
    kept = translated(States(queue, jobs), jobs, seen)

    def wanted(call: Call, _: str) -> list[Part]:
        each = whole(call).tasks_apart()
        if queue.passes(call) and any(map(queue.wanted.takes, each)):
            return each
        return []

    more = unsubmitted(queue.context, with_states(queue.waiting), wanted, seen)
    return kept + [{"job_id": part.ids("jobarrayid"), "state": ["PENDING"]} for part, _ in more]


class States:
    """The jobs of such a document: with one task that waits come all that wait of its array (tried on 24.11)."""

    def __init__(self, queue: Queue, jobs: list[JsonJob]) -> None:
        self.queue = queue
        parts = ((job, part) for job in jobs for part in self.parts(job) or () if "PENDING" in job["state"])
        self.waiting = {part.ticket for _, part in parts if queue.wanted.takes(part)}

    def parts(self, job: JsonJob) -> list[Part] | None:
        printed = JobId.printed(job["job_id"])
        # no command is told
        merged = None
        if printed:
            merged = self.queue.tickets.job_here(printed.job)
        if printed is None or merged is None:
            return None
        return shares(merged, printed.tasks or TaskSet(), folded=False)

    def others(self, job: JsonJob) -> list[JsonJob]:
        return [job]

    def ours(self, job: JsonJob, part: Part) -> list[JsonJob]:
        if self.queue.wanted.takes(part) or ("PENDING" in job["state"] and part.ticket in self.waiting):
            return [{"job_id": part.ids("jobarrayid"), "state": job["state"]}]
        return []


def scontrol(context: Context, line: Line, given: str | None) -> int:
    """
    Print what `scontrol show job [ID]` has as a document; returns the exit status.

    Of an array it holds all records, also where a task is asked for (tried on 24.11).
    """
    named = None
    if given:
        named = context.tickets.named(given)
    element = None
    if given and named is None:
        element = own_element(context, given)
    asked = element or given
    if named is not None:
        asked = str(named.place.job if named.submitted else NO_JOB)
    words = Line(asked_as_json(line).options, ["show", "job", *filter(None, [asked])]).words()
    answer = context.run("scontrol", words, SLURM_BITSTR_LEN="0")
    translation = {}
    if asked and given:
        translation = {asked: given}
    sys.stderr.buffer.write(error_with_tickets(answer.err, context.tickets, translation))
    before, document = document_in(answer.out)
    if document is None:
        write(answer.out)
        return answer.status
    kept = Scontrol(context, document, named, element).jobs(given)
    write(before + printed(document, kept, line.operands))
    return answer.status


class Scontrol(Jobs):
    """
    scontrol's.

    Args:
        named: The call that is asked for; None for another job or for all.
        element: The job that is asked for, where it is that of a merged task by its own id.
    """

    def __init__(self, context: Context, document: JsonJob, named: Named | None, element: str | None) -> None:
        super().__init__(context, document)
        self.named = named
        self.element = element

    def jobs(self, given: str | None) -> list[JsonJob]:
        """What the document shows; all where nothing is asked for."""
        kept = translated(self, filter(self.is_asked, self.printed), set())
        more = self.all_unsubmitted()
        if given:
            more = iter(())
        if self.named is not None and not self.named.submitted:
            calls = with_states([(self.named.ticket, self.named.held)])
            more = unsubmitted(self.context, calls, lambda call, _: [whole(call)])
        return kept + [self.unsubmitted(part, values) for part, values in more]

    def is_asked(self, job: JsonJob) -> bool:
        entry = entry_of(job)
        return self.element is None or self.element in (entry.raw, str(entry.id))

    def others(self, job: JsonJob) -> list[JsonJob]:
        if self.named is None and not self.is_hidden(job):
            return [uncut(job)]
        return []

    def ours(self, job: JsonJob, part: Part) -> list[JsonJob]:
        if self.named is None or self.named.ticket == part.ticket:
            return super().ours(job, part)
        return []


def sacct(accounting: Accounting) -> int:
    """Print sacct's document; returns the exit status."""
    context = accounting.context
    answer = context.run("sacct", asked_as_json(accounting.real_line()).words())
    sys.stderr.buffer.write(answer.err)
    before, document = document_in(answer.out)
    if answer.status != 0 or document is None:
        write(answer.out)
        return answer.status
    context.tickets.refresh()
    form = Sacct(accounting, document)
    seen: set[int] = set()
    kept = translated(form, form.printed, seen)
    kept += [form.unsubmitted(part, values) for part, values in accounting.unknown(seen)]
    write(before + printed(document, kept, ["sacct", *context.words]))
    return 0


class Sacct:
    """The jobs of sacct's document."""

    def __init__(self, accounting: Accounting, document: JsonJob) -> None:
        self.accounting = accounting
        self.context = accounting.context
        self.tickets = accounting.tickets
        self.wanted = accounting.wanted
        self.form = DocumentForm.of(document)
        self.printed: list[JsonJob] = document["jobs"]

    def entry(self, job: JsonJob) -> Entry:
        array = job["array"]
        task = plain(array["task_id"])
        tasks = TaskSet.of_mask(array["task"]) if task is None else TaskSet((task,))
        id_ = JobId(plain(array["job_id"]) or job["job_id"], tasks or None, folded=task is None and bool(tasks))
        return Entry(id_, str(job["job_id"]), job["name"], "")

    def is_named(self, entry: Entry) -> bool:
        """Whether a job is asked for by a real id."""
        return entry.id is not None and self.wanted.names_record(entry.id, entry.raw)

    def parts(self, job: JsonJob) -> list[Part] | None:
        entry = self.entry(job)
        number = 0
        if entry.id:
            number = entry.id.job
        merged = self.tickets.accounted(number, job["cluster"], job.get("submit_line") or "")
        if merged is None:
            return None

        def own_entries() -> list[int]:
            same = (one["array"] for one in self.printed)
            indices = [plain(one["task_id"]) for one in same if plain(one["job_id"]) == number]
            return [index for index in indices if index is not None]

        if entry.id is not None and entry.id.folded:
            return shares_of_pending(merged, entry.tasks, own_entries())
        return shares_of_entry(merged, entry, own_entries)

    def others(self, job: JsonJob) -> list[JsonJob]:
        entry = self.entry(job)
        mine = entry.id is not None and entry.id.job in self.wanted.for_tickets
        asked = not mine or self.is_named(entry)
        hidden = self.tickets.hides((job.get("submit_line") or "").rpartition(" ")[2])
        if asked and not hidden and self.wanted.has_name(job["name"]):
            return [job]
        return []

    def ours(self, job: JsonJob, part: Part) -> list[JsonJob]:
        chosen = part if self.is_named(self.entry(job)) else self.accounting.takes(part)
        if chosen is None or not self.wanted.has_name(self.tickets.name(part.ticket, job["name"])):
            return []
        return [{**job, **accounted_members(self.context, self.form, chosen, job)}]

    def unsubmitted(self, part: Part, values: Unsubmitted) -> JsonJob:
        """A call that Slurm does not know."""
        record = self.form.waiting("accounting", values.members(ACCOUNTING))
        own = {"name": values.call.shown_name, "working_directory": os.fsdecode(values.call.folder)}
        return {**record, **accounted_members(self.context, self.form, part, {**record, **own}), **own}


def accounted_members(context: Context, form: DocumentForm, shown: Part, job: JsonJob) -> JsonJob:
    """The members of a job in sacct's document that tell of the call."""
    call = context.tickets.call(shown.ticket)
    number = int(shown.ids("jobid"))
    found: JsonJob = {
        "job_id": number,
        "array": {**job["array"], **array_members(form, shown)},
        "steps": [{**step, "step": own_step(step["step"], number)} for step in job["steps"]],
    }
    if call is None:
        return found
    found["name"] = context.tickets.name(shown.ticket, job["name"])
    comment = job.get("comment")
    if isinstance(comment, dict) and comment.get("job"):
        told = context.tickets.comment(shown.ticket, comment["job"])
        found["comment"] = {**comment, "job": form.text(told) if told or form.filtered else None}
    found["working_directory"] = os.fsdecode(call.folder)
    if "submit_line" in job:
        found["submit_line"] = as_shown.submit_line(call)
    for column, kind in LOGS.items():
        if column in job:
            found[column] = as_shown.log_pattern(call, kind)
        if f"{column}_expanded" in job:
            found[f"{column}_expanded"] = as_shown.log_name(context, call, kind, shown, joined=False)
    return found


def array_members(form: DocumentForm, shown: Part) -> JsonJob:
    """What sacct's document tells of an array."""
    tasks = shown.tasks or []
    mask = None
    if shown.folded:
        mask = f"0x{sum(1 << task for task in tasks):X}"
    elif form.filtered:
        mask = form.text("")
    return {
        "job_id": 0 if shown.tasks is None else shown.ticket,
        "task_id": form.number(shown.single),
        "task": mask,
    }


def own_step(step: JsonJob, number: int) -> JsonJob:
    """The id of a step: `7.batch`, an object in it, or (22.05) beside it."""
    if "job_id" in step:
        return {**step, "job_id": number}
    if isinstance(step["id"], dict):
        return {**step, "id": {**step["id"], "job_id": number}}
    return {**step, "id": f"{number}.{str(step['id']).partition('.')[2]}"}
