"""Clusters of several nodes, of which one does not see all folders of the login node."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.differential import differences, run_both, tools_for
from support.faults import Cluster, free_port
from support.person import SYSTEM_PATH, USER, Person, Result

HERE = Path(__file__).parent
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="needs root and a test user")
pytestmark = [pytest.mark.slurm, needs_root]

UNPROVEN = b"it is not proven that the compute nodes see the state folder"
JOB = """#!/bin/sh
echo out $1
echo err >&2
cat
for stream in 0 1 2; do
    readlink /proc/$$/fd/$stream
    grep flags /proc/$$/fdinfo/$stream
done
"""


@dataclass
class Member(Person):
    """The user of the cluster; their state folder may be one that the last node does not see."""

    state: Path = Path()
    around: tuple[tuple[str, str], ...] = ()

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(**{"SARRAY_STATE_DIR": str(self.state), **dict(self.around), **more})

    def directly(self, *words: str, cwd: Path) -> Result:
        environment = self.environment(PATH=SYSTEM_PATH)
        del environment["SARRAY_STATE_DIR"]
        return self.run("sbatch", *words, cwd=cwd, env=environment)

    def failures(self) -> list[str]:
        """The last states of jobs that failed, with their exit codes, once for each task."""
        told = self.run("scontrol", "-o", "show", "job", env=self.environment(PATH=SYSTEM_PATH)).out.decode()
        jobs = re.findall(r"JobState=(\S+) Reason=(\S+).*?ExitCode=(\S+)", told)
        return [" ".join(job) for job in jobs if job[0] == "FAILED"]


@pytest.fixture(scope="module")
def hidden(scratch: Path) -> Path:
    folder = scratch / "hidden"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture(scope="module")
def nodes(scratch: Path, hidden: Path) -> Iterator[Cluster]:
    """Three nodes; the last has an empty folder in the place of `hidden`."""
    last = "PartitionName=last Nodes=n3 MaxTime=INFINITE State=UP"
    cluster = Cluster(scratch / "nodes", free_port(), last, nodes=3, hides=str(hidden))
    yield cluster
    cluster.stop()


@pytest.fixture
def member(person: Person, nodes: Cluster, hidden: Path) -> Iterator[Member]:
    state = Path(tempfile.mkdtemp(dir=hidden))
    person.own(state)
    user = Member(person.home, person.prefix, nodes.conf, state)
    yield user
    user.cancel_all()


PIPELINES = [
    "log-modes", "log-patterns", "default-logs", "arrays", "steps", "lanes", "input", "folders", "more-options",
]  # fmt: skip


def leaves_the_same(member: Member, scratch: Path, name: str) -> Result:
    """Compare what a pipeline leaves whose jobs run on the last node; what the flush said."""
    member.around = (("SBATCH_PARTITION", "last"),)
    pipeline = tools_for(HERE / "pipelines" / f"{name}.sh", scratch / "nodes-tools")
    direct, queued, flushed = run_both(member, pipeline, pipeline.parent)
    found = differences(direct, queued)
    assert not found, found
    assert flushed.status == 0, flushed.err.decode()
    return flushed


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_leaves_the_same_where_a_node_does_not_see_the_state_folder(
    member: Member, scratch: Path, name: str
) -> None:
    leaves_the_same(member, scratch, name)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_leaves_the_same_where_all_nodes_see_the_state_folder(
    member: Member, nodes: Cluster, scratch: Path, name: str
) -> None:
    member.state = member.home / "state"
    member.run("mkdir", "-p", str(member.state / "seen"))
    member.state.chmod(0o700)
    member.run("touch", str(member.state / "seen" / f"sbatchshim{nodes.port}"))
    assert UNPROVEN not in leaves_the_same(member, scratch, name).err


def left(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of each file, by name."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode & 0o7777, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def prepare(folder: Path, member: Member) -> Path:
    folder.mkdir()
    (folder / "job.sh").write_text(JOB)
    (folder / "given").write_text("input\n")
    for node in ("n1", "n2", "n3"):
        (folder / f"truncated-{node}").write_text("before\n")
        (folder / f"appended-{node}").write_text("before\n")
    member.own(folder)
    return folder


def calls(node: str) -> list[list[str]]:
    """Calls for one node, each kind twice, so that they share an array and need names of their own."""
    return [
        ["-o", f"truncated-{node}", "job.sh", "1"],
        ["-o", f"plain-{node}", "job.sh", "2"],
        ["-o", f"appended-{node}", "--open-mode=append", "job.sh", "3"],
        ["-o", f"fresh-{node}", "--open-mode=append", "job.sh", "4"],
        ["-o", f"out-{node}", "-e", f"err-{node}", "job.sh", "5"],
        ["-o", f"b\\ack%{node}", "-e", f"new\nline-{node}", "job.sh", "6"],
        ["-o", f"reads-{node}", "-i", "given", "job.sh", "7"],
        ["-o", f"reads-nothing-{node}", "-i", "/dev/null", "job.sh", "8"],
        ["-o", f"none-{node}", "-e", "none", "job.sh", "9"],
        ["-o", f"%a-{node}", "--array=1-2", "job.sh", "10"],
    ]


def test_jobs_on_each_node_leave_the_logs_of_direct_ones(member: Member) -> None:
    work = member.home / "work"
    before = member.failures()
    traces = []
    for queued in (False, True):
        prepare(work, member)
        for node in ("n1", "n2", "n3"):
            for words in calls(node):
                all_words = ["-w", node, *words]
                done = member.queue(*all_words, cwd=work) if queued else member.directly(*all_words, cwd=work)
                assert done.status == 0, done.err.decode()
        if queued:
            flushed = member.flush()
            assert flushed.status == 0, flushed.err.decode()
            assert flushed.err.count(UNPROVEN) == 1, flushed.err.decode()
            assert len(flushed.out.splitlines()) < len(calls("n1")) * 3, "nothing was merged"
        member.settle()
        traces.append(left(work))
        shutil.rmtree(work)
    assert traces[0] == traces[1]
    assert member.failures() == before


@pytest.mark.parametrize("node", ["n1", "n3"])
def test_a_log_that_cannot_be_opened_fails_the_job_as_directly(member: Member, node: str) -> None:
    """A folder in its place does in every version; one that misses its folder only before Slurm 23.02."""
    ends = []
    for queued in (False, True):
        work = prepare(member.home / "work", member)
        (work / "taken").mkdir()
        before = member.failures()
        for name in ("nosuch/x", "nosuch/y", "taken", "there"):
            words = ("-w", node, "-o", name, "--wrap", f"touch ran-{name.replace('/', '-')}")
            if queued:
                member.queue(*words, cwd=work)
            else:
                assert member.directly(*words, cwd=work).status == 0
        if queued:
            assert member.flush().status == 0
        member.settle()
        made = sorted(str(path.relative_to(work)) for path in work.rglob("*"))
        ends.append((member.failures()[len(before) :], made))
        shutil.rmtree(work)
    assert ends[1] == ends[0]
    assert {(end.split()[0], end.split()[-1]) for end in ends[0][0]} == {("FAILED", "0:53")}
    assert "ran-there" in ends[0][1]
    assert "ran-taken" not in ends[0][1]


def test_a_lone_call_needs_no_links(member: Member) -> None:
    """Slurm expands its pattern, so nothing is lost and nothing is said."""
    work = prepare(member.home / "work", member)
    member.queue("-w", "n3", "-o", "alone.log", "job.sh", cwd=work)
    flushed = member.flush()
    assert flushed.status == 0
    assert UNPROVEN not in flushed.err
    member.settle()
    assert (work / "alone.log").read_bytes().startswith(b"out")


def test_doctor_says_whether_the_nodes_see_the_state_folder(member: Member, person: Person) -> None:
    doctor = str(member.prefix / "bin" / "sarray")
    told = member.run(doctor, "doctor")
    assert b"not proven: jobs open their logs themselves" in told.out
    assert b"the cluster's only node is this host" in person.run(doctor, "doctor").out


def test_the_only_node_may_have_a_tmp_of_its_own(person: Person, scratch: Path, hidden: Path) -> None:
    """A slurmd with systemd's PrivateTmp, say: this host is the only node, and still it sees another folder."""
    cluster = Cluster(scratch / "private", free_port(), nodes=1, hides=str(hidden))
    try:
        state = Path(tempfile.mkdtemp(dir=hidden))
        person.own(state)
        member = Member(person.home, person.prefix, cluster.conf, state)
        for number in range(2):
            member.queue("-o", f"log{number}", "--wrap", f"echo {number}")
        flushed = member.flush()
        assert flushed.status == 0 and UNPROVEN in flushed.err, flushed.err.decode()
        member.settle()
        assert [(member.home / f"log{number}").read_bytes() for number in range(2)] == [b"0\n", b"1\n"]
        member.state = member.home / "state"  # seen in both
        assert b"the cluster's only node is this host" in member.run(str(member.prefix / "bin/sarray"), "doctor").out
    finally:
        cluster.stop()


