"""sarray run: a pipeline with the shims, then a flush of what it left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout

from sbatch_shim.companions.context import Context
from sbatch_shim.errors import ShimError
from sbatch_shim.flush import cli
from sbatch_shim.spool import session_name
from sbatch_shim.state.calls import waiting_sessions
from sbatch_shim.verbs.listen import shims_folder


def run_command(context: Context, mode: str, session: str | None, command: list[str]) -> int:
    """
    Run a command in which sbatch queues, then submit what is left.

    Args:
        session: Its name; None for a new one.

    Returns:
        The command's exit status, or 128 and the signal that ended it; the flush's where the command ended well.
    """
    host = os.uname().nodename
    name = session_name({b"SARRAY_SESSION": os.fsencode(session or f"run.{host}.{os.getpid()}.{int(time.time())}")})
    shims = str(shims_folder())
    path = os.pathsep.join([shims, os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "SARRAY_MODE": mode, "SARRAY_SESSION": os.fsdecode(name)}
    try:
        status = wait_for(command, environment, context.umask)
    except OSError as error:
        raise ShimError(f"{command[0]} cannot be run: {error.strerror}; nothing was queued") from None
    status = status if status >= 0 else 128 - status
    if not any(os.fsencode(held.name) == name for held in waiting_sessions(context.state)):
        return status
    # The pipeline's stdout is its own.
    with redirect_stdout(sys.stderr):
        flushed = cli.run(["--session", os.fsdecode(name), "--feed"])
    return status or flushed


def wait_for(command: list[str], environment: dict[str, str], umask: int) -> int:
    """
    Run a command, whose signals are its own; returns its status as subprocess has it.

    Raises OSError where it cannot be run.
    """
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []  # while it was being started

    def pass_on(number: int, _: object) -> None:
        # The terminal sends its signals to the pipeline too, which decides what they mean; the flush comes after it.
        if number in (signal.SIGTERM, signal.SIGHUP):
            early.append(number)
            for process in started:
                process.send_signal(early.pop())

    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    # One that is ignored stays so, here and in the pipeline.
    handled = [one for one in numbers if signal.getsignal(one) != signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in handled}
    try:
        started.append(subprocess.Popen(command, env=environment, umask=umask))
        while early:
            started[0].send_signal(early.pop())
        return started[0].wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
