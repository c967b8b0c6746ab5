"""sarray mode: what sbatch does where SARRAY_MODE is not set."""

from __future__ import annotations

import os
import sys

from sbatch_shim.companions.context import Context
from sbatch_shim.flush import cli
from sbatch_shim.spool import replace


def show_or_set(context: Context, mode: str | None) -> int:
    """Print the mode that counts here and where it comes from, or write the one for calls without the variable."""
    path = context.state + b"/mode"
    if mode == "pass":
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    elif mode is not None:
        replace(path, mode.encode() + b"\n")
    counts, source = counting_mode(context)
    print(counts if mode == counts else mode_here(context))
    if source == "SARRAY_MODE" and mode not in (None, counts):
        print(f"sarray mode: {mode} is set, but SARRAY_MODE={counts} wins in this shell; unset it", file=sys.stderr)
    return 0


def mode_here(context: Context) -> str:
    """The mode that counts here, and in brackets what has set it, if anything has."""
    mode, source = counting_mode(context)
    if source:
        return f"{mode} ({source})"
    return mode


def counting_mode(context: Context) -> tuple[str, str]:
    """The mode that counts here, and what has set it: a variable, or `sarray mode`; empty where nothing has."""
    mode = os.fsdecode(cli.asked(context.state)[b"SARRAY_MODE"]) or "pass"
    if context.variable("SARRAY_MODE") is not None:
        return mode, "SARRAY_MODE"
    return mode, "sarray mode" if os.path.exists(context.state + b"/mode") else ""
