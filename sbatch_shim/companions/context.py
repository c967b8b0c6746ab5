"""What every companion works with: its command line, its environment, the real commands and the tickets."""

from __future__ import annotations

import os
import sys
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGPIPE,
    SIGXFSZ,
    signal,
)

from sbatch_shim.companions import real
from sbatch_shim.spool import Session, mode_of, session_name, session_of, ticket_numbers
from sbatch_shim.state.ids import JobId, is_number, split_ids
from sbatch_shim.state.journal import Origin
from sbatch_shim.state.lazy import re
from sbatch_shim.state.plain import cached_property, dataclass
from sbatch_shim.state.tickets import Tickets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sbatch_shim.companions.this_job import OwnJob

# Those that become jobs or steps, and are executed as they are but for the ids among their options.
LAUNCHERS = ("srun", "salloc")
# What isspace(3) takes for a blank.
BLANKS = " \t\n\r\f\v"
# How often a session's live mark is looked after (housekeeping.py).
LIVE_SECONDS = 60
# Those that know jobs by their numbers only.
BY_NUMBER = ("sattach", "sbcast", "sprio", "sstat", "strigger")
COMPANIONS = ("squeue", "scancel", "sacct", "scontrol", *LAUNCHERS, *BY_NUMBER)


@dataclass
class Answer:
    """What a real command said."""

    status: int
    out: bytes
    err: bytes

    def rows(self, separator: str, fields: int) -> list[list[str]]:
        """
        The lines of stdout as fields, the last of which may hold the separator.

        Only a line end ends a line: names and paths may hold whatever else str.splitlines() takes for one. What is no
        whole row, as in somebody's job name with a line end, is left out.
        """
        lines = self.out.decode(errors="surrogateescape").split("\n")
        found = (line.split(separator, fields - 1) for line in lines)
        return [row for row in found if len(row) == fields]


