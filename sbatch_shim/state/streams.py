"""stdin, stdout and stderr, as callers leave them: closed, full, or with nobody at the other end."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Words:
    """
    stderr, for as long as somebody hears it: then /dev/null, since what is under way must go on.

    Attributes:
        buffer: The same for bytes.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        if hasattr(stream, "buffer"):
            self.buffer = Words(stream.buffer)

    def write(self, text: Any) -> int:
        try:
            written: int = self.stream.write(text)
            return written
        except OSError:
            self.hush()
            return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError:
            self.hush()

    def hush(self) -> None:
        """What is still buffered must not be tried again."""
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 2)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def open_closed_streams() -> None:
    """
    Give what the caller has closed of the three to /dev/null: no file of ours may take its place.

    Also stderr once it can no longer be written: a full disk, a terminal that is gone.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = Words(sys.stderr or open(os.devnull, "w"))


def flush_stdout() -> OSError | None:
    """Write out what is buffered; why that is not possible, or None."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try again at its end, and complain in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return error
    return None
