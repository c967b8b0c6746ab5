"""sarray as a person meets it: typed into shells, on terminals and without, with mistakes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.person import SYSTEM_PATH, Person, Result
from support.terminal import Terminal

from sbatch_shim.setup.outside import lines_for

SHELLS = ("bash", "zsh", "fish")
VERBS = (
    *("status", "flush", "submit", "cancel", "throttle", "rerun", "listen", "doctor", "whose", "gc", "completion"),
    *("run", "mode", "install"),
)


def run(person: Person, *words: str, **more: str) -> Result:
    return person.run("sarray", *words, env=person.environment(SARRAY_SESSION="test", **more))


def ticket_of(result: Result) -> str:
    assert result.status == 0, result.err
    return result.out.decode().split()[-1]


def status(person: Person, *words: str) -> dict[str, dict[str, int]]:
    """States by ticket."""
    document = json.loads(run(person, "status", "--json", *words).out)
    return {str(call["ticket"]): call["states"] for call in document["calls"]}


def experiments(person: Person) -> None:
    folder = person.home / "experiments"
    folder.mkdir()
    for name in ("baseline", "ablation", "ablation2"):
        (folder / f"{name}.slurm").write_text(
            f"#!/bin/bash\n#SBATCH --output={name}-%a.log\necho {name} $SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT\n"
        )
    person.own(folder)


# The help


def test_the_overview_fits_a_terminal(person: Person) -> None:
    text = run(person, "--help").out.decode()
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_examples_and_exit_statuses(person: Person, verb: str) -> None:
    for words in ((verb, "--help"), ("help", verb)):
        done = run(person, *words)
        assert (done.status, done.err) == (0, b"")
        text = done.out.decode()
        assert re.search(r"^examples:\n  \S", text, re.M | re.I), text
        assert "Exit status: " in text
        assert max(map(len, text.splitlines())) <= 80, "a terminal breaks longer lines"


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_every_verb_and_option(person: Person, shell: str) -> None:
    script = run(person, "completion", shell).out.decode()
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b", script), verb
        text = run(person, verb, "--help").out.decode()
        for option in re.findall(r"^ +(?:-\w, |-\w N?,? ?)?--([a-z-]+)", text, re.M):
            assert option == "version" or re.search(rf"(--|-l ){option}\b", script), (verb, option)


def test_completion_in_bash_and_fish(person: Person) -> None:
    ticket = ticket_of(person.queue("--wrap=true"))
    in_bash = '. <(sarray completion bash); COMP_WORDS=($1) COMP_CWORD=$2; _sarray; echo "${COMPREPLY[@]}"'

    def bash(line: str, at: int) -> list[str]:
        return person.run("bash", "-c", in_bash, "bash", line, str(at)).out.decode().split()

    assert bash("sarray st", 1) == ["status"]
    assert bash(f"sarray cancel {ticket[:4]}", 2) == [ticket]
    assert bash("sarray status --session t", 3) == ["test"]
    assert bash("sarray throttle --r", 2) == ["--requeue"]

    def fish(line: str) -> list[str]:
        words = ["fish", "--no-config", "-c", "sarray completion fish | source; complete -C $argv[1]", line]
        return [found.split("\t")[0] for found in person.run(*words).out.decode().splitlines()]

    assert fish("sarray st") == ["status"]
    assert fish(f"sarray cancel {ticket[:4]}") == [ticket]
    assert fish("sarray status --session t") == ["test"]


def test_completion_in_zsh(person: Person) -> None:
    """Typed, since nothing else starts zsh's completion."""
    ticket = ticket_of(person.queue("--wrap=true"))
    rc = "PROMPT='> '\nautoload -U compinit && compinit -u\n. <(sarray completion zsh)\n"
    (person.home / ".zshrc").write_text(rc)
    person.own(person.home / ".zshrc")
    with Terminal(person, "zsh", "-i", ZDOTDIR=str(person.home)) as terminal:
        terminal.expect("^> ")
        terminal.type("sarray ca\t")
        terminal.expect("sarray cancel ")
        terminal.type(f"{ticket[:4]}\t")
        terminal.expect(ticket)
        terminal.type("\x15sarray throttle --req\t")
        terminal.expect("--requeue")


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_of_sarray_flush(person: Person, shell: str) -> None:
    """The same scripts complete it, with all of its options."""
    text = person.flush("--help").out.decode()
    assert max(map(len, text.splitlines())) <= 80
    script = run(person, "completion", shell).out.decode()
    for option in re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.M):
        assert re.search(rf"(--|-l ){option}\b", script), option
    if shell == "zsh":
        assert "compdef _sarray_flush sarray-flush" in script
        return
    if shell == "bash":
        code = (
            '. <(sarray completion bash); COMP_WORDS=(sarray-flush --dr) COMP_CWORD=1; _sarray_flush; echo "$COMPREPLY"'
        )
        words = ["bash", "-c", code]
    else:
        words = ["fish", "--no-config", "-c", "sarray completion fish | source; complete -C 'sarray-flush --dr'"]
    assert person.run(*words).out.decode().split()[0] == "--dry-run"


