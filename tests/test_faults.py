"""Killed anywhere, answers lost, a controller that is away: every call is submitted exactly once, or kept and named."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults import CUT_ANSWER, LOSE_ANSWER, LOSE_REQUEST, PASS, Cluster, Proxy, free_port, spawn, wait_for
from support.person import SYSTEM_PATH, Person, Result

from sbatch_shim.spool import Session
from sbatch_shim.state.calls import look
from sbatch_shim.state.dropped import dropped

pytestmark = pytest.mark.slurm

# What changes something on disk, or starts a process and hears of its end.
CALLS = ("write", "rename", "mkdir", "rmdir", "symlink", "fdatasync", "fsync", "ftruncate", "fchmod", "wait4")
CALLS += ("?clone,?clone3,?vfork",)
KEEPERS_CALLS = ("mkdir", "flock", "ftruncate", "pwrite64", "write", "unlink", "wait4", "poll", "clock_nanosleep")


@pytest.fixture(scope="module")
def cluster(scratch: Path) -> Iterator[Cluster]:
    found = Cluster(scratch / "cluster", free_port())
    yield found
    found.stop()


@pytest.fixture
def user(cluster: Cluster, person: Person) -> Iterator[Person]:
    """The unprivileged user, at a cluster that tests may break."""
    person.conf = cluster.conf
    yield person
    person.cancel_all()


@pytest.fixture
def proxy(cluster: Cluster, user: Person) -> Iterator[Proxy]:
    found = Proxy(cluster, user.home / "proxy.conf")
    user.conf = found.conf
    yield found
    found.close()
    user.conf = cluster.conf


class Breaker:
    """
    Runs a command again and again, each time with a fault at its next step, until there is no such step any more.

    Args:
        fault: As strace has it: `signal=KILL` kills before the step, `error=ENOSPC` makes it fail.
        every: Only each so many-th step of a call, where the steps repeat what is tried elsewhere.
    """

    def __init__(self, fault: str, calls: tuple[str, ...] = CALLS, *, every: int = 1) -> None:
        self.fault = fault
        self.calls = calls
        self.every = every
        self.steps = 0

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        """A name for each run, and the words to put in front of the command."""
        for call in self.calls:
            self.survived = False
            number = 1 - self.every
            while not self.survived:
                number += self.every
                assert number < 100
                words = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
                name = call.partition(",")[0].strip("?")
                yield f"{name}{number}", [*words, "-e", f"inject={call}:{self.fault}:when={number}"]
                self.steps += not self.survived


def queued(person: Person, session: str = "test", state: str = "state") -> list[int]:
    """The tickets of the calls that a session holds."""
    calls, problems = look(Session(os.fsencode(person.home / state), session.encode()))
    assert problems == []
    return [call.ticket for call in calls]


def jobs(person: Person) -> list[str]:
    """The ids of the user's jobs, one for each array."""
    words = ["squeue", "-h", "-t", "all", "-u", person.environment()["USER"], "-o", "%F %o"]
    done = person.run(*words, env=person.environment(PATH=SYSTEM_PATH))
    assert done.status == 0, done.err
    mine = {line for line in done.out.decode().splitlines() if str(person.home) in line}
    return sorted(line.split()[0] for line in mine)


def submitted(person: Person) -> str:
    """The scripts of the user's jobs."""
    words = ["squeue", "-h", "-t", "all", "-u", person.environment()["USER"], "-o", "%o"]
    return person.run(*words, env=person.environment(PATH=SYSTEM_PATH)).out.decode()


def test_a_queueing_sbatch_killed_at_every_step(user: Person) -> None:
    """
    Who was told a ticket has a call in the spool. A killed one leaves no part of a call: either none, or, when it
    was killed between the disk and the answer, a whole one; as the real sbatch may have submitted by then.
    """
    words = ["sbatch", "--parsable", "-o", "/dev/null", "--wrap=true"]
    untold = 0
    breaker = Breaker("signal=KILL")
    for name, trace in breaker:
        more = {"SARRAY_MODE": "queue", "SARRAY_SESSION": "test", "SARRAY_STATE_DIR": str(user.home / name)}
        done = user.run(*trace, *words, env=user.environment(**more))
        breaker.survived = done.status == 0
        found = queued(user, state=name)
        if done.out:
            assert found == [int(done.out)]
        else:
            assert len(found) <= 1
            untold += len(found)
        again = user.run(*words, env=user.environment(**more))
        assert (again.status, again.err) == (0, b"")
        assert queued(user, state=name) == [*found, int(again.out)]
    assert breaker.steps > 15
    assert untold <= 3


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT", "EIO"])
def test_a_queueing_sbatch_whose_disk_fails_at_every_step(user: Person, error: str) -> None:
    """A full disk, a quota, a broken disk: the call is in the spool, or it is Slurm's, never both and never neither."""
    words = ["sbatch", "--parsable", "-H", "-o", "/dev/null", "--wrap=true"]
    breaker = Breaker(f"error={error}", CALLS[:-2])
    unanswered = 0
    for name, trace in breaker:
        log = user.home / "trace"
        trace[trace.index("/dev/null")] = str(log)
        more = {"SARRAY_MODE": "queue", "SARRAY_SESSION": "test", "SARRAY_STATE_DIR": str(user.home / name)}
        done = user.run(*trace, *words, env=user.environment(**more))
        breaker.survived = b"INJECTED" not in log.read_bytes()
        assert done.status == 0, (name, done.err)
        if not done.out:
            # The answer itself: the real sbatch does not mind that either.
            assert len(queued(user, state=name)) == 1
            unanswered += 1
        elif int(done.out) >= 10**9:
            assert (queued(user, state=name), done.err) == ([int(done.out)], b"")
        else:
            assert queued(user, state=name) == []
            assert done.err.startswith(b"sbatch: ") and done.err.count(b"\n") == 1
            assert user.run("squeue", "-h", "-o", "%i", "-j", done.out.decode().strip()).out == done.out
        log.unlink()
        again = user.run(*words, env=user.environment(**more))
        assert (again.status, again.err) == (0, b"")
        assert int(again.out) in queued(user, state=name)
    assert breaker.steps > 15
    assert unanswered == 1


