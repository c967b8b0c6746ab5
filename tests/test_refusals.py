"""What Slurm refuses of an array: directly it would have judged each call by itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.differential import differences, run_both, tools_for
from support.faults import Cluster, free_port, spawn, wait_for
from support.person import CLUSTER, SYSTEM_PATH, USER, Person, Result
from support.terminal import Terminal

HERE = Path(__file__).parent
pytestmark = [pytest.mark.slurm, pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="needs root and a test user")]

# Rules on a script's text, on a name and on the folder, and one on the partition, which all calls of an array share.
RULES = """
function slurm_job_submit(job, parts, uid)
    if job.work_dir == "/" then
        slurm.log_user("no jobs from /")
        return slurm.ERROR
    end
    if job.script and string.find(job.script, "forbidden") then
        slurm.log_user("this program is forbidden")
        return slurm.ERROR
    end
    if job.partition == "other" then
        slurm.log_user("partition other is closed")
        return slurm.ERROR
    end
    return slurm.SUCCESS
end
function slurm_job_modify(job, record, parts, uid)
    return slurm.SUCCESS
end
return slurm.SUCCESS
"""
# One that reads a script's text, and refuses the dispatcher's.
READER = """
function slurm_job_submit(job, parts, uid)
    if job.script and string.find(job.script, "Written by sarray%-flush") then
        slurm.log_user("what is this program?")
        return slurm.ERROR
    end
    if job.script and string.find(job.script, "forbidden") then
        slurm.log_user("this program is forbidden")
        return slurm.ERROR
    end
    return slurm.SUCCESS
end
function slurm_job_modify(job, record, parts, uid)
    return slurm.SUCCESS
end
return slurm.SUCCESS
"""
# The same in sbatch itself, where the controller has no plugin that judges.
FILTER = """
function slurm_cli_setup_defaults(options, early)
    return slurm.SUCCESS
end
function slurm_cli_pre_submit(options, offset)
    local script = options["argv"][1] and io.open(options["argv"][1])
    if script and string.find(script:read("*a"), "Written by sarray%-flush") then
        slurm.log_error("what is this program?")
        return slurm.ERROR
    end
    return slurm.SUCCESS
end
function slurm_cli_post_submit(offset, job, step)
    return slurm.SUCCESS
