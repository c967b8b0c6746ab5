"""
sarray whose: the ticket of a real job, and the job of a ticket; for root those of everybody.

Root asks each user's state folder (state/users.py), and takes only words of the expected form from the answer.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path

from sbatch_shim.companions.context import Context
from sbatch_shim.flush import cli
from sbatch_shim.state.ids import JobId, TaskSet, ranges
from sbatch_shim.state.paths import state_folder
from sbatch_shim.state.tickets import Job, Tickets, elements
from sbatch_shim.state.users import DEFAULT, asked, exists, homes

# The last line of an answer: it is whole.
END = b"end"
# What may stand in an answer: ids and tasks as they are printed, a state, the name of a session.
FORM = {
    "word": r"[0-9_]+",
    "ticket": r"[0-9]{1,10}",
    "tasks": r"[0-9,-]*",
    "state": r"[a-z ]{1,20}",
    "jobs": r"[][0-9_,. -]*",
    "session": r"[A-Za-z0-9._@+-]{1,128}",
}


@dataclass(frozen=True)
class Holder:
    """
    A call that a word names, in words.

    Attributes:
        word: What was asked for.
        user: Its user's name, empty until it is known.
        tasks: The task ids, as its array call asked for them, of which the word is; empty where it is all of it.
        state: `queued`, `submitted` and so on (state/tickets.py).
        jobs: The real ids of what is meant; empty where no flush has submitted it.
    """

    word: str
    ticket: str
    tasks: str
    state: str
    jobs: str
    session: str
    user: str = ""

    def told(self) -> str:
        """A line."""
        where = tasks = ""
        if self.jobs:
            where = f" as {self.jobs}"
        if self.tasks:
            tasks = f" (task {self.tasks})"
        return f"{self.word}: ticket {self.ticket}{tasks} of {self.user}, {self.state}{where}, session {self.session}"

    @classmethod
    def of_json(cls, line: bytes) -> Holder | None:
        """What a process of another user tells; None for a line of any other form."""
        try:
            told = json.loads(line)
            words = {name: told[name] for name in FORM}
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        fits = all(
            isinstance(words[name], str) and re.fullmatch(form, words[name], re.A) for name, form in FORM.items()
        )
        if not fits:
            return None
        return cls(**words)


def find(state: bytes, words: Sequence[str]) -> Iterator[Holder]:
    """The calls of one state folder that words name: tickets, real jobs, or their elements."""
    tickets = Tickets(state, everything=True)
    for word in words:
        named = tickets.named(word)
        if named is not None:
            jobs = ""
            if named.submitted:
                jobs = ",".join(named.elements())
            tasks = ranges(named.tasks or ())
            session = os.fsdecode(named.held.session.name)
            yield Holder(word, str(named.ticket), tasks, named.state or "", jobs, session)
            continue
        job_id = JobId.given(word)
        if job_id is not None:
            for job in tickets.by_number.get(job_id.job, ()):
                yield from shares(tickets, job, word, job_id.tasks)


def shares(tickets: Tickets, job: Job, word: str, tasks: TaskSet | None) -> Iterator[Holder]:
    """The calls that have a part in what is named of a merged job."""
    if tasks is None:
        held = dict.fromkeys(sorted(job.places), "")
    else:
        shared = job.shares(tasks)
        held = {ticket: ranges(one for one in local if one is not None) for ticket, local in sorted(shared.items())}
    for ticket, local in held.items():
        pages = tickets.find(ticket)
        if pages is not None:
            jobs = word
            if tasks is None:
                jobs = ",".join(elements(job.places[ticket], None))
            yield Holder(word, str(ticket), local, pages.state(ticket) or "", jobs, os.fsdecode(pages.session.name))


def find_as(home: Path, uid: int, gid: int, words: Sequence[str]) -> list[Holder] | None:
    """The same in a user's own state folder, looked at as that user; None where that cannot be done."""
    data = asked(uid, gid, "verbs.whose", [str(home / DEFAULT), *words])
    lines = (data or b"").splitlines()
    if not lines or lines.pop() != END:
        return None
    found = [Holder.of_json(line) for line in lines]
    return [one for one in found if one is not None and one.word in words]


def everybody(words: Sequence[str]) -> tuple[list[Holder], list[str]]:
    """What the users' state folders tell, and whose could not be looked at. For root."""
    found, unseen = [], []
    for home, (uid, gid, name) in sorted(homes().items()):
        if uid == 0 or not exists(home / DEFAULT):
            continue
        told = find_as(home, uid, gid, words)
        if told is None:
            unseen.append(f"{name} ({home / DEFAULT})")
        else:
            found += [replace(one, user=name) for one in told]
    return found, unseen


def whose(context: Context, words: Sequence[str], *, as_json: bool) -> int:
    """Print what the words are; 1 where one of them is nobody's that could be looked at."""
    for word in words:
        if not re.fullmatch(r"[0-9]{1,10}(_[0-9]{1,10})?", word, re.A):
            raise cli.Usage(f"{word!a} is neither a job id, nor an element (123_4), nor a ticket")
    own = pwd.getpwuid(os.getuid()).pw_name
    found = [replace(one, user=own) for one in find(context.state, words)]
    unseen: list[str] = []
    if os.geteuid() == 0:
        more, unseen = everybody(words)
        found += more
    if as_json:
        print(json.dumps({"found": [asdict(one) for one in found], "unseen": unseen}, indent=1))
    else:
        print("".join(f"{one.told()}\n" for one in found), end="")
    if unseen:
        print(f"sarray whose: these could not be looked at: {', '.join(unseen)}", file=sys.stderr)
    missing = [word for word in words if word not in {one.word for one in found}]
    where = f"in {state_folder()}"
    if os.geteuid() == 0:
        where = "in the users' homes"
    for word in missing:
        print(f"sarray whose: {word} is neither a ticket nor a merged job {where}", file=sys.stderr)
    return int(bool(missing))


def main() -> None:
    """Print what a state folder tells, a document a line: for root, as its user."""
    with redirect_stderr(StringIO()):
        for one in find(os.fsencode(sys.argv[1]), sys.argv[2:]):
            print(json.dumps(asdict(one)))
    print(END.decode())


if __name__ == "__main__":
    main()
