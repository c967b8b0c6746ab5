"""
scancel with tickets: real ids for what is submitted, and the spool for what is not.

Filters and elements do not go together: scancel 22.05 with `-t PENDING A_9` cancels all pending elements of A (tried).
So where a filter meets tickets, we look with squeue which elements pass it, and name those without the filter.
"""

from __future__ import annotations

import os
import pwd
import sys

from sbatch_shim.companions import as_shown, clusters
from sbatch_shim.companions.cancelled_records import with_records
from sbatch_shim.companions.context import Context, listable, say, write
from sbatch_shim.companions.formats.separators import FIELD
from sbatch_shim.companions.options import NONE, REQUIRED, Line, Table, Unreadable, read
from sbatch_shim.companions.submit_first import placed
from sbatch_shim.companions.this_job import own_element
from sbatch_shim.companions.to_tickets import error_with_tickets
from sbatch_shim.spool import Session
from sbatch_shim.state.ids import compact, split_ids
from sbatch_shim.state.lazy import pattern, re
from sbatch_shim.state.pools import is_given_out
from sbatch_shim.state.tickets import DROPPED, IN_FLIGHT, QUEUED, REFUSED, Job, Named, SessionTickets, elements

TABLE: Table = {
    "account": ("A", REQUIRED),
    "batch": ("b", NONE),
    "cron": ("c", NONE),
    "ctld": ("", NONE),
    "full": ("f", NONE),
    "help": ("", NONE),
    "hurry": ("H", NONE),
    "interactive": ("i", NONE),
    "cluster": ("M", REQUIRED),
    "clusters": ("M", REQUIRED),
    "jobname": ("n", REQUIRED),
    "me": ("", NONE),
    "name": ("n", REQUIRED),
    "nodelist": ("w", REQUIRED),
    "partition": ("p", REQUIRED),
    "qos": ("q", REQUIRED),
    "quiet": ("Q", NONE),
    "reservation": ("R", REQUIRED),
    "sibling": ("", REQUIRED),
    "signal": ("s", REQUIRED),
    "state": ("t", REQUIRED),
    "usage": ("", NONE),
    "user": ("u", REQUIRED),
    "verbose": ("v", NONE),
    "version": ("V", NONE),
    "wckey": ("", REQUIRED),
}
FILTERS = {
    "account": "%a",
    "name": "%j",
    "jobname": "%j",
    "nodelist": "",
    "partition": "%P",
    "qos": "%q",
    "reservation": "%v",
    "state": "%T",
    "user": "%u",
    "me": "",
    "wckey": "%w",
}
VARIABLES = {f"SCANCEL_{name.upper()}": name for name in FILTERS if name not in ("jobname", "me", "nodelist")}
# What scancel takes as an id in a list; anything else, and it cancels nothing of all that it is told.
AN_ID = pattern(r"(?a)\s*\+?[0-9]+(_(\*|\s*\+?[0-9]+|\[[0-9,:%-]*\])?)?(\+[0-9]+)?(\.[a-z0-9]+)?")
# The number of the user nobody.
NOBODY = 65534
# Signals that end a job that has not begun; any other one is Slurm's to judge.
ENDING = (None, "9", "KILL", "SIGKILL")


def matches(line: Line, values: dict[str, str]) -> bool:
    """Whether a job with these values passes the filters; one that we cannot judge passes nothing."""
    me = pwd.getpwuid(os.getuid())
    for option, value in line.options:
        if option not in FILTERS:
            continue
        if option in ("nodelist", "wckey", "reservation"):
            return False
        if option == "me" or (option == "user" and value in (me.pw_name, str(me.pw_uid))):
            continue
        name = option
        if option == "jobname":
            name = "name"
        own = values.get(name, "")
        if name == "state":
            if own != state_name(value or ""):
                return False
        elif own != value:  # scancel reads no lists
            return False
    return True


def state_name(given: str) -> str:
    """PENDING, RUNNING or SUSPENDED for what the caller wrote; Unreadable for any other state."""
    short = {"PD": "PENDING", "R": "RUNNING", "S": "SUSPENDED"}
    given = given.upper()
    whole = [name for name in short.values() if given and name.startswith(given)]
    if given not in short and not whole:
        raise Unreadable(given)
    return short.get(given) or whole[0]


def first_named(named: Named) -> str:
    """The ticket, with the first of the tasks that were asked for."""
    if named.tasks is None:
        return str(named.ticket)
    return f"{named.ticket}_{named.tasks.ids[0]}"


def queued_values(pages: SessionTickets, ticket: int) -> dict[str, str]:
    call = pages.call(ticket)
    if call is None:
        return {}
    values = {"state": "PENDING", "name": call.shown_name}
    for name in ("account", "partition", "qos"):
        given = call.options.get(name)
        if given is not None:
            values[name] = os.fsdecode(given)
    return values


