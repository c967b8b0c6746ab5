"""Faults of this package itself: one sentence and a report, and as much as possible goes on."""

from __future__ import annotations

import re

import pytest
from support.person import SYSTEM_PATH, Person, Result

HEAD = """
import importlib, sys
def boom(*args, **given):
    raise TypeError("a fault")
def boom_for(name):
    module, _, attribute = name.rpartition(".")
    module = importlib.import_module(module)
    real = getattr(module, attribute)
    def function(*args, **given):
        for one in args:
            calls = [one, *getattr(one, "calls", ())]
            if any(getattr(call, "name", None) == b"bad" for call in calls):
                raise TypeError("a fault")
        return real(*args, **given)
    setattr(module, attribute, function)
"""


def run(person: Person, code: str, *words: str, **more: str) -> Result:
    """Run code with the installed package, in which it may replace functions first."""
    python = next((person.prefix / "venvs").glob("*/bin/python"))
    return person.run(str(python), "-c", HEAD + code, *words, env=person.environment(SARRAY_SESSION="test", **more))


def report(person: Person) -> str:
    path = person.home / "state" / "faults.log"
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_text()


def queue_three(person: Person) -> None:
    for name in ("one", "bad", "two"):
        assert person.queue("-J", name, "-o", f"{name}.out", "--wrap", "echo done").status == 0


FLUSH = "from sbatch_shim.flush.cli import main; main()"
BUILD = """
import sbatch_shim.state.calls as calls
real = calls.build
def build(*args):
    call = real(*args)
    return call if call.name != b"bad" else boom()
calls.build = build
"""
FOR_ONE = {
    "plan": "boom_for('sbatch_shim.merge.plan.reason_alone');",
    "render": "boom_for('sbatch_shim.flush.ready.render');",
    "submission": "boom_for('sbatch_shim.merge.submission.job_name');",
    "record": BUILD,
}


@pytest.mark.parametrize("where", FOR_ONE)
def test_a_call_that_meets_a_fault_does_not_hold_up_the_others(person: Person, where: str) -> None:
    queue_three(person)
    done = run(person, FOR_ONE[where] + FLUSH, "--local")
    assert done.status == 1, done
    assert b"Traceback" not in done.err and b"TypeError: a fault" in done.err, done
    assert str(person.home / "state" / "faults.log").encode() in done.err
    assert {path.name for path in person.home.glob("*.out")} == {"one.out", "two.out"}, done
    assert report(person).count("== 20") == 1
    again = person.flush("--local")
    assert again.status == 0, again
    assert (person.home / "bad.out").read_text() == "done\n"


def test_a_dry_run_shows_the_others(person: Person) -> None:
    queue_three(person)
    done = run(person, FOR_ONE["render"] + FLUSH, "-n", "--scripts", "--local")
    assert b"Traceback" not in done.err and b"cannot be submitted: TypeError" in done.out, done
    assert done.out.count(b"\n== ") == 3


@pytest.mark.parametrize("where", ["Flush.claim", "Submitter.submit_all", "Flush.finish"])
def test_a_fault_of_a_flush_is_one_sentence(person: Person, where: str) -> None:
    queue_three(person)
    done = run(person, f"from sbatch_shim.flush.flush import Flush, Submitter; {where} = boom; {FLUSH}", "--local")
    said = re.findall(
        rb"sarray-flush: a fault of sbatch-shim.*reported in .*faults.log; what is not submitted stays", done.err
    )
    assert done.status == 1 and len(said) == 1 and b"Traceback" not in done.err, done
    assert "Traceback" in report(person)
    person.flush("--local")
    assert {path.name for path in person.home.glob("*.out")} == {"one.out", "bad.out", "two.out"}


def test_a_fault_outside_of_a_session(person: Person) -> None:
    done = run(person, f"import sbatch_shim.flush.cli as cli; cli.backend_for = boom; {FLUSH}")
    assert (done.status, done.out) == (1, b"") and b"Traceback" not in done.err, done
    done = run(person, "import sbatch_shim.verbs.sarray as m; m.VERBS['status'] = boom; m.main()", "status")
    assert (done.status, done.out) == (1, b""), done
    assert re.fullmatch(rb"sarray: a fault of sbatch-shim .*; what is queued stays queued\n", done.err), done
    assert report(person).count("Traceback") == 2


def test_reports_do_not_grow_without_bound(person: Person) -> None:
    code = "import sbatch_shim.verbs.sarray as m; m.VERBS['status'] = boom; m.main()"
    run(person, code, "status")
    log = person.home / "state" / "faults.log"
    log.write_bytes(b"x" * 1_000_001)
    person.own(log)
    run(person, code, "status")
    assert report(person).count("Traceback") == 1
    assert log.with_suffix(".log.1").stat().st_size == 1_000_001


COMPANION = "import sbatch_shim.companions.{0} as m; m.main = boom; "
START = "from sbatch_shim.companions.start import main; sys.exit(main({0!r}))"


