"""
The record of one ticket in a queue file, without reading the file.

Tickets rise along a file, nearly always: so it is searched by halves. A record's tail tells where the record begins,
which tells it from a copy inside a payload. Who finds nothing has to read the whole file, as the numbers of a session
may begin again below those that it had.
"""

from __future__ import annotations

import os

from sbatch_shim.record import HEAD_BYTES, TAIL_BYTES, frame
from sbatch_shim.spool import QUEUE_HEAD

# Of a file at a time, in bytes: a few records.
PART = 1 << 12
END = b"\nend "


def payload_of(path: bytes, ticket: int) -> bytes | None:
    """The payload of a ticket's record in a queue file; None where the search does not find it, whole."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.pread(descriptor, len(QUEUE_HEAD), 0) != QUEUE_HEAD:
            return None
        low, high = len(QUEUE_HEAD), os.fstat(descriptor).st_size
        while low < high:
            middle = (low + high) // 2
            found = record_around(descriptor, middle, high)
            if found is None or found[1] < low:
                high = middle
                continue
            number, start, size = found
            if number == ticket:
                payload = os.pread(descriptor, size, start + HEAD_BYTES)
                whole = os.pread(descriptor, HEAD_BYTES + size + TAIL_BYTES, start)
                if payload and whole == frame(ticket, payload, start):
                    return payload
                return None
            if number < ticket:
                low = start + HEAD_BYTES + size + TAIL_BYTES
            else:
                high = start
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def record_around(descriptor: int, at: int, end: int) -> tuple[int, int, int] | None:
    """Ticket, start and payload's size of the first record that ends behind `at`; None if none does before `end`."""
    # A tail that begins in front of `at` may end behind it.
    place = max(0, at - TAIL_BYTES)
    held = b""
    while place + len(held) < end:
        part = os.pread(descriptor, min(PART, end - place - len(held)), place + len(held))
        if not part:
            break
        held += part
        found = held.find(END)
        while 0 <= found <= len(held) - TAIL_BYTES:
            number, size, start = fields(held[found : found + TAIL_BYTES])
            tail = place + found
            if start >= 0 and start + HEAD_BYTES + size == tail and tail + TAIL_BYTES > at:
                return number, start, size
            found = held.find(END, found + 1)
        # What is left may be the beginning of a tail.
        done = max(0, len(held) - TAIL_BYTES + 1)
        place, held = place + done, held[done:]
    return None


def fields(tail: bytes) -> tuple[int, int, int]:
    """Ticket, payload's size and start in a tail; a start below zero where it is none."""
    numbers = tail[5:15], tail[16:26], tail[27:39]
    if not all(map(bytes.isdigit, numbers)):
        return 0, 0, -1
    ticket, size, start = map(int, numbers)
    return ticket, size, start