@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOSPC"])
def test_a_scancel_of_a_queued_call_fails_at_every_step(user: Person, fault: str) -> None:
    """Either the call is dropped and never submitted, or it is submitted once; who was told it is gone is right."""
    breaker = Breaker(fault, ("write", "rename", "mkdir", "fdatasync", "ftruncate", "unlink"))
    for name, trace in breaker:
        log = user.home / "trace"
        trace[trace.index("/dev/null")] = str(log)
        more = {"SARRAY_SESSION": "test", "SARRAY_STATE_DIR": str(user.home / name)}
        words = ["sbatch", "--parsable", "-H", "-o", "/dev/null", "--wrap=true"]
        ticket, other = (
            user.run(*words, env=user.environment(SARRAY_MODE="queue", **more)).out.decode().strip() for _ in range(2)
        )
        done = user.run(*trace, "scancel", ticket, env=user.environment(**more))
        hit = b"INJECTED" in log.read_bytes() or b"SIGKILL" in log.read_bytes()
        breaker.survived = not hit
        log.unlink()
        assert b"Traceback" not in done.err
        gone = int(ticket) in dropped(Session(os.fsencode(more["SARRAY_STATE_DIR"]), b"test"))
        if done.status >= 0:
            assert gone == (done.status == 0)
        before = set(jobs(user))
        assert user.run("scancel", other, env=user.environment(**more)).status == 0
        flushed = user.run(str(user.prefix / "bin/sarray-flush"), env=user.environment(**more))
        assert b"Traceback" not in flushed.err
        assert len(set(jobs(user)) - before) == (0 if gone else 1)
    assert breaker.steps >= 3  # cut off what was torn, write, sync: the lock takes none of these


def test_a_flush_with_a_full_disk_at_every_step(user: Person) -> None:
    """Whatever cannot be written: nothing is lost, nothing is submitted twice, and no traceback is shown."""
    breaker = Breaker("error=ENOSPC", ("write", "rename"))
    for name, trace in breaker:
        env = user.environment(SARRAY_MODE="queue", SARRAY_SESSION=name)
        assert user.run("sbatch", "-H", "-o", "/dev/null", "--wrap=true", env=env).status == 0
        log = user.home / "trace"
        trace[trace.index("/dev/null")] = str(log)
        done = user.run(*trace, str(user.prefix / "bin/sarray-flush"), "--session", name, "--retry=0")
        breaker.survived = b"INJECTED" not in log.read_bytes()
        assert b"Traceback" not in done.err
        # 0 is right for what was not vital: filelock makes folders that are there already.
        assert done.status in (0, 1)
        done = user.flush("--session", name)
        assert done.status == 0, done.err
        assert queued(user, name) == []
        scripts = submitted(user).splitlines()
        assert len({script for script in scripts if f"/sessions/{name}/" in script}) == 1
    assert breaker.steps > 3


def test_a_flush_killed_at_every_step(user: Person) -> None:
    """Two arrays, one waits for the other: after the next flush each call has run once."""
    breaker = Breaker("signal=KILL")
    names = []
    for name, trace in breaker:
        names.append(name)
        env = user.environment(SARRAY_MODE="queue", SARRAY_SESSION=name)
        words = ["sbatch", "--parsable", "-o", f"log.{name}.%j"]
        first = user.run(*words, f"--wrap=echo x >> ran.{name}.a", env=env).out.decode().strip()
        user.run(*words, f"--wrap=echo x >> ran.{name}.b", env=env)
        assert user.run(*words, "-d", f"afterok:{first}", f"--wrap=echo x >> ran.{name}.c", env=env).status == 0
        command = [str(user.prefix / "bin/sarray-flush"), "--session", name]
        breaker.survived = user.run(*trace, *command).status == 0
        done = user.flush("--session", name)
        assert done.status == 0, done.err
        assert queued(user, name) == []
    assert breaker.steps > 30
    user.settle()
    assert {path.name: path.read_text() for path in user.home.glob("ran.*")} == {
        f"ran.{name}.{call}": "x\n" for name in names for call in "abc"
    }


def test_a_keeper_killed_at_every_step(user: Person) -> None:
    """The next call starts another, which submits what is left: each call has run once."""
    (python,) = user.prefix.glob("venvs/*/bin/python")
    keeper = [str(python), "-I", "-m", "sbatch_shim.flush.keeper"]
    breaker = Breaker("signal=KILL", (*KEEPERS_CALLS, "?clone,?clone3,?vfork"))
    names = []
    for name, trace in breaker:
        names.append(name)
        # A keeper begins with the first call only in auto mode.
        env = user.environment(SARRAY_MODE="queue", SARRAY_SESSION=name, SARRAY_IDLE="0.1", SARRAY_LINGER="0.2")
        for call in "ab":
            words = ["sbatch", "-Q", "-o", "/dev/null", f"--wrap=echo x >> ran.{name}.{call}"]
            assert user.run(*words, env=env).status == 0
        breaker.survived = user.run(*trace, *keeper, name, env=env).status == 0
        words = ["sbatch", "-Q", "-o", "/dev/null", f"--wrap=echo x >> ran.{name}.c"]
        assert user.run(*words, env={**env, "SARRAY_MODE": "auto"}).status == 0
    assert breaker.steps > 15
    expected = {f"ran.{name}.{call}" for name in names for call in "abc"}
    wait_for(lambda: {path.name for path in user.home.glob("ran.*")} == expected)
    user.settle()
    assert {path.read_text() for path in user.home.glob("ran.*")} == {"x\n"}


