"""
A state folder that this version has written, which every later one must read, or refuse by its number.

tests/data/state-1 was left by: a plain call and an array call that were submitted, one that was refused twice, one
whose flush was killed with the submission under way, and one that is still in the queue.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from sbatch_shim.errors import SpoolError
from sbatch_shim.spool import FORMAT, Session, open_state
from sbatch_shim.state.calls import in_doubt, look
from sbatch_shim.state.events import Submitting
from sbatch_shim.state.journal import Journal, Place, TicketMap, flush_folders

SAMPLE = Path(__file__).parent.parent / "data/state-1"
FIRST = 2042021000


@pytest.fixture
def state(tmp_path: Path) -> bytes:
    folder = tmp_path / "state"
    shutil.copytree(SAMPLE, folder)
    folder.chmod(0o700)
    return os.fsencode(folder)


def test_the_sample_is_of_this_format(state: bytes) -> None:
    """A new number needs a new sample; the old one must still be read, or refused."""
    assert FORMAT == b"1\n"
    open_state(state)


def test_the_calls_are_read(state: bytes) -> None:
    calls, problems = look(Session(state, b"sample"))
    assert problems == []
    refused, queued = calls
    assert (refused.ticket, refused.options, refused.body()) == (
        FIRST + 2,
        {"partition": b"nosuch"},
        b"#!/bin/sh\n# This script was created by sbatch --wrap.\n\necho refused\n",
    )
    assert (queued.ticket, queued.options) == (FIRST + 4, {"dependency": b"afterok:%d" % FIRST, "mem": b"8G"})
    assert queued.environment.get(b"COLOUR") == b"blue"
    assert queued.environment.get(b"HOME") == b"/tmp/pipeline"
    assert queued.cwd == b"/tmp/pipeline"
    assert (queued.umask, queued.source) == (b"0022", b"wrap")


def test_the_map_is_read(state: bytes) -> None:
    tickets = TicketMap(state)
    assert tickets.place(FIRST) == Place(4711, None, None, True, 1, 1)
    assert tickets.place(FIRST + 1) == Place(4711, None, "1-3", True, 3, 3)


def test_the_submission_under_way_is_known(state: bytes) -> None:
    (event,) = in_doubt(Session(state, b"sample"))
    assert isinstance(event, Submitting) and event.asked is not None
    assert event.tickets == {FIRST + 3: [None, None]}
    assert (event.asked.sbatch, event.asked.since) == ("/tmp/pipeline/site/sbatch", 1795254774)


def test_a_journal_is_written_as_it_was_read(state: bytes) -> None:
    folders = flush_folders(Session(state, b"sample"))
    for folder in folders:
        journal = Journal(folder)
        lines = [json.dumps(event.to_json(), separators=(",", ":")).encode() for event in journal.events()]
        assert lines == journal.raw_lines()
    assert folders


def test_a_newer_number_is_refused_in_a_sentence(state: bytes) -> None:
    (Path(os.fsdecode(state)) / "format").write_text("2\n")
    with pytest.raises(SpoolError, match=r"the state folder .* was written by another version of sbatch-shim"):
        open_state(state)
