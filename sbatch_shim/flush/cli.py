"""sarray-flush: the command line and what it prints."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Container, Iterator
from signal import SIG_DFL, SIGPIPE, signal

from sbatch_shim import __version__
from sbatch_shim.errors import HandOver, ShimError
from sbatch_shim.flush import passed
from sbatch_shim.flush.backends import Backend
from sbatch_shim.flush.backends.sbatch import real_sbatch
from sbatch_shim.flush.pace import FULL_SECONDS
from sbatch_shim.flush.patience import Patience, Stop
from sbatch_shim.flush.result import FlushResult, Outcome
from sbatch_shim.flush.sessions import has_ended, held_by, resolved
from sbatch_shim.flush.wishes import Wishes
from sbatch_shim.grammar import ARRAY, KIND, LETTER, OPTIONS, REQUIRED, ROLE, TAKES, long_name, parse
from sbatch_shim.merge.graph import counted, describe, reason, reasons, summary
from sbatch_shim.merge.meaning import describe_time, fixed_begin
from sbatch_shim.spool import Session, mode_of, open_state, session_name, session_of
from sbatch_shim.state.calls import waiting_sessions
from sbatch_shim.state.faults import report as report_fault
from sbatch_shim.state.ids import ranges
from sbatch_shim.state.paths import state_folder, without_shims
from sbatch_shim.state.settings import Settings, in_effect
from sbatch_shim.state.streams import flush_stdout, open_closed_streams
from sbatch_shim.values import RECOGNISERS, integer

USAGE = """\
usage: sarray-flush [options] [any option of sbatch, for all arrays]

Submits the sbatch calls that were queued with SARRAY_MODE=queue as job arrays.

  -n, --dry-run      show the plan and the options of each array; submit and
                     claim nothing
  --scripts          with -n: show also the script of each array
  -t, --throttle N   at most N tasks of each array at a time (0: no limit)
  -o, --output DIR   also keep the scripts in DIR (with -n too)
  --session NAME     the session to flush (default: $SARRAY_SESSION, else this
                     login); with -n the beginning of its name will do
  --all              flush every session that holds calls
  --keep-names       do not merge calls with different job names
  --keep-comments    do not merge calls with different comments (the default
                     where the site has plugins, prologs or epilogs, which may
                     read them)
  --merge-comments   merge them everywhere
  --keep-arrays      do not merge array calls, as later calls may wait for
                     their tasks one by one
  --final            what Slurm refuses for good is over: it is not tried again,
                     and shown as FAILED
  --wide-lanes       do not split arrays up (saves two requests for each):
                     slow or failed ones of chained jobs hold up the others,
                     and a job that requeues itself past the shims may hit all
  --retry SECONDS    how long to go on trying while Slurm is away or full
                     (default: 60)
  --feed             stay until everything is in, submitting as limits on
                     submitted jobs leave room (--no-feed: not, where the site
                     has made that the default)
  --assume FATE      take submissions that Slurm can no longer tell about as
                     submitted, or as lost (to submit again)
  --any-cluster      submit to this cluster also what was queued for another
  --local            run the arrays as processes on this machine, without Slurm
  --json             print a document instead of lines
  --parsable         print job ids only
  -h, --help         print this text
  --version          print the version

examples:
  sarray-flush --dry-run | less
  sarray-flush --throttle 50 --reservation=maintenance
  sarray-flush --session run7

