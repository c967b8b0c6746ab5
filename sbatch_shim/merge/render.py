"""
An array as a batch script: a program of fixed size, then tables and script bodies that bash never parses.

So the start of a task costs the same however many calls an array holds. Layout after the program::

    rest        the part of the program that few tasks need, as text
    bodies      script bodies, each once, where bash can read them quickly (FRONT_BYTES), and a blank line end
    common      environment entries that all calls share and sbatch must not see, one per line
    rows        one for each index, all equally long: local id or -, offset and lines of the call's record and how many
                lines stand between the row and it, offset and bytes of its body; with an Opening the offset of its
                logs in front
    records     for each call: folder to start in (empty: Slurm has it right), number of arguments, arguments,
                environment entries of its own, one per line
    bodies      script bodies, if they are not in front
    logs        with an Opening, for each task: the paths of output, error and input, one per line, empty for what
                Slurm has opened
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from sbatch_shim import __version__
from sbatch_shim.merge import environment, logs
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, Task
from sbatch_shim.merge.template import fill
from sbatch_shim.state.calls import Call
from sbatch_shim.state.paths import TEMPLATES
from sbatch_shim.values import indices

# What the program and the frame of a row need at most.
PROGRAM_BYTES = 1 << 17
MAX_ROW = 100


# Variables that bash does not hand on as it got them, though nobody sets them, as a pattern of its own. (PWD and the
# like the dispatcher puts back.) The launcher has the same.
KEPT_BY_BASH = (
    "IFS | OPT[IE]* | PPID | UID | EUID | BASH | BASH[POA]* | BASH_[!EF]* | BASH_E[!N]* | BASH_F[!U]* | SHELLOPTS"
    " | LINENO | SECONDS | *RANDOM | EPOCH* | HISTCMD | GROUPS | DIRSTACK | FUNCNAME | FUNCNEST | PIPESTATUS | MAPFILE"
    " | COMP_WORDBREAKS | POSIXLY_CORRECT"
)

# Variables that bash may not be told to set, since it minds what they say or makes another value of it.
CHANGED_BY_BASH = (
    "_ | PWD | OLDPWD | SHLVL | IFS | PS[124] | OPT[IE]* | PPID | UID | EUID | BASH* | SHELLOPTS | LINENO | SECONDS"
    " | *RANDOM | EPOCH* | HIST* | GROUPS | DIRSTACK | FUNCNAME | FUNCNEST | PIPESTATUS | MAPFILE | COMP_* | MAIL*"
    " | EXECIGNORE | GLOBIGNORE | IGNOREEOF | ignoreeof | histchars | CHILD_MAX | PERL*"
)

# As many bytes of bodies stand in front of the tables: bash reads as far without a program that seeks.
FRONT_BYTES = 1 << 15

# Arrays are split rather than have larger scripts, unless their calls are large by themselves.
FAIR_BYTES = 1 << 18


def among(names: str) -> str:
    """The same as a pattern for many names at once, with a = in front of the first and behind each."""
    return " | ".join(f"*={name}=*".replace("*=*", "*", 1) for name in names.split(" | "))


PROGRAM, REST = "array.sh.j2", "array-rest.sh.j2"


@cache
def template(name: str = PROGRAM) -> str:
    """The dispatcher's, or that of its part which few tasks need."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def escape(field: bytes) -> bytes:
    """A field as one line; bash's printf %b is the inverse."""
    return field.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")


def entries(variables: dict[bytes, bytes]) -> list[bytes]:
    return [name + b"=" + value for name, value in variables.items()]


def array_variables(call: Call) -> dict[bytes, bytes]:
    """What Slurm tells the tasks of the array that the call asked for; the task's own id is in its row."""
    if not call.is_array:
        return {}
    ids, _, step = indices(call.options["array"] or b"")
    return {
        b"SLURM_ARRAY_JOB_ID": b"%d" % call.ticket,
        b"SLURM_ARRAY_TASK_COUNT": b"%d" % len(ids),
        b"SLURM_ARRAY_TASK_MIN": b"%d" % ids[0],
        b"SLURM_ARRAY_TASK_MAX": b"%d" % ids[-1],
        b"SLURM_ARRAY_TASK_STEP": b"%d" % step,
    }


def common_folder(array: Array) -> bytes | None:
    """The folder that all calls start in; None where they differ."""
    folders = {call.folder for call in array.calls}
    if len(folders) != 1:
        return None
    return folders.pop()


@dataclass(frozen=True)
class Opening:
    """
    What tasks open themselves, since their nodes may not see the links that Slurm would go through.

    Attributes:
        paths: By kind of log, and index.
        host: Whose tasks prove nothing; empty for none.
        script: The path of the array's script in the state folder, which nobody has who does not see that.
        mark: What a task makes when it sees the script; empty for nothing.
    """

    paths: dict[str, dict[int, bytes]]
    host: str
    script: bytes
    mark: bytes


