"""
`sarray install`, which install.sh calls too: an environment, and launchers, commands, pages and lines that point to it.
"""

from __future__ import annotations

import argparse
import encodings
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jinja2

from sbatch_shim import __version__
from sbatch_shim.companions.context import COMPANIONS
from sbatch_shim.errors import ShimError
from sbatch_shim.setup import manual, place, queues
from sbatch_shim.setup.environment import build, use
from sbatch_shim.setup.outside import MODULE, Manifest, add_lines, module_target, remove_line, remove_module, write
from sbatch_shim.state.paths import DEFAULT_PREFIX, MANIFEST, PACKAGE, TEMPLATES, installed_in, state_folder
from sbatch_shim.state.settings import IN_EFFECT, NOTHING_SET, SETTINGS, Settings, read

# Begins the part of sbatch's launcher for calls of a burst.
BURST_PART = "\n# the clerk\n"
COMMANDS = {"sarray": "verbs.sarray", "sarray-flush": "flush.cli"}


def render(name: str, **values: str | list[str]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template(name).render(version=__version__, **values)


def start_code(command: str, site: str, settings: Settings = NOTHING_SET) -> str:
    """What `python -I -S -c` runs to be sbatch or a companion; `site` is the folder that holds this package."""
    defaults, caps = settings.of_calls(settings.defaults), settings.of_calls(settings.caps)
    module, run = "shim", f"posix._exit(main({defaults}, {caps}))"
    if command != "sbatch":
        module, run = "companions.start", f"sys.exit(main({command!r}))"
    return render("start", command=command, site=repr(site), module=module, run=run).strip()


def given_up_code(site: str) -> str:
    """What `python -I -S -c` runs to find out about a call that a clerk gave no answer to."""
    return f"import posix,sys\nsys.path.insert(0,{site!r})\nfrom sbatch_shim.given_up import main\nposix._exit(main())"


def word_of(name: str, settings: Settings) -> str:
    """How the launcher reads a setting that the site has set; empty for one that it has not."""
    if name in settings.caps:
        return settings.caps[name]
    if name in settings.defaults:
        return f"${{{SETTINGS[name].variable}:-{settings.defaults[name]}}}"
    return ""


def launcher(
    command: str,
    bash: str,
    python: str,
    site: str,
    needed: Sequence[str] = (),
    settings: Settings = NOTHING_SET,
) -> str:
    """The launcher of sbatch or of a companion; `needed` are files without which this Python does not start."""
    text = render(
        "launcher",
        command=command,
        bash=bash,
        python=shlex.quote(python),
        needed=[shlex.quote(path) for path in needed],
        code=shlex.quote(start_code(command, site, settings)),
        given_up=shlex.quote(given_up_code(site)),
        # sacct tells of jobs long gone; the others list what is live.
        keeper=word_of("keeper", settings),
        ids=word_of("ids", settings),
        live="sessions" if command == "sacct" else "live",
    )
    # That part is read by its place in the file.
    return text.replace("CLERK_LINE", str(text[: text.find(BURST_PART)].count("\n") + 1))


def needed_files() -> list[str]:
    """What must be readable for this Python to start at all: its library, and the libpython that it was linked to."""
    needed = [encodings.__file__]
    try:
        with open("/proc/self/maps") as maps:
            mapped = {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if "/libpython" in line}
    except OSError:
        mapped = set()
    return needed + sorted(mapped)


def wanted_files(prefix: Path, environment: Path, settings: Settings) -> dict[Path, tuple[str, int]]:
    """The text and mode of each file in a prefix beside its environment, of commands that run from there."""
    # Not through the link `venv`: a command that runs while another version is installed goes on with its own.
    python = str(environment / "bin" / "python")
    (site,) = environment.glob("lib/python*/site-packages")
    files: dict[Path, tuple[str, int]] = {}
    bash = bash_here()
    for command in ("sbatch", *COMPANIONS):
        files[prefix / "shims" / command] = launcher(command, bash, python, str(site), needed_files(), settings), 0o755
    for folder in ("shims", "bin"):
        for command, module in COMMANDS.items():
            text = render("command", command=command, module=module, python=shlex.quote(python))
            files[prefix / folder / command] = text, 0o755
    files[prefix / "env.sh"] = render("env.sh", shims=shlex.quote(str(prefix / "shims"))), 0o644
    files[prefix / "logout.sh"] = render("logout.sh", python=shlex.quote(python)), 0o644
    if settings:
        files[prefix / IN_EFFECT] = settings.text(), 0o644
    # man(1) finds them by PATH.
    for name, text in manual.pages().items():
        files[prefix / "share" / "man" / name] = text, 0o644
    return files


def bash_here() -> str:
    """The bash of the launchers; ShimError where there is none."""
    bash = shutil.which("bash", path="/usr/local/bin:/usr/bin:/bin")
    if bash is None:
        raise ShimError("bash was not found in /usr/local/bin, /usr/bin or /bin; nothing was installed")
    return bash


def install(prefix: Path, modulefile: Path | None = None, *, modify_path: bool) -> None:
    """
    Install this package into a prefix, or bring what is there up to date.

    Start-up files are left alone for root, who installs for others, and with a module, which is another way to PATH.
    Prints only what changed; a second run changes nothing. Where it fails or is ended, a new prefix is left as if
    nobody had tried, and an old one as it was or as it becomes; either works.

    Args:
        modulefile: Where module files are, to write one there.
        modify_path: Put the shims on PATH in the user's start-up files.

    Raises:
        ShimError: It cannot be done, in a sentence.
    """
    os.umask(0o022)
    bash_here()
    place.refuse_unwritable(prefix)
    try:
        with ended_by_signals(), place.locked(prefix):
            fresh = not (prefix / MANIFEST).exists()
            try:
                place_all(prefix, modulefile, modify_path=modify_path)
            except BaseException as error:
                ignore_signals()
                if fresh:
                    take_away(prefix)
                kept = "nothing was installed" if fresh else "what was installed before still works"
                if isinstance(error, (KeyboardInterrupt, OSError)):
                    raise Stopped(error, kept) from None
                raise
    except (KeyboardInterrupt, OSError) as error:  # while the prefix itself was made
        raise Stopped(error, "nothing was installed") from None


def place_all(prefix: Path, modulefile: Path | None, *, modify_path: bool) -> None:
    """Make the environment, then all that points to it; that comes last, so that it never points to nothing."""
    try:
        settings = read(prefix)
    except ShimError as error:
        raise ShimError(f"{error}; nothing was changed") from None
    shims = prefix / "shims"
    known = Manifest(prefix)
    # Module files of this prefix are named by its version: all of them follow it.
    written = [Path(path) for path in known.modules if os.path.lexists(path)]
    folders = {path.parent.parent if path.parent.name == MODULE else path.parent for path in written}
    targets = sorted({module_target(folder, shims) for folder in {*folders, *([modulefile] if modulefile else [])}})
    environment = build(prefix, PACKAGE)
    before = list(known.modules)
    known.modules = sorted({*known.modules, *map(str, targets)})
    changed = known.save()
    for path, (text, mode) in wanted_files(prefix, environment, settings).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        changed |= write(path, text, mode)
    if not settings and (prefix / IN_EFFECT).exists():
        (prefix / IN_EFFECT).unlink()
        changed = True
    for target in targets:
        if target.parent.is_file():
            target.parent.unlink()  # ours, as the first version wrote it
        target.parent.mkdir(parents=True, exist_ok=True)
        if write(target, render("modulefile", shims=str(shims))):
            print(f"wrote {target}")
            changed = True
    for path in map(Path, before):
        if path not in targets and path.is_file():
            remove_module(path, shims)
    known.modules = [str(target) for target in targets]
    if modify_path and modulefile is None and os.geteuid() != 0:
        changed |= add_lines(known, prefix)
    known.save()
    use(prefix, environment)
    print(f"{'installed' if changed else 'already up to date'}: {prefix}")
    if settings:
        print(f"{settings.source} is in effect")
    env = shlex.quote(str(prefix / "env.sh"))
    print(f"in this shell: . {env}" if known.lines else f"to use it: . {env}")


class Stopped(ShimError):
    """An installation that did not come to its end: why, and what is left."""

    def __init__(self, error: BaseException, kept: str) -> None:
        number = error.args[0] if isinstance(error, Ended) else signal.SIGINT
        if isinstance(error, OSError):
            where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
            super().__init__(f"{where}{error.strerror or error}; {kept}")
        else:
            self.status = 128 + number
            super().__init__(f"ended by {signal.Signals(number).name}; {kept}")


class Ended(KeyboardInterrupt):
    """A signal came; the argument is its number."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let signals that would end this process raise Ended, so that nothing is left half done; nohup's is ignored."""

    def end(number: int, _: object) -> None:
        ignore_signals()
        raise Ended(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """From now on, while what was done is undone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def take_away(prefix: Path) -> None:
    """Remove exactly what was written; what else is in the prefix stays."""
    known = Manifest(prefix)
    for line in known.lines:
        remove_line(line)
    for path in known.modules:
        remove_module(Path(path), prefix / "shims")
    written = [f"shims/{name}" for name in ("sbatch", *COMPANIONS, *COMMANDS)] + [f"bin/{name}" for name in COMMANDS]
    written += [f"share/man/{name}" for name in manual.PAGES]
    for name in (*written, "env.sh", "logout.sh", IN_EFFECT, MANIFEST):
        (prefix / name).unlink(missing_ok=True)
        (prefix / f"{name}.new").unlink(missing_ok=True)  # of one that was killed
    for link in ("venv", "venv.new"):
        (prefix / link).unlink(missing_ok=True)
    shutil.rmtree(prefix / "venvs", ignore_errors=True)
    sections = [prefix / "share" / "man" / name for name in ("man1", "man7")]
    folders = [prefix / "shims", prefix / "bin", *sections, prefix / "share/man", prefix / "share", prefix]
    place.remove_folders(folders)


def uninstall(prefix: Path) -> None:
    """
    Remove exactly what was written, and say what stays.

    Raises:
        ShimError: Nothing is installed there, or something cannot be removed.
        SystemExit: Calls are queued.
    """
    if not (prefix / MANIFEST).exists():
        raise ShimError(f"nothing is installed in {prefix}")
    queues.refuse_while_calls_wait()
    try:
        with place.locked(prefix):
            take_away(prefix)
    except OSError as error:
        raise Stopped(error, f"{prefix} is not wholly removed") from None
    print(f"removed: {prefix}")
    if prefix.exists():
        print(f"what else is in {prefix} stays, as it was not installed")
    print(f"the state folders of its users stay (yours is {state_folder()}): what became of submitted calls")
    print("shells that are open may remember the removed commands: `hash -r` (zsh: `rehash`) lets them look again")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `sarray install` and install.sh both take."""
    parser.add_argument("--prefix", metavar="DIR", help=f"where to install (default: {DEFAULT_PREFIX})")
    parser.add_argument(
        "--no-modify-path",
        action="store_true",
        help="leave the shell's start-up files alone, and source PREFIX/env.sh yourself (root's are never changed)",
    )
    parser.add_argument(
        "--modulefile",
        metavar="DIR",
        type=Path,
        help="write an environment module DIR/sbatch-shim/VERSION instead of lines in start-up files",
    )
    parser.add_argument(
        "--uninstall", action="store_true", help="remove exactly what was installed; refuses while calls are queued"
    )


def run(options: argparse.Namespace) -> Path:
    """Install or uninstall, and return the prefix; see add_options, and `install` for the errors."""
    removing = options.uninstall
    modulefile = options.modulefile.absolute() if options.modulefile else None
    if options.prefix is not None:
        prefix = place.checked(options.prefix)
    else:
        prefix = installed_in() or place.default(DEFAULT_PREFIX, removing=removing)
    if removing:
        uninstall(prefix)
    else:
        install(prefix, modulefile, modify_path=not options.no_modify_path)
    return prefix


def main() -> None:
    """What `install.sh --uninstall` runs; the same words were understood by the first version."""
    parser = argparse.ArgumentParser(prog="install")
    add_options(parser)
    try:
        run(parser.parse_args())
    except ShimError as error:
        print(f"install: {error}", file=sys.stderr)
        sys.exit(error.status)


if __name__ == "__main__":
    main()
