"""squeue, scancel, sacct, scontrol and sarray with tickets, on the real Slurm."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.person import SYSTEM_PATH, Person, Result

pytestmark = pytest.mark.slurm


def queued(person: Person, *words: str) -> str:
    """A call's ticket, also where its script names SLURM_JOB_ID."""
    done = person.queue("--parsable", *words, SARRAY_IDS="ticket")
    assert done.status == 0, done.err
    return done.out.decode().strip()


def run(person: Person, *words: str, **more: str) -> Result:
    return person.run(*words, env=person.environment(SARRAY_SESSION="test", **more))


def lines(person: Person, *words: str, **more: str) -> list[str]:
    return run(person, *words, **more).out.decode().splitlines()


def listed(person: Person, *words: str, **more: str) -> list[dict[str, Any]]:
    """The jobs of a document, in which names may be any bytes: 22.05 lists everybody's."""
    jobs: list[dict[str, Any]] = json.loads(run(person, *words, **more).out.decode(errors="surrogateescape"))["jobs"]
    return jobs


def until(condition, seconds: float = 300) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)  # between two looks; the condition decides


def merged_pair(person: Person, *options: str) -> tuple[str, str]:
    """Two calls of different shape that become one array."""
    plain = queued(person, *options, "-J", "alpha", "-o", "/dev/null", "--wrap=sleep 60")
    array = queued(person, *options, "-J", "beta", "-o", "/dev/null", "-a", "1-3", "--wrap=sleep 60")
    return plain, array


# How clients read ids and states; each takes the text and returns id to state.
CLIENTS = {
    "nextflow": (["squeue", "--noheader", "-o", "%i %t", "-t", "all", "-u", "{user}"], r"^(\S+) (\S+)$"),
    "snakemake": (["squeue", "--format=%i|%T", "--states=all", "--noheader", "--name", "alpha"], r"^(\S+)\|(\S+)$"),
    "parsl": (["squeue", "--noheader", "--format=%i %t", "--job", "{ids}"], r"^(\S+) (\S+)$"),
    "toil": (["squeue", "-h", "--format", "%i %t %M"], r"^(\S+) (\S+) \S+$"),
    "psij": (["squeue", "-O", "JobArrayID,StateCompact,Reason", "-t", "all", "--me"], r"^(\S+) +(\S+) +(\S+) *$"),
    "cylc": (["squeue", "-h", "-j", "{ids}"], r"^ *(\d+)\S* +\S+ +\S+ +\S+ +(\S+)"),
    "law": (["squeue", "--Format", "JobID,State", "--noheader"], r"^(\d+) +(\S+) *$"),
    "slivka": (["squeue", "--array", "--format=%i %t", "--noheader", "--states=all"], r"^(\w+) ([A-Z]+)$"),
    "dpdispatcher": (["squeue", "-o", "%.18i %.2t", "-j", "{plain}"], r"^ *(\d+) +(\w\w?)$"),
    "pysqa": (["squeue", "--format", "%A|%u|%t|%.15j|%Z"], r"^(\d+)\|[^|]*\|(\w+)\|"),
    "galaxy": (["squeue", "-a", "-o", "%A %t"], r"^(\d+) (\w+)$"),
    "sisyphus": (["squeue", "-h", "--array", "-O", "arrayjobid,arraytaskid,state,name:1000"], r"^(\d+) +\S+ +(\w+)"),
    "simple_slurm": (["squeue", "--me", "-o", "%.18i %.9P %.20j %.8u %.8T %R"], r"^ *(\d+)\S* +\S+ +\S+ +\S+ +(\w+)"),
    "caper": (["squeue", "--noheader", "-j", "{plain}", "--format=%i"], r"^(\d+)()$"),
}  # fmt: skip


@pytest.mark.parametrize("flushed", [False, True], ids=["queued", "flushed"])
def test_clients_find_their_jobs(person: Person, flushed: bool) -> None:
    """What workflow managers call, read with their own patterns, before the flush and after it."""
    plain, array = merged_pair(person, "-H")
    if flushed:
        assert person.flush().status == 0
    user = person.environment()["USER"]
    for client, (words, pattern) in CLIENTS.items():
        words = [word.format(user=user, ids=f"{plain},{array}", plain=plain) for word in words]
        done = run(person, *words)
        assert done.status == 0, (client, done.err)
        found = dict(match.groups()[:2] for match in re.finditer(pattern, done.out.decode(), re.M))
        assert plain in found, (client, done.out)
        assert found[plain] in ("PD", "PENDING", ""), (client, done.out)
        if client in ("nextflow", "parsl", "toil"):
            assert f"{array}_[1-3]" in found, (client, done.out)
        if client == "slivka":
            assert f"{array}_2" in found, (client, done.out)


