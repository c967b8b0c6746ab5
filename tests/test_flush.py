"""sarray-flush on the real Slurm: what it submits, prints, keeps and refuses."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.faults import Cluster, free_port
from support.person import SYSTEM_PATH, Person

pytestmark = pytest.mark.slurm


def shown(person: Person, form: str) -> list[str]:
    """squeue's lines for the user, one per array."""
    environment = person.environment(PATH=SYSTEM_PATH)
    done = person.run("squeue", "-h", "-u", environment["USER"], "-o", form, env=environment)
    return done.out.decode().splitlines()


@pytest.fixture
def narrow(person: Person, scratch: Path) -> Iterator[Person]:
    """Where an array has at most 101 tasks."""
    cluster = Cluster(scratch / "narrow", free_port(), "MaxArraySize=101")
    user = replace(person, conf=cluster.conf)
    yield user
    user.cancel_all()
    cluster.stop()


def test_calls_above_the_index_limit_become_more_arrays(narrow: Person) -> None:
    """250 plain calls become 3 arrays, and each call runs once."""
    script = "for i in $(seq 250); do sbatch -o /dev/null --wrap='echo x >> ran.'$i; done > ids"
    env = narrow.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    assert narrow.run("bash", "-c", script, env=env).status == 0
    assert len(set((narrow.home / "ids").read_text().splitlines())) == 250
    done = narrow.flush()
    assert done.status == 0, done.err
    assert re.fullmatch(rb"(Submitted batch job \d+\n){3}", done.out)
    narrow.settle()
    for number in range(1, 251):
        assert (narrow.home / f"ran.{number}").read_text() == "x\n"


def test_an_array_call_and_others_share_arrays_within_the_limit(narrow: Person) -> None:
    """--array=0-99 fills one array but for a place; the others go on in a second one."""
    narrow.queue("--array=0-99", "-o", "/dev/null", "--wrap=touch a.$SLURM_ARRAY_TASK_ID")
    for number in range(3):
        narrow.queue("-o", "/dev/null", f"--wrap=touch b.{number}")
    done = narrow.flush()
    assert len(done.out.splitlines()) == 2, done.err
    narrow.settle()
    assert len(list(narrow.home.glob("a.*"))) == 100
    assert len(list(narrow.home.glob("b.*"))) == 3


def test_a_dry_run_submits_and_claims_nothing(person: Person) -> None:
    person.queue("-J", "seen", "--wrap=echo {{ jinja }}")
    for more in ([], ["--scripts"]):
        done = person.flush("-n", *more)
        assert done.status == 0
        assert b"1 call becomes 1 submission" in done.out
        assert (b"echo {{ jinja }}" in done.out) == bool(more)
    assert person.flush("-n", "-o", "plan").status == 0
    assert b"echo {{ jinja }}" in (person.home / "plan/plan-0001.sh").read_bytes()
    assert person.flush("--scripts").status == 2
    person.queue("-J", "own", "-a", "1-9%7", "--mem=10", "--wrap=true")
    person.queue("-J", "seen", "--wrap=true")
    for more, told in (
        ([], ["--mem=10 (at most 7 tasks at a time)"]),
        (["-t", "50"], ["(at most 50 tasks at a time)", "--mem=10 (at most 50 tasks at a time)"]),
        (["--throttle=1"], ["(at most 1 task at a time)", "--mem=10 (at most 1 task at a time)"]),
        (["-t0"], ["--mem=10"]),
    ):
        plan = person.flush("-n", *more).out.decode()
        assert re.findall(r"^ {7}(\S.*)", plan, re.M) == told, plan
    assert shown(person, "%i") == []
    assert person.flush("--parsable").status == 0


def test_nothing_queued_is_no_error_unless_others_hold_calls(person: Person) -> None:
    done = person.flush()
    assert (done.status, done.out) == (0, b"")
    assert b"nothing is queued" in done.err
    person.queue("-o", "/dev/null", "--wrap=true")
    done = person.flush("--session", "mine")
    assert done.status == 1
    assert b"session test holds 1 call since" in done.err
    assert person.flush("--all").status == 0
    assert person.flush("--all").status == 0


