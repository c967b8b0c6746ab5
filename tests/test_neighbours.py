"""No task of a merged array has the array's own id, by which Slurm would reach all of its neighbours."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from support.faults import spawn, wait_for
from support.person import SYSTEM_PATH, Person
from test_faults import Breaker, queued

pytestmark = pytest.mark.slurm

HELD = ("sbatch", "--hold", "-o", "/dev/null", "--wrap=true")


def slurm(person: Person, *words: str) -> list[str]:
    """The lines of a command of Slurm's own."""
    done = person.run(*words, env=person.environment(PATH=SYSTEM_PATH))
    assert done.status == 0, done.err
    return os.fsdecode(done.out).splitlines()


def records(person: Person, session: str = "test") -> list[tuple[str, str, str]]:
    """Element, id and state of each job of a session; elements of an array that are together are one."""
    words = ["squeue", "-h", "-t", "all", "-u", person.environment()["USER"], "-o", "%i %A %t %o"]
    mine = f" {person.home}/state/sessions/{session}/"
    found = (line.split()[:3] for line in slurm(person, *words) if mine in line)
    return sorted((element, job, state) for element, job, state in found)


def queue_held(person: Person, count: int, session: str = "test") -> None:
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=session)
    for _ in range(count):
        assert person.run(*HELD, env=env).status == 0


def assert_each_is_a_job_of_its_own(person: Person, count: int, session: str = "test") -> None:
    """The array's own id is that of an element which was cancelled before it started."""
    found = records(person, session)
    ((spare, array, _),) = [one for one in found if one[2] == "CA"]
    assert spare in (f"{array}_{count}", array)  # 26.05 forgets which one it was
    found = [one for one in found if one[2] != "CA"]
    assert [element for element, _, _ in found] == [f"{array}_{index}" for index in range(count)]
    assert [state for _, _, state in found] == ["PD"] * count
    assert array not in [job for _, job, _ in found]


def test_the_element_with_the_id_of_the_array_is_cancelled(person: Person) -> None:
    queue_held(person, 3)
    done = person.flush()
    assert done.status == 0, done.err
    assert_each_is_a_job_of_its_own(person, 3)


def ours(person: Person, array: str, *words: str) -> list[str]:
    """The lines of a companion that tell of a ticket, or of an array."""
    done = person.run(*words, env=person.environment())
    assert done.status == 0, done.err
    return sorted(line for line in os.fsdecode(done.out).splitlines() if re.match(rf"\d{{10}}\b|{array}(_|\b)", line))


def test_nobody_hears_of_it(person: Person) -> None:
    """The companions show the calls and nothing else, whatever they are asked for."""
    queue_held(person, 3)
    assert person.flush().status == 0
    (array,) = {element.partition("_")[0] for element, _, _ in records(person)}
    tickets = ours(person, array, "squeue", "-h", "-o", "%i")
    assert len(tickets) == 3 and array not in tickets
    assert ours(person, array, "squeue", "-h", "-t", "all", "-o", "%i") == tickets
    assert ours(person, array, "squeue", "-h", "-r", "-t", "CA", "-o", "%i") == []
    shown = person.run("scontrol", "show", "job", tickets[0], env=person.environment()).out
    assert shown.count(b"JobId=") == 1
    document = person.run("squeue", "--json", env=person.environment()).out.decode(errors="replace")
    told = json.loads(document)["jobs"]
    assert {str(job["job_id"]) for job in told} & {array, *tickets} == set(tickets)
    assert person.run("scancel", tickets[1], env=person.environment()).status == 0
    assert ours(person, array, "squeue", "-h", "-t", "PD", "-o", "%i") == [tickets[0], tickets[2]]


@pytest.mark.accounting
def test_the_accounting_shows_the_calls_only(person: Person) -> None:
    queue_held(person, 3)
    assert person.flush().status == 0
    (array,) = {element.partition("_")[0] for element, _, _ in records(person)}
    wait_for(
        lambda: any("CANCELLED" in line for line in slurm(person, "sacct", "-X", "-n", "-j", array, "-o", "State"))
    )
    tickets = ours(person, array, "squeue", "-h", "-o", "%i")
    words = ["sacct", "-X", "-n", "-P", "-o", "JobID,State"]
    assert ours(person, array, *words, "-j", ",".join(tickets)) == [f"{ticket}|PENDING" for ticket in tickets]
    assert ours(person, array, *words, "-s", "CA", "-S", "2020-01-01", "-E", "now") == []