# How a site's sbatch refuses an array of five, and how many of its calls it takes in pieces.
NARROWED = {
    "one call": ('grep -q forbidden "${!#}"', "Batch job submission failed: Unspecified error", 4),
    "a limit of two": ("[[ $* =~ array=0-[1-9] && ! $* =~ array=0-1 ]]", "AssocMaxSubmitJobLimit", 5),
}


@pytest.mark.parametrize("why", NARROWED)
def test_a_flush_that_tries_pieces_is_killed_at_every_step(user: Person, why: str) -> None:
    """What the site takes has run once after the next flush, in whatever piece the first one was killed."""
    refuses, text, taken = NARROWED[why]
    path = shim(user, f'if {refuses}; then echo \'sbatch: error: {text}\' >&2; exit 1; fi; exec "$REAL" "$@"')
    breaker = Breaker("signal=KILL", ("write", "rename", "mkdir", "fdatasync", "wait4"), every=3)
    names = []
    for name, trace in breaker:
        names.append(name)
        env = user.environment(SARRAY_MODE="queue", SARRAY_SESSION=name, PATH=path)
        for number in range(1, 6):
            what = "forbidden" if number == 4 else "allowed"
            assert (
                user.run("sbatch", "-o", "/dev/null", f"--wrap=echo x >> ran.{name}.{number}; : {what}", env=env).status
                == 0
            )
        command = [str(user.prefix / "bin/sarray-flush"), "--retry=0", "--session", name]
        breaker.survived = user.run(*trace, *command, env=user.environment(PATH=path)).status >= 0
        done = user.flush("--retry=0", "--session", name)
        assert len(queued(user, name)) == 5 - taken, done.err
    assert breaker.steps > 10
    user.settle()
    expected = {f"ran.{name}.{number}": "x\n" for name in names for number in range(1, 6) if taken == 5 or number != 4}
    assert {path.name: path.read_text() for path in user.home.glob("ran.*")} == expected


def test_a_gc_killed_at_every_step(user: Person) -> None:
    """What a finished flush has left goes piece by piece; no piece that is left is taken for something to submit."""
    (user.home / "site").mkdir()
    (user.home / "site/squeue").write_text("#!/bin/sh\n")  # no job is listed
    (user.home / "site/squeue").chmod(0o755)
    path = f"{user.prefix}/shims:{user.home}/site:{SYSTEM_PATH}"
    breaker = Breaker("signal=KILL", ("unlink", "unlinkat", "rmdir", "rename"))
    for name, trace in breaker:
        env = user.environment(SARRAY_MODE="queue", SARRAY_SESSION=name, PATH=path)
        assert user.run("sbatch", "-o", "/dev/null", f"--wrap=echo x >>ran.{name}", env=env).status == 0
        flush = [str(user.prefix / "bin/sarray-flush"), "--local"]
        assert user.run(*flush, env=env).status == 0
        (folder,) = (user.home / "state/sessions" / name / "flushes").iterdir()
        breaker.survived = user.run(*trace, "sarray", "gc", "--days=0", env=env).status == 0
        done = user.run(*flush, env=env)
        assert (done.status, done.out) == (0, b""), done.err
        assert user.run("sarray", "gc", "--days=0", env=env).status == 0
        assert not folder.exists()
    assert breaker.steps > 3
    assert {path.read_text() for path in user.home.glob("ran.*")} == {"x\n"}


def test_a_finished_flush_with_a_damaged_journal_stops_neither_gc_nor_squeue(user: Person) -> None:
    folders = []
    for _ in range(2):
        assert user.queue("-o", "/dev/null", "--wrap=true").status == 0
        assert user.flush("--local").status == 0
        (folder,) = {*(user.home / "state/sessions/test/flushes").iterdir()} - {*folders}
        folders.append(folder)
    with (folders[0] / "journal").open("ab") as stream:
        stream.write(b"half a line\n")
    done = user.run("sarray", "gc", "--days=0", env=user.environment())
    assert done.status == 0, done.err
    assert folders[0].exists() and not folders[1].exists()
    # squeue sees to the same, once a day.
    for path in (user.home / "state/live/test", folders[0] / "done"):
        os.utime(path, (0, 0))
    (user.home / "state/collected").unlink(missing_ok=True)
    done = user.run("squeue", "-h", env=user.environment())
    assert (done.status, done.out, b"rror" in done.err) == (0, b"", False), done.err


@pytest.mark.parametrize("why", ["its own filter", "a hidden partition"])
def test_a_job_that_squeue_would_not_show_is_none_that_is_gone(user: Person, cluster: Cluster, why: str) -> None:
    """Its logs are opened through the folder of its flush, which a gc must leave."""
    user.queue("-H", "-o", "/dev/null", "--wrap=true")
    assert user.flush().status == 0
    (folder,) = (user.home / "state/sessions/test/flushes").iterdir()
    more = {"SQUEUE_PARTITION": "other"}
    if why == "a hidden partition":
        more = {}
        assert cluster.answers("scontrol", "update", "PartitionName=main", "Hidden=yes")
    try:
        done = user.run("sarray", "gc", "--days=0", env=user.environment(**more))
        assert (done.status, done.out) == (0, b"")
        assert folder.exists() and (user.home / "state/live/test").exists()
    finally:
        assert cluster.answers("scontrol", "update", "PartitionName=main", "Hidden=no")


