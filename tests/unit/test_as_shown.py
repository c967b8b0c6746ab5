"""What the companions show of a call's own files depends on Slurm's version."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from support.strategies import call

from sbatch_shim.companions.as_shown import expanded, is_our_link
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


@pytest.mark.parametrize(
    ("pattern", "early", "later"),
    [
        (b"slurm-%j.out", b"slurm-17.out", b"slurm-17.out"),
        (b"%A_%a.%N.%%", b"17_4.%N.%%", b"17_4.%N.%"),
        (b"%5j-%05j-%12j-%0j", b"%5j-%05j-%12j-%0j", b"00017-00017-0000000017-17"),
        (b"%%j", b"%17", b"%j"),
        (b"%%%j", b"%%17", b"%17"),
        (b"%5%", b"%5%", b"%5%"),
        (b"%5", b"%5", b"%5"),
        (b"%", b"%", b"%"),
        (b"plain", b"plain", b"plain"),
        (b"", b"", b""),
    ],
)
def test_patterns_as_the_client_expands_them(pattern: bytes, early: bytes, later: bytes) -> None:
    values = {b"j": b"17", b"A": b"17", b"a": b"4"}
    assert expanded(pattern, values, padded=False) == early
    assert expanded(pattern, values, padded=True) == later


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/s/sessions/x/flushes/20260101-000000-000/arrays/1/output/7", True),
        ("/s/sessions/x/flushes/20260101-000000-000/arrays/1/input/%a", True),
        ("/s/sessions/x/pools/3/error/", True),
        ("/s/sessions/x/pools/3/log/7", False),
        ("/s/sessions/x/flushes/20260101-000000-000/arrays/1/output", False),
        ("/work/sessions/x/output/7", False),
        ("output/7", False),
        ("/", False),
        ("", False),
    ],
)
def test_what_is_a_link_of_ours(path: str, wanted: bool) -> None:
    assert is_our_link(path) is wanted
