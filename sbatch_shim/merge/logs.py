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
    name = call.name
    if name is None:
        name = b"sbatch" if launch_sets_name else call.environment.get(b"SLURM_JOB_NAME") or b"(null)"
    values = {
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
    on_node = b"N" + (b"jJ" if call.is_array else b"")
    if node is not None:
        values[b"N"] = node.name
        if call.is_array:
            values[b"j"] = values[b"J"] = b"%d" % node.job
        on_node = b""
    parts: list[tuple[bytes, bool]] = [(before, False)]  # text, and whether it is a pattern still
    at = 0
    while at < len(path):
        percent = path.find(b"%", at)
        if percent < 0:
            parts.append((path[at:], False))
            break
        parts.append((path[at:percent], False))
        end = percent + 1
        while path[end : end + 1].isdigit():
            end += 1
        letter, width = path[end : end + 1], path[percent + 1 : end]
        token = path[percent : end + 1]
        at = end + 1
        if letter == b"%" and not width:
            parts.append((b"%", False))
        elif (letter and letter in on_node) or (keep_index and letter == b"a"):
            parts.append((token, True))
        elif letter in values and letter:
            value = values[letter]
            if letter in b"Aajnt" and width:
                value = value.rjust(min(int(width), 10), b"0")
            parts.append((value, False))
        else:
            # Calls with other letters are not queued (values.is_path).
            parts.append((token, False))
    remains = any(is_pattern for _, is_pattern in parts)
    if remains or keep_index:
        return Name(b"".join(text if is_pattern else text.replace(b"%", b"%%") for text, is_pattern in parts), remains)
    return Name(b"".join(text for text, _ in parts))


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
