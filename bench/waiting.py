"""
How long calls wait in auto mode, against direct submission, and what an idle keeper costs.

    bench/waiting.py PREFIX [USER]

PREFIX is an installation; SLURM_CONF names a cluster that runs nothing else (tests/slurm/start). USER submits, where
root runs this. Prints a table for bench/README.md.
"""

from __future__ import annotations

import os
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
LONE_CALLS = 15
STREAM, INTERVAL = 150, 0.1
# SARRAY_IDLE and SARRAY_MAX_WAIT, in seconds.
PACES = ((0.3, 3), (1, 5), (1, 10), (1, 30), (3, 60))
IDLE_SECONDS = 60


@dataclass
class Caller:
    """Who submits, with a home and a state folder that are removed in the end."""

    home: Path
    prefix: Path
    user: str

    def environment(self, auto: bool, idle: float, longest: float) -> dict[str, str]:
        path = f"{self.prefix}/shims:{SYSTEM_PATH}" if auto else SYSTEM_PATH
        found = {"HOME": str(self.home), "USER": self.user, "PATH": path, "SLURM_CONF": os.environ["SLURM_CONF"]}
        if auto:
            found.update(SARRAY_MODE="auto", SARRAY_STATE_DIR=str(self.home / "state"))
            found.update(SARRAY_IDLE=str(idle), SARRAY_MAX_WAIT=str(longest))
        return found

    def call(self, name: str, *, auto: bool, idle: float = 1, longest: float = 10) -> float:
        """Submit a job that notes when it starts; returns the time of the call, in seconds since the epoch."""
        begun = time.time()
        subprocess.run(
            ["sbatch", "-Q", "-o", "/dev/null", "--wrap", f"date +%s.%N >{name}.part; mv {name}.part {name}"],
            env=self.environment(auto, idle, longest),
            cwd=self.home,
            user=self.user if os.geteuid() == 0 else None,
            check=True,
        )
        return begun

    def started(self, name: str) -> float:
        """When the job of this name started, in seconds since the epoch; waits for it."""
        while not (self.home / name).exists():
            time.sleep(0.01)
        return float((self.home / name).read_text())

    def submissions(self) -> int:
        """What the keeper has submitted so far, each array once."""
        journals = (self.home / "state").glob("sessions/*/flushes/*/journal")
        return sum(path.read_text().count('"event":"submitted"') for path in journals)

    def keeper_seconds(self) -> float:
        """Processor time of the keeper, which must be the only one."""
        (lock,) = (self.home / "state").glob("sessions/*/keeper.lock")
        fields = Path(f"/proc/{lock.read_text().split()[0]}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(what: str, submissions: int, delays: list[float]) -> None:
    """A line of the table; times in seconds."""
    print(f"| {what} | {submissions} | {statistics.median(delays):.2f} | {max(delays):.2f} |", flush=True)


def lone(caller: Caller) -> None:
    """Single calls, in turns directly and in auto mode, each when the one before has run."""
    delays: dict[bool, list[float]] = {False: [], True: []}
    for number in range(LONE_CALLS):
        for auto in (False, True):
            name = f"lone.{auto}.{number}"
            begun = caller.call(name, auto=auto)
            delays[auto].append(caller.started(name) - begun)
    row("a lone call, directly", LONE_CALLS, delays[False])
    row("a lone call, in auto mode", caller.submissions(), delays[True])


def stream(caller: Caller, *, auto: bool, idle: float = 1, longest: float = 10) -> None:
    """A call each tenth of a second."""
    before = caller.submissions()
    begun = []
    first = time.monotonic()
    for number in range(STREAM):
        time.sleep(max(0.0, first + number * INTERVAL - time.monotonic()))
        begun.append(caller.call(f"stream.{auto}.{idle}.{longest}.{number}", auto=auto, idle=idle, longest=longest))
    delays = [caller.started(f"stream.{auto}.{idle}.{longest}.{at}") - when for at, when in enumerate(begun)]
    what = f"SARRAY_IDLE={idle:g} SARRAY_MAX_WAIT={longest:g}" if auto else "directly"
    row(f"a call each {INTERVAL:g} s, {what}", caller.submissions() - before if auto else STREAM, delays)


def main() -> int:
    """Measure; returns the exit status."""
    if len(sys.argv) not in (2, 3) or "SLURM_CONF" not in os.environ:
        print(__doc__, file=sys.stderr)
        return 2
    user = sys.argv[2] if len(sys.argv) == 3 else pwd.getpwuid(os.geteuid()).pw_name
    print("| what | submissions | from call to running, median | longest |\n|---|---|---|---|")
    for work in (lone, *PACES, stream):
        home = Path(tempfile.mkdtemp(prefix="sarray-waiting-"))
        shutil.chown(home, user)
        caller = Caller(home, Path(sys.argv[1]), user)
        try:
            if isinstance(work, tuple):  # a keeper of its own, which takes its pace from the call that starts it
                stream(caller, auto=True, idle=work[0], longest=work[1])
            elif work is stream:
                stream(caller, auto=False)
            else:
                lone(caller)
                before = caller.keeper_seconds()
                time.sleep(IDLE_SECONDS * 0.9)  # it leaves after a minute
                used = caller.keeper_seconds() - before
                print(
                    f"| an idle keeper | 0 | {used / 0.9:.2f} s of processor time in {IDLE_SECONDS} s | |", flush=True
                )
        finally:
            shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
