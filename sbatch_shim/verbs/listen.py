"""sarray listen: a shell with a session of its own, in which sbatch queues."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from sbatch_shim.companions.context import Context
from sbatch_shim.errors import ShimError
from sbatch_shim.state.paths import TEMPLATES, prefix, without_shims
from sbatch_shim.verbs.leave import leave
from sbatch_shim.verbs.words import SHELLS


def shims_folder() -> Path:
    """Where the shims are; ShimError where there are none."""
    missing = without_shims()
    if missing:
        raise ShimError(missing)
    return prefix() / "shims"


def listen(context: Context, shell: str | None) -> int:
    """Run the shell; returns 0, or 1 when calls stay queued."""
    if shell is None:
        shell = os.path.basename(os.environ.get("SHELL", ""))
        shell = shell if shell in SHELLS else "bash"
    path = os.pathsep.join([str(shims_folder()), *(os.environ.get("PATH", os.defpath)).split(os.pathsep)])
    session = f"listen.{os.getpid()}.{int(time.time())}"
    with tempfile.TemporaryDirectory(prefix="sarray-") as folder:
        environment = {
            **os.environ,
            "SARRAY_MODE": "queue",
            "SARRAY_SESSION": session,
            "SARRAY_LISTEN": folder,
            "SARRAY_LISTEN_PATH": path,
        }
        if shell == "zsh":
            for name in ("zshenv", "zshrc"):
                shutil.copy(TEMPLATES / f"listen.{name}", Path(folder) / f".{name}")
            environment.update(SARRAY_ZDOTDIR=os.environ.get("ZDOTDIR", ""), ZDOTDIR=folder)
            words = ["zsh", "-i"]
        elif shell == "fish":
            words = ["fish", "-i", "-C", f"source {shlex.quote(str(TEMPLATES / 'listen.fish'))}"]
        else:
            words = ["bash", "--rcfile", str(TEMPLATES / "listen.bash"), "-i"]
        if shutil.which(shell) is None:
            raise ShimError(f"there is no {shell} here; say which shell with --shell")
        print(f"sbatch queues here, in session {session}")
        print("sarray submit submits, sarray cancel drops; both leave this shell", flush=True)
        subprocess.call(words, env=environment, umask=context.umask)
    return leave(context, os.fsencode(session))
