"""--json of squeue, sacct and scontrol, job by job; --yaml prints the same, as JSON is a form of YAML."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from sbatch_shim.companions import as_shown
from sbatch_shim.companions.context import Context, write
from sbatch_shim.companions.formats.columns import LOGS
from sbatch_shim.companions.formats.document_form import DocumentForm, JsonJob, plain
from sbatch_shim.companions.options import Line
from sbatch_shim.companions.parts import Entry, Part, shares, shares_of_entry, whole
from sbatch_shim.companions.this_job import own_element
from sbatch_shim.companions.to_tickets import dependency_with_tickets, error_with_tickets
from sbatch_shim.companions.unsubmitted import Unsubmitted
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_JOB, JobId, TaskSet
from sbatch_shim.state.lazy import json
from sbatch_shim.state.tickets import SessionTickets, Tickets

if TYPE_CHECKING:
    from sbatch_shim.companions.sacct import Accounting
    from sbatch_shim.companions.squeue import Queue


def document_in(out: bytes) -> tuple[bytes, JsonJob | None]:
    """What stands before the document, as the date of --long does, and the document; None where there is none."""
    at = out.find(b"{")
    try:
        text = out[at:].decode(errors="surrogateescape")
        return (out[:at], json.loads(text)) if at >= 0 else (out, None)
    except ValueError:
        return out, None


def settle(tickets: Tickets, jobs: list[JsonJob]) -> None:
    """Wait for the flushes that have these jobs to note them."""
    entries = map(entry_of, jobs)
    tickets.settle((entry.id.job if entry.id else None, entry.command) for entry in entries)


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
    words = ["squeue", *context.words]
    if queue.only_state:
        return 0, before + printed(document, states(queue, document["jobs"]), words)
    form = DocumentForm.of(document)
    settle(context.tickets, document["jobs"])
    kept: list[JsonJob] = []
    seen: set[int] = set()
    for job in document["jobs"]:
        found = shares_of(context.tickets, job, document["jobs"])
        seen.update(one.ticket for one in found)
        asked = not form.filtered or (queue.wanted.has_name(job["name"]) and queue.wanted.names_other(entry_of(job)))
        if not found and asked and not context.tickets.hides(job.get("command") or ""):
            kept.append(uncut(job))
        for one in found:
            chosen = queue.chosen(one, entry_of(job)) if form.filtered else one
            if chosen is not None:
                kept.append({**job, **own_members(context, form, chosen, job)})
    for ticket, pages in context.tickets.unsubmitted() if not form.filtered else queue.waiting:
        call = pages.call(ticket)
        if ticket in seen or call is None or (form.filtered and not queue.passes(call)):
            continue
        chosen = queue.chosen(whole(call), None) if form.filtered else whole(call)
        if chosen is not None:
            kept.append(waiting_job(context, form, call, chosen, pages))
    return 0, before + printed(document, kept, words)


def entry_of(job: JsonJob) -> Entry:
    """What squeue's other forms would tell of the ids of a job."""
    task = plain(job["array_task_id"])
    folded = TaskSet.parse(job["array_task_string"] or "")
    tasks = folded if task is None else TaskSet((task,))
    array = plain(job["array_job_id"]) or job["job_id"]
    id_ = JobId(array, tasks or None, folded=task is None and bool(folded))
    return Entry(id_, str(job["job_id"]), job["name"], job.get("command") or "")


def shares_of(tickets: Tickets, job: JsonJob, others: list[JsonJob]) -> list[Part]:
    """The calls in a job of squeue's or scontrol's document; none where it is not of ours."""
    entry = entry_of(job)
    merged = tickets.job(entry.id.job, entry.command) if entry.id is not None else None
    if merged is None:
        return []
    number = merged.number

    def own_entries() -> list[int]:
        same = [plain(one["array_task_id"]) for one in others if plain(one["array_job_id"]) == number]
        return [index for index in same if index is not None]

    return shares_of_entry(merged, entry, own_entries)


def uncut(job: JsonJob) -> JsonJob:
    """Somebody else's job: only what SLURM_BITSTR_LEN=0 let grow is cut again."""
    tasks = TaskSet.parse(job["array_task_string"] or "")
    return {**job, "array_task_string": tasks.shown()} if tasks else job


