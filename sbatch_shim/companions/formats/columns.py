"""
squeue's columns and rows.

The real squeue is asked for the very fields that the caller wants, each followed by a separator, and for the ids of
each row in front of them. Rows of other jobs are put together again byte for byte. A row of a merged array becomes
one row for each call that has tasks in it, in which only the fields that tell of the array are written anew.
"""

from __future__ import annotations

import os
import sys
import time

from sbatch_shim.companions.context import Answer, Context
from sbatch_shim.companions.formats.separators import END, FIELD, START
from sbatch_shim.companions.listing import translated, with_states
from sbatch_shim.companions.options import Line, Unreadable, Unseparable
from sbatch_shim.companions.parts import Entry, Part, shares_of_entry, whole
from sbatch_shim.companions.to_tickets import dependency_with_tickets
from sbatch_shim.state.calls import Call, shown_name
from sbatch_shim.state.ids import DIGITS, JobId
from sbatch_shim.state.lazy import pattern, re
from sbatch_shim.state.plain import cached_property, dataclass, replace
from sbatch_shim.state.tickets import QUEUED, Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sbatch_shim.companions.squeue import Queue
    from sbatch_shim.companions.unsubmitted import Unsubmitted
    from sbatch_shim.state.tickets import SessionTickets

    Writer = Callable[[Unsubmitted, Part], bytes]


DEFAULT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
LONG = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
STARTS = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"
STATES = "%.18i %.2t"
STEP_DEFAULT = "%.15i %.8j %.9P %.8u %.9M %N"
ALL_OF_STEPS = "%b|%i|%j|%l|%u|%A|%M|%N|%P|%S|%U|"
FOLDED_BYTES = 31
# Numbers in a dependency that may be tickets.
TICKETS = pattern(rb"(?<![0-9])[0-9]{10}(?![0-9])")
# So many calls that wait are worth making their rows in bulk.
MANY = 64
ID_FIELDS = ("jobid", "arrayjobid", "arraytaskid", "jobarrayid")
# In which a plain call that no flush has submitted shows its ticket.
TICKET_FIELDS = ("jobid", "arrayjobid", "jobarrayid")
# What --only-job-state shows of a job that waits (tried on 24.11): Slurm is not asked for the rest.
ONLY_STATE = {
    "statecompact": "PD",
    "state": "PENDING",
    "timeused": "0:00",
    "timelimit": "0:00",
    "numnodes": "0",
    "numcpus": "0",
    "username": "root",
    "userid": "0",
    "reason": "None",
    "reasonlist": "(None)",
    "submittime": "N/A",
}
# Fields that tell of the array and not of the call; the names are those of --Format.
LETTERS = {
    "i": "jobarrayid",
    "A": "jobid",
    "F": "arrayjobid",
    "K": "arraytaskid",
    "j": "name",
    "o": "command",
    "Z": "workdir",
    "E": "dependency",
}
# Columns of squeue and sacct with the names of log files, and whose option tells the name.
LOGS = {"stdout": "output", "stderr": "error", "stdin": "input"}
# What a job that waits shows in the other fields.
PENDING_LETTERS = {
    "a": "account", "P": "partition", "u": "username", "t": "statecompact", "T": "state", "M": "timeused",
    "l": "timelimit", "D": "numnodes", "R": "reasonlist", "r": "reason", "C": "numcpus", "m": "minmemory",
    "S": "starttime", "e": "endtime", "L": "timeleft", "U": "userid", "V": "submittime", "q": "qos", "g": "groupname",
    "N": "nodelist", "B": "batchhost", "Q": "prioritylong", "p": "priority", "k": "comment", "h": "oversubscribe",
    "y": "nice", "f": "feature", "b": "tres-per-node", "v": "reservation", "w": "wckey", "x": "excnodes",
    "n": "reqnodes", "Y": "schednodes", "W": "licenses", "G": "groupid", "c": "mincpus", "d": "mintmpdisk",
}  # fmt: skip


