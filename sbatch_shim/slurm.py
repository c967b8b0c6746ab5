"""The only module that runs Slurm's commands, and what it learns from them."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from dataclasses import dataclass

from sbatch_shim.errors import NoRealSbatch, ShimError
from sbatch_shim.plan import Limits

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
)


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
            try:
                with open(candidate, "rb") as stream:
                    ours = MARK in stream.read(MARK_WITHIN)
            except OSError:
                ours = False
            if not ours:
                return candidate, passed
            passed.append(f"{candidate} (this shim)")
        else:
            passed.append(entry)
    return None, passed


def read_limits(sbatch: str, environment: dict[bytes, bytes]) -> Limits:
    """
    What the controller allows, from `scontrol show config`.

    Args:
        sbatch: The scontrol beside it is asked.
        environment: To run it with; SLURM_CONF says which controller.
    """
    scontrol = os.path.join(os.path.dirname(sbatch), "scontrol")
    if not os.access(scontrol, os.X_OK):
        # A site's own sbatch may stand in a folder without the other commands.
        scontrol = shutil.which("scontrol") or scontrol
    try:
        done = subprocess.run([scontrol, "show", "config"], env=environment, capture_output=True, check=False)
    except OSError as error:
        raise ShimError(f"{scontrol} cannot be run ({error.strerror}); the calls stay queued") from None
    if done.returncode != 0:
        text = done.stderr.decode(errors="replace").strip()
        raise ShimError(f"the Slurm controller did not tell its limits; the calls stay queued: {text}")
    values = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        name, equals, value = line.partition("=")
        if equals:
            values[name.strip()] = value.strip()
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
    """

    job: int | None
    uncertain: bool
    status: int
    text: str


def submit(
    words: list[bytes], environment: dict[bytes, bytes], umask: int, limits: dict[str, int], folder: bytes
) -> Answer:
    """
    Run the real sbatch.

    Args:
        words: Its path and arguments, `--parsable` among them.
        environment: The whole of it.
        umask, limits: What the job is to inherit; soft limits by name, -1 for none.
        folder: Working directory, which Slurm records as the submit folder.
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
        os.umask(umask)
        for which, both in soft_and_hard.items():
            resource.setrlimit(which, both)

    done = subprocess.run(
        words,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        preexec_fn=inherit,
        cwd=folder,
        check=False,
    )
    text = done.stderr.decode(errors="replace")
    first = done.stdout.decode(errors="replace").strip().partition(";")[0]
    if done.returncode == 0 and first.isdigit():
        return Answer(int(first), False, 0, text)
    uncertain = done.returncode == 0 or done.returncode < 0 or any(sign in text for sign in AMBIGUOUS)
    return Answer(None, uncertain, done.returncode, text)
