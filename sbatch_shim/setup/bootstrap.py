"""
install.sh, behind its choice of a Python: a passing environment with this package, from which `sarray install` runs.

Runs from the sources with the standard library only, and writes nothing there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sbatch_shim import __version__
from sbatch_shim.errors import ShimError
from sbatch_shim.setup import place
from sbatch_shim.setup.environment import digest_of_sources, is_installed
from sbatch_shim.state.paths import DEFAULT_PREFIX, PACKAGE

SOURCES = PACKAGE.parent
# What a wheel is built from.
NEEDED = ("pyproject.toml", "README.md", "LICENSE", "sbatch_shim")
END = 10  # seconds for a command that was told to end
TICK = 0.2  # seconds between two looks at it


class Passing:
    """What takes time is told: at a terminal in a line that is written again and again, elsewhere once."""

    def __init__(self, told: str) -> None:
        self.told = told
        self.began = time.monotonic()
        self.width = 0
        self.is_terminal = sys.stderr.isatty()
        if not self.is_terminal:
            print(f"{told}, which may take a minute", file=sys.stderr, flush=True)

    def show(self, now: str) -> None:
        """The time that has passed, and what is done now."""
        if self.is_terminal:
            room = shutil.get_terminal_size().columns - 1
            text = f"{self.told}: {time.monotonic() - self.began:.0f} s  {now}"[:room]
            print("\r" + text.ljust(self.width), end="", file=sys.stderr, flush=True)
            self.width = len(text)

    def clear(self) -> None:
        if self.is_terminal:
            print("\r" + " " * self.width + "\r", end="", file=sys.stderr, flush=True)


def last_line(log: Path) -> str:
    """What a command wrote last."""
    lines = log.read_bytes()[-1000:].decode(errors="replace").splitlines()
    return re.sub(r"[^ -~]", "", lines[-1]).strip() if lines else ""


def run_quietly(words: Sequence[str], log: Path, passing: Passing) -> bool:
    """Run a command, whose output is shown only where it fails; it ends with this process. Whether it did well."""
    with log.open("wb") as stream:
        process = None
        try:
            # In a session of its own, it can be ended with all that it started.
            with put_off():
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
                )
            while True:
                try:
                    status = process.wait(TICK)
                    break
                except subprocess.TimeoutExpired:
                    passing.show(last_line(log))
        except BaseException:
            if process is not None:
                end_group(process)
            raise
        finally:
            passing.clear()
    if status != 0:
        sys.stderr.write(log.read_text(errors="replace"))
    return status == 0


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command that leads a group, and whatever it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(END)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def what_to_install(work: Path, wheels: Path | None) -> str:
    """
    What pip is told to install: this version's wheel in the folder of wheels, else these sources.

    Raises:
        ShimError: The folder holds another version.
    """
    if wheels is not None:
        versions = {path.name.split("-")[1] for path in wheels.glob("sbatch_shim-*.whl")}
        if __version__ in versions:
            return f"sbatch-shim=={__version__}"
        if versions:
            raise ShimError(
                f"{wheels} holds version {', '.join(sorted(versions))}, and these sources are {__version__}; "
                "nothing was installed"
            )
    # Built away from the sources: they may be read-only, and must not change.
    copy = work / "sources"
    copy.mkdir()
    for name in NEEDED:
        if (SOURCES / name).is_dir():
            shutil.copytree(SOURCES / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(SOURCES / name, copy / name)
    return str(copy)


def make_environment(work: Path, wheels: Path | None) -> Path:
    """The Python of a new environment that has this package; ShimError where pip or uv cannot make it."""
    environment = work / "environment"
    python = environment / "bin" / "python"
    log = work / "log"
    offline = ["--no-index", "--find-links", str(wheels)] if wheels is not None else []
    wanted = what_to_install(work, wheels)
    uv = shutil.which("uv")
    passing = Passing(f"installing with {'uv' if uv else 'pip'} for Python {sys.version.split()[0]}")
    if uv:
        create = [uv, "venv", "--python", sys.executable, str(environment)]
        fill = [uv, "pip", "install", *(["--offline"] if wheels is not None else []), "--python", str(python)]
    else:
        create = [sys.executable, "-I", "-m", "venv", str(environment)]
        fill = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if not run_quietly(create, log, passing):
        how = " (Debian: apt-get install python3-venv)" if not uv else ""
        raise ShimError(f"{sys.executable} cannot make a virtual environment{how}; nothing was installed")
    if not run_quietly([*fill, *offline, wanted], log, passing):
        how = f"is all that it needs in {wheels}?" if wheels else "without a network, name a folder with --wheels DIR"
        raise ShimError(f"{'uv' if uv else 'pip'} could not install the package ({how}); nothing was installed")
    return python


def hand_over(python: Path, prefix: Path, more: Sequence[str]) -> int:
    """Run `sarray install` with another Python; it gets the signals that come here, and what it does is its own."""
    words = [str(python), "-I", "-m", "sbatch_shim.verbs.sarray", "install", "--prefix", str(prefix), *more]
    came: list[int] = []
    for one in handled():
        signal.signal(one, lambda number, _: came.append(number))
    process = subprocess.Popen(words)
    for one in handled():
        signal.signal(one, lambda number, _: process.send_signal(number))
    for number in came:
        process.send_signal(number)
    status = process.wait()
    return status if status >= 0 else 128 - status


def remove(prefix: Path) -> None:
    """Let what is installed there remove itself, of whatever version it is; does not return."""
    python = prefix / "venv" / "bin" / "python"
    if not (prefix / "venv").is_symlink():
        raise ShimError(f"nothing is installed in {prefix}")
    if not os.access(python, os.X_OK):
        raise ShimError(
            f"the Python of {prefix} has gone; install there once more, then remove it "
            f"(./install.sh --prefix {prefix}, then --uninstall; nothing was removed)"
        )
    os.execv(python, [str(python), "-I", "-m", "sbatch_shim.setup.install", "--prefix", str(prefix), "--uninstall"])


def run(options: argparse.Namespace) -> int:
    """The whole of install.sh; returns its exit status."""
    if options.prefix is None:
        prefix = place.default(DEFAULT_PREFIX, removing=options.uninstall)
    else:
        prefix = place.checked(options.prefix)
    if options.uninstall:
        remove(prefix)
    wheels = options.wheels.absolute() if options.wheels else None
    if wheels is not None and not wheels.is_dir():
        raise ShimError(f"there is no folder {wheels}; nothing was installed")
    place.refuse_unwritable(prefix)
    place.refuse_private_python(prefix, sys.executable)
    more = ["--no-modify-path"] if options.no_modify_path else []
    more += ["--demo"] if options.demo else []
    more += ["--modulefile", str(options.modulefile.absolute())] if options.modulefile else []
    if is_installed(prefix, digest_of_sources(PACKAGE)):
        return hand_over(prefix / "venv" / "bin" / "python", prefix, more)
    work = None
    try:
        with put_off():
            work = Path(tempfile.mkdtemp(prefix="sbatch-shim-"))
        python = make_environment(work, wheels)
        return hand_over(python, prefix, more)
    finally:
        for number in handled():
            signal.signal(number, signal.SIG_IGN)
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def handled() -> list[signal.Signals]:
    """The signals that would end this process; those that are ignored, by nohup for instance, stay so."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


