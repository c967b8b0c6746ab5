"""The controller and the accounting behind it: questions to them, and one request."""

from __future__ import annotations

import calendar
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping

from sbatch_shim.errors import ShimError
from sbatch_shim.flush.backends.sbatch import beside
from sbatch_shim.spool import read, replace

# What scontrol and scancel say of elements that need nothing any more: they run, they have ended, they are forgotten.
OVER = (
    "No error",
    "Job has already finished",
    "Invalid job id specified",
    "Job/step already completing or completed",
)

# How long what the controller told of its configuration holds for calls that are handed over one after the other.
CONFIG_SECONDS = 60


def seconds(told: str) -> str:
    """A time as Slurm tells it in UTC, in seconds since the epoch."""
    return str(calendar.timegm(time.strptime(told, "%Y-%m-%dT%H:%M:%S")))


def address_in(config: dict[str, str]) -> str:
    """Host and port of the first controller, as `scontrol show config` has them; empty where it does not tell."""
    host, port = config.get("SlurmctldHost[0]", ""), config.get("SlurmctldPort", "")
    if host and port:
        return f"{host}:{port}"
    return ""


# What follows the configuration. Under a limit on requests (rl_enable) the ping is refused, and the status is 1, while
# all of the configuration has been told (tried on 26.05).
PINGED = b"\nSlurmctld("


class NoAnswer(ShimError):
    """A command of Slurm that did not tell what it was asked."""


