"""Full disks, damaged files, other users: what cannot be kept goes to the real sbatch, and nothing is lost or shown."""

from __future__ import annotations

import ast
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.faults import spawn, wait_for
from support.person import SYSTEM_PATH, USER, Person, Result

from sbatch_shim.errors import SpoolError
from sbatch_shim.setup import install
from sbatch_shim.softlock import acquire
from sbatch_shim.spool import QUEUE_HEAD, Session
from sbatch_shim.state.calls import look

needs_root = pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="needs root and a test user")
OTHER = "nobody"


def recorder(person: Person) -> str:
    """A PATH with an sbatch that writes its words down."""
    folder = person.home / "site"
    folder.mkdir(exist_ok=True)
    (folder / "sbatch").write_text(f'#!/bin/sh\necho "$@" >>{person.home}/direct\necho Submitted batch job 7\n')
    # Beside it, so that nobody asks the Slurm of this machine, which may have no controller.
    (folder / "scontrol").write_text("#!/bin/sh\necho 'MaxArraySize = 1001'\n")
    for name in ("sbatch", "scontrol"):
        (folder / name).chmod(0o755)
    (person.home / "direct").write_text("")
    person.own(person.home / "direct")
    return f"{person.prefix}/shims:{folder}:{SYSTEM_PATH}"


def direct(person: Person) -> list[str]:
    return (person.home / "direct").read_text().splitlines()


def fell_through(done: Result) -> bool:
    """The real sbatch ran, and one line says why."""
    lines = done.err.splitlines()
    return (
        done.status == 0
        and done.out == b"Submitted batch job 7\n"
        and len(lines) == 1
        and lines[0].startswith(b"sbatch: error: not queued, submitting directly: ")
    )


def held(person: Person, state: str = "state") -> tuple[list[int], list[str]]:
    calls, problems = look(Session(os.fsencode(person.home / state), b"test"))
    return [call.ticket for call in calls], problems


@pytest.fixture
def small(person: Person) -> Iterator[Path]:
    """A file system of 256 KB for the state folder."""
    folder = person.home / "small"
    folder.mkdir()
    entry = pwd.getpwnam(USER)
    options = f"size=256k,uid={entry.pw_uid},gid={entry.pw_gid},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    yield folder / "state"
    subprocess.run(["umount", "-l", str(folder)], check=True)


@needs_root
def test_a_full_disk_sends_calls_to_the_real_sbatch(person: Person, small: Path) -> None:
    """What was queued before stays, and what is queued once there is room again goes on from it."""
    path = recorder(person)
    more = {"PATH": path, "SARRAY_STATE_DIR": str(small)}
    told = []
    for number in range(100):
        # Bodies that differ: each is a blob of its own.
        done = person.queue("--parsable", "--wrap=" + f"true {number}" + " " * 20000, **more)
        if direct(person):
            break
        told.append(int(done.out))
    assert fell_through(done)
    assert b"No space left on device" in done.err
    assert len(told) > 3
    assert held(person, "small/state") == (told, [])
    for blob in (small / "sessions/test/blobs").iterdir():
        if "." in blob.name:
            blob.unlink()
    filler = next((small / "sessions/test/blobs").iterdir())
    subprocess.run(["mount", "-o", "remount,size=1m", str(small.parent)], check=True)
    assert filler.exists()
    told.append(int(person.queue("--parsable", "--wrap=true", **more).out))
    assert held(person, "small/state") == (told, [])


def faulty(person: Person, *faults: str, file: str) -> list[str]:
    """Words in front of a command: these calls fail, on this file of the session."""
    words = ["strace", "-qq", "-o", str(person.home / "trace"), "-P", str(person.home / "state/sessions/test" / file)]
    return [*words, "-e", "trace=" + ",".join(fault.partition(":")[0] for fault in faults)] + [
        word for fault in faults for word in ("-e", "inject=" + fault)
    ]


@pytest.mark.parametrize("file", ["queue", "lock"])
def test_an_error_after_the_record_is_on_disk_submits_nothing(person: Person, file: str) -> None:
    """close(2) may fail, on NFS for instance: the call is queued by then, and must not be the real sbatch's as well."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=recorder(person))
    assert person.run("sbatch", "--wrap=true", env=env).status == 0
    done = person.run(*faulty(person, "close:error=EIO", file=file), "sbatch", "--parsable", "--wrap=true", env=env)
    assert b"INJECTED" in (person.home / "trace").read_bytes()
    assert (done.status, done.err) == (0, b"")
    assert held(person)[0][1:] == [int(done.out)]
    assert direct(person) == []


def test_a_disk_that_can_no_longer_be_written_when_a_record_failed(person: Person) -> None:
    """As when the kernel makes it read-only: the record may be there, so the call is not submitted as well."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=recorder(person))
    assert person.run("sbatch", "--wrap=true", env=env).status == 0
    trace = faulty(person, "fdatasync:error=EIO", "ftruncate:error=EROFS", file="queue")
    done = person.run(*trace, "sbatch", "--wrap=true", env=env)
    assert (done.status, done.out) == (1, b"")
    assert done.err.count(b"\n") == 1
    assert b"not submitted" in done.err and str(person.home / "state/sessions/test/queue").encode() in done.err
    assert direct(person) == []


@pytest.mark.parametrize("words", ["", "--wait ", "--dependency=singleton --test-only "])
@pytest.mark.parametrize("body", ["no script", "#!/bin/sh\n#SBATCH --wait\ntrue"])
@pytest.mark.parametrize(
    "what", ["<(printf '{}')", "/dev/fd/9 9< <(printf '{}')", "fifo", "/dev/stdin < <(printf '{}')"]
)
def test_a_script_in_a_pipe_that_is_handed_over(person: Person, what: str, body: str, words: str) -> None:
    """Who reads a pipe takes away what is in it; the real sbatch must find it there all the same."""
    folder = person.home / "site"
    folder.mkdir()
    (folder / "sbatch").write_text('#!/bin/bash\ncat "${@: -1}"\n')
    (folder / "sbatch").chmod(0o755)
    what = what.format(body)
    env = person.environment(
        SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=f"{person.prefix}/shims:{folder}:{SYSTEM_PATH}"
    )
    make = f"mkfifo fifo; printf '{body}' >fifo & " if what == "fifo" else ""
    done = person.run("bash", "-c", f"{make}sbatch {words}{what}", env=env, timeout=300)
    assert (done.status, done.out.decode(), done.err) == (0, body, b"")


