"""How large the script is that a node gets for each task."""

from __future__ import annotations

import pytest
from support.strategies import call

from sbatch_shim.flush.ready import Ready, all_ready
from sbatch_shim.flush.wishes import Wishes
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.tables import FAIR_BYTES
from sbatch_shim.state.calls import Call, Environment

LIMITS = Limits(array_size=100_001)


def calls_with(count: int, size: int, body: bytes = b"#!/bin/sh\n") -> list[Call]:
    """Calls whose environments differ in a variable of that size."""
    return [
        call(number, body=body, env=Environment({}, frozenset(), {b"SAMPLE": (b"%d-" % number).ljust(size, b"x")}))
        for number in range(count)
    ]


def tickets(found: list[Ready]) -> list[int]:
    return [one.ticket for ready in found for one in ready.array.calls]


@pytest.mark.parametrize(("count", "size"), [(10, 2000), (1000, 2000), (10_000, 2000), (10_000, 10)])
def test_the_script_of_each_task_is_bounded_whatever_the_calls(count: int, size: int) -> None:
    made = calls_with(count, size)
    found = all_ready(made, LIMITS, Wishes())
    assert max(len(ready.script) for ready in found) <= FAIR_BYTES
    assert tickets(found) == [one.ticket for one in made]
    # Halved no further than needed.
    assert len(found) <= 1 + 4 * count * (size + 100) // FAIR_BYTES


def test_a_large_script_that_calls_share_does_not_keep_them_apart() -> None:
    found = all_ready(calls_with(1000, 10, b"#!/bin/sh\n" + b"#" * 2 * FAIR_BYTES), LIMITS, Wishes())
    assert len(found) == 1


def test_calls_that_are_large_by_themselves_still_share_arrays() -> None:
    found = all_ready(calls_with(12, 2 * FAIR_BYTES), LIMITS, Wishes())
    assert len(found) <= 6
    assert all(len(ready.array.calls) > 1 for ready in found)