def companion(person: Person, code: str, command: str, *words: str, **more: str) -> Result:
    """Start a companion as the launcher does; the real command of it tells what it was asked."""
    real = person.home / "bin" / command
    real.parent.mkdir(exist_ok=True)
    real.write_text('#!/bin/bash\necho "real: $*"\n')
    real.chmod(0o755)
    (person.home / "state").mkdir(mode=0o700, exist_ok=True)
    person.own(person.home)
    python = next((person.prefix / "venvs").glob("*/bin/python"))
    site = next((person.prefix / "venvs").glob("*/lib/python*/site-packages"))
    code = f"import sys; sys.path.insert(0, {str(site)!r})\n{HEAD}\n{code}{START.format(command)}"
    handed = ("/proc/self/environ", "", "", str(person.home / "state"), str(real))
    path = f"{real.parent}:{SYSTEM_PATH}"
    return person.run(str(python), "-I", "-S", "-c", code, *handed, *words, env=person.environment(PATH=path, **more))


@pytest.mark.parametrize(
    "words",
    [
        "squeue -u me",
        "sacct -X",
        "scontrol show job 17",
        "scontrol hold 17",
        "scancel -u me",
        "srun -n 1 x",
        "scancel 17",
    ],
)
def test_the_real_command_answers_where_a_companion_fails(person: Person, words: str) -> None:
    command, *rest = words.split()
    module = "launchers" if command == "srun" else command
    done = companion(person, COMPANION.format(module), command, *rest)
    assert done.out.decode() == f"real: {' '.join(rest)}\n" and done.status == 0, done
    assert re.fullmatch(
        rf"{command}: a fault of sbatch-shim .*faults.log; the real {command} answers, which knows no tickets\n",
        done.err.decode(),
    ), done
    assert "Traceback" in report(person)


@pytest.mark.parametrize(
    "words",
    [
        "squeue -j 1000000007",
        "sacct -j 1000000007",
        "scontrol show job 1000000007",
        "scontrol requeue 17",
        "scancel 1000000007",
        "scancel 17",
        "srun -d afterok:1000000007 x",
    ],
)
def test_what_slurm_would_take_for_another_job_does_not_go_there(person: Person, words: str) -> None:
    """A ticket is a job that has gone to Slurm, and the job around us may have the id of an array."""
    command, *rest = words.split()
    module = "launchers" if command == "srun" else command
    done = companion(person, COMPANION.format(module), command, *rest, SLURM_JOB_ID="17")
    assert (done.status, done.out) == (1, b""), done
    assert re.fullmatch(rf"{command}: error: a fault of sbatch-shim .*\n", done.err.decode()), done


def test_an_answer_is_not_given_twice(person: Person) -> None:
    code = "import sbatch_shim.companions.squeue as m\ndef main(c): m.write(b'half\\n'); boom()\nm.main = main\n"
    done = companion(person, code, "squeue", "-u", "me")
    assert (done.status, done.out) == (1, b"half\n") and b"Traceback" not in done.err, done


def test_one_session_that_cannot_be_read_does_not_hide_the_others(person: Person) -> None:
    told = {}
    for session in ("a", "b"):
        env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION=session)
        told[session] = person.run("sbatch", "--parsable", "--wrap", "true", env=env).out.strip()
    code = """
import sbatch_shim.state.tickets as t
real = t.SessionTickets.read
t.SessionTickets.read = lambda self: boom() if self.session.name == b"a" else real(self)
from sbatch_shim.verbs.sarray import main; main()
"""
    done = run(person, code, "status")
    assert b"Traceback" not in done.err and b"session a cannot be read: a fault of sbatch-shim" in done.err, done
    assert told["b"] in done.out and told["a"] not in done.out


@pytest.mark.parametrize("mode", ["queue", "pass"])
@pytest.mark.parametrize("where", ["m.queue", "m.request.dependency_of"])
def test_a_fault_of_sbatch_never_loses_a_call(person: Person, where: str, mode: str) -> None:
    real = person.home / "bin" / "sbatch"
    real.parent.mkdir()
    real.write_text('#!/bin/bash\necho "real: $*"\n')
    real.chmod(0o755)
    (person.home / "state").mkdir()
    person.own(person.home)
    python = next((person.prefix / "venvs").glob("*/bin/python"))
    site = next((person.prefix / "venvs").glob("*/lib/python*/site-packages"))
    handed = ("/proc/self/environ", "", "", str(person.home / "state"), str(real), "1")
    code = f"import sys; sys.path.insert(0, {str(site)!r})\n{HEAD}\nimport sbatch_shim.shim as m\n{where} = boom"
    words = [str(python), "-I", "-S", "-c", code + "\nsys.exit(m.main({}, {}))", *handed]
    env = person.environment(SARRAY_MODE=mode, SARRAY_SESSION="test")
    done = person.run(*words, "--wrap", "true", env=env)
    if where == "m.queue" and mode == "queue":
        assert re.fullmatch(rb"sbatch: error: not queued, submitting directly: a fault .*faults.log\n", done.err), done
    assert b"Traceback" not in done.err and done.status == 0, done
    assert done.out == b"real: --wrap true\n" or done.out.startswith(b"Submitted batch job "), done
    if where == "m.request.dependency_of" and mode == "pass":
        done = person.run(*words, "-d", "afterok:1000000007", "--wrap", "true", env=env)
        assert done.status == 1 and b"not submitted, as it may wait for tickets: a fault" in done.err, done
