"""
Run real clients of Slurm, unmodified, from PyPI: once directly, once in auto mode, and compare their results.

`tests/run clients [NAME...]` starts a cluster and calls this. A driver in this folder is one client: it works in an
empty folder, and leaves its results in `result.txt`; what it prints is shown where it fails. Lines at its top, after
`# NAME:`, say

- `requires`: what pip installs, with versions, into an environment of the client's own;
- `debian`: packages that it needs instead;
- `files`: what of this folder it finds in its own;
- `variables`: what a user of this client should set for auto mode;
- `fails`: why the client cannot work. It is run all the same, and must fail directly too.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from support.person import SYSTEM_PATH, USER, Person, Result  # noqa: E402

# Of the accounting; directly, some clients wait so long between two polls.
LONGEST_SECONDS = 420


@dataclass(frozen=True)
class Client:
    """One driver and what its top says."""

    driver: Path
    requires: list[str]
    debian: list[str]
    files: list[str]
    variables: dict[str, str]
    fails: str

    @property
    def name(self) -> str:
        return self.driver.stem

    def versions(self) -> str:
        """The client as the table names it."""
        return ", ".join(word.replace("==", " ") for word in (*self.requires[:1], *self.debian))


@dataclass(frozen=True)
class Run:
    """What one run of a client came to: what it left in result.txt, and how many submissions the controller got."""

    result: Result
    found: bytes
    submissions: int
    seconds: float


def read_client(driver: Path) -> Client:
    """A client from the top of its driver."""
    found = dict(re.findall(r"^# (requires|debian|files|variables|fails): (.+)$", driver.read_text(), re.M))
    return Client(
        driver,
        found.get("requires", "").split(),
        found.get("debian", "").split(),
        found.get("files", "").split(),
        dict(word.split("=", 1) for word in found.get("variables", "").split()),
        found.get("fails", ""),
    )


def environment_of(client: Client, cache: Path) -> Path:
    """The client's virtual environment, made where it is not there or its requirements have changed."""
    folder = cache / client.name
    stamp = folder / "requires"
    wanted = "\n".join(client.requires)
    if not stamp.exists() or stamp.read_text() != wanted:
        python = os.environ.get("SHIM_TEST_PYTHON", "/usr/bin/python3")
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        if client.requires:
            pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *client.requires], check=True)
        stamp.write_text(wanted)
    return folder


def requests(person: Person) -> int:
    """How many submissions the controller was asked for, since it started."""
    said = subprocess.run(["sdiag"], env={**os.environ, "SLURM_CONF": person.conf}, capture_output=True, check=True)
    found = re.search(rb"REQUEST_SUBMIT_BATCH_JOB +\( *4003\) count:(\d+)", said.stdout)
    return int(found[1]) if found else 0


def run(client: Client, person: Person, venv: Path, *, auto: bool) -> Run:
    """Run a client in an empty folder."""
    work = person.home / "work"
    work.mkdir()
    # A copy, for its folder is the first that Python imports from, and drivers are named after what they import.
    pipeline = work / f"pipeline{client.driver.suffix}"
    shutil.copyfile(client.driver, pipeline)
    for name in client.files:
        shutil.copy(HERE / name, work)
    person.own(work)
    path = f"{venv}/bin:{SYSTEM_PATH}"
    if auto:
        path = f"{person.prefix}/shims:{path}"
    environment = person.environment(PATH=path, VIRTUAL_ENV=str(venv))
    if auto:
        environment.update(SARRAY_MODE="auto", **client.variables)
    interpreter = "bash" if client.driver.suffix == ".sh" else str(venv / "bin/python")
    before = requests(person)
    begun = time.monotonic()
    try:
        result = person.run(interpreter, str(pipeline), cwd=work, env=environment, timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired as error:
        result = Result(124, error.stdout or b"", (error.stderr or b"") + b"\nno end in time\n")
    seconds = time.monotonic() - begun
    person.cancel_all()
    submissions = requests(person) - before
    kept = person.home / ("auto" if auto else "direct")
    shutil.move(work, kept)
    (kept / "driver.out").write_bytes(result.out)
    (kept / "driver.err").write_bytes(result.err)
    try:
        found = (kept / "result.txt").read_bytes()
    except FileNotFoundError:
        found = b""
    return Run(result, found, submissions, seconds)


def end_keepers(person: Person) -> None:
    """A keeper whose session is gone leaves."""
    if (person.home / "state").exists():
        (person.home / "state").rename(person.home / "state.gone")


def verdict(client: Client, direct: Run, auto: Run) -> str:
    """What is wrong, in words; empty where nothing is."""
    if client.fails:
        return "" if direct.result.status or not direct.found else "works directly now: its line `fails` is out of date"
    if direct.result.status:
        return f"fails directly, exit status {direct.result.status}"
    if auto.result.status:
        return f"fails in auto mode, exit status {auto.result.status}"
    if not direct.found:
        return "leaves no result directly"
    if direct.found != auto.found:
        return f"other results: {direct.found!r} directly, {auto.found!r} in auto mode"
    return ""


def main() -> int:
    """Run the clients that the command line names, by default all of them; print a table as in docs/clients.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the environments, readable by the user")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the runs, and say where they are")
    parser.add_argument("names", nargs="*", metavar="NAME", help="drivers, without their endings")
    options = parser.parse_args()
    drivers = [path for path in sorted(HERE.glob("*.*")) if path.suffix in (".py", ".sh") and path.stem != "runner"]
    clients = [read_client(path) for path in drivers]
    unknown = set(options.names) - {client.name for client in clients}
    if unknown:
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    scratch = Path(tempfile.mkdtemp(prefix="shim-clients-"))
    scratch.chmod(0o755)
    prefix = scratch / "opt"
    python = os.environ.get("SHIM_TEST_PYTHON", "/usr/bin/python3")
    install = [str(HERE.parent.parent / "install.sh"), "--prefix", str(prefix), "--python", python, "--no-modify-path"]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "HOME": str(scratch / "root")})
    failed = 0
    print("| client | submissions directly | in auto mode | seconds directly | in auto mode | |", flush=True)
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for client in clients:
        if options.names and client.name not in options.names:
            continue
        venv = environment_of(client, options.cache)
        person = Person(scratch / client.name, prefix)
        person.home.mkdir(mode=0o755)
        person.own(person.home)
        direct, auto = (run(client, person, venv, auto=auto) for auto in (False, True))
        wrong = verdict(client, direct, auto)
        cells = [
            f"{client.name} ({client.versions()})",
            *(str(one.submissions) for one in (direct, auto)),
            *(f"{one.seconds:.0f}" for one in (direct, auto)),
            wrong or client.fails or "as directly",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
        if wrong:
            failed += 1
            for title, one in (("directly", direct), ("in auto mode", auto)):
                print(f"== {client.name} {title}", *tails(one.result), sep="\n", file=sys.stderr, flush=True)
        end_keepers(person)
    if options.keep:
        print(f"the folders of the runs: {scratch}", file=sys.stderr)
    else:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if failed else 0


def tails(result: Result) -> list[str]:
    """The last lines of what a run printed."""
    return [data.decode(errors="replace")[-1500:] for data in (result.out, result.err)]


if __name__ == "__main__":
    if not USER or not pwd.getpwnam(USER):
        sys.exit("tests/run clients starts this")
    sys.exit(main())