class Script(bytes):
    """
    A rendered script.

    Attributes:
        values: The offsets of the parts that hold the calls' variables and arguments, from and to.
        largest: Bytes of the call that has most for itself: its script, and its record.
    """

    values: list[tuple[int, int]]
    largest: int

    @property
    def is_fair(self) -> bool:
        """
        Whether it is no larger than what a node should get for each task.

        slurmd gets, writes and removes a copy for each. Its processor time for a task of `true` doubles by a script of
        256 KiB (tried on 22.05). Calls that are large by themselves would have cost much directly too.
        """
        return len(self) <= max(FAIR_BYTES, 4 * self.largest)

    def without_values(self) -> bytes:
        """The same with these parts blank, for a script whose tasks read a whole copy of it."""
        blank = bytearray(self)
        for start, stop in self.values:
            blank[start:stop] = b" " * (stop - start)
        return bytes(blank)


def render(
    array: Array,
    limits: Limits,
    whole: bytes | None = None,
    opening: Opening | None = None,
    table: bytes | None = None,
) -> tuple[Script, dict[bytes, bytes]]:
    """
    The script of an array.

    Args:
        whole: The path of the whole copy that its tasks shall read, None for the script itself.
        opening: What its tasks open themselves.
        table: The path that the script will have, where it is not what Slurm starts but read by that (a pool's).

    Returns:
        The script's bytes, and the environment to start sbatch with.
    """
    sending = array.sending
    environments = [environment.for_job(call, launch_sets_name=limits.launch_sets_name) for call in array.calls]
    shared = environment.share(environments, sending)
    submit = environment.for_sbatch(array.calls[0], shared, sending)
    # A pool waits before anybody knows which folders there will be.
    start = None
    if table is None:
        start = common_folder(array)
    tasks = array.tasks()
    first = tasks[0].index
    row_count = tasks[-1].index - first + 1

    common = b"".join(escape(entry) + b"\n" for entry in entries(shared.common))
    records = [record_of(call, own, start) for call, own in zip(array.calls, shared.own)]
    bodies = bodies_of(array)
    size_of_bodies = sum(map(len, bodies.values()))
    # A variable of bash holds no NUL.
    in_front = size_of_bodies <= FRONT_BYTES and not any(b"\0" in body for body in bodies.values())
    front = b""
    if in_front:
        front = b"".join(bodies.values()) + b" \n"  # not a line end alone: Slurm takes no carriage return before one

    lines = [record.count(b"\n") for record in records]
    bound = PROGRAM_BYTES + size_of_bodies + len(common) + row_count * MAX_ROW + sum(map(len, records))
    if opening is not None:
        bound += sum(len(log_lines(opening, task.index)) for task in tasks)
    row_of = row_form(tasks, lines, row_count + sum(lines), bound, max(map(len, bodies.values())))
    log_of = (b"%%-%dd " % len(str(bound))).__mod__
    no_row = row_of((b"-", 0, 0, 0, 0, 0))
    if opening is not None:
        no_row = log_of(0) + no_row
    row_bytes = len(no_row)
    values = {
        **values_of(array, limits, opening),
        "first_index": first,
        "row_count": row_count,
        "row_bytes": row_bytes,
        "common_lines": len(shared.common),
        "bodies_in_front": in_front,
        "one_pass": whole is None and opening is None,
        "whole": quoted(whole),
        "table": quoted(table),
    }
    rest = fill(template(REST), values).encode("utf-8", "surrogateescape")
    values.update(lines_of(rest, front, common if whole is None else b""))

    def program(size: int, lines: int) -> bytes:
        front_offset = size + len(rest)
        common_offset = front_offset + len(front)
        rows_offset = common_offset + len(common)
        offsets = {
            "program_lines": lines,
            "front_offset": front_offset,
            "common_offset": common_offset,
            "rows_offset": rows_offset,
            "rows_start": rows_offset + 1,
        }
        return fill(template(), {**values, **offsets}).encode("utf-8", "surrogateescape")

    # The program holds the offset of what follows it, whose digits are part of its length.
    offset = 0
    head = program(offset, 0)
    line_count = head.count(b"\n")
    while len(head) != offset:
        offset = len(head)
        head = program(offset, line_count)

    size = offset + len(rest)
    rows_at = size + len(front) + len(common)
    records_at = place = rows_at + row_count * row_bytes
    record_places = {}
    lines_before = 0
    for call, record, count in zip(array.calls, records, lines):
        record_places[call.ticket] = (place, count, row_count + lines_before)
        place += len(record)
        lines_before += count
    end_of_values = place
    body_places = {}
    body_place = size if in_front else place
    for name, body in bodies.items():
        body_places[name] = (body_place, len(body))
        body_place += len(body)
    if not in_front:
        place = body_place
    tables = []

    rows = [no_row] * row_count
    for task in tasks:
        local_id = b"-" if task.local_id is None else b"%d" % task.local_id
        offset, count, skip = record_places[task.call.ticket]
        # The rows behind this one, and the records in front of its own.
        skip -= task.index - first + 1
        row = row_of((local_id, offset, count, skip, *body_places[task.call.body_hash]))
        if opening is not None:
            row = log_of(place) + row
            tables.append(log_lines(opening, task.index))
            place += len(tables[-1])
        rows[task.index - first] = row
    behind = [] if in_front else bodies.values()
    script = Script(b"".join([head, rest, front, common, *rows, *records, *behind, *tables]))
    script.largest = max(len(record) + len(bodies[call.body_hash]) for call, record in zip(array.calls, records))
    script.values = [(rows_at - len(common), rows_at), (records_at, end_of_values)]
    return script, submit


