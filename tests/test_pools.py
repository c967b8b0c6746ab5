"""Calls that have the ids of their jobs: what was told runs once, under that id, whatever is killed."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.person import SYSTEM_PATH, Person, Result
from test_faults import Breaker, queued

from sbatch_shim.spool import FIRST_TICKET

pytestmark = pytest.mark.slurm

# What changes something on disk that others read, or starts a process and hears of its end.
STEPS = ("rename", "mkdir", "symlink", "fdatasync", "wait4", "?clone,?clone3,?vfork")


def reserve(person: Person, session: str, *words: str, **more: str) -> Result:
    """One sbatch call that wants the id of its job."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=session, **{"SARRAY_IDS": "real", **more})
    return person.run("sbatch", "--parsable", *words, env=env)


def waiting(person: Person) -> list[str]:
    """Ids and reasons of what waits in Slurm, for anybody without our commands."""
    words = ["squeue", "-h", "-r", "-t", "PD", "-u", person.environment()["USER"], "-o", "%A %r"]
    return person.run(*words, env=person.environment(PATH=SYSTEM_PATH)).out.decode().splitlines()


def ran(person: Person, name: str) -> dict[str, str]:
    """What the calls of a name have written, by file."""
    return {path.name: path.read_text() for path in person.home.glob(f"ran.{name}.*")}


def test_a_reserving_sbatch_killed_at_every_step(person: Person) -> None:
    """Whoever was told an id has a call under it; a killed one leaves none, or a whole one, and nothing held."""
    breaker = Breaker("signal=KILL", STEPS)
    told = {}
    for name, trace in breaker:
        body = f"--wrap=echo $SLURM_JOB_ID >>ran.{name}.$1"
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=name, SARRAY_IDS="real")
        done = person.run(*trace, "sbatch", "--parsable", "-o", "/dev/null", body.replace("$1", "a"), env=env)
        breaker.survived = done.status == 0
        found = queued(person, name)
        assert len(found) <= 1
        again = reserve(person, name, "-o", "/dev/null", body.replace("$1", "b"))
        assert (again.status, again.err) == (0, b""), again.err
        told[name] = int(done.out or 0), int(again.out), found
        assert not done.out or found == [int(done.out)]
        assert queued(person, name) == sorted({*found, int(again.out)})
        flushed = person.flush("--session", name)
        assert flushed.status == 0, flushed.err
    person.settle()
    assert breaker.steps > 20
    for name, (first, second, found) in told.items():
        wanted = {f"ran.{name}.b": f"{second}\n"}
        if found:
            wanted[f"ran.{name}.a"] = f"{first or found[0]}\n"
        assert ran(person, name) == wanted
    assert waiting(person) == []


def test_a_releasing_flush_killed_at_every_step(person: Person) -> None:
    breaker = Breaker("signal=KILL", STEPS)
    told: dict[str, list[str]] = {}
    for name, trace in breaker:
        told[name] = []
        for number in range(2):
            done = reserve(person, name, "-o", "/dev/null", f"--wrap=echo $SLURM_JOB_ID >>ran.{name}.{number}")
            assert done.status == 0, done.err
            told[name].append(done.out.decode())
        command = [str(person.prefix / "bin/sarray-flush"), "--session", name]
        env = person.environment()
        breaker.survived = person.run(*trace, *command, env=env).status == 0
        done = person.flush("--session", name)
        assert done.status == 0, done.err
        assert queued(person, name) == []
    person.settle()
    assert breaker.steps > 10
    for name, ids in told.items():
        assert ran(person, name) == {f"ran.{name}.{number}": one for number, one in enumerate(ids)}
    assert waiting(person) == []


