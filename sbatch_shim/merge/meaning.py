"""Option values compared by meaning: `8G` and `8192M`, `60` and `1:00:00` are the same to Slurm."""

from __future__ import annotations

import time

from sbatch_shim.grammar import ARRAY, OPTIONS
from sbatch_shim.values import TIME_UNITS, megabytes, minutes

UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
assert {unit.decode().rstrip("s") for unit in TIME_UNITS if unit} == set(UNIT_SECONDS)


def canonical(name: str, value: bytes | None) -> bytes | None:
    """A spelling that is the same for all values that mean the same."""
    kind = OPTIONS[name][4]
    if value is None:
        return b"100" if kind == "nice" else None
    if kind == "mem":
        return b"%d" % megabytes(value)
    if kind == "time":
        return b"%d" % minutes(value)
    if kind == "count":
        return b"%d" % int(value)
    if kind == "nodes":
        low, _, high = value.partition(b"-")
        return b"%d-%d" % (int(low), int(high or low))
    if kind == "mail-type":
        return b",".join(sorted({part.upper() for part in value.split(b",")}))
    if kind == "open-mode":
        return value[:1]
    return value


def fixed_begin(value: bytes, called: int) -> bytes:
    """
    `--begin` as it was meant when the call was made.

    Args:
        value: As given.
        called: When, seconds since the epoch.

    Returns:
        A relative time as `uts<seconds since the epoch>` (parse_time.c), anything else unchanged.
    """
    if not value.startswith(b"now"):
        return value
    rest = value[4:].decode()
    digits = rest.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = rest[len(digits) :].rstrip("s") or "second"
    return b"uts%d" % (called + (int(digits) * UNIT_SECONDS[unit] if digits else 0))


def array_options(options: dict[str, bytes | None], called: int) -> dict[str, bytes | None]:
    """
    The options that Slurm applies to a whole array, with relative times fixed; in the table's order.

    All but the dependency, which an array has by its lanes too (plan.py).
    """
    chosen = {
        name: options[name]
        for name in OPTIONS
        if name in options and OPTIONS[name][3] == ARRAY and name != "dependency"
    }
    begin = chosen.get("begin")
    if begin is not None:
        chosen["begin"] = fixed_begin(begin, called)
    return chosen


def describe_time(seconds: int) -> str:
    """A moment in local time, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