def can_give_a_job_its_own_tmp() -> bool:
    """
    Whether Slurm has the plugin, and / is a mount, as the plugin wants it.

    In another Debian's folder (tests/debian-root) it is none: a job whose namespace is entered finds itself outside.
    With that folder as the root of its namespace 24.11 now and then cannot make the folders of a job, and holds it.
    """
    places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    is_whole = "/" in places and "SHIM_TEST_SUITE" not in os.environ
    return is_whole and any(Path("/usr/lib").glob("*/slurm*/job_container_tmpfs.so"))


@pytest.mark.skipif(not can_give_a_job_its_own_tmp(), reason="needs job_container/tmpfs")
def test_jobs_that_have_a_tmp_of_their_own_do_not_read_from_ours(person: Person) -> None:
    """The slurmd sees the state folder, its jobs do not: a job with a real id would not find what it runs."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "cluster").mkdir()
        (folder / "jobs").mkdir()
        (folder / "cluster/job_container.conf").write_text(f"AutoBasePath=true\nBasePath={folder}/jobs\n")
        home = folder / "home"
        home.mkdir()
        person.own(home)
        extra = "JobContainerType=job_container/tmpfs\nPrologFlags=Contain"
        cluster = Cluster(folder / "cluster", free_port(), extra)
        try:
            member = Member(home, person.prefix, cluster.conf, person.home / "state")
            # One job at a time: where several start at once, 24.11 may fail to make their folders, and requeues them.
            alone = "--exclusive"
            for state, proven in ((person.home / "state", False), (home / "state", False), (home / "state", True)):
                member.state = state
                for number in range(2):
                    member.queue(alone, "-o", f"log{number}", "--wrap", f"echo {number}; test ! -e {person.home}")
                member.queue(alone, "-o", "real", "--wrap", "test $SLURM_JOB_ID && echo real", SARRAY_IDS="real")
                flushed = member.flush()
                assert flushed.status == 0 and (UNPROVEN not in flushed.err) is proven, flushed.err.decode()
                member.settle()
                assert [(home / f"log{number}").read_bytes() for number in range(2)] == [b"0\n", b"1\n"]
                assert (home / "real").read_bytes() == b"real\n"
                assert member.failures() == []
                for log in home.glob("[lr]*"):
                    log.unlink()
        finally:
            cluster.stop()
            subprocess.run(["umount", "-l", "-R", str(folder / "jobs")], stderr=subprocess.DEVNULL, check=False)


def test_stored_scripts_hold_the_values_where_a_node_may_not_see_them(member: Member, nodes: Cluster) -> None:
    """AccountingStoreFlags=job_script: the values are in the state folder only where it is seen."""
    conf = Path(nodes.conf)
    kept = conf.read_text()
    try:
        conf.write_text(kept + "AccountingStoreFlags=job_script\n")
        env = {**os.environ, "SLURM_CONF": nodes.conf}
        subprocess.run(["scontrol", "reconfigure"], env=env, check=True)
        for number in range(2):
            member.queue("-w", "n3", "-o", f"log{number}", "--wrap", "echo $VALUE", VALUE=f"value {number}")
        flushed = member.flush()
        assert flushed.status == 0, flushed.err.decode()
        member.settle()
        assert [(member.home / f"log{number}").read_bytes() for number in range(2)] == [b"value 0\n", b"value 1\n"]
    finally:
        conf.write_text(kept)
        subprocess.run(["scontrol", "reconfigure"], env=env, check=True)


def test_a_job_on_two_nodes_leaves_the_logs_of_a_direct_one(member: Member) -> None:
    work = member.home / "work"
    traces = []
    step = "echo batch $SLURMD_NODENAME; srun -Q -N2 -n2 --label sh -c 'echo $SLURMD_NODENAME; cat' </dev/null | sort"
    for submit in (member.directly, member.queue):
        work.mkdir()
        member.own(work)
        for nodes in ("n1,n3", "n2,n3"):
            for number in range(2):
                done = submit("-N2", "-w", nodes, "-o", f"{nodes}-{number}", "--wrap", step, cwd=work)
                assert done.status == 0, done.err.decode()
        if submit == member.queue:
            assert member.flush().status == 0
        member.settle()
        traces.append(left(work))
        shutil.rmtree(work)
    assert traces[0] == traces[1]
    assert b"n3" in traces[0]["n1,n3-0"][1]


def test_a_flush_that_is_killed_loses_and_doubles_nothing(member: Member) -> None:
    work = prepare(member.home / "work", member)
    tools = member.home / "tools"
    tools.mkdir()
    (tools / "sbatch").write_text('#!/bin/sh\nsbatch=/usr/bin/sbatch\nkill -9 $PPID\nexec "$sbatch" "$@"\n')
    (tools / "sbatch").chmod(0o755)
    member.own(tools)
    path = f"{member.prefix}/shims:{tools}:{SYSTEM_PATH}"
    for number in range(3):
        script = ["-w", "n3", "--open-mode=append", "-o", f"log{number}", "--wrap", f"echo {number}"]
        member.queue(*script, cwd=work, PATH=path)
    assert member.flush(PATH=path).status == -signal.SIGKILL
    again = member.flush()
    assert again.status == 0, again.err.decode()
    assert b"cut short" in again.err
    member.settle()
    assert [(work / f"log{number}").read_bytes() for number in range(3)] == [b"0\n", b"1\n", b"2\n"]
