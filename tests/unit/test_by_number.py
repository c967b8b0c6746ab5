"""Where ids stand in the command lines of the companions that know jobs by numbers only."""

from __future__ import annotations

import pytest

from sbatch_shim.companions.by_number import fitted, places_of, with_header, with_number


@pytest.mark.parametrize(
    ("command", "words", "found"),
    [
        ("sstat", ["-j", "1", "-a"], [(1, 0)]),
        ("sstat", ["-anPj1,2.0"], [(0, 5)]),
        ("sstat", ["-o", "jobid", "--jobs=3", "--jobs", "4"], [(2, 7), (4, 0)]),
        ("sstat", ["-j"], []),
        ("sprio", ["-hj", "5"], [(1, 0)]),
        ("strigger", ["--set", "-p", "/job", "--jobid=6", "--fini"], [(3, 8)]),
        ("strigger", ["--get", "-j7"], [(1, 2)]),
        ("sbcast", ["-j", "8", "1000000001", "/x/1000000001"], [(1, 0)]),
        ("sattach", ["--layout", "9.0"], [(1, 0)]),
    ],
)
def test_where_ids_stand(command: str, words: list[str], found: list[tuple[int, int]]) -> None:
    assert places_of(command, words) == found


@pytest.mark.parametrize(
    ("words", "asked", "bare"),
    [
        (["-j", "1"], ["-j", "1"], False),
        (["-n", "-j", "1"], ["-j", "1"], True),
        (["-anPj1"], ["-aPj1"], True),
        (["-noJobID", "--noheader"], ["-oJobID"], True),
        (["-j", "1", "-o", "ntasks"], ["-j", "1", "-o", "ntasks"], False),
    ],
)
def test_a_header_is_asked_for(words: list[str], asked: list[str], bare: bool) -> None:
    assert with_header(words) == (asked, bare)


@pytest.mark.parametrize(
    ("words", "asked", "hidden"),
    [
        (["-j", "1"], ["-j", "1"], 0),
        (["-o", "NTasks"], ["-o", "JobID%40,NTasks"], 1),
        (["-aPoNTasks"], ["-aPoJobID%40,NTasks"], 1),
        (["--format=NTasks"], ["--format=JobID%40,NTasks"], 1),
        (["--format", "NTasks"], ["--format", "JobID%40,NTasks"], 1),
    ],
)
def test_the_number_is_asked_for(words: list[str], asked: list[str], hidden: int) -> None:
    assert with_number(words) == (asked, hidden)


def test_a_cell_is_cut_as_sstat_cuts() -> None:
    assert fitted(b"500001.batch", b"1000000001", table=True) == b"1000000001.+"
    assert fitted(b"500001.0    ", b"1000000001", table=True) == b"1000000001.0"
    assert fitted(b"     500001.0", b"1000000001", table=True) == b" 1000000001.0"
    assert fitted(b"500001.extern", b"1000000001", table=False) == b"1000000001.extern"
