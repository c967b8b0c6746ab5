"""
What the real squeue, sacct and scontrol said, kept by tests/record: companions that are answered from it need no Slurm.

A record is a folder, tests/data/slurm-VERSION:

    scenario.json    the moment, the tickets of the scenario by name, and the ids of merged jobs and plain calls' tasks
    replies.json.gz  each question (the command, its words, the variables set or taken away) and what was said to it
    state/           the state folder of that moment
    expected/        what the companion prints for each of CASES

tests/record --update, which is `python -m support.replies expect`, writes `expected` anew. In there a document is
written as its first job, and of each other job what differs from one before it: as a whole it is half a megabyte.
"""

from __future__ import annotations

import difflib
import grp
import gzip
import io
import json
import os
import pwd
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from sbatch_shim.companions.context import Answer, Context
from sbatch_shim.companions.formats.separators import END, FIELD, START
from sbatch_shim.merge import logs
from sbatch_shim.state.tickets import Tickets

DATA = Path(__file__).parent.parent / "data"
VERSIONS = ("22.05", "24.11", "26.05")
# Whose jobs they are, and where: tests/record makes a machine that has these.
USER, USER_ID = "ada", 4001
HOME = "/home/ada"
ENVIRONMENT = {
    "HOME": HOME,
    "USER": USER,
    "LOGNAME": USER,
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "SLURM_CONF": "/home/cluster/slurm.conf",
}

COLUMNS = "%i|%A|%F|%K|%j|%P|%u|%T|%r|%E|%o|%Z|%k"
LONG_COLUMNS = "JobArrayID:20,JobID,ArrayJobID,ArrayTaskID,Name:12,State,ReasonList:20,Dependency:40,StdOut:40"
ACCOUNTED = "jobid,jobidraw,jobname,partition,state,exitcode,comment"
# By the name of the file that holds what is expected. {name} is the ticket of that call of the scenario.
CASES: dict[str, list[str]] = {
    "squeue": ["squeue"],
    "squeue-o": ["squeue", "-o", COLUMNS],
    "squeue-O": ["squeue", "-O", LONG_COLUMNS],
    "squeue-r": ["squeue", "-r", "-o", "%i %A %j %T"],
    "squeue-all": ["squeue", "-t", "all", "-o", "%i %A %j %T"],
    "squeue-name": ["squeue", "-h", "-n", "wait,late", "-o", "%i %j"],
    "squeue-j": ["squeue", "-j", "{run}"],
    "squeue-j-array": ["squeue", "-j", "{array}"],
    "squeue-j-task": ["squeue", "-h", "-j", "{array}_2,{array}_6", "-o", COLUMNS],
    "squeue-j-late": ["squeue", "-j", "{late_array}"],
    "squeue-j-stranger": ["squeue", "-j", "{stranger}"],
    "squeue-steps": ["squeue", "--steps"],
    "squeue-json": ["squeue", "--json", "-t", "all"],
    "sacct-X": ["sacct", "-X"],
    "sacct-P": ["sacct", "-P", "-o", ACCOUNTED],
    "sacct-j": ["sacct", "-P", "-j", "{array},{failed},{late}", "-o", ACCOUNTED],
    "sacct-json": ["sacct", "--json", "-j", "{failed},{array},{late}"],
    "scontrol": ["scontrol", "show", "job"],
    "scontrol-job": ["scontrol", "show", "job", "{run}"],
    "scontrol-array": ["scontrol", "show", "job", "{array}"],
    "scontrol-late": ["scontrol", "show", "job", "{late_dependent}"],
    "scontrol-o": ["scontrol", "-o", "show", "job"],
    "scontrol-o-job": ["scontrol", "-o", "show", "job", "{lane_waits}"],
    "scontrol-json": ["scontrol", "--json", "show", "job"],
    "scontrol-json-job": ["scontrol", "--json", "show", "job", "{late}"],
}

TEXT = ("utf-8", "surrogateescape")
# A job in a document, as json.dumps writes it.
JOB = re.compile(r"^    \{\n.*?^    \},?\n", re.M | re.S)


def words_of(case: str, tickets: dict[str, str]) -> list[str]:
    """The command line of a case."""
    return [word.format_map(tickets) for word in CASES[case]]


Question = tuple[str, tuple[str, ...], tuple[tuple[str, "str | None"], ...]]


# Separators are new in each run; a record has their control characters alone.
SEPARATORS = {START: "\x1d", FIELD: "\x1f", END: "\x1e"}


def as_recorded(text: str) -> str:
    """What holds this run's separators, as a record has it."""
    for separator, recorded in SEPARATORS.items():
        text = text.replace(separator, recorded)
    return text


def as_asked(text: str) -> str:
    """What a record holds, with this run's separators."""
    for separator, recorded in SEPARATORS.items():
        text = text.replace(recorded, separator)
    return text


