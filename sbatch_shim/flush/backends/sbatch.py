"""The only module that runs Slurm's commands, and what it learns from them."""

from __future__ import annotations

import errno
import glob
import grp
import os
import re
import resource
import shlex
import subprocess
import sys
from dataclasses import dataclass

from sbatch_shim.errors import NoRealSbatch
from sbatch_shim.merge.limits import Limits
from sbatch_shim.state import settings

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
SUBMIT_LIMIT = re.compile(r"Max(TRES)?Submit|MaxSubmit|GrpSubmit|submit limit \(")

# What a site adds that gets a job's comment (24.05 and newer number several prologs: `Prolog[0]`).
COMMENT_READERS = ("JobSubmitPlugins", "CliFilterPlugins", "PrologSlurmctld", "EpilogSlurmctld", "Prolog", "Epilog")
# How `scontrol show config` says that there is nothing of a kind.
NOT_SET = ("", "(null)")


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
    if os.access(near, os.X_OK):
        return near
    return find_command(name, path)[0] or near


# The times of Slurm's logs by LogTimeFormat (src/common/log.c); since 25.05 "logs and stderr will always print the
# same" (its change log). Of a clock or thread_id, which also count, the default is shown.
TIME_FORMATS = {
    "iso8601_ms": "%Y-%m-%dT%H:%M:%S@ms",
    "iso8601": "%Y-%m-%dT%H:%M:%S",
    "rfc5424": "%Y-%m-%dT%H:%M:%S%z",
    "rfc5424_ms": "%Y-%m-%dT%H:%M:%S@ms%z",
    "short": "%b %d %H:%M:%S",
}


def may_pass(text: str) -> bool:
    """Whether a command of Slurm complains of the controller's state, and not of what it was asked."""
    return any(words in text for words in (*AMBIGUOUS, *TEMPORARY))


def limits_of(values: dict[str, str]) -> Limits:
    """What the controller allows, from what Controller.config() found."""
    parameters = dict(part.partition("=")[::2] for part in values.get("SchedulerParameters", "").split(","))
    stored = values.get("AccountingStoreFlags", "").split(",")
    try:
        version = tuple(int(part) for part in values.get("SLURM_VERSION", "22.05").split(".")[:2])
    except ValueError:
        version = (22, 5)
    site = settings.in_effect()
    log_time = values.get("LogTimeFormat", "").partition(",")[0].lower()
    return Limits(
        array_size=min(
            int(values.get("MaxArraySize", "1001")),
            int(parameters.get("max_array_tasks") or sys.maxsize),
            # An array counts with all of its tasks, and one less than this many fit (tried).
            max(1, int(values.get("MaxJobCount", "10000")) - 1),
        ),
        script_bytes=int(parameters.get("max_script_size", "4194304")),
        launch_sets_name=version >= (24, 11),
        makes_log_folders=version >= (23, 2),
        lookahead=max(10, int(parameters.get("correspond_after_task_cnt", "10"))),
        last_lane_waits=version >= (25, 5),
        kills_impossible="kill_invalid_depend" in values.get("DependencyParameters", ""),
        propagates_nice=values.get("PropagatePrioProcess", "0") != "0",
        site_changes_environment=any(
            value not in NOT_SET for name, value in values.items() if name.startswith("TaskProlog")
        )
        or loads_plugins(values),
        appends_to_logs=values.get("JobFileAppend", "0") != "0",
        stores_scripts="job_script" in stored and "job_env" not in stored,
        reads_comments=any(
            name.partition("[")[0] in COMMENT_READERS and value not in (*NOT_SET, "none")
            for name, value in values.items()
        ),
        judged_by_site=values.get("JobSubmitPlugins", "") not in NOT_SET,
        spares=True,
        usual_throttle=site.limit(site.defaults),
        most_at_once=site.limit(site.caps),
        time_format="" if version < (25, 5) else TIME_FORMATS.get(log_time, TIME_FORMATS["iso8601_ms"]),
    )


def loads_plugins(values: dict[str, str]) -> bool:
    """Whether SPANK plugins are configured, as far as that can be read here; those on the nodes are the same ones."""
    path = values.get("PlugStackConfig", "(null)")
    if path == "(null)":
        path = os.path.join(os.path.dirname(values.get("SLURM_CONF", "")), "plugstack.conf")
    return names_plugins(path, set())


def names_plugins(path: str, seen: set[str]) -> bool:
    """Whether a plugstack.conf, or one that it includes, names a plugin; one that cannot be read may."""
    if path in seen:
        return False
    seen.add(path)
    try:
        with open(path, errors="replace") as stream:
            lines = [line.partition("#")[0].split(None, 1) for line in stream]
    except FileNotFoundError:
        return False
    except OSError:
        return True
    for words in lines:
        if len(words) == 2 and words[0] == "include":
            found = glob.glob(os.path.join(os.path.dirname(path), words[1].strip()))
            if any(names_plugins(one, seen) for one in found):
                return True
        elif words:
            return True
    return False


