"""Records and the state folder: what was told to a caller survives, what was torn is dropped."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import QUICK

from sbatch_shim.errors import ShimError, SpoolError
from sbatch_shim.flush.backends.local import Local
from sbatch_shim.flush.flush import Flush, Wishes
from sbatch_shim.record import FIELDS, decode, encode, frame, frames, netstring
from sbatch_shim.spool import (
    BLOCK,
    FIRST_TICKET,
    QUEUE_HEAD,
    Session,
    open_state,
    read,
    replace,
    session_name,
    session_of,
)
from sbatch_shim.state.events import Submitted
from sbatch_shim.state.journal import Journal, flush_folders

REPO = Path(__file__).parent.parent.parent
LISTS = st.lists(st.binary(max_size=20), max_size=5)


@pytest.fixture
def state(tmp_path: Path) -> bytes:
    folder = os.fsencode(tmp_path) + b"/state"
    open_state(folder)
    return folder


@pytest.fixture
def session(state: bytes) -> Session:
    made = Session(state, b"unit")
    made.make()
    return made


def queued(path: bytes) -> list[tuple[int, bytes]]:
    """The calls in a queue file, which must be whole to its end."""
    data = read(path)
    assert data.startswith(QUEUE_HEAD)
    found, end = frames(data, len(QUEUE_HEAD))
    assert end == len(data)
    return [(ticket, payload) for ticket, payload in found if payload]


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a process of its own; its wait status."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


@QUICK
@given(st.lists(st.binary(max_size=30), min_size=len(FIELDS), max_size=len(FIELDS)), LISTS, LISTS, LISTS)
def test_a_record_is_read_back_as_it_was(
    fields: list[bytes], words: list[bytes], removed: list[bytes], changed: list[bytes]
) -> None:
    values = dict(zip(FIELDS, fields))
    assert decode(encode(values, words, removed, changed)) == (values, words, removed, changed)
    values["group"] = fields[0]
    assert decode(encode(values, words, removed, changed)) == (values, words, removed, changed)


def test_a_field_of_a_newer_version_is_no_call() -> None:
    payload = encode(dict.fromkeys(FIELDS, b""), [], [], []) + netstring(b"1") + netstring(b"colour=blue")
    with pytest.raises(ValueError, match="newer version"):
        decode(payload)


@QUICK
@given(st.lists(st.tuples(st.integers(0, 2**31), st.binary(max_size=60)), max_size=5), st.binary(max_size=30))
def test_frames_end_where_whole_records_end(records: list[tuple[int, bytes]], rest: bytes) -> None:
    whole = b"head"
    for ticket, payload in records:
        whole += frame(ticket, payload, len(whole))
    assert frames(whole + b"x" + rest, 4) == (records, len(whole))


@QUICK
@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, flip: int) -> None:
    record = bytearray(frame(FIRST_TICKET, b"x" * 40, 0))
    record[at % len(record)] ^= flip
    assert frames(bytes(record), 0) == ([], 0)


@pytest.mark.parametrize("payload", [b"", b"x", b"1:a", b"2:a,", b"1:a," * len(FIELDS), b"1:a," * 40, b"x:a,"])
def test_what_is_no_call_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError):
        decode(payload)


PAYLOADS = {"plain": b"a call\n" * 3, "holds-a-record": b"echo " + frame(FIRST_TICKET + 7, b"inner", 0) + b"and more"}


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
def test_a_record_torn_anywhere_is_dropped_and_the_queue_goes_on(session: Session, kind: str) -> None:
    """Also one whose own bytes look like a record: arguments may hold anything."""
    first = session.append(b"first")
    size = os.path.getsize(session.queue)
    second = session.append(PAYLOADS[kind])
    whole = read(session.queue)
    lost = []
    for cut in range(size, len(whole)):
        with open(session.queue, "wb") as stream:
            stream.write(whole[:cut])
        ticket = session.append(b"next")
        if (
            frames(read(session.queue), len(QUEUE_HEAD))[0][1:] != [(first, b"first"), (second, b"next")]
            or ticket != second
        ):
            lost.append(cut - size)
    assert lost == []


def test_a_full_disk_queues_nothing(session: Session) -> None:
    """The limit on file sizes stands for a disk that takes only a part of the record."""
    first = session.append(b"first")
    whole = read(session.queue)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
    try:
        with pytest.raises(OSError):
            session.append(b"second" * 100)
        with pytest.raises(OSError):
            session.keep_blob(b"blob" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert read(session.queue) == whole
    assert os.listdir(session.folder + b"/blobs") == []
    assert session.append(b"third") == first + 1


def test_tickets_are_unique_among_processes_and_sessions(state: bytes) -> None:
    sessions = [Session(state, b"one"), Session(state, b"two")]
    children = []
    for number in range(6):
        session = sessions[number % 2]
        session.make()
        child = os.fork()
        if not child:
            try:
                for _ in range(20):
                    session.append(b"%d" % number)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    told = [ticket for session in sessions for ticket, _ in queued(session.queue)]
    assert len(told) == len(set(told)) == 120
    for session in sessions:
        own = [ticket for ticket, _ in queued(session.queue)]
        assert own == sorted(own)
        assert {session_of(state, ticket) for ticket in own} == {session.name}


def test_a_session_takes_a_new_block_after_1000_tickets(state: bytes) -> None:
    one, two = Session(state, b"one"), Session(state, b"two")
    one.make()
    two.make()
    start = one.append(b"x")
    assert start % BLOCK == 0
    other = two.append(b"x")
    assert other // BLOCK != start // BLOCK
    # As after 998 more calls.
    replace(one.queue, QUEUE_HEAD + frame(start + 998, b"x", len(QUEUE_HEAD)))
    told = [one.append(b"x") for _ in range(3)]
    assert told[0] == start + 999
    assert told[1] % BLOCK == 0
    assert told[1] // BLOCK not in (start // BLOCK, other // BLOCK)
    assert told[2] == told[1] + 1
    assert session_of(state, told[2]) == b"one"
    assert session_of(state, other) == b"two"


def test_numbers_that_nobody_was_told_belong_to_no_session(session: Session) -> None:
    ticket = session.append(b"x")
    for number in (0, 42, FIRST_TICKET - 1, 2147483647, 4294967296, ticket + BLOCK):
        assert session_of(session.state, number) is None


def test_a_claim_leaves_an_empty_queue_that_counts_on(session: Session, tmp_path: Path) -> None:
    target = os.fsencode(tmp_path) + b"/claimed"
    assert not session.claim(target)
    told = [session.append(b"%d" % number) for number in range(3)]
    with session.lock():
        assert session.claim(target)
        assert not session.claim(target + b"2")
    assert queued(target) == [(ticket, b"%d" % number) for number, ticket in enumerate(told)]
    assert session.append(b"later") == told[-1] + 1
    assert queued(session.queue) == [(told[-1] + 1, b"later")]


@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_a_claim_that_is_killed_loses_nothing(session: Session, tmp_path: Path, renames: int) -> None:
    """The claim renames three times; killed before any of them, each call stays once and numbers go on."""
    target = os.fsencode(tmp_path) + b"/claimed"
    told = [session.append(b"x") for _ in range(2)]
    real_rename = os.rename

    def claim_and_die() -> None:
        import posix

        done = []

        def rename(source: bytes, destination: bytes) -> None:
            if len(done) == renames:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(source)
            real_rename(source, destination)

        posix.rename = rename  # in this process only
        session.claim(target)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(claim_and_die) == signal.SIGKILL
    told.append(session.append(b"x"))
    again = target + b"-again"
    session.claim(again)
    told.append(session.append(b"x"))
    files = [path for path in (target, again, session.queue) if os.path.exists(path)]
    assert [ticket for path in files for ticket, _ in queued(path)] == told
    assert len(set(told)) == 4


def test_a_damaged_queue_is_refused_and_kept(session: Session) -> None:
    session.append(b"x")
    with open(session.queue, "wb") as stream:
        stream.write(b"something else\n" * 20)
    with pytest.raises(SpoolError, match="damaged"):
        session.append(b"y")
    assert read(session.queue) == b"something else\n" * 20


def test_blobs_are_kept_once_by_content(session: Session) -> None:
    names = {session.keep_blob(data) for data in (b"one", b"two", b"one", b"")}
    assert len(names) == 3
    assert sorted(os.fsencode(name) for name in os.listdir(session.folder + b"/blobs")) == sorted(names)
    assert session.blob(session.keep_blob(b"a\0\xff")) == b"a\0\xff"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277])
def test_everything_is_private_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    root = tmp_path / "above" / "state"
    before = os.umask(mask)
    try:
        open_state(os.fsencode(root))
        session = Session(os.fsencode(root), b"unit")
        session.make()
        session.keep_blob(b"x")
        session.note_passed("why")
        session.append(b"x")
        with session.lock():
            session.claim(session.folder + b"/claimed")
    finally:
        os.umask(before)
    modes = {path.relative_to(tmp_path): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert {
        str(path): oct(mode) for path, mode in modes.items() if mode != (0o700 if (tmp_path / path).is_dir() else 0o600)
    } == {}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_state_folder_that_others_can_write_is_refused(state: bytes, mode: int) -> None:
    os.chmod(state, mode)
    with pytest.raises(SpoolError, match="only you can write"):
        open_state(state)


def test_another_users_state_folder_is_refused(state: bytes) -> None:
    """The root folder is another user's, unless we are root: then ours is given away."""
    folder = b"/"
    if os.geteuid() == 0:
        os.chown(state, 12345, -1)
        folder = state
    with pytest.raises(SpoolError, match="only you can write"):
        open_state(folder)