def question_of(name: str, words: Sequence[str], variables: dict[str, str | None]) -> Question:
    # What a user has set for squeue would be taken away; here nothing is set.
    given = (one for one in variables.items() if not one[0].startswith("SQUEUE_"))
    return name, tuple(map(as_recorded, words)), tuple(sorted(given))


def told(question: Question) -> str:
    """A question in words."""
    name, words, variables = question
    given = [f"{key}={value}" if value is not None else f"{key}-" for key, value in variables]
    return " ".join([*given, name, *map(repr, words)])


class Unrecorded(AssertionError):
    """A question was asked to which no reply is kept."""


class Record:
    """A record, read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        scenario: dict[str, Any] = json.loads((folder / "scenario.json").read_text())
        self.moment: int = scenario["moment"]
        self.tickets: dict[str, str] = scenario["tickets"]
        self.merged: list[str] = scenario["merged"]
        self.accounting: bool = scenario["accounting"]
        self.replies: dict[Question, Answer] = {}
        for one in json.loads(gzip.decompress((folder / "replies.json.gz").read_bytes())):
            question = question_of(one["command"], one["words"], one["variables"])
            out = as_asked(one["stdout"]).encode(*TEXT)
            self.replies[question] = Answer(one["status"], out, one["stderr"].encode(*TEXT))

    def words(self, case: str) -> list[str]:
        """The command line of a case."""
        return words_of(case, self.tickets)

    def answer(self, name: str, words: Sequence[str], variables: dict[str, str | None]) -> Answer:
        """What the real command said."""
        question = question_of(name, words, variables)
        if question not in self.replies:
            raise Unrecorded(
                f"the record {self.folder.name} has no reply to: {told(question)} (if the companions may ask this, "
                "record again with tests/record)"
            )
        kept = self.replies[question]
        return Answer(kept.status, kept.out, kept.err)


class Answered(Context):
    """A call of a companion, answered from a record instead of by Slurm."""

    def __init__(self, record: Record, state: Path, line: list[str]) -> None:
        super().__init__(line[0], f"/usr/bin/{line[0]}", os.fsencode(state), line[1:], environment(), 0o022)
        self.record = record

    def run(self, name: str, words: Sequence[str], **variables: str | None) -> Answer:
        return self.record.answer(name, words, variables)

    def become(self, words: Sequence[str]) -> int:
        raise AssertionError(f"{self.command} is the real command here, which shows no tickets: {words}")


def environment() -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in ENVIRONMENT.items()}


def copy_of_state(record: Record, folder: Path) -> Path:
    """A state folder as it was then, with live marks as fresh; a checkout keeps neither modes nor times."""
    state = folder / "state"
    shutil.copytree(record.folder / "state", state, copy_function=shutil.copyfile)
    for path in [state, *state.rglob("*")]:
        if path.is_dir():
            path.chmod(0o700)
    return state


@contextmanager
def as_then(moment: int) -> Iterator[None]:
    """The clock and the user of a record."""
    localtime = time.localtime
    person = pwd.struct_passwd((USER, "x", USER_ID, USER_ID, "", HOME, "/bin/bash"))
    group = grp.struct_group((USER, "x", USER_ID, []))
    with ExitStack() as stack:
        stack.callback(time.tzset)  # after what follows is undone
        stack.enter_context(mock.patch.dict(os.environ, TZ="UTC"))
        time.tzset()
        for module, name, instead in (
            (os, "getuid", lambda: USER_ID),
            (os, "getgid", lambda: USER_ID),
            (pwd, "getpwuid", lambda _: person),
            (grp, "getgrgid", lambda _: group),
            (logs, "user", USER.encode),
            (time, "time", lambda: float(moment)),
            (time, "localtime", lambda seconds=moment: localtime(seconds)),
        ):
            stack.enter_context(mock.patch.object(module, name, instead))
        yield


def played(context: Context) -> Answer:
    """Run a companion in this process; what it leaves. It writes to the descriptors themselves."""
    sys.stdout.flush()
    sys.stderr.flush()
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, descriptor)
            os.dup2(files[descriptor - 1].fileno(), descriptor)
            # pytest has put something else there, which writes elsewhere.
            text = io.TextIOWrapper(io.FileIO(os.dup(descriptor), "w"), write_through=True)
            stack.enter_context(mock.patch.object(sys, name, stack.enter_context(text)))
        status: int = import_module(f"sbatch_shim.companions.{context.command}").main(context)
        for file in files:
            file.seek(0)
        return Answer(status, files[0].read(), files[1].read())


def shown(line: list[str], answer: Answer) -> str:
    """A call of a command and what it left, as the files in `expected` hold it."""
    text = f"$ {' '.join(line)}\n{answer.out.decode(*TEXT)}"
    if answer.err:
        text += f"--- stderr\n{answer.err.decode(*TEXT)}"
    return f"{text}--- status {answer.status}\n"


def translated(record: Record, case: str, folder: Path) -> str:
    """What the companion shows for a case; `folder` is for a copy of the state folder."""
    line = record.words(case)
    with as_then(record.moment):
        return shown(line, played(Answered(record, copy_of_state(record, folder), line)))


def condensed(text: str) -> str:
    """A document with each job but the first as what differs from the one before it that it is most like."""
    jobs = JOB.findall(text) if "\n{\n" in text else []
    lines = [job.splitlines(keepends=True) for job in jobs]
    counts = [Counter(each) for each in lines]
    for at in range(1, len(jobs)):
        alike = [sum((counts[at] & counts[before]).values()) for before in range(at)]
        model = alike.index(max(alike))
        difference = difflib.unified_diff(lines[model], lines[at], f"job {model}", f"job {at}", n=0)
        text = text.replace(jobs[at], "".join(difference), 1)
    return text


def expected_file(record: Record, case: str) -> Path:
    return record.folder / "expected" / f"{case}.txt"


def write_expected(record: Record) -> None:
    """What the companions show now becomes what is expected of them."""
    shutil.rmtree(record.folder / "expected", ignore_errors=True)
    (record.folder / "expected").mkdir()
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            expected_file(record, case).write_text(condensed(translated(record, case, Path(folder))), *TEXT)


class Recorder(Context):
    """A call of a companion on the real Slurm; the first answer to each question is kept, and stands."""

    def __init__(self, replies: dict[Question, Answer], line: list[str]) -> None:
        super().__init__(line[0], f"/usr/bin/{line[0]}", f"{HOME}/state".encode(), line[1:], environment(), 0o022)
        self.replies = replies

    def run(self, name: str, words: Sequence[str], **variables: str | None) -> Answer:
        question = question_of(name, words, variables)
        if question not in self.replies:
            self.replies[question] = super().run(name, words, **variables)
        kept = self.replies[question]
        return Answer(kept.status, kept.out, kept.err)

    def become(self, words: Sequence[str]) -> int:
        raise AssertionError(f"{self.command} is the real command here, which shows no tickets: {words}")


def record_in(folder: Path) -> None:
    """Make a record, on the machine of tests/record and as its user: the scenario has been played."""
    state = f"{HOME}/state"
    # The companions look at no script and no log of an array.
    shutil.copytree(state, folder / "state", ignore=shutil.ignore_patterns("arrays", "clusters", "slurm-versions"))
    tickets = dict(line.split() for line in Path(f"{HOME}/tickets").read_text().splitlines())
    scenario = {
        "moment": int(time.time()),
        "accounting": "slurmdbd" in Path(ENVIRONMENT["SLURM_CONF"]).read_text(),
        "tickets": tickets,
        "merged": sorted(ids_of_merged(state)),
    }
    (folder / "scenario.json").write_text(json.dumps(scenario, indent=1) + "\n")
    replies: dict[Question, Answer] = {}
    for case in CASES:
        played(Recorder(replies, words_of(case, tickets)))
    kept = [
        {
            "command": name,
            "words": list(words),
            "variables": dict(variables),
            "status": answer.status,
            "stdout": as_recorded(answer.out.decode(*TEXT)),
            "stderr": answer.err.decode(*TEXT),
        }
        for (name, words, variables), answer in replies.items()
    ]
    text = json.dumps(kept, indent=1).encode()
    (folder / "replies.json.gz").write_bytes(gzip.compress(text, mtime=0))


def ids_of_merged(state: str) -> set[str]:
    """The ids that only Slurm should know: of merged jobs, and of the tasks in them that stand for plain calls."""
    listing = Recorder({}, ["squeue"]).run("squeue", ["-h", "-a", "-r", "-t", "all", "-o", "%F %K %A"])
    raw = {(array, task): id_ for array, task, id_ in map(str.split, listing.out.decode().splitlines())}
    tickets = Tickets(os.fsencode(state), everything=True)
    found = {str(job) for job in tickets.by_number}
    for held in tickets.pages.values():
        for place in held.places.values():
            if place.spec is None:
                found |= {raw.get((str(place.job), str(index)), str(place.job)) for index in place.indices}
    return found


def real_ids(record: Record, text: str) -> list[str]:
    """The ids that stand in a text and that nobody but Slurm should know (see ids_of_merged)."""
    return [number for number in re.findall(r"(?<![0-9])[0-9]+(?![0-9])", text) if number in record.merged]


if __name__ == "__main__":
    if sys.argv[1] == "record":
        record_in(Path(sys.argv[2]))
    else:
        for found in sorted(DATA.glob("slurm-*")):
            write_expected(Record(found))
