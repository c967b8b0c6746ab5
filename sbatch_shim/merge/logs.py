"""
Log file names: what a call's own pattern means, and how the array is told to open it.

Slurm opens the log of every task itself, because slurmstepd writes lines of its own into the file that it
opened. Patterns: `fname.c` of slurmctld and slurmd 22.05, tried there; later versions where noted.
"""

from __future__ import annotations

import os

from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_TASK
from sbatch_shim.state.plain import dataclass

KINDS = ("output", "error", "input")


@dataclass(frozen=True)
class Name:
    """
    A log file's name.

    Attributes:
        path: Absolute; still a pattern when `on_node` is set.
        on_node: Only the node can finish it (%N, or %j of an array's task).
    """

    path: bytes
    on_node: bool = False


def user() -> bytes:
    """The name of the user, as %u: by the user's number, whatever LOGNAME says (slurmd's uid_to_string)."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name.encode()
    except KeyError:
        return b"nobody"


def pattern_of(call: Call, kind: str) -> bytes | None:
    """The pattern that the call gave, or Slurm's default; None for stderr joined to stdout and for no input."""
    given = call.options.get(kind)
    if given is None:
        if kind != "output":
            return None
        if call.is_array:
            return b"slurm-%A_%a.out"
        return b"slurm-%j.out"
    if given.lower() == b"none":
        return b"/dev/null"
    return given


def placed(call: Call, kind: str, pattern: bytes) -> tuple[bytes, bytes]:
    """
    The folder of a relative name (`--chdir`, else the caller's), as text before the pattern, and the pattern.

    sbatch puts the folder before a name that was given, so what looks like a pattern in the folder is one; the
    default name gets its folder on the node, where it is just text (tried on 22.05).
    """
    if pattern[:1] == b"/":
        return b"", pattern
    folder = call.folder.rstrip(b"/") + b"/"
    if kind in call.options:
        return (b"", folder + pattern)
    return (folder, pattern)


def literal(path: bytes) -> bytes:
    """A pattern that means exactly `path`: one backslash anywhere switches expansion off, else %% is %."""
    if b"\\" in path:
        return path.replace(b"\\", b"\\\\")
    return path.replace(b"%", b"%%")


@dataclass(frozen=True)
class Node:
    """
    What only the node knows of a task.

    Attributes:
        name: Of the host, short.
        job: The task's own job id.
    """

    name: bytes
    job: int


@dataclass(frozen=True)
class Token:
    """
    A piece of a pattern: plain text, or `%`, digits and a letter.

    Attributes:
        letter: Empty for plain text.
        width: The digits.
    """

    text: bytes
    letter: bytes = b""
    width: bytes = b""

    def meaning(self, values: dict[bytes, bytes]) -> bytes:
        """What stands for it; calls with letters that have no value are not queued (values.is_path)."""
        if self.text == b"%%":
            return b"%"
        value = values.get(self.letter)
        if value is None:
            return self.text
        if self.letter in b"Aajnt" and self.width:
            return value.rjust(min(int(self.width), 10), b"0")
        return value


def tokens(path: bytes) -> list[Token]:
    """A pattern's pieces, in order."""
    found = []
    at = 0
    while at < len(path):
        percent = path.find(b"%", at)
        if percent < 0:
            found.append(Token(path[at:]))
            break
        found.append(Token(path[at:percent]))
        end = percent + 1
        while path[end : end + 1].isdigit():
            end += 1
        found.append(Token(path[percent : end + 1], path[end : end + 1], path[percent + 1 : end]))
        at = end + 1
    return found


def values_of(call: Call, task: int | None, *, launch_sets_name: bool) -> dict[bytes, bytes]:
    """What the letters of a pattern stand for, as far as it is known before the job starts; see `expand`."""
    name = call.name
    if name is None and launch_sets_name:
        name = b"sbatch"
    elif name is None:
        name = call.environment.get(b"SLURM_JOB_NAME") or b"(null)"
    return {
        b"A": b"%d" % call.ticket,
        b"a": b"%d" % (NO_TASK if task is None else task),
        b"j": b"%d" % call.ticket,
        b"J": b"%d" % call.ticket,
        b"n": b"0",
        b"t": b"0",
        b"s": b"batch",
        b"u": user(),
        b"x": name,
    }


def expand(
    call: Call,
    kind: str,
    task: int | None,
    *,
    keep_index: bool = False,
    launch_sets_name: bool = False,
    node: Node | None = None,
) -> Name | None:
    """
    What a log pattern of a call means for one of its tasks.

    Args:
        kind: One of KINDS.
        task: The local id; None for a plain call.
        keep_index: Leave %a to Slurm (the array's indices are the call's own ids); the result is a pattern.
        launch_sets_name: Slurm 24.11 and newer: a script from stdin has a name at launch.
        node: Where the task runs, if that is known: then nothing is left to the node.

    Returns:
        The name, a pattern when it says on_node or keep_index is given; None where there is no such file.
    """
    pattern = pattern_of(call, kind)
    if pattern is None:
        return None
    before, path = placed(call, kind, pattern)
    if b"\\" in path:
        plain = unescape(path)
        return Name(literal(plain) if keep_index else plain)
    values = values_of(call, task, launch_sets_name=launch_sets_name)
    left = []  # the letters that stay a pattern
    if keep_index:
        left.append(b"a")
    if node is None:
        left.append(b"N")
    else:
        values[b"N"] = node.name
    if call.is_array and node is None:
        left += [b"j", b"J"]
    elif call.is_array and node is not None:
        values[b"j"] = values[b"J"] = b"%d" % node.job
    pieces = [Token(before), *tokens(path)]
    remains = any(piece.letter in left for piece in pieces)
    if not remains and not keep_index:
        return Name(b"".join(piece.meaning(values) for piece in pieces))
    named = [piece.text if piece.letter in left else piece.meaning(values).replace(b"%", b"%%") for piece in pieces]
    return Name(b"".join(named), remains)


def unescape(path: bytes) -> bytes:
    """One level of backslashes removed."""
    out = b""
    at = 0
    while at < len(path):
        if path[at : at + 1] == b"\\":
            at += 1
        out += path[at : at + 1]
        at += 1
    return out
