"""The unprivileged user at a login node, and what a command leaves."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parent.parent.parent
USER = os.environ.get("SHIM_TEST_USER", "")
CLUSTER = os.environ.get("SHIM_TEST_SLURM_CONF", "")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass
class Result:
    """What a command left: exit status, stdout and stderr as bytes."""

    status: int
    out: bytes
    err: bytes


@dataclass
class Person:
    """The unprivileged user at a login node."""

    home: Path
    prefix: Path
    conf: str = CLUSTER

    def environment(self, **more: str) -> dict[str, str]:
        base = {
            "HOME": str(self.home),
            "USER": USER or "root",
            "LOGNAME": USER or "root",
            "SHELL": "/bin/bash",
            "PATH": f"{self.prefix}/shims:{SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            "SARRAY_STATE_DIR": str(self.home / "state"),
        }
        if self.conf:
            base["SLURM_CONF"] = self.conf
        return {**base, **more}

    def run(
        self,
        *words: str | bytes,
        cwd: Path | None = None,
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 600,
    ) -> Result:
        """Run a command as this user."""
        extra: dict[str, object] = {}
        if USER and os.geteuid() == 0:
            entry = pwd.getpwnam(USER)
            extra = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        done = subprocess.run(  # type: ignore[call-overload]
            list(words),
            cwd=cwd or self.home,
            env=self.environment() if env is None else env,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            check=False,
            **extra,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def queue(self, *words: str | bytes, cwd: Path | None = None, stdin: bytes | None = None, **more: str) -> Result:
        """One sbatch call in queue mode."""
        env = self.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", **more)
        return self.run("sbatch", *words, cwd=cwd, stdin=stdin, env=env)

    def flush(self, *words: str, cwd: Path | None = None, **more: str) -> Result:
        """sarray-flush of the session that `queue` uses."""
        command = str(self.prefix / "bin" / "sarray-flush")
        return self.run(command, *words, cwd=cwd, env=self.environment(SARRAY_SESSION="test", **more))

    def own(self, path: Path) -> None:
        """Give files that root made to this user."""
        if USER and os.geteuid() == 0:
            subprocess.run(["chown", "-Rh", f"{USER}:", str(path)], check=True)

    def settle(self, timeout: float = 600) -> None:
        """Wait until this user has no job in the queue but those that wait for ever."""
        deadline = time.monotonic() + timeout
        while True:
            done = self.run("squeue", "-h", "-u", USER or "root", "-o", "%T %r", env=self.environment(PATH=SYSTEM_PATH))
            lines = [line for line in done.out.decode().splitlines() if "DependencyNeverSatisfied" not in line]
            if done.status == 0 and not lines:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"jobs did not end in {timeout} s: {lines}")
            time.sleep(0.05)  # between two looks; the condition above decides

    def cancel_all(self) -> None:
        self.run("scancel", "-u", USER or "root", env=self.environment(PATH=SYSTEM_PATH))
        self.settle()
