"""Auto mode: the keeper of a session, how it is started, what it leaves, and who ends it."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults import wait_for
from support.person import SYSTEM_PATH, USER, Person, Result
from support.terminal import Terminal

from sbatch_shim.companions.reminder import Asked

pytestmark = pytest.mark.slurm
SESSION = f"auto.{os.uname().nodename}.{pwd.getpwnam(USER).pw_gid if USER else os.getegid()}"


def auto(person: Person, *words: str, **more: str) -> Result:
    """One sbatch call in auto mode, in the session of this user and host."""
    return person.run("sbatch", *words, env=person.environment(SARRAY_MODE="auto", **{"SARRAY_IDLE": "0.3", **more}))


def folder(person: Person, session: str = SESSION) -> Path:
    return person.home / "state" / "sessions" / session


def keepers(person: Person) -> list[int]:
    """The keepers of this test's state folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            environment = (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        state = b"SARRAY_STATE_DIR=" + os.fsencode(person.home / "state")
        if b"sbatch_shim.flush.keeper" in words and state in environment:
            found.append(int(path.name))
    return found


def keeper(person: Person) -> int:
    """The only one."""
    wait_for(lambda: keepers(person))
    wait_for(lambda: len(keepers(person)) == 1)
    return keepers(person)[0]


def settled(person: Person, *files: str) -> None:
    """Wait until jobs have left these files."""
    wait_for(lambda: all((person.home / name).exists() for name in files))
    person.settle()


@pytest.fixture
def quiet(person: Person) -> Iterator[Person]:
    """Of which no keeper is left at the end."""
    yield person
    (person.home / "state").rename(person.home / "gone")
    wait_for(lambda: not keepers(person), 30)


def test_a_umask_that_takes_everything_shuts_out_no_later_call(quiet: Person) -> None:
    """What one sbatch leaves, the next one, the keeper and the flush must be able to open."""
    script = "umask 777; for n in 1 2 3; do sbatch -Q -o /dev/null --wrap 'umask 22; touch ran.'$n; done"
    env = quiet.environment(SARRAY_MODE="auto", SARRAY_IDLE="0.3")
    done = quiet.run("bash", "-c", script, env=env)
    assert (done.status, done.err) == (0, b"")
    settled(quiet, *(f"ran.{n}" for n in (1, 2, 3)))
    assert not (folder(quiet) / "passed").exists()


def test_calls_are_submitted_by_themselves_as_one_array(quiet: Person) -> None:
    ids = [auto(quiet, "--parsable", "--wrap", f"touch ran.{n}").out.decode().strip() for n in range(8)]
    settled(quiet, *(f"ran.{n}" for n in range(8)))
    status = quiet.run(str(quiet.prefix / "bin/sarray"), "status").out.decode()
    assert all(one in status for one in ids)
    # A loaded machine may take longer between two calls than the quiet time.
    assert int(re.findall(r"as arrays or jobs: (\d+)", status)[0]) < 8, status
    assert f"session {SESSION} has a keeper" in status
    os.kill(keeper(quiet), signal.SIGKILL)
    wait_for(lambda: not keepers(quiet))
    assert b"keeper" not in quiet.run(str(quiet.prefix / "bin/sarray"), "status").out, "none is missed"


def in_queue_mode(person: Person, *words: str, **more: str) -> str:
    """The ticket of one sbatch call in queue mode."""
    done = person.run("sbatch", "--parsable", *words, env=person.environment(SARRAY_MODE="queue", **more))
    assert done.status == 0, done.err
    return done.out.decode().strip()


def states(person: Person, *ids: str) -> list[str]:
    """What squeue shows as the reason why these wait."""
    rows = person.run("squeue", "-h", "-j", ",".join(ids), "-o", "%i %r").out.decode().split("\n")
    return sorted(row for row in rows if row)


