"""What Slurm would show of a call that no flush has submitted."""

from __future__ import annotations

import os
import time
from _operator import attrgetter

from sbatch_shim.companions.context import Context
from sbatch_shim.companions.to_tickets import waiting_dependency
from sbatch_shim.spool import ticket_numbers
from sbatch_shim.state.calls import Call
from sbatch_shim.state.dropped import without_met
from sbatch_shim.state.tickets import DROPPED, FAILED, IN_FLIGHT, REFUSED
from sbatch_shim.values import minutes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Of what is over without having been submitted; anything else waits.
ENDED_STATES = {DROPPED: "CANCELLED", FAILED: "FAILED"}

# Of what has not been tried, it is SarrayQueued.
REASONS = {REFUSED: "SarrayRefused", IN_FLIGHT: "None", DROPPED: "None"}

# The names of a value stand in these columns: squeue's --Format, sacct's --format, the documents of squeue and
# scontrol, sacct's document (with its way down, `state.current`), and the records of scontrol.
SQUEUE, SACCT, QUEUE, ACCOUNTING, RECORD = range(1, 6)
# What such a call shows, in all forms of output: an attribute of Unsubmitted, an option of sbatch as the caller wrote
# it (`--ntasks=1`, with what holds where it was not given) or the same for all (`=PD`); and the value's names, none
# where a form does not show it. What a name that is not in here shows is a matter of the form.
VALUES = (
    ("--account", "account", "account", "account", "account", "Account"),
    ("--comment", "comment", "", "comment", "", ""),
    ("--constraint", "feature", "", "features", "constraints", ""),
    ("--cpus-per-task=1", "mincpus", "", "", "", ""),
    ("--exclude", "", "", "excluded_nodes", "", ""),
    ("--licenses", "", "", "licenses", "", ""),
    ("--nice=0", "", "", "", "", "Nice"),
    ("nice", "", "", "nice", "", ""),
    ("--nodelist", "", "", "required_nodes", "", ""),
    ("--ntasks=1", "", "", "tasks", "", "NumTasks"),
    ("--qos", "qos", "qos", "qos", "qos", "QOS"),
    ("--reservation", "reservation", "", "resv_name", "", ""),
    ("--wckey", "", "", "wckey", "wckey.wckey", ""),
    ("memory", "minmemory", "", "", "", ""),
    ("throttle", "", "", "array_max_tasks", "array.limits.max.running.tasks", ""),
    ("held", "", "", "hold", "hold", ""),
    ("requeued", "", "", "requeue", "", ""),
    ("cluster", "", "cluster", "cluster", "cluster", ""),
    ("partition", "partition", "partition", "partition", "partition", "Partition"),
    ("dependency", "dependency", "", "dependency", "", "Dependency"),
    ("user", "username", "user", "mail_user user_name", "user", ""),
    ("user_id", "userid", "uid", "user_id", "", ""),
    ("named_user", "", "", "", "", "UserId"),
    ("group", "groupname", "group", "group_name", "group", ""),
    ("group_id", "groupid", "gid", "group_id", "", ""),
    ("named_group", "", "", "", "", "GroupId"),
    ("killer", "", "", "", "kill_request_user", ""),
    ("state", "state", "", "job_state", "state.current", "JobState"),
    ("accounted_state", "", "state", "", "", ""),
    ("reason", "reason", "reason", "state_reason", "state.reason", "Reason"),
    ("bracketed_reason", "reasonlist", "", "", "", ""),
    ("exit_code", "", "exitcode", "", "", "ExitCode"),
    ("nodes", "numnodes", "nnodes reqnodes", "node_count", "", "NumNodes"),
    ("cpus", "numcpus", "reqcpus", "cpus", "required.CPUs", "NumCPUs"),
    ("allocated_cpus", "", "alloccpus ncpus", "", "", ""),
    ("limit", "", "", "time_limit", "time.limit", ""),
    ("short_time_limit", "timeleft timelimit", "", "", "", ""),
    ("time_limit", "", "", "", "", "TimeLimit"),
    ("accounted_time_limit", "", "timelimit", "", "", ""),
    ("accounted_raw_time_limit", "", "timelimitraw", "", "", ""),
    ("least_limit", "", "", "", "", "TimeMin"),
    ("time", "", "", "submit_time", "time.submission", ""),
    ("submitted", "submittime", "submit", "", "", "SubmitTime"),
    ("start", "", "start", "", "", ""),
    # What is the same for all of them.
    ("=PD", "statecompact", "", "", "", ""),
    ("=0:00", "timeused", "", "", "", ""),
    ("=00:00:00", "", "cputime elapsed suspended systemcpu totalcpu usercpu", "", "", "RunTime"),
    ("=0", "nice prioritylong", "elapsedraw allocnodes", "", "", "Priority Restarts Reboot"),
    ("=0", "", "associd consumedenergy consumedenergyraw cputimeraw", "", "", ""),
    ("=1", "", "", "", "", "Requeue BatchFlag"),
    ("=0.00000000000000", "priority", "", "", "", ""),
    ("=0:0", "", "derivedexitcode", "", "", ""),
    ("=", "nodelist", "", "", "", ""),
    ("=n/a", "batchhost", "", "", "", ""),
    ("=None assigned", "", "nodelist", "", "", ""),
    ("=Unknown", "", "eligible end", "", "", "EligibleTime StartTime EndTime"),
    ("=N/A", "", "", "", "", "MCS_label Deadline"),
)


