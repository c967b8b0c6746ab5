"""What is remembered of a queue file for the next listing is what its records say, or is as if it was not there."""

from __future__ import annotations

import errno
import fcntl
import marshal
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbatch_shim.errors import HandOver
from sbatch_shim.record import digest, encode
from sbatch_shim.spool import Session, open_state
from sbatch_shim.state import briefs, calls
from sbatch_shim.state.briefs import MADE_BY, Briefs, kind_of
from sbatch_shim.state.calls import Call, Shared, build
from sbatch_shim.state.tickets import SessionTickets

BODY = b"#!/bin/sh\n#SBATCH --time=10 --comment=all -d singleton\ntrue\n"


class Made:
    """A session to which calls are added."""

    def __init__(self, folder: Path) -> None:
        state = os.fsencode(folder) + b"/state"
        open_state(state)
        self.session = Session(state, b"made")
        self.session.make()
        self.listed = Path(os.fsdecode(self.session.folder), "listed")
        self.values = dict.fromkeys(("host", "sbatch", "umask", "limits"), b"") | {"nice": b"0", "source": b"file"}
        self.values |= {"time": b"1700000000", "cwd": b"/home/ada", "script": b"/home/ada/job.sh"}
        self.values |= {"body": self.session.keep_blob(BODY), "environment": self.session.keep_blob(b"HOME=/\0")}

    def add(self, words: list[bytes], changed: list[bytes], time: int = 1700000000) -> int:
        return self.session.append(encode({**self.values, "time": b"%d" % time}, words, [], changed))

    def add_loop(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.add([b"-J", b"align-%d" % number, b"job.sh", b"%d" % number], [b"SAMPLE=%d" % number], number)

    def payloads(self) -> dict[int, bytes]:
        return calls.payloads(self.session)

    def names(self) -> dict[int, bytes | None]:
        """By ticket, as a listing learns it."""
        held = SessionTickets(self.session).read()
        return {ticket: name for ticket, _, name, _, _ in held.briefs() if ticket in held.untried}

    def own_names(self) -> dict[int, bytes | None]:
        """By ticket, each call by itself."""
        return {
            ticket: build(self.session, ticket, record, Shared()).name for ticket, record in self.payloads().items()
        }


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    for module, name in (
        (briefs, "WORTH_A_FILE"),
        (briefs, "WORTH_A_PATTERN"),
        (calls, "WORTH_REMEMBERING"),
    ):
        monkeypatch.setattr(module, name, 1)
    return Made(tmp_path)


text = st.sampled_from(
    [
        b"",
        b"a",
        b"b,c",
        b":",
        b"1:a,",
        b"7:",
        b",",
        b"--",
        b"-J",
        b"\n",
        b"a\0",
        b"%j",
        b"%",
        b"\xff",
        b"2",
        b"3-4",
        b"6",
    ]
)
# Their values follow in the next word where these do not end with `=`.
option = st.sampled_from(
    b"-J --job-name --job= -J= -HJ= -HJ -o --output= -d --dep= -p -t --time-min= -N -n --ntasks= --nice=".split()
)
# Their values stand in the same word.
glued = st.sampled_from([b"-J", b"-o", b"-p", b"-t", b"-n", b"-Hn"])
variable = st.sampled_from([b"X=", b"Y", b"SBATCH_JOB_NAME=", b"SBATCH_X=", b"="])
end = st.sampled_from([[b"job.sh"], [b"--", b"job.sh"], [b"--wrap", b"true"], [b"-H", b"-a1-3", b"job.sh"]])
time = st.sampled_from([b"0", b"1700000000", b"x", b"-1", b" 1", b""])
name = st.one_of(st.tuples(option, st.just(False)), st.tuples(glued, st.just(True)))
shape = st.tuples(st.lists(name, max_size=3), end, st.integers(0, 2), st.lists(variable, max_size=2))
Record = tuple[bytes, list[bytes], list[bytes]]


@st.composite
def loops(draw: st.DrawFn) -> list[Record]:
    """The calls of a few loops, in any order: times, words and variables."""
    found = []
    for options, end, arguments, variables in draw(st.lists(shape, min_size=1, max_size=2)):
        for _ in range(draw(st.integers(1, 6))):
            words: list[bytes] = []
            for name, is_glued in options:
                value = draw(text)
                words += [name + value] if is_glued or name[-1:] == b"=" else [name, value]
            words += [*end, *(draw(text) for _ in range(arguments))]
            found.append((draw(time), words, [name + draw(text) for name in variables]))
    return draw(st.permutations(found))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("any"))