end
return slurm.SUCCESS
"""
MOST = 50
FEW = 40
# All that a job can see, where each call is submitted as it was made.
UNTOUCHED = ["environment", "export", "directives", "folders", "exits", "signals", "nested", "tmpdir", "log-modes"]


@pytest.fixture(scope="module")
def strict(scratch: Path) -> Iterator[Cluster]:
    """A site with a job_submit plugin."""
    folder = scratch / "strict"
    folder.mkdir()
    (folder / "job_submit.lua").write_text(RULES)
    cluster = Cluster(folder, free_port(), "JobSubmitPlugins=lua")
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def reading(scratch: Path) -> Iterator[Cluster]:
    """A site whose job_submit plugin refuses the dispatcher."""
    folder = scratch / "reading"
    folder.mkdir()
    (folder / "job_submit.lua").write_text(READER)
    cluster = Cluster(folder, free_port(), "JobSubmitPlugins=lua")
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def filtering(scratch: Path) -> Iterator[Cluster]:
    """A site whose cli_filter plugin refuses the dispatcher."""
    folder = scratch / "filtering"
    folder.mkdir()
    (folder / "cli_filter.lua").write_text(FILTER)
    cluster = Cluster(folder, free_port(18900), "CliFilterPlugins=lua")
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def limited(scratch: Path) -> Iterator[Cluster]:
    """A site that takes 50 jobs of an account, counting each task of an array."""
    if "slurmdbd" not in Path(CLUSTER).read_text():
        pytest.skip("needs slurmdbd")
    extra = "AccountingStorageEnforce=associations,limits"
    cluster = Cluster(scratch / "limited", free_port(), extra, accounting=True)
    slurm = {**os.environ, "SLURM_CONF": cluster.conf}
    for words in (
        f"add account lab MaxSubmitJobs={MOST}",
        f"add user {USER} account=lab",
        f"add account few MaxSubmitJobs={FEW}",
        f"add user {USER} account=few",
        "add account free",
        f"add user {USER} account=free",
    ):
        subprocess.run(["sacctmgr", "-i", "-Q", *words.split()], env=slurm, check=True)
    yield cluster
    cluster.stop()


def at(person: Person, cluster: Cluster) -> Person:
    return replace(person, conf=cluster.conf)


@pytest.fixture
def judged(person: Person, strict: Cluster) -> Iterator[Person]:
    user = at(person, strict)
    yield user
    user.cancel_all()


@pytest.fixture
def counted(person: Person, limited: Cluster) -> Iterator[Person]:
    user = at(person, limited)
    yield user
    user.cancel_all()


@pytest.fixture
def read(person: Person, reading: Cluster) -> Iterator[Person]:
    user = at(person, reading)
    yield user
    user.cancel_all()


@pytest.fixture
def filtered(person: Person, filtering: Cluster) -> Iterator[Person]:
    user = at(person, filtering)
    yield user
    user.cancel_all()


def tickets(result: Result) -> list[str]:
    assert result.status == 0, result.err
    return result.out.decode().split()


def tools_of(scratch: Path, name: str) -> Path:
    """A folder that the user can read, with what a pipeline needs."""
    return tools_for(HERE / "pipelines" / f"{name}.sh", scratch / "refusals-tools").parent


def queue_some(person: Person, script: str) -> list[str]:
    """Queue what a bash script submits with `call ...`, and return the tickets."""
    (person.home / "make.sh").write_text(f'call() {{ sbatch --parsable "$@" || exit; }}\n{script}')
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    return tickets(person.run("bash", "make.sh", env=env))


@dataclass
class Question:
    """A command of Slurm that was run, and when, in seconds since the epoch."""

    time: float
    name: str


@dataclass
class Ears:
    """Commands of Slurm that write down when they are run, and then run the real ones."""

    folder: Path
    log: Path

    @classmethod
    def of(cls, person: Person) -> Ears:
        """In a folder of theirs, which goes before the system's on PATH."""
        made = cls(person.home / "ears", person.home / "questions")
        made.folder.mkdir()
        for name in ("sbatch", "squeue", "scontrol", "sacct", "sacctmgr", "sdiag", "sinfo"):
            path = made.folder / name
            path.write_text(f'#!/bin/bash\necho "$EPOCHREALTIME {name}" >>{made.log}\nexec /usr/bin/{name} "$@"\n')
            path.chmod(0o755)
        person.own(made.folder)
        return made

    def path(self, person: Person) -> str:
        return f"{person.prefix}/shims:{self.folder}:{SYSTEM_PATH}"

    def heard(self) -> list[Question]:
        """All questions so far."""
        if not self.log.exists():
            return []
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [Question(float(when), name) for when, name in lines]


def submissions(flushed: Result) -> int:
    return len(flushed.out.splitlines())


def ran(person: Person) -> set[str]:
    person.settle()
    return {path.name for path in person.home.glob("ran.*")}


def test_a_refused_call_takes_no_other_along(judged: Person) -> None:
    queue_some(
        judged,
        """for i in $(seq 1 40); do
            [ $i = 17 ] && what=forbidden || what=allowed
            call -o /dev/null --wrap "touch ran.$i; : $what"
        done""",
    )
    flushed = judged.flush("--retry=0")
    assert flushed.status == 1
    assert b"this program is forbidden" in flushed.err
    assert b"still queued: 1 call" in flushed.err
    assert submissions(flushed) <= 6  # 2 * log2(40) requests at most, of which these were accepted
    assert ran(judged) == {f"ran.{number}" for number in range(1, 41) if number != 17}


def test_what_was_refused_does_not_hold_up_the_next_flush(judged: Person) -> None:
    queue_some(judged, 'call -o /dev/null --wrap "forbidden"; call -o /dev/null --wrap "touch ran.1"')
    assert judged.flush("--retry=0").status == 1
    queue_some(judged, 'for i in 2 3 4; do call -o /dev/null --wrap "touch ran.$i"; done')
    flushed = judged.flush("--retry=0")
    assert (flushed.status, submissions(flushed)) == (1, 1)
    assert ran(judged) == {"ran.1", "ran.2", "ran.3", "ran.4"}


