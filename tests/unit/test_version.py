"""Options whose meaning depends on the version of the real sbatch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sbatch_shim.errors import HandOver
from sbatch_shim.merge.environment import exported, needs_login
from sbatch_shim.request import Piped
from sbatch_shim.shim import queue
from sbatch_shim.spool import Session, open_state
from sbatch_shim.state.calls import Call, load

ENTRIES = [b"A=1", b"SLURM_X=2", b"HOME=/home/a"]


def queued(folder: Path, told: str, *words: bytes) -> Call:
    """A call that was queued where the real sbatch tells this version of itself, as the flush reads it."""
    sbatch = folder / "sbatch"
    sbatch.write_text(f"#!/bin/sh\necho '{told}'\n")
    sbatch.chmod(0o755)
    state = os.fsencode(folder / "state")
    open_state(state)
    session = Session(state, b"test")
    queue(session, [*words, b"--wrap=true"], ENTRIES, bytes(sbatch), Piped())
    (found,), problems = load(session, session.queue)
    assert not problems
    return found


@pytest.mark.parametrize("value", [b"NIL", b"nil", b"Nil"])
@pytest.mark.parametrize("told", ["slurm 23.11.0", "slurm-wlm 24.11.5", "slurm 26.05.5-1"])
def test_nil_is_no_variable_and_no_login_environment(tmp_path: Path, value: bytes, told: str) -> None:
    call = queued(tmp_path, told, b"--export=" + value)
    assert call.exports_nil and not needs_login(call)
    assert exported(call).whole() == {b"SLURM_X": b"2"}


@pytest.mark.parametrize(
    ("told", "value"),
    [("slurm-wlm 22.05.8", b"NIL"), ("slurm 23.02.7", b"nil"), ("slurm 24.11.5", b"NIL,"), ("slurm 24.11.5", b"NILS")],
)
def test_before_23_11_and_beside_other_names_it_is_a_name(tmp_path: Path, told: str, value: bytes) -> None:
    call = queued(tmp_path, told, b"--export=" + value)
    assert not call.exports_nil and needs_login(call)
    assert exported(call).whole() == {b"SLURM_X": b"2"}


def test_nil_with_get_user_env_has_a_login_environment(tmp_path: Path) -> None:
    assert needs_login(queued(tmp_path, "slurm 24.11.5", b"--export=NIL", b"--get-user-env"))


@pytest.mark.parametrize("words", [(b"--export=NIL",), (b"--get-user-env=L",)])
def test_what_tells_no_version_is_handed_over(tmp_path: Path, words: tuple[bytes, ...]) -> None:
    with pytest.raises(HandOver, match="depends on a version that sbatch does not tell"):
        queued(tmp_path, "a wrapper", *words)


def test_a_login_environment_by_a_value_is_handed_over_to_newer_versions(tmp_path: Path) -> None:
    assert queued(tmp_path, "slurm 24.11.5", b"--get-user-env=L").options == {"get-user-env": b"L"}
    newer = tmp_path / "newer"
    newer.mkdir()
    with pytest.raises(HandOver, match="--get-user-env with a value"):
        queued(newer, "slurm 25.05.1", b"--get-user-env=L")
