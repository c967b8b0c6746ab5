"""
Whose calls are still queued: what has to be known before a prefix is uninstalled.

Root removes it for everybody, and so asks each user's state folder (state/users.py).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from sbatch_shim.merge.graph import counted
from sbatch_shim.state.calls import waiting_sessions
from sbatch_shim.state.paths import state_folder
from sbatch_shim.state.users import DEFAULT, asked, exists, homes


def count_as(folder: Path, uid: int, gid: int) -> int | None:
    """How many calls are queued in another user's state folder; None when that cannot be found out."""
    told = asked(uid, gid, "setup.queues", [str(folder)])
    if told is None or not told.strip().isdigit():
        return None
    return int(told)


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
            "`sarray-flush --all` or `sarray cancel --all` first (nothing was removed)"
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
