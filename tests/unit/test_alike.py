"""Calls that are alike are taken apart and shown once: what is shown of them is what each would show by itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sbatch_shim.companions.context import Answer, Context
from sbatch_shim.companions.formats.columns import JOBS, Field, Rows, layout_of
from sbatch_shim.companions.options import read
from sbatch_shim.companions.squeue import TABLE, Queue
from sbatch_shim.record import digest, encode
from sbatch_shim.spool import Session, open_state
from sbatch_shim.state import calls, tickets
from sbatch_shim.state.dropped import drop
from sbatch_shim.state.events import Refused, Uncertain
from sbatch_shim.state.journal import Journal
from sbatch_shim.state.tickets import SessionTickets
from sbatch_shim.verbs.status import States, line_of, lines_of

BODY = b"#!/bin/sh\n#SBATCH --time=10 --comment='100%'\ntrue\n"
PLAIN = [b"-H", b"job.sh"]
# Words, variables and seconds since the first call: each is queued several times, and not only in a row.
KINDS: list[tuple[list[bytes], list[bytes], int]] = [
    (PLAIN, [], 0),
    (PLAIN, [], 0),
    (PLAIN, [], 1),
    (PLAIN, [b"SAMPLE=1"], 1),
    (PLAIN, [b"SBATCH_PARTITION=long"], 1),
    ([*PLAIN, b"an argument"], [], 1),
    ([b"-J", b"%s 100%% \xff\xc3\xa4", b"-p", b"odd%d", b"job.sh"], [], 1),
    ([b"-J", b"a name of very many letters, and then some", b"-o", b"out/%x-%j.log", b"job.sh"], [], 2),
    ([b"-a", b"1-4%2", b"-o", b"%A_%a.log", b"job.sh"], [], 2),
    ([b"-a", b"7", b"job.sh"], [], 2),
    ([b"-d", b"afterok:{first},afterany:77", b"job.sh"], [], 2),
    ([b"-d", b"afterok:{dropped}", b"job.sh"], [], 2),
    ([b"-d", b"singleton", b"-A", b"lab", b"-q", b"fast", b"-N", b"2-3", b"-n", b"4", b"-t", b"1-1", b"job.sh"], [], 2),
    ([b"--no-such-option", b"job.sh"], [], 2),
]
FORMATS = [
    [],
    ["-r"],
    ["--long"],
    ["-h", "-o", "%i %.5i %5A|100%.3F%20K%%|%j|%P %T %r %R %E %V %l %k %a %q %D %C %o %Z"],
    ["-O", "JobArrayID:14,JobID:.14,ArrayJobID:3,ArrayTaskID,Name:12,State,ReasonList:20,Dependency:60,SubmitTime"],
    ["-O", "JobID,StdOut:80,StdErr:80", "--expand-patterns"],
    ["-p", "long", "-o", "%i %P"],
    ["-n", "job.sh", "-o", "%i %j"],
    ["-j", "{first},{array}_2", "-o", "%i %j"],
    ["--only-job-state"],
]


class Alone(Context):
    """A call of squeue on a cluster that has no jobs."""

    def run(self, name: str, words: Any, **variables: str | None) -> Answer:
        form = next((word for word in words if word.startswith(("--format=", "--Format="))), "")
        if name == "sinfo":
            return Answer(0, b"main*\n", b"")
        if form.startswith("--Format=") or "--noheader" in words:
            return Answer(0, b"", b"")
        return Answer(0, os.fsencode(form.partition("=")[2] or "slurm-wlm 22.05.8") + b"\n", b"")


class Made:
    """A queue of calls, many of them alike, one dropped, one refused, one of unknown outcome."""

    def __init__(self, folder: Path) -> None:
        self.state = os.fsencode(folder) + b"/state"
        open_state(self.state)
        self.session = Session(self.state, b"alike")
        self.session.make()
        os.makedirs(self.state + b"/live", exist_ok=True)
        Path(os.fsdecode(self.state), "live", "alike").touch()
        environment = b"HOME=/home/ada\0PATH=/bin\0"
        values = dict.fromkeys(("host", "sbatch", "umask", "limits"), b"") | {"nice": b"0", "source": b"file"}
        values |= {"cwd": b"/home/ada/work", "script": b"/home/ada/work/job.sh", "group": b"1"}
        values |= {"body": self.blob(BODY), "environment": self.blob(environment)}
        self.first = self.session.append(encode({**values, "time": b"1700000000"}, PLAIN, [], []))
        self.dropped = self.session.append(encode({**values, "time": b"1700000000"}, PLAIN, [], []))
        self.tickets = [self.first, self.dropped]
        self.array = 0
        for words, changed, second in [*KINDS, *KINDS, *KINDS[::-1]]:
            named = {b"{first}": b"%d" % self.first, b"{dropped}": b"%d" % self.dropped}
            given = list(words)
            for name, ticket in named.items():
                given = [word.replace(name, ticket) for word in given]
            record = encode({**values, "time": b"%d" % (1700000000 + second)}, given, [], changed)
            self.tickets.append(self.session.append(record))
            if words[0] == b"-a" and not self.array:
                self.array = self.tickets[-1]
        drop(self.session, [self.dropped])
        flush = self.session.folder + b"/flushes/20261101-120000-000"
        os.makedirs(flush)
        journal = Journal(flush)
        journal.add(Refused(0, [self.tickets[3]], "sbatch: error: invalid account", 1, False))
        journal.add(Uncertain(1, [self.tickets[4]], "no answer"))

    def blob(self, data: bytes) -> bytes:
        name = digest(data).encode()
        Path(os.fsdecode(self.session.folder + b"/blobs/" + name)).write_bytes(data)
        return name

    def squeue(self, words: list[str]) -> bytes:
        words = [word.format(first=self.first, array=self.array) for word in words]
        context = Alone("squeue", "/usr/bin/squeue", self.state, words, {}, 0o022)
        line = read(words, TABLE)
        layout = layout_of(line, context, JOBS)
        return Rows(Queue(context, line.without("format", "Format"))).ask(layout)[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("alike"))


def each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered of one call for another."""

    def build(session: Session, ticket: int, payload: bytes, shared: calls.Shared) -> calls.Call:
        return calls.resolved(session, ticket, payload, calls.Shared())

    monkeypatch.setattr(tickets, "build", build)
    monkeypatch.setattr(Rows, "differs_by_ticket", False)


