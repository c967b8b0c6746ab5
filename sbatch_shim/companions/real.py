"""Runs a real command and takes what it says: the standard module for that is imported for longer than squeue runs."""

from __future__ import annotations

import os
from _signal import SIGPIPE, SIGXFSZ  # type: ignore[import-not-found]
from select import poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PART = 1 << 18


def run(path: str, words: list[str], environment: Mapping[bytes, bytes], umask: int) -> tuple[int, bytes, bytes]:
    """
    Run a program to its end.

    Args:
        path: Where it is.
        words: Its name and its arguments.
        umask: Of the program.

    Returns:
        Its exit status (minus the number of the signal that ended it), stdout and stderr.

    Raises OSError where it cannot be started.
    """
    pipes = [os.pipe(), os.pipe()]
    try:
        try:
            before = os.umask(umask)
            try:
                child = os.posix_spawn(
                    path,
                    words,
                    environment,
                    file_actions=[(os.POSIX_SPAWN_DUP2, writer, at) for at, (_, writer) in enumerate(pipes, 1)],
                    setsigdef=[SIGPIPE, SIGXFSZ],  # Python ignores these two
                )
            finally:
                os.umask(before)
        finally:
            for _, writer in pipes:
                os.close(writer)
        said = read_all([reader for reader, _ in pipes])
    finally:
        for reader, _ in pipes:
            os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said[0], said[1]


def read_all(readers: list[int]) -> list[bytes]:
    """All that comes out of some pipes, until nobody writes into any."""
    found: dict[int, list[bytes]] = {reader: [] for reader in readers}
    waiting = poll()
    for reader in readers:
        waiting.register(reader)
    left = len(readers)
    while left:
        for reader, _ in waiting.poll():
            part = os.read(reader, PART)
            found[reader].append(part)
            if not part:
                waiting.unregister(reader)
                left -= 1
    return [b"".join(found[reader]) for reader in readers]
