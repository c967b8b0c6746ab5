"""Our dataclasses do what the standard ones do, as far as they are used."""

from __future__ import annotations

import pytest

from sbatch_shim.state.plain import cached_property, dataclass, field, replace


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 2

    @cached_property
    def sum(self) -> int:
        return self.x + self.y


@dataclass
class Named(Point):  # type: ignore[misc]
    name: str = "none"
    seen: list[int] = field(default_factory=list)


def test_values_by_position_and_name() -> None:
    assert Point(1) == Point(1, 2) == Point(y=2, x=1) != Point(2)
    assert hash(Point(1)) == hash(Point(1, 2))
    assert repr(Point(1)) == "Point(x=1, y=2)"
    assert (Point(1).sum, replace(Point(1), y=5)) == (3, Point(1, 5))


def test_defaults_are_made_for_each_object() -> None:
    one, two = Named(1), Named(1, 2, "other")
    one.seen.append(1)
    assert (one.seen, two.seen, two.name) == ([1], [], "other")


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 2}), ((1,), {"z": 2})])
def test_wrong_values_are_an_error(values: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        Point(*values, **named)


def test_a_frozen_one_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]
