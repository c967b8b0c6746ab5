"""squeue with tickets: its command line, and what the caller wants to see."""

from __future__ import annotations

import gc
import os
import sys
import time

from sbatch_shim.companions import clusters
from sbatch_shim.companions.context import LIVE_SECONDS, Context, say, write
from sbatch_shim.companions.formats.columns import JOBS, STEPS, Layout, Rows, layout_of
from sbatch_shim.companions.formats.separators import START
from sbatch_shim.companions.listing import unsubmitted
from sbatch_shim.companions.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, Unseparable, read
from sbatch_shim.companions.parts import Entry, Part, Selection, selection_of, whole
from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import NO_JOB, JobId, is_number, split_ids
from sbatch_shim.state.lazy import pattern, re
from sbatch_shim.state.plain import cached_property, replace
from sbatch_shim.state.tickets import Tickets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from sbatch_shim.companions.unsubmitted import Unsubmitted
    from sbatch_shim.state.tickets import SessionTickets


TABLE: Table = {
    "account": ("A", REQUIRED),
    "accounts": ("A", REQUIRED),
    "all": ("a", NONE),
    "array": ("r", NONE),
    "array-unique": ("", NONE),
    "cluster": ("M", REQUIRED),
    "clusters": ("M", REQUIRED),
    "expand-patterns": ("", NONE),
    "federation": ("", NONE),
    "format": ("o", REQUIRED),
    "Format": ("O", REQUIRED),
    "help": ("", NONE),
    "hide": ("", NONE),
    "iterate": ("i", REQUIRED),
    "jobs": ("j", OPTIONAL),
    "json": ("", OPTIONAL),
    "licenses": ("L", REQUIRED),
    "local": ("", NONE),
    "long": ("l", NONE),
    "me": ("", NONE),
    "name": ("n", REQUIRED),
    "noconvert": ("", NONE),
    "node": ("w", REQUIRED),
    "nodes": ("w", REQUIRED),
    "nodelist": ("w", REQUIRED),
    "noheader": ("h", NONE),
    "notme": ("", NONE),
    "only-job-state": ("", NONE),
    "partitions": ("p", REQUIRED),
    "priority": ("P", NONE),
    "qos": ("q", REQUIRED),
    "reservation": ("R", REQUIRED),
    "sib": ("", NONE),
    "sibling": ("", NONE),
    "sort": ("S", REQUIRED),
    "start": ("", NONE),
    "states": ("t", REQUIRED),
    "steps": ("s", OPTIONAL),
    "usage": ("", NONE),
    "user": ("u", REQUIRED),
    "users": ("u", REQUIRED),
    "verbose": ("v", NONE),
    "version": ("V", NONE),
    "yaml": ("", OPTIONAL),
}

# Options of sbatch by whose values squeue can choose.
FILTERED = ("partition", "account", "qos")

# What a strict squeue reads as an id (tried on 26.05).
AN_ID = pattern(r"(?a)\s*\+?[0-9]+(_[0-9]+)?(\+[0-9]+)?(\.[a-z0-9]+)?")

# Of a longer list squeue takes long to find the elements, one after the other.
MOST_ELEMENTS = 16
# A task that no array has: above the highest MaxArraySize (squeue reads no larger ones).
TASK_OF_NOBODY = 4000000


