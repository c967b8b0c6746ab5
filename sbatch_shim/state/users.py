"""
Other users' state folders, for root.

Root may not be able to read them (NFS), and must not open what a user controls. Each is looked at as its user, in a
process of its own without a terminal (one that the user could trace must not type into root's), and what that tells is
bounded.
"""

from __future__ import annotations

import os
import pwd
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

DEFAULT = ".local/state/sarray"
# Seconds for one user's folder, and the most bytes that are taken from it.
LOOK, MOST = 60, 1 << 20
SYSTEM_USERS = 1000  # below this uid are daemons


def homes() -> dict[Path, tuple[int, int, str]]:
    """
    The homes that can be found: uid, gid and name of their users.

    Directory services often do not list their users, so the folders beside the homes that are listed count too.
    """
    found: dict[Path, tuple[int, int, str]] = {}
    beside = {Path("/home")}
    for entry in pwd.getpwall():
        home = Path(entry.pw_dir)
        if home.is_absolute() and home != Path("/"):
            found.setdefault(home, (entry.pw_uid, entry.pw_gid, entry.pw_name))
            if entry.pw_uid >= SYSTEM_USERS and home.parent != Path("/"):
                beside.add(home.parent)
    for folder in beside:
        try:
            homes_there = list(folder.iterdir())
        except OSError:
            continue
        for home in homes_there:
            try:
                status = home.lstat()
            except OSError:
                continue
            if home not in found and status.st_uid >= SYSTEM_USERS and home.is_dir() and not home.is_symlink():
                found[home] = (status.st_uid, status.st_gid, name_of(status.st_uid))
    return found


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def exists(folder: Path) -> bool:
    """False only where it is sure: what root may not see is asked of the user."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def asked(uid: int, gid: int, module: str, words: Sequence[str]) -> bytes | None:
    """What a module of this package prints when it is run as a user; None where that cannot be done, or is too much."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", f"sbatch_shim.{module}", *words],
            user=uid,
            group=gid,
            extra_groups=[],
            cwd="/",
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    assert process.stdout is not None
    with process.stdout as stream:
        data = bounded(stream.fileno())
    process.kill()  # it may have been stopped, or go on writing; to what has ended that does nothing
    process.wait()
    return data


def bounded(descriptor: int) -> bytes | None:
    """All that comes from a pipe; None where that is more than MOST bytes, or takes longer than LOOK seconds."""
    data = b""
    deadline = time.monotonic() + LOOK
    while len(data) <= MOST:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return None
        part = os.read(descriptor, 1 << 16)
        if not part:
            return data
        data += part
    return None