@dataclass(frozen=True)
class Answer:
    """
    What came of a submission.

    Attributes:
        job: The job's id; None when it was not accepted, or not known to be.
        status: sbatch's exit status.
        text: Its stderr.
        uncertain: It may have been accepted all the same.
        temporary: It was refused for reasons that pass.
        everywhere: Those reasons hold for any submission.
        unsent: This machine is the reason: nothing was given to Slurm.
    """

    job: int | None
    status: int
    text: str
    uncertain: bool = False
    temporary: bool = False
    everywhere: bool = False
    unsent: bool = False

    @property
    def lost(self) -> bool:
        """The connection to the controller broke, which may happen to any submission."""
        return self.job is None and any(sign in self.text for sign in AMBIGUOUS)

    @property
    def lacks_libraries(self) -> bool:
        """It ended before it sent anything, for want of a shared library (words of glibc)."""
        refused = self.job is None and not self.uncertain
        return refused and "cannot open shared object file" in self.text


@dataclass(frozen=True)
class Inherited:
    """
    What a job gets from the process that submits it.

    Attributes:
        umask: As a number.
        limits: Soft limits by name, -1 for none.
        group: Id of the group, None for the flush's own.
        nice: None where the job does not inherit it.
    """

    umask: int
    limits: dict[str, int]
    group: int | None
    nice: int | None

    def trouble(self, session: str) -> str:
        """
        Why this process cannot hand that on, and what does; empty where it can.

        Args:
            session: Whose calls are submitted.
        """
        if os.geteuid() != 0 and (trouble := group_trouble(self.group, session, "sarray-flush")):
            return trouble
        own = os.getpriority(os.PRIO_PROCESS, 0)
        if self.nice is not None and self.nice < own and not may_be_as_nice_as(self.nice):
            return f"made with nice value {self.nice}, and this flush runs with {own}; run sarray-flush without nice"
        for name, soft in self.limits.items():
            hard = resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1]
            if hard != resource.RLIM_INFINITY and not 0 <= soft <= hard:
                return (
                    f"the hard limit of {name} is lower here than the calls' own; run sarray-flush where they were made"
                )
        return ""

    def take(self) -> None:
        """Let the calling process have it: between fork and exec."""
        # A group of its own: Ctrl-C at the terminal is for the flush, which lets a submission end.
        os.setpgid(0, 0)
        os.umask(self.umask)
        for name, soft in self.limits.items():
            which = getattr(resource, "RLIMIT_" + name)
            resource.setrlimit(which, (resource.RLIM_INFINITY if soft < 0 else soft, resource.getrlimit(which)[1]))
        if self.nice is not None:
            os.setpriority(os.PRIO_PROCESS, 0, self.nice)
        if self.group is not None and self.group != os.getegid():
            os.setresgid(self.group, self.group, self.group)


def group_trouble(group: int | None, session: str, *command: str) -> str:
    """
    Why a process of this group cannot act for calls that another one made, and what does; empty where it can.

    Args:
        group: Theirs, None where it is not known.
        session: Whose calls they are.
        command: What would submit them.
    """
    if group is None or group == os.getegid():
        return ""
    name = group_name(group)
    words = shlex.join(["sg", name, "-c", shlex.join([*command, "--session", session])])
    return f"made as group {name}, and the jobs would get another one from this flush; run: {words}"


def group_name(group: int) -> str:
    """The name of a group; its number where nobody knows it."""
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def may_be_as_nice_as(nice: int) -> bool:
    """Whether this process may lower its nice value so far (RLIMIT_NICE is 20 less the lowest)."""
    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_NICE)[0] >= 20 - nice


def submit(
    words: list[bytes],
    environment: dict[bytes, bytes],
    inherited: Inherited,
    session: str,
    folder: bytes,
    descriptor: int,
) -> Answer:
    """
    Run the real sbatch.

    Args:
        words: Its path and arguments, `--parsable` among them.
        environment: The whole of it.
        session: Whose calls these are.
        folder: Working directory, which Slurm records as the submit folder.
        descriptor: It gets this one open.
    """
    trouble = inherited.trouble(session)
    if trouble:
        return Answer(None, 1, trouble, unsent=True)
    try:
        done = subprocess.run(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            preexec_fn=inherited.take,
            cwd=folder,
            check=False,
            pass_fds=(descriptor,),
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:  # ValueError: words that exec cannot take
        # It did not start, so nothing was sent.
        passes = isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.ENOMEM)
        why = f"{os.fsdecode(words[0])} cannot be started: {error}"
        return Answer(None, 1, why, temporary=passes, everywhere=passes)
    text = done.stderr.decode(errors="replace")
    if done.returncode < 0 and not text:
        text = f"{os.fsdecode(words[0])} was ended by signal {-done.returncode}\n"
    return read_answer(done.returncode, done.stdout.decode(errors="replace"), text)


def read_answer(status: int, out: str, text: str) -> Answer:
    """What sbatch's exit status (below 0: minus a signal), stdout and stderr say of a submission."""
    first = out.strip().partition(";")[0]
    if status == 0 and first.isdigit():
        return Answer(int(first), 0, text)
    if status <= 0 or any(sign in text for sign in AMBIGUOUS):
        return Answer(None, status, text, uncertain=True)
    everywhere = any(sign in text for sign in TEMPORARY)
    limited = SUBMIT_LIMIT.search(text) is not None
    return Answer(None, status, text, temporary=everywhere or limited, everywhere=everywhere)