@needs_root
@pytest.mark.parametrize("what", ["<(printf '{}')", "<<<'{}'"])
def test_a_script_in_a_pipe_is_handed_over_where_the_groups_differ(person: Person, scratch: Path, what: str) -> None:
    """As in a program with the set-group-id bit: that is noticed when the script has been read."""
    folder = person.home / "site"
    folder.mkdir()
    (folder / "sbatch").write_text('#!/bin/bash\ncat "${1:--}"\n')
    (folder / "sbatch").chmod(0o755)
    body = "#!/bin/sh\ntrue"
    state = scratch / f"state-of-root-{os.urandom(4).hex()}"
    env = person.environment(
        SARRAY_MODE="queue",
        SARRAY_SESSION="test",
        SARRAY_STATE_DIR=str(state),
        PATH=f"{person.prefix}/shims:{folder}:{SYSTEM_PATH}",
    )
    words = "setpriv --rgid 65534 --keep-groups sbatch"
    done = subprocess.run(
        ["bash", "-c", f"{words} {what.format(body)}"], env=env, cwd=person.home, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout.decode().rstrip("\n"), done.stderr) == (0, body, b"")
    assert "a real group other than the effective one" in (state / "sessions/test/passed").read_text()


ODD_ENVIRONMENT = """\
import ctypes, os, sys
def array(words):
    return (ctypes.c_char_p * (len(words) + 1))(*words, None)
entries = [name + b"=" + value for name, value in os.environb.items()]
odd = [b"=x=y", b"TWICE=1", b"TWICE=2", b"NONE", b"a blank=1", b"\\xff=\\xfe", b"LARGE=" + b"x" * 131000]
words = [os.fsencode(word) for word in sys.argv[1:]]
ctypes.CDLL(None).execve(words[0], array(words), array(entries + odd))
"""


def test_an_environment_that_is_no_list_of_names_and_values(person: Person) -> None:
    """The real sbatch gets it as it is, but for our own variables."""
    folder = person.home / "site"
    folder.mkdir()
    (folder / "sbatch").write_text("#!/usr/bin/python3 -I\nprint(open('/proc/self/environ', 'rb').read())\n")
    (folder / "sbatch").chmod(0o755)
    (person.home / "odd.py").write_text(ODD_ENVIRONMENT)
    env = person.environment(
        SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=f"{person.prefix}/shims:{folder}:{SYSTEM_PATH}"
    )
    found = []
    for command in (person.prefix / "shims/sbatch", folder / "sbatch"):
        done = person.run("python3", "-I", str(person.home / "odd.py"), str(command), "--wrap=true", env=env)
        assert (done.status, done.err) == (0, b"")
        entries = ast.literal_eval(done.out.decode()).split(b"\0")
        found.append([entry for entry in entries if not entry.startswith(b"SARRAY_")])
    assert found[0] == found[1]
    assert len(found[0]) > 10


def test_a_script_in_a_pipe_is_queued(person: Person) -> None:
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=recorder(person))
    done = person.run("bash", "-c", "sbatch --parsable <(printf '#!/bin/sh\ntrue\n')", env=env)
    (call,), _ = look(Session(os.fsencode(person.home / "state"), b"test"))
    assert (done.status, int(done.out), call.body()) == (0, call.ticket, b"#!/bin/sh\ntrue\n")


@needs_root
def test_a_state_folder_that_cannot_be_written(person: Person) -> None:
    path = recorder(person)
    person.queue("--wrap=true", PATH=path)
    for folder in [person.home / "state", *(person.home / "state").rglob("*")]:
        if folder.is_dir():
            folder.chmod(0o500)
    assert fell_through(person.queue("--wrap=echo new", PATH=path))
    # What is handed over anyway does not mind either.
    done = person.queue("--test-only", "--wrap=true", PATH=path)
    assert (done.status, done.out, done.err) == (0, b"Submitted batch job 7\n", b"")
    assert len(direct(person)) == 2
    assert len(held(person)[0]) == 1


@needs_root
def test_a_file_in_the_place_of_the_state_folder(person: Person) -> None:
    path = recorder(person)
    (person.home / "file").write_text("")
    person.own(person.home / "file")
    for state in ("file", "file/below"):
        assert fell_through(person.queue("--wrap=true", PATH=path, SARRAY_STATE_DIR=str(person.home / state)))


