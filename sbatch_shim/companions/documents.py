"""squeue --json and sacct --json, job by job; --yaml prints the same, as JSON is a form of YAML."""

from __future__ import annotations

import grp
import json
import os
import sys
from typing import Any

from sbatch_shim.companions import clusters
from sbatch_shim.companions.companion import Context, write
from sbatch_shim.companions.shown import Shown, parse_tasks, shares, shares_of_rest, whole
from sbatch_shim.companions.waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sbatch_shim.companions.sacct import Accounting


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
        kept += [{**job, **own_members(context, one, job["name"])} for one in found] or [job]
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


def own_members(context: Context, shown: Shown, real: str = "") -> dict[str, Any]:
    """The members of a job in squeue's document that tell of the call."""
    call = context.book.call(shown.ticket)
    own: dict[str, Any] = {
        "job_id": int(shown.ids("jobid")),
        "array_job_id": shown.ticket if call is not None and call.is_array else 0,
        "array_task_id": shown.tasks[0] if shown.tasks and not shown.folded else None,
        "array_task_string": shown.ids("arraytaskid") if shown.folded else "",
    }
    if call is not None:
        own["name"] = context.book.name(shown.ticket, real) if real else call.shown_name
        own["current_working_directory"] = os.fsdecode(call.folder)
        own["command"] = "" if call.command == "(null)" else call.command
    return own


def sacct(accounting: Accounting) -> int:
    """Print sacct's document; returns the exit status."""
    context, wanted = accounting.context, accounting.wanted
    answer = context.run("sacct", [*accounting.real_line().without("yaml", "json").words(), "--json"])
    sys.stderr.buffer.write(answer.err)
    if answer.status != 0:
        write(answer.out)
        return answer.status
    document = json.loads(answer.out)
    book = context.book
    book.refresh()
    kept = []
    seen: set[int] = set()
    for job in document["jobs"]:
        array = job["array"]
        merged = book.jobs.get(array["job_id"] or job["job_id"])
        if merged is None or accounting.home not in ("", job["cluster"]):
            kept += [job] if wanted.has_name(job["name"]) else []
            continue
        one_task = array["task_id"] is not None
        indices = [array["task_id"]] if one_task else indices_of(array["task"] or "")
        for shown in shares(merged, indices, not one_task, 0, str(job["job_id"])):
            seen.add(shown.ticket)
            chosen = accounting.takes(shown)
            name = book.name(shown.ticket, job["name"])
            if chosen is None or not wanted.has_name(name):
                continue
            number = int(chosen.ids("jobid"))
            steps = [{**step, "step": {**step["step"], "job_id": number}} for step in job["steps"]]
            own = {**job, "name": name, "job_id": number, "array": array_of(chosen, array), "steps": steps}
            call = book.call(shown.ticket)
            if call is not None:
                own["working_directory"] = os.fsdecode(call.folder)
            kept.append(own)
    kept += [waiting_job(shown, values) for shown, values in accounting.unknown(seen)]
    write(printed({**document, "jobs": kept}))
    return 0


def indices_of(text: str) -> list[int]:
    """The tasks of an array that waits, of which sacct's document tells the bits."""
    if not text.startswith("0x"):
        return parse_tasks(text)[0]
    bits = int(text, 16)
    return [index for index in range(bits.bit_length()) if bits >> index & 1]


def array_of(shown: Shown, array: dict[str, Any]) -> dict[str, Any]:
    """The array that a job of sacct's document belongs to."""
    return {
        **array,
        "job_id": 0 if shown.tasks is None else shown.ticket,
        "task_id": shown.tasks[0] if shown.tasks and not shown.folded else None,
        "task": f"0x{sum(1 << task for task in shown.tasks):X}" if shown.tasks and shown.folded else None,
    }


def waiting_job(shown: Shown, values: Waiting) -> dict[str, Any]:
    """A call that Slurm does not know, in sacct's document; what is not known yet is empty, as in one that waits."""
    none = {"seconds": 0, "microseconds": 0}
    success = {"status": "SUCCESS", "return_code": 0}
    return {
        "account": values.option("account", "") or None,
        "comment": {"administrator": None, "job": None, "system": None},
        "allocation_nodes": 0,
        "array": array_of(shown, {"limits": {"max": {"running": {"tasks": shown.throttle}}}}),
        "association": None,
        "cluster": clusters.home(values.context),
        "constraints": values.option("constraint", ""),
        "container": None,
        "derived_exit_code": success,
        "time": {
            "elapsed": 0,
            "eligible": 0,
            "end": 0,
            "start": 0,
            "submission": values.call.time,
            "suspended": 0,
            "system": none,
            "limit": None if values.limit < 0 else values.limit,
            "total": none,
            "user": none,
        },
        "exit_code": success,
        "flags": [],
        "group": grp.getgrgid(os.getgid()).gr_name,
        "het": {"job_id": 0, "job_offset": None},
        "job_id": shown.ticket,
        "name": values.call.shown_name,
        "mcs": {"label": ""},
        "nodes": "None assigned",
        "partition": values.partition,
        "priority": 0,
        "qos": values.option("qos", ""),
        "required": {"CPUs": int(values.cpus), "memory": 0},
        "kill_request_user": values.user if values.dropped else None,
        "reservation": {"id": 0, "name": 0},
        "state": {"current": values.state, "reason": values.reason},
        "steps": [],
        "tres": {"allocated": [], "requested": []},
        "user": values.user,
        "wckey": {"wckey": values.option("wckey", ""), "flags": []},
        "working_directory": os.fsdecode(values.call.folder),
    }
