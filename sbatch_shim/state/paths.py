"""Where things are, for everything that is not on the hot path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
TEMPLATES = PACKAGE / "templates"


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


def prefix() -> Path:
    """Where install.sh put the version that runs: its virtual environment is PREFIX/venvs/VERSION."""
    return Path(sys.prefix).parent.parent
