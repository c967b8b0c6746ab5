"""The version of a program of Slurm is asked for once, and again when the program is another one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sbatch_shim.companions.slurm_version import MOST_KEPT, OLDEST, remembered


class Asked:
    """Counts how often it is asked."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return self.text


def program(folder: Path, name: str, content: bytes = b"\x7fELF") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"slurm-wlm 22.05.8\n", (22, 5)),
        (b"slurm 24.11.5-Bull.1.0", (24, 11)),
        (b"", None),
        (b"squeue: error: x", None),
    ],
)
def test_a_version_as_slurm_tells_it(tmp_path: Path, text: bytes, wanted: tuple[int, int] | None) -> None:
    squeue = program(tmp_path, "squeue")
    assert remembered(os.fsencode(tmp_path), squeue, Asked(text), may_write=True) == (wanted or OLDEST)
    assert (tmp_path / "slurm-versions").exists() is (wanted is not None)


def test_a_program_is_asked_once(tmp_path: Path) -> None:
    squeue, ask = program(tmp_path, "squeue"), Asked(b"slurm 24.11.5")
    for _ in range(3):
        assert remembered(os.fsencode(tmp_path), squeue, ask, may_write=True) == (24, 11)
    assert ask.times == 1


def test_another_program_at_its_place_is_asked(tmp_path: Path) -> None:
    squeue = program(tmp_path, "squeue")
    assert remembered(os.fsencode(tmp_path), squeue, Asked(b"slurm 24.11.5"), may_write=True) == (24, 11)
    os.unlink(squeue)
    program(tmp_path, "squeue", b"\x7fELF newer")
    assert remembered(os.fsencode(tmp_path), squeue, Asked(b"slurm 26.05.1"), may_write=True) == (26, 5)


def test_a_script_is_asked_each_time(tmp_path: Path) -> None:
    """It may start another Slurm each time."""
    wrapper = program(tmp_path, "squeue", b"#!/bin/sh\n")
    assert remembered(os.fsencode(tmp_path), wrapper, Asked(b"slurm 24.11.5"), may_write=True) == (24, 11)
    assert remembered(os.fsencode(tmp_path), wrapper, Asked(b"slurm 26.05.1"), may_write=True) == (26, 5)


def test_no_answer_is_not_remembered(tmp_path: Path) -> None:
    squeue = program(tmp_path, "squeue")
    assert remembered(os.fsencode(tmp_path), squeue, Asked(b""), may_write=True) == OLDEST
    assert remembered(os.fsencode(tmp_path), squeue, Asked(b"slurm 26.05.1"), may_write=True) == (26, 5)


def test_few_programs_are_remembered(tmp_path: Path) -> None:
    for number in range(2 * MOST_KEPT):
        remembered(os.fsencode(tmp_path), program(tmp_path, f"squeue{number}"), Asked(b"slurm 24.11.5"), may_write=True)
    assert len((tmp_path / "slurm-versions").read_bytes().splitlines()) == MOST_KEPT
    latest = str(tmp_path / f"squeue{2 * MOST_KEPT - 1}")
    assert remembered(os.fsencode(tmp_path), latest, Asked(b""), may_write=True) == (24, 11)


@pytest.mark.parametrize("state", ["", "nowhere"])
def test_without_a_state_folder_nothing_is_written(tmp_path: Path, state: str) -> None:
    folder = os.fsencode(tmp_path / state)
    assert remembered(folder, program(tmp_path, "squeue"), Asked(b"slurm 24.11.5"), may_write=False) == (24, 11)
    assert sorted(os.listdir(tmp_path)) == ["squeue"]


def test_a_damaged_file_is_no_matter(tmp_path: Path) -> None:
    squeue = program(tmp_path, "squeue")
    told = os.stat(squeue)
    known = b"%d:%d:%d:%d" % (told.st_dev, told.st_ino, told.st_size, told.st_ctime_ns)
    (tmp_path / "slurm-versions").write_bytes(b"\0\n\n" + known + b" junk\n" + known)
    assert remembered(os.fsencode(tmp_path), squeue, Asked(b"slurm 24.11.5"), may_write=True) == (24, 11)