def test_other_rows_are_bytes_of_the_real_squeue(person: Person) -> None:
    """With live tickets: rows of jobs that were submitted directly, in every form, as the real squeue prints them."""
    queued(person, "-H", "-o", "/dev/null", "--wrap=true")
    odd = "1,3,7,9,12,15,17-19,25,28,33,37,39,43,47,55,59,66,77,79,81,83,87,99,120,123,127,129"
    direct = [
        ("-J", "a b", "-a", "1-99:2%3"),
        ("-J", "odd", "-a", odd),
        (
            "-J",
            "plain",
        ),
        ("-J", "with|bar", "-a", "0-20"),
    ]
    for words in direct:
        done = run(person, "sbatch", "-H", "-o", "/dev/null", *words, "--wrap=true", PATH=SYSTEM_PATH)
        assert done.status == 0
    for words in (
        [], ["-l"], ["-r"], ["-h"], ["-o", "%i|%.18i|%8i|%K|%F|%A|%j|%o|%Z|%E"], ["-o", "%i x%%j y%.3j%t"], ["-o%all"],
        ["-O", "JobID:.18xx,JobArrayID:8,ArrayTaskID:40,Name:12|,Command"], ["-O", "jobarrayid,arraytaskid:300"],
        ["-S", "i"], ["--start"], ["-t", "all", "-o", "%i %T"], ["-n", "odd,plain"],
    ):  # fmt: skip
        real = run(person, "squeue", *words, PATH=SYSTEM_PATH).out.splitlines()
        ours = run(person, "squeue", *words).out.splitlines()
        if "-l" in words:
            real, ours = real[1:], ours[1:]
        ours = [line for line in ours if not re.search(rb"SarrayQueued|(?<!\d)[12]\d{9}(?!\d)", line)]
        assert ours == real, words
    for words in ([], ["-n", "odd,plain"]):
        real_jobs, our_jobs = (
            {job["job_id"]: job for job in listed(person, "squeue", "--json", *words, PATH=path)}
            for path in (SYSTEM_PATH, person.environment()["PATH"])
        )
        assert {number: our_jobs.get(number) for number in real_jobs} == real_jobs


# Control characters that are good separators, a tab, and a row end: all are fine in a job's name.
CONTROLS = ["a\x1fb", "c\x1d", "d\x1e\n", "e\tf"]


def test_names_with_control_characters_hide_no_ticket(person: Person) -> None:
    """Of somebody's other jobs: each row is told from the next, and tickets are shown."""
    direct = ["sbatch", "-H", "-o", "/dev/null", "--wrap=true"]
    for name in CONTROLS:
        assert run(person, *direct, "-J", name, PATH=SYSTEM_PATH).status == 0
    waiting = queued(person, "-H", "-o", "/dev/null", "--wrap=true")
    for shown in ("JobArrayID,Name:0,State", "%i %j %T"):
        ask = ["squeue", "-h", "-O" if "," in shown else "-o", shown]
        real = run(person, *ask, PATH=SYSTEM_PATH)
        ours = run(person, *ask)
        assert ours.err == b""
        assert ours.out.endswith(real.out)
        assert ours.out[: -len(real.out)].startswith(waiting.encode())
    assert person.flush().status == 0
    listed = lines(person, "squeue", "-h", "-o", "%i %T")
    assert f"{waiting} PENDING" in listed
    assert run(person, "scancel", "-n", "wrap", waiting).status == 0
    assert lines(person, "squeue", "-h", "-j", waiting, "-t", "all", "-o", "%i %T") == [f"{waiting} CANCELLED"]


@pytest.mark.accounting
def test_names_with_control_characters_hide_no_ticket_in_the_accounting(person: Person) -> None:
    for name in CONTROLS:
        words = ["sbatch", "-o", "/dev/null", "--wrap=true", "-J", name]
        assert run(person, *words, PATH=SYSTEM_PATH).status == 0
    ticket = queued(person, "-o", "/dev/null", "--wrap=true")
    assert person.flush().status == 0
    person.settle()
    until(lambda: f"{ticket}|COMPLETED|wrap" in lines(person, "sacct", "-X", "-n", "-P", "-o", "JobID,State,JobName"))


def test_the_table_stays_aligned(person: Person) -> None:
    """Golden: the default table of merged calls, whose columns stand where they always do."""
    plain, array = merged_pair(person, "-H")
    assert person.flush().status == 0
    user = person.environment()["USER"][:8]
    assert lines(person, "squeue") == [
        "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)",
        f"{array + '_[1-3]':>18}      main     beta {user:>8} PD       0:00      1 (JobHeldUser)",
        f"{plain:>18}      main    alpha {user:>8} PD       0:00      1 (JobHeldUser)",
    ]


def number(value: object) -> object:
    """As 22.05 writes it, or newer versions, which say in an object whether there is one."""
    return value["number"] if isinstance(value, dict) else value


def test_a_document_tells_of_tickets(person: Person) -> None:
    """Before the flush and after it; since 23.02 squeue's filters hold for it, and scontrol has one too."""
    plain, array = merged_pair(person, "-H")

    def jobs(*words: str) -> dict[int, dict[str, Any]]:
        return {job["job_id"]: job for job in listed(person, *words)}

    newer = run(person, "scontrol", "--json", "--version").status == 0
    asked = [["squeue", "--json"], ["squeue", "--yaml"], ["squeue", "--json", "-n", "alpha,beta", "-t", "PD"]]
    for _ in range(2):
        for words in asked + ([["scontrol", "show", "jobs", "--json"]] if newer else []):
            found = jobs(*words)
            assert found[int(plain)]["name"] == "alpha"
            assert found[int(plain)]["job_state"] in ("PENDING", ["PENDING"])
            assert number(found[int(array)]["array_job_id"]) == int(array)
            assert found[int(array)]["array_task_string"] == "1-3"
        if newer:
            assert set(jobs("squeue", "--json", "-j", plain)) == {int(plain)}
            assert set(jobs("squeue", "--json", "-n", "beta")) == {int(array)}
            assert not jobs("squeue", "--json", "-t", "R")
            assert set(jobs("scontrol", "show", "job", array, "--json")) == {int(array)}
            states = run(person, "squeue", "--only-job-state", "--json", "-j", f"{plain},{array}").out
            ids = [job["job_id"] for job in json.loads(states)["jobs"]]
            assert sorted(ids) == sorted([plain, *(f"{array}_{task}" for task in (1, 2, 3))])
            for words in (["-j", plain], ["-j", plain, "-o", "%i %t"]):
                shown = lines(person, "squeue", "--only-job-state", "-h", *words)
                assert [line.split() for line in shown] == [[plain, "PD"]]
        assert person.flush().status == 0


