"""squeue's columns: what the caller asked for, how the real squeue is asked for it, and its rows taken apart."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from sbatch_shim.companions.options import Unreadable

START, FIELD, END = "\x1d", "\x1f", "\x1e"
DEFAULT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
LONG = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
STARTS = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"
STATES = "%.18i %.2t"
STEPS = "%.15i %.8j %.9P %.8u %.9M %N"
FOLDED_BYTES = 31
# Fields that tell of the array and not of the call; the names are those of --Format.
LETTERS = {
    "i": "jobarrayid",
    "A": "jobid",
    "F": "arrayjobid",
    "K": "arraytaskid",
    "j": "name",
    "o": "command",
    "Z": "workdir",
    "E": "dependency",
}
# What a job that waits shows in the other fields.
PENDING_LETTERS = {
    "a": "account", "P": "partition", "u": "username", "t": "statecompact", "T": "state", "M": "timeused",
    "l": "timelimit", "D": "numnodes", "R": "reasonlist", "r": "reason", "C": "numcpus", "m": "minmemory",
    "S": "starttime", "e": "endtime", "L": "timeleft", "U": "userid", "V": "submittime", "q": "qos", "g": "groupname",
    "N": "nodelist", "B": "batchhost", "Q": "prioritylong", "p": "priority", "k": "comment", "h": "oversubscribe",
    "y": "nice", "f": "feature", "b": "tres-per-node", "v": "reservation", "w": "wckey", "x": "excnodes",
    "n": "reqnodes", "Y": "schednodes", "W": "licenses", "G": "groupid", "c": "mincpus", "d": "mintmpdisk",
}  # fmt: skip


@dataclass
class Field:
    """
    A column.

    Attributes:
        name: Its name in --Format, in lower case; empty for one that we never write ourselves.
        token: How the real squeue is asked for it.
        width: Bytes, 0 for as many as there are.
        right: Right-justified.
        suffix: Text behind it.
    """

    name: str
    token: str
    width: int
    right: bool
    suffix: str

    def show(self, text: str, folded: bool = False) -> bytes:
        """
        A value of ours as squeue would print it.

        Args:
            folded: It is of tasks that wait together: squeue cuts `A_[...]` after FOLDED_BYTES.
        """
        data = os.fsencode(text)
        if folded and self.name == "jobarrayid" and "SLURM_BITSTR_LEN" not in os.environ:
            data = data[:FOLDED_BYTES]
        if self.width:
            data = data[: self.width]
            data = data.rjust(self.width) if self.right else data.ljust(self.width)
        return data


@dataclass
class Layout:
    """The columns that the caller asked for, and the option that asks the real squeue for them and the hidden ones."""

    prefix: str
    fields: list[Field]
    option: tuple[str, str]


# In front of each row, for us: the row's own id, the id that tells array and tasks, script and name.
HIDDEN = ("A", "i", "o", "j")
HIDDEN_LONG = ("JobID", "JobArrayID", "Command", "Name")
ARRAY_ID = re.compile(r"([0-9]+)(?:_([0-9]+)|_\[([^\]]*)\])?", re.A)


def short_layout(form: str) -> Layout:
    """Read a value of --format, as squeue's opts.c does."""
    prefix, percent, rest = form.partition("%")
    fields = []
    for token in rest.split("%") if percent else []:
        found = re.match(r"(\.?)([0-9]*)(.)(.*)", token, re.S)
        if token and found is None:
            raise Unreadable(form)
        if found:
            name = LETTERS.get(found[3]) or PENDING_LETTERS.get(found[3], "")
            whole = f"%{found[1]}{found[2]}{found[3]}"
            fields.append(Field(name, whole, int(found[2] or 0), bool(found[1]), found[4]))
    hidden = FIELD.join("%" + letter for letter in HIDDEN)
    return Layout(
        prefix, fields, ("format", START + hidden + "".join(FIELD + one.token for one in fields) + END)
    )


def long_layout(form: str) -> Layout:
    """Read a value of --Format."""
    fields = []
    for token in form.split(","):
        name, colon, how = token.strip().partition(":")
        found = re.fullmatch(r"(\.?)([0-9]*)(.*)", how, re.S)
        if not name or found is None:
            raise Unreadable(form)
        width = int(found[2] or 0) if colon else 20
        fields.append(Field(name.lower(), f"{name}:{found[1]}{width}", width, bool(found[1]), found[3]))
    hidden = [f"{name}:0{FIELD}" for name in HIDDEN_LONG]
    words = [f"{one.token}{FIELD if one is not fields[-1] else END}" for one in fields]
    return Layout("", fields, ("Format", ",".join(hidden + words)))


@dataclass
class Row:
    """
    A row of the real squeue.

    Attributes:
        before: Text in front of it (the date of --long).
        raw: The job id of this very task.
        array: Id of the array or the plain job; None for a job of another kind (a component of a heterogeneous one).
        tasks: The task's index, the indices of those that wait together (with their %limit), or empty.
        folded: The tasks wait together.
        texts: The columns as squeue printed them.
    """

    before: bytes
    raw: str
    array: int | None
    tasks: str
    folded: bool
    command: str
    name: str
    texts: list[bytes]


def rows_of(out: bytes, layout: Layout) -> list[Row]:
    """Take squeue's output apart, its header too; ValueError where a value holds a separator."""
    found = []
    for chunk in out.split(os.fsencode(END) + b"\n")[:-1]:
        before = b""
        if layout.option[0] == "format":
            before, _, chunk = chunk.partition(os.fsencode(START))
        elif b"\n" in chunk.partition(os.fsencode(FIELD))[0]:
            before, _, chunk = chunk.rpartition(b"\n")
            before += b"\n"
        parts = chunk.split(os.fsencode(FIELD))
        if len(parts) != len(HIDDEN) + len(layout.fields):
            raise ValueError("a value holds a control character")
        raw, one, command, name = (os.fsdecode(part).strip() for part in parts[: len(HIDDEN)])
        ids = ARRAY_ID.fullmatch(one)
        array, task, folded = (int(ids[1]), ids[2], ids[3]) if ids else (None, None, None)
        found.append(Row(before, raw, array, task or folded or "", bool(folded), command, name, parts[len(HIDDEN) :]))
    return found


def assemble(layout: Layout, texts: list[bytes], before: bytes = b"") -> bytes:
    """A row as squeue prints it."""
    parts = [before, os.fsencode(layout.prefix)]
    for column, text in zip(layout.fields, texts):
        parts += [text, os.fsencode(column.suffix)]
    return b"".join(parts) + b"\n"
