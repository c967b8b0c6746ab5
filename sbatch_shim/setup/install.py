"""Write, and take away again, what an installation consists of beside its virtual environment (see install.sh)."""

from __future__ import annotations

import argparse
import encodings
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import jinja2

from sbatch_shim import __version__
from sbatch_shim.companions.context import COMPANIONS
from sbatch_shim.setup import manual, queues
from sbatch_shim.setup.outside import MANIFEST, MODULE, Manifest, add_lines, module_target, remove_line, remove_module
from sbatch_shim.state.paths import PACKAGE, TEMPLATES

COMMANDS = {"sarray": "verbs.sarray", "sarray-flush": "flush.cli"}


def write(path: Path, text: str, mode: int = 0o644) -> bool:
    """Give `path` this text, whole or not at all; False when it has it already."""
    if path.is_file() and not path.is_symlink() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return False
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)
    return True


def render(name: str, **values: str | list[str]) -> str:
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


def launcher(command: str, bash: str, python: str, site: str, needed: Sequence[str] = ()) -> str:
    """The launcher of sbatch or of a companion; `needed` are files without which this Python does not start."""
    return render(
        "launcher",
        command=command,
        bash=bash,
        python=shlex.quote(python),
        needed=[shlex.quote(path) for path in needed],
        code=shlex.quote(start_code(command, site)),
        # sacct tells of jobs long gone; the others list what is live.
        live="sessions" if command == "sacct" else "live",
    )


def needed_files() -> list[str]:
    """What must be readable for this Python to start at all: its library, and the libpython that it was linked to."""
    needed = [encodings.__file__]
    try:
        with open("/proc/self/maps") as maps:
            mapped = {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if "/libpython" in line}
    except OSError:
        mapped = set()
    return needed + sorted(mapped)


def install(prefix: Path, modify_path: bool, modulefile: Path | None) -> None:
    """
    Write launchers, env.sh and, when asked, a module file and a line in the shell's start-up files.

    Those files are left alone for root, who installs for others, and with a module, which is another way to PATH.
    Prints only what changed; a second run changes nothing.
    """
    # Not through the link `venv`: a command that runs while another version is installed goes on with its own.
    python = Path(sys.prefix) / "bin" / "python"
    site = PACKAGE.parent
    bash = shutil.which("bash", path="/usr/local/bin:/usr/bin:/bin")
    if bash is None:
        raise SystemExit("install: bash was not found in /usr/local/bin, /usr/bin or /bin; nothing was written")
    shims, bin_folder = prefix / "shims", prefix / "bin"
    known = Manifest(prefix)
    # Module files of this prefix are named by its version: all of them follow it.
    written = [Path(path) for path in known.modules if os.path.lexists(path)]
    folders = {path.parent.parent if path.parent.name == MODULE else path.parent for path in written}
    targets = sorted({module_target(folder, shims) for folder in {*folders, *([modulefile] if modulefile else [])}})
    shims.mkdir(parents=True, exist_ok=True)
    bin_folder.mkdir(exist_ok=True)
    changed = False
    for command in ("sbatch", *COMPANIONS):
        text = launcher(command, bash, str(python), str(site), needed_files())
        changed |= write(shims / command, text, 0o755)
    for folder in (shims, bin_folder):
        for command, module in COMMANDS.items():
            text = render("command", command=command, module=module, python=shlex.quote(str(python)))
            changed |= write(folder / command, text, 0o755)
    changed |= write(prefix / "env.sh", render("env.sh", shims=shlex.quote(str(shims))))
    changed |= write_manual(prefix)
    for target in targets:
        if target.parent.is_file():
            target.parent.unlink()  # ours, as the first version wrote it
        target.parent.mkdir(parents=True, exist_ok=True)
        changed |= write(target, render("modulefile", shims=str(shims)))
    for path in known.modules:
        if Path(path) not in targets and Path(path).is_file():
            remove_module(Path(path), shims)
    known.modules = [str(target) for target in targets]
    if modify_path and modulefile is None and os.geteuid() != 0:
        changed |= add_lines(known, prefix)
    changed |= write(prefix / MANIFEST, known.text())
    print(f"{'installed' if changed else 'already up to date'}: {prefix}")
    if not known.lines:
        print(f"to use it: . {shlex.quote(str(prefix / 'env.sh'))}")


def write_manual(prefix: Path) -> bool:
    """The manual pages, where man(1) finds them by PATH; False when they are there already."""
    changed = False
    for name, text in manual.pages().items():
        page = prefix / "share" / "man" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        changed |= write(page, text)
    return changed


def uninstall(prefix: Path) -> None:
    """Remove exactly what was written; refuses while calls are queued."""
    queues.refuse_while_calls_wait()
    known = Manifest(prefix)
    for line in known.lines:
        remove_line(line)
    for path in known.modules:
        remove_module(Path(path), prefix / "shims")
    written = [f"shims/{name}" for name in ("sbatch", *COMPANIONS, *COMMANDS)] + [f"bin/{name}" for name in COMMANDS]
    written += [f"share/man/{name}" for name in manual.PAGES]
    for name in (*written, "env.sh", MANIFEST):
        (prefix / name).unlink(missing_ok=True)
    (prefix / "venv").unlink(missing_ok=True)
    shutil.rmtree(prefix / "venvs", ignore_errors=True)
    sections = [prefix / "share" / "man" / name for name in ("man1", "man7")]
    for folder in (prefix / "shims", prefix / "bin", *sections, prefix / "share/man", prefix / "share", prefix):
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
