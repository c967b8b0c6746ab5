"""
Two clusters that share a home, and one whose ids begin again: what is another's is never taken for ours.

Both give the same ids. The user's slurm.conf is one path, as on two login nodes with a home in common, and says in turn
which cluster is meant.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults import Cluster, free_port, wait_for
from support.person import SYSTEM_PATH, Person, Result

from sbatch_shim.spool import Session
from sbatch_shim.state.journal import flush_folders

pytestmark = pytest.mark.slurm

FIRST = 500001  # FirstJobId of tests/slurm/start
TICKET = "TICKET"  # stands for one in the words of a test
FORM = "%i|%j|%T"


@pytest.fixture(scope="module")
def clusters(scratch: Path) -> Iterator[tuple[Cluster, Cluster]]:
    here = Cluster(scratch / "one", free_port())
    there = Cluster(scratch / "two", free_port(here.port))
    yield here, there
    here.stop()
    there.stop()


class Home:
    """
    A user with two clusters.

    Attributes:
        one, two: The clusters; both have yet to give their first id.
    """

    def __init__(self, person: Person, one: Cluster, two: Cluster) -> None:
        self.person = person
        self.one, self.two = one, two
        self.conf = person.home / "slurm.conf"
        person.conf = str(self.conf)
        self.at(one)

    def at(self, cluster: Cluster) -> None:
        """Be at the login node of a cluster."""
        new = self.person.home / "slurm.conf.new"
        shutil.copy(cluster.conf, new)
        new.chmod(0o644)
        new.replace(self.conf)

    def directly(self, *words: str) -> Result:
        """A command of Slurm without the shims."""
        return self.person.run(*words, env=self.person.environment(PATH=SYSTEM_PATH))

    def run(self, *words: str) -> Result:
        return self.person.run(*words)

    def sarray(self, *words: str) -> Result:
        return self.person.run(str(self.person.prefix / "bin" / "sarray"), *words)

    def stranger(self, name: str = "stranger", *words: str) -> str:
        """Submit a job that waits, directly, at this cluster; its id."""
        done = self.directly("sbatch", "--parsable", "--hold", "-J", name, *words, "--wrap", "sleep 60")
        assert done.status == 0, done.err
        return done.out.decode().strip()

    def queue(self, name: str = "mine", *words: str) -> str:
        """Queue a call that will wait in Slurm; its ticket."""
        done = self.person.queue("--parsable", "--hold", "-J", name, *words, "--wrap", "sleep 60")
        assert done.status == 0, done.err
        return done.out.decode().strip()

    def real_id(self) -> int:
        """Queue a call that is told the id of its job, here."""
        done = self.person.queue("--parsable", "-J", "mine", "--wrap", "echo $SLURM_JOB_ID")
        assert (done.status, done.err) == (0, b""), done.err
        return int(done.out)

    def submitted_at_one(self) -> str:
        """A ticket whose job, at the first cluster, has the first id; the second one has another job with that id."""
        self.at(self.one)
        ticket = self.queue()
        done = self.person.flush("--parsable")
        assert (done.status, done.out) == (0, b"%d\n" % FIRST), done.err
        self.at(self.two)
        assert self.stranger() == str(FIRST)
        return ticket

    def listed(self, cluster: Cluster) -> list[str]:
        """Id, name and state of what a cluster lists, by the real squeue."""
        self.at(cluster)
        done = self.directly("squeue", "-h", "-t", "all", "-o", FORM)
        assert done.status == 0, done.err
        return sorted(done.out.decode().splitlines())

    @property
    def mark(self) -> Path:
        return self.person.home / "state" / "live" / "test"

    def housekeeping_is_due(self) -> None:
        for path in (self.mark, self.person.home / "state" / "collected"):
            if path.exists():
                os.utime(path, (1, 1))
        (self.person.home / "state" / "states").unlink(missing_ok=True)

    def rewrite_journal(self, before: str, after: str) -> None:
        path = Path(os.fsdecode(self.folders()[-1])) / "journal"
        path.write_text(re.sub(before, after, path.read_text()))

    def lose_the_outcome(self) -> None:
        """As if the flush had been killed before it could note what sbatch answered."""
        folder = Path(os.fsdecode(self.folders()[-1]))
        lines = (folder / "journal").read_text().splitlines(keepends=True)
        assert [json.loads(line)["event"] for line in lines] == ["submitting", "submitted"]
        (folder / "journal").write_text(lines[0])
        (folder / "done").unlink()

    def without_clusters(self) -> None:
        """As an older version would have written it."""
        self.rewrite_journal(r',"(cluster|controller|conf)":"[^"]*"', "")

    def folders(self) -> list[bytes]:
        return flush_folders(Session(os.fsencode(self.person.home / "state"), b"test"))


@pytest.fixture
def home(clusters: tuple[Cluster, Cluster], person: Person) -> Iterator[Home]:
    one, two = clusters
    for cluster in clusters:
        cluster.forget()
    found = Home(person, one, two)
    yield found
    for cluster in clusters:
        found.at(cluster)
        person.cancel_all()


STRANGER = f"{FIRST}|stranger|PENDING"


@pytest.fixture(params=["another cluster", "the ids began again"])
def foreign(request: pytest.FixtureRequest, home: Home) -> tuple[Home, str]:
    """A user who is where a ticket's job is not, but a job of somebody else has its id; and the ticket."""
    if request.param == "another cluster":
        return home, home.submitted_at_one()
    ticket = home.queue()
    assert home.person.flush("--parsable").out == b"%d\n" % FIRST
    home.person.cancel_all()
    home.one.forget()
    assert home.stranger() == str(FIRST)
    return home, ticket