class Ended(BaseException):
    """A signal came; the argument is its number."""


def end(number: int, _: object) -> None:
    """Once: what is undone then takes its time."""
    for one in handled():
        signal.signal(one, signal.SIG_IGN)
    raise Ended(number)


@contextmanager
def put_off() -> Iterator[None]:
    """Let signals wait while something is begun that has to be ended, until it is known by name."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in handled()}
    for one in before:
        signal.signal(one, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        os.kill(os.getpid(), came[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="install.sh", add_help=False)
    for name, kind in (("--prefix", str), ("--modulefile", Path), ("--wheels", Path)):
        parser.add_argument(name, type=kind)
    for name in ("--no-modify-path", "--demo", "--uninstall"):
        parser.add_argument(name, action="store_true")
    options = parser.parse_args()
    os.umask(0o022)
    for number in handled():
        signal.signal(number, end)
    try:
        sys.exit(run(options))
    except ShimError as error:
        print(f"install.sh: {error}", file=sys.stderr)
        sys.exit(error.status)
    except OSError as error:
        print(f"install.sh: {error.filename}: {error.strerror}; nothing was installed", file=sys.stderr)
        sys.exit(1)
    except Ended as error:
        name = signal.Signals(error.args[0]).name
        print(f"install.sh: ended by {name}; nothing was installed", file=sys.stderr)
        sys.exit(128 + error.args[0])
