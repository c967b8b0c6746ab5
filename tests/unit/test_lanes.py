"""Dependencies: whatever the plan, each task waits for exactly the tasks that it would wait for directly."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.simulator import Job, Task, outcomes, waits
from support.strategies import QUICK, call

from sbatch_shim.errors import ShimError
from sbatch_shim.merge import submission
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, halve, plan
from sbatch_shim.state.calls import Call
from sbatch_shim.state.dependency import parse, with_places
from sbatch_shim.state.events import Splitting, Submitted, Submitting, event_in
from sbatch_shim.state.journal import Place, places_in
from sbatch_shim.values import indices, is_dependency

KINDS = ["afterok"] * 6 + ["afterany", "after", "afternotok", "aftercorr"]
HOW = ["same"] * 6 + ["all", "first", "next", "element", "two"]


@st.composite
def pipelines(draw: st.DrawFn) -> list[Call]:
    """
    Stages over samples, as scripts submit them: in either order, with samples that lack a stage, some stages as
    arrays, waiting for the sample's own jobs, for all, for a set-up job, for a neighbour, for elements.
    """
    samples = draw(st.integers(1, 7))
    stages = []
    for number in range(draw(st.integers(1, 5))):
        edge = st.tuples(st.sampled_from(KINDS), st.integers(0, max(0, number - 1)), st.sampled_from(HOW))
        edges = draw(st.lists(edge, max_size=3)) if number else []
        spec = draw(st.sampled_from([None] * 5 + [b"1-3", b"2,4", b"7"]))
        stages.append((draw(st.sampled_from([b"1G", b"2G"])), edges, spec, draw(st.sampled_from(",,,?"))))
    order = [(sample, stage) for sample in range(samples) for stage in range(len(stages))]
    if draw(st.booleans()):
        order.sort(key=lambda pair: pair[1])
    skipped = draw(st.sets(st.sampled_from(order), max_size=3))
    calls: list[Call] = []
    made: dict[tuple[int, int], Call] = {}
    for sample, stage in order:
        if (sample, stage) in skipped:
            continue
        memory, edges, spec, separator = stages[stage]
        terms = []
        for kind, other, how in edges:
            wanted = {
                "all": range(samples),
                "first": [0],
                "next": [sample, sample + 1],
                "two": [sample - sample % 2, sample - sample % 2 + 1],
            }.get(how, [sample])
            ids = []
            for one in wanted:
                producer = made.get((one, other))
                if producer is not None:
                    local = draw(st.sampled_from([1, 2, 3, 7])) if how == "element" and producer.is_array else None
                    ids.append(f"{producer.ticket}" + ("" if local is None else f"_{local}"))
            if ids:
                terms.append(":".join([kind, *ids]))
        options: dict[str, bytes | None] = {"mem": memory}
        if spec:
            options["array"] = spec
        if terms:
            options["dependency"] = separator.join(terms).encode()
        made[sample, stage] = call(len(calls), options)
        calls.append(made[sample, stage])
    return calls


LIMITS = st.builds(
    Limits, array_size=st.integers(3, 9) | st.just(1001), lookahead=st.sampled_from([2, 10]), spares=st.booleans()
)


def direct(calls: list[Call]) -> list[Job]:
    """The calls as they would have been submitted."""
    return [
        Job(made.ticket, made.tasks if made.is_array else None, (made.options.get("dependency") or b"").decode())
        for made in calls
    ]


USUAL = Limits()


def merged(arrays: list[Array], limits: Limits = USUAL) -> tuple[list[Job], dict[Task, Task | None]]:
    """The arrays as the flush submits them, and for each of their tasks the one that it stands for (a spare: none)."""
    known: dict[int, Place] = {}

    def place_of(ticket: int) -> Place:
        if ticket not in known:
            raise ShimError(f"{ticket} is not submitted yet")
        return known[ticket]

    jobs = []
    names: dict[Task, Task | None] = {}
    for number, array in enumerate(arrays, 500001):
        spare = submission.spare_of(array, limits, ())
        spec = submission.array_spec(array, None, limits, spare)
        found = None if spec is None else indices(spec)[0]
        jobs.append(Job(number, found, submission.dependency(array, limits, place_of).spec.decode()))
        if spare is not None:
            names[number, spare] = None
        taken = Submitted(1, submission.places(array), number, spare=spare is not None)
        event = event_in(json.dumps(taken.to_json()).encode())
        assert isinstance(event, Submitted)
        known.update(places_in(event))
        for placed in array.tasks():
            index, made, local = placed.index, placed.call, placed.local_id
            task = (number, None if spec is None else index)
            assert task in jobs[-1].tasks() and task not in names
            names[task] = (made.ticket, local)
    return jobs, names


def check(calls: list[Call], arrays: list[Array], limits: Limits) -> None:
    before = {job.number: job for job in direct(calls)}
    jobs, names = merged(arrays, limits)
    after = {job.number: job for job in jobs}
    spares = {task for task, name in names.items() if name is None}
    stood_for = [name for name in names.values() if name is not None]
    assert sorted(stood_for, key=str) == sorted((task for job in before.values() for task in job.tasks()), key=str)
    for task, name in names.items():
        if name is None:
            continue
        any_of, atoms = waits(after, task)
        # A spare is cancelled, which lets nobody start who waits for it to succeed, and all others.
        assert not any(what == "succeeded" and tasks & spares for what, tasks in atoms)
        translated = frozenset(
            (what, frozenset(names[one] for one in tasks)) for what, tasks in atoms if tasks - spares
        )
        assert (any_of, translated) == waits(before, name), f"task {name} waits for other tasks in {after[task[0]]}"
    for array in arrays:
        numbers = [task.index for task in array.tasks()]
        spare = submission.spare_of(array, limits, ())
        if spare is not None:
            assert spare == numbers[-1] + 1 < limits.array_size
            assert list(submission.elements_to_split(array, limits, spare)) == numbers
        elif array.upstream and len(numbers) > limits.lookahead:
            assert list(submission.elements_to_split(array, limits)) == numbers[:-1]
        assert array.size <= limits.array_size or len(array.calls) == 1


@QUICK
@given(pipelines(), LIMITS)
def test_every_task_waits_for_what_it_named(calls: list[Call], limits: Limits) -> None:
    check(calls, plan(calls, limits), limits)


@QUICK
@given(pipelines(), LIMITS, st.data())
def test_halves_still_wait_for_what_was_named(calls: list[Call], limits: Limits, data: st.DataObject) -> None:
    arrays = plan(calls, limits)
    for _ in range(3):
        large = [at for at, array in enumerate(arrays) if len(array.calls) > 1]
        if large:
            at = data.draw(st.sampled_from(large))
            arrays[at:] = halve(arrays[at], arrays[at + 1 :])
    check(calls, arrays, limits)


@QUICK
@given(pipelines(), st.booleans(), st.data())
def test_every_task_ends_as_it_would_directly(calls: list[Call], spares: bool, data: st.DataObject) -> None:
    limits = Limits(spares=spares)
    jobs, names = merged(plan(calls, limits), limits)
    tasks = [task for job in direct(calls) for task in job.tasks()]
    failing = data.draw(st.sets(st.sampled_from(tasks))) if tasks else set()
    cancelled = {task for task, name in names.items() if name is None}
    ended = outcomes(jobs, {task for task, name in names.items() if name in failing}, cancelled)
    told = {name: ended[task] for task, name in names.items() if name is not None}
    assert told == outcomes(direct(calls), failing)


def sizes(calls: list[Call], **limits: int) -> list[int]:
    arrays = plan(calls, Limits(**limits))
    check(calls, arrays, Limits(**limits))
    return [array.size for array in arrays]


def build(*stages: tuple[int, str]) -> list[Call]:
    """Calls from (how many, dependency with {0}, {1}.. for earlier tickets and {i} for the call's number)."""
    calls: list[Call] = []
    first: list[int] = []
    for count, spec in stages:
        first.append(len(calls))
        for i in range(count):
            options: dict[str, bytes | None] = {}
            if spec:
                options["dependency"] = fill(spec, i, first).encode()
            calls.append(call(len(calls), options))
    return calls


def fill(text: str, i: int, first: list[int]) -> str:
    """`s0` in braces is stage 0's call of the same number; `s0+3`, `s0*2` shift or scale it; `s0=4` is call 4."""
    out = []
    for piece in text.split("{"):
        name, brace, rest = piece.partition("}")
        if not brace:
            out.append(piece)
            continue
        stage, at = int(name[1]), i
        if name[2:3] == "+":
            at = i + int(name[3:])
        elif name[2:3] == "*":
            factor, _, more = name[3:].partition("+")
            at = i * int(factor) + int(more or 0)
        elif name[2:3] == "=":
            at = int(name[3:])
        out.append(str(1000000000 + first[stage] + at) + rest)
    return "".join(out)


@pytest.mark.parametrize(
    ("calls", "wanted"),
    [
        (build((100, ""), (100, "afterok:{s0}"), (100, "afterok:{s1}")), [100, 100, 100]),
        (build((100, ""), (100, "afterok:{s0}"), (100, "afterok:{s0}"), (100, "afterok:{s1}:{s2}")), [100] * 4),
        (build((1, ""), (100, "afterok:{s0=0}")), [1, 100]),
        (build((1, ""), (50, "afterok:{s0=0}"), (50, "afterok:{s0=0}:{s1}")), [1, 50, 50]),
        (build((50, ""), (50, "afterok:{s0},afterany:77"), (50, "aftercorr:{s1}")), [50, 50, 50]),
        # Tumour and normal are alike, but must not share an array if their calls are to join.
        (build((100, ""), (50, "afterok:{s0*2}:{s0*2+1}")), [50, 50, 50]),
        # Each sample's set-up job fans out, and each branch goes on: the same index many times over.
        (build((50, ""), *[(50, "afterok:{s0}")] * 3, *[(50, "afterok:{s%d}" % i) for i in (1, 2, 3)]), [50] * 7),
        # What Slurm cannot say task by task stays apart.
        (build((20, ""), (20, "afterany:{s0}")), [20] + [1] * 20),
        # A window that slides over all samples has no lanes that would help.
        (build((4, ""), (1, "afterok:{s0}:{s0+1}:{s0+2}:{s0+3}")), [4, 1]),
    ],
)
def test_chains_become_arrays(calls: list[Call], wanted: list[int]) -> None:
    assert sizes(calls) == wanted


def test_a_summary_names_whole_arrays() -> None:
    calls = build((1000, ""), (1, "afterok:" + ":".join("{s0=%d}" % i for i in range(1000))), (30, ""))
    arrays = plan(calls, Limits())
    jobs, _ = merged(arrays)
    assert [len(array.calls) for array in arrays] == [1000, 1, 30]
    assert jobs[1].dependency == "afterok:500001"


def test_a_summary_that_may_be_cancelled_names_each_task() -> None:
    """Of an array Slurm would see only in the end that one task failed."""
    calls = build((3, ""), (1, "afterok:" + ":".join("{s0=%d}" % i for i in range(3))))
    calls[-1].options["kill-on-invalid-dep"] = b"yes"
    assert merged(plan(calls, Limits()))[0][1].dependency == "afterok:500001_0:500001_1:500001_2"


def test_two_summaries_each_have_their_own_arrays() -> None:
    halves = [":".join("{s0=%d}" % i for i in part) for part in (range(600), range(600, 1200))]
    calls = build((1200, ""), (1, "afterok:" + halves[0]), (1, "afterany:" + halves[1]))
    arrays = plan(calls, Limits())
    assert [job.dependency for job in merged(arrays)[0]] == ["", "", "afterok:500001", "afterany:500002"]


def test_map_and_reduce_per_sample() -> None:
    maps = ":".join("{s0*10+%d}" % i for i in range(10))
    assert sizes(build((1000, ""), (100, "afterok:" + maps))) == [100] * 11
    # Where lanes would not pay, and with a summary that waits for as many as a reduce does.
    summary = "afterok:" + ":".join("{s1=%d}" % i for i in range(10))
    assert sizes(build((100, ""), (10, "afterok:" + maps), (1, summary))) == [100] + [1] * 11


def test_the_last_lane_waits_for_its_own_element_where_slurm_would_have_it_wait_for_all() -> None:
    arrays = plan(build((3, ""), (3, "afterok:{s0}")), Limits())
    waits = parse(b"aftercorr:500001,afterany:500009")
    assert submission.last_waits(arrays[1], waits, Limits()) is None
    told = submission.last_waits(arrays[1], waits, Limits(last_lane_waits=True))
    assert told is not None and told.spec == b"afterok:500001_2,afterany:500009"
    assert submission.last_waits(arrays[0], parse(None), Limits(last_lane_waits=True)) is None


def test_what_lanes_need_is_written_down() -> None:
    for splitting in (Splitting("0-8", "a name"), Splitting("", "name", 9, "afterok:500001_9")):
        event = Submitting(1, {}, "/script", splitting=splitting)
        assert event_in(json.dumps(event.to_json()).encode()).splitting == splitting


def test_lanes_across_the_largest_index() -> None:
    assert sizes(build((25, ""), (25, "afterok:{s0}")), array_size=10) == [10, 10, 5, 10, 10, 5]


def test_arrays_that_wait_for_arrays_share_lanes_up_to_what_slurmctld_looks_at() -> None:
    def chained(spec: bytes) -> list[Call]:
        calls = [call(number, {"array": spec}) for number in range(5)]
        return calls + [call(5 + i, {"array": spec, "dependency": b"aftercorr:%d" % calls[i].ticket}) for i in range(5)]

    assert sizes(chained(b"1-4")) == [20, 20]
    assert sizes(chained(b"1-11")) == [11] * 10


def test_elements_of_an_array_are_lanes_too() -> None:
    calls = [call(0, {"array": b"3,5,8"})]
    calls += [call(1 + at, {"dependency": b"afterok:%d_%d" % (calls[0].ticket, i)}) for at, i in enumerate((3, 5, 8))]
    arrays = plan(calls, Limits())
    check(calls, arrays, Limits())
    assert [submission.array_spec(array, None, Limits()) for array in arrays] == [b"3,5,8", b"3,5,8"]


@pytest.mark.parametrize(
    ("spec", "written"),
    [
        ("afterok:5,6", "afterok:5,afterany:6"),
        ("5,6_2", "afterany:5:6_2"),
        ("AfterOK:5:5:6", "afterok:5:6"),
        ("after:5+10:6", "after:5+10:6+10"),
        ("afterok:5_[1-3,7]", "afterok:5_1:5_2:5_3:5_7"),
        ("afterok:5_[1-9:2]", "afterok:5_1"),
        ("afterok:5_*", "afterok:5"),
        ("afterok:5:6?afternotok:7", "afterok:5?afterok:6?afternotok:7"),
        ("singleton,afterok:5", "singleton,afterok:5"),
    ],
)
def test_forms_of_a_dependency(spec: str, written: str) -> None:
    assert (
        with_places(parse(spec.encode()), lambda ticket: pytest.fail("no ticket"), for_array=True).spec.decode()
        == written
    )


@pytest.mark.parametrize("spec", ["5", "5,6", "AFTEROK:5", "after:5+10:6", "afterok:5_1,singleton", "5?6"])
def test_forms_that_are_queued(spec: str) -> None:
    assert is_dependency(spec.encode())


@pytest.mark.parametrize("spec", ["afterok:", "5,", " 5", "5-6", "5.0", "5+1", "afterok:5+1", "x:5", "5:6", "afterok"])
def test_forms_that_are_left_to_sbatch(spec: str) -> None:
    assert not is_dependency(spec.encode())


@pytest.mark.parametrize("spec", [b"after:5+0", b"5+1", b"afterok:", b"after:5+", b"5_x"])
def test_forms_that_slurm_refuses(spec: bytes) -> None:
    """Those of a call that is handed over would otherwise be written again without what is wrong."""
    with pytest.raises(ValueError):
        parse(spec)


def test_what_a_singleton_waits_for_keeps_its_name_and_its_place() -> None:
    names = [b"x", b"y", b"x", b"x", b"x", b"y"]
    calls = [call(number, {"job-name": name}) for number, name in enumerate(names)]
    calls[3].options["dependency"] = b"singleton"
    arrays = plan(calls, Limits())
    assert [[one.ticket % 10 for one in array.calls] for array in arrays] == [[0, 2], [1, 5], [3], [4]]
    assert [submission.job_name(array) for array in arrays] == [b"x", b"y", b"x", b"x"]


def test_a_long_chain_of_arrays_that_stay_alone_is_planned_in_time() -> None:
    """The last one's limit makes all alone, one after the other; step by step over all of them that took 30 s."""
    calls = [call(number, {"array": b"1-4"}) for number in range(4000)]
    for one in calls[1:]:
        one.options["dependency"] = b"aftercorr:%d" % (one.ticket - 1)
    calls[-1].options["array"] = b"1-4%2"
    began = time.process_time()
    assert len(plan(calls, Limits())) == len(calls)
    assert time.process_time() - began < 10
