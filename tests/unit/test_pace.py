"""When a keeper flushes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sbatch_shim.flush.pace import LONGEST_PATIENCE, LONGEST_RETRY, Pace


def pace() -> Pace:
    return Pace(quiet=1, longest=10, linger=60)


def test_a_lone_call_waits_for_the_quiet_time_only() -> None:
    one = pace()
    one.look(5.0, (1, 100))
    assert not one.due(5.9, asked=False)
    assert one.due(6.0, asked=False)
    assert one.due(5.1, asked=True), "somebody waits"


def test_nothing_is_flushed_where_nothing_is_queued() -> None:
    one = pace()
    one.look(5.0, None)
    assert not one.due(100.0, asked=True)
    assert not one.idle(5.0)
    assert one.idle(100.0)


@given(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=200))
def test_no_call_waits_longer_than_the_longest_time_or_twice(gaps: list[float]) -> None:
    """A burst is flushed together, but its first call waits for ten seconds at most, whatever comes after it."""
    one, now = pace(), 0.0
    waiting: list[float] = []
    for size, gap in enumerate([*gaps, 20.0], 1):
        waiting.append(now)
        one.look(now, (1, size))
        end = now + gap
        while now < end:
            now = min(end, now + 0.05)
            one.look(now, (1, size))
            if waiting and one.due(now, asked=False):
                assert now - waiting[0] <= 10 + 0.1
                assert now - waiting[-1] >= 1 - 0.1 or now - waiting[0] >= 10 - 0.1, "not before it must"
                waiting.clear()
                one.flushed(now, left=False, progress=True)
                one.look(now, None)
    assert not waiting


def test_what_slurm_does_not_take_is_tried_again_less_and_less_often_and_not_for_ever() -> None:
    one, now, tries = pace(), 0.0, []
    one.look(now, (1, 10))
    while not (one.seen is None and one.retry is None):
        if one.due(now, asked=True):
            tries.append(now)
            one.flushed(now, left=True, progress=False)
            one.look(now, None)
        now += 0.5
    gaps = [after - before for before, after in zip(tries, tries[1:])]
    assert gaps[0] < gaps[2] and max(gaps) <= LONGEST_RETRY + 1
    assert LONGEST_PATIENCE <= tries[-1] < LONGEST_PATIENCE + 60


def test_a_success_makes_it_patient_again() -> None:
    one = pace()
    for at in range(5):
        one.flushed(float(at), left=True, progress=False)
    slow = one.delay
    one.flushed(6.0, left=True, progress=True)
    assert one.delay < slow
