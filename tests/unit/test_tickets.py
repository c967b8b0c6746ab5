"""Ids on command lines and in columns: what names a ticket, and how Slurm writes lists of tasks."""

from __future__ import annotations

import pytest

from sbatch_shim.book import Job, Target, compact, spans, split_ids, target, task_string
from sbatch_shim.drop import without_met
from sbatch_shim.journal import Place
from sbatch_shim.options import Line, Unreadable, read
from sbatch_shim.scancel import matches
from sbatch_shim.shown import parse_tasks
from sbatch_shim.squeue import TABLE
from sbatch_shim.squeue_columns import short_layout
from sbatch_shim.throttle import fields

T = 1000000003


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        (f"{T}", Target(T, None, "")),
        (f"{T}_*", Target(T, None, "")),
        (f"{T}_3", Target(T, (3,), "")),
        (f"{T}_[1-3,7%2]", Target(T, (1, 2, 3, 7), "")),
        (f"{T}_[0-6:3]", Target(T, (0, 3, 6), "")),
        (f"{T}_3.batch", Target(T, (3,), ".batch")),
        (f"{T}.0", Target(T, None, ".0")),
        ("500001", None),
        ("2147483648", None),  # above the range of tickets
        ("10000000030", None),
        (f"x{T}", None),
        (f"{T}_", None),
        (f"{T}_[3-1]", None),
        ("", None),
    ],
)
def test_what_names_a_ticket(word: str, wanted: Target | None) -> None:
    assert target(word) == wanted


def test_commas_in_brackets_do_not_split() -> None:
    assert split_ids(f"{T}_[1,3],5,,{T}") == [f"{T}_[1,3]", "5", f"{T}"]


@pytest.mark.parametrize(
    ("ids", "throttle", "wanted"),
    [
        ([4], 0, "4"),
        ([1, 2, 3, 7], 2, "1-3,7%2"),
        (range(1, 100, 2), 3, "1-99:2%3"),
        ([1, 3, 5, 7, 9], 0, "1,3,5,7,9"),  # a step is shown from six ids on
        ([0, 10, 20, 30, 40, 50], 0, "0-50:10"),
        # As 22.05 shows it: 64 bytes with the final zero, three of them dots.
        (
            [1, 3, 7, 9, 12, 15, 17, 18, 19, 25, 28, 33, 37, 39, 43, 47, 55, 59, 66, 77, 79, 81, 83, 87, 99],
            0,
            "1,3,7,9,12,15,17-19,25,28,33,37,39,43,47,55,59,66,77,79,81,8...",
        ),
    ],
)
def test_a_list_of_tasks_as_slurm_writes_it(
    monkeypatch: pytest.MonkeyPatch, ids: list[int], throttle: int, wanted: str
) -> None:
    monkeypatch.delenv("SLURM_BITSTR_LEN", raising=False)
    assert task_string(ids, throttle) == wanted
    monkeypatch.setenv("SLURM_BITSTR_LEN", "0")
    assert parse_tasks(task_string(ids, throttle)) == (list(ids), throttle)


def test_elements_are_named_together() -> None:
    assert compact(["5_1", "5_2", "7", "5_9", "8_4"]) == ["5_[1-2,9]", "7", "8_4"]
    assert spans([9, 1, 2, 2]) == "1-2,9"


def test_a_task_belongs_to_its_call() -> None:
    job = Job(5)
    job.add(T + 1, Place(5, 1, "2-6:2", False, 5, 5))
    job.add(T, Place(5, 0, None, False, 5, 5))
    job.add(T + 2, Place(5, 4, None, False, 5, 5))
    assert [job.task(index) for index in range(5)] == [(T, None), (T + 1, 2), (T + 1, 4), (T + 1, 6), (T + 2, None)]
    assert job.shares([0, 2, 3, 9]) == {T: [None], T + 1: [4, 6]}
    alone = Job(6)
    alone.add(T, Place(6, None, "3-5", True, 3, 3))
    assert alone.task(4) == (T, 4)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (b"afterok:5", b"afterok:5"),
        (b"afterany:%d" % T, None),
        (b"%d" % T, None),
        (b"afternotok:%d:%d" % (T, T + 1), b"afternotok:%d" % (T + 1)),
        (b"afterany:%d,afterok:7" % T, b"afterok:7"),
        (b"afterok:%d" % T, b"afterok:%d" % T),
        (b"afterok:%d?afterany:%d" % (T + 1, T), None),  # any one is enough
        (b"afterok:%d?afterok:%d" % (T + 1, T), b"afterok:%d?afterok:%d" % (T + 1, T)),
    ],
)
def test_what_a_cancelled_job_satisfies(spec: bytes, wanted: bytes | None) -> None:
    assert without_met(spec, lambda ticket: ticket == T) == wanted


@pytest.mark.parametrize(
    "words",
    [["-h", "-j", "5", "-o", "%i"], ["-hj5", "-o%i"], ["--noheader", "--job=5", "--form=%i"], ["--noh", "-o%i", "-j5"]],
)
def test_options_are_read_as_getopt_reads_them(words: list[str]) -> None:
    table = {**TABLE, "jobs": ("j", 1)}
    line = read(words, table)
    assert line.has("noheader")
    assert (line.last("jobs"), line.last("format")) == ("5", "%i")


@pytest.mark.parametrize("words", [["--nosuch"], ["-Z"], ["--s"], ["--array=1"], ["-o"]])
def test_what_is_not_understood_is_left_to_the_real_command(words: list[str]) -> None:
    with pytest.raises(Unreadable):
        read(words, TABLE)


def test_a_format_is_read_as_squeue_reads_it() -> None:
    layout = short_layout("a%%b%.5i%q %y")
    assert layout.prefix == "a"
    assert [(one.token, one.width, one.right, one.suffix) for one in layout.fields] == [
        ("%b", 0, False, ""),
        ("%.5i", 5, True, ""),
        ("%q", 0, False, " "),
        ("%y", 0, False, ""),
    ]


def test_filters_of_scancel() -> None:
    values = {"state": "PENDING", "name": "a", "partition": "main"}
    assert matches(Line([("state", "pd"), ("name", "b,a"), ("me", None)], []), values)
    assert not matches(Line([("state", "R")], []), values)
    assert not matches(Line([("nodelist", "n1")], []), values)


def test_the_first_value_of_a_record_counts() -> None:
    line = "JobId=5 ArrayJobId=4 JobName=x JobId=9 UserId=u(7) TRES=cpu=1,mem=10M"
    assert fields(line)["JobId"] == "5"
    assert fields(line)["UserId"] == "u(7)"