def test_a_cancelled_queued_call_is_never_submitted(person: Person) -> None:
    """Nor what waits for its success; what waits for its end goes on without it."""
    gone = queued(person, "-J", "gone", "-o", "/dev/null", "--wrap=touch gone")
    after = queued(person, "-d", f"afterany:{gone}", "-o", "/dev/null", "--wrap=touch after")
    never = queued(person, "-d", f"afterok:{gone}", "-o", "/dev/null", "--wrap=touch never")
    assert run(person, "scancel", gone) == Result(0, b"", b"")
    shown = [f"{after} SarrayQueued", f"{never} DependencyNeverSatisfied"]
    assert lines(person, "squeue", "-h", "-o", "%i %r") == shown
    assert b"JobState=CANCELLED" in run(person, "scontrol", "show", "job", gone).out
    flushed = person.flush()
    assert flushed.status == 1
    assert f"it waits for {gone}, which was cancelled".encode() in flushed.err
    person.settle()
    assert (person.home / "after").exists()
    assert not (person.home / "gone").exists()
    assert not (person.home / "never").exists()
    assert run(person, "sarray", "cancel", never).status == 0
    assert person.flush().status == 0


def test_what_was_cancelled_while_it_waited_keeps_its_ids(person: Person) -> None:
    """Slurm forgets the tasks of an array that is cancelled as a whole; the calls in it are told apart all the same."""
    plain, array = merged_pair(person, "-H")
    single = queued(person, "-H", "-J", "gamma", "-o", "/dev/null", "-a", "5", "--wrap=true")
    ids = f"{plain},{array},{single}"
    waiting = [plain, f"{array}_[1-3]", f"{single}_[5]"]
    assert lines(person, "squeue", "-h", "-S", "i", "-j", ids, "-o", "%i") == waiting
    assert person.flush("--wide-lanes").status == 0  # its tasks are together
    assert lines(person, "squeue", "-h", "-S", "i", "-j", ids, "-o", "%i") == waiting
    # Our own scancel leaves their tasks told apart (tests/pipelines/cancelled.sh), and this does not.
    (real,) = lines(person, "squeue", "-h", "-o", "%i", PATH=SYSTEM_PATH)
    assert run(person, "scancel", real, PATH=SYSTEM_PATH).status == 0
    shown = lines(person, "squeue", "-h", "-t", "all", "-S", "i", "-j", ids, "-o", "%i %A %F %K %T %j")
    names = {plain: "alpha", array: "beta", single: "gamma"}
    assert shown == [f"{one} {one} {one} N/A CANCELLED {name}" for one, name in names.items()]
    assert run(person, "scontrol", "show", "job", array).out.startswith(
        f"JobId={array} ArrayJobId={array} ArrayTaskId=4294967294 JobName=beta\n".encode()
    )
    assert run(person, "scontrol", "show", "job", plain).out.startswith(f"JobId={plain} JobName=alpha\n".encode())
    jobs = listed(person, "squeue", "--json", "-t", "all")
    assert {names.get(str(job["job_id"])) for job in jobs if job["job_id"] in map(int, names)} == set(names.values())
    document = json.loads(run(person, "sarray", "status", "--json").out)
    assert [call["states"] for call in document["calls"]] == [{"CANCELLED": 1}, {"CANCELLED": 3}, {"CANCELLED": 1}]


def test_a_job_cancels_itself_before_the_flush_has_noted_it(person: Person) -> None:
    """The journal ends as one of a flush that was killed: nobody but the controller knows the array."""
    command = "while [ ! -e go ]; do sleep 0.1; done; s${NOTHING-}cancel "
    array = command + "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; sleep 60 || exit; touch ended.$SLURM_ARRAY_TASK_ID"
    queued(person, "-o", "/dev/null", "-a", "3-4", f"--wrap={array}")
    queued(person, "-o", "/dev/null", f"--wrap={command} $SLURM_JOB_ID; sleep 60 || exit; touch ended")
    queued(person, "-H", "-J", "other", "-o", "/dev/null", "--wrap=true")
    assert person.flush().status == 0
    (journal,) = (person.home / "state/sessions/test/flushes").glob("*/journal")
    journal.write_text("".join(one for one in journal.open() if "submitting" in one))
    (person.home / "go").touch()
    left = ["squeue", "-h", "-o", "%T %r"]
    until(lambda: lines(person, *left, PATH=SYSTEM_PATH) == ["PENDING JobHeldUser"])
    assert not list(person.home.glob("ended*"))


def test_scancel_and_a_flush_at_once(person: Person) -> None:
    """Whoever is first: the calls end cancelled, and no flush brings them back."""
    tickets = [queued(person, "-H", "-c", str(1 + number), "-o", "/dev/null", "--wrap=true") for number in range(6)]
    flushing = threading.Thread(target=person.flush)
    flushing.start()
    done = run(person, "scancel", *tickets)
    flushing.join()
    assert done == Result(0, b"", b"")
    assert person.flush().status == 0
    until(lambda: lines(person, "squeue", "-h", "-o", "%i") == [])
    until(lambda: lines(person, "squeue", "-h", "-o", "%i", PATH=SYSTEM_PATH) == [])


