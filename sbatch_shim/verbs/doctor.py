"""sarray doctor: what is installed, found and reachable, for a bug report. It shows no environment and no script."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sbatch_shim import __version__
from sbatch_shim.companions.context import COMPANIONS, Context
from sbatch_shim.errors import ShimError
from sbatch_shim.flush.backends.controller import Controller
from sbatch_shim.flush.backends.sbatch import find_command, is_ours, limits_of
from sbatch_shim.flush.backends.sight import Sight, file_system, has_private_mounts, host, remember, sight_of
from sbatch_shim.flush.sessions import held_by
from sbatch_shim.keeping import attended
from sbatch_shim.merge.meaning import describe_time
from sbatch_shim.spool import Lock, Session, open_state
from sbatch_shim.state.calls import waiting_sessions
from sbatch_shim.state.paths import prefix, without_shims
from sbatch_shim.state.settings import changed, in_effect
from sbatch_shim.verbs.mode import mode_here
from sbatch_shim.verbs.words import inherited_mode

ROUND_TRIP_SECONDS = 60


def commands_on_path(name: str, path: str) -> list[tuple[str, bool]]:
    """Every command of this name on PATH, in order, and whether it is ours."""
    found = []
    for folder in path.split(os.pathsep):
        candidate = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            found.append((candidate, is_ours(candidate)))
    return found


def keepers(state: bytes) -> list[str]:
    """The sessions of auto mode whose keeper lives."""
    try:
        sessions = [Session(state, name) for name in sorted(os.listdir(state + b"/sessions"))]
    except OSError:
        return []
    living = [one for one in sessions if os.path.exists(one.keeper_lock) and attended(one)]
    return [f"{os.fsdecode(one.name)} (log: {os.fsdecode(one.folder)}/keeper.log)" for one in living]


class Report:
    """
    What was found, and what is wrong.

    Attributes:
        found: By what it is about.
        wrong: In sentences.
        sbatch: The real one; None where there is none.
        controller: That it asks.
        cluster: Its name, once it has answered.
        private: Its jobs have mounts of their own.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.path = context.variable("PATH") or os.defpath
        self.found: dict[str, object] = {}
        self.wrong: list[str] = []
        self.sbatch = find_command("sbatch", self.path)[0]
        self.controller = Controller(self.sbatch or "", context.environment)
        self.cluster = ""
        self.private = False

    def look_here(self) -> None:
        """This package, and what the user and the site have set."""
        site = in_effect()
        self.found["sbatch-shim"] = __version__
        self.found["python"] = f"{platform.python_version()} {sys.executable}"
        self.found["system"] = f"{platform.system()} {platform.release()}"
        self.found["mode"] = inherited_mode(self.context) or mode_here(self.context)
        self.found["keepers"] = keepers(self.context.state)
        self.found["settings"] = site.shown(os.environ)
        if changed(site):
            self.wrong.append(changed(site))

    def look_at_path(self) -> None:
        """Which commands a call would find."""
        hidden = []
        for name in ("sbatch", *COMPANIONS):
            listed = commands_on_path(name, self.path)
            self.found[f"{name} on PATH"] = [f"{one}{' (this shim)' if ours else ''}" for one, ours in listed]
            if not listed or not listed[0][1]:
                hidden.append(name)
        missing = without_shims()
        if missing:
            self.wrong.append(missing)
        elif hidden:
            env = prefix() / "env.sh"
            how = ""
            if env.exists():
                how = f": . {env}"
            self.wrong.append(
                f"the first on PATH is not the shim of {', '.join(hidden)}; put the shims' folder first{how}"
            )

    def look_at_slurm(self) -> None:
        """The real sbatch, and what its controller says of itself."""
        found, sbatch = self.found, self.sbatch
        found["the real sbatch"] = f"{sbatch} (the first on PATH that is no shim)" if sbatch else "(none)"
        if sbatch is None:
            self.wrong.append("there is no other sbatch on PATH; only sarray-flush --local can run queued calls")
            return
        version = subprocess.run([sbatch, "--version"], capture_output=True, text=True, check=False)
        found["Slurm"] = version.stdout.strip() or version.stderr.strip() or f"{sbatch} --version says nothing"
        try:
            values = self.controller.config()
        except ShimError as error:
            self.wrong.append(str(error))
            return
        self.cluster = values.get("ClusterName", "")
        self.private = has_private_mounts(values)
        limits = limits_of(values)
        found["limits"] = f"{limits.array_size} tasks in an array, {limits.script_bytes} bytes of script"
        if limits.site_changes_environment:
            found["environment"] = (
                "a TaskProlog or plugins may change it: calls share an array only if they export the same variables"
            )
        if limits.stores_scripts:
            found["stored scripts"] = "the accounting keeps them: the calls' variables stay in the state folder"

    def look_at_state(self) -> bool:
        """The state folder; whether it can be used."""
        state = os.fsdecode(self.context.state)
        self.found["state folder"] = state
        self.found["its file system"] = file_system(os.path.realpath(state))
        try:
            open_state(self.context.state)
            with Lock(self.context.state + b"/doctor.lock"):
                self.found["locks"] = "work"
        except (ShimError, OSError) as error:
            self.wrong.append(f"the state folder cannot be used: {error}")
            return False
        self.found["sessions that hold calls"] = [
            f"{held.name}: {held.count} since {describe_time(held.since)}{held_by(self.context.state, held.name)}"
            for held in waiting_sessions(self.context.state)
        ]
        return True

    def look_at_nodes(self, *, run: bool, options: Sequence[str]) -> None:
        """Whether the compute nodes see the state folder; see `report`."""
        if run and self.sbatch is not None:
            here = host()
            if self.cluster:
                here = self.sight().here
            trip = round_trip(self.context, self.sbatch, self.wrong, options)
            self.found["round trip"] = trip.told
            if trip.host not in ("", here):
                remember(self.context.state, self.cluster)
        if self.cluster:
            why = self.sight().why
            lost = "not proven: jobs open their logs themselves, without Slurm's own lines"
            self.found["compute nodes see it"] = why or lost

    def sight(self) -> Sight:
        """What is known of the view that jobs have of the state folder."""
        return sight_of(self.context.state, self.controller, self.cluster, private=self.private)