def lines_of(rest: bytes, front: bytes, common: bytes) -> dict[str, int]:
    """How many lines the parts have that the dispatcher reads at once."""
    rest_lines, front_lines = rest.count(b"\n"), front.count(b"\n")
    common_at = rest_lines + front_lines
    return {
        "rest_lines": rest_lines,
        "front_lines": front_lines,
        "common_at": common_at,
        "lines_in_front": common_at + common.count(b"\n"),
    }


def row_form(
    tasks: Sequence[Task], lines: Sequence[int], lines_between: int, bytes_of_all: int, body_bytes: int
) -> Callable[[tuple[bytes | int, ...]], bytes]:
    """
    How a row is written: as short as it can be, since bash reads through those in front of its own.

    Args:
        lines: Of each call's record.
        lines_between, bytes_of_all, body_bytes: What the columns hold at most: lines between a row and its record,
            offsets, and the bytes of a body.
    """
    offset_width = len(str(bytes_of_all))
    local_ids = [task.local_id for task in tasks if task.local_id is not None]
    widths = (
        len(str(max(local_ids, default=0))),
        offset_width,
        len(str(max(lines))),
        len(str(lines_between)),
        offset_width,
        len(str(body_bytes)),
    )
    return (b"%%-%ds %%-%dd %%-%dd %%-%dd %%-%dd %%-%dd\n" % widths).__mod__


def record_of(call: Call, own: dict[bytes, bytes], start: bytes | None) -> bytes:
    """
    What the dispatcher reads of a call: its folder, arguments and variables.

    Args:
        own: The variables that not all calls of the array have.
        start: The folder that all calls start in; None where they differ.
    """
    folder = b""
    if start is None:
        folder = call.folder
    # What the call had as SLURM_ARRAY_TASK_ID from its own surroundings does not reach its tasks.
    variables = entries({**own, **array_variables(call)})
    fields = [folder, b"%d" % len(call.arguments), *call.arguments, *variables]
    return b"".join(escape(field) + b"\n" for field in fields)


def bodies_of(array: Array) -> dict[bytes, bytes]:
    """The calls' scripts by their hashes, each once."""
    bodies: dict[bytes, bytes] = {}
    for call in array.calls:
        if call.body_hash not in bodies:
            bodies[call.body_hash] = call.body()
    return bodies


def values_of(array: Array, limits: Limits, opening: Opening | None) -> dict[str, str | int | bool | None]:
    """What the template shows of an array, but for what depends on the script's parts."""
    names = sorted({os.fsencode(call.shown_name).decode("utf-8", "backslashreplace") for call in array.calls})
    values: dict[str, str | int | bool | None] = {
        "changed_by_bash": CHANGED_BY_BASH,
        "kept_by_bash": among(KEPT_BY_BASH),
        "odd_for_bash": among(CHANGED_BY_BASH),
        "title": comment(f"{len(array.calls)} sbatch call{'s' * (len(array.calls) > 1)} as one Slurm job"),
        "version": __version__,
        "summary": comment(f"Jobs: {', '.join(names[:5])}{' and others' * (len(names) > 5)}."),
        "tickets": f"{array.calls[0].ticket} to {array.calls[-1].ticket}",
        "login": array.sending.by_script,
        "time_format": limits.time_format,
        "time_zone": limits.time_format.endswith("%z"),
        "opening": opening is not None,
        "host": "",
        "own_script": "",
        "mark": "",
        "makes_log_folders": limits.makes_log_folders,
        "appends": appends(array, limits),
        "joined": "error" not in array.calls[0].options,
    }
    if opening is not None:
        values["host"] = shlex.quote(opening.host)
        values["own_script"] = quoted(opening.script)
        values["mark"] = quoted(opening.mark or None) or ""
    return values


def appends(array: Array, limits: Limits) -> bool:
    """Whether the array's logs are appended to."""
    mode = array.options.get("open-mode")
    if mode:
        return mode[:1].lower() == b"a"
    return limits.appends_to_logs


def log_lines(opening: Opening, index: int) -> bytes:
    """A task's entry in the table of logs."""
    lines = []
    for kind in logs.KINDS:
        path = opening.paths.get(kind, {}).get(index, b"")
        # bash takes some names below /dev (tcp, udp) for more than names.
        if path.startswith(b"/dev/"):
            path = b"/." + path
        lines.append(escape(path) + b"\n")
    return b"".join(lines)


def quoted(path: bytes | None) -> str | None:
    """A path as a shell reads it; None for none."""
    if path is None:
        return None
    return shlex.quote(os.fsdecode(path))


def comment(text: str) -> str:
    """Text that cannot leave its comment line, nor be taken for an #SBATCH line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]