def test_what_queue_mode_has_queued_waits_for_its_flush_where_the_mode_changes(quiet: Person) -> None:
    """One login session, first in queue mode, then in auto mode, then in queue mode again."""
    before = in_queue_mode(quiet, "--wrap=echo x >>ran.before", SARRAY_SESSION="login")
    wanted = in_queue_mode(quiet, "--wrap=echo x >>ran.wanted", SARRAY_SESSION="other")
    assert auto(quiet, "--wrap=echo x >>ran.auto").status == 0
    # What waits for a queued call submits that with it.
    assert auto(quiet, "-d", f"afterok:{wanted}", "--wrap=[ -e ran.wanted ] && echo x >>ran.behind").status == 0
    settled(quiet, "ran.auto", "ran.wanted", "ran.behind")
    after = in_queue_mode(quiet, "--wrap=echo x >>ran.after", SARRAY_SESSION="login")
    assert auto(quiet, "--wrap=echo x >>ran.last").status == 0
    settled(quiet, "ran.last")
    assert states(quiet, before, after) == [f"{before} SarrayQueued", f"{after} SarrayQueued"]
    done = quiet.run(f"{quiet.prefix}/bin/sarray-flush", env=quiet.environment(SARRAY_SESSION="login"))
    assert done.status == 0, done.err
    settled(quiet, *(f"ran.{name}" for name in ("before", "wanted", "auto", "behind", "after", "last")))
    assert {path.read_text() for path in quiet.home.glob("ran.*")} == {"x\n"}


def test_a_name_that_both_modes_use_is_one_queue(quiet: Person) -> None:
    """The user has said so with SARRAY_SESSION: its keeper submits all of it, each call once."""
    name = {"SARRAY_SESSION": "both"}
    in_queue_mode(quiet, "--wrap=echo x >>ran.1", **name)
    assert auto(quiet, "--wrap=echo x >>ran.2", **name).status == 0
    settled(quiet, "ran.1", "ran.2")
    in_queue_mode(quiet, "--wrap=echo x >>ran.3", **name)
    assert auto(quiet, "--wrap=echo x >>ran.4", **name).status == 0
    settled(quiet, "ran.3", "ran.4")
    assert {path.read_text() for path in quiet.home.glob("ran.*")} == {"x\n"}


def test_a_keeper_has_nothing_of_its_caller(quiet: Person) -> None:
    """A `$(sbatch ...)` returns, whatever the caller had open, and nothing of the call is left in it."""
    script = "exec 7>held; trap '' HUP TERM; ulimit -S -t 1000; id=$(sbatch --parsable --wrap 'touch ran'); echo $id"
    env = quiet.environment(SARRAY_MODE="auto", LD_PRELOAD="", SARRAY_IDLE="0.3")
    result = quiet.run("bash", "-c", script, env=env)
    assert result.out.strip().isdigit(), result
    pid = keeper(quiet)
    proc = Path(f"/proc/{pid}")
    own = str(folder(quiet))

    def opened() -> set[str]:
        try:
            return {os.readlink(one) for one in (proc / "fd").iterdir()}
        except FileNotFoundError:
            return set()  # it has just closed one

    wait_for(lambda: opened() == {"/dev/null", f"{own}/keeper.log", f"{own}/keeper.lock"})
    assert os.readlink(proc / "cwd") == "/"
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
    fields = (proc / "stat").read_text().rpartition(") ")[2].split()
    assert int(status["PPid"]) != os.getpid()
    assert int(fields[3]) not in (pid, os.getsid(0)), "a process session of its own that it does not lead"
    assert int(status["SigIgn"], 16) & ((1 << signal.SIGHUP - 1) | (1 << signal.SIGTERM - 1)) == 0
    assert re.search(r"Max cpu time +unlimited", (proc / "limits").read_text())
    environment = (proc / "environ").read_bytes()
    assert b"SARRAY_MODE" not in environment and b"LD_PRELOAD" not in environment
    settled(quiet, "ran")


def test_a_keeper_outlives_the_terminal_of_its_caller(quiet: Person) -> None:
    """Which is gone, with the shell that leads its session, before anything is submitted."""
    with Terminal(quiet, "bash", "--norc", SARRAY_MODE="auto", SARRAY_IDLE="2") as terminal:
        terminal.type("sbatch -o /dev/null --wrap='touch ran'\r")
        terminal.expect("^Submitted batch job")
    settled(quiet, "ran")