@pytest.mark.parametrize("error", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_a_file_system_without_flock(person: Person, error: str) -> None:
    """A file that exists while it is held stands in for it, on both sides."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test")
    trace = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", f"inject=flock:error={error}"]
    for _ in range(2):
        done = person.run(*trace, "sbatch", "-o", "/dev/null", f"--wrap=echo x >>{person.home}/ran", env=env)
        assert (done.status, done.err) == (0, b"")
    done = person.run(*trace, str(person.prefix / "bin/sarray-flush"), "--local", env=env)
    assert done.status == 0, done.err
    assert (person.home / "ran").read_text() == "x\nx\n"
    assert list((person.home / "state").rglob("*.soft")) == []


def test_a_lock_file_that_was_left_behind_is_named(person: Person, tmp_path: Path) -> None:
    """It does not stop sbatch for ever."""
    (tmp_path / "lock.soft").write_text("")
    with pytest.raises(SpoolError, match=f"{tmp_path}/lock.soft has been held"):
        acquire(os.fsencode(tmp_path / "lock"), seconds=0.1)


def test_a_state_folder_that_is_gone(person: Person) -> None:
    person.queue("--wrap=true")
    shutil.rmtree(person.home / "state")
    assert b"nothing is queued" in person.flush("--local").err
    assert person.queue("--parsable", "--wrap=true").out
    assert len(held(person)[0]) == 1


def damage(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def queue_echo(person: Person, word: str, **more: str) -> int:
    """Queue a call that adds a line to `ran`; its ticket."""
    return int(person.queue("--parsable", "-o", "/dev/null", f"--wrap=echo {word} >>{person.home}/ran", **more).out)


def test_a_missing_or_damaged_blob_sets_its_calls_aside(person: Person) -> None:
    """They are named, the rest goes on, and they are there again once the blob is."""
    tickets = [queue_echo(person, word) for word in "abc"]
    blobs = {blob.read_bytes(): blob for blob in (person.home / "state/sessions/test/blobs").iterdir()}
    first, second = (next(blobs[data] for data in blobs if b"echo %s >>" % word in data) for word in (b"a", b"b"))
    saved = first.read_bytes()
    first.unlink()
    damage(second, b"echo b", b"echo X")
    done = person.flush("--local")
    assert done.status == 1
    assert f"the record of {tickets[0]} cannot be read".encode() in done.err
    assert f"the record of {tickets[1]} cannot be read".encode() in done.err
    assert b"Traceback" not in done.err
    assert (person.home / "ran").read_text() == "c\n"
    first.write_bytes(saved)
    damage(second, b"echo X", b"echo b")
    person.own(first)
    assert person.flush("--local").status == 0
    assert sorted((person.home / "ran").read_text().split()) == ["a", "b", "c"]


def test_a_torn_record_is_cut_off_and_a_damaged_one_is_named(person: Person) -> None:
    queue_echo(person, "1")
    queue = person.home / "state/sessions/test/queue"
    queue.write_bytes(queue.read_bytes() + b"call 9999999999 0000001000\ntorn")
    told = queue_echo(person, "2")
    assert held(person)[1] == []
    queue_echo(person, "3")
    damage(queue, b"end %d" % told, b"end X%09d" % (told % 10**9))
    done = person.flush("--local")
    assert done.status == 1
    assert b"is damaged from byte" in done.err
    assert sorted((person.home / "ran").read_text().split()) == ["1", "3"]
    (claimed,) = (person.home / "state/sessions/test/flushes").glob("*/claimed")
    assert b"end X" in claimed.read_bytes()


def test_a_queue_without_a_readable_end_is_set_aside_by_the_flush(person: Person) -> None:
    """Until then calls go to the real sbatch: whole records stand behind the damage, so nothing may be cut off."""
    path = recorder(person)
    told = [queue_echo(person, word, PATH=path) for word in "1234"]
    queue = person.home / "state/sessions/test/queue"
    damage(queue, b"end %d" % told[1], b"end X%09d" % (told[1] % 10**9))
    damage(queue, b"end %d" % told[3], b"end X%09d" % (told[3] % 10**9))
    before = queue.read_bytes()
    assert fell_through(person.queue("--wrap=true", PATH=path))
    assert queue.read_bytes() == before
    done = person.flush("--local")
    assert done.status == 1
    assert done.err.count(b"is damaged from byte") == 2
    assert sorted((person.home / "ran").read_text().split()) == ["1", "3"]
    assert int(person.queue("--parsable", "--wrap=true", PATH=path).out) not in told


def test_a_queue_of_a_newer_version_is_named_and_left_alone(person: Person) -> None:
    person.queue("-o", "/dev/null", "--wrap=true")
    queue = person.home / "state/sessions/test/queue"
    damage(queue, QUEUE_HEAD, b"sarray-queue 2\n")
    before = queue.read_bytes()
    done = person.flush("--local")
    assert done.status == 1
    assert b"is not a queue of this version" in done.err
    found = [path for path in (person.home / "state/sessions/test").rglob("*") if path.is_file()]
    assert any(path.read_bytes() == before for path in found)


def test_a_newer_state_folder_is_refused(person: Person) -> None:
    path = recorder(person)
    person.queue("--wrap=true", PATH=path)
    (person.home / "state/format").write_text("2\n")
    done = person.queue("--wrap=true", PATH=path)
    assert fell_through(done)
    assert b"was written by another version of sbatch-shim" in done.err
    done = person.flush("--local")
    assert (done.status, done.out) == (1, b"")
    assert done.err.count(b"\n") == 1
    assert b"was written by another version of sbatch-shim" in done.err
    assert (person.home / "state/format").read_text() == "2\n"
    # Whoever looks at other jobs still sees them; a ticket cannot be looked up.
    (person.home / "site/squeue").write_text('#!/bin/sh\necho "the real one:" "$@"\n')
    (person.home / "site/squeue").chmod(0o755)
    for words, expected in ((["--me"], (0, b"the real one: --me\n")), (["-j", "2042021000"], (1, b""))):
        done = person.run("squeue", *words, env=person.environment(PATH=path))
        assert (done.status, done.out) == expected
        assert b"was written by another version of sbatch-shim" in done.err


@pytest.mark.parametrize("assume", ["lost", "submitted"])
def test_a_damaged_journal_is_set_aside(person: Person, assume: str) -> None:
    """What it hides may be submitted: those calls wait for the user's word, the others go on."""
    hidden = person.home / "hidden"
    person.queue("-o", "/dev/null", f"--wrap=echo ran >>{hidden}")
    person.queue("-o", "/dev/null", "--time=7", f"--wrap=echo ran >>{person.home}/known")
    person.flush("--local")
    (journal,) = (person.home / "state/sessions/test/flushes").glob("*/journal")
    (journal.parent / "done").unlink()
    events = journal.read_text().splitlines()
    assert {json.loads(line)["array"] for line in events} == {1, 2}
    damaged = [line if json.loads(line)["array"] == 2 else "rubbish" for line in events]
    journal.write_text("\n".join([*damaged, '{"event":"torn']))
    person.queue("-o", "/dev/null", f"--wrap=touch {person.home}/other")
    for _ in range(2):
        done = person.flush("--local")
        assert done.status == 1
        assert b"line 1 is damaged" in done.err and b"--assume" in done.err
        assert b"known what became of 1 call" in done.err
    assert (person.home / "other").exists()
    assert (hidden.read_text(), (person.home / "known").read_text()) == ("ran\n", "ran\n")
    assert (journal.parent / "journal.damaged-1").read_text().startswith("rubbish\n")
    assert person.flush("--local", f"--assume={assume}").status == 0
    assert person.flush("--local").status == 0
    assert hidden.read_text() == ("ran\nran\n" if assume == "lost" else "ran\n")


# Where, what is written there (None: a folder is made), and whether calls are in doubt by that.
ODD = {
    "a queue of zeros": ("sessions/test/queue", bytes(500), True),
    "an empty queue": ("sessions/test/queue", b"", True),
    "a folder for a queue": ("sessions/test/queue", None, True),
    "rubbish in what was dropped": ("sessions/test/dropped", b"one two three\n", True),
    "zeros in what was dropped": ("sessions/test/dropped", bytes(20) + b"\n", True),
    "a folder for a journal": ("sessions/test/flushes/20260101-000000-000/journal", None, True),
    "a file among the sessions": ("sessions/README", b"mine\n", False),
    "a file among the flushes": ("sessions/test/flushes/.nfs000001", b"x", False),
    "a folder among the flushes": ("sessions/test/flushes/lost+found/x", None, False),
}


@pytest.mark.parametrize("name", ODD)
def test_something_odd_in_one_session_does_not_stop_the_others(person: Person, name: str) -> None:
    """It is named where calls are in doubt, and whoever looks at other jobs sees them."""
    place, data, doubtful = ODD[name]
    path = recorder(person)
    (person.home / "site/squeue").write_text('#!/bin/sh\necho "the real one"\n')
    (person.home / "site/squeue").chmod(0o755)
    person.queue("-o", "/dev/null", f"--wrap=echo test >>{person.home}/ran", PATH=path)
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="z", PATH=path)
    line = f"echo other >>{person.home}/ran"
    assert person.run("sbatch", "-o", "/dev/null", f"--wrap={line}", env=env).status == 0
    odd = person.home / "state" / place
    odd.parent.mkdir(parents=True, exist_ok=True)
    odd.unlink(missing_ok=True)
    odd.mkdir() if data is None else odd.write_bytes(data)
    person.own(person.home / "state")
    listed = person.run("squeue", "-h", env=env)
    assert listed.status == 0 and b"Traceback" not in listed.err
    done = person.flush("--all", "--local")
    assert b"Traceback" not in done.err
    assert (person.home / "ran").read_text().split() == (["other"] if doubtful else ["test", "other"])
    assert (done.status, os.fsencode(odd.name) in done.err) == ((1, True) if doubtful else (0, False))


