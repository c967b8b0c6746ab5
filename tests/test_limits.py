"""The far ends: sizes, paths, and surroundings without the usual things."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.person import SYSTEM_PATH, USER, Person

needs_root = pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="needs root and a test user")


def is_ticket(out: bytes) -> bool:
    return out.strip().isdigit() and int(out) >= 10**9


@pytest.mark.slurm
def test_an_environment_of_two_megabytes(person: Person) -> None:
    """The kernel gives arguments and environment a quarter of the stack."""
    variables = "; ".join(f"export BIG{number}=$(printf %0100000d {number})" for number in range(20))
    job = "--wrap='env | grep -c ^BIG; echo ${#BIG19} ${BIG19##*0}'"
    line = f"ulimit -S -s 65536; {variables}; sbatch -o 1.log {job} && sbatch -o 2.log {job} && sarray-flush"
    path = f"{person.prefix}/shims:{person.prefix}/bin:{SYSTEM_PATH}"
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=path)
    done = person.run("bash", "-c", line, env=env)
    assert done.status == 0, done.err
    person.settle()
    for name in ("1.log", "2.log"):
        assert (person.home / name).read_text().split() == ["20", "100000", "19"]


@pytest.mark.slurm
def test_arguments_near_the_limit(person: Person) -> None:
    """Slurm takes a line of 1 MiB: just below, a call is queued; above, the real sbatch refuses it."""
    (person.home / "job.sh").write_text('#!/bin/sh\necho "$#" "$(printf %s "$@" | wc -c)"\n')
    many = ["x" * 100000] * 9
    assert is_ticket(person.queue("--parsable", "-o", "job.log", "job.sh", *many).out)
    done = person.queue("--parsable", "-o", "job.log", "job.sh", *many, *many[:2])
    assert (done.status, done.out) == (1, b"")
    assert b"too long" in done.err
    assert person.flush().status == 0
    person.settle()
    assert (person.home / "job.log").read_text() == "9 900000\n"


@pytest.mark.slurm
def test_a_script_as_large_as_slurm_takes(person: Person) -> None:
    """4 MiB: with the dispatcher around it, it would be too large, so the real sbatch gets it; a bit less is queued."""
    for size, queued in ((4194304, False), (3000000, True)):
        body = b"#!/bin/sh\necho ran\nexit 0\n"
        (person.home / f"{size}.sh").write_bytes(body + b"#" * (size - len(body) - 1) + b"\n")
        done = person.queue("--parsable", "-o", f"{size}.log", f"{size}.sh")
        assert done.status == 0
        assert is_ticket(done.out) == queued
    assert person.flush().status == 0
    person.settle()
    assert {path.read_text() for path in person.home.glob("*.log")} == {"ran\n"}
    assert len(list(person.home.glob("*.log"))) == 2


@pytest.mark.slurm
def test_a_folder_whose_path_has_4000_bytes(person: Person) -> None:
    """Of 4,096 that the kernel takes; the script and the log are named from there."""
    script = """
    while ((${#PWD} < 3790)); do mkdir "$0" && cd "$0" || exit; done
    mkdir "$(printf "%0$((3999 - ${#PWD}))d" 1)" && cd 0* || exit
    printf '#!/bin/sh\\npwd | tr -d "\\\\n" | wc -c\\n' >job.sh
    sbatch -o job.log job.sh && sbatch -o 2.log job.sh && sarray-flush && pwd
    """
    path = f"{person.prefix}/shims:{person.prefix}/bin:{SYSTEM_PATH}"
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=path)
    done = person.run("bash", "-c", script, "d" * 200, env=env)
    assert done.status == 0, done.err
    person.settle()
    folder = done.out.splitlines()[-1]
    assert len(folder) == 4000
    for name in (b"job.log", b"2.log"):
        assert int(Path(os.fsdecode(folder + b"/" + name)).read_bytes()) == 4000


@needs_root
@pytest.mark.slurm
def test_a_full_tmp(person: Person) -> None:
    """Neither queueing nor flushing needs room there."""
    script = """
    set -e
    mount -t tmpfs tmpfs /mnt
    mkdir /mnt/1 /mnt/2
    mount --bind "$1" /mnt/1
    mount --bind "$2" /mnt/2
    mount -t tmpfs -o size=64k,mode=1777 tmpfs /tmp
    mkdir -p "$1" "$2"
    mount --bind /mnt/1 "$1"
    mount --bind /mnt/2 "$2"
    dd if=/dev/zero of=/tmp/filler bs=4k 2>/dev/null || true
    exec setpriv --reuid "$USER" --regid "$USER" --clear-groups bash -c '
        cd "$HOME"; ! echo x >/tmp/room 2>/dev/null || exit 1
        printf "#!/bin/sh\\necho ran\\n" | sbatch -o 1.log || exit
        sbatch -o 2.log --wrap="echo ran" && sarray-flush'
    """
    path = f"{person.prefix}/shims:{person.prefix}/bin:{SYSTEM_PATH}"
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=path)
    words = ["unshare", "-m", "bash", "-c", script, "sh", str(person.prefix.parent), os.path.dirname(person.conf)]
    done = subprocess.run(words, env=env, cwd="/", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    person.settle()
    assert [(person.home / name).read_text() for name in ("1.log", "2.log")] == ["ran\n", "ran\n"]


def test_a_thousand_sessions(person: Person) -> None:
    """A flush with nothing to do names the first ten of those that hold calls, in a moment."""
    for _ in range(2):
        person.queue("-o", "/dev/null", "--wrap=true")
    sessions = person.home / "state/sessions"
    for number in range(1000):
        shutil.copytree(sessions / "test", sessions / f"s{number:04}")
    shutil.rmtree(sessions / "test")
    person.own(sessions)
    done = person.flush("--session", "none")
    assert done.status == 1
    assert b"session s0009 holds 2 calls" in done.err
    assert b"and 990 more" in done.err


# What a call of sbatch may lack, as a shell says it before the call.
LACKS = {
    "closed stdout": "exec >&-",
    "closed stdin": "exec <&-",
    "closed stderr": "exec 2>&-",
    "all closed": "exec <&- >&- 2>&-",
    "full stdout": "exec >/dev/full",
    "no HOME": "unset HOME",
    "no USER": "unset USER LOGNAME",
    "no PATH but ours": "PATH=${PATH%%:*}:/usr/bin",
    "locale C": "export LC_ALL=C LANG=C",
    "no terminal": 'exec setsid -w bash -c "$1"',
}


@pytest.mark.parametrize("lack", LACKS)
def test_a_call_queues_and_flushes_without(person: Person, lack: str) -> None:
    """State is where SARRAY_STATE_DIR says; the call is in the spool whatever can be printed."""
    flush = f"{person.prefix}/bin/sarray-flush --local"
    work = f"sbatch -o /dev/null --wrap='touch {person.home}/ran' || exit 9; {flush}"
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    done = person.run("bash", "-c", f"{LACKS[lack]}\n{work}", "sh", work, env=env)
    assert done.status == (1 if lack == "full stdout" else 0), done
    assert (person.home / "ran").exists(), done
    assert b"Traceback" not in done.err
    assert b"Exception" not in done.err


@pytest.mark.slurm
@pytest.mark.parametrize("lack", LACKS)
def test_companions_without(person: Person, lack: str) -> None:
    """Their exit status is the real one's, and what was cancelled is so whatever can be printed."""
    ticket = person.queue("--parsable", "-o", "/dev/null", "--wrap=true").out.decode().strip()
    work = f"squeue -j {ticket} || exit 2; scontrol show job {ticket} || exit 3; scancel {ticket} || exit 4"
    env = person.environment(SARRAY_SESSION="test")
    done = person.run("bash", "-c", f"{LACKS[lack]}\n{work}", "sh", work, env=env)
    assert (done.status, done.err) == (0, b"")
    if not re.search("closed|full", lack):
        assert f"JobId={ticket}".encode() in done.out
    assert person.flush("--dry-run").out.startswith(b"0 calls ")


def test_a_reader_that_is_gone(person: Person) -> None:
    """sbatch dies of SIGPIPE as the real one does; its call is queued."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    line = "set -o pipefail; (sleep 0.2; sbatch -o /dev/null --wrap=true; echo $? >status) | true"
    person.run("bash", "-c", line, env=env)
    assert (person.home / "status").read_text() == "141\n"
    assert person.flush("--local", "--dry-run").out.startswith(b"1 call ")


def test_a_deleted_folder(person: Person) -> None:
    """The real sbatch judges a call from there; a flush does not mind."""
    person.queue("-o", "/dev/null", f"--wrap=touch {person.home}/ran")
    line = f"mkdir gone; cd gone; rmdir ../gone; {person.prefix}/bin/sarray-flush --local"
    done = person.run("bash", "-c", line, env=person.environment(SARRAY_SESSION="test"))
    assert done.status == 0, done.err
    assert (person.home / "ran").exists()
