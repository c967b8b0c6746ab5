"""A terminal at which a test types, and what stands on it."""

from __future__ import annotations

import fcntl
import os
import pty
import pwd
import re
import select
import struct
import subprocess
import termios
import time
from types import TracebackType

from support.person import USER, Person

# Colours, cursor moves, titles: what a reader does not see.
ESCAPES = re.compile(
    r"\x1b\[[0-9;?=>]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>]|[\x0e\x0f]"
)


class Terminal:
    """
    A command on a terminal of its own, as `person`.

    Attributes:
        raw: All that it has written.
    """

    def __init__(self, person: Person, *words: str, columns: int = 100, rows: int = 40, **more: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        extra: dict[str, object] = {}
        if USER and os.geteuid() == 0:
            entry = pwd.getpwnam(USER)
            os.fchown(slave, entry.pw_uid, entry.pw_gid)
            extra = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        if "fish" in words:
            # Where this is missing, fish goes through all manual pages in the background, and outlives the test.
            (person.home / ".local/share/fish/generated_completions").mkdir(parents=True, exist_ok=True)
            person.own(person.home / ".local")
        self.process = subprocess.Popen(  # type: ignore[call-overload]
            ["setsid", "--ctty", *words],
            cwd=person.home,
            env=person.environment(TERM="xterm", **more),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            **extra,
        )
        os.close(slave)
        self.raw = ""
        self.seen = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    @property
    def text(self) -> str:
        """What was written, without escapes; what is written over a line stands on the next."""
        return re.sub("\r+\n?", "\n", ESCAPES.sub("", self.raw))

    def read(self, seconds: float) -> bool:
        """Take what comes within this time; False when nothing will come any more."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has the other end
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern: str, seconds: float = 300) -> re.Match[str]:
        """Wait until this is written, behind what was waited for before."""
        deadline = time.monotonic() + seconds
        going = True
        while True:
            found = re.compile(pattern, re.M).search(self.text, self.seen)
            if found:
                self.seen = found.end()
                return found
            assert going and time.monotonic() < deadline, f"{pattern!r} did not come:\n{self.text}"
            going = self.read(0.2)

    def type(self, line: str) -> None:
        os.write(self.master, line.encode())

    def ended(self, seconds: float = 300) -> int:
        """Wait for the end; the exit status."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on:\n{self.text}"
            self.read(0.2)
        while select.select([self.master], [], [], 0)[0] and self.read(0):
            pass
        status: int = self.process.returncode
        return status