def test_a_state_folder_that_is_a_file_or_leads_to_one_is_refused(state: bytes) -> None:
    with open(state + b"-file", "wb"):
        pass
    os.symlink(state + b"-file", state + b"-link")
    for path in (state + b"-link", state + b"-file"):
        with pytest.raises(SpoolError):
            open_state(path)


def test_when_all_tickets_are_taken(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call goes to the real sbatch; nobody looks for a free block for ever."""
    monkeypatch.setattr("sbatch_shim.spool.BLOCKS", 3)
    assert len({session.reserve_block() for _ in range(3)}) == 3
    with pytest.raises(SpoolError, match="are taken"):
        session.reserve_block()


def test_flush_folders_sort_by_time_where_clocks_do_not(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Summer time ends, or a flush has another TZ: what a later flush claims is no earlier flush's."""
    flush = Flush(session, Local(session.state), Wishes())
    made = []
    for stamp in ("20261025-025900", "20261025-025900", "20261025-020000", "20261025-030000"):
        monkeypatch.setattr("time.strftime", lambda form, stamp=stamp: stamp)
        made.append(flush.new_folder())
    assert made == sorted(made) == flush_folders(session)
    assert [os.path.basename(folder) for folder in made[-2:]] == [b"20261025-025900-002", b"20261025-030000-000"]


def test_a_damaged_journal_says_what_to_do(session: Session) -> None:
    """A flush looks after those that are not done; the others are the user's."""
    folder = session.folder + b"/flushes/20261025-025900-000"
    os.mkdir(folder)
    journal = Journal(folder)
    journal.add(Submitted(1, {}, 7))
    with open(journal.path, "ab") as stream:
        stream.write(b"garbage\n")
    with pytest.raises(ShimError, match=r"^line 2 of .* the next sarray-flush sets it aside$"):
        journal.events()
    open(folder + b"/done", "w").close()
    with pytest.raises(ShimError, match=r"^line 2 of .* you may take the line out$"):
        journal.events()


def test_a_thousand_flush_folders_of_one_second(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or of a day, while the clock is behind: their order tells which was first."""
    monkeypatch.setattr("time.strftime", lambda form: "20261025-020000")
    os.mkdir(session.folder + b"/flushes/20261025-025900-998")
    flush = Flush(session, Local(session.state), Wishes())
    made = [flush.new_folder() for _ in range(3)]
    assert [folder[-5:] for folder in made] == [b"0-999", b"-1000", b"-1001"]
    assert flush_folders(session)[1:] == made


def test_a_newer_format_is_refused_and_kept(state: bytes) -> None:
    replace(state + b"/format", b"2\n")
    with pytest.raises(SpoolError, match="another version"):
        open_state(state)
    assert read(state + b"/format") == b"2\n"


@pytest.mark.parametrize("name", [b"a/b", b".", b"..", b".hidden", b"a b", b"a\n", b"\xc3\xa4", b"x" * 129])
def test_session_names_that_are_no_file_names_are_refused(name: bytes) -> None:
    with pytest.raises(SpoolError):
        session_name({b"SARRAY_SESSION": name})


def test_the_login_session_has_a_name_of_its_own() -> None:
    assert session_name({b"SARRAY_SESSION": b"run.1@x+y_z-0"}) == b"run.1@x+y_z-0"
    assert session_name({}) == session_name({b"SARRAY_SESSION": b""})
    assert b"/" not in session_name({})


HOT = "from sbatch_shim.spool import Lock; lock = Lock(path)"
FLUSH = "from sbatch_shim.state.locks import exclusive as lock_of; lock = None"
FILELOCK = "from filelock import UnixFileLock; lock = UnixFileLock(sys.argv[1])"
TAKER = """
import os, sys
sys.path.insert(0, {repo!r})
path = os.fsencode(sys.argv[1])
{imports}
os.write(1, b"r")
with lock or lock_of(path):
    os.write(1, b"t")
    os.read(0, 1)
os.write(1, b"g")
"""


def taker(path: bytes, imports: str) -> subprocess.Popen[bytes]:
    """A process that says r(eady), t(aken), waits for a byte, gives the lock back and says g(iven)."""
    code = TAKER.format(repo=str(REPO), imports=imports)
    return subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )


@pytest.mark.parametrize(
    ("holds", "waits"),
    [(HOT, FLUSH), (FLUSH, HOT), (HOT, HOT), (FLUSH, FLUSH), (HOT, FILELOCK), (FILELOCK, HOT)],
)
def test_the_locks_of_sbatch_and_flush_exclude_each_other(tmp_path: Path, holds: str, waits: str) -> None:
    path = os.fsencode(tmp_path) + b"/lock"
    holder = taker(path, holds)
    assert holder.stdout and holder.stdin
    assert holder.stdout.read(1) + holder.stdout.read(1) == b"rt"
    waiter = taker(path, waits)
    assert waiter.stdout and waiter.stdin
    assert waiter.stdout.read(1) == b"r"
    assert select.select([waiter.stdout], [], [], 0.3)[0] == []
    holder.stdin.write(b"x")
    assert select.select([waiter.stdout], [], [], 300)[0]
    assert waiter.stdout.read(1) == b"t"
    waiter.stdin.write(b"x")
    for process in (holder, waiter):
        process.communicate()
        assert process.returncode == 0