def test_a_poll_during_a_flush_sees_every_job(person: Person) -> None:
    """In one place or the other, never nowhere, and never by its real id."""
    tickets = {queued(person, "-H", "-c", str(1 + number), "-o", "/dev/null", "--wrap=true") for number in range(12)}
    flushing = threading.Thread(target=person.flush)
    flushing.start()
    polls = 0
    while flushing.is_alive() or not polls:
        assert sorted(lines(person, "squeue", "-h", "-o", "%i")) == sorted(tickets)
        polls += 1
    flushing.join()
    assert sorted(lines(person, "squeue", "-h", "-o", "%i")) == sorted(tickets)


def test_a_refused_call_says_so(person: Person) -> None:
    ticket = queued(person, "-p", "nosuch", "-o", "/dev/null", "--wrap=true")
    assert person.flush().status == 1
    assert lines(person, "squeue", "-h", "-j", ticket, "-o", "%t %r") == ["PD SarrayRefused"]
    assert run(person, "scancel", ticket).status == 0
    assert person.flush().status == 0


def test_filters_of_scancel_never_reach_other_elements(person: Person) -> None:
    """scancel 22.05 with -t PENDING A_9 cancels all pending elements of A: we must not call it so."""
    plain, array = merged_pair(person, "-H")
    other = queued(person, "-H", "-J", "gamma", "-o", "/dev/null", "--wrap=true")
    assert person.flush().status == 0
    assert run(person, "scancel", "-t", "RUNNING", plain).status == 0
    assert len(lines(person, "squeue", "-h", "-o", "%i")) == 3
    assert run(person, "scancel", "-t", "PENDING", f"{array}_2").status == 0
    assert run(person, "scancel", "--name=gamma").status == 0
    left = lines(person, "squeue", "-h", "-r", "-o", "%i")
    assert sorted(left) == sorted([plain, f"{array}_1", f"{array}_3"])
    assert other not in left


def test_a_verb_on_a_queued_ticket_submits_it_first(person: Person) -> None:
    plain, array = merged_pair(person, "-H")
    done = run(person, "scontrol", "update", f"JobId={plain}", "TimeLimit=9")
    assert done.status == 0, done.err
    assert lines(person, "squeue", "-h", "-j", plain, "-o", "%l") == ["9:00"]
    done = run(person, "scontrol", "update", f"JobId={array}", "ArrayTaskThrottle=2")
    assert done.status == 0, done.err  # a flush in the middle keeps arrays alone


def test_live_marks_come_and_go(person: Person) -> None:
    """The companions start Python only while a ticket may be listed."""
    live = person.home / "state" / "live"
    queued(person, "-o", "/dev/null", "--wrap=true")
    assert [path.name for path in live.iterdir()] == ["test"]
    assert person.flush().status == 0
    os.utime(live / "test", (0, 0))
    run(person, "squeue", "-h")
    assert (live / "test").exists(), "its job is still listed"
    shown = "import sys; from sbatch_shim.spool import Session; "
    shown += "from sbatch_shim.companions.housekeeping import Listed, retire; "
    shown += "nothing = Listed([], lambda origin: True); "
    shown += "print(retire(Session(sys.argv[1].encode(), b'test'), nothing))"
    python = str(person.prefix / "venv/bin/python")
    assert person.run(python, "-I", "-c", shown, str(person.home / "state")).out == b"True\n"
    assert not (live / "test").exists()
    queued(person, "-o", "/dev/null", "--wrap=true")
    assert (live / "test").exists()
    assert person.run(python, "-I", "-c", shown, str(person.home / "state")).out == b"False\n"


@pytest.mark.accounting
def test_sacct_knows_tickets(person: Person) -> None:
    """JobID, JobIDRaw, steps, names, -P, -p, -X and --json; PENDING before the flush."""
    name = f"s{time.time_ns() % 10**6:06}"  # no other test's, as jobs are asked for by it
    plain = queued(person, "-J", name, "-o", "/dev/null", "--wrap=true")
    array = queued(person, "-J", "beta", "-o", "/dev/null", "-a", "1-3", "--wrap=exit $((SLURM_ARRAY_TASK_ID == 2))")
    ask = ["sacct", "-X", "-n", "-P", "-j", f"{plain},{array}", "-o", "JobID,State,JobName"]
    assert lines(person, *ask) == [f"{plain}|PENDING|{name}", f"{array}_[1-3]|PENDING|beta"]
    jobs = json.loads(run(person, "sacct", "--json", "-j", f"{plain},{array}").out)["jobs"]
    assert [(job["job_id"], job["name"]) for job in jobs] == [(int(plain), name), (int(array), "beta")]
    assert {str(job["state"]["current"]).strip("[']") for job in jobs} == {"PENDING"}
    assert [job["array"]["task"] for job in jobs][1] == "0xE"
    assert person.flush().status == 0
    wanted = [f"{plain}|COMPLETED|{name}"]
    wanted += [f"{array}_{task}|{'FAILED' if task == 2 else 'COMPLETED'}|beta" for task in (1, 2, 3)]
    until(lambda: lines(person, *ask) == wanted)
    assert lines(person, "sacct", "-X", "--parsable2", "-n", "--format=JobIdRaw,State", "--name", name) == [
        f"{plain}|COMPLETED"
    ]
    assert lines(person, "sacct", "-n", "-P", "-j", f"{plain}.batch", "-o", "jobid,jobidraw") == [
        f"{plain}.batch|{plain}.batch"
    ]
    assert lines(person, "sacct", "-b", "-p", "-j", f"{array}_2")[:2] == [
        "JobID|State|ExitCode|", f"{array}_2|FAILED|1:0|"
    ]  # fmt: skip
    assert lines(person, "sacct", "-X", "-j", plain) == [
        "JobID           JobName  Partition    Account  AllocCPUS      State ExitCode ",
        "------------ ---------- ---------- ---------- ---------- ---------- -------- ",
        f"{plain:12} {name:>10}       main                     1  COMPLETED      0:0 ",
    ]
    jobs = json.loads(run(person, "sacct", "--json", "-j", plain).out)["jobs"]
    assert [(job["job_id"], job["name"]) for job in jobs] == [(int(plain), name)]


