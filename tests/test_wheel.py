"""`sarray install` from a wheel; a site, an update, no network; an installation that is ended or has a rival."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.person import REPO, SYSTEM_PATH, USER, Person

from sbatch_shim import __version__

PYTHON = os.environ.get("SHIM_TEST_PYTHON", "/usr/bin/python3")
NOT_SOURCES = shutil.ignore_patterns(".git", ".venv", "*.egg-info", "build", "__pycache__", ".*_cache")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Nobody answers there; what needs no network does not notice.
NO_NETWORK = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"}
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="needs root and a test user")


def run(
    *words: str | Path, cwd: Path | None = None, umask: int = -1, uid: int | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """A command in an environment of few variables; `uid`: as that user, whose group has the same number."""
    return subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={"PATH": SYSTEM_PATH, "SHELL": "/bin/bash", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
    )


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(scope="session")
def sources(scratch: Path) -> Path:
    """A copy of the sources that everybody can read, and that may be built in."""
    folder = scratch / "sources"
    shutil.copytree(REPO, folder, ignore=NOT_SOURCES)
    return folder


@pytest.fixture(scope="session")
def maker(scratch: Path) -> str:
    """The Python of an environment with what builds wheels."""
    subprocess.run([PYTHON, "-m", "venv", str(scratch / "maker")], check=True)
    python = str(scratch / "maker/bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "setuptools>=77.0.3", "wheel"], check=True)
    return python


@pytest.fixture(scope="session")
def wheels(scratch: Path, sources: Path, maker: str) -> Path:
    """This package's wheel, with all that it needs."""
    folder = scratch / "wheels"
    words = [maker, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "-w", str(folder), str(sources)]
    subprocess.run(words, check=True)
    return folder


