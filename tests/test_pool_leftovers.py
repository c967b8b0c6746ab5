"""What calls with real ids leave held in Slurm is cancelled, and what still waits is not, whoever looks after it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.faults import spawn
from support.person import SYSTEM_PATH, Person, Result
from test_faults import Breaker, queued
from test_pools import reserve, told_by, waiting

pytestmark = pytest.mark.slurm

# One call of a kind has a job of its own, the second one opens a pool; so for those that wait for them.
CHAINS = """
for n in 1 2 3; do
    a=$(sbatch --parsable -o /dev/null --wrap "echo \\$SLURM_JOB_ID >ran.a$n")
    b=$(sbatch --parsable -o /dev/null -d afterok:$a --wrap "ls ran.a$n && echo \\$SLURM_JOB_ID >ran.b$n")
    echo $a $b
done
"""


def chains(person: Person, session: str) -> list[int]:
    """Three calls with real ids, and three that wait for one of them each; their ids."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=session, SARRAY_IDS="real")
    done = person.run("bash", "-c", CHAINS, env=env)
    assert (done.status, done.err) == (0, b""), done.err
    return [int(word) for word in done.out.split()]


def housekeeping(person: Person, **more: str) -> Result:
    """What any squeue does once it is due."""
    for path in (person.home / "state/live").iterdir():
        os.utime(path, (1, 1))
    (person.home / "state/collected").unlink(missing_ok=True)
    done = person.run("squeue", "-h", env=person.environment(**more))
    assert (done.status, done.err) == (0, b""), done.err
    return done


def held(person: Person) -> list[int]:
    """The ids of what waits in Slurm."""
    return sorted(int(line.split()[0]) for line in waiting(person))


def blind(person: Person) -> str:
    """A PATH on which squeue lists no job, as once Slurm has forgotten them."""
    tools = person.home / "blind"
    tools.mkdir()
    (tools / "squeue").write_text("#!/bin/sh\n")
    (tools / "squeue").chmod(0o755)
    return f"{person.prefix}/shims:{tools}:{SYSTEM_PATH}"


def pools(person: Person, session: str) -> list[Path]:
    return sorted((person.home / "state/sessions" / session / "pools").glob("[0-9]*"))


def test_a_killed_sbatch_that_no_other_follows_leaves_nothing_held(person: Person) -> None:
    """Nobody calls sbatch or flushes in its session again."""
    breaker = Breaker("signal=KILL", ("rename", "wait4", "fdatasync"))
    calls = []
    for name, trace in breaker:
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=name, SARRAY_IDS="real")
        done = person.run(*trace, "sbatch", "-o", "/dev/null", "--wrap=true", env=env)
        breaker.survived = done.status == 0
        calls += queued(person, name)
    assert breaker.steps > 8
    assert len(held(person)) > len(calls)
    housekeeping(person)
    assert held(person) == sorted(calls)


@pytest.mark.parametrize("command", ["squeue", "sarray gc"])
def test_what_nobody_took_is_cancelled_once_its_login_has_ended(person: Person, command: str) -> None:
    """No sooner; what was taken waits for its flush."""
    os.mkfifo(person.home / "end")
    person.own(person.home / "end")
    script = CHAINS + "exec 2>&- >&-; read -r line <end\n"
    words = ["env", "-u", "SARRAY_SESSION", "bash", "-c", script]
    login = spawn(person, *words, SARRAY_MODE="queue", SARRAY_IDS="real")
    assert login.stdout and login.stderr
    out, err = login.stdout.read(), login.stderr.read()
    told = sorted(int(word) for word in out.split())
    assert (len(told), err) == (6, b"")

    def look_after() -> None:
        if command == "squeue":
            housekeeping(person)
        else:
            done = person.run("sarray", "gc")
            assert done.status == 0, done.err

    look_after()
    assert len(held(person)) > len(told)
    with (person.home / "end").open("w") as stream:
        stream.write("\n")
    login.wait()
    look_after()
    assert held(person) == told
    (session,) = (path.name for path in (person.home / "state/sessions").iterdir())
    late = int(told_by(reserve(person, session, "-o", "/dev/null", "--wrap=echo $SLURM_JOB_ID >ran.late")))
    assert late not in told
    look_after()
    assert held(person) == sorted([*told, late])
    done = person.flush("--session", session)
    assert done.status == 0, done.err
    person.settle()
    assert sorted(int(path.read_text()) for path in person.home.glob("ran.*")) == sorted([*told, late])


def test_gc_keeps_the_pools_that_wait_and_removes_those_that_are_done(person: Person) -> None:
    told, others = chains(person, "done"), chains(person, "waits")
    assert person.flush("--session", "done").status == 0
    links = person.home / "state/ids"
    for more in ({}, {"PATH": blind(person)}):
        assert len(pools(person, "done")) == 4
        env = person.environment(**more)
        assert person.run("sarray", "gc", "--days=0", "--dry-run", env=env).status == 0
        assert {int(path.name) for path in links.iterdir()} >= {*told, *others}
        done = person.run("sarray", "gc", "--days=0", env=env)
        assert done.status == 0, done.err
    assert pools(person, "done") == []
    assert {int(path.name) for path in links.iterdir()} == {*others}
    assert len(pools(person, "waits")) == 4
    assert {*held(person)} > {*others}
    assert person.flush("--session", "waits").status == 0
    person.settle()
    assert sorted(int(path.read_text()) for path in person.home.glob("ran.*")) == sorted(others)


def test_who_cancels_all_of_chains_leaves_nothing_held(person: Person) -> None:
    chains(person, "test")
    others = chains(person, "other")
    env = person.environment(SARRAY_SESSION="test")
    done = person.run("sarray", "cancel", "--yes", env=env)
    assert done.status == 0, done.err
    assert {*held(person)} > {*others}
    assert all((folder / "done").exists() for folder in pools(person, "test"))
    done = person.run("sarray", "cancel", "--all", "--yes", env=env)
    assert done.status == 0, done.err
    assert held(person) == []


def test_who_cancels_a_link_of_a_chain_leaves_the_others(person: Person) -> None:
    a1, b1, a2, b2, a3, b3 = chains(person, "test")
    assert person.run("sarray", "cancel", "--yes", str(b2)).status == 0
    assert b2 not in held(person)
    assert person.run("sarray", "cancel", "--yes", str(a3)).status == 0
    assert {*held(person)} >= {a1, b1, a2, b3}
    assert person.flush().status == 0
    person.settle()
    assert {path.name: int(path.read_text()) for path in person.home.glob("ran.*")} == {
        "ran.a1": a1,
        "ran.b1": b1,
        "ran.a2": a2,
    }
    # As directly: what it waits for was cancelled.
    assert waiting(person) == [f"{b3} DependencyNeverSatisfied"]