Exit status: 0 all submitted (or nothing to do); 1 something stays queued, or
only other sessions hold calls; 2 wrong usage; 127 no sbatch found; 129, 130,
143 stopped by SIGHUP, SIGINT, SIGTERM (after the running submission).
"""
# In characters.
BAR_WIDTH = 30
# Between two tries of a flush that feeds.
FEED_SECONDS = FULL_SECONDS
OWN_FLAGS = (
    *("dry-run", "scripts", "all", "keep-names", "keep-comments", "merge-comments", "wide-lanes"),
    *("final", "keep-arrays", "feed", "no-feed"),
    *("any-cluster", "local", "json", "parsable", "help", "version"),
)
OWN_VALUES = ("throttle", "session", "output", "retry", "assume")
SHORT = {"-n": "dry-run", "-t": "throttle", "-o": "output", "-h": "help"}
# Options of sbatch that make no sense for a whole flush.
REFUSED = ("array", "wrap", "parsable", "quiet", "wait", "test-only", "help", "usage", "version", "export-file", "bbf")


class Usage(ShimError):
    status = 2


def read_arguments(words: list[str]) -> tuple[dict[str, str], Wishes]:
    """Our own options by name, and the wishes they and sbatch's options make."""
    own: dict[str, str] = {}
    wishes = Wishes()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        name, equals, value = word.partition("=")
        name = SHORT.get(name, name[2:] if name.startswith("--") else "")
        glued = next((short for short in ("-t", "-o") if word.startswith(short) and len(word) > 2), None)
        if glued:
            own[SHORT[glued]] = word[2:]
        elif name in OWN_FLAGS and not equals:
            own[name] = "yes"
        elif name in OWN_VALUES:
            if not equals:
                if at == len(words):
                    raise Usage(f"{word} needs a value")
                value = words[at]
                at += 1
            own[name] = value
        else:
            at = read_sbatch_option(words, at - 1, wishes)
    if "throttle" in own:
        if not integer(os.fsencode(own["throttle"]), 0, 1000000):
            raise Usage(f"--throttle={own['throttle']} is not a number of tasks")
        wishes.throttle = int(own["throttle"])
    if not integer(os.fsencode(own.get("retry", "60")), 0, 10**9):
        raise Usage(f"--retry={own['retry']} is not a number of seconds")
    if own.get("assume") not in (None, "submitted", "lost"):
        raise Usage(f"--assume={own['assume']} is unknown; it can be submitted or lost")
    wishes.assume = own.get("assume")
    wishes.keep_names = "keep-names" in own
    if {"keep-comments", "merge-comments"} <= own.keys():
        raise Usage("--keep-comments and --merge-comments contradict each other")
    if "keep-comments" in own or "merge-comments" in own:
        wishes.keep_comments = "keep-comments" in own
    wishes.any_cluster = "any-cluster" in own
    wishes.wide_lanes = "wide-lanes" in own
    wishes.keep_arrays = "keep-arrays" in own
    wishes.final = "final" in own
    if {"feed", "no-feed"} <= own.keys():
        raise Usage("--feed and --no-feed contradict each other")
    if {"feed", "json"} <= own.keys():
        raise Usage("--feed goes on for long, and --json is one document: not both")
    if "scripts" in own and "dry-run" not in own:
        raise Usage("--scripts shows the scripts of a dry run: add --dry-run, or keep them with --output DIR")
    wishes.scripts = own.get("output")
    return own, wishes


def read_sbatch_option(words: list[str], at: int, wishes: Wishes) -> int:
    """Take one option of sbatch at `at`; returns where the next word is."""
    word = words[at]
    count = 1
    try:
        if not word.startswith("-"):
            raise HandOver("")
        if word.startswith("--"):
            name = long_name(word[2:].partition("=")[0])
            count = 1
            if OPTIONS[name][TAKES] == REQUIRED and "=" not in word:
                count = 2
        else:
            takes = next((row[TAKES] for row in OPTIONS.values() if row[LETTER] == word[1]), None)
            takes_next = len(word) == 2 and takes == REQUIRED
            count = 1
            if takes_next:
                count = 2
        options, _ = parse([os.fsencode(one) for one in words[at : at + count]])
    except HandOver:
        raise Usage(f"{word} is not an option of sarray-flush or sbatch; see sarray-flush --help") from None
    from sbatch_shim.flush.backends.slurm import option

    for name, value in options:
        row = OPTIONS[name]
        if name in REFUSED:
            raise Usage(f"--{name} cannot be given for all arrays")
        if row[ROLE] != ARRAY and name not in ("output", "error", "input", "job-name", "comment", "chdir", "export"):
            wishes.extra.append(option(name, value))
        elif (row[TAKES] == REQUIRED and value is None) or not RECOGNISERS[row[KIND]](value):
            raise Usage(f"the value of --{name} is not understood")
        elif name == "begin" and value is not None:
            # As the flush means it, not as each call would have.
            wishes.overrides[name] = fixed_begin(value, int(time.time()), os.environb.get(b"TZ"))
        else:
            wishes.overrides[name] = value
    return at + count


