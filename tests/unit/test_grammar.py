"""The grammar against glibc's own getopt_long, which sbatch uses."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import QUICK, no_nul

from sbatch_shim.errors import HandOver
from sbatch_shim.flush.handover import with_option
from sbatch_shim.grammar import FLAG, OPTIONAL, OPTIONS, REQUIRED, SAME_FIELD, SHORT, parse
from sbatch_shim.request import check, dependency_of, dependency_place, from_environment

Parsed = tuple[list[tuple[str, "bytes | None"]], list[bytes]]


class Option(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("has_arg", ctypes.c_int),
        ("flag", ctypes.c_void_p),
        ("val", ctypes.c_int),
    ]


LIBC = ctypes.CDLL(None)
LONG = list(OPTIONS)
TABLE = (Option * (len(LONG) + 1))(
    *[Option(name.encode(), OPTIONS[name][1], None, 1000 + i) for i, name in enumerate(LONG)]
)
LETTERS = b"+" + b"".join(letter.encode() + b":" * OPTIONS[name][1] for letter, name in SHORT.items())


def glibc(words: list[bytes]) -> Parsed | None:
    """What the C library makes of the words; None for an error."""
    count = len(words) + 1
    argv = (ctypes.c_char_p * (count + 1))(b"sbatch", *words, None)
    ctypes.c_int.in_dll(LIBC, "opterr").value = 0
    index = ctypes.c_int.in_dll(LIBC, "optind")
    index.value = 0  # reset
    value = ctypes.c_char_p.in_dll(LIBC, "optarg")
    found: list[tuple[str, bytes | None]] = []
    while (code := LIBC.getopt_long(count, argv, LETTERS, TABLE, None)) != -1:
        if code == ord("?"):
            return None
        name = LONG[code - 1000] if code >= 1000 else SHORT[chr(code)]
        found.append((SAME_FIELD.get(name, name), value.value))
    return found, words[index.value - 1 :]


def ours(words: list[bytes]) -> Parsed | None:
    try:
        return parse(words)
    except HandOver:
        return None


@st.composite
def option_words(draw: st.DrawFn) -> bytes:
    """A long option, whole or cut, with or without a value; a cluster; or anything."""
    shape = draw(st.integers(0, 5))
    if shape <= 2:
        name = draw(st.sampled_from(LONG))
        cut = name[: draw(st.integers(1, len(name)))] if shape else name
        return b"--" + cut.encode() + draw(st.sampled_from([b"", b"", b"=", b"=x", b"=a=b"]))
    if shape == 3:
        letters = draw(st.lists(st.sampled_from([*SHORT, *SHORT, "5", "=", "-", ":"]), min_size=1, max_size=4))
        return b"-" + "".join(letters).encode()
    return draw(st.sampled_from([b"--", b"-", b"", b"5", b"job.sh", b"--="]) | no_nul(4))


@QUICK
@given(st.lists(option_words(), max_size=6))
def test_words_mean_what_getopt_long_takes_them_for(words: list[bytes]) -> None:
    assert ours(words) == glibc(words)


@pytest.mark.parametrize("name", LONG)
def test_every_prefix_means_what_getopt_long_takes_it_for(name: str) -> None:
    for size in range(1, len(name) + 1):
        for words in (
            [b"--" + name[:size].encode()],
            [b"--" + name[:size].encode(), b"x"],
            [b"--%s=v" % name[:size].encode()],
        ):
            assert ours(words) == glibc(words)


@pytest.mark.parametrize(
    ("line", "options", "rest"),
    [
        (b"-t5 x.sh", [("time", b"5")], b"x.sh"),
        (b"-t 5 x.sh -n 3", [("time", b"5")], b"x.sh -n 3"),
        (b"-t=5 x.sh", [("time", b"=5")], b"x.sh"),
        (b"-HOt5 x.sh --help", [("hold", None), ("overcommit", None), ("time", b"5")], b"x.sh --help"),
        (b"--nice 5 x.sh", [("nice", None)], b"5 x.sh"),
        (b"--nice=5 x.sh", [("nice", b"5")], b"x.sh"),
        (b"--exclusive user x.sh", [("exclusive", None)], b"user x.sh"),
        (b"-kno x.sh", [("no-kill", b"no")], b"x.sh"),
        (b"-k no x.sh", [("no-kill", None)], b"no x.sh"),
        (b"-H -- -n 2", [("hold", None)], b"-n 2"),
        (b"--depend=singleton x", [("dependency", b"singleton")], b"x"),
        (b"--tasks-per-node=2", [("ntasks-per-node", b"2")], b""),
        (b"--time -- x", [("time", b"--")], b"x"),
        (b"--output= x", [("output", b"")], b"x"),
        (b"- -H", [], b"- -H"),
        (b"--mem=1 --mem=2", [("mem", b"1"), ("mem", b"2")], b""),
    ],
)
def test_known_lines(line: bytes, options: list[tuple[str, bytes | None]], rest: bytes) -> None:
    assert parse(line.split()) == (options, rest.split())


@pytest.mark.parametrize(
    "line", [b"--nosuch", b"--hold=1", b"--time", b"-t", b"-y", b"-Hy", b"--res=x", b"--n=1", b"--="]
)
def test_what_getopt_refuses_or_versions_disagree_on_is_handed_over(line: bytes) -> None:
    with pytest.raises(HandOver):
        parse(line.split())


@pytest.mark.parametrize("value", [b"yes", b"1"])
def test_words_for_requeue_in_the_environment_are_left_to_sbatch(value: bytes) -> None:
    assert from_environment({b"SBATCH_NO_REQUEUE": value}) == [("no-requeue", None)]
    with pytest.raises(HandOver):
        from_environment({b"SBATCH_REQUEUE": value})


def test_the_table_is_sound() -> None:
    """Short names are single and unique, and every row tells one of the three ways to take a value."""
    letters = [row[0] for row in OPTIONS.values() if row[0]]
    assert sorted(letters) == sorted(SHORT)
    assert all(len(letter) == 1 for letter in letters)
    assert {row[1] for row in OPTIONS.values()} == {FLAG, REQUIRED, OPTIONAL}
    assert {row[1] for row in OPTIONS.values() if row[3] == "early"} <= {FLAG}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--plugin=1", "-d", "afterok:T", "/bin/sh"], (2, 0)),
        (["-dafterok:T", "--plugin", "x", "/bin/sh"], (0, 2)),
        (["--plugin", "--depend=afterok:T", "/bin/sh", "-d", "x"], (1, 9)),
        (["--dependency", "afterok:T", ":", "-d", "afterok:U", "/bin/sh"], (4, 0)),
        (["--plugin", "/bin/sh", "-d", "afterok:T"], None),
        (["--plugin", "-d"], None),
        (["--plugin", "x"], None),
    ],
)
def test_where_a_dependency_stands_among_words_that_are_not_understood(
    words: list[str], wanted: tuple[int, int] | None
) -> None:
    assert dependency_place([word.encode() for word in words]) == wanted


def test_a_dependency_behind_unknown_options_is_found_and_replaced() -> None:
    """A ticket must not reach Slurm there either: it takes an unknown job for one that has ended."""
    words = [b"--plugin=1", b"-d", b"afterok:5", b"/bin/sh", b"-d", b"mine"]
    assert dependency_of(words, None) == b"afterok:5"
    assert with_option(words, b"--dependency=afterok:7") == [*words[:2], b"afterok:7", *words[3:]]


@pytest.mark.parametrize(
    "variable", ["SBATCH_SEGMENT_SIZE", "SLURM_DEBUG_FLAGS", "SLURM_SACK_KEY", "SLURM_SACK_JWKS", "SLURM_HINT"]
)
def test_a_variable_that_some_version_reads_is_handed_over(variable: str) -> None:
    with pytest.raises(HandOver, match=variable if variable[:6] == "SLURM_" else "--segment"):
        check(from_environment({variable.encode(): b"2"}))