@pytest.mark.parametrize("words", FORMATS, ids=" ".join)
def test_rows_of_calls_that_are_alike_are_those_that_each_has_by_itself(
    made: Made, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda form, *moment: f"<{moment and tuple(moment[0])}>")
    shown = made.squeue(words)
    each_by_itself(monkeypatch)
    assert shown == made.squeue(words)


def test_each_call_has_a_row_of_its_own(made: Made) -> None:
    rows = made.squeue(["-h", "-o", "%i %j %E %r"]).splitlines()
    unread = {
        ticket
        for ticket, (words, _, _) in zip(made.tickets[2:], [*KINDS, *KINDS, *KINDS[::-1]])
        if words[0] == b"--no-such-option"
    }
    assert len(unread) == 3
    assert [int(row.partition(b" ")[0].partition(b"_")[0]) for row in rows] == [
        ticket for ticket in made.tickets if ticket not in {*unread, made.dropped}
    ]
    assert rows.count(b"%d job.sh (null) SarrayQueued" % made.first) == 1
    assert b"%d job.sh (null) SarrayRefused" % made.tickets[3] in rows
    assert b"%d job.sh (null) None" % made.tickets[4] in rows
    waits = b" job.sh afterok:%d(unfulfilled),afterany:77(unfulfilled) SarrayQueued"
    assert sum(row.endswith(waits % made.first) for row in rows) == 3
    assert sum(row.endswith(b" DependencyNeverSatisfied") for row in rows) == 3
    assert sum(b" %s 100%% \xff\xc3\xa4 (null)" in row for row in rows) == 3


@pytest.mark.parametrize(("width", "right"), [(0, False), (0, True), (4, False), (4, True), (14, False), (14, True)])
@pytest.mark.parametrize("ticket", [7, 1234567, 1000000000])
def test_a_ticket_in_a_form_is_cut_and_justified_as_in_a_row(width: int, ticket: int, *, right: bool) -> None:
    field = Field("jobid", "%A", width, right, "")
    assert field.ticket_form % {b"ticket": b"%d" % ticket} == field.show(str(ticket))


def test_what_is_modified_of_a_call_is_not_of_those_like_it(made: Made) -> None:
    """A flush gives options of its own to calls, and takes met dependencies away."""
    shared = calls.Shared()
    payloads = calls.payloads(made.session)
    one, other = (calls.build(made.session, ticket, payloads[ticket], shared) for ticket in made.tickets[2:4])
    assert one.options is other.options
    assert (one.ticket, other.ticket) == tuple(made.tickets[2:4])
    from sbatch_shim.flush.wishes import apply_overrides

    before = dict(other.options)
    apply_overrides(one, {"partition": b"other"})
    assert one.options["partition"] == b"other"
    assert other.options == before


def test_a_record_whose_time_is_damaged_is_no_call_though_one_like_it_is_known(made: Made) -> None:
    shared = calls.Shared()
    payload = calls.payloads(made.session)[made.first]
    assert calls.build(made.session, made.first, payload, shared).time == 1700000000
    for damaged in (payload.replace(b"10:", b"11:", 1), payload.replace(b"10:17", b"10:x7", 1)):
        with pytest.raises(ValueError):
            calls.build(made.session, made.first, damaged, shared)


def test_lines_of_calls_that_are_alike_are_those_that_each_has_by_itself(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Alone("squeue", "/usr/bin/squeue", made.state, [], {}, 0o022)
    states = States(context, [])
    pages = SessionTickets(made.session).read()
    found = [line.members() for line in lines_of([(ticket, pages) for ticket in made.tickets], states, ())]
    each_by_itself(monkeypatch)
    anew = SessionTickets(made.session).read()
    assert found == [line_of(ticket, anew, states, here=True).members() for ticket in made.tickets]
    assert {line["log"] for line in found if line["ticket"] == made.first} == {f"/home/ada/work/slurm-{made.first}.out"}
