"""
What calls cost that are told the real ids of their jobs, against tickets and direct submission.

    bench/ids.py PREFIX [USER [CALLS [LINKS]]]

PREFIX is an installation; SLURM_CONF names a cluster that runs nothing else (tests/slurm/start). Root runs this, and
USER submits, to the partition `other`, which is down meanwhile. Each way's calls are made, then flushed, then
cancelled, in another order each round. With LINKS they are chains of so many, each waiting for the one before by
afterok. Prints a table for bench/README.md: requests are what slurmctld counted for USER (sdiag), its processor time is
that of its process clock in ms, less what it takes while nobody asks, times are seconds from outside.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
CALLS, ROUNDS, IDLE_SECONDS = 300, 3, 20
SCRIPT = "#!/bin/sh\nmkdir -p results/$SLURM_JOB_ID\n"


@dataclass
class Cost:
    """Of the calls of one round, and of their flush: seconds, requests and processor time of slurmctld in ms."""

    calls: float
    flush: float
    requests: int
    controller: float


@dataclass
class Bench:
    """
    Who submits, and the controller that is watched.

    Attributes:
        idle: What it takes while nobody asks, in ms of processor time a second.
    """

    home: Path
    prefix: Path
    user: str
    controller: int
    idle: float = 0.0

    def run(self, way: str, *words: str) -> str:
        env = {"HOME": str(self.home), "USER": self.user, "PATH": SYSTEM_PATH, "SLURM_CONF": os.environ["SLURM_CONF"]}
        if way != "direct":
            env.update(PATH=f"{self.prefix}/shims:{SYSTEM_PATH}", SARRAY_MODE="queue", SARRAY_SESSION=way)
            env.update(SARRAY_STATE_DIR=str(self.home / "state"), SARRAY_IDS=way)
        user = self.user if os.geteuid() == 0 else None
        done = subprocess.run(words, env=env, cwd=self.home, user=user, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def requests(self) -> int:
        """All that this user has asked the controller."""
        told = subprocess.run(["sdiag"], check=True, capture_output=True, text=True).stdout
        found = re.search(rf"^\s+{self.user}\s+\(.*?count:(\d+)", told, re.M)
        return int(found[1]) if found else 0

    def learn_idle(self) -> None:
        """Find out what slurmctld takes while nobody asks, in ms of processor time a second."""
        before = self.controller_ms()
        time.sleep(IDLE_SECONDS)
        self.idle = (self.controller_ms() - before) / IDLE_SECONDS

    def controller_ms(self) -> float:
        """Processor time of slurmctld; its clock's number is made as by pthread_getcpuclockid(3)."""
        return 1000 * time.clock_gettime((~self.controller << 3) | 2)

    def cost(self, way: str, calls: int, links: int) -> Cost:
        """Of one round, of which nothing runs."""
        before, used, begun = self.requests(), self.controller_ms(), time.monotonic()
        told = ""
        for number in range(calls):
            waits = ["-d", f"afterok:{told}"] if number % links else []
            told = self.run(way, "sbatch", "--parsable", "-p", "other", "-o", "/dev/null", *waits, "job.sh")
        called = time.monotonic()
        if way != "direct":
            self.run(way, str(self.prefix / "bin/sarray-flush"))
        flushed = time.monotonic()
        used = self.controller_ms() - used - self.idle * (flushed - begun)
        cost = Cost(called - begun, flushed - called, self.requests() - before, used)
        subprocess.run(["scancel", "-u", self.user], check=True)
        return cost


def main() -> int:
    """Measure; returns the exit status."""
    if len(sys.argv) not in (2, 3, 4, 5) or "SLURM_CONF" not in os.environ:
        print(__doc__, file=sys.stderr)
        return 2
    user = sys.argv[2] if len(sys.argv) > 2 else pwd.getpwuid(os.geteuid()).pw_name
    calls = int(sys.argv[3]) if len(sys.argv) > 3 else CALLS
    links = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    conf = Path(os.environ["SLURM_CONF"]).read_text()
    pid_file = re.search(r"^SlurmctldPidFile=(.*)$", conf, re.M)
    assert pid_file, "slurm.conf names no SlurmctldPidFile"
    home = Path(tempfile.mkdtemp(prefix="sarray-ids-"))
    partition = ["scontrol", "update", "PartitionName=other"]
    subprocess.run([*partition, "State=DOWN"], check=True)
    try:
        shutil.chown(home, user)
        (home / "job.sh").write_text(SCRIPT)
        (home / "job.sh").chmod(0o755)
        bench = Bench(home, Path(sys.argv[1]), user, int(Path(pid_file[1]).read_text()))
        bench.learn_idle()
        found: dict[str, list[Cost]] = {"direct": [], "ticket": [], "auto": []}
        for number in range(ROUNDS):
            for way in [*found][number:] + [*found][:number]:
                found[way].append(bench.cost(way, calls, links))
        title = f"{calls} calls in chains of {links}, median of {ROUNDS}"
        print(f"| {title} | calls, s | flush, s | requests | slurmctld, ms |")
        print("|---|---|---|---|---|")
        for way, costs in found.items():
            called, flushed = (statistics.median(times) for times in zip(*((c.calls, c.flush) for c in costs)))
            asked, used = (statistics.median(counts) for counts in zip(*((c.requests, c.controller) for c in costs)))
            print(f"| {way} | {called:.1f} | {flushed:.1f} | {asked:.0f} | {used:.0f} |")
    finally:
        subprocess.run([*partition, "State=UP"], check=True)
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
