"""A clerk of the tests' own: started when they want one, stopped or killed at any of its steps, gone at the end."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from pathlib import Path

from support.faults import wait_for
from support.person import USER, Person

# Runs a clerk that gets a signal before or after the N-th of its calls of some functions of the system.
STEPPED = """
import posix, sys
names, wanted, number, when = sys.argv[2].split(","), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
steps = 0
def stepping(name, function):
    def call(*words, **more):
        global steps
        steps += 1
        hit = steps == wanted
        if hit:
            with open(sys.argv[6] + "/hit", "w") as stream:
                traceback.print_stack(file=stream)
        if hit and when == "before":
            kill(posix.getpid(), number)
        found = function(*words, **more)
        if hit and when == "after":
            kill(posix.getpid(), number)
        return found
    return call
kill = posix.kill
import fcntl
import traceback
for module in (posix, fcntl):
    for name in names:
        if hasattr(module, name):
            setattr(module, name, stepping(name, getattr(module, name)))
from sbatch_shim.clerk import clerk
def reading(path, folder=None):
    if path == b"/proc/self/cmdline":
        return b"-\\0" + sys.argv[1].encode() + b"\\0"
    return read(path, folder)
read = clerk.read
clerk.read = reading
sys.exit(clerk.main())
"""


class Clerk:
    """
    A clerk of a person's session.

    Args:
        steps: To be hit by a signal: the functions, which of their calls, the signal, "before" or "after" it.
    """

    def __init__(self, person: Person, session: str = "test", *steps: str, wait: bool = True, **more: str) -> None:
        self.person = person
        env = person.environment(**{"SARRAY_LINGER": "600", **more})
        self.folder = Path(env["SARRAY_STATE_DIR"]) / "sessions" / session
        (python,) = person.prefix.glob("venvs/*/bin/python")
        words = [str(python), "-I", "-m", "sbatch_shim.clerk.clerk", session]
        if steps:
            words = [str(python), "-I", "-c", STEPPED, session, *steps, str(person.home)]
        identity: dict[str, object] = {}
        if USER and os.geteuid() == 0:
            entry = pwd.getpwnam(USER)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.process = subprocess.Popen(  # type: ignore[call-overload]
            words, cwd="/", env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, **identity,
        )  # fmt: skip
        if wait:
            wait_for(self.ready)

    def ready(self) -> bool:
        """Whether it takes calls, or has ended or stopped before that."""
        if self.process.poll() is not None or self.stopped():
            return True
        try:
            return (self.folder / "clerk").read_text().startswith(f"{self.process.pid} ")
        except OSError:
            return False

    def stopped(self) -> bool:
        try:
            return ") T " in Path(f"/proc/{self.process.pid}/stat").read_text()
        except OSError:
            return False

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        wait_for(self.stopped)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def served(self, told: bytes) -> bool:
        """Whether it, or one before it, has told this."""
        return any(
            b" -%s\n" % told.strip() in path.read_bytes() or b" s%s\n" % told.strip() in path.read_bytes()
            for path in self.folder.glob("clerks/*/ledger")
        )

    def __enter__(self) -> Clerk:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
