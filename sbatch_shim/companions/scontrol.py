"""
scontrol with tickets.

`show job` is rewritten field by field; verbs that change a job get real ids. A verb that needs a job which is still
queued submits its session first, as a handed-over call does that waits for one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace

from sbatch_shim.calls import Call, ranges
from sbatch_shim.companions import documents, own
from sbatch_shim.companions.act import own_element, placed
from sbatch_shim.companions.book import (
    DROPPED,
    FLYING,
    QUEUED,
    REFUSED,
    Job,
    Pages,
    Target,
    compact,
    split_ids,
    target,
    task_string,
)
from sbatch_shim.companions.companion import Context, write
from sbatch_shim.companions.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, read
from sbatch_shim.companions.reverse import dependency_with_tickets, error_with_tickets
from sbatch_shim.companions.shown import Shown, parse_tasks, shares, shares_of_rest
from sbatch_shim.companions.waiting import Waiting
from sbatch_shim.errors import ShimError
from sbatch_shim.merge.dependency import parse, with_places

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
    "notify": 1,
    "wait_job": 1,
    "listpids": 1,
}
HEAD = re.compile(
    r"JobId=([0-9]+)(?: ArrayJobId=([0-9]+) ArrayTaskId=([^ ]+))?((?: [A-Z][A-Za-z]*=[^ ]*)*?) JobName="
)
# The task of a record that no longer tells its tasks: they were cancelled together while they waited.
NO_TASKS = "4294967294"
ABOUT_TASKS = re.compile(r"([0-9]+)_([0-9,:-]+): (.*)$")


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
            ids = [value, *words[2:]] if equals else words[2:]
            if any(is_verb(entity, name, 1) for name in ("jobs", "jobid")):
                if len(ids) > 1:
                    return self.context.become(self.context.words)
                return self.show(ids[0] if ids else None)
            if is_verb(entity, "steps", 2) and ids:
                return self.plain([verb, words[1] if not equals else entity, *self.real_words(ids)])
        elif is_verb(verb, "write", 1) and len(words) >= 3 and is_verb(words[1], "batch_script", 1):
            return self.batch_script(words[2:])
        elif is_verb(verb, "update", 1):
            return self.update(words)
        elif any(is_verb(verb, name, least) for name, least in ON_JOBS.items()):
            return self.plain([verb, *self.real_words(words[1:])])
        return self.context.become(self.context.words)

    def plain(self, words: Sequence[str]) -> int:
        """The real scontrol with other words; ids in its errors are the caller's."""
        answer = self.context.run("scontrol", Line(self.line.options, list(words)).words())
        write(error_with_tickets(answer.out, self.context.book, self.given))
        kept, failed = [], False
        for line in answer.err.decode(errors="surrogateescape").splitlines(keepends=True):
            about = ABOUT_TASKS.match(line)
            job = self.context.book.jobs.get(int(about[1])) if about else None
            if about is None or job is None:
                text = line.encode(errors="surrogateescape")
                kept.append(error_with_tickets(text, self.context.book, self.given).decode(errors="surrogateescape"))
                failed = True
                continue
            said = self.about_tasks(job, parse_tasks(about[2])[0], about[3])
            kept += said
            failed |= bool(said) and about[3] != "No error"
        sys.stderr.write("".join(kept) if failed else "")
        return answer.status if failed or not answer.err else 0

    def about_tasks(self, job: Job, indices: list[int], text: str) -> list[str]:
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
            tasks = tasks if asked is None else [task for task in tasks if task in asked]
            if tasks:
                found.append(f"{ticket}_{ranges(tasks)}: {text}\n")
        # Elements that nobody has: what stands for a task id that the call did not ask for.
        nobody = {f"{job.number}_{index}" for index in indices if not job.shares([index])}
        for ticket, wanted in self.asked.items() if nobody else ():
            left = [task for task in wanted or () if self.context.book.place(ticket).element(task) in nobody]
            found += [f"{ticket}_{ranges(left)}: {text}\n"] if left else []
        return found

    def real_words(self, words: Sequence[str]) -> list[str]:
        """Words with every job id among them made a real one."""
        found = []
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                name, value = "", word
            elif name.lower() not in ("job", "jobid", "jobs"):
                found.append(word)
                continue
            ids = ",".join(self.real_ids(value))
            found.append(f"{name}={ids}" if equals else ids)
        return found

    def real_ids(self, text: str) -> list[str]:
        """The real ids of a list; what is queued is submitted first."""
        ids: list[str] = []
        for one in split_ids(text):
            element = own_element(self.context, one)
            found = target(one)
            pages = self.context.book.landed(found.ticket) if found and not element else None
            if found is None or pages is None:
                self.given[element or one] = one
                ids.append(element or one)
                continue
            real = compact(placed(self.context, found, pages))
            before = self.asked.get(found.ticket, set())
            whole = found.tasks is None or before is None
            self.asked[found.ticket] = None if whole else {*(before or ()), *(found.tasks or ())}
            self.given.update(dict.fromkeys(real, one))
            ids += real
        return ids

    def update(self, words: list[str]) -> int:
        """`update JobId=T Dependency=afterok:T2 ...`."""
        keys = [word.partition("=")[0].lower() for word in words[1:]]
        if not any(key in ("job", "jobid") for key in keys):
            return self.context.become(self.context.words)
        if any("arraytaskthrottle".startswith(key) and len(key) > 5 for key in keys):
            self.refuse_shared_throttle(words)
        changed = self.real_words(words[1:])
        for at, word in enumerate(changed):
            name, _, value = word.partition("=")
            if len(name) > 2 and "dependency".startswith(name.lower()) and value:
                self.submit_named(value)
                real = with_places(parse(value.encode()), self.context.book.place, for_array=True)
                changed[at] = f"{name}={real.decode()}"
        return self.plain([words[0], *changed])

    def submit_named(self, spec: str) -> None:
        """Submit the tickets that a dependency names."""
        for number in re.findall(r"(?<![0-9])[12][0-9]{9}(?![0-9])", spec):
            found = target(number)
            pages = self.context.book.landed(int(number)) if found else None
            if found is not None and pages is not None:
                placed(self.context, found, pages)

    def refuse_shared_throttle(self, words: list[str]) -> None:
        """A limit of tasks holds for a whole array."""
        for word in words[1:]:
            found = target(word.partition("=")[2])
            pages = self.context.book.landed(found.ticket) if found else None
            if found is None or pages is None:
                continue
            placed(self.context, found, pages)
            if not pages.places[found.ticket].whole:
                raise ShimError(
                    f"{found.ticket} shares the array {pages.places[found.ticket].job} with other calls, whose tasks "
                    "ArrayTaskThrottle would limit too; sarray throttle does that"
                )

    def batch_script(self, words: list[str]) -> int:
        """`write batch_script T [FILE]`: the call's own script."""
        found = target(words[0])
        pages = self.context.book.landed(found.ticket) if found else None
        call = pages.call(found.ticket) if found is not None and pages is not None else None
        if call is None or found is None:
            return self.context.become(self.context.words)
        name = words[1] if len(words) > 1 else f"slurm-{found.ticket}.sh"
        if name == "-":
            write(call.body())
            return 0
        before = os.umask(self.context.umask)
        try:
            with open(name, "wb") as stream:
                stream.write(call.body())
        except OSError as error:
            raise ShimError(f"{name}: {error.strerror}") from None
        finally:
            os.umask(before)
        if not self.line.has("quiet"):
            write(f"batch script for job {found.ticket} written to {name}\n".encode())
        return 0

    def show(self, given: str | None) -> int:
        """`show job [ID]`."""
        if self.line.has("json", "yaml"):
            return documents.scontrol(self.context, self.line, given)
        found = target(given) if given else None
        pages = self.context.book.landed(found.ticket) if found else None
        options = [one for one in self.line.options if one[0] != "oneliner"]
        asked: list[str] = []
        if found is not None and pages is not None:
            state = pages.state(found.ticket)
            if state in (QUEUED, REFUSED, FLYING, DROPPED):
                return self.print_records([record_of_queued(self.context, pages, found, state or "")])
            asked = [str(pages.places[found.ticket].job)]
            self.given[asked[0]] = given or ""
        elif given:
            asked = [own_element(self.context, given) or given]
        answer = self.context.run("scontrol", Line(options, ["show", "job", *asked]).words(), SLURM_BITSTR_LEN="0")
        sys.stderr.buffer.write(error_with_tickets(answer.err, self.context.book, self.given))
        text = answer.out.decode(errors="surrogateescape")
        self.context.book.refresh()
        originals = re.split(r"^(?=JobId=)", text, flags=re.M)
        records: list[str] = []
        for record in originals:
            records += self.translated(record, originals, found)
        if found is None and not given:
            records += [
                record_of_queued(self.context, where, Target(ticket, None, ""), where.state(ticket) or "")
                for ticket, where in self.context.book.unsubmitted()
            ]
            records = [record for record in records if not record.startswith("No jobs")] or records
        if found is not None and answer.status == 0 and not records and found.tasks:
            write(f"Job {given} not found\n".encode())
            return 1
        self.print_records(records)
        return answer.status

    def print_records(self, records: list[str]) -> int:
        for record in records:
            if self.line.has("oneliner"):
                record = record.replace("\n   ", " ").rstrip("\n") + "\n" if record.startswith("JobId=") else record
            write(record.encode(errors="surrogateescape"))
        return 0

    def translated(self, record: str, others: list[str], wanted: Target | None) -> list[str]:
        """A record of the real scontrol as those of our calls; as it is for other jobs."""
        head = HEAD.match(record)
        if head is None:
            return [record] if record else []
        raw, array, tasks = head[1], int(head[2] or head[1]), head[3] or ""
        command = re.search(r"^   Command=(.*)$", record, re.M)
        if command and self.context.book.ours(command[1]):
            self.context.book.job_landed(array)
        job = self.context.book.jobs.get(array)
        if job is None:
            return [cut_tasks(record)]
        indices, throttle = parse_tasks(tasks)
        if tasks == NO_TASKS:
            heads = (HEAD.match(other) for other in others)
            same = (one[3] for one in heads if one and one[2] == str(array) and one[3] != NO_TASKS)
            found = shares_of_rest(job, (index for spec in same for index in parse_tasks(spec)[0]))
        else:
            found = shares(job, indices, not tasks.isdigit(), throttle, raw)
        records = []
        for shown in found:
            if wanted is not None and wanted.ticket != shown.ticket:
                continue
            each = [shown]
            if wanted is not None and wanted.tasks is not None:
                # A record for each, as scontrol shows `A_3` of an array that waits.
                some = [task for task in shown.tasks or () if task in wanted.tasks]
                each = [replace(shown, tasks=[task], folded=False) for task in some]
            records += [self.rewrite(record, head[4], one) for one in each]
        return records

    def rewrite(self, record: str, rest: str, shown: Shown) -> str:
        """One record of a call."""
        call = self.context.book.call(shown.ticket)
        name = call.shown_name if call else re.findall(r" JobName=(.*)$", record, re.M)[0]
        first = f"JobId={shown.ids('jobid')}"
        if call is not None and call.is_array:
            first += f" ArrayJobId={shown.ticket} ArrayTaskId={shown.ids('arraytaskid') if shown.tasks else NO_TASKS}"
        lines = record.split("\n")
        lines[0] = f"{first}{rest} JobName={name}"
        for at, line in enumerate(lines):
            key = line.strip().partition("=")[0]
            if " Dependency=" in line:
                before, _, spec = line.partition(" Dependency=")
                spec = dependency_with_tickets(spec, self.context.book, call, shown.index)
                lines[at] = f"{before} Dependency={spec}"
            elif call is not None:
                value = own_line(self.context, call, key, shown)
                if value is not None:
                    lines[at] = f"   {key}={value}"
        return "\n".join(lines)