def test_many_first_calls_start_one_keeper(quiet: Person) -> None:
    env = quiet.environment(SARRAY_MODE="auto", SARRAY_IDLE="0.3")
    script = 'for n in $(seq 24); do sbatch -Q --wrap "touch ran.$n" & done; wait'
    assert quiet.run("bash", "-c", script, env=env).status == 0
    keeper(quiet)
    settled(quiet, *(f"ran.{n}" for n in range(1, 25)))
    begun = (folder(quiet) / "keeper.log").read_text().count("begins")
    assert begun == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_after_a_killed_keeper_the_next_call_or_question_starts_another(quiet: Person, number: int) -> None:
    env = {"SARRAY_IDLE": "600", "SARRAY_MAX_WAIT": "600"}
    first = auto(quiet, "--parsable", "--wrap", "touch ran.1", **env).out.decode().strip()
    os.kill(keeper(quiet), number)
    wait_for(lambda: not keepers(quiet))
    question = ["squeue", "-h", "-j", first, "-o", "%T"]
    assert quiet.run(*question, env=quiet.environment(**env)).out == b"PENDING\n"
    os.kill(keeper(quiet), number)
    wait_for(lambda: not keepers(quiet))
    auto(quiet, "-Q", "--wrap", "touch ran.2", SARRAY_IDLE="0.1")
    settled(quiet, "ran.1", "ran.2")


@pytest.mark.parametrize("question", ["squeue", "squeue -h -u $USER", "squeue -h -n wrap -t all"])
def test_after_a_killed_keeper_a_question_that_names_no_ticket_starts_another(quiet: Person, question: str) -> None:
    """Throttles count all jobs of a user, and some pipelines wait until none is left."""
    auto(quiet, "-Q", "--wrap", "touch ran", SARRAY_IDLE="600", SARRAY_MAX_WAIT="600")
    os.kill(keeper(quiet), signal.SIGKILL)
    wait_for(lambda: not keepers(quiet))
    quiet.run("bash", "-c", question, env=quiet.environment(SARRAY_IDLE="0.3"))
    settled(quiet, "ran")


def test_a_stopped_keeper_is_replaced_by_the_next_call_or_question(quiet: Person) -> None:
    """It holds its lock for ever."""
    env = {"SARRAY_IDLE": "600", "SARRAY_MAX_WAIT": "600"}
    first = auto(quiet, "--parsable", "--wrap", "touch ran.1", **env).out.decode().strip()
    stopped = keeper(quiet)
    wait_for(lambda: (folder(quiet) / "keeper.lock").read_bytes())
    os.kill(stopped, signal.SIGSTOP)
    wait_for(lambda: ") T " in Path(f"/proc/{stopped}/stat").read_text())
    quiet.run("squeue", "-h", "-j", first, env=quiet.environment())
    wait_for(lambda: stopped not in keepers(quiet))
    settled(quiet, "ran.1")
    other = keeper(quiet)
    os.kill(other, signal.SIGSTOP)
    wait_for(lambda: ") T " in Path(f"/proc/{other}/stat").read_text())
    auto(quiet, "-Q", "--wrap", "touch ran.2")
    settled(quiet, "ran.2")
    assert keeper(quiet) != other


@pytest.mark.parametrize("less", ["ulimit -n 500", "nice -n 5"])
def test_a_keeper_of_a_caller_with_less_does_not_hold_up_others(quiet: Person, less: str) -> None:
    """It could not submit calls whose limits are above its own, and would keep them for ever."""
    env = quiet.environment(SARRAY_MODE="auto", SARRAY_IDLE="0.3")
    call = "sbatch -Q --wrap 'touch ran.1'"
    quiet.run("bash", "-c", f"{less}; {call}" if less.startswith("ulimit") else f"{less} {call}", env=env)
    poor = keeper(quiet)
    settled(quiet, "ran.1")
    auto(quiet, "-Q", "--wrap", "touch ran.2")
    settled(quiet, "ran.2")
    rich = keeper(quiet)
    assert rich != poor
    quiet.run("bash", "-c", f"{less}; {call}" if less.startswith("ulimit") else f"{less} {call}", env=env)
    assert keeper(quiet) == rich, "that one will do for both"


