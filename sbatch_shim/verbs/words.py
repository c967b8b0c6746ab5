"""What the verbs have in common: a help text with examples and exit statuses, tickets as arguments, a question."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from functools import partial

from sbatch_shim.companions.context import Answer, Context
from sbatch_shim.errors import ShimError
from sbatch_shim.flush import cli
from sbatch_shim.flush.sessions import resolved
from sbatch_shim.spool import LAST_TICKET

SHELLS = ("bash", "zsh", "fish")
# What a terminal shows without breaking lines: the widest that a help text may be.
COLUMNS = 80


def parser_of(verb: str, does: str, examples: Sequence[str], statuses: str) -> argparse.ArgumentParser:
    """
    The command line of a verb, for more options.

    Args:
        does: What it does, in a sentence or three.
        examples: Command lines; what follows a # explains them.
        statuses: What its exit statuses mean.
    """
    told = "\n".join(f"  {line}" for line in examples)
    return argparse.ArgumentParser(
        f"sarray {verb}",
        description=textwrap.fill(does, COLUMNS),
        epilog=f"examples:\n{told}\n\n{textwrap.fill(f'Exit status: {statuses}.', COLUMNS)}",
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=COLUMNS),
    )


def ticket_list(words: Sequence[str]) -> list[int]:
    """The tickets that words name, one by one or in lists."""
    found = []
    for word in words:
        for one in word.split(","):
            if not (one.isascii() and one.isdigit()):
                whole = one.partition("_")[0]
                more = ""
                if whole.isdigit():
                    more = "; name the whole ticket (squeue and scancel take single tasks)"
                raise cli.Usage(f"{one!a} is not a ticket{more}")
            if int(one) > LAST_TICKET:
                raise cli.Usage(f"{one} is not a ticket; those are what sbatch answered while it queued")
            found.append(int(one))
    return list(dict.fromkeys(found))


def chosen_tickets(given: argparse.Namespace) -> list[int]:
    """The tickets of a verb that takes tickets, --session or --all; Usage where it got several of them."""
    if bool(given.tickets) + (given.session is not None) + given.all > 1:
        raise cli.Usage("name tickets, --session or --all, not several of them")
    return ticket_list(given.tickets)


def named_session(context: Context, name: str, *, whole: bool = False) -> bytes:
    """
    A session that somebody names, or the only one whose name begins so; ShimError when there is none.

    Args:
        whole: The beginning of its name will not do.
    """
    found = os.fsencode(name)
    if found and b"/" not in found and not whole:
        found = resolved(context.state, found)
    folder = os.path.join(context.state, b"sessions", found)
    if found in (b"", b".", b"..") or b"/" in found or not os.path.isdir(folder):
        raise ShimError(f"there is no session {name!a} (sarray status --all shows all)")
    return found


def inherited_mode(context: Context) -> str:
    """In a job where the mode does not count (shim.inherited): that it does not; elsewhere empty."""
    job = context.variable("SLURM_JOB_ID")
    mode = os.fsdecode(cli.asked(context.state)[b"SARRAY_MODE"])
    if not job or mode not in ("queue", "auto") or context.variable("SARRAY_SESSION"):
        return ""
    return f"in job {job} sbatch submits although SARRAY_MODE={mode}; set SARRAY_SESSION too to queue there"


def complaint(answer: Answer, otherwise: str) -> str:
    """What a command of Slurm said when it failed: the last of its lines, which names the cause."""
    lines = answer.err.decode(errors="replace").strip().splitlines()
    if lines:
        return lines[-1]
    return otherwise


def sure(question: str, *, yes: bool) -> bool:
    """Ask on a terminal; where there is none, whoever calls means it."""
    if yes or not sys.stdin.isatty():
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def session_ends(context: Context) -> None:
    """In the shell of `sarray listen`: nothing is queued any more, so the shell may end (see templates/listen.*)."""
    folder = context.variable("SARRAY_LISTEN")
    if folder and os.path.isdir(folder):
        open(os.path.join(folder, "ended"), "w").close()