# Typed into a terminal


@pytest.mark.slurm
def test_the_workflow_of_sarray_031(person: Person) -> None:
    """Its README's example, word for word, and its standalone mode."""
    experiments(person)
    with Terminal(person, "bash", "--norc", "-i", PS1="$ ") as terminal:
        terminal.expect(r"^\$ ")
        terminal.type("sarray listen\n")
        terminal.expect(r"^\[sarray\] ")
        for name in ("baseline", "ablation", "ablation2"):
            terminal.type(f"sbatch --array=0-9 experiments/{name}.slurm\n")
            terminal.expect(r"^Submitted batch job \d{10}$")
        terminal.type("sarray submit --dry-run | head -3\n")
        terminal.expect("3 calls become 1 submission")
        terminal.type("sarray submit --dry-run > preview\n")
        terminal.expect(r"^\[sarray\] ")
        terminal.type("sarray submit\n")
        job = terminal.expect(r"^Submitted batch job (\d+)$")[1]
        terminal.expect("3 calls, 30 tasks")
        terminal.expect(r"^\$ ")
        terminal.type('echo "mode=$SARRAY_MODE"\n')
        terminal.expect("^mode=$")
        terminal.type("exit\n")
        assert terminal.ended() == 0
    found = {call["job"] for call in json.loads(run(person, "status", "--json").out)["calls"]}
    assert found == {int(job)}
    person.settle()
    for name in ("baseline", "ablation", "ablation2"):
        for task in range(10):
            assert (person.home / f"{name}-{task}.log").read_text() == f"{name} {task} 10\n"


@pytest.mark.slurm
@pytest.mark.parametrize("shell", SHELLS)
def test_listen_in_each_shell(person: Person, shell: str) -> None:
    """Help and dry runs stay in it, as does a question answered with no; leaving asks."""
    with Terminal(person, "sarray", "listen", "--shell", shell) as terminal:
        terminal.expect(r"^\[sarray\] ")
        terminal.type("sbatch -o /dev/null --wrap=true\r")
        ticket = terminal.expect(r"^Submitted batch job (\d{10})$")[1]
        for line in ("sarray submit --help", "sarray submit --dry-run", "sarray cancel --help"):
            terminal.type(f"{line} | tail -n 1 && echo d'o'ne\r")
            terminal.expect("^done")
        terminal.type("sarray submit -n >/dev/null\r")
        terminal.type("sarray cancel\r")
        terminal.expect(r"\[y/N\]")
        terminal.type("n\r")
        terminal.expect(r"^\[sarray\] ")
        terminal.type("exit\r")
        terminal.expect(r"still queued: 1 call \(wrap in ~\)\. \[s\]ubmit, \[d\]rop or \[k\]eep\?")
        terminal.type("k\r")
        terminal.expect("sarray-flush --session")
        assert terminal.ended() == 1
    assert status(person) == {ticket: {"QUEUED": 1}}
    with Terminal(person, "sarray", "listen", "--shell", shell) as terminal:
        terminal.expect(r"^\[sarray\] ")
        terminal.type("sbatch -o /dev/null --wrap=true\r")
        terminal.expect(r"^Submitted batch job \d{10}$")
        terminal.type("sarray cancel\r")
        terminal.expect(r"\[y/N\]")
        terminal.type("y\r")
        assert terminal.ended() == 0