def test_what_waits_for_a_refused_call_stays_and_other_lanes_go_on(judged: Person) -> None:
    queue_some(
        judged,
        """for i in $(seq 1 12); do
            [ $i = 5 ] && what=forbidden || what=allowed
            a=$(call -o /dev/null --wrap "touch ran.a$i; : $what")
            call -o /dev/null -d afterok:$a --wrap "[ -e ran.a$i ] && touch ran.b$i"
        done""",
    )
    flushed = judged.flush("--retry=0")
    assert flushed.status == 1
    assert b"still queued: 2 calls" in flushed.err
    good = [number for number in range(1, 13) if number != 5]
    assert ran(judged) == {f"ran.{step}{number}" for step in "ab" for number in good}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_where_the_dispatcher_is_refused_a_call_is_submitted_as_it_was_made(
    read: Person, scratch: Path, name: str
) -> None:
    tools = tools_of(scratch, name)
    direct, queued, flushed = run_both(read, tools / f"{name}.sh", tools)
    found = differences(direct, queued)
    assert not found, found
    assert flushed.status == 0, flushed.err.decode()


@pytest.mark.parametrize("name", ["environment", "directives", "exits"])
def test_where_sbatch_itself_refuses_the_dispatcher_a_call_is_submitted_as_it_was_made(
    filtered: Person, scratch: Path, name: str
) -> None:
    tools = tools_of(scratch, name)
    direct, queued, flushed = run_both(filtered, tools / f"{name}.sh", tools)
    found = differences(direct, queued)
    assert not found, found
    assert flushed.status == 0, flushed.err.decode()


@pytest.mark.parametrize(("times", "waits"), [(1, ""), (1, "-d aftercorr:$first"), (2, "-d aftercorr:$first")])
def test_where_the_dispatcher_is_refused_an_array_call_is_submitted_as_it_was_made(
    read: Person, times: int, waits: str
) -> None:
    """Its log names have the ticket; SLURM_ARRAY_JOB_ID is the real id (docs/limits.md)."""
    read.own(read.home)
    (read.home / "job.sh").write_text('#!/bin/sh\necho "$0" "$@" $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_MAX\n')
    made = queue_some(
        read,
        f"""for i in $(seq {times}); do
            first=$(call -o log-%A-%a -a 3,5,8 job.sh a) && echo $first
            call {waits} -o log-%A-%a -a 3,5,8 job.sh b
        done""",
    )
    flushed = read.flush("--retry=0")
    assert (flushed.status, submissions(flushed)) == (0, len(made)), flushed.err.decode()
    read.settle()
    wanted = {f"log-{ticket}-{task}": task for ticket in made for task in (3, 5, 8)}
    logs = {path.name: path.read_text().split()[2:] for path in read.home.glob("log-*")}
    assert logs == {name: [str(task), "of", "8"] for name, task in wanted.items()}


def test_where_the_dispatcher_is_refused_a_script_from_stdin_is_submitted_as_it_was_made(read: Person) -> None:
    script = "call -o log-%j <<'END'\n#!/bin/sh\nsqueue -h -j $SLURM_JOB_ID -o '%j %o'; cat\nEND"
    made = queue_some(read, f"{script}\n{script}")
    flushed = read.flush("--retry=0")
    assert (flushed.status, submissions(flushed)) == (0, 2), flushed.err.decode()
    read.settle()
    for ticket in made:
        assert (read.home / f"log-{ticket}").read_text() == "sbatch (null)\n"


