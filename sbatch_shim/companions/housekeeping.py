"""
Housekeeping: sessions whose tickets nothing lists any more are no longer live, and old finished flushes go.

Runs by itself behind squeue (the live marks at most once a minute, the rest once a day), and as `sarray gc`.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from sbatch_shim.companions.context import LIVE_SECONDS, Context
from sbatch_shim.errors import ShimError
from sbatch_shim.spool import EMPTY_QUEUE, Session, replace
from sbatch_shim.state import spares
from sbatch_shim.state.events import Submitted
from sbatch_shim.state.folders import claimed, done, is_done
from sbatch_shim.state.journal import History, Journal, Origin, flush_folders, script_of
from sbatch_shim.state.locks import Busy, unless_held
from sbatch_shim.state.pools import pool_folders, pool_in, unfinished, untrimmed
from sbatch_shim.state.tickets import IN_FLIGHT, QUEUED, REFUSED, SessionTickets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


DAY = 86400
KEEP_DAYS = 30


class Listed:
    """
    What squeue lists of this user's arrays and jobs, finished ones among them.

    Args:
        told: Id and command of each.
        is_here: Whether a submission went to the cluster that was asked.
    """

    def __init__(self, told: Iterable[tuple[int, str]], is_here: Callable[[Origin], bool]) -> None:
        self.numbers = set()
        self.commands = set()
        for number, command in told:
            self.numbers.add(number)
            self.commands.add(script_of(command))
        self.is_here = is_here

    def may_have(self, number: int, origin: Origin) -> bool:
        """Whether a job may be listed: this one, and no other with its id; another cluster can tell of its own only."""
        if not self.is_here(origin):
            return True
        return origin.script in self.commands if origin.script else number in self.numbers


def listed_jobs(context: Context) -> Listed | None:
    """What squeue lists; None when it cannot be known."""
    # -a: those in hidden partitions too.
    words = ["-h", "-a", "-t", "all", "-u", str(os.getuid()), "-o", "%F|%o"]
    answer = context.run("squeue", words, **context.unfiltered())
    if answer.status != 0:
        return None
    rows = answer.rows("|", 2)
    return Listed(((int(number), command) for number, command in rows if number.isdigit()), context.is_here)


def by_itself(context: Context) -> None:
    """What squeue does on the way out; a failure is nobody's concern."""
    try:
        live = [Session(context.state, name) for name in os.listdir(context.state + b"/live")]
        due = [session for session in live if age(session.live) > LIVE_SECONDS]
        if not due:
            return
        for session in due:
            os.utime(session.live)
        listed = listed_jobs(context)
        if listed is None:
            return
        for session in due:
            try:
                retire(session, listed)
            except ShimError:
                pass  # whoever flushes it is told
        if age(context.state + b"/collected") > DAY:
            replace(context.state + b"/collected", b"")
            collect(context.state, KEEP_DAYS, listed)
    except OSError:
        pass


def age(path: bytes) -> float:
    """Seconds since a file was written; endless for a missing one."""
    try:
        return time.time() - os.stat(path).st_mtime
    except FileNotFoundError:
        return float("inf")


def retire(session: Session, listed: Listed) -> bool:
    """Take the live mark from a session of which nothing waits and nothing is listed."""
    trim(session)
    known = flush_folders(session)
    pages = SessionTickets(session).read()
    if any(pages.state(ticket) in (QUEUED, REFUSED, IN_FLIGHT) for ticket in pages.queued | pages.history.in_flight):
        return False
    if any(listed.may_have(job.number, job.origin) for job in pages.arrays.values()):
        return False
    if unfinished(session):
        # Made for calls that were cut short: the ids were told to nobody.
        from sbatch_shim.flush.release import give_back

        with suppress(ShimError):  # squeue waits for no flush
            give_back(session, lambda recorded: recorded, 0.0)
    try:
        with unless_held(session.folder + b"/lock"):
            # What came meanwhile is in the queue, or in a flush folder that is new or not done.
            try:
                empty = os.stat(session.queue).st_size <= EMPTY_QUEUE
            except FileNotFoundError:
                empty = True
            now = flush_folders(session)
            if not empty or now != known or not all(map(is_done, now)):
                return False
            if unfinished(session):
                return False  # made meanwhile, or by a Slurm that is not asked here
            try:
                os.unlink(session.live)
            except FileNotFoundError:
                pass
    except Busy:
        return False  # a call is being queued, or its sbatch hangs
    return True


def trim(session: Session) -> None:
    """Where a session's login has ended, cancel what nobody took of its pools, as nobody will."""
    if not untrimmed(session):
        return
    from sbatch_shim.flush.release import give_back
    from sbatch_shim.flush.sessions import has_ended

    if has_ended(session.name):
        with suppress(ShimError):
            give_back(session, lambda recorded: recorded, 0.0, has_ended=True)


def collect(state: bytes, days: float, listed: Listed, *, dry: bool = False) -> list[bytes]:
    """
    Remove the folders of flushes that are done, older than `days`, and of which no job may be listed.

    A damaged journal may hide a job that is; its folder stays.

    Returns:
        The folders.
    """
    import shutil

    gone = []
    try:
        names = sorted(os.listdir(state + b"/sessions"))
    except FileNotFoundError:
        return []
    for name in names:
        for folder in flush_folders(Session(state, name)):
            if age(done(folder)) < days * DAY or not is_done(folder):
                continue
            events, damaged = Journal(folder).lines()
            told = History().take(events).landed[Submitted].values()
            if damaged or any(listed.may_have(one.event.job, one.origin) for one in told):
                continue
            gone.append(folder)
            if not dry:
                # First: without `done`, what is left of it would be submitted again.
                try:
                    os.unlink(claimed(folder))
                except FileNotFoundError:
                    pass
                for one in told:
                    if one.event.spare:
                        Session(state, name).unlink(spares.LINKS, one.event.job)
                shutil.rmtree(folder)
        gone += collect_pools(Session(state, name), days, listed, dry=dry)
    return gone


def collect_pools(session: Session, days: float, listed: Listed, *, dry: bool) -> list[bytes]:
    """The same with pools of which nothing waits; the links of their ids go too."""
    import shutil

    gone = []
    for folder in pool_folders(session):
        pool = pool_in(folder)
        if age(done(folder)) < days * DAY or not is_done(folder):
            continue
        if pool is not None and listed.may_have(pool.job, Origin.of(pool.asked())):
            continue
        gone.append(folder)
        if dry:
            continue
        for job_id in range(pool.first, pool.first + pool.count) if pool is not None else ():
            session.unlink(b"ids", job_id)
        shutil.rmtree(folder)
    return gone
