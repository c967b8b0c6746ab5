"""Ids in what Slurm says, in all forms that its versions have, as the caller's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from sbatch_shim.companions.context import Answer, Context
from sbatch_shim.companions.options import Line
from sbatch_shim.companions.scontrol import Control
from sbatch_shim.companions.to_tickets import error_with_tickets
from sbatch_shim.state.journal import Place
from sbatch_shim.state.tickets import Job, Tickets

PLAIN, ARRAY, LONE = 1000000001, 1000000002, 1000000003


def known() -> Tickets:
    """Job 500: a plain call at 0, an array call of tasks 4 to 6 at 1 to 3. Job 600: a plain call."""
    merged = {PLAIN: Place(500, 0, None, whole=False, tasks=4, end=4)}
    merged[ARRAY] = Place(500, 1, "4-6", whole=False, tasks=4, end=4)
    jobs = {500: Job(500, merged), 600: Job(600, {LONE: Place(600, None, None, whole=True, tasks=1, end=1)})}
    return cast(Tickets, SimpleNamespace(job_here=jobs.get))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Kill job error on job id 500_0: no", f"Kill job error on job id {PLAIN}: no"),
        ("Kill job error on job id 500_2: no", f"Kill job error on job id {ARRAY}_5: no"),
        ("Kill job error on job id 500_[2]: no", f"Kill job error on job id {ARRAY}_[5]: no"),
        ("Kill job error on job id 500_[1-3]: no", f"Kill job error on job id {ARRAY}_[4-6]: no"),
        ("Kill job error on job id 500_[0-1]: no", f"Kill job error on job id {PLAIN},{ARRAY}_[4]: no"),
        ("Terminating job 500", "Terminating job 500"),
        ("Terminating job 600", f"Terminating job {LONE}"),
        ("JobId=600 does not exist on node (null).", "JobId=600 does not exist on node (null)."),
        ("Problem running job 600", f"Problem running job {LONE}"),
        ("Terminating job 501", "Terminating job 501"),
        ("Kill job error on job id 500_9: no", "Kill job error on job id 500_9: no"),
    ],
)
def test_an_id_in_an_error_is_the_caller_s(said: str, expected: str) -> None:
    expected = expected.replace("JobId=600", f"JobId={LONE}")
    assert error_with_tickets(said.encode(), known(), {}).decode() == expected


@pytest.mark.parametrize(("left", "right"), [("", ""), ("[", "]")], ids=["22.05", "26.05"])
def test_a_list_of_tasks_stands_as_slurm_writes_it(left: str, right: str, capfd: pytest.CaptureFixture[str]) -> None:
    said = f"500_{left}0-2{right}: Job is pending execution\n".encode()
    run = lambda *_, **__: Answer(1, b"", said)  # noqa: E731 # a stand-in
    control = Control(cast(Context, SimpleNamespace(run=run, tickets=known())), Line([], []))
    control.asked = {ARRAY: {4, 5}}
    assert control.plain(["requeue", "500_[1-2]"]) == 1
    assert capfd.readouterr().err == f"{ARRAY}_{left}4-5{right}: Job is pending execution\n"