def test_what_is_on_disk_has_its_name_there_too(user: Person) -> None:
    """Before a ticket is told, and before sbatch is started: data without a name would not survive a loss of power."""
    log = user.home / "trace"
    trace = ["strace", "-f", "-qq", "-y", "-s", "1000", "-o", str(log), "-e", "trace=fsync,write,rename,execve"]
    env = user.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    assert user.run(*trace, "sbatch", "-H", "--parsable", "-o", "/dev/null", "--wrap=true", env=env).status == 0
    session = re.escape(f"{user.home}/state/sessions/test")
    blocks = re.escape(f"{user.home}/state/blocks")
    assert re.search(rf'(?s)rename\([^\n]*/queue"\).*fsync\(\d+<{session}>.*write\(1<', log.read_text())
    assert re.search(rf"(?s)fsync\(\d+<{blocks}>.*write\(1<", log.read_text())
    assert user.run(*trace, str(user.prefix / "bin/sarray-flush"), env=env).status == 0
    before, _, _ = log.read_text().partition('execve("/usr/bin/sbatch"')
    assert re.search(rf'(?s)rename\([^\n]*/queue"\).*fsync\(\d+<{session}>', before)
    flush = rf"{session}/flushes/[-0-9]+"
    # The folder of the flush, what it claimed, and its journal.
    assert re.search(rf"(?s)fsync\(\d+<{session}/flushes>.*fsync\(\d+<{flush}>.*fsync\(\d+<{flush}>", before)


def test_a_job_id_that_slurm_has_given_before(user: Person) -> None:
    """After a cold start, or when ids begin again: what is listed under it is the call that was submitted last."""
    tickets = []
    for name in ("old", "new"):
        words = ["--parsable", "-H", "-J", name, "-o", "/dev/null", "--wrap=true"]
        tickets.append(user.queue(*words).out.decode().strip())
        job = user.flush("--parsable").out.decode().strip()
    before = sorted((user.home / "state/sessions/test/flushes").glob("*/journal"))[0]
    event = before.read_text().splitlines()[-1]
    again = json.dumps({**json.loads(event), "job": int(job)})
    before.write_text(before.read_text().replace(event, again))
    env = user.environment(SARRAY_SESSION="test")
    shown = user.run("squeue", "-h", "-j", tickets[1], "-o", "%i %j", env=env)
    assert shown.out.decode() == f"{tickets[1]} new\n"
    assert f"JobId={tickets[1]} ".encode() in user.run("scontrol", "show", "job", tickets[1], env=env).out


def healthy(user: Person) -> None:
    """The site's sbatch does what it should from now on."""
    (user.home / "site/sbatch").write_text('#!/bin/sh\nexec /usr/bin/sbatch "$@"\n')


def shim(person: Person, body: str) -> str:
    """A PATH on which the user's site has an sbatch of its own; $REAL is the real one."""
    folder = person.home / "site"
    folder.mkdir()
    (folder / "sbatch").write_text(f"#!/bin/bash\nREAL=/usr/bin/sbatch\n{body}\n")
    (folder / "sbatch").chmod(0o755)
    return f"{person.prefix}/shims:{folder}:{SYSTEM_PATH}"


def kept(done: Result, count: int) -> bool:
    return done.status == 1 and b"still queued: %d call" % count in done.err and b"Traceback" not in done.err


def journal(person: Person) -> list[dict[str, object]]:
    (path,) = (person.home / "state/sessions/test/flushes").glob("*/journal")
    return [json.loads(line) for line in path.read_text().splitlines()]


def age(person: Person, seconds: int) -> None:
    """Make the submissions of the journal older."""
    (path,) = (person.home / "state/sessions/test/flushes").glob("*/journal")
    events = journal(person)
    for event in events:
        if "since" in event:
            event["since"] = int(str(event["since"])) - seconds
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


@pytest.mark.parametrize("way", [LOSE_ANSWER, CUT_ANSWER])
def test_an_accepted_submission_whose_answer_is_lost_is_adopted(user: Person, proxy: Proxy, way: str) -> None:
    for number in range(2):
        user.queue("-H", "-o", "/dev/null", f"--wrap=true {number}")
    proxy.way = way
    done = user.flush("--parsable")
    assert done.status == 0, done.err
    assert proxy.seen == 1
    assert jobs(user) == done.out.decode().split()
    assert queued(user) == []


def test_a_submission_that_never_arrived_is_submitted_again(user: Person, proxy: Proxy) -> None:
    """With --retry in the same flush, else by the next one."""
    user.queue("-H", "-o", "/dev/null", "--wrap=true")
    proxy.way = LOSE_REQUEST
    done = user.flush("--retry", "0")
    assert kept(done, 1)
    assert b"Socket timed out on send/recv operation" in done.err
    proxy.way = PASS
    done = user.flush("--parsable")
    assert done.status == 0, done.err
    assert jobs(user) == done.out.decode().split()


def test_a_flush_and_its_sbatch_part(user: Person) -> None:
    """The flush is killed, its sbatch lives on and submits later: the next flush waits for it, and adopts."""
    path = shim(user, 'kill -9 $PPID; sleep 2; exec "$REAL" "$@"')
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    assert user.flush().status == -signal.SIGKILL
    assert jobs(user) == []
    done = user.flush("--parsable")
    assert done.status == 0, done.err
    assert b"is still running; waiting for it" in done.err
    assert b"cut short" in done.err
    assert jobs(user) == done.out.decode().split()


