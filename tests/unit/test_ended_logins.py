"""Logins that have ended: env.sh in an interactive shell says that their calls wait, and sarray-flush knows them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbatch_shim.flush.sessions import has_ended
from sbatch_shim.setup.install import render
from sbatch_shim.spool import Session

SHELLS = ["bash --norc -i", "bash --posix --norc -i", "zsh -f -i", "dash -i"]
# A leader that tells its session's name, then waits for its stdin to end; a child of it waits for another pipe.
LOGIN = """
import os, sys
from sbatch_shim.spool import session_name
if not os.fork():
    os.read(int(sys.argv[1]), 1)
    os._exit(0)
print(os.fsdecode(session_name({})), flush=True)
sys.stdin.read()
"""


class Login:
    """A login session of its own, with a process that can outlive its leader."""

    def __init__(self) -> None:
        reader, self.writer = os.pipe()
        self.leader = subprocess.Popen(
            [sys.executable, "-c", LOGIN, str(reader)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[reader],
            start_new_session=True,
        )
        os.close(reader)
        assert self.leader.stdout
        self.name = self.leader.stdout.readline().strip()

    def end_leader(self) -> None:
        assert self.leader.stdin
        self.leader.stdin.close()
        self.leader.wait()

    def end(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1
            self.end_leader()
            assert self.leader.stdout
            self.leader.stdout.read()  # the child has it too
        deadline = time.monotonic() + 300
        while not has_ended(self.name):  # the last moment of the child
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "the state"
    (folder / "sessions").mkdir(parents=True)
    (folder / "blocks").mkdir()
    (tmp_path / "env.sh").write_text(render("env.sh", shims="/the/shims"))
    monkeypatch.setenv("SARRAY_STATE_DIR", str(folder))
    return folder


@pytest.fixture
def login() -> Iterator[Login]:
    one = Login()
    yield one
    one.end()


def session_in(state: Path, name: bytes, calls: int = 1) -> Session:
    session = Session(os.fsencode(state), name)
    session.make()
    for _ in range(calls):
        session.append(b"a call\nof\nlines\n")
    return session


def told(state: Path, shell: str = SHELLS[0], before: str = "") -> list[str]:
    """What env.sh says, sourced twice in one shell."""
    words = [*shell.split(), "-c", f"{before} . '{state.parent}/env.sh'; . '{state.parent}/env.sh'; echo $PATH"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, start_new_session=True)
    assert done.returncode == 0 and done.stdout.startswith("/the/shims"), done.stderr
    return [line for line in done.stderr.splitlines() if "job control" not in line and "process group" not in line]


def ended_name() -> bytes:
    login = Login()
    login.end()
    return login.name


@pytest.mark.parametrize("shell", SHELLS)
def test_one_line_once_all_processes_of_a_login_have_ended(state: Path, login: Login, shell: str) -> None:
    session_in(state, login.name)
    for end in (lambda: None, login.end_leader):
        end()
        assert not has_ended(login.name)
        assert told(state, shell) == []
    login.end()
    assert has_ended(login.name)
    words = "sbatch-shim: calls of a login that has ended are not submitted: sarray-flush --session "
    assert told(state, shell) == [f"{words}{os.fsdecode(login.name)} (or sarray status)"]
    assert len(told(state, shell, "set -u; set -e;")) == 1
    home = state.parent / "home/.local/state"
    home.mkdir(parents=True)
    (home / "sarray").symlink_to(state)
    assert len(told(state, shell, f"unset SARRAY_STATE_DIR XDG_STATE_HOME; HOME='{home.parent.parent}';")) == 1
    assert len(told(state, shell, f"unset SARRAY_STATE_DIR; XDG_STATE_HOME='{home}';")) == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_is_said_of_what_does_not_wait(state: Path, shell: str) -> None:
    assert told(state, shell) == []
    session = session_in(state, ended_name())
    assert len(told(state, shell)) == 1
    flush = Path(os.fsdecode(session.folder), "flushes/1")
    flush.mkdir()
    with session.lock():
        assert session.claim(os.fsencode(flush / "claimed"))
    assert len(told(state, shell)) == 1, "Slurm has refused it for now, or the flush was killed"
    (flush / "done").touch()
    assert os.path.getsize(session.queue) > 0
    assert told(state, shell) == [], "an empty queue is no empty file"
    session.append(b"another")
    assert len(told(state, shell)) == 1
    dropped = Path(os.fsdecode(session.folder), "dropped")
    dropped.touch()
    os.utime(dropped, ns=(time.time_ns(), os.stat(session.queue).st_mtime_ns + 10**9))
    assert told(state, shell) == [], "sarray cancel was the last that was done"


def test_nothing_is_said_of_other_sessions(state: Path, login: Login) -> None:
    """This login, one of another host, one whose start is not known, and those that somebody has named."""
    host, leader, start = ended_name().rsplit(b".", 2)
    names = [b"elsewhere.%s.%s" % (leader, start), b"%s.%s.0" % (host, leader), b"run7", b"auto.%s.0" % host, b"a.b.c"]
    names += [b"%s.%s." % (host, leader), b"%s..%s" % (host, start), b"listen.%s.%s" % (leader, start), b"9.9"]
    for name in [*names, login.name]:
        session_in(state, name)
        assert not has_ended(name), name
    assert told(state) == []
    session_in(state, b"%s.%s.%s" % (host, leader, start))
    assert len(told(state)) == 1


def test_a_number_that_another_process_has_now(state: Path, login: Login) -> None:
    host, leader, start = login.name.rsplit(b".", 2)
    session_in(state, b"%s.%s.%d" % (host, leader, int(start) + 1))
    assert has_ended(b"%s.%s.%d" % (host, leader, int(start) + 1))
    assert len(told(state)) == 1


def test_only_an_interactive_shell_says_it_and_keeps_nothing(state: Path) -> None:
    session_in(state, ended_name())
    assert told(state, "bash") == told(state, "dash") == told(state, "zsh -f") == []
    assert told(state, before="set -a;") == [], "the mark that it was said would get into jobs"
    for shell in SHELLS:
        words = [*shell.split(), "-c", f". '{state.parent}/env.sh' 2>/dev/null; env; echo then; set"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, start_new_session=True)
        environment, _, kept = done.stdout.partition("then\n")
        assert "sarray" not in environment
        assert {line.partition("=")[0] for line in kept.splitlines() if line.startswith("sarray")} == {
            "sarray_reminded"
        }


def test_no_program_is_started(state: Path) -> None:
    session_in(state, ended_name())
    words = ["strace", "-f", "-e", "trace=fork,vfork,clone,clone3,execve", "-o", str(state.parent / "trace")]
    if not shutil.which("strace") or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace cannot run here")
    shell = ["bash", "--norc", "-i", "-c", f". '{state.parent}/env.sh'"]
    done = subprocess.run([*words, *shell], capture_output=True, text=True, check=False, start_new_session=True)
    assert "sbatch-shim: calls" in done.stderr
    calls = [line for line in (state.parent / "trace").read_text().splitlines() if "(" in line and "+++" not in line]
    assert len(calls) == 1, calls
