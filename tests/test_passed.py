"""Calls that go to the real sbatch while the session queues: what they cost, and who is told of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.person import SYSTEM_PATH, Person, Result
from support.terminal import Terminal

from sbatch_shim.flush.submit import MOST_FOLDERS_LEFT

pytestmark = pytest.mark.slurm


def counting_sbatch(person: Person) -> tuple[str, Path]:
    """A PATH on which the real commands write down that they were run, and the file where."""
    folder = person.home / "counting"
    log = person.home / "commands"
    folder.mkdir()
    log.touch(mode=0o666)
    for name in ("sbatch", "scontrol", "squeue"):
        path = folder / name
        path.write_text(f'#!/bin/sh\necho {name} >> {log}\nexec /usr/bin/{name} "$@"\n')
        path.chmod(0o755)
    person.own(folder)
    person.own(log)
    return f"{person.prefix}/shims:{folder}:{SYSTEM_PATH}", log


def queue_in(person: Person, session: str) -> str:
    """A held call in a session; its ticket."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=session)
    return person.run("sbatch", "--parsable", "--hold", "-o", "/dev/null", "--wrap=true", env=env).out.decode().strip()


def test_tickets_that_are_submitted_already_cost_no_flush(person: Person) -> None:
    """24 calls that the real sbatch must see wait for one ticket: one flush, and nothing but sbatch afterwards."""
    path, log = counting_sbatch(person)
    setup = person.queue("--parsable", "--hold", "-o", "/dev/null", "--wrap=true", PATH=path).out.decode().strip()
    other = queue_in(person, "other")
    words = ("--parsable", "-o", "/dev/null", "-d", f"afterok:{setup}", "--deadline=2036-01-01", "--wrap=true")
    first = person.queue(*words, PATH=path)
    assert first.status == 0 and first.err == b""
    assert log.read_text().split().count("sbatch") == 2
    log.write_text("")
    ids = {person.queue(*words, PATH=path).out.strip() for _ in range(23)}
    assert log.read_text().split() == ["sbatch"] * 23
    assert len(ids) == 23 and all(len(one) < 9 for one in ids)
    # Who holds no ticket of the dependency is left alone.
    assert person.run("squeue", "-h", "-j", other, "-o", "%r").out == b"SarrayQueued\n"
    environment = person.environment(PATH=SYSTEM_PATH)
    shown = person.run("squeue", "-h", "-j", b",".join(ids).decode(), "-o", "%r %E", env=environment).out.decode()
    assert len(set(shown.splitlines())) == 1 and re.match(r"Dependency afterok:\d+", shown), shown


def test_a_chain_through_calls_that_are_not_queued_asks_no_more_than_without_us(person: Person) -> None:
    """Every second call of a chain is passed: each call is one submission, and the configuration is asked for once."""
    path, log = counting_sbatch(person)
    last = person.queue("--parsable", "--hold", "-o", "/dev/null", "--wrap=true", PATH=path).out.decode().strip()
    for number in range(11):
        more = ("--deadline=2036-01-01",) if number % 2 == 0 else ()
        done = person.queue("--parsable", "-o", "/dev/null", "-d", f"afterok:{last}", *more, "--wrap=true", PATH=path)
        assert done.status == 0 and done.err == b""
        last = done.out.decode().strip()
    assert person.flush(PATH=path).status == 0
    asked = log.read_text().split()
    assert asked.count("sbatch") == 12
    # Once at a hand-over, and by the flush itself where anything is left for it.
    assert len(asked) - 12 <= 2, asked
    environment = person.environment(PATH=SYSTEM_PATH)
    shown = person.run("squeue", "-h", "-u", environment["USER"], "-o", "%r", env=environment).out.decode().split()
    assert sorted(shown) == ["Dependency"] * 11 + ["JobHeldUser"]


def test_what_a_passed_call_does_not_wait_for_stays_queued_and_merges(person: Person) -> None:
    """In a loop over samples: a call that nothing waits for, one that is waited for, and a passed one."""
    path, log = counting_sbatch(person)
    words = ("--parsable", "-o", "/dev/null", "--wrap=true")
    others = []
    for _ in range(6):
        others.append(person.queue("--hold", "--nice=7", *words, PATH=path).out.decode().strip())
        ticket = person.queue("--hold", *words, PATH=path).out.decode().strip()
        done = person.queue("-d", f"afterok:{ticket}", "--deadline=2036-01-01", *words, PATH=path)
        assert done.status == 0 and done.err == b""
    assert log.read_text().split().count("sbatch") == 12
    shown = person.run("squeue", "-h", "-j", ",".join(others), "-o", "%i %r").out.decode().splitlines()
    assert sorted(shown) == [f"{ticket} SarrayQueued" for ticket in others]
    done = person.flush()
    assert re.fullmatch(rb"Submitted batch job \d+\n", done.out), done
    shown = person.run("squeue", "-h", "-j", ",".join(others), "-o", "%i %r").out.decode().splitlines()
    assert sorted(shown) == [f"{ticket} JobHeldUser" for ticket in others]


def test_what_stays_queued_does_not_grow_without_bound(person: Person) -> None:
    """Every flush for a passed call reads it again; so once in a while all of it is submitted, as one array."""
    path, log = counting_sbatch(person)
    words = ("-o", "/dev/null", "--wrap=true")
    for _ in range(MOST_FOLDERS_LEFT + 2):
        assert person.queue("--hold", "--nice=7", *words, PATH=path).status == 0
        ticket = person.queue("--parsable", "--hold", *words, PATH=path).out.decode().strip()
        assert person.queue("-d", f"afterok:{ticket}", "--deadline=2036-01-01", *words, PATH=path).status == 0
    assert log.read_text().split().count("sbatch") == 2 * (MOST_FOLDERS_LEFT + 2) + 1
    flushes = person.home / "state/sessions/test/flushes"
    done = person.flush()
    assert len(done.out.splitlines()) == 1
    assert [folder.name for folder in flushes.iterdir() if not (folder / "done").exists()] == []