@pytest.mark.accounting
def test_sacct_by_a_real_id_shows_the_calls_in_it(person: Person) -> None:
    """An array's id, an element's, a step's, and real ids beside tickets; a job asks for its own."""
    first, second = (
        queued(person, "-J", "own", "-o", f"{person.home}/own.{at}", "-p", "main", str(own_script(person)))
        for at in (1, 2)
    )
    alone = queued(person, "-J", "alone", "-c", "1", "-o", "/dev/null", "--wrap=true")
    assert person.flush().status == 0
    ask = ["sacct", "-X", "-n", "-P", "-o", "JobID,State", "-j"]
    every = [f"{one}|COMPLETED" for one in (first, second, alone)]
    until(lambda: lines(person, *ask, f"{first},{second},{alone}") == every)
    env = person.environment(PATH=SYSTEM_PATH)
    # The accounting may know the array's spare element too, as cancelled.
    shown = person.run("sacct", "-X", "-n", "-P", "-o", "JobID,JobName,State", env=env).out.decode().splitlines()
    elements = [line.partition("|")[0] for line in shown if line.endswith("|own|COMPLETED")][-2:]
    array = elements[0].partition("_")[0]
    assert lines(person, *ask, array) == every[:2]
    assert lines(person, *ask, elements[1]) == every[1:2]
    assert lines(person, *ask, f"{array},{alone}") == every
    assert lines(person, "sacct", "-n", "-P", "-o", "JobID", "-j", f"{elements[0]}.batch") == [f"{first}.batch"]
    jobs = json.loads(run(person, "sacct", "--json", "-j", array).out)["jobs"]
    assert sorted(job["job_id"] for job in jobs) == [int(first), int(second)]
    for at, ticket in enumerate((first, second), 1):
        assert (person.home / f"own.{at}").read_text() == f"{ticket}|RUNNING\n"


def own_script(person: Person) -> Path:
    """A job that asks sacct for itself until it is accounted for."""
    script = person.home / "own.sh"
    script.write_text(
        "#!/bin/bash\nfor _ in {1..100}; do\n"
        "found=$(sacct -X -n -P -o JobID,State -j $SLURM_JOB_ID)\n"
        '[ -z "$found" ] || break\nsleep 0.2\ndone\necho "$found"\n'
    )
    return script


@pytest.mark.accounting
def test_accounting_tells_the_same(person: Person) -> None:
    """Of a plain job, an array that has ended and one that waits: documents and log columns, directly and merged."""
    calls = (
        ("-J", "one", "-o", "one.%j", "--wrap=exit 3"),
        ("-J", "two", "-o", "two.%A_%a", "-e", "err.%x", "-a", "1,3", "--wrap=exit $SLURM_ARRAY_TASK_ID"),
        ("-J", "three", "-H", "-a", "2-6:2%2", "--wrap=true"),
    )
    texts = ["JobID,JobName,State,ExitCode,WorkDir,SubmitLine", "JobID,StdOut,StdErr,StdIn"]
    forms = [["--json"], *(["-P", "-o", text] for text in texts), ["-P", "--expand-patterns", "-o", texts[1]]]
    forms.append(["-X", "-P", "--array", "-o", "JobID,State"])

    def told(ids: list[str], path: str) -> list[str]:
        """What sacct says, with ids as their place among ours; raw ids of tasks are their own."""
        found = []
        for form in forms:
            text = run(person, "sacct", *form, "-j", ",".join(ids), PATH=path)
            assert text.status == 0 or b"nvalid field" in text.err or b"unrecognized" in text.err, text
            if form == ["--json"]:
                jobs = json.loads(text.out)["jobs"]
                for job in jobs:
                    for name in ("time", "flags", "priority"):  # when it ran, and which scheduler started it
                        del job[name]
                    for step in job["steps"]:
                        del step["time"], step["pid"]
                        step["step"] = str(step["step"]).replace(str(job["job_id"]), "<raw>")
                    if str(job["job_id"]) not in ids or number(job["array"]["task_id"]):
                        job["job_id"] = "<raw>"
                jobs.sort(key=lambda job: (job["name"], number(job["array"]["task_id"]) or 0))
                shown = json.dumps(jobs, indent=1)
            else:
                shown = "\n".join(sorted((text.out + text.err).decode().splitlines()))
            for place, one in enumerate(ids):
                shown = re.sub(rf"(?<![0-9]){one}(?![0-9])", f"<{place}>", shown)
            found += shown.splitlines()
        return found

    direct = []
    for words in calls:
        done = run(person, "sbatch", "--parsable", *words, PATH=SYSTEM_PATH)
        direct.append(done.out.decode().strip())
    merged = [queued(person, *words) for words in calls]
    assert person.flush().status == 0
    shims = person.environment()["PATH"]
    ended = ["FAILED"] * 6 + ["PENDING"]

    def have_ended(ids: list[str], path: str) -> bool:
        return sorted(lines(person, "sacct", "-n", "-P", "-o", "State", "-j", ",".join(ids), PATH=path)) == ended

    until(lambda: have_ended(direct, SYSTEM_PATH) and have_ended(merged, shims))
    assert told(merged, shims) == told(direct, SYSTEM_PATH)