def report(context: Context, *, run: bool, options: Sequence[str] = ()) -> Report:
    """
    Look at everything.

    Args:
        run: Submit a job, too.
        options: Of sbatch, for that job.
    """
    found = Report(context)
    found.look_here()
    found.look_at_path()
    found.look_at_slurm()
    if found.look_at_state():
        found.look_at_nodes(run=run, options=options)
    return found


def brief(found: Mapping[str, object]) -> dict[str, object]:
    """What was found, for a person: companions that lie in the folders where sbatch does share a line."""
    of_sbatch = folders_of(found["sbatch on PATH"])
    alike = [name for name in COMPANIONS if folders_of(found[f"{name} on PATH"]) == of_sbatch]
    shown: dict[str, object] = {}
    for title, value in found.items():
        if title.partition(" ")[0] not in alike:
            shown[title] = value
        if title == "sbatch on PATH" and alike:
            shown["in the same folders"] = textwrap.wrap(", ".join(alike), 50)
    return shown


def folders_of(listed: object) -> list[tuple[str, bool]]:
    """Where commands are that were found on PATH, in order, and whether they are ours."""
    assert isinstance(listed, list)
    return [(os.path.dirname(one), one.endswith("(this shim)")) for one in listed]


def first_line(path: str) -> str:
    """The first line of a file; empty where there is none yet."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.readline().rstrip("\n")
    except OSError:
        return ""


@dataclass(frozen=True)
class RoundTrip:
    """
    What came of a job that was to show that its node sees the state folder.

    Attributes:
        told: What is said of it.
        host: Where it ran; empty where no node was seen to see the folder.
    """

    told: str
    host: str = ""


def round_trip(context: Context, sbatch: str, wrong: list[str], options: Sequence[str]) -> RoundTrip:
    """
    Submit a job that does nothing but show that its node sees the state folder, and wait for it.

    A cluster that is busy is nothing wrong.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=context.state, prefix=b"doctor-") as folder:
        mark = os.fsdecode(folder) + "/ran"
        words = ["--parsable", "--job-name=sarray-doctor", "--time=1", "--output=/dev/null", "--chdir=/"]
        done = subprocess.run(
            [sbatch, *words, *options, f"--wrap=cat /proc/sys/kernel/hostname > {shlex.quote(mark)}"],
            env=context.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            wrong.append(f"a job was not accepted: {done.stderr.strip()}")
            return RoundTrip("failed")
        job = done.stdout.strip().partition(";")[0]
        if not job:  # --test-only
            return RoundTrip(f"nothing was submitted: {done.stderr.strip()}")
        while time.monotonic() - started < ROUND_TRIP_SECONDS:
            where = first_line(mark)
            if where:
                took = time.monotonic() - started
                return RoundTrip(f"job {job} ran after {took:.1f} s, and its node sees the state folder", where)
            time.sleep(0.1)
        shown = context.run("squeue", ["-h", "-t", "all", "-j", job, "-o", "%T|%r"])
        context.run("scancel", [job])
    state, _, reason = shown.out.decode(errors="replace").strip().partition("|")
    if is_busy(state, reason):
        return RoundTrip(
            f"the cluster is busy: job {job} was accepted, and after {ROUND_TRIP_SECONDS} s it still waits ({reason}); "
            "it was cancelled, and whether its node sees the state folder is not known"
        )
    told = "its node does not see it"
    if state == "PENDING":
        told = f"it is PENDING {reason}"
    elif state in ("RUNNING", "CONFIGURING"):
        told = f"it is {state}"
    wrong.append(
        f"after {ROUND_TRIP_SECONDS} s the job has not written into the state folder: {told} (it was cancelled)"
    )
    return RoundTrip(f"job {job} was not seen to run")


def is_busy(state: str, reason: str) -> bool:
    """
    Whether a job waits because others run: for room, or below a limit on what runs at a time.

    Args:
        state: As squeue shows it.
        reason: squeue's word for why it waits (squeue(1), job reason codes). Those that name the partition's limits,
            or what one job may have, are about this job: it would wait for ever.
    """
    limited = reason.endswith("Limit") and not reason.startswith("Partition") and "PerJob" not in reason
    return state == "PENDING" and (limited or reason in ("None", "Priority", "Resources", "Licenses"))