def own_members(context: Context, form: DocumentForm, shown: Part, job: JsonJob | None = None) -> JsonJob:
    """
    The members of a job in squeue's or scontrol's document that tell of the call.

    Args:
        job: As the real command wrote it; None where no flush has submitted it.
    """
    call = context.tickets.call(shown.ticket)
    found: JsonJob = {
        "job_id": int(shown.ids("jobid")),
        "array_job_id": form.number(shown.ticket if call is not None and call.is_array else 0),
        "array_task_id": form.number(shown.tasks[0] if shown.tasks and not shown.folded else None),
        "array_task_string": form.text(shown.ids("arraytaskid") if shown.folded else ""),
    }
    step = job.get("step_id") if job else None
    if isinstance(step, dict) and isinstance(step.get("job_id"), dict):  # 26.05
        found["step_id"] = {**step, "job_id": form.number(int(shown.ids("jobid")))}
    if call is None:
        return found
    found["name"] = context.tickets.name(shown.ticket, job["name"]) if job else call.shown_name
    if job and "comment" in job:
        found["comment"] = form.text(context.tickets.comment(shown.ticket, job["comment"] or ""))
    if job is not None and job.get("submit_line"):
        found["submit_line"] = as_shown.submit_line(call)
    real = job["current_working_directory"] if job else ""
    found["current_working_directory"] = (
        context.tickets.folder(shown.ticket, real) if real else os.fsdecode(call.folder)
    )
    script = as_shown.command(context, call)
    found["command"] = form.text("" if script == "(null)" else script)
    if job is not None:
        found["dependency"] = dependency_with_tickets(job["dependency"], context.tickets, call, shown.index)
    for kind in ("output", "error", "input"):
        if job is not None and as_shown.is_updated(context, call, kind, job[f"standard_{kind}"]):
            continue
        expanded = f"std{kind.removesuffix('put') if kind != 'error' else 'err'}_expanded"
        if job is not None and job.get(expanded):
            found[expanded] = as_shown.log_name(context, call, kind, shown)
        if job is not None and expanded in job:
            found[f"standard_{kind}"] = as_shown.raw_pattern(call, kind)
            continue
        given = kind == "input" or kind in call.options
        text = as_shown.log_pattern(call, kind) if given else ""
        found[f"standard_{kind}"] = as_shown.log_name(context, call, kind, shown) if form.filtered else text
    return found


def waiting_job(context: Context, form: DocumentForm, call: Call, shown: Part, pages: SessionTickets) -> JsonJob:
    """A call that no flush has submitted, in squeue's or scontrol's document."""
    values = Unsubmitted(context, call, pages.state(call.ticket) or "")
    known = {
        "account": values.option("account", "") or None,
        "array_max_tasks": call.throttle,
        "cluster": context.cluster,
        "comment": values.option("comment", ""),
        "cpus": int(values.cpus),
        "dependency": values.dependency if call.options.get("dependency") else "",
        "excluded_nodes": values.option("exclude", ""),
        "features": values.option("constraint", ""),
        "group_id": values.group_id,
        "group_name": values.group,
        "hold": "hold" in call.options,
        "job_state": form.state(values.state),
        "licenses": values.option("licenses", ""),
        "mail_user": values.user,
        "nice": number_in(values.option("nice", "")),
        "node_count": number_in(values.nodes),
        "partition": values.partition,
        "qos": values.option("qos", ""),
        "required_nodes": values.option("nodelist", ""),
        "requeue": "no-requeue" not in call.options,
        "resv_name": values.option("reservation", ""),
        "state_reason": values.reason,
        "submit_time": call.time,
        "tasks": number_in(values.option("ntasks", "")),
        "time_limit": values.limit if values.limit >= 0 else None,
        "user_id": values.user_id,
        "user_name": values.user,
        "wckey": values.option("wckey", ""),
    }
    return {**form.waiting("queue", known), **own_members(context, form, shown)}