def test_a_flush_killed_at_every_step_leaves_no_element_with_the_id_of_the_array(person: Person) -> None:
    """The next flush splits and cancels what is left to; each call is one held job then."""
    breaker = Breaker("signal=KILL", ("wait4", "?clone,?clone3,?vfork", "fdatasync"))
    for name, trace in breaker:
        queue_held(person, 3, name)
        command = [str(person.prefix / "bin/sarray-flush"), "--session", name]
        breaker.survived = person.run(*trace, *command, env=person.environment()).status == 0
        done = person.flush("--session", name)
        assert done.status == 0, done.err
        assert queued(person, name) == []
        assert_each_is_a_job_of_its_own(person, 3, name)
        assert spared(person)[records(person, name)[0][0].partition("_")[0]] == name
    assert breaker.steps > 8


def spared(person: Person) -> dict[str, str]:
    """The sessions of arrays that have a spare, by their ids."""
    return {link.name: os.readlink(link) for link in (person.home / "state/spares").iterdir()}


@pytest.fixture
def tools(person: Person) -> Path:
    """Commands in front of Slurm's own, which a test may replace."""
    folder = person.home / "bin"
    folder.mkdir()
    return folder


def test_where_updates_are_refused_the_tasks_stay_together(person: Person, tools: Path) -> None:
    """The flush says what that means, the array holds the calls' tasks only, and no later flush tries again."""
    refuses = '[ "$1" != update ] || { echo "slurm_update error: Access/permission denied" >&2; exit 1; }'
    (tools / "scontrol").write_text(f'#!/bin/sh\n{refuses}\nexec /usr/bin/scontrol "$@"\n')
    (tools / "sbatch").write_text('#!/bin/sh\nexec /usr/bin/sbatch "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    path = f"{person.prefix}/shims:{tools}:{SYSTEM_PATH}"
    for _ in range(3):
        assert person.queue(*HELD[1:], PATH=path).status == 0
    done = person.flush(PATH=path)
    assert done.status == 0 and done.err.count(b"Access/permission denied") == 1, done.err
    (together,) = [element for element, _, state in records(person) if state == "PD"]
    assert together.endswith("_[0-2]")
    done = person.flush(PATH=path)
    assert (done.status, done.out, b"denied" in done.err) == (0, b"", False), done.err


def test_wide_lanes_leaves_the_array_whole(person: Person) -> None:
    queue_held(person, 3)
    assert person.flush("--wide-lanes").status == 0
    (together,) = records(person)
    assert together[0] == f"{together[1]}_[0-2]"


def test_a_limit_that_leaves_room_for_the_calls_only_takes_them_in_one_array(person: Person, tools: Path) -> None:
    refuses = "! expr \"$*\" : '.*array=0-3' >/dev/null"
    text = "sbatch: error: AssocMaxSubmitJobLimit"
    (tools / "sbatch").write_text(
        f'#!/bin/sh\n{refuses} || {{ echo "{text}" >&2; exit 1; }}\nexec /usr/bin/sbatch "$@"\n'
    )
    (tools / "sbatch").chmod(0o755)
    path = f"{person.prefix}/shims:{tools}:{SYSTEM_PATH}"
    for _ in range(3):
        assert person.queue(*HELD[1:], PATH=path).status == 0
    done = person.flush("--retry", "0", PATH=path)
    assert done.status == 0, done.err
    (together,) = records(person)
    assert together[0] == f"{together[1]}_[0-2]"


def test_a_summary_waits_for_calls_of_arrays_of_earlier_flushes(person: Person) -> None:
    """afterok on all calls of an array, whose id no longer stands for them."""
    told = [person.queue("--parsable", "-o", "/dev/null", "--wrap=sleep 1").out.decode().strip() for _ in range(3)]
    assert person.flush().status == 0
    for kind in ("afterok", "afterany", "after"):
        words = ["-o", "/dev/null", "-d", f"{kind}:{':'.join(told)}", f"--wrap=touch {kind}"]
        assert person.queue(*words).status == 0
    assert person.flush().status == 0
    person.settle()
    assert {path.name for path in person.home.glob("after*")} == {"afterok", "afterany", "after"}


def chained(person: Person, *bodies: str) -> str:
    """The id of an array, as sarray-flush prints it, of calls that wait for `go`."""
    for body in bodies:
        wrap = f"--wrap=until [ -e go ]; do sleep 0.2; done; {body}"
        assert person.queue("-o", "/dev/null", wrap).status == 0
    done = person.flush("--parsable")
    assert done.status == 0, done.err
    return done.out.decode().strip()


@pytest.mark.parametrize("way", ["pass", "queue", "real", "in the script", "srun", "salloc"])
def test_the_printed_id_of_an_array_stands_for_its_calls(person: Person, way: str) -> None:
    """Without its spare, which was cancelled: afterok on it would never be met."""
    array = chained(person, "touch ran.1", "sleep 1; touch ran.2")
    spec = f"--dependency=afterok:{array}"
    more = {}
    words = ["sbatch", "-o", "seen", spec, "--wrap=echo ran.*"]
    if way in ("srun", "salloc"):
        words = [way, "-Q", "-n1", "-d", f"AfterOK:{array}", "sh", "-c", "echo ran.* >seen"]
    elif way != "pass":
        more = {"SARRAY_MODE": "queue", "SARRAY_IDS": "real" if way == "real" else "ticket"}
    if way == "in the script":
        (person.home / "job.sh").write_text(f"#!/bin/sh\n#SBATCH -o seen\n#SBATCH {spec}\necho ran.*\n")
        words = ["sbatch", "job.sh"]
    waiting = spawn(person, *words, **more)
    if words[0] == "sbatch":
        waiting.communicate()
        assert waiting.returncode == 0
        assert person.flush().status == 0
    (person.home / "go").touch()
    waiting.communicate()
    wait_for((person.home / "seen").exists)
    person.settle()
    assert (person.home / "seen").read_text() == "ran.1 ran.2\n"


def test_the_printed_id_of_an_array_fails_if_a_call_does(person: Person) -> None:
    """Of an array Slurm tells a failure by its elements, of which one is enough."""
    array = chained(person, "true", "true")
    env = person.environment()
    good = person.run("sbatch", "--parsable", "-o", "/dev/null", "-d", f"afternotok:{array}", "--wrap=true", env=env)
    assert good.status == 0, good.err
    (person.home / "go").touch()
    reason = ["squeue", "-h", "-j", good.out.decode().strip(), "-o", "%r"]
    wait_for(lambda: person.run(*reason, env=env).out == b"DependencyNeverSatisfied\n")
    (person.home / "go").unlink()
    array = chained(person, "true", "false")
    done = person.run("sbatch", "-o", "/dev/null", "-d", f"afternotok:{array}", "--wrap=touch alert", env=env)
    assert done.status == 0, done.err
    done = person.run("sbatch", "-d", f"afternotok:{array},afterany:{array}", "--wrap=true", env=env)
    assert (done.status, done.out) == (1, b"")
    said = f"sbatch: error: not submitted: afternotok on the array {array}: Slurm cannot be told".encode()
    assert done.err.startswith(said), done.err
    (person.home / "go").touch()
    wait_for((person.home / "alert").exists)
    person.cancel_all()


def test_what_is_known_of_an_array_goes_with_its_flush(person: Person, tools: Path) -> None:
    queue_held(person, 2)
    assert person.flush().status == 0
    (array,) = spared(person)
    (tools / "squeue").write_text("#!/bin/sh\n")  # no job is listed
    (tools / "squeue").chmod(0o755)
    env = person.environment(PATH=f"{person.prefix}/shims:{tools}:{SYSTEM_PATH}")
    assert person.run("sarray", "gc", "--days=0", env=env).status == 0
    assert spared(person) == {}
    person.run("scancel", array, env=person.environment(PATH=SYSTEM_PATH))
