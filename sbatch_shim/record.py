"""
A call as bytes: netstrings in a fixed order, framed so that a torn one is recognised.

Hot path. The format has a number (spool.FORMAT); a reader refuses a newer one.
"""

from _blake2 import blake2b

FIELDS = (
    "time",  # of the call, seconds since the epoch
    "host",  # where it was made
    "sbatch",  # path of the real sbatch that this call would have run; empty: there was none
    "cwd",  # physical working directory
    "umask",  # octal
    "nice",  # of the calling process
    "limits",  # soft limits, NAME=value joined by commas, -1 for none
    "source",  # file, stdin or wrap
    "script",  # path as sbatch resolved it; empty unless source is file
    "body",  # hash of the script's bytes
    "environment",  # hash of the environment that this one is told as a difference from
)
# Told as NAME=value behind all else, each only where it is known; version 0.1.0 refuses a record that has any.
OPTIONAL = (
    b"group",  # id of the calling process's group, decimal
    b"export",  # "nil" where --export=NIL is no list, but means no variable at all (Slurm 23.11 and newer)
    b"cluster",  # that the real sbatch would have submitted to, by its slurm.conf
)
HASH_BYTES = 20
# One line before the payload and one after it, of fixed widths: the last ticket can be read from the end.
HEAD = b"call %010d %010d\n"
TAIL = b"\nend %010d %010d %012d %s\n"
HEAD_BYTES = 27
TAIL_BYTES = 41 + 2 * HASH_BYTES


def digest(data: bytes) -> str:
    """Content hash, as the hexadecimal name of a blob."""
    return blake2b(data, digest_size=HASH_BYTES).hexdigest()


def netstring(data: bytes) -> bytes:
    return b"%d:%s," % (len(data), data)


def netstrings(payload: bytes, at: int = 0) -> "list[bytes]":
    """The fields of a payload from an offset on; ValueError when it is not made of netstrings."""
    fields = []
    size = len(payload)
    while at < size:
        colon = payload.index(b":", at, at + 12)
        digits = payload[at:colon]
        if not digits.isdigit():
            raise ValueError("not a netstring")
        at = colon + int(digits) + 2
        if payload[at - 1 : at] != b",":
            raise ValueError("not a netstring")
        fields.append(payload[colon + 1 : at - 1])
    return fields


def encode(values: "dict[str, bytes]", words: "list[bytes]", removed: "list[bytes]", changed: "list[bytes]") -> bytes:
    """
    The payload of a call.

    Args:
        values: One for each of FIELDS; of OPTIONAL those that are known.
        words: The words after `sbatch`.
        removed: Names of the base environment that the call does not have.
        changed: NAME=value entries that the call has beyond, or other than, the base environment.
    """
    fields = [values[name] for name in FIELDS]
    more = [name + b"=" + values[name.decode()] for name in OPTIONAL if name.decode() in values]
    for group in (words, removed, changed, more) if more else (words, removed, changed):
        fields.append(b"%d" % len(group))
        fields += group
    return b"".join([netstring(field) for field in fields])


def decode(
    payload: bytes, common: "tuple[bytes, list[bytes]]" = (b"", [])
) -> "tuple[dict[str, bytes], list[bytes], list[bytes], list[bytes]]":
    """
    The inverse of encode; ValueError for anything else.

    Args:
        common: All of FIELDS but the first, as they stood in another payload: as bytes, and taken apart. Calls of a
            session have nearly always the same.
    """
    first = payload.find(b",") + 1
    size, _, when = payload[: first - 1].partition(b":")
    if common[0] and size == b"%d" % len(when) and payload.startswith(common[0], first):
        fields = [when, *common[1], *netstrings(payload, first + len(common[0]))]
    else:
        fields = netstrings(payload)
    values = dict(zip(FIELDS, fields))
    at = len(FIELDS)
    end = len(fields)
    groups: "list[list[bytes]]" = []
    while len(groups) < 3 or (at < end and len(groups) == 3):
        count = int(fields[at]) if at < end else -1
        if count < 0:
            raise ValueError("not a call")
        groups.append(fields[at + 1 : at + 1 + count])
        at += 1 + count
    if at != end:
        raise ValueError("not a call")
    for entry in groups[3] if len(groups) > 3 else ():
        name, _, value = entry.partition(b"=")
        if name not in OPTIONAL:
            raise ValueError("it has a field of a newer version")
        values[name.decode()] = value
    return values, groups[0], groups[1], groups[2]


def frame(ticket: int, payload: bytes, start: int) -> bytes:
    """
    A record: head, payload, tail. An empty payload only says which ticket was the last.

    Args:
        start: The record's offset in its file, which tells it from a copy of a record inside a payload.
    """
    end = TAIL % (ticket, len(payload), start, digest(payload).encode())
    return HEAD % (ticket, len(payload)) + payload + end


def tail_ticket(tail: bytes, size: int) -> "int | None":
    """The ticket of the record that ends a file of `size` bytes with this tail, or None if none ends there."""
    if len(tail) != TAIL_BYTES or tail[:5] != b"\nend " or tail[-1:] != b"\n":
        return None
    try:
        ticket, length, start = int(tail[5:15]), int(tail[16:26]), int(tail[27:39])
    except ValueError:
        return None
    if start + HEAD_BYTES + length + TAIL_BYTES != size:
        return None
    return ticket


def frames(data: bytes, start: int, before: int = 0) -> "tuple[list[tuple[int, bytes]], int]":
    """
    The whole records from `start` on, and the offset where they end.

    What follows that offset is torn: its writer was killed before it told anybody a ticket.

    Args:
        before: So many bytes of the file stand in front of `data`.
    """
    found = []
    at = start
    payload, name = b"", digest(b"").encode()
    while True:
        head = data[at : at + HEAD_BYTES]
        try:
            ticket, size = int(head[5:15]), int(head[16:26])
        except ValueError:
            break
        there = data[at + HEAD_BYTES : at + HEAD_BYTES + size]
        if there != payload:  # calls that are made in one second are often alike, and stand in memory once
            payload, name = there, digest(there).encode()
        size = len(payload)
        end = at + HEAD_BYTES + size
        tail = data[end : end + TAIL_BYTES]
        # As `frame` has it, of which no copy is made here.
        if head != HEAD % (ticket, size) or tail != TAIL % (ticket, size, before + at, name):
            break
        found.append((ticket, payload))
        at = end + TAIL_BYTES
    return found, at


def has_tail(data: bytes, start: int) -> bool:
    """Whether a whole record ends behind the offset `start`: what stands there is not just a torn last record."""
    at = data.find(b"\nend ", start)
    while at >= 0:
        end = at + TAIL_BYTES
        if tail_ticket(data[at:end], end) is not None:
            return True
        at = data.find(b"\nend ", at + 1)
    return False