class Cancel:
    """One run of scancel."""

    def __init__(self, context: Context, line: Line) -> None:
        self.context = context
        self.line = line
        self.status = 0
        self.filters = [option for option, _ in line.options if option in FILTERS]
        self.reals: list[str] = []
        self.targets: list[Named] = []
        self.given: dict[str, str] = {}
        for word in line.operands:
            for one in split_ids(word):
                element = own_element(context, one)
                named = None
                if not element:
                    named = context.tickets.named(one)
                if named is not None:
                    self.targets.append(named)
                    continue
                self.reals.append(element or one)
                if element:
                    self.given[element] = one

    def run(self) -> int:
        clusters.look_at(self.context, (one.job for one in self.targets if one.submitted))
        ending = (self.line.last("signal") or None) in ENDING and not self.line.has("batch", "full")
        named: list[str] = []
        for one in self.targets:
            ids = self.one(one, ending=ending)
            if self.filters and ids and self.line.operands:
                ids = self.passing(one, ids)
            named += ids
        if self.filters and not self.line.operands:
            self.by_filter(ending=ending)
            return self.status
        if self.reals or not self.targets:
            self.call(self.line.options, self.reals)
        self.cancel(named, ending=ending)
        return self.status

    def give_back(self, session: Session, tickets: list[int]) -> None:
        """Cancel in Slurm what waits there for calls that were cancelled in the spool."""
        if any(map(is_given_out, tickets)):
            from sbatch_shim.flush.release import give_back

            give_back(session, lambda recorded: self.context.tool("sbatch") or recorded)

    def one(self, named: Named, *, ending: bool) -> list[str]:
        """The real ids of a ticket; one that is not submitted is dropped here."""
        if named.state in (QUEUED, REFUSED) and ending and named.tasks is None and not named.id.step:
            values = queued_values(named.held, named.ticket)
            if not matches(self.line, values) or not self.is_meant(str(named.ticket), values):
                return []
            named.held.drop([named.ticket])
            self.give_back(named.held.session, [named.ticket])
            self.context.tickets.index()
        if named.state == DROPPED:
            return []
        if named.state == IN_FLIGHT:
            say(f"scancel: error: it is not known whether Slurm took {named.ticket}; see sarray status")
            self.status = 1
            return []
        ids = placed(self.context, named)
        for real in compact(ids):
            self.given.setdefault(real, first_named(named) + named.id.step)
        return ids

    def passing(self, named: Named, ids: list[str]) -> list[str]:
        """Those of a ticket's ids that pass the filters; scancel complains of what is not in the queue."""
        listed = self.listed(ids)
        if not listed:
            word = first_named(named)
            if not self.line.has("quiet"):
                say(f"scancel: error: Kill job error on job id {word}: Invalid job id specified")
            self.status = 1
        return [one for one, values in listed if matches(self.line, values)]

    def by_filter(self, *, ending: bool) -> None:
        """No ids: all that passes the filters, queued calls and merged tasks among them."""
        all_known = self.context.tickets
        if ending:
            for pages in list(all_known.pages.values()):
                tickets = [
                    ticket
                    for ticket, where in all_known.unsubmitted()
                    if where is pages
                    and matches(self.line, queued_values(pages, ticket))
                    and self.is_meant(str(ticket), queued_values(pages, ticket))
                ]
                if tickets:
                    pages.drop(tickets)
                    self.give_back(pages.session, tickets)
            all_known.index()
        # Slurm knows a merged array by one name, and its calls have their own; and they keep their records.
        by_name = self.line.has("name", "jobname")
        live = [
            one
            for pages in all_known.pages.values()
            for ticket, place in pages.places.items()
            if not place.whole and (self.has_name(pages, ticket) if by_name else not self.line.has("interactive"))
            for one in elements(place, None)
        ]
        self.cancel(self.filtered(live), ending=ending)
        self.call(self.line.options, [])

    def cancel(self, named: list[str], *, ending: bool) -> None:
        """Cancel real jobs, whatever the filters say."""
        options = self.line.without(*FILTERS, *clusters.OPTIONS).options
        if self.line.has("interactive") and not any("." in one for one in named):
            named = [one for one, values in self.listed(named) if self.is_meant(values["id"], values)] if named else []
            options = [one for one in options if one[0] != "interactive"]
        if named:
            if ending:
                ids = with_records(self.context, named)
            else:
                ids = compact(named)
            for one in ids:
                job = None
                if one.isdigit():
                    job = self.context.tickets.job_here(int(one))
                if job is not None:
                    self.given.setdefault(one, str(job.entries[0][1]))
            self.call(options, ids)

    def is_meant(self, number: str, values: dict[str, str]) -> bool:
        """Whether a job is to be cancelled: with --interactive the user is asked, as scancel does."""
        if not self.line.has("interactive"):
            return True
        partition = values.get("partition") or self.context.default_partition
        while True:
            question = f"Cancel job_id={number} name={values.get('name', '')} partition={partition} [y/n]? "
            write(os.fsencode(question))
            answer = line_of_stdin()
            if not answer or answer[:1] in b"nN":
                return False
            if answer[:1] in b"yY":
                return True

    def has_name(self, pages: SessionTickets, ticket: int) -> bool:
        return queued_values(pages, ticket).get("name") == self.line.last("name", "jobname")

    def filtered(self, ids: list[str]) -> list[str]:
        """Those of the ids whose jobs pass the filters."""
        if not ids:
            return []
        return [one for one, values in self.listed(ids) if matches(self.line, values)]

    def listed(self, ids: list[str]) -> list[tuple[str, dict[str, str]]]:
        """Those of the ids that are in the queue, with what the filters look at; names are the calls' own."""
        form = FIELD.join(("%F", "%K", "%T", "%P", "%a", "%q", "%u", "%o", "%j"))
        asked = listable(one.partition("_")[0] for one in ids)
        answer = self.context.run("squeue", ["-h", "-a", "-r", "-j", asked, "-o", form], **self.context.unfiltered())
        wanted = set(ids)
        found = []
        # squeue lists the youngest first, and scancel goes the other way.
        for array, task, state, partition, account, qos, user, command, name in sorted(
            answer.rows(FIELD, 9), key=lambda row: [int(number) if number.isdigit() else 0 for number in row[:2]]
        ):
            job = self.context.tickets.job(int(array), command)
            if job is None:
                continue  # another cluster's has the id of ours
            one = array if task == "N/A" else f"{array}_{task}"
            values = {"state": state, "partition": partition, "account": account, "qos": qos, "user": user}
            values["name"], values["id"] = self.name_of(job, task, name), id_of(job, task) or one
            if one in wanted or array in wanted:
                found.append((one, values))
        return found

    def name_of(self, job: Job, task: str, real: str) -> str:
        try:
            ticket, _ = job.task(int(task) if task.isdigit() else None)
        except KeyError:
            return ""
        return self.context.tickets.name(ticket, real)

    def call(self, options: list[tuple[str, str | None]], ids: list[str]) -> None:
        """Run the real scancel; the worst exit status stays."""
        words = Line(options, ids).words()
        if any(name == "interactive" for name, _ in options):
            sys.stdout.flush()
            import subprocess

            status = subprocess.call(["scancel", *words], executable=self.context.real, env=self.context.environment)
        else:
            answer = self.context.run("scancel", words, **dict.fromkeys(VARIABLES))
            write(answer.out)
            sys.stderr.buffer.write(error_with_tickets(answer.err, self.context.tickets, self.given))
            status = answer.status
        self.status = self.status or status


