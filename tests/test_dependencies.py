"""Dependencies on the real Slurm: lanes that neither wait for nor stop each other, and the simulator's rules."""

from __future__ import annotations

import random
import re
import time

import pytest
from support.person import SYSTEM_PATH, Person
from support.simulator import Job, outcomes

pytestmark = pytest.mark.slurm


def until(person: Person, pattern: str, wanted: set[str], timeout: float = 300) -> None:
    """Wait for exactly these files."""
    deadline = time.monotonic() + timeout
    while (found := {path.name for path in person.home.glob(pattern)}) != wanted:
        assert found <= wanted, f"never to be seen: {sorted(found - wanted)}"
        if time.monotonic() > deadline:
            queue = person.run("squeue", "-r", "-o", "%i %T %r %E", env=person.environment(PATH=SYSTEM_PATH))
            raise AssertionError(f"missing: {sorted(wanted - found)}\n{queue.out.decode()}")
        time.sleep(0.05)  # between two looks; the condition above decides


def one_more_cycle(person: Person) -> None:
    """Wait until Slurm has looked at the whole queue: two jobs, one after the other, have been started."""
    for _ in range(2):
        env = person.environment(PATH=SYSTEM_PATH)
        job = person.run("sbatch", "--parsable", "-o", "/dev/null", "--wrap=touch cycle", env=env).out.decode().strip()
        until(person, "cycle", {"cycle"})
        person.run("scancel", job, env=env)
        (person.home / "cycle").unlink()


CHAINS = """
for i in $(seq 0 39); do
    case $i in
    [0-9] | 1[01]) a='until [ -e gate ]; do sleep 0.2; done' ;;
    1[2-9] | 2[0-3]) a='exit 3' ;;
    *) a=true ;;
    esac
    j=$(sbatch --parsable -J align -o /dev/null --wrap "$a")
    k=$(sbatch --parsable -J call -o /dev/null -d afterok:$j --wrap "touch b.$i")
    sbatch -J report -o /dev/null -d afterok:$k --wrap "touch c.$i"
done
"""


def test_slow_and_failed_lanes_stop_nobody_else(person: Person) -> None:
    """40 chains, 12 of them slow and 12 failed: more than slurmctld looks at; the other 16 end first."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    assert person.run("bash", "-c", CHAINS, env=env).status == 0
    done = person.flush()
    assert (done.status, len(done.out.splitlines())) == (0, 3), done.err
    until(person, "c.*", {f"c.{i}" for i in range(24, 40)})
    person.run("touch", "gate")
    good = [*range(12), *range(24, 40)]
    until(person, "c.*", {f"c.{i}" for i in good})
    one_more_cycle(person)
    until(person, "[bc].*", {f"{name}.{i}" for name in "bc" for i in good})


def test_a_later_flush_waits_for_lanes_of_an_earlier_one(person: Person) -> None:
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    queued = person.run("bash", "-c", CHAINS.replace("touch b", "sleep 1; touch b"), env=env)
    last = queued.out.split()[-1].decode()
    assert person.flush().status == 0
    body = "ls c.39 > seen; mv seen d.39"
    assert person.queue("-o", "/dev/null", "-d", f"afterok:{last}", "--wrap", body).status == 0
    done = person.flush()
    assert done.status == 0, done.err
    until(person, "d.*", {"d.39"})
    assert (person.home / "d.39").read_text() == "c.39\n"


SUMMARY = """
for i in 1 2 3; do
    j=$(sbatch --parsable -o /dev/null --wrap "[ $i != 2 ] && until [ -e gate ]; do sleep 0.2; done")
    all=$all:$j
done
j=$(sbatch --parsable --kill-on-invalid-dep=yes -o /dev/null -d afterok$all --wrap 'touch summary')
sbatch -o /dev/null -d afternotok:$j --wrap 'touch alert'
"""


def test_a_summary_is_cancelled_when_the_first_task_fails(person: Person) -> None:
    """The others of its array still run; who waits for the end of the summary need not wait for them."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    assert person.run("bash", "-c", SUMMARY, env=env).status == 0
    assert person.flush().status == 0
    until(person, "alert", {"alert"})


def test_a_singleton_waits_for_older_calls_of_its_name(person: Person) -> None:
    """They could share an array with calls of other names, which then would have another name."""
    for name, body in (("x", "until [ -e gate ]; do sleep 0.2; done; touch a"), ("y", "true")):
        assert person.queue("-J", name, "-o", "/dev/null", "--wrap", body).status == 0
    assert person.queue("-J", "x", "-d", "singleton", "-o", "/dev/null", "--wrap", "ls a > c").status == 0
    assert person.flush().status == 0
    one_more_cycle(person)
    person.run("touch", "gate")
    person.settle()
    assert (person.home / "c").read_text() == "a\n"


