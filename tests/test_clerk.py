"""The clerk: calls of a burst that start no Python. What it records, and that no call is lost or queued twice."""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess

import pytest
from support.clerks import Clerk
from support.faults import wait_for
from support.person import USER, Person, Result

from sbatch_shim.record import decode, encode, frames
from sbatch_shim.spool import QUEUE_HEAD, Session
from sbatch_shim.state.calls import look


def payloads(person: Person, state: str = "state", session: str = "test") -> list[bytes]:
    """The records of a session's queue; a damaged one is a failure."""
    data = (person.home / state / "sessions" / session / "queue").read_bytes()
    found, end = frames(data, len(QUEUE_HEAD))
    assert end == len(data)
    return [payload for _, payload in found if payload]


def seen(person: Person, state: str) -> list[tuple[bytes, list[bytes]]]:
    """
    The records of a session, without their times and with the environments apart, sorted.

    By the ordinary way bash may hand the same entries on in another order than the caller did.
    """
    found = []
    for payload in payloads(person, state):
        values, words, removed, changed = decode(payload)
        assert removed == changed == []
        entries = (person.home / state / "sessions/test/blobs" / values["environment"].decode()).read_bytes()
        values.update(time=b"", environment=b"")
        found.append((encode(values, words, [], []), sorted(entries.split(b"\0"))))
    return found


def bodies(person: Person, state: str = "state") -> list[bytes]:
    """The last line of each queued script."""
    calls, problems = look(Session(os.fsencode(person.home / state), b"test"))
    assert problems == []
    return sorted(call.body().splitlines()[-1] for call in calls)


# What a call may bring along, as a bash script that ends with it. `$SCRIPT` is a script file.
CASES = {
    "arguments": "sbatch --parsable -J 'odd name' $SCRIPT '' ' ' $'a\\nb' $'\\xff\\xfe' '*' -x",
    "no arguments": "sbatch --parsable $SCRIPT",
    "a script by PATH": "PATH=$PWD:$PATH sbatch --parsable job.sh",
    "a script by a relative path": "mkdir sub; cd sub; sbatch --parsable ../job.sh",
    "wrap": "sbatch --parsable --wrap='echo $HOME'",
    "quiet": "sbatch -Q $SCRIPT; echo none",
    "directives": "printf '#!/bin/sh\\n#SBATCH --parsable -t 5\\ntrue\\n' >d.sh; sbatch d.sh",
    "umask": "umask 027; sbatch --parsable $SCRIPT",
    "limits": "ulimit -S -n 200; ulimit -S -c 0; ulimit -S -t 1000; ulimit -S -s 4096; sbatch --parsable $SCRIPT",
    "nice": "nice -n 7 sbatch --parsable $SCRIPT",
    "a folder with an odd name": "mkdir $'odd \\n*\\xff'; cd $'odd \\n*\\xff'; sbatch --parsable $SCRIPT",
    "a folder behind a link": "mkdir real; ln -s real link; cd link; sbatch --parsable $SCRIPT",
    "a folder that cannot be entered": "mkdir p; cd p; chmod 0 .; sbatch --parsable $SCRIPT; chmod 700 .",
    "an environment of 2 MB": (
        "for n in {1..20}; do printf -v V$n %0100000d $n; export V$n; done; sbatch --parsable $SCRIPT"
    ),
    "a function": "f() { echo 'a b'; }; export -f f; sbatch --parsable $SCRIPT",
    "odd names": "env 'a b=1' '1=2' 'x.y=' $'n\\nl=3' sbatch --parsable $SCRIPT",
    "names that bash changes": "env UID=77 IFS=x OPTIND=9 PS4=+ BASHOPTS=x SHELLOPTS= sbatch --parsable $SCRIPT",
    "no PWD, no SHLVL": "env -u PWD -u SHLVL -u OLDPWD -u _ sbatch --parsable $SCRIPT",
    "_": "sbatch --parsable $SCRIPT",
    "SBATCH_ variables": "SBATCH_TIMELIMIT=7 SBATCH_JOB_NAME=v sbatch --parsable $SCRIPT",
    "a script at stdin": "sbatch --parsable <$SCRIPT",
    "a script at stdin, with words": "sbatch --parsable -- <$SCRIPT",
    "the rest of stdin": "{ read -r; printf 'first %s\\n' \"$REPLY\"; sbatch --parsable; cat; } <two.sh",
    "a pipe at stdin": "cat $SCRIPT | sbatch --parsable",
    "a document at stdin": "{ sbatch --parsable; cat; } <<<$'#!/bin/sh\\necho here'",
    "/dev/stdin": "sbatch --parsable /dev/stdin <$SCRIPT",
    "a process substitution": "sbatch --parsable <(cat $SCRIPT)",
    "an open file": "exec 7<$SCRIPT; sbatch --parsable /dev/fd/7",
    "closed streams": "id=$(sbatch --parsable $SCRIPT <&- 2>&-); echo $id",
    "stdout closed": "sbatch --parsable $SCRIPT >&-; echo $?",
    "many open files": "exec 10<$SCRIPT 11<$SCRIPT 12<$SCRIPT 13<$SCRIPT; sbatch --parsable $SCRIPT",
}  # fmt: skip
# Which of them the clerk must have declined: it cannot read them without taking them away.
DECLINED = {"a pipe at stdin", "a document at stdin", "a process substitution", "an open file"}
if USER or os.geteuid() != 0:
    DECLINED.add("a folder that cannot be entered")


