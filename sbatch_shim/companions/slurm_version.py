"""
Slurm's version, remembered: to ask a command for it takes as long as to ask the controller for a job.

A line for each program, in a file of the state folder. A program is the same one as long as its inode has not changed;
of a script, which may start another Slurm each time, nothing is remembered.
"""

from __future__ import annotations

import os

from sbatch_shim.spool import read, replace
from sbatch_shim.version import NONE, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# squeue, sacct, scontrol and scancel of two clusters.
MOST_KEPT = 8
# What is taken for granted of a program that tells no version: the oldest one that is supported.
OLDEST = (22, 5)


def identity_of(program: str) -> bytes:
    """What changes with a program; empty for a script."""
    try:
        with open(program, "rb", buffering=0) as stream:
            if stream.read(2) == b"#!":
                return b""
            told = os.fstat(stream.fileno())
    except OSError:
        return b""
    return b"%d:%d:%d:%d" % (told.st_dev, told.st_ino, told.st_size, told.st_ctime_ns)


def remembered(state: bytes, program: str, ask: Callable[[], bytes], *, may_write: bool) -> tuple[int, int]:
    """
    The version of a program of Slurm, as (year, month).

    Args:
        state: The state folder.
        ask: What the program says of its version.
    """
    path, identity = state + b"/slurm-versions", identity_of(program)
    lines: list[bytes] = []
    if identity:
        try:
            lines = read(path).splitlines()
        except OSError:
            pass  # the first time, or there is no state folder
    for line in lines:
        known, _, version = line.partition(b" ")
        if known == identity and parse(version) != NONE:
            return parse(version)
    found = parse(ask())
    if found == NONE:
        return OLDEST
    if identity and may_write:
        lines = [*lines[1 - MOST_KEPT :], b"%s %d.%d" % (identity, *found)]
        try:
            replace(path, b"".join(line + b"\n" for line in lines))
        except OSError:
            pass  # it is asked again, then
    return found
