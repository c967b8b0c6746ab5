"""Many at once: callers in one session, and flushes beside callers."""

from __future__ import annotations

import pytest
from conftest import Person

CALLERS = """
for i in $(seq 64); do
    ( for k in 1 2 3; do sbatch --parsable -o /dev/null --wrap="echo x >> ran.$i.$k"; done > ids.$i ) &
done
wait
"""


def tickets(person: Person) -> list[str]:
    return [line for path in person.home.glob("ids.*") for line in path.read_text().splitlines()]


def test_64_callers_share_no_ticket(person: Person) -> None:
    """And lose no call: the dry run finds each of them."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    assert person.run("bash", "-c", CALLERS, env=env).status == 0
    assert len(tickets(person)) == len(set(tickets(person))) == 192
    assert person.flush("--local", "--dry-run").out.startswith(b"192 calls become 1 submission")


@pytest.mark.slurm
def test_calls_and_flushes_at_the_same_time(person: Person) -> None:
    """Three flushes run while 64 callers queue: each call runs once."""
    flushes = f"""
    for n in 1 2 3; do {person.prefix}/bin/sarray-flush --parsable >> flushed 2>> problems & sleep 0.3; done
    """
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    person.run("bash", "-c", flushes + CALLERS, env=env)
    person.flush()
    person.settle()
    assert len(set(tickets(person))) == 192
    ran = list(person.home.glob("ran.*"))
    assert len(ran) == 192
    assert all(path.read_text() == "x\n" for path in ran)


def test_another_session_has_other_tickets(person: Person) -> None:
    first = person.queue("--parsable", "--wrap=true").out
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="other")
    second = person.run("sbatch", "--parsable", "--wrap=true", env=env).out
    assert int(second) - int(first) >= 1000


@pytest.mark.parametrize("name", ["a/b", ".hidden", "with blank", "x" * 129])
def test_a_session_that_cannot_be_a_file_name_is_refused(person: Person, name: str) -> None:
    env = person.environment(SARRAY_SESSION=name)
    done = person.run(str(person.prefix / "bin/sarray-flush"), env=env)
    assert done.status == 1
    assert b"SARRAY_SESSION" in done.err


def test_an_unknown_mode_is_an_error_that_names_the_known_ones(person: Person) -> None:
    done = person.run("sbatch", "--wrap=true", env=person.environment(SARRAY_MODE="que"))
    assert (done.status, done.out) == (1, b"")
    assert b"use queue, pass" in done.err