def test_calls_behind_tickets_and_a_flush_killed_at_every_step(person: Person) -> None:
    """A call that has a pool of its own, and waits for a ticket, runs once, after it, whatever was killed."""
    breaker = Breaker("signal=KILL", STEPS)
    told = {}
    for name, trace in breaker:
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=name)
        first = person.run("sbatch", "-o", "/dev/null", f"--wrap=echo first >>ran.{name}.1", env=env)
        ticket = first.out.split()[-1].decode()
        body = f"--wrap=cat ran.{name}.1 >>ran.{name}.2; echo $SLURM_JOB_ID >>ran.{name}.2"
        done = reserve(person, name, "-o", "/dev/null", "-d", f"afterok:{ticket}", body)
        assert (done.status, done.err) == (0, b""), done.err
        told[name] = done.out.decode()
        command = [str(person.prefix / "bin/sarray-flush"), "--session", name]
        breaker.survived = person.run(*trace, *command, env=person.environment()).status == 0
        done = person.flush("--session", name)
        assert done.status == 0, done.err
        assert queued(person, name) == []
    person.settle()
    assert breaker.steps > 20
    for name, number in told.items():
        assert ran(person, name) == {f"ran.{name}.1": "first\n", f"ran.{name}.2": f"first\n{number}"}
    assert waiting(person) == []


def test_a_reserving_sbatch_of_a_call_alone_killed_at_every_step(person: Person) -> None:
    """The held job of a killed one is nobody's: neither the next call, which waits for another job, nor forgotten."""
    breaker = Breaker("signal=KILL", STEPS)
    told = {}
    first = reserve(person, "first", "-o", "/dev/null", "--wrap=echo $SLURM_JOB_ID >ran.first").out.decode().strip()
    for name, trace in breaker:
        body = f"--wrap=echo $SLURM_JOB_ID >>ran.{name}.$1"
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=name, SARRAY_IDS="real")
        words = ["sbatch", "--parsable", "-o", "/dev/null", "-d", f"afternotok:{first}", body.replace("$1", "a")]
        done = person.run(*trace, *words, env=env)
        breaker.survived = done.status == 0
        found = queued(person, name)
        again = reserve(person, name, "-o", "/dev/null", "-d", f"afterok:{first}", body.replace("$1", "b"))
        assert (again.status, again.err) == (0, b""), again.err
        told[name] = int(again.out)
        assert queued(person, name) == sorted({*found, int(again.out)})
        flushed = person.flush("--session", name)
        assert flushed.status == 0, flushed.err
    assert person.flush("--session", "first").status == 0
    person.settle()
    assert breaker.steps > 20
    for name, number in told.items():
        assert ran(person, name) == {f"ran.{name}.b": f"{number}\n"}


def told_by(done: Result) -> str:
    """The id that a call was told, which must have gone well."""
    assert (done.status, done.err) == (0, b""), done.err
    return done.out.decode().strip()


def after(person: Person, session: str, name: str, waits: str, *words: str) -> str:
    """Queue a call that writes its id if the one that it waits for, `waits` being its name and id, has run; its id."""
    before, number = waits.split()
    body = f"--wrap=ls ran.{before} && echo $SLURM_JOB_ID >>ran.{name}"
    return told_by(reserve(person, session, "-o", "/dev/null", "-d", f"afterok:{number}", *words, body))


