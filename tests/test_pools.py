"""Calls that have the ids of their jobs: what was told runs once, under that id, whatever is killed."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.person import SYSTEM_PATH, Person, Result
from test_faults import Breaker, queued

pytestmark = pytest.mark.slurm

# What changes something on disk that others read, or starts a process and hears of its end.
STEPS = ("rename", "mkdir", "symlink", "fdatasync", "wait4", "?clone,?clone3,?vfork")


def reserve(person: Person, session: str, *words: str, **more: str) -> Result:
    """One sbatch call that wants the id of its job."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=session, SARRAY_IDS="real", **more)
    return person.run("sbatch", "--parsable", *words, env=env)


def waiting(person: Person) -> list[str]:
    """Ids and reasons of what waits in Slurm, for anybody without our commands."""
    words = ["squeue", "-h", "-r", "-t", "PD", "-u", person.environment()["USER"], "-o", "%A %r"]
    return person.run(*words, env=person.environment(PATH=SYSTEM_PATH)).out.decode().splitlines()


def ran(person: Person, name: str) -> dict[str, str]:
    """What the calls of a name have written, by file."""
    return {path.name: path.read_text() for path in person.home.glob(f"ran.{name}.*")}


def test_a_reserving_sbatch_killed_at_every_step(person: Person) -> None:
    """Whoever was told an id has a call under it; a killed one leaves none, or a whole one, and nothing held."""
    breaker = Breaker("signal=KILL", STEPS)
    told = {}
    for name, trace in breaker:
        body = f"--wrap=echo $SLURM_JOB_ID >>ran.{name}.$1"
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=name, SARRAY_IDS="real")
        done = person.run(*trace, "sbatch", "--parsable", "-o", "/dev/null", body.replace("$1", "a"), env=env)
        breaker.survived = done.status == 0
        found = queued(person, name)
        assert len(found) <= 1
        again = reserve(person, name, "-o", "/dev/null", body.replace("$1", "b"))
        assert (again.status, again.err) == (0, b""), again.err
        told[name] = int(done.out or 0), int(again.out), found
        assert not done.out or found == [int(done.out)]
        assert queued(person, name) == sorted({*found, int(again.out)})
        flushed = person.flush("--session", name)
        assert flushed.status == 0, flushed.err
    person.settle()
    assert breaker.steps > 20
    for name, (first, second, found) in told.items():
        wanted = {f"ran.{name}.b": f"{second}\n"}
        if found:
            wanted[f"ran.{name}.a"] = f"{first or found[0]}\n"
        assert ran(person, name) == wanted
    assert waiting(person) == []


def test_a_releasing_flush_killed_at_every_step(person: Person) -> None:
    breaker = Breaker("signal=KILL", STEPS)
    told: dict[str, list[str]] = {}
    for name, trace in breaker:
        told[name] = []
        for number in range(2):
            done = reserve(person, name, "-o", "/dev/null", f"--wrap=echo $SLURM_JOB_ID >>ran.{name}.{number}")
            assert done.status == 0, done.err
            told[name].append(done.out.decode())
        command = [str(person.prefix / "bin/sarray-flush"), "--session", name]
        env = person.environment()
        breaker.survived = person.run(*trace, *command, env=env).status == 0
        done = person.flush("--session", name)
        assert done.status == 0, done.err
        assert queued(person, name) == []
    person.settle()
    assert breaker.steps > 10
    for name, ids in told.items():
        assert ran(person, name) == {f"ran.{name}.{number}": one for number, one in enumerate(ids)}
    assert waiting(person) == []


def test_calls_made_at_the_same_time_have_ids_of_their_own(person: Person) -> None:
    def call(number: int) -> str:
        return reserve(person, "test", "-o", "/dev/null", f"--wrap=echo $SLURM_JOB_ID >>ran.{number}").out.decode()

    with ThreadPoolExecutor(4) as at_once:
        told = list(at_once.map(call, range(20)))
    assert len(set(told)) == 20
    # Never more elements than twice what was asked for, plus seven.
    assert len(waiting(person)) <= 2 * 20 + 7
    assert person.flush().status == 0
    person.settle()
    assert [(person.home / f"ran.{number}").read_text() for number in range(20)] == told


def test_what_was_cancelled_before_the_flush_never_runs(person: Person) -> None:
    told = []
    for one in "abc":
        done = reserve(person, "test", "-o", "/dev/null", f"--wrap=echo x >>ran.{one}")
        told.append(done.out.decode().strip())
    assert person.run("scancel", told[1]).status == 0
    assert f"{told[1]} JobHeldUser" not in waiting(person)
    assert f"{told[0]} JobHeldUser" in waiting(person)
    shown = person.run("squeue", "-h", "-o", "%i %r").out.decode()
    assert re.findall(r"^\d+", shown, re.M) == [told[0], told[2]], shown
    assert person.flush().status == 0
    person.settle()
    assert sorted(path.name for path in person.home.glob("ran.*")) == ["ran.a", "ran.c"]


def test_who_cancels_all_leaves_nothing_held(person: Person) -> None:
    reserve(person, "test", "--wrap=true")
    assert waiting(person)
    done = person.run(str(person.prefix / "bin/sarray"), "cancel", "--all", "--yes")
    assert done.status == 0, done.err
    assert waiting(person) == []


def test_what_fits_no_pool_is_submitted_with_its_own_words(person: Person) -> None:
    done = reserve(person, "test", "--hold", "--wrap=true")
    assert waiting(person) == [f"{done.out.decode().strip()} JobHeldUser"]
    assert person.flush().status == 0
    assert len(waiting(person)) == 1
    bad = reserve(person, "test", "-p", "nowhere", "--wrap=true")
    assert (bad.status, bad.out) == (1, b"")
    assert b"invalid partition specified: nowhere" in bad.err


def test_another_way_is_refused(person: Person) -> None:
    done = person.queue("--wrap=true", SARRAY_IDS="reel")
    assert (done.status, done.out) == (1, b"")
    assert b"SARRAY_IDS=reel is unknown" in done.err


def test_a_flush_without_words_that_cannot_reach_them(person: Person) -> None:
    reserve(person, "test", "-o", "/dev/null", "--wrap=echo x >>ran.a")
    done = person.flush("--time=5")
    assert done.status == 1
    assert b"scontrol update" in done.err
    plan = person.flush("--dry-run")
    assert b"1 call with real ids would be released" in plan.out
    assert person.flush().status == 0
    person.settle()
    assert (person.home / "ran.a").read_text() == "x\n"
