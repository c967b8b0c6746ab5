"""Locks that somebody else holds: waited for in turn, given up where the holder shows no sign of life."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sbatch_shim import contended
from sbatch_shim.contended import Holder, Stuck, wait
from sbatch_shim.errors import ShimError, SpoolError
from sbatch_shim.flush.patience import Patience, Stop
from sbatch_shim.softlock import acquire
from sbatch_shim.spool import Lock, Session
from sbatch_shim.state.locks import Busy, brief, exclusive, unless_held

# Holds the lock on a file; then does what it is told: touches another file as long as it lives, or stops.
HOLDER = """
import fcntl, os, signal, sys, time
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
if sys.argv[2] == "stop":
    os.kill(os.getpid(), signal.SIGSTOP)
while True:
    if sys.argv[2][0] == "/":
        open(sys.argv[2], "a").write("x")
    time.sleep(0.1)
"""


@pytest.fixture
def path(tmp_path: Path) -> bytes:
    (tmp_path / "lock").touch()
    return os.fsencode(tmp_path / "lock")


@pytest.fixture
def hold(path: bytes) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts a process that holds the lock."""
    running = []

    def start(what: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", HOLDER, path, what]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout and process.stdout.readline() == b"\n"
        if what == "stop":
            until(lambda: Holder(path).stopped)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "not within 30 s"
        time.sleep(0.01)


def is_free(path: bytes) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.mark.parametrize("threads", [True, False])
def test_a_holder_that_works_is_waited_for(
    path: bytes, hold: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: bool
) -> None:
    """However long all of them take together."""
    if not threads:
        monkeypatch.setattr(contended, "start_new_thread", refuse)
    sign = tmp_path / "queue"
    sign.touch()
    process = hold(str(sign))
    stuck = Stuck(path, os.fsencode(sign), seconds=1)
    looks = []

    def look() -> None:
        looks.append(time.monotonic())
        stuck()
        if looks[-1] - looks[0] > 2:
            process.kill()

    descriptor = os.open(path, os.O_RDWR)
    wait(descriptor, look)
    assert not is_free(path)
    assert len(looks) > 3
    os.close(descriptor)
    assert is_free(path)


def refuse(*_: object) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("threads", [True, False])
def test_a_holder_without_a_sign_of_life_is_given_up(
    path: bytes, hold: Start, monkeypatch: pytest.MonkeyPatch, threads: bool
) -> None:
    """And named; the lock is nobody's when it ends, also while who gave up lives on."""
    if not threads:
        monkeypatch.setattr(contended, "start_new_thread", refuse)
    monkeypatch.setattr(Lock, "look", lambda lock: Stuck(lock.path, seconds=1))
    process = hold("hang")
    told = rf"lock has been held for \d+ s by process {process.pid} \(python"
    with pytest.raises(SpoolError, match=told), Lock(path):
        pass
    process.kill()
    process.wait()
    until(lambda: is_free(path))
    with Lock(path):
        assert not is_free(path)


def test_a_stopped_holder_is_given_up_sooner(path: bytes, hold: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = hold("stop")
    monkeypatch.setattr(contended, "STOPPED_SECONDS", 1)
    with pytest.raises(SpoolError, match=rf"process {process.pid} \(python[^)]*, stopped\)"), Lock(path):
        pass
    # Who goes on in time is waited for.
    monkeypatch.setattr(contended, "STOPPED_SECONDS", 20)
    os.kill(process.pid, signal.SIGCONT)
    stuck = Stuck(path)
    stuck()
    process.kill()
    with Lock(path):
        pass


def test_who_waits_for_a_flush_can_be_stopped_and_is_told_who_has_the_lock(path: bytes, hold: Start) -> None:
    process = hold("hang")
    said: list[str] = []
    stop = Stop()

    def tell(text: str) -> None:
        said.append(text)
        stop.signal = signal.SIGTERM

    patience = Patience(stop=stop, say=tell)
    told = "interrupted while another sarray-flush of this session is at work"
    with pytest.raises(ShimError, match=told), exclusive(path, patience):
        pass
    assert said[0].startswith("another sarray-flush of this session is at work: process %d (" % process.pid)
    for patience, seconds in ((Patience(), 0), (Patience(bound=0), None)):
        with pytest.raises(Busy), exclusive(path, patience, seconds):
            pass
    with pytest.raises(Busy), unless_held(path):
        pass


def test_a_signal_ends_the_wait_for_the_lock_of_sbatch(path: bytes, hold: Start, tmp_path: Path) -> None:
    process = hold("hang")
    session = Session(os.fsencode(tmp_path), b"x")
    session.folder = os.fsencode(tmp_path)
    stop = Stop()
    stop.signal = signal.SIGTERM
    told = f"interrupted while process {process.pid}"
    with pytest.raises(ShimError, match=told), brief(session, Patience(stop=stop)):
        pass


def test_the_holder_is_unknown_where_nobody_holds(path: bytes) -> None:
    assert (Holder(path).pid, str(Holder(path))) == (0, "another process")
    with Lock(path):
        assert Holder(path).pid == os.getpid()
    assert Holder(path + b"missing").pid == 0


def test_the_wait_for_a_soft_lock_can_be_ended(path: bytes) -> None:
    """Its file may be left from a process that was killed."""
    Path(os.fsdecode(path) + ".soft").touch()

    def look() -> None:
        raise ShimError("interrupted")

    with pytest.raises(ShimError, match="interrupted"):
        acquire(path, look)