@pytest.mark.slurm
def test_what_is_dropped_when_a_listen_shell_is_left_waits_in_slurm_no_more(person: Person) -> None:
    """A call that has its real id already is a job that is held."""
    with Terminal(person, "sarray", "listen", "--shell", "bash") as terminal:
        terminal.expect(r"^\[sarray\] ")
        terminal.type("sbatch -J own -o /dev/null --wrap='echo $SLURM_JOB_ID'\r")
        job = terminal.expect(r"^Submitted batch job (\d+)$")[1]
        assert int(job) < 1_000_000_000
        terminal.type("exit\r")
        terminal.expect(r"still queued: 1 call \(own in ~\)\. \[s\]ubmit, \[d\]rop or \[k\]eep\?")
        terminal.type("d\r")
        assert terminal.ended() == 0
        assert "queued calls dropped: 1" in terminal.text
    listed = person.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T", env=person.environment(PATH=SYSTEM_PATH))
    assert listed.out.decode().split() in (["CANCELLED"], []), listed


@pytest.mark.parametrize(
    ("shell", "file", "text"),
    [
        ("bash", ".bashrc", "PROMPT_COMMAND='PS1=\"theme> \"'\n"),
        ("bash", ".bashrc", "PROMPT_COMMAND=('true' 'PS1=\"theme> \"')\n"),
        ("zsh", ".zshrc", "precmd() { PROMPT='theme> '; }\n"),
        ("zsh", ".zshenv", "mkdir -p ~/own && echo \"PROMPT='theme> '\" > ~/own/.zshrc && ZDOTDIR=~/own\n"),
        ("fish", ".config/fish/config.fish", "function fish_prompt\n    echo -n 'theme> '\nend\n"),
    ],
)
def test_the_prompt_says_so_whatever_the_theme(person: Person, shell: str, file: str, text: str) -> None:
    path = person.home / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    person.own(person.home)
    with Terminal(person, "sarray", "listen", "--shell", shell) as terminal:
        for _ in range(2):
            terminal.expect(r"^\[sarray\] theme> ")
            terminal.type("true\r")
        terminal.type("exit\r")
        assert terminal.ended() == 0


def call_of_an_ended_login(person: Person, script: str) -> str:
    """Queue one in a login session that has ended then; the session's name."""
    env = person.environment(SARRAY_MODE="queue")
    done = person.run("setsid", "-w", "bash", "-c", f"sbatch -o /dev/null --wrap={shlex.quote(script)}; true", env=env)
    assert re.fullmatch(rb"Submitted batch job \d{10}\n", done.out), done.err
    document = json.loads(person.run("sarray", "status", "--json", env=person.environment()).out)
    return str(document["sessions"][-1]["name"])


# What is answered: a no, nothing, Ctrl-C, the end of the input.
@pytest.mark.parametrize("answer", ["n\r", "\r", "\x03", "\x04"])
def test_sarray_flush_offers_the_calls_of_an_ended_login(person: Person, answer: str) -> None:
    name = call_of_an_ended_login(person, f"touch {person.home}/ran")
    other = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="other")
    assert person.run("sbatch", f"--wrap=touch {person.home}/other", env=other).status == 0
    assert b"[y/N]" not in person.flush("--local").err, "never asked without a terminal"
    with Terminal(person, "sarray-flush", "--local") as terminal:
        terminal.expect(f"session {re.escape(name)} holds 1 call since")
        terminal.expect(r"submit the calls of 1 login that ended\? \[y/N\] ")
        terminal.type(answer)
        assert terminal.ended() == 1
        assert "Traceback" not in terminal.text
    assert status(person, "--session", name) != {}
    assert not (person.home / "ran").exists()
    for words in (["--parsable"], ["--json"], ["--session", "test"]):
        with Terminal(person, "sarray-flush", "--local", *words) as terminal:
            assert terminal.ended() == 1
            assert "[y/N]" not in terminal.text
    with Terminal(person, "sarray-flush", "--local") as terminal:
        terminal.expect(r"\[y/N\] ")
        terminal.type("y\r")
        assert terminal.ended() == 0
    assert (person.home / "ran").exists()
    assert not (person.home / "other").exists(), "a session that somebody has named ends when they say so"


