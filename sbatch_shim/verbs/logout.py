"""The end of a login whose calls are still queued, as logout.sh runs it."""

from __future__ import annotations

import os

from sbatch_shim.spool import open_state, session_name
from sbatch_shim.state.paths import state_folder
from sbatch_shim.verbs.leave import leave
from sbatch_shim.verbs.sarray import context_of, main


def offer(_words: list[str], umask: int) -> int:
    """Ask what becomes of the calls of this process's login session."""
    state = os.fsencode(state_folder())
    open_state(state)
    return leave(context_of(state, umask), session_name({}))


if __name__ == "__main__":
    main(offer)
