"""
The table of what a call that no flush has submitted shows, in all forms of output.

What a name that is not in it shows is a matter of the form: squeue says `N/A`, sacct nothing, a document what its blank
has (document_form.py).
"""

from __future__ import annotations

from sbatch_shim.companions import as_shown
from sbatch_shim.companions.unsubmitted import Unsubmitted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Value = Callable[[Unsubmitted], Any]


def option(name: str, missing: str | None = None) -> Value:
    """An option of sbatch as the caller wrote it."""
    return lambda values: values.option(name) or missing


def limit_in(form: str) -> Value:
    """The accounting's time limit, which it has from the partition where the caller gave none."""
    return lambda values: getattr(values, form) if "time" in values.call.options else "Partition_Limit"


def always(text: str) -> Value:
    return lambda _: text


# The names of a value stand in these columns: squeue's --Format, sacct's --format, the documents of squeue and
# scontrol, sacct's document (with its way down, `state.current`), and the records of scontrol.
SQUEUE, SACCT, QUEUE, ACCOUNTING, RECORD = range(1, 6)
# How a value is found, None where the call has none; and its names, none where a form does not show it.
VALUES: tuple[tuple[Value, str, str, str, str, str], ...] = (
    (option("account"), "account", "account", "account", "account", "Account"),
    (option("comment"), "comment", "", "comment", "", ""),
    (option("constraint"), "feature", "", "features", "constraints", ""),
    (option("cpus-per-task", "1"), "mincpus", "", "", "", ""),
    (option("exclude"), "", "", "excluded_nodes", "", ""),
    (option("licenses"), "", "", "licenses", "", ""),
    (option("nice", "0"), "", "", "", "", "Nice"),
    (lambda values: values.nice, "", "", "nice", "", ""),
    (option("nodelist"), "", "", "required_nodes", "", ""),
    (option("ntasks", "1"), "", "", "tasks", "", "NumTasks"),
    (option("qos"), "qos", "qos", "qos", "qos", "QOS"),
    (option("reservation"), "reservation", "", "resv_name", "", ""),
    (option("wckey"), "", "", "wckey", "wckey.wckey", ""),
    (lambda values: values.memory, "minmemory", "", "", "", ""),
    (lambda values: values.call.throttle, "", "", "array_max_tasks", "array.limits.max.running.tasks", ""),
    (lambda values: "hold" in values.call.options, "", "", "hold", "hold", ""),
    (lambda values: "no-requeue" not in values.call.options, "", "", "requeue", "", ""),
    (lambda values: values.context.cluster, "", "cluster", "cluster", "cluster", ""),
    (lambda values: values.partition, "partition", "partition", "partition", "partition", "Partition"),
    (lambda values: values.dependency or None, "dependency", "", "dependency", "", "Dependency"),
    (lambda values: values.user, "username", "user", "mail_user user_name", "user", ""),
    (lambda values: values.user_id, "userid", "uid", "user_id", "", ""),
    (lambda values: f"{values.user}({values.user_id})", "", "", "", "", "UserId"),
    (lambda values: values.group, "groupname", "group", "group_name", "group", ""),
    (lambda values: values.group_id, "groupid", "gid", "group_id", "", ""),
    (lambda values: f"{values.group}({values.group_id})", "", "", "", "", "GroupId"),
    (lambda values: values.killer, "", "", "", "kill_request_user", ""),
    (lambda values: values.state, "state", "", "job_state", "state.current", "JobState"),
    (lambda values: values.accounted_state, "", "state", "", "", ""),
    (lambda values: values.reason, "reason", "reason", "state_reason", "state.reason", "Reason"),
    (lambda values: f"({values.reason})", "reasonlist", "", "", "", ""),
    (lambda values: values.exit_code, "", "exitcode", "", "", "ExitCode"),
    (lambda values: values.nodes, "numnodes", "nnodes reqnodes", "node_count", "", "NumNodes"),
    (lambda values: values.cpus, "numcpus", "reqcpus", "cpus", "required.CPUs", "NumCPUs"),
    (as_shown.allocated, "", "alloccpus ncpus", "", "", ""),
    (lambda values: values.limit, "", "", "time_limit", "time.limit", ""),
    (lambda values: values.short_time_limit, "timeleft timelimit", "", "", "", ""),
    (lambda values: values.time_limit, "", "", "", "", "TimeLimit"),
    (limit_in("time_limit"), "", "timelimit", "", "", ""),
    (limit_in("raw_time_limit"), "", "timelimitraw", "", "", ""),
    (lambda values: values.least_limit, "", "", "", "", "TimeMin"),
    (lambda values: values.call.time, "", "", "submit_time", "time.submission", ""),
    (lambda values: values.submitted, "submittime", "submit", "", "", "SubmitTime"),
    (lambda values: values.start, "", "start", "", "", ""),
    # What is the same for all of them.
    (always("PD"), "statecompact", "", "", "", ""),
    (always("0:00"), "timeused", "", "", "", ""),
    (always("00:00:00"), "", "cputime elapsed suspended systemcpu totalcpu usercpu", "", "", "RunTime"),
    (always("0"), "nice prioritylong", "elapsedraw allocnodes", "", "", "Priority Restarts Reboot"),
    (always("0"), "", "associd consumedenergy consumedenergyraw cputimeraw", "", "", ""),
    (always("1"), "", "", "", "", "Requeue BatchFlag"),
    (always("0.00000000000000"), "priority", "", "", "", ""),
    (always("0:0"), "", "derivedexitcode", "", "", ""),
    (always(""), "nodelist", "", "", "", ""),
    (always("n/a"), "batchhost", "", "", "", ""),
    (always("None assigned"), "", "nodelist", "", "", ""),
    (always("Unknown"), "", "eligible end", "", "", "EligibleTime StartTime EndTime"),
    (always("N/A"), "", "", "", "", "MCS_label Deadline"),
)


def by_name(form: int) -> dict[str, Value]:
    """The values that a form shows."""
    return {name: row[0] for row in VALUES for name in str(row[form]).split()}


def members(form: int, values: Unsubmitted) -> dict[str, Any]:
    """The values of a document, those with a way down in objects of their own."""
    found: dict[str, Any] = {}
    for name, value in by_name(form).items():
        *way, last = name.split(".")
        there = found
        for step in way:
            there = there.setdefault(step, {})
        there[last] = value(values)
    return found
