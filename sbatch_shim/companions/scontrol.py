"""
scontrol with tickets.

`show job` is rewritten field by field (scontrol_records.py); verbs that change a job get real ids. A verb that needs a
job which is still queued submits its session first, as a handed-over call does that waits for one.
"""

from __future__ import annotations

import os
import sys

from sbatch_shim.companions import clusters
from sbatch_shim.companions.context import Context, say, write
from sbatch_shim.companions.formats.records import Records
from sbatch_shim.companions.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, read
from sbatch_shim.companions.submit_first import placed
from sbatch_shim.companions.this_job import own_call, own_element, own_number
from sbatch_shim.companions.to_tickets import error_with_tickets
from sbatch_shim.errors import BadDependency, ShimError
from sbatch_shim.state.dependency import parse, with_places
from sbatch_shim.state.ids import TaskSet, compact, ranges, split_ids
from sbatch_shim.state.lazy import pattern, re
from sbatch_shim.state.pools import is_given_out
from sbatch_shim.state.tickets import DROPPED, Job, elements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


TABLE: Table = {
    "all": ("a", NONE),
    "cluster": ("M", REQUIRED),
    "clusters": ("M", REQUIRED),
    "details": ("d", NONE),
    "federation": ("F", NONE),
    "future": ("", NONE),
    "help": ("h", NONE),
    "hide": ("", NONE),
    "json": ("", OPTIONAL),
    "local": ("", NONE),
    "oneliner": ("o", NONE),
    "quiet": ("Q", NONE),
    "sibling": ("", NONE),
    "uid": ("u", REQUIRED),
    "usage": ("", NONE),
    "verbose": ("v", NONE),
    "version": ("V", NONE),
    "yaml": ("", OPTIONAL),
}
# Verbs whose words are job ids, with the fewest letters that name them.
ON_JOBS = {
    "hold": 3,
    "holdu": 5,
    "uhold": 2,
    "release": 3,
    "requeue": 3,
    "requeuehold": 8,
    "suspend": 2,
    "resume": 3,
    "top": 1,
}
# Those that read one number, and take an element's own id only.
ON_NUMBERS = {"wait_job": 1, "listpids": 1}
# Keys of an update that change how many nodes a job has.
SIZES = ("numnodes", "reqnodes", "nodelist", "reqnodelist")
# Some verbs leave them out where they repeat an id.
BRACKETS = str.maketrans("", "", "[]")
# The list stands in brackets since 26.05, also a single task.
ABOUT_TASKS = pattern(r"([0-9]+)_(\[?)([0-9,:-]+)\]?: (.*)$")


def is_verb(word: str, verb: str, least: int) -> bool:
    return len(word) >= least and verb.startswith(word.lower())


