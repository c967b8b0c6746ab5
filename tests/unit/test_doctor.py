"""sarray doctor --run: what is said of a job that does not run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sbatch_shim.companions.context import COMPANIONS, Context
from sbatch_shim.verbs import doctor


@pytest.mark.parametrize("reason", ["None", "Priority", "Resources", "Licenses", "QOSMaxJobsPerUserLimit"])
def test_a_job_that_waits_for_others(reason: str) -> None:
    assert doctor.is_busy("PENDING", reason)
    assert not doctor.is_busy("RUNNING", reason)


@pytest.mark.parametrize("reason", ["PartitionDown", "PartitionTimeLimit", "QOSMaxNodePerJobLimit", "BadConstraints"])
def test_a_job_that_would_wait_for_ever(reason: str) -> None:
    assert not doctor.is_busy("PENDING", reason)


def doctored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str) -> tuple[str, list[str]]:
    """A round trip with commands that accept a job which never runs, and note their arguments."""
    for name, does in (("sbatch", "echo 7"), ("squeue", f"echo '{shown}'"), ("scancel", "true")):
        command = tmp_path / name
        command.write_text(f'#!/bin/sh\necho {name} "$@" >>{tmp_path}/calls\n{does}\n')
        command.chmod(0o755)
    monkeypatch.setattr(doctor, "ROUND_TRIP_SECONDS", 0)
    context = Context("sarray", str(tmp_path / "squeue"), os.fsencode(tmp_path), [], dict(os.environb), 0o022)
    wrong: list[str] = []
    trip = doctor.round_trip(context, str(tmp_path / "sbatch"), wrong, ["-p", "debug"])
    assert trip.host == "", "no task has said where it ran"
    return trip.told, wrong


def test_a_busy_cluster_is_nothing_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, wrong = doctored(tmp_path, monkeypatch, "PENDING|Resources")
    assert "the cluster is busy: job 7 was accepted, and after 0 s it still waits (Resources)" in told
    assert wrong == []
    calls = (tmp_path / "calls").read_text()
    assert " -p debug --wrap=" in calls, "options of the user"
    assert calls.endswith("scancel 7\n")


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        ("PENDING|PartitionDown", "it is PENDING PartitionDown"),
        ("RUNNING|None", "it is RUNNING"),
        ("COMPLETED|None", "its node does not see it"),
        ("", "its node does not see it"),
    ],
)
def test_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, why: str) -> None:
    _, wrong = doctored(tmp_path, monkeypatch, shown)
    assert len(wrong) == 1 and f": {why} (it was cancelled)" in wrong[0]


def test_companions_that_lie_where_sbatch_does_share_a_line() -> None:
    """One that does not has lines of its own."""
    found: dict[str, object] = {"sbatch-shim": "some version"}
    for name in ("sbatch", *COMPANIONS):
        found[f"{name} on PATH"] = [f"/the sbatch/shims/{name} (this shim)", f"/usr/bin/{name}"]
    found["sacct on PATH"] = ["/usr/bin/sacct"]
    shown = doctor.brief(found)
    assert list(shown) == ["sbatch-shim", "sbatch on PATH", "in the same folders", "sacct on PATH"]
    lines = shown["in the same folders"]
    assert isinstance(lines, list)
    assert " ".join(lines).split(", ") == [name for name in COMPANIONS if name != "sacct"]
