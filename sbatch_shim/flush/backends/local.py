"""
`sarray-flush --local`: the same arrays as processes on this machine, for trying a pipeline without Slurm.

As many tasks at once as there are cores; log files and dependencies are respected, resources are not. It is no
scheduler: it returns when all tasks have ended, and only says then which jobs ran.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import IO, Any

from sbatch_shim.flush.backends.recovery import NEVER_LEFT, Fate
from sbatch_shim.flush.backends.sbatch import Answer
from sbatch_shim.flush.patience import Patience, Stop
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array
from sbatch_shim.spool import Lock, read, replace
from sbatch_shim.state.calls import Call
from sbatch_shim.state.journal import COLLECTED, RAN, STARTED
from sbatch_shim.values import indices

# Between two looks at the tasks that run.
POLL_SECONDS = 0.02
# Between SIGTERM and SIGKILL.
KILL_WAIT_SECONDS = 5


@dataclass
class Task:
    """
    One task of a local job.

    Attributes:
        status: Its exit status once it has run, 0 to 255 or minus a signal.
        cancelled: Its dependency cannot be met, and it asked to be cancelled then; else it waits for ever.
    """

    job: Job
    index: int | None
    status: int | None = None
    started: bool = False
    cancelled: bool = False

    @property
    def ended(self) -> bool:
        return self.cancelled or self.status is not None


@dataclass
class Job:
    """One submission: sbatch's words taken apart."""

    number: int
    script: bytes
    environment: dict[bytes, bytes]
    umask: int
    options: dict[str, bytes]
    tasks: list[Task] = field(default_factory=list)
    over: bool = False


class Local:
    """A backend that collects jobs and runs them at the end."""

    accepted, placing_event = COLLECTED, RAN

    def __init__(self, state: bytes) -> None:
        self.state = state
        self.jobs: dict[int, Job] = {}

    def controller(self, call: Call) -> Hashable:
        return None

    def limits(self, call: Call) -> Limits:
        """No controller to ask: Slurm's defaults."""
        return Limits()

    def origin(self, array: Array) -> dict[str, Any]:
        return {}

    def settle(self, submitting: dict[str, Any], patience: Patience) -> Fate:
        """Slurm is not asked here: a later flush does that."""
        if "sbatch" not in submitting:
            return NEVER_LEFT
        return Fate(known=False, why="it may have gone to Slurm, which `sarray-flush` without --local asks")

    def submit(self, array: Array, words: list[bytes], environment: dict[bytes, bytes]) -> Answer:
        """Keep an array for `complete`."""
        options: dict[str, bytes] = {}
        for word in words[:-1]:
            name, _, value = word[2:].partition(b"=")
            options[name.decode()] = value
        job = Job(self.next_number(), words[-1], environment, int(array.calls[0].umask, 8), options)
        spec = options.get("array")
        job.tasks = [Task(job, index) for index in (indices(spec)[0] if spec is not None else [None])]
        self.jobs[job.number] = job
        return Answer(job.number, False, 0, "")

    def split_off(self, submitting: dict[str, Any], job: int) -> str:
        """Nothing to do: `complete` looks at every task."""
        return ""

    def next_number(self) -> int:
        """Job ids of this machine, small like those of a new cluster."""
        path = self.state + b"/local-job"
        with Lock(self.state + b"/local-lock"):
            try:
                number = int(read(path)) + 1
            except FileNotFoundError:
                number = 1
            replace(path, b"%d" % number)
        return number

    def complete(self, stop: Stop, note: Callable[[int, str], None]) -> None:
        """
        Run everything that was submitted; says on stderr how it ended.

        A signal ends what runs; of those jobs it is not known then what they have done, and the others stay queued.
        """
        jobs = [job for job in self.jobs.values() if not job.over]
        waiting = [task for job in jobs for task in job.tasks]
        running: dict[int, tuple[Task, str, subprocess.Popen[bytes]]] = {}
        cores = len(os.sched_getaffinity(0))
        total = len(waiting)
        while waiting or running:
            for task in list(waiting):
                if len(running) >= cores or stop.signal:
                    break
                ready = self.may_start(task)
                if ready is None:
                    continue
                waiting.remove(task)
                if not ready:
                    task.cancelled = task.job.options.get("kill-on-invalid-dep", b"").lower() == b"yes"
                    continue
                if not any(other.started for other in task.job.tasks):
                    note(task.job.number, STARTED)
                folder = tempfile.mkdtemp(prefix="sarray-local-")
                task.started = True
                try:
                    process = start(task, folder)
                except OSError as error:
                    # As Slurm: the script never starts when a log cannot be opened.
                    print(f"sarray-flush: task not started: {error}", file=sys.stderr)
                    task.status = 1
                    shutil.rmtree(folder)
                    continue
                running[process.pid] = (task, folder, process)
            if not running:
                if stop.signal:
                    return
                if waiting and all(self.may_start(task) is None for task in waiting):
                    break
                continue
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid in running:
                task, folder, process = running.pop(pid)
                task.status = process.returncode = os.waitstatus_to_exitcode(status)
                shutil.rmtree(folder)
                if all(other.ended for other in task.job.tasks):
                    task.job.over = True
                    note(task.job.number, RAN)
            elif not stop.wait(POLL_SECONDS):
                end([process for _, _, process in running.values()])
                for _, folder, _ in running.values():
                    shutil.rmtree(folder)
                return
        for job in jobs:
            if not job.over:
                job.over = True
                note(job.number, RAN)
        failed = sum(1 for job in jobs for task in job.tasks if task.status)
        unrun = sum(1 for job in jobs for task in job.tasks if task.status is None)
        if total:
            print(
                f"sarray-flush: {total} tasks ran here, without Slurm: "
                f"{total - failed - unrun} succeeded, {failed} failed"
                + (f", {unrun} not run because of their dependency" if unrun else ""),
                file=sys.stderr,
            )

    def may_start(self, task: Task) -> bool | None:
        """True now, None not yet, False never."""
        spec = task.job.options.get("dependency")
        if not spec:
            return True
        any_of = b"?" in spec
        answers = [self.term(task, term.decode()) for term in spec.split(b"?" if any_of else b",")]
        if any_of:
            return True if True in answers else None if None in answers else False
        return False if False in answers else None if None in answers else True

    def term(self, task: Task, term: str) -> bool | None:
        """One `type:id:id` term, by the rules of sbatch(1)."""
        kind, _, ids = term.partition(":")
        if kind == "singleton":
            return None if any(self.in_the_way(task, other) for other in self.jobs.values()) else True
        answers = [self.one(kind, self.tasks_of(one, kind, task)) for one in ids.split(":")]
        return False if False in answers else None if None in answers else True

    @staticmethod
    def in_the_way(task: Task, other: Job) -> bool:
        """Whether a singleton waits for another job: one of its name that is older or runs."""
        if other is task.job or other.options["job-name"] != task.job.options["job-name"]:
            return False
        return any(not one.ended and (one.started or other.number < task.job.number) for one in other.tasks)

    def tasks_of(self, one: str, kind: str, task: Task) -> list[Task]:
        """The tasks that an id names; none for a job that is not one of this run."""
        number, _, index = one.partition("+")[0].partition("_")
        job = self.jobs.get(int(number))
        if job is None:
            return []
        if kind == "aftercorr" and any(other.index == task.index for other in job.tasks):
            return [other for other in job.tasks if other.index == task.index]
        return [other for other in job.tasks if index in ("", "*") or other.index == int(index)]

    @staticmethod
    def one(kind: str, tasks: list[Task]) -> bool | None:
        if kind == "after":
            return True if all(task.started or task.cancelled for task in tasks) else None
        if not all(task.ended for task in tasks):
            return None
        good = all(task.status == 0 for task in tasks)
        if kind == "afternotok":
            return not good if tasks else True
        return good if kind in ("afterok", "aftercorr") else True


