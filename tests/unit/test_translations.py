"""
What the companions make of what the real squeue, sacct and scontrol said, for three versions of Slurm.

The replies, and what is expected of them, are in tests/data/slurm-VERSION; tests/record makes and updates them.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import pytest
from support import replies
from support.replies import CASES, DATA, TEXT, VERSIONS, Answered, Record, Unrecorded

every_version = pytest.mark.parametrize("version", VERSIONS)
every_case = pytest.mark.parametrize("case", CASES)

# What squeue lists with -t all only, and calls that were cancelled before they were submitted.
OVER = {"finished", "failed", "cancelled", "lane_done"}
DROPPED = {"late_cancelled"}
# sacct lists by itself what is the user's, and what may start.
UNACCOUNTED = {"stranger", "lane_waits", "held", "on_hold", "late_dependent"}


@cache
def record(version: str) -> Record:
    return Record(DATA / f"slurm-{version}")


@cache
def output(version: str, case: str) -> str:
    """What the companion shows."""
    with tempfile.TemporaryDirectory() as folder:
        return replies.translated(record(version), case, Path(folder))


@every_version
@every_case
def test_replies_are_translated_as_expected(version: str, case: str) -> None:
    expected = replies.expected_file(record(version), case).read_text(*TEXT)
    assert replies.condensed(output(version, case)) == expected


@every_version
@every_case
def test_only_slurm_knows_what_a_merged_task_is_called(version: str, case: str) -> None:
    shown = output(version, case)
    assert replies.real_ids(record(version), shown) == []
    assert f"{replies.HOME}/state" not in shown.replace("\\/", "/")


@every_version
@pytest.mark.parametrize(
    ("case", "hidden"),
    [
        ("squeue", OVER | DROPPED),
        ("squeue-o", OVER | DROPPED),
        ("squeue-O", OVER | DROPPED),
        ("squeue-r", OVER | DROPPED),
        ("squeue-all", DROPPED),
        ("squeue-json", DROPPED),
        ("sacct-X", UNACCOUNTED),
        ("sacct-P", UNACCOUNTED),
        ("scontrol", DROPPED),
        ("scontrol-o", DROPPED),
        ("scontrol-json", DROPPED),
    ],
)
def test_every_ticket_is_shown(version: str, case: str, hidden: set[str]) -> None:
    if case.startswith("sacct") and not record(version).accounting:
        assert "accounting storage is disabled" in output(version, case)
    elif case == "scontrol-json" and version == "22.05":
        assert "unrecognized option '--json'" in output(version, case)
    else:
        missing = {name for name, ticket in record(version).tickets.items() if ticket not in output(version, case)}
        assert missing == hidden


@every_version
def test_nothing_is_expected_of_no_case(version: str) -> None:
    assert {path.stem for path in (record(version).folder / "expected").iterdir()} == set(CASES)


def test_a_question_without_a_reply_fails_in_a_sentence(tmp_path: Path) -> None:
    known = record("22.05")
    context = Answered(known, replies.copy_of_state(known, tmp_path), ["squeue"])
    with pytest.raises(Unrecorded, match=r"slurm-22\.05 has no reply to: SLURM_BITSTR_LEN=0 squeue '-x' 'a b' \(if"):
        context.run("squeue", ["-x", "a b"], SLURM_BITSTR_LEN="0")


def test_a_condensed_document_tells_every_difference() -> None:
    jobs = ['    {\n      "id": %d\n    }%s\n' % (number, end) for number, end in ((1, ","), (2, ","), (2, ""))]
    text = "$ squeue\n{\n" + "".join(jobs) + "}\n"
    assert replies.condensed(text).count("@@") == 4
    assert replies.condensed(text) != replies.condensed(text.replace("2", "3", 1))
    assert replies.condensed("JOBID\n    {\n    }\n") == "JOBID\n    {\n    }\n"
