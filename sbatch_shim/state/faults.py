"""
Faults of this package itself: one sentence for the user, and a report with the traceback in the state folder.

Imported where something has gone wrong, also by the hot path: nothing but the standard library, and nothing of ours.
"""

from __future__ import annotations

import os
import sys
import time
import traceback

REPORTS = b"/faults.log"
# The report before is kept as well once this many bytes are written.
MOST_BYTES = 1_000_000


def in_words(error: BaseException) -> str:
    """What went wrong in a few words, on one line."""
    said = " ".join(str(error).split())
    if said:
        return f"{type(error).__name__}: {said}"
    return type(error).__name__


def report(error: BaseException, state: bytes) -> str:
    """
    Keep the traceback of a fault; what went wrong and where the report lies, as a part of a sentence.

    Args:
        error: What was caught.
        state: The state folder. Nothing is written where it is not there, or another user's.
    """
    told = f"a fault of sbatch-shim ({in_words(error)})"
    path = state + REPORTS
    try:
        if os.stat(state).st_uid != os.geteuid():
            raise PermissionError("the state folder belongs to another user")
        write(path, text_of(error))
    except (OSError, ValueError):
        where = traceback.extract_tb(error.__traceback__)[-1:]
        place = "".join(f" at line {one.lineno} of {os.path.basename(one.filename)}" for one in where)
        return f"{told}{place}"
    return f"{told}, reported in {os.fsdecode(path)}"


def text_of(error: BaseException) -> bytes:
    """The report: when, what ran, and the traceback, which shows no values of variables."""
    from sbatch_shim import __version__

    lines = traceback.format_exception(type(error), error, error.__traceback__)
    python = ".".join(map(str, sys.version_info[:3]))
    when = time.strftime("%Y-%m-%d %H:%M:%S %z")
    head = f"== {when}, sbatch-shim {__version__}, Python {python}, process {os.getpid()}"
    return f"{head}\n{''.join(lines)}\n".encode("utf-8", "surrogateescape")


def write(path: bytes, text: bytes) -> None:
    """Append to the private file of reports."""
    try:
        if os.stat(path).st_size > MOST_BYTES:
            os.replace(path, path + b".1")
    except FileNotFoundError:
        pass
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)