def test_squeue_shows_a_job_that_is_not_ours_as_it_is(foreign: tuple[Home, str]) -> None:
    home, _ = foreign
    for words in ((), ("-r",), ("--me",), ("-j", str(FIRST))):
        done = home.run("squeue", "-h", "-o", FORM, *words)
        assert (done.status, done.out.decode()) == (0, STRANGER + "\n"), words


def test_squeue_does_not_show_a_job_that_is_not_ours_for_a_ticket(foreign: tuple[Home, str]) -> None:
    home, ticket = foreign
    assert home.run("squeue", "-h", "-j", ticket).out == b""
    assert home.run("squeue", "-h", "-j", f"{ticket},{FIRST}", "-o", FORM).out.decode() == STRANGER + "\n"
    document = json.loads(home.run("squeue", "--json").out)
    assert [job["name"] for job in document["jobs"]] == ["stranger"]
    assert [job["job_id"] for job in document["jobs"]] == [FIRST]


def test_scontrol_shows_a_job_that_is_not_ours_as_it_is(foreign: tuple[Home, str]) -> None:
    home, ticket = foreign
    for words in ([], [str(FIRST)]):
        done = home.run("scontrol", "show", "job", *words)
        assert done.out == home.directly("scontrol", "show", "job", *words).out
    done = home.run("scontrol", "show", "job", ticket)
    assert done.status == 1
    assert (done.out, done.err) == (b"", b"slurm_load_jobs error: Invalid job id specified\n")


# Commands that must do nothing, so one after the other finds the job as it was.
WITHOUT_EFFECT = (
    ("scancel", TICKET),
    ("scancel", "-n", "mine"),
    ("scancel", "-t", "PENDING", TICKET),
    ("scancel", "-s", "KILL", TICKET),
    ("scontrol", "update", f"JobId={TICKET}", "JobName=taken"),
    ("scontrol", "update", "JobName=mine", "NewName=taken"),
    ("scontrol", "release", TICKET),
    ("scontrol", "release", "jobname=mine"),
    ("scontrol", "suspend", TICKET),
    ("scontrol", "requeue", TICKET),
)
VERBS_WITHOUT_EFFECT = (("cancel", "--yes", TICKET), ("throttle", TICKET, "1"), ("cancel", "--all", "--yes"))


