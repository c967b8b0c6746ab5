"""The merge: each call once, in arrays that cannot change what any of them does."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import QUICK, call, call_lists, environment

from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, connected, halve, merge_key, plan, reason_alone, singleton_names, task_count
from sbatch_shim.spool import ticket_numbers
from sbatch_shim.state.calls import Call, comment_of_all
from sbatch_shim.state.dependency import parse

LIMITS = st.builds(Limits, array_size=st.integers(1, 12), spares=st.booleans())


def tickets(arrays: list[Array]) -> list[list[int]]:
    return [[made.ticket for made in array.calls] for array in arrays]


def shapes(calls: list[Call], **more: bool) -> list[list[int]]:
    """The plan as lists of the calls' numbers."""
    first = calls[0].ticket
    return [[ticket - first for ticket in array] for array in tickets(plan(calls, Limits(), **more))]


@QUICK
@given(call_lists(), LIMITS, st.booleans())
def test_a_plan_holds_each_call_once_within_the_limit(calls: list[Call], limits: Limits, keep_names: bool) -> None:
    before = copy.copy(calls)
    arrays = plan(calls, limits, keep_names=keep_names)
    assert calls == before
    assert sorted(ticket for array in tickets(arrays) for ticket in array) == [made.ticket for made in calls]
    for array in arrays:
        assert array.size <= limits.array_size or len(array.calls) == 1
        assert len(array.tasks()) == array.size
        indices = [task.index for task in array.tasks()]
        assert indices == sorted(set(indices))
        assert array.own_indices or indices[-1] < limits.array_size


@QUICK
@given(call_lists(), LIMITS)
def test_producers_come_before_what_waits_for_them(calls: list[Call], limits: Limits) -> None:
    submitted: set[int] = set()
    known = {made.ticket for made in calls}
    for array in plan(calls, limits):
        for made in array.calls:
            assert set(ticket_numbers(made.options.get("dependency") or b"")) & known <= submitted
        submitted |= {made.ticket for made in array.calls}


@QUICK
@given(call_lists(), LIMITS, st.booleans())
def test_equal_keys_share_and_others_do_not(calls: list[Call], limits: Limits, keep_names: bool) -> None:
    alone = {made.ticket for made in calls if reason_alone(made, made.body(), parse(made.options.get("dependency")))}
    singletons = singleton_names(calls, [parse(made.options.get("dependency")) for made in calls])
    shared: dict[object, list[Array]] = {}
    for array in plan(calls, limits, keep_names=keep_names):
        keys = {
            (
                merge_key(made, limits, keep_names=keep_names),
                singletons.get(made.ticket),
                limits.spares and made.is_array,
            )
            for made in array.calls
        }
        assert len(keys) == 1
        if alone & {made.ticket for made in array.calls}:
            assert len(array.calls) == 1 and array.alone
        elif not array.alone and not array.upstream and not array.waits.conditions:
            shared.setdefault(keys.pop(), []).append(array)
    for arrays in shared.values():
        arrays.sort(key=lambda array: array.calls[0].ticket)
        for earlier, later in zip(arrays, arrays[1:]):
            # Only a full array makes another one with the same key.
            assert earlier.calls[-1].ticket < later.calls[0].ticket
            assert earlier.size + task_count(later.calls[0]) > limits.indices