def test_a_sbatch_that_reserves_a_link_of_a_chain_killed_at_every_step(person: Person) -> None:
    """
    One that makes a pool whose elements wait for those of another one, or takes from it.

    Whatever a killed one leaves: the next that waits for the same element has an id that does, and who waits for that
    one too; all that was told runs once, after what it waits for, and nothing else does.
    """
    producers = []
    for number in range(4):
        words = ["-o", "/dev/null", f"--wrap=echo $SLURM_JOB_ID >>ran.a{number}"]
        producers.append(f"a{number} {told_by(reserve(person, 'test', *words))}")
    wanted = {f"ran.{one.split()[0]}": one.split()[1] for one in producers}
    breaker = Breaker("signal=KILL", (*STEPS, "pwrite64"))
    untold = 0
    for minutes, (name, trace) in enumerate(breaker, 1):
        kind = f"--time={minutes}"  # each kill finds no pool of its kind, but the job of the first call
        wanted[f"ran.{name}.first"] = after(person, "test", f"{name}.first", producers[1], kind)
        before = set(queued(person, "test"))
        body = f"--wrap=ls ran.a2 && echo $SLURM_JOB_ID >>ran.{name}.killed"
        words = ["-o", "/dev/null", "-d", f"afterok:{producers[2].split()[1]}", kind, body]
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", SARRAY_IDS="real")
        done = person.run(*trace, "sbatch", "--parsable", *words, env=env)
        breaker.survived = done.status == 0
        left = set(queued(person, "test")) - before
        assert len(left) <= 1
        if done.out:
            assert left == {int(done.out)}
        untold += bool(left and not done.out)
        wanted.update((f"ran.{name}.killed", str(one)) for one in left)
        again = after(person, "test", f"{name}.again", producers[2], kind)
        wanted[f"ran.{name}.again"] = again
        wanted[f"ran.{name}.other"] = after(person, "test", f"{name}.other", producers[3], kind)
        wanted[f"ran.{name}.third"] = after(person, "test", f"{name}.third", f"{name}.again {again}", kind)
    assert breaker.steps > 15
    assert untold <= 2
    flushed = person.flush("--session", "test")
    assert flushed.status == 0, flushed.err
    person.settle()
    assert {path.name: path.read_text() for path in person.home.glob("ran.*")} == {
        name: f"{number}\n" for name, number in wanted.items()
    }
    assert waiting(person) == []


def test_a_flush_that_releases_chains_killed_at_every_step(person: Person) -> None:
    breaker = Breaker("signal=KILL", STEPS, every=3)
    wanted = {}
    for name, trace in breaker:
        for number in range(2):
            words = ["-o", "/dev/null", f"--wrap=echo $SLURM_JOB_ID >>ran.{name}.a{number}"]
            first = told_by(reserve(person, name, *words))
            second = after(person, name, f"{name}.b{number}", f"{name}.a{number} {first}")
            wanted.update({f"ran.{name}.a{number}": first, f"ran.{name}.b{number}": second})
        assert len(list((person.home / f"state/sessions/{name}/pools").glob("[0-9]*"))) == 4
        command = [str(person.prefix / "bin/sarray-flush"), "--session", name]
        breaker.survived = person.run(*trace, *command, env=person.environment()).status == 0
        done = person.flush("--session", name)
        assert done.status == 0 or (breaker.survived and b"nothing is queued" in done.err), done.err
        assert queued(person, name) == []
    person.settle()
    assert breaker.steps > 7
    assert {path.name: path.read_text() for path in person.home.glob("ran.*")} == {
        name: f"{number}\n" for name, number in wanted.items()
    }
    assert waiting(person) == []


# Older calls of its name take a while, so that a singleton which does not wait for one does not see it.
OLDER = "#!/bin/bash\n: $SLURM_JOB_ID\nsleep 1\necho >>ran.$1\n"
SINGLE = ("--dependency=singleton", "--parsable", "-o", "/dev/null")


def queue_namesakes(person: Person, name: str) -> None:
    """Three calls of one name with real ids, two of them of one pool."""
    script = person.home / "older.sh"
    script.write_text(OLDER)
    person.own(script)
    for number in range(3):
        done = reserve(person, name, "-J", name, "-o", "/dev/null", "older.sh", f"{name}.{number}", SARRAY_IDS="auto")
        assert done.status == 0, done.err


def saw_all(person: Person, name: str) -> bool:
    """Whether each singleton of that name that has run began after all older calls."""
    seen = [path.read_text().split() for path in person.home.glob(f"saw.{name}.*")]
    return len(seen) > 0 and all(len(files) == 3 for files in seen)


def test_a_singleton_that_goes_to_sbatch_killed_at_every_step(person: Person) -> None:
    """What a killed one has told Slurm of names is told again by the next one."""
    breaker = Breaker("signal=KILL", STEPS, every=3)
    for name, trace in breaker:
        queue_namesakes(person, name)
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=name, SARRAY_IDS="auto")
        wrap = f"--wrap=: $SLURM_JOB_ID; ls ran.{name}.* >saw.{name}.$$"
        words = ("sbatch", *SINGLE, "-J", name, wrap)
        breaker.survived = person.run(*trace, *words, env=env).status == 0
        done = person.run(*words, env=env)
        assert (done.status, done.err) == (0, b""), done.err
        flushed = person.flush("--session", name)
        assert flushed.status == 0, flushed.err
        person.settle()
        assert saw_all(person, name), name
    assert breaker.steps > 3


