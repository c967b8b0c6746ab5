"""
A pool is made: an array of Slurm's that waits held, and whose elements are split off, so that each has an id.

Everything that goes wrong is a ShimError, and leaves at most an array that waits held, of which nobody was told an id:
the next flush of the session finds it by its script's path and cancels it (release.py).
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence

from sbatch_shim.errors import NoRealSbatch, ShimError
from sbatch_shim.flush.backends.controller import Controller
from sbatch_shim.flush.backends.recovery import hold
from sbatch_shim.flush.backends.sbatch import Inherited, submit
from sbatch_shim.flush.backends.slurm import Slurm, option
from sbatch_shim.grammar import OPTIONS, TAKES
from sbatch_shim.merge.environment import controller_variables, for_job, for_sbatch, needs_login, share, submit_key
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.logs import KINDS
from sbatch_shim.merge.plan import Array, Placed, options_of
from sbatch_shim.spool import Session, create, make_folder, replace, ticket_numbers
from sbatch_shim.state.calls import Call, Shared, build
from sbatch_shim.state.dependency import parse
from sbatch_shim.state.events import Submitting
from sbatch_shim.state.folders import mark_done
from sbatch_shim.state.pools import Pool, exposed_file, pool_folders, sent_file, waits_file

# What Slurm starts. `.` reads the whole of a file, and this shell's process becomes the job.
SCRIPT = b"""#!/bin/bash -p
# One of the jobs whose sbatch answered with a real id (sbatch-shim). What it runs was written at the flush.
{
[[ ! -r %(tasks)s ]] || . %(tasks)s
echo "sbatch-shim: error: the job cannot start: what it runs is in %(tasks)s, which cannot be read on $HOSTNAME" >&2
exit 1
}
"""


def make_pool(session: Session, payload: bytes, size: int, beside: int | None = None) -> Pool:
    """
    Make a pool for calls like this one.

    Args:
        payload: The call's record.
        size: Elements, one more than ids; 1 for a plain job.
        beside: An array for whose elements those of this one wait, each for its own, instead of what the call says.
    """
    call = build(session, 0, payload, Shared())
    slurm = Slurm(no_other, brief=True)
    limits = slurm.limits(call)
    check(slurm, call, limits)
    if size > 1:
        size = min(size, limits.array_size)
        if size < 2:
            raise ShimError("no arrays of two tasks are allowed")
    folder = new_folder(session)
    if limits.site_changes_environment:
        create(sent_file(folder), b"")
        note_exposed(session)
    waits = call.options.get("dependency") or b""
    if beside is not None:
        waits = b"aftercorr:%d" % beside
    job = submit_held(slurm, call, limits, folder, size, waits)
    if size == 1:
        return noted(Pool(folder, job, job, 1))
    controller = Controller(os.fsdecode(call.sbatch), dict(controller_variables(call)))
    try:
        trouble = controller.split_off(job, f"0-{size - 2}", name_of(call, size))
        if trouble:
            raise ShimError(f"its elements cannot be split off: {trouble}")
        first = first_id(controller, job, size - 1)
    except ShimError:
        if not controller.cancel(str(job)):
            mark_done(folder)
        raise
    return noted(Pool(folder, job, first, size - 1))


def noted(pool: Pool) -> Pool:
    """Write down that a pool was made."""
    replace(pool.folder + b"/ids", b"%d %d %d\n" % (pool.job, pool.first, pool.count))
    return pool


def no_other() -> str:
    """A call whose sbatch is gone gets no other one."""
    raise NoRealSbatch("the real sbatch of this call is gone")


def check(slurm: Slurm, call: Call, limits: Limits) -> None:
    """Raise ShimError where an element could not be what the job would have been."""
    if limits.site_changes_environment and needs_login(call):
        raise ShimError("a TaskProlog or a plugin sees what sbatch sends, which depends on --export")
    sight = slurm.sight(call)
    if not sight.why:
        raise ShimError("it is not proven that the compute nodes see the state folder, from which a pool's tasks read")


def new_folder(session: Session) -> bytes:
    """A folder for a pool; under the pools' lock."""
    last = max((int(os.path.basename(one)) for one in pool_folders(session)), default=0)
    folder = b"%s/pools/%d" % (session.folder, last + 1)
    make_folder(folder)
    # So that somebody looks after it (companions/housekeeping.py), also where this sbatch is killed before its call is
    # queued, and is the session's only one.
    with session.lock():
        session.mark_live()
    return folder