def test_calls_of_two_groups_have_a_keeper_each(quiet: Person) -> None:
    """No process may submit for another group than its own (newgrp, sg)."""
    if not USER or os.geteuid() != 0:
        pytest.skip("needs root, to be another group")
    entry = pwd.getpwnam(USER)
    script = 'sbatch --parsable --wrap "id -gn >ran.$1" ${2:+-d afterok:$2}'

    def call(group: int, *words: str) -> str:
        env = quiet.environment(SARRAY_MODE="auto", SARRAY_IDLE="0.3")
        return subprocess.run(
            ["bash", "-c", script, "bash", *words], env=env, cwd=quiet.home, stdin=subprocess.DEVNULL, check=True,
            stdout=subprocess.PIPE, user=entry.pw_uid, group=group, extra_groups=[entry.pw_gid],
        ).stdout.decode().strip()  # fmt: skip

    first = call(entry.pw_gid, "1")
    second = call(grp.getgrnam("users").gr_gid, "2", first)
    call(entry.pw_gid, "3", second)
    settled(quiet, "ran.1", "ran.2", "ran.3")
    groups = [(quiet.home / f"ran.{n}").read_text().strip() for n in (1, 2, 3)]
    own = grp.getgrgid(entry.pw_gid).gr_name
    assert groups == [own, "users", own]


def test_where_no_keeper_can_be_a_call_is_submitted_directly(quiet: Person) -> None:
    """It would be queued for ever."""
    env = quiet.environment(SARRAY_MODE="auto", SARRAY_IDLE="0.3")
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:error=ENOSYS"]
    result = quiet.run(*trace, "sbatch", "--parsable", "--wrap", "touch ran.1", env=env)
    assert (result.status, result.err) == (0, b"") and len(result.out.strip()) < 10, result
    path = folder(quiet) / "keeper.lock"
    path.unlink()
    path.mkdir()
    result = quiet.run("sbatch", "--parsable", "--wrap", "touch ran.2", env=env)
    assert len(result.out.strip()) < 10 and b"not queued, submitting directly" in result.err, result
    settled(quiet, "ran.1", "ran.2")


def test_a_file_of_failures_that_a_full_disk_left_empty_harms_no_call(quiet: Person) -> None:
    auto(quiet, "-Q", "--wrap", "touch ran")
    settled(quiet, "ran")
    failed = folder(quiet) / "failed"
    failed.touch()
    quiet.own(failed)
    result = auto(quiet, "-Q", "--wrap", "true")
    assert (result.status, result.err) == (0, b"")


def test_a_keeper_whose_log_takes_nothing_works_on(quiet: Person) -> None:
    """As on a full disk."""
    auto(quiet, "-Q", "--wrap", "touch ran.1", SARRAY_LINGER="0.2")
    settled(quiet, "ran.1")
    wait_for(lambda: not keepers(quiet), 60)
    log = folder(quiet) / "keeper.log"
    env = quiet.environment(SARRAY_MODE="auto", SARRAY_IDLE="0.3")
    log.write_bytes(b"x" * (1 << 20))  # as long as it may become
    quiet.run("bash", "-c", "ulimit -f 1024; sbatch -Q --wrap 'touch ran.2'", env=env)
    settled(quiet, "ran.2")
    assert log.stat().st_size == 1 << 20


def test_a_question_about_a_queued_call_flushes_it(quiet: Person) -> None:
    env = {"SARRAY_IDLE": "600", "SARRAY_MAX_WAIT": "600"}
    first = auto(quiet, "--parsable", "--wrap", "touch ran", **env).out.decode().strip()
    keeper(quiet)
    assert not (quiet.home / "ran").exists()
    quiet.run("squeue", "-h", "-j", first, env=quiet.environment(**env))
    settled(quiet, "ran")


def test_a_question_is_heard_by_a_keeper_that_has_not_begun(quiet: Person) -> None:
    """The first call's keeper may still be starting."""
    env = {"SARRAY_IDLE": "600", "SARRAY_MAX_WAIT": "600"}
    auto(quiet, "-Q", "--wrap", "touch ran", **env)
    os.kill(keeper(quiet), signal.SIGKILL)
    wait_for(lambda: not keepers(quiet))
    (folder(quiet) / "wake").touch()
    quiet.own(folder(quiet) / "wake")
    quiet.run("squeue", env=quiet.environment(**env))
    settled(quiet, "ran")


