"""The queue, read back: records become calls, and sessions tell what they hold."""

from __future__ import annotations

import os
import time

from sbatch_shim import request
from sbatch_shim.errors import HandOver, ShimError
from sbatch_shim.record import FIELDS, TAIL_BYTES, decode, digest, frames, netstring
from sbatch_shim.spool import QUEUE_HEAD, Session, read, session_of
from sbatch_shim.state.dropped import dropped, without_met
from sbatch_shim.state.events import Event, Submitting
from sbatch_shim.state.folders import claimed
from sbatch_shim.state.journal import Journal, flush_folders, open_folders
from sbatch_shim.state.plain import cached_property, dataclass, field
from sbatch_shim.values import MAX_TEXT, indices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sbatch_shim.state.briefs import Briefs


# So many different calls are remembered, in case that others are like them.
MOST_KINDS = 64
# Of a shorter queue file, in bytes, nothing is remembered from one listing to the next.
WORTH_REMEMBERING = 1 << 18


@dataclass(frozen=True)
class Environment:
    """
    An environment as a base that many calls share, and what one call has otherwise.

    Attributes:
        base: Name to value; shared, never modified.
        removed: Names of the base that this call does not have.
        changed: Names that this call has beyond the base, or with another value.
    """

    base: dict[bytes, bytes]
    removed: frozenset[bytes]
    changed: dict[bytes, bytes]

    def get(self, name: bytes) -> bytes | None:
        """The value of a variable, or None."""
        if name in self.changed:
            return self.changed[name]
        if name in self.removed:
            return None
        return self.base.get(name)

    def whole(self) -> dict[bytes, bytes]:
        """All variables."""
        kept = {name: value for name, value in self.base.items() if name not in self.removed}
        kept.update(self.changed)
        return kept


@dataclass
class Call:
    """
    One queued sbatch invocation.

    Attributes:
        ticket: The id that its caller was told.
        time: When it was made, seconds since the epoch.
        sbatch: The real sbatch that it would have run; empty when there was none.
        umask: Octal, as text.
        limits: Soft limits, name to value, -1 for none.
        source: request.FILE, STDIN or WRAP.
        script: Path as sbatch resolved it; empty unless source is FILE.
        body_hash: Names the body among the session's blobs.
        group: Id of the group it was made as; None in records of version 0.1.0.
        exports_nil: It has `--export=NIL`, and a Slurm to which that means neither variables nor a login environment.
        cluster: Which its sbatch would have submitted to; empty where no slurm.conf told.
        options, arguments: See request.Request. Calls that are alike share these, so they are never modified.
    """

    ticket: int
    session: Session
    time: int
    host: bytes
    sbatch: bytes
    cwd: bytes
    umask: bytes
    nice: int
    limits: bytes
    source: bytes
    script: bytes
    body_hash: bytes
    environment: Environment
    words: Sequence[bytes]
    options: Mapping[str, bytes | None]
    arguments: Sequence[bytes]
    group: int | None = None
    exports_nil: bool = False
    cluster: str = ""

    def made_again(self, ticket: int, time: int) -> Call:
        """Another call that is like this one in all else."""
        made = object.__new__(Call)
        made.__dict__ = {**self.__dict__, "ticket": ticket, "time": time}
        return made

    @cached_property
    def tasks(self) -> list[int]:
        """The local ids of an array call; empty for a plain one."""
        spec = self.options.get("array")
        if spec is None:
            return []
        return indices(spec)[0]

    @property
    def is_array(self) -> bool:
        return "array" in self.options

    @property
    def throttle(self) -> int:
        """The call's own limit of tasks at a time, 0 for none."""
        spec = self.options.get("array")
        if spec is None:
            return 0
        return indices(spec)[1]

    def body(self) -> bytes:
        """The script as the job will run it."""
        return self.session.blob(self.body_hash)

    @property
    def name(self) -> bytes | None:
        """The job's name by sbatch's rules; None for a script from stdin without one."""
        given = self.options.get("job-name")
        if given is not None:
            return given
        if self.source == request.WRAP:
            return b"wrap"
        if self.source != request.FILE:
            return None
        return os.path.basename(self.script)

    @property
    def shown_name(self) -> str:
        """The name as Slurm shows it."""
        return shown_name(self.name)

    @property
    def comment(self) -> bytes:
        """The value of `--comment`; empty without one."""
        return self.options.get("comment") or b""

    @property
    def shown_script(self) -> str:
        """The script as Slurm shows it: the path where sbatch's search found it, else the word itself; or (null)."""
        if self.source != request.FILE:
            return "(null)"
        word = self.words[-1 - len(self.arguments)]
        return os.fsdecode(self.script if self.script == word else os.path.join(self.cwd, self.script))

    @property
    def folder(self) -> bytes:
        """Where the job starts and relative logs go: `--chdir` made absolute, else the caller's folder."""
        chdir = self.options.get("chdir")
        if chdir is None:
            return self.cwd
        return os.path.join(self.cwd, chdir)