def test_an_sbatch_that_is_killed_or_says_nothing(user: Person) -> None:
    """Killed after it submitted: adopted. Killed before: submitted again. Status 0 without an id: adopted."""
    path = shim(
        user,
        """
        [[ -e once ]] || { touch once; kill -9 $$; }
        [[ -e twice ]] || { touch twice; "$REAL" "$@" >/dev/null; kill -9 $$; }
        exec "$REAL" "$@" >/dev/null""",
    )
    site = user.home / "site/sbatch"
    site.write_text(site.read_text().replace("once", f"{user.home}/once").replace("twice", f"{user.home}/twice"))
    for partition in ("main", "other"):
        user.queue("-H", "-p", partition, "-o", "/dev/null", "--wrap=true", PATH=path)
    done = user.flush("--parsable")
    assert done.status == 0, done.err
    assert len(jobs(user)) == 2
    assert jobs(user) == sorted(done.out.decode().split())


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("kill -SEGV $$", b"was ended by signal 11"),
        ("echo 'sbatch: error: Zero Bytes were transmitted or received' >&2; exit 1", b"Zero Bytes"),
    ],
)
def test_an_sbatch_that_never_gives_an_answer_is_tried_within_a_bound(user: Person, ending: str, told: bytes) -> None:
    """Though Slurm tells each time that it has no such job."""
    path = shim(user, f"echo x >> {user.home}/tries; {ending}")
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    done = user.flush("--retry", "1")
    assert kept(done, 1)
    assert told in done.err
    assert (user.home / "tries").read_text() == "x\n" * 2
    healthy(user)
    assert user.flush().status == 0
    assert len(jobs(user)) == 1


def test_what_slurm_has_forgotten_is_kept_until_the_user_decides(user: Person) -> None:
    path = shim(user, "kill -9 $PPID $$")
    first = user.queue("--parsable", "-H", "-o", "/dev/null", "--wrap=true", PATH=path).out.decode().strip()
    assert user.flush().status == -signal.SIGKILL
    age(user, 1000)
    healthy(user)
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    user.queue("-H", "-o", "/dev/null", "-d", f"afterok:{first}", "--wrap=true", PATH=path)
    done = user.flush("--parsable")
    assert kept(done, 1)
    assert b"would have forgotten the job by now" in done.err
    assert f"it is not known what became of 1 call ({first})".encode() in done.err
    assert b"--assume" in done.err
    assert len(jobs(user)) == 1
    assert jobs(user) == done.out.decode().split()
    gone = user.flush("--assume", "submitted")
    assert kept(gone, 1)
    assert f"it waits for {first}, which was assumed to be submitted".encode() in gone.err
    assert len(jobs(user)) == 1


def test_a_pool_that_slurm_does_not_list_is_none(user: Person) -> None:
    """However long ago it was asked for, and without an accounting: what waits held is forgotten by nobody."""
    path = shim(user, "kill -9 $PPID $$")
    assert user.queue("-o", "/dev/null", "--wrap=true", PATH=path, SARRAY_IDS="real").status == -signal.SIGKILL
    (asked,) = (user.home / "state/sessions/test/pools").glob("*/asked")
    event = json.loads(asked.read_text())
    event["since"] -= 1000
    asked.write_text(json.dumps(event))
    healthy(user)
    assert user.queue("-o", "/dev/null", "--wrap=true", PATH=path).status == 0
    done = user.flush()
    assert done.status == 0
    assert b"pool" not in done.err
    assert (asked.parent / "done").exists()


@pytest.mark.parametrize("way", [LOSE_ANSWER, CUT_ANSWER, LOSE_REQUEST])
@pytest.mark.parametrize("before", [0, 1])
def test_a_pool_whose_answer_is_lost_leaves_nothing_held(user: Person, proxy: Proxy, way: str, before: int) -> None:
    """The real sbatch takes its call, and the flush finds what Slurm has of the pool by its script's path."""
    words = ("--parsable", "-o", "/dev/null")
    told = []
    for number in range(before + 2):
        proxy.way, proxy.once = way if number == before else PASS, True
        done = user.queue(*words, f"--wrap=echo $SLURM_JOB_ID >>ran.{number}", SARRAY_IDS="real")
        assert done.status == 0, done.err
        told.append(done.out.decode())
    assert proxy.way == PASS and proxy.seen > before
    done = user.flush()
    assert done.status == 0, done.err
    user.settle()
    assert [(user.home / f"ran.{number}").read_text() for number in range(before + 2)] == told


def test_a_controller_that_is_away_is_told_at_the_call(user: Person, cluster: Cluster) -> None:
    """In sbatch's own words, by its exit status; nothing is queued that was not told."""
    words = ("sbatch", "--parsable", "-o", "/dev/null", "--wrap=: $SLURM_JOB_ID")
    more = {"SARRAY_MODE": "queue", "SARRAY_SESSION": "test"}
    assert user.run(*words, env=user.environment(**more)).status == 0
    assert user.flush().status == 0
    cluster.stop_controller()
    try:
        direct = user.run(*words, env=user.environment(PATH=SYSTEM_PATH))
        ours = [user.run(*words, env=user.environment(**more)) for _ in range(2)]
    finally:
        cluster.start_controller()
    assert direct.status != 0
    assert ours == [direct, direct]
    assert queued(user) == []
    assert user.flush().status == 0
    user.settle()


@pytest.mark.accounting
@pytest.mark.parametrize("accepted", [True, False])
def test_the_accounting_knows_what_the_controller_has_forgotten(person: Person, accepted: bool) -> None:
    """A flush was killed long ago; squeue has no such job any more, and sacct decides."""
    first = "[[ -e once ]] || { touch once; " + ('"$REAL" "$@"; ' if accepted else "") + "kill -9 $PPID $$; }"
    path = shim(person, first.replace("once", f"{person.home}/once") + '; exec "$REAL" "$@"')
    person.queue("-o", "/dev/null", "--wrap=echo ran >>ran", PATH=path)
    assert person.flush().status == -signal.SIGKILL
    if accepted:
        (script,) = (person.home / "state/sessions/test/flushes").glob("*/arrays/1/script")
        ask, env = ["sacct", "-n", "-X", "-P", "-o", "State,SubmitLine"], person.environment(PATH=SYSTEM_PATH)
        line = re.compile(f"(?m)^COMPLETED.* {re.escape(str(script))}$")
        wait_for(lambda: line.search(person.run(*ask, env=env).out.decode()))
    age(person, 1000)
    (person.home / "site/squeue").write_text("#!/bin/sh\n")
    (person.home / "site/squeue").chmod(0o755)
    done = person.flush("--parsable", PATH=path)
    assert done.status == 0, done.err
    assert (b"cut short" in done.err) == accepted
    (person.home / "site/squeue").unlink()
    person.settle()
    assert (person.home / "ran").read_text() == "ran\n"


