"""
scancel with tickets: real ids for what is submitted, and the spool for what is not.

Filters and elements do not go together: scancel 22.05 with `-t PENDING A_9` cancels all pending elements of A (tried).
So where a filter meets tickets, we look with squeue which elements pass it, and name those without the filter.
"""

from __future__ import annotations

import os
import pwd
import sys

from sbatch_shim.companions.act import drop_queued, own_element, placed
from sbatch_shim.companions.book import (
    DROPPED,
    FLYING,
    QUEUED,
    REFUSED,
    Pages,
    Target,
    compact,
    elements,
    split_ids,
    target,
)
from sbatch_shim.companions.companion import Context, say
from sbatch_shim.companions.options import NONE, OPTIONAL, REQUIRED, Line, Table, Unreadable, read
from sbatch_shim.companions.reverse import error_with_tickets

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
    "user": ("u", OPTIONAL),
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
        name = "name" if option == "jobname" else option
        asked = (value or "").split(",") if name in ("name", "account", "partition", "qos") else [value or ""]
        own = values.get(name, "")
        if name == "state":
            if own != state_name(value or ""):
                return False
        elif own not in asked:
            return False
    return True


def state_name(given: str) -> str:
    """PENDING, RUNNING or SUSPENDED for what the caller wrote."""
    short = {"PD": "PENDING", "R": "RUNNING", "S": "SUSPENDED"}
    given = given.upper()
    whole = [name for name in short.values() if name.startswith(given)]
    return short.get(given) or (whole[0] if whole else given)


def queued_values(pages: Pages, ticket: int) -> dict[str, str]:
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
        self.targets: list[tuple[Target, Pages]] = []
        self.given: dict[str, str] = {}
        for word in line.operands:
            for one in split_ids(word.replace(" ", ",")):
                element = own_element(context, one)
                found = target(one)
                pages = context.book.landed(found.ticket) if found and not element else None
                if found is not None and pages is not None:
                    self.targets.append((found, pages))
                    continue
                self.reals.append(element or one)
                if element:
                    self.given[element] = one

    def run(self) -> int:
        ending = (self.line.last("signal") or None) in ENDING and not self.line.has("batch", "full")
        named: list[str] = []
        for found, pages in self.targets:
            named += self.one(found, pages, ending)
        if self.filters and not self.line.operands:
            self.by_filter(ending)
            return self.status
        if named and self.filters:
            named = self.filtered(named)
        if self.reals or not self.targets:
            self.call(self.line.options, self.reals)
        if named:
            self.call([one for one in self.line.options if one[0] not in FILTERS], compact(named))
        return self.status

    def one(self, found: Target, pages: Pages, ending: bool) -> list[str]:
        """The real ids of a ticket; one that is not submitted is dropped here."""
        state = pages.state(found.ticket)
        if state in (QUEUED, REFUSED) and ending and found.tasks is None and not found.rest:
            if not matches(self.line, queued_values(pages, found.ticket)):
                return []
            drop_queued(pages, [found.ticket])
            self.context.book.index()
            state = pages.state(found.ticket)
        if state == DROPPED:
            return []
        if state == FLYING:
            say(f"scancel: error: it is not known whether Slurm took {found.ticket}; see sarray status")
            self.status = 1
            return []
        ids = placed(self.context, found, pages)
        own = str(found.ticket)
        for real in compact(ids):
            self.given.setdefault(real, own if found.tasks is None else f"{own}_{found.tasks[0]}")
        return ids

    def by_filter(self, ending: bool) -> None:
        """No ids: all that passes the filters, queued calls and merged tasks among them."""
        book = self.context.book
        if ending:
            for pages in list(book.pages.values()):
                tickets = [
                    ticket
                    for ticket, where in book.unsubmitted()
                    if where is pages and matches(self.line, queued_values(pages, ticket))
                ]
                if tickets:
                    drop_queued(pages, tickets)
            book.index()
        named: list[str] = []
        if self.line.has("name", "jobname"):
            # Slurm knows a merged array by one name; its calls have their own.
            live = [
                one
                for pages in book.pages.values()
                for ticket, place in pages.places.items()
                if not place.whole and self.has_name(pages, ticket)
                for one in elements(place, None)
            ]
            named = self.filtered(live) if live else []
        self.call(self.line.options, [])
        if named:
            self.call([one for one in self.line.options if one[0] not in FILTERS], compact(named))

    def has_name(self, pages: Pages, ticket: int) -> bool:
        asked = (self.line.last("name", "jobname") or "").split(",")
        return queued_values(pages, ticket).get("name") in asked

    def filtered(self, ids: list[str]) -> list[str]:
        """Those of the ids whose jobs pass the filters, by one look at the queue; names are the calls' own."""
        jobs = dict.fromkeys(one.partition("_")[0] for one in ids)
        form = "%F|%K|%T|%P|%a|%q|%u"
        asked = ",".join(jobs) + ("" if len(jobs) > 1 else "," + next(iter(jobs)))
        answer = self.context.run("squeue", ["-h", "-r", "-j", asked, "-o", form])
        wanted = set(ids)
        found = []
        for text in answer.out.decode(errors="replace").splitlines():
            array, task, state, partition, account, qos, user = text.split("|")
            one = array if task == "N/A" else f"{array}_{task}"
            values = {"state": state, "partition": partition, "account": account, "qos": qos, "user": user}
            values["name"] = self.name_of(array, task)
            if (one in wanted or array in wanted) and matches(self.line, values):
                found.append(one)
        return found

    def name_of(self, array: str, task: str) -> str:
        job = self.context.book.jobs.get(int(array))
        try:
            ticket = job.task(int(task) if task.isdigit() else None)[0] if job else 0
        except KeyError:
            return ""
        call = self.context.book.call(ticket)
        return call.shown_name if call else ""

    def call(self, options: list[tuple[str, str | None]], ids: list[str]) -> None:
        """Run the real scancel; the worst exit status stays."""
        words = Line(options, ids).words()
        if self.line.has("interactive"):
            sys.stdout.flush()
            import subprocess

            status = subprocess.call(["scancel", *words], executable=self.context.real, env=self.context.environment)
        else:
            answer = self.context.run("scancel", words)
            sys.stdout.buffer.write(answer.out)
            sys.stderr.buffer.write(error_with_tickets(answer.err, self.context.book, self.given))
            status = answer.status
        self.status = self.status or status


def main(context: Context) -> int:
    """scancel; returns its exit status."""
    try:
        line = read(context.words, TABLE)
        if line.has("help", "usage", "version", "clusters", "cluster", "sibling"):
            raise Unreadable("not about the jobs of this cluster")
    except Unreadable:
        return context.become(context.words)
    cancel = Cancel(context, line)
    nothing_live = not cancel.targets and not cancel.given and not context.book.pages
    if nothing_live or (not line.operands and not cancel.filters):
        return context.become(context.words)
    return cancel.run()