@dataclass
class Field:
    """
    A column.

    Attributes:
        name: Its name in --Format, in lower case; empty for one that we never write ourselves.
        token: How the real squeue is asked for it.
        width: Bytes, 0 for as many as there are.
        right: Right-justified.
        suffix: Text behind it.
    """

    name: str
    token: str
    width: int
    right: bool
    suffix: str

    @cached_property
    def end(self) -> bytes:
        """The suffix, as bytes."""
        return os.fsencode(self.suffix)

    def place(self, name: bytes) -> bytes:
        """What shows the value of this name in this column, for `%` of bytes."""
        if not self.width:
            return b"%%(%s)s" % name
        return b"%%(%s)%s%d.%ds" % (name, b"" if self.right else b"-", self.width, self.width)

    def show(self, text: str, *, folded: bool = False) -> bytes:
        """
        A value of ours as squeue would print it.

        Args:
            folded: It is of tasks that wait together: squeue cuts `A_[...]` after FOLDED_BYTES.
        """
        data = os.fsencode(text)
        if folded and self.name == "jobarrayid" and "SLURM_BITSTR_LEN" not in os.environ:
            data = data[:FOLDED_BYTES]
        if self.width:
            data = data[: self.width]
            data = data.rjust(self.width) if self.right else data.ljust(self.width)
        return data


@dataclass
class Layout:
    """The columns that the caller asked for, and the option that asks the real squeue for them and the hidden ones."""

    prefix: str
    fields: list[Field]
    hidden: int
    option: tuple[str, str]

    @cached_property
    def start(self) -> bytes:
        """The prefix, as bytes."""
        return os.fsencode(self.prefix)


@dataclass(frozen=True)
class Kind:
    """
    What squeue lists.

    Attributes:
        letters: What --format's letters mean, by the names of --Format.
        default, long, start: The columns without a format, with --long and with --start.
        every: What `%all` stands for; empty where the real squeue tells (every_column).
        hidden: In front of each row, for us; hidden_long: the same for --Format.
    """

    letters: Mapping[str, str]
    default: str
    long: str
    start: str
    every: str
    hidden: tuple[str, ...]
    hidden_long: tuple[str, ...]


JOBS = Kind(
    {**PENDING_LETTERS, **LETTERS},
    DEFAULT,
    LONG,
    STARTS,
    "",
    # The row's own id, the id that tells array and tasks, script and name.
    ("A", "i", "o", "j"),
    ("JobID", "JobArrayID", "Command", "Name"),
)
# --format has no letter for the id of a step's job, neither for us nor for the caller.
STEPS = Kind({"i": "stepid"}, STEP_DEFAULT, STEP_DEFAULT, STEP_DEFAULT, ALL_OF_STEPS, ("i", "i"), ("JobID", "StepID"))


def specification(token: str) -> tuple[str, str, str, str]:
    """The parts of `.10jtext` in --format: the dot or nothing, the width, the letter, and the text behind it."""
    dot = ""
    if token[:1] == "." and len(token) > 1:
        dot = token[:1]
    rest = token[len(dot) :]
    digits = min(len(rest) - len(rest.lstrip(DIGITS)), len(rest) - 1)  # a letter there is
    return dot, rest[:digits], rest[digits], rest[digits + 1 :]


def short_layout(form: str, kind: Kind) -> Layout:
    """Read a value of --format, as squeue's opts.c does."""
    prefix, percent, rest = form.partition("%")
    fields = []
    for token in rest.split("%") if percent else []:
        if token:
            dot, width, letter, suffix = specification(token)
            how = token[: len(token) - len(suffix)]
            fields.append(Field(kind.letters.get(letter, ""), f"%{how}", int(width or 0), bool(dot), suffix))
    hidden = FIELD.join("%" + letter for letter in kind.hidden)
    form = START + hidden + "".join(FIELD + one.token for one in fields) + END
    return Layout(prefix, fields, len(kind.hidden), ("format", form))


