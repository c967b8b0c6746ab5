"""What was queued again, when the one who did it was killed half-way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sbatch_shim.errors import ShimError
from sbatch_shim.request import Piped
from sbatch_shim.shim import queue
from sbatch_shim.spool import Session, open_state
from sbatch_shim.state.calls import payloads
from sbatch_shim.state.dropped import drop
from sbatch_shim.state.tickets import SessionTickets
from sbatch_shim.verbs.rerun import Reruns
from sbatch_shim.verbs.status import severity


class Killed(Exception):
    pass


@pytest.fixture
def session(tmp_path: Path) -> Session:
    state = os.fsencode(tmp_path / "state")
    open_state(state)
    found = Session(state, b"test")
    found.make()
    return found


def queued(session: Session) -> int:
    return queue(session, [b"--wrap=true"], [b"PATH=/bin"], b"", Piped())[0]


def reruns(session: Session) -> Reruns:
    return Reruns(SessionTickets(session).read())


def killed_after(notes: int, again: Reruns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let its first lines reach the disk, and no other."""
    left = [notes]
    note = again.note

    def some(line: bytes) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        note(line)

    monkeypatch.setattr(again, "note", some)


def test_killed_before_the_call_is_queued(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = queued(session)
    payload = payloads(session)[ticket] + b"0:,"  # as if of another second
    again = reruns(session)
    killed_after(1, again, monkeypatch)
    monkeypatch.setattr(session, "append", lambda _: (_ for _ in ()).throw(Killed))
    again.pages.session = session
    with pytest.raises(Killed):
        again.queue(ticket, payload)
    assert not reruns(session).reran(ticket)


def test_killed_before_the_new_ticket_is_noted(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket, other = queued(session), queued(session)
    payload = payloads(session)[ticket] + b"0:,"
    again = reruns(session)
    killed_after(1, again, monkeypatch)
    with pytest.raises(Killed):
        again.queue(ticket, payload)
    after = reruns(session)
    assert after.reran(ticket)
    assert not after.reran(other)
    (new,) = after.new[ticket]
    drop(session, [new])
    assert not reruns(session).reran(ticket), "what was queued again and cancelled may be queued once more"


def test_of_two_alike_only_the_queued_one_counts(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = queued(session), queued(session)
    payload = payloads(session)[first] + b"0:,"
    reruns(session).queue(first, payload)
    again = reruns(session)
    killed_after(1, again, monkeypatch)
    monkeypatch.setattr(again.pages.session, "append", lambda _: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        again.queue(second, payload)
    after = reruns(session)
    assert after.reran(first)
    assert not after.reran(second)


def test_a_torn_line_is_cut_off(session: Session) -> None:
    ticket = queued(session)
    (Path(os.fsdecode(session.folder)) / "reruns").write_bytes(b"%d =abc" % ticket)
    assert not reruns(session).reran(ticket)
    new = reruns(session).queue(ticket, payloads(session)[ticket] + b"0:,")
    assert reruns(session).new == {ticket: {new}}


@pytest.mark.parametrize("line", [b"x\n", b"1 2 3\n", b"\n", b"1000000000 \xff\n"])
def test_a_damaged_line_is_a_sentence(session: Session, line: bytes) -> None:
    (Path(os.fsdecode(session.folder)) / "reruns").write_bytes(line)
    with pytest.raises(ShimError, match="reruns is damaged"):
        reruns(session)


def test_the_worst_exit_code() -> None:
    assert max(["", "9:0", "0:9", "12:0", "0:0"], key=severity) == "12:0"
