"""
An array as a batch script: a program of fixed size, then tables and script bodies that bash never parses.

So the start of a task costs the same however many calls an array holds. Behind the program stands `rest`, the part of
it that few tasks need, as text; what stands behind that is in tables.py.
"""

from __future__ import annotations

import os
import shlex
from functools import cache

from sbatch_shim import __version__
from sbatch_shim.merge import environment
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.tables import Opening, Script, Tables
from sbatch_shim.merge.template import fill
from sbatch_shim.state.paths import TEMPLATES

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


def among(names: str) -> str:
    """The same as a pattern for many names at once, with a = in front of the first and behind each."""
    return " | ".join(f"*={name}=*".replace("*=*", "*", 1) for name in names.split(" | "))


PROGRAM, REST = "array.sh.j2", "array-rest.sh.j2"


@cache
def template(name: str = PROGRAM) -> str:
    """The dispatcher's, or that of its part which few tasks need."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def common_folder(array: Array) -> bytes | None:
    """The folder that all calls start in; None where they differ."""
    folders = {call.folder for call in array.calls}
    if len(folders) != 1:
        return None
    return folders.pop()


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
    environments = [environment.for_job(call, launch_sets_name=limits.launch_sets_name) for call in array.calls]
    shared = environment.share(environments, array.sending)
    submit = environment.for_sbatch(array.calls[0], shared, array.sending)
    # A pool waits before anybody knows which folders there will be.
    start = None
    if table is None:
        start = common_folder(array)
    tables = Tables(array, shared, start, opening)
    values = {
        **values_of(array, limits, opening),
        "first_index": tables.first,
        "row_count": tables.row_count,
        "row_bytes": tables.row_bytes,
        "common_lines": len(shared.common),
        "bodies_in_front": bool(tables.front),
        "one_pass": whole is None and opening is None,
        "whole": quoted(whole),
        "table": quoted(table),
    }
    rest = fill(template(REST), values).encode("utf-8", "surrogateescape")
    values.update(lines_of(rest, tables.front, tables.common if whole is None else b""))
    return tables.script(program(values, tables, len(rest)) + rest), submit


def program(values: dict[str, str | int | bool | None], tables: Tables, rest: int) -> bytes:
    """The program, which holds the offset of what follows it: the digits of that are part of its own length."""

    def of_size(size: int, lines: int) -> bytes:
        offsets = tables.offsets(size + rest)
        return fill(template(), {**values, **offsets, "program_lines": lines}).encode("utf-8", "surrogateescape")

    size = 0
    found = of_size(size, 0)
    lines = found.count(b"\n")
    while len(found) != size:
        size = len(found)
        found = of_size(size, lines)
    return found


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


def values_of(array: Array, limits: Limits, opening: Opening | None) -> dict[str, str | int | bool | None]:
    """What the template shows of an array, but for what depends on the script's parts."""
    names = sorted({os.fsencode(call.shown_name).decode("utf-8", "backslashreplace") for call in array.calls})
    values: dict[str, str | int | bool | None] = {
        "changed_by_bash": CHANGED_BY_BASH,
        "kept_by_bash": among(KEPT_BY_BASH),
        "odd_for_bash": among(CHANGED_BY_BASH),
        "title": comment(f"{len(array.calls)} sbatch call{'s' * (len(array.calls) > 1)} as one Slurm job"),
        "version": __version__,
        "merged": len(array.calls) > 1,
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


def quoted(path: bytes | None) -> str | None:
    """A path as a shell reads it; None for none."""
    if path is None:
        return None
    return shlex.quote(os.fsdecode(path))


def comment(text: str) -> str:
    """Text that cannot leave its comment line, nor be taken for an #SBATCH line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]
