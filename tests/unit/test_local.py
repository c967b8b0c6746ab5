"""--local: which tasks start, by the rules that the simulator has from the real Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import simulator
from support.strategies import array_of, call

from sbatch_shim.flush.backends.local import Local
from sbatch_shim.flush.backends.local_run import LocalJob, Run
from sbatch_shim.flush.patience import Stop
from sbatch_shim.merge.submission import Submission
from sbatch_shim.state.dependency import parse
from sbatch_shim.state.ids import TaskSet

# Dependency, and whether it is cancelled when that cannot be met, of jobs 1, 2, ..; job 1 fails.
PIPELINES = [
    [("", False), ("afterok:1", False), ("afterany:2", False), ("afternotok:2", False)],
    [("", False), ("afterok:1", True), ("afterany:2", False), ("afternotok:2", False), ("afterok:2", True)],
    [("", False), ("afternotok:1", False), ("afterok:1?afterok:2", False), ("after:1,afterany:3", False)],
]


def job(number: int, script: bytes = b"", dependency: str = "", kills: bool = False, name: bytes = b"") -> LocalJob:
    """A plain job that waits for others by their numbers here."""
    array = array_of([call(number, {"output": b"/dev/null"})])
    array.options["kill-on-invalid-dep"] = b"yes" if kills else b"no"
    waits = parse(dependency.encode())
    return LocalJob(
        number, Submission(array, script, {}, name or b"j%d" % number, b"", None, b"/", waits, (), TaskSet())
    )


@pytest.mark.parametrize("jobs", PIPELINES)
def test_what_runs_is_what_slurm_runs(tmp_path: Path, jobs: list[tuple[str, bool]]) -> None:
    local = Local(bytes(tmp_path))
    for number, (dependency, kills) in enumerate(jobs, 1):
        script = tmp_path / str(number)
        script.write_text(f"#!/bin/sh\nexit {int(number == 1)}\n")
        script.chmod(0o700)
        local.jobs[number] = job(number, bytes(script), dependency, kills)
    local.complete(Stop(), lambda number, event: None)
    ended = simulator.outcomes(
        [simulator.Job(number, None, *one) for number, one in enumerate(jobs, 1)], failing={(1, None)}
    )
    ran = {number for number, one in local.jobs.items() if one.tasks[0].status is not None}
    assert ran == {number for (number, _), state in ended.items() if state in ("COMPLETED", "FAILED")}


def test_a_singleton_waits_for_older_jobs_of_its_name() -> None:
    jobs: dict[int, LocalJob] = {}
    for number, name in enumerate((b"x", b"y", b"x", b"x"), 1):
        jobs[number] = job(number, dependency="singleton" if number == 3 else "", name=name)
    waiting = jobs[3].tasks[0]
    run = Run(jobs, lambda number, event: None)
    assert run.may_start(waiting) is None
    jobs[1].tasks[0].status = 1
    assert run.may_start(waiting) is True
    jobs[4].tasks[0].started = True
    assert run.may_start(waiting) is None
