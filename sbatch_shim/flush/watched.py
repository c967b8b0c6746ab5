"""
A command of a keeper's, of which no stopped process holds it up for ever.

Whoever stops one (a debugger, an administrator's kill -STOP by pattern) may never let it go on. A flush, and the sbatch
that it has started, may be killed at any point: the next flush settles what they have done.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress

from sbatch_shim.spool import read

# How long a process may have been stopped, in seconds, and between two looks.
STOPPED_SECONDS = 5.0
LOOK_SECONDS = 1.0


def descendants(pid: int) -> list[int]:
    """A process and all that come from it; what has ended meanwhile is left out."""
    found = [pid]
    for one in found:
        try:
            threads = os.listdir(f"/proc/{one}/task")
            for thread in threads:
                found += map(int, read(b"/proc/%d/task/%d/children" % (one, int(thread))).split())
        except (OSError, ValueError):
            continue
    return found


def stopped(pid: int) -> bool:
    """Whether a process is stopped: it does nothing until somebody lets it go on."""
    try:
        # The name may hold blanks and brackets.
        return read(b"/proc/%d/stat" % pid).rpartition(b") ")[2][:1] == b"T"
    except OSError:
        return False


def run(words: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command and take its stdout; what of it stays stopped is killed."""
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    since: dict[int, float] = {}
    while True:
        try:
            out, _ = child.communicate(timeout=LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            since = {one: since.get(one, now) for one in descendants(child.pid) if stopped(one)}
            for one, begun in since.items():
                if now - begun >= STOPPED_SECONDS:
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)
        else:
            return subprocess.CompletedProcess(words, child.returncode, out)