# What is typed after `exit`, and how often each of two calls has run then.
@pytest.mark.parametrize(
    ("shell", "answer", "runs"),
    [pytest.param("bash", "s", 1, marks=pytest.mark.slurm), ("zsh", "d", 0), ("fish", "\x03", 0)],
)
def test_a_login_that_ends_offers_its_calls(
    person: Person, monkeypatch: pytest.MonkeyPatch, shell: str, answer: str, runs: int
) -> None:
    """As an installation has set it up; asked only where something waits, and not where a script ends."""
    monkeypatch.setenv("HOME", str(person.home))
    monkeypatch.setenv("SHELL", shell)
    for name in ("ZDOTDIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for path, (line, _) in lines_for(person.prefix).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line)
    person.own(person.home)
    with Terminal(person, shell, "-l") as terminal:
        terminal.type("echo read'y'; exit\r")
        terminal.expect("^ready")
        terminal.ended()
        assert "still queued" not in terminal.text
    with Terminal(person, shell, "-l", SARRAY_MODE="queue") as terminal:
        for number in (1, 2):
            terminal.type(f"sbatch -J job{number} -o /dev/null --wrap='echo x >>ran.{number}'\r")
            terminal.expect(r"^Submitted batch job \d{10}$")
        terminal.type(f"{shell} -lc 'exit 3'; echo nothing asked\r")
        terminal.expect("^nothing asked")
        terminal.type("exit\r")
        terminal.expect(r"still queued: 2 calls \(job1, job2 in ~\)\. \[s\]ubmit, \[d\]rop or \[k\]eep\?")
        terminal.type(answer if answer == "\x03" else f"{answer}\r")
        if answer == "\x03":
            terminal.expect(r"still queued: 2 calls; sarray-flush --session \S+ submits what is queued")
        terminal.ended()
    if runs:
        person.settle()
    assert len(list(person.home.glob("ran.*"))) == 2 * runs
    left = [state for states in status(person).values() for state in states]
    assert ("QUEUED" in left) == (answer == "\x03")


@pytest.mark.parametrize("words", [["bash", "-lc", "exit 3"], ["bash", "-l", "script"]])
def test_a_login_shell_that_ends_in_a_script_is_not_asked(
    person: Person, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """bash reads ~/.bash_logout there too; nothing is said, and the exit status stays."""
    monkeypatch.setenv("HOME", str(person.home))
    monkeypatch.setenv("SHELL", "bash")
    for path, (line, _) in lines_for(person.prefix).items():
        path.write_text(line)
    (person.home / "script").write_text("set -eu\nsbatch -o /dev/null --wrap=true\nexit 3\n")
    person.own(person.home)
    done = person.run("setsid", "-w", *words, env=person.environment(SARRAY_MODE="queue"))
    assert (done.status, done.err) == (3, b"")


# A queue file


@pytest.mark.slurm
def test_a_dry_run_of_a_queue_file_leaves_nothing(person: Person) -> None:
    done = person.run("sarray", "submit", "-", "-n", stdin=b"--wrap='touch ran'\n", env=person.environment())
    assert done.status == 0, done.err
    assert b"1 call becomes 1 submission" in done.out
    assert status(person) == {}
    assert run(person, "flush", "--all").err == b"sarray-flush: nothing is queued in this session\n"


@pytest.mark.parametrize("dry", [[], ["-n"]])
def test_a_queue_file_whose_reader_is_killed_at_every_step(person: Person, dry: list[str]) -> None:
    """Half a file, or one that was only looked at, is nothing that a later flush would submit: all calls or none."""
    site = person.home / "site"
    site.mkdir()
    for name in ("sbatch", "scontrol"):
        (site / name).write_text("#!/bin/sh\nkill -9 $PPID\n")  # the last step before something is submitted
        (site / name).chmod(0o755)
    env = person.environment(PATH=f"{person.prefix}/shims:{site}:{SYSTEM_PATH}")
    words = [str(person.prefix / "venv/bin/python"), "-I", "-m", "sbatch_shim.verbs.sarray", "submit", "-", *dry]
    found: list[int] = []
    for number in range(1, 20):
        trace = ["strace", "-qq", "-o", "/dev/null", "-e", f"inject=fdatasync:signal=KILL:when={number}"]
        done = person.run(*trace, *words, stdin=b"--wrap=a\n--wrap=b\n", env=env)
        assert done.status in (-9, 137), done.err
        found.append(len(status(person)))
        if found[-1]:
            break
    assert len(found) > 8
    assert found[-1] == (0 if dry else 2)


@pytest.mark.slurm
def test_the_value_of_an_option_is_no_queue_file(person: Person) -> None:
    """Even where a file has its name."""
    (person.home / "main").write_text("--wrap='touch ran'\n")
    person.queue("-H", "-o", "/dev/null", "--wrap=true")
    done = run(person, "submit", "--parsable", "-p", "main")
    assert (done.status, len(done.out.split())) == (0, 1), done.err
    assert len(status(person)) == 1


def test_the_version_queues_nothing(person: Person) -> None:
    done = person.run("sarray", "submit", "-", "--version", stdin=b"--wrap=a\n", env=person.environment())
    assert (done.status, done.out[:13]) == (0, b"sarray-flush ")
    assert status(person) == {}


@pytest.mark.slurm
def test_nothing_of_a_queue_file_is_submitted_when_a_line_cannot_be(person: Person) -> None:
    """Not even the line that the real sbatch would take at once."""
    good = b"sbatch --wrap='touch ran'\n"
    everything = ["squeue", "-h", "-t", "all", "--me", "-o", "%A"]
    before = person.run(*everything, env=person.environment(PATH=SYSTEM_PATH)).out
    for line, words in (
        (b"sbatch --wait --wrap='touch ran'", b"line 2: this call cannot be queued (--wait)"),
        (b"sbatch nosuch.sh", b"line 2: this call cannot be queued (a script that cannot be opened)"),
        (b"sbatch", b"line 2: this call cannot be queued"),
        (b"sbatch -d afterok:2000000001 --wrap=true", b"line 2: this call waits for a ticket that you do not have"),
    ):
        done = person.run("sarray", "submit", "-", stdin=good + line + b"\n", env=person.environment())
        assert done.status == 2
        assert words in done.err
    after = person.run(*everything, env=person.environment(PATH=SYSTEM_PATH)).out
    assert set(after.split()) <= set(before.split())
    done = person.run("sarray", "submit", "-", "-o", "no/where", stdin=good, env=person.environment())
    assert (done.status, done.err) == (1, b"sarray: no/where cannot be written; nothing was submitted\n")
    assert status(person) == {}


# status


@pytest.mark.slurm
def test_status_tells_of_sessions_states_and_what_was_not_queued(person: Person) -> None:
    done = run(person, "status")
    assert (done.status, done.out) == (0, b"no call is queued or listed (--all: also of sessions that ended)\n")
    person.queue("--hold", "--wrap=true", "--test-only")
    assert b"1 went to the real sbatch: --test-only" in run(person, "status").out, "also where nothing was queued"
    fails = ticket_of(person.queue("-a", "3-12", "-o", "f-%a", "--wrap=exit $SLURM_ARRAY_TASK_ID"))
    in_b = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="b")
    other = ticket_of(person.run("sbatch", "--wrap=true", env=in_b))
    assert person.flush().status == 0
    deadline = time.monotonic() + 300
    while status(person)[fails] != {"FAILED": 10}:
        assert time.monotonic() < deadline
        time.sleep(0.2)  # between two looks; the condition decides
    document = json.loads(run(person, "status", "--json").out)
    sessions = {session["name"]: session["states"] for session in document["sessions"]}
    assert sessions == {"test": {"FAILED": 10}, "b": {"QUEUED": 1}}
    call = next(call for call in document["calls"] if str(call["ticket"]) == fails)
    assert (call["exit"], call["log"]) == ("12:0", f"{person.home}/f-%a")
    assert len(call["tasks"]) == 10
    text = run(person, "status").out.decode()
    assert "session b: 1 queued" in text and "session test: 10 failed" in text
    assert list(status(person, "--session", "b")) == [other]
    assert re.search(rb"b: 1 since .* \(wrap in ~\)", run(person, "doctor").out)


@pytest.mark.slurm
def test_status_tells_why_calls_wait_and_what_to_do(person: Person) -> None:
    """Slurm's words for what was refused or never starts; filters; the commands that come next, and they work."""
    fails = ticket_of(person.queue("-J", "fails", "-o", "fails.log", "--wrap=exit 3"))
    never = ticket_of(person.queue("-J", "never", "-o", "/dev/null", f"--dependency=afterok:{fails}", "--wrap=true"))
    held = ticket_of(person.queue("--hold", "-J", "held", "-o", "/dev/null", "--wrap=true"))
    last = ticket_of(person.queue("--hold", "-J", "last", "-o", "/dev/null", "--wrap=true"))
    assert person.flush("-p", "nosuch").status == 1
    listed = json.loads(run(person, "status", "--json", "--queued").out)["calls"]
    by_ticket = {str(call["ticket"]): call for call in listed}
    assert by_ticket.pop(never)["states"] == {"QUEUED": 1}, "it waits for one that was refused"
    assert {tuple(call["states"]) for call in by_ticket.values()} == {("REFUSED",)}
    assert all("invalid partition" in call["reason"].lower() for call in by_ticket.values()), listed
    assert b"next: sarray-flush  # submits 4 queued calls\n" in run(person, "status").out
    assert person.flush().status == 0
    deadline = time.monotonic() + 300
    while "DependencyNeverSatisfied" not in run(person, "status", never).out.decode():
        assert time.monotonic() < deadline
        time.sleep(0.2)  # between two looks; the condition decides
    done = run(person, "status")
    text = done.out.decode()
    assert re.search(rf"^{held} +held +[\d_]+ +PENDING +JobHeldUser ", text, re.M), text
    assert f"next: sarray cancel {never}  # what they wait for failed, so they never start\n" in text
    assert "next: sarray rerun --failed  # queues again what failed: 1 call\n" in text
    assert list(status(person, "--failed")) == [fails, never]
    assert last in status(person, "--last")
    assert "\x1b" not in text, "colours are for terminals"


@pytest.mark.slurm
@pytest.mark.parametrize("plain", ["", "1"])
def test_status_on_a_terminal(person: Person, plain: str) -> None:
    """Lines fit; what is refused has Slurm's words; colours obey NO_COLOR."""
    ticket_of(person.queue("-J", "n" * 50, "-o", "d" * 60 + "/x.log", "--wrap=true"))
    assert person.flush("-p", "nosuch").status == 1
    with Terminal(person, "sarray", "status", columns=80, NO_COLOR=plain) as terminal:
        assert terminal.ended() == 0
        assert ("\x1b[31mREFUSED\x1b[0m" in terminal.raw) == (not plain)
        text = re.sub(r"\x1b\[\d+m", "", terminal.raw)
        assert max(len(line) for line in text.splitlines()[:2]) <= 80
        assert "REASON OR LOG" in text


@pytest.mark.slurm
def test_status_of_many_calls_is_a_summary(person: Person) -> None:
    """By session, told by folder and names; their names may be shortened where that is clear."""
    for number in range(51):
        person.queue("-J", f"n{number % 2}", "-o", "/dev/null", "--wrap=true")
    in_b = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="tests.b")
    other = ticket_of(person.run("sbatch", "--wrap=true", env=in_b))
    text = run(person, "status").out.decode()
    assert len(text.splitlines()) < 12
    assert "session test: 51 queued\n" in text and ": n0, n1 in ~\n" in text
    assert "52 calls; --long lists each" in text
    assert len(run(person, "status", "--long").out.splitlines()) > 52
    assert list(status(person, "--session", "tests")) == [other]
    assert run(person, "status", "--session", "te").status == 2
    assert len(status(person, "--session", "test")) == 51, "a whole name is itself"
    done = person.flush("--session", "nothing.like.it")
    assert (
        b"session test holds 51 calls since " in done.err and b" (n0, n1 in ~): sarray-flush --session test" in done.err
    )
    assert b"session tests.b holds 1 call since " in done.err
    assert person.flush("--session", "tests", "-n").out.startswith(b"1 call becomes")
    assert person.flush("--session", "tests").status == 1, "what is submitted is named in full"
    assert run(person, "cancel", "--session", "tests", "-y").status == 1
    assert list(status(person, "--session", "tests.b").values()) == [{"QUEUED": 1}]