def cut_tasks(record: str) -> str:
    """Undo SLURM_BITSTR_LEN=0 in somebody else's record."""

    def cut(found: re.Match[str]) -> str:
        indices, throttle = parse_tasks(found[1])
        return " ArrayTaskId=" + (found[1] if found[1].isdigit() or not indices else task_string(indices, throttle))

    return re.sub(r" ArrayTaskId=([^ ]+)", cut, record, count=1)


def own_line(context: Context, call: Call, key: str, shown: Shown) -> str | None:
    """The value of a line that tells of the call; None for all others."""
    if key == "Command":
        return own.command(context, call)
    if key == "WorkDir":
        return os.fsdecode(call.folder)
    kind = {"StdOut": "output", "StdErr": "error", "StdIn": "input"}.get(key)
    return own.log_name(context, call, kind, shown) if kind else None


def record_of_queued(context: Context, pages: Pages, found: Target, state: str) -> str:
    """What scontrol would show of a job that waits."""
    call = pages.call(found.ticket)
    if call is None:
        raise ShimError(f"the record of {found.ticket} cannot be read")
    tasks = None
    if call.is_array:
        tasks = [task for task in call.tasks if found.tasks is None or task in found.tasks]
    shown = Shown(found.ticket, tasks, tasks is not None and (len(tasks) > 1 or found.tasks is None), call.throttle)
    values = Waiting(context, call, state)
    first = f"JobId={shown.ids('jobid')}"
    if tasks is not None:
        first += f" ArrayJobId={found.ticket} ArrayTaskId={shown.ids('arraytaskid')}"
    keys = ("Command", "WorkDir", "StdErr", "StdIn", "StdOut")
    lines = [
        f"{first} JobName={call.shown_name}",
        f"UserId={values.user}({values.user_id}) GroupId={os.getgid()} MCS_label=N/A",
        f"Priority=0 Nice={values.option('nice', '0')} Account={values.option('account')} QOS={values.option('qos')}",
        f"JobState={values.state} Reason={values.reason} Dependency={values.dependency}",
        "Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0",
        f"RunTime=00:00:00 TimeLimit={values.time_limit} TimeMin=N/A",
        f"SubmitTime={values.submitted} EligibleTime=Unknown",
        "StartTime=Unknown EndTime=Unknown Deadline=N/A",
        f"Partition={values.partition}",
        f"NumNodes={values.nodes} NumCPUs={values.cpus} NumTasks={values.option('ntasks', '1')}",
        *(f"{key}={own_line(context, call, key, shown)}" for key in keys),
        *([] if context.version >= own.NO_POWER else ["Power="]),
        "",
    ]
    return "\n   ".join(lines) + "\n\n"


def main(context: Context) -> int:
    """scontrol; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.has("help", "usage", "version", "clusters", "cluster", "federation", "sibling"):
            raise Unreadable("not about the jobs of this cluster")
    except Unreadable:
        return context.become(context.words)
    return Control(context, line).run()