@pytest.mark.accounting
def test_other_rows_are_bytes_of_the_real_sacct(person: Person) -> None:
    words = ["-o", "/dev/null", "-J", "a name that is long", "-a", "0-2", "--wrap=true"]
    job = run(person, "sbatch", "--parsable", *words, PATH=SYSTEM_PATH).out.decode().strip()
    person.settle()
    count = ["sacct", "-n", "-P", "-j", job, "-o", "state"]
    until(lambda: lines(person, *count, PATH=SYSTEM_PATH) == ["COMPLETED"] * 6)
    queued(person, "-H", "-o", "/dev/null", "--wrap=true")
    some = "jobid%5,state%-20,jobname%3,end,elapsed,exitcode,reqtres"
    for words in ([], ["-X"], ["-l"], ["-b"], ["-o", "ALL"], ["-p"], ["-P", "-o", "ALL"], ["-n"],
                  ["-o", some], ["-P", "--delimiter=XX"]):  # fmt: skip
        real = run(person, "sacct", "-j", job, *words, PATH=SYSTEM_PATH)
        assert run(person, "sacct", "-j", job, *words) == real, words


def test_sarray_shows_drops_throttles_and_reruns(person: Person) -> None:
    bad = queued(person, "-J", "bad", "-o", "/dev/null", "--wrap=exit 3")
    two_fails = "--wrap=[ $SLURM_ARRAY_TASK_ID != 2 ] && sleep 60"
    array = queued(person, "-J", "arr", "-o", "/dev/null", "-a", "1-4", two_fails)
    drop = queued(person, "-J", "drop", "-o", "/dev/null", "--wrap=true")
    waits = queued(person, "-J", "waits", "-o", "/dev/null", "-d", f"afterok:{drop}", "--wrap=true")
    done = run(person, "sarray", "cancel", drop)
    assert (done.status, done.out) == (0, b"queued calls dropped: 1\n")
    assert waits.encode() in done.err
    assert run(person, "sarray", "cancel", waits).status == 0
    assert person.flush().status == 0

    def states() -> dict[str, dict[str, int]]:
        document = json.loads(run(person, "sarray", "status", "--json").out)
        return {str(call["ticket"]): call["states"] for call in document["calls"]}

    until(lambda: states()[array] == {"FAILED": 1, "RUNNING": 3} and states()[bad] == {"FAILED": 1})
    assert states()[drop] == {"DROPPED": 1}
    done = run(person, "sarray", "throttle", array, "-n", "1", "--kill")
    assert done.status == 0, done.err
    assert re.findall(r"^(\S+) cancelled$", done.out.decode(), re.M) == [f"{array}_3", f"{array}_4"]
    again = run(person, "sarray", "rerun", array, bad)
    assert again.status == 0, again.err
    new = dict(re.findall(r"^(\d+)(?: \(tasks [\d,-]+\))? is queued again as (\d+)$", again.out.decode(), re.M))
    assert set(new) == {array, bad}
    assert len(lines(person, "squeue", "-h", "-r", "-j", new[array], "-o", "%i")) in (1, 3)
    assert run(person, "sarray", "rerun", "--failed").status == 1, "all that failed is queued again"
    for words, status in (
        (["throttle", bad, "-n", "x"], 2), (["throttle", "12", "-n", "2"], 1), (["status", "2000000000"], 1),
        (["nosuch"], 2), (["rerun"], 2), (["completion", "bash"], 0), (["gc", "-n", "--days", "0"], 0),
    ):  # fmt: skip
        assert run(person, "sarray", *words).status == status, words


def test_throttle_ends_no_task_of_a_call_that_was_not_named(person: Person) -> None:
    first = queued(person, "-o", "/dev/null", "-a", "1-2", "--wrap=sleep 60")
    second = queued(person, "-o", "/dev/null", "-a", "1-2", "--wrap=sleep 60")
    assert person.flush().status == 0
    running = ["squeue", "-h", "-t", "R", "-o", "%i"]
    until(lambda: len(lines(person, *running)) == 4)
    done = run(person, "sarray", "throttle", first, "-n", "1", "--requeue")
    assert done.status == 1
    assert b"shares array" in done.err and second.encode() in done.err
    assert len(lines(person, *running)) == 4
    done = run(person, "sarray", "throttle", second, "-n", "2", "--requeue")
    assert done.status == 0, done.err
    until(lambda: sorted(lines(person, *running)) == [f"{first}_1", f"{first}_2"])


def test_a_queue_file_is_submitted_whole_or_not_at_all(person: Person) -> None:
    """sarray 0.3.1's standalone mode, from a file and from stdin."""
    jobs = person.home / "jobs.conf"
    jobs.write_text('# two calls\nsbatch -o /dev/null --wrap="echo a > a.txt"\n-o /dev/null --wrap="echo b > b.txt"\n')
    person.own(jobs)
    done = run(person, "sarray", "submit", "jobs.conf", "-o", "kept.sh")
    assert done.status == 0, done.err
    assert re.fullmatch(rb"Submitted batch job \d+\n", done.out)
    assert (person.home / "kept.sh").exists()
    person.settle()
    assert (person.home / "a.txt").read_text() == "a\n"
    assert (person.home / "b.txt").read_text() == "b\n"
    # The caller's umask reaches the job, as it does with sbatch.
    plain = b"-o umask.log --wrap=umask\n"
    done = person.run("bash", "-c", "umask 027; exec sarray submit -", stdin=plain, env=person.environment())
    assert done.status == 0, done.err
    person.settle()
    log = person.home / "umask.log"
    assert (log.read_text(), log.stat().st_mode & 0o777) == ("0027\n", 0o640)
    broken = b'sbatch --wrap="touch never"\nsbatch --wrap="x\n'
    done = person.run("sarray", "submit", "-", stdin=broken, env=person.environment())
    assert done.status == 2
    assert b"line 2" in done.err or b"No closing quotation" in done.err
    assert lines(person, "squeue", "-h", "-o", "%i") == []