@pytest.mark.parametrize("command", ["srun", "salloc"])
@pytest.mark.parametrize("ids", ["ticket", "real"])
def test_a_step_by_hand_that_is_a_singleton_waits_for_older_calls_of_its_name(
    person: Person, command: str, ids: str
) -> None:
    """Others with tickets stay queued."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", SARRAY_IDS=ids)
    for name in ("mine", "other", "mine", "mine"):
        words = ("sbatch", "-J", name, "-o", "/dev/null", f"--wrap=sleep 1; echo >>ran.{name}")
        assert person.run(*words, env=env).status == 0
    done = person.run(command, "-Q", "-n1", "--job-name=mine", "--dep=Singleton", "wc", "-l", "ran.mine", env=env)
    assert (done.status, done.out) == (0, b"3 ran.mine\n"), done.err
    assert ids == "real" or not (person.home / "ran.other").exists()
    assert person.flush().status == 0
    person.settle()
    assert (person.home / "ran.other").exists()


def test_without_the_update_lanes_are_held_up(person: Person) -> None:
    """What --wide-lanes gives up, and why the update is there: if this passes no longer, Slurm has become better."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    assert person.run("bash", "-c", CHAINS, env=env).status == 0
    assert person.flush("--wide-lanes").status == 0
    one_more_cycle(person)
    until(person, "[bc].*", set())


def test_an_update_that_failed_is_made_by_the_next_flush(person: Person) -> None:
    """scontrol cannot reach the controller; the arrays are submitted, and the flush says what is missing."""
    tools = person.home / "bin"
    tools.mkdir()
    for name in ("sbatch", "scontrol"):
        broken = '[ "$1" = update ] && [ -e broken ] && exit 1'
        (tools / name).write_text(f'#!/bin/sh\n{broken}\nexec /usr/bin/{name} "$@"\n')
        (tools / name).chmod(0o755)
    (person.home / "broken").touch()
    path = f"{person.prefix}/shims:{tools}:{SYSTEM_PATH}"
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=path)
    assert person.run("bash", "-c", CHAINS, env=env).status == 0
    done = person.flush("--retry", "0", PATH=path)
    assert done.status == 1
    assert done.err.count(b"could not be told to look at its tasks each by itself") == 2
    assert len(done.out.splitlines()) == 3
    (person.home / "broken").unlink()
    done = person.flush(PATH=path)
    assert (done.status, done.out) == (0, b""), done.err
    until(person, "c.*", {f"c.{i}" for i in range(24, 40)})


RECORDED = """
record='date +%s%N > start.$1; [ -z "$2" ] || until [ "$(ls end.d.* 2>/dev/null | wc -l)" = 15 ]; do sleep 0.2; done'
printf '#!/bin/bash\\n%s\\ndate +%%s%%N > end.tmp.$1 && mv end.tmp.$1 end.$1\\n' "$record" > job.sh
for i in $(seq 0 15); do
    [ $i = 0 ] && slow=slow || slow=
    a=$(sbatch --parsable -o /dev/null job.sh a.$i $slow)
    b=$(sbatch --parsable -o /dev/null -d afterok:$a job.sh b.$i)
    c=$(sbatch --parsable -o /dev/null -d afterok:$a job.sh c.$i)
    d=$(sbatch --parsable -o /dev/null -d afterok:$b:$c job.sh d.$i)
    all=$all:$d
done
sbatch -o /dev/null -d afterok$all job.sh e
"""


@pytest.mark.parametrize("mode", ["", "queue"])
def test_recorded_times_keep_the_order_of_each_pair(person: Person, mode: str) -> None:
    """The first sample ends its first job only when all others have ended their last: whoever waits for it hangs."""
    env = person.environment(SARRAY_MODE=mode, SARRAY_SESSION="test")
    assert person.run("bash", "-ec", RECORDED, env=env).status == 0
    if mode:
        done = person.flush()
        assert (done.status, len(done.out.splitlines())) == (0, 5), done.err
    until(person, "end.e", {"end.e"})

    def at(what: str, job: str) -> int:
        return int((person.home / f"{what}.{job}").read_text())

    pairs = [(f"{one}.{i}", f"{two}.{i}") for one, two in ("ab", "ac", "bd", "cd") for i in range(16)]
    for producer, consumer in pairs + [(f"d.{i}", "e") for i in range(16)]:
        assert at("end", producer) < at("start", consumer), f"{consumer} started before {producer} had ended"


