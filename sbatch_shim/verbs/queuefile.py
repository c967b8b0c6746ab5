"""sarray submit: the calls of a queue file (one sbatch call per line), or those of this session."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sbatch_shim.companions.context import Context
from sbatch_shim.errors import HandOver, ShimError
from sbatch_shim.flush import cli
from sbatch_shim.flush.preview import show_plan
from sbatch_shim.request import Piped
from sbatch_shim.shim import UnknownTicket, queue
from sbatch_shim.spool import Session, sync_folder
from sbatch_shim.verbs.words import session_ends

USAGE = """\
usage: sarray submit [FILE|-] [options] [any option of sbatch, for all arrays]

Submits the calls of a queue file, or without FILE those of this session, as job
arrays. A queue file holds one sbatch call per line (the word sbatch may be left
out), quoted as for a shell, with # comments; nothing is expanded.

  -n, --dry-run      show the plan; submit nothing (--scripts: and the scripts)
  -t, --throttle N   at most N tasks of each array at a time
  -o, --output FILE  also keep the script in FILE (of several arrays: FILE,
                     FILE-2, ...), with -n too

All options of sarray-flush are understood too; options of sbatch win over what
the calls say.

examples:
  sarray submit                       # this session, as in sarray listen
  sarray submit jobs.conf -n | less   # look first
  sarray submit jobs.conf -t 10 --reservation=monday
  echo "sbatch job.slurm" | sarray submit -

Exit status: as of sarray-flush; 2 also for a line that cannot be queued (then
nothing was submitted).
"""


# A part of a word, as bash reads a line: \x, '...', "...", and what stands for itself.
PART = re.compile(
    r"""\\(?P<escaped>.)|'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<plain>[^ \t'"\\]+)""", re.DOTALL
)


def words_in(line: str) -> list[str]:
    """
    The words of a line by a shell's rules, but that nothing is expanded; ValueError for what no call is.

    (shlex begins a comment at a # inside a word, and keeps a backslash in front of $ in double quotes.)
    """
    words: list[str] = []
    open_word = False
    at = 0
    while at < len(line):
        if line[at] in " \t":
            open_word, at = False, at + 1
            continue
        if line[at] == "#" and not open_word:
            break
        part = PART.match(line, at)
        if part is None:
            raise ValueError("No escaped character" if line[at] == "\\" else "No closing quotation")
        at = part.end()
        text = part["escaped"] or part["single"] or part["plain"] or ""
        if part["double"]:
            text = re.sub(r'\\([$`"\\])', r"\1", part["double"])
        operator = re.search("[;&|<>()]", part["plain"] or "")
        if operator:
            raise ValueError(f"{operator[0]} is not quoted")
        if open_word:
            words[-1] += text
        else:
            words.append(text)
        open_word = True
    return words


def calls_in(text: str, name: str) -> list[tuple[int, list[str]]]:
    """Line numbers and words; raises Usage for a line that no shell could read."""
    found = []
    # Editors of other systems begin with a mark, and end lines otherwise.
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        try:
            words = words_in(line.rstrip("\r"))
            if any("\0" in word for word in words):
                raise ValueError("No word can hold a NUL")
        except ValueError as error:
            raise cli.Usage(f"{name}, line {number}: {error}; nothing was submitted") from None
        if words:
            found.append((number, words[1:] if os.path.basename(words[0]) == "sbatch" else words))
    return found


def queue_calls(context: Context, calls: list[tuple[int, list[str]]], file: str, session: Session) -> None:
    """Queue the calls of a file as our sbatch does; raises Usage for one that it would give to the real sbatch."""
    entries = [name + b"=" + value for name, value in context.environment.items() if not name.startswith(b"SARRAY_")]
    # A call without a script must not wait for one on our stdin.
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    ours = os.umask(context.umask)  # a part of the call
    try:
        for number, words in calls:
            try:
                queue(session, [os.fsencode(word) for word in words], entries, b"", Piped())
            except HandOver as reason:
                what = f"this call cannot be queued ({reason})"
            except UnknownTicket:
                what = "this call waits for a ticket that you do not have, or whose call was cancelled"
            else:
                continue
            raise cli.Usage(f"{file}, line {number}: {what}; nothing was submitted")
    finally:
        os.umask(ours)


def submit(context: Context, words: list[str]) -> int:
    """The verb; returns its exit status."""
    if "-h" in words or "--help" in words:
        print(USAGE, end="")
        return 0
    file = None
    if words and (words[0] == "-" or not words[0].startswith("-")):
        file = words[0]
    rest = words[1:] if file is not None else list(words)
    # In the style of sarray 0.3.1 the file may also come last.
    wanted, rest = output_of(rest)
    if file is None and rest and (rest[-1] == "-" or os.path.isfile(rest[-1])) and not understood(rest):
        file = rest.pop()
    own, _ = cli.read_arguments(rest)
    if wanted and not os.access(os.path.dirname(wanted) or ".", os.W_OK):
        raise ShimError(f"{wanted} cannot be written; nothing was submitted")
    if file is not None:
        if "session" in own or "all" in own:
            raise cli.Usage("name a file or sessions, not both")
        if "version" in own:
            return cli.run(rest)
        session = draft(context)
        try:
            queue_file(context, file, session)
            if "dry-run" in own:
                with kept_scripts(wanted) as more:
                    options, wishes = cli.read_arguments([*rest, *more])
                    backend = cli.backend_for(options, context.state)
                    show_plan(session, backend, wishes, scripts="scripts" in options)
        except BaseException:
            forget(session)
            raise
        if "dry-run" in own:
            forget(session)
            return 0
        # From here on they are queued, all of them.
        os.rename(session.queue, Session(context.state, session.name).queue)
        sync_folder(session.folder)
        rest += ["--session", os.fsdecode(session.name)]
    with kept_scripts(wanted) as more:
        status = cli.run([*rest, *more])
    if status == 0 and file is None and not own.keys() & {"dry-run", "session", "help", "version"}:
        session_ends(context)
    return status


@contextmanager
def kept_scripts(wanted: str) -> Iterator[list[str]]:
    """
    Words for sarray-flush that make it keep its scripts, which then become FILE, FILE-2, ...

    Args:
        wanted: The first FILE; empty for none.
    """
    if not wanted:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="sarray-") as folder:
        yield ["--output", folder]
        for number, script in enumerate(sorted(Path(folder).iterdir()), 1):
            shutil.move(script, wanted if number == 1 else f"{wanted}-{number}")


def understood(words: list[str]) -> bool:
    """Whether these are options and their values, so that the last one is no file."""
    try:
        cli.read_arguments(words)
    except cli.Usage:
        return False
    return True


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


def draft(context: Context) -> Session:
    """A new session whose queue has another name, so that no flush sees its calls before all of them are there."""
    session = Session(context.state, b"file.%d.%d" % (os.getpid(), time.time_ns()))
    session.queue += b".draft"
    return session


def queue_file(context: Context, file: str, session: Session) -> None:
    """Queue all calls of a file."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ShimError(f"{file}: {error.strerror}") from None
    name = "stdin" if file == "-" else file
    calls = calls_in(os.fsdecode(data), name)
    if not calls:
        raise cli.Usage(f"{name} holds no call")
    queue_calls(context, calls, name, session)


def forget(session: Session) -> None:
    """Take away a session of ours alone, of which nothing was submitted: nobody was told its tickets."""
    shutil.rmtree(session.folder, ignore_errors=True)
    try:
        os.unlink(session.live)
    except FileNotFoundError:
        pass
