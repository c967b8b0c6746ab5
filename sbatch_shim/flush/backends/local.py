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
from typing import IO

from sbatch_shim.flush.backends.recovery import NEVER_LEFT, Fate
from sbatch_shim.flush.backends.sbatch import Answer, group_trouble
from sbatch_shim.flush.backends.sight import Sight
from sbatch_shim.flush.patience import Patience, Stop
from sbatch_shim.flush.room import Held
from sbatch_shim.merge import logs
from sbatch_shim.merge.graph import counted
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, Task
from sbatch_shim.merge.submission import Submission
from sbatch_shim.spool import Lock, read, replace
from sbatch_shim.state.calls import Call
from sbatch_shim.state.dependency import Condition
from sbatch_shim.state.events import Asked, Collected, Placed, Ran, Started, Submitting

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


class Local:
    """A backend that collects jobs and runs them at the end."""

    accepted: type[Placed] = Collected
    placing_event: type[Placed] = Ran

    def __init__(self, state: bytes) -> None:
        self.state = state
        self.jobs: dict[int, LocalJob] = {}

    def controller(self, call: Call) -> Hashable:
        return None

    def limits(self, call: Call) -> Limits:
        """No controller to ask: Slurm's defaults."""
        return Limits()

    def sight(self, call: Call) -> Sight:
        return Sight("jobs run here", "")

    def usable(self, recorded: str) -> str:
        return recorded

    def clusters(self, call: Call) -> tuple[str, ...]:
        """This machine is none."""
        return ()

    def asked(self, array: Array) -> Asked | None:
        """Nobody."""
        return None

    def settle(self, submitting: Submitting, patience: Patience) -> Fate:
        """Slurm is not asked here: a later flush does that."""
        if submitting.asked is None:
            return NEVER_LEFT
        return Fate(known=False, why="it may have gone to Slurm, which `sarray-flush` without --local asks")

    def prepare(self, submission: Submission, limits: Limits) -> None:
        """Nothing: a task's logs are opened by their own names."""

    def submit(self, submission: Submission) -> Answer:
        """Keep an array for `complete`."""
        call = submission.array.calls[0]
        trouble = group_trouble(call.group, os.fsdecode(call.session.name), "sarray-flush", "--local")
        if trouble:
            return Answer(None, 1, trouble, unsent=True)
        job = LocalJob(self.next_number(), submission)
        self.jobs[job.number] = job
        return Answer(job.number, 0, "")

    def has(self, submitting: Submitting, job: int) -> bool | None:
        """Slurm is not asked here."""
        return None

    def held(self, call: Call) -> Held:
        """There are no limits."""
        return None

    def split_off(self, submitting: Submitting, job: int) -> str:
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

    def complete(self, stop: Stop, note: Callable[[int, type[Placed]], None]) -> None:
        """
        Run everything that was submitted; says on stderr how it ended.

        A signal ends what runs; of those jobs it is not known then what they have done, and the others stay queued.
        """
        jobs = [job for job in self.jobs.values() if not job.over]
        waiting = [task for job in jobs for task in job.tasks]
        running: dict[int, tuple[LocalTask, str, subprocess.Popen[bytes]]] = {}
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
                    task.cancelled = task.job.option("kill-on-invalid-dep").lower() == b"yes"
                    continue
                if not any(other.started for other in task.job.tasks):
                    note(task.job.number, Started)
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
                    note(task.job.number, Ran)
            elif not stop.wait(POLL_SECONDS):
                end([process for _, _, process in running.values()])
                for _, folder, _ in running.values():
                    shutil.rmtree(folder)
                return
        for job in jobs:
            if not job.over:
                job.over = True
                note(job.number, Ran)
        failed = sum(1 for job in jobs for task in job.tasks if task.status)
        unrun = sum(1 for job in jobs for task in job.tasks if task.status is None)
        if total:
            print(
                f"sarray-flush: {counted(total, 'task')} ran here, without Slurm: "
                f"{total - failed - unrun} succeeded, {failed} failed"
                + (f", {unrun} not run because of their dependency" if unrun else ""),
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
