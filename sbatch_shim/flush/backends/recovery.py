"""
What became of a submission whose outcome is not known: its flush was killed, or sbatch's answer was lost.

The controller is asked for a job with the submission's script, whose path is unique. "Not there" counts only when
the answer is sure: no sbatch that was started with the script runs any more, a request on its way has had time to
arrive, and the record of an accepted job could not have been purged yet (or the accounting has none either).
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass

from sbatch_shim.errors import ShimError
from sbatch_shim.flush.backends.controller import Controller, NoAnswer
from sbatch_shim.flush.patience import Patience
from sbatch_shim.state.events import Submitting
from sbatch_shim.state.journal import Origin
from sbatch_shim.state.locks import try_lock

# sbatch itself tries for 120 s when the queue is full, and then waits for an answer.
LONGEST_SBATCH = 180
# How long the accounting surely remembers; sites let records go after months.
ACCOUNTING_SECONDS = 14 * 86400


@dataclass(frozen=True)
class Fate:
    """
    What became of a submission.

    Attributes:
        job: Its job's id; None when it was not accepted, or not known to be.
        known: False when neither is sure, nor will be.
        why: What is missing, in words.
    """

    job: int | None = None
    known: bool = True
    why: str = ""


# Of a submission to local.py, which has no outside: cut short, it did not happen.
NEVER_LEFT = Fate()


def hold(script: bytes) -> int:
    """
    Open a script with a shared lock, for sbatch to inherit: while any process has it open, sbatch may still submit.

    Returns a descriptor; where the file system has no locks, it is one without.
    """
    descriptor = os.open(script, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError:
        pass
    return descriptor


def is_held(script: bytes) -> bool:
    """An sbatch that a killed flush has left behind still runs with this script."""
    try:
        return try_lock(script) is False
    except FileNotFoundError:
        return False


def settle(submitting: Submitting, sbatch: str, patience: Patience, *, waits_held: bool = False) -> Fate:
    """
    Find out what became of a submission; takes MessageTimeout (10 s, usually) longer when Slurm has no such job.

    Args:
        submitting: Its line in the journal.
        sbatch: Slurm's commands are looked for beside it.
        waits_held: It was of a job that waits until somebody cancels or releases it: Slurm forgets none that is still
            of concern.

    Raises NoAnswer when the controller does not answer, another ShimError when it is too early to ask.
    """
    script = os.fsencode(submitting.script)
    waited = 0.0
    while is_held(script):
        if not waited:
            patience.say("an sbatch that an earlier flush started is still running; waiting for it")
        if waited > LONGEST_SBATCH or not patience.stop.wait(0.5):
            raise ShimError(f"an sbatch that an earlier flush started with {submitting.script} is still running")
        waited += 0.5
    asked = submitting.asked
    if asked is None:
        return NEVER_LEFT
    controller = Controller.recorded(sbatch, asked.variables)
    elsewhere = asked_elsewhere(Origin.of(submitting), controller)
    if elsewhere:
        return Fate(known=False, why=elsewhere)
    fate = look(controller, script, asked.since, waits_held=waits_held)
    if fate.job is not None or not fate.known:
        return fate
    # The controller may have the request in hand just now.
    timeout = float(controller.config().get("MessageTimeout", "10 sec").split()[0])
    patience.say(f"asking Slurm twice, {timeout:g} s apart, about a submission whose answer is not known")
    if not patience.stop.wait(timeout):
        raise ShimError("interrupted before Slurm could be asked again")
    return look(controller, script, asked.since, waits_held=waits_held)


def asked_elsewhere(origin: Origin, controller: Controller) -> str:
    """
    Why this controller does not know what became of a submission; empty where it was asked to take it.

    Another cluster's does not have the job, and may have another one with its number. Two clusters may have one name:
    then it is the controller's host and port that differ.
    """
    if not origin.cluster:
        return ""  # an older version's
    name, address = controller.identity()
    if name != origin.cluster:
        return f"it was submitted on the cluster {origin.cluster}, and {name or 'another'} answers here: flush it there"
    if origin.controller not in ("", address):
        return f"it was submitted to the controller {origin.controller} of {name}, and {address} answers here"
    return ""


def ended_before_a_start(controller: Controller, script: bytes, since: float, config: dict[str, str]) -> Fate:
    """
    What became of a submission that the controller would still remember, unless it was started since without its jobs.

    `slurmctld -c` ends what ran and forgets what had ended; the accounting knows the latter.
    """
    if int(config.get("started", "0")) < since:
        return Fate()
    try:
        return Fate(controller.accounted(script, since))
    except NoAnswer:
        return Fate()  # nearly always it was started with all its jobs


def look(controller: Controller, script: bytes, since: float | None, *, waits_held: bool = False) -> Fate:
    """Ask once. `since`: the controller's time at the submission; None: not known. `waits_held`: See settle."""
    job = controller.queued(script)
    if job is not None or waits_held:
        return Fate(job)
    # Read after squeue's answer: the age is not too small then.
    config = controller.config()
    keeps = int(config.get("MinJobAge", "2").split()[0])
    if keeps == 0:
        return Fate()
    if since is None or "clock" not in config:
        return Fate(known=False, why="its age is not known")
    age = int(config["clock"]) + 1 - since
    if age < 0:
        return Fate(known=False, why="the controller's clock went back, so its age is not known")
    accounting = config.get("AccountingStorageType", "").endswith("slurmdbd")
    if age < keeps:
        if accounting:
            return ended_before_a_start(controller, script, since, config)
        return Fate()
    if not accounting:
        return Fate(known=False, why="Slurm would have forgotten the job by now, and there is no accounting to ask")
    try:
        job = controller.accounted(script, since)
    except NoAnswer as error:
        return Fate(known=False, why=f"Slurm would have forgotten the job by now, and {error}")
    if job is None and age > ACCOUNTING_SECONDS:
        return Fate(known=False, why="it is too long ago")
    return Fate(job)
