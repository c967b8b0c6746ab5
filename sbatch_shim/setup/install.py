"""Write, and take away again, what an installation consists of beside its virtual environment (see install.sh)."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import jinja2

from sbatch_shim import __version__
from sbatch_shim.companions.context import COMPANIONS
from sbatch_shim.state.calls import waiting_sessions
from sbatch_shim.state.paths import PACKAGE, TEMPLATES, state_folder

MANIFEST = "installed.json"
COMMANDS = {"sarray": "verbs.sarray", "sarray-flush": "flush.cli"}
RC_LINE = '. {env} # sbatch-shim\n'


def write(path: Path, text: str, mode: int = 0o644) -> bool:
    """Give `path` this text, whole or not at all; False when it has it already."""
    if path.is_file() and not path.is_symlink() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return False
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)
    return True


def render(name: str, **values: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template(name).render(version=__version__, **values)


def start_code(command: str, site: str) -> str:
    """What `python -I -S -c` runs to be sbatch or a companion; `site` is the folder that holds this package."""
    module, run = "shim", "posix._exit(main())"
    if command != "sbatch":
        module, run = "companions.start", f"sys.exit(main({command!r}))"
    return render("start", command=command, site=repr(site), module=module, run=run).strip()


def launcher(command: str, bash: str, python: str, site: str) -> str:
    """The launcher of sbatch or of a companion."""
    return render(
        "launcher",
        command=command,
        bash=bash,
        python=shlex.quote(python),
        code=shlex.quote(start_code(command, site)),
        # sacct tells of jobs long gone; the others list what is live.
        live="sessions" if command == "sacct" else "live",
    )


def rc_file() -> Path:
    """The file that the user's login shell reads for interactive use."""
    shell = os.path.basename(os.environ.get("SHELL", "bash"))
    return Path.home() / {"zsh": ".zshrc", "bash": ".bashrc"}.get(shell, ".profile")


def install(prefix: Path, modify_path: bool, modulefile: Path | None) -> None:
    """
    Write launchers, env.sh and, when asked, a module file and a line in the shell's rc file.

    Prints only what changed; a second run changes nothing.
    """
    # Not through the link `venv`: a command that runs while another version is installed goes on with its own.
    python = Path(sys.prefix) / "bin" / "python"
    site = PACKAGE.parent
    bash = shutil.which("bash", path="/usr/local/bin:/usr/bin:/bin")
    if bash is None:
        raise SystemExit("install: bash was not found in /usr/local/bin, /usr/bin or /bin; nothing was written")
    shims, bin_folder = prefix / "shims", prefix / "bin"
    shims.mkdir(parents=True, exist_ok=True)
    bin_folder.mkdir(exist_ok=True)
    changed = False
    for command in ("sbatch", *COMPANIONS):
        text = launcher(command, bash, str(python), str(site))
        changed |= write(shims / command, text, 0o755)
    for folder in (shims, bin_folder):
        for command, module in COMMANDS.items():
            text = render("command", command=command, module=module, python=shlex.quote(str(python)))
            changed |= write(folder / command, text, 0o755)
    changed |= write(prefix / "env.sh", render("env.sh", shims=shlex.quote(str(shims))))
    before = manifest(prefix)
    outside = dict(before)
    if modulefile is not None:
        modulefile.mkdir(parents=True, exist_ok=True)
        target = modulefile / "sbatch-shim"
        changed |= write(target, render("modulefile", shims=str(shims)))
        outside["modulefile"] = str(target)
    if modify_path:
        target = rc_file()
        line = RC_LINE.format(env=shlex.quote(str(prefix / "env.sh")))
        present = target.read_text() if target.exists() else ""
        if line not in present:
            print(f"adding a line to {target}, which puts {shims} first on PATH in new shells")
            with target.open("a") as stream:
                stream.write(("" if not present or present.endswith("\n") else "\n") + line)
            changed = True
        outside["rc_file"], outside["rc_line"] = str(target), line
    changed |= write(prefix / MANIFEST, json.dumps(outside, indent=1) + "\n")
    print(f"{'installed' if changed else 'already up to date'}: {prefix}")
    if not modify_path and "rc_file" not in outside:
        print(f"to use it: . {shlex.quote(str(prefix / 'env.sh'))}")


def manifest(prefix: Path) -> dict[str, str]:
    """What an earlier installation wrote outside the prefix."""
    try:
        known: dict[str, str] = json.loads((prefix / MANIFEST).read_text())
        return known
    except FileNotFoundError:
        return {}


def uninstall(prefix: Path) -> None:
    """Remove exactly what was written; refuses while calls are queued."""
    held = waiting_sessions(os.fsencode(state_folder()))
    if held:
        count = sum(session.count for session in held)
        raise SystemExit(
            f"install: {count} queued calls are not submitted yet; run `sarray-flush --all` first (nothing was removed)"
        )
    outside = manifest(prefix)
    if "rc_line" in outside:
        target = Path(outside["rc_file"])
        if target.exists():
            target.write_text(target.read_text().replace(outside["rc_line"], ""))
    if "modulefile" in outside:
        Path(outside["modulefile"]).unlink(missing_ok=True)
    written = [f"shims/{name}" for name in ("sbatch", *COMPANIONS, *COMMANDS)] + [f"bin/{name}" for name in COMMANDS]
    for name in (*written, "env.sh", MANIFEST):
        (prefix / name).unlink(missing_ok=True)
    (prefix / "venv").unlink(missing_ok=True)
    shutil.rmtree(prefix / "venvs", ignore_errors=True)
    for folder in (prefix / "shims", prefix / "bin", prefix):
        try:
            folder.rmdir()
        except OSError:
            pass
    print(f"removed: {prefix}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="install")
    parser.add_argument("--prefix", type=Path, required=True)
    parser.add_argument("--no-modify-path", action="store_true")
    parser.add_argument("--modulefile", type=Path)
    parser.add_argument("--uninstall", action="store_true")
    options = parser.parse_args()
    if options.uninstall:
        uninstall(options.prefix)
    else:
        install(options.prefix, not options.no_modify_path, options.modulefile)


if __name__ == "__main__":
    main()
