"""Clusters as sites have them: with a TaskProlog, with nice values that are handed on, with calls of several groups."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.differential import differences, run_both, tools_for
from support.faults import Cluster, free_port
from support.person import USER, Person

HERE = Path(__file__).parent
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="needs root and a test user")
pytestmark = [pytest.mark.slurm, needs_root]

# It prepends, sets, uses and unsets, and speaks to the job's log.
TASK_PROLOG = """#!/bin/sh
echo "export PATH=/site/bin:$PATH"
echo "export LD_LIBRARY_PATH=/site/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
echo "export SITE=1"
echo "export SEEN=${DROPPED-nothing}:${LC_ALL-nothing}:${LANG-nothing}:${X-nothing}:${SLURM_JOB_ID:+a job}"
echo "export TMPDIR=/tmp"
echo "unset DROPPED"
echo "print the prolog saw ${PATH##*:}"
"""


@pytest.fixture(scope="module")
def site(scratch: Path) -> Iterator[Cluster]:
    prolog = scratch / "task-prolog"
    prolog.write_text(TASK_PROLOG)
    prolog.chmod(0o755)
    settings = f"TaskProlog={prolog}\nPropagatePrioProcess=1\nAccountingStoreFlags=job_script"
    cluster = Cluster(scratch / "site", free_port(), settings)
    yield cluster
    cluster.stop()


@pytest.fixture
def member(person: Person, site: Cluster) -> Iterator[Person]:
    """The user of that site."""
    user = replace(person, conf=site.conf)
    yield user
    user.cancel_all()


PIPELINES = ["surroundings", "environment", "export", "tmpdir", "clean-environment", "arrays", "lanes", "interpreters"]


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_leaves_the_same_beside_a_task_prolog(member: Person, scratch: Path, name: str) -> None:
    pipeline = tools_for(HERE / "pipelines" / f"{name}.sh", scratch / "site-tools")
    direct, queued, flushed = run_both(member, pipeline, pipeline.parent)
    found = differences(direct, queued)
    assert not found, found
    assert flushed.status == 0, flushed.err.decode()
    assert direct.files


@pytest.mark.parametrize(("ids", "submissions"), [("ticket", 3), ("real", 4)])  # the first of a pool's calls is a job
def test_calls_that_a_task_prolog_cannot_tell_apart_share_an_array(member: Person, ids: str, submissions: int) -> None:
    """Each from a folder of its own, as pipelines call: a shell sets PWD and its like when it starts."""
    for number in range(6):
        folder = member.home / f"sample-{number}"
        folder.mkdir()
        member.own(folder)
        more = {"PWD": str(folder), "OLDPWD": str(member.home), "SHLVL": str(number), "SARRAY_IDS": ids}
        if number >= 4:
            more["VENV"] = str(number)
        member.queue("-J", f"name-{number}", "-o", "log", "--wrap=pwd; echo $PATH; echo $PWD$VENV", cwd=folder, **more)
    done = member.flush()
    assert done.status == 0, done.err
    assert len(done.out.splitlines()) == submissions, done.out
    member.settle()
    for number in range(6):
        told = (member.home / f"sample-{number}" / "log").read_text().splitlines()
        assert told[1] == str(member.home / f"sample-{number}")
        assert told[2].startswith("/site/bin:")
        assert told[3] == told[1] + (str(number) if number >= 4 else "")


def test_a_flush_that_may_not_be_as_nice_keeps_the_calls_and_says_so(member: Person) -> None:
    member.queue("-o", "log", "--wrap=nice")
    command = str(member.prefix / "bin" / "sarray-flush")
    env = member.environment(SARRAY_SESSION="test")
    done = member.run("nice", "-n", "4", command, env=env)
    assert done.status == 1
    ours = os.nice(0)  # of the whole run
    told = f"made with nice value {ours}, and this flush runs with {ours + 4}; run sarray-flush without nice"
    assert told in done.err.decode()
    assert member.flush().status == 0
    member.settle()
    assert (member.home / "log").read_text().splitlines()[-1] == "0"


def test_what_a_site_stores_of_a_merged_script_holds_no_values(member: Person) -> None:
    for number in range(2):
        member.queue("-o", f"{number}.log", "--wrap=echo $TOKEN $1", TOKEN="secret-of-mine", MANY="x" * number)
    done = member.flush()
    assert done.status == 0, done.err
    job = done.out.split()[-1].decode()
    stored = member.run("scontrol", "write", "batch_script", job, "-").out
    assert b"echo $TOKEN" in stored
    assert b"secret-of-mine" not in stored
    member.settle()
    for number in range(2):
        assert (member.home / f"{number}.log").read_text().splitlines()[-1] == "secret-of-mine"
    whole = next((member.home / "state").rglob("whole"))
    assert whole.stat().st_mode & 0o777 == 0o600


def test_a_task_whose_variables_cannot_be_read_says_so(member: Person) -> None:
    member.queue("-H", "-o", "job.log", "--wrap=echo $TOKEN", TOKEN="secret-of-mine")
    done = member.flush()
    whole = next((member.home / "state").rglob("whole"))
    whole.rename(whole.parent / "gone")
    member.run("scontrol", "release", done.out.split()[-1].decode())
    member.settle()
    assert "the job cannot start: its variables are in " in (member.home / "job.log").read_text()


def test_doctor_tells_what_a_site_does(member: Person) -> None:
    told = member.run(str(member.prefix / "bin" / "sarray"), "doctor").out
    assert b"a TaskProlog or plugins may change it" in told
    assert b"the calls' variables stay in the state folder" in told


def in_group(person: Person, group: int, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command as another group, as under sg(1)."""
    return subprocess.run(
        words,
        env=person.environment(SARRAY_SESSION="test", **more),
        cwd=person.home,
        user=USER,
        group=group,
        extra_groups=[group],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def test_a_job_has_the_group_that_it_was_submitted_as(member: Person) -> None:
    """A flush of another group keeps the call, whose output that group could read, and says what to do."""
    group = grp.getgrnam("games").gr_gid
    sbatch = ("sbatch", "-o", "games.log", "--wrap", "id -g; touch games.file")
    assert in_group(member, group, *sbatch, SARRAY_MODE="queue").returncode == 0
    member.queue("-o", "own.log", "--wrap=id -g; touch own.file")
    flush = str(member.prefix / "bin" / "sarray-flush")
    shown = member.run("squeue", "-h", "-o", "%g", env=member.environment(SARRAY_SESSION="test"))
    assert sorted(shown.out.split()) == sorted([b"games", grp.getgrgid(pwd.getpwnam(USER).pw_gid).gr_name.encode()])
    done = member.flush()
    assert done.status == 1
    assert b"run: sg games -c 'sarray-flush --session test'" in done.err, done.err
    member.settle()
    assert not (member.home / "games.file").exists()
    done = in_group(member, group, flush)
    assert done.returncode == 0, done.stderr
    member.settle()
    for name, gid in (("games", group), ("own", pwd.getpwnam(USER).pw_gid)):
        assert (member.home / f"{name}.log").read_text().splitlines()[-1] == str(gid)
        assert (member.home / f"{name}.file").stat().st_gid == gid
        assert (member.home / f"{name}.log").stat().st_gid == gid


def test_calls_of_another_group_are_kept_by_a_local_run_too(member: Person) -> None:
    group = grp.getgrnam("games").gr_gid
    sbatch = ("sbatch", "-o", "games.log", "--wrap", "id -g")
    assert in_group(member, group, *sbatch, SARRAY_MODE="queue").returncode == 0
    done = member.flush("--local")
    assert done.status == 1
    assert b"run: sg games -c 'sarray-flush --local --session test'" in done.err, done.err
    flush = str(member.prefix / "bin" / "sarray-flush")
    assert in_group(member, group, flush, "--local").returncode == 0
    assert (member.home / "games.log").read_text() == f"{group}\n"