def test_calls_that_were_submitted_as_they_were_made_are_known_by_their_tickets(read: Person) -> None:
    script = '#!/bin/sh\necho "$@" >ran.$1; squeue -h -j $SLURM_JOB_ID -o %i >own.$1; sleep 600\n'
    (read.home / "job.sh").write_text(script)
    made = queue_some(read, 'for i in 1 2; do call -o /dev/null job.sh $i "a b"; done; call --wrap "forbidden"')
    flushed = read.flush("--retry=0")
    assert (flushed.status, submissions(flushed)) == (1, 2), flushed.err
    assert b"this program is forbidden" in flushed.err and b"what is this program" not in flushed.err
    wait_for(lambda: all((read.home / f"own.{number}").exists() for number in (1, 2)))
    assert (read.home / "ran.2").read_text() == "2 a b\n"
    asked = read.run("squeue", "-h", "-O", "JobID", "-t", "R", env=read.environment()).out.split()
    assert sorted(asked) == sorted(one.encode() for one in made[:2])
    shown = read.run("scontrol", "show", "job", made[1], env=read.environment()).out.decode()
    assert f"JobId={made[1]} " in shown and f"Command={read.home}/job.sh" in shown, shown
    assert read.run("scancel", *made[:2], env=read.environment()).status == 0
    read.settle()


def test_calls_that_are_all_refused_are_all_kept(judged: Person) -> None:
    queue_some(judged, 'for i in 1 2 3; do call -o /dev/null -p other --wrap "touch ran.$i"; done')
    flushed = judged.flush("--retry=0")
    assert (flushed.status, flushed.out) == (1, b"")
    assert b"partition other is closed" in flushed.err
    assert b"still queued: 3 calls" in flushed.err


def test_an_unknown_partition_is_asked_for_once(person: Person) -> None:
    """Without plugins the words of a refusal say that each call would have got them."""
    log = person.home / "calls"
    counting = person.home / "bin"
    counting.mkdir()
    (counting / "sbatch").write_text(f'#!/bin/sh\necho call >>{log}\nexec /usr/bin/sbatch "$@"\n')
    (counting / "sbatch").chmod(0o755)
    person.own(counting)
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    env["PATH"] = f"{person.prefix}/shims:{counting}:/usr/bin:/bin"
    for _ in range(4):
        assert person.run("sbatch", "-p", "nosuch", "--wrap=true", env=env).status == 0
    flushed = person.flush("--retry=0")
    assert flushed.status == 1
    assert b"Invalid partition name specified" in flushed.err
    assert log.read_text() == "call\n"


def test_jobs_in_several_folders_have_their_common_one(judged: Person) -> None:
    """A rule that refuses work_dir=/ takes them, as directly."""
    queue_some(
        judged,
        'mkdir -p a/b/1 a/b/2\nfor i in 1 2; do (cd a/b/$i && call -o /dev/null --wrap "pwd >$PWD/ran.$i"); done',
    )
    flushed = judged.flush("--retry=0")
    assert (flushed.status, submissions(flushed)) == (0, 1), flushed.err
    judged.settle()
    for number in (1, 2):
        folder = judged.home / f"a/b/{number}"
        assert (folder / f"ran.{number}").read_text() == f"{folder}\n"


def test_as_many_as_a_limit_takes_are_submitted_and_the_rest_follows(counted: Person) -> None:
    names = f"for i in $(seq 1 {MOST + 10}); do"
    body = "while [ ! -e end ]; do sleep 0.1; done; touch ran.$i"
    queue_some(counted, f'{names} call -A lab -o /dev/null --wrap "{body}"; done')
    flushed = counted.flush("--retry=0")
    assert flushed.status == 1
    assert b"still queued: 10 calls" in flushed.err
    env = counted.environment(PATH="/usr/bin:/bin")
    listed = counted.run("squeue", "-h", "-r", "-o", "%i", env=env).out.splitlines()
    assert len(listed) == MOST
    (counted.home / "end").touch()
    counted.settle()
    assert counted.flush("--retry=0").status == 0
    assert ran(counted) == {f"ran.{number}" for number in range(1, MOST + 11)}