def log_name(pattern: bytes, task: Task) -> bytes:
    """What Slurm would open."""
    if b"\\" in pattern:
        return pattern.replace(b"\\\\", b"\\")
    values = {
        b"%": b"%",
        b"a": b"%d" % (task.index or 0),
        b"A": b"%d" % task.job.number,
        b"j": b"%d" % (task.job.number + (task.index or 0)),
        b"N": socket.gethostname().partition(".")[0].encode(),
    }
    out = b""
    at = 0
    while at < len(pattern):
        if pattern[at : at + 1] == b"%" and pattern[at + 1 : at + 2] in values:
            out += values[pattern[at + 1 : at + 2]]
            at += 2
        else:
            out += pattern[at : at + 1]
            at += 1
    return out


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """End tasks, and what they have started, as scancel does."""
    for process in processes:
        os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(KILL_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start(task: Task, folder: str) -> subprocess.Popen[bytes]:
    """Start one task as slurmd would: its own copy of the script, its log files, its environment."""
    job = task.job
    script = os.path.join(folder, "slurm_script")
    shutil.copyfile(job.script, script)
    os.chmod(script, 0o700)
    environment = dict(job.environment)
    host = socket.gethostname()
    environment.update(
        {
            b"ENVIRONMENT": b"BATCH",
            b"HOSTNAME": host.encode(),
            b"SLURM_JOB_ID": b"%d" % job.number,
            b"SLURM_JOBID": b"%d" % job.number,
            b"SLURM_PROCID": b"0",
            b"SLURM_NTASKS": job.options.get("ntasks", b"1"),
            b"SLURM_CPUS_ON_NODE": b"%d" % len(os.sched_getaffinity(0)),
            b"SLURMD_NODENAME": host.partition(".")[0].encode(),
        }
    )
    if "cpus-per-task" in job.options:
        environment[b"SLURM_CPUS_PER_TASK"] = job.options["cpus-per-task"]
    environment.setdefault(b"TMPDIR", b"/tmp")
    if task.index is not None:
        environment[b"SLURM_ARRAY_TASK_ID"] = b"%d" % task.index
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if job.options.get("open-mode", b"")[:1] == b"a" else os.O_TRUNC)
    before = os.umask(job.umask)
    opened: list[IO[bytes]] = []
    try:
        streams: dict[str, IO[bytes] | int] = {"input": subprocess.DEVNULL, "error": subprocess.STDOUT}
        for kind in ("input", "output", "error"):
            if kind in job.options:
                name = log_name(job.options[kind], task)
                descriptor = os.open(name, os.O_RDONLY if kind == "input" else flags, 0o666)
                opened.append(os.fdopen(descriptor, "rb" if kind == "input" else "wb"))
                streams[kind] = opened[-1]
        chdir = job.options.get("chdir", b"/")
        return subprocess.Popen(
            [script],
            env=environment,
            cwd=chdir if os.path.isdir(chdir) else "/tmp",
            stdin=streams["input"],
            stdout=streams["output"],
            stderr=streams["error"],
            start_new_session=True,
            umask=job.umask,
        )
    finally:
        os.umask(before)
        for stream in opened:
            stream.close()
