"""
What stands behind the program of an array's script; bash never parses it. Layout, after the rest of the program::

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

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sbatch_shim.merge import logs
from sbatch_shim.merge.environment import Shared
from sbatch_shim.merge.plan import Array, Task
from sbatch_shim.state.calls import Call
from sbatch_shim.values import indices

# What the program and the frame of a row need at most.
PROGRAM_BYTES = 1 << 17
MAX_ROW = 100

# As many bytes of bodies stand in front of the tables: bash reads as far without a program that seeks.
FRONT_BYTES = 1 << 15

# Arrays are split rather than have larger scripts, unless their calls are large by themselves.
FAIR_BYTES = 1 << 18


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


class Tables:
    """
    All that stands behind the program and its rest, with the places that follow from their size.

    Attributes:
        front: The bodies in front of the tables; empty where they stand behind them.
        common: What the calls' environments share.
        first, row_count, row_bytes: The index of the first row, how many there are, and how long each is.
    """

    def __init__(self, array: Array, shared: Shared, start: bytes | None, opening: Opening | None) -> None:
        """
        Args:
            start: The folder that all calls start in; None where they differ.
            opening: What the tasks open themselves.
        """
        self.calls = array.calls
        self.tasks = array.tasks()
        self.opening = opening
        self.first = self.tasks[0].index
        self.row_count = self.tasks[-1].index - self.first + 1
        self.common = b"".join(escape(entry) + b"\n" for entry in entries(shared.common))
        self.records = [record_of(call, own, start) for call, own in zip(self.calls, shared.own)]
        self.bodies = bodies_of(array)
        self.front = b""
        size_of_bodies = sum(map(len, self.bodies.values()))
        # A variable of bash holds no NUL.
        if size_of_bodies <= FRONT_BYTES and not any(b"\0" in body for body in self.bodies.values()):
            # Not a line end alone: Slurm takes no carriage return before one.
            self.front = b"".join(self.bodies.values()) + b" \n"
        self.lines = [record.count(b"\n") for record in self.records]
        records_bytes = sum(map(len, self.records))
        bound = PROGRAM_BYTES + size_of_bodies + len(self.common) + self.row_count * MAX_ROW + records_bytes
        if opening is not None:
            bound += sum(len(log_lines(opening, task.index)) for task in self.tasks)
        between = self.row_count + sum(self.lines)
        self.row_of = row_form(self.tasks, self.lines, between, bound, max(map(len, self.bodies.values())))
        self.log_of = (b"%%-%dd " % len(str(bound))).__mod__
        self.no_row = self.row_of((b"-", 0, 0, 0, 0, 0))
        if opening is not None:
            self.no_row = self.log_of(0) + self.no_row
        self.row_bytes = len(self.no_row)

    def offsets(self, size: int) -> dict[str, int]:
        """Where the parts begin, behind a program and rest of so many bytes."""
        common = size + len(self.front)
        rows = common + len(self.common)
        return {"front_offset": size, "common_offset": common, "rows_offset": rows, "rows_start": rows + 1}

    def script(self, program: bytes) -> Script:
        """All of it behind a program and its rest."""
        rows_at = self.offsets(len(program))["rows_offset"]
        records_at = rows_at + self.row_count * self.row_bytes
        end_of_records = records_at + sum(map(len, self.records))
        places = {}
        place = len(program) if self.front else end_of_records
        for name, body in self.bodies.items():
            places[name] = (place, len(body))
            place += len(body)
        behind: list[bytes] = []
        if self.front:
            place = end_of_records
        else:
            behind += self.bodies.values()
        rows, log_tables = self.rows(self.record_places(records_at), places, place)
        script = Script(b"".join([program, self.front, self.common, *rows, *self.records, *behind, *log_tables]))
        sizes = (len(record) + len(self.bodies[call.body_hash]) for call, record in zip(self.calls, self.records))
        script.largest = max(sizes)
        script.values = [(rows_at - len(self.common), rows_at), (records_at, end_of_records)]
        return script

    def record_places(self, records_at: int) -> dict[int, tuple[int, int, int]]:
        """By ticket: offset and lines of a record, and the lines between the first row and it."""
        found = {}
        lines_before = self.row_count
        for call, record, count in zip(self.calls, self.records, self.lines):
            found[call.ticket] = (records_at, count, lines_before)
            records_at += len(record)
            lines_before += count
        return found

    def rows(
        self,
        records: dict[int, tuple[int, int, int]],
        bodies: dict[bytes, tuple[int, int]],
        logs_at: int,
    ) -> tuple[list[bytes], list[bytes]]:
        """
        The rows, and the entries of the table of logs.

        Args:
            records: See record_places.
            bodies: By hash: offset and bytes.
            logs_at: Where the table of logs begins.
        """
        rows = [self.no_row] * self.row_count
        log_tables = []
        for task in self.tasks:
            local_id = b"-" if task.local_id is None else b"%d" % task.local_id
            offset, count, skip = records[task.call.ticket]
            # The rows behind this one, and the records in front of its own.
            skip -= task.index - self.first + 1
            row = self.row_of((local_id, offset, count, skip, *bodies[task.call.body_hash]))
            if self.opening is not None:
                row = self.log_of(logs_at) + row
                log_tables.append(log_lines(self.opening, task.index))
                logs_at += len(log_tables[-1])
            rows[task.index - self.first] = row
        return rows, log_tables


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
