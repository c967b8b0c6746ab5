"""A site's config.ini: from its installation to what users, and Slurm, get of it."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest
from support.faults import wait_for
from support.person import SYSTEM_PATH, USER, Person

needs_root = pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="needs root and a test user")


def run(*words: str, user: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """A command with these variables only."""
    group = None if user is None else pwd.getpwnam(user).pw_gid
    groups = None if user is None else []
    options = {"cwd": env["HOME"], "stdin": subprocess.DEVNULL, "user": user, "group": group, "extra_groups": groups}
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def configured(person: Person, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Install the shims with this config.ini, into another prefix, which the person uses from now on."""
    folder.mkdir(exist_ok=True)
    (folder / "config.ini").write_text(text)
    words = ["install", "--prefix", str(folder), "--no-modify-path"]
    done = run(f"{person.prefix}/bin/sarray", *words, HOME=str(folder), PATH=SYSTEM_PATH)
    person.prefix = folder
    return done


@pytest.mark.slurm
def test_slurm_gets_the_throttle_of_the_site(person: Person, scratch: Path) -> None:
    """A default where nobody says more, a cap whatever anybody says; and `sarray throttle` keeps to it."""
    assert configured(person, scratch / "throttled", "[defaults]\nthrottle = 3\n[caps]\nthrottle = 4\n").returncode == 0
    submitted = {}
    for name, calls, words in (
        ("default", [[]] * 5, []),
        ("less", [["--array=0-9%2"]], []),
        ("more", [["--array=0-9%7"]], []),
        ("none", [[]] * 5, ["--throttle", "0"]),
    ):
        for call in calls:
            assert person.queue("-H", "-o", "/dev/null", *call, "--wrap=true").status == 0
        done = person.flush("--parsable", *words)
        assert done.status == 0, done.err
        submitted[name] = done.out.decode().strip()
    for name, limit in (("default", 3), ("less", 2), ("more", 4), ("none", 4)):
        words = ["scontrol", "-o", "show", "job", submitted[name]]
        record = person.run(*words, env=person.environment(PATH=SYSTEM_PATH)).out.decode()
        assert f" ArrayTaskThrottle={limit} " in record, name
    done = person.run("sarray", "throttle", submitted["less"], "--max-tasks", "5")
    told = f"sarray: {person.prefix}/config.ini allows at most 4 tasks of an array at a time\n"
    assert (done.status, done.err.decode()) == (1, told)
    assert person.run("sarray", "throttle", submitted["less"], "--max-tasks", "4").status == 0


# What the site has set, and what the user has, where the script names its id.
@pytest.mark.parametrize(("section", "own"), [("caps", "real"), ("defaults", "")])
def test_a_clerk_keeps_to_what_the_site_has_set(person: Person, scratch: Path, section: str, own: str) -> None:
    """Calls that get tickets at this site need no Python, whatever they would have got elsewhere."""
    assert configured(person, scratch / f"clerk-{section}", f"[{section}]\nids = ticket\n").returncode == 0
    folder = person.home / "state/sessions/test"
    told = b""

    def served() -> bool:
        nonlocal told
        done = person.queue("--parsable", "--wrap=echo $SLURM_JOB_ID", SARRAY_IDS=own)
        assert done.status == 0 and int(done.out) >= 1_000_000_000
        told = done.out
        return any(b" -" + told in path.read_bytes() for path in folder.glob("clerks/*/ledger"))

    wait_for(served)
    assert "declined" not in (folder / "clerk.log").read_text()


@needs_root
def test_two_users_of_a_site(person: Person, scratch: Path) -> None:
    """Their own variables win over its defaults and not over its caps, and doctor says what came from where."""
    done = configured(person, scratch / "capped", "[defaults]\nidle = 3\n[caps]\nids = ticket\nkeeper = off\n")
    assert done.returncode == 0, done.stderr
    source = f"{person.prefix}/config.ini"
    assert f"{source} is in effect\n" in done.stdout
    # There is no Slurm here: what is submitted says so.
    real = scratch / "capped-real"
    real.mkdir()
    (real / "sbatch").write_text("#!/bin/sh\necho submitted directly\n")
    (real / "sbatch").chmod(0o755)
    for user in (USER, "nobody"):
        home = scratch / f"capped {user}"
        home.mkdir()
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        path = f"{person.prefix}/shims:{real}:{SYSTEM_PATH}"
        base = {"HOME": str(home), "PATH": path, "SARRAY_SESSION": "s", "SARRAY_IDS": "real", "SARRAY_IDLE": "5"}
        asks = "--wrap=echo $SLURM_JOB_ID"
        for _ in range(12):  # a burst
            done = run("sbatch", "--parsable", asks, user=user, **base, SARRAY_MODE="queue", SARRAY_KEEPER="on")
            assert int(done.stdout) >= 1_000_000_000, "a ticket"
        state = home / ".local/state/sarray/sessions/s"
        assert not (state / "clerk.lock").exists()
        # No process may stay, so auto mode has nobody who would submit what it queues.
        done = run("sbatch", asks, user=user, **base, SARRAY_MODE="auto")
        assert (done.stdout, done.stderr) == ("submitted directly\n", "")
        assert not (state / "keeper.lock").exists()
        shown = run("sarray", "doctor", user=user, **base).stdout
        assert f" ids = ticket ([caps] of {source})\n" in shown
        assert f" keeper = off ([caps] of {source})\n" in shown
        assert " idle = 5 ($SARRAY_IDLE)\n" in shown
        assert " linger = 60 (built in)\n" in shown
        without = {name: value for name, value in base.items() if name != "SARRAY_IDLE"}
        assert f" idle = 3 ([defaults] of {source})\n" in run("sarray", "doctor", user=user, **without).stdout
    # A file that cannot be understood: nothing is installed, and the caps go on.
    done = configured(person, scratch / "capped", "[caps]\nids = none\n")
    assert (done.returncode, done.stdout) == (1, "")
    told = f"{source}: ids = none in [caps] is not understood; it can be ticket"
    assert done.stderr == f"sarray: {told}; nothing was changed\n"
    done = run("sbatch", "--parsable", asks, user=user, **base, SARRAY_MODE="queue")
    assert int(done.stdout) >= 1_000_000_000 and not done.stderr
    assert f"! {told}; what was installed before is in effect\n" in run("sarray", "doctor", user=user, **base).stdout
    # Without the file all is as it was.
    (person.prefix / "config.ini").unlink()
    done = run(f"{person.prefix}/bin/sarray", "install", "--no-modify-path", HOME=str(scratch), PATH=SYSTEM_PATH)
    assert done.returncode == 0 and not (person.prefix / "settings.json").exists()
    assert " ids = real ($SARRAY_IDS)\n" in run("sarray", "doctor", user=user, **base).stdout
