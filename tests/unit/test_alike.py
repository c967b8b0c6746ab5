"""Calls that are alike are taken apart and shown once: what is shown of them is what each would show by itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sbatch_shim.companions.context import Answer, Context
from sbatch_shim.companions.formats import columns
from sbatch_shim.companions.formats.columns import JOBS, Field, Rows, layout_of
from sbatch_shim.companions.options import read
from sbatch_shim.companions.squeue import TABLE, Queue
from sbatch_shim.record import digest, encode
from sbatch_shim.spool import Session, open_state
from sbatch_shim.state import briefs, calls, tickets
from sbatch_shim.state.dropped import drop
from sbatch_shim.state.events import Refused, Uncertain
from sbatch_shim.state.journal import Journal
from sbatch_shim.verbs import status

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
    *(
        ([b"-J", b"align-%d" % number, b"--output=logs/%d.log" % number, b"job.sh", b"a,b", b"%d" % number], [], 3)
        for number in range(3)
    ),
    *(([b"-J", name, b"job.sh"], [], 3) for name in (b"a,b", b"a,b,", b"1:2,", b":", b"a\x01", b"%%", b"")),
    *(([b"job.sh", argument], [b"X=" + argument], 3) for argument in (b"", b":", b",", b"1:1,", b"-J", b"--", b"1\n2")),
    *(([*PLAIN], [b"SBATCH_JOB_NAME=" + name, b"X"], 3) for name in (b"one", b"two")),
    *(([b"-d", b"afterany:{first}" + more, b"job.sh"], [], 3) for more in (b"", b":77", b":{dropped}", b":{first}")),
    *(([b"--comment=%d" % number, b"-J%d" % number, b"--", b"job.sh", b"-J", b"no"], [], 3) for number in range(2)),
    *(([b"-a", b"1-%d" % number, b"-J", b"array-%d" % number, b"job.sh"], [], 3) for number in (2, 3)),
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
    monkeypatch.setattr(columns, "MANY", 1 << 30)
    monkeypatch.setattr(status, "MANY", 1 << 30)


@pytest.mark.parametrize("words", FORMATS, ids=" ".join)
def test_rows_of_calls_that_are_alike_are_those_that_each_has_by_itself(
    made: Made, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda form, *moment: f"<{moment and tuple(moment[0])}>")
    in_bulk(monkeypatch)
    shown = made.squeue(words)
    assert shown == made.squeue(words), "the second time"
    each_by_itself(monkeypatch)
    assert shown == made.squeue(words)


def test_each_call_has_a_row_of_its_own(made: Made) -> None:
    rows = made.squeue(["-h", "-o", "%i %j %E %r"]).splitlines()
    unread = {
        ticket
        for ticket, (words, _, _) in zip(made.tickets[2:], [*KINDS, *KINDS, *KINDS[::-1]])
        if words[0] == b"--no-such-option" or b":" in words or words[:2] in ([b"-J", b""], [b"-J", b"a\x01"])
    }
    assert len(unread) == 15
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
    assert field.place(b"ticket") % {b"ticket": b"%d" % ticket} == field.show(str(ticket))


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


def in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the queue was longer."""
    monkeypatch.setattr(columns, "MANY", 1)
    monkeypatch.setattr(status, "MANY", 1)
    monkeypatch.setattr(briefs, "WORTH_A_PATTERN", 1)
    monkeypatch.setattr(briefs, "WORTH_A_FILE", 1)
    monkeypatch.setattr(calls, "WORTH_REMEMBERING", 1)
    # A call of each shape is read for itself, and its pattern reads the others.
    monkeypatch.setattr(briefs, "MOST_PATTERNS", 1000)
    monkeypatch.setattr(briefs, "AT_A_TIME", 10)


def status_of(made: Made, capsys: pytest.CaptureFixture[str], **how: bool) -> str:
    context = Alone("squeue", "/usr/bin/squeue", made.state, [], {}, 0o022)
    status.show(context, [], "alike", **{"as_json": False, **how})
    return capsys.readouterr().out


def test_the_status_of_calls_that_are_alike_is_that_of_each_by_itself(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ways: list[dict[str, Any]] = [{"as_json": True}, {"long": True}, {}, {"wanted": "queued"}, {"wanted": "failed"}]
    in_bulk(monkeypatch)
    found = [status_of(made, capsys, **way) for way in [*ways, *ways]]
    assert found[: len(ways)] == found[len(ways) :]
    each_by_itself(monkeypatch)
    assert found[: len(ways)] == [status_of(made, capsys, **way) for way in ways]
    assert f"/home/ada/work/slurm-{made.first}.out" in found[0]
    # Two are arrays of four tasks, and of two and three; what cannot be read counts as one.
    assert "session alike: 140 queued, 1 dropped, 1 refused, 1 uncertain" in found[2]
