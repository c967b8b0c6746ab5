"""
What Slurm shows of a call's own script and log files, and what else depends on its version.

This is the one place that knows which version shows what (tried on 22.05, 24.11 and 26.05, the first versions from the
change logs); whatever else differs is taken from what the real command says.
"""

from __future__ import annotations

import os

from sbatch_shim.companions.context import Context
from sbatch_shim.companions.formats.columns import LOGS
from sbatch_shim.companions.parts import Part
from sbatch_shim.merge import logs
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_TASK
from sbatch_shim.state.lazy import re

# Scripts are shown without their arguments.
SCRIPT_ALONE = (23, 2)
# The default log has a name as soon as the job is submitted, and is shown as a pattern like any other.
DEFAULT_IS_PATTERN = (24, 5)
# The names of logs know widths and %%.
PADDING = (23, 2)
# Records of scontrol have no line for power management.
NO_POWER = (24, 11)
# Records of scontrol leave StdErr empty where stderr goes to stdout.
STDERR_AS_GIVEN = (25, 5)
# `scontrol show step T_3.1` looks at the step, as for a plain job's id.
STEP_OF_TASK = (24, 11)
# A task that is split off its array is accounted for when something of it changes, or it starts.
LATE_RECORDS = (24, 11)
# What waits has no CPUs yet.
CPUS_LATER = (24, 11)
# No blank stands behind a comment in scontrol's records.
BARE_COMMENT = (25, 5)
# A user whose number is that of nobody cannot be named.
NOBODY_UNKNOWN = (25, 5)
# squeue wants nothing behind an id in a list but a task, a component or a step.
STRICT_IDS = (25, 5)


def is_our_link(path: str) -> bool:
    """Whether a log's name is that of a link in the folder of an array or a pool, through which merged tasks log."""
    *home, kind, _ = ["", "", *path.split("/")]
    if kind not in LOGS.values():
        return False
    return home[-6::2] == ["sessions", "flushes", "arrays"] or home[-4::2] == ["sessions", "pools"]


def joins_stderr(context: Context, call: Call) -> bool:
    """Whether records of scontrol show stdout's log as that of stderr, for a call that names none for stderr."""
    return "error" not in call.options and context.version < STDERR_AS_GIVEN


def command(context: Context, call: Call) -> str:
    """The script, with its arguments where this Slurm shows them."""
    if not call.arguments or call.shown_script == "(null)" or context.version >= SCRIPT_ALONE:
        return call.shown_script
    return " ".join([call.shown_script, *(os.fsdecode(word) for word in call.arguments)])


def log_pattern(call: Call, kind: str) -> str:
    """A log's name with its patterns; empty for stderr joined to stdout."""
    pattern = logs.pattern_of(call, kind)
    if pattern is None:
        if kind == "input":
            return "/dev/null"
        return ""
    return os.fsdecode(b"".join(logs.placed(call, kind, pattern)))


def raw_pattern(call: Call, kind: str) -> str:
    """A log's name as it was given, with the folder that sbatch puts in front; the default has none (26.05)."""
    if kind == "output" and kind not in call.options:
        return os.fsdecode(logs.pattern_of(call, kind) or b"")
    return log_pattern(call, kind)


def log_name(context: Context, call: Call, kind: str, shown: Part, *, joined: bool = True) -> str:
    """
    A log's name for what is shown of a call: a task that waits with others has no id yet.

    It is the client that expands a pattern here, and it knows fewer letters than the node does.

    Args:
        joined: Where stderr goes to stdout, stdout's name is shown for it.
    """
    if kind == "error" and kind not in call.options:
        if not joined:
            return ""
        kind = "output"
    pattern = logs.pattern_of(call, kind)
    if pattern is None:
        return "/dev/null"
    before, pattern = logs.placed(call, kind, pattern)
    task = shown.tasks[0] if shown.tasks and not shown.folded else NO_TASK
    values = {
        b"A": b"%d" % call.ticket,
        b"a": b"%d" % task,
        b"j": shown.ids("jobid").encode(),
        b"u": logs.user(),
        b"x": os.fsencode(call.shown_name),
    }

    # Most patterns are the same to all versions.
    padded = any(one[:1].isdigit() or not one for one in pattern.split(b"%")[1:]) and context.version >= PADDING
    return os.fsdecode(before + expanded(pattern, values, padded=padded))


def expanded(pattern: bytes, values: dict[bytes, bytes], *, padded: bool) -> bytes:
    """
    A log's name as the client expands it.

    Args:
        values: By letter; other letters stay as they are.
        padded: It knows widths (`%4a`) and `%%`.
    """
    out, at = [], 0
    while (start := pattern.find(b"%", at)) >= 0:
        out.append(pattern[at:start])
        at = start + 1
        while padded and pattern[at : at + 1].isdigit():
            at += 1
        width, letter = pattern[start + 1 : at], pattern[at : at + 1]
        at += 1
        if letter in values:
            out.append(values[letter].rjust(min(int(width or 0), 10), b"0"))
            continue
        out.append(b"%")
        if not padded or letter != b"%" or width:
            at = start + 1
    return b"".join([*out, pattern[at:]])


def is_updated(context: Context, call: Call, kind: str, real: str, width: int = 0) -> bool:
    """
    Whether a log's name in what Slurm shows was set by `scontrol update`, so that it is shown as it is.

    The flush gave a link in the state folder, or the name itself with what only the node knows left as a pattern.

    Args:
        real: What Slurm shows, its patterns expanded or not.
        width: What is longer may have been cut; 0 for none.
    """
    if kind == "error" and kind not in call.options:
        kind = "output"
    task = None
    if call.is_array:
        task = call.tasks[0]
    name = logs.expand(call, kind, task, keep_index=call.is_array, launch_sets_name=True)
    if name is None or real in ("", "(null)", "N/A", "/dev/null") or is_our_link(real):
        return False
    pattern = os.fsdecode(name.path if name.on_node or call.is_array else logs.literal(name.path))
    if width and len(os.fsencode(real)) >= width:
        starts = (context.tickets.home(call.ticket), re.split("[%\\\\]", pattern, maxsplit=1)[0])
        return not any(one.startswith(real) or real.startswith(one) for one in starts)
    parts = re.split(r"(%%[A-Za-z]?|%[0-9]*[A-Za-z]|\\+)", pattern)
    # Whether %% and a backslash are shown once or twice depends on the version; 22.05 takes %%j for % and %j.
    kinds = {"%%": "%+.*", "\\": r"\\+"}
    form = "".join(
        kinds.get(part[:2], kinds.get(part[:1], ".*")) if at % 2 else re.escape(part) for at, part in enumerate(parts)
    )
    return re.fullmatch(form, real, re.S) is None


def log_column(context: Context, call: Call, column: str, shown: Part, *, expanded: bool) -> str:
    """
    squeue's column.

    Args:
        expanded: Of --expand-patterns.
    """
    kind = LOGS[column]
    early = context.version >= DEFAULT_IS_PATTERN
    if kind == "error" and kind not in call.options:
        if early:
            return "(null)"
        kind = "output"
    if kind == "output" and kind not in call.options and not early:
        return os.path.join(os.fsdecode(call.folder), f"slurm-{shown.ids('jobid')}.out")
    if expanded:
        return log_name(context, call, kind, shown)
    return log_pattern(call, kind)


def comment_end(context: Context) -> str:
    """What scontrol writes behind a comment."""
    if context.version >= BARE_COMMENT:
        return ""
    return " "


def submit_line(call: Call) -> str:
    """What was typed."""
    return " ".join(["sbatch", *(os.fsdecode(word) for word in call.words)])
