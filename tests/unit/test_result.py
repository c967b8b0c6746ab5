"""What a flush leaves for a later one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from sbatch_shim.flush.result import FlushResult, Outcome
from sbatch_shim.merge.plan import Array


def outcome(ticket: int, **more: Any) -> Outcome:
    array = cast(Array, SimpleNamespace(calls=[SimpleNamespace(ticket=ticket)]))
    return Outcome(array, b"", None, **more)


def test_only_what_passes_by_itself_is_waited_for() -> None:
    """A flush that feeds, and a keeper, would go on for ever otherwise."""
    result = FlushResult(
        outcomes=[outcome(1), outcome(2, final=True), outcome(3, hopeless=True), outcome(4)],
        kept=[1, 2, 3, 4, 5],
        elsewhere=[4],
    )
    assert result.waiting == [1, 5]
