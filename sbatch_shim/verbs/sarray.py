"""sarray VERB: the command line; each verb's work is in its own module, or that of sarray-flush."""

from __future__ import annotations

import argparse
import gc as gc_of_python
import json
import os
import sys
from collections.abc import Callable
from signal import SIG_DFL, SIGCHLD, signal

from sbatch_shim import __version__
from sbatch_shim.companions.context import Context
from sbatch_shim.errors import ShimError
from sbatch_shim.flush import cli
from sbatch_shim.flush.backends.sbatch import find_command
from sbatch_shim.flush.sessions import newest
from sbatch_shim.spool import open_state, session_name
from sbatch_shim.state.faults import report
from sbatch_shim.state.paths import TEMPLATES, state_folder
from sbatch_shim.state.streams import flush_stdout, open_closed_streams
from sbatch_shim.verbs.words import SHELLS, chosen_tickets, named_session, parser_of, ticket_list

USAGE = """\
usage: sarray VERB [options]

  run CMD...              run a pipeline, and submit its sbatch calls as arrays
  mode [auto|queue|pass]  what sbatch does where SARRAY_MODE is not set
  status [TICKET...]      what is queued, and what each call became
  flush                   submit the queued calls (the same as sarray-flush)
  submit [FILE|-]         submit the calls of a queue file, or of this session
  cancel [TICKET...]      drop queued calls, cancel submitted ones
  throttle JOB -n N       how many tasks of an array run at a time
  rerun TICKET|--failed   queue calls again whose tasks failed
  listen                  a shell in which sbatch queues
  doctor                  what is installed, found and reachable
  whose ID...             the ticket of a real job, and the other way
  gc                      remove what finished flushes left
  completion SHELL        a completion script for bash, zsh or fish
  install                 put the shims into a folder, or remove them

sarray VERB --help tells more. Examples:
  sarray status --json
  sarray throttle 1000000003 -n 10 --requeue
  sarray cancel --session run7

Exit status: 0 done; 1 something could not be done, and was named; 2 wrong
usage; 127 no sbatch found.
"""
UNKNOWN_TICKET = "0; 1 a number that is no ticket of yours, or Slurm does not answer; 2 wrong usage"


def context_of(state: bytes, umask: int) -> Context:
    """What the verbs need to ask Slurm: the real squeue stands for all its commands."""
    real = find_command("squeue", os.environ.get("PATH", os.defpath))[0] or ""
    return Context("sarray", real, state, [], dict(os.environb), umask)


def status(context: Context, words: list[str]) -> int:
    parser = parser_of(
        "status",
        "What is queued, and what each call became: array, state, exit code, log; how many submissions that saved, "
        "and why calls went to the real sbatch instead. Of more than 50 calls it shows a summary, and what failed. "
        "States are asked of squeue and sacct, at most every 3 seconds.",
        [
            "sarray status                    # all that is queued or listed",
            "sarray status 2042021003         # one call",
            "sarray status --failed --last    # of the session that was used last",
            "sarray status --watch            # until all have ended, or Ctrl-C",
            "sarray status --json | jq '.calls[] | select(.states.FAILED) | .log'",
        ],
        UNKNOWN_TICKET + "; 130 --watch was interrupted",
    )
    parser.add_argument("tickets", nargs="*", metavar="TICKET", help="only these calls")
    parser.add_argument("--session", metavar="NAME", help="only this session; the beginning of its name will do")
    parser.add_argument("--last", action="store_true", help="only the session that was used last")
    parser.add_argument("--all", action="store_true", help="also sessions of which nothing is listed any more")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--failed",
        dest="wanted",
        action="store_const",
        const="failed",
        help="only what failed, was refused, or never starts",
    )
    which.add_argument(
        "--queued", dest="wanted", action="store_const", const="queued", help="only what waits for a flush"
    )
    parser.add_argument("--long", action="store_true", help="a row for each call, however many")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print a document")
    how.add_argument("--watch", action="store_true", help="show it again and again, with a bar for each session")
    given = parser.parse_args(words)
    if given.last + given.all + bool(given.tickets) + (given.session is not None) > 1:
        raise cli.Usage("name tickets, --session, --last or --all, not several of them")
    tickets = chosen_tickets(given)
    context.everything = given.all
    session = given.session
    if given.last:
        last = newest(context.state)
        session = None
        if last is not None:
            session = os.fsdecode(last)
    if given.watch:
        if given.wanted or given.long:
            raise cli.Usage("--watch shows what failed first; it takes no --failed, --queued or --long")
        from sbatch_shim.verbs.watch import watch

        return watch(context, tickets, session)
    from sbatch_shim.verbs.status import show

    # All calls stay alive until the end; looking through them for garbage again and again takes a third of the time.
    gc_of_python.disable()
    return show(context, tickets, session, given.wanted or "", as_json=given.json, long=given.long)


