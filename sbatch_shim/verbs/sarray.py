"""sarray VERB: what is queued and what became of it; cancel, throttle, rerun, clean up."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from sbatch_shim import __version__
from sbatch_shim.companions.act import drop_queued
from sbatch_shim.companions.book import QUEUED, REFUSED, SUBMITTED, Pages
from sbatch_shim.companions.companion import Context
from sbatch_shim.companions.options import Line
from sbatch_shim.errors import ShimError
from sbatch_shim.flush import cli
from sbatch_shim.flush.slurm import find_command
from sbatch_shim.paths import TEMPLATES, state_folder
from sbatch_shim.spool import open_state, session_name, ticket_numbers
from sbatch_shim.streams import open_closed_streams

USAGE = """\
usage: sarray VERB [options]

  status [TICKET...]      what is queued, and what each call became
  flush                   submit the queued calls (the same as sarray-flush)
  submit [FILE|-]         submit the calls of a queue file, or those of this session
  cancel [TICKET...]      drop queued calls, cancel submitted ones
  throttle JOB -n N       how many tasks of an array run at a time
  rerun TICKET|--failed   queue calls again whose tasks failed
  listen                  a shell in which sbatch queues
  doctor                  what is installed, found and reachable
  gc                      remove what finished flushes left
  completion SHELL        a completion script for bash, zsh or fish

sarray VERB --help tells more. Examples:
  sarray status --json
  sarray throttle 1000000003 -n 10 --requeue
  sarray cancel --session run7

