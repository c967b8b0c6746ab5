"""
squeue and the other companions with tickets: what the launcher starts when it does not exec theirs.

Whatever is not understood goes to the real command untouched, as with sbatch.
"""

from __future__ import annotations

import gc
import os
import sys
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGINT,
    getsignal,
    signal,
)

from sbatch_shim.companions.context import BY_NUMBER, LAUNCHERS, Context, Told, may_write, say
from sbatch_shim.errors import ShimError
from sbatch_shim.spool import Session, handed_on, launched_with, open_state, session_of, wrong_path
from sbatch_shim.state.streams import open_closed_streams

# Where that is not the command's name.
MODULES = {**dict.fromkeys(LAUNCHERS, "launchers"), **dict.fromkeys(BY_NUMBER, "by_number")}


def wake_sessions(context: Context) -> None:
    """
    In auto mode: let the sessions be flushed whose tickets are named, as somebody waits for them.

    Where none is, see that what is queued has a keeper.
    """
    named = {found.job for _, found in context.named() if found is not None}
    in_job = "SLURM_JOB_ID" in os.environ
    names = {session_of(context.state, ticket) for ticket in named} - {None}
    sessions = [Session(context.state, name) for name in names if name]
    kept = [session for session in sessions if os.path.exists(session.keeper_lock)]
    if named and not kept:
        return
    from sbatch_shim.keeping import attend_listed, wake

    entries = [name + b"=" + value for name, value in context.environment.items()]
    for session in kept:
        wake(session, entries, start_one=not in_job)
    if not named and not in_job:
        attend_listed(context.state, entries)


def main(command: str) -> int:
    """Entry of the launcher: `python -I -S -c CODE SOURCE WRITER COUNT STATE REAL WORDS...`."""
    # What is made lives until the end; looking for garbage in it costs a long list a quarter of its time.
    gc.disable()
    if getsignal(SIGINT) != SIG_IGN:
        signal(SIGINT, SIG_DFL)
    # Who ignores it is not told how a command of Slurm ended.
    child_signal = signal(SIGCHLD, SIG_DFL)
    open_closed_streams()
    raw = launched_with()
    state, real, words = raw[3], os.fsdecode(raw[4]), [os.fsdecode(word) for word in raw[5:]]
    environment = {}
    try:
        entries = handed_on(*raw[:3])
    except ShimError as error:
        say(f"{command}: error: {error}")
        return 1
    for entry in entries:
        name, _, value = entry.partition(b"=")
        environment[name] = value
    context = Context(command, real, state, words, environment, os.umask(0o077))
    context.ignores_children = child_signal == SIG_IGN
    if not real:
        return context.become(words)
    if not os.path.isabs(state):
        say(f"{command}: error: {wrong_path(state)}")
        return 1
    try:
        if os.path.isdir(state):
            open_state(state)
    except (ShimError, OSError) as error:
        return as_theirs(context, str(error))
    try:
        if not context.only_asks:
            # What a flush needs of it, which may be started now: python -S left it out.
            import site

            site.main()
        module = MODULES.get(command, command)
        if command not in LAUNCHERS and "SLURM_JOB_ID" in os.environ and context.looks_elsewhere():
            from sbatch_shim.companions.this_job import own_job

            own = own_job(context)
            context.state = own.state if own and may_write(own.state) else state
        if command != "scancel":  # what it names is dropped, and need not be submitted first
            wake_sessions(context)
        if command in ("squeue", "sacct", "scontrol"):
            from sbatch_shim.companions.reminder import remind

            remind(context, sorted({found.job for _, found in context.named() if found is not None}))
        status: int = __import__(f"sbatch_shim.companions.{module}", fromlist=["main"]).main(context)
    except ShimError as error:
        say(f"{command}: error: {error}")
        status = error.status
    except OSError as error:
        status = as_theirs(context, str(error))
    except Exception as error:
        from sbatch_shim.state.faults import report

        status = as_theirs(context, report(error, context.state))
    return leave(status)


def leave(status: int) -> int:
    """End here with an exit status: to take the interpreter down properly would take as long as a small command."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return status  # Python complains of that in its own way
    os._exit(status)


def as_theirs(context: Context, why: str) -> int:
    """
    Be the real command where we cannot do our part, with a line that says so.

    Not where part of the answer is written, nor where the real command would act on, or tell of, another job: it takes
    a ticket for a job that has gone.
    """
    if Told.anything or not context.real or context.must_not_be_theirs():
        say(f"{context.command}: error: {why}")
        return 1
    say(f"{context.command}: {why}; the real {context.command} answers, which knows no tickets")
    return context.become(context.words)