def test_an_idle_keeper_leaves_and_the_next_call_starts_another(quiet: Person) -> None:
    auto(quiet, "-Q", "--wrap", "touch ran.1", SARRAY_LINGER="0.5")
    settled(quiet, "ran.1")
    wait_for(lambda: not keepers(quiet), 60)
    auto(quiet, "-Q", "--wrap", "touch ran.2", SARRAY_LINGER="0.5")
    settled(quiet, "ran.2")
    assert (folder(quiet) / "keeper.log").read_text().count("leaves, as nothing is queued") >= 1


def test_no_call_waits_longer_than_it_may_in_a_stream_of_calls(quiet: Person) -> None:
    """Calls without a pause are flushed all the same."""
    env = quiet.environment(SARRAY_MODE="auto", SARRAY_IDLE="600", SARRAY_MAX_WAIT="0.5")
    stream = 'n=0; until [ -e ran.1 ] || ((n > 600)); do ((n++)); sbatch -Q --wrap "touch ran.$n"; done; echo $n'
    many = int(quiet.run("bash", "-c", stream, env=env).out)
    settled(quiet, *(f"ran.{n}" for n in range(1, many + 1)))
    assert 1 < many <= 600


def test_what_slurm_refuses_after_the_answer_is_failed_and_told_once(quiet: Person) -> None:
    bad = auto(quiet, "--parsable", "-L", "nothing", "--wrap", "true").out.decode().strip()
    behind = auto(quiet, "--parsable", "-d", f"afterok:{bad}", "--wrap", "true").out.decode().strip()
    good = auto(quiet, "--parsable", "--wrap", "touch ran").out.decode().strip()
    settled(quiet, "ran")
    wait_for(lambda: b"exit status" in (folder(quiet) / "keeper.log").read_bytes())
    env = quiet.environment()
    shown = quiet.run("scontrol", "show", "job", bad, env=env).out.decode()
    assert "JobState=FAILED Reason=" in shown and "license" in shown.partition("Reason=")[2]
    assert "JobState=FAILED" in quiet.run("scontrol", "show", "job", behind, env=env).out.decode()
    listed = quiet.run("squeue", "-h", "-o", "%A", env=env).out.decode().split()
    assert bad not in listed and behind not in listed
    told = auto(quiet, "-Q", "--wrap", "true").err.decode()
    assert told.count("was refused after it had been answered (and 1 more call)") == 1 and bad in told
    assert auto(quiet, "-Q", "--wrap", "true").err == b""
    status = quiet.run(str(quiet.prefix / "bin/sarray"), "status", good, bad, behind)
    assert status.out.count(b"FAILED") == 2 and b"refused after the answer" in status.err


def test_a_keeper_does_not_wait_long_for_the_flush_of_another_session(quiet: Person) -> None:
    """Which may wait for its own: calls of two sessions that wait for each other's in turn."""
    queued = quiet.environment(SARRAY_MODE="queue", SARRAY_SESSION="y")
    first = quiet.run("sbatch", "--parsable", "--wrap", "touch ran.1", env=queued).out.decode().strip()
    path = folder(quiet, "y") / "flush.lock"
    path.touch()
    quiet.own(path)
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        auto(quiet, "-Q", "-d", f"afterok:{first}", "--wrap", "touch ran.2", SARRAY_SESSION="x")
        begun = time.monotonic()
        log = folder(quiet, "x") / "keeper.log"
        wait_for(lambda: log.exists() and b"calls stay queued" in log.read_bytes())
        assert time.monotonic() - begun < 45, "the bound of a flush that is not tried again is 60 s"
    settled(quiet, "ran.1", "ran.2")


def test_a_mode_that_was_set_needs_no_variable_and_ends_in_jobs(quiet: Person) -> None:
    """Drivers clean the environment; jobs of theirs must not queue."""
    sarray = str(quiet.prefix / "bin/sarray")
    assert quiet.run(sarray, "mode").out == b"pass\n"
    assert quiet.run(sarray, "mode", "auto").out == b"auto\n"
    clean = quiet.environment(SARRAY_IDLE="0.3")
    outer = quiet.run("sbatch", "--parsable", "--wrap", "sbatch --parsable -o inner.log --wrap true >inner", env=clean)
    assert len(outer.out.strip()) == 10, "a ticket"
    settled(quiet, "inner")
    assert len((quiet.home / "inner").read_text().strip()) < 10, "a real id"
    direct = quiet.run("sbatch", "--parsable", "--wrap", "true", env=quiet.environment(SARRAY_MODE=""))
    assert len(direct.out.strip()) < 10, "the variable wins"
    assert quiet.run(sarray, "mode", "pass").out == b"pass\n"
    assert len(quiet.run("sbatch", "--parsable", "--wrap", "true", env=clean).out.strip()) < 10