@pytest.fixture(scope="session")
def from_wheel(scratch: Path, wheels: Path) -> Path:
    """An environment into which pip has put the wheel; its folder of commands."""
    folder = scratch / "an environment"
    subprocess.run([PYTHON, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--no-index", "--find-links", str(wheels), "sbatch-shim"], check=True)
    return folder / "bin"


@pytest.fixture(scope="session")
def older(scratch: Path, from_wheel: Path) -> list[str | Path]:
    """`sarray install` of a package that differs."""
    folder = scratch / "older"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    shutil.copytree(from_wheel.parent / site.relative_to(folder), site, dirs_exist_ok=True)
    with (site / "sbatch_shim/__init__.py").open("a") as stream:
        stream.write("# older\n")
    return [folder / "bin/python", "-I", "-m", "sbatch_shim.verbs.sarray", "install"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "a home"
    folder.mkdir()
    return folder


def calls_are_merged(prefix: Path, home: Path) -> None:
    """Three calls in queue mode become one array, which runs without Slurm."""
    env = {"HOME": str(home), "PATH": f"{prefix}/shims:{SYSTEM_PATH}", "SARRAY_SESSION": "s"}
    script = "for n in 1 2 3; do SARRAY_MODE=queue sbatch -o $n.log --wrap='echo $SLURM_JOB_NAME'; done"
    done = run("bash", "-ec", script, cwd=home, **env)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.count("Submitted batch job") == 3
    done = run("sarray-flush", "--local", cwd=home, **env)
    assert done.returncode == 0 and done.stdout.count("Submitted batch job") == 1, done
    assert [(home / f"{n}.log").read_text() for n in (1, 2, 3)] == ["wrap\n"] * 3


# From a wheel


@pytest.mark.parametrize(
    "words", [["sarray", "run", "true"], ["sarray", "listen"], ["sarray", "doctor"], ["sarray-flush"]], ids=" ".join
)
def test_where_there_are_no_shims_it_is_said_what_installs_them(from_wheel: Path, home: Path, words: list[str]) -> None:
    """As after a bare `pip install`."""
    done = run(from_wheel / words[0], *words[1:], cwd=home, HOME=str(home))
    assert "the shims are not installed; `sarray install` installs them" in done.stdout + done.stderr


def test_an_installation_from_the_wheel_goes_on_without_its_environment(
    wheels: Path, tmp_path: Path, home: Path
) -> None:
    """Nothing of it is used any more, so pip, pipx and conda may do with it what they like; and all goes again."""
    environment = tmp_path / "environment"
    assert run(PYTHON, "-m", "venv", environment).returncode == 0
    pip = [environment / "bin/python", "-m", "pip", "install", "--no-index", "--find-links", wheels, "sbatch-shim"]
    done = run(*pip, umask=0o077, HOME=str(home), PIP_CONFIG_FILE="/dev/null")
    assert done.returncode == 0, done.stderr
    before = files(home)
    done = run(environment / "bin/sarray", "install", HOME=str(home), umask=0o077)
    assert done.returncode == 0, done.stderr
    prefix = home / ".local/share/sbatch-shim"
    assert f"installed: {prefix}\n" in done.stdout
    done = run(environment / "bin/sarray", "install", HOME=str(home))
    assert f"already up to date: {prefix}\n" in done.stdout
    # Its own sarray finds the shims now.
    assert run(environment / "bin/sarray", "run", "true", HOME=str(home)).returncode == 0
    shutil.rmtree(environment)
    calls_are_merged(prefix, home)
    done = run(prefix / "bin/sarray", "install", HOME=str(home))
    assert done.stdout.startswith(f"already up to date: {prefix}\n"), done
    done = run(prefix / "bin/sarray", "install", "--uninstall", HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert f"{home}/.local/state/sarray" in done.stdout and "hash -r" in done.stdout
    shutil.rmtree(home / ".local/state")
    left = [name for name in files(home) if name not in before and not name.endswith(".log")]
    assert left == [".local", ".local/share"]


def test_install_sh_and_the_wheel_install_the_same(from_wheel: Path, tmp_path: Path, home: Path) -> None:
    """Byte for byte, so either brings an installation of the other up to date; and either removes it."""
    prefix = tmp_path / "opt"
    done = run(REPO / "install.sh", "--python", PYTHON, "--prefix", prefix, "--no-modify-path", HOME=str(home))
    assert done.returncode == 0, done.stderr
    link = os.readlink(prefix / "venv")
    done = run(from_wheel / "sarray", "install", "--prefix", prefix, "--no-modify-path", HOME=str(home))
    assert f"already up to date: {prefix}\n" in done.stdout, done
    assert os.readlink(prefix / "venv") == link
    done = run(REPO / "install.sh", "--prefix", prefix, "--uninstall", HOME=str(home))
    assert done.returncode == 0 and not prefix.exists(), done
    done = run(from_wheel / "sarray", "install", "--prefix", prefix, "--uninstall", HOME=str(home))
    assert done.returncode == 1 and f"nothing is installed in {prefix}" in done.stderr


def test_what_is_said_of_start_up_files(from_wheel: Path, scratch: Path) -> None:
    """Each that is changed is named, in both directions; root's are not changed."""
    entry = pwd.getpwnam(USER) if USER and os.geteuid() == 0 else None
    home = scratch / "a start"
    home.mkdir()
    (home / ".bashrc").write_text("# mine\n")
    if entry:
        os.chown(home, entry.pw_uid, entry.pw_gid)
        os.chown(home / ".bashrc", entry.pw_uid, entry.pw_gid)
    elif os.geteuid() == 0:
        pytest.skip("needs a user who is not root")
    uid = entry.pw_uid if entry else None
    done = run(from_wheel / "sarray", "install", uid=uid, cwd=home, HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert f"added a line to {home}/.bashrc: " in done.stdout and f"made {home}/.profile: " in done.stdout
    shell = run("bash", "-ic", "command -v sarray", uid=uid, cwd=home, HOME=str(home))
    assert shell.stdout == f"{home}/.local/share/sbatch-shim/shims/sarray\n"
    done = run(
        home / ".local/share/sbatch-shim/bin/sarray", "install", "--uninstall", uid=uid, HOME=str(home), cwd=home
    )
    assert f"removed the line of sbatch-shim from {home}/.bashrc\n" in done.stdout
    assert f"removed {home}/.profile, which held nothing else\n" in done.stdout
    assert (home / ".bashrc").read_text() == "# mine\n" and not (home / ".profile").exists()


# Without a network


def test_install_sh_without_a_network(wheels: Path, tmp_path: Path, home: Path) -> None:
    prefix = tmp_path / "a prefix"
    words = [REPO / "install.sh", "--python", PYTHON, "--prefix", prefix, "--no-modify-path", "--wheels", wheels]
    done = run(*words, HOME=str(home), **NO_NETWORK)
    assert done.returncode == 0, done.stderr
    calls_are_merged(prefix, home)


def test_without_a_network_the_sources_are_built_where_there_is_no_wheel_of_them(
    wheels: Path, maker: str, tmp_path: Path, home: Path
) -> None:
    folder = tmp_path / "some wheels"
    shutil.copytree(wheels, folder)
    (mine,) = folder.glob("sbatch_shim-*.whl")
    mine.rename(folder / mine.name.replace(f"-{__version__}-", "-0.0.1-"))
    words = [REPO / "install.sh", "--python", PYTHON, "--prefix", tmp_path / "opt", "--no-modify-path"]
    done = run(*words, "--wheels", folder, HOME=str(home), **NO_NETWORK)
    assert done.returncode == 1 and "holds version 0.0.1, and these sources are" in done.stderr
    next(folder.glob("sbatch_shim-*.whl")).unlink()
    done = run(*words, "--wheels", folder, HOME=str(home), **NO_NETWORK)
    assert done.returncode == 1 and "is all that it needs in" in done.stderr.splitlines()[-1], done.stderr
    assert not (tmp_path / "opt").exists()
    fetch = [maker, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, "setuptools>=77.0.3"]
    done = run(*fetch, **{name: value for name, value in os.environ.items() if name.startswith("PIP_")})
    assert done.returncode == 0, done.stderr
    done = run(*words, "--wheels", folder, HOME=str(home), **NO_NETWORK)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", ["nowhere", "install.sh"])
def test_a_folder_of_wheels_that_is_none(tmp_path: Path, home: Path, folder: str) -> None:
    words = [REPO / "install.sh", "--python", PYTHON, "--prefix", tmp_path / "opt", "--wheels", REPO / folder]
    done = run(*words, HOME=str(home))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"install.sh: there is no folder {REPO / folder}; nothing was installed\n"
    assert not (tmp_path / "opt").exists()


# A site


@needs_root
def test_a_site_with_two_users_and_a_module(person: Person, from_wheel: Path, scratch: Path, home: Path) -> None:
    """Installed by root with a umask that would hide it; each has calls of their own, and nothing is written there."""
    prefix, modules = scratch / "site-prefix", scratch / "site-modules"
    words = ["install", "--prefix", prefix, "--modulefile", modules]
    done = run(from_wheel / "sarray", *words, HOME=str(home), umask=0o077)
    assert done.returncode == 0, done.stderr
    module = modules / "sbatch-shim" / __version__
    assert f"wrote {module}\n" in done.stdout
    assert files(home) == []
    (line,) = [line for line in module.read_text().splitlines() if line.startswith("prepend-path PATH ")]
    assert line == f"prepend-path PATH {{{prefix}/shims}}"
    before = files(prefix)
    for uid in (pwd.getpwnam(USER).pw_uid, pwd.getpwnam("nobody").pw_uid):
        user = scratch / f"user {uid}"
        user.mkdir()
        os.chown(user, uid, uid)
        env = {"HOME": str(user), "PATH": f"{prefix}/shims:{SYSTEM_PATH}", "SARRAY_SESSION": "s"}
        script = "for n in 1 2; do SARRAY_MODE=queue sbatch -o $n.log --wrap='id -u'; done; sarray-flush --local"
        done = run("bash", "-ec", script, uid=uid, cwd=user, **env)
        assert done.returncode == 0, done
        assert [(user / f"{n}.log").read_text() for n in (1, 2)] == [f"{uid}\n"] * 2
    assert files(prefix) == before
    assert {path.stat().st_uid for path in prefix.rglob("*")} == {0}
    done = run(prefix / "bin/sarray", "install", "--uninstall", HOME=str(home))
    assert done.returncode == 0 and not prefix.exists() and list(modules.iterdir()) == [], done


@needs_root
def test_a_user_loads_the_module_and_unloads_it(person: Person, from_wheel: Path, scratch: Path, home: Path) -> None:
    """By environment-modules, in a shell that knows nothing of the shims; the manual pages are found with it."""
    modulecmd = os.environ.get("SHIM_TEST_MODULECMD", "")
    if not os.path.exists(modulecmd) or not shutil.which("tclsh"):
        pytest.skip("needs environment-modules, which tests/run unpacks")
    program = scratch / "modulecmd.tcl"
    shutil.copyfile(modulecmd, program)
    prefix, modules = scratch / "a site", scratch / "its modules"
    words = ["install", "--prefix", prefix, "--modulefile", modules]
    assert run(from_wheel / "sarray", *words, HOME=str(home), umask=0o077).returncode == 0
    script = f"""
        module() {{ eval "$(tclsh '{program}' bash "$@")"; }}
        module use '{modules}'
        module load sbatch-shim
        module list 2>&1 | grep -o 'sbatch-shim/[0-9.]*'
        SARRAY_MODE=queue sbatch -o ran --wrap='echo ran' | tr -d 0-9
        sarray-flush --local >/dev/null 2>&1
        cat ran
        ! command -v man >/dev/null || man -w sarray | grep -F '{prefix}' >/dev/null
        module unload sbatch-shim
        echo "$PATH"
    """
    user = person.home / "loads"
    user.mkdir()
    person.own(user)
    uid = pwd.getpwnam(USER).pw_uid
    done = run("bash", "-ec", script, uid=uid, cwd=user, HOME=str(user), PATH=SYSTEM_PATH)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"sbatch-shim/{__version__}\nSubmitted batch job \nran\n{SYSTEM_PATH}\n"


# An update


def test_what_an_older_version_has_queued_is_flushed_by_the_newer(sources: Path, tmp_path: Path, home: Path) -> None:
    prefix = tmp_path / "opt"
    older = tmp_path / "older"
    shutil.copytree(sources, older, ignore=shutil.ignore_patterns("tests"))
    version = older / "sbatch_shim/__init__.py"
    version.write_text(version.read_text().replace(f'"{__version__}"', '"0.0.9"'))
    env = {"HOME": str(home), "PATH": f"{prefix}/shims:{SYSTEM_PATH}", "SARRAY_SESSION": "s"}
    queue = "for n in 1 2 3; do SARRAY_MODE=queue sbatch --parsable -o %j.log --wrap='echo ran'; done"
    tickets: list[str] = []
    for tree, told in ((older, "0.0.9"), (REPO, __version__)):
        words = [tree / "install.sh", "--python", PYTHON, "--prefix", prefix, "--no-modify-path"]
        done = run(*words, HOME=str(home))
        assert done.returncode == 0, done.stderr
        assert run("sarray", "--version", **env).stdout == f"sarray {told}\n"
        tickets += run("bash", "-ec", queue, cwd=home, **env).stdout.split()
    assert [int(one) for one in tickets] == list(range(int(tickets[0]), int(tickets[0]) + 6))
    # What runs now may be of the version before; the one before that goes.
    assert {path.name.split("-")[0] for path in (prefix / "venvs").iterdir()} == {"0.0.9", __version__}
    done = run(prefix / "bin/sarray", "install", "--uninstall", **env)
    assert done.returncode == 1 and "6 queued calls" in done.stderr and "nothing was removed" in done.stderr
    done = run("sarray-flush", "--local", cwd=home, **env)
    assert done.returncode == 0 and done.stdout.count("Submitted batch job") == 1, done
    assert {name for name in os.listdir(home) if name.endswith(".log")} == {f"{one}.log" for one in tickets}


@pytest.mark.parametrize("gone", ["the Python", "all of it"])
def test_an_environment_that_does_not_run_any_more_is_made_anew(
    from_wheel: Path, tmp_path: Path, home: Path, gone: str
) -> None:
    """Python itself was removed, or the folder; install.sh does not take it for up to date."""
    prefix = tmp_path / "opt"
    words = ["--prefix", prefix, "--no-modify-path"]
    assert run(from_wheel / "sarray", "install", *words, HOME=str(home)).returncode == 0
    environment = (prefix / "venv").resolve()
    if gone == "all of it":
        shutil.rmtree(environment)
    else:
        for link in (environment / "bin").iterdir():
            link.unlink()
            link.symlink_to("/nowhere/python3")
    done = run(REPO / "install.sh", "--prefix", prefix, "--uninstall", HOME=str(home))
    assert done.returncode == 1 and "nothing was removed" in done.stderr
    done = run(REPO / "install.sh", "--python", PYTHON, *words, HOME=str(home))
    assert done.returncode == 0, done.stderr
    calls_are_merged(prefix, home)


# Ended, hindered, and two at a time


@pytest.fixture
def waiting_uv(tmp_path: Path) -> Iterator[Path]:
    """A folder with a `uv` that tells its process id, and then waits for ever."""
    folder = tmp_path / "uv"
    folder.mkdir()
    os.mkfifo(folder / "began")
    os.mkfifo(folder / "never")
    (folder / "uv").write_text(f"#!/bin/sh\necho $$ >{folder}/began\nexec cat {folder}/never\n")
    (folder / "uv").chmod(0o755)
    yield folder


@pytest.mark.parametrize("number", SIGNALS)
def test_install_sh_that_is_ended_leaves_nothing(waiting_uv: Path, tmp_path: Path, home: Path, number: int) -> None:
    """No process, no folder for the work, no prefix; it says so."""
    work = tmp_path / "work"
    work.mkdir()
    words = [str(REPO / "install.sh"), "--python", PYTHON, "--prefix", str(tmp_path / "opt")]
    env = {"HOME": str(home), "PATH": f"{waiting_uv}:{SYSTEM_PATH}", "TMPDIR": str(work)}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        child = int((waiting_uv / "began").read_text())
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == 128 + number
    assert out == "" and err.endswith(f"install.sh: ended by {signal.Signals(number).name}; nothing was installed\n")
    assert not Path(f"/proc/{child}").exists()
    assert list(work.iterdir()) == [] and not (tmp_path / "opt").exists() and list(home.iterdir()) == []


def test_under_nohup_a_hangup_ends_nothing(from_wheel: Path, tmp_path: Path, home: Path) -> None:
    """SIGHUP stays ignored, while the folder is made and while it is written to."""
    prefix = tmp_path / "opt"
    words = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=symlink,rename"]
    words += ["-e", "inject=symlink,rename:signal=HUP", str(from_wheel / "sarray"), "install", "--prefix", str(prefix)]
    done = run("sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words, "--no-modify-path", HOME=str(home))
    assert done.returncode == 0, done.stderr
    calls_are_merged(prefix, home)


CALLS = ("mkdir", "symlink", "rename", "chmod")
WHEN = (1, 2, 5, 20)


def ended_at(call: str, when: int, number: int, words: Sequence[str | Path], trace: Path, **env: str) -> bool:
    """Run a command that gets a signal at the n-th of its system calls; whether it made so many."""
    strace = ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={call}", "-e"]
    done = run(*strace, f"inject={call}:signal={signal.Signals(number).name}:when={when}", *words, **env)
    came = signal.Signals(number).name in trace.read_text()
    if came and number != signal.SIGKILL:
        assert done.returncode == 128 + number, done
        assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("sarray: ended by SIGTERM; "), done
    return came


@pytest.mark.parametrize("call", CALLS)
def test_an_installation_that_is_ended_anywhere_leaves_nothing(
    from_wheel: Path, tmp_path: Path, home: Path, call: str
) -> None:
    """No prefix where there was none."""
    (home / ".bashrc").write_text("# mine\n")
    for when in WHEN:
        prefix = tmp_path / "deep/er" / str(when)
        words = [from_wheel / "sarray", "install", "--prefix", prefix, "--modulefile", tmp_path / "modules"]
        if not ended_at(call, when, signal.SIGTERM, words, tmp_path / "trace", HOME=str(home)):
            break
        assert not (tmp_path / "deep").exists(), (when, files(tmp_path / "deep"))
        assert not (tmp_path / "modules/sbatch-shim").exists()
    assert files(home) == [".bashrc"] and (home / ".bashrc").read_text() == "# mine\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_update_that_is_ended_anywhere_leaves_what_works(
    from_wheel: Path, older: list[str | Path], tmp_path: Path, home: Path, number: int
) -> None:
    """The old version, or the new one, or some commands of each; and another run makes it whole."""
    env = {"HOME": str(home)}
    for call, when in (("mkdir", 3), ("symlink", 1), ("rename", 1), ("rename", 12), ("symlink", 5)):
        prefix = tmp_path / f"{call} {when}"
        assert run(*older, "--prefix", prefix, "--no-modify-path", **env).returncode == 0
        update = [from_wheel / "sarray", "install", "--prefix", prefix, "--no-modify-path"]
        assert ended_at(call, when, number, update, tmp_path / "trace", **env), (call, when)
        calls_are_merged(prefix, home)
        done = run(*update, **env)
        assert done.returncode == 0, done.stderr
        assert len(list((prefix / "venvs").iterdir())) == 2 and not list(prefix.rglob("*.new"))
        calls_are_merged(prefix, home)
        shutil.rmtree(prefix)


def test_two_installations_at_the_same_time(from_wheel: Path, tmp_path: Path, home: Path) -> None:
    """One waits for the other, and finds all done."""
    prefix = tmp_path / "opt"
    words = [str(from_wheel / "sarray"), "install", "--prefix", str(prefix), "--no-modify-path"]
    env = {"HOME": str(home), "PATH": SYSTEM_PATH}
    both = [subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0] * 4, said
    assert sorted(out.split(b":")[0] for out, _ in said) == [b"already up to date"] * 3 + [b"installed"]
    assert {line for _, err in said for line in err.splitlines()} <= {
        b"waiting for another installation into %s" % os.fsencode(prefix)
    }
    assert len(list((prefix / "venvs").iterdir())) == 1
    calls_are_merged(prefix, home)


def test_a_full_disk_leaves_nothing(from_wheel: Path, tmp_path: Path, home: Path) -> None:
    prefix = tmp_path / "opt"
    strace = ["strace", "-f", "-qq", "-o", tmp_path / "trace", "-e", "trace=rename", "-e"]
    words = [from_wheel / "sarray", "install", "--prefix", prefix, "--no-modify-path"]
    done = run(*strace, "inject=rename:error=ENOSPC:when=6+", *words, HOME=str(home))
    assert done.returncode == 1 and "No space left on device; nothing was installed" in done.stderr, done
    assert len(done.stderr.splitlines()) == 1
    assert not prefix.exists()


@needs_root
def test_a_place_that_cannot_be_written(from_wheel: Path, scratch: Path) -> None:
    """It is said before anything is made or fetched."""
    uid = pwd.getpwnam(USER).pw_uid
    for words in (["--prefix", "/usr/sbatch-shim"], ["--prefix", "/etc/passwd/opt"], ["--prefix", "/proc/x"]):
        for command in ([from_wheel / "sarray", "install"], [REPO / "install.sh", "--python", PYTHON]):
            done = run(*command, *words, uid=uid, cwd=scratch, HOME=str(scratch))
            assert done.returncode == 1 and done.stderr.endswith(
                "choose another --prefix DIR (nothing was installed)\n"
            )
            assert len(done.stderr.splitlines()) == 1 and done.stdout == ""


def test_a_prefix_behind_a_link(from_wheel: Path, tmp_path: Path, home: Path) -> None:
    """It is used under the name that was given, and the link stays."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    done = run(from_wheel / "sarray", "install", "--prefix", f"{link}/", "--no-modify-path", HOME=str(home))
    assert done.returncode == 0 and f"installed: {link}\n" in done.stdout, done
    calls_are_merged(link, home)
    assert f"{link}/venvs" in (link / "shims/sbatch").read_text()
    assert run(link / "bin/sarray", "install", "--uninstall", HOME=str(home)).returncode == 0
    assert files(tmp_path / "real") == [] and link.is_symlink()


# The source distribution


def test_the_sdist_holds_all_that_builds_and_tests(sources: Path, maker: str, tmp_path: Path) -> None:
    """Each file that git knows but git's own; from it comes the same wheel, and its tests run."""
    build = "import setuptools.build_meta as b, sys; print(b.build_sdist(sys.argv[1]))"
    done = run(maker, "-c", build, tmp_path, cwd=sources)
    assert done.returncode == 0, done.stderr
    name = done.stdout.splitlines()[-1]
    with tarfile.open(tmp_path / name) as archive:
        archive.extractall(tmp_path)
    tree = tmp_path / name[: -len(".tar.gz")]
    listed = subprocess.run(["git", "ls-files"], cwd=REPO, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    known = {path for path in listed if path and not path.startswith((".git", ".editorconfig"))}
    assert not {path for path in known if not (tree / path).exists()}
    assert (
        run(maker, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", tree, cwd=tmp_path).stderr
        == ""
    )
    assert list(tmp_path.glob(f"sbatch_shim-{__version__}-*.whl"))
    here = Path(__file__).parent.parent / ".venv/bin/python"
    words = [
        here,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/unit/test_values.py",
        "tests/unit/test_links.py",
    ]
    if here.exists():
        done = run(*words, cwd=tree, PYTHONPATH=str(tree))
        assert done.returncode == 0, done.stdout
