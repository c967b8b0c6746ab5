"""
What listings need of many queued calls: found out in bulk, and remembered from one listing to the next.

A brief is a call's ticket, its time, its name, what it waits for, and a model: a call that is like it in all else that
a listing shows of many. Calls of a loop have one model, and their records are read by a pattern that is made of its.

`sessions/<name>/listed` holds the briefs of a queue file. It is a cache: where it is not as expected it is as if there
was none. A queue file only grows, so it is known again by its inode and by the record that was its last one, and only
what came behind that is read.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import re
import sys
from itertools import repeat

from sbatch_shim import __version__
from sbatch_shim.errors import HandOver
from sbatch_shim.grammar import KIND, OPTIONS, parse
from sbatch_shim.record import FIELDS, HASH_BYTES, TAIL_BYTES, digest, netstring, netstrings
from sbatch_shim.request import INPUT_VARIABLES
from sbatch_shim.spool import write
from sbatch_shim.values import RECOGNISERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from sbatch_shim.state.calls import Call

    # Name, what it waits for, and model.
    Own = tuple[bytes | None, bytes | None, int]
    # Ticket, time, name, what it waits for, and the ticket of its model.
    Brief = tuple[int, int, bytes | None, bytes | None, int]

NAME = b"/listed"
# What a file was made by: what it says is that of this module, its bytes are those of this Python.
MADE_BY = f"listed 1 {__version__} {sys.hexversion} {marshal.version}\n".encode()
# As many calls that were not remembered are worth another file.
WORTH_A_FILE = 1000
# Options that calls of a loop have of their own.
OWN = ("job-name", "dependency", "output", "error", "input", "comment")
# In place of a model, whose ticket is 0 then: such a call is looked at by itself.
NO_MODEL = -1
MOST_MODELS = 256
# Patterns that are tried, and for how many calls at least.
MOST_PATTERNS = 32
WORTH_A_PATTERN = 64
# So many records are read at a time, as what is made of more does not stay in the processor's cache.
AT_A_TIME = 512
# What is a call's own beside the values of options.
ARGUMENT, VARIABLE = "an argument", "a variable"


class Briefs:
    """
    The briefs of the calls in a queue file, in its order.

    Attributes:
        inode: Of the file.
        columns: A list for each thing: tickets, times (seconds since the epoch), names (Call.name), what they wait for
            (`--dependency`), models (a place in `examples`, or NO_MODEL: then only the ticket counts), and `examples`.
        end: So many bytes of the file were read.
        tail: The last of them; empty where not all could be read.
        remembered: How many calls were not read now.
    """

    def __init__(
        self, inode: int, columns: tuple[list[Any], ...] | None = None, end: int = 0, tail: bytes = b""
    ) -> None:
        self.inode = inode
        self.columns = columns or tuple([] for _ in range(6))
        self.end = end
        self.tail = tail
        self.remembered = len(self.tickets)

    @property
    def tickets(self) -> list[int]:
        return self.columns[0]

    @property
    def examples(self) -> list[int]:
        """The tickets of the models."""
        return self.columns[5]

    def rows(self) -> Iterator[Brief]:
        """Those that have a model, by its ticket."""
        models = [*self.examples, 0]  # of NO_MODEL, which is -1
        tickets, times, names, waits, numbers, _ = self.columns
        return zip(tickets, times, names, waits, map(models.__getitem__, numbers))

    def take(self, found: dict[int, bytes], call_of: Callable[[int], Call | None]) -> None:
        """
        Add calls by their records.

        Args:
            call_of: Tells a call by its ticket; None where it cannot be read.
        """
        reader = Reader(self.examples, call_of)
        every = [*found.items()]
        for at in range(0, len(every), AT_A_TIME):
            tickets, payloads = zip(*every[at : at + AT_A_TIME])
            heads, _, rests = zip(*[payload.partition(b",") for payload in payloads])
            # Of those that differ in time only, the first one is looked at.
            first = dict(zip(rests, tickets))
            first.update(zip(rests[::-1], tickets[::-1]))
            briefs = reader.read(first, len(every) - at)
            names, waits, models = zip(*map(briefs.__getitem__, rests))
            moments = {head: time_in(head) for head in {*heads}}
            times = [*map(moments.__getitem__, heads)]
            if None in moments.values():
                models = tuple(NO_MODEL if time is None else model for time, model in zip(times, models))
            fresh: tuple[Sequence[Any], ...] = (tickets, times, names, waits, models)
            for column, more in zip(self.columns, fresh):
                column.extend(more)


class Reader:
    """
    Reads records, those of a loop by a pattern.

    Args:
        examples: The tickets of the models; takes those of new ones.
        call_of: See Briefs.take.
    """

    def __init__(self, examples: list[int], call_of: Callable[[int], Call | None]) -> None:
        self.examples = examples
        self.call_of = call_of
        self.models = {kind_of(call): at for at, call in enumerate(map(call_of, examples)) if call is not None}
        self.patterns: list[Pattern] = []

    def read(self, first: dict[bytes, int], left: int) -> dict[bytes, Own]:
        """
        What records say.

        Args:
            first: By record without the time, a ticket of such a call.
            left: How many calls are still to be read.
        """
        found: dict[bytes, Own] = {}

        def model_of(rest: bytes) -> int:
            if len(self.examples) < MOST_MODELS:
                return self.model_of(self.call_of(first[rest]))
            return NO_MODEL

        for pattern in self.patterns:
            if len(found) < len(first):
                found.update(pattern.read([rest for rest in first if rest not in found], model_of))
        for rest, ticket in first.items():
            if rest in found:
                continue
            call = self.call_of(ticket)
            model = self.model_of(call)
            if call is None or model == NO_MODEL:
                found[rest] = None, None, NO_MODEL
                continue
            found[rest] = call.name, call.options.get("dependency"), model
            if len(self.patterns) < MOST_PATTERNS and left >= WORTH_A_PATTERN:
                self.patterns.append(Pattern(call, rest))
                others = (other for other in first if other not in found)
                found.update(self.patterns[-1].read([rest, *others], model_of))
        return found

    def model_of(self, call: Call | None) -> int:
        """The model of a call, which may be itself."""
        if call is None:
            return NO_MODEL
        kind = kind_of(call)
        if kind not in self.models:
            if len(self.examples) >= MOST_MODELS:
                return NO_MODEL
            self.models[kind] = len(self.examples)
            self.examples.append(call.ticket)
        return self.models[kind]


def time_in(head: bytes) -> int | None:
    """The time that a record begins with; None where it is none."""
    size, _, text = head.partition(b":")
    if not text.isdigit() or size != b"%d" % len(text):
        return None
    return int(text)


def kind_of(call: Call) -> tuple[Any, ...]:
    """What a call has in common with those that have the same model: all that is shown of many calls at a time."""
    return (call.group, *((name, value) for name, value in sorted(call.options.items()) if name not in OWN))


class Pattern:
    """
    Reads the records of calls that differ from another one in times, arguments, variables and values of options only.

    Each field of a record tells its length. So where all lengths are right, the fields begin and end where the pattern
    says. Whether a value of an OWN option is valid depends on nothing else; and calls in which the others are the same
    are all alike, so one of them is looked at.

    Args:
        call, rest: The other one, and its record without the time.
    """

    def __init__(self, call: Call, rest: bytes) -> None:
        self.call = call
        # By the values of options that are not OWN.
        self.models: dict[tuple[bytes, ...], int] = {}
        fields = netstrings(rest)
        words = len(FIELDS)
        variables = words + len(call.words) + 2 + len(call.environment.removed)
        # By place among the fields: what stands in front of a call's own part, and the option that it is the value of.
        own = {words + at: found for at, found in own_words(call).items()}
        for at in range(variables, variables + int(fields[variables - 1])):
            name, equals, _ = fields[at].partition(b"=")
            if equals and name not in INPUT_VARIABLES:
                own[at] = name + equals, VARIABLE
        self.own = [own[at] for at in sorted(own)]
        parts = []
        for at, field in enumerate(fields):
            if at in own:
                before, value = own[at][0], field[len(own[at][0]) :]
                # With as many commas as there: then it is clear at which one it ends.
                parts.append(rb"(\d{1,11}):%s([^,]*%s)," % (re.escape(before), value.count(b",") * b",[^,]*"))
            else:
                parts.append(re.escape(netstring(field)))
        self.match = re.compile(b"".join(parts)).fullmatch

    def read(self, rests: list[bytes], model_of: Callable[[bytes], int]) -> dict[bytes, Own]:
        """
        What those of these records say that are like that.

        Args:
            model_of: The model of a call, by its record.
        """
        matches = [*map(self.match, rests)]
        rests = [rest for rest, match in zip(rests, matches) if match]
        columns = [*zip(*[match.groups() for match in matches if match])]
        own: dict[str, Iterable[bytes | None]] = {
            "job-name": repeat(self.call.name),
            "dependency": repeat(self.call.options.get("dependency")),
        }
        shared: list[Iterable[bytes]] = []
        wrong: set[int] = set()
        for (before, name), lengths, texts in zip(self.own, columns[::2], columns[1::2]):
            told = [*zip(lengths, map(len, texts))]
            false = {pair for pair in {*told} if int(pair[0]) != pair[1] + len(before)}
            if false:
                wrong.update(at for at, pair in enumerate(told) if pair in false)
            # A word between the parts of a heterogeneous job; nothing behind `-p`, which takes the next word then.
            odd = b""
            if not before:
                odd = b":"
            if odd in texts and (not before or name in OPTIONS):
                wrong.update(at for at, text in enumerate(texts) if text == odd)
            if name in OWN:
                own[name] = texts
                valid = [*map(RECOGNISERS[OPTIONS[name][KIND]], texts)]
                if not all(valid):
                    wrong.update(at for at, one in enumerate(valid) if not one)
            elif name in OPTIONS:
                shared.append(texts)
        values: list[tuple[bytes, ...]] = [*zip(*shared)] if shared else [()] * len(rests)
        for at, rest in enumerate(rests):
            if values[at] not in self.models and at not in wrong:
                self.models[values[at]] = model_of(rest)
        models = [self.models.get(value, NO_MODEL) for value in values]
        found = zip(rests, zip(own["job-name"], own["dependency"], models))
        return {rest: brief for at, (rest, brief) in enumerate(found) if at not in wrong}


def own_words(call: Call) -> dict[int, tuple[bytes, str]]:
    """By place among a call's words those that end with a part of its own: what stands before that, and its name."""
    words = [*call.words]
    own: dict[int, tuple[bytes, str]] = {}
    fixed: set[str] = set()
    at = 0
    while at < len(words):
        if words[at] == b"--":
            at += 1
            break
        value = at
        try:
            options, rest = parse(words[at : at + 1])
        except HandOver:  # its value is the next word
            value = at + 1
            options, rest = parse(words[at : at + 2])
        if rest:
            break  # the script
        name, text = options[-1]
        if text and len(options) == 1:
            own[value] = words[value][: -len(text)], name
        else:
            fixed.update(name for name, _ in options)
        at = value + 1
    arguments = dict.fromkeys(range(at + 1, len(words)), (b"", ARGUMENT))
    # The last one counts, and that may be one that is the same for all.
    return {place: found for place, found in own.items() if found[1] not in fixed} | arguments