def both_ways(person: Person, script: str, command: tuple[str, ...] = ("bash", "-c")) -> tuple[list[Result], bool]:
    """A script by the ordinary way and by the clerk, each with a folder and a state of its own; and who queued it."""
    results, served = [], False
    for way in ("ordinary", "clerk"):
        state = person.home / f"state-{way}"
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", SARRAY_STATE_DIR=str(state))
        work = person.home / "work"
        work.mkdir()
        (work / "job.sh").write_text("#!/bin/bash\n#SBATCH --time=10\necho ran\n")
        (work / "two.sh").write_text("before\n#!/bin/sh\nsecond\n")
        (work / "job.sh").chmod(0o755)
        person.own(work)
        env["SCRIPT"] = str(work / "job.sh")
        if way == "clerk":
            with Clerk(person, SARRAY_STATE_DIR=str(state)) as clerk:
                results.append(person.run(*command, script, cwd=work, env=env))
                told = re.findall(rb"1\d{9}", results[-1].out)
                served = any(clerk.served(one) for one in told)
                assert clerk.process.poll() is None
        else:
            results.append(person.run(*command, script, cwd=work, env=env))
        work.rename(person.home / f"work-{way}")
    return results, served


def numbered(result: Result) -> tuple[int, bytes, bytes]:
    """Without the ticket: blocks of tickets are another in each state folder."""
    return result.status, re.sub(rb"\b1\d{9}\b", b"TICKET", result.out), result.err


@pytest.mark.parametrize("case", CASES)
def test_a_record_is_the_same_byte_for_byte(person: Person, case: str) -> None:
    (ordinary, fast), served = both_ways(person, CASES[case])
    assert numbered(ordinary) == numbered(fast)
    one, other = seen(person, "state-ordinary"), seen(person, "state-clerk")
    assert len(one) == 1
    assert one == other
    if b"TICKET" in numbered(fast)[1]:
        assert served == (case not in DECLINED)


@pytest.mark.slurm
def test_what_goes_to_the_real_sbatch_does_so_with_a_clerk(person: Person) -> None:
    """A folder that was deleted, and bad values."""
    script = "(mkdir gone; cd gone; rmdir ../gone; sbatch -H -o /dev/null $SCRIPT); sbatch -t never $SCRIPT"
    results, _ = both_ways(person, script)
    shown = [(one.status, re.sub(rb"\d+", b"ID", one.out), one.err) for one in results]
    assert shown[0] == shown[1]
    assert shown[0][0] != 0 and b"Invalid" in shown[0][2]
    assert not (person.home / "state-ordinary/sessions/test/queue").exists()
    assert payloads(person, "state-clerk") == []


def test_a_call_of_another_group_has_the_group_in_its_record(person: Person) -> None:
    """No process may write for another group, so it goes the ordinary way."""
    if not USER or os.geteuid() != 0:
        pytest.skip("needs root, to be another group")
    other = 100
    entry = pwd.getpwnam(USER)
    with Clerk(person) as clerk:
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
        done = subprocess.run(
            ["sbatch", "--parsable", "--wrap=true"], env=env, cwd=person.home, stdin=subprocess.DEVNULL, check=True,
            stdout=subprocess.PIPE, user=entry.pw_uid, group=other, extra_groups=[],
        )  # fmt: skip
        assert not clerk.served(done.stdout)
        assert decode(payloads(person)[0])[0]["group"] == b"%d" % other