def id_of(job: Job, task: str) -> str:
    """A task of a merged job as the user knows it; empty for one that is no call's."""
    try:
        ticket, local = job.task(int(task) if task.isdigit() else None)
    except KeyError:
        return ""
    return str(ticket) if local is None else f"{ticket}_{local}"


def line_of_stdin() -> bytes:
    """The next line, and no byte more: what follows may be for the real scancel."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line


def with_variables(context: Context, line: Line) -> Line:
    """The filters that SCANCEL_* variables give, as options."""
    given = [
        (name, value)
        for variable, name in VARIABLES.items()
        if (value := context.variable(variable)) is not None and not line.has(name, {"name": "jobname"}.get(name, name))
    ]
    return Line([*given, *line.options], line.operands)


def is_known(context: Context, user: str) -> bool:
    """Whether scancel takes a word for a user; else it says so, and cancels nothing of all that it is told."""
    if user.isdigit():
        return True
    try:
        number = pwd.getpwnam(user).pw_uid
    except KeyError:
        return False
    return number != NOBODY or context.version < as_shown.NOBODY_UNKNOWN


def main(context: Context) -> int:
    """scancel; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.has("help", "usage", "version", "sibling"):
            raise Unreadable("not about jobs")
        line = with_variables(context, clusters.asked(context, line)[0])
        state_name(line.last("state") or "PENDING")
        for user in [value for name, value in line.options if name == "user" and value is not None]:
            if not is_known(context, user):
                raise Unreadable(user)
        for word in line.operands:
            if not all(AN_ID.fullmatch(one) for one in re.split(r",(?![^\[]*\])", word)):
                raise Unreadable(word)
    except Unreadable:
        return context.become(context.words)
    cancel = Cancel(context, line)
    nothing_live = not cancel.targets and not cancel.given and not context.tickets.pages
    if nothing_live or (not line.operands and not cancel.filters):
        return context.become(context.words)
    return cancel.run()
