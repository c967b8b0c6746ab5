"""The dry run: what a flush would submit."""

from __future__ import annotations

import os
import sys
from signal import SIG_DFL, SIGPIPE, signal

from sbatch_shim.flush.backends import Backend
from sbatch_shim.flush.backends.slurm import option
from sbatch_shim.flush.changes import changes_of
from sbatch_shim.flush.ready import Ready, all_ready
from sbatch_shim.flush.wishes import Wishes, apply_overrides
from sbatch_shim.flush.work import by_controller
from sbatch_shim.merge.graph import counted, describe, graph, with_real_ids
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.submission import tasks_at_a_time
from sbatch_shim.spool import Session, create
from sbatch_shim.state.calls import look
from sbatch_shim.state.dependency import parse
from sbatch_shim.state.faults import in_words
from sbatch_shim.state.ids import ranges
from sbatch_shim.state.pools import is_given_out

# Bytes of an option's value that are shown; a list of nodes may be long.
LONGEST = 60


def show_plan(session: Session, backend: Backend, wishes: Wishes, *, scripts: bool) -> None:
    """
    Print each array as it would be submitted, with its options.

    Args:
        scripts: Print their scripts too. (`wishes.scripts`, a folder, gets them as files.)
    """
    signal(SIGPIPE, SIG_DFL)  # for `sarray-flush -n | head`
    calls, problems = look(session)
    for problem in problems:
        print(f"sarray-flush: {problem}", file=sys.stderr)
    out = sys.stdout.buffer
    reserved = [call for call in calls if is_given_out(call.ticket)]
    calls = [call for call in calls if not is_given_out(call.ticket)]
    if reserved:
        changes_of(wishes)
    for call in reserved:
        apply_overrides(call, wishes.overrides)
    held = [call.ticket for call in reserved if "hold" in call.options]
    for verb, ids in (("be released", [one.ticket for one in reserved if one.ticket not in held]), ("stay held", held)):
        if ids:
            out.write(f"{with_real_ids(len(ids))} would {verb}: {ranges(ids)}\n".encode())
    if reserved and not calls:
        return
    limits = None
    for group in by_controller(backend, calls):
        limits = wishes.within(backend.limits(group[0]).narrowed(limits))
        here = backend.clusters(group[0])
        others = {call.cluster for call in group if call.cluster and call.cluster not in here} if here else set()
        for name in sorted(others) if not wishes.any_cluster else ():
            what = f"here answers the cluster {here[0]}, so what was queued for {name} would be kept"
            print(f"sarray-flush: {what}", file=sys.stderr, flush=True)
    later = [parse(call.options.get("dependency")) for call in reserved]
    ready = all_ready(calls, limits or Limits(), wishes, later)
    verb = "becomes" if len(calls) == 1 else "become"
    out.write(f"{counted(len(calls), 'call')} {verb} {counted(len(ready), 'submission')}\n\n".encode())
    arrays = [one.array for one in ready]
    shown = graph(arrays, [given_with(one, wishes, limits or Limits()) for one in ready])
    out.write(shown.encode("utf-8", "backslashreplace") + b"\n")
    for number, one in enumerate(ready, 1):
        if one.fault is not None:
            told = f"array {number} cannot be submitted: {in_words(one.fault)}\n"
            out.write(told.encode("utf-8", "surrogateescape"))
        if scripts:
            out.write(f"\n== {number}: {describe(one.array)}\n".encode() + one.script + b"\n")
    if wishes.scripts is not None:
        keep(ready, wishes.scripts)
    elif ready and not scripts:
        out.write(b"\n--scripts shows the scripts too, and -o keeps them as files\n")
    out.flush()


def given_with(ready: Ready, wishes: Wishes, limits: Limits) -> str:
    """What an array is submitted with: options as sbatch is given them, long values cut, and the tasks at a time."""
    given = [option(name, value) for name, value in ready.array.options.items()]
    words = [word.decode(errors="backslashreplace") for word in (*given, *wishes.extra)]
    words = [word if len(word) <= LONGEST else f"{word[: LONGEST - 3]}..." for word in words]
    most = tasks_at_a_time(ready.array, wishes.throttle, limits)
    if most:
        words.append(f"(at most {counted(most, 'task')} at a time)")
    return " ".join(words)


def keep(ready: list[Ready], wanted: str) -> None:
    """Private files of the scripts in the folder `wanted`; names sort by number."""
    os.makedirs(wanted, exist_ok=True)
    for number, one in enumerate(ready, 1):
        path = os.path.join(os.fsencode(wanted), b"plan-%04d.sh" % number)
        if os.path.lexists(path):
            os.unlink(path)
        create(path, one.script)