class Queue:
    """One look at the queue, in whatever form: what is asked for, and what of it is wanted."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        self.tickets: Tickets = context.tickets
        self.one_per_task = line.has("array") or context.variable("SQUEUE_ARRAY") is not None
        names = context.variable("SQUEUE_NAMES")
        if line.has("name"):
            names = line.last("name")
        self.wanted: Selection = selection_of(self.tickets, line.last("jobs"), names)
        # Slurm tells nothing else then.
        self.only_state = line.has("only-job-state")
        self.waiting = self.tickets.unsubmitted(None if self.wanted.anything else self.wanted.targets)

    def real_line(self) -> Line:
        """The line for the real squeue, but for the format: names are compared by us, ids are real ones."""
        line = self.line.without("jobs", "name")
        if not self.wanted.anything:
            line.options.append(("jobs", self.joined(self.wanted.asked)))
        return line

    def joined(self, asked: list[str]) -> str:
        """The value of -j for the real squeue."""
        if len(asked) == 1 and len(self.wanted.targets) + len(self.wanted.reals) > 1 and not self.only_state:
            # A single unknown id is an error, which it would not be among the caller's others.
            asked = asked * 2
        return ",".join(asked)

    def elements(self) -> list[str]:
        """
        The elements that the calls asked for became, where these are few, and plain ones; else none.

        squeue lists them one by one then (`-r -j A_3`), each with its own values, and not the rest of its array.
        Not what is over: slurmctld forgets the elements of an array that was cancelled while it waited.
        """
        over = self.line.has("states") or self.context.variable("SQUEUE_STATES") is not None
        if over or self.only_state or self.wanted.reals or len(self.wanted.targets) > MOST_ELEMENTS:
            return []
        found = []
        for ticket in self.wanted.targets:
            held = self.tickets.find(ticket)
            if held is None or ticket not in held.places:
                continue  # Slurm does not know it
            place = held.places[ticket]
            if place.first is None or place.spec is not None:
                return []
            found += place.elements()
        return found

    def nothing_real(self) -> bool:
        """Only tickets that Slurm does not know yet are asked for."""
        return not self.wanted.anything and not self.wanted.asked

    def asked_line(self) -> Line:
        """real_line, or where nothing is asked of Slurm, one for the header's sake: no job has this name, or id."""
        line = self.real_line()
        if self.nothing_real():
            # Users stay, so that squeue says which of them it does not know; the last one counts, --me.
            line = line.without("jobs")
            # With --only-job-state names do not count; without it an unknown id is an error.
            if self.only_state:
                line.options += [("jobs", str(NO_JOB))]
            else:
                # The variable does not count beside --me, and would not be looked at.
                if line.has("user", "users") or not self.context.variable("SQUEUE_USERS"):
                    line.options += [("me", None)]
                line.options += [("name", START)]
        return line

    def wants_other(self, entry: Entry) -> bool:
        """Whether somebody else's job is wanted."""
        return self.wanted.has_name(entry.name) and self.wanted.names_other(entry)

    def chosen(self, part: Part, entry: Entry | None) -> Part | None:
        """What of a call the caller wants; None for nothing, and for the entry of one that Slurm does not know."""
        if self.wanted.names is not None:
            call = self.tickets.call(part.ticket)
            name = ""
            if call:
                name = call.shown_name
            if entry is not None:
                name = self.tickets.name(part.ticket, entry.name)
            if not self.wanted.has_name(name):
                return None
        if entry is not None and not self.wanted.anything:
            held = self.tickets.find(part.ticket)
            real = None
            if held is not None:
                real = self.wanted.takes_real(part, entry, held.jobs[part.ticket])
            if real is not None:
                return real
        chosen = self.wanted.takes(part)
        if chosen is None or chosen is part:
            return chosen
        # Of an array that waits, a single task is shown as T_3, and some of them without the limit.
        return replace(chosen, folded=chosen.folded and len(chosen.tasks or ()) > 1, throttle=0)

    def unsubmitted(
        self,
        waiting: Iterable[tuple[int, SessionTickets, str]],
        seen: Container[int] = (),
        *,
        one_per_task: bool = False,
    ) -> Iterator[tuple[Part, Unsubmitted]]:
        """What is wanted of calls that no flush has submitted."""

        def wanted(call: Call, _: str) -> list[Part]:
            if not self.passes(call):
                return []
            each = [whole(call)]
            if call.is_array and one_per_task:
                each = [Part(call.ticket, [task]) for task in call.tasks]
            return [one for one in (self.chosen(part, None) for part in each) if one is not None]

        return unsubmitted(self.context, waiting, wanted, seen)

    @cached_property
    def filters(self) -> dict[str, list[str]] | None:
        """By option of sbatch, the values of a queued call that the caller wants; None where no such call is wanted."""
        line, variable = self.line, self.context.variable
        unseen = ("nodes", "nodelist", "node", "licenses", "reservation", "notme")
        if line.has(*unseen) or variable("SQUEUE_LICENSES"):
            return None
        if not self.wants_me():
            return None
        states = self.list_of("states", "states")
        if states is not None and not {"PD", "PENDING", "ALL"} & {state.upper() for state in states}:
            return None
        asked = {name: self.list_of(name, name, name + "s") for name in FILTERED}
        return {name: wanted for name, wanted in asked.items() if wanted is not None}

    def list_of(self, variable: str, *names: str) -> list[str] | None:
        """The words of a filter, which may be none, and pass nothing then; None where it is not set."""
        given = self.context.variable(f"SQUEUE_{variable.upper()}")
        if self.line.has(*names):
            given = self.line.last(*names)
        if given is None:
            return None
        return given.split(",")

    def wants_me(self) -> bool:
        """Whether jobs of this user are wanted: squeue goes by the last of its options for users, empty ones too."""
        users = self.context.variable("SQUEUE_USERS")
        for name, value in self.line.options:
            if name == "me":
                users = self.context.user
            elif name in ("user", "users"):
                users = value
        if users is None:
            return True
        return any(map(self.context.is_user, users.split(",")))

    def passes(self, call: Call) -> bool:
        """Whether a queued call passes the caller's filters."""
        if self.filters is None:
            return False
        for name, wanted in self.filters.items():
            given = call.options.get(name)
            own = os.fsdecode(given or b"")
            if name == "partition" and not given:
                own = self.context.default_partition
            if name == "account":  # which Slurm compares so
                own, wanted = own.lower(), [word.lower() for word in wanted]
            # A list of nothing but commas has no words.
            if not own or own not in wanted:
                return False
        return True