class Bar:
    """How much of what is fed is in, as a line at the end of a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self.done = 0
        self.shown = sys.stderr.isatty()

    def draw(self, submitted: int, left: int) -> None:
        """After a flush: how many calls it has submitted, and how many wait for room."""
        self.done += submitted
        total = self.done + left
        if self.shown:
            filled = BAR_WIDTH * self.done // total
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            print(f"\r[{bar}] {self.done} of {counted(total, 'call')} submitted", end="", file=sys.stderr, flush=True)

    def erase(self) -> None:
        """Before anything else is printed."""
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Progress:
    """A line on a terminal, once the flush has taken more than a moment."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.shown = False

    def __call__(self, done: int, total: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - self.started > 1:
            end = ""
            if done == total:
                end = "\n"
            print(f"\rsubmitted {done} of {counted(total, 'array')} ", end=end, file=sys.stderr, flush=True)


def report(result: FlushResult, own: dict[str, str], went: dict[str, int]) -> None:
    """
    Ids to stdout; the table of what became what, and what Slurm said, to stderr.

    Args:
        went: Why calls were not queued since the last flush, and how many.
    """
    if "json" in own:
        document = {
            "adopted": [
                {"job": one.job, "script": os.fsdecode(one.script), "tasks": one.tasks, "tickets": one.tickets}
                for one in result.adopted
            ],
            "arrays": [
                {
                    "job": outcome.job,
                    "script": os.fsdecode(outcome.script),
                    "tasks": outcome.array.size,
                    "tickets": [call.ticket for call in outcome.array.calls],
                    "alone": reason(outcome.array) or None,
                    "message": outcome.text or None,
                    "uncertain": outcome.uncertain,
                }
                for outcome in result.outcomes
            ],
            "halted": result.halted or None,
            "failed": {str(ticket): text for ticket, text in result.failed.items()},
            "kept": result.kept,
            "passed": went,
            "uncertain": result.uncertain,
            "waiting": result.waiting,
        }
        print(json.dumps(document, indent=1))
    answer = "%s" if "parsable" in own else "Submitted batch job %s"
    for one in result.adopted:
        if "json" not in own:
            print(answer % one.job)
        held = summary(one.tickets, one.tasks)
        print(f"  job {one.job}: {held}; Slurm has it from an earlier flush that was cut short", file=sys.stderr)
    whys = reasons([outcome.array for outcome in result.outcomes])
    for outcome, why in zip(result.outcomes, whys):
        if outcome.text:
            print(outcome.text.rstrip("\n"), file=sys.stderr)
        if outcome.job is not None and "json" not in own:
            print(answer % outcome.job)
        print(f"  {fate(outcome, result.failed)}: {describe(outcome.array, why)}", file=sys.stderr)
    if went and (result.outcomes or result.adopted):
        say(passed.summary(went))


def fate(outcome: Outcome, failed: Container[int]) -> str:
    """What became of an array, in a word or two; `failed`: the tickets that are over."""
    if outcome.job is not None:
        return f"job {outcome.job}"
    if outcome.uncertain:
        return "uncertain"
    if outcome.array.calls[0].ticket in failed:
        return "refused"
    return "kept"


def say(text: str) -> None:
    print(f"sarray-flush: {text}", file=sys.stderr, flush=True)


def feed(
    names: list[bytes], state: bytes, backend: Backend, own: dict[str, str], wishes: Wishes, patience: Patience
) -> int:
    """Flush the named sessions again and again, until nothing waits for room any more; the exit status."""
    bar = Bar()
    told = 0
    while True:
        status, result = flush_sessions(names, state, backend, own, wishes, patience)
        left = len(result.waiting)
        if not left or patience.stop.signal:
            return status
        if told != left:
            told = left
            verb = "wait"
            if left == 1:
                verb = "waits"
            say(f"{counted(left, 'call')} {verb} for room; trying every {FEED_SECONDS:g} s, until Ctrl-C")
        bar.draw(result.submitted, left)
        on = patience.stop.wait(FEED_SECONDS)
        bar.erase()
        if not on:
            return patience.stop.status


def flush_sessions(
    names: list[bytes], state: bytes, backend: Backend, own: dict[str, str], wishes: Wishes, patience: Patience
) -> tuple[int, FlushResult]:
    """Flush the named sessions; the exit status, and what was done."""
    from sbatch_shim.flush.flush import Flush

    status = 0
    whole = FlushResult()
    for name in names:
        flush = Flush(Session(state, name), backend, wishes, patience=patience)
        problems = flush.result.problems
        try:
            flush.run(Progress())
        except ShimError as error:
            # What was submitted before is reported all the same.
            problems.append(str(error))
            status = error.status
        except OSError as error:
            problems.append(f"{error}; what is not submitted stays queued")
        except Exception as error:
            problems.append(f"{report_fault(error, state)}; what is not submitted stays queued")
        if flush.result.halted:
            problems.append(f"{flush.result.halted}: the rest was not tried")
        for problem in problems:
            say(problem)
        if problems:
            status = status or 1
        whole.absorb(flush.result)
        if patience.stop.signal:
            break
    for note in whole.notes:
        say(note)
    went = passed_by(names, state)
    submitted = bool(whole.outcomes or whole.adopted)
    if submitted or "json" in own:
        report(whole, own, went)
    for words in what_next(whole, state):
        say(words)
    if patience.stop.signal:
        return patience.stop.status, whole
    if whole.kept or whole.uncertain or whole.failed:
        return status or 1, whole
    return status if submitted or status else nothing_queued(state, names, went), whole


def what_next(result: FlushResult, state: bytes) -> Iterator[str]:
    """Sentences about the calls that were not submitted, with the commands that do something about them."""
    hopeless = result.hopeless
    if result.kept:
        beyond = {*hopeless, *result.elsewhere}
        again = ""
        if not beyond.issuperset(result.kept):
            again = f"; {flush_command(result.kept, state)} tries again"
        yield f"still queued: {counted(len(result.kept), 'call')}{again}"
    if hopeless:
        tickets = " ".join(map(str, hopeless[:10])) + (" ..." if len(hopeless) > 10 else "")
        yield f"{counted(len(hopeless), 'call')} can never be submitted, as what they wait for was cancelled: " + (
            f"sarray cancel {tickets}"
        )
    if result.uncertain:
        command = flush_command(result.uncertain, state)
        which = f"{counted(len(result.uncertain), 'call')} ({ranges(result.uncertain)})"
        yield (
            f"it is not known what became of {which}; kept, and not submitted again. "
            f"{command} asks again; with --assume submitted, or --assume lost, you decide"
        )


def flush_command(tickets: list[int], state: bytes) -> str:
    """The command that flushes the sessions of these tickets, as it would be typed here."""
    return flush_of({name for ticket in tickets if (name := session_of(state, ticket)) is not None}, state)


def flush_of(sessions: Collection[bytes], state: bytes) -> str:
    """The command that flushes these sessions, as it would be typed here."""
    if len(sessions) > 1:
        return "sarray-flush --all"
    name = next(iter(sessions), b"")
    if name in (b"", session_name(asked(state))):
        return "sarray-flush"
    return f"sarray-flush --session {os.fsdecode(name)}"


def asked(state: bytes) -> dict[bytes, bytes]:
    """Our own variables in this process's environment, with the mode that counts."""
    found = {name: value for name, value in os.environb.items() if name.startswith(b"SARRAY_")}
    return {**found, b"SARRAY_MODE": mode_of(found, state)}


def passed_by(names: list[bytes], state: bytes) -> dict[str, int]:
    """Why calls of these sessions were not queued since the last flush, and how many."""
    found: Counter[str] = Counter()
    for name in names:
        found.update(passed.untold(Session(state, name)))
    return dict(found.most_common())


def nothing_queued(state: bytes, names: list[bytes], went: dict[str, int]) -> int:
    """Say so, how many calls were not queued and why, and which other sessions hold calls."""
    others = [held for held in waiting_sessions(state) if os.fsencode(held.name) not in names]
    told = ["nothing is queued in this session", passed.summary(went) if went else "", without_shims()]
    say("; ".join(filter(None, told)))
    for held in others[:10]:
        print(
            f"sarray-flush: session {held.name} holds {counted(held.count, 'call')} since "
            f"{describe_time(held.since)}{held_by(state, held.name)}: sarray-flush --session {held.name}",
            file=sys.stderr,
        )
    if len(others) > 10:
        print(f"sarray-flush: and {len(others) - 10} more; sarray-flush --all flushes all", file=sys.stderr)
    if others:
        return 1
    return 0


def is_feeding(own: dict[str, str], site: Settings) -> bool:
    """Whether to stay until everything is in, by our own options and what the site has set."""
    if site.caps.get("feed") == "off":
        if "feed" in own:
            say(f"{site.source} allows no --feed, so each array is tried once; what does not fit stays queued")
        return False
    usual = site.defaults.get("feed") == "on" and not {"no-feed", "json", "local"} & own.keys()
    return usual or "feed" in own


def backend_for(own: dict[str, str], state: bytes) -> Backend:
    """What the arrays are given to, by our own options."""
    path = os.environ.get("PATH", os.defpath)
    # What only a flush needs is imported where it begins: it would be half of the start of `sarray status`.
    if "local" in own:
        from sbatch_shim.flush.backends.local import Local

        return Local(state)
    from sbatch_shim.flush.backends.slurm import Slurm

    return Slurm(lambda: real_sbatch(path))


def run(words: list[str]) -> int:
    """The whole command; returns its exit status."""
    own, wishes = read_arguments(words)
    if "help" in own:
        print(USAGE, end="")
        return 0
    if "version" in own:
        print(f"sarray-flush {__version__}")
        return 0
    # All calls stay alive until the end; looking through them for garbage again and again costs more than planning.
    gc.disable()
    state = os.fsencode(state_folder())
    open_state(state)
    variables = asked(state)
    if "session" in own:
        named = os.fsencode(own["session"])
        # What is submitted is named in full: a script whose session is empty must not submit another one's calls.
        variables[b"SARRAY_SESSION"] = named
        if "dry-run" in own:
            variables[b"SARRAY_SESSION"] = resolved(state, named)
    if "all" in own:
        names = [os.fsencode(held.name) for held in waiting_sessions(state)]
    else:
        names = [session_name(variables)]
    backend = backend_for(own, state)
    if "dry-run" in own:
        from sbatch_shim.flush.preview import show_plan

        for name in names:
            show_plan(Session(state, name), backend, wishes, scripts="scripts" in own)
        return 0
    feeding = is_feeding(own, in_effect())
    wishes.repeated = wishes.final or feeding
    with Stop() as stop:
        patience = Patience(int(own.get("retry", "60")), stop, say)
        if feeding:
            return feed(names, state, backend, own, wishes, patience)
        status, result = flush_sessions(names, state, backend, own, wishes, patience)
    if {"session", "all", "json", "parsable"} & own.keys() or stop.signal or result != FlushResult():
        return status
    # Outside of `with Stop()`: an answer may take long, and Ctrl-C is one.
    ended = [os.fsencode(held.name) for held in waiting_sessions(state) if has_ended(os.fsencode(held.name))]
    if not ended or not agreed(f"submit the calls of {counted(len(ended), 'login')} that ended?"):
        return status
    with Stop() as stop:
        patience = Patience(int(own.get("retry", "60")), stop, say)
        return flush_sessions(ended, state, backend, own, wishes, patience)[0]


def agreed(question: str) -> bool:
    """Ask on a terminal; anything but a yes is a no, and so is Ctrl-C. Never asked without a terminal."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        print(f"sarray-flush: {question} [y/N] ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def main() -> None:
    open_closed_streams()
    # Folders and files of ours are private whatever the caller's umask; sbatch gets each call's own.
    os.umask(0o077)
    trouble: OSError | None = None
    try:
        status = run(sys.argv[1:])
    except ShimError as error:
        print(f"sarray-flush: {error}", file=sys.stderr)
        status = error.status
    except BrokenPipeError as error:
        trouble, status = error, 1
    except OSError as error:
        print(f"sarray-flush: {error}; what is not submitted stays queued", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("sarray-flush: interrupted; what is not submitted stays queued", file=sys.stderr)
        status = 130
    except Exception as error:
        why = report_fault(error, os.fsencode(state_folder()))
        print(f"sarray-flush: {why}; what is not submitted stays queued", file=sys.stderr)
        status = 1
    trouble = flush_stdout() or trouble
    if isinstance(trouble, BrokenPipeError):
        # Nobody reads the ids any more, as in `sarray-flush | head -1`: all is submitted and on disk. (That the reader
        # of stderr has gone is not noticed: streams.Words.)
        signal(SIGPIPE, SIG_DFL)
        os.kill(os.getpid(), SIGPIPE)
    if trouble:
        say(f"stdout cannot be written ({trouble.strerror}); what was submitted is in the state folder")
        status = status or 1
    sys.exit(status)


if __name__ == "__main__":
    main()