def test_a_limit_is_told_at_the_call_where_sbatch_answers_with_real_ids(counted: Person) -> None:
    """As directly: as many as it lets in are submitted, and the next ones are refused in sbatch's words."""
    more = {"SARRAY_MODE": "queue", "SARRAY_SESSION": "test", "SARRAY_IDS": "real"}

    def submit(*words: str, **variables: str) -> Result:
        env = counted.environment(**variables)
        return counted.run("sbatch", "--parsable", "-A", "few", "-o", "/dev/null", *words, env=env)

    def body(number: int) -> str:
        return f"--wrap=while [ ! -e end ]; do sleep 0.1; done; echo $SLURM_JOB_ID >>ran.{number}"

    told: list[Result] = []
    while len(told) <= FEW and (not told or told[-1].status == 0):
        told.append(submit(body(len(told)), **more))
    refused = told.pop()
    # What stays free of the pools counts too: the last element of each.
    assert FEW - 3 <= len(told) <= FEW
    assert refused.status == 1
    assert submit("--wrap=true", PATH=SYSTEM_PATH) == refused
    (counted.home / "end").touch()
    flushed = counted.flush()
    assert flushed.status == 0, flushed.err
    counted.settle()
    for number, done in enumerate(told):
        assert (counted.home / f"ran.{number}").read_text() == done.out.decode()
    # One job at a time waits held, or a pool that fits.
    again = submit(body(FEW), **more)
    assert again.status == 0 and counted.flush().status == 0
    counted.settle()
    assert (counted.home / f"ran.{FEW}").read_text() == again.out.decode()


def test_a_limit_of_one_account_does_not_stop_another(counted: Person) -> None:
    queue_some(
        counted,
        f"""for i in $(seq 1 {MOST + 5}); do call -A lab -o /dev/null -H --wrap true; done
        for i in 1 2 3; do call -A free -o /dev/null --wrap "touch ran.$i"; done""",
    )
    flushed = counted.flush("--retry=0")
    assert b"still queued: 5 calls" in flushed.err
    env = counted.environment(PATH="/usr/bin:/bin")
    assert counted.run("scancel", "-A", "lab", env=env).status == 0
    assert ran(counted) == {"ran.1", "ran.2", "ran.3"}


def test_an_array_call_above_a_limit_stays_whole(counted: Person) -> None:
    """Directly it is refused as a whole too."""
    array = f"call -A lab -o /dev/null -a 1-{MOST + 10} --wrap true"
    queue_some(counted, f'{array}; call -A lab -o /dev/null --wrap "touch ran.1"')
    flushed = counted.flush("--retry=0")
    assert (flushed.status, submissions(flushed)) == (1, 1)
    assert ran(counted) == {"ran.1"}


def test_the_command_that_tries_again_is_named(person: Person) -> None:
    """A queue file has a session of its own, which a plain sarray-flush does not flush."""
    (person.home / "calls").write_text("sbatch -p nosuch --wrap=true\n")
    sarray = str(person.prefix / "bin/sarray")
    done = person.run(sarray, "submit", "calls", "--retry=0", env=person.environment(SARRAY_SESSION="test"))
    assert done.status == 1
    (command,) = re.findall(r"; (sarray-flush --session \S+) tries again", done.err.decode())
    again = person.run(*[f"{person.prefix}/bin/sarray-flush", *command.split()[1:], "--retry=0"])
    assert b"Invalid partition name specified" in again.err
    person.queue("-p", "nosuch", "--wrap=true")
    assert b"; sarray-flush tries again" in person.flush("--retry=0").err


def test_what_waits_for_a_cancelled_call_is_named_with_the_way_out(person: Person) -> None:
    first = person.queue("--parsable", "--wrap=true").out.decode().strip()
    second = person.queue("--parsable", "-d", f"afterok:{first}", "--wrap=true").out.decode().strip()
    sarray, env = str(person.prefix / "bin/sarray"), person.environment(SARRAY_SESSION="test")
    assert person.run(sarray, "cancel", first, env=env).status == 0
    done = person.flush("--retry=0")
    assert done.status == 1
    (command,) = re.findall(r"(sarray cancel \d+)", done.err.decode())
    assert command == f"sarray cancel {second}"
    assert b"tries again" not in done.err
    assert person.run(sarray, *command.split()[1:], env=env).status == 0
    assert b"still queued" not in person.flush().err