def show(context: Context, line: Line, layout: Layout | None) -> int:
    """Print one look; Unseparable, before anything is printed, where a value cannot be told from its neighbours."""
    if layout is None:
        from sbatch_shim.companions.formats import document

        status, out = document.squeue(Queue(context, line))
    elif line.has("steps"):
        from sbatch_shim.companions.formats import steps

        status, out = steps.Steps(context, line).ask(layout)
    else:
        status, out = Rows(Queue(context, line)).ask(layout)
    write(out)
    return status


def look_after(context: Context) -> None:
    """Do the housekeeping where some is due; a failure is nobody's concern."""
    live = context.state + b"/live"
    try:
        latest = time.time() - LIVE_SECONDS
        if all(os.stat(live + b"/" + name).st_mtime >= latest for name in os.listdir(live)):
            return
    except OSError:
        return
    from sbatch_shim.companions.housekeeping import by_itself

    by_itself(context)


def as_numbers(jobs: str) -> str:
    """The tickets of a list as squeue reads ids: a number, `_` and a number, and whatever follows is left out."""

    def number(word: str) -> str:
        if is_number(word):
            return word
        found = re.match(r"\s*\+?([0-9]+)(?:(_)([0-9]+|\[[^\]]*\])?)?", word)
        if found is None or JobId.of_ticket(found[1]) is None:
            return word
        return found[1] + (f"_{found[3] or TASK_OF_NOBODY}" if found[2] else "")

    return ",".join(number(word) for word in split_ids(jobs))


def is_read(context: Context, jobs: str) -> bool:
    """Whether squeue reads each word of a list as ids; else it names the first that it does not, and lists nothing."""
    words = [word for word in jobs.split(",") if word and not is_number(word) and AN_ID.fullmatch(word) is None]
    if not words:
        return True
    from sbatch_shim.companions.as_shown import STRICT_IDS

    return context.version < STRICT_IDS


def main(context: Context) -> int:
    """squeue; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.has("help", "usage", "version", "sibling", "sib"):
            raise Unreadable("not about jobs")
        line, others = clusters.asked(context, line)
        if others is not None and line.has("steps") and not clusters.alone(context, others):
            raise Unreadable("a step does not tell its cluster")
        for option in ("jobs", "steps"):
            # A word that stands alone is theirs, even where there was a value.
            if line.has(option) and line.operands:
                line = line.without(option)
                line.options.append((option, line.operands.pop(0)))
        if line.has("jobs") and line.has("steps") and line.last("jobs") is None and line.last("steps") is None:
            raise Unreadable("neither has a value")
        if line.operands:
            raise Unreadable(line.operands[0])
        if not is_read(context, line.last("jobs") or ""):
            raise Unreadable("an id that is none")
        every = line.last("iterate")
        if every is not None and not every.isdigit():
            raise Unreadable(every)
        layout = None
        if not line.has("json", "yaml"):
            layout = layout_of(line, context, STEPS if line.has("steps") else JOBS)
    except Unreadable:
        return context.become(context.words)
    once = line.without("iterate", "format", "Format", "jobs")
    if line.has("jobs"):
        jobs = line.last("jobs")
        if jobs is not None:
            jobs = as_numbers(jobs)
            if context.variable("SLURM_JOB_ID") is not None:
                from sbatch_shim.companions.this_job import with_own_job

                jobs = with_own_job(context, jobs)
        once.options.append(("jobs", jobs))
    try:
        if every is None:
            status = show(context, once, layout)
            look_after(context)
            return status
        gc.enable()
        while True:
            if not line.has("noheader", "long", "verbose"):
                write(time.strftime("%a %b %d %H:%M:%S %Y\n").encode())
            show(context, once, layout)
            write(b"\n")
            sys.stderr.flush()
            time.sleep(int(every))
            context.tickets.refresh()
    except Unseparable as error:
        say(f"squeue: ids are shown as they are: {error}")
        return context.become(context.words)