def test_what_is_assumed_lost_is_submitted_again(user: Person) -> None:
    path = shim(user, "kill -9 $PPID $$")
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    assert user.flush().status == -signal.SIGKILL
    age(user, 1000)
    healthy(user)
    assert user.flush().status == 1
    assert jobs(user) == []
    done = user.flush("--assume=lost", "--parsable")
    assert done.status == 0, done.err
    assert jobs(user) == done.out.decode().split()


def test_a_refused_submission_leaves_a_record_that_is_not_adopted(user: Person) -> None:
    """Slurm keeps a failed job of it."""
    path = shim(user, '"$REAL" "$@" >/dev/null 2>&1; kill -9 $PPID')
    user.queue("-o", "/dev/null", "--mem=9999G", "--wrap=true", PATH=path)
    assert user.flush().status == -signal.SIGKILL
    assert len(jobs(user)) == 1
    healthy(user)
    done = user.flush()
    assert kept(done, 1)
    assert b"Requested node configuration is not available" in done.err


def test_nothing_is_submitted_while_the_controller_is_away(user: Person, cluster: Cluster) -> None:
    """Neither what an earlier flush left open, nor anything else; afterwards all of it is."""
    path = shim(user, 'kill -9 $PPID; exec "$REAL" "$@"')
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    assert user.flush().status == -signal.SIGKILL
    user.queue("-H", "-p", "other", "-o", "/dev/null", "--wrap=true")
    wait_for(lambda: len(jobs(user)) == 1)
    cluster.stop_controller()
    try:
        done = user.flush("--retry", "1")
    finally:
        cluster.start_controller()
    assert (done.status, done.out) == (1, b"")
    assert b"nothing was submitted and all calls stay queued" in done.err
    assert b"Traceback" not in done.err
    done = user.flush("--parsable")
    assert done.status == 0, done.err
    assert jobs(user) == sorted(done.out.decode().split())
    assert len(jobs(user)) == 2


def test_a_controller_that_comes_back_is_waited_for(user: Person, cluster: Cluster) -> None:
    user.queue("-H", "-o", "/dev/null", "--wrap=true")
    cluster.stop_controller()
    command = [str(user.prefix / "bin/sarray-flush"), "--retry", "100"]
    with spawn(user, *command) as process:
        try:
            assert b"trying again for 100 s" in process.stderr.readline()
        finally:
            cluster.start_controller()
        assert process.wait(300) == 0
    assert len(jobs(user)) == 1