APART: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"options": {"mem": b"8G"}}, {"options": {"mem": b"4G"}}),
    ({"options": {"mem": b"8G"}}, {"options": {"mem-per-cpu": b"8G"}}),
    ({"options": {"time": b"60"}}, {"options": {"time": b"61"}}),
    ({"options": {}}, {"options": {"hold": None}}),
    ({"options": {"partition": b"a"}}, {"options": {"partition": b"A"}}),
    ({"options": {"dependency": b"afterok:7"}}, {"options": {"dependency": b"afterany:7"}}),
    ({"options": {"begin": b"now+60"}, "time": 1}, {"options": {"begin": b"now+60"}, "time": 2}),
    ({"options": {"begin": b"16:00"}, "time": 1}, {"options": {"begin": b"16:00"}, "time": 86401}),
    (
        {"options": {"begin": b"16:00"}, "env": environment(TZ=b"UTC")},
        {"options": {"begin": b"16:00"}, "env": environment(TZ=b"XYZ-1")},
    ),
    ({"options": {"time-min": b"1"}}, {"options": {}}),
    ({"options": {"error": b"/e"}}, {"options": {}}),
    ({"options": {"export": b"A"}}, {"options": {}}),
    ({"options": {"output": b"/%N.a"}}, {"options": {"output": b"/%N.b"}}),
    ({"options": {"open-mode": b"append"}}, {"options": {"open-mode": b"truncate"}}),
    ({"umask": b"0022"}, {"umask": b"0077"}),
    ({"limits": b"CPU=-1"}, {"limits": b"CPU=10"}),
    ({"sbatch": b"/usr/bin/sbatch"}, {"sbatch": b"/opt/bin/sbatch"}),
    ({"env": environment(SLURM_CONF=b"/a")}, {"env": environment(SLURM_CONF=b"/b")}),
    ({"env": environment(SLURM_CPUS_PER_TASK=b"1")}, {"env": environment(SLURM_CPUS_PER_TASK=b"2")}),
    ({"env": environment(SLURM_SPANK_X=b"1")}, {"env": environment()}),
]


@pytest.mark.parametrize("pair", APART)
def test_what_slurm_applies_to_a_whole_array_keeps_calls_apart(
    pair: tuple[dict[str, object], dict[str, object]],
) -> None:
    calls = [call(number, **fields) for number, fields in enumerate(pair)]  # type: ignore[arg-type]
    assert shapes(calls) == [[0], [1]]


TOGETHER: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"options": {"mem": b"8G"}}, {"options": {"mem": b"8192M"}}),
    ({"options": {"time": b"60"}}, {"options": {"time": b"1:00:00"}}),
    ({"options": {"begin": b"now+60"}, "time": 1}, {"options": {"begin": b"now+1minute"}, "time": 1}),
    ({"options": {"begin": b"now+60"}, "time": 1}, {"options": {"begin": b"now+59"}, "time": 2}),
    ({"options": {"mem": b"8GB"}}, {"options": {"mem": b"8G"}}),
    ({"options": {"begin": b"4:00pm"}, "time": 1}, {"options": {"begin": b"teatime"}, "time": 2}),
    ({"options": {"comment": b"a"}}, {"options": {"comment": b"b"}}),
    ({"options": {"comment": b"a"}}, {"options": {}}),
    ({"options": {"mem": b"1", "hold": None}}, {"options": {"hold": None, "mem": b"1"}}),
    ({"options": {"output": b"/a"}}, {"options": {"output": b"/b"}}),
    ({"options": {"error": b"/a"}}, {"options": {"error": b"/b"}}),
    ({"options": {"input": b"/a"}}, {"options": {}}),
    ({"options": {"job-name": b"a"}}, {"options": {}}),
    ({"options": {"chdir": b"/a"}}, {"options": {}}),
    ({"options": {"export": b"A"}}, {"options": {"export": b"NONE"}}),
    ({"options": {"array": b"0-3"}}, {"options": {}}),
    ({"cwd": b"/a"}, {"cwd": b"/b"}),
    ({"arguments": [b"1"]}, {"arguments": []}),
    ({"body": b"#!/bin/sh\n1"}, {"body": b"#!/bin/sh\n2"}),
    ({"env": environment(A=b"1")}, {"env": environment(B=b"1")}),
    ({"nice": 0}, {"nice": 5}),
    ({"host": b"a"}, {"host": b"b"}),
    ({"options": {"mail-type": b"END,FAIL"}}, {"options": {"mail-type": b"fail,end"}}),
]


@pytest.mark.parametrize("pair", TOGETHER)
def test_what_is_restored_for_each_task_keeps_nobody_apart(pair: tuple[dict[str, object], dict[str, object]]) -> None:
    calls = [call(number, **fields) for number, fields in enumerate(pair)]  # type: ignore[arg-type]
    assert shapes(calls) == [[0, 1]]


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({"array": b"0-9%2"}, b"#!/bin/sh\n"),
        ({"dependency": b"singleton"}, b"#!/bin/sh\n"),
        ({"array": b"0-9", "mail-type": b"END"}, b"#!/bin/sh\n"),
        ({"array": b"0-9", "output": b"/%j"}, b"#!/bin/sh\n"),
        ({}, b"#!/bin/sh\nscancel $SLURM_JOB_ID\n"),
        ({}, b"#!/bin/sh\nscontrol requeue ${SLURM_JOBID}\n"),
    ],
)
def test_calls_that_an_array_would_change_stay_alone(options: dict[str, bytes | None], body: bytes) -> None:
    arrays = plan([call(number, dict(options), body=body) for number in range(2)], Limits())
    assert [len(array.calls) for array in arrays] == [1, 1]
    assert all(array.alone for array in arrays)