def test_run_runs_a_pipeline_and_leaves_nothing_queued(quiet: Person) -> None:
    sarray = str(quiet.prefix / "bin/sarray")
    env = quiet.environment(PATH=SYSTEM_PATH)
    pipeline = 'for n in 1 2 3; do sbatch -Q --wrap "touch ran.$n"; done; echo $SARRAY_MODE; exit 4'
    result = quiet.run(sarray, "run", "--mode", "queue", "bash", "-c", pipeline, env=env)
    assert (result.status, result.out) == (4, b"queue\n"), result
    settled(quiet, "ran.1", "ran.2", "ran.3")
    waiting = (
        "id=$(sbatch --parsable --wrap 'touch ran.4'); while squeue -h -j $id 2>&1 | grep -q $id; do sleep 0.1; done"
    )
    result = quiet.run(sarray, "run", "--", "bash", "-c", waiting, env={**env, "SARRAY_IDLE": "0.3"})
    assert result.status == 0, result
    assert (quiet.home / "ran.4").exists()
    missing = quiet.run(sarray, "run", "./none")
    assert (missing.status, missing.err) == (
        1,
        b"sarray: ./none cannot be run: No such file or directory; nothing was queued\n",
    )


def test_run_leaves_ignored_signals_ignored(person: Person) -> None:
    """As of a pipeline that a script has put into the background."""
    script = "trap '' INT QUIT; grep SigIgn /proc/self/status; sarray run grep SigIgn /proc/self/status"
    path = f"{person.prefix}/bin:{SYSTEM_PATH}"
    direct, through = person.run("bash", "-c", script, env=person.environment(PATH=path)).out.decode().splitlines()
    assert direct == through
    assert int(through.split()[1], 16) & 0b110 == 0b110


@pytest.mark.parametrize("number", ["TERM", "HUP"])
def test_run_passes_on_what_ends_it_and_flushes_then(quiet: Person, number: str) -> None:
    """As `timeout sarray run` does: directly the pipeline would have ended."""
    pipeline = (
        f"sbatch -Q --wrap 'touch ran'; trap 'exit 7' {number}; kill -{number} $PPID; "
        "for n in $(seq 100); do sleep 0.1; done"
    )
    sarray = str(quiet.prefix / "bin/sarray")
    env = quiet.environment(PATH=SYSTEM_PATH)
    assert quiet.run(sarray, "run", "--mode", "queue", "bash", "-c", pipeline, env=env, timeout=60).status == 7
    settled(quiet, "ran")


def test_random_kills_under_load_lose_and_double_nothing(quiet: Person) -> None:
    """Keepers and flushes are killed all the time while calls come."""
    env = quiet.environment(SARRAY_MODE="auto", SARRAY_IDLE="0.1", SARRAY_MAX_WAIT="0.4")
    script = 'for n in $(seq 60); do sbatch -Q --wrap "echo x >>ran.$n"; done'
    stream = subprocess.Popen(
        ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "bash", "-c", script],
        env=env, cwd=quiet.home, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    killed = 0
    while stream.poll() is None:
        for pid in keepers(quiet) if killed < 40 else []:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            victims = [pid, *(int(word) for word in children.read_text().split())] if children.exists() else []
            for victim in victims:
                try:
                    os.kill(victim, signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass
        time.sleep(0.15)  # the pace of the killing, on which nothing else depends
    assert stream.returncode == 0 and killed
    # The next call starts a keeper, which finds out what became of the rest.
    auto(quiet, "-Q", "--wrap", "echo x >>ran.61")
    settled(quiet, *(f"ran.{n}" for n in range(1, 62)))
    assert all((quiet.home / f"ran.{n}").read_text() == "x\n" for n in range(1, 62))


def test_a_poll_in_queue_mode_is_told_once_what_it_waits_for(person: Person) -> None:
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    ticket = person.queue("--parsable", "--hold", "--wrap", "true").out.decode().strip()
    for _ in range(12):
        assert person.run("squeue", "-h", "-j", ticket, env=env).err == b""
    path = os.fsencode(folder(person, "test") / "asked")
    asked = Asked.read(path)
    assert asked is not None and (asked.ticket, asked.count, asked.told) == (int(ticket), 12, False)
    asked.since -= 10
    asked.write(path)
    person.own(Path(os.fsdecode(path)))
    other = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="other")
    assert person.run("squeue", "-h", "-j", ticket, env=other).err == b"", "somebody else"
    told = person.run("squeue", "-h", "-j", ticket, env=env).err
    assert told.count(b"nothing of it runs before sarray-flush") == 1
    assert person.run("squeue", "-h", "-j", ticket, env=env).err == b""