def test_a_flush_of_singletons_killed_at_every_step(person: Person) -> None:
    """They wait for older calls with real ids, and not for a younger one, which waits for them."""
    breaker = Breaker("signal=KILL", STEPS, every=5)
    for name, trace in breaker:
        queue_namesakes(person, name)
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=name)
        done = person.run("sbatch", *SINGLE, "-J", name, f"--wrap=ls ran.{name}.* >saw.{name}.t", env=env)
        assert done.status == 0, done.err
        single = done.out.decode().strip()
        more = (
            "-J",
            name,
            "-d",
            f"afterany:{single}",
            "-o",
            "/dev/null",
            f"--wrap=: $SLURM_JOB_ID; touch after.{name}",
        )
        assert reserve(person, name, *more, SARRAY_IDS="auto").status == 0
        command = [str(person.prefix / "bin/sarray-flush"), "--session", name]
        breaker.survived = person.run(*trace, *command, env=person.environment()).status == 0
        done = person.flush("--session", name)
        assert done.status == 0, done.err
        person.settle()
        assert saw_all(person, name) and (person.home / f"after.{name}").exists(), name
    assert breaker.steps > 3


def test_a_name_that_slurm_refuses_is_told(person: Person, scratch: Path) -> None:
    """Then a singleton does not wait for what came before, or waits for what came later."""
    tools = scratch / "no-names"
    tools.mkdir(mode=0o755)
    for command in ("sbatch", "squeue", "sinfo"):
        (tools / command).symlink_to(f"/usr/bin/{command}")
    scontrol = tools / "scontrol"
    scontrol.write_text(
        '#!/bin/sh\n[ "$1 $3" = "update JobName=mine" ] || [ "$1 $3" = "update JobName=mine+0" ] || '
        'exec /usr/bin/scontrol "$@"\necho "not this name" >&2\nexit 1\n'
    )
    scontrol.chmod(0o755)
    path = f"{person.prefix}/shims:{tools}:{SYSTEM_PATH}"
    words = ("-J", "mine", "-H", "-o", "/dev/null", "--wrap=: $SLURM_JOB_ID")
    more = {"PATH": path, "SARRAY_IDS": "auto"}
    told = [reserve(person, "test", *words, f"--time={time}", **more).out.decode().strip() for time in ("1", "2", "2")]
    alone = person.queue("-J", "mine", "-d", "singleton", "--deadline=now+1hour", "-H", "--wrap=true", **more)
    assert (alone.status, alone.err) == (0, b""), alone.err
    elements = [
        reserve(
            person, "test", "-J", "mine", "-o", "/dev/null", f"--wrap=: $SLURM_JOB_ID {number}", **more
        ).out.decode()
        for number in range(3)
    ]
    passed = person.queue("-J", "mine", "-d", "singleton", "--deadline=now+1hour", "-H", "--wrap=true", **more)
    first, last = (int(one) for one in elements[1:])
    assert passed.status == 0
    assert passed.err.decode() == (
        f"sbatch: a singleton does not wait for {first}-{last}, which came before: "
        "Slurm refused them their name: not this name\n"
    )
    single = person.queue("-J", "mine", "-d", "singleton", "-H", "--wrap=true", **more)
    younger = reserve(person, "test", *words, "--time=3", **more).out.decode().strip()
    flushed = person.flush(PATH=path)
    assert single.status == 0 and flushed.status == 0, flushed.err
    said = flushed.err.decode()
    assert f"a singleton does not wait for {first}-{last}, which came before" in said
    assert f"a singleton waits for {younger} too, which came later: Slurm refused it another name" in said
    told_of = [line for line in said.splitlines() if "a singleton" in line]
    assert len(told_of) == 2 and not [number for number in told for line in told_of if number in line], said