def test_lanes_are_not_torn_apart_by_a_call_that_waits_for_one_of_them(person: Person) -> None:
    path, log = counting_sbatch(person)
    words = ("--parsable", "-o", "/dev/null", "--wrap=true")
    first = [person.queue("--hold", *words, PATH=path).out.decode().strip() for _ in range(3)]
    for ticket in first:
        person.queue("-d", f"afterok:{ticket}", *words, PATH=path)
    assert person.queue("-d", f"afterok:{first[1]}", "--deadline=2036-01-01", *words, PATH=path).status == 0
    assert log.read_text().split().count("sbatch") == 3
    assert b"nothing is queued" in person.flush().err


@pytest.mark.parametrize("queued", [True, False])
def test_a_singleton_waits_for_all_of_its_name(person: Person, queued: bool) -> None:
    """So nothing is left out where there is one: among what is queued, or the passed call itself."""
    person.queue("--hold", "-o", "/dev/null", "-J", "mine", "--wrap=true")
    more = ("-d", "singleton", "-J", "mine") if queued else ("-J", "other")
    ticket = person.queue("--parsable", "--hold", "-o", "/dev/null", *more, "--wrap=true").out.decode().strip()
    spec = f"afterok:{ticket}" if queued else f"singleton,afterok:{ticket}"
    done = person.queue("-o", "/dev/null", "-J", "mine", "-d", spec, "--deadline=2036-01-01", "--wrap=true")
    assert done.status == 0
    assert b"nothing is queued" in person.flush().err


@pytest.mark.parametrize("command", ["sbatch", "srun"])
def test_a_passed_call_may_wait_for_a_cancelled_one(person: Person, command: str) -> None:
    """By all but its success, unless that is one of several alternatives; as directly."""
    words = ("--parsable", "-o", "/dev/null", "--wrap=true")
    gone, other = (person.queue(*words).out.decode().strip() for _ in range(2))
    assert person.run("scancel", gone).status == 0
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    call = ["srun", "-Q", "-n1"] if command == "srun" else ["sbatch", "--wait", "-o", "/dev/null"]

    def waiting(spec: str, name: str) -> Result:
        job = ["touch", name] if command == "srun" else [f"--wrap=touch {name}"]
        return person.run(*call, "-d", spec, *job, env=env)

    specs = {"end": gone, "each": f"afternotok:{gone},afterany:{other}", "any": f"afterok:{gone}?afterok:{other}"}
    for name, spec in specs.items():
        done = waiting(spec, name)
        assert done.status == 0 and (person.home / name).exists(), done.err
    done = waiting(f"afterok:{gone}", "never")
    assert done.status == 1 and f"it waits for {gone}, which was cancelled".encode() in done.err


def test_only_the_sessions_that_hold_what_is_not_submitted_are_flushed(person: Person) -> None:
    one, two = queue_in(person, "one"), queue_in(person, "two")
    assert person.flush("--session", "one").status == 0
    late = queue_in(person, "one")
    done = person.queue("-d", f"afterok:{one}:{two}", "--deadline=2036-01-01", "--wrap=true")
    assert done.status == 0, done.err
    assert person.run("squeue", "-h", "-j", late, "-o", "%r").out == b"SarrayQueued\n"
    assert person.run("squeue", "-h", "-j", two, "-o", "%r").out == b"JobHeldUser\n"


def test_the_flush_says_how_many_calls_were_not_queued_and_why(person: Person) -> None:
    for _ in range(2):
        done = person.queue("-o", "/dev/null", "--deadline=2036-01-01", "--wrap=true")
        assert done.status == 0 and done.err == b""
    person.queue("-o", "/dev/null", "--mail-type=END", "--mail-type=NONE", "--wrap=true")
    assert person.queue("--version").status == 0
    empty = person.flush()
    assert empty.status == 0
    assert empty.err == (
        b"sarray-flush: nothing is queued in this session; 3 calls went to the real sbatch at once: --deadline (2), "
        b"--mail-type=NONE beside others\n"
    )
    # Each is told once.
    assert person.flush().err == b"sarray-flush: nothing is queued in this session\n"
    person.queue("-o", "/dev/null", "--wrap=true")
    person.queue("-o", "/dev/null", "--deadline=2036-01-01", "--wrap=true")
    done = person.flush()
    assert re.fullmatch(rb"Submitted batch job \d+\n", done.out)
    assert done.err.endswith(b"\nsarray-flush: 1 call went to the real sbatch at once: --deadline\n")
    person.queue("-o", "/dev/null", "--deadline=2036-01-01", "--wrap=true")
    assert json.loads(person.flush("--json").out)["passed"] == {"--deadline": 1}


def test_a_person_at_a_terminal_is_told_of_the_first_call_only(person: Person) -> None:
    script = "for i in 1 2 3; do sbatch -o /dev/null --deadline=2036-01-01 --wrap=true; done; sbatch --version"
    with Terminal(person, "bash", "-c", script, SARRAY_MODE="queue", SARRAY_SESSION="test") as terminal:
        assert terminal.ended() == 0
    assert terminal.raw.count("not queued, but submitted directly: --deadline") == 1
    assert terminal.raw.count("Submitted batch job") == 3


def test_a_question_is_not_told_of(person: Person) -> None:
    script = "sbatch --version; sbatch --test-only --wrap=true"
    with Terminal(person, "bash", "-c", script, SARRAY_MODE="queue", SARRAY_SESSION="test") as terminal:
        assert terminal.ended() == 0
    assert "not queued" not in terminal.raw
