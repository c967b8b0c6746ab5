"""Log names: what a call's own pattern means, by Slurm 22.05."""

from __future__ import annotations

import os
import pwd
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.strategies import QUICK, call, environment

from sbatch_shim.merge.logs import expand, literal, user
from sbatch_shim.request import STDIN
from sbatch_shim.spool import FIRST_TICKET
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_TASK

T = b"%d" % FIRST_TICKET
USER = pwd.getpwuid(os.geteuid()).pw_name.encode()


def path(pattern: bytes, task: int | None = None, **options: bytes) -> bytes:
    """The output file of a call with this pattern; one of an array when a task is given."""
    more = {name.replace("_", "-"): value for name, value in options.items()}
    made = call(0, {"output": pattern, **more, **({} if task is None else {"array": b"0-99"})})
    name = expand(made, "output", task)
    assert name is not None
    return name.path


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        (b"/x.%j", b"/x." + T),
        (b"/x.%J", b"/x." + T),
        (b"/x.%A", b"/x." + T),
        (b"/x.%a", b"/x.4294967294"),
        (b"/x.%4a", b"/x.4294967294"),
        (b"/%x.%u", b"/job.sh." + USER),
        (b"/%9x", b"/job.sh"),
        (b"/%n%t%s", b"/00batch"),
        (b"/%3n", b"/000"),
        (b"/%12j", b"/" + T),
        (b"/%0j", b"/" + T),
        (b"/%%j", b"/%j"),
        (b"/%%%j", b"/%" + T),
        (b"/%z", b"/%z"),
        (b"/a\\%j", b"/a%j"),
        (b"/b%j\\x", b"/b%jx"),
        (b"/a\\\\%j", b"/a\\%j"),
        (b"none", b"/dev/null"),
        (b"NONE", b"/dev/null"),
        (b"out", b"/work/out"),
        (b"./out", b"/work/./out"),
    ],
)
def test_a_plain_jobs_name(pattern: bytes, wanted: bytes) -> None:
    assert path(pattern) == wanted


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        (b"/%a", b"/7"),
        (b"/%4a", b"/0007"),
        (b"/%04a", b"/0007"),
        (b"/%12a", b"/0000000007"),
        (b"/%A_%a", b"/" + T + b"_7"),
    ],
)
def test_a_tasks_name(pattern: bytes, wanted: bytes) -> None:
    assert path(pattern, 7) == wanted


def test_a_script_from_stdin_has_a_name_of_its_own_from_24_11_on() -> None:
    made = call(0, {"output": b"/%x"}, source=STDIN, env=environment(SLURM_JOB_NAME=b"leaked"))
    for launch_sets_name, wanted in ((False, b"/leaked"), (True, b"/sbatch")):
        name = expand(made, "output", None, launch_sets_name=launch_sets_name)
        assert name is not None and name.path == wanted


def test_the_default_names() -> None:
    plain, array = call(0), call(0, {"array": b"0-9"}, cwd=b"/odd%j\\folder")
    assert [expand(plain, kind, None) for kind in ("error", "input")] == [None, None]
    for made, task, wanted in (
        (plain, None, b"/work/slurm-%s.out" % T),
        (array, 3, b"/odd%%j\\folder/slurm-%s_3.out" % T),
    ):
        name = expand(made, "output", task)
        assert name is not None
        assert (name.path, name.on_node) == (wanted, False)


def test_a_folder_before_a_given_name_is_read_as_a_pattern_too() -> None:
    made = call(0, {"output": b"x"}, cwd=b"/odd%j")
    name = expand(made, "output", None)
    assert name is not None and name.path == b"/odd%s/x" % T


def test_relative_names_are_under_chdir() -> None:
    assert path(b"x", chdir=b"/there") == b"/there/x"
    assert path(b"x", chdir=b"sub/") == b"/work/sub/x"


def test_what_only_the_node_knows_stays_a_pattern() -> None:
    for pattern, task, wanted in (
        (b"/%N.%j.%%.x", None, b"/%N." + T + b".%%.x"),
        (b"/%j.%a", 4, b"/%j.4"),
        (b"/%5J", 4, b"/%5J"),
    ):
        made = call(0, {"output": pattern, **({} if task is None else {"array": b"0-9"})})
        name = expand(made, "output", task)
        assert name is not None
        assert (name.path, name.on_node) == (wanted, True)


def slurm(pattern: bytes, index: int) -> bytes:
    """What Slurm makes of a pattern that holds nothing but %% and %a."""
    if b"\\" in pattern:
        return re.sub(rb"(?s)\\(.?)", rb"\1", pattern)

    def one(found: re.Match[bytes]) -> bytes:
        if found[0] == b"%%":
            return b"%"
        assert found[0].endswith(b"a"), pattern
        return (b"%d" % index).rjust(min(int(found[1] or 0), 10), b"0")

    return re.sub(rb"%(\d*).", one, pattern)


PIECES = st.sampled_from([b"x", b"%a", b"%3a", b"%A", b"%%", b"%x", b"\\", b"/", b"%u", b"\xff"])
NAMES = st.sampled_from([b"job", b"50%", b"%a", b"a b"])


@QUICK
@given(st.lists(PIECES, max_size=6).map(b"".join), NAMES, st.sampled_from([b"/work", b"/odd%a"]), st.integers(0, 99))
@example(b"%x.%a", b"50%", b"/work", 3)
def test_a_pattern_left_to_slurm_names_the_same_files(pattern: bytes, name: bytes, cwd: bytes, task: int) -> None:
    """An array of one call goes with its indices: for each task Slurm opens what the call's own pattern means."""
    made: Call = call(0, {"output": b"/" + pattern, "job-name": name, "array": b"0-99"}, cwd=cwd)
    alone, left = expand(made, "output", task), expand(made, "output", task, keep_index=True)
    assert alone is not None and left is not None
    assert slurm(left.path, task) == alone.path


@QUICK
@given(st.lists(st.sampled_from([b"\\", b"%", b"a", b"j", b"/", b"\xff"]), max_size=8).map(b"".join))
def test_a_literal_names_exactly_that_file(name: bytes) -> None:
    assert slurm(literal(b"/" + name), 3) == b"/" + name
    assert path(literal(b"/" + name)) == b"/" + name


def test_the_index_of_a_plain_job() -> None:
    assert NO_TASK == 2**32 - 2


def test_the_user_is_known_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert user().decode() == pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_001)
    assert user() == b"nobody"