Exit status: 0 done; 1 something could not be done, and was named; 2 wrong usage; 127 no sbatch found.
"""
SHELLS = ("bash", "zsh", "fish")


def context_of(state: bytes, umask: int) -> Context:
    """What the verbs need to ask Slurm: the real squeue stands for all its commands."""
    real = find_command("squeue", os.environ.get("PATH", os.defpath))[0] or ""
    return Context("sarray", real, state, [], dict(os.environb), umask)


def ticket_list(words: Sequence[str]) -> list[int]:
    found = []
    for word in words:
        for one in word.split(","):
            if not one.isdigit():
                raise cli.Usage(f"{one} is not a ticket")
            found.append(int(one))
    return found


def status(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs import status as shown

    parser = argparse.ArgumentParser(
        "sarray status",
        description="What is queued, and what each call became. Exit status 1: a number that is no ticket of yours.",
    )
    parser.add_argument("tickets", nargs="*", metavar="TICKET")
    parser.add_argument("--session", help="only this session")
    parser.add_argument("--all", action="store_true", help="also sessions of which nothing is listed any more")
    parser.add_argument("--json", action="store_true", help="print a document")
    parser.add_argument("--watch", action="store_true", help="show again until every task has ended")
    given = parser.parse_args(words)
    tickets = ticket_list(given.tickets)
    context.everything = given.all
    if given.watch:
        return shown.watch(context, tickets, given.session)
    return shown.show(context, tickets, given.session, given.json)


def sure(question: str, yes: bool) -> bool:
    """Ask on a terminal; where there is none, whoever calls means it."""
    if yes or not sys.stdin.isatty():
        return True
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def cancel(context: Context, words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "sarray cancel",
        description="Drop queued calls, and scancel submitted ones that are named by their tickets. "
        "Without tickets: the queued calls of this session.",
    )
    parser.add_argument("tickets", nargs="*", metavar="TICKET")
    parser.add_argument("--session", help="the queued calls of this session")
    parser.add_argument("--all", action="store_true", help="the queued calls of all sessions")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    given = parser.parse_args(words)
    if given.tickets and (given.session or given.all):
        raise cli.Usage("name tickets or sessions, not both")
    book = context.book
    if given.tickets:
        chosen = []
        for ticket in ticket_list(given.tickets):
            pages = book.landed(ticket)
            if pages is None:
                raise cli.Usage(f"{ticket} is not a ticket of yours")
            chosen.append((ticket, pages))
    else:
        name = os.fsencode(given.session) if given.session else session_name(dict(os.environb))
        chosen = [one for one in book.unsubmitted() if given.all or one[1].session.name == name]
    queued = [one for one in chosen if one[1].state(one[0]) in (QUEUED, REFUSED)]
    submitted = [ticket for ticket, pages in chosen if pages.state(ticket) == SUBMITTED]
    if not chosen:
        print("sarray cancel: nothing is queued in this session", file=sys.stderr)
        return 0
    gone = {ticket for ticket, _ in queued}
    waiting = dependents(context, gone | set(submitted))
    if waiting:
        print(f"these wait for them: {', '.join(str(ticket) for ticket in waiting)}", file=sys.stderr)
    if not sure(f"cancel calls (queued: {len(queued)}, submitted: {len(submitted)})?", given.yes):
        return 1
    by_session: dict[bytes, tuple[Pages, list[int]]] = {}
    for ticket, pages in queued:
        by_session.setdefault(pages.session.name, (pages, []))[1].append(ticket)
    for pages, tickets in by_session.values():
        submitted += drop_queued(pages, tickets)
    book.index()
    if gone:
        print(f"queued calls dropped: {len(gone - set(submitted))}")
    if submitted:
        from sbatch_shim.companions.scancel import Cancel

        return Cancel(context, Line([], [str(ticket) for ticket in submitted])).run()
    return 0


def dependents(context: Context, tickets: set[int]) -> list[int]:
    """Queued calls that wait for any of these and are not among them."""
    found = []
    for ticket, pages in context.book.unsubmitted():
        call = pages.call(ticket)
        if call and ticket not in tickets and tickets & set(ticket_numbers(call.options.get("dependency") or b"")):
            found.append(ticket)
    return found


def throttle(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.throttle import throttle as act

    parser = argparse.ArgumentParser("sarray throttle", description="How many tasks of an array run at a time.")
    parser.add_argument("jobid", metavar="JOBID|TICKET")
    parser.add_argument("-n", "--max", "--max-tasks", dest="limit", type=int, required=True, help="0: no limit")
    what = parser.add_mutually_exclusive_group()
    for letter, name, word in (("-r", "--requeue", "requeue"), ("-k", "--kill", "cancel")):
        what.add_argument(letter, name, dest="act", action="store_const", const=name[2:], help=f"{word} those above N")
    given = parser.parse_args(words)
    if given.limit < 0:
        raise cli.Usage("-n takes a number of tasks, 0 for no limit")
    return act(context, given.jobid, given.limit, given.act)


def rerun(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.rerun import rerun as again

    parser = argparse.ArgumentParser(
        "sarray rerun", description="Queue calls again from their snapshots: of an array only the tasks that failed."
    )
    parser.add_argument("tickets", nargs="*", metavar="TICKET")
    parser.add_argument("--failed", action="store_true", help="all calls with failed tasks")
    given = parser.parse_args(words)
    if bool(given.tickets) == given.failed:
        raise cli.Usage("name tickets, or --failed")
    return again(context, ticket_list(given.tickets))


def doctor(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.doctor import report

    parser = argparse.ArgumentParser(
        "sarray doctor", description="What is installed, found and reachable. Exit status 1: something is wrong."
    )
    parser.add_argument("--run", action="store_true", help="also submit a tiny job and wait for it")
    parser.add_argument("--json", action="store_true", help="print a document")
    given = parser.parse_args(words)
    found, wrong = report(context, given.run)
    if given.json:
        print(json.dumps({**found, "wrong": wrong}, indent=1))
        return 1 if wrong else 0
    for name, value in found.items():
        many = value if isinstance(value, list) else [value]
        print(f"{name + ':':26} {many[0] if many else '(none)'}")
        for more in many[1:]:
            print(f"{'':26} {more}")
    for sentence in wrong:
        print(f"! {sentence}")
    return 1 if wrong else 0


def gc(context: Context, words: list[str]) -> int:
    from sbatch_shim.companions.upkeep import KEEP_DAYS, collect, listed_jobs, retire

    parser = argparse.ArgumentParser(
        "sarray gc", description="Remove the folders of finished flushes; their tickets are then unknown."
    )
    parser.add_argument("--days", type=float, default=KEEP_DAYS, help="keep younger ones (default: %(default)s)")
    parser.add_argument("-n", "--dry-run", action="store_true", help="only name them")
    given = parser.parse_args(words)
    listed = listed_jobs(context)
    if listed is None:
        raise ShimError("squeue does not answer, so it is not known which jobs still run; nothing was removed")
    if not given.dry_run:
        for pages in context.book.pages.values():
            retire(pages, listed)
    for folder in collect(context.state, given.days, listed, given.dry_run):
        print(os.fsdecode(folder))
    return 0


def listen(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.listen import listen as shell

    parser = argparse.ArgumentParser(
        "sarray listen", description="A shell in which sbatch queues; sarray submit or sarray cancel ends it."
    )
    parser.add_argument("--shell", choices=SHELLS, help="default: $SHELL")
    return shell(context, parser.parse_args(words).shell)


def submit(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.queuefile import submit as from_file

    return from_file(context, words)


def completion(context: Context, words: list[str]) -> int:
    parser = argparse.ArgumentParser("sarray completion", description="Print a completion script.")
    parser.add_argument("shell", choices=SHELLS)
    shell = parser.parse_args(words).shell
    text = (TEMPLATES / f"completion.{shell}").read_text()
    print(text, end="")
    return 0


VERBS = {
    "status": status,
    "cancel": cancel,
    "throttle": throttle,
    "rerun": rerun,
    "doctor": doctor,
    "gc": gc,
    "listen": listen,
    "submit": submit,
    "completion": completion,
}


def run(words: list[str], umask: int) -> int:
    """The whole command; returns its exit status. `umask`: the caller's."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"sarray {__version__}")
        return 0
    verb = words[0]
    if verb == "flush":
        return cli.run(words[1:])
    if verb not in VERBS:
        near = [name for name in VERBS if name.startswith(verb)]
        raise cli.Usage(f"there is no verb {verb!a}{f'; {near[0]}?' if near else ''} (sarray --help)")
    state = os.fsencode(state_folder())
    open_state(state)
    return VERBS[verb](context_of(state, umask), words[1:])


def main() -> None:
    open_closed_streams()
    umask = os.umask(0o077)
    try:
        code = run(sys.argv[1:], umask)
    except ShimError as error:
        print(f"sarray: {error}", file=sys.stderr)
        code = error.status
    except BrokenPipeError:
        # The reader has gone, head(1) for instance; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
    except OSError as error:
        print(f"sarray: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
