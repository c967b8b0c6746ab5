"""The recognisers: a value that is taken is surely valid; one that is refused goes to the real sbatch."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import QUICK

from sbatch_shim.grammar import HAND, OPTIONS
from sbatch_shim.merge.meaning import canonical, fixed_begin, time_zone
from sbatch_shim.values import MAX_INDEX, RECOGNISERS, indices, megabytes, minutes

# kind: (taken, refused)
EXAMPLES: dict[str, tuple[list[bytes | None], list[bytes | None]]] = {
    "any": ([b"", b"x", b"\xff\n"], []),
    "array": (
        [b"0", b"1-7:2", b"3,1,2,1", b"0-4%2", b"04,08", b"1000", b"0-1000", b"1-10:20"],
        [
            b"",
            b"%5",
            b"5-1",
            b"1001",
            b"0-1001",
            b"1:3",
            b"1-3-5",
            b"[1-3]",
            b"1,,2",
            b"1-3,",
            b" 1",
            b"1 ",
            b"+3",
            b"0x3",
            b"1-3:0",
            b"1-3%0",
            b"1-3%",
            b"1-3%2%3",
            b"1-5%2,7",
            b"1-3:-1",
            b"-1",
            b"1\n",
        ],
    ),
    "bare": ([None], [b"", b"x"]),
    "begin": (
        [
            b"now",
            b"now+1",
            b"now+5minutes",
            b"now+1hour",
            b"2030-01-28",
            b"2030-12-01T09:05",
            b"2030-12-01T23:59:59",
            b"2030-02-31",
            b"2030-01-01T9:00",
            b"2030-01-01 9:00pm",
            b"noon",
            b"Midnight",
            b"fika",
            b"teatime",
            b"16:00",
            b"4:00pm",
            b"4:00 PM",
            b"12:30:15am",
            b"today",
            b"tomorrow",
            b"tomorrow noon",
            b"noon tomorrow",
            b"tomorrowT16:00",
            b"16:00-12/01",
            b"12/01/26",
            b"1/5",
            b"12.01.26",
            b"120126",
            b"1201",
            b"12/01/26-10:00",
        ],
        [
            b"",
            b"now+",
            b"now-1",
            b"now+1fortnight",
            b"now+x",
            b"nowhere",
            b"elevenses",
            b"Tomorrow",
            b"Teatime",
            b"now+1h",
            b"now + 1hour",
            b"16",
            b"4pm",
            b"13:00pm",
            b"0:0",
            b"24:00",
            b"23:60",
            b"4:00pmpm",
            b"noon pm",
            b"pm",
            b"noon noon",
            b"16:00 noon",
            b"today tomorrow",
            b"12/01/2026",
            b"12/01/00",
            b"12/01.26",
            b"13/01",
            b"12/32",
            b"0/1",
            b"12-01-26",
            b"1600",
            b"12012",
            b"T",
            b"-",
            b" ",
            b"noon\ttomorrow",
            b"2030-13-01",
            b"2030-1-1",
            b"1999-01-01",
            b"2030-01-01T24:00",
            b"2030-01-01T09:60",
            b"2030-01-01T",
            b"2030-01-01T10",
        ],
    ),
    "count": ([b"1", b"04", b"1000000"], [b"", b"0", b"-1", b"+1", b"1.5", b"1k", b"1000001", b" 1", b"99999999999"]),
    "cpu-freq": (
        [b"low", b"Medium", b"high", b"HighM1", b"2400000"],
        [b"", b"0", b"2GHz", b"Performance", b"ondemand", b"1000-2000", b"low-high:userspace", b"x"],
    ),
    "dependency": (
        [
            b"singleton",
            b"afterok:1",
            b"afterany:1:2",
            b"after:1+5",
            b"afterok:1,afternotok:2",
            b"afterok:1?afterany:2",
            b"afterok:1_2",
            b"afterok:1_*",
            b"singleton,afterok:3",
            b"aftercorr:4294967294",
            b"1",
            b"afterok:1,2",
            b"AFTEROK:1",
        ],
        [
            b"",
            b"afterok",
            b"afterok:",
            b"afterok:0",
            b"afterok:1,",
            b"afterok:1_[1-3]",
            b"afterok:1_1-3",
            b"after:1+0",
            b"afterok:1+5",
            b"expand:1",
            b"afterok:-5",
            b"afterok:99999999999",
            b" afterok:1",
            b"afterok:1?afterok:2,afterok:3",
            b"afterok:1.0",
            b"afterok:1:afterany:2",
        ],
    ),
    "distribution": (
        [b"block", b"cyclic:fcyclic", b"block:block"],
        [b"", b"plane=4", b"block:", b"BLOCK", b"arbitrary"],
    ),
    "exclusive": ([None, b"user", b"mcs"], [b"", b"topo", b"yes"]),
    "export": ([b"", b"ALL", b"none", b"A,B=c", b"NIL"], [b"A='", b'A="x']),
    "flag": ([None], [b"", b"yes"]),
    "gpu-bind": (
        [b"none", b"closest", b"single:2", b"verbose,closest"],
        [b"", b"foo", b"single:", b"single:0", b"verbose", b"map_gpu:0,1", b"closest,verbose"],
    ),
    "gpus": ([b"1", b"a100:2", b"tesla_v100:1"], [b"", b"0", b"a100", b":2", b"a:b:2", b"a:1,b:2", b"a b:1"]),
    "gres": ([b"gpu:1", b"gpu:a100:2,scratch:5"], [b"", b"help", b"list", b"gpu 1"]),
    "host": ([b"n1", b"node-01.site"], [b"", b"a,b", b"n[1-2]", b"./nodes", b"a b"]),
    "hosts": (
        [b"n1", b"a,b", b"n[1-2]", b"a[1-3,5],b[01-04]", b"a[1-2]b[3-4]"],
        [b"", b"./nodes", b"a/b", b"a b", b"a[1-", b"a]", b"a[]", b"a,,b", b"a,", b"a[x-y]", b"a{1,2}", b"a][b"],
    ),
    "gres-flags": ([b"disable-binding", b"enforce-binding"], [b"", b"one-task-per-sharing"]),
    "hint": ([b"nomultithread", b"compute_bound"], [b"", b"help", b"NOMULTITHREAD"]),
    "mail-type": (
        [b"END", b"end,FAIL", b"ALL", b"TIME_LIMIT_80", b"none"],
        [b"", b"NONE,END", b"END,NONE", b"END,", b"END FAIL", b"SOON"],
    ),
    "mem": (
        [b"0", b"100", b"8G", b"8192m", b"1T", b"2k", b"8GB", b"8Gb", b"8gb", b"8gB", b"100kb", b"1TB", b"0MB"],
        [b"", b"G", b"GB", b"B", b"8B", b"8GBB", b"8GiB", b"8BG", b"1.5GB", b"1.5G", b"-1", b"8 GB", b"1P", b"1e3"],
    ),
    "mem-bind": (
        [b"local", b"None", b"verbose,local", b"q,rank", b"prefer,local"],
        [b"", b"help", b"yes", b"local,", b"sort", b"map_mem:0", b"mask_mem:0x1", b"nodes"],
    ),
    "nice": ([None, b"0", b"100"], [b"", b"-5", b"+5", b"x", b"2147483646"]),
    "nodes": ([b"1", b"2-4", b"3-3"], [b"", b"0", b"2-1", b"abc", b"1-", b"-2", b"1k", b"1-2-3", b"1,3"]),
    "open-mode": ([b"append", b"truncate", b"a", b"t"], [b"", b"A", b"trunc"]),
    "path": (
        [b"x", b"/a b\n", b"\xff", b"x" * 4095, b"%j", b"%04a_%A.%x", b"%%", b"%%%j", b"%%b", b"\\%j"],
        [b"", b"x" * 4096, b"%b", b"%%%b", b"%r", b"%S", b"%z", b"%5z", b"%5%%j", b"x%", b"x%5", b"%-4j", b"r\\\\"],
    ),
    "profile": (
        [b"none", b"ALL", b"task", b"Energy,Task", b"lustre,network"],
        [b"", b"foo", b"energy,foo", b"all,task", b"filesystem", b"task,"],
    ),
    "propagate": ([None, b"ALL", b"NONE", b"CORE,NOFILE"], [b"", b"core", b"FOO", b"ALL,"]),
    "signal": (
        [b"USR1", b"SIGUSR1", b"B:USR1@30", b"10", b"B:15@1", b"TERM@65535"],
        [b"", b"0", b"R:USR1", b"b:USR1", b"USR1@", b"USR1@0", b"USR1@65536", b"FOO", b"usr1", b"99", b":USR1"],
    ),
    "switches": (
        [b"1", b"2@10:00", b"1@60", b"3@1-0"],
        [b"", b"0", b"-1", b"a", b"1@", b"1@0", b"1@abc", b"1@-5", b"1@INFINITE", b"1@2@3"],
    ),
    "text": ([b"a", b"a b", b"\xc3\xa4", b"x" * 1023], [b"", b"a\n", b"a\tb", b"\x7f", b"x" * 1024]),
    "time": (
        [b"1", b"60", b"1:30", b"0:30", b"1:00:00", b"1-0", b"1-2:03:04", b"UNLIMITED", b"infinite"],
        [
            b"",
            b"0",
            b"0:0",
            b"0-0",
            b"-1",
            b"1:",
            b":1",
            b"1:2:3:4",
            b"1-2-3",
            b"1-",
            b"-",
            b"1d",
            b"1.5",
            b" 1",
            b"+1",
        ],
    ),
    "time-min": ([b"1", b"0:10", b"1:00:00", b"2-0"], [b"", b"0", b"UNLIMITED", b"abc", b"-1"]),
    "user-env": ([None, b"", b"L", b"S", b"l", b"10", b"10L"], [b"x", b"LL", b"L10", b"-1", b"10 L", b"99999"]),
    "word": ([b"gpu:2", b"a,b", b"lic@server:1"], [b"", b"a b", b"a*2", b"a;b", b"\xff"]),
    "yes-no": ([b"yes", b"no"], [b"", b"YES", b"1"]),
    "zero-one": ([b"0", b"1"], [b"", b"2", b"x", b"01"]),
}


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_examples(kind: str) -> None:
    taken, refused = EXAMPLES[kind]
    assert [value for value in taken if not RECOGNISERS[kind](value)] == []
    assert [value for value in refused if RECOGNISERS[kind](value)] == []


def test_every_kind_has_a_recogniser_and_examples() -> None:
    used = {row[4] for row in OPTIONS.values() if row[3] != HAND and row[4]}
    assert used <= set(RECOGNISERS)
    assert set(EXAMPLES) == set(RECOGNISERS)


# A flag or an optional argument may come without a value, a required one never does.
@QUICK
@given(st.sampled_from(sorted(RECOGNISERS)), st.binary(max_size=12))
def test_recognisers_judge_any_bytes(kind: str, value: bytes) -> None:
    """They answer yes or no, never with an exception, and what they take has a canonical spelling."""
    answer = RECOGNISERS[kind](value)
    assert answer is True or answer is False
    if answer:
        for name, row in OPTIONS.items():
            if row[4] == kind and row[3] == "array":
                assert isinstance(canonical(name, value), bytes)


@pytest.mark.parametrize(
    ("spec", "count", "low", "high", "step"),
    [
        (b"1-7:2", 4, 1, 7, 2),
        (b"1,3,7", 3, 1, 7, 1),
        (b"5", 1, 5, 5, 1),
        (b"0-4%2", 5, 0, 4, 1),
        (b"3,1,2", 3, 1, 3, 1),
        (b"0-9:3,20", 5, 0, 20, 3),
        (b"1-4,6-8:2", 6, 1, 8, 2),
        (b"0-2:5", 1, 0, 0, 5),
        (b"2,6,10", 3, 2, 10, 1),
        (b"04,08", 2, 4, 8, 1),
        (b"3,1,2,1", 3, 1, 3, 1),
        (b"1-10:20", 1, 1, 1, 20),
        (b"1-2:7,4-8:2", 4, 1, 8, 7),
    ],
)
def test_array_specs_as_slurm_told_its_tasks(spec: bytes, count: int, low: int, high: int, step: int) -> None:
    """COUNT, MIN, MAX and STEP that tasks of Slurm 22.05 had."""
    ids, _, told = indices(spec)
    assert (len(ids), ids[0], ids[-1], told) == (count, low, high, step)


def test_the_throttle_is_the_number_behind_the_percent_sign() -> None:
    assert [indices(spec)[1] for spec in (b"1-5%2", b"1-5", b"1,7%100")] == [2, 0, 100]


PARTS = st.tuples(st.integers(0, MAX_INDEX), st.integers(0, 50), st.integers(1, 60), st.sampled_from("nrs"))


@QUICK
@given(st.lists(PARTS, min_size=1, max_size=6))
def test_array_specs_are_the_union_of_their_parts(parts: list[tuple[int, int, int, str]]) -> None:
    words, wanted = [], set()
    for low, length, step, shape in parts:
        high = min(low + length, MAX_INDEX)
        words.append({"n": f"{low}", "r": f"{low}-{high}", "s": f"{low}-{high}:{step}"}[shape])
        wanted |= {"n": {low}, "r": set(range(low, high + 1)), "s": set(range(low, high + 1, step))}[shape]
    assert indices(",".join(words).encode())[0] == sorted(wanted)


def test_an_array_spec_ends_at_4096_bytes() -> None:
    spec = b",".join([b"1"] * 2048)
    assert len(spec) == 4095
    assert indices(spec + b"1")[0] == [1, 11]
    with pytest.raises(ValueError):
        indices(spec + b",1")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"60", 60),
        (b"1:00:00", 60),
        (b"0-1", 60),
        (b"0-1:0:0", 60),
        (b"1:30", 2),
        (b"0:01", 1),
        (b"1:00", 1),
        (b"00:00:01", 1),
        (b"1-1:1:1", 1502),
        (b"2-0", 2880),
        (b"unlimited", -1),
    ],
)
def test_minutes(value: bytes, wanted: int) -> None:
    assert minutes(value) == wanted


@QUICK
@given(st.integers(0, 40), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_time_means_the_same_in_each_form(days: int, hours: int, mins: int, secs: int) -> None:
    seconds = ((days * 24 + hours) * 60 + mins) * 60 + secs
    whole = -(-seconds // 60)
    assert minutes(b"%d-%d:%02d:%02d" % (days, hours, mins, secs)) == whole
    assert minutes(b"%d:%d:%d" % (days * 24 + hours, mins, secs)) == whole
    assert minutes(b"%d:%d" % (seconds // 60, secs)) == whole


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"0", 0),
        (b"100", 100),
        (b"1k", 1),
        (b"1024K", 1),
        (b"1025K", 2),
        (b"8g", 8192),
        (b"8192M", 8192),
        (b"1T", 1048576),
        (b"8GB", 8192),
        (b"1025kb", 2),
        (b"1tB", 1048576),
    ],
)
def test_megabytes(value: bytes, wanted: int) -> None:
    assert megabytes(value) == wanted


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("mem", [b"8G", b"8192", b"8192m", b"8388608K", b"8GB", b"8Gb", b"8192MB"]),
        ("time", [b"60", b"1:00:00", b"0-1", b"59:01"]),
        ("cpus-per-task", [b"2", b"02"]),
        ("nodes", [b"2", b"2-2", b"02"]),
        ("mail-type", [b"END,FAIL", b"fail,end,END"]),
        ("open-mode", [b"append", b"a"]),
        ("time-min", [b"60", b"1:00:00"]),
        ("mincpus", [b"2", b"02"]),
        ("profile", [b"energy,task", b"Task,Energy"]),
        ("cpu-freq", [b"high", b"High"]),
        ("nice", [None, b"100"]),
        ("get-user-env", [None, b"L", b"10S"]),
    ],
)
def test_values_are_compared_by_meaning(name: str, same: list[bytes | None]) -> None:
    assert len({canonical(name, value) for value in same}) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"now", 0),
        (b"now+5", 5),
        (b"now+5minutes", 300),
        (b"now+1hour", 3600),
        (b"now+2days", 172800),
        (b"now+1week", 604800),
    ],
)
def test_a_relative_begin_is_counted_from_the_call(value: bytes, seconds: int) -> None:
    assert fixed_begin(value, 1700000000, None) == b"uts%d" % (1700000000 + seconds)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        # As sbatch of 22.05, 24.11 and 26.05 reads them on a Wednesday, 2026-11-25 22:42:48.
        (b"2030-01-01", "2030-01-01T00:00:00"),
        (b"2026-12-01T10:00:30", "2026-12-01T10:00:30"),
        (b"2027-02-30", "2027-03-02T00:00:00"),
        (b"2020-01-01", "2020-01-01T00:00:00"),
        (b"22:43", "2026-11-25T22:43:00"),
        (b"22:42", "2026-11-26T22:42:00"),
        (b"22:42:59", "2026-11-26T22:42:59"),
        (b"4:00", "2026-11-26T04:00:00"),
        (b"4:00pm", "2026-11-26T16:00:00"),
        (b"11:00 PM", "2026-11-25T23:00:00"),
        (b"12:00am", "2026-11-26T00:00:00"),
        (b"12:05pm", "2026-11-26T12:05:00"),
        (b"today", "2026-11-25T00:00:00"),
        (b"tomorrow", "2026-11-26T00:00:00"),
        (b"today noon", "2026-11-25T12:00:00"),
        (b"noon", "2026-11-26T12:00:00"),
        (b"midnight", "2026-11-26T00:00:00"),
        (b"fika", "2026-11-26T15:00:00"),
        (b"teatime tomorrow", "2026-11-26T16:00:00"),
        (b"tomorrowT16:00", "2026-11-26T16:00:00"),
        (b"12/01/26", "2026-12-01T00:00:00"),
        (b"12/01/26-10:00", "2026-12-01T10:00:00"),
        (b"10:00 12.01", "2026-12-01T10:00:00"),
        (b"1/15", "2027-01-15T00:00:00"),
        (b"11/25", "2027-11-25T00:00:00"),
        (b"11/25 22:43", "2026-11-25T22:43:00"),
        (b"11/25 22:42", "2027-11-25T22:42:00"),
        (b"010112", "2012-01-01T00:00:00"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York", "EST5EDT", "XYZ-3"])
def test_a_begin_is_read_with_the_clock_and_in_the_zone_of_the_call(value: bytes, wanted: str, zone: str) -> None:
    with time_zone(zone.encode()):
        called = int(time.mktime((2026, 11, 25, 22, 42, 48, 0, 0, -1)))
    before = os.environ.get("TZ"), time.tzname
    told = fixed_begin(value, called, zone.encode())
    assert (os.environ.get("TZ"), time.tzname) == before
    with time_zone(zone.encode()):
        assert time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(int(told.removeprefix(b"uts")))) == wanted
    assert fixed_begin(told, called + 99999, b"UTC") == told


def test_tomorrow_is_a_day_of_24_hours_later_where_clocks_change() -> None:
    """At half past midnight before an hour is skipped, 24 hours later is the day after all the same."""
    with time_zone(b"Europe/Berlin"):
        called = int(time.mktime((2027, 3, 28, 0, 30, 0, 0, 0, -1)))
        wanted = int(time.mktime((2027, 3, 29, 0, 0, 0, 0, 0, -1)))
    assert fixed_begin(b"tomorrow", called, b"Europe/Berlin") == b"uts%d" % wanted
