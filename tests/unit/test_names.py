"""Names that a controller does not know are left to sbatch."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbatch_shim.names import file_of, unknown

KNOWN = b"partition main long\nconstraint gpu\nreservation\naccount lab\nqos normal\n"


@pytest.fixture
def path(tmp_path: Path) -> bytes:
    (tmp_path / "names").mkdir()
    path = file_of(str(tmp_path).encode(), b"/usr/bin/sbatch", b"")
    Path(path.decode()).write_bytes(KNOWN)
    return path


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, ""),
        ({"partition": b"main"}, ""),
        ({"partition": b"main,long"}, ""),
        ({"partition": b"main,lang"}, "partition"),
        ({"partition": b"Main"}, "partition"),
        ({"partition": b"mai"}, "partition"),
        ({"reservation": b"any"}, "reservation"),
        ({"constraint": b"gpu"}, ""),
        ({"constraint": b"cpu"}, "constraint"),
        ({"constraint": b"cpu&gpu"}, ""),
        ({"constraint": b"[cpu*2]"}, ""),
        ({"account": b"LAB"}, ""),
        ({"account": b"lap"}, "account"),
        ({"qos": b"Normal"}, ""),
        ({"qos": b"high"}, "qos"),
        ({"partition": None, "qos": b""}, ""),
    ],
)
def test_only_a_name_that_is_surely_none_is_left_to_sbatch(
    path: bytes, options: dict[str, bytes | None], kind: str
) -> None:
    assert unknown(options, path) == kind


def test_a_kind_that_was_not_looked_at_is_not_judged(path: bytes) -> None:
    Path(path.decode()).write_bytes(b"partition main\n")
    assert unknown({"account": b"any", "constraint": b"x", "reservation": b"y"}, path) == ""
    assert unknown({"partition": b"other"}, path + b".none") == ""