def test_doctor_runs_a_job(person: Person) -> None:
    done = run(person, "sarray", "doctor", "--run", "--json")
    document = json.loads(done.out)
    assert document["sbatch on PATH"][0].endswith("(this shim)")
    assert "ran after" in document["round trip"]
    refused = run(person, "sarray", "doctor", "--run", "--", "-p", "nowhere")
    assert refused.status == 1
    assert b"! a job was not accepted: sbatch: error: " in refused.out and b"artition" in refused.out
    assert b"ran after" in run(person, "sarray", "doctor", "--run", "--", "-J", "named", "--comment=--json").out
    for words in (["--", "-p", "x"], ["--run", "debug"]):
        wrong = run(person, "sarray", "doctor", *words)
        assert (wrong.status, wrong.out) == (2, b"") and b"behind --run --" in wrong.err


def test_listen_ends_with_submit(person: Person, tmp_path: Path) -> None:
    """Typed into a terminal: a prompt that says so, queueing, and the end of the shell by sarray submit."""
    typed = "sbatch -o /dev/null --wrap='touch typed'\nsarray submit\n"
    script = ["script", "-qec", f"{person.prefix}/bin/sarray listen --shell bash", "/dev/null"]
    done = person.run(*script, stdin=typed.encode(), env=person.environment(TERM="dumb"), timeout=300)
    assert b"[sarray]" in done.out
    assert done.out.count(b"Submitted batch job") == 2, done.out
    person.settle()
    assert (person.home / "typed").exists()


def test_without_tickets_the_real_command_is_executed(person: Person) -> None:
    """No Python: strace sees one exec, after bash's own."""
    for command in ("squeue", "scancel", "scontrol"):
        trace = person.home / f"trace.{command}"
        words = ["strace", "-f", "-e", "trace=execve", "-o", str(trace), command, "--version"]
        assert person.run(*words, env=person.environment(SHLVL="0", PWD=str(person.home))).status == 0
        names = re.findall(r'execve\("([^"]+)"', trace.read_text())
        assert names[-1] == f"/usr/bin/{command}", names
        assert not any("python" in name for name in names)


def test_completion_scripts_are_valid_shell(person: Person) -> None:
    for shell in ("bash", "zsh"):
        text = run(person, "sarray", "completion", shell).out
        if subprocess.run(["sh", "-c", f"command -v {shell}"], capture_output=True, check=False).returncode == 0:
            subprocess.run([shell, "-n"], input=text, check=True)


def shown_logs(person: Person, ticket: str, path: str) -> list[object]:
    """What squeue and scontrol show of a call's files, in all forms."""
    found: list[object] = []
    for width in ("", ":24", ":200"):
        form = ",".join(f"{name}{width}" for name in ("StdOut", "StdErr", "StdIn", "WorkDir"))
        found.append(
            [line.split() for line in lines(person, "squeue", "-h", "-r", "-j", ticket, "-O", form, PATH=path)]
        )
    record = run(person, "scontrol", "show", "job", ticket, PATH=path).out.decode()
    found.append(sorted(set(re.findall(r"^ *((?:Std(?:Out|Err|In)|WorkDir)=.*)$", record, re.M))))
    names = ("standard_output", "standard_error", "standard_input", "current_working_directory")
    jobs = listed(person, "squeue", "--json", PATH=path)
    mine = [
        one for one in jobs if str(one["job_id"]) == ticket or one["array_job_id"] in (int(ticket), {"number": ticket})
    ]
    found.append(sorted({tuple(one[name] for name in names) for one in mine}))  # an update splits an array off
    return found


UPDATES = [["StdOut=new"], ["WorkDir=/tmp"], ["StdOut=/tmp/n%%m", "Comment=x", "JobName=y"]]


@pytest.mark.parametrize("update", UPDATES, ids=" ".join)
@pytest.mark.parametrize("options", [[], ["-o", "x%j.out"], ["-o", "x", "-e", "e.%j"], ["-a", "1-2"]], ids=" ".join)
@pytest.mark.parametrize("company", [True, False], ids=["merged", "alone"])
def test_updated_files_are_shown(person: Person, options: list[str], update: list[str], company: bool) -> None:
    """As of a job that was submitted directly; those that nobody has updated, also of a neighbour, keep their own."""
    if "-o" not in options and update == ["WorkDir=/tmp"]:
        return  # a log without a name stays where it was queued, and is shown there (docs/limits.md)
    words = ["--parsable", "-H", "-J", "j", *options, "--wrap=true"]
    direct = run(person, "sbatch", *words, PATH=SYSTEM_PATH).out.decode().strip()
    neighbour = queued(person, "-H", "-J", "j", *options, "--wrap=true") if company else ""
    ticket = queued(person, "-H", "-J", "j", *options, "--wrap=true")
    assert person.flush().status == 0
    before = shown_logs(person, neighbour, person.environment()["PATH"]) if company else None
    for one in update:
        assert run(person, "scontrol", "update", f"JobId={direct}", one, PATH=SYSTEM_PATH).status == 0
        assert run(person, "scontrol", "update", f"JobId={ticket}", one).status == 0
    real = repr(shown_logs(person, direct, SYSTEM_PATH))
    ours = repr(shown_logs(person, ticket, person.environment()["PATH"]))
    assert ours.replace(ticket, direct) == real
    if company:
        assert shown_logs(person, neighbour, person.environment()["PATH"]) == before