def long_layout(form: str, kind: Kind) -> Layout:
    """Read a value of --Format."""
    fields = []
    for token in form.split(","):
        name, colon, how = token.strip().partition(":")
        if not name:
            raise Unreadable(form)
        dot = how[: how.startswith(".")]
        suffix = how.removeprefix(".").lstrip(DIGITS)
        width = 20
        if colon:
            width = int(how[len(dot) : len(how) - len(suffix)] or 0)
        fields.append(Field(name.lower(), f"{name}:{dot}{width}", width, bool(dot), suffix))
    return long_of(fields, kind.hidden_long)


def long_of(fields: list[Field], hidden: Sequence[str]) -> Layout:
    """Columns of --Format."""
    words = [f"{name}:0" for name in hidden] + [one.token for one in fields]
    form = (FIELD + ",").join(words) + END
    return Layout("", fields, len(hidden), ("Format", form))


def layout_of(line: Line, context: Context, kind: Kind) -> Layout:
    """The columns: --format or --Format, those of --long or --start, the variables, or the default."""
    short, long = line.last("format"), line.last("Format")
    if short is not None and (long is not None or line.has("long")):
        raise Unreadable("two formats")
    if short is None and long is None:
        if line.has("start", "long"):
            short = kind.long
            if line.has("start"):
                short = kind.start
            if line.has("only-job-state"):
                short = STATES
        else:
            short, long = context.variable("SQUEUE_FORMAT"), context.variable("SQUEUE_FORMAT2")
    if short is None and long is not None:
        return long_layout(long, kind)
    if short is None:
        short = kind.default
        if line.has("only-job-state"):
            short = STATES
    return short_layout((kind.every or every_column(context)) if short.lower() == "%all" else short, kind)


def every_column(context: Context) -> str:
    """`%all`: the letters that the real squeue has a column for, whose number shrinks; others it prints as they are."""
    from string import ascii_letters

    asked = ["--me", f"--name={START}", "--format=" + FIELD.join(f"%{letter}" for letter in ascii_letters)]
    titles = os.fsdecode(context.run("squeue", asked).out.rstrip(b"\n")).split(FIELD)
    known = [f"%{letter}" for letter, title in zip(ascii_letters, titles) if title != f"%{letter}"]
    return "|".join(known if len(titles) == len(ascii_letters) else (f"%{letter}" for letter in ascii_letters))


def asked(context: Context, line: Line, layout: Layout, kind: Kind) -> tuple[Answer, Layout]:
    """
    Ask the real squeue for these columns.

    Returns:
        What it said, and the columns but for those that it does not know: --Format leaves them out, with an error.
    """
    variables = {"SLURM_BITSTR_LEN": "0", "SQUEUE_NAMES": None}
    answer = context.run("squeue", Line([*line.options, layout.option], []).words(), **variables)
    if not answer.err:
        return answer, layout
    unknown = re.findall(r"Invalid job(?: step)? format specification: (\S+)", answer.err.decode(errors="replace"))
    if unknown and layout.option[0] == "Format":
        fields = [one for one in layout.fields if one.name not in unknown]
        layout = long_of(fields, kind.hidden_long)
        again = context.run("squeue", Line([*line.options, layout.option], []).words(), **variables)
        answer = Answer(again.status, again.out, answer.err)
    return answer, layout


def sort_by_id(ours: list[tuple[Part, bytes]], given: str) -> None:
    """Rows of ours in the order of their tickets, where --sort is first of all by id."""
    order = None
    if given:
        order = re.match(r"([+-]?)[iAF]", given)
    if order:
        ours.sort(key=lambda one: one[0].ticket, reverse=order[1] == "-")


def parts_of(out: bytes, layout: Layout) -> Iterator[tuple[bytes, list[str], list[bytes]]]:
    """
    Take squeue's output apart, its header too; Unseparable where a row has not the fields that were asked for.

    Returns:
        For each row the text in front of it, the hidden fields, and the caller's.
    """
    for chunk in out.split(os.fsencode(END) + b"\n")[:-1]:
        before = b""
        if layout.option[0] == "format":
            before, _, chunk = chunk.partition(os.fsencode(START))
        elif b"\n" in chunk.partition(os.fsencode(FIELD))[0]:
            before, _, chunk = chunk.rpartition(b"\n")
            before += b"\n"
        parts = chunk.split(os.fsencode(FIELD))
        if len(parts) != layout.hidden + len(layout.fields):
            raise Unseparable("squeue printed a row of other fields than it was asked for")
        yield before, [os.fsdecode(part).strip() for part in parts[: layout.hidden]], parts[layout.hidden :]


