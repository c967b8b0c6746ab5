"""squeue --json and sacct --json, job by job; --yaml prints the same, as JSON is a form of YAML."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from sbatch_shim.companions.companion import Context, write
from sbatch_shim.companions.options import Line
from sbatch_shim.companions.shown import Shown, Wanted, parse_tasks, shares, shares_of_rest, whole
from sbatch_shim.companions.waiting import Waiting


def printed(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"


def squeue(context: Context) -> tuple[int, bytes]:
    """squeue's exit status and document; squeue 22.05 applies no filter to it."""
    answer = context.run("squeue", ["--json"], SLURM_BITSTR_LEN="0")
    sys.stderr.buffer.write(answer.err)
    if answer.status != 0:
        return answer.status, answer.out
    document = json.loads(answer.out)
    book = context.book
    waiting = book.unsubmitted()
    book.settle((job["array_job_id"] or job["job_id"], job.get("command") or "") for job in document["jobs"])
    kept: list[dict[str, Any]] = []
    seen: set[int] = set()
    for job in document["jobs"]:
        found = shares_of(context, job, document["jobs"])
        kept += [{**job, **own_members(context, one)} for one in found] or [job]
        seen.update(one.ticket for one in found)
    for ticket, pages in waiting:
        call = pages.call(ticket)
        if ticket in seen or call is None:
            continue
        values = Waiting(context, call, pages.state(ticket) or "")
        kept.append(
            {
                **own_members(context, whole(call)),
                "job_state": "PENDING",
                "state_reason": values.reason,
                "partition": values.partition,
                "user_name": values.user,
                "user_id": values.user_id,
                "submit_time": call.time,
            }
        )
    return 0, printed({**document, "jobs": kept})


def shares_of(context: Context, job: dict[str, Any], others: list[dict[str, Any]]) -> list[Shown]:
    """The calls in a job of squeue's document; none where it is not of ours."""
    merged = context.book.jobs.get(job["array_job_id"] or job["job_id"])
    if merged is None:
        return []
    if job["array_task_id"] is not None:
        return shares(merged, [job["array_task_id"]], False, 0, str(job["job_id"]))
    indices, throttle = parse_tasks(job["array_task_string"])
    if merged.is_array and not indices:
        same = [one["array_task_id"] for one in others if one["array_job_id"] == merged.number]
        return shares_of_rest(merged, (index for index in same if index is not None))
    return shares(merged, indices, bool(indices), throttle, str(job["job_id"]))


def own_members(context: Context, shown: Shown) -> dict[str, Any]:
    """The members of a job in squeue's document that tell of the call."""
    call = context.book.call(shown.ticket)
    own: dict[str, Any] = {
        "job_id": int(shown.ids("jobid")),
        "array_job_id": shown.ticket if call is not None and call.is_array else 0,
        "array_task_id": shown.tasks[0] if shown.tasks and not shown.folded else None,
        "array_task_string": shown.ids("arraytaskid") if shown.folded else "",
    }
    if call is not None:
        own["name"] = call.shown_name
        own["current_working_directory"] = os.fsdecode(call.folder)
        own["command"] = "" if call.command == "(null)" else call.command
    return own


def sacct(context: Context, line: Line, wanted: Wanted) -> int:
    """
    Print sacct's document; returns the exit status.

    Args:
        line: For the real sacct.
    """
    answer = context.run("sacct", [*line.without("yaml", "json").words(), "--json"])
    sys.stderr.buffer.write(answer.err)
    if answer.status != 0:
        write(answer.out)
        return answer.status
    document = json.loads(answer.out)
    book = context.book
    book.refresh()
    kept = []
    for job in document["jobs"]:
        array = job["array"]
        number = array["job_id"] or job["job_id"]
        merged = book.jobs.get(number)
        if merged is None:
            kept += [job] if wanted.has_name(job["name"]) else []
            continue
        one_task = array["task_id"] is not None
        indices = [array["task_id"]] if one_task else parse_tasks(array["task"] or "")[0]
        for shown in shares(merged, indices, not one_task, 0, str(job["job_id"])):
            call = book.call(shown.ticket)
            chosen = wanted.takes(shown)
            if chosen is None or not wanted.has_name(call.shown_name if call else job["name"]):
                continue
            number = int(chosen.ids("jobid"))
            steps = [{**step, "step": {**step["step"], "job_id": number}} for step in job["steps"]]
            own = {
                "job_id": number,
                "array": {
                    **array,
                    "job_id": 0 if chosen.tasks is None else chosen.ticket,
                    "task_id": chosen.tasks[0] if chosen.tasks and not chosen.folded else None,
                    "task": chosen.ids("arraytaskid") if chosen.folded else None,
                },
                "steps": steps,
            }
            if call is not None:
                own["name"] = call.shown_name
                own["working_directory"] = os.fsdecode(call.folder)
            kept.append({**job, **own})
    write(printed({**document, "jobs": kept}))
    return 0
