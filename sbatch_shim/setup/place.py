"""
Where an installation goes: whether it can be there, who will use it, and one at a time.

The standard library only: install.sh uses this module before anything is installed.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sbatch_shim.errors import ShimError

NOBODY = 65534
UNKNOWN = 77  # the exit status of a child that could not become nobody, for instance in a container
# What would mean something in PATH, in a shell's words or in Tcl's.
FORBIDDEN = ":='\"\\`$\n"
PATIENCE = 600  # seconds for another installation into the same prefix


def checked(prefix: str) -> Path:
    """An absolute prefix; ShimError where its name cannot stand in PATH and in scripts."""
    whole = Path(os.getcwd()) / prefix
    if any(letter in str(whole) for letter in FORBIDDEN):
        raise ShimError(
            "the prefix may not hold any of : = ' \" \\ ` $ or a line end, because it goes into PATH and scripts"
        )
    return whole


def default(folder: str, *, removing: bool = False) -> Path:
    """
    The prefix of a user who names none.

    Args:
        folder: It, with a ~.
        removing: Nothing will be created there.

    Raises:
        ShimError: There is no home folder, or it is somebody else's: `su` and `sudo -E` keep HOME, and what is made in
            there would be root's.
    """
    home = os.environ.get("HOME", "")
    if not home:
        raise ShimError("HOME is not set; say where to install with --prefix DIR")
    try:
        is_own = os.stat(home).st_uid == os.geteuid()
    except OSError:
        is_own = True  # it is missing, and whether it can be made is seen later
    if not is_own and not removing:
        raise ShimError(
            f"the home folder {home} is not yours; install as its user, or say where with --prefix DIR "
            "(nothing was installed)"
        )
    return checked(os.path.expanduser(folder))


def nearest(path: Path) -> Path:
    """The path, or the first folder above it that exists."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def refuse_unwritable(prefix: Path) -> None:
    """ShimError where nothing can be created at the prefix, so that nobody waits for an environment first."""
    there = nearest(prefix)
    if not there.is_dir():
        raise ShimError(f"{there} is no folder; choose another --prefix DIR (nothing was installed)")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ShimError(f"{there} cannot be written; choose another --prefix DIR (nothing was installed)")


def as_nobody(act: Callable[[], None]) -> bool | None:
    """Whether a user who is nobody can do something that raises OSError otherwise; None where that cannot be tried."""
    child = os.fork()
    if child == 0:
        status = UNKNOWN
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            status = 1
            os.chdir("/")
            act()
            status = 0
        except OSError:
            pass
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if code == UNKNOWN else code == 0


def is_for_others(prefix: Path) -> bool:
    """Whether others are to use this installation: it is root's, outside of root's home, and they can go there."""
    if os.geteuid() != 0 or str(prefix).startswith(os.environ.get("HOME", "/nowhere") + "/"):
        return False
    there = nearest(prefix)
    return as_nobody(lambda: os.stat(f"{there}/.") and None) is True


def usable_by_others(python: str, code: str) -> bool:
    """Whether others can run this code with this Python; also where that cannot be tried."""

    def run() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        os.execv(python, [python, "-I", "-c", code])

    return as_nobody(run) is not False


def refuse_private_python(prefix: Path, python: str) -> None:
    """ShimError where others are to use the prefix, and cannot run this Python."""
    if is_for_others(prefix) and not usable_by_others(python, "import encodings, venv"):
        raise ShimError(
            f"{python} cannot be run by other users, who could not use {prefix} then; choose a Python that everybody "
            "can read with --python PATH (nothing was installed)"
        )


@contextmanager
def locked(prefix: Path) -> Iterator[None]:
    """
    Hold a prefix for one installation at a time; it is made where it is missing, and goes again if it stays empty.

    The lock is on the folder itself, so it leaves no file. File systems that lock no folders (NFS) go without.

    Raises:
        ShimError: Another installation does not end.
        OSError: The prefix cannot be made.
    """
    made = [folder for folder in (prefix, *prefix.parents) if not os.path.lexists(folder)]
    folder = None
    try:
        folder = lock(prefix)
        yield
    finally:
        remove_folders(made)
        if folder is not None:
            os.close(folder)


def lock(prefix: Path) -> int:
    """A descriptor of the prefix that holds its lock; see `locked`."""
    deadline = time.monotonic() + PATIENCE
    told = False
    while True:
        prefix.mkdir(parents=True, exist_ok=True)
        folder = os.open(prefix, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            if time.monotonic() > deadline:
                raise ShimError(f"another installation into {prefix} does not end; nothing was changed") from None
            if not told:
                print(f"waiting for another installation into {prefix}", file=sys.stderr, flush=True)
            told = True
            time.sleep(0.1)
            continue
        except OSError:
            pass
        if is_still(prefix, folder):
            return folder
        os.close(folder)  # whoever held it has removed the prefix


def is_still(path: Path, folder: int) -> bool:
    """Whether an open folder is what has this path now."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(folder))
    except FileNotFoundError:
        return False


def remove_folders(folders: Sequence[Path]) -> None:
    """Remove those that are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            pass