def remembered(folder: bytes, descriptor: int) -> Briefs | None:
    """
    The briefs of what a queue file begins with; None where they are not known.

    Args:
        folder: The session's.
        descriptor: The queue file.
    """
    try:
        with open(os.open(folder + NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb", 0) as stream:
            # Nobody else's bytes are given to marshal.
            if os.fstat(stream.fileno()).st_uid != os.geteuid():
                return None
            head, body = stream.read(len(MADE_BY) + 2 * HASH_BYTES), stream.readall()
        if head != MADE_BY + digest(body).encode():
            return None
        inode, end, tail, columns = marshal.loads(body)
        if os.fstat(descriptor).st_ino != inode or os.pread(descriptor, TAIL_BYTES, end - TAIL_BYTES) != tail:
            return None
    except OSError:
        return None
    return Briefs(inode, columns, end, tail)


def remember(folder: bytes, briefs: Briefs) -> None:
    """
    Keep briefs for the next listing, in a folder of our own; a failure is nobody's concern.

    Args:
        folder: The session's.
    """
    if len(briefs.tickets) - briefs.remembered < WORTH_A_FILE or len(briefs.tail) < TAIL_BYTES:
        return
    body = marshal.dumps((briefs.inode, briefs.end, briefs.tail, briefs.columns))
    draft = folder + NAME + b".new"
    try:
        if os.stat(folder).st_uid != os.geteuid():
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(draft, flags, 0o600), "wb", 0) as stream:
            # Who finds it locked, or renamed by who had locked it, leaves it to them.
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(draft).st_ino == os.fstat(stream.fileno()).st_ino:
                os.ftruncate(stream.fileno(), 0)
                write(stream.fileno(), MADE_BY + digest(body).encode() + body)
                os.rename(draft, folder + NAME)
    except OSError:
        pass