class Controller:
    """
    Questions to one controller.

    Args:
        sbatch: The commands beside it are used.
        variables: The environment to run them in; SLURM_CONF says which controller.
    """

    def __init__(self, sbatch: str, variables: dict[bytes, bytes]) -> None:
        self.sbatch = sbatch
        # Times are written for the client's time zone.
        self.environment = {**variables, b"TZ": b"UTC"}
        self.known: tuple[str, str] | None = None

    @classmethod
    def recorded(cls, sbatch: str, variables: Mapping[str, str]) -> Controller:
        """The controller that a journal's `submitting` event tells of."""
        return cls(sbatch, {os.fsencode(name): os.fsencode(value) for name, value in variables.items()})

    def command(self, name: str) -> str:
        """The path of one of Slurm's commands."""
        return beside(self.sbatch, name, os.environ.get("PATH", os.defpath))

    def ask(self, name: str, *words: str, whole: bytes | None = None) -> bytes:
        """
        The stdout of a command; NoAnswer when it fails or complains, ShimError when it is not there.

        squeue's status is 0 for a user it does not know, so words on stderr are a failure too.

        Args:
            whole: What an answer holds that is good whatever the status.
        """
        command = self.command(name)
        try:
            done = subprocess.run(
                [command, *words], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        except OSError as error:
            raise ShimError(f"{command} cannot be run ({error.strerror}); the calls stay queued") from None
        failed = done.returncode and (whole is None or whole not in done.stdout)
        if failed or done.stderr:
            text = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
            raise NoAnswer(f"{name} does not answer: {text}")
        return done.stdout

    def config(self) -> dict[str, str]:
        """
        `scontrol show config`.

        `clock` is the controller's time, `started` when it was started, both whole seconds since the epoch.
        """
        values = {}
        for line in self.ask("scontrol", "show", "config", whole=PINGED).decode(errors="replace").splitlines():
            name, equals, value = line.partition("=")
            if equals:
                values[name.strip()] = value.strip()
            elif line.startswith("Configuration data as of "):
                values["clock"] = seconds(line.split()[-1])
        if "BOOT_TIME" in values:
            values["started"] = seconds(values["BOOT_TIME"])
        return values

    def identity(self) -> tuple[str, str]:
        """Name and address of the controller that answers, which is asked once."""
        if self.known is None:
            config = self.config()
            self.known = config.get("ClusterName", ""), address_in(config)
        return self.known

    def recent_config(self, path: bytes) -> tuple[dict[str, str], float]:
        """What `config` tells, see `recently`."""
        return self.recently(path, self.config)

    def recently(self, path: bytes, ask: Callable[[], dict[str, str]]) -> tuple[dict[str, str], float]:
        """
        What the controller tells, or told a command on this machine less than CONFIG_SECONDS ago.

        A pipeline whose calls are handed over, or get real ids, one by one would ask for each of them otherwise.

        Args:
            path: Where that is kept.
            ask: Asks. What is empty is not kept.

        Returns:
            The values, and when the controller was asked by time.monotonic().
        """
        now = time.monotonic()
        try:
            # That clock counts from the boot.
            boot = read(b"/proc/sys/kernel/random/boot_id").decode().strip()
        except OSError:
            return ask(), now
        asker = [
            boot,
            self.sbatch,
            {os.fsdecode(name): os.fsdecode(self.environment[name]) for name in self.environment},
        ]
        try:
            kept = json.loads(read(path))
            if kept["asker"] == asker and 0 <= now - kept["asked"] < CONFIG_SECONDS:
                return kept["values"], kept["asked"]
        except (OSError, ValueError, LookupError, TypeError):
            pass
        values = ask()
        if not values:
            return values, now
        try:
            replace(path, json.dumps({"asker": asker, "asked": now, "values": values}).encode())
        except OSError:
            pass  # asked again, then
        return values, now

    def queued(self, script: bytes) -> int | None:
        """
        The job in the controller's memory that was submitted with this script.

        Args:
            script: Absolute; of other paths squeue knows the name only.
        """
        # -a: partitions that are hidden from the user too. The user's own jobs are shown whatever PrivateData says.
        words = ("-h", "-a", "-t", "all", "-u", str(os.geteuid()), "-o", "%F|%T|%N|%o")
        for job, state, nodes in re.findall(
            rb"^(\d+)\|(\w+)\|([^|\n]*)\|" + re.escape(script) + rb"(?: .*)?$", self.ask("squeue", *words), re.MULTILINE
        ):
            # A refused submission can leave a record: failed, and never on a node.
            if state != b"FAILED" or nodes:
                return int(job)
        return None

    def held(self) -> list[tuple[bytes | None, ...]]:
        """Account, quality of service, partition and reservation of this user's jobs that have not ended, each task."""
        # What is completing no longer counts for a limit.
        words = ("-h", "-r", "-a", "-t", "PD,R,S,CF", "-u", str(os.geteuid()), "-o", "%a\x1f%q\x1f%P\x1f%v")
        return [tuple(line.split(b"\x1f")) for line in self.ask("squeue", *words).splitlines()]

    def accounted(self, script: bytes, since: float) -> int | None:
        """
        The ended job in the accounting that was submitted with this script, `since` seconds since the epoch or later.

        Raises NoAnswer also while the controller still holds records that the accounting has not got.
        """
        if b"\n" in script:
            raise NoAnswer("the script's path has a line break, so sacct's lines cannot be told apart")
        backlog = re.search(rb"DBD Agent queue size:\s*(\d+)", self.ask("sdiag"))
        if backlog is None or int(backlog.group(1)):
            raise NoAnswer("the accounting has not got all records yet")
        start = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since - 60))
        # --delimiter: a path may hold the usual one.
        words = ["-X", "-n", "-P", "--delimiter=\x01", "-u", str(os.geteuid()), "-S", start]
        # Without states sacct leaves out jobs that were cancelled before they could have started, and with them it
        # needs an end. What has not ended is in squeue.
        words += ["-E", "now", "-s", "BF,CA,CD,DL,F,NF,OOM,PR,TO"]
        found = self.ask("sacct", *words, "-o", "JobID,State,NodeList,SubmitLine")
        for line in found.split(b"\n"):
            job, state, nodes, submitted = (*line.split(b"\x01"), b"", b"", b"")[:4]
            if b" %s " % script in submitted + b" " and (state != b"FAILED" or nodes != b"None assigned"):
                return int(re.match(rb"\d+", job).group())  # type: ignore[union-attr]
        return None

    def split_off(self, job: int, elements: str, name: bytes) -> str:
        """
        Split elements off their array, by an update that gives them the name they have.

        Args:
            elements: Ranges of indices.
            name: The array's job name.

        Returns:
            What went wrong, an empty string for nothing.
        """
        return self.act("scontrol", b"update", b"JobId=%d_[%s]" % (job, elements.encode()), b"JobName=" + name)

    def update(self, target: str, *changes: bytes) -> str:
        """Change jobs or elements that wait, by words as `Dependency=...`; what went wrong, as split_off tells it."""
        return self.act("scontrol", b"update", b"JobId=" + target.encode(), *changes)

    def is_held(self, job: int) -> bool:
        """Whether a job waits, held by its user; NoAnswer where Slurm does not tell, or knows no such job."""
        return self.ask("squeue", "-h", "-a", "-t", "all", "-j", str(job), "-o", "%T %r") == b"PENDING JobHeldUser\n"

    def release(self, target: str) -> str:
        """Let a job that is held, or elements of one, start; what went wrong, as split_off tells it."""
        return self.act("scontrol", b"release", target.encode())

    def cancel(self, target: str) -> str:
        """Cancel a job, or elements of one; what went wrong, as split_off tells it."""
        return self.act("scancel", target.encode())

    def element_ids(self, job: int) -> dict[int, int]:
        """The ids of an array's elements, by index."""
        # One request; squeue makes three.
        told = self.ask("scontrol", "--local", "-a", "-o", "show", "job", str(job))
        found = re.findall(rb"^JobId=(\d+) ArrayJobId=%d ArrayTaskId=(\d+) " % job, told, re.MULTILINE)
        return {int(index): int(number) for number, index in found}

    def act(self, command: str, *rest: bytes) -> str:
        """
        Run a command that changes elements.

        Returns:
            What went wrong, an empty string for nothing, or where it was done before.
        """
        words = [os.fsencode(self.command(command)), *rest]
        try:
            done = subprocess.run(
                words, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        except OSError as error:
            return str(error)
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        # One line for each range of elements with one fate (tried on 22.05).
        if done.returncode == 0 or (said and all(line.endswith(OVER) for line in said.splitlines())):
            return ""
        return said or f"{command} ended with {done.returncode}"
