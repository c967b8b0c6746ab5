"""
What an installation writes outside its prefix, and takes away again: lines in start-up files, and module files.

Everything written is in the prefix's manifest, also from before the login shell or the options changed.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from sbatch_shim import __version__
from sbatch_shim.state.paths import MANIFEST

RC_LINE = "if [ -r {file} ]; then . {file}; fi # sbatch-shim\n"
FISH = """# sbatch-shim (written by install.sh or sarray install, which also remove it)
if test "$PATH[1]" != {shims}; and test -d {shims}
    set -gx PATH {shims} $PATH
end
"""
FISH_LOGOUT = """if status is-login
    function sbatch_shim_logout --on-event fish_exit
        test -r {logout}; and env sarray_login=$fish_pid sh {logout}
    end
end
"""
MODULE = "sbatch-shim"


class Manifest:
    """
    What earlier installations of this prefix wrote outside of it.

    Attributes:
        lines: Start-up files: `file`, the `text` that was added to it, and whether the file was `created` for it.
        modules: Module files.
    """

    def __init__(self, prefix: Path) -> None:
        self.path = prefix / MANIFEST
        self.lines: list[dict[str, Any]] = []
        self.modules: list[str] = []
        try:
            known = json.loads(self.path.read_text())
        except FileNotFoundError:
            return
        self.lines = known.get("lines", [])
        self.modules = known.get("modules", [])
        # As the first version wrote it: one of each.
        if "rc_line" in known:
            self.lines.append({"file": known["rc_file"], "text": known["rc_line"], "created": False})
        if "modulefile" in known:
            self.modules.append(known["modulefile"])

    def text(self) -> str:
        return json.dumps({"lines": self.lines, "modules": self.modules}, indent=1) + "\n"

    def save(self) -> bool:
        """Write it, before what it names is written: so nothing is left that no manifest knows; False when it is so."""
        return write(self.path, self.text())


def write(path: Path, text: str, mode: int = 0o644) -> bool:
    """Give `path` this text, whole or not at all; False when it has it already."""
    if path.is_file() and not path.is_symlink() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return False
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)
    return True


def startup_files(home: Path) -> list[Path]:
    """
    The files that make the user's shells find the shims, in jobs too.

    Whatever the user's own shell is, `#!/bin/bash -l` reads the first that exists of three files. A new one is only
    made where there is none of them: a new ~/.bash_profile would hide ~/.profile. Interactive shells that are no login
    shells, and the login shells of zsh, read others.
    """
    profiles = [home / name for name in (".bash_profile", ".bash_login", ".profile")]
    files = [next((path for path in profiles if os.path.lexists(path)), profiles[-1])]
    shell = os.path.basename(os.environ.get("SHELL", "bash"))
    if shell == "bash":
        files.append(home / ".bashrc")
    elif shell == "zsh":
        folder = Path(os.environ.get("ZDOTDIR") or home)
        files += [folder / ".zprofile", folder / ".zshrc"]
    elif shell == "fish":
        files.append(Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish/conf.d/sbatch-shim.fish")
    elif profiles[-1] not in files:
        files.append(profiles[-1])
    return files


def logout_files(home: Path) -> list[Path]:
    """What the user's login shell reads when it ends; fish has no such file."""
    shell = os.path.basename(os.environ.get("SHELL", "bash"))
    if shell == "bash":
        return [home / ".bash_logout"]
    if shell == "zsh":
        return [Path(os.environ.get("ZDOTDIR") or home) / ".zlogout"]
    return []


def lines_for(prefix: Path) -> dict[Path, tuple[str, str]]:
    """What the files of a user's shells get, and what that does, in words."""
    env, logout, shims = (shlex.quote(str(prefix / name)) for name in ("env.sh", "logout.sh", "shims"))
    first = f"{prefix / 'shims'} is first on PATH in new shells"
    lines = {}
    for path in startup_files(Path.home()):
        lines[path] = RC_LINE.format(file=env), first
        if path.suffix == ".fish":
            lines[path] = (FISH + FISH_LOGOUT).format(shims=shims, logout=logout), first
    for path in logout_files(Path.home()):
        lines[path] = RC_LINE.format(file=logout), "a login that ends is asked about calls that are still queued"
    return lines


def add_lines(manifest: Manifest, prefix: Path) -> bool:
    """Put our lines into the files of the user's shells; True when one has changed. What cannot be written is said."""
    changed = False
    for target, (line, what) in lines_for(prefix).items():
        # Of an earlier version, in other words.
        for known in [known for known in manifest.lines if known["file"] == str(target)]:
            if known["text"].strip() != line.strip():
                remove_line(known)
                manifest.lines.remove(known)
        added: dict[str, Any] = {}
        try:
            created = not target.exists()
            present = b"" if created else target.read_bytes()
            if os.fsencode(line) in present:
                continue
            text = ("" if not present or present.endswith(b"\n") else "\n") + line
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab") as stream:
                added = {"file": str(target), "text": text, "created": created}
                manifest.lines.append(added)
                manifest.save()
                stream.write(os.fsencode(text))
        except OSError as error:
            manifest.lines = [known for known in manifest.lines if known is not added]
            print(f"{target} was left as it is, because it cannot be written: {error.strerror}")
            continue
        print(f"{'made' if created else 'added a line to'} {target}: {what}")
        changed = True
    return changed


def remove_line(known: dict[str, Any]) -> None:
    """Take away what was added to a file, and the file where it was made for that and holds nothing else."""
    target, text = Path(known["file"]), os.fsencode(known["text"])
    try:
        data = target.read_bytes()
        # Where something follows, the line end that was put before our line belongs to the line above it now.
        rest = data[: -len(text)] if data.endswith(text) else data.replace(text.lstrip(b"\n"), b"", 1)
        if not rest and known.get("created"):
            target.unlink()
            print(f"removed {target}, which held nothing else")
        elif rest != data:
            target.write_bytes(rest)
            print(f"removed the line of sbatch-shim from {target}")
    except FileNotFoundError:
        pass
    except OSError as error:
        print(f"{target}: the line of sbatch-shim could not be removed ({error.strerror}); please remove it yourself")


def is_module_of(path: Path, shims: Path) -> bool:
    """Whether this is a module file that an installation of these shims wrote."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return False
    return text.startswith("#%Module") and "\n# sbatch-shim " in text and f"prepend-path PATH {{{shims}}}\n" in text


def module_target(folder: Path, shims: Path) -> Path:
    """
    Where the module file goes below `folder`: sbatch-shim/VERSION.

    Raises:
        SystemExit: Another installation's file, or somebody else's, is there.
    """
    group = folder / MODULE
    target = group / __version__
    for path in (group, target):
        if path.is_file() and not is_module_of(path, shims):
            raise SystemExit(
                f"install: {path} is not of this prefix; choose another --modulefile DIR, or uninstall the "
                "installation that wrote it (nothing was written)"
            )
    if os.path.lexists(group) and not group.is_dir() and not group.is_file():
        raise SystemExit(f"install: {group} is no folder; choose another --modulefile DIR (nothing was written)")
    return target


def remove_module(path: Path, shims: Path) -> None:
    """Remove a module file that is still ours, and its folder where that is empty then."""
    if is_module_of(path, shims):
        path.unlink()
    if path.parent.name == MODULE:
        try:
            path.parent.rmdir()
        except OSError:
            pass