def test_listpids_names_the_caller_s_id(person: Person) -> None:
    _, array = merged_pair(person)
    plain = queued(person, "-J", "gamma", "-o", "/dev/null", "--wrap=sleep 60")
    late = queued(person, "-H", "-o", "/dev/null", "--wrap=true")
    assert person.flush().status == 0
    until(lambda: len(lines(person, "squeue", "-h", "-r", "-t", "R", "-j", f"{plain},{array}")) == 4)
    for one in (plain, array):
        until(lambda one=one: len(lines(person, "scontrol", "listpids", one)) > 1)
        table = lines(person, "scontrol", "listpids", one)
        assert {line.split()[1] for line in table[1:]} == {one}, table
        assert all(line.partition(one)[2].startswith(" batch ") for line in table[1:]), table
    direct = run(person, "sbatch", "--parsable", "-H", "--wrap=true", PATH=SYSTEM_PATH).out.decode().strip()
    real = run(person, "scontrol", "listpids", direct, PATH=SYSTEM_PATH)
    ours = run(person, "scontrol", "listpids", late)
    assert (ours.out, ours.err.decode().replace(late, direct), ours.status) == (
        real.out,
        real.err.decode(),
        real.status,
    )
    said = run(person, "scontrol", "listpids", f"{direct}_2", PATH=SYSTEM_PATH).err
    reads_tasks = b"does not look like a jobid" not in said  # 26.05
    for word in () if reads_tasks else (f"{array}_2", f"{plain}_0"):
        done = run(person, "scontrol", "listpids", word)
        assert done.err.decode() == f'"{word}" does not look like a jobid\n' and done.status == 1, done


def test_a_real_element_is_that_task_alone(person: Person) -> None:
    """From outside, by squeue's and its steps' ids: no neighbour of the same row."""
    first, second, third = (queued(person, "-H", "-o", "/dev/null", "--wrap=true") for _ in range(3))
    array = queued(person, "-H", "-o", "/dev/null", "-a", "4-6", "--wrap=true")
    assert person.flush("--wide-lanes").status == 0  # its tasks are together
    job = lines(person, "squeue", "-h", "-o", "%F", PATH=SYSTEM_PATH)[0].strip()

    def ids(asked: str, *words: str) -> list[str]:
        return [line.strip() for line in lines(person, "squeue", "-h", "-j", asked, "-o", "%i", *words)]

    for _ in range(2):  # in one row, then in rows of their own
        assert ids(f"{job}_1") == ids(f" +{job}_1") == [second]
        assert ids(f"{job}_1", "-r") == [second]
        assert ids(f"{job}_0,{job}_2") == [first, third]
        assert ids(f"{job}_4") == [f"{array}_5"]
        assert ids(f"{job}_1,{third}") == ids(f"{third},{job}_1") == [second, third]
        assert sorted(ids(f"{job}_3,{job}")) == sorted(ids(job))
        assert ids(f"{job}_9") == [], job
        assert run(person, "scontrol", "update", f"jobid={job}_1", "timelimit=5", PATH=SYSTEM_PATH).status == 0
        assert run(person, "scontrol", "update", f"jobid={job}_4", "timelimit=5", PATH=SYSTEM_PATH).status == 0


def test_a_step_of_a_real_element_is_that_task_s_alone(person: Person) -> None:
    _, second = (queued(person, "-o", "/dev/null", "--wrap=srun sleep 60") for _ in range(2))
    assert person.flush().status == 0
    until(lambda: len(lines(person, "squeue", "-h", "-s", PATH=SYSTEM_PATH)) >= 4)
    job = lines(person, "squeue", "-h", "-o", "%F", PATH=SYSTEM_PATH)[0].strip()
    found = lines(person, "squeue", "-h", "--steps", "-j", f"{job}_1", "-o", "%i")
    assert {line.strip().partition(".")[0] for line in found} == {second}, found


def test_scancel_asks_about_calls_by_their_own_ids_and_names(person: Person) -> None:
    """As scancel does of jobs: before the flush and after it, and nothing is cancelled that was not agreed to."""
    real = (
        person.queue("--parsable", "-H", "-J", "real", "-o", "/dev/null", "--wrap=: $SLURM_JOB_ID").out.decode().strip()
    )
    one, two, three = (queued(person, "-H", "-J", name, "-o", "/dev/null", "--wrap=true") for name in ("a", "b", "c"))

    def ask(answers: bytes, *words: str) -> str:
        env = person.environment(SARRAY_SESSION="test")
        done = person.run("scancel", "-i", *words, env=env, stdin=answers)
        assert (done.status, done.err) == (0, b""), done
        return done.out.decode()

    def question(number: str, name: str) -> str:
        return f"Cancel job_id={number} name={name} partition=main [y/n]? "

    assert ask(b"n\nx\ny\n", one, three) == question(one, "a") + 2 * question(three, "c")
    assert sorted(lines(person, "squeue", "-h", "-t", "PD", "-o", "%i")) == sorted([real, one, two])
    assert person.flush().status == 0
    assert ask(b"n\n", real) == question(real, "real")
    assert ask(b"n\ny\n", one, two) == question(one, "a") + question(two, "b")
    assert ask(b"", one) == question(one, "a")
    assert sorted(lines(person, "squeue", "-h", "-t", "PD", "-o", "%i")) == sorted([real, one])
    assert ask(b"y\n", real) == question(real, "real")
    assert lines(person, "squeue", "-h", "-t", "PD", "-o", "%i") == [one]
