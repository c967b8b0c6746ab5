"""The files in the folders of flushes and pools that say how far they are."""

from __future__ import annotations

import os

from sbatch_shim.spool import Session, create


def flush_lock(session: Session) -> bytes:
    """The lock that lets one flush of a session be at work at a time."""
    return session.folder + b"/flush.lock"


def claimed(folder: bytes) -> bytes:
    """The queue file that a flush has taken."""
    return folder + b"/claimed"


def done(folder: bytes) -> bytes:
    """The file that exists, since that time, where nothing of a flush or pool is left to do."""
    return folder + b"/done"


def is_done(folder: bytes) -> bool:
    return os.path.exists(done(folder))


def mark_done(folder: bytes) -> None:
    create(done(folder), b"")


def is_pool_script(command: bytes) -> bool:
    """Whether the path of a script of ours is that of a pool."""
    folder, _, name = command.rpartition(b"/")
    above, _, number = folder.rpartition(b"/")
    return name == b"script" and number.isdigit() and above.endswith(b"/pools")