def test_calls_for_a_silent_controller_keep_nobody_else(person: Person) -> None:
    """Another cluster is down: its calls and their dependents stay, the rest is submitted."""
    config = Path(person.environment()["SLURM_CONF"]).read_text()
    silent = person.home / "silent.conf"
    silent.write_text(re.sub(r"(?m)^SlurmctldPort=.*", "SlurmctldPort=9", config))
    lost = person.queue("--parsable", "-o", "/dev/null", "--wrap=true", SLURM_CONF=str(silent)).out.decode().strip()
    person.queue("-d", f"afterok:{lost}", "-o", "/dev/null", "--wrap=touch never")
    person.queue("-o", "/dev/null", "--wrap=touch went")
    done = person.flush("--retry", "0")
    assert (done.status, len(done.out.splitlines())) == (1, 1), done.err
    assert b"kept: 1 call for that controller" in done.err
    assert b"still queued: 2 calls" in done.err
    person.settle()
    assert (person.home / "went").exists()


def test_a_refused_array_keeps_its_calls_and_the_rest_goes_on(person: Person) -> None:
    """Slurm's own words on stderr; the next flush tries again."""
    person.queue("-p", "nosuch", "-o", "/dev/null", "--wrap=true")
    bad = person.queue("--parsable", "-p", "nosuch", "-o", "/dev/null", "--wrap=true").out.decode().strip()
    person.queue("-o", "/dev/null", "--wrap=touch went")
    waiting = person.queue("-d", f"afterok:{bad}", "-o", "/dev/null", "--wrap=touch never")
    assert waiting.status == 0
    for _ in range(2):
        done = person.flush()
        assert done.status == 1
        assert b"sbatch: error: Batch job submission failed: Invalid partition name specified" in done.err
        assert b"still queued: 3 calls" in done.err
    person.settle()
    assert (person.home / "went").exists()
    assert not (person.home / "never").exists()
    done = person.flush("--partition=main")
    assert done.status == 0, done.err
    person.settle()
    assert (person.home / "never").exists()


def test_json_names_what_became_of_each_ticket(person: Person) -> None:
    tickets = [int(person.queue("--parsable", "-o", "/dev/null", "--wrap=true").out) for _ in range(3)]
    document = json.loads(person.flush("--json").out)
    assert [array["tickets"] for array in document["arrays"]] == [tickets]
    assert document["arrays"][0]["tasks"] == 3
    assert document["kept"] == []


def test_a_throttle_limits_every_array(person: Person) -> None:
    for _ in range(4):
        person.queue("--hold", "-o", "/dev/null", "--wrap=true")
    person.flush("--throttle", "2")
    (array,) = set(shown(person, "%F"))
    assert sorted(shown(person, "%i")) == [f"{array}_{index}" for index in range(4)]
    told = person.run("scontrol", "show", "job", array, env=person.environment(PATH=SYSTEM_PATH)).out
    assert re.findall(rb"ArrayTaskThrottle=(\d+)", told) == [b"2"] * 5, told


def test_options_of_sbatch_override_for_all(person: Person) -> None:
    for size in (1, 2):
        person.queue("-H", "-c", str(size), "-o", "/dev/null", "--wrap=true")
    done = person.flush("-c3", "--comment", "from the flush", "--parsable")
    assert len(done.out.split()) == 1, done.err
    assert shown(person, "%C %k")[0] == "3 from the flush"


@pytest.mark.parametrize(
    "words",
    [
        ["--nosuch"],
        ["stray"],
        ["--throttle", "x"],
        ["--throttle=\udcff"],
        ["--array=1-3"],
        ["--time=x"],
        ["--session"],
        ["--retry=\u00b2"],
    ],
)
def test_wrong_usage_says_so(person: Person, words: list[str]) -> None:
    done = person.flush(*words)
    assert done.status == 2
    assert done.err.startswith(b"sarray-flush: ")
    assert b"Traceback" not in done.err


