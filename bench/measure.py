"""
Measure what sbatch-shim costs and saves, as ratios of two things timed in turns on the same machine.

    bench/run [--full] [--only PART] [--user NAME] [--port N] [--keep]

Needs root, Debian's Slurm (slurm-wlm, munge) and python3-venv; only the standard library. It makes a folder in
$TMPDIR or /tmp, installs this source tree into it, starts a one-node cluster there with tests/slurm/start, makes
every call as an unprivileged user, prints a table, and stops and removes what it started or made.

  --full       also 10,000 calls and listings of 50,000 (some minutes more); without it, 1,000 at most
  --only PART  only one part: passing, queueing, batches, prologue, makespan or listings
  --user NAME  the unprivileged user (default: makes `shimbench`, and removes it afterwards)
  --port N     base of three loopback ports (default: 18800)
  --keep       leave the folder behind

Exit status: 0 when every target is met, 1 when one is missed, 2 when the measurement itself failed.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))
sys.path.insert(0, str(REPO / "tests"))
from support.queues import multiply  # noqa: E402

SBATCH = "/usr/bin/sbatch"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
PYTHON = "/usr/bin/python3"
MADE_USER = "shimbench"

# Two directives; tells when its first line ran, and field 22 of /proc/self/stat, when its process was forked.
JOB = """\
#!/bin/bash
#SBATCH --time=10
#SBATCH --cpus-per-task=1
now=$EPOCHREALTIME
read -r line </proc/self/stat
set -- "$1" ${line##*) }
echo "$now ${21}" >"$1"
"""


# Whole jobs, which do nothing.
TRUE = "#!/bin/sh\ntrue\n"
LISTED = 50000
# Elements of an array on the cluster of the tests.
ARRAY = 1000


class Failure(Exception):
    """The measurement could not be made."""


def say(text: str) -> None:
    print(f"bench/run: {text}", file=sys.stderr, flush=True)


class Timed:
    """
    How one command went, seen from outside.

    Attributes:
        started: Seconds since the epoch.
        seconds: Wall time.
        memory: Peak resident bytes of the largest of it and its children; not less than ours at the fork.
    """

    def __init__(self, words: list[str], environment: dict[str, str], output: str = "/dev/null") -> None:
        write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, output, write, 0o600),
        ]
        self.started = time.time()
        start = time.perf_counter()
        child = os.posix_spawn(words[0], words, environment, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
        self.seconds = time.perf_counter() - start
        self.memory = usage.ru_maxrss * 1024
        if status != 0:
            raise Failure(f"exit status {os.waitstatus_to_exitcode(status)}: {' '.join(words)[:200]}")


@dataclass
class Flushed:
    """One flush: how it went, the CPU seconds of the controller, the arrays as --json tells them."""

    timed: Timed
    spent: float
    arrays: list[dict[str, Any]]


class Table:
    """The lines of the result, and whether a target was missed."""

    def __init__(self) -> None:
        self.missed = 0

    def head(self, title: str) -> None:
        self.add("")
        self.add(f"### {title}")
        self.add("")
        self.add("| measured | by median | by minimum | target |")
        self.add("|---|---|---|---|")

    def add(self, line: str) -> None:
        print(line, flush=True)

    def ratio(self, what: str, above: list[float], below: list[float], target: float | None = None) -> None:
        """Median over median, which is judged, and minimum over minimum, which noise distorts least."""
        median = statistics.median(above) / statistics.median(below)
        least = min(above) / min(below)
        verdict = ""
        if target is not None:
            verdict = f"<= {target:.3g}: " + self.judge(median <= target)
            if median > target >= least:
                verdict += " (met by minimum)"
        self.add(f"| {what} | {median:.3g} | {least:.3g} | {verdict} |")

    def value(self, what: str, value: str, met: bool | None = None, target: str = "") -> None:
        self.add(f"| {what} | {value} | | {target if met is None else f'{target}: {self.judge(met)}'} |")

    def judge(self, met: bool) -> str:
        self.missed += not met
        return "met" if met else "MISSED"


class Bench:
    """All measurements; runs as the unprivileged user, in a folder of its own."""

    def __init__(self, folder: Path, prefix: Path, cluster: Path, full: bool) -> None:
        self.folder = folder
        self.prefix = prefix
        self.cluster = cluster
        self.full = full
        self.table = Table()
        self.shim = str(prefix / "shims" / "sbatch")
        self.controller = int((cluster / "slurmctld.pid").read_text())
        self.node = int((cluster / "slurmd.pid").read_text())
        user = pwd.getpwuid(os.getuid()).pw_name
        # As an interactive bash leaves it to a command.
        self.direct = {
            "HOME": str(folder),
            "USER": user,
            "LOGNAME": user,
            "SHELL": "/bin/bash",
            "PATH": SYSTEM_PATH,
            "PWD": str(folder),
            "SHLVL": "1",
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "EDITOR": "vi",
            "SLURM_CONF": str(cluster / "slurm.conf"),
        }
        self.shimmed = {**self.direct, "PATH": f"{prefix}/shims:{SYSTEM_PATH}"}
        os.chdir(folder)
        (folder / "job.sh").write_text(JOB)
        (folder / "true.sh").write_text(TRUE)
        for name in ("job.sh", "true.sh"):
            (folder / name).chmod(0o755)
        (folder / "logs").mkdir()
        (folder / "told").mkdir()

    def run(self, only: str) -> None:
        for part in [only] if only else PARTS:
            getattr(self, f"measure_{part}")()

    def queueing(self, session: str, keeper: str = "off") -> dict[str, str]:
        """The environment of calls that start Python each; where `keeper` is empty, a burst starts a clerk."""
        state = str(self.folder / f"state-{session}")
        own = {"SARRAY_MODE": "queue", "SARRAY_SESSION": session, "SARRAY_STATE_DIR": state, "SARRAY_KEEPER": keeper}
        return {**self.shimmed, **own}

    def in_burst(self, session: str) -> dict[str, str]:
        """The same, with a clerk that takes the calls."""
        environment = self.queueing(session, "")
        told = Path(environment["SARRAY_STATE_DIR"]) / "sessions" / session / "clerk"
        deadline = time.monotonic() + 60
        while not told.exists():
            if time.monotonic() > deadline:
                raise Failure("no clerk was started within 60 s")
            Timed([self.shim, "-o", "/dev/null", "--wrap=true"], environment)
        return environment

    def ask(self, *words: str) -> str:
        """What one of Slurm's commands prints."""
        return subprocess.run(words, env=self.direct, stdout=subprocess.PIPE, check=True, text=True).stdout

    def wait_until_empty(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.ask("/usr/bin/squeue", "-h", "-o", "%i"):
            if time.monotonic() > deadline:
                raise Failure(f"there are still jobs after {seconds} s")
            time.sleep(0.2)  # between two looks

    def cancel(self) -> None:
        """Empty the queue, and wait for the controller to come to rest."""
        self.ask("/usr/bin/scancel", "-u", self.direct["USER"])
        self.wait_until_empty(120)
        deadline = time.monotonic() + 120
        while True:
            before = self.controller_seconds()
            time.sleep(1)  # the span over which rest is judged
            if self.controller_seconds() - before < 0.1 or time.monotonic() > deadline:
                return

    def controller_seconds(self) -> float:
        """
        CPU seconds of slurmctld so far: utime + stime of /proc/PID/stat, in nanoseconds where the kernel tells.

        The clock's number is what clock_getcpuclockid(3) makes of a process id.
        """
        try:
            return time.clock_gettime((~self.controller << 3) | 2)
        except OSError:
            return self.controller_ticks()

    def controller_ticks(self) -> float:
        """The same from /proc/PID/stat, in whole ticks."""
        return sum(ticks_of(self.controller)[:2])

    def node_seconds(self) -> float:
        """CPU seconds of slurmd and of the processes that it has waited for (not of slurmstepd)."""
        return sum(ticks_of(self.node))

    @staticmethod
    def in_turns(repeats: int, *commands: Callable[[], float]) -> list[list[float]]:
        """Seconds of each command, A B C A B C ...; one round before is thrown away."""
        found: list[list[float]] = [[] for _ in commands]
        for number in range(repeats + 1):
            for seconds, command in zip(found, commands):
                taken = command()
                if number:
                    seconds.append(taken)
        return found

    def measure_passing(self) -> None:
        say("pass-through")
        self.table.head("Pass-through, against a `#!/bin/sh` script that executes the real command")
        # What the caller's shell adds: $_ is the path of the command.
        usual = {**self.shimmed, "_": self.shim}
        environments = {
            "environment as below": usual,
            "no SHLVL, as under cron": {name: value for name, value in usual.items() if name != "SHLVL"},
            "HISTSIZE exported, as by the /etc/profile of some distributions": {**usual, "HISTSIZE": "1000"},
            "PWD another folder, as after subprocess with cwd=": {**usual, "PWD": "/"},
            "50 variables more": {**usual, **{f"MORE_{number}": "x" * 40 for number in range(50)}},
        }
        for name, environment in environments.items():
            self.compare(f"`sbatch --version`, {name}", ["sbatch", "--version"], environment, 100)
        self.compare("`squeue --version`, no ticket about", ["squeue", "--version"], usual, 100)
        self.compare("a submission (held)", ["sbatch", "--wrap=true", "-o", "/dev/null", "-H"], usual, 60)
        self.cancel()

    def compare(self, what: str, words: list[str], environment: dict[str, str], repeats: int) -> None:
        """A command of the shims folder and a script that executes the real one, in turns."""
        command, *arguments = words
        shim, wrapper = str(self.prefix / "shims" / command), str(self.folder / f"wrapper-{command}")
        Path(wrapper).write_text(f'#!/bin/sh\nexec /usr/bin/{command} "$@"\n')
        Path(wrapper).chmod(0o755)
        ours, theirs = self.in_turns(
            repeats,
            lambda: Timed([shim, *arguments], environment).seconds,
            lambda: Timed([wrapper, *arguments], environment).seconds,
        )
        self.table.ratio(what, ours, theirs, 1.6)

    def measure_queueing(self) -> None:
        say("queue calls")
        self.table.head("One queue call, of a script with two #SBATCH lines")
        environment = self.queueing("single")
        python = str(self.prefix / "venv" / "bin" / "python")
        words = ["-H", "-o", "/dev/null", "job.sh", "told/none"]
        # Apart from each other: after a real submission slurmctld is still at work.
        queued, bare = self.in_turns(
            150,
            lambda: Timed([self.shim, *words], environment).seconds,
            lambda: Timed([python, "-I", "-S", "-c", "pass"], self.direct).seconds,
        )
        beside_real, real = self.in_turns(
            60,
            lambda: Timed([self.shim, *words], environment).seconds,
            lambda: Timed([SBATCH, *words], self.direct).seconds,
        )
        self.table.ratio("against `python3 -I -S -c pass`", queued, bare, 1.6)
        self.table.ratio("against the real sbatch, controller idle", beside_real, real)
        self.cancel()
        burst = self.in_burst("burst")
        fast, bare = self.in_turns(
            150,
            lambda: Timed([self.shim, *words], burst).seconds,
            lambda: Timed([python, "-I", "-S", "-c", "pass"], self.direct).seconds,
        )
        beside_real, real = self.in_turns(
            60,
            lambda: Timed([self.shim, *words], burst).seconds,
            lambda: Timed([SBATCH, *words], self.direct).seconds,
        )
        self.table.ratio("in a burst, against `python3 -I -S -c pass`", fast, bare, 0.5)
        self.table.ratio("in a burst, against the real sbatch, controller idle", beside_real, real, 0.8)
        self.cancel()

    def calls(self, name: str, count: int) -> Iterator[tuple[list[str], dict[str, str]]]:
        """Words and environment of calls that differ in argument, variable, log name and job name."""
        for number in range(count):
            words = ["-H", "-J", f"{name}{number}", "-o", f"logs/{name}.{number}", "job.sh", f"told/{name}.{number}"]
            yield words, {"SAMPLE": f"sample-{number}"}

    def call_all(self, name: str, count: int, program: str, environment: dict[str, str]) -> list[float]:
        """Seconds of each call."""
        return [Timed([program, *words], {**environment, **more}).seconds for words, more in self.calls(name, count)]

    def spent_since(self, before: float) -> float:
        """
        Controller CPU of a piece of work, with two seconds after it in which it is worked off.

        Nothing is taken off for what it uses up when idle: that is more, relatively, where less is to do.
        """
        time.sleep(2)
        return self.controller_seconds() - before

    def flush(self, size: int, number: object) -> Flushed:
        """Flush a copy of the calls that were queued as session `size`, which stay queued for the next flush."""
        queued = Path(self.queueing(f"{size}")["SARRAY_STATE_DIR"])
        state = queued.with_name(f"{queued.name}-{number}")
        # FIFOs of the clerk, and what it may be writing just now.
        shutil.copytree(queued, state, ignore=shutil.ignore_patterns("clerks", "clusters"))
        output = str(self.folder / "flushed")
        environment = {**self.queueing(f"{size}"), "SARRAY_STATE_DIR": str(state)}
        before = self.controller_seconds()
        timed = Timed([str(self.prefix / "bin" / "sarray-flush"), "--json"], environment, output)
        spent = self.spent_since(before)
        arrays = json.loads(Path(output).read_text())["arrays"]
        ids = {str(array["job"]) for array in arrays}
        held = self.ask("/usr/bin/squeue", "-h", "-r", "-o", "%A %F").splitlines()
        found = sum(line.split()[1] in ids for line in held)
        if found != size:
            raise Failure(f"{size} calls became {found} held tasks")
        return Flushed(timed, spent, arrays)

    def measure_batches(self) -> None:
        before, ticks = self.controller_seconds(), self.controller_ticks()
        say(f"slurmctld's CPU so far: {before:.3f} s by its clock, {ticks:.2f} s by /proc/PID/stat")
        time.sleep(5)  # the span over which the idle controller is watched
        say(f"slurmctld's CPU per second without work: {(self.controller_seconds() - before) / 5:.5f}")
        floor = Timed(["/bin/true"], self.direct).memory / 2**20
        say(f"least peak memory that can be seen from here: {floor:.0f} MiB")
        for size in [1000, 10000] if self.full else [1000]:
            direct: list[float] = []
            spent: list[float] = []
            queued: list[list[float]] = []
            flushed: list[Flushed] = []
            for number in range(3):
                say(f"{size:,} calls, round {number + 1} of 3")
                before = self.controller_seconds()
                direct.append(sum(self.call_all("direct", 1000, SBATCH, self.direct)) * size / 1000)
                spent.append(self.spent_since(before) * size / 1000)
                self.cancel()
                # Queueing 10,000 takes minutes; its flush is repeated on copies of the queue.
                if size == 1000 or not queued:
                    shutil.rmtree(self.folder / f"state-{size}", ignore_errors=True)
                    queued.append(self.call_all(f"{size}", size, self.shim, self.queueing(f"{size}")))
                flushed.append(self.flush(size, number))
                self.cancel()
            self.report(size, direct, spent, queued, flushed)

    def report(
        self,
        size: int,
        direct: list[float],
        spent: list[float],
        queued: list[list[float]],
        flushed: list[Flushed],
    ) -> None:
        """The table of one size."""
        table = self.table
        scaled = "" if size == 1000 else " (of 1,000, times ten)"
        goal = 0.1 if size == 10000 else None
        table.head(f"{size:,} calls that differ in argument, variable, log name and job name")
        queue_totals = [sum(seconds) for seconds in queued]
        flush_totals = [one.timed.seconds for one in flushed]
        both = [total + statistics.median(flush_totals) for total in queue_totals]
        table.ratio(f"queueing them, against submitting them directly{scaled}", queue_totals, direct)
        table.ratio(f"the flush, against submitting them directly{scaled}", flush_totals, direct, goal)
        table.ratio(f"queueing and flush, against submitting them directly{scaled}", both, direct)
        with_clerk = [sum(self.call_all(f"burst{size}", size, self.shim, self.in_burst(f"burst{size}")))]
        table.ratio(f"queueing them in a burst, against the same{scaled}", with_clerk, direct)
        both = [total + statistics.median(flush_totals) for total in with_clerk]
        goal = 0.9 if size == 10000 else None
        table.ratio(f"queueing in a burst and flush, against the same{scaled}", both, direct, goal)
        for what, values in (
            ("seconds direct", direct),
            ("queueing", queue_totals),
            ("flush", flush_totals),
            ("slurmctld's CPU direct", spent),
            ("merged", [one.spent for one in flushed]),
        ):
            say(f"{size:,} calls: {what}: {', '.join(f'{value:.3f}' for value in values)}")
        tenth = size // 10
        table.ratio(
            "the last tenth of the queue calls, against the first tenth",
            [second for seconds in queued for second in seconds[-tenth:]],
            [second for seconds in queued for second in seconds[:tenth]],
        )
        table.ratio(f"CPU of slurmctld, merged against direct{scaled}", [one.spent for one in flushed], spent, 1 / 30)
        memory = max(one.timed.memory for one in flushed) / 2**20
        table.value("peak memory of sarray-flush", f"{memory:.0f} MiB", memory < 300, "< 300 MiB")
        table.value("arrays", f"{len(flushed[0].arrays)}")
        scripts = [os.path.getsize(str(array["script"])) for array in flushed[0].arrays]
        average = sum(scripts) / size / len(JOB)
        table.value("bytes of array script per call, against the user's script", f"{average:.2f}")
        table.value("bytes of the largest array script, against the user's", f"{max(scripts) / len(JOB):.0f}")

    def elements(self, size: int, flushed: Flushed) -> list[tuple[str, str, str]]:
        """Ten tasks spread over a flush: job id with index, the file that it tells its times in, its script."""
        every = []
        for array in flushed.arrays:
            tickets = array["tickets"]
            for index in range(len(tickets)):
                every.append((f"{array['job']}_{index}", f"told/{size}.{len(every)}", str(array["script"])))
        return [every[(2 * number + 1) * len(every) // 20] for number in range(10)]

    def measure_prologue(self) -> None:
        """How long after its process was made a task runs its first line, in Slurm and by hand."""
        sizes = [10, 1000, 10000] if self.full else [10, 1000]
        self.call_all("10", 10, self.shim, self.queueing("10"))
        groups: dict[str, list[tuple[str, str, str]]] = {"direct": []}
        output = str(self.folder / "submitted")
        for words, more in self.calls("direct", 10):
            Timed([SBATCH, "--parsable", *words], {**self.direct, **more}, output)
            groups["direct"].append((Path(output).read_text().strip(), words[-1], "job.sh"))
        for size in sizes:
            say(f"prologue: flush of {size} calls")
            groups[str(size)] = self.elements(size, self.flush(size, "prologue"))
        ticks = os.sysconf("SC_CLK_TCK")
        boot = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)
        found: dict[str, list[float]] = {name: [] for name in groups}
        say("prologue: tasks in Slurm, one at a time")
        for number in range(10):
            for name, elements in groups.items():
                job, told, _ = elements[number]
                self.ask("/usr/bin/scontrol", "release", job)
                first_line, forked = self.wait_for(told).split()
                # The kernel tells whole ticks only: half of one too early on average.
                found[name].append(float(first_line) - boot - (int(forked) + 0.5) / ticks)
        say("prologue: the same scripts by hand")
        alone: dict[str, list[float]] = {name: [] for name in groups}
        for _ in range(40):
            for name, elements in groups.items():
                alone[name].append(self.by_hand(*elements[5]))
        for title, times in (("a task in Slurm (times in ticks of 10 ms)", found), ("the script by hand", alone)):
            self.table.head(f"From the start of the process to the first line of the user's script: {title}")
            for size in sizes[1:]:
                self.table.ratio(f"{size:,} calls per flush, against 10", times[str(size)], times["10"])
            for name, seconds in times.items():
                what = "direct" if name == "direct" else f"{int(name):,} calls per flush"
                shown = [f"{1000 * value:.1f} ms" for value in (statistics.median(seconds), min(seconds))]
                self.table.add(f"| {what} | {shown[0]} | {shown[1]} | |")
        self.cancel()

    def measure_makespan(self) -> None:
        """From the first call until the last job has ended."""
        self.table.head("1,000 jobs that do nothing on 64 slots, from the first call until the last one has ended")
        found: dict[str, list[list[float]]] = {"direct": [], "merged": []}
        for number in range(3):
            say(f"makespan, round {number + 1} of 3")
            session = f"makespan{number}"
            for way, program, environment in (
                ("direct", SBATCH, self.direct),
                ("merged", self.shim, self.queueing(session, "")),
            ):
                before = self.controller_seconds(), self.node_seconds()
                start = time.perf_counter()
                for job in range(1000):
                    Timed([program, "-o", "/dev/null", "true.sh", str(job)], environment)
                if way == "merged":
                    Timed([str(self.prefix / "bin" / "sarray-flush")], environment)
                self.wait_until_empty(600)
                seconds = time.perf_counter() - start
                time.sleep(5)  # what is left to be worked off
                spent = self.controller_seconds() - before[0], self.node_seconds() - before[1]
                found[way].append([seconds, *spent])
                say(f"{way}: {seconds:.1f} s, CPU of slurmctld {spent[0]:.2f} s, of slurmd {spent[1]:.2f} s")
        for at, (what, target) in enumerate(
            (("makespan, queueing and flush included", 1.0), ("CPU of slurmctld", 0.5), ("CPU of slurmd", 0.5))
        ):
            self.table.ratio(
                f"{what}, merged against direct",
                *([one[at] for one in found[way]] for way in ("merged", "direct")),
                target,
            )

    def measure_listings(self) -> None:
        """With many calls queued, against the real squeue that lists as many jobs, each with a record of its own."""
        if not self.full:
            return
        self.table.head(f"{LISTED:,} calls queued, against the real `squeue` that lists {LISTED:,} jobs")
        say(f"listings: {LISTED:,} jobs")
        for _ in range(LISTED // ARRAY):
            words = [SBATCH, "--parsable", "-H", "-o", "/dev/null", f"--array=0-{ARRAY - 1}", "true.sh"]
            job = self.ask(*words).strip()
            self.ask("/usr/bin/scontrol", "update", f"JobId={job}_[0-{ARRAY - 1}]", "JobName=listed")
        # -r: it would fold those of an array into one row, though each has a record.
        listed = self.ask("/usr/bin/squeue", "-r", "-h", "-o", "%i").count("\n")
        if listed < LISTED:
            raise Failure(f"squeue lists {listed} jobs")
        real = [Timed(["/usr/bin/squeue", "-r"], self.direct).seconds for _ in range(5)]
        self.ask("/usr/bin/scancel", "-u", self.direct["USER"])
        self.wait_until_empty(600)
        self.cancel()
        say(f"listings: {LISTED:,} calls")
        for session in ("alike", "unlike"):
            environment = self.queueing(session)
            state = Path(environment["SARRAY_STATE_DIR"])
            Timed([self.shim, "-H", "-o", "/dev/null", "true.sh"], environment)
            multiply(state, session, LISTED, unlike=session == "unlike")
            for name, words in {
                "squeue": [str(self.prefix / "shims" / "squeue")],
                "sarray status": [str(self.prefix / "bin" / "sarray"), "status"],
            }.items():
                first = []
                for _ in range(5):
                    (state / "sessions" / session / "listed").unlink(missing_ok=True)
                    first.append(Timed(words, environment).seconds)
                again = [Timed(words, environment).seconds for _ in range(5)]
                self.table.ratio(f"`{name}`, {session}, the first time", first, real)
                self.table.ratio(f"`{name}`, {session}, again", again, real, 3)

    def by_hand(self, job: str, told: str, script: str) -> float:
        """One task's script, run as slurmd would: as a private file named slurm_script, which it may overwrite."""
        folder = self.folder / "by-hand"
        folder.mkdir(exist_ok=True)
        copy = folder / "slurm_script"
        shutil.copyfile(script, copy)
        copy.chmod(0o700)
        environment = {**self.direct, "SLURM_JOB_ID": "1", "SLURM_ARRAY_TASK_ID": job.partition("_")[2] or "0"}
        Path(told).unlink()
        timed = Timed([str(copy), told], environment)
        return float(Path(told).read_text().split()[0]) - timed.started

    def wait_for(self, told: str) -> str:
        """What a task writes into its file."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if os.path.exists(told) and (text := Path(told).read_text()).endswith("\n"):
                return text
            time.sleep(0.02)  # between two looks
        raise Failure(f"a released task did not run within 60 s: {told}")


PARTS = [name[8:] for name in vars(Bench) if name.startswith("measure_")]


def ticks_of(pid: int) -> list[float]:
    """CPU seconds of a process, in whole ticks: its own in user and system mode, and those of children waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15]]


def measure(user: str, folder: Path, prefix: Path, cluster: Path, options: argparse.Namespace) -> int:
    """All of it as `user`; the exit status."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    bench = Bench(folder, prefix, cluster, options.full)
    try:
        bench.run(options.only)
    except (Failure, OSError, subprocess.SubprocessError) as error:
        say(f"failed: {error}")
        return 2
    say(f"{bench.table.missed} targets missed" if bench.table.missed else "all targets met")
    return 1 if bench.table.missed else 0


def fork_as(action: Callable[[], int]) -> int:
    """Run `action` in a child process; its exit status."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            status = action()
            sys.stdout.flush()
        except BaseException as error:
            say(f"failed: {error!r}")
        finally:
            os._exit(status)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure sbatch-shim against sbatch.")
    parser.add_argument("--full", action="store_true", help="also 10,000 calls, and listings of 50,000")
    parser.add_argument("--only", choices=PARTS, default="", help="only one part")
    parser.add_argument("--user", help=f"the unprivileged user (default: makes {MADE_USER}, and removes it)")
    parser.add_argument("--port", type=int, default=18800, help="base of three loopback ports (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the folder behind")
    options = parser.parse_args()
    if os.geteuid() != 0:
        say("needs root, to start a cluster and to make the calls as another user")
        return 2
    if not os.access(SBATCH, os.X_OK):
        say("needs Debian's Slurm: apt-get install slurm-wlm munge")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    folder = Path(tempfile.mkdtemp(prefix="shim-bench-"))
    folder.chmod(0o755)
    cluster, prefix, home = folder / "cluster", folder / "opt", folder / "home"
    made_user = ""
    try:
        user = options.user or MADE_USER
        try:
            pwd.getpwnam(user)
        except KeyError:
            if options.user:
                say(f"there is no user {user}")
                return 2
            subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/bin/bash", user], check=True)
            made_user = user
        home.mkdir()
        shutil.chown(home, user)
        say("installing")
        subprocess.run(
            [str(REPO / "install.sh"), "--prefix", str(prefix), "--python", PYTHON, "--no-modify-path"],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        say("starting a cluster")
        # Cancelled jobs leave the controller's memory soon, so that the rounds find it alike.
        extra = {"SLURM_CONF_EXTRA": "MaxJobCount=100000\nMinJobAge=2"}
        subprocess.run(
            [str(REPO / "tests" / "slurm" / "start"), str(cluster), str(options.port)],
            env={"PATH": os.environ["PATH"], **extra},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return fork_as(lambda: measure(user, home, prefix, cluster, options))
    except subprocess.CalledProcessError as error:
        say(f"failed: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        if cluster.exists():
            subprocess.run([str(REPO / "tests" / "slurm" / "stop"), str(cluster)], check=False)
        if made_user:
            subprocess.run(["userdel", made_user], check=False)
        if options.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
