"""The real sbatch as what arrays are given to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable

from sbatch_shim import clustername
from sbatch_shim.errors import ShimError
from sbatch_shim.flush.backends import names
from sbatch_shim.flush.backends.controller import Controller, address_in
from sbatch_shim.flush.backends.recovery import NEVER_LEFT, Fate, asked_elsewhere, hold, settle
from sbatch_shim.flush.backends.sbatch import Answer, Inherited, limits_of, may_pass, submit
from sbatch_shim.flush.backends.sight import Sight, has_private_mounts, sight_of
from sbatch_shim.flush.patience import Patience, Stop
from sbatch_shim.flush.room import Held
from sbatch_shim.flush.untouched import export_word
from sbatch_shim.grammar import OPTIONS, TAKES
from sbatch_shim.merge.environment import controller_variables, export_by_variable, loader_variables
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.submission import Submission
from sbatch_shim.spool import make_folder
from sbatch_shim.state.calls import Call
from sbatch_shim.state.events import Asked, Placed, Submitted, Submitting
from sbatch_shim.state.journal import Origin


class Slurm:
    """
    The real sbatch: the one that the calls would have run, else the one on PATH.

    Args:
        fallback: Finds the latter.
        brief: For a command that submits a call or two on its way: what the controller told of its configuration a
            moment ago will do.
    """

    accepted: type[Placed] = Submitted
    placing_event: type[Placed] = Submitted

    def __init__(self, fallback: Callable[[], str], *, brief: bool = False) -> None:
        self.fallback = fallback
        self.brief = brief
        # By sbatch and variables: names and address of the cluster; the controller's time less time.monotonic().
        self.names: dict[tuple[str, tuple[tuple[bytes, bytes], ...]], tuple[str, ...]] = {}
        self.addresses: dict[tuple[str, tuple[tuple[bytes, bytes], ...]], str] = {}
        self.clocks: dict[tuple[str, tuple[tuple[bytes, bytes], ...]], float] = {}
        # By sbatch and variables: whether jobs have mounts of their own; what is known of the nodes' view.
        self.private: dict[Hashable, bool] = {}
        self.sights: dict[Hashable, Sight] = {}

    def sbatch(self, call: Call) -> str:
        return self.usable(os.fsdecode(call.sbatch))

    def usable(self, recorded: str) -> str:
        if recorded and os.access(recorded, os.X_OK):
            return recorded
        return self.fallback()

    def controller(self, call: Call) -> Hashable:
        return self.sbatch(call), controller_variables(call)

    def limits(self, call: Call) -> Limits:
        sbatch, variables = self.sbatch(call), controller_variables(call)
        controller = Controller(sbatch, dict(variables))
        if self.brief:
            values, asked = controller.recent_config(call.session.folder + b"/config")
        else:
            values, asked = controller.config(), time.monotonic()
        told = (values.get("ClusterName", ""), clustername.here(dict(variables), os.fsencode(sbatch)))
        self.names[sbatch, variables] = tuple(dict.fromkeys(filter(None, told)))
        self.addresses[sbatch, variables] = address_in(values)
        self.private[sbatch, variables] = has_private_mounts(values)
        if "clock" in values:
            self.clocks[sbatch, variables] = int(values["clock"]) - asked
        if not self.brief:
            names.keep(call, controller, values)
        return limits_of(values)

    def sight(self, call: Call) -> Sight:
        sbatch, variables = key = self.sbatch(call), controller_variables(call)
        if key not in self.sights:
            controller = Controller(sbatch, dict(variables))

            def proof() -> dict[str, str]:
                """What proves it; nothing for nothing."""
                cluster = next(iter(self.clusters(call)), "")
                sight = sight_of(call.session.state, controller, cluster, private=self.private.get(key, True))
                self.sights[key] = sight
                return {"why": sight.why, "file_system": sight.file_system} if sight.why else {}

            if self.brief:
                told = controller.recently(call.session.folder + b"/sight", proof)[0]
                if key not in self.sights:
                    self.sights[key] = Sight(told.get("why", ""), told.get("file_system", ""))
            else:
                proof()
        return self.sights[key]

    def clusters(self, call: Call) -> tuple[str, ...]:
        return self.names.get((self.sbatch(call), controller_variables(call)), ())

    def prepare(self, submission: Submission, limits: Limits) -> None:
        """Make the links that lead to the log files of its tasks; raises whatever its words will."""
        self.command(submission)
        for log in submission.logs:
            if not log.folder:
                continue
            make_folder(log.folder)
            for index, target in log.paths.items():
                if limits.makes_log_folders and log.kind != "input":
                    make_log_folder(os.path.dirname(target))
                os.symlink(target, b"%s/%d" % (log.folder, index))

    def command(self, submission: Submission) -> tuple[list[bytes], Inherited]:
        """The words that submit an array, and what its job gets from the process that runs them."""
        call = submission.array.calls[0]
        limits = {}
        for part in call.limits.decode().split(","):
            name, _, value = part.partition("=")
            limits[name] = int(value)
        words = [os.fsencode(self.sbatch(call)), *words_of(submission)]
        nice = submission.array.nice if submission.own is None else call.nice
        return words, Inherited(int(call.umask, 8), limits, call.group, nice)

    def submit(self, submission: Submission) -> Answer:
        call = submission.array.calls[0]
        words, inherited = self.command(submission)
        held = hold(submission.script)
        try:
            session = os.fsdecode(call.session.name)
            folder = submit_folder(submission.array) if submission.own is None else call.cwd
            environment = submission.environment
            answer = submit(words, environment, inherited, session, folder, held)
            if answer.lacks_libraries:
                # A Slurm, or a wrapper around it, that is found through the caller's LD_LIBRARY_PATH.
                answer = submit(words, {**environment, **loader_variables(call)}, inherited, session, folder, held)
            return answer
        finally:
            os.close(held)

    def asked(self, array: Array) -> Asked | None:
        call = array.calls[0]
        sbatch, variables = self.sbatch(call), controller_variables(call)
        clock = self.clocks.get((sbatch, variables))
        cluster, conf = (*self.clusters(call), "", "")[:2]
        shown = {os.fsdecode(name): os.fsdecode(value) for name, value in variables}
        since = None
        if clock is not None:
            since = int(clock + time.monotonic())
        return Asked(sbatch, shown, since, cluster, conf, self.addresses.get((sbatch, variables), ""))

    def settle(self, submitting: Submitting, patience: Patience) -> Fate:
        if submitting.asked is None:
            return NEVER_LEFT
        return settle(submitting, self.usable(submitting.asked.sbatch), patience)

    def has(self, submitting: Submitting, job: int) -> bool | None:
        controller = self.asked_by(submitting)
        if asked_elsewhere(Origin.of(submitting), controller):
            return None
        return controller.queued(os.fsencode(submitting.script)) == job

    def held(self, call: Call) -> Held:
        try:
            return Controller(self.sbatch(call), dict(controller_variables(call))).held()
        except ShimError:
            return None

    def split_off(self, submitting: Submitting, job: int) -> str:
        splitting = submitting.splitting
        if splitting is None:
            return ""
        controller, trouble = self.asked_by(submitting), ""
        if splitting.elements:
            trouble = controller.split_off(job, splitting.elements, os.fsencode(splitting.name))
        if not trouble and splitting.last_waits:
            trouble = controller.update(f"{job}_{splitting.last}", b"Dependency=" + splitting.last_waits.encode())
            if trouble.endswith("Job is no longer pending execution"):
                return ""
        # Not before the others are split off, since the one that is left last has the array's id. Where they stay
        # together for good, it is of no use.
        given_up = trouble and not splitting.for_lanes and not may_pass(trouble)
        if splitting.spare is not None and (given_up or not trouble):
            trouble = controller.cancel(f"{job}_{splitting.spare}") or trouble
        return trouble

    def asked_by(self, submitting: Submitting) -> Controller:
        """The controller of an earlier submission."""
        asked = submitting.asked
        assert asked is not None, "an array of --local has no controller"
        return Controller.recorded(self.usable(asked.sbatch), asked.variables)

    def complete(self, stop: Stop, note: Callable[[int, type[Placed]], None]) -> None:
        """Slurm does."""


def submit_folder(array: Array) -> bytes:
    """
    Where sbatch is started, which Slurm tells the job's TaskProlog as SLURM_SUBMIT_DIR.

    The calls' own folder where it matters to anybody and they have one: sbatch needs none.
    """
    folders = set()
    if array.exposed:
        folders = {call.cwd for call in array.calls}
    folder = b"/"
    if len(folders) == 1:
        folder = folders.pop()
    if not os.access(folder, os.X_OK):
        return b"/"
    return folder


def make_log_folder(path: bytes) -> None:
    """
    Make a log's missing folders, 0755, as Slurm does from 23.02 on: it would make those of the link only.

    Where that fails, Slurm cannot open the log either, and fails the job as it does directly.
    """
    before = os.umask(0o022)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError:
        pass
    finally:
        os.umask(before)


def option(name: str, value: bytes | None) -> bytes:
    """One word of sbatch's command line that sets an option."""
    return b"--" + name.encode() + (b"" if value is None else b"=" + value)