def name_of(call: Call, size: int) -> bytes:
    """What squeue shows without us: as for a merged array, the first call's name and how many others there may be."""
    name = os.fsencode(call.shown_name)
    return b"%s+%d" % (name, size - 2) if size > 2 else name


def note_exposed(session: Session) -> None:
    """Write down that calls of one pool must agree on their environment (reserve.key_of)."""
    try:
        create(exposed_file(session), b"")
    except FileExistsError:
        pass


def array_of(calls: Sequence[tuple[Call, int | None]], limits: Limits, *, sent: bool) -> Array:
    """
    Calls of one pool and their elements as an array.

    Args:
        sent: What they agree on of their environments was sent with it; else all is in the tables, as sbatch was
            started with next to nothing.
    """
    members = [Placed.at(call, element) for call, element in calls]
    first = calls[0][0]
    # Slurm is told of it here only where a flush's user has given it, to all calls alike, or where a call is alone.
    waits = parse(first.options.get("dependency"))
    nice = first.nice if limits.propagates_nice else None
    return Array(members, options_of(first), waits, login=not sent, nice=nice, exposed=sent, early=True)


def submit_held(slurm: Slurm, call: Call, limits: Limits, folder: bytes, size: int, waits: bytes) -> int:
    """Submit the array; its job id. `waits`: its dependency, of which Slurm is told if there are no tickets in it."""
    script = folder + b"/script"
    tasks = os.fsencode(shlex.quote(os.fsdecode(folder + b"/tasks")))
    create(script, SCRIPT % {b"tasks": tasks})
    array = array_of([(call, 0)], limits, sent=limits.site_changes_environment)
    environment = dict(submit_key(call))
    if array.exposed:
        shared = share([for_job(call, launch_sets_name=limits.launch_sets_name)], array.sending)
        environment = for_sbatch(call, shared, array.sending)
    asked = Submitting(0, {}, os.fsdecode(script), slurm.asked(array), pool=True)
    create(folder + b"/asked", json.dumps(asked.to_json()).encode())
    words = [call.sbatch, b"--parsable", b"--ignore-pbs", b"--hold"]
    if size > 1:
        words.append(b"--array=0-%d" % (size - 1))
    for name, value in array.options.items():
        words.append(option(name, value if OPTIONS[name][TAKES] else None))
    if ticket_numbers(waits):
        create(waits_file(folder), b"")
    elif waits:
        words.append(option("dependency", waits))
    # Calls from any folder may share it, and each task goes to its call's own; but a site's rules may judge this one.
    place = call.cwd if limits.judged_by_site else b"/"
    words += [option("job-name", name_of(call, size)), option("chdir", place)]
    if call.comment:
        words.append(option("comment", call.comment))
    if needs_login(call):
        words.append(b"--export=NONE")
    last = b"/%a" if size > 1 else b"/0"
    for kind in KINDS:
        if kind == "output" or kind in call.options:
            links = folder + b"/" + kind.encode()
            make_folder(links)
            words.append(option(kind, links.replace(b"%", b"%%") + last))
    words.append(script)
    inherited = Inherited(int(call.umask, 8), limits_in(call), call.group, array.nice)
    held = hold(script)
    try:
        answer = submit(words, environment, inherited, os.fsdecode(call.session.name), b"/", held)
    finally:
        os.close(held)
    if answer.job is None:
        if not answer.uncertain:
            mark_done(folder)
        raise ShimError(answer.text or "sbatch did not take it")
    return answer.job


def limits_in(call: Call) -> dict[str, int]:
    """A call's soft limits by name."""
    found = {}
    for part in call.limits.decode().split(","):
        name, _, value = part.partition("=")
        found[name] = int(value)
    return found


def first_id(controller: Controller, job: int, count: int) -> int:
    """The id of element 0, where those of all others follow it without a gap; else ShimError."""
    ids = controller.element_ids(job)
    first = ids.get(0, 0)
    if first <= 0 or any(ids.get(element) != first + element for element in range(count)):
        raise ShimError("its elements have no ids that follow each other")
    return first