def random_pipeline(seed: int) -> tuple[list[tuple[str | None, str, bool]], str]:
    """
    Calls that wait for earlier ones in all ways.

    Returns:
        For each call its --array, its dependency with `{n}` for the id of call n, and whether it fails; and the
        pipeline as a shell script, in which each task that runs leaves a file.
    """
    chosen = random.Random(seed)
    calls: list[tuple[str | None, str, bool]] = []
    for number in range(16):
        spec = chosen.choice([None, None, None, "1-3"])
        terms = []
        for _ in range(chosen.choice([0, 1, 1, 2]) if number else 0):
            kind = chosen.choice(["afterok", "afterok", "afterok", "afterany", "afternotok", "after", "aftercorr"])
            ids = []
            for _ in range(chosen.choice([1, 1, 2])):
                other = chosen.randrange(number)
                element = chosen.choice(["", "", "_2"]) if calls[other][0] else ""
                ids.append("{%d}%s" % (other, element))
            terms.append(":".join([kind, *ids]))
        calls.append((spec, chosen.choice(",,?").join(terms), chosen.random() < 0.3))
    lines = []
    for number, (spec, dependency, fails) in enumerate(calls):
        words = ["sbatch", "--parsable", "-o", "/dev/null"]
        words += [f"--array={spec}"] if spec else []
        words += ['-d "%s"' % dependency.replace("{", "${j")] if dependency else []
        body = f"touch ran.{number}.$SLURM_ARRAY_TASK_ID; exit {int(fails)}"
        lines.append(f"j{number}=$({' '.join(words)} --wrap '{body}')")
    return calls, "\n".join(lines)


@pytest.mark.parametrize("seed", range(4))
def test_the_simulator_foretells_what_runs_directly_and_merged(person: Person, seed: int) -> None:
    calls, script = random_pipeline(seed)
    jobs = [
        Job(100 + number, [1, 2, 3] if spec else None, re.sub(r"\{(\d+)\}", lambda m: str(100 + int(m[1])), dependency))
        for number, (spec, dependency, _) in enumerate(calls)
    ]
    failing = {task for job, (_, _, fails) in zip(jobs, calls) if fails for task in job.tasks()}
    ended = outcomes(jobs, failing)
    ran = {
        f"ran.{job - 100}.{'' if index is None else index}"
        for (job, index), state in ended.items()
        if state in ("COMPLETED", "FAILED")
    }
    for mode in ("", "queue"):
        env = person.environment(SARRAY_MODE=mode, SARRAY_SESSION="test")
        assert person.run("bash", "-ec", script, env=env).status == 0
        if mode:
            done = person.flush()
            assert done.status == 0, done.err
        until(person, "ran.*", ran)
        one_more_cycle(person)
        until(person, "ran.*", ran)
        person.cancel_all()
        for left in person.home.glob("ran.*"):
            left.unlink()


IN_JOB = """#!/bin/bash
exec 2>err.$1
ticket=$SLURM_ARRAY_JOB_ID
[ -z "$ticket" ] || sbatch -o whole.$1.$SLURM_ARRAY_TASK_ID -d afterok:$ticket --wrap 'echo whole'
export SARRAY_STATE_DIR=$STATE SARRAY_MODE=queue SARRAY_SESSION=inner.$1.$SLURM_ARRAY_TASK_ID
sbatch -o own.$1.$SLURM_ARRAY_TASK_ID -d afterok:$SLURM_JOB_ID --wrap 'echo own'
sbatch -o also.$1.$SLURM_ARRAY_TASK_ID <<END
#!/bin/bash
#SBATCH -d afterok:$SLURM_JOB_ID
echo also
END
sarray-flush --session $SARRAY_SESSION
exit $(($2 || ${SLURM_ARRAY_TASK_ID:-0} == 5))
"""


def test_what_is_queued_in_a_job_waits_for_this_job_alone(person: Person) -> None:
    """One of the merged tasks has the array's own id; the array call's ticket means all of it."""
    script = person.home / "job.sh"
    script.write_text(IN_JOB)
    more = {"STATE": str(person.home / "state"), "SARRAY_IDS": "ticket"}
    for name, code in (("one", 0), ("two", 1), ("three", 0)):
        assert person.queue("-o", "/dev/null", str(script), name, str(code), **more).status == 0
    assert person.queue("-o", "/dev/null", "-a", "4-5", str(script), "four", "0", **more).status == 0
    assert person.flush().status == 0
    person.settle()
    found = {path.name for path in person.home.glob("*.*") if path.name.partition(".")[0] in ("own", "also", "whole")}
    mine = {f"{kind}.{name}" for kind in ("own", "also") for name in ("one.", "three.", "four.4")}
    assert found == mine, [path.read_text() for path in person.home.glob("err.*")]
