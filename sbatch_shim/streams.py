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