def test_a_feed_submits_all_through_a_limit(counted: Person) -> None:
    """More calls than the limit, some of them in chains: each runs once, without anybody flushing again."""
    made = queue_some(
        counted,
        """
        hold='until [ -e go ]; do sleep 0.1; done'
        for n in $(seq 40); do
            first=$(call -A lab --wrap "$hold; echo x >>ran.a$n")
            second=$(call -A lab -d "afterok:$first" --wrap "echo x >>ran.b$n")
            echo "$first $second"
        done
        """,
    )
    assert len(made) == 80 > MOST
    feeding = spawn(counted, str(counted.prefix / "bin/sarray-flush"), "--feed", "--retry", "0")
    assert feeding.stderr is not None
    said = b""
    while b"wait for room" not in said:
        line = feeding.stderr.readline()
        assert line, said
        said += line
    (counted.home / "go").touch()
    said += feeding.communicate()[1]
    assert feeding.returncode == 0, said
    assert len(ran(counted)) == 80
    assert all(path.read_text() == "x\n" for path in counted.home.glob("ran.*"))


def test_a_keeper_submits_all_through_a_limit(counted: Person) -> None:
    env = counted.environment(SARRAY_MODE="auto", SARRAY_SESSION="fed", SARRAY_IDLE="0.3")
    script = 'for n in $(seq 70); do sbatch -Q -A lab --wrap "echo x >>ran.$n"; done'
    assert counted.run("bash", "-c", script, env=env).status == 0
    wait_for(lambda: len(list(counted.home.glob("ran.*"))) == 70)
    counted.settle()
    assert all(path.read_text() == "x\n" for path in counted.home.glob("ran.*"))


def test_what_a_limit_does_not_let_in_costs_few_requests(counted: Person) -> None:
    """No call is tried alone once one of its kind met the limit."""
    counted.run("sbatch", "-A", "lab", "--hold", f"--array=1-{MOST}", "--wrap", "true")
    queue_some(counted, "for n in $(seq 64); do call -A lab --wrap true; done")
    kept = counted.flush("--retry", "0")
    assert kept.status == 1
    journals = (counted.home / "state/sessions/test/flushes").glob("*/journal")
    tried = sum(path.read_text().count('"submitting"') for path in journals)
    # 64 with a spare and without, 32, 16, 8, 4, 2, 1, and not the other halves.
    assert tried == 8, kept.err.decode()
    assert b"64 calls" in kept.err and b"no room for it at present" in kept.err


@pytest.mark.parametrize("by", ["feed", "keeper"])
def test_while_a_limit_is_met_one_question_in_ten_seconds_tells_that_nothing_has_changed(
    counted: Person, by: str
) -> None:
    """No call is submitted only to be refused again."""
    ears = Ears.of(counted)
    env = counted.environment(PATH=ears.path(counted), SARRAY_SESSION="test", SARRAY_MODE="queue")
    counted.run("sbatch", "-A", "few", "--hold", f"--array=1-{FEW}", "--wrap", "true", env=counted.environment())
    if by == "keeper":
        env.update(SARRAY_MODE="auto", SARRAY_IDLE="0.3")
    script = 'for n in $(seq 60); do sbatch -Q -A few --wrap "echo x >>ran.$n"; done'
    assert counted.run("bash", "-c", script, env=env).status == 0
    feeding = None
    if by == "feed":
        feeding = spawn(counted, str(counted.prefix / "bin/sarray-flush"), "--feed", "--retry", "0", PATH=env["PATH"])
    # The first flush asks with submissions. (A loaded machine may let the keeper begin before the last call.)
    wait_for(lambda: len(ears.heard()) > 6 and time.time() - ears.heard()[-1].time > 9)
    first = ears.heard()
    wait_for(lambda: len(ears.heard()) >= len(first) + 3)
    later = ears.heard()[len(first) :]
    assert [one.name for one in later] == ["squeue"] * len(later), later
    gaps = [after.time - before.time for before, after in zip([first[-1], *later], later)]
    assert min(gaps) > 9, gaps
    counted.run("scancel", "-A", "few", "-t", "PENDING", env=counted.environment(PATH=SYSTEM_PATH))
    wait_for(lambda: len(list(counted.home.glob("ran.*"))) == 60)
    if feeding is not None:
        feeding.communicate()
        assert feeding.returncode == 0
    counted.settle()  # a file is there before its job has written to it
    assert {path.name: path.read_text() for path in counted.home.glob("ran.*")} == {
        f"ran.{number}": "x\n" for number in range(1, 61)
    }


