"""Option values compared by meaning: `8G` and `8192M`, `60` and `1:00:00` are the same to Slurm."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from sbatch_shim.grammar import ARRAY, KIND, OPTIONS, ROLE
from sbatch_shim.values import TIME_UNITS, later, megabytes, minutes, moment

UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
assert {unit.decode().rstrip("s") for unit in TIME_UNITS if unit} == set(UNIT_SECONDS)


def canonical(name: str, value: bytes | None) -> bytes | None:
    """A spelling that is the same for all values that mean the same."""
    kind = OPTIONS[name][KIND]
    if kind == "user-env":
        return b""  # its value is for root alone
    if value is None:
        if kind == "nice":
            return b"100"
        return None
    if kind == "mem":
        return b"%d" % megabytes(value)
    if kind in ("time", "time-min"):
        return b"%d" % minutes(value)
    if kind == "count":
        return b"%d" % int(value)
    if kind == "nodes":
        low, _, high = value.partition(b"-")
        return b"%d-%d" % (int(low), int(high or low))
    if kind == "mail-type":
        return b",".join(sorted({part.upper() for part in value.split(b",")}))
    if kind in ("cpu-freq", "mem-bind"):
        return value.lower()
    if kind == "profile":
        return b",".join(sorted(set(value.lower().split(b","))))
    if kind == "open-mode":
        return value[:1]
    return value


@lru_cache
def fixed_begin(value: bytes, called: int, zone: bytes | None) -> bytes:
    """
    `--begin` as it was meant when the call was made.

    Args:
        value: As given.
        called: When, seconds since the epoch.
        zone: The caller's TZ, None for the machine's time zone.

    Returns:
        `uts<seconds since the epoch>` (parse_time.c); what is in that form already, unchanged.
    """
    if value.startswith(b"uts"):
        return value
    if value.startswith(b"now"):
        count, unit = later(value)
        return b"uts%d" % (called + count * UNIT_SECONDS[unit.decode().rstrip("s") or "second"])
    with time_zone(zone):
        return b"uts%d" % seconds_of(*moment(value), called)


def seconds_of(day: bytes | tuple[int, int, int], clock: tuple[int, int, int] | None, called: int) -> int:
    """
    An absolute time in seconds since the epoch, by `parse_time` (22.05 to 26.05): in the zone of this process.

    Args:
        day, clock: See values.moment.
        called: The moment from which the next one of its kind is meant.
    """
    now, morrow = time.localtime(called), time.localtime(called + UNIT_SECONDS["day"])
    at = clock or (0, 0, 0)
    # Slurm compares no seconds: at 16:00:59 the time 16:00 is that of tomorrow.
    passed = at[:2] <= (now.tm_hour, now.tm_min)
    if isinstance(day, tuple):
        year, month, number = day
        if not year:
            gone = (month, number, *at[:2]) <= (now.tm_mon, now.tm_mday, now.tm_hour, now.tm_min)
            year = now.tm_year + gone
        date = (year, month, number)
    else:
        date = (morrow if day == b"tomorrow" or (not day and passed) else now)[:3]
    return int(time.mktime((*date, *at, 0, 0, -1)))


@contextmanager
def time_zone(zone: bytes | None) -> Iterator[None]:
    """The C library's time zone as it is where TZ is `zone` (None: unset)."""
    before = os.environb.get(b"TZ")
    set_zone(zone)
    try:
        yield
    finally:
        set_zone(before)


def set_zone(zone: bytes | None) -> None:
    if zone is None:
        os.environb.pop(b"TZ", None)
    else:
        os.environb[b"TZ"] = zone
    time.tzset()


def array_options(
    options: Mapping[str, bytes | None], called: int, zone: bytes | None = None
) -> dict[str, bytes | None]:
    """
    The options that Slurm applies to a whole array, with times fixed; in the table's order.

    All but the dependency, which an array has by its lanes too (plan.py).

    Args:
        called, zone: When and in which time zone, see fixed_begin.
    """
    chosen = {
        name: options[name]
        for name in OPTIONS
        if name in options and OPTIONS[name][ROLE] == ARRAY and name != "dependency"
    }
    begin = chosen.get("begin")
    if begin is not None:
        chosen["begin"] = fixed_begin(begin, called, zone)
    return chosen


def describe_time(seconds: int) -> str:
    """A moment in local time, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
