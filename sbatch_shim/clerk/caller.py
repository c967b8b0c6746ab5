"""
A call that another process makes, read from /proc: byte for byte what that process would have read itself.

The launcher's process is the call: its words and its environment are what the kernel was given when it was executed.
It waits for the answer meanwhile with the FIFO for it open. It closes that before it does anything else, so whatever
was read while the FIFO was seen open, before and after, is the call's.
"""

import posix
import resource

from sbatch_shim import request
from sbatch_shim.errors import HandOver
from sbatch_shim.shim import Caller
from sbatch_shim.spool import close, read

# What lets a process do more or less than another, by /proc/PID/status.
RIGHTS = (b"Uid:", b"Gid:", b"Groups:", b"CapEff:")
# Where paths, hosts and users may have another meaning.
SPACES = (b"ns/mnt", b"ns/uts", b"ns/user", b"root")


class Declined(Exception):
    """The call must go the ordinary way."""


class Gone(Exception):
    """Nobody waits for the answer any more."""


class Dead(Gone):
    """Nor will that process ever do anything again."""


def rights(status: bytes) -> "list[bytes]":
    return [line for line in status.splitlines() if line.startswith(RIGHTS)]


def place(folder: int) -> "list[tuple[int, int]]":
    """What tells a process's namespaces and its root folder."""
    found = [posix.stat(name, dir_fd=folder) for name in SPACES]
    return [(one.st_dev, one.st_ino) for one in found]


class Elsewhere(Caller):
    """
    The process of a launcher that waits. Raises Gone when it waits no more.

    Attributes:
        pid: Its number.
        words: Its arguments.
        entries: Its environment, as it would have reached the real sbatch.
    """

    def __init__(self, pid: int, descriptor: int, reply: "tuple[int, int]", count: int, real: bytes) -> None:
        """
        Args:
            descriptor: Of the FIFO for the answer, in that process.
            reply: Device and inode of that FIFO.
            count: How many words stand behind `sbatch`.
            real: The real sbatch that it found; empty where there is none.
        """
        self.pid = pid
        self.descriptor, self.reply = descriptor, reply
        try:
            # Names this process and no later one with its number.
            self.proc = posix.open(b"/proc/%d" % pid, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        except FileNotFoundError:
            raise Dead from None
        try:
            self.check()
            self.status = read(b"status", self.proc)
            all_words = read(b"cmdline", self.proc).split(b"\0")[:-1]
            if len(all_words) < count + 2:
                raise Declined("words that cannot be told")
            at = len(all_words) - count
            self.words = all_words[at:]
            self.entries = read(b"environ", self.proc).split(b"\0")[:-1]
            if real:
                # As the launcher does: $_ holds the path that the caller's shell ran.
                own = b"_=" + all_words[at - 1]
                self.entries = [b"_=" + real if entry == own else entry for entry in self.entries]
        except BaseException:
            close(self.proc)
            raise

    def check(self) -> None:
        """Raise Gone unless it still waits."""
        try:
            found = posix.stat(b"fd/%d" % self.descriptor, dir_fd=self.proc)
        except OSError:
            raise Gone from None
        if (found.st_dev, found.st_ino) != self.reply:
            raise Gone

    def close(self) -> None:
        close(self.proc)

    def enter(self) -> None:
        """Make its working directory ours."""
        try:
            folder = posix.open(b"cwd", posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC, dir_fd=self.proc)
            try:
                posix.fchdir(folder)
            finally:
                close(folder)
        except OSError:
            raise Declined("a folder that cannot be entered") from None

    def started(self) -> "list[bytes]":
        """The fields of /proc/PID/stat behind the name, which may hold blanks and brackets."""
        return read(b"stat", self.proc).rpartition(b") ")[2].split()

    def group(self) -> int:
        for line in self.status.splitlines():
            if line[:4] == b"Gid:":
                real, effective = line.split()[1:3]
                if real != effective:
                    raise HandOver("a real group other than the effective one")
                return int(real)
        raise Declined("no group is told")

    def umask(self) -> int:
        for line in self.status.splitlines():
            if line[:6] == b"Umask:":
                return int(line.split()[1], 8)
        raise Declined("no umask is told")

    def nice(self) -> int:
        return int(self.started()[16])

    def soft_limit(self, number: int) -> int:
        return resource.prlimit(self.pid, number)[0]


class FromCaller(request.Piped):
    """
    A script that a launcher has at its stdin. What is read here stays there: the launcher takes it, once it is queued.

    Attributes:
        taken: There was one.
    """

    __slots__ = ("caller", "taken")

    def __init__(self, caller: Elsewhere) -> None:
        super().__init__()
        self.caller = caller
        self.taken = False

    def take(self, descriptor: int) -> bytes:
        if descriptor != 0:
            raise Declined("a script from another pipe")
        told = dict([line.partition(b":\t")[::2] for line in read(b"fdinfo/0", self.caller.proc).splitlines()])
        at, flags = int(told[b"pos"]), int(told[b"flags"], 8)
        found = posix.stat(b"fd/0", dir_fd=self.caller.proc)
        if found.st_mode & 0o170000 != 0o100000 or flags & posix.O_ACCMODE == posix.O_WRONLY:
            raise Declined("a stdin that is no file")
        own = posix.open(b"fd/0", posix.O_RDONLY | posix.O_CLOEXEC, dir_fd=self.caller.proc)
        try:
            posix.lseek(own, at, 0)
            self.script = request.read_all(own)
        finally:
            close(own)
        self.taken = True
        return self.script