def test_what_was_not_released_is_released_by_the_next_flush(person: Person, scratch: Path) -> None:
    """Where a pool has nothing to cancel, too."""
    reserve(person, "test", "-o", "/dev/null", "--wrap=echo x >>ran.a")
    tools = scratch / "refusing"
    tools.mkdir(mode=0o755)
    scontrol = tools / "scontrol"
    scontrol.write_text(
        '#!/bin/sh\n[ "$1" = release ] && { echo "not now" >&2; exit 1; }\nexec /usr/bin/scontrol "$@"\n'
    )
    scontrol.chmod(0o755)
    sbatch = tools / "sbatch"
    sbatch.symlink_to("/usr/bin/sbatch")
    for asked in (person.home / "state/sessions/test").glob("pools/*/asked"):
        asked.write_text(asked.read_text().replace("/usr/bin/sbatch", str(sbatch)))
    done = person.flush("--retry", "0")
    assert done.status == 1, done.err
    assert b"still queued: 1 call" in done.err
    scontrol.unlink()
    done = person.flush()
    assert done.status == 0, done.err
    person.settle()
    assert (person.home / "ran.a").read_text() == "x\n"


def test_where_updates_are_forbidden_the_real_sbatch_takes_the_calls(person: Person, scratch: Path) -> None:
    """All but the first of a kind, which needs none; nothing of the pool that could not be made stays held."""
    tools = scratch / "no-updates"
    tools.mkdir(mode=0o755)
    for command in ("sbatch", "scancel", "squeue", "sinfo"):
        (tools / command).symlink_to(f"/usr/bin/{command}")
    scontrol = tools / "scontrol"
    scontrol.write_text(
        '#!/bin/sh\n[ "$1" = update ] || exec /usr/bin/scontrol "$@"\necho "Access/permission denied" >&2\nexit 1\n'
    )
    scontrol.chmod(0o755)
    path = f"{person.prefix}/shims:{tools}:{SYSTEM_PATH}"
    told = {}
    for number in range(3):
        done = reserve(person, "test", "-o", "/dev/null", f"--wrap=echo $SLURM_JOB_ID >>ran.x.{number}", PATH=path)
        assert (done.status, done.err) == (0, b""), done.err
        told[f"ran.x.{number}"] = done.out.decode()
    assert [line.split()[0] for line in waiting(person) if line.endswith("JobHeldUser")] == [told["ran.x.0"].strip()]
    flushed = person.flush(PATH=path)
    assert flushed.status == 0, flushed.err
    assert b"2 calls went to the real sbatch at once" in flushed.err
    person.settle()
    assert ran(person, "x") == told


def test_what_waits_for_a_cancelled_ticket_is_never_released(person: Person) -> None:
    first = person.queue("-o", "/dev/null", "--wrap=true").out.split()[-1].decode()
    told = reserve(person, "test", "-o", "/dev/null", "-d", f"afterok:{first}", "--wrap=echo x >>ran.a")
    number = told.out.decode().strip()
    other = reserve(person, "test", "-o", "/dev/null", "-d", f"afterany:{first}", "--wrap=echo y >>ran.b")
    assert other.status == 0
    assert person.run("scancel", first).status == 0
    done = person.flush()
    assert done.status == 1
    assert b"can never be submitted" in done.err
    assert f"{number} JobHeldUser" in waiting(person)
    assert person.run(str(person.prefix / "bin/sarray"), "cancel", number).status == 0
    person.settle()
    assert waiting(person) == []
    assert sorted(path.name for path in person.home.glob("ran.*")) == ["ran.b"]


