"""A ticket's record is found by halves, and nothing else is taken for it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sbatch_shim.record import TAIL, frame
from sbatch_shim.spool import FIRST_TICKET, QUEUE_HEAD
from sbatch_shim.state.calls import records
from sbatch_shim.state.seek import payload_of

# A payload may hold what looks like a tail or a record.
ODD = st.sampled_from(
    [b"\nend ", TAIL % (FIRST_TICKET, 3, 15, b"0" * 40), frame(FIRST_TICKET + 3, b"abc", 15), b"call "]
)
PAYLOADS = st.lists(st.one_of(st.binary(max_size=20), ODD, st.just(b"x" * 5000)), min_size=1, max_size=4).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(
    calls=st.lists(st.tuples(st.integers(1, 2000), PAYLOADS), max_size=30),
    rest=st.sampled_from([b"", b"call 10", b"call 1000000001 0000000003\nab", b"x" * 9000]),
    cut=st.none() | st.integers(0, 3000),
)
def test_it_finds_what_the_whole_file_tells(calls: list[tuple[int, bytes]], rest: bytes, cut: int | None) -> None:
    """Also where a part of the file is damaged: then it may find less, and never something else."""
    data = QUEUE_HEAD + frame(FIRST_TICKET, b"", len(QUEUE_HEAD))
    ticket = FIRST_TICKET
    for step, payload in calls:
        ticket += step
        data += frame(ticket, payload, len(data))
    data += rest
    if cut is not None and len(data) > len(QUEUE_HEAD) + cut:
        at = len(QUEUE_HEAD) + cut
        data = data[:at] + b"\0" * 50 + data[at + 50 :]
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        known = dict(records(data)[0])
        for wanted in {FIRST_TICKET, FIRST_TICKET + 1, ticket + 1, *known}:
            found = payload_of(os.fsencode(file.name), wanted)
            if cut is None:
                assert found == (known.get(wanted) or None)
            else:
                assert found in (None, known.get(wanted))


def test_numbers_that_begin_again_are_not_found_and_do_no_harm(tmp_path: Path) -> None:
    data = QUEUE_HEAD
    for ticket in (FIRST_TICKET + 5000, FIRST_TICKET + 5001, FIRST_TICKET, FIRST_TICKET + 1):
        data += frame(ticket, b"%d" % ticket, len(data))
    (tmp_path / "queue").write_bytes(data)
    for ticket in (FIRST_TICKET + 5000, FIRST_TICKET, FIRST_TICKET + 1, FIRST_TICKET + 7):
        assert payload_of(os.fsencode(tmp_path / "queue"), ticket) in (None, b"%d" % ticket)
