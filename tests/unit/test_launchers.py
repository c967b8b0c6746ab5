"""What srun's and salloc's options are, and errors that mean one thing."""

from __future__ import annotations

import pytest

from sbatch_shim import request, shim
from sbatch_shim.companions.launchers import options_of
from sbatch_shim.errors import BadDependency, ShimError
from sbatch_shim.state.dependency import parse


@pytest.mark.parametrize(
    ("words", "found", "at"),
    [
        (["-d", "afterok:1", "x", "-d", "2"], {"dependency": "afterok:1"}, 2),
        (["-Qdafterok:1", "x"], {"dependency": "afterok:1"}, 1),
        (["--depend=1", "--dependency", "2", "--", "x"], {"dependency": "2"}, 3),
        (["-n", "-d", "x"], {}, 2),
        (["-Kd1", "--jobid", "7", "--pty", "x", "--jobid=8"], {"jobid": "7"}, 4),
        (["-N1", "a", ":", "-d", "2"], {}, 1),
        (["-d"], {}, 1),
        (["-Jd", "--job-name", "x", "--job-n=y", "-d1"], {"job-name": "y", "dependency": "1"}, 5),
    ],
)
def test_options_end_where_the_command_begins(words: list[str], found: dict[str, str], at: int) -> None:
    assert options_of(words) == (found, at)


@pytest.mark.parametrize("spec", [b"afterok:x", b"5+3", b"after:5+0", b"afterok:5_x", b"\xff:5"])
def test_what_is_no_dependency_has_an_error_of_its_own(spec: bytes) -> None:
    with pytest.raises(BadDependency) as found:
        parse(spec)
    assert isinstance(found.value, ShimError)


@pytest.mark.parametrize(
    ("fault", "in_job"),
    [
        ("sbatch_shim.flush.handover.with_real_ids", False),
        ("sbatch_shim.flush.handover.with_real_ids", True),
        ("sbatch_shim.companions.waits.OwnConditions", True),
    ],
)
def test_a_fault_of_ours_is_no_dependency_problem(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fault: str, in_job: bool
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(fault, fails)
    words = [b"-d", b"1"]
    assert shim.run_behind_tickets(b"/bin/true", words, [], b"/nowhere", request.Piped(), in_job=in_job) == 1
    said = capfd.readouterr().err
    assert said.startswith("sbatch: error: not submitted: a fault of sbatch-shim (ValueError: a bug) at line "), said