def test_names_are_kept_apart_when_asked(person: Person) -> None:
    for name in "aab":
        person.queue("-H", "-J", name, "-o", "/dev/null", "--wrap=true")
    assert len(person.flush("--keep-names").out.splitlines()) == 2
    assert sorted(shown(person, "%j")) == ["a", "a", "b"]
    assert len(set(shown(person, "%F"))) == 2


def test_scripts_are_kept_where_asked(person: Person) -> None:
    person.queue("-o", "/dev/null", "--wrap=echo kept")
    assert person.flush("--output", "scripts").status == 0
    (kept,) = (person.home / "scripts").iterdir()
    assert b"echo kept" in kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_kept_scripts_of_several_sessions_and_many_arrays(person: Person) -> None:
    """Sessions that are flushed in one second keep each its own, and names sort as the arrays were submitted."""
    for name in ("one", "two"):
        for number in range(11):
            env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=name)
            words = ["sbatch", "-o", "/dev/null", f"--time={number + 1}", f"--wrap=echo {name}-{number}."]
            assert person.run(*words, env=env).status == 0
    assert person.flush("--all", "--output", "scripts").status == 0
    for name in ("one", "two"):
        kept = [path.read_bytes() for path in sorted((person.home / "scripts").glob(f"*{name}*"))]
        assert len(kept) == 11
        assert all(b"echo %s-%d." % (name.encode(), number) in script for number, script in enumerate(kept))


def test_without_an_sbatch_it_says_where_it_looked(person: Person, tmp_path: Path) -> None:
    """A call recorded without a real sbatch, flushed without one."""
    bin_folder = person.home / "bin"
    bin_folder.mkdir()
    for tool in ("bash", "sh", "env", "cat"):
        os.symlink(f"/usr/bin/{tool}", bin_folder / tool)
    path = f"{person.prefix}/shims:{bin_folder}"
    done = person.queue("-o", "/dev/null", "--wrap=true", PATH=path)
    assert done.status == 0, done.err
    done = person.flush(PATH=path)
    assert done.status == 127
    assert b"no sbatch found" in done.err
    assert b"--local" in done.err
    assert str(person.prefix).encode() in done.err
    assert person.flush().status == 0


def test_the_body_of_many_calls_is_stored_once(person: Person) -> None:
    """In the spool and in the script."""
    (person.home / "job.sh").write_text("#!/bin/sh\n# a line that is easy to find\necho $1\n")
    for number in range(20):
        person.queue("-H", "-o", "/dev/null", "job.sh", str(number))
    blobs = list((person.home / "state/sessions/test/blobs").iterdir())
    assert sum(b"easy to find" in blob.read_bytes() for blob in blobs) == 1
    person.flush()
    (script,) = (person.home / "state/sessions/test/flushes").glob("*/arrays/1/script")
    assert script.read_bytes().count(b"easy to find") == 1


def test_a_script_above_the_limit_is_split(person: Person) -> None:
    """Bodies of 2 MB each: Slurm takes 4 MiB, so not more than two of them fit into a script."""
    for number in range(3):
        body = "#!/bin/sh\ntouch big.%d\nexit 0\n" % number + "# padding\n" * 200000
        (person.home / f"big{number}.sh").write_text(body)
        person.queue("-o", "/dev/null", f"big{number}.sh")
    assert len(person.flush().out.splitlines()) == 2
    person.settle()
    assert len(list(person.home.glob("big.?"))) == 3


def test_resources_keep_calls_apart_by_meaning(person: Person) -> None:
    """Equal spellings share an array, different values do not."""
    for words in (["-c2"], ["--cpus-per-task=2"], ["-c", "3"], ["--mem=1G"], ["--mem=1024M"], ["-t60"], ["-t1:00:00"]):
        person.queue("-H", "-o", "/dev/null", *words, "--wrap=true")
    assert len(person.flush().out.splitlines()) == 4


def test_calls_that_must_stay_alone_do(person: Person) -> None:
    person.queue("-H", "-o", "/dev/null", "--wrap=true")
    person.queue("-H", "-o", "/dev/null", "-a", "1-4%2", "--wrap=true")
    person.queue("-H", "-o", "/dev/null", "-d", "singleton", "--wrap=true")
    person.queue("-H", "-o", "/dev/null", "--wrap=scancel $SLURM_JOB_ID", SARRAY_IDS="ticket")
    done = person.flush()
    assert len(done.out.splitlines()) == 4
    assert any(line.endswith("_[1-4%2]") for line in shown(person, "%i"))