@pytest.mark.parametrize("who", ["$PPID", "$$"], ids=["flush", "sbatch"])
def test_a_stopped_flush_or_sbatch_does_not_hold_up_a_keeper(quiet: Person, who: str) -> None:
    """Whoever stopped it may never let it go on; every call runs once all the same."""
    site = quiet.home / "site"
    site.mkdir()
    stop = f'if mkdir "$HOME/stopped" 2>/dev/null; then kill -STOP {who}; fi'
    (site / "sbatch").write_text(f'#!/bin/bash\n{stop}\nexec /usr/bin/sbatch "$@"\n')
    (site / "sbatch").chmod(0o755)
    quiet.own(site)
    path = f"{quiet.prefix}/shims:{site}:{SYSTEM_PATH}"
    for number in (1, 2):
        auto(quiet, "-Q", "--wrap", f"echo x >>ran.{number}", PATH=path)
    wait_for(lambda: (quiet.home / "stopped").exists())
    auto(quiet, "-Q", "--wrap", "echo x >>ran.3", PATH=path)
    settled(quiet, "ran.1", "ran.2", "ran.3")
    assert [(quiet.home / f"ran.{number}").read_text() for number in (1, 2, 3)] == ["x\n"] * 3


def test_two_hundred_sessions_share_a_state_folder(quiet: Person) -> None:
    script = 'for n in $(seq 200); do SARRAY_SESSION=s$n sbatch --parsable -o /dev/null --wrap "echo x >>ran.$n"; done'
    made = quiet.run("bash", "-c", script, env=quiet.environment(SARRAY_MODE="queue")).out.decode().split()
    assert len(set(made)) == 200
    auto(quiet, "-Q", "-o", "/dev/null", "--wrap", "echo x >>ran.auto")
    settled(quiet, "ran.auto")
    listed = quiet.run("squeue", "-h", "-o", "%i", env=quiet.environment()).out.decode().split()
    assert sorted(listed) == sorted(made)
    done = quiet.run(str(quiet.prefix / "bin/sarray-flush"), "--all", env=quiet.environment())
    assert done.status == 0, done.err.decode()[-2000:]
    settled(quiet, *(f"ran.{number}" for number in range(1, 201)))
    assert {path.read_text() for path in quiet.home.glob("ran.*")} == {"x\n"}
    assert len(list(quiet.home.glob("ran.*"))) == 201


@pytest.mark.accounting
@pytest.mark.parametrize("span", [[], ["-S", "2020-01-01"]], ids=["today", "since"])
def test_a_job_that_sacct_has_shown_does_not_vanish_on_its_way_to_the_database(quiet: Person, span: list[str]) -> None:
    """Queued, submitted, recorded: a poller that finds it gone in between would take it for lost."""
    ticket = auto(quiet, "--parsable", "-o", "/dev/null", "--wrap", "true").out.decode().strip()
    told: list[str] = []

    def ended() -> bool:
        words = ["sacct", "-n", "-X", "-P", "-j", ticket, "-o", "State", *span]
        told.append(quiet.run(*words, env=quiet.environment()).out.decode().strip())
        return told[-1] == "COMPLETED"

    wait_for(ended)
    assert told[0] == "PENDING" and set(told) <= {"PENDING", "RUNNING", "COMPLETED"}, told