def test_a_controller_that_is_paused_while_it_has_the_request(user: Person, cluster: Cluster) -> None:
    """It takes the request when it goes on; nothing is submitted twice."""
    flag = user.home / "paused"
    path = shim(user, f'touch {flag}; until [[ -e {flag}.yes ]]; do sleep 0.05; done; exec "$REAL" "$@"')
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    command = [str(user.prefix / "bin/sarray-flush"), "--retry", "1"]
    with spawn(user, *command) as process:
        wait_for(flag.exists)
        cluster.signal_controller(signal.SIGSTOP)
        try:
            (user.home / "paused.yes").touch()
            assert process.wait(100) == 1
            text = process.stderr.read()
        finally:
            cluster.signal_controller(signal.SIGCONT)
    assert b"it is not known what became of 1 call " in text
    assert b"Traceback" not in text
    done = user.flush("--parsable")
    assert done.status == 0, done.err
    assert jobs(user) == done.out.decode().split()
    assert len(jobs(user)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_flush_after_the_running_submission(user: Person, number: signal.Signals) -> None:
    """As from a terminal, to the whole group: sbatch does not get it. The rest stays queued, and goes with the next."""
    flag = user.home / "running"
    path = shim(user, f'touch {flag}; until [[ -e {flag}.go ]]; do sleep 0.05; done; exec "$REAL" "$@"')
    for partition in ("main", "other"):
        user.queue("-H", "-p", partition, "-o", "/dev/null", "--wrap=true", PATH=path)
    with spawn(user, str(user.prefix / "bin/sarray-flush"), "--parsable") as process:
        wait_for(flag.exists)
        os.killpg(process.pid, number)
        (user.home / "running.go").touch()
        out, text = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert b"still queued: 1 call" in text
    assert b"interrupted: the rest was not tried" in text
    assert out.decode().split() == jobs(user)
    assert len(jobs(user)) == 1
    assert user.flush().status == 0
    assert len(jobs(user)) == 2


def test_an_ignored_signal_stays_ignored(user: Person) -> None:
    """nohup."""
    flag = user.home / "running"
    path = shim(user, f'touch {flag}; until [[ -e {flag}.go ]]; do sleep 0.05; done; exec "$REAL" "$@"')
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    command = f"trap '' HUP; exec {user.prefix}/bin/sarray-flush"
    with spawn(user, "bash", "-c", command) as process:
        wait_for(flag.exists)
        os.killpg(process.pid, signal.SIGHUP)
        (user.home / "running.go").touch()
        assert process.wait(300) == 0


def test_two_flushes_of_a_session_take_turns(user: Person) -> None:
    flag = user.home / "running"
    path = shim(user, f'touch {flag}; until [[ -e {flag}.go ]]; do sleep 0.05; done; exec "$REAL" "$@"')
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    command = str(user.prefix / "bin/sarray-flush")
    with spawn(user, command) as first:
        wait_for(flag.exists)
        with spawn(user, command) as second:
            assert b"another sarray-flush of this session is at work" in second.stderr.readline()
            (user.home / "running.go").touch()
            assert first.wait(300) == 0
            assert second.wait(300) == 0
            assert b"nothing is queued" in second.stderr.read()
    assert len(jobs(user)) == 1


@pytest.mark.parametrize("at_once", [False, True])
def test_sessions_whose_calls_wait_for_each_other(user: Person, at_once: bool) -> None:
    """A flush submits first what its calls wait for in other sessions; that must not make it wait for itself."""
    command = str(user.prefix / "bin/sarray-flush")
    chain = []
    for name in ("A", "B", "A", "B"):
        env = user.environment(SARRAY_MODE="queue", SARRAY_SESSION=name)
        after = [f"--dependency=afterany:{chain[-1]}"] if chain else ["--begin=now+1hour"]
        words = ["sbatch", "--parsable", *after, "-o", "/dev/null", "--wrap=true"]
        chain.append(user.run(*words, env=env).out.decode().strip())
    for _ in range(4):
        flushes = [spawn(user, command, "--retry=3", "--session", name) for name in (("A", "B") if at_once else ("A",))]
        for process in flushes:
            text = process.communicate(timeout=300)[1]
            assert b"Traceback" not in text
            assert process.returncode in (0, 1), text
    user.flush("--session", "B")
    assert queued(user, "A") == queued(user, "B") == []
    assert len(jobs(user)) == 4


def test_a_waiting_flush_can_be_interrupted(user: Person) -> None:
    flag = user.home / "running"
    path = shim(user, f'touch {flag}; until [[ -e {flag}.go ]]; do sleep 0.05; done; exec "$REAL" "$@"')
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    command = str(user.prefix / "bin/sarray-flush")
    with spawn(user, command) as first:
        wait_for(flag.exists)
        with spawn(user, command) as second:
            assert b"waiting for it" in second.stderr.readline()
            second.send_signal(signal.SIGINT)
            assert second.wait(300) == 130
        (user.home / "running.go").touch()
        assert first.wait(300) == 0


# What sbatch says where it is refused for a time, and where for good.
@pytest.mark.parametrize(
    ("text", "tries"),
    [
        ("Batch job submission failed: Resource temporarily unavailable", 3),
        ("Batch job submission failed: Unable to contact slurm controller (connect failure)", 3),
        ("AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy", 3),
        ("Batch job submission failed: Invalid account or account/partition combination specified", 1),
    ],
)
def test_what_is_refused_for_a_time_is_tried_again_within_a_bound(user: Person, text: str, tries: int) -> None:
    path = shim(user, f"echo x >> {user.home}/tries; printf 'sbatch: error: {text}\\n' >&2; exit 1")
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    done = user.flush("--retry", "4")
    assert kept(done, 1)
    assert text.splitlines()[-1].encode() in done.err
    tried = (user.home / "tries").read_text().count("x\n")
    # A slow machine may leave time for fewer, and none for more: waits of one and of two seconds.
    assert tried <= tries and (tried > 1 or tries == 1 or b"trying again for 4 s" in done.err)


# What sbatch says where another time, or another try, will do.
PASSING = [
    "Batch job submission failed: Unable to contact slurm controller (connect failure)",
    "Batch job submission failed: Resource temporarily unavailable",
    "Slurm job queue full, sleeping and retrying",
    "Batch job submission failed: Unable to create job record, try again",
    "Batch job submission failed: Socket timed out on send/recv operation",
    "Batch job submission failed: Unable to contact slurm controller (receive failure)",
]


@pytest.mark.parametrize("text", PASSING)
@pytest.mark.parametrize("mode", ["queue", "auto"])
def test_what_passes_by_itself_is_waited_out(user: Person, mode: str, text: str) -> None:
    """Slurm takes nothing twice, and all at the third time: then each call has run, once."""
    fails = f"echo x >>{user.home}/tries; (($(wc -l <{user.home}/tries) > 2))"
    path = shim(user, f'{fails} || {{ echo \'sbatch: error: {text}\' >&2; exit 1; }}; exec "$REAL" "$@"')
    env = user.environment(SARRAY_MODE=mode, SARRAY_SESSION="test", SARRAY_IDLE="0.3", SARRAY_LINGER="0.2", PATH=path)
    script = 'for n in 1 2 3; do sbatch -Q -o /dev/null --wrap "echo x >>ran.$n" || exit; done'
    assert user.run("bash", "-c", script, env=env).status == 0
    if mode == "queue":
        done = user.flush("--retry", "60", PATH=path)
        assert done.status == 0, done.err
        assert len(done.out.splitlines()) == 1, "it is no array that Slurm refuses, which would be tried in pieces"
    wait_for(lambda: all((user.home / f"ran.{number}").exists() for number in (1, 2, 3)))
    user.settle()
    assert [(user.home / f"ran.{number}").read_text() for number in (1, 2, 3)] == ["x\n"] * 3
    tries = (user.home / "tries").read_text().count("x")
    assert tries == 3 if mode == "queue" else tries >= 3


@pytest.mark.parametrize("command", ["flush.cli", "verbs.sarray submit"])
def test_a_refusal_is_known_where_sigchld_is_ignored(user: Person, command: str) -> None:
    """
    Perl's $SIG{CHLD} = 'IGNORE' reaches what it starts: nobody is told there how a child ended.

    Some shells undo that, so the command is started without the one around it.
    """
    user.queue("-H", "-p", "nosuch", "--wrap=true")
    python = str(user.prefix / "venv/bin/python")
    module, *verb = command.split()
    words = ["env", "--ignore-signal=CHLD", python, "-I", "-m", f"sbatch_shim.{module}", *verb, "--retry=0"]
    done = user.run(*words, env=user.environment(SARRAY_SESSION="test", PATH=f"{user.prefix}/bin:{SYSTEM_PATH}"))
    assert kept(done, 1)
    assert b"Invalid partition name specified" in done.err
    assert b"asking Slurm" not in done.err


@pytest.mark.parametrize("where", ["/dev/full", "a terminal that is gone"])
def test_words_that_nobody_can_hear_stop_no_flush(user: Person, where: str) -> None:
    """Neither its tries nor the ids on stdout."""
    text = "Batch job submission failed: Resource temporarily unavailable"
    flag = user.home / "once"
    refuse = f"[[ -e {flag} ]] || {{ touch {flag}; echo 'sbatch: error: {text}' >&2; exit 1; }}"
    path = shim(user, f'{refuse}; exec "$REAL" "$@"')
    for partition in ("main", "other"):
        user.queue("-H", "-p", partition, "-o", "/dev/null", "--wrap=true", PATH=path)
    command = f"{user.prefix}/bin/sarray-flush --parsable --retry 20"
    if where == "/dev/full":
        done = user.run("sh", "-c", f"{command} 2>/dev/full", env=user.environment(SARRAY_SESSION="test"))
    else:
        (user.home / "gone.py").write_text(
            "import os, sys, pty\nleader, follower = pty.openpty()\nos.close(leader)\nos.dup2(follower, 2)\n"
            "os.execvp(sys.argv[1], sys.argv[1:])\n"
        )
        words = ["python3", str(user.home / "gone.py"), *command.split()]
        done = user.run(*words, env=user.environment(SARRAY_SESSION="test"))
    assert sorted(done.out.decode().split()) == jobs(user)
    assert (done.status, len(jobs(user))) == (0, 2)


def test_a_full_slurm_is_not_asked_for_each_array(user: Person) -> None:
    """After the bound the other arrays are kept untried."""
    text = "Batch job submission failed: Resource temporarily unavailable"
    path = shim(user, f"echo x >> {user.home}/tries; echo 'sbatch: error: {text}' >&2; exit 1")
    for partition in ("main", "other"):
        user.queue("-H", "-p", partition, "-o", "/dev/null", "--wrap=true", PATH=path)
    done = user.flush("--retry=0")
    assert kept(done, 2)
    assert b"the rest was not tried" in done.err
    assert (user.home / "tries").read_text() == "x\n"


def test_an_sbatch_that_cannot_be_started_is_a_refusal(user: Person) -> None:
    """Nothing was sent, so nothing is uncertain; it has a bad interpreter here."""
    path = shim(user, "")
    (user.home / "site/sbatch").write_text("#!/no/such/interpreter\n")
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    done = user.flush()
    assert kept(done, 1)
    assert b"cannot be started" in done.err
    healthy(user)
    assert user.flush().status == 0
    assert len(jobs(user)) == 1


def test_a_question_can_be_interrupted_and_is_not_decided_then(user: Person) -> None:
    """Not even by --assume: an sbatch that still runs may submit."""
    flag = user.home / "go"
    path = shim(user, f'kill -9 $PPID; until [[ -e {flag} ]]; do sleep 0.05; done; exec "$REAL" "$@"')
    user.queue("-H", "-o", "/dev/null", "--wrap=true", PATH=path)
    assert user.flush().status == -signal.SIGKILL
    with spawn(user, str(user.prefix / "bin/sarray-flush"), "--assume", "lost") as process:
        assert b"is still running; waiting for it" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 143
    flag.touch()
    done = user.flush("--parsable")
    assert done.status == 0, done.err
    assert jobs(user) == done.out.decode().split()
    assert len(jobs(user)) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_local_flush_that_is_cut_short(user: Person, number: signal.Signals) -> None:
    """What ran does not run again, what had not begun stays queued, and of what was running nobody knows."""
    begun, free = user.home / "begun", user.home / "free"
    first = user.queue("--parsable", "-o", "/dev/null", "--wrap=echo x >>ran.1").out.decode().strip()
    words = ["--wrap=echo x >>ran.2; touch begun; until [ -e free ]; do sleep 0.1; done"]
    second = user.queue("--parsable", "-o", "/dev/null", "-d", f"afterok:{first}", *words).out.decode().strip()
    user.queue("-o", "/dev/null", "-d", f"afterok:{second}", "--time=9", "--wrap=echo x >>ran.3")
    with spawn(user, str(user.prefix / "bin/sarray-flush"), "--local") as process:
        wait_for(begun.exists)
        os.kill(process.pid, number)
        text = process.communicate()[1]
    free.touch()
    if number == signal.SIGINT:
        assert process.returncode == 130, text
        assert b"still queued: 1 call;" in text and b"known what became of 1 call" in text
    done = user.flush("--local")
    assert done.status == 1
    assert b"was cut short while it ran here" in done.err and b"Traceback" not in done.err
    assert sorted(path.name for path in user.home.glob("ran.*")) == ["ran.1", "ran.2"]
    done = user.flush("--local", "--assume=lost")
    assert done.status == 0, done.err
    assert {path.name: path.read_text() for path in user.home.glob("ran.*")} == {
        "ran.1": "x\n",
        "ran.2": "x\nx\n",
        "ran.3": "x\n",
    }


def test_what_ran_here_is_no_job_of_slurms(user: Person) -> None:
    """Its number is another job's there: that one must not be waited for, shown, or cancelled."""
    env = user.environment(SARRAY_SESSION="test")
    first = user.queue("--parsable", "-o", "/dev/null", "--wrap=true").out.decode().strip()
    assert user.flush("--local").status == 0
    assert user.run("squeue", "-j", first, env=env).err == b"slurm_load_jobs error: Invalid job id specified\n"
    assert user.run("scontrol", "show", "job", first, env=env).err.count(b"Invalid job id specified") == 1
    user.queue("-H", "-o", "/dev/null", "-d", f"afterok:{first}", "--wrap=true")
    done = user.flush()
    assert kept(done, 1)
    assert f"it waits for {first}, which ran here, without Slurm".encode() in done.err
    assert user.flush("--local").status == 0