def test_nothing_is_done_to_a_job_that_is_not_ours(foreign: tuple[Home, str]) -> None:
    home, ticket = foreign
    before = home.directly("scontrol", "show", "job", str(FIRST)).out
    for words in WITHOUT_EFFECT:
        home.run(*(word.replace(TICKET, ticket) for word in words))
        assert home.directly("scontrol", "show", "job", str(FIRST)).out == before, words


def test_scancel_of_a_ticket_whose_job_is_not_here_says_what_it_says_of_an_unknown_id(
    foreign: tuple[Home, str],
) -> None:
    home, ticket = foreign
    assert home.run("scancel", ticket) == home.directly("scancel", ticket)


def test_the_verbs_touch_no_job_that_is_not_ours(foreign: tuple[Home, str]) -> None:
    home, ticket = foreign
    before = home.directly("scontrol", "show", "job", str(FIRST)).out
    for words in VERBS_WITHOUT_EFFECT:
        home.sarray(*(word.replace(TICKET, ticket) for word in words))
        assert home.directly("scontrol", "show", "job", str(FIRST)).out == before, words


def test_status_does_not_take_the_state_of_a_job_that_is_not_ours(foreign: tuple[Home, str]) -> None:
    home, ticket = foreign
    done = home.sarray("status", ticket)
    assert b"PENDING" not in done.out


def test_status_tells_the_cluster_of_a_ticket(home: Home) -> None:
    ticket = home.submitted_at_one()
    name = f"sbatchshim{home.one.port}"
    done = home.sarray("status", ticket)
    assert f"is on the cluster {name}" in done.err.decode()
    assert json.loads(home.sarray("status", "--json", ticket).out)["calls"][0]["states"] == {"ELSEWHERE": 1}
    home.at(home.one)
    assert json.loads(home.sarray("status", "--json", ticket).out)["calls"][0]["states"] == {"PENDING": 1}
    home.at(home.two)  # what was asked a moment ago was of the other one
    assert json.loads(home.sarray("status", "--json", ticket).out)["calls"][0]["states"] == {"ELSEWHERE": 1}


def test_each_cluster_has_the_tickets_of_its_own_jobs(home: Home) -> None:
    """Also where two jobs of one session have one id."""
    first = home.queue("first")
    assert home.person.flush("--parsable").out == b"%d\n" % FIRST
    home.at(home.two)
    second = home.queue("second")
    assert home.person.flush("--parsable").out == b"%d\n" % FIRST
    for cluster, ticket, name in ((home.one, first, "first"), (home.two, second, "second")):
        home.at(cluster)
        assert home.run("squeue", "-h", "-o", FORM).out.decode() == f"{ticket}|{name}|PENDING\n"
        assert f"JobId={ticket} JobName={name}\n".encode() in home.run("scontrol", "show", "job").out
    home.at(home.one)
    done = home.run("scancel", first)
    assert (done.status, done.err) == (0, b"")
    assert [line for line in home.listed(home.one) if "CANCELLED" in line] == [f"{FIRST}|first|CANCELLED"]
    assert home.listed(home.two) == [f"{FIRST}|second|PENDING"]


def test_a_submission_in_doubt_is_settled_by_its_own_cluster_only(home: Home) -> None:
    ticket = home.queue()
    assert home.person.flush("--parsable").out == b"%d\n" % FIRST
    home.lose_the_outcome()
    home.at(home.two)
    done = home.person.flush("--retry", "0")
    assert done.status == 1
    assert f"the cluster sbatchshim{home.one.port}" in done.err.decode()
    assert home.listed(home.two) == []
    assert home.listed(home.one) == [f"{FIRST}|mine|PENDING"]
    done = home.person.flush("--parsable")
    assert (done.status, done.out) == (0, b"%d\n" % FIRST), done.err
    assert home.listed(home.one) == [f"{FIRST}|mine|PENDING"]
    assert home.run("squeue", "-h", "-o", FORM).out.decode() == f"{ticket}|mine|PENDING\n"