def words_of(submission: Submission) -> list[bytes]:
    """The words after `sbatch` that submit an array."""
    array = submission.array
    words = [b"--parsable", b"--ignore-pbs"]
    for name, value in submission.options.items():
        if name == "mail-type" and value is not None and not array.own_indices and not array.is_plain:
            value += b",ARRAY_TASKS"
        words.append(option(name, value if OPTIONS[name][TAKES] else None))
    if submission.waits:
        words.append(option("dependency", submission.waits.spec))
    if submission.spec is not None:
        words.append(option("array", submission.spec))
    words.append(option("job-name", submission.name))
    if submission.comment:
        words.append(option("comment", submission.comment))
    words.append(option("chdir", submission.folder))
    if submission.own is not None:
        value = export_word(array.calls[0])
        if value is not None:
            words.append(option("export", value))
    elif array.login:
        # Where the site sees it, sbatch and the node make the environment as they would for each call.
        # (A call with --get-user-env need not have an export list.)
        value = b"NONE"
        if array.exposed:
            value = array.calls[0].options.get("export")
        if value is not None and not export_by_variable(array.calls[0], array.sending):
            words.append(option("export", value))
    elif array.nil:
        # Also what sbatch or a wrapper around it had to be started with does not reach the job then.
        words.append(option("export", b"NIL"))
    words += [option(log.kind, log.pattern) for log in submission.logs]
    return [*words, *submission.extra, submission.script, *(submission.own or ())]
