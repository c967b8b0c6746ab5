"""Ids on command lines and in columns: what names a ticket, and how Slurm writes lists of tasks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sbatch_shim.companions.formats.columns import JOBS, short_layout
from sbatch_shim.companions.formats.document import shares_of
from sbatch_shim.companions.options import Line, Unreadable, read
from sbatch_shim.companions.parts import shares_of_pending, shares_of_rest
from sbatch_shim.companions.scancel import matches
from sbatch_shim.companions.squeue import TABLE
from sbatch_shim.companions.to_tickets import dependency_with_tickets
from sbatch_shim.companions.unsubmitted import Unsubmitted
from sbatch_shim.state.dropped import without_met
from sbatch_shim.state.ids import JobId, TaskSet, compact, ranges, split_ids
from sbatch_shim.state.journal import Origin, Place
from sbatch_shim.state.tickets import Job, Tickets
from sbatch_shim.verbs.throttle import fields, started_last

T = 1000000003


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        (f"{T}", JobId(T)),
        (f"{T}_*", JobId(T)),
        (f"{T}_3", JobId(T, TaskSet((3,)))),
        (f"{T}_[1-3,7%2]", JobId(T, TaskSet((1, 2, 3, 7)), folded=True)),
        (f"{T}_[0-6:3]", JobId(T, TaskSet((0, 3, 6)), folded=True)),
        (f"{T}_3.batch", JobId(T, TaskSet((3,)), step=".batch")),
        (f"{T}.0", JobId(T, None, step=".0")),
        (f"00{T}_3", JobId(T, TaskSet((3,)))),
        (f" +{T}", JobId(T)),
        (f"{T} ", None),
        ("500001", None),
        ("2147483648", None),  # above the range of tickets
        ("10000000030", None),
        (f"x{T}", None),
        (f"{T}_", None),
        (f"{T}_[3-1]", None),
        ("", None),
    ],
)
def test_what_names_a_ticket(word: str, wanted: JobId | None) -> None:
    assert JobId.of_ticket(word) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("7", JobId(7)),
        ("7_3", JobId(7, TaskSet((3,)))),
        ("7_[1-3,9%2]", JobId(7, TaskSet((1, 2, 3, 9), 2), folded=True)),
        ("7_[0-6:3]", JobId(7, TaskSet((0, 3, 6)), folded=True)),
        ("7_[1,3,...", JobId(7, TaskSet(), folded=True)),  # sacct cuts a long list, and its bracket
        ("7_3.batch", JobId(7, TaskSet((3,)), step=".batch")),
        ("7.0", JobId(7, step=".0")),
        ("7_[3].batch", JobId(7, TaskSet((3,)), folded=True, step=".batch")),
        ("7_[1-9:4%2]", JobId(7, TaskSet((1, 5, 9), 2), folded=True)),
        ("7_[x]", JobId(7, TaskSet(), folded=True)),
        ("7_[3]x", None),
        ("_[3]", None),
        ("7_", None),
        ("7_x", None),
        ("7_3_4", None),
        ("7_\u0663", None),
        ("7+1", None),
        ("N/A", None),
        ("", None),
    ],
)
def test_ids_as_slurm_prints_them(text: str, wanted: JobId | None) -> None:
    assert JobId.printed(text) == wanted


@pytest.mark.parametrize("text", ["7", "7_3", "7_[1-3,9]", "7_3.batch", "7.0"])
def test_an_id_is_written_as_it_was(text: str) -> None:
    assert str(JobId.printed(text)) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1-4,7", (1, 2, 3, 4, 7)),
        ("0-20:10", (0, 10, 20)),
        ("3-1", ()),
        ("1,2,...", ()),
        ("1-", ()),
        ("-1", ()),
        ("1-4:", ()),
        ("1:2", ()),
        ("1-2-3", ()),
        ("N/A", ()),
        ("", ()),
    ],
)
def test_tasks_of_a_column(text: str, wanted: tuple[int, ...]) -> None:
    assert TaskSet.parse(text).ids == wanted


def test_tasks_of_a_mask() -> None:
    assert TaskSet.of_mask("0x3E") == TaskSet((1, 2, 3, 4, 5))
    assert not TaskSet.of_mask(None)
    assert not TaskSet.of_mask("")


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
    tasks = TaskSet(tuple(ids), throttle)
    assert tasks.shown() == wanted
    monkeypatch.setenv("SLURM_BITSTR_LEN", "0")
    assert TaskSet.parse(tasks.shown()) == tasks


def test_elements_are_named_together() -> None:
    assert compact(["5_1", "5_2", "7", "5_9", "8_4"]) == ["5_[1-2,9]", "7", "8_4"]
    assert ranges([9, 1, 2, 2]) == "1-2,9"


def test_a_task_belongs_to_its_call() -> None:
    places = {T + 1: Place(5, 1, "2-6:2", False, 5, 5), T: Place(5, 0, None, False, 5, 5)}
    job = Job(5, {**places, T + 2: Place(5, 4, None, False, 5, 5)})
    assert [job.task(index) for index in range(5)] == [(T, None), (T + 1, 2), (T + 1, 4), (T + 1, 6), (T + 2, None)]
    assert job.shares([0, 2, 3, 9]) == {T: [None], T + 1: [4, 6]}
    alone = Job(6, {T: Place(6, None, "3-5", True, 3, 3)})
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
        (b"afterok:%d?afterok:%d" % (T + 1, T), b"afterok:%d" % (T + 1)),  # as without that alternative
        (b"afterok:%d?aftercorr:%d" % (T, T), b"afterok:%d?aftercorr:%d" % (T, T)),
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
    layout = short_layout("a%%b%.5i%q %y", JOBS)
    assert layout.prefix == "a"
    assert [(one.token, one.width, one.right, one.suffix) for one in layout.fields] == [
        ("%b", 0, False, ""),
        ("%.5i", 5, True, ""),
        ("%q", 0, False, " "),
        ("%y", 0, False, ""),
    ]


def test_filters_of_scancel() -> None:
    values = {"state": "PENDING", "name": "a", "partition": "main"}
    assert matches(Line([("state", "pd"), ("name", "a"), ("me", None)], []), values)
    assert not matches(Line([("state", "R")], []), values)
    assert not matches(Line([("nodelist", "n1")], []), values)


def test_the_first_value_of_a_record_counts() -> None:
    line = "JobId=5 ArrayJobId=4 JobName=x JobId=9 UserId=u(7) TRES=cpu=1,mem=10M"
    assert fields(line)["JobId"] == "5"
    assert fields(line)["UserId"] == "u(7)"


def lanes() -> SimpleNamespace:
    """Two arrays of lanes: 5 holds T to T+2, 6 holds the array call T+3 with tasks 1-2, and T+4."""
    plain = {T + at: Place(5, 10 + at, None, False, 3, 13) for at in range(3)}
    others = {T + 3: Place(6, 0, "1-2", False, 3, 13), T + 4: Place(6, 12, None, False, 3, 13)}
    jobs = {5: Job(5, plain), 6: Job(6, others)}
    return SimpleNamespace(
        job_here=jobs.get, call=lambda ticket: SimpleNamespace(is_array=ticket == T + 3, tasks=[1, 2])
    )


@pytest.mark.parametrize(
    ("spec", "own", "index", "wanted"),
    [
        ("aftercorr:5_*(unfulfilled)", f"afterok:{T + 1}", 11, f"afterok:{T + 1}(unfulfilled)"),
        ("aftercorr:5_*(failed)", f"afterok:{T + 1}", 11, f"afterok:{T + 1}(failed)"),
        ("afterok:7(unfulfilled),aftercorr:5_*(unfulfilled)", f"afterok:{T}:7", 10,
         f"afterok:{T}(unfulfilled),afterok:7(unfulfilled)"),
        ("afterok:6_0(unfulfilled),afterok:6_1(unfulfilled)", f"afterok:{T + 3}", 3, f"afterok:{T + 3}_*(unfulfilled)"),
        ("afterok:6_0(unfulfilled),afterok:6_1(failed)", f"afterok:{T + 3}", 3, f"afterok:{T + 3}_*(failed)"),
        ("afterok:6_1(unfulfilled)", f"afterok:{T + 3}_2", 3, f"afterok:{T + 3}_2(unfulfilled)"),
        ("after:5_12+3(unfulfilled)", f"after:{T + 2}+3", 3, f"after:{T + 2}+3(unfulfilled)"),
        ("afterany:5_10(unfulfilled)?afterany:5_11(unfulfilled)", f"afterany:{T}?afterany:{T + 1}", 3,
         f"afterany:{T}(unfulfilled)?afterany:{T + 1}(unfulfilled)"),
        ("afterok:6_12(unfulfilled)", "", 3, f"afterok:{T + 4}(unfulfilled)"),  # given by scontrol update
        ("(null)", f"afterok:{T}", 3, "(null)"),  # it is met
    ],
)  # fmt: skip
def test_a_dependency_in_the_calls_own_words(spec: str, own: str, index: int, wanted: str) -> None:
    call = SimpleNamespace(group=None, options={"dependency": own.encode()})
    assert dependency_with_tickets(spec, lanes(), call, index) == wanted  # type: ignore[arg-type]


def test_who_is_in_a_record_without_tasks() -> None:
    """Each call of which a task has no record of its own."""
    job = lanes().job_here(6)
    assert [one.ticket for one in shares_of_rest(job, [])] == [T + 3, T + 4]
    assert [one.ticket for one in shares_of_rest(job, [0, 12])] == [T + 3]
    assert [one.ticket for one in shares_of_rest(job, [0, 1])] == [T + 4]
    assert shares_of_rest(job, [12, 1, 0]) == []


def test_who_is_in_a_record_that_still_tells_of_tasks_with_records_of_their_own() -> None:
    """Each call is in one record of the accounting, as the rows of calls are counted."""
    job = lanes().job_here(6)
    tasks = TaskSet((0, 1, 12), 5)
    assert [(one.ticket, one.tasks) for one in shares_of_pending(job, tasks, [])] == [(T + 3, [1, 2]), (T + 4, None)]
    assert [(one.ticket, one.tasks) for one in shares_of_pending(job, tasks, [0])] == [(T + 3, [2]), (T + 4, None)]
    assert [one.ticket for one in shares_of_pending(job, tasks, [0, 1])] == [T + 4]
    assert shares_of_pending(job, tasks, [12, 1, 0]) == []


@pytest.mark.parametrize(
    ("given", "short", "long"),
    [
        (None, "UNLIMITED", "UNLIMITED"),
        (b"5", "5:00", "00:05:00"),
        (b"10", "10:00", "00:10:00"),
        (b"60", "1:00:00", "01:00:00"),
        (b"10:00:00", "10:00:00", "10:00:00"),
        (b"1-1", "1-01:00:00", "1-01:00:00"),
    ],
)
def test_a_time_limit_as_slurm_shows_it(given: bytes | None, short: str, long: str) -> None:
    options = {} if given is None else {"time": given}
    call = SimpleNamespace(group=None, options=options)
    values = Unsubmitted(SimpleNamespace(tickets=None), call, "queued")  # type: ignore[arg-type]
    assert (values.short_time_limit, values.time_limit) == (short, long)


def test_a_throttled_array_loses_what_started_last() -> None:
    running = [("3", "12:00:01"), ("10", "12:00:00"), ("2", "12:00:00"), ("1", "12:00:00")]
    records = [{"JobState": "RUNNING", "ArrayTaskId": task, "StartTime": when} for task, when in running]
    records.append({"JobState": "PENDING", "ArrayTaskId": "4-9", "StartTime": "Unknown"})
    assert started_last(records, 1) == [2, 10, 3]
    assert started_last(records, 4) == []


def test_a_job_of_another_cluster_in_a_document_is_not_ours() -> None:
    """It may have the number of one of ours; its script tells."""
    ours = Job(500001, {T: Place(500001, None, None, True, 1, 1)}, Origin("/state/sessions/s/script"))
    tickets = Tickets(b"/state")
    tickets.known_by_number = {500001: [ours]}
    job = {"job_id": 500001, "name": "x", "array_job_id": 0, "array_task_id": None, "array_task_string": ""}
    for command, wanted in (
        ("/state/sessions/s/script", [T]),
        ("/state/sessions/s/script2", []),
        ("/home/somebody/job.sh", []),
        (None, []),
    ):
        found = shares_of(tickets, {**job, "command": command}, [])
        assert [one.ticket for one in found or ()] == wanted