def by_name(form: int) -> dict[str, str]:
    """By the names of a form, the values that it shows."""
    return {name: row[0] for row in VALUES for name in row[form].split()}


def text_of(value: str | int | None) -> str:
    """As squeue and scontrol write a value."""
    if value is None:
        return "(null)"
    return str(value)


def reader(named: str) -> Callable[[Unsubmitted], str | int | None]:
    """What tells one of VALUES of a call; None where the call has none."""
    if named[:1] == "=":
        return lambda _: named[1:]
    if named[:2] == "--":
        name, _, missing = named[2:].partition("=")
        return lambda values: values.option(name) or missing or None
    return attrgetter(named)


class Unsubmitted:
    """
    The values of one call, in Slurm's own forms.

    Args:
        state: One of book's words.
    """

    def __init__(self, context: Context, call: Call, state: str) -> None:
        self.context = context
        self.call = call
        self.dropped = state == DROPPED
        self.failed = state == FAILED
        self.over = self.dropped or self.failed
        self.told = state
        self.state = ENDED_STATES.get(state, "PENDING")

    @property
    def reason(self) -> str:
        if self.failed:
            # Reasons are one word in Slurm's lists.
            pages = self.context.tickets.find(self.call.ticket)
            if pages is None:
                return "None"
            return pages.refusal(self.call.ticket).replace(" ", "_")
        if not self.dropped and self.never_starts:
            return "DependencyNeverSatisfied"
        return REASONS.get(self.told, "SarrayQueued")

    @property
    def never_starts(self) -> bool:
        """Whether it waits for the success of a call that was cancelled."""
        given = self.call.options.get("dependency")
        if not given:
            return False
        unmet = without_met(given, self.is_dropped) or b""
        return any(self.is_dropped(ticket) for ticket in ticket_numbers(unmet))

    def is_dropped(self, ticket: int) -> bool:
        pages = self.context.tickets.find(ticket)
        return pages is not None and pages.state(ticket) == DROPPED

    @property
    def user_id(self) -> int:
        return os.getuid()

    @property
    def group_id(self) -> int:
        if self.call.group is None:
            return os.getgid()
        return self.call.group

    def option(self, name: str) -> str:
        """An option as the caller wrote it; empty where it was not given."""
        given = self.call.options.get(name)
        return os.fsdecode(given) if given else ""

    def value(self, named: str) -> str | int | None:
        """One of VALUES; None where the call has none."""
        return reader(named)(self)

    def members(self, form: int) -> dict[str, Any]:
        """The values of a document, those with a way down in objects of their own."""
        found: dict[str, Any] = {}
        for name, value in by_name(form).items():
            *way, last = name.split(".")
            there = found
            for step in way:
                there = there.setdefault(step, {})
            there[last] = self.value(value)
        return found

    @property
    def user(self) -> str:
        return self.context.user

    @property
    def group(self) -> str:
        import grp

        try:
            return grp.getgrgid(self.group_id).gr_name
        except KeyError:
            return str(self.group_id)

    @property
    def named_user(self) -> str:
        return f"{self.user}({self.user_id})"

    @property
    def named_group(self) -> str:
        return f"{self.group}({self.group_id})"

    @property
    def bracketed_reason(self) -> str:
        return f"({self.reason})"

    @property
    def cluster(self) -> str:
        return self.context.cluster

    @property
    def throttle(self) -> int:
        return self.call.throttle

    @property
    def time(self) -> int:
        return self.call.time

    @property
    def held(self) -> bool:
        return "hold" in self.call.options

    @property
    def requeued(self) -> bool:
        return "no-requeue" not in self.call.options

    @property
    def killer(self) -> str | None:
        """Who cancelled it."""
        if not self.dropped:
            return None
        return self.user

    @property
    def accounted_state(self) -> str:
        """As sacct shows it."""
        if self.dropped:
            return f"CANCELLED by {self.user_id}"
        return self.state

    @property
    def exit_code(self) -> str:
        if self.failed:
            return "1:0"
        return "0:0"

    @property
    def start(self) -> str:
        """As sacct shows it."""
        if self.over:
            return "None"
        return "Unknown"

    @property
    def dependency(self) -> str | None:
        return waiting_dependency(self.call, self.context.tickets) or None

    @property
    def partition(self) -> str:
        return self.option("partition") or self.context.default_partition

    @property
    def nodes(self) -> str:
        return (self.option("nodes") or "1").partition("-")[0]

    @property
    def cpus(self) -> str:
        tasks, each = self.option("ntasks") or "1", self.option("cpus-per-task") or "1"
        if tasks.isdigit() and each.isdigit():
            return str(int(tasks) * int(each))
        return "1"

    @property
    def allocated_cpus(self) -> str:
        from sbatch_shim.companions import as_shown

        if self.context.version >= as_shown.CPUS_LATER:
            return "0"
        return self.cpus

    @property
    def nice(self) -> int | None:
        given = self.option("nice")
        if not given.isdigit():
            return None
        return int(given)

    @property
    def memory(self) -> str:
        return self.option("mem") or self.option("mem-per-cpu") or "0"

    @property
    def submitted(self) -> str:
        form = self.context.variable("SLURM_TIME_FORMAT") or ""
        return time.strftime(form if "%" in form else "%Y-%m-%dT%H:%M:%S", time.localtime(self.call.time))

    @property
    def limit(self) -> int | None:
        """Minutes; None for no limit."""
        given = self.call.options.get("time")
        if given is None:
            return None
        limit = minutes(given)
        if limit < 0:
            return None
        return limit

    @property
    def time_limit(self) -> str:
        """As scontrol and sacct show it: `[days-]hh:mm:ss`."""
        if self.limit is None:
            return "UNLIMITED"
        return long_form(self.limit)

    @property
    def least_limit(self) -> str:
        """`--time-min` as scontrol shows it."""
        given = self.call.options.get("time-min")
        if given is None:
            return "N/A"
        return long_form(minutes(given))

    @property
    def raw_time_limit(self) -> str:
        """As sacct's TimelimitRaw: minutes."""
        if self.limit is None:
            return "UNLIMITED"
        return str(self.limit)

    @property
    def accounted_time_limit(self) -> str:
        """As sacct shows it, which has it from the partition where the caller gave none."""
        if "time" not in self.call.options:
            return "Partition_Limit"
        return self.time_limit

    @property
    def accounted_raw_time_limit(self) -> str:
        if "time" not in self.call.options:
            return "Partition_Limit"
        return self.raw_time_limit

    @property
    def short_time_limit(self) -> str:
        """As squeue shows it: without hours and minutes that are zero in front."""
        text = self.time_limit
        if self.limit is None or self.limit >= 1440:
            return text
        return text.removeprefix("00:").removeprefix("0")


def long_form(limit: int) -> str:
    """Minutes as `[days-]hh:mm:ss`."""
    days, rest = divmod(limit, 1440)
    hours, left = divmod(rest, 60)
    if days:
        return f"{days}-{hours:02}:{left:02}:00"
    return f"{hours:02}:{left:02}:00"