def test_what_waits_for_a_refused_ticket_fails_with_it(person: Person) -> None:
    first = person.queue("-o", "/dev/null", "--licenses=none:9", "--wrap=true").out.split()[-1].decode()
    told = reserve(person, "test", "-o", "/dev/null", "-d", f"afterok:{first}", "--wrap=echo x >>ran.a")
    number = told.out.decode().strip()
    assert person.flush().status == 1
    assert waiting(person) == [f"{number} JobHeldUser"]
    done = person.flush("--final")
    assert done.status == 1
    assert waiting(person) == []
    shown = person.run("scontrol", "show", "job", number).out.decode()
    assert "JobState=FAILED" in shown
    assert person.flush().err.startswith(b"sarray-flush: nothing is queued")


def test_what_asked_to_be_held_stays_held(person: Person) -> None:
    told = (
        reserve(person, "test", "--hold", "-o", "/dev/null", "--wrap=echo $SLURM_JOB_ID >>ran.a").out.decode().strip()
    )
    plan = person.flush("--dry-run")
    assert f"1 call with a real id would stay held: {told}\n".encode() in plan.out
    assert person.flush().status == 0
    assert waiting(person) == [f"{told} JobHeldUser"]
    assert person.run("scontrol", "release", told).status == 0
    person.settle()
    assert (person.home / "ran.a").read_text() == f"{told}\n"


def test_chains_share_pools_whatever_the_umask(person: Person) -> None:
    """What one sbatch leaves, the next one and the flush must be able to open."""
    script = (
        'umask 777; for n in 1 2 3 4; do a=$(sbatch --parsable -o /dev/null --wrap "umask 22; touch a.$n"); '
        'sbatch -Q -d afterok:$a -o /dev/null --wrap "ls a.$n && umask 22 && touch b.$n"; done'
    )
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", SARRAY_IDS="real")
    done = person.run("bash", "-c", script, env=env)
    assert (done.status, done.err) == (0, b"")
    folder = person.home / "state/sessions/test"
    assert not (folder / "passed").exists()
    # For each link a job of its own at first, and then one pool.
    assert len(list(folder.glob("pools/[0-9]*"))) == 4
    assert person.flush().status == 0
    person.settle()
    assert len(list(person.home.glob("b.*"))) == 4


def test_calls_made_at_the_same_time_have_ids_of_their_own(person: Person) -> None:
    def call(number: int) -> str:
        return reserve(person, "test", "-o", "/dev/null", f"--wrap=echo $SLURM_JOB_ID >>ran.{number}").out.decode()

    with ThreadPoolExecutor(4) as at_once:
        told = list(at_once.map(call, range(20)))
    assert len(set(told)) == 20
    # Never more elements than twice what was asked for, plus seven.
    assert len(waiting(person)) <= 2 * 20 + 7
    assert person.flush().status == 0
    person.settle()
    assert [(person.home / f"ran.{number}").read_text() for number in range(20)] == told


def test_what_was_cancelled_before_the_flush_never_runs(person: Person) -> None:
    told = []
    for one in "abc":
        done = reserve(person, "test", "-o", "/dev/null", f"--wrap=echo x >>ran.{one}")
        told.append(done.out.decode().strip())
    assert person.run("scancel", told[1]).status == 0
    assert f"{told[1]} JobHeldUser" not in waiting(person)
    assert f"{told[0]} JobHeldUser" in waiting(person)
    shown = person.run("squeue", "-h", "-o", "%i %r").out.decode()
    assert re.findall(r"^\d+", shown, re.M) == [told[0], told[2]], shown
    assert person.flush().status == 0
    person.settle()
    assert sorted(path.name for path in person.home.glob("ran.*")) == ["ran.a", "ran.c"]


def test_who_cancels_all_leaves_nothing_held(person: Person) -> None:
    reserve(person, "test", "--wrap=true")
    assert waiting(person)
    done = person.run(str(person.prefix / "bin/sarray"), "cancel", "--all", "--yes")
    assert done.status == 0, done.err
    assert waiting(person) == []


def test_what_fits_no_pool_is_submitted_with_its_own_words(person: Person) -> None:
    done = reserve(person, "test", "--hold", "--wrap=true")
    assert waiting(person) == [f"{done.out.decode().strip()} JobHeldUser"]
    assert person.flush().status == 0
    assert len(waiting(person)) == 1
    bad = reserve(person, "test", "-p", "nowhere", "--wrap=true")
    assert (bad.status, bad.out) == (1, b"")
    assert b"invalid partition specified: nowhere" in bad.err