def number_in(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def states(queue: Queue, jobs: list[JsonJob]) -> list[JsonJob]:
    """
    --only-job-state: an id and a state for each job and each task of an array.

    With one task that waits come all that wait of its array (tried on 24.11).
    """
    queue.tickets.refresh()
    rows: list[tuple[JsonJob, Part | None]] = []
    for job in jobs:
        printed = JobId.printed(job["job_id"])
        merged = queue.tickets.job_here(printed.job) if printed else None  # no command is told
        if printed is None or merged is None:
            rows.append((job, None))
        else:
            rows += [(job, one) for one in shares(merged, printed.tasks or TaskSet(), folded=False)]
    seen = {shown.ticket for _, shown in rows if shown}
    for ticket, pages in queue.waiting:
        call = pages.call(ticket)
        if ticket not in seen and call is not None and queue.passes(call):
            each = [Part(ticket, [task]) for task in call.tasks] if call.is_array else [whole(call)]
            rows += [({"state": ["PENDING"]}, one) for one in each]
    waiting = {shown.ticket for job, shown in rows if shown and "PENDING" in job["state"] and queue.wanted.takes(shown)}
    kept: list[JsonJob] = []
    for job, shown in rows:
        if shown is None:
            kept.append(job)
        elif queue.wanted.takes(shown) or ("PENDING" in job["state"] and shown.ticket in waiting):
            kept.append({"job_id": shown.ids("jobarrayid"), "state": job["state"]})
    return kept


def scontrol(context: Context, line: Line, given: str | None) -> int:
    """
    Print what `scontrol show job [ID]` has as a document; returns the exit status.

    Of an array it holds all records, also where a task is asked for (tried on 24.11).
    """
    named = context.tickets.named(given) if given else None
    element = own_element(context, given) if given and named is None else None
    asked = [element or given] if given else []
    if named is not None:
        asked = [str(named.place.job if named.submitted else NO_JOB)]
    words = Line(asked_as_json(line).options, ["show", "job", *(one for one in asked if one)]).words()
    answer = context.run("scontrol", words, SLURM_BITSTR_LEN="0")
    translated = {str(one): given or "" for one in asked}
    sys.stderr.buffer.write(error_with_tickets(answer.err, context.tickets, translated))
    before, document = document_in(answer.out)
    if document is None:
        write(answer.out)
        return answer.status
    form = DocumentForm.of(document)
    settle(context.tickets, document["jobs"])
    kept: list[JsonJob] = []
    for job in document["jobs"]:
        entry = entry_of(job)
        if element is not None and element not in (entry.raw, str(entry.id)):
            continue
        shown = shares_of(context.tickets, job, document["jobs"])
        mine = [one for one in shown if named is None or one.ticket == named.ticket]
        if shown:
            kept += [{**job, **own_members(context, form, one, job)} for one in mine]
        elif named is None:
            kept.append(uncut(job))
    waiting = context.tickets.unsubmitted() if not given else []
    if named is not None and not named.submitted:
        waiting = [(named.ticket, named.held)]
    for ticket, where in waiting:
        call = where.call(ticket)
        if call is not None:
            kept.append(waiting_job(context, form, call, whole(call), where))
    write(before + printed(document, kept, line.operands))
    return answer.status


def sacct(accounting: Accounting) -> int:
    """Print sacct's document; returns the exit status."""
    context, wanted = accounting.context, accounting.wanted
    answer = context.run("sacct", asked_as_json(accounting.real_line()).words())
    sys.stderr.buffer.write(answer.err)
    before, document = document_in(answer.out)
    if answer.status != 0 or document is None:
        write(answer.out)
        return answer.status
    form = DocumentForm.of(document)
    tickets = context.tickets
    tickets.refresh()
    kept: list[JsonJob] = []
    seen: set[int] = set()
    for job in document["jobs"]:
        array = job["array"]
        task = plain(array["task_id"])
        number = plain(array["job_id"]) or job["job_id"]
        merged = tickets.accounted(number, job["cluster"], job.get("submit_line") or "")
        if merged is None:
            id_ = JobId(number, None if task is None else TaskSet((task,)))
            asked = number not in wanted.for_tickets or wanted.names_record(id_, str(job["job_id"]))
            kept += [job] if asked and wanted.has_name(job["name"]) else []
            continue

        def own_entries(number: int = number) -> list[int]:
            same = (one["array"] for one in document["jobs"])
            indices = [plain(one["task_id"]) for one in same if plain(one["job_id"]) == number]
            return [index for index in indices if index is not None]

        tasks = TaskSet.of_mask(array["task"]) if task is None else TaskSet((task,))
        id_ = JobId(number, tasks or None, folded=task is None and bool(tasks))
        found = shares_of_entry(merged, Entry(id_, str(job["job_id"]), job["name"], ""), own_entries)
        for shown in found:
            seen.add(shown.ticket)
            real = wanted.names_record(id_, str(job["job_id"]))
            chosen = shown if real else accounting.takes(shown)
            if chosen is not None and wanted.has_name(tickets.name(shown.ticket, job["name"])):
                kept.append({**job, **accounted_members(context, form, chosen, job)})
    kept += [waiting_record(form, shown, values) for shown, values in accounting.unknown(seen)]
    write(before + printed(document, kept, ["sacct", *context.words]))
    return 0


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
        "task_id": form.number(tasks[0] if tasks and not shown.folded else None),
        "task": mask,
    }


def own_step(step: JsonJob, number: int) -> JsonJob:
    """The id of a step: `7.batch`, an object in it, or (22.05) beside it."""
    if "job_id" in step:
        return {**step, "job_id": number}
    if isinstance(step["id"], dict):
        return {**step, "id": {**step["id"], "job_id": number}}
    return {**step, "id": f"{number}.{str(step['id']).partition('.')[2]}"}


def waiting_record(form: DocumentForm, shown: Part, values: Unsubmitted) -> JsonJob:
    """A call that Slurm does not know, in sacct's document."""
    known = {
        "account": values.option("account", "") or None,
        "array": {"limits": {"max": {"running": {"tasks": shown.throttle}}}},
        "cluster": values.context.cluster,
        "constraints": values.option("constraint", ""),
        "group": values.group,
        "hold": "hold" in values.call.options,
        "kill_request_user": values.user if values.dropped else None,
        "name": values.call.shown_name,
        "partition": values.partition,
        "qos": values.option("qos", ""),
        "required": {"CPUs": int(values.cpus)},
        "state": {"current": form.state(values.state), "reason": values.reason},
        "time": {"limit": values.limit if values.limit >= 0 else None, "submission": values.call.time},
        "user": values.user,
        "wckey": {"wckey": values.option("wckey", "")},
        "working_directory": os.fsdecode(values.call.folder),
    }
    record = form.waiting("accounting", known)
    return {**record, **accounted_members(values.context, form, shown, record)}