@dataclass
class Shared:
    """
    What many records have in common, for `build`.

    Attributes:
        bases: Environments, by hash.
        inputs: Of each of them, what sbatch reads as options.
        directives: By the script's hash, and whether #PBS lines count.
        intact: Blobs that are as they were written.
        common: See record.decode.
        like: A call of the session that this is for, by its record without the time.
    """

    bases: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)
    inputs: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)
    directives: dict[tuple[bytes, bool], list[tuple[str, bytes | None]]] = field(default_factory=dict)
    intact: set[bytes] = field(default_factory=set)
    common: tuple[bytes, list[bytes]] = (b"", [])
    like: dict[bytes, Call] = field(default_factory=dict)


def shown_name(name: bytes | None) -> str:
    """The name of a call as Slurm shows it."""
    return os.fsdecode(name or b"sbatch")


def comment_of_all(calls: list[Call]) -> bytes:
    """
    What Slurm is told as the comment of an array of these calls, in its order; empty for none.

    The one that all have, or the first one and how many other comments there are ("none" is one of them).
    """
    comments = list(dict.fromkeys(call.comment for call in calls))
    first = next((comment for comment in comments if comment), b"")
    told = first if len(comments) == 1 else b"%s+%d" % (first, len(comments) - 1)
    if len(told) < MAX_TEXT:
        return told
    return first


def load(session: Session, path: bytes) -> tuple[list[Call], list[str]]:
    """
    The calls in a queue file.

    Returns:
        The calls in the order of their tickets, and a sentence for each record that could not be read.
    """
    data = read(path)
    if not data.startswith(QUEUE_HEAD):
        return [], [f"{os.fsdecode(path)} is not a queue of this version; it was left alone"]
    found, damaged = records(data)
    problems = [
        f"{os.fsdecode(path)} is damaged from byte {start} to {end}: the calls there cannot be read; they stay there"
        for start, end in damaged
    ]
    calls = []
    shared = Shared()
    for ticket, payload in found:
        if not payload:
            continue
        try:
            calls.append(build(session, ticket, payload, shared))
        except (ValueError, KeyError, OSError, HandOver) as error:
            problems.append(f"the record of {ticket} cannot be read ({error}); it stays in {os.fsdecode(path)}")
        except Exception as error:  # a fault of ours: the other calls go on
            from sbatch_shim.state.faults import report

            why = report(error, session.state)
            problems.append(f"the record of {ticket} cannot be read: {why}; it stays in {os.fsdecode(path)}")
    return calls, problems


def records(
    data: bytes, start: int = len(QUEUE_HEAD), before: int = 0
) -> tuple[list[tuple[int, bytes]], list[tuple[int, int]]]:
    """
    The whole records of a queue file, and where what is no record begins and ends.

    A record tells its own offset, so those behind a damaged part are found again.

    Args:
        start: Where the first one begins.
        before: So many bytes of the file stand in front of `data`.
    """
    found, end = frames(data, start, before)
    damaged = []
    while end < len(data):
        start = end
        more: list[tuple[int, bytes]] = []
        while not more and end < len(data):
            at = data.find(b"call ", end + 1)
            end = at if at >= 0 else len(data)
            more, after = frames(data, end, before)
        damaged.append((start, end))
        if more:
            found, end = found + more, after
    return found, damaged


def tickets_in(path: bytes) -> set[int]:
    """The tickets of the calls in a queue file."""
    return {ticket for ticket, payload in records(read(path))[0] if payload}


def queue_files(session: Session) -> list[bytes]:
    """The files that hold the records of a session: its queue, and what flushes have claimed."""
    return [session.queue, *(claimed(folder) for folder in flush_folders(session))]


@dataclass
class QueueFile:
    """
    A queue file, as it was when it was read.

    Attributes:
        stamp: What changes with it.
        payloads: The records of its calls, by ticket; of those whose briefs are remembered there are none. Empty ones
            where the file is none of this version.
        briefs: What is remembered of it.
        end: How many bytes it had.
        tail: The last of them; empty where it is damaged.
        seen: Its briefs, once a listing has asked for them.
    """

    stamp: tuple[int, int, int]
    payloads: dict[int, bytes]
    briefs: Briefs | None
    end: int
    tail: bytes
    seen: Briefs | None = None

    @cached_property
    def tickets(self) -> set[int]:
        """Those of its calls."""
        if self.briefs is None:
            return {*self.payloads}
        return {*self.briefs.tickets, *self.payloads}


