"""Jobs of `sarray-flush --local` run here: each task as slurmd would start it, once what it waits for is met."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from sbatch_shim.flush.patience import Stop
from sbatch_shim.merge import logs
from sbatch_shim.merge.graph import counted
from sbatch_shim.merge.plan import Task
from sbatch_shim.merge.submission import Submission
from sbatch_shim.state.dependency import Condition
from sbatch_shim.state.events import Placed, Ran, Started

# Between two looks at the tasks that run.
POLL_SECONDS = 0.02
# Between SIGTERM and SIGKILL.
KILL_WAIT_SECONDS = 5


@dataclass(eq=False)
class LocalTask:
    """
    One task of a local job.

    Attributes:
        status: Its exit status once it has run, 0 to 255 or minus a signal.
        cancelled: Its dependency cannot be met, and it asked to be cancelled then; else it waits for ever.
    """

    job: LocalJob
    task: Task
    status: int | None = None
    started: bool = False
    cancelled: bool = False

    @property
    def ended(self) -> bool:
        return self.cancelled or self.status is not None

    @property
    def index(self) -> int | None:
        """Its index; None in a plain job."""
        if self.job.submission.spec is None:
            return None
        return self.task.index


@dataclass(eq=False)
class LocalJob:
    """One submission, with the number that it has here."""

    number: int
    submission: Submission
    tasks: list[LocalTask] = field(default_factory=list)
    over: bool = False

    def __post_init__(self) -> None:
        self.tasks = [LocalTask(self, task) for task in self.submission.array.tasks()]

    @property
    def umask(self) -> int:
        return int(self.submission.array.calls[0].umask, 8)

    def option(self, name: str) -> bytes:
        """The value of an option; empty where there is none."""
        return self.submission.options.get(name) or b""


@dataclass
class Running:
    """
    A task that runs.

    Attributes:
        folder: Its own, which holds its copy of the script.
    """

    task: LocalTask
    folder: str
    process: subprocess.Popen[bytes]


class Run:
    """
    One run of all jobs that are not over.

    Args:
        jobs: All of this flush, by number.
        note: Gets a job's number and an event, before its first task starts and after its last one has ended.
    """

    def __init__(self, jobs: dict[int, LocalJob], note: Callable[[int, type[Placed]], None]) -> None:
        self.jobs = jobs
        self.note = note
        self.now = [job for job in jobs.values() if not job.over]
        self.waiting = [task for job in self.now for task in job.tasks]
        self.running: dict[int, Running] = {}
        self.cores = len(os.sched_getaffinity(0))

    def until(self, stop: Stop) -> None:
        """Run what can run, and say on stderr how it ended; a signal ends what runs."""
        total = len(self.waiting)
        while self.waiting or self.running:
            self.start_ready(stop)
            if self.running:
                if not self.reap() and not stop.wait(POLL_SECONDS):
                    self.end()
                    return
            elif stop.signal:
                return
            elif self.waiting and all(self.may_start(task) is None for task in self.waiting):
                break
        for job in self.now:
            self.finish(job)
        if total:
            self.say_how_it_ended(total)

    def start_ready(self, stop: Stop) -> None:
        """Start as many of the waiting tasks as may start and have a core."""
        for task in list(self.waiting):
            if len(self.running) >= self.cores or stop.signal:
                return
            ready = self.may_start(task)
            if ready is None:
                continue
            self.waiting.remove(task)
            if ready:
                self.start(task)
            else:
                task.cancelled = task.job.option("kill-on-invalid-dep").lower() == b"yes"

    def start(self, task: LocalTask) -> None:
        """Start one."""
        if not any(other.started for other in task.job.tasks):
            self.note(task.job.number, Started)
        folder = tempfile.mkdtemp(prefix="sarray-local-")
        task.started = True
        try:
            process = start(task, folder)
        except OSError as error:
            # As Slurm: the script never starts when a log cannot be opened.
            print(f"sarray-flush: task not started: {error}", file=sys.stderr)
            task.status = 1
            shutil.rmtree(folder)
        else:
            self.running[process.pid] = Running(task, folder, process)

    def reap(self) -> bool:
        """Take in a task that has ended; whether there was one."""
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid not in self.running:
            return False
        ended = self.running.pop(pid)
        ended.task.status = ended.process.returncode = os.waitstatus_to_exitcode(status)
        shutil.rmtree(ended.folder)
        if all(other.ended for other in ended.task.job.tasks):
            self.finish(ended.task.job)
        return True

    def finish(self, job: LocalJob) -> None:
        """Note that a job is over, once."""
        if not job.over:
            job.over = True
            self.note(job.number, Ran)

    def end(self) -> None:
        """End what runs."""
        end([one.process for one in self.running.values()])
        for one in self.running.values():
            shutil.rmtree(one.folder)

    def say_how_it_ended(self, total: int) -> None:
        """How many tasks succeeded, on stderr."""
        tasks = [task for job in self.now for task in job.tasks]
        failed = sum(1 for task in tasks if task.status)
        unrun = sum(1 for task in tasks if task.status is None)
        left = ""
        if unrun:
            left = f", {unrun} not run because of their dependency"
        print(
            f"sarray-flush: {counted(total, 'task')} ran here, without Slurm: "
            f"{total - failed - unrun} succeeded, {failed} failed{left}",
            file=sys.stderr,
        )

    def may_start(self, task: LocalTask) -> bool | None:
        """Whether what a task waits for is met: True, None not yet, False never."""
        waits = task.job.submission.waits
        answers = [self.is_met(condition, task) for condition in waits.conditions]
        # Of alternatives one that is met decides; else one that cannot be.
        decisive = waits.any_of
        if decisive in answers:
            return decisive
        if None in answers:
            return None
        return not decisive

    def is_met(self, condition: Condition, task: LocalTask) -> bool | None:
        """Whether one condition is met, by the rules of sbatch(1): True, None not yet, False never."""
        if condition.kind == "singleton":
            in_the_way = any(self.in_the_way(task, other) for other in self.jobs.values())
            if in_the_way:
                return None
            return True
        tasks = self.tasks_of(condition, task)
        if condition.kind == "after":
            begun = all(one.started or one.cancelled for one in tasks)
            if begun:
                return True
            return None
        if not all(one.ended for one in tasks):
            return None
        succeeded = all(one.status == 0 for one in tasks)
        if condition.kind == "afternotok":
            return not succeeded or not tasks
        return succeeded or condition.kind not in ("afterok", "aftercorr")

    @staticmethod
    def in_the_way(task: LocalTask, other: LocalJob) -> bool:
        """Whether a singleton waits for another job: one of its name that is older or runs."""
        if other is task.job or other.submission.name != task.job.submission.name:
            return False
        return any(not one.ended and (one.started or other.number < task.job.number) for one in other.tasks)

    def tasks_of(self, condition: Condition, task: LocalTask) -> list[LocalTask]:
        """The tasks that a condition names; none for a job that is not one of this run."""
        job = self.jobs.get(condition.job)
        if job is None:
            return []
        if condition.kind == "aftercorr":
            same = [other for other in job.tasks if other.index == task.index]
            if same:
                return same
        return [other for other in job.tasks if condition.element in (None, other.index)]


def short_host() -> bytes:
    return socket.gethostname().partition(".")[0].encode()


def opened_logs(task: LocalTask, opened: list[IO[bytes]]) -> dict[str, IO[bytes] | int]:
    """
    A task's streams by kind of log; what was opened is added to `opened`, also before an OSError.

    As in Slurm stderr joins stdout where it has no file of its own.
    """
    job = task.job
    node = logs.Node(short_host(), job.number + (task.index or 0))
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if job.option("open-mode")[:1] == b"a" else os.O_TRUNC)
    streams: dict[str, IO[bytes] | int] = {"input": subprocess.DEVNULL, "error": subprocess.STDOUT}
    for kind in logs.KINDS:
        name = logs.expand(task.task.call, kind, task.task.local_id, node=node)
        if name is None:
            continue
        reads = kind == "input"
        descriptor = os.open(name.path, os.O_RDONLY if reads else flags, 0o666)
        opened.append(os.fdopen(descriptor, "rb" if reads else "wb"))
        streams[kind] = opened[-1]
    return streams


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


def variables(task: LocalTask) -> dict[bytes, bytes]:
    """The environment that slurmd would start a task with."""
    job = task.job
    found = {
        **job.submission.environment,
        b"ENVIRONMENT": b"BATCH",
        b"HOSTNAME": socket.gethostname().encode(),
        b"SLURM_JOB_ID": b"%d" % job.number,
        b"SLURM_JOBID": b"%d" % job.number,
        b"SLURM_PROCID": b"0",
        b"SLURM_NTASKS": job.option("ntasks") or b"1",
        b"SLURM_CPUS_ON_NODE": b"%d" % len(os.sched_getaffinity(0)),
        b"SLURMD_NODENAME": short_host(),
    }
    if job.option("cpus-per-task"):
        found[b"SLURM_CPUS_PER_TASK"] = job.option("cpus-per-task")
    found.setdefault(b"TMPDIR", b"/tmp")
    if task.index is not None:
        found[b"SLURM_ARRAY_TASK_ID"] = b"%d" % task.index
    return found


def start(task: LocalTask, folder: str) -> subprocess.Popen[bytes]:
    """Start one task as slurmd would: its own copy of the script, its log files, its environment."""
    job = task.job
    script = os.path.join(folder, "slurm_script")
    shutil.copyfile(job.submission.script, script)
    os.chmod(script, 0o700)
    before = os.umask(job.umask)
    opened: list[IO[bytes]] = []
    try:
        streams = opened_logs(task, opened)
        chdir = job.submission.folder
        return subprocess.Popen(
            [script],
            env=variables(task),
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
