"""What an installation writes into start-up files and module folders, and that all of it goes again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sbatch_shim import __version__
from sbatch_shim.setup.install import render, write
from sbatch_shim.setup.outside import MANIFEST, Manifest, add_lines, module_target, remove_line, remove_module

PROFILES = (".bash_profile", ".bash_login", ".profile")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("ZDOTDIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    folder = tmp_path / "the prefix"
    (folder / "shims").mkdir(parents=True)
    quoted = f"'{folder}/shims'"
    (folder / "env.sh").write_text(render("env.sh", shims=quoted))
    return folder


def installed(prefix: Path, monkeypatch: pytest.MonkeyPatch, shell: str) -> Manifest:
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    manifest = Manifest(prefix)
    add_lines(manifest, prefix)
    write(prefix / MANIFEST, manifest.text())
    return Manifest(prefix)


def texts(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "dash"])
@pytest.mark.parametrize("there", [[], [".profile"], [".bash_profile", ".profile"], [".bash_login", ".profile"]])
def test_login_shells_of_jobs_find_the_shims(
    home: Path, prefix: Path, monkeypatch: pytest.MonkeyPatch, shell: str, there: list[str]
) -> None:
    """No file is made that hides another; twice adds nothing; and it goes byte for byte."""
    for name in there:
        (home / name).write_bytes(b"# mine \xff\nMARK=%s" % name.encode())
    before = texts(home)
    installed(prefix, monkeypatch, shell)
    once = texts(home)
    manifest = installed(prefix, monkeypatch, shell)
    assert texts(home) == once
    made = [name for name in PROFILES if (home / name).exists()]
    assert made == (there or [".profile"])
    of_shell = {"bash": ["bash", "-ic"], "zsh": ["zsh", "-lc"], "fish": ["fish", "-c"], "dash": ["dash", "-lc"]}
    for words in (["bash", "-lc"], of_shell[shell]):
        env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
        done = subprocess.run([*words, "printenv PATH; printenv MARK || :"], env=env, capture_output=True, check=False)
        assert done.stdout.startswith(b"%s/shims:" % bytes(prefix)), (words, done)
    for line in manifest.lines:
        remove_line(line)
    assert texts(home) == before


def test_another_login_shell_leaves_no_dead_line(home: Path, prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for shell in ("bash", "zsh", "fish", "tcsh"):
        manifest = installed(prefix, monkeypatch, shell)
    assert (home / ".bashrc").exists() and (home / ".zshrc").exists()
    for line in manifest.lines:
        remove_line(line)
    assert texts(home) == {}


def test_the_line_of_the_first_version_becomes_the_new_one(
    home: Path, prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = f". '{prefix}/env.sh' # sbatch-shim\n"
    (home / ".bashrc").write_text("# above\n" + old + "# below\n")
    (prefix / MANIFEST).write_text(json.dumps({"rc_file": str(home / ".bashrc"), "rc_line": old}))
    manifest = installed(prefix, monkeypatch, "bash")
    assert old not in (home / ".bashrc").read_text().splitlines(keepends=True)
    for line in manifest.lines:
        remove_line(line)
    assert (home / ".bashrc").read_text() == "# above\n# below\n"


def test_a_line_end_of_ours_stays_where_something_follows(
    home: Path, prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rc = home / ".bashrc"
    rc.write_text("export A=1")
    manifest = installed(prefix, monkeypatch, "bash")
    rc.write_text(rc.read_text() + "export B=2\n")
    for line in manifest.lines:
        remove_line(line)
    assert rc.read_text() == "export A=1\nexport B=2\n"


def test_a_start_up_file_that_cannot_be_written_is_named(
    home: Path, prefix: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".bashrc").mkdir()
    manifest = installed(prefix, monkeypatch, "bash")
    assert f"{home}/.bashrc was left as it is" in capsys.readouterr().out
    assert [line["file"] for line in manifest.lines] == [str(home / name) for name in (".profile", ".bash_logout")]


@pytest.mark.parametrize("shell", ["dash", "bash", "zsh", "bash --posix"])
def test_env_sh(prefix: Path, shell: str) -> None:
    """Twice, under set -eu, with the site's folders before it, with PATH not set; an empty word of PATH stays."""
    shims = f"{prefix}/shims"
    source = f". '{prefix}/env.sh'; . '{prefix}/env.sh'; "
    for before, after in (
        ("/usr/bin:/bin", f"{shims}:/usr/bin:/bin"),
        (f"/site:{shims}:/usr/bin", f"{shims}:/site:/usr/bin"),
        (f"/site:{shims}:{shims}", f"{shims}:/site"),
        (shims, shims),
        (f"{shims}:/x:{shims}", f"{shims}:/x:{shims}"),
        (":/usr/bin:", f"{shims}::/usr/bin:"),
    ):
        words = [*shell.split(), "-euc", f'PATH="$1"; {source}printf "%s" "$PATH"', "x", before]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, after, "")
    words = [*shell.split(), "-euc", f'unset PATH; {source}printf "%s" "$PATH"']
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, shims), done.stderr


def test_two_prefixes_with_one_folder_of_modules(tmp_path: Path) -> None:
    """The second is refused, and takes nothing of the first along when it goes."""
    modules = tmp_path / "modules"
    first, second = tmp_path / "one/shims", tmp_path / "two/shims"
    target = module_target(modules, first)
    target.parent.mkdir(parents=True)
    write(target, render("modulefile", shims=str(first)))
    assert target == modules / "sbatch-shim" / __version__
    assert module_target(modules, first) == target
    with pytest.raises(SystemExit, match=r"not of this prefix.*nothing was written"):
        module_target(modules, second)
    remove_module(target, second)
    assert target.exists()
    (target.parent / "0.0.1").write_text("another version of another prefix")
    remove_module(target, first)
    assert [path.name for path in target.parent.iterdir()] == ["0.0.1"]


def test_the_module_of_the_first_version(tmp_path: Path) -> None:
    """One file, whoever wrote it last: moved where it is ours, and else left."""
    old = tmp_path / "sbatch-shim"
    write(old, render("modulefile", shims=str(tmp_path / "one/shims")))
    assert module_target(tmp_path, tmp_path / "one/shims") == old / __version__
    with pytest.raises(SystemExit, match="not of this prefix"):
        module_target(tmp_path, tmp_path / "two/shims")