def test_a_feed_shows_at_a_terminal_how_far_it_is_and_ends_with_ctrl_c(counted: Person) -> None:
    """What is not in by then stays queued, in its place, and the next feed takes it."""
    made = queue_some(counted, f"for n in $(seq {FEW + 8}); do call -A few -o /dev/null --hold --wrap true; done")
    feed = ("sarray-flush", "--feed", "--retry", "0")
    with Terminal(counted, *feed, SARRAY_SESSION="test") as terminal:
        terminal.expect(rf"^\[#{{25}}\.{{5}}\] {FEW} of {FEW + 8} calls submitted")
        terminal.type("\x03")
        assert terminal.ended() == 130
        assert terminal.raw.rpartition("calls submitted")[2].startswith("^C\r\x1b[K"), "it is gone at the end"
        assert "Traceback" not in terminal.text
    document = json.loads(counted.run("sarray", "status", "--json", env=counted.environment()).out)
    assert [one["states"] for one in document["calls"]] == [{"PENDING": 1}] * FEW + [{"REFUSED": 1}] * 8
    with Terminal(counted, *feed, SARRAY_SESSION="test") as terminal:
        terminal.expect("8 calls wait for room")
        counted.cancel_all()
        assert terminal.ended() == 0
    document = json.loads(counted.run("sarray", "status", "--json", env=counted.environment()).out)
    assert [str(one["ticket"]) for one in document["calls"] if one["states"] == {"PENDING": 1}] == made[FEW:]


def test_five_hundred_calls_in_chains_pass_a_limit_of_forty(counted: Person) -> None:
    """Each runs once, and after what it waits for, whatever piece of an array that came in."""
    ears = Ears.of(counted)
    queue_some(
        counted,
        """
        for n in $(seq 150); do
            first=$(call -A few -o log.a$n --wrap "echo x >>ran.a$n")
            second=$(call -A few -o log.b$n -d "afterok:$first" --wrap "cat ran.a$n >>ran.b$n")
            call -A few -o log.c$n -d "afterok:$second" --wrap "cat ran.b$n >>ran.c$n" >/dev/null
        done
        for n in $(seq 50); do call -A few -o log.d$n --wrap "echo x >>ran.d$n" >/dev/null; done
        """,
    )
    begun = time.time()
    env = counted.environment(PATH=ears.path(counted), SARRAY_SESSION="test")
    fed = counted.run(str(counted.prefix / "bin/sarray-flush"), "--feed", "--retry", "0", env=env)
    seconds = time.time() - begun
    assert fed.status == 0, fed.err.decode()[-2000:]
    counted.settle()
    ran = {path.name: path.read_text() for path in counted.home.glob("ran.*")}
    assert len(ran) == 500
    assert set(ran.values()) == {"x\n"}
    # Refusals of the first flush, then for each ten seconds a look, the configuration and a few pieces.
    assert len(ears.heard()) < 40 + 12 * seconds / 10, (len(ears.heard()), seconds)


@pytest.fixture
def hurried(person: Person, scratch: Path) -> Iterator[Person]:
    """At a site that takes few requests of a user in a second (rl_enable, since 23.02; unknown to 22.05)."""
    extra = "SlurmctldParameters=rl_enable,rl_bucket_size=3,rl_refill_rate=1,rl_refill_period=1,rl_table_size=64"
    cluster = Cluster(scratch / "hurried", free_port(), extra)
    user = at(person, cluster)
    yield user
    user.cancel_all()
    cluster.stop()


def test_a_limit_on_requests_is_waited_out(hurried: Person) -> None:
    """No call is refused or lost by it, nor any other command of ours."""
    made = queue_some(hurried, 'for n in 1 2 3 4 5 6 7 8; do call -o /dev/null -t $n --wrap "echo x >>ran.$n"; done')
    env = hurried.environment()
    flushing = spawn(hurried, str(hurried.prefix / "bin/sarray-flush"))
    asked = [hurried.run("squeue", "-h", "-j", one, "-o", "%i", env=env) for one in made]
    words = flushing.communicate()[1]
    assert flushing.returncode == 0, words
    assert [one.status for one in asked] == [0] * 8, asked
    assert ran(hurried) == {f"ran.{number}" for number in range(1, 9)}
    assert all(path.read_text() == "x\n" for path in hurried.home.glob("ran.*"))
