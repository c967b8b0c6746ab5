"""The element of an array that is nobody's, so that no task has the array's own id."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.strategies import array_of, call

from sbatch_shim.companions.parts import shares_of_rest
from sbatch_shim.flush.backends.sbatch import Answer
from sbatch_shim.flush.refusals import Refusals
from sbatch_shim.flush.submit import splitting_of
from sbatch_shim.flush.wishes import Wishes
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, plan
from sbatch_shim.merge.render import render
from sbatch_shim.merge.submission import Submission, places, submission_of, without_spare
from sbatch_shim.spool import FIRST_TICKET
from sbatch_shim.state.dependency import parse as dependency_in
from sbatch_shim.state.dependency import with_places
from sbatch_shim.state.events import Splitting, Submitted, Submitting, event_in
from sbatch_shim.state.journal import History, Place, TicketMap, places_in
from sbatch_shim.state.tickets import Job

LIMITS = Limits(spares=True)
HOME = b"/state/arrays/1"


def made(count: int, limits: Limits = LIMITS, *, has_room: bool = True, **options: bytes) -> Submission:
    """The submission of so many calls that are alike, with options."""
    calls = [
        call(number, {name.replace("_", "-"): value for name, value in options.items()}) for number in range(count)
    ]
    (array,) = plan(calls, limits)
    return submission_of(array, HOME, {}, limits, TicketMap(b"/nowhere").place, has_room=has_room)


def test_an_array_of_several_calls_has_one_element_more_and_all_others_are_split_off() -> None:
    submission = made(3)
    assert (submission.spec, submission.spare, list(submission.to_split)) == (b"0-3", 3, [0, 1, 2])
    assert submission.last_waits is None
    splitting = splitting_of(submission)
    assert splitting is not None
    assert (splitting.elements, splitting.spare, splitting.for_lanes) == ("0-2", 3, False)


def test_a_spare_writes_to_no_log_of_others() -> None:
    (output,) = made(3).logs
    assert output.paths[3] == b"/dev/null" and b"/dev/null" not in [output.paths[index] for index in range(3)]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, 2),
        ({"output": b"/dev/null"}, 2),
        ({"output": b"/dev/null", "error": b"one"}, None),
        ({"output": b"one"}, None),
        ({"output": b"one", "open_mode": b"append"}, 2),
        ({"output": b"one", "open_mode": b"truncate"}, None),
        ({"output": b"%j.txt", "input": b"one"}, 2),
        ({"output": b"%N"}, None),
        ({"mail_type": b"END"}, None),
    ],
)
def test_there_is_none_where_it_would_open_a_log_or_send_mail(options: dict[str, bytes], expected: int | None) -> None:
    """Slurm opens the logs of an element before its first line, and truncates them."""
    assert made(2, **options).spare == expected


def test_a_lone_call_is_submitted_as_it_is() -> None:
    assert (made(1).spare, made(1).spec) == (None, None)
    assert (made(1, array=b"1-3").spare, made(1, array=b"1-3").spec) == (None, b"1-3")
    assert splitting_of(made(1, array=b"1-3")) is None


def test_tasks_of_a_call_of_several_wait_together_as_directly() -> None:
    """squeue shows them as one row, so their arrays have no spare, and no plain call shares them."""
    plain, two = plan([call(0), call(1, {"array": b"1-3"}), call(2), call(3, {"array": b"1-3"})], LIMITS)
    assert [len(array.calls) for array in (plain, two)] == [2, 2]
    place_of = TicketMap(b"/nowhere").place
    assert submission_of(plain, HOME, {}, LIMITS, place_of).spare == 2
    assert submission_of(two, HOME, {}, LIMITS, place_of).spec == b"0-5"


def test_a_full_array_leaves_its_last_index_to_the_spare() -> None:
    limits = Limits(array_size=4, spares=True)
    arrays = plan([call(number) for number in range(7)], limits)
    assert [array.size for array in arrays] == [3, 3, 1]
    assert made(3, limits).spec == b"0-3"
    # A call's own task ids may need all of them.
    assert [array.size for array in plan([call(0, {"array": b"0-3"}), call(1)], limits)] == [4, 1]


def test_where_a_limit_is_just_enough_for_the_tasks_there_is_none() -> None:
    assert made(3, has_room=False).spec == b"0-2"
    submission = without_spare(made(3), LIMITS, 2)
    assert (submission.spec, submission.spare, splitting_of(submission)) == (b"0-2%2", None, None)


def test_an_array_that_met_a_limit_is_tried_without() -> None:
    submission = made(3)
    refused = Answer(None, 1, "sbatch: error: AssocMaxSubmitJobLimit", temporary=True)

    def ask(submission: Submission, answer: Answer) -> bool:
        return Refusals(judged_by_site=False).ask_without_spare(submission, answer)

    assert ask(submission, refused)
    assert not ask(without_spare(submission, LIMITS, None), refused)
    assert not ask(submission, replace(refused, temporary=False))
    assert not ask(submission, replace(refused, everywhere=True))


def test_a_limit_is_asked_once_whether_the_spare_is_too_much() -> None:
    refusals = Refusals(judged_by_site=False)
    first, other = (Answer(None, 1, text, temporary=True) for text in ("AssocMaxSubmitJobLimit", "QOSMaxSubmitJob"))
    asked = [refusals.ask_without_spare(made(size), answer) for size, answer in ((9, first), (4, first), (4, other))]
    assert asked == [True, False, True]


def test_wide_lanes_leaves_arrays_as_slurm_makes_them() -> None:
    assert not Wishes(wide_lanes=True).within(LIMITS).spares
    assert Wishes().within(LIMITS).spares


def test_what_a_flush_has_to_do_is_written_down() -> None:
    for splitting in (Splitting("0-2", "x", spare=3, for_lanes=False), Splitting("0-2", "x", 2, "afterok:5_2")):
        event = Submitting(1, {FIRST_TICKET: (0, None)}, "/script", splitting=splitting)
        found = event_in(json.dumps(event.to_json()).encode())
        assert isinstance(found, Submitting) and found.splitting == splitting
        assert found.has_spare == (splitting.spare is not None)
        history = History().take([found, Submitted(1, found.tickets, 7, spare=found.has_spare)])
        assert list(history.to_split.values()) == [(found, 7)]


def place_of(array: Array, job: int) -> dict[int, Place]:
    event = event_in(json.dumps(Submitted(1, places(array), job, spare=True).to_json()).encode())
    assert isinstance(event, Submitted)
    return places_in(event)


@pytest.mark.parametrize(
    "kind, expected",
    [("afterok", b"afterok:7_0:7_1:7_2"), ("afterany", b"afterany:7"), ("after", b"after:7")],
)
def test_who_waits_for_all_of_it_to_succeed_names_the_elements(kind: str, expected: bytes) -> None:
    """The spare is cancelled, so that the array as a whole never succeeds (tried on 22.05)."""
    known = place_of(made(3).array, 7)
    waits = dependency_in(b"%s:%s" % (kind.encode(), b":".join(b"%d" % ticket for ticket in known)))
    assert with_places(waits, known.__getitem__, for_array=False, may_be_cancelled=False).spec == expected


def test_more_than_one_dependency_can_name_are_named_by_their_array() -> None:
    limits = Limits(array_size=100_001, spares=True)
    calls = [call(number) for number in range(10_001)]
    everyone = b":".join(b"%d" % one.ticket for one in calls)
    calls.append(call(len(calls), {"dependency": b"afterok:" + everyone}))
    mapped, _ = plan(calls, limits)
    assert mapped.size == 10_001 and mapped.named_whole
    calls[-1] = call(len(calls) - 1, {"dependency": b"afterok:" + everyone.rpartition(b":")[0]})
    assert not any(array.named_whole for array in plan(calls, limits))


def test_a_task_that_a_call_does_not_have_is_not_the_spare() -> None:
    (first, *_) = place_of(made(3).array, 7).values()
    assert first.element(1) == "7_4"


def test_a_row_without_tasks_is_the_spare() -> None:
    """As 26.05 shows a cancelled one, also when the rows of other elements are gone; unless it has a row of its own."""
    job = Job(7, place_of(made(3).array, 7))
    assert job.spare == 3
    assert [job.is_spare(task) for task in ("", "N/A", "3", "2", "[0-3]")] == [True, True, True, False, False]
    assert shares_of_rest(job, [0, 1, 2]) == shares_of_rest(job, [0]) == shares_of_rest(job, []) == []
    assert [part.ticket for part in shares_of_rest(job, [0, 3])] == sorted(job.places)[1:]


def test_a_spare_that_has_started_ends_without_doing_anything(tmp_path: Path) -> None:
    array = array_of([call(number, body=b"#!/bin/sh\necho ran $0\n", cwd=os.fsencode(tmp_path)) for number in range(3)])
    script = tmp_path / "script"
    for task, expected in (("2", b"ran"), ("3", b"")):
        script.write_bytes(render(array, LIMITS)[0])
        done = subprocess.run(
            ["/bin/bash", script], env={"SLURM_ARRAY_TASK_ID": task}, capture_output=True, check=True, cwd=tmp_path
        )
        assert done.stdout[:3] == expected and done.stderr == b""
