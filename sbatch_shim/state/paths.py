"""Where things are, for everything that is not on the hot path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
TEMPLATES = PACKAGE / "templates"
DEFAULT_PREFIX = "~/.local/share/sbatch-shim"
# What is installed in a prefix, and what was written outside of it (see setup/outside.py).
MANIFEST = "installed.json"


def state_folder() -> str:
    """`$SARRAY_STATE_DIR`, else the user's state folder (a test holds that the launcher agrees)."""
    given = os.environ.get("SARRAY_STATE_DIR")
    if given:
        return given
    import platformdirs

    folder = platformdirs.user_state_dir("sarray")
    # Older versions of platformdirs take a relative $XDG_STATE_HOME, which does not count.
    if os.path.isabs(folder):
        return folder
    return os.path.expanduser("~/.local/state/sarray")


def installed_in() -> Path | None:
    """The prefix that this process runs from, as PREFIX/venvs/VERSION; None in another environment (pip, pipx)."""
    folder, own = Path(sys.prefix).parent, Path(sys.prefix).parent.parent
    # pipx has a folder venvs too.
    return own if folder.name == "venvs" and (own / MANIFEST).is_file() else None


def prefix() -> Path:
    """
    Where the shims are, or would be.

    An environment that only has this package, of pip, pipx or conda, finds those on PATH, else in the default place.
    """
    own = installed_in()
    if own is not None:
        return own
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        shims = Path(folder)
        if shims.is_absolute() and shims.name == "shims" and (shims.parent / MANIFEST).is_file():
            return shims.parent
    return Path(os.path.expanduser(DEFAULT_PREFIX))


def without_shims() -> str:
    """What to do where there are no shims, as after a bare `pip install`; empty where there are some."""
    if (prefix() / "shims" / "sbatch").is_file():
        return ""
    return "the shims are not installed; `sarray install` installs them"
