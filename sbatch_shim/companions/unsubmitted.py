"""What Slurm would show of a call that no flush has submitted."""

from __future__ import annotations

import grp
import os
import time

from sbatch_shim.companions.context import Context
from sbatch_shim.companions.to_tickets import waiting_dependency
from sbatch_shim.spool import ticket_numbers
from sbatch_shim.state.calls import Call
from sbatch_shim.state.dropped import without_met
from sbatch_shim.state.tickets import DROPPED, FAILED, IN_FLIGHT, REFUSED
from sbatch_shim.values import minutes

# Of what is over without having been submitted; anything else waits.
ENDED_STATES = {DROPPED: "CANCELLED", FAILED: "FAILED"}


class Unsubmitted:
    """
    The values of one call, in Slurm's own forms.

    Args:
        state: One of book's words.
    """

    def __init__(self, context: Context, call: Call, state: str) -> None:
        self.context = context
        self.call = call
        self.user_id = os.getuid()
        self.group_id = os.getgid() if call.group is None else call.group
        self.dropped = state == DROPPED
        self.failed = state == FAILED
        self.over = self.dropped or self.failed
        self.state = ENDED_STATES.get(state, "PENDING")
        self.reason = {REFUSED: "SarrayRefused", IN_FLIGHT: "None", DROPPED: "None"}.get(state, "SarrayQueued")

        def is_dropped(ticket: int) -> bool:
            pages = context.tickets.find(ticket)
            return pages is not None and pages.state(ticket) == DROPPED

        given = call.options.get("dependency")
        unmet = (without_met(given, is_dropped) if given else None) or b""
        if self.failed:
            # Reasons are one word in Slurm's lists.
            pages = context.tickets.find(call.ticket)
            self.reason = pages.refusal(call.ticket).replace(" ", "_") if pages is not None else "None"
        elif not self.dropped and any(is_dropped(ticket) for ticket in ticket_numbers(unmet)):
            self.reason = "DependencyNeverSatisfied"

    def option(self, name: str) -> str:
        """An option as the caller wrote it; empty where it was not given."""
        return os.fsdecode(self.call.options.get(name) or b"")

    @property
    def user(self) -> str:
        return self.context.user

    @property
    def group(self) -> str:
        try:
            return grp.getgrgid(self.group_id).gr_name
        except KeyError:
            return str(self.group_id)

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
    def dependency(self) -> str:
        """Empty for none."""
        return waiting_dependency(self.call, self.context.tickets)

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
        limit = -1 if given is None else minutes(given)
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