@pytest.mark.slurm
def test_status_when_slurm_does_not_answer(person: Person) -> None:
    ticket = ticket_of(person.queue("--hold", "-o", "/dev/null", "--wrap=true"))
    assert person.flush().status == 0
    away = person.home / "away.conf"
    conf = re.sub(r"^MessageTimeout=.*$", "", Path(person.conf).read_text(), flags=re.M)
    away.write_text(re.sub(r"^SlurmctldPort=.*$", "SlurmctldPort=1\nMessageTimeout=2", conf, flags=re.M))
    done = run(person, "status", ticket, SLURM_CONF=str(away))
    assert done.status == 1
    assert re.search(rb" (UNKNOWN|PENDING) ", done.out), "the accounting may know"
    assert done.err.startswith(b"sarray status: squeue does not answer, so states may be old or not known: ")
    done = run(person, "rerun", "--failed", SLURM_CONF=str(away))
    assert done.status == 1 and b"nothing was queued" in done.err
    done = run(person, "throttle", ticket, "-n", "1", SLURM_CONF=str(away))
    assert done.status == 1 and b"Unable to contact slurm controller" in done.err


@pytest.mark.slurm
def test_watch_on_a_narrow_terminal(person: Person) -> None:
    """It wraps no line, leaves the screen as it was, and Ctrl-C ends it without a word."""
    ticket_of(person.queue("--hold", "-J", "n" * 60, "--wrap=true"))
    with Terminal(person, "sarray", "status", "--watch", columns=30, rows=6) as terminal:
        terminal.expect(r"0/1  1 queue$")
        assert terminal.raw.startswith("\x1b[?1049h\x1b[?7l")
        screen = terminal.raw.rpartition("\x1b[H\x1b[J")[2]
        assert screen.count("\n") < 6
        terminal.type("\x03")
        assert terminal.ended() == 130
        assert "\x1b[?7h\x1b[?1049l" in terminal.raw
        assert "Traceback" not in terminal.text