def test_two_clusters_of_one_name_are_told_apart_where_a_submission_is_in_doubt(home: Home) -> None:
    """As of two that were set up after the same example."""
    home.queue()
    assert home.person.flush("--parsable").out == b"%d\n" % FIRST
    home.lose_the_outcome()
    home.rewrite_journal(f"sbatchshim{home.one.port}", f"sbatchshim{home.two.port}")
    home.at(home.two)
    done = home.person.flush("--retry", "0")
    assert done.status == 1, done.err
    assert home.listed(home.two) == []


def test_a_submission_in_doubt_of_an_older_version_is_taken_as_this_clusters(home: Home) -> None:
    home.queue()
    assert home.person.flush("--parsable").out == b"%d\n" % FIRST
    home.lose_the_outcome()
    home.without_clusters()
    done = home.person.flush("--parsable")
    assert (done.status, done.out) == (0, b"%d\n" % FIRST), done.err


def test_the_live_mark_stays_while_jobs_may_be_listed_elsewhere(home: Home) -> None:
    ticket = home.submitted_at_one()
    home.housekeeping_is_due()
    home.run("squeue")
    assert home.mark.exists()
    home.at(home.one)
    home.housekeeping_is_due()
    assert home.run("squeue", "-h", "-o", FORM).out.decode() == f"{ticket}|mine|PENDING\n"
    assert home.mark.exists()


@pytest.mark.parametrize("is_known", [True, False])
def test_a_pool_of_another_cluster_is_touched_there_only(home: Home, *, is_known: bool) -> None:
    """Nor is it forgotten: who is there again finds it, also one whose making was cut short."""
    real = [home.real_id() for _ in range(3)]
    assert real == [FIRST, FIRST + 2, FIRST + 3]
    held = home.listed(home.one)
    assert len(held) > len(real)
    folders = sorted((home.person.home / "state/sessions/test/pools").glob("[0-9]*"))
    if not is_known:
        for folder in folders:
            (folder / "ids").unlink()
    home.at(home.two)
    for number in range(4):
        assert home.stranger() == str(FIRST + number)
    strangers = home.listed(home.two)
    home.at(home.two)
    home.sarray("cancel", "--all", "--yes")
    assert b"flush it there" in home.person.flush().err
    home.housekeeping_is_due()
    home.run("squeue")
    home.sarray("gc", "--days", "0")
    assert home.mark.exists()
    assert home.listed(home.one) == held
    assert home.listed(home.two) == strangers
    assert all(folder.exists() and not (folder / "done").exists() for folder in folders)
    home.at(home.one)
    home.housekeeping_is_due()
    home.run("squeue")
    assert {line.rpartition("|")[2] for line in home.listed(home.one)} <= {"CANCELLED"}
    home.at(home.one)
    assert home.person.flush().status == 0  # finishes the one that could do nothing elsewhere
    home.housekeeping_is_due()
    home.run("squeue")
    assert not home.mark.exists()
    assert home.listed(home.two) == strangers


def test_the_live_mark_of_jobs_that_ids_began_again_for_goes(home: Home) -> None:
    """A job of somebody else with the id keeps no session alive."""
    home.queue()
    assert home.person.flush("--parsable").out == b"%d\n" % FIRST
    home.one.forget()
    assert home.stranger() == str(FIRST)
    home.housekeeping_is_due()
    home.run("squeue")
    assert not home.mark.exists()


def test_old_flushes_are_kept_while_jobs_may_need_their_links(home: Home) -> None:
    home.submitted_at_one()
    (folder,) = home.folders()
    for path in (folder, folder + b"/done"):
        os.utime(path, (1, 1))
    home.housekeeping_is_due()
    home.run("squeue")
    assert home.folders() == [folder]
    home.sarray("gc", "--yes", "--days", "0")
    assert home.folders() == [folder]
    home.at(home.one)
    home.sarray("gc", "--days", "0")
    assert home.folders() == [folder]
    home.person.cancel_all()
    home.one.forget()
    home.sarray("gc", "--days", "0")
    assert home.folders() == []


