"""
Fixtures: an installation made by install.sh, an unprivileged user, and the cluster that tests/run started.

Tests never touch a real home or state folder: every command gets a HOME and a SARRAY_STATE_DIR of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
USER = os.environ.get("SHIM_TEST_USER", "")
CLUSTER = os.environ.get("SHIM_TEST_SLURM_CONF", "")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def pytest_configure(config: pytest.Config) -> None:
    os.umask(0o022)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a cluster the Slurm tests are left out, and tests/run says so and fails unless told otherwise."""
    missing = [] if CLUSTER else ["slurm", "accounting"]
    if CLUSTER and "slurmdbd" not in Path(CLUSTER).read_text():
        missing = ["accounting"]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in missing)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that the test user can reach; pytest's own is private to root."""
    folder = Path(tempfile.mkdtemp(prefix="shim-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def prefix(scratch: Path) -> Path:
    """An installation as root makes it for every user."""
    target = scratch / "opt"
    python = os.environ.get("SHIM_TEST_PYTHON", "/usr/bin/python3")
    subprocess.run(
        [str(REPO / "install.sh"), "--prefix", str(target), "--python", python, "--no-modify-path"],
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(scratch / "root-home")},
    )
    return target


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
        timeout: float = 120,
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

    def settle(self, timeout: float = 120) -> None:
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


@pytest.fixture
def person(scratch: Path, prefix: Path) -> Iterator[Person]:
    home = Path(tempfile.mkdtemp(prefix="home-", dir=scratch))
    home.chmod(0o755)
    user = Person(home, prefix)
    user.own(home)
    yield user
    if CLUSTER:
        user.cancel_all()
    shutil.rmtree(home, ignore_errors=True)
