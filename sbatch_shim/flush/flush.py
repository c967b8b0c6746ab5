"""
One flush: claim, plan, render, submit, record.

Every step is in the journal before the next one, so that what a killed flush has done is known.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from sbatch_shim.errors import ShimError
from sbatch_shim.flush.backends import Backend
from sbatch_shim.flush.backends.controller import NoAnswer
from sbatch_shim.flush.earlier import settle_earlier
from sbatch_shim.flush.patience import Patience
from sbatch_shim.flush.reserved import Reserved
from sbatch_shim.flush.result import FlushResult
from sbatch_shim.flush.submit import Submitter
from sbatch_shim.flush.wishes import Wishes
from sbatch_shim.flush.work import Work
from sbatch_shim.spool import Session, sync_folder, ticket_numbers
from sbatch_shim.state.calls import Call, pending
from sbatch_shim.state.events import Placed, Started
from sbatch_shim.state.folders import claimed, flush_lock, mark_done
from sbatch_shim.state.journal import TicketMap, flush_folders, open_folders
from sbatch_shim.state.locks import Busy, brief, exclusive
from sbatch_shim.state.pools import is_given_out

# How long a flush waits for another one's session while it holds its own: each may hold what the other needs.
LONGEST_CROSSED_WAIT = 60
# The same for a keeper's flush, which is tried again.
CROSSED_WAITS = 1.0, 5.0


class Flush:
    """
    One flush of one session.

    Attributes:
        work: What its parts share.
        started: The jobs that have begun to run here.
    """

    def __init__(
        self,
        session: Session,
        backend: Backend,
        wishes: Wishes,
        tickets: TicketMap | None = None,
        patience: Patience | None = None,
        within: frozenset[bytes] = frozenset(),
        *,
        hurried: bool = False,
    ) -> None:
        tickets = tickets or TicketMap(session.state, backend.placing_event)
        self.work = Work(session, backend, wishes, tickets, patience or Patience(), within, hurried=hurried)
        self.submitter = Submitter(self.work, self.flush_producers)
        self.reserved = Reserved(self.work)
        self.started: set[int] = set()

    @property
    def result(self) -> FlushResult:
        """What it has done so far."""
        return self.work.result

    def run(self, progress: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Claim and submit everything; raises ShimError before anything was submitted."""
        work, reserved = self.work, self.reserved
        if not os.path.isdir(work.session.folder):
            return
        longest = None
        if work.within:
            longest = self.crossed_wait()
        with exclusive(flush_lock(work.session), work.patience, longest):
            try:
                settle_earlier(work)
            except NoAnswer as error:
                raise ShimError(
                    f"{error}; it must tell first what became of a submission that was cut short, so nothing was "
                    "submitted and all calls stay queued"
                ) from None
            folder = reserved.claim_all(self.claim)
            calls, problems = pending(work.session)
            work.result.problems += problems
            reserved.calls = [call for call in calls if is_given_out(call.ticket)]
            calls = [call for call in calls if not is_given_out(call.ticket)]
            if folder is None and (calls or reserved.calls):
                folder = self.new_folder()
            folder = folder or b""
            at_once, behind = reserved.homes()
            if at_once or behind:
                reserved.name_for(calls)
            number = reserved.release_all(folder, at_once)
            if calls:
                number = self.submitter.submit_all(folder, calls, progress, number, reserved.calls)
            elif behind:
                self.flush_producers(reserved.calls)
            reserved.release_all(folder, behind, number)
            reserved.keep_lost(folder)
            if calls:
                self.run_collected()
            self.finish()

    def run_collected(self) -> None:
        """Run what was collected, where this machine does that, and keep what was cut short."""
        self.work.backend.complete(self.work.patience.stop, self.note)
        for job, (_, event) in self.submitter.collected.items():
            cut_short = self.result.uncertain if job in self.started else self.result.kept
            cut_short += event.tickets

    def crossed_wait(self) -> float:
        """
        How long to wait for a session while another one's lock is held, in seconds.

        Two flushes may each hold what the other one waits for. One that tries again by itself (a keeper's) gives up
        soon, and not after the same time as the other, which gets on then.
        """
        if self.work.wishes.final or self.work.hurried:
            return random.uniform(*CROSSED_WAITS)
        return self.work.patience.seconds or LONGEST_CROSSED_WAIT

    def new_folder(self) -> bytes:
        """A folder for this flush; names sort by time, also where clocks and time zones do not."""
        self.work.session.make()  # an sbatch may have been killed before it had made all of it
        stamp = time.strftime("%Y%m%d-%H%M%S").encode()
        number = 0
        for before in flush_folders(self.work.session)[-1:]:
            newest, _, count = os.path.basename(before).rpartition(b"-")
            if newest >= stamp:
                stamp, number = newest, int(count) + 1
        while True:
            folder = b"%s/flushes/%s-%03d" % (self.work.session.folder, stamp, number)
            try:
                os.mkdir(folder, 0o700)
                sync_folder(os.path.dirname(folder))
                return folder
            except FileExistsError:
                number += 1

    def claim(self) -> bytes | None:
        """Set the queue aside in a new flush folder; None when nothing was queued."""
        folder = self.new_folder()
        taken = False
        try:
            with brief(self.work.session, self.work.patience):
                taken = self.work.session.claim(claimed(folder))
        finally:
            if not taken and not os.listdir(folder):
                os.rmdir(folder)
        if not taken:
            return None
        return folder

    def flush_producers(self, calls: Sequence[Call]) -> None:
        """
        Flush the other sessions that hold calls which these wait for.

        Calls of two sessions may wait for each other's in turn: then each flush takes the chain a step further.
        """
        own = {call.ticket for call in calls}
        done = {self.work.session.name, *self.work.within}
        for call in calls:
            for ticket in ticket_numbers(call.options.get("dependency") or b""):
                name = self.work.tickets.session(ticket)
                if ticket not in own and name is not None and name not in done:
                    done.add(name)
                    self.flush_other(name)

    def flush_other(self, name: bytes) -> None:
        """Flush another session as a part of this flush."""
        work = self.work
        wishes = Wishes(keep_arrays=True, wide_lanes=work.wishes.wide_lanes)
        other = Flush(
            Session(work.session.state, name),
            work.backend,
            wishes,
            work.tickets,
            work.patience,
            work.within | {work.session.name},
            hurried=work.hurried or work.wishes.final,
        )
        trouble = ""
        try:
            other.run()
        except Busy as error:
            trouble = str(error)
        except (ShimError, OSError):
            raise
        except Exception as error:
            trouble = work.words_for(error)
        if trouble:
            other.result.problems.append(f"session {os.fsdecode(name)}: {trouble}; what waits for its calls is kept")
        # What stays queued there is that session's own.
        self.result.absorb(replace(other.result, kept=[], elsewhere=[], uncertain=[]))

    def note(self, job: int, kind: type[Placed]) -> None:
        """Write down what a job that runs here does."""
        journal, taken = self.submitter.collected[job]
        journal.add(kind(taken.array, taken.tickets, job))
        if kind is Started:
            self.started.add(job)
        else:
            del self.submitter.collected[job]

    def finish(self) -> None:
        """Mark the flush folders of which nothing is left to submit."""
        if self.result.kept or self.result.uncertain or self.result.problems:
            return
        for folder in open_folders(self.work.session):
            mark_done(folder)