def assemble(layout: Layout, texts: list[bytes], before: bytes = b"") -> bytes:
    """A row as squeue prints it."""
    parts = [before, layout.start]
    for column, text in zip(layout.fields, texts):
        parts.append(text)
        parts.append(column.end)
    parts.append(b"\n")
    return b"".join(parts)


def escaped(text: bytes) -> bytes:
    """For `%` of bytes, which makes the same of it again."""
    return text.replace(b"%", b"%%")


@dataclass
class Row(Entry):
    """
    A row of the real squeue.

    Attributes:
        before: Text in front of it (the date of --long).
        texts: The columns as squeue printed them.
    """

    before: bytes
    texts: list[bytes]


def rows_of(out: bytes, layout: Layout) -> list[Row]:
    """The rows of jobs."""
    found = []
    for before, (raw, one, command, name), texts in parts_of(out, layout):
        found.append(Row(JobId.printed(one), raw, name, command, before, texts))
    return found


class Rows:
    """The rows of one look at the queue."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.context = queue.context
        self.tickets = queue.tickets
        self.only_state = queue.only_state
        self.apart: dict[tuple[int, int], Row] = {}

    def ask(self, layout: Layout) -> tuple[int, bytes]:
        """The whole output, and the exit status."""
        given = self.queue.line
        # Its date is told by us: the real one takes no format beside --long.
        line = self.queue.asked_line().without("long")
        elements = self.queue.elements()
        if elements:
            line = line.without("jobs", "array")
            line.options += [("array", None), ("jobs", self.queue.joined(elements))]
        answer, self.layout = asked(self.context, line, layout, JOBS)
        sys.stderr.buffer.write(answer.err)
        line.options.append(self.layout.option)
        if answer.status != 0 and not answer.out:
            return answer.status, b""
        rows = rows_of(answer.out, self.layout)
        self.tickets.settle((row.number, row.command) for row in rows)
        self.apart = self.rows_apart(rows, line)
        out = []
        if not given.has("noheader"):
            if given.has("long"):
                out.append(time.strftime("%a %b %d %H:%M:%S %Y\n").encode())
            out += [assemble(self.layout, row.texts, row.before) for row in rows[:1]]
            rows = rows[1:]
        order = given.last("sort") or self.context.variable("SQUEUE_SORT") or ""
        seen: set[int] = set()
        body = translated(self, rows, seen, lambda ours: sort_by_id(ours, order))
        return answer.status, b"".join([*out, *self.unsubmitted(seen), *body])

    def rows_apart(self, rows: list[Row], line: Line) -> dict[tuple[int, int], Row]:
        """
        By array and index, the tasks of folded rows that hold several calls.

        squeue folds what waits of an array into one row, with the values of one of its tasks; the calls in it may
        have been given others since (a time limit, a hold).
        """
        asked = set()
        for row in rows:
            job = self.job(row)
            if job is not None and len(job.entries) > 1 and len(row.tasks.ids) > 1:
                asked.add(str(job.number))
        if not asked:
            return {}
        line = line.without("jobs")
        line.options += [("array", None), ("noheader", None), ("jobs", ",".join(sorted(asked)))]
        answer = self.context.run("squeue", line.words(), SLURM_BITSTR_LEN="0")
        if answer.status != 0:
            return {}
        ours = (row for row in rows_of(answer.out, self.layout) if self.job(row))
        return {(row.id.job, row.id.task): row for row in ours if row.id is not None and row.id.task is not None}

    def job(self, row: Row) -> Job | None:
        """The merged job that a row tells of; None for any other."""
        if row.id is None:
            return None
        if self.only_state:  # which tells no command
            return self.tickets.job_here(row.id.job)
        return self.tickets.job(row.id.job, row.command)

    def parts(self, row: Row) -> list[Part] | None:
        """The calls that a row tells of: none for an element of a merged array that is nobody's."""
        job = self.job(row)
        if job is None:
            return None

        def elsewhere() -> list[int]:
            answer = self.context.run("squeue", ["-h", "-r", "-t", "all", "-j", str(job.number), "-o", "%K"])
            return [int(word) for word in answer.out.split() if word.isdigit()]

        found = shares_of_entry(job, row, elsewhere)
        if self.queue.one_per_task and any(one.folded for one in found):
            found = [each for one in found for each in one.tasks_apart()]
        return found

    def others(self, row: Row) -> list[bytes]:
        """Somebody else's row: only what SLURM_BITSTR_LEN=0 let grow is cut again."""
        if not self.queue.wants_other(row) or self.tickets.hides(row.command):
            return []
        texts = row.texts
        if row.id is not None and row.id.folded:
            shown = Part(row.id.job, list(row.tasks), folded=True, throttle=row.tasks.throttle)
            texts = list(texts)
            for at, column in enumerate(self.layout.fields):
                if column.name in ("jobarrayid", "arraytaskid"):
                    texts[at] = column.show(shown.ids(column.name), folded=True)
        return [assemble(self.layout, texts, row.before)]

    def ours(self, row: Row, part: Part) -> list[bytes]:
        """A row of ours: its ids, and what the call had of its own."""
        shown = self.queue.chosen(part, row)
        if shown is None:
            return []
        before = row.before
        row = self.apart.get((row.number, shown.index), row)
        call = self.tickets.call(shown.ticket)
        texts = list(row.texts)
        for at, column in enumerate(self.layout.fields):
            text = self.own_text(shown, call, column.name)
            if column.name == "name" and not self.only_state:
                text = self.tickets.name(shown.ticket, row.name)
            elif column.name == "comment" and not self.only_state:
                real = os.fsdecode(row.texts[at]).strip()
                text = self.tickets.comment(shown.ticket, "" if real == "(null)" else real) or "(null)"
            elif call is not None and not self.only_state and self.is_updated(call, shown, column, texts[at]):
                continue
            elif column.name == "dependency":
                text = dependency_with_tickets(os.fsdecode(row.texts[at]).strip(), self.tickets, call, shown.index)
            if text is not None:
                texts[at] = column.show(text, folded=shown.folded)
        return [assemble(self.layout, texts, before)]

    def is_updated(self, call: Call, shown: Part, column: Field, text: bytes) -> bool:
        """Whether the real squeue's text is what scontrol update has set."""
        real = os.fsdecode(text).strip()
        if column.name in LOGS:
            from sbatch_shim.companions import as_shown

            return as_shown.is_updated(self.context, call, LOGS[column.name], real, column.width)
        if column.name != "workdir" or (column.width and len(os.fsencode(real)) >= column.width):
            return False
        return self.tickets.folder(shown.ticket, real) != os.fsdecode(call.folder)

    def own_text(self, shown: Part, call: Call | None, field: str) -> str | None:
        """What a field shows for a call; None where the real squeue's text is right."""
        if field in ID_FIELDS:
            return shown.ids(field)
        if call is None or self.only_state:
            return None
        if field == "name":
            return call.shown_name
        if field == "workdir":
            return os.fsdecode(call.folder)
        if field not in LOGS and field != "command":
            return None
        from sbatch_shim.companions import as_shown

        if field == "command":
            return as_shown.command(self.context, call)
        return as_shown.log_column(self.context, call, field, shown, expanded=self.queue.line.has("expand-patterns"))

    def unsubmitted(self, seen: set[int]) -> list[bytes]:
        """Rows of the calls that no flush has submitted."""
        found: list[bytes] = []
        known: dict[int, bytes] = {}
        if len(self.queue.waiting) >= MANY and self.tells_briefs:
            known = self.rows_in_bulk()
        for one in self.queue.waiting:
            if one[0] in seen:
                continue
            row = known.get(one[0])
            if row is not None:
                found.append(row)
                continue
            for shown, values in self.queue.unsubmitted(with_states([one]), one_per_task=self.queue.one_per_task):
                if self.only_state:
                    shown = replace(shown, throttle=0)
                found.append(assemble(self.layout, [write(values, shown) for write in self.writers]))
        return found

    @cached_property
    def tells_briefs(self) -> bool:
        """Whether of plain calls that are alike the rows tell nothing else than a brief does."""
        own = {*LOGS, "command", "workdir", "comment", "dependency"}
        shown = {column.name for column in self.layout.fields}
        return self.queue.wanted.anything and not self.only_state and own.isdisjoint(shown)

    def rows_in_bulk(self) -> dict[int, bytes]:
        """
        Rows of plain calls that are queued, as far as they are known in bulk; empty of those that are not wanted.

        Each is that of its model with its own ticket and name.
        """
        rows: dict[int, bytes] = {}
        wanted = self.queue.wanted
        shows_time = any(column.name == "submittime" for column in self.layout.fields)
        for held in self.tickets.pages.values():
            queued, alive = held.untried, held.alive
            forms: dict[tuple[int, int], bytes | None] = {}
            for ticket, second, name, waits, model in held.briefs():
                if ticket not in queued:
                    continue
                if waits is not None and not alive.issuperset(map(int, TICKETS.findall(waits))):
                    continue
                kind = model, second if shows_time else 0
                if kind not in forms:
                    forms[kind] = self.form(held, model, second)
                form = forms[kind]
                if form is None:
                    continue
                if form and wanted.names is not None and shown_name(name) not in wanted.names:
                    form = b""
                rows[ticket] = form % {b"ticket": b"%d" % ticket, b"name": name or b"sbatch"}
        return rows

    def form(self, held: SessionTickets, model: int, second: int) -> bytes | None:
        """
        The row of plain calls of a second that are like a model, with places for their tickets and names.

        Empty where they are not wanted; None where each has to be looked at by itself.
        """
        call = None
        if model:
            call = held.call(model)
        if call is None or call.is_array:
            return None
        if not self.queue.passes(call):
            return b""
        from sbatch_shim.companions.unsubmitted import Unsubmitted

        # What it waits for is not what the others wait for, and none of them waits in vain.
        like = call.made_again(model, second)
        like.options = {name: value for name, value in call.options.items() if name != "dependency"}
        shown, values = whole(like), Unsubmitted(self.context, like, QUEUED)
        parts = [escaped(self.layout.start)]
        for column, write in zip(self.layout.fields, self.writers):
            if column.name in TICKET_FIELDS:
                parts.append(column.place(b"ticket"))
            elif column.name == "name":
                parts.append(column.place(b"name"))
            else:
                parts.append(escaped(write(values, shown)))
            parts.append(escaped(column.end))
        return b"".join(parts) + b"\n"

    @cached_property
    def writers(self) -> list[Writer]:
        """What writes each of the columns for a call that no flush has submitted."""
        from sbatch_shim.companions.unsubmitted import SQUEUE, by_name

        values = by_name(SQUEUE)
        return [self.writer(column, values.get(column.name, "=N/A")) for column in self.layout.fields]

    def writer(self, column: Field, value: str) -> Writer:
        from sbatch_shim.companions.unsubmitted import reader, text_of

        name = column.name
        if name in ID_FIELDS:
            return lambda values, part: column.show(part.ids(name), folded=part.folded)
        if not self.only_state and name in ("name", "workdir", "command", *LOGS):
            return lambda values, part: column.show(self.own_text(part, values.call, name) or "")
        if self.only_state:
            value = "=" + ONLY_STATE.get(name, "(null)")
        if value.startswith("="):
            constant = column.show(value[1:])
            return lambda values, part: constant
        shown: dict[str | int | None, bytes] = {}  # most calls have the same
        value_of = reader(value)

        def write(values: Unsubmitted, _: Part) -> bytes:
            found = value_of(values)
            if found not in shown:
                shown[found] = column.show(text_of(found))
            return shown[found]

        return write
