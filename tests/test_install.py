"""install.sh as a new user would run it, byte for byte; and the demo on a machine without Slurm."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from support.person import REPO, SYSTEM_PATH, USER, Person

from sbatch_shim import __version__
from sbatch_shim.setup.install import launcher

needs_root = pytest.mark.skipif(os.geteuid() != 0 or not USER, reason="needs root and a test user")
PYTHON = os.environ.get("SHIM_TEST_PYTHON", "/usr/bin/python3")


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, change time and bytes of every file."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture
def run(tmp_path: Path):  # type: ignore[no-untyped-def]
    home = tmp_path / "home"
    home.mkdir()

    def install(*words: str, path: str = SYSTEM_PATH, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {"HOME": str(home), "SHELL": "/bin/bash", "PATH": path, **more}
        return subprocess.run(
            [str(REPO / "install.sh"), "--python", PYTHON, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    install.home = home  # type: ignore[attr-defined]
    return install


def test_twice_changes_nothing_and_uninstall_leaves_nothing(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A foreign file in the prefix stays. Start-up files are root's business, and there is a module instead."""
    rc = run.home / ".bashrc"
    rc.write_text("# mine, without a final newline")
    modules = tmp_path / "modules"
    first = run("--modulefile", str(modules))
    assert first.returncode == 0, first.stderr
    prefix = run.home / ".local/share/sbatch-shim"
    (module,) = (modules / "sbatch-shim").iterdir()
    assert module.name == __version__ and module.read_text().startswith("#%Module")
    assert rc.read_text() == "# mine, without a final newline"
    assert f"to use it: . {prefix}/env.sh" in first.stdout
    assert (prefix / "share/man/man1/sarray.1").read_text().startswith(".TH SARRAY 1")
    before = snapshot(run.home)
    again = run("--modulefile", str(modules))
    assert "already up to date" in again.stdout
    assert snapshot(run.home) == before
    (prefix / "shims" / "mine").write_text("not ours")
    gone = run("--uninstall")
    assert gone.returncode == 0, gone.stderr
    assert rc.read_text() == "# mine, without a final newline"
    assert not (modules / "sbatch-shim").exists()
    assert [path.name for path in prefix.rglob("*")] == ["shims", "mine"]


