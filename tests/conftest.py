"""
Fixtures: an installation made by install.sh, an unprivileged user, and the cluster that tests/run started.

Tests never touch a real home or state folder: every command gets a HOME and a SARRAY_STATE_DIR of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.person import CLUSTER, REPO, Person


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
