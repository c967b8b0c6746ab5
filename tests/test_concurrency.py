"""Many at once: callers in one session, and flushes beside callers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from support.clerks import Clerk
from support.faults import spawn
from support.person import SYSTEM_PATH, USER, Person

CALLERS = """
for i in $(seq 64); do
    ( for k in 1 2 3; do sbatch --parsable -o /dev/null --wrap="echo x >> ran.$i.$k"; done > ids.$i ) &
done
wait
"""


def tickets(person: Person) -> list[str]:
    return [line for path in person.home.glob("ids.*") for line in path.read_text().splitlines()]


@pytest.fixture(params=["off", "on"])
def keeper(request: pytest.FixtureRequest, person: Person) -> Iterator[str]:
    """Calls that start Python each, or that a clerk queues: $SARRAY_KEEPER."""
    if request.param == "off":
        yield "off"
        return
    with Clerk(person) as clerk:
        yield "on"
        # It leaves by itself once it has queued calls and a flush has taken them.
        status = clerk.process.poll()
        entries = [path.read_bytes().strip(b"\0") for path in clerk.folder.glob("clerks/*/ledger")]
        assert status == 0 or (status is None and any(entries))


def test_64_callers_share_no_ticket(person: Person, keeper: str) -> None:
    """And lose no call: the dry run finds each of them."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", SARRAY_KEEPER=keeper)
    done = person.run("bash", "-c", CALLERS, env=env)
    assert (done.status, done.err) == (0, b"")
    assert len(tickets(person)) == len(set(tickets(person))) == 192
    assert person.flush("--local", "--dry-run").out.startswith(b"192 calls become 1 submission")


def one_of_each_while_flushes_run(person: Person, writes: int, keeper: str = "off") -> None:
    """
    64 writers make `writes` calls each, while flushes follow one another: each call is submitted once.

    What stands for sbatch only answers: so many jobs are no matter for a controller of the tests.
    """
    (person.home / "site").mkdir()
    (person.home / "site/sbatch").write_text("#!/bin/sh\necho $$\n")
    (person.home / "site/sbatch").chmod(0o755)
    script = f"""
    for i in $(seq 64); do
        ( for k in $(seq {writes}); do sbatch --parsable -o /dev/null --wrap="echo $i.$k"; done >ids.$i 2>errors.$i ) &
    done
    wait
    touch over
    """
    path = f"{person.prefix}/shims:{person.home}/site:{SYSTEM_PATH}"
    documents = []
    with spawn(person, "bash", "-c", script, SARRAY_MODE="queue", SARRAY_KEEPER=keeper, PATH=path) as process:
        while process.poll() is None:
            documents.append(json.loads(person.flush("--json").out))
        process.communicate()
    documents.append(json.loads(person.flush("--json").out))
    told = sorted(int(ticket) for ticket in tickets(person))
    assert len(told) == len(set(told)) == 64 * writes
    assert all(path.read_bytes() == b"" for path in person.home.glob("errors.*"))
    submitted = [ticket for document in documents for array in document["arrays"] for ticket in array["tickets"]]
    assert sorted(submitted) == told
    assert sum(1 for document in documents if document["arrays"]) > 1


@pytest.mark.slurm
def test_calls_and_flushes_at_the_same_time(person: Person, keeper: str) -> None:
    """Three flushes run while 64 callers queue: each call runs once."""
    flushes = f"""
    for n in 1 2 3; do {person.prefix}/bin/sarray-flush --parsable >> flushed 2>> problems & sleep 0.3; done
    """
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", SARRAY_KEEPER=keeper)
    assert person.run("bash", "-c", flushes + CALLERS, env=env).err == b""
    person.flush()
    person.settle()
    assert len(set(tickets(person))) == 192
    ran = list(person.home.glob("ran.*"))
    assert len(ran) == 192
    assert all(path.read_text() == "x\n" for path in ran)


@pytest.mark.slurm
def test_many_calls_and_flushes_at_the_same_time(person: Person, keeper: str) -> None:
    one_of_each_while_flushes_run(person, 20, keeper)


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
    assert b"use queue, auto, pass" in done.err


@pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="a host name of one's own needs root")
def test_two_login_hosts_with_one_home(person: Person) -> None:
    """Their sessions have names of their own, and no ticket is told twice; the exclusive create of a block decides."""
    script = """
    hostname "$0"
    exec setpriv --reuid "$USER" --regid "$USER" --clear-groups setsid -w bash -c '
        for k in $(seq 15); do sbatch --parsable -o /dev/null --wrap="echo $k"; done'
    """
    env = person.environment(SARRAY_MODE="queue")
    words = ["unshare", "--uts", "bash", "-c", script]
    names = ("login1", "login2")
    hosts = [subprocess.Popen([*words, name], cwd=person.home, env=env, stdout=subprocess.PIPE) for name in names]
    told = [host.communicate(timeout=600)[0].split() for host in hosts]
    assert [len(part) for part in told] == [15, 15]
    assert len(set(told[0] + told[1])) == 30
    assert {path.name.split(".")[0] for path in (person.home / "state/sessions").iterdir()} == set(names)
    done = person.run(str(person.prefix / "bin/sarray-flush"), "--all", "--local", "--json")
    assert sum(len(array["tickets"]) for array in json.loads(done.out)["arrays"]) == 30