@needs_root
def test_root_leaves_its_own_start_up_files_alone(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("--prefix", str(tmp_path / "opt"))
    assert done.returncode == 0, done.stderr
    assert list(run.home.iterdir()) == []
    assert "to use it: . " in done.stdout


@needs_root
def test_root_does_not_install_into_the_home_of_somebody_else(run) -> None:  # type: ignore[no-untyped-def]
    """`su` and `sudo -E` keep HOME."""
    os.chown(run.home, pwd.getpwnam("nobody").pw_uid, -1)
    done = run()
    assert done.returncode == 1 and "is not yours" in done.stderr
    assert list(run.home.iterdir()) == []


@needs_root
def test_a_python_that_only_root_can_read(run, scratch: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Refused where others go; taken in a private place; and not what root gets without asking."""
    private = tmp_path / "private"  # pytest's folders are their owner's alone
    subprocess.run([PYTHON, "-m", "venv", "--copies", str(private)], check=True)
    shared = scratch / "shared"
    done = run("--prefix", str(shared), "--python", str(private / "bin/python"))
    assert done.returncode == 1
    assert "cannot be run by other users" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not shared.exists()
    done = run("--prefix", str(tmp_path / "mine"), "--python", str(private / "bin/python"))
    assert done.returncode == 0, done.stderr
    environment = {"HOME": str(run.home), "PATH": f"{private}/bin:{SYSTEM_PATH}"}
    done = subprocess.run(
        [str(REPO / "install.sh"), "--prefix", str(shared)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert os.path.realpath(shared / "venv/bin/python").startswith("/usr/bin/")
    shutil.rmtree(shared)


@pytest.mark.parametrize("fault", ["forbidden", "not there", "not a program", "empty", "no loader", "no library"])
def test_a_python_that_cannot_run_is_said_where_calls_should_be_queued(tmp_path: Path, fault: str) -> None:
    """And the call is submitted; in pass mode, and by the companions, without a word."""
    python = tmp_path / "python"
    needed = [str(tmp_path / "missing")] if fault == "no library" else []
    program = Path("/bin/true").resolve().read_bytes()
    if fault == "not a program":
        program = b"\x7fELF\0\0\0"
    elif fault == "empty":
        program = b""
    elif fault == "no loader":
        program = re.sub(rb"/lib64/ld-|/lib/ld-", lambda match: match.group().replace(b"l", b"x"), program)
    if fault != "not there":
        python.write_bytes(program)
        python.chmod(0o644 if fault == "forbidden" else 0o755)
    real = tmp_path / "real"
    shims = tmp_path / "shims"
    for folder in (real, shims):
        folder.mkdir()
    for name in ("sbatch", "squeue"):
        (real / name).write_text('#!/usr/bin/perl\nprint "$0|@ARGV|$ENV{VALUE}|$ENV{PWD}|$ENV{SHLVL}\\n";\n')
        (shims / name).write_text(launcher(name, "/bin/bash", str(python), "/nowhere", needed))
        for folder in (real, shims):
            (folder / name).chmod(0o755)
    base = {"HOME": str(tmp_path), "PATH": f"{shims}:{real}:{SYSTEM_PATH}", "VALUE": "a b"}
    for name, more, said in (
        ("sbatch", {"SARRAY_MODE": "queue"}, True),
        ("sbatch", {"SARRAY_MODE": "queue", "SECONDS": "5"}, True),  # a name that no shell hands on as it is
        ("sbatch", {"SARRAY_MODE": "queue", "PWD": str(tmp_path), "SHLVL": "3", "_": "x"}, True),
        ("sbatch", {}, False),
        ("squeue", {}, False),
    ):
        # Without a number that may be a ticket no Python is started, so bash finds nothing to complain about.
        words = [name, "-j", "2042021000"] if fault not in ("not a program", "no loader") or said else [name, "x"]
        done = subprocess.run(words, env={**base, **more}, capture_output=True, text=True, check=False, cwd=tmp_path)
        direct = subprocess.run(
            words,
            env={**base, **more, "PATH": f"{real}:{SYSTEM_PATH}"},
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert (done.returncode, done.stdout) == (0, direct.stdout), done.stderr
        assert done.stderr.count("not queued, submitting directly") == said
        assert said or not done.stderr
    if fault in ("not a program", "no loader"):
        return  # bash itself complains, before anything can be done about it
    # Nobody reads what is said: the job is submitted all the same.
    script = "exec 2> >(exec true); sleep 0.1; SARRAY_MODE=queue sbatch x"
    done = subprocess.run(["bash", "-c", script], env=base, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "|x|" in done.stdout


@needs_root
def test_root_does_not_uninstall_while_others_have_calls(person: Person, run, scratch: Path) -> None:  # type: ignore[no-untyped-def]
    """Their homes are found in the passwd file, or beside those that are."""
    prefix = scratch / "for all"
    assert run("--prefix", str(prefix)).returncode == 0
    base = scratch / "users"
    base.mkdir()
    home = base / "somebody"
    home.mkdir()
    person.own(home)
    env = person.environment(SARRAY_MODE="queue", HOME=str(home), PATH=f"{prefix}/shims:{SYSTEM_PATH}")
    del env["SARRAY_STATE_DIR"]
    done = person.run("sbatch", "-o", "/dev/null", "--wrap=true", env=env)
    assert done.status == 0 and not done.err, done.err
    passwd = scratch / "passwd"
    entry = pwd.getpwnam(USER)
    listed = "root:x:0:0::/root:/bin/sh\nlisted:x:%d:%d::%s:/bin/sh\n"
    for line in (
        listed % (entry.pw_uid, entry.pw_gid, home),
        listed % (54321, 54321, base / "listed"),  # a neighbour
    ):
        passwd.write_text(line)
        mounted = f"mount --bind '{passwd}' /etc/passwd && exec '{REPO}/install.sh' --prefix '{prefix}' --uninstall"
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", mounted],
            env={"HOME": str(run.home), "PATH": SYSTEM_PATH},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1 and "(1)" in done.stderr and "sarray-flush --all" in done.stderr, done
        assert (prefix / "shims/sbatch").exists()
    shutil.rmtree(home)
    done = run("--prefix", str(prefix), "--uninstall")
    assert done.returncode == 0, done.stderr
    assert "SARRAY_STATE_DIR" in done.stdout
    assert not prefix.exists()


def test_uninstall_refuses_while_calls_are_queued(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    prefix = tmp_path / "opt"
    assert run("--prefix", str(prefix), "--no-modify-path").returncode == 0
    state = {"SARRAY_STATE_DIR": str(tmp_path / "state"), "SARRAY_SESSION": "s"}
    queued = subprocess.run(
        [str(prefix / "shims/sbatch"), "--wrap=true"],
        env={"HOME": str(run.home), "PATH": SYSTEM_PATH, "SARRAY_MODE": "queue", **state},
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    assert queued.returncode == 0, queued.stderr
    refused = run("--prefix", str(prefix), "--uninstall", **state)
    assert refused.returncode != 0
    assert "1 queued call is not submitted yet" in refused.stderr
    assert (prefix / "shims/sbatch").exists()


def test_installed_over_itself_it_still_finds_the_true_sbatch(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """With the shim, a copy of it and a link to it on PATH, in front of the real one."""
    true_folder = tmp_path / "real"
    true_folder.mkdir()
    (true_folder / "sbatch").write_text('#!/bin/sh\necho the true one: "$@"\n')
    (true_folder / "sbatch").chmod(0o755)
    prefix = tmp_path / "opt"
    path = f"{prefix}/shims:{true_folder}:{SYSTEM_PATH}"
    for _ in range(2):
        assert run("--prefix", str(prefix), "--no-modify-path", path=path).returncode == 0
    copies = [tmp_path / "copy", tmp_path / "link"]
    for folder in copies:
        folder.mkdir()
    shutil.copy(prefix / "shims/sbatch", copies[0] / "sbatch")
    (copies[1] / "sbatch").symlink_to(prefix / "shims/sbatch")
    for start in (prefix / "shims", *copies):
        done = subprocess.run(
            ["sbatch", "a", "b"],
            env={"PATH": f"{start}:{copies[1]}:{copies[0]}:{path}", "HOME": str(run.home)},
            capture_output=True,
            check=False,
        )
        assert done.stdout == b"the true one: a b\n", done.stderr


def test_two_wrappers_that_call_each_other_end(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    prefix = tmp_path / "opt"
    assert run("--prefix", str(prefix), "--no-modify-path").returncode == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "sbatch").write_text(f'#!/bin/sh\nexec {prefix}/shims/sbatch "$@"\n')
    (other / "sbatch").chmod(0o755)
    done = subprocess.run(
        ["sbatch", "x"],
        env={"PATH": f"{prefix}/shims:{other}:/usr/bin:/bin", "HOME": str(run.home)},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 127
    assert b"call each other" in done.stderr


@pytest.mark.parametrize("prefix", ["a:b", "a=b", "it's", 'a"b', "a$b", "a\nb"])
def test_a_prefix_that_cannot_stand_in_path_is_refused(run, tmp_path: Path, prefix: str) -> None:  # type: ignore[no-untyped-def]
    done = run("--prefix", str(tmp_path / prefix), "--no-modify-path")
    assert done.returncode == 1
    assert not (tmp_path / prefix).exists()


def test_the_demo_runs_without_slurm(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """What README's first command shows, on a machine that has no sbatch."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for tool in Path(folder).iterdir():
            if tool.name not in ("sbatch", "scontrol") and not (tools / tool.name).is_symlink():
                (tools / tool.name).symlink_to(tool)
    done = run("--prefix", str(tmp_path / "a prefix"), "--demo", path=str(tools))
    assert done.returncode == 0, done.stderr
    assert "There is no Slurm here" in done.stdout
    assert done.stdout.count("Submitted batch job") == 3  # the summary's ticket, and two arrays
    assert "alpha 5\nbeta 4\ndelta 5\n" in done.stdout
    assert "10 succeeded, 0 failed" in done.stderr
    assert "\n10 sbatch calls became 2 submissions; the pipeline was not changed for that.\n" in done.stdout
    assert f"\n  . '{tmp_path}/a prefix/env.sh'\n  sarray run ./pipeline.sh\n" in done.stdout
    removal = re.search(r"To remove it again:\n((?:  .*\n){2})", done.stdout)
    assert removal
    where = re.search(r"rm -r (\S+)", removal[1])
    assert where and Path(where[1], "summary.log").exists()
    done = subprocess.run(
        ["sh", "-ec", removal[1]], cwd=REPO, env={"HOME": str(run.home), "PATH": SYSTEM_PATH}, check=False
    )
    assert done.returncode == 0
    assert not Path(where[1]).exists() and not (tmp_path / "a prefix").exists()


def test_the_wheel_brings_no_executable_named_sbatch(tmp_path: Path) -> None:
    """It would hijack every environment that it is installed into."""
    source = tmp_path / "source"
    shutil.copytree(REPO, source, ignore=shutil.ignore_patterns(".git", ".venv", "*.egg-info", "build"))
    environment = tmp_path / "venv"
    subprocess.run([PYTHON, "-m", "venv", str(environment)], check=True)
    build = [str(environment / "bin/pip"), "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    entry_points = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("entry_points.txt")))
    assert b"sbatch =" not in entry_points
    assert not any("/scripts/" in name for name in names)
    assert any(name.endswith("templates/launcher") for name in names)


def test_another_version_is_installed_while_a_pipeline_calls(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Each call is queued, by the one version or the other, and says nothing else."""
    prefix = tmp_path / "opt"
    assert run("--prefix", str(prefix), "--no-modify-path").returncode == 0
    first = os.readlink(prefix / "venv")
    newer = tmp_path / "newer"
    shutil.copytree(REPO, newer, ignore=shutil.ignore_patterns(".*", "tests"))
    with (newer / "sbatch_shim/__init__.py").open("a") as stream:
        stream.write("# another version\n")
    loop = "until [ -e over ]; do sbatch --parsable --wrap=true || echo failed; done >tickets"
    environment = {"HOME": str(run.home), "PATH": f"{prefix}/shims:{SYSTEM_PATH}", "SARRAY_MODE": "queue"}
    with subprocess.Popen(["sh", "-c", loop], cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as pipeline:
        done = subprocess.run(
            [str(newer / "install.sh"), "--python", PYTHON, "--prefix", str(prefix), "--no-modify-path"],
            env={"HOME": str(run.home), "PATH": SYSTEM_PATH},
            capture_output=True,
            check=False,
        )
        (tmp_path / "over").touch()
        said = pipeline.communicate()[1]
    assert (done.returncode, said) == (0, b"")
    assert os.readlink(prefix / "venv") != first
    tickets = [int(line) for line in (tmp_path / "tickets").read_text().splitlines()]
    assert len(tickets) > 1 and tickets == list(range(tickets[0], tickets[0] + len(tickets)))


def test_a_shim_without_its_package_is_the_real_command(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Removed by hand, for instance: in one line, and with the call's own words and environment."""
    prefix = tmp_path / "opt"
    assert run("--prefix", str(prefix), "--no-modify-path").returncode == 0
    real = tmp_path / "real"
    real.mkdir()
    for name in ("sbatch", "squeue"):
        (real / name).write_text('#!/bin/sh\nprintf "%s|" "$0" "$@" "$VALUE"\n')
        (real / name).chmod(0o755)
    (package,) = (prefix / "venv/lib").glob("python*/site-packages/sbatch_shim")
    shutil.rmtree(package)
    environment = {
        "HOME": str(run.home),
        "PATH": f"{prefix}/shims:{real}:{SYSTEM_PATH}",
        "SARRAY_MODE": "queue",
        "VALUE": "a b",
    }
    for name in ("sbatch", "squeue"):
        words = [name, "-j", "2042021000", "\xff"]
        done = subprocess.run(words, env=environment, capture_output=True, check=False, cwd=tmp_path)
        assert done.returncode == 0
        assert done.stdout == os.fsencode(f"{real}/{name}|-j|2042021000|\xff|a b|")
        assert done.stderr.startswith(f"{name}: sbatch-shim cannot be loaded".encode())
        assert done.stderr.count(b"\n") == 1