@pytest.mark.slurm
def test_watch_without_a_terminal_ends_with_the_tasks(person: Person) -> None:
    ticket_of(person.queue("-o", "/dev/null", "--wrap=until [ -e go ]; do sleep 0.1; done"))
    assert person.flush().status == 0
    # The job goes on when the first line stands there.
    show = "while IFS= read -r line; do printf '%s\\n' \"$line\"; touch go; done"
    watch = f"sarray status --watch | {show}; exit ${{PIPESTATUS[0]}}"
    done = person.run("bash", "-c", watch)
    assert done.status == 0, done.err
    lines = done.out.decode().splitlines()
    assert len(set(lines)) == len(lines) >= 2, "a line for each change"
    assert lines[-1].endswith("1/1  1 completed")
    assert "\x1b" not in done.out.decode()


# Streams and mistakes


@pytest.mark.parametrize("verb", [["status"], ["status", "--watch"], ["status", "--json"], ["doctor"], ["--help"]])
def test_streams_that_are_closed_full_or_deserted(person: Person, verb: list[str]) -> None:
    for redirection in (">&-", "2>&-", "<&-", ">&- 2>&- <&-", ">/dev/full", "| true", "| head -n 1"):
        done = person.run("bash", "-c", f"sarray {' '.join(verb)} {redirection}", env=person.environment())
        assert b"Traceback" not in done.err and b"Exception" not in done.err, (redirection, done.err)
        assert len(done.err.splitlines()) <= 1, (redirection, done.err)