class Control:
    """One run of scontrol."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        self.given: dict[str, str] = {}
        # The tasks asked for by ticket; None for the whole call.
        self.asked: dict[int, set[int] | None] = {}

    def run(self) -> int:
        words = self.line.operands
        if not words:
            return self.context.become(self.context.words)
        verb = words[0]
        if is_verb(verb, "show", 3) and len(words) >= 2:
            entity, equals, value = words[1].partition("=")
            ids = words[2:]
            if equals:
                ids = [value, *words[2:]]
            if any(is_verb(entity, name, 1) for name in ("jobs", "jobid")):
                if len(ids) > 1:
                    return self.context.become(self.context.words)
                return Records(self.context, self.line).show(*ids)
            if is_verb(entity, "steps", 2) and len(ids) < 2:
                return Records(self.context, self.line).show_steps(*ids)
        elif is_verb(verb, "write", 1) and 3 <= len(words) <= 4 and is_verb(words[1], "batch_script", 1):
            return self.batch_script(words[2:])
        elif is_verb(verb, "update", 1):
            return self.update(words)
        elif is_verb(verb, "notify", 1) and len(words) > 1:
            return self.plain([verb, self.notified(words[1]), *words[2:]])
        elif any(is_verb(verb, name, least) for name, least in ON_NUMBERS.items()) and len(words) > 1:
            return self.by_number([verb, self.number(words[1]), *words[2:]])
        elif any(is_verb(verb, name, least) for name, least in ON_JOBS.items()):
            return self.plain([verb, *self.real_words(words[1:])])
        return self.context.become(self.context.words)

    def plain(self, words: Sequence[str]) -> int:
        """The real scontrol with other words; ids in its errors are the caller's."""
        answer = self.context.run("scontrol", Line(self.line.options, list(words)).words())
        write(error_with_tickets(answer.out, self.context.tickets, self.given))
        kept, failed = [], False
        for line in answer.err.decode(errors="surrogateescape").splitlines(keepends=True):
            about = ABOUT_TASKS.match(line)
            job = None
            if about:
                job = self.context.tickets.job_here(int(about[1]))
            if about is None or job is None:
                text = line.encode(errors="surrogateescape")
                kept.append(error_with_tickets(text, self.context.tickets, self.given).decode(errors="surrogateescape"))
                failed = True
                continue
            said = self.about_tasks(job, TaskSet.parse(about[3]), about[4])
            kept += [re.sub(r"_([0-9,-]+):", r"_[\1]:", one, count=1) if about[2] else one for one in said]
            failed |= bool(said) and about[4] != "No error"
        if failed:
            sys.stderr.write("".join(kept))
        if failed or not answer.err:
            return answer.status
        return 0

    def by_number(self, words: list[str]) -> int:
        """wait_job, and listpids, whose table has a column of numbers."""
        answer = self.context.run("scontrol", Line(self.line.options, words).words())
        number = words[1].partition(".")[0]
        own = self.given.get(number)
        out = answer.out.decode(errors="surrogateescape")
        if own is not None and own != number:
            column = re.compile(rf"^(\S+ +){number} +", re.M)
            out = column.sub(lambda found: f"{found[1]}{own:<8} ", out)
        write(out.encode(errors="surrogateescape"))
        sys.stderr.buffer.write(error_with_tickets(answer.err, self.context.tickets, self.given))
        return answer.status

    def about_tasks(self, job: Job, indices: TaskSet, text: str) -> list[str]:
        """What scontrol says of some tasks of a merged job, for each call that was asked for."""
        found = []
        for ticket, locals_ in job.shares(indices).items():
            tasks = [task for task in locals_ if task is not None]
            asked = self.asked.get(ticket, set())
            if ticket not in self.asked or (asked is None and text == "Invalid job id specified"):
                continue  # a pending neighbour; or a task of a whole call that was cancelled before
            if not tasks:
                found.append(f"{text} for job {ticket}\n")
                continue
            if asked is not None:
                tasks = [task for task in tasks if task in asked]
            if tasks:
                found.append(f"{ticket}_{ranges(tasks)}: {text}\n")
        # Elements that nobody has: what stands for a task id that the call did not ask for.
        nobody = {f"{job.number}_{index}" for index in indices if not job.shares([index])}
        for ticket, wanted in self.asked.items() if nobody else ():
            left = [task for task in wanted or () if self.context.tickets.place(ticket).element(task) in nobody]
            if left:
                found += [f"{ticket}_{ranges(left)}: {text}\n"]
        return found

    def real_words(self, words: Sequence[str], *, by_name: bool = True) -> list[str]:
        """
        Words with every job id among them made a real one.

        Args:
            by_name: A name selects the jobs that have it.
        """
        found = []
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                name, value = "", word
            elif by_name and name.lower() in ("jobname", "name"):
                found.append(self.with_name(value) or word)
                continue
            elif name.lower() not in ("job", "jobid", "jobs"):
                found.append(word)
                continue
            ids = ",".join(self.real_ids(value))
            self.given[ids] = value  # some verbs repeat the word as a whole
            found.append(f"{name}={ids}" if equals else ids)
        return found

    def with_name(self, name: str) -> str | None:
        """The real ids of all jobs of this name, where calls are among them: a merged array has one name."""
        all_known = self.context.tickets
        tickets = []
        for pages in all_known.pages.values():
            calls = (pages.call(ticket) for ticket in pages.queued | {*pages.places} if pages.state(ticket) != DROPPED)
            named = sorted(call.ticket for call in calls if call is not None and call.shown_name == name)
            clusters.look_at(self.context, (pages.jobs[ticket] for ticket in named if ticket in pages.jobs))
            gone = {one for one in named if one in pages.jobs and not clusters.has(self.context, pages.jobs[one])}
            tickets += [one for one in named if one not in gone]
        if not tickets:
            return None
        answer = self.context.run("squeue", ["-h", "-u", str(os.getuid()), "-n", name, "-o", "%F|%o"])
        rows = dict.fromkeys((one, command) for one, command in answer.rows("|", 2) if one.isdigit())
        others = [one for one, command in rows if all_known.job(int(one), command) is None]
        return ",".join([*self.real_ids(",".join(map(str, tickets))), *others])

    def one_real_id(self, word: str) -> str:
        """The real id for a verb that takes no list: an array's own id is its last element's."""
        ids = self.real_ids(word)
        if word.isdigit() and is_given_out(int(word)):
            return word
        if len(ids) == 1 and "[" not in ids[0]:
            return ids[0]
        named = self.context.tickets.named(word)
        if named is None or named.tasks is not None or not clusters.has(self.context, named.job):
            return ids[0]
        return elements(named.place, None)[-1]

    def number(self, word: str) -> str:
        """The number of an element that has a ticket's own id, with the step that followed it."""
        job, dot, step = word.partition(".")
        named = self.context.tickets.named(job)
        if named is None or named.tasks is not None:
            return word
        element = self.one_real_id(job)
        listed = [element]
        if "_" in element:
            answer = self.context.run("squeue", ["-h", "-t", "all", "-j", element, "-o", "%A"])
            listed = answer.out.decode().split()
        if not listed:
            return word
        self.given[listed[0]] = job
        return listed[0] + dot + step

    def notified(self, word: str) -> str:
        """
        Whom `notify` tells something: it reads a job's number, and nothing behind it (tried on 22.05).

        So of a merged task it would tell whoever has its array's id.
        """
        job = word.partition("_")[0]
        if self.context.tickets.named(job) is None:
            return self.one_real_id(word)
        self.real_ids(job)
        return self.number(job)

    def real_ids(self, text: str) -> list[str]:
        """The real ids of a list, at commas or blanks; what is queued is submitted first."""
        ids: list[str] = []
        for one in split_ids(text.replace(" ", ",")):
            element = own_element(self.context, one)
            named = None if element else self.context.tickets.named(one)
            if named is None:
                self.given[element or one] = one
                ids.append(element or one)
                if element:
                    self.note_own(element)
                continue
            real = compact(placed(self.context, named))
            self.note(named.ticket, named.tasks)
            self.given.update(dict.fromkeys([*real, *(each.translate(BRACKETS) for each in real)], one))
            ids += real
        return ids

    def note(self, ticket: int, tasks: Iterable[int] | None) -> None:
        """Write down that tasks of a call are asked for, None for all of it; what is said of others is left out."""
        before = self.asked.get(ticket, set())
        self.asked[ticket] = None if tasks is None or before is None else {*before, *tasks}

    def note_own(self, element: str) -> None:
        """The same for the task that this command runs in."""
        array, _, index = element.partition("_")
        job = self.context.tickets.job_here(int(array))
        if job is None or not index:
            return
        for ticket, tasks in job.shares([int(index)]).items():
            self.note(ticket, None if None in tasks else [task for task in tasks if task is not None])

    def update(self, words: list[str]) -> int:
        """`update JobId=T Dependency=afterok:T2 ...`."""
        keys = [word.partition("=")[0].lower() for word in words[1:]]
        if not any(key in ("job", "jobid") for key in keys):
            if "jobname" not in keys:
                return self.context.become(self.context.words)
            at = 1 + keys.index("jobname")
            ids = self.with_name(words[at].partition("=")[2])
            words = [*words[:at], f"JobId={ids}" if ids else words[at], *words[at + 1 :]]
        if any("arraytaskthrottle".startswith(key) and len(key) > 5 for key in keys):
            self.refuse_shared_throttle(words)
        changed = self.real_words(words[1:], by_name=False)
        if any(key in SIZES for key in keys):
            changed = [self.as_number(before, word) for before, word in zip(words[1:], changed)]
        for at, word in enumerate(changed):
            name, _, value = word.partition("=")
            if len(name) > 2 and "dependency".startswith(name.lower()) and value:
                try:
                    waits = parse(value.encode())
                except BadDependency:
                    continue  # Slurm has words of its own for it
                self.submit_named(value)
                real = with_places(waits, self.context.tickets.place, for_array=True)
                changed[at] = f"{name}={real.spec.decode()}"
        return self.plain([words[0], *changed])

    def as_number(self, word: str, changed: str) -> str:
        """
        A word of an update that resizes a job, with the number of the job around us in place of its element.

        scontrol writes down the environment of what is left, under the number in front of an element: that of an array.
        """
        name, equals, value = word.rpartition("=")
        if name.lower() not in ("", "job", "jobid") or not own_number(self.context, value):
            return changed
        self.given[value] = value
        return f"{name}{equals}{value}"

    def submit_named(self, spec: str) -> None:
        """Submit the tickets that a dependency names."""
        for number in re.findall(r"(?<![0-9])[12][0-9]{9}(?![0-9])", spec):
            named = self.context.tickets.named(number)
            if named is not None:
                placed(self.context, named)

    def refuse_shared_throttle(self, words: list[str]) -> None:
        """A limit of tasks holds for a whole array."""
        for word in words[1:]:
            named = self.context.tickets.named(word.partition("=")[2])
            if named is None:
                continue
            placed(self.context, named)
            if not named.place.whole:
                raise ShimError(
                    f"{named.ticket} shares the array {named.place.job} with other calls, whose tasks "
                    "ArrayTaskThrottle would limit too; sarray throttle does that"
                )

    def batch_script(self, words: list[str]) -> int:
        """`write batch_script T [FILE]`: the call's own script."""
        word = words[0].partition(",")[0]
        job = word
        call = own_call(self.context, word)
        named = self.context.tickets.named(word)
        if named is not None:
            call, job = named.call, str(named.ticket)
        if call is None:
            return self.context.become(self.context.words)
        name = f"slurm-{job}.sh"
        if len(words) > 1:
            name = words[1]
        if name == "-":
            write(call.body())
            return 0
        before = os.umask(self.context.umask)
        try:
            with open(name, "wb") as stream:
                stream.write(call.body())
        except OSError as error:
            say(f"failed to open file `{name}`: {error.strerror}")
            return 0
        finally:
            os.umask(before)
        if not self.line.has("quiet"):
            write(f"batch script for job {job} written to {name}\n".encode())
        return 0


def main(context: Context) -> int:
    """scontrol; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.has("help", "usage", "version", "sibling"):
            raise Unreadable("not about jobs")
        line, others = clusters.asked(context, line)
        if others is not None and context.names_tickets():
            line = line.without(*clusters.OPTIONS)
    except Unreadable:
        return context.become(context.words)
    return Control(context, line).run()