@pytest.mark.parametrize("how", ["--uts", "--mount"])
def test_a_call_from_another_namespace_goes_the_ordinary_way(person: Person, how: str) -> None:
    if not USER or os.geteuid() != 0:
        pytest.skip("needs root, for a namespace")
    entry = pwd.getpwnam(USER)
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    call_it = ["setpriv", "--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups", "sbatch"]
    with Clerk(person) as clerk:
        words = ["unshare", how, *call_it, "--parsable", "--wrap=true"]
        done = subprocess.run(
            words, env=env, cwd=person.home, stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        assert (done.stderr, clerk.served(done.stdout)) == (b"", False)
        assert len(payloads(person)) == 1


def test_a_burst_starts_a_clerk_which_leaves_when_nobody_calls(person: Person) -> None:
    """And what it is told by sarray status."""
    clerk = person.home / "state/sessions/test/clerk"
    count = 0

    def begun() -> bool:
        nonlocal count
        assert person.queue("--parsable", "--wrap=true", SARRAY_LINGER="2").status == 0
        count += 1
        return clerk.exists()

    wait_for(begun)
    assert count >= 8
    status = person.run(str(person.prefix / "bin/sarray"), "status", env=person.environment())
    assert re.search(rb"session test has a clerk, process \d+", status.out) or not clerk.exists()
    wait_for(lambda: not clerk.exists(), 60)
    assert len(payloads(person)) == count
    wait_for(lambda: not list((person.home / "state/sessions/test/clerks").iterdir()), 60)


# Each is a loop of twenty calls as fast as they go.
WITHOUT = {
    "forbidden": "export SARRAY_KEEPER=off; for n in {1..20}; do sbatch -Q --wrap=true; done",
    "in a job": "export SLURM_JOB_ID=1; for n in {1..20}; do sbatch -Q --wrap=true; done",
    "scripts that come through a pipe": "for n in {1..20}; do sbatch -Q < <(printf '#!/bin/sh\n'); done",
    "sessions of a few calls": "for n in {1..4}; do for SARRAY_SESSION in {1..5}; do sbatch -Q --wrap=true; done; done",
}


@pytest.mark.parametrize("case", WITHOUT)
def test_no_clerk_is_started(person: Person, case: str) -> None:
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    done = person.run("bash", "-c", WITHOUT[case], env=env)
    assert (done.status, done.out, done.err) == (0, b"", b"")
    assert not list((person.home / "state/sessions").glob("*/clerk.lock"))


def test_who_forbids_it_asks_no_clerk(person: Person) -> None:
    person.queue("--wrap=true")
    with Clerk(person) as clerk:
        assert not clerk.served(person.queue("--parsable", "--wrap=true", SARRAY_KEEPER="off").out)
        assert clerk.served(person.queue("--parsable", "--wrap=true").out)


def test_a_clerk_leaves_once_a_flush_has_taken_its_calls(person: Person) -> None:
    with Clerk(person) as clerk:
        assert clerk.served(person.queue("--parsable", "--wrap=true").out)
        assert person.flush("--local").status == 0
        assert clerk.process.wait(60) == 0
        assert not (clerk.folder / "clerk").exists()


def test_a_clerk_leaves_that_declines_each_call(person: Person) -> None:
    """A clerk that serves some of them stays."""
    with Clerk(person) as clerk:
        for _ in range(3):
            for _ in range(2):
                assert person.queue("-Q", stdin=b"#!/bin/sh\n").status == 0
            assert clerk.served(person.queue("--parsable", "--wrap=true").out)
        for _ in range(4):
            assert person.queue("-Q", stdin=b"#!/bin/sh\n").status == 0
        assert clerk.process.wait(60) == 0
    assert len(payloads(person)) == 13


def test_a_second_clerk_leaves(person: Person) -> None:
    person.queue("--wrap=true")
    with Clerk(person) as first, Clerk(person, wait=False) as second:
        assert second.process.wait(60) == 0
        assert first.process.poll() is None


def test_callers_that_were_stopped_hold_up_nobody(person: Person) -> None:
    """They have taken all slots."""
    person.queue("--wrap=true")
    with Clerk(person) as clerk:
        (folder,) = (clerk.folder / "clerks").iterdir()
        for number in range(64):
            (folder / f"slot-{number}").touch()
        done = person.queue("--parsable", "--wrap=true")
        assert (done.status, done.err, clerk.served(done.out)) == (0, b"", False)
        assert len(payloads(person)) == 2
        clerk.process.wait(60)  # it has no slot any more


def test_a_stopped_clerk_holds_up_nobody(person: Person) -> None:
    """Also one that was stopped with the call in its hands: whoever waits ends it, and does it alone."""
    person.queue("--wrap=first")
    with Clerk(person) as clerk:
        assert clerk.served(person.queue("--parsable", "--wrap=served").out)
        clerk.stop()
        done = person.queue("--parsable", "--wrap=alone")
        assert (done.status, done.err) == (0, b"")
    assert bodies(person) == [b"alone", b"first", b"served"]


# What changes something, or is where another process may come in between.
# The second are many, of which each seventh is hit.
STEPS = ("pwrite,write,fdatasync,ftruncate,flock,lseek,pread,unlink,rename", "open,close,stat,fchdir,read")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number, part", [(signal.SIGKILL, 0), (signal.SIGSTOP, 0), (signal.SIGKILL, 1)])
def test_a_clerk_killed_or_stopped_at_every_step(person: Person, number: int, part: int, when: str) -> None:
    """Each call is queued once, and told its ticket, whoever has queued it."""
    step, hits, served = 1, 0, 0
    while True:
        state = f"state{step}"
        more = {"SARRAY_STATE_DIR": str(person.home / state)}
        assert person.queue("-Q", "--wrap=0", **more).status == 0
        with Clerk(person, "test", STEPS[part], str(step), str(number), when, **more) as clerk:
            told = []
            for name in "12":
                done = person.queue("--parsable", f"--wrap={name}", **more)
                assert (done.status, done.err) == (0, b""), (step, name, (person.home / "hit").read_text())
                told.append(int(done.out))
                served += clerk.served(done.out)
        assert bodies(person, state) == [b"0", b"1", b"2"], step
        calls, _ = look(Session(os.fsencode(person.home / state), b"test"))
        assert {call.ticket: call.body().splitlines()[-1] for call in calls if call.ticket in told} == {
            told[0]: b"1",
            told[1]: b"2",
        }
        hit = person.home / "hit"
        if not hit.exists():
            break
        hit.unlink()
        hits += 1
        step += (1, 7)[part]
    assert hits > (25, 10)[part]
    assert served


# Of the calls that a launcher makes; the tests kill it at each, or where there are many, at each so-manieth one.
LAUNCHERS_CALLS = {"openat": 1, "write": 1, "?pselect6,?select,?poll": 1, "read": 9, "dup2": 3}


def test_a_caller_killed_at_every_step(person: Person) -> None:
    """Who was told a ticket has a call in the queue; who was not, has it once or not at all. Others do not suffer."""
    assert person.queue("-Q", "--wrap=first").status == 0
    told, killed = {}, []
    with Clerk(person) as clerk:
        for name, every in LAUNCHERS_CALLS.items():
            step, survived = 1, False
            while not survived:
                words = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={name}"]
                words += ["-e", f"inject={name}:signal=KILL:when={step}", "sbatch", "--parsable"]
                env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
                body = f"--wrap={name[:4]}{step}"
                done = person.run(*words, body, env=env)
                survived = done.status == 0
                if done.out:
                    told[int(done.out)] = body
                else:
                    killed.append(body)
                step += every
            done = person.queue("--parsable", f"--wrap=next{name}")
            assert (done.status, done.err) == (0, b"")
            assert clerk.served(done.out)
    calls, problems = look(Session(os.fsencode(person.home / "state"), b"test"))
    queued = [f"--wrap={call.body().splitlines()[-1].decode()}" for call in calls]
    assert problems == []
    assert len(queued) == len(set(queued))
    assert set(told.values()) <= set(queued)
    assert len(killed) > 40
    assert len(set(killed) & set(queued)) <= 40