def cancel(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.cancel import cancel as act

    parser = parser_of(
        "cancel",
        "Drop queued calls, and scancel submitted ones that are named by their tickets. Without tickets: the queued "
        "calls of this session. Queued calls that wait for them are named. On a terminal it asks first.",
        [
            "sarray cancel                    # what is queued in this session",
            "sarray cancel 2042021003 2042021007",
            "sarray cancel --session run7 -y",
        ],
        "0; 1 something was not cancelled, or you said no; 2 wrong usage",
    )
    parser.add_argument("tickets", nargs="*", metavar="TICKET", help="these calls, queued or submitted")
    parser.add_argument("--session", metavar="NAME", help="the queued calls of this session")
    parser.add_argument("--all", action="store_true", help="the queued calls of all sessions")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    given = parser.parse_args(words)
    tickets = chosen_tickets(given)
    if given.session is None:
        name = session_name(cli.asked(context.state))
    else:
        name = named_session(context, given.session, whole=True)
    return act(context, tickets, None if given.all else {name}, yes=given.yes)


def throttle(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.throttle import throttle as act

    parser = parser_of(
        "throttle",
        "How many tasks of an array run at a time, while it runs. What is above N goes on, or is dealt with: the most "
        "recently started tasks first.",
        [
            "sarray throttle 123456 -n 2",
            "sarray throttle 123456 -n 2 --requeue     # what is above runs again",
            "sarray throttle 2042021003 -n 2 --kill    # what is above is cancelled",
            "sarray throttle 123456 -n 0               # no limit",
        ],
        "0; 1 no such job, not an array, not yours, or Slurm refused; 2 wrong usage",
    )
    parser.add_argument("jobid", metavar="JOBID|TICKET", help="an array, or a call in it")
    parser.add_argument(
        "-n", "--max", "--max-tasks", dest="limit", metavar="N", type=int, required=True, help="0: no limit"
    )
    what = parser.add_mutually_exclusive_group()
    for letter, name, word in (("-r", "--requeue", "requeue"), ("-k", "--kill", "cancel")):
        what.add_argument(letter, name, dest="act", action="store_const", const=name[2:], help=f"{word} those above N")
    given = parser.parse_args(words)
    if given.limit < 0:
        raise cli.Usage("-n takes a number of tasks, 0 for no limit")
    return act(context, given.jobid, given.limit, given.act)


def rerun(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.rerun import rerun as again

    parser = parser_of(
        "rerun",
        "Queue calls again from their snapshots (script, arguments, environment as they were): of an array only the "
        "tasks that failed. With --failed what was queued again before is left out.",
        ["sarray rerun --failed && sarray-flush", "sarray rerun 2042021003"],
        "0; 1 nothing had failed, or a ticket was not submitted; 2 wrong usage",
    )
    parser.add_argument("tickets", nargs="*", metavar="TICKET", help="also if its tasks were cancelled")
    parser.add_argument("--failed", action="store_true", help="all calls with failed tasks")
    parser.add_argument("--json", action="store_true", help="print a document")
    given = parser.parse_args(words)
    if bool(given.tickets) == given.failed:
        raise cli.Usage("name tickets, or --failed")
    return again(context, ticket_list(given.tickets), as_json=given.json)


def doctor(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.doctor import brief, report

    parser = parser_of(
        "doctor",
        "What is installed, found and reachable, for a bug report: it shows no environment and no script. Lines that "
        "begin with ! say what is wrong.",
        [
            "sarray doctor",
            "sarray doctor --run --json",
            "sarray doctor --run -- -p debug -A account    # the job's options",
        ],
        "0 all is well; 1 something is wrong; 2 wrong usage",
    )
    parser.add_argument("--run", action="store_true", help="also submit a tiny job and wait for it, up to a minute")
    parser.add_argument("--json", action="store_true", help="print a document")
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="options of sbatch for the job of --run")
    given = parser.parse_args(words)
    if given.options and not (given.run and given.options[0].startswith("-")):
        raise cli.Usage("options of sbatch stand behind --run --, as in: sarray doctor --run -- -p debug")
    told = report(context, run=given.run, options=given.options)
    found, wrong = told.found, told.wrong
    if given.json:
        print(json.dumps({**found, "wrong": wrong}, indent=1))
        if wrong:
            return 1
        return 0
    for name, value in brief(found).items():
        many = value if isinstance(value, list) else [value]
        print(f"{name + ':':26} {many[0] if many else '(none)'}")
        for more in many[1:]:
            print(f"{'':26} {more}")
    for sentence in wrong:
        print(f"! {sentence}")
    if wrong:
        return 1
    return 0


def whose(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.whose import whose as tell

    parser = parser_of(
        "whose",
        "Which ticket a real job or an element of an array is, and what a ticket became: of your own calls, and for "
        "root of everybody's whose state folder is in the usual place of the home.",
        ["sarray whose 5190_7", "sarray whose 2042021003 --json"],
        "0; 1 one of them was not found; 2 wrong usage",
    )
    parser.add_argument("ids", nargs="+", metavar="ID", help="a job id, an element such as 123_4, or a ticket")
    parser.add_argument("--json", action="store_true", help="print a document")
    given = parser.parse_args(words)
    return tell(context, given.ids, as_json=given.json)


def gc(context: Context, words: list[str]) -> int:
    from sbatch_shim.companions.housekeeping import KEEP_DAYS, collect, listed_jobs, retire

    parser = parser_of(
        "gc",
        "Remove the folders of finished flushes of which no job is listed any more, and print their names; their "
        "tickets are then unknown. Nothing that is unfinished is removed. Runs by itself once a day.",
        ["sarray gc --dry-run", "sarray gc --days 7"],
        "0; 1 squeue does not answer (then nothing was removed); 2 wrong usage",
    )
    parser.add_argument("--days", metavar="N", type=float, default=KEEP_DAYS, help="keep younger ones (%(default)s)")
    parser.add_argument("-n", "--dry-run", action="store_true", help="only name them")
    parser.add_argument("--json", action="store_true", help="print a document")
    given = parser.parse_args(words)
    if not given.days >= 0:
        raise cli.Usage("--days takes a number of days")
    listed = listed_jobs(context)
    if listed is None:
        raise ShimError("squeue does not answer, so it is not known which jobs still run; nothing was removed")
    if not given.dry_run:
        for pages in context.tickets.pages.values():
            retire(pages.session, listed)
    folders = [os.fsdecode(folder) for folder in collect(context.state, given.days, listed, dry=given.dry_run)]
    if given.json:
        print(json.dumps({"folders": folders}, indent=1))
    else:
        print("".join(f"{folder}\n" for folder in folders), end="")
    if not folders:
        print(f"sarray gc: no flush ended more than {given.days:g} days ago", file=sys.stderr)
    return 0


def listen(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.listen import listen as shell

    parser = parser_of(
        "listen",
        "A shell with a session of its own in which sbatch queues, as its prompt says. `sarray submit` or `sarray "
        "cancel` ends it; whoever leaves it otherwise is asked what becomes of the queued calls.",
        [
            "sarray listen",
            "[sarray] $ sbatch --array=0-9 train.slurm model_a",
            "[sarray] $ sbatch --array=0-9 train.slurm model_b",
            "[sarray] $ sarray submit --dry-run",
            "[sarray] $ sarray submit",
        ],
        "0; 1 calls stay queued; 2 wrong usage",
    )
    parser.add_argument("--shell", choices=SHELLS, help="default: $SHELL if it is one of these, else bash")
    return shell(context, parser.parse_args(words).shell)


def mode(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.mode import show_or_set

    parser = parser_of(
        "mode",
        "Show or set what sbatch does where SARRAY_MODE is not set, for drivers that clean the environment: auto "
        "(queue, and submit by itself after a moment), queue, or pass (submit directly). It holds for all your logins "
        "on this machine's home, not in jobs, until it is set to pass. The variable wins.",
        ["sarray mode", "sarray mode auto", "sarray mode pass"],
        "0; 2 wrong usage",
    )
    parser.add_argument("mode", nargs="?", choices=MODES, metavar="MODE", help="auto, queue or pass")
    return show_or_set(context, parser.parse_args(words).mode)


def run_pipeline(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.run import run_command

    parser = parser_of(
        "run",
        "Run a pipeline in which sbatch queues, in a session of its own, then submit what it left queued. With auto, "
        "the default, calls are submitted while it runs, a moment after they came, so it may wait for its jobs.",
        ["sarray run ./pipeline.sh", "sarray run --mode queue snakemake --cluster sbatch -j 500"],
        "the pipeline's; 1 where it ended with 0 and calls could not be submitted; 2 wrong usage",
    )
    parser.add_argument("--mode", choices=("auto", "queue"), default="auto", help="default: %(default)s")
    parser.add_argument("--session", metavar="NAME", help="default: a new one")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD", help="the pipeline, with its arguments")
    given = parser.parse_args(words)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    if not command:
        raise cli.Usage("which pipeline? sarray run CMD [ARGUMENTS]")
    return run_command(context, given.mode, given.session, command)


def submit(context: Context, words: list[str]) -> int:
    from sbatch_shim.verbs.queuefile import submit as from_file

    return from_file(context, words)


def completion(context: Context, words: list[str]) -> int:
    parser = parser_of(
        "completion",
        "Print a completion script, to be read by the shell at its start.",
        [
            ". <(sarray completion bash)           # in ~/.bashrc",
            ". <(sarray completion zsh)            # in ~/.zshrc, behind compinit",
            "sarray completion fish | source       # in ~/.config/fish/config.fish",
        ],
        "0; 2 wrong usage",
    )
    told = "a shell; tickets and sessions: what those scripts offer"
    parser.add_argument("shell", metavar="SHELL", choices=(*SHELLS, "tickets", "sessions"), help=told)
    shell = parser.parse_args(words).shell
    live = context.tickets.pages
    if shell == "tickets":
        tickets = {ticket for pages in live.values() for ticket in pages.queued | set(pages.places)}
        print("".join(f"{ticket}\n" for ticket in sorted(tickets)), end="")
    elif shell == "sessions":
        print("".join(f"{os.fsdecode(name)}\n" for name in sorted(live)), end="")
    else:
        print((TEMPLATES / f"completion.{shell}").read_text(), end="")
    return 0


def install(context: Context, words: list[str]) -> int:
    from sbatch_shim.setup.install import add_options
    from sbatch_shim.setup.install import run as act

    parser = parser_of(
        "install",
        "Install the shims (sbatch, squeue and the others) where this package came by pip, pipx, uv or conda; "
        "install.sh calls it too. The prefix gets a copy of the package and a folder `shims` for PATH, so it goes on "
        "without the environment that it came from; an update is the same command from the newer one. It says what it "
        "changes outside of the prefix.",
        [
            "pipx install sbatch-shim && sarray install",
            "sarray install --prefix /opt/sbatch-shim --modulefile /opt/modulefiles",
            "sarray install --uninstall",
        ],
        "0; 1 it cannot be done, and nothing was changed; 2 wrong usage; 128 and its number: ended by a signal",
    )
    add_options(parser)
    parser.add_argument("--demo", action="store_true", help="then queue and flush a small sample pipeline")
    given = parser.parse_args(words)
    given.no_modify_path |= given.demo
    prefix = act(given)
    if given.demo and not given.uninstall:
        from sbatch_shim.setup.demo import demo

        return demo(prefix)
    return 0


MODES = ("auto", "queue", "pass")
VERBS = {
    "status": status,
    "cancel": cancel,
    "throttle": throttle,
    "rerun": rerun,
    "doctor": doctor,
    "whose": whose,
    "gc": gc,
    "listen": listen,
    "submit": submit,
    "completion": completion,
    "mode": mode,
    "run": run_pipeline,
    "install": install,
}


def run(words: list[str], umask: int) -> int:
    """The whole command; returns its exit status. `umask`: the caller's."""
    if words[:1] == ["help"] and len(words) == 2:
        words = [words[1], "--help"]
    if not words:
        raise cli.Usage(
            "which verb? run, mode, status, flush, submit, cancel, throttle, rerun, listen, doctor (sarray --help)"
        )
    if words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if words[0] in ("-V", "--version"):
        print(f"sarray {__version__}")
        return 0
    verb = words[0]
    if verb == "flush":
        return cli.run(words[1:])
    if verb not in VERBS:
        near = [name for name in (*VERBS, "flush") if verb and name.startswith(verb[:3])]
        raise cli.Usage(f"there is no verb {verb!a}{f'; {near[0]}?' if near else ''} (sarray --help)")
    state = os.fsencode(state_folder())
    if verb not in ("doctor", "install") and not {"-h", "--help"} & set(words):
        try:
            open_state(state)
        except OSError as error:
            raise ShimError(f"the state folder {state_folder()} cannot be used: {error.strerror}") from None
    return VERBS[verb](context_of(state, umask), words[1:])


def main(act: Callable[[list[str], int], int] = run) -> None:
    """
    Run a command of ours, and exit.

    Args:
        act: Does it, given the words and the caller's umask; returns the exit status.
    """
    open_closed_streams()
    # Names and paths may hold what the locale cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    umask = os.umask(0o077)
    signal(SIGCHLD, SIG_DFL)  # who ignores it is not told how a command of Slurm ended
    try:
        code = act(sys.argv[1:], umask)
        sys.stdout.flush()
    except ShimError as error:
        print(f"sarray: {error}", file=sys.stderr)
        code = error.status
    except BrokenPipeError:
        code = 1  # the reader has gone, head(1) for instance; nobody is left to tell
    except OSError as error:
        where = ""
        if isinstance(error.filename, (str, bytes)):
            where = f"{os.fsdecode(error.filename)}: "
        print(f"sarray: {where}{error.strerror or error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        why = report(error, os.fsencode(state_folder()))
        print(f"sarray: {why}; what is queued stays queued", file=sys.stderr)
        code = 1
    unwritten = flush_stdout()  # also after an error: Python would complain of the rest in its own words
    sys.exit(code or (1 if unwritten else 0))


if __name__ == "__main__":
    main()
