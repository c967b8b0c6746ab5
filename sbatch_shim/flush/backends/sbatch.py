"""The only module that runs Slurm's commands, and what it learns from them."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
from dataclasses import dataclass

from sbatch_shim.errors import NoRealSbatch
from sbatch_shim.merge.limits import Limits

MARK = b"sbatch-shim launcher"
MARK_WITHIN = 128

# The job may have been accepted although sbatch failed (src/common/slurm_errno.c; tried behind a proxy).
AMBIGUOUS = (
    "Socket timed out on send/recv operation",
    "Zero Bytes were transmitted or received",
    "Unable to contact slurm controller (send failure)",
    "Unable to contact slurm controller (receive failure)",
    "Unable to contact slurm controller (shutdown failure)",
    "Message receive failure",
    "Header lengths are longer than data received",
    "Insane message length",
    "Communication shutdown failure",
    "Protocol authentication error",
)

# Nothing was accepted, and another time it may be.
TEMPORARY = (
    "Unable to contact slurm controller (connect failure)",
    "Resource temporarily unavailable",
    "Slurm job queue full",
    "MaxJobCount limit reached",
    "Unable to create job record, try again",
    "in standby mode",
)
# The same for one account or one quality of service: other submissions may pass.
SUBMIT_LIMIT = re.compile(r"Max(TRES)?Submit|MaxSubmit|submit limit \(")


def real_sbatch(path: str) -> str:
    """The first sbatch on PATH that is not ours; raises NoRealSbatch, which says where it looked."""
    found, passed = find_command("sbatch", path)
    if found is None:
        raise NoRealSbatch(
            f"no sbatch found in {', '.join(passed) or 'an empty PATH'}; "
            "sarray-flush --local runs the queued calls on this machine without Slurm"
        )
    return found


def find_command(name: str, path: str) -> tuple[str | None, list[str]]:
    """
    The first command of this name on PATH that is not ours: known by its mark, links unresolved (sites switch Slurm
    by link).

    Returns:
        Its path or None, and where it was looked for in vain.
    """
    passed: list[str] = []
    for entry in path.split(os.pathsep):
        candidate = os.path.join(entry, name)
        if not os.path.isabs(entry):
            continue
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            if not is_ours(candidate):
                return candidate, passed
            passed.append(f"{candidate} (this shim)")
        else:
            passed.append(entry)
    return None, passed


def is_ours(path: str) -> bool:
    """Whether a command is one of our launchers; not one that cannot be read."""
    try:
        with open(path, "rb") as stream:
            return MARK in stream.read(MARK_WITHIN)
    except OSError:
        return False


def beside(command: str, name: str, path: str) -> str:
    """
    Another real command: beside one of Slurm's, else on PATH, since a site's own sbatch may stand in a folder alone.

    Args:
        command: The path of the one that is known.
        path: The value of PATH.
    """
    near = os.path.join(os.path.dirname(command), name)
    return near if os.access(near, os.X_OK) else find_command(name, path)[0] or near


def limits_of(values: dict[str, str]) -> Limits:
    """What the controller allows, from what Controller.config() found."""
    parameters = dict(part.partition("=")[::2] for part in values.get("SchedulerParameters", "").split(","))
    try:
        version = tuple(int(part) for part in values.get("SLURM_VERSION", "22.05").split(".")[:2])
    except ValueError:
        version = (22, 5)
    return Limits(
        array_size=int(values.get("MaxArraySize", "1001")),
        script_bytes=int(parameters.get("max_script_size", "4194304")),
        launch_sets_name=version >= (24, 11),
        makes_log_folders=version >= (23, 2),
        lookahead=max(10, int(parameters.get("correspond_after_task_cnt", "10"))),
        kills_impossible="kill_invalid_depend" in values.get("DependencyParameters", ""),
    )


@dataclass(frozen=True)
class Answer:
    """
    What came of a submission.

    Attributes:
        job: The job's id; None when it was not accepted, or not known to be.
        uncertain: It may have been accepted all the same.
        status: sbatch's exit status.
        text: Its stderr.
        temporary: It was refused for reasons that pass.
        everywhere: Those reasons hold for any submission.
    """

    job: int | None
    uncertain: bool
    status: int
    text: str
    temporary: bool = False
    everywhere: bool = False


def submit(
    words: list[bytes],
    environment: dict[bytes, bytes],
    umask: int,
    limits: dict[str, int],
    folder: bytes,
    inherited: int,
) -> Answer:
    """
    Run the real sbatch.

    Args:
        words: Its path and arguments, `--parsable` among them.
        environment: The whole of it.
        umask, limits: What the job is to inherit; soft limits by name, -1 for none.
        folder: Working directory, which Slurm records as the submit folder.
        inherited: A descriptor that it gets open.
    """

    soft_and_hard = {}
    for name, soft in limits.items():
        which = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(which)[1]
        if hard != resource.RLIM_INFINITY and not 0 <= soft <= hard:
            text = f"the hard limit of {name} is lower here than the calls' own; run sarray-flush where they were made"
            return Answer(None, False, 1, text)
        soft_and_hard[which] = (resource.RLIM_INFINITY if soft < 0 else soft, hard)

    def inherit() -> None:
        # A group of its own: Ctrl-C at the terminal is for the flush, which lets a submission end.
        os.setpgid(0, 0)
        os.umask(umask)
        for which, both in soft_and_hard.items():
            resource.setrlimit(which, both)

    try:
        done = subprocess.run(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            preexec_fn=inherit,
            cwd=folder,
            check=False,
            pass_fds=(inherited,),
        )
    except (OSError, subprocess.SubprocessError) as error:
        # It did not start, so nothing was sent.
        passes = isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.ENOMEM)
        return Answer(None, False, 1, f"{os.fsdecode(words[0])} cannot be started: {error}", passes, passes)
    text = done.stderr.decode(errors="replace")
    if done.returncode < 0 and not text:
        text = f"{os.fsdecode(words[0])} was ended by signal {-done.returncode}\n"
    return read_answer(done.returncode, done.stdout.decode(errors="replace"), text)


def read_answer(status: int, out: str, text: str) -> Answer:
    """What sbatch's exit status (below 0: minus a signal), stdout and stderr say of a submission."""
    first = out.strip().partition(";")[0]
    if status == 0 and first.isdigit():
        return Answer(int(first), False, 0, text)
    if status <= 0 or any(sign in text for sign in AMBIGUOUS):
        return Answer(None, True, status, text)
    everywhere = any(sign in text for sign in TEMPORARY)
    return Answer(None, False, status, text, everywhere or SUBMIT_LIMIT.search(text) is not None, everywhere)