def test_a_call_is_submitted_where_it_was_made(home: Home) -> None:
    ticket = home.queue()
    home.at(home.two)
    done = home.person.flush()
    assert done.status == 1
    assert f"made for the cluster sbatchshim{home.one.port}" in done.err.decode()
    assert home.listed(home.two) == []
    home.at(home.one)
    assert home.person.flush("--parsable").out == b"%d\n" % FIRST
    assert home.run("squeue", "-h", "-o", FORM).out.decode() == f"{ticket}|mine|PENDING\n"


def test_a_call_is_submitted_elsewhere_where_the_user_says_so(home: Home) -> None:
    home.queue()
    home.at(home.two)
    assert home.person.flush("--any-cluster", "--parsable").out == b"%d\n" % FIRST
    assert home.listed(home.two) == [f"{FIRST}|mine|PENDING"]
    assert home.listed(home.one) == []


def test_a_call_that_waits_for_a_job_of_another_cluster_is_kept(home: Home) -> None:
    ticket = home.submitted_at_one()
    home.queue("follower", "-d", f"afterok:{ticket}")
    done = home.person.flush()
    assert done.status == 1
    assert f"{ticket} is on the cluster sbatchshim{home.one.port}" in done.err.decode()
    assert home.listed(home.two) == [STRANGER]


@pytest.mark.parametrize("command", ["sbatch", "srun", "salloc"])
def test_a_call_that_is_handed_over_and_waits_for_a_job_of_another_cluster_is_refused(home: Home, command: str) -> None:
    ticket = home.submitted_at_one()
    words = {"sbatch": ("--hold", "--wrap", "true"), "srun": ("true",), "salloc": ("true",)}[command]
    done = home.person.run(command, "-d", f"afterok:{ticket}", *words, timeout=60)
    assert done.status == 1
    assert f"{ticket} is on the cluster sbatchshim{home.one.port}" in done.err.decode()
    assert home.listed(home.two) == [STRANGER]


@pytest.mark.accounting
def test_sacct_shows_a_record_that_is_not_ours_as_it_is(person: Person) -> None:
    """One of a job that has an id which the journal names for another one: as after ids began again."""
    direct = person.environment(PATH=SYSTEM_PATH)
    # A submit line may hold line ends.
    words = ("--parsable", "-J", "stranger", "-o", "/dev/null", "--wrap", "true\ntrue")
    stranger = person.run("sbatch", *words, env=direct).out.decode().strip()
    ticket = person.queue("--parsable", "-J", "mine", "-o", "/dev/null", "--wrap", "true").out.decode().strip()
    number = person.flush("--parsable").out.decode().strip()
    person.settle()
    form = ("-n", "-P", "-X", "-o", "JobID,JobName,State")

    def known(job: str, name: str) -> bool:
        return f"|{name}|COMPLETED" in person.run("sacct", *form, "-j", job, env=direct).out.decode()

    wait_for(lambda: known(stranger, "stranger") and known(number, "mine"))
    assert person.run("sacct", *form, "-j", ticket).out.decode() == f"{ticket}|mine|COMPLETED\n"
    journal = next((person.home / "state").glob("sessions/test/flushes/*/journal"))
    journal.write_text(journal.read_text().replace(f'"job":{number}', f'"job":{stranger}'))
    assert person.run("sacct", *form, "-j", ticket).out == b""
    assert person.run("sacct", *form, "-j", stranger).out.decode() == f"{stranger}|stranger|COMPLETED\n"
    assert json.loads(person.run(str(person.prefix / "bin/sarray"), "status", "--json", ticket).out)["calls"][0][
        "states"
    ] == {"FORGOTTEN": 1}