MISTAKES = [
    ([], 2),
    (["stat"], 2),
    ([""], 2),
    (["help", "nosuch"], 2),
    (["status", "12"], 1),
    (["status", "2042022000_3"], 2),
    (["status", "2000000001"], 1),
    (["status", "2000000001", "--all"], 2),
    (["status", "--session", "nosuch"], 1),
    (["status", "--session", "../.."], 1),
    (["cancel", "-y", "--session", "nosuch"], 1),
    (["cancel", "-y", "2000000001"], 1),
    (["cancel", "x"], 2),
    (["throttle", "abc", "-n", "2"], 2),
    (["throttle", "12", "-n", "-1"], 2),
    (["rerun"], 2),
    (["rerun", "2000000001"], 1),
    (["submit", "nosuch.conf"], 1),
    (["submit", "/"], 1),
    (["submit", "-"], 2),
    (["submit", "-t", "x"], 2),
    (["submit", "--bogus"], 2),
    (["gc", "--days", "nan"], 2),
]


@pytest.mark.parametrize(("words", "code"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_is_one_sentence(person: Person, words: list[str], code: int) -> None:
    done = run(person, *words)
    assert done.status == code
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith(b"sarray"), done.err


@pytest.mark.parametrize("verb", ["status", "cancel", "rerun --failed", "throttle 12 -n 1", "gc -n", "doctor"])
def test_without_slurm_without_home_without_shims(person: Person, verb: str) -> None:
    sarray = f"{person.prefix}/bin/sarray"
    tools = person.home / "tools"
    tools.mkdir()
    nowhere = {"HOME": "/proc", "PATH": SYSTEM_PATH}
    no_slurm = {"PATH": f"{person.prefix}/shims", "HOME": str(person.home)}
    for environment in ({"PATH": str(tools)}, {}, no_slurm, nowhere):
        done = person.run(sarray, *verb.split(), env=environment)
        assert b"Traceback" not in done.err and b"Errno" not in done.err, done.err
        assert len(done.err.splitlines()) <= 2, done.err


def test_a_signal_ends_watch(person: Person) -> None:
    ticket_of(person.queue("--wrap=true"))
    # When its first line has come: before that Python may still be starting.
    watch = "exec 3< <(exec sarray status --watch); read -r line <&3; kill -INT $!; wait $!"
    done = person.run("bash", "-m", "-c", watch, env=person.environment(TERM="dumb"))
    assert done.status == 128 + signal.SIGINT, done
    assert b"Traceback" not in done.err


def test_tickets_of_another_user(person: Person) -> None:
    """Their state folder cannot be read, so their numbers are nobody's here; naming it is refused in a sentence."""
    folder = person.home / "foreign"
    folder.mkdir(mode=0o700)
    subprocess.run(["chown", "nobody", str(folder)], check=os.geteuid() == 0)
    if os.geteuid() == 0:
        done = run(person, "status", SARRAY_STATE_DIR=str(folder))
        assert done.status == 1
        assert len(done.err.splitlines()) == 1 and b"state folder" in done.err