def test_a_ticket_never_reaches_slurm(person: Person) -> None:
    """A call that is handed over (--wait) or made in pass mode waits for the real job of the ticket."""
    ticket = person.queue("--parsable", "-o", "/dev/null", "--wrap=touch first").out.decode().strip()
    done = person.queue("--wait", "-d", f"afterok:{ticket}", "-o", "wait.log", "--wrap=ls first")
    assert done.status == 0, done.err
    assert (person.home / "wait.log").read_text() == "first\n"
    ticket = person.queue("--parsable", "-o", "/dev/null", "--wrap=touch second").out.decode().strip()
    words = ["sbatch", "-W", "-d", f"afterok:{ticket}", "-o", "pass.log", "--wrap=ls second"]
    done = person.run(*words, env=person.environment())
    assert (done.status, (person.home / "pass.log").read_text()) == (0, "second\n"), done.err


def test_an_unknown_ticket_is_an_impossible_dependency(person: Person) -> None:
    """A number that nobody was told: in no block, or reserved for later calls."""
    told = int(person.queue("--parsable", "-o", "/dev/null", "--wrap=true").out)
    for number in (2147483000, told + 1):
        done = person.queue("-d", f"afterok:{number}", "--wrap=true")
        assert (done.status, done.out) == (1, b"")
        assert done.err == b"sbatch: error: Batch job submission failed: Job dependency problem\n"
    assert person.queue("-d", f"afterok:{told}", "-o", "/dev/null", "--wrap=true").status == 0


def test_what_waits_for_a_cancelled_call(person: Person) -> None:
    """Its success is impossible; its end is not, and nor are alternatives, as with a job that was cancelled."""
    cancelled = int(person.queue("--parsable", "-o", "/dev/null", "--wrap=true").out)
    other = int(person.queue("--parsable", "-o", "/dev/null", "--wrap=true").out)
    assert person.run("scancel", str(cancelled)).status == 0
    done = person.queue("--parsable", "-d", f"afterany:77,AfterOK:{cancelled}", "-o", "/dev/null", "--wrap=touch never")
    assert (done.status, done.err) == (0, b""), done.err
    never = done.out.decode().strip()
    for name, spec in (
        ("end", f"{cancelled}"),
        ("either", f"afterok:{cancelled}?afterok:{other}"),
        ("failed", f"aftercorr:{cancelled}?afternotok:{cancelled}"),
    ):
        assert person.queue("-d", spec, "-o", "/dev/null", f"--wrap=touch {name}").status == 0
    done = person.flush()
    assert (done.status, len(done.out.splitlines())) == (1, 2), done.err
    assert f"sarray cancel {never}" in done.err.decode()
    person.settle()
    assert sorted(path.name for path in person.home.glob("e*")) == ["either", "end"]
    assert (person.home / "failed").exists() and not (person.home / "never").exists()
    waits = person.run("squeue", "-h", "-j", never, "-o", "%T %r", env=person.environment())
    assert waits.out == b"PENDING DependencyNeverSatisfied\n"


def test_signals_reach_the_job_itself(person: Person) -> None:
    """scancel --batch signals the script's process, which the dispatcher has become."""
    body = "#!/bin/bash\ntrap 'echo caught; exit 9' USR1\ntouch ready\nwhile :; do read -t 0.1 < <(sleep 1); done\n"
    (person.home / "job.sh").write_text(body)
    person.queue("-o", "job.log", "job.sh")
    person.queue("-o", "/dev/null", "--wrap=true")
    job = person.flush("--parsable").out.decode().strip()
    done = person.run("bash", "-c", "until [ -e ready ]; do sleep 0.1; done; exec scancel -b -s USR1 " + job + "_0")
    assert done.status == 0, done.err
    person.settle()
    assert (person.home / "job.log").read_text() == "caught\n"
