"""
What takes too long for CI: random kills, many writers, many odd calls. Not collected by pytest; `bench/soak` runs it.

SOAK_KILLS (1000), SOAK_CUTS (200), SOAK_WRITES (1000 for each of 64 writers), SOAK_CASES (10000), SOAK_CALLS
(100000) and SOAK_SECONDS (300, of a burst) are how much.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.faults import Cluster, descendants, free_port, spawn, wait_for
from support.person import SYSTEM_PATH, Person
from support.queues import multiply
from test_concurrency import one_of_each_while_flushes_run
from test_fuzz import odd_calls_come_out_as_they_went_in

from sbatch_shim.burst import lock_path
from sbatch_shim.contended import Holder
from sbatch_shim.spool import Session
from sbatch_shim.state.calls import Shared, build, payloads

pytestmark = pytest.mark.slurm


@pytest.fixture
def user(scratch: Path, person: Person) -> Iterator[Person]:
    cluster = Cluster(scratch / "soak-cluster", free_port())
    usual, person.conf = person.conf, cluster.conf
    yield person
    cluster.stop()
    person.conf = usual


def test_random_kills(user: Person) -> None:
    """A flush is killed at a random time, alone or with the sbatch that it runs; every fourth one is let be."""
    kills = int(os.environ.get("SOAK_KILLS", "1000"))
    seed = int(os.environ.get("SOAK_SEED", str(time.time_ns())))
    chance = random.Random(seed)
    command = str(user.prefix / "bin/sarray-flush")
    env = user.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    counts: Counter[str] = Counter()
    begun = time.monotonic()
    usual = 0.6
    round_ = 0
    while counts["kills"] < kills:
        round_ += 1
        words = ["sbatch", "--parsable", "-o", "/dev/null"]
        first = user.run(*words, f"--wrap=echo x >>ran.{round_}.a", env=env).out.decode().strip()
        # Never the same partition twice in a row: more than one submission to be killed in.
        partition = ("main", "other")[round_ % 2]
        words += ["-p", partition, "-d", f"afterok:{first}", f"--wrap=echo x >>ran.{round_}.b"]
        assert user.run(*words, env=env).status == 0
        with spawn(user, command, "--json", "--retry=300") as process:
            if chance.random() < 0.75:
                time.sleep(chance.random() * usual * 1.2)  # a random moment is what this is about
                victims = [process.pid] if chance.random() < 0.5 else [*descendants(process.pid), process.pid]
                for pid in victims:
                    signal_if_there(pid, signal.SIGKILL)
                process.communicate()
                counts["kills" if process.returncode == -signal.SIGKILL else "too late"] += 1
                counts["with sbatch"] += process.returncode == -signal.SIGKILL and len(victims) > 1
            else:
                start = time.monotonic()
                out, text = process.communicate(timeout=600)
                assert process.returncode == 0, text
                document = json.loads(out)
                counts["adopted"] += len(document["adopted"])
                if not document["adopted"] and b"asking Slurm" not in text:
                    usual = 0.8 * usual + 0.2 * min(time.monotonic() - start, 3)
    assert user.flush("--retry=300").status == 0
    events = Counter(
        json.loads(line)["event"]
        for path in (user.home / "state/sessions/test/flushes").glob("*/journal")
        for line in path.read_bytes().split(b"\n")[:-1]
    )
    user.settle(600)
    found = Counter(path.read_text().count("x") for path in user.home.glob("ran.*"))
    minutes = (time.monotonic() - begun) / 60
    print(f"\nseed {seed}: {dict(counts)}; {2 * round_} calls in {minutes:.1f} min")
    print(f"journals: {dict(events)}; calls by how often they ran: {dict(found)}")
    assert found == {1: 2 * round_}


WRITER = """
number=0
while :; do
    number=$((number + 1))
    call=$1.$2.$number
    printf '#!/bin/sh\\necho x >>"%s/ran.%s"\\n' "$SCRATCH" $call >"$SCRATCH/script.$2"
    echo $call >>"$SCRATCH/tried.$2"
    sbatch -H -o /dev/null -p $3 "$SCRATCH/script.$2" >/dev/null 2>>"$SCRATCH/said" && echo $call >>"$SCRATCH/told.$2"