class Context:
    """
    One call of a companion command.

    Attributes:
        command: Its name.
        real: Path of the real command; empty when there is none.
        state: The state folder.
        words: The words after the command's name.
        environment: As the kernel holds it.
        umask: The caller's; ours is 077, for what we write into the state folder.
    """

    def __init__(
        self, command: str, real: str, state: bytes, words: list[str], environment: dict[bytes, bytes], umask: int
    ) -> None:
        self.command = command
        self.real = real
        self.state = state
        self.words = words
        self.environment = environment
        self.umask = umask
        # sacct tells of jobs long gone; the others of what is live.
        self.everything = command == "sacct"
        # Whether the caller ignores SIGCHLD, as the command that we become should then.
        self.ignores_children = False
        # What clusters.has was told of jobs by squeue, by id: empty for one that is not listed.
        self.commands: dict[int, str] = {}
        # What act.own_job found, by raw id.
        self.own_jobs: dict[str, OwnJob | None] = {}

    def variable(self, name: str) -> str | None:
        value = self.environment.get(os.fsencode(name))
        if value is None:
            return None
        return os.fsdecode(value)

    @cached_property
    def tickets(self) -> Tickets:
        asked = {found.job for _, found in self.named() if found is not None}
        return Tickets(self.state, everything=self.everything, is_here=self.is_here, asked=asked)

    @cached_property
    def mode(self) -> bytes:
        """What the caller's sbatch does with calls; empty for pass mode."""
        return mode_of(self.environment, self.state)

    def session(self) -> Session:
        """The one that the caller's calls are queued in; SpoolError for a name that cannot be one."""
        return Session(self.state, session_name({**self.environment, b"SARRAY_MODE": self.mode}))

    @cached_property
    def user(self) -> str:
        """The name of the user."""
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name

    def is_user(self, word: str) -> bool:
        """Whether squeue and sacct read a word as the user: the name, or the number as strtol(3) reads it."""
        if is_number(word.lstrip(BLANKS).removeprefix("+")):
            return int(word) == os.getuid()
        return word == self.user

    @cached_property
    def default_partition(self) -> str:
        """Where Slurm puts a job that names no partition."""
        words = self.run("sinfo", ["-h", "-o", "%P"]).out.decode(errors="replace").split()
        return next((word[:-1] for word in words if word.endswith("*")), "(null)")

    @cached_property
    def cluster(self) -> str:
        """The name of this cluster; empty where Slurm does not answer."""
        found = re.search(rb"^ClusterName *= (.*)$", self.run("scontrol", ["show", "config"]).out, re.M)
        if not found:
            return ""
        return found[1].decode(errors="surrogateescape")

    @cached_property
    def clusters(self) -> tuple[str, ...]:
        """What this cluster is called, by slurm.conf where that tells; see `is_here`."""
        from sbatch_shim import clustername

        return tuple(filter(None, (clustername.here(self.environment, os.fsencode(self.real)),)))

    def is_here(self, origin: Origin) -> bool:
        """
        Whether a submission went to this cluster, or to one that is not known.

        The controller is asked only where slurm.conf does not tell that it did.
        """
        if not origin.is_of(self.clusters) and self.cluster:
            self.clusters = tuple(dict.fromkeys((*self.clusters, self.cluster)))
        return origin.is_of(self.clusters)

    @cached_property
    def version(self) -> tuple[int, int]:
        """Of the real commands; the controller's is this one or newer."""
        from sbatch_shim.companions.slurm_version import remembered

        def ask() -> bytes:
            return self.run(self.command, ["--version"]).out

        return remembered(self.state, self.real, ask, may_write=may_write(self.state))

    def tool(self, name: str) -> str:
        """The real command of this name: beside ours, else on PATH."""
        if name == self.command:
            return self.real
        near = os.path.join(os.path.dirname(self.real), name)
        if os.access(near, os.X_OK):
            return near
        from sbatch_shim.flush.backends.sbatch import beside

        return beside(self.real, name, self.variable("PATH") or os.defpath)

    def unfiltered(self) -> dict[str, str | None]:
        """For `run`: without what the user has set for squeue, which would narrow what it tells us."""
        return {os.fsdecode(name): None for name in self.environment if name.startswith(b"SQUEUE_")}

    def run(self, name: str, words: Sequence[str], **variables: str | None) -> Answer:
        """
        Run a real command, with other variables (None: without them), and take what it says.

        It asks this cluster, if no option says otherwise (see clusters.py).
        """
        environment = {key: value for key, value in self.environment.items() if key != b"SLURM_CLUSTERS"}
        for key, value in variables.items():
            environment.pop(os.fsencode(key), None)
            if value is not None:
                environment[os.fsencode(key)] = os.fsencode(value)
        try:
            return Answer(*real.run(self.tool(name), [name, *words], environment, self.umask))
        except FileNotFoundError:
            return Answer(127, b"", b"there is no %s on PATH\n" % os.fsencode(name))

    def become(self, words: Sequence[str]) -> int:
        """Be the real command from here on."""
        if not self.real:
            say(f"{self.command}: error: no other {self.command} on PATH")
            return 127
        sys.stdout.flush()
        # Python ignores these two, and exec would pass that on.
        signal(SIGPIPE, SIG_DFL)
        signal(SIGXFSZ, SIG_DFL)
        signal(SIGCHLD, SIG_IGN if self.ignores_children else SIG_DFL)
        os.umask(self.umask)
        os.execve(self.real, [self.command, *words], self.environment)

    def named(self) -> Iterator[tuple[str, JobId | None]]:
        """What may be an id in our words, each with what it names as a ticket."""
        for word in self.words:
            for part in split_ids(word.replace("=", ",").replace(":", ",").replace(" ", ",")):
                yield part, JobId.of_ticket(part)

    def names_tickets(self) -> bool:
        """Whether a word names a ticket of our state folder."""
        return any(found and session_of(self.state, found.job) is not None for _, found in self.named())

    @property
    def only_asks(self) -> bool:
        """Whether our words change nothing."""
        if self.command == "scontrol":
            words = [word for word in self.words if not word.startswith("-")]
            return not words or "show".startswith(words[0].lower())
        return self.command in ("squeue", "sacct", "sprio", "sstat")

    def must_not_be_theirs(self) -> bool:
        """
        Whether the real command would take our words for something else.

        What may be a ticket is a job that has gone to it; and the job that we run in may have the id of an array, which
        matters to what acts.
        """
        if any(ticket_numbers(os.fsencode(word)) for word in self.words):
            return True
        own = self.variable("SLURM_JOB_ID")
        return not self.only_asks and any(part == own for part, _ in self.named())

    def looks_elsewhere(self) -> bool:
        """Whether a word names a ticket of another state folder, or the job that we run in."""
        return any(
            part == self.variable("SLURM_JOB_ID") or (found and session_of(self.state, found.job) is None)
            for part, found in self.named()
        )


def listable(jobs: Iterable[int | str]) -> str:
    """The value of squeue's -j for jobs that may be gone: a single one would be an error, so it stands twice."""
    words = [*dict.fromkeys(map(str, jobs))]
    if len(words) == 1:
        words *= 2
    return ",".join(words)


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


class Told:
    """Whether anything has been written to stdout: then no other command can give the answer any more."""

    anything = False


def write(data: bytes) -> None:
    """To stdout as the real commands: they die of a reader that has gone, and do not mind a full disk."""
    Told.anything = Told.anything or bool(data)
    sys.stderr.flush()
    sys.stdout.flush()
    before = signal(SIGPIPE, SIG_DFL)
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        pass
    signal(SIGPIPE, before)


def may_write(state: bytes) -> bool:
    """Whether what is kept in a state folder is ours to change: root may, but must not."""
    try:
        return os.stat(state).st_uid == os.geteuid()
    except OSError:
        return True  # there is nothing to change