class QueueFiles:
    """The queue files of a session, each read again only when it has changed."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.read: dict[bytes, QueueFile] = {}

    @property
    def remembered(self) -> bool:
        """Whether of a file that was read not all records are known."""
        return any(file.briefs is not None for file in self.read.values())

    def file(self, path: bytes, *, whole: bool = False) -> QueueFile:
        """
        A file; OSError where it cannot be read.

        Args:
            whole: With the records also of what is remembered.
        """
        known = self.read.get(path)
        if known is None or stamp_of(os.stat(path)) != known.stamp or (whole and known.briefs is not None):
            known = self.read[path] = self.read_file(path, whole=whole)
        return known

    def read_file(self, path: bytes, *, whole: bool) -> QueueFile:
        with open(path, "rb", 0) as stream:
            stamp = stamp_of(os.fstat(stream.fileno()))
            briefs = None
            if not whole and stamp[1] >= WORTH_REMEMBERING:
                from sbatch_shim.state.briefs import remembered

                briefs = remembered(self.session.folder, stream.fileno())
            start = 0 if briefs is None else briefs.end
            stream.seek(start)
            data = stream.readall()
        found, damaged = records(data, 0 if start else len(QUEUE_HEAD), start)
        if briefs is not None and damaged:
            return self.read_file(path, whole=True)
        readable = start > 0 or data.startswith(QUEUE_HEAD)
        payloads = {ticket: payload if readable else b"" for ticket, payload in found if payload}
        tail = b"" if damaged or not readable else data[-TAIL_BYTES:]
        return QueueFile(stamp, payloads, briefs, start + len(data), tail)

    def of_session(self) -> dict[int, bytes]:
        """The records of all calls of the session that are still there, by ticket; empty ones of unreadable files."""
        found: dict[int, bytes] = {}
        for path in queue_files(self.session):
            try:
                found.update(self.file(path, whole=True).payloads)
            except OSError:
                continue
        return found


def stamp_of(found: os.stat_result) -> tuple[int, int, int]:
    """What changes with a file."""
    return found.st_ino, found.st_size, found.st_mtime_ns


def payloads(session: Session) -> dict[int, bytes]:
    """The records of all calls of a session that are still there, by ticket."""
    return {ticket: payload for ticket, payload in QueueFiles(session).of_session().items() if payload}


def build(session: Session, ticket: int, payload: bytes, shared: Shared) -> Call:
    """A call from its record; many are like one before in all but ticket and time."""
    head, _, rest = payload.partition(b",")
    size, _, time = head.partition(b":")
    if size != b"%d" % len(time):
        raise ValueError("not a call")
    like = shared.like.get(rest)
    if like is not None:
        return like.made_again(ticket, int(time))
    call = resolved(session, ticket, payload, shared)
    if len(shared.like) >= MOST_KINDS:
        shared.like.clear()
    shared.like[rest] = call
    return call


def resolved(session: Session, ticket: int, payload: bytes, shared: Shared) -> Call:
    """A call from its record, which is unlike those before; most have all but words and variables in common."""
    values, words, removed, changed = decode(payload, shared.common)
    if not shared.common[0] or not payload.startswith(shared.common[0], payload.find(b",") + 1):
        fields = [values[name] for name in FIELDS[1:]]
        check_blobs(session, values, shared)
        shared.common = b"".join(map(netstring, fields)), fields
    body, base_hash = values["body"], values["environment"]
    environment = Environment(shared.bases[base_hash], frozenset(removed), dict(map(split_entry, changed)))
    command_line, source, rest = request.read_words(words)
    environment_options: list[tuple[str, bytes | None]] = []
    if shared.inputs[base_hash] or any(entry[:7] == b"SBATCH_" for entry in changed):
        environment_options = request.from_environment(inputs_in(environment, shared.inputs[base_hash]))

    def directives(ignore_pbs: bool) -> list[tuple[str, bytes | None]]:
        key = body, ignore_pbs
        if key not in shared.directives:
            shared.directives[key] = request.from_directives(session.blob(body), ignore_pbs=ignore_pbs)
        return shared.directives[key]

    options = request.resolve(source, command_line, environment_options, directives)
    for name in ("parsable", "ignore-pbs", "quiet"):
        options.pop(name, None)
    return Call(
        ticket=ticket,
        session=session,
        time=int(values["time"]),
        host=values["host"],
        sbatch=values["sbatch"],
        cwd=values["cwd"],
        umask=values["umask"],
        nice=int(values["nice"]),
        limits=values["limits"],
        source=values["source"],
        script=values["script"],
        body_hash=body,
        environment=environment,
        words=words,
        options=options,
        arguments=rest[1:],
        group=int(values["group"]) if "group" in values else None,
        exports_nil=values.get("export") == b"nil",
        cluster=os.fsdecode(values.get("cluster", b"")),
    )


def check_blobs(session: Session, values: dict[str, bytes], shared: Shared) -> None:
    """See that the blobs of a record are intact, ValueError where not, and remember its environment."""
    body, base_hash = values["body"], values["environment"]
    for blob in (body, base_hash):
        if blob not in shared.intact:
            if digest(session.blob(blob)).encode() != blob:
                raise ValueError(f"blob {blob.decode()} is damaged")
            shared.intact.add(blob)
    if base_hash not in shared.bases:
        base = dict(split_entry(entry) for entry in session.blob(base_hash).split(b"\0") if entry)
        shared.bases[base_hash] = base
        shared.inputs[base_hash] = {name: value for name, value in base.items() if name in request.INPUT_VARIABLES}


def inputs_in(environment: Environment, base: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """
    The variables that sbatch reads as options.

    Args:
        base: Those of its base.
    """
    found = {name: value for name, value in base.items() if name not in environment.removed}
    found.update((name, value) for name, value in environment.changed.items() if name in request.INPUT_VARIABLES)
    return found


def split_entry(entry: bytes) -> tuple[bytes, bytes]:
    name, _, value = entry.partition(b"=")
    return name, value


def pending(session: Session) -> tuple[list[Call], list[str]]:
    """
    The claimed calls of a session that no journal says were submitted, in the order of their tickets.

    Also a sentence for each record that cannot be read.
    """
    calls: list[Call] = []
    problems: list[str] = []
    settled: set[int] = set()
    for folder in open_folders(session):
        settled |= Journal(folder).history().settled
        queue = claimed(folder)
        if os.path.exists(queue):
            found, said = load(session, queue)
            calls += found
            problems += said
    left = [call for call in undropped(session, calls) if call.ticket not in settled]
    return sorted(left, key=lambda call: call.ticket), problems


def undropped(session: Session, calls: list[Call]) -> list[Call]:
    """The calls that nobody has cancelled, without the dependencies that a cancelled job satisfies."""
    gone: dict[bytes, dict[int, int]] = {session.name: dropped(session)}

    def is_dropped(ticket: int) -> bool:
        name = session_of(session.state, ticket)
        if name is None:
            return False
        if name not in gone:
            gone[name] = dropped(Session(session.state, name))
        return ticket in gone[name]

    kept = [call for call in calls if call.ticket not in gone[session.name]]
    for call in kept:
        spec = call.options.get("dependency")
        if spec:
            call.options = {**call.options, "dependency": without_met(spec, is_dropped)}
            if call.options["dependency"] is None:
                del call.options["dependency"]
    return kept


def look(session: Session) -> tuple[list[Call], list[str]]:
    """All calls of a session that are not submitted, without claiming any."""
    calls, problems = pending(session)
    if os.path.exists(session.queue):
        queued, said = load(session, session.queue)
        calls, problems = calls + undropped(session, queued), problems + said
    return calls, problems


def in_doubt(session: Session) -> list[Event]:
    """The submissions of a session whose outcome is not known, as events (History.open)."""
    return [event for folder in open_folders(session) for event in Journal(folder).history().open.values()]


def since(event: Event) -> int | None:
    """When a submission was made, in seconds since the epoch by the controller's clock; None: not known."""
    if isinstance(event, Submitting) and event.asked is not None:
        return event.asked.since
    return None


@dataclass
class SessionSummary:
    """
    A session that holds calls: its name, how many, the age of the oldest in seconds since the epoch.

    What cannot be read counts as one.
    """

    name: str
    count: int
    since: int


def waiting_sessions(state: bytes) -> list[SessionSummary]:
    """The sessions with calls that are not submitted, or may not be, by name."""
    try:
        names = sorted(os.listdir(state + b"/sessions"))
    except FileNotFoundError:
        return []
    held = []
    for name in names:
        session = Session(state, name)
        if not os.path.isdir(session.folder):
            continue
        try:
            calls, problems = look(session)
            events = in_doubt(session)
        except (ShimError, OSError) as error:
            # Whoever flushes the session is told.
            calls, problems, events = [], [str(error)], []
        count = len(calls) + len(problems) + sum(len(event.tickets) for event in events)
        if count:
            times = [call.time for call in calls] + [since(event) or int(time.time()) for event in events]
            held.append(SessionSummary(os.fsdecode(name), count, min(times, default=int(time.time()))))
    return held