@needs_root
@pytest.mark.parametrize("mask", ["000", "777", "022"])
def test_all_that_is_kept_is_private(person: Person, mask: str) -> None:
    """Folders 0700, files 0600, whatever the umask; the copies of the scripts too."""
    (person.home / "script").write_text("#!/bin/sh\nexit 0\n")
    path = recorder(person)
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", TOKEN="secret", PATH=path)
    line = (
        f"umask {mask}; sbatch -o x.log script && sbatch -o y.log script a && sbatch --test-only script && "
        f"{person.prefix}/bin/sarray-flush --local --output=copies"
    )
    done = person.run("bash", "-c", line, env=env)
    assert done.status == 0, done.err
    for top in ("state", "copies"):
        found = [person.home / top, *(person.home / top).rglob("*")]
        assert len(found) > 1
        for path_found in found:
            mode = path_found.lstat().st_mode
            if not stat.S_ISLNK(mode):
                assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), path_found
    other = pwd.getpwnam(OTHER)
    done = Result(*run_as(other, "find", str(person.home / "state"), "-type", "f"))
    assert done.out == b""


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("sbatch -o /dev/null --wrap=true", {"SARRAY_MODE": "queue"}),
        ("sbatch --test-only --wrap=true", {"SECONDS": "5"}),  # a name that no shell hands on as it is
        ("sbatch -o /dev/null --wrap=true; squeue --me", {"SARRAY_MODE": "queue"}),
        ("sbatch -o /dev/null --wrap=true; sarray-flush --local", {"SARRAY_MODE": "queue"}),
        (
            "sbatch -o /dev/null --wrap=true; sarray-flush --local; bash $SARRAY_STATE_DIR/*/*/*/*/arrays/1/script",
            {"SARRAY_MODE": "queue"},
        ),
    ],
)
def test_no_process_has_a_secret_among_its_words(person: Person, command: str, more: dict[str, str]) -> None:
    """Everybody may read the words of a process (/proc/*/cmdline), and nobody else its environment."""
    path = f"{person.prefix}/shims:{person.prefix}/bin:" + recorder(person).split(":", 1)[1]
    squeue = person.home / "site" / "squeue"  # no Slurm client may be installed
    squeue.write_text("#!/bin/sh\n")
    squeue.chmod(0o755)
    env = person.environment(SARRAY_SESSION="test", PATH=path, TOKEN="secret-of-mine", **more)
    log = person.home / "trace"
    trace = ["strace", "-f", "-qq", "-e", "trace=execve", "-s", "100000", "-o", str(log)]
    done = person.run(*trace, "bash", "-c", command, env=env)
    assert done.status == 0, done.err
    assert b"/bin/python" in log.read_bytes()
    assert b"secret-of-mine" not in log.read_bytes()


# Looks at the words of all processes until its stdin ends; prints those with a secret, and how many were dispatchers'.
WATCHER = r"""
import glob, select, sys
found, dispatchers = set(), 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as stream:
                words = stream.read()
        except OSError:
            continue
        if b"secret" + b"-of-mine" in words:
            found.add(words)
        dispatchers += words.startswith(b"/usr/bin/env\0-S-u _ ")
print((dispatchers, sorted(found)))
"""


