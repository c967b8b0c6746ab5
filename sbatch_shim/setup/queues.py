"""
Whose calls are still queued: what has to be known before a prefix is uninstalled.

Root removes it for everybody. A user's state folder is then looked at as that user, in a process of its own: root may
not be able to read it (NFS), and must not follow what a user has put there.
"""

from __future__ import annotations

import argparse
import os
import pwd
import subprocess
import sys
from pathlib import Path

from sbatch_shim.merge.graph import counted
from sbatch_shim.state.calls import waiting_sessions
from sbatch_shim.state.paths import state_folder

DEFAULT = ".local/state/sarray"
LOOK = 60  # seconds for one user's folder
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


def count_as(folder: Path, uid: int, gid: int) -> int | None:
    """How many calls are queued in another user's state folder; None when that cannot be found out."""
    words = [sys.executable, "-I", "-m", "sbatch_shim.setup.queues", str(folder)]
    try:
        done = subprocess.run(
            words,
            user=uid,
            group=gid,
            extra_groups=[],
            cwd="/",
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LOOK,
            check=True,
            start_new_session=True,  # that user could type into our terminal
        )
        return int(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def refuse_while_calls_wait() -> None:
    """
    Find what is queued: for this user, and for root everybody's.

    Raises:
        SystemExit: There are such calls; says whose.
    """
    own = Path(state_folder())
    count = sum(session.count for session in waiting_sessions(os.fsencode(own)))
    if count:
        raise SystemExit(
            f"install: {counted(count, 'queued call')} {'is' if count == 1 else 'are'} not submitted yet; run "
            "`sarray-flush --all` first (nothing was removed)"
        )
    if os.geteuid() != 0:
        return
    held, unseen = [], []
    for home, (uid, gid, name) in sorted(homes().items()):
        folder = home / DEFAULT
        if folder == own or not exists(folder):
            continue
        calls = count_as(folder, uid, gid)
        if calls is None:
            unseen.append(f"{name} ({folder})")
        elif calls:
            held.append(f"{name} ({calls})")
    if held:
        raise SystemExit(
            f"install: queued calls are not submitted yet: {', '.join(held)}; ask these users to run "
            "`sarray-flush --all` or `sarray cancel --all` first (nothing was removed)"
        )
    if unseen:
        print(f"the queues of these users could not be looked at: {', '.join(unseen)}")
    print("queues in a SARRAY_STATE_DIR or XDG_STATE_HOME of a user's own cannot be seen from here")


def main() -> None:
    """Print how many calls are queued in a state folder."""
    parser = argparse.ArgumentParser(prog="queues")
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    print(sum(session.count for session in waiting_sessions(os.fsencode(folder))))


if __name__ == "__main__":
    main()
