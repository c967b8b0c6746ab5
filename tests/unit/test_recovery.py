"""What is concluded from what Slurm's commands say: stand-ins for them (tests/test_faults.py has the real ones)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbatch_shim.flush.backends.controller import Controller, NoAnswer
from sbatch_shim.flush.backends.recovery import Fate, look

SCRIPT = b"/state/with a blank|and more/script"
NOW = 1_800_000_000  # 2027-01-15T08:00:00 UTC
CONFIG = """cat <<'END'
Configuration data as of 2027-01-15T08:00:00
BOOT_TIME               = {started}
AccountingStorageType   = accounting_storage/{accounting}
MinJobAge               = {keeps} sec
MessageTimeout          = 10 sec
END"""
MINE = "echo '77|COMPLETED|n1|/state/with a blank|and more/script'"
OTHERS = "echo '76|RUNNING|n1|/state/with a blank|and more/script2'"
REFUSED = "echo '75|FAILED||/state/with a blank|and more/script'"


class Commands:
    """Slurm's commands as shell scripts; `say` gives one its text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.controller = Controller(str(folder / "sbatch"), {})
        self.config()
        self.say("squeue", "")
        self.say("sdiag", "echo 'DBD Agent queue size: 0'")
        self.say("sacct", "")

    def say(self, name: str, text: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.folder / name).chmod(0o755)

    def config(self, keeps: int = 300, accounting: str = "none", started: str = "2027-01-01T00:00:00") -> None:
        self.say("scontrol", CONFIG.format(keeps=keeps, accounting=accounting, started=started))

    def fate(self, age: int) -> Fate:
        return look(self.controller, SCRIPT, NOW - age)


@pytest.fixture
def slurm(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def test_a_job_in_squeue_is_ours_whatever_its_age(slurm: Commands) -> None:
    slurm.say("squeue", f"{OTHERS}; {REFUSED}; {MINE}")
    assert slurm.fate(10) == slurm.fate(10**6) == Fate(77)


def test_a_controller_whose_clock_went_back_does_not_tell_the_age(slurm: Commands) -> None:
    """What it has forgotten by the old clock would be taken for too young to be forgotten, and submitted again."""
    slurm.config(accounting="slurmdbd")
    assert not slurm.fate(-3600).known
    slurm.say("squeue", MINE)
    assert slurm.fate(-3600) == Fate(77)


@pytest.mark.parametrize("text", [OTHERS, REFUSED, ""])
def test_absent_while_slurm_would_still_remember(slurm: Commands, text: str) -> None:
    """The submission of another script, or a refused one, is no sign."""
    slurm.say("squeue", text)
    assert slurm.fate(298) == Fate()
    assert not slurm.fate(299).known


def test_a_slurm_that_forgets_nothing(slurm: Commands) -> None:
    slurm.config(keeps=0)
    assert slurm.fate(10**6) == Fate()


def test_without_a_clock_nothing_is_sure(slurm: Commands) -> None:
    assert not look(slurm.controller, SCRIPT, None).known


@pytest.mark.parametrize("text", ["exit 1", "echo 'squeue: error: Invalid user: 12345' >&2"])
def test_no_answer_is_no_absence(slurm: Commands, text: str) -> None:
    slurm.say("squeue", text)
    with pytest.raises(NoAnswer):
        slurm.fate(10)


def test_the_accounting_is_asked_once_slurm_forgets(slurm: Commands) -> None:
    slurm.config(accounting="slurmdbd")
    assert slurm.fate(1000) == Fate()
    line = r"printf '%s\001%s\001%s\001sbatch --array=0-3 %s\n' "
    slurm.say("sacct", line + "'78_[0-3%2]' 'CANCELLED by 7' 'None assigned' '/state/with a blank|and more/script'")
    assert slurm.fate(1000) == Fate(78)
    slurm.say("sacct", line + "79 FAILED 'None assigned' '/state/with a blank|and more/script'")
    assert slurm.fate(1000) == Fate()
    assert not slurm.fate(10**7).known


@pytest.mark.parametrize(
    ("name", "text"), [("sacct", "exit 1"), ("sdiag", "echo 'DBD Agent queue size: 3'"), ("sdiag", "echo nothing")]
)
def test_an_accounting_that_may_lag_behind_is_not_believed(slurm: Commands, name: str, text: str) -> None:
    slurm.config(accounting="slurmdbd")
    slurm.say(name, text)
    fate = slurm.fate(1000)
    assert not fate.known
    assert "Slurm would have forgotten the job by now" in fate.why


def test_a_controller_that_was_started_without_its_jobs(slurm: Commands) -> None:
    """What had ended before is in the accounting; else the job is none any more."""
    slurm.say("sacct", "printf '78\\1COMPLETED\\1n1\\1sbatch --parsable %s\\n' '/state/with a blank|and more/script'")
    slurm.config(accounting="slurmdbd", started="2027-01-15T07:59:50")
    assert slurm.fate(60) == Fate(78)
    assert slurm.fate(5) == Fate(), "submitted after that start"
    slurm.say("sdiag", "exit 1")
    assert slurm.fate(60) == Fate()
    slurm.config(started="2027-01-15T07:59:50")
    assert slurm.fate(60) == Fate()