@needs_root
@pytest.mark.slurm
def test_another_user_sees_no_value_while_a_thousand_tasks_start(person: Person) -> None:
    names = ("MAIL_PASSWORD", "COMP_TOKEN", "a.token", "with blank", "LC_SECRET", "HISTFILE", "BASH_FUNC_f%%", "PLAIN")
    for number in range(10):
        secrets = dict.fromkeys(names, f"() {{ secret-of-mine {number}; }}")
        made = person.home / f"secret-of-mine-{number}"
        done = person.queue("-o", "/dev/null", "-a", "0-99", "--wrap=:", TMPDIR=str(made), **secrets)
        assert done.status == 0, done.err
    other = pwd.getpwnam(OTHER)
    watcher = subprocess.Popen(
        ["/usr/bin/python3", "-c", WATCHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        user=other.pw_uid,
        group=other.pw_gid,
        extra_groups=[],
    )
    try:
        done = person.flush()
        assert done.status == 0, done.err
        assert len(done.out.splitlines()) == 1
        person.settle(300)
    finally:
        out, _ = watcher.communicate(b"end")
    dispatchers, found = ast.literal_eval(out.decode())
    assert found == []
    assert dispatchers > 0


def run_as(entry: pwd.struct_passwd, *words: str, env: dict[str, str] | None = None) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        words,
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=[],
        env=env,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@needs_root
@pytest.mark.parametrize("kind", ["folder", "link", "link to mine", "world-writable", "/tmp"])
def test_a_state_folder_that_somebody_else_could_have_made(person: Person, kind: str) -> None:
    path = recorder(person)
    shared = person.home / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    trap = shared / "sarray"
    other = pwd.getpwnam(OTHER)
    if kind == "folder":
        assert run_as(other, "mkdir", str(trap))[0] == 0
        run_as(other, "chmod", "777", str(trap))
    elif kind == "link":
        run_as(other, "mkdir", "-m", "777", str(shared / "real"))
        run_as(other, "ln", "-s", str(shared / "real"), str(trap))
    elif kind == "link to mine":
        mine = person.home / "mine"
        mine.mkdir(0o700)
        person.own(mine)
        run_as(other, "ln", "-s", str(mine), str(trap))
    elif kind == "world-writable":
        trap.mkdir()
        trap.chmod(0o777)
        person.own(trap)
    else:
        trap = Path("/tmp")
    done = person.queue("--wrap=true", PATH=path, SARRAY_STATE_DIR=str(trap))
    assert fell_through(done)
    assert b"is not a folder that only you can write" in done.err
    if kind != "/tmp":
        assert list(trap.iterdir()) == []
    done = person.flush(SARRAY_STATE_DIR=str(trap))
    assert done.status == 1
    assert b"is not a folder that only you can write" in done.err


def test_a_state_folder_behind_a_link_of_ones_own(person: Person) -> None:
    """For want of room in the home, say."""
    (person.home / "elsewhere").mkdir(0o700)
    (person.home / "state").symlink_to("elsewhere")
    for name in ("elsewhere", "state"):
        person.own(person.home / name)
    ticket = person.queue("--parsable", "-o", "ran.%j", "--wrap=echo ran")
    assert (ticket.status, ticket.err) == (0, b"")
    assert (person.home / "elsewhere/sessions/test/queue").exists()
    done = person.flush("--local")
    assert done.status == 0, done.err
    assert (person.home / f"ran.{int(ticket.out)}").read_text() == "ran\n"


@needs_root
def test_copies_of_scripts_do_not_follow_planted_links(person: Person) -> None:
    """In a folder that others write to, a name that can be guessed."""
    shared = person.home / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    victim = person.home / "victim"
    victim.write_text("mine\n")
    person.own(victim)
    person.queue("-o", "/dev/null", "--wrap=true")
    other = pwd.getpwnam(OTHER)
    plant = """
import os, sys, time
for second in range(120):
    name = time.strftime("/%Y%m%d-%H%M%S-000-test-0001.sh", time.localtime(time.time() + second))
    os.symlink(sys.argv[1], sys.argv[2] + name)
"""
    assert run_as(other, "/usr/bin/python3", "-c", plant, str(victim), str(shared))[0] == 0
    done = person.flush("--local", "--output", str(shared))
    assert victim.read_text() == "mine\n"
    assert b"Traceback" not in done.err
    assert done.status == 1
    assert b"Operation not permitted" in done.err
    assert person.flush("--local").status == 0


# What becomes of stderr: a disk that is full, closed, or a pipe whose reader has gone (SIGPIPE ignored, as by Python).
DEAF = {
    "full": "exec 2>/dev/full",
    "full, both": "exec >/dev/full 2>&1",
    "closed": "exec 2>&-",
    "all closed": "exec <&- >&- 2>&-",
    "no reader": "trap '' PIPE; exec 2> >(:); wait $!",
}


def deaf(person: Person, how: str, command: str, **more: str) -> Result:
    """Run a command so; what stands for sbatch must not mind its own stdout."""
    site = person.home / "site/sbatch"
    site.write_text(site.read_text().replace("echo Submitted batch job 7\n", "echo Submitted batch job 7 2>&-; true\n"))
    env = person.environment(SARRAY_SESSION="test", **more)
    return person.run("bash", "-c", f"{DEAF[how]}; {command}", env=env)


@pytest.mark.parametrize("how", DEAF)
@pytest.mark.parametrize("words", ["--wrap=true", "--wait --wrap=true"])
def test_a_call_is_submitted_though_nobody_hears_why(person: Person, how: str, words: str) -> None:
    path = recorder(person)
    (person.home / "file").write_text("")
    person.own(person.home / "file")
    done = deaf(person, how, f"sbatch {words}", SARRAY_MODE="queue", PATH=path, SARRAY_STATE_DIR=f"{person.home}/file")
    assert direct(person) == [words]
    assert done.status == 0


@pytest.mark.parametrize("how", DEAF)
def test_words_on_stderr_never_end_up_in_a_file_of_ours(person: Person, how: str) -> None:
    """Which is opened in the place of a stream that the caller has closed."""
    path = recorder(person)
    queue_echo(person, "1", PATH=path)
    faults = ["fdatasync:error=EIO", "fdatasync:error=EIO"]
    trace = faulty(person, faults[0], file="queue")
    command = " ".join([*trace, "sbatch", "--wrap=true"])
    assert deaf(person, how, command, SARRAY_MODE="queue", PATH=path).status == 0
    assert deaf(person, how, "sbatch --parsable --wrap=true", SARRAY_MODE="queue", PATH=path).status == 0
    assert direct(person) == ["--wrap=true"]
    (person.home / "state/sessions/test/flushes").chmod(0o500)
    deaf(person, how, "sarray-flush")
    deaf(person, how, "sarray status; squeue -j 2000000000; scancel 2000000000")
    (person.home / "state/sessions/test/flushes").chmod(0o700)
    for file in (person.home / "state").rglob("*"):
        # A link to nothing has the name of a cluster.
        assert not file.is_file() or not any(
            word in file.read_bytes() for word in (b"error", b"Submitted", b"TICKET")
        ), file
    assert len(held(person)[0]) == 2


@pytest.mark.parametrize("how", DEAF)
def test_a_call_behind_tickets_is_submitted_though_nobody_hears_sbatch(person: Person, how: str) -> None:
    path = recorder(person)
    ticket = queue_echo(person, "1", PATH=path)
    site = person.home / "site/sbatch"
    warns = 'case "$*" in *parsable*) echo a warning >&2; esac; echo 7; true'
    site.write_text(site.read_text().replace("echo Submitted batch job 7", warns))
    done = deaf(person, how, f"sbatch -d afterok:{ticket} --wrap=true", PATH=path)
    assert done.status == 0
    assert "--dependency=afterok:7" in direct(person)[-1]


@pytest.mark.parametrize("how", DEAF)
@pytest.mark.parametrize("command", ["sbatch", "squeue"])
def test_a_package_that_is_gone_stops_nothing_though_nobody_hears_it(person: Person, how: str, command: str) -> None:
    recorder(person)
    code = install.start_code(command, "/nowhere")
    burst = [""] if command == "sbatch" else []  # the launcher's word for a call of a burst
    real = f"{person.home}/site/sbatch"
    words = shlex.join([code, "/proc/self/environ", "", "", "/state", real, *burst, "--wrap=true"])
    assert deaf(person, how, f"/usr/bin/python3 -I -S -c {words}").status == 0
    assert direct(person) == ["--wrap=true"]


def test_ids_are_told_though_the_reader_of_stderr_has_gone(person: Person) -> None:
    path = recorder(person)
    for number in range(40):
        queue_echo(person, "1", PATH=path, SBATCH_PARTITION=f"p{number}")
    site = person.home / "site/sbatch"
    site.write_text(site.read_text().replace("echo Submitted batch job 7", "echo 7"))
    done = deaf(person, "no reader", "sarray-flush --parsable", PATH=path)
    assert (done.status, done.out.split()) == (0, [b"7"] * 40)


RELATIVE = ["state", "./state", "~/state", "..", " ", "~"]


@pytest.mark.parametrize("state", RELATIVE)
def test_a_relative_state_folder_is_an_error_everywhere(person: Person, state: str) -> None:
    """It would be another one for each working folder: the same ticket twice, and calls that no flush finds."""
    more = {"PATH": recorder(person), "SARRAY_STATE_DIR": state}
    more["PATH"] = f"{person.prefix}/bin:{more['PATH']}"
    for name in ("squeue", "scancel", "sacct", "scontrol"):
        shutil.copy(person.home / "site/sbatch", person.home / f"site/{name}")
    told = b"SARRAY_STATE_DIR must be an absolute path, which %s is not" % state.encode()
    before = sorted(person.home.rglob("*"))
    done = person.queue("--wrap=true", **more)
    assert (done.status, done.out, done.err) == (1, b"", b"sbatch: error: %s; nothing was submitted\n" % told)
    env = person.environment(**more)
    for words in (
        ["sarray-flush"],
        ["sarray-flush", "--local", "--all"],
        ["sarray", "status"],
        ["sarray", "flush"],
        ["sarray", "cancel", "-y"],
        ["sarray", "listen"],
        ["sarray", "gc"],
        ["squeue", "--me"],
        ["scancel", "1"],
        ["sacct"],
        ["scontrol", "show", "job"],
        ["sbatch", "-d", "afterok:2000000001", "--wrap=true"],
    ):
        done = person.run(*words, env=env)
        assert (done.status, done.out) == (1, b""), words
        assert told in done.err and done.err.count(b"\n") == 1, words
    done = person.run("sarray", "doctor", env=env)
    assert done.status == 1
    assert b"! the state folder cannot be used: " + told in done.out
    assert direct(person) == ["--version", "show config"]  # of doctor
    assert sorted(person.home.rglob("*")) == before


@pytest.mark.parametrize("home", [".", "some\\home"])
def test_a_home_that_cannot_hold_a_state_folder(person: Person, home: str) -> None:
    """It is not our variable that is wrong: the call is submitted, and the reason said."""
    done = person.queue("--wrap=true", PATH=recorder(person), HOME=home, SARRAY_STATE_DIR="")
    assert fell_through(done)
    assert b"SARRAY_STATE_DIR" in done.err


@pytest.mark.parametrize("name", ["back\\slash", "line\nend", "\\", "a/b\\/c"])
def test_a_state_folder_that_no_flush_could_use_is_refused_at_the_call(person: Person, name: str) -> None:
    more = {"PATH": recorder(person), "SARRAY_STATE_DIR": f"{person.home}/{name}"}
    done = person.queue("--wrap=true", **more)
    assert (done.status, done.out, direct(person)) == (1, b"", [])
    assert b"no state folder can have a backslash or a line end in its path" in done.err
    assert done.err.count(b"\n") == 1
    done = person.flush(**more)
    assert done.status == 1 and done.err.count(b"\n") == 1
    assert not (person.home / name).exists()


PATHS = {
    "bytes that mean something to a shell or to Slurm": b"a b\t%j%A,:;'\"$`*?[x]{y}|&<>()#!~=+@^%%",
    "bytes that are no text": b" \xff\xfe\x01\x7f\r\x1b ",
    "long": b"/".join([b"d" * 250] * 14),
    "a slash at the end": b"state/",
    "slashes and dots": b"a//b/./../state/.",
    "a link": b"link/state",
}


@pytest.mark.slurm
@pytest.mark.parametrize("kind", PATHS)
def test_a_state_folder_of_an_odd_path(person: Person, kind: str) -> None:
    """Calls share an array, and their logs are where they belong; the companions know their tickets."""
    (person.home / "real").mkdir(0o700)
    (person.home / "link").symlink_to("real")
    person.own(person.home)
    state = os.fsdecode(os.fsencode(person.home) + b"/" + PATHS[kind])
    told = [person.queue("--parsable", f"--wrap=echo {n}", SARRAY_STATE_DIR=state) for n in range(2)]
    assert [(done.status, done.err) for done in told] == [(0, b"")] * 2
    tickets = [int(done.out) for done in told]
    env = person.environment(SARRAY_STATE_DIR=state)
    assert b" PD SarrayQueued" in person.run("squeue", "-h", "-j", str(tickets[1]), "-o", "%i %t %r", env=env).out
    done = person.flush(SARRAY_STATE_DIR=state)
    assert (done.status, done.out.count(b"\n")) == (0, 1), done.err
    person.settle()
    assert [(person.home / f"slurm-{ticket}.out").read_text() for ticket in tickets] == ["0\n", "1\n"]
    status = person.run("sarray", "status", str(tickets[0]), env=env)
    assert b"COMPLETED" in status.out, status.err


@needs_root
def test_a_slash_behind_the_link_of_somebody_else_hides_nothing(person: Person) -> None:
    shared = person.home / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    mine = person.home / "mine"
    mine.mkdir(0o700)
    person.own(mine)
    run_as(pwd.getpwnam(OTHER), "ln", "-s", str(mine), str(shared / "sarray"))
    for more in ("", "/", "//"):
        state = f"{shared}/sarray{more}"
        assert fell_through(person.queue("--wrap=true", PATH=recorder(person), SARRAY_STATE_DIR=state))
        assert list(mine.iterdir()) == []


IN_JOB = {
    "a login profile": ({"SARRAY_MODE": "queue", "SLURM_JOB_ID": "12"}, True),
    "an empty session": ({"SARRAY_MODE": "queue", "SLURM_JOB_ID": "12", "SARRAY_SESSION": ""}, True),
    "a session": ({"SARRAY_MODE": "queue", "SLURM_JOB_ID": "12", "SARRAY_SESSION": "test"}, False),
    "no job": ({"SARRAY_MODE": "queue", "SLURM_JOB_ID": ""}, False),
    "an environment for Python": ({"SARRAY_MODE": "queue", "SLURM_JOB_ID": "12", "OPTIND": "7"}, True),
}


@pytest.mark.parametrize("kind", IN_JOB)
@pytest.mark.parametrize("words", ["--wrap=true", "-J 1999999999 --wrap=true"])
def test_in_a_job_only_who_names_a_session_queues(person: Person, kind: str, words: str) -> None:
    """Nobody flushes on a node; SARRAY_MODE comes there with a login profile or a dumped environment."""
    more, submits = IN_JOB[kind]
    done = person.run("sbatch", *words.split(), env=person.environment(PATH=recorder(person), **more))
    assert (done.status, done.err) == (0, b"")
    assert direct(person) == ([words] if submits else [])
    assert (person.home / "state").exists() == (not submits)


def test_status_and_doctor_tell_that_a_job_does_not_queue(person: Person) -> None:
    env = person.environment(SARRAY_MODE="queue", SLURM_JOB_ID="12", PATH=f"{person.prefix}/bin:{recorder(person)}")
    told = b"in job 12 sbatch submits although SARRAY_MODE=queue; set SARRAY_SESSION too to queue there"
    assert told in person.run("sarray", "status", env=env).err
    assert told in person.run("sarray", "doctor", env=env).out
    env["SARRAY_SESSION"] = "x"
    assert told not in person.run("sarray", "status", env=env).err


@pytest.mark.slurm
def test_a_login_shell_in_a_merged_job_submits(person: Person) -> None:
    (person.home / ".bash_profile").write_text(
        f"export SARRAY_MODE=queue SARRAY_STATE_DIR={person.home}/state PATH={person.prefix}/shims:$PATH\n"
    )
    job = "#!/bin/bash -l\necho $SARRAY_MODE; sbatch --parsable -o inner.%j --wrap='echo inner'\n"
    (person.home / "job.sh").write_text(job)
    person.own(person.home)
    for number in range(2):
        assert person.queue("-o", f"outer.{number}", "job.sh").status == 0
    assert person.flush().status == 0
    person.settle()
    for number in range(2):
        mode, inner = (person.home / f"outer.{number}").read_text().split()
        assert (mode, (person.home / f"inner.{inner}").read_text()) == ("queue", "inner\n")


HOLD = "import fcntl, os, sys, signal, time; f = open(sys.argv[1], 'r+'); fcntl.flock(f, fcntl.LOCK_EX); "
HOLD_STOPPED = HOLD + "print(flush=True); os.kill(os.getpid(), signal.SIGSTOP)"


@pytest.fixture
def stopped(person: Person) -> Iterator[Callable[[str], int]]:
    """Holds a lock of the session (its file's name) in a process that was stopped; its id."""
    processes = []

    def hold(file: str) -> int:
        words = ["/usr/bin/python3", "-c", HOLD_STOPPED, str(person.home / "state/sessions/test" / file)]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline() == b"\n"
        processes.append(process)
        wait_for(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        return process.pid

    yield hold
    for process in processes:
        process.kill()
        process.communicate()


def test_a_stopped_holder_of_the_lock_does_not_hold_up_sbatch(person: Person, stopped: Callable[[str], int]) -> None:
    """Nothing is queued yet, so submitting cannot duplicate; the environment and the timers of sbatch are its own."""
    path = recorder(person)
    ticket = queue_echo(person, "1", PATH=path)
    pid = stopped("lock")
    done = person.queue("--wrap=true", PATH=path)
    assert fell_through(done)
    assert re.search(rb"sessions/test/lock has been held for \d+ s by process %d \(python3, stopped\)" % pid, done.err)
    assert direct(person) == ["--wrap=true"]
    # What waits for a ticket is not submitted with it.
    done = person.queue("-d", f"afterok:{ticket}", "--wrap=true", PATH=path)
    assert (done.status, done.out) == (1, b"")
    assert done.err.splitlines()[-1].startswith(b"sbatch: error: not submitted: ")
    assert direct(person) == ["--wrap=true"]
    assert len(held(person)[0]) == 1


def test_a_stopped_holder_of_the_lock_does_not_hold_up_squeue(person: Person, stopped: Callable[[str], int]) -> None:
    """Which would only tidy up; it does so another time."""
    path = recorder(person)
    queue_echo(person, "1", PATH=path)
    assert person.flush("--local").status == 0
    (person.home / "site/squeue").write_text("#!/bin/sh\nexit 0\n")
    (person.home / "site/squeue").chmod(0o755)
    live = person.home / "state/live/test"
    os.utime(live, (0, 0))
    pid = stopped("lock")
    done = person.run("squeue", env=person.environment(PATH=path), timeout=60)
    assert (done.status, done.err) == (0, b"")
    assert live.exists()
    os.kill(pid, signal.SIGKILL)
    os.utime(live, (0, 0))
    person.run("squeue", env=person.environment(PATH=path))
    assert not live.exists()


@pytest.mark.parametrize("file", ["lock", "flush.lock"])
def test_a_stopped_holder_ends_the_wait_of_a_flush(person: Person, stopped: Callable[[str], int], file: str) -> None:
    """And all others that need the lock; each names it, and what is queued stays."""
    path = f"{person.prefix}/bin:{recorder(person)}"
    ticket = queue_echo(person, "1", PATH=path)
    (person.home / "state/sessions/test/flush.lock").touch()
    person.own(person.home / "state")
    pid = stopped(file)
    env = person.environment(SARRAY_SESSION="test", PATH=path)
    commands = [["sarray-flush"], ["sarray", "flush"], ["sbatch", "-d", f"afterok:{ticket}", "--wrap=true"]]
    if file == "flush.lock":
        commands += [["sarray", "cancel", "-y"]]
    for words in commands:
        done = person.run(*words, env=env, timeout=60)
        assert (done.status, done.out) == (1, b""), done.err
        assert b"process %d (python3, stopped)" % pid in done.err, words
        assert b"Traceback" not in done.err
    with spawn(person, "sarray-flush", PATH=path) as process:
        waits = re.compile(rf"-> FLOCK  ADVISORY  WRITE {process.pid} ")
        wait_for(lambda: waits.search(Path("/proc/locks").read_text()) or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    assert direct(person) == []
    assert [call.ticket for call in look(Session(os.fsencode(person.home / "state"), b"test"))[0]] == [ticket]
    os.kill(pid, signal.SIGKILL)
    assert person.flush("--local").status == 0
    assert (person.home / "ran").read_text() == "1\n"


@needs_root
@pytest.mark.parametrize("where", ["home", "XDG_STATE_HOME", "SARRAY_STATE_DIR", "half of it"])
def test_root_makes_nothing_in_the_home_of_a_user(person: Person, where: str) -> None:
    """su and sudo -E keep HOME: ~/.local of the user would be root's."""
    entry = pwd.getpwnam(USER)
    env = person.environment(SARRAY_MODE="queue", PATH=f"{person.prefix}/bin:{recorder(person)}")
    del env["SARRAY_STATE_DIR"]
    if where == "half of it":
        os.makedirs(person.home / ".local/state")
        person.own(person.home / ".local")
    elif where != "home":
        env[where] = str(person.home / "a/b")
    before = {path: path.stat().st_uid for path in person.home.rglob("*")}
    done = subprocess.run(["sbatch", "--wrap=true"], env=env, cwd="/", capture_output=True, check=False)
    assert fell_through(Result(done.returncode, done.stdout, done.stderr))
    assert b"belongs to another user (%d)" % entry.pw_uid in done.stderr
    for words in (["sarray-flush"], ["sarray", "status"]):
        done = subprocess.run(words, env=env, cwd="/", capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"belongs to another user" in done.stderr and done.stderr.count(b"\n") == 1
    subprocess.run(["squeue"], env=env, cwd="/", capture_output=True, check=False)
    assert {path: path.stat().st_uid for path in person.home.rglob("*")} == before
    # The user's own calls go on as before.
    assert person.run("sbatch", "--parsable", "--wrap=true", env=env).err == b""


@needs_root
def test_root_changes_nothing_in_the_state_folder_of_a_user(person: Person) -> None:
    """Least of all does it submit as root what the user has queued."""
    path = f"{person.prefix}/bin:{recorder(person)}"
    ticket = queue_echo(person, "1", PATH=path)
    shutil.copy(person.home / "site/sbatch", person.home / "site/squeue")
    shutil.copy(person.home / "site/sbatch", person.home / "site/scancel")
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=path)

    def all_of_it() -> dict[Path, tuple[object, ...]]:
        found = {}
        for one in [person.home / "state", *(person.home / "state").rglob("*")]:
            info = one.lstat()
            found[one] = (info.st_uid, info.st_mode, info.st_mtime_ns, info.st_ctime_ns, info.st_size)
        return found

    before = all_of_it()
    for words in (
        ["sbatch", "--wrap=true"],
        ["sbatch", "-d", f"afterok:{ticket}", "--wrap=true"],
        ["env", "SARRAY_MODE=", "sbatch", "-d", f"afterok:{ticket}", "--wrap=true"],
        ["squeue"],
        ["squeue", "-j", str(ticket)],
        ["scancel", str(ticket)],
        ["sarray", "status"],
        ["sarray", "cancel", "-y"],
        ["sarray", "gc"],
        ["sarray", "doctor"],
        ["sarray-flush"],
        ["sarray-flush", "--local"],
    ):
        done = subprocess.run(words, env=env, cwd="/", capture_output=True, check=False)
        assert b"is not a folder that only you can write" in done.stderr + done.stdout, words
        assert all_of_it() == before, words
    # Of these one submitted: that which waits for nothing.
    assert [line for line in direct(person) if "wrap" in line or "afterok" in line] == ["--wrap=true"]


@needs_root
@pytest.mark.parametrize(
    ("owner", "mode", "fine"), [("root", 0o777, True), (OTHER, 0o777, False), (OTHER, 0o1777, True)]
)
def test_where_a_state_folder_may_be_made(person: Person, owner: str, mode: int, fine: bool) -> None:
    """Below an administrator's folder, and below one like /tmp; in another user's one makes it by hand."""
    above = person.home / "above"
    above.mkdir()
    os.chown(above, pwd.getpwnam(owner).pw_uid, -1)
    above.chmod(mode)
    more = {"PATH": recorder(person), "SARRAY_STATE_DIR": f"{above}/mine/state"}
    done = person.queue("--wrap=true", **more)
    assert (done.err == b"") == fine
    assert fell_through(done) != fine
    if not fine:
        assert b"make it yourself" in done.err
        person.run("mkdir", "-p", f"{above}/mine/state")
        assert person.queue("--wrap=true", **more).err == b""


@needs_root
def test_another_users_ticket_is_refused(person: Person) -> None:
    """As sbatch refuses a dependency that cannot be; it is not queued, nor told to Slurm."""
    ticket = person.queue("--parsable", "--wrap=true").out.decode().strip()
    path = recorder(person)
    other = pwd.getpwnam(OTHER)
    home = person.home / "other"
    home.mkdir()
    os.chown(home, other.pw_uid, other.pw_gid)
    env = {"PATH": path, "HOME": str(home), "SARRAY_STATE_DIR": str(home / "state"), "SARRAY_MODE": "queue"}
    status, out, err = run_as(other, "sbatch", "-d", f"afterok:{ticket}", "--wrap=true", env=env)
    assert (status, out) == (1, b"")
    assert err == b"sbatch: error: Batch job submission failed: Job dependency problem\n"
    assert direct(person) == []
    # Nor does it help to point at the folder of its owner.
    env["SARRAY_STATE_DIR"] = str(person.home / "state")
    (person.home / "direct").chmod(0o666)
    status, out, err = run_as(other, "sbatch", "--wrap=true", env=env)
    assert b"is not a folder that only you can write" in err
    assert len(held(person)[0]) == 1
