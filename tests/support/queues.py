"""A queue of many calls, without as many calls of sbatch; for the soak and the bench."""

from __future__ import annotations

from pathlib import Path

from sbatch_shim.record import frame, frames
from sbatch_shim.spool import BLOCK, FIRST_TICKET, QUEUE_HEAD


def multiply(state: Path, session: str, count: int) -> int:
    """
    Make `count` calls of the only one that is queued, as so many calls of sbatch would have left them.

    The numbers beyond its block must be nobody else's.

    Returns:
        The first one's ticket.
    """
    queue = state / "sessions" / session / "queue"
    ((first, payload),) = (one for one in frames(queue.read_bytes(), len(QUEUE_HEAD))[0] if one[1])
    with queue.open("r+b") as stream:
        size = stream.seek(0, 2)
        for number in range(1, count):
            record = frame(first + number, payload, size)
            stream.write(record)
            size += len(record)
    begin = (first - FIRST_TICKET) // BLOCK
    for number in range(begin, begin + count // BLOCK + 1):
        (state / "blocks" / str(number)).write_text(session)
    return first
