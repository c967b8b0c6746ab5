"""
Fixtures: an installation made by install.sh, an unprivileged user, and the cluster that tests/run started.

Tests never touch a real home or state folder: every command gets a HOME and a SARRAY_STATE_DIR of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.person import CLUSTER, REPO, SYSTEM_PATH, Person

# The cluster is configured like a site, and this is the second of two runs: only the differential tests.
SITE = bool(os.environ.get("SHIM_TEST_SITE"))
UNWANTED_FAMILIES = ("SARRAY_", "SBATCH_", "SLURM_", "SQUEUE_", "SACCT_", "SCANCEL_", "XDG_")
UNWANTED = ("BASH_ENV", "ENV", "CDPATH", "TMPDIR", "PYTHONHOME", "PYTHONPATH", "POSIXLY_CORRECT", "GETOPT_COMPATIBLE")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    os.umask(0o022)
    inherit_nothing()
    if SITE and config.getoption("xmlpath", None):
        config.option.xmlpath += ".site"  # The other run writes the one without.


def inherit_nothing() -> None:
    """
    Free what the tests start from where the run itself was started: under nohup, by cron, in a job, without a stdin.

    A signal that a parent ignores is handled here instead. So nohup still protects this process, while its children
    begin with the default, because exec resets a handler, but not SIG_IGN.
    """
    for number in signal.valid_signals():
        # Python itself ignores these two, and subprocess resets them.
        if signal.getsignal(number) == signal.SIG_IGN and number not in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if signal.getsignal(signal.SIGCHLD) != signal.SIG_DFL:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for name in list(os.environ):
        if name.startswith(UNWANTED_FAMILIES) or name in UNWANTED:
            del os.environ[name]
    os.environ.setdefault("PATH", SYSTEM_PATH)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    while True:  # A number that is closed would be given to the next file that is opened.
        null = os.open(os.devnull, os.O_RDWR)
        if null > 2:
            os.close(null)
            break


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a cluster the Slurm tests are left out, and tests/run says so and fails unless told otherwise."""
    missing = [] if CLUSTER else ["slurm", "accounting"]
    if CLUSTER and "slurmdbd" not in Path(CLUSTER).read_text():
        missing = ["accounting"]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in missing)]
    if SITE:
        left_out = [item for item in items if item.path.name != "test_differential.py"]
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