def test_another_way_is_refused(person: Person) -> None:
    done = person.queue("--wrap=true", SARRAY_IDS="reel")
    assert (done.status, done.out) == (1, b"")
    assert b"SARRAY_IDS=reel is unknown" in done.err


def test_options_of_the_flush_reach_what_waits_in_slurm(person: Person) -> None:
    """All of a pool, a call with a job of its own, and tickets, at once; then they begin."""
    told = [reserve(person, "test", "-o", "/dev/null", "--wrap=true").out.decode().strip() for _ in range(4)]
    told.append(
        reserve(person, "test", "-o", "/dev/null", "-d", f"afterok:{told[0]}", "--wrap=true").out.decode().strip()
    )
    ticket = person.queue("-o", "/dev/null", "--wrap=true").out.split()[-1].decode()
    done = person.flush("--time=7", "--mem=20M", "--begin=now+1hour", "--no-requeue")
    assert done.status == 0, done.err
    for number in (*told, ticket):
        shown = person.run("scontrol", "show", "job", number).out.decode()
        assert "JobState=PENDING" in shown
        assert "TimeLimit=00:07:00" in shown
        assert "MinMemoryNode=20M" in shown
        assert "Requeue=0" in shown
        assert (f"Dependency=afterok:{told[0]}" in shown) == (number == told[-1])
    assert not [line for line in waiting(person) if "JobHeldUser" in line]
    person.run("scancel", *told, ticket)


@pytest.mark.accounting
def test_a_partition_for_what_waits_in_slurm(person: Person) -> None:
    """Without accounting 26.05 changes none: "Resource temporarily unavailable"."""
    told = reserve(person, "test", "-o", "/dev/null", "--wrap=echo $SLURM_JOB_PARTITION >>ran.a").out.decode().strip()
    done = person.flush("--partition=other", "--hold")
    assert done.status == 0, done.err
    assert waiting(person) == [f"{told} JobHeldUser"]
    assert person.run("scontrol", "release", told).status == 0
    person.settle()
    assert (person.home / "ran.a").read_text() == "other\n"


def test_a_dependency_or_a_hold_for_what_waits_in_slurm(person: Person) -> None:
    first = person.run("sbatch", "--parsable", "-o", "/dev/null", "--wrap=echo first >>ran").out.decode().strip()
    for name in "abc":
        assert reserve(person, "test", "-o", "/dev/null", f"--wrap=cat ran >>ran.{name}").status == 0
    done = person.flush("--hold", f"--dependency=afterok:{first}")
    assert done.status == 0, done.err
    held = [line.split()[0] for line in waiting(person) if line.endswith("JobHeldUser")]
    assert len(held) == 3
    for number in held:
        assert person.run("scontrol", "release", number).status == 0
    person.settle()
    assert (person.home / "ran.a").read_text() == "first\n"
    assert len(list(person.home.glob("ran.*"))) == 3


def test_an_option_that_slurm_refuses_for_what_waits_keeps_it(person: Person) -> None:
    told = reserve(person, "test", "-o", "/dev/null", "--wrap=echo x >>ran.a").out.decode().strip()
    done = person.flush("--partition=nowhere")
    assert done.status == 1
    assert b"Invalid partition name specified" in done.err
    assert waiting(person) == [f"{told} JobHeldUser"]
    assert person.flush().status == 0
    person.settle()
    assert (person.home / "ran.a").read_text() == "x\n"