@settings(deadline=None, max_examples=500)
@given(many=loops(), half=st.integers(0, 10))
def test_a_brief_is_what_the_record_says(session: Made, many: list[Record], half: int) -> None:
    records = {
        ticket: encode({**session.values, "time": time}, words, [], changed)
        for ticket, (time, words, changed) in enumerate(many, 1)
    }
    known = {ticket: read(session, ticket, record) for ticket, record in records.items()}
    found = Briefs(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(briefs, "WORTH_A_PATTERN", 1)
        patch.setattr(briefs, "AT_A_TIME", 3)
        for part in ([*records][:half], [*records][half:]):
            found.take({ticket: records[ticket] for ticket in part}, known.get)
    rows = [*found.rows()]
    assert [row[0] for row in rows] == [*records]
    for ticket, time, name, waits, model in rows:
        call, like = known[ticket], known.get(model)
        if model:
            assert call is not None and like is not None
            assert (time, name, waits) == (call.time, call.name, call.options.get("dependency"))
            assert kind_of(call) == kind_of(like)
        else:
            # Of records that differ in time only, the first one stands for the others.
            assert call is None or not all(time.isdigit() for time, _, _ in many)


def test_a_field_that_looks_like_two_is_one(made: Made) -> None:
    """A pattern finds the end of a field by its commas, of which another one may have as many less."""
    made.add([b"-J", b"a", b"-o", b"w,x,y,z", b"job.sh"], [])
    made.add([b"-J", b"a,2:-o,1:b", b"-o", b"c,d", b"job.sh"], [])
    made.add([b"-J", b"b", b"-o", b"1,2,3,4", b"job.sh"], [])
    assert [*made.names().values()] == [b"a", b"a,2:-o,1:b", b"b"]


def test_an_option_that_takes_the_next_word_moves_the_others(made: Made) -> None:
    made.add([b"-pmain", b"-J", b"a", b"job.sh"], [])
    made.add([b"-p", b"-J", b"b", b"job.sh"], [])
    assert [*made.names().values()] == [b"a", b"job.sh"]


def test_of_an_option_that_is_given_twice_the_last_one_counts(made: Made) -> None:
    for name in (b"a", b"b", b"c"):
        made.add([b"-J", name, b"-HJz", b"job.sh"], [])
        made.add([b"-J", name, b"--job-name", name * 2, b"job.sh"], [])
    assert [*made.names().values()] == [b"z", b"aa", b"z", b"bb", b"z", b"cc"]


def test_calls_like_one_that_cannot_be_read_have_a_model(made: Made) -> None:
    made.add([b"-J", b"a", b"-p", b"main", b"job.sh"], [])
    tickets = [made.add([b"-J", name, b"-p", b"other", b"job.sh"], []) for name in (b"\1", b"b", b"c")]
    held = SessionTickets(made.session).read()
    assert [model for _, _, _, _, model in held.briefs()][1:] == [0, tickets[1], tickets[1]]


def read(session: Made, ticket: int, record: bytes) -> Call | None:
    try:
        return build(session.session, ticket, record, Shared())
    except (ValueError, HandOver):
        return None


def test_calls_of_a_loop_are_read_by_a_pattern(made: Made) -> None:
    made.add_loop(0, 200)
    records = made.payloads()
    asked = []

    def call_of(ticket: int) -> Call | None:
        asked.append(ticket)
        return read(made, ticket, records[ticket])

    found = Briefs(0)
    found.take(records, call_of)
    assert {*asked} == {next(iter(records))}
    assert [name for _, _, name, _, _ in found.rows()] == [b"align-%d" % number for number in range(200)]


def test_of_what_is_remembered_only_what_came_since_is_read(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.add_loop(0, 20)
    assert made.names() == made.own_names()
    before = made.listed.read_bytes()
    asked = []
    frames = calls.frames
    monkeypatch.setattr(calls, "frames", lambda data, *where: asked.append(len(data)) or frames(data, *where))
    assert len(made.names()) == 20
    assert asked == [0]
    assert made.listed.read_bytes() == before
    made.add_loop(20, 5)
    found = made.names()
    assert 0 < asked[1] < os.stat(made.session.queue).st_size / 3
    assert found == made.own_names()
    assert len(found) == 25
    assert made.listed.read_bytes() != before


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)


def by_another_version(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"listed 1 ", b"listed 0 ", 1))


def of_another_file(path: Path) -> None:
    inode, *rest = marshal.loads(path.read_bytes()[len(MADE_BY) + 40 :])
    body = marshal.dumps((inode + 1, *rest))
    path.write_bytes(MADE_BY + digest(body).encode() + body)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "change",
    [flip, by_another_version, of_another_file, link, lambda path: path.write_bytes(path.read_bytes()[:-5]),
     lambda path: path.write_bytes(b""), os.unlink],
)  # fmt: skip
def test_a_file_that_is_not_as_it_was_written_is_as_if_it_was_not_there(
    made: Made, change: Callable[[Path], object]
) -> None:
    made.add_loop(0, 20)
    made.names()
    path = made.listed
    # What would be told if it was taken at its word.
    inode, end, tail, columns = marshal.loads(path.read_bytes()[len(MADE_BY) + 40 :])
    columns[2][0] = b"wrong"
    body = marshal.dumps((inode, end, tail, columns))
    path.write_bytes(MADE_BY + digest(body).encode() + body)
    assert b"wrong" in made.names().values()
    change(path)
    assert made.names() == made.own_names()
    assert not path.is_symlink() or change is link