def test_an_array_that_is_waited_for_as_an_array_stays_one() -> None:
    calls = [call(0, {"array": b"0-3"}), call(1, {"array": b"0-3"}), call(2)]
    calls.append(call(3, {"dependency": b"afternotok:%d" % calls[1].ticket}))
    assert shapes(calls) == [[0, 2], [1], [3]]


def test_job_names_can_be_kept_apart() -> None:
    calls = [call(0, {"job-name": b"a"}), call(1, {"job-name": b"b"}), call(2, {"job-name": b"a"})]
    assert shapes(calls) == [[0, 1, 2]]
    assert shapes(calls, keep_names=True) == [[0, 2], [1]]


def test_a_chain_becomes_one_array_per_link() -> None:
    calls = [call(number) for number in range(3)]
    calls += [call(3 + number, {"dependency": b"afterok:%d" % calls[0].ticket}) for number in range(3)]
    assert shapes(calls) == [[0, 1, 2], [3, 4, 5]]


@QUICK
@given(call_lists())
def test_halves_hold_what_the_whole_held(calls: list[Call]) -> None:
    for array in plan(calls, Limits()):
        if len(array.calls) > 1:
            halves = halve(array, [])
            assert [made for half in halves for made in half.calls] == array.calls
            assert all(half.calls and half.options == array.options and half.login == array.login for half in halves)


def test_comments_keep_calls_apart_where_that_is_asked_for() -> None:
    calls = [call(number, {"comment": value} if value else {}) for number, value in enumerate([b"a", b"b", b"", b"a"])]
    assert shapes(calls, keep_comments=True) == [[0, 3], [1], [2]]
    assert shapes(calls) == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("comments", "told"),
    [
        ([b"", b""], b""),
        ([b"a", b"a"], b"a"),
        ([b"a", b"b", b"a"], b"a+1"),
        ([b"", b"b", b"c"], b"b+2"),
        ([b"x" * 1022, b"b"], b"x" * 1022),
    ],
)
def test_an_array_is_given_one_comment(comments: list[bytes], told: bytes) -> None:
    assert comment_of_all([call(at, {"comment": value} if value else {}) for at, value in enumerate(comments)]) == told


@QUICK
@given(call_lists(), st.data())
def test_what_is_connected_with_a_ticket_is_a_plan_of_its_own(calls: list[Call], data: st.DataObject) -> None:
    """Nothing that is left out waits for what is in, or is waited for by it; singletons leave nothing out."""
    arrays = plan(calls, Limits())
    tickets = {call.ticket for array in arrays for call in array.calls}
    wanted = data.draw(st.sets(st.sampled_from(sorted(tickets)), max_size=2)) if tickets else set()
    found = connected(arrays, wanted)
    inside = {call.ticket for array in found for call in array.calls}
    assert wanted <= inside
    assert found == [array for array in arrays if array in found]
    for array in arrays:
        related = set(array.producers) & tickets
        assert related <= inside if array in found else not related & inside
    if any(condition.kind == "singleton" for array in arrays for condition in array.waits.conditions):
        assert found == arrays


def test_what_has_nothing_to_do_with_a_ticket_is_left_out() -> None:
    calls = [call(0), call(1, {"nice": b"7"}), call(2, {"dependency": b"afterok:%d" % call(0).ticket})]
    arrays = plan(calls, Limits())
    assert [[one.ticket for one in array.calls] for array in connected(arrays, {calls[2].ticket})] == [
        [calls[0].ticket],
        [calls[2].ticket],
    ]
    assert connected(arrays, {calls[1].ticket}) == [array for array in arrays if array.calls == [calls[1]]]
    assert connected(arrays, set()) == []
