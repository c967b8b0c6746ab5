"""
A lone call as its direct submission: its own script, words and environment, without the dispatcher.

A site's job_submit plugin may read a script's text, or what sbatch sends, and so refuse of the dispatcher what it
takes of the call. Where Slurm has refused a plain call by itself for good, it is submitted once more like this; what
is refused then is refused directly too.
"""

from __future__ import annotations

import os
from dataclasses import replace

from sbatch_shim.merge.submission import Submission
from sbatch_shim.spool import create
from sbatch_shim.state.calls import Call


def may_be_untouched(submission: Submission) -> bool:
    """Whether a submission without the dispatcher makes the very job that the call asked for."""
    call = submission.array.calls[0]
    return (
        (submission.array.is_plain or submission.array.own_indices)
        # Otherwise the dispatcher opens them.
        and all(log.folder or not log.paths for log in submission.logs)
        # sbatch tells the job its own host, folder and nice value.
        and call.host == os.fsencode(os.uname().nodename)
        and os.access(call.cwd, os.X_OK)
        and (submission.array.nice is not None or call.nice >= os.getpriority(os.PRIO_PROCESS, 0))
        # 22.05 shows arguments behind the script, and a line end there ends squeue's row.
        and not any(b"\n" in word for word in call.arguments)
    )


def untouched(submission: Submission) -> Submission:
    """
    The same submission without the dispatcher; its script's file is replaced.

    The path stays, since by it the job is known as the call's.
    """
    call = submission.array.calls[0]
    other = submission.script + b".own"
    create(other, call.body())
    os.rename(other, submission.script)
    environment = {name: value for name, value in call.environment.whole().items() if name[:7] != b"SARRAY_"}
    return replace(submission, environment=environment, own=call.arguments)


def export_word(call: Call) -> bytes | None:
    """
    The value of `--export` that sbatch needs to be told; None where it reads that itself.

    A list may hold values, and a call that has it from a directive or a variable has shown them in no process's words.
    """
    value = call.options.get("export")
    if value is not None and b"=" in value and not any(b"export" in word for word in call.words):
        return None
    return value
