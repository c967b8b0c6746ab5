"""stdin, stdout and stderr, as callers leave them: closed, full, or with nobody at the other end."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Give what the caller has closed of the three to /dev/null: no file of ours may take its place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")


def flush_stdout() -> OSError | None:
    """Write out what is buffered; why that is not possible, or None."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try again at its end, and complain in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return error
    return None