def test_another_queue_is_not_taken_for_the_one_that_is_remembered(made: Made) -> None:
    made.add_loop(100, 20)
    made.names()
    queue = Path(os.fsdecode(made.session.queue))
    other = Made(queue.parents[3] / "other")
    other.add_loop(200, 30)
    # In place, so that the inode is the same; and a record ends where one did.
    queue.write_bytes(Path(os.fsdecode(other.session.queue)).read_bytes())
    assert set(made.names().values()) == {b"align-%d" % number for number in range(200, 230)}


def test_a_queue_that_a_flush_has_claimed_is_known_again_and_so_is_the_next_one(made: Made) -> None:
    made.add_loop(0, 20)
    made.names()
    folder = Path(os.fsdecode(made.session.folder), "flushes", "20261101-120000-000")
    folder.mkdir()
    os.rename(made.session.queue, folder / "claimed")
    assert made.names() == made.own_names()
    made.add_loop(20, 5)
    for _ in range(2):
        assert made.names() == made.own_names()
        assert len(made.names()) == 25


@pytest.mark.parametrize("torn", [b"call 1000000099 0000000400\n10:17", b"call ", b"x"])
def test_what_a_writer_that_was_killed_has_left_is_no_call(made: Made, torn: bytes) -> None:
    made.add_loop(0, 20)
    made.names()
    made.add_loop(20, 3)
    with open(made.session.queue, "ab") as queue:
        queue.write(torn)
    for _ in range(2):
        assert made.names() == made.own_names()
        assert len(made.names()) == 23
    made.add_loop(23, 2)  # which cuts it off
    for _ in range(2):
        assert made.names() == made.own_names()
        assert len(made.names()) == 25


def test_behind_what_is_remembered_a_damaged_record_is_found_and_those_after_it_are_told(made: Made) -> None:
    made.add_loop(0, 20)
    made.names()
    made.add_loop(20, 3)
    queue = Path(os.fsdecode(made.session.queue))
    queue.write_bytes(queue.read_bytes().replace(b"align-21", b"align-2x"))
    for _ in range(2):
        assert made.names() == made.own_names()
        assert len(made.names()) == 22


def test_only_who_owns_the_folder_writes_and_reads_it(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.add_loop(0, 20)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert made.names() == made.own_names()
    assert not made.listed.exists()
    monkeypatch.undo()
    made.listed.write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        patch.setattr(marshal, "loads", lambda data: pytest.fail("it was read"))
        assert made.names() == made.own_names()


def test_a_full_disk_and_another_listing_that_writes_are_nobodys_concern(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.add_loop(0, 20)

    def full(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(briefs, "write", full)
        assert made.names() == made.own_names()
    assert not made.listed.exists()
    draft = made.listed.with_name("listed.new")
    with draft.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert made.names() == made.own_names()
        assert not made.listed.exists()
        assert draft.stat().st_size == 100
    assert made.names() == made.own_names()
    assert made.listed.exists()
    assert not draft.exists()
    assert made.listed.stat().st_mode & 0o777 == 0o600


def test_a_draft_that_became_the_file_meanwhile_is_left_alone(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.add_loop(0, 20)
    draft = made.listed.with_name("listed.new")
    draft.write_bytes(b"another's")
    monkeypatch.setattr(fcntl, "flock", lambda stream, how: draft.rename(made.listed))
    assert made.names() == made.own_names()
    assert made.listed.read_bytes() == b"another's"


def test_calls_that_are_like_no_others_are_told_by_themselves(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(briefs, "MOST_MODELS", 3)
    tickets = [made.add([b"--mem=%dG" % number, b"job.sh"], []) for number in range(1, 6)]
    for _ in range(2):
        held = SessionTickets(made.session).read()
        assert [(ticket, model) for ticket, _, _, _, model in held.briefs()] == [
            *zip(tickets[:3], tickets[:3]),
            *((ticket, 0) for ticket in tickets[3:]),
        ]


def test_no_argument_or_variable_is_written_down(made: Made) -> None:
    for number in range(3):
        made.add([b"-J", b"name", b"job.sh", b"secret-%d" % number], [b"TOKEN=secret"])
    made.names()
    assert b"name" in made.listed.read_bytes()
    assert b"secret" not in made.listed.read_bytes()
