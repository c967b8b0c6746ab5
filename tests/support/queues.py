"""A queue of many calls, without as many calls of sbatch; for the soak and the bench."""

from __future__ import annotations

from pathlib import Path

from sbatch_shim.record import decode, encode, frame, frames
from sbatch_shim.spool import BLOCK, FIRST_TICKET, QUEUE_HEAD


def multiply(state: Path, session: str, count: int, *, unlike: bool = False) -> int:
    """
    Make `count` calls of the only one that is queued, as so many calls of sbatch would have left them.

    The numbers beyond its block must be nobody else's.

    Args:
        unlike: Each but the first has a name, a log, an argument and a variable of its own, 20 of them the same time.

    Returns:
        The first one's ticket.
    """
    queue = state / "sessions" / session / "queue"
    ((first, payload),) = (one for one in frames(queue.read_bytes(), len(QUEUE_HEAD))[0] if one[1])
    with queue.open("r+b") as stream:
        size = stream.seek(0, 2)
        for number in range(1, count):
            record = payload
            if unlike:
                values, words, removed, changed = decode(payload)
                values["time"] = b"%d" % (int(values["time"]) + number // 20)
                words = [b"-J", b"align-%d" % number, b"-o", b"logs/%d.log" % number, words[-1], b"%d.fq" % number]
                record = encode(values, words, removed, [*changed, b"SAMPLE=%d" % number])
            record = frame(first + number, record, size)
            stream.write(record)
            size += len(record)
    begin = (first - FIRST_TICKET) // BLOCK
    for number in range(begin, begin + count // BLOCK + 1):
        (state / "blocks" / str(number)).write_text(session)
    return first
