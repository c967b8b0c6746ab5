"""What an installation is made of, where it may go, and what is shown while pip works."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sbatch_shim
from sbatch_shim.errors import ShimError
from sbatch_shim.setup import bootstrap, environment, place
from sbatch_shim.state import paths

REPO = Path(__file__).parent.parent.parent


class Stderr(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def test_what_is_copied_is_what_the_project_needs() -> None:
    """And what that needs in turn, with its licences."""
    text = (REPO / "pyproject.toml").read_text()
    listed = text[text.index("\ndependencies = [") :].partition("\n]")[0]
    assert set(environment.NEEDED) == set(re.findall(r'^ +"([\w-]+)', listed, re.M))
    found = environment.needed_distributions()
    assert {"markupsafe", *environment.NEEDED} <= {one.metadata["Name"].lower() for one in found}
    for one in found:
        assert environment.module_of(one).exists()
        assert any(path.name == "METADATA" for path in environment.metadata_of(one))


def test_the_version_is_in_one_place() -> None:
    text = (REPO / "pyproject.toml").read_text()
    assert "\nversion = {" in text and 'dynamic = ["version"]' in text
    known = subprocess.run(["git", "ls-files", "*.py", "*.sh", "*.toml"], cwd=REPO, capture_output=True, text=True)
    named = [name for name in known.stdout.split() if f'"{sbatch_shim.__version__}"' in (REPO / name).read_text()]
    assert named in ([], ["sbatch_shim/__init__.py"])  # none where there is no git


def test_a_digest_knows_names_and_bytes_of_the_sources_alone(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    (package / "a.py").write_text("1")
    first = environment.digest_of_sources(package)
    (package / "inner/__pycache__").mkdir()
    (package / "inner/__pycache__/a.pyc").write_text("2")
    os.utime(package / "a.py", (1, 1))
    assert environment.digest_of_sources(package) == first
    (package / "a.py").write_text("2")
    second = environment.digest_of_sources(package)
    (package / "a.py").rename(package / "b.py")
    assert len({first, second, environment.digest_of_sources(package)}) == 3


@pytest.mark.parametrize("prefix", ["a:b", "a=b", "it's", 'a"b', "a$b", "a\nb", "a`b", "a\\b"])
def test_a_prefix_that_cannot_stand_in_path(prefix: str) -> None:
    with pytest.raises(ShimError, match="the prefix may not hold"):
        place.checked(f"/opt/{prefix}")


def test_the_default_prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "a home"))
    assert place.default(paths.DEFAULT_PREFIX) == tmp_path / "a home/.local/share/sbatch-shim"
    monkeypatch.setenv("HOME", "/proc/1" if os.geteuid() else "/var/cache/man")
    if os.stat(os.environ["HOME"]).st_uid != os.geteuid():
        with pytest.raises(ShimError, match="is not yours"):
            place.default(paths.DEFAULT_PREFIX)
        place.default(paths.DEFAULT_PREFIX, removing=True)
    monkeypatch.delenv("HOME")
    with pytest.raises(ShimError, match="HOME is not set"):
        place.default(paths.DEFAULT_PREFIX)


def test_a_lock_makes_the_prefix_and_leaves_nothing_empty(tmp_path: Path) -> None:
    prefix = tmp_path / "one/two"
    with place.locked(prefix):
        assert prefix.is_dir()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "one").mkdir()
    with place.locked(prefix):
        (prefix / "file").touch()
    with place.locked(prefix):
        pass
    assert (prefix / "file").exists()


def test_the_shims_of_an_environment_that_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those on PATH, else those in the default place; pipx has a folder venvs too."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "pipx/venvs/sbatch-shim"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "/usr/bin")
    assert paths.prefix() == tmp_path / "home/.local/share/sbatch-shim"
    assert "sarray install" in paths.without_shims()
    (tmp_path / "opt/shims").mkdir(parents=True)
    (tmp_path / "opt" / paths.MANIFEST).touch()
    (tmp_path / "opt/shims/sbatch").touch()
    monkeypatch.setenv("PATH", f"/usr/bin:shims:{tmp_path}/opt/shims")
    assert paths.prefix() == tmp_path / "opt" and paths.without_shims() == ""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "opt/venvs/1"))
    monkeypatch.setenv("PATH", "/usr/bin")
    assert paths.prefix() == tmp_path / "opt"


@pytest.mark.parametrize("terminal", [True, False])
def test_something_is_seen_while_pip_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, terminal: bool) -> None:
    """At a terminal a line that fits it, and that is gone afterwards; elsewhere a line, and nothing odd."""
    stderr = Stderr(terminal)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("COLUMNS", "40")
    passing = bootstrap.Passing("installing with pip")
    passing.show("Collecting \N{SNOWMAN} " + "x" * 100)
    passing.show("short")
    passing.clear()
    said = stderr.getvalue()
    if not terminal:
        assert said == "installing with pip, which may take a minute\n"
        return
    parts = said.split("\r")
    assert all(len(part) < 40 for part in parts) and "\n" not in said
    assert parts[1].startswith("installing with pip: 0 s  Collecting")
    assert len(parts[2]) == len(parts[1]), "what was longer is painted over"
    assert parts[-1] == "" and not parts[-2].strip()


def test_what_fails_is_shown_and_what_does_well_is_not(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    passing = bootstrap.Passing("working")
    assert bootstrap.run_quietly(["sh", "-c", "echo fine"], tmp_path / "log", passing)
    assert not bootstrap.run_quietly(["sh", "-c", "echo no network; exit 3"], tmp_path / "log", passing)
    out, err = capfd.readouterr()
    assert out == "" and err == "working, which may take a minute\nno network\n"


def test_what_a_log_says_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"")
    assert bootstrap.last_line(log) == ""
    log.write_bytes(b"one\n\x1b[31m  two \xff\n")
    assert bootstrap.last_line(log) == "[31m  two"
