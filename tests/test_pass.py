"""Pass mode: the real sbatch sees what it would have seen without the shim, byte for byte."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.person import Person

USUAL = {"HOME": "/tmp", "SHLVL": "1", "PWD": "/tmp", "_": "/usr/bin/bash", "LANG": "C.UTF-8"}
ENVIRONMENTS = {
    "usual": {},
    "exported function": {"BASH_FUNC_module%%": "() {  echo x\n}"},
    "names that are no identifiers": {"a.b": "1", "with blank": "2", "1": "3"},
    "another folder in PWD": {"PWD": "/usr"},
    "a missing folder in PWD": {"PWD": "/no/such"},
    "OLDPWD": {"OLDPWD": "/no/such"},
    "no PWD": {"PWD": None},
    "no SHLVL": {"SHLVL": None},
    "no _": {"_": None},
    "nothing usual": {"PWD": None, "SHLVL": None, "_": None, "HOME": None, "LANG": None},
    "odd SHLVL": {"SHLVL": "07"},
    "negative SHLVL": {"SHLVL": "-1"},
    "empty SHLVL": {"SHLVL": ""},
    "prompts and an empty OLDPWD": {"PS1": "$ ", "PS2": "> ", "PS4": "% ", "OLDPWD": ""},
    "history": {"HISTSIZE": "10", "HISTCONTROL": "x", "HISTFILE": "/x"},
    "BASH_ENV": {"BASH_ENV": "/no/such"},
    "names of bash": {"IFS": "x", "OPTIND": "7", "PPID": "3", "LINENO": "4", "BASHOPTS": "x", "SHELLOPTS": "errexit"},
    "POSIXLY_CORRECT": {"POSIXLY_CORRECT": "1"},
    "UID": {"UID": "5", "X_UID": "6"},
    "names of the launcher": {"shim_env": "1", "shim_real": "2", "real": "3", "script": "4"},
    "values": {"EMPTY": "", "LINES": "a\nb", "EQUALS": "=a=b=", "BYTES": "\udcff\udcfe\x01\x7f"},
    "mode": {"SARRAY_MODE": "pass", "SARRAY_SESSION": "x"},
}


# What the spy runs: its whole command line, an empty word, its whole environment.
TELL = """
import sys
for name in ("cmdline", "environ"):
    sys.stdout.buffer.write(open("/proc/self/" + name, "rb").read() + b"--\\0")
sys.exit(7)
"""


@pytest.fixture(scope="module")
def spy(scratch: Path) -> Path:
    """A folder with Python under the name of sbatch: no script, so the launcher takes it for the real one."""
    folder = scratch / "spy"
    folder.mkdir()
    (folder / "sbatch").symlink_to("/usr/bin/python3")
    return folder


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("words", [["job.sh", "a b", "", "\udcff\n"], ["job.sh", "1700000000"], []])
def test_argv_and_environment_arrive_as_they_are(person: Person, spy: Path, name: str, words: list[str]) -> None:
    changes: dict[str, str | None] = dict(ENVIRONMENTS[name])
    environment = {key: value for key, value in {**USUAL, **changes}.items() if value is not None}
    environment["PATH"] = f"{person.prefix}/shims:{spy}:/usr/bin:/bin"
    raw = {os.fsencode(key): os.fsencode(value) for key, value in environment.items()}
    found = []
    for program in (spy / "sbatch", person.prefix / "shims/sbatch"):
        done = subprocess.run(
            ["sbatch", "-ISc", TELL, *words], executable=program, env=raw, cwd="/tmp", capture_output=True, check=False
        )
        assert done.returncode == 7, done.stderr
        assert done.stderr == b""
        argv, rest = done.stdout.split(b"--\0")[:2]
        found.append((argv, sorted(rest.split(b"\0"))))
    assert found[1] == found[0]


@pytest.mark.parametrize("more", [{}, {"BASH_COMPAT": "4.2"}])
def test_the_last_word_of_the_shell_is_the_real_one(person: Person, spy: Path, more: dict[str, str]) -> None:
    """bash puts the path of what it runs into `_`: jobs must not see ours there."""
    environment = {"PATH": f"{person.prefix}/shims:{spy}:/usr/bin:/bin", **more}
    words = ["bash", "-c", 'sbatch -ISc "$1"; true', "-", TELL]
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert f"_={spy}/sbatch".encode() in done.stdout.split(b"\0")


@pytest.mark.parametrize("files", [5, 6])
@pytest.mark.parametrize("mode", ["pass", "queue"])
def test_the_launcher_does_not_take_itself_for_the_real_one(person: Person, spy: Path, mode: str, files: int) -> None:
    """With so few open files it cannot look into what it finds on PATH, and would execute itself for ever."""
    environment = {"PATH": f"{person.prefix}/shims:{spy}:/usr/bin:/bin", "SARRAY_MODE": mode}
    words = ["bash", "-c", f"ulimit -n {files}; sbatch"]
    done = subprocess.run(words, env=environment, capture_output=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.splitlines()[-1].endswith(b"; nothing was submitted")
