"""What the companions show of a call's own files depends on Slurm's version."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from support.strategies import call

from sbatch_shim.companions.context import Context
from sbatch_shim.companions.formats.records import own_line
from sbatch_shim.companions.parts import Part


@pytest.mark.parametrize(("version", "expected"), [((22, 5), "/w/out"), ((24, 11), "/w/out"), ((26, 5), "")])
def test_stderr_that_goes_to_stdout_has_no_name_of_its_own_in_newer_records(
    version: tuple[int, int], expected: str
) -> None:
    context = cast(Context, SimpleNamespace(version=version))
    joined = call(0, {"output": b"/w/out"})
    shown = Part(joined.ticket, None, False, None)
    assert own_line(context, joined, "StdErr", shown) == expected
    assert own_line(context, joined, "StdOut", shown) == "/w/out"
    apart = call(0, {"output": b"/w/out", "error": b"/w/err"})
    assert own_line(context, apart, "StdErr", shown) == "/w/err"