done
"""


class Disk:
    """A file system of its own that loses power: what is in memory only is gone (as xfstests' godown does it)."""

    SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
    NO_LOG_FLUSH = 2

    def __init__(self, image: Path, mountpoint: Path) -> None:
        self.image = image
        self.mountpoint = mountpoint
        with image.open("wb") as stream:
            stream.truncate(256 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        mountpoint.mkdir()
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.mountpoint)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.mountpoint)], check=True)

    def cut(self) -> None:
        descriptor = os.open(self.mountpoint, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, self.SHUTDOWN, struct.pack("I", self.NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


@contextmanager
def stopped(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """
    Nothing of these runs any more, and afterwards they are dead, as on a machine without power.

    Otherwise they would go on with what the disk says after the cut: an fsync that finds its transaction gone says
    that all is well.
    """
    frozen: set[int] = set()
    while True:
        everything = {pid for process in processes for pid in (process.pid, *descendants(process.pid))}
        if everything <= frozen:
            break
        for pid in everything - frozen:
            signal_if_there(pid, signal.SIGSTOP)
        frozen |= everything
    yield
    for pid in frozen:
        signal_if_there(pid, signal.SIGKILL)
    for process in processes:
        process.communicate(timeout=300)
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in frozen))


def signal_if_there(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


@pytest.fixture
def disk(scratch: Path) -> Iterator[Disk]:
    found = Disk(scratch / "image", scratch / "disk")
    yield found
    found.unmount()


def test_power_cuts(user: Person, disk: Disk) -> None:
    """
    The state folder's disk loses power while calls are queued and flushed; the controller is another machine.

    What sbatch answered runs once; everything else runs at most once.
    """
    cuts = int(os.environ.get("SOAK_CUTS", "200"))
    seed = int(os.environ.get("SOAK_SEED", str(time.time_ns())))
    chance = random.Random(seed)
    begun = time.monotonic()
    user.own(disk.mountpoint)
    results = user.home / "results"
    results.mkdir()
    user.own(results)
    more = {"SARRAY_STATE_DIR": f"{disk.mountpoint}/state", "SCRATCH": str(results)}
    flush = str(user.prefix / "bin/sarray-flush")
    release = "/usr/bin/squeue -h -r -o %F | sort -u | xargs -r -n 1 /usr/bin/scontrol release"

    def calls(what: str) -> set[str]:
        return {call for path in results.glob(f"{what}.*") for call in path.read_text().splitlines()}

    def drain() -> None:
        done = user.flush("--retry=300", SARRAY_STATE_DIR=more["SARRAY_STATE_DIR"])
        assert done.status == 0, done.err
        user.run("bash", "-c", release)
        user.settle(1200)

    for cut in range(cuts):
        if cut % 10 == 9:
            drain()
        processes = [
            spawn(user, "bash", "-c", WRITER, "writer", str(cut), str(number), partition, SARRAY_MODE="queue", **more)
            for number, partition in enumerate(("main", "other", "main"))
        ]
        again = f'while :; do {flush} --retry=300 >>"$SCRATCH/flushed" 2>&1; done'
        processes.append(spawn(user, "bash", "-c", again, **more))
        time.sleep(chance.random() * 3)  # a random moment is what this is about
        with stopped(processes):
            disk.cut()
        disk.unmount()
        disk.mount()
    drain()
    tried, told = calls("tried"), calls("told")
    ran = {path.name[len("ran.") :]: path.read_text().count("x") for path in results.glob("ran.*")}
    minutes = (time.monotonic() - begun) / 60
    print(f"\nseed {seed}: {cuts} cuts, {len(tried)} calls, {len(told)} answered, {len(ran)} ran in {minutes:.1f} min")
    assert told <= ran.keys() <= tried
    assert set(ran.values()) == {1}


def test_writers_while_flushes_run(person: Person) -> None:
    one_of_each_while_flushes_run(person, int(os.environ.get("SOAK_WRITES", "1000")))


def test_a_hundred_thousand_calls(person: Person) -> None:
    """In one session: a poll sees them all, a flush submits each of them once, and the next poll is as it was."""
    count = int(os.environ.get("SOAK_CALLS", "100000"))
    (person.home / "site").mkdir()
    (person.home / "site/sbatch").write_text("#!/bin/sh\necho $$\n")
    (person.home / "site/sbatch").chmod(0o755)
    path = f"{person.prefix}/shims:{person.home}/site:{SYSTEM_PATH}"
    first = int(person.queue("--parsable", "-o", "/dev/null", "--wrap=true", PATH=path).out)
    assert multiply(person.home / "state", "test", count) == first
    person.own(person.home / "state/blocks")
    env = person.environment(SARRAY_SESSION="test", PATH=path)
    begun = time.monotonic()
    listed = person.run("squeue", "-h", "-o", "%i", env=env, timeout=3600)
    polled = time.monotonic()
    assert sorted(map(int, listed.out.split())) == list(range(first, first + count))
    document = json.loads(person.run(str(person.prefix / "bin/sarray-flush"), "--json", env=env, timeout=3600).out)
    flushed = time.monotonic()
    submitted = [ticket for array in document["arrays"] for ticket in array["tickets"]]
    assert sorted(submitted) == list(range(first, first + count))
    arrays = len(document["arrays"])
    print(f"\n{count} calls: squeue {polled - begun:.1f} s, flush {flushed - polled:.1f} s, {arrays} arrays")


# Every eighth call is killed at a random time, alone or with what it has started.
CALLER = """
number=0
until [ -e over ]; do
    number=$((number + 1)) killed=() begun=${EPOCHREALTIME/./}
    ((RANDOM % 8)) || killed=(timeout -s KILL 0.0$((RANDOM % 100)))
    ((RANDOM % 2)) || killed=(${killed:+timeout --foreground "${killed[@]:1}"})
    "${killed[@]}" sbatch --parsable -o /dev/null --wrap="$1.$number" >"told.$1" 2>>"errors.$1"
    echo "$1.$number $? $((${EPOCHREALTIME/./} - begun)) ${#killed[@]} $(<"told.$1")" >>"calls.$1"
done 2>>"deaths.$1"
"""


def test_clerks_killed_and_stopped(person: Person) -> None:
    """While callers are killed too and flushes follow one another: each call is queued once, and its ticket told."""
    seed = int(os.environ.get("SOAK_SEED", str(time.time_ns())))
    chance = random.Random(seed)
    (person.home / "site").mkdir()
    (person.home / "site/sbatch").write_text("#!/bin/sh\necho $$\n")
    (person.home / "site/sbatch").chmod(0o755)
    path = f"{person.prefix}/shims:{person.home}/site:{SYSTEM_PATH}"
    more = {"PATH": path, "SARRAY_MODE": "queue"}
    callers = [spawn(person, "bash", "-c", CALLER, "caller", str(number), **more) for number in range(12)]
    flushes = f"until [ -e over ]; do {person.prefix}/bin/sarray-flush >>flushed 2>&1; sleep 1; done"
    callers.append(spawn(person, "bash", "-c", flushes, **more))
    session = Session(os.fsencode(person.home / "state"), b"test")
    end = time.monotonic() + float(os.environ.get("SOAK_SECONDS", "300"))
    counts: Counter[str] = Counter()
    while time.monotonic() < end:
        time.sleep(chance.random() * chance.choice((0.1, 1, 2)))  # a random moment is what this is about
        clerk = Holder(lock_path(session)).pid
        if not clerk:
            counts["none"] += 1
            continue
        how = chance.choice(("killed", "stopped", "stopped for a moment"))
        counts[how] += 1
        signal_if_there(clerk, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        if how == "stopped for a moment":
            time.sleep(chance.random())  # the same
            signal_if_there(clerk, signal.SIGCONT)
    (person.home / "over").touch()
    for process in callers:
        process.communicate(timeout=120)
    calls = [line.split() for path in person.home.glob("calls.*") for line in path.read_text().splitlines()]
    told = {int(call[4]): call[0] for call in calls if len(call) == 5}
    killed = {call[0] for call in calls if call[1] == "137"}
    queued = {ticket: payload for ticket, payload in payloads(session).items() if payload}
    names = {
        ticket: build(session, ticket, payload, Shared()).body().split()[-1].decode()
        for ticket, payload in queued.items()
    }
    slowest = sorted(int(call[2]) / 1e6 for call in calls)
    served = sum(path.read_text().count(" begins") for path in Path(os.fsdecode(session.folder)).glob("clerk.log*"))
    print(f"\nseed {seed}: {len(calls)} calls, {len(killed)} of them killed; {served} clerks, {dict(counts)}")
    print(f"seconds of a call: median {slowest[len(slowest) // 2]:.3f}, longest {slowest[-5:]}")
    assert [path.read_bytes() for path in person.home.glob("errors.*")] == [b""] * 12
    assert all(names[ticket] == name for ticket, name in told.items())
    assert {call[0] for call in calls} - killed == set(told.values()) - killed
    assert len(set(names.values())) == len(names)
    assert set(names.values()) <= set(told.values()) | killed
    assert slowest[-1] < 30


def test_odd_calls(person: Person) -> None:
    odd_calls_come_out_as_they_went_in(person, int(os.environ.get("SOAK_CASES", "10000")), seed=time.time_ns())
