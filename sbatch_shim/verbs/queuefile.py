"""sarray submit: the calls of a queue file (one sbatch call per line), or those of this session."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sbatch_shim.companions.act import drop_queued
from sbatch_shim.companions.companion import Context
from sbatch_shim.errors import ShimError
from sbatch_shim.flush import cli
from sbatch_shim.flush.slurm import find_command
from sbatch_shim.install import start_code
from sbatch_shim.paths import PACKAGE

USAGE = """\
usage: sarray submit [FILE|-] [options] [any option of sbatch, for all arrays]

Submits the calls of a queue file, or without FILE those of this session, as job arrays. A queue file holds one sbatch
call per line (the word sbatch may be left out), quoted as for a shell; lines that begin with # are comments.

  -n, --dry-run     show the plan and the scripts; submit nothing
  -t, --throttle N  at most N tasks of each array at a time
  -o, --output FILE also keep the script in FILE (of several arrays: FILE, FILE-2, ...)

All options of sarray-flush are understood too. Exit status: as sarray-flush; 2 also for a line that cannot be queued.
"""


def calls_in(text: str, name: str) -> list[tuple[int, list[str]]]:
    """Line numbers and words; raises Usage for a line that no shell could read."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise cli.Usage(f"{name}, line {number}: {error}; nothing was submitted") from None
        found.append((number, words[1:] if words[:1] == ["sbatch"] else words))
    return found


def queue_call(context: Context, words: list[str], session: str) -> int:
    """Queue one call as our sbatch does, in a session of its own; returns its exit status."""
    real = find_command("sbatch", context.variable("PATH") or os.defpath)[0] or ""
    code = start_code("sbatch", str(PACKAGE.parent))
    environment = {**context.environment, b"SARRAY_MODE": b"queue", b"SARRAY_SESSION": os.fsencode(session)}
    handed_on = ["/proc/self/environ", "", ""]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, *handed_on, os.fsdecode(context.state), real, *words],
        env=environment,
        umask=context.umask,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    return done.returncode


def submit(context: Context, words: list[str]) -> int:
    """The verb; returns its exit status."""
    if "-h" in words or "--help" in words:
        print(USAGE, end="")
        return 0
    file = words[0] if words and (words[0] == "-" or not words[0].startswith("-")) else None
    rest = words[1:] if file is not None else list(words)
    # In the style of sarray 0.3.1 the file may also come last.
    wanted, rest = output_of(rest)
    if file is None and rest and (rest[-1] == "-" or os.path.isfile(rest[-1])):
        file = rest.pop()
    session = None
    if file is not None:
        session = f"file.{os.getpid()}.{time.time_ns()}"
        queue_file(context, file, session)
        rest += ["--session", session]
    with tempfile.TemporaryDirectory(prefix="sarray-") as folder:
        try:
            status = cli.run([*rest, "--output", folder] if wanted else rest)
        finally:
            if session is not None and ("-n" in rest or "--dry-run" in rest):
                drop_all(context, session)
        for number, script in enumerate(sorted(Path(folder).iterdir()), 1):
            shutil.move(script, wanted if number == 1 else f"{wanted}-{number}")
    return status


def output_of(words: list[str]) -> tuple[str, list[str]]:
    """The value of -o, and the other words."""
    wanted, rest = "", []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in ("-o", "--output"):
            if at == len(words):
                raise cli.Usage(f"{word} needs a file")
            wanted, at = words[at], at + 1
        elif word.startswith("--output="):
            wanted = word.partition("=")[2]
        else:
            rest.append(word)
    return wanted, rest


def queue_file(context: Context, file: str, session: str) -> None:
    """Queue all calls of a file; none stays queued when one cannot be."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(errors="surrogateescape")
    except OSError as error:
        raise ShimError(f"{file}: {error.strerror}") from None
    for number, words in calls_in(text, file):
        if queue_call(context, words, session) != 0:
            drop_all(context, session)
            raise cli.Usage(f"{file}, line {number}: sbatch refuses this call; nothing was submitted")


def drop_all(context: Context, session: str) -> None:
    """Let nothing of a session be submitted."""
    pages = context.book.open(os.fsencode(session))
    pages.read()
    drop_queued(pages, sorted(pages.queued))