def test_options_that_cannot_reach_what_waits_in_slurm_are_refused(person: Person) -> None:
    reserve(person, "test", "-o", "/dev/null", "--wrap=echo x >>ran.a")
    person.queue("-o", "/dev/null", "--wrap=echo x >>ran.b")
    for words in (["--nice=5"], ["--throttle", "2"], ["--job-name=x"], ["--deadline=now+1hour"], ["-n", "--nodes=2"]):
        done = person.flush(*words)
        assert (done.status, done.out) == (1, b"")
        assert b"cannot be applied to jobs that wait in Slurm already" in done.err
        assert b"nothing was submitted" in done.err
    plan = person.flush("--dry-run")
    assert b"1 call with a real id would be released" in plan.out
    assert person.flush().status == 0
    person.settle()
    assert (person.home / "ran.a").read_text() == (person.home / "ran.b").read_text() == "x\n"


def test_who_waits_for_a_held_job_has_it_released(person: Person) -> None:
    """Through a job that is submitted directly and waited for; before a flush it would wait for ever."""
    told = reserve(person, "test", "-o", "/dev/null", "--wrap=echo first >>ran").out.decode().strip()
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    done = person.run("sbatch", "--wait", "-o", "/dev/null", "-d", f"afterok:{told}", "--wrap=cat ran >ran.a", env=env)
    assert done.status == 0, done.err
    assert (person.home / "ran.a").read_text() == "first\n"
    script = person.home / "wait.sh"
    script.write_text("#!/bin/bash\n#SBATCH --wait -o /dev/null\ntrue\n")
    ways: list[tuple[dict[str, str], list[str]]] = [  # --wait is not the first reason to hand them over
        ({}, ["--deadline=now+1hour", "--wait", "--wrap=true"]),
        ({"SBATCH_WAIT": "1"}, ["--wrap=true"]),
        ({}, ["--deadline=now+1hour", str(script)]),
    ]
    for more, words in ways:
        reserve(person, "test", "-J", "one", "-o", "/dev/null", "--wrap=true")
        words = ["sbatch", "-o", "/dev/null", "-J", "one", "-d", "singleton", *words]
        assert person.run(*words, env={**env, **more}).err == b""
        assert queued(person, "test") == []
    for more, words in ways:
        told = reserve(person, "test", "-o", "/dev/null", "--wrap=true").out.decode().strip()
        words = ["sbatch", "-o", "/dev/null", "-d", f"afterok:{told}", *words]
        assert person.run(*words, env={**env, **more}).err == b""
        assert queued(person, "test") == []
    told = reserve(person, "test", "-o", "/dev/null", "--wrap=echo second >>ran").out.decode().strip()
    done = person.run("srun", "-Q", "-n1", f"--dependency=afterok:{told}", "cat", "ran", env=env)
    assert (done.status, done.out) == (0, b"first\nsecond\n"), done.err


def test_a_flush_without_slurm_leaves_what_waits_in_slurm(person: Person) -> None:
    """And all that waits for it: here it would run too early."""
    told = reserve(person, "test", "-o", "/dev/null", "--wrap=true").out.decode().strip()
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    for name, words in (("a", ["-d", f"afterok:{told}"]), ("b", [])):
        assert person.run("sbatch", "-o", "/dev/null", *words, f"--wrap=echo x >ran.{name}", env=env).status == 0
    done = person.flush("--session", "test", "--local")
    assert done.status == 1
    assert b"1 call with a real id waits in Slurm and cannot run here: sarray-flush without --local" in done.err
    assert [path.name for path in person.home.glob("ran.*")] == ["ran.b"]
    assert person.flush("--session", "test").status == 0
    person.settle()
    assert (person.home / "ran.a").exists()


def test_who_names_no_way_gets_the_id_of_a_script_that_names_it(person: Person) -> None:
    wanted = person.queue("--parsable", "-o", "/dev/null", "--wrap=echo $SLURM_JOB_ID >ran.a").out.decode()
    assert int(wanted) < FIRST_TICKET
    unnamed = person.queue("--parsable", "-o", "/dev/null", "--wrap=true").out.decode()
    ticket = person.queue("--parsable", "-o", "/dev/null", "--wrap=: $SLURM_JOB_ID", SARRAY_IDS="ticket").out.decode()
    assert min(int(unnamed), int(ticket)) >= FIRST_TICKET
    assert person.flush().status == 0
    person.settle()
    assert (person.home / "ran.a").read_text() == wanted
