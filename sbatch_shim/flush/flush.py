"""
One flush: claim, plan, render, submit, record.

Every step is in the journal before the next one, so that what a killed flush has done is known.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from sbatch_shim.errors import BadDependency, NeverMet, Refused, ShimError
from sbatch_shim.flush import room
from sbatch_shim.flush.backends import Backend
from sbatch_shim.flush.backends.controller import Controller, NoAnswer
from sbatch_shim.flush.backends.recovery import Fate
from sbatch_shim.flush.backends.sbatch import Answer, may_pass
from sbatch_shim.flush.changes import changes_of
from sbatch_shim.flush.patience import Patience
from sbatch_shim.flush.ready import Ready, arrays_of, next_ready
from sbatch_shim.flush.refusals import Refusals
from sbatch_shim.flush.release import Release, cancel_rest, close_all, controller_of, members_of, was_never_asked_for
from sbatch_shim.flush.result import Adopted, FlushResult, Outcome
from sbatch_shim.flush.untouched import untouched
from sbatch_shim.flush.wishes import Wishes, apply_overrides
from sbatch_shim.merge.graph import counted, with_real_ids
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, connected, halve
from sbatch_shim.merge.submission import Submission, dependency, indices_of, places, submission_of
from sbatch_shim.spool import Session, create, make_folder, sync_folder, ticket_numbers
from sbatch_shim.state.calls import Call, pending, tickets_in
from sbatch_shim.state.dependency import parse
from sbatch_shim.state.events import (
    Absent,
    Assumed,
    Collected,
    Damaged,
    Event,
    Failed,
    Lanes,
    Placed,
    Seen,
    Started,
    Submitted,
    Submitting,
    Uncertain,
    Worded,
)
from sbatch_shim.state.events import (
    Refused as RefusedEvent,
)
from sbatch_shim.state.faults import in_words, report
from sbatch_shim.state.folders import claimed, flush_lock, mark_done
from sbatch_shim.state.journal import (
    Journal,
    Place,
    TicketMap,
    flush_folders,
    last_words,
    open_folders,
    places_in,
)
from sbatch_shim.state.locks import Busy, brief, exclusive
from sbatch_shim.state.pools import is_given_out, pool_in, unfinished, waits_file

LEFT_BEHIND = "it waits for a call that was not submitted"
NO_ROOM = "no room for it at present"
REFUSED_BEHIND = "it waits for a call that Slurm has refused"
ELSEWHERE = "it waits for a call that was made for another cluster"

# A flush for the sake of some tickets leaves no more than this queued, as each such flush reads it again: flush
# folders that hold something (1 ms each), and calls.
MOST_FOLDERS_LEFT = 32
MOST_CALLS_LEFT = 500

# How long a flush waits for another one's session while it holds its own: each may hold what the other needs.
LONGEST_CROSSED_WAIT = 60
# The same for a keeper's flush, which is tried again.
CROSSED_WAITS = 1.0, 5.0


def lanes_of(submission: Submission) -> Lanes:
    """What Slurm must be told of an array that follows others lane by lane."""
    waits = b""
    if submission.last_waits is not None:
        waits = submission.last_waits.spec
    name, last = os.fsdecode(submission.name), indices_of(submission.array).ids[-1]
    return Lanes(submission.to_split.ranges(), name, last, waits.decode())


def by_controller(backend: Backend, calls: list[Call]) -> list[list[Call]]:
    """The calls, those for one controller together."""
    groups: dict[Hashable, list[Call]] = {}
    for call in calls:
        groups.setdefault(backend.controller(call), []).append(call)
    return list(groups.values())


def refused_alone(session: Session) -> set[int]:
    """
    The tickets of calls that Slurm refused for good each by itself.

    They share arrays with each other only, so that they take no others along again.
    """
    return set().union(*(Journal(folder).history().refused_alone for folder in open_folders(session)))


def doubt(event: Event) -> str:
    """Why nobody can be asked about an event of unknown outcome."""
    if isinstance(event, Started):
        return f"job {event.job} was cut short while it ran here, so some of its tasks may have run"
    if not isinstance(event, Worded):
        return ""
    return event.text


def script_in(event: Event) -> str:
    """The file that an event of unknown outcome names; empty for none."""
    if not isinstance(event, (Submitting, Damaged)):
        return ""
    return event.script


def claimed_until(folders: list[bytes]) -> set[int]:
    """The tickets that the flush of the last of these folders could have submitted."""
    found: set[int] = set()
    for folder in folders:
        if os.path.exists(claimed(folder)):
            found |= tickets_in(claimed(folder))
    return found.difference(*(Journal(folder).history().settled for folder in folders[:-1]))


def behind(outcome: Outcome) -> str:
    """Why what waits for an array that was not submitted is not submitted either."""
    if outcome.final:
        return REFUSED_BEHIND
    if outcome.text == ELSEWHERE:
        return ELSEWHERE
    return LEFT_BEHIND


class Flush:
    """
    One flush of one session.

    Attributes:
        result: What it has done so far.
        within: The sessions of the flushes that this one is a part of.
        hurried: It is a part of a keeper's.
        collected: By job, where each array that runs here at the end was noted; those that have not ended.
        started: The jobs that have begun to run here.
        closed: The folders of the pools of which nobody takes an id any more, and something may wait in Slurm.
        left_behind: The tickets that cannot be waited for, and why.
        changes: What Slurm is told of all jobs that are released.
        told: The limits that controllers have told.
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
        self.session = session
        self.within = within
        self.hurried = hurried
        self.tickets = tickets or TicketMap(session.state, backend.placing_event)
        self.backend = backend
        self.wishes = wishes
        self.patience = patience or Patience()
        self.result = FlushResult()
        self.refusals = Refusals(judged_by_site=False)
        self.room = room.Room()
        self.collected: dict[int, tuple[Journal, Placed]] = {}
        self.started: set[int] = set()
        self.closed: list[bytes] = []
        self.left_behind: dict[int, str] = {}
        self.changes: list[bytes] = []
        self.told: dict[Hashable, Limits] = {}
        self.faults: dict[str, str] = {}

    def run(self, progress: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Claim and submit everything; raises ShimError before anything was submitted."""
        if not os.path.isdir(self.session.folder):
            return
        longest = None
        if self.within:
            longest = self.crossed_wait()
        with exclusive(flush_lock(self.session), self.patience, longest):
            try:
                self.settle_earlier()
            except NoAnswer as error:
                raise ShimError(
                    f"{error}; it must tell first what became of a submission that was cut short, so nothing was "
                    "submitted and all calls stay queued"
                ) from None
            folder = self.claim_all()
            calls, problems = pending(self.session)
            self.result.problems += problems
            reserved = [call for call in calls if is_given_out(call.ticket)]
            calls = [call for call in calls if not is_given_out(call.ticket)]
            if folder is None and (calls or reserved):
                folder = self.new_folder()
            homes = self.closed if self.may_release(reserved) else []
            waits = "dependency" in self.wishes.overrides
            behind = [home for home in homes if waits or os.path.exists(waits_file(home))]
            number = self.release_all(folder or b"", reserved, [home for home in homes if home not in behind])
            if calls:
                assert folder is not None
                number = self.submit_all(folder, calls, progress, number, reserved)
            elif behind:
                self.flush_producers(reserved)
            self.release_all(folder or b"", reserved, behind, number)
            self.keep_lost(folder or b"", reserved)
            if calls:
                self.backend.complete(self.patience.stop, self.note)
                for job, (_, event) in self.collected.items():
                    cut_short = self.result.uncertain if job in self.started else self.result.kept
                    cut_short += event.tickets
            self.finish()

    def note_room(self, call: Call) -> None:
        """Leave for the next flush what limits this one has met."""
        if self.refusals.full:
            room.note(self.session, frozenset(self.refusals.full), self.backend.held(call))
        elif not any(outcome.text == NO_ROOM for outcome in self.result.outcomes):
            room.forget(self.session)

    def crossed_wait(self) -> float:
        """
        How long to wait for a session while another one's lock is held, in seconds.

        Two flushes may each hold what the other one waits for. One that tries again by itself (a keeper's) gives up
        soon, and not after the same time as the other, which gets on then.
        """
        if self.wishes.final or self.hurried:
            return random.uniform(*CROSSED_WAITS)
        return self.patience.seconds or LONGEST_CROSSED_WAIT

    def settle_earlier(self) -> None:
        """Settle what earlier flushes left open; raises ShimError when Slurm cannot be asked now."""
        folders = open_folders(self.session)
        for at, folder in enumerate(folders):
            journal = Journal(folder)
            if journal.lines()[1]:
                journal.set_damage_aside(claimed_until(folders[: at + 1]))
            history = journal.history()
            for event in history.open.values():
                if isinstance(event, Submitting) and event.pool:  # releasing again does nothing
                    journal.add(Absent(event.array, list(event.tickets)))
                    continue
                fate = Fate(known=False, why=doubt(event))
                if isinstance(event, Submitting):
                    fate = self.ask(event)
                self.patience.refill()
                if isinstance(event, Submitting) and fate.known:
                    self.learn_fate(journal, event, fate)
                elif self.wishes.assume == "submitted":
                    assumed = Assumed(event.array, list(event.tickets))
                    journal.add(assumed)
                    self.tickets.learn(assumed, folder)
                elif self.wishes.assume == "lost":
                    journal.add(Absent(event.array, list(event.tickets)))
                else:
                    script = script_in(event)
                    self.result.problems.append(f"{script}: {fate.why}" if script else fate.why)
                    self.result.uncertain += event.tickets
            for submitting, job in journal.history().to_split.values():
                self.split_off_later(journal, submitting, job)

    def split_off_later(self, journal: Journal, submitting: Submitting, job: int) -> None:
        """Do what a flush that was killed did not: unless the id is another job's by now, or on another cluster."""
        there = self.backend.has(submitting, job)
        if there:
            self.split_off(journal, [(submitting, job)])
        elif there is not None:
            journal.add(Seen(submitting.array, list(submitting.tickets)))
        elif submitting.asked is not None and submitting.asked.cluster:
            self.result.problems.append(
                f"job {job} was submitted on the cluster {submitting.asked.cluster}, and slow or failed lanes of it "
                "may hold up others until this session is flushed there"
            )

    def ask(self, submitting: Submitting) -> Fate:
        """What became of a submission; NoAnswer when Slurm does not answer for longer than the patience lasts."""
        while True:
            try:
                fate = self.backend.settle(submitting, self.patience)
            except NoAnswer as error:
                if not self.patience.again(str(error)):
                    raise
            else:
                return fate

    def learn_fate(self, journal: Journal, event: Submitting, fate: Fate) -> None:
        """Write down what became of a submission of an earlier flush."""
        if fate.job is None:
            journal.add(Absent(event.array, list(event.tickets)))
            return
        learned = Submitted(event.array, event.tickets, fate.job)
        journal.add(learned)
        self.tickets.learn(learned, journal.folder, event)
        places = places_in(learned)
        script = os.fsencode(event.script)
        self.result.adopted.append(Adopted(fate.job, script, sorted(places), next(iter(places.values())).tasks))

    def new_folder(self) -> bytes:
        """A folder for this flush; names sort by time, also where clocks and time zones do not."""
        self.session.make()  # an sbatch may have been killed before it had made all of it
        stamp = time.strftime("%Y%m%d-%H%M%S").encode()
        number = 0
        for before in flush_folders(self.session)[-1:]:
            newest, _, count = os.path.basename(before).rpartition(b"-")
            if newest >= stamp:
                stamp, number = newest, int(count) + 1
        while True:
            folder = b"%s/flushes/%s-%03d" % (self.session.folder, stamp, number)
            try:
                os.mkdir(folder, 0o700)
                sync_folder(os.path.dirname(folder))
                return folder
            except FileExistsError:
                number += 1

    def claim_all(self) -> bytes | None:
        """Claim, and close the pools first: so whoever took an id of one is among the claimed."""
        folder = self.session.folder + b"/pools"
        if self.wishes.only is not None or not os.path.isdir(folder):
            return self.claim()
        with exclusive(folder + b"/lock", self.patience, who="an sbatch of this session that asks Slurm for ids"):
            close_all(self.session)
            self.closed = unfinished(self.session)
            return self.claim()

    def release_all(self, folder: bytes, reserved: list[Call], homes: list[bytes], number: int = 0) -> int:
        """
        Let the calls start that have real ids, and cancel what was not taken of their pools.

        Args:
            homes: The folders of the pools that are looked at.
            number: Of the last array of this flush before them.

        Returns:
            The number of the last array of this flush.
        """
        pools = [(home, pool_in(home)) for home in homes if not was_never_asked_for(home)]
        taken = {home: [] if pool is None else members_of(pool, reserved) for home, pool in pools}
        here = [call for calls in taken.values() for call, _ in calls]
        limits, silent = self.reachable(here) if here else (Limits(), set())
        self.keep(silent)
        known: dict[Hashable, Controller] = {}
        for home, pool in pools:
            calls = [(call, element) for call, element in taken[home] if call.ticket not in silent]
            try:
                controller = controller_of(home, self.backend.usable, known)
                if pool is not None and calls:
                    number += 1
                    self.release(Journal(folder), number, Release(pool, calls, limits), controller)
                kept = any(call.ticket in self.result.kept for call, _ in taken[home])
                trouble = cancel_rest(self.session, home, controller, self.patience, is_needed=kept)
                if trouble:
                    self.result.notes.append(f"what nobody took of the pool {os.fsdecode(home)} still waits: {trouble}")
            except ShimError as error:
                self.result.problems.append(f"the pool {os.fsdecode(home)}: {error}")
                self.keep(call.ticket for call, _ in calls)
        return number

    def keep(self, tickets: Iterable[int]) -> None:
        """Note that calls stay queued, each once."""
        self.result.kept += [ticket for ticket in tickets if ticket not in self.result.kept]

    def keep_lost(self, folder: bytes, reserved: list[Call]) -> None:
        """Say of which calls with real ids the pool cannot be found; they stay queued."""
        settled = Journal(folder).history().settled if reserved else set()
        for call in reserved:
            if call.ticket not in settled and call.ticket not in self.result.kept:
                self.result.kept.append(call.ticket)
                self.result.problems.append(f"{call.ticket}: its pool is gone, so it cannot be released")

    def may_release(self, reserved: list[Call]) -> bool:
        """Whether these calls can be released, else they are kept; ShimError for a wish that could not be fulfilled."""
        if self.wishes.only is not None:
            # Who needs real ids of others has those of these.
            self.keep(call.ticket for call in reserved)
            return False
        if reserved:
            self.changes = changes_of(self.wishes)
        for call in reserved:
            apply_overrides(call, self.wishes.overrides)
        if self.backend.placing_event is Submitted:
            return True
        if reserved:
            verb = "waits" if len(reserved) == 1 else "wait"
            self.result.problems.append(f"{with_real_ids(len(reserved))} {verb} in Slurm, not here")
            self.keep(call.ticket for call in reserved)
        return False

    def release(self, journal: Journal, number: int, release: Release, controller: Controller) -> None:
        """Release the calls of one pool."""
        array, script = release.array, release.pool.script
        tickets = [call.ticket for call in array.calls]
        changes = self.changes
        if release.pool.waits_for_tickets or "dependency" in self.wishes.overrides:
            outcome, more = self.waits_of(release)
            changes = [*changes, *more]
            if outcome is not None:
                self.result.outcomes.append(outcome)
                if outcome.final and self.wishes.final:
                    controller.cancel(str(release.pool.job))
                    self.give_up(journal, number, tickets, outcome.text)
                else:
                    self.result.kept += tickets
                return
        release.prepare()
        event, trouble = release.submit(journal, number, controller, changes)
        while trouble and (may_pass(trouble) or not changes) and self.patience.again(trouble):
            event, trouble = release.submit(journal, number, controller, changes)
        if event is None:
            self.result.kept += tickets
            self.result.outcomes.append(Outcome(array, script, None, trouble))
            return
        self.patience.refill()
        self.tickets.learn(event, os.path.dirname(journal.path), release.submitting(number))
        self.result.outcomes.append(Outcome(array, script, release.pool.job))

    def waits_of(self, release: Release) -> tuple[Outcome | None, list[bytes]]:
        """
        What Slurm is to be told of the tickets that a call with a real id waits for.

        Returns:
            The outcome where it cannot be told; and how it is told.
        """
        array, script = release.array, release.pool.script
        stopped = next((self.left_behind[one] for one in array.producers if one in self.left_behind), "")
        if stopped:
            return Outcome(array, script, None, stopped, final=stopped == REFUSED_BEHIND), []
        try:
            waits = dependency(array, release.limits, self.placer(array.calls[0]))
        except ShimError as error:
            final, hopeless = isinstance(error, Refused), isinstance(error, NeverMet)
            return Outcome(array, script, None, f"not released: {error}", final=final, hopeless=hopeless), []
        return None, [b"Dependency=" + waits.spec] if waits else []

    def placer(self, call: Call) -> Callable[[int], Place]:
        """Where tickets run, for a call that waits for them."""
        return self.tickets.placer(lambda origin: origin.is_of(self.backend.clusters(call)))

    def claim(self) -> bytes | None:
        """Set the queue aside in a new flush folder; None when nothing was queued."""
        folder = self.new_folder()
        taken = False
        try:
            with brief(self.session, self.patience):
                taken = self.session.claim(claimed(folder))
        finally:
            if not taken and not os.listdir(folder):
                os.rmdir(folder)
        if not taken:
            return None
        return folder

    def submit_all(
        self,
        folder: bytes,
        calls: list[Call],
        progress: Callable[[int, int], None],
        number: int = 0,
        reserved: Sequence[Call] = (),
    ) -> int:
        """
        Plan `calls` and submit their arrays, one after the other.

        Args:
            number: Of the last array of this flush before them.
            reserved: Calls that have real ids, and may wait for these.

        Returns:
            The number of the last array of this flush.
        """
        if not self.wishes.repeated:
            return self.submit_now(folder, calls, progress, number, reserved)
        asking = calls[0]
        self.room = room.look(self.session, lambda: self.backend.held(asking))
        if any(self.room.bound(call) != 0 for call in calls):
            number = self.submit_now(folder, calls, progress, number, reserved)
            self.note_room(asking)
            return number
        self.result.kept += [call.ticket for call in calls]
        self.left_behind.update((call.ticket, NO_ROOM) for call in calls)
        if not reserved:
            with suppress(OSError):
                os.rmdir(folder)  # unless calls were claimed into it
        return number

    def submit_now(
        self,
        folder: bytes,
        calls: list[Call],
        progress: Callable[[int, int], None],
        number: int,
        reserved: Sequence[Call],
    ) -> int:
        """The same, where a limit on submitted jobs has not been asked for or leaves room."""
        limits, silent = self.reachable(calls)
        self.keep(silent)
        calls = [call for call in calls if call.ticket not in silent]
        self.flush_producers([*calls, *reserved])
        arrays, unplanned = self.planned(calls, limits, reserved)
        few = len(calls) <= MOST_CALLS_LEFT and len(open_folders(self.session)) <= MOST_FOLDERS_LEFT
        if self.wishes.only is not None and few:
            wanted = connected(arrays, self.wishes.only)
            self.result.kept += [call.ticket for array in arrays if array not in wanted for call in array.calls]
            arrays = wanted
        journal = Journal(folder)
        make_folder(folder + b"/arrays")
        self.refusals = Refusals(judged_by_site=limits.judged_by_site)
        left_behind = self.left_behind
        left_behind.update(dict.fromkeys([*silent, *unplanned], LEFT_BEHIND))
        left_behind.update(dict.fromkeys(self.result.elsewhere, ELSEWHERE))
        while arrays:
            number += 1
            progress(number - 1, number - 1 + len(arrays))
            home = b"%s/arrays/%d" % (folder, number)
            ready = next_ready(arrays, limits, self.wishes, home, self.backend)
            outcome = self.try_one(journal, number, ready, home, limits, left_behind)
            if outcome is None:
                arrays[:] = halve(ready.array, arrays)
                continue
            self.result.outcomes.append(outcome)
            if outcome.job is None:
                tickets = [call.ticket for call in ready.array.calls]
                left_behind.update(dict.fromkeys(tickets, behind(outcome)))
                if outcome.final and self.wishes.final:
                    self.give_up(journal, number, tickets, outcome.text)
                else:
                    if outcome.text == ELSEWHERE:
                        self.result.elsewhere += tickets
                    (self.result.uncertain if outcome.uncertain else self.result.kept).extend(tickets)
        progress(number, number)
        return number

    def planned(
        self, calls: list[Call], limits: Limits, reserved: Sequence[Call] = ()
    ) -> tuple[list[Array], list[int]]:
        """
        The calls as arrays; and the tickets of those that cannot be planned, which are kept.

        Args:
            reserved: Calls that are not planned, and may wait for these.
        """
        later = [parse(call.options.get("dependency")) for call in reserved]
        apart = refused_alone(self.session)
        options = [dict(call.options) for call in calls]  # planning changes them
        try:
            return arrays_of(calls, limits, self.wishes, apart, later), []
        except Exception as error:
            if isinstance(error, ShimError) and not isinstance(error, BadDependency):
                raise  # a wish that cannot be fulfilled
            left, kept = [], []
            for call, own in zip(calls, options):
                call.options = dict(own)
                try:
                    arrays_of([call], limits, self.wishes, apart)
                except Exception as trouble:
                    kept.append(call.ticket)
                    self.result.problems.append(f"{call.ticket} is kept: {self.words_for(trouble)}")
                else:
                    left.append(call)
                call.options = dict(own)
            if not kept:
                raise  # no call by itself
        self.result.kept += kept
        return arrays_of(left, limits, self.wishes, apart, later), kept

    def words_for(self, error: Exception) -> str:
        """An error of one call: its own sentence, or that of a fault, which is reported once."""
        if isinstance(error, (ShimError, OSError)):
            return str(error)
        words = in_words(error)
        if words not in self.faults:
            self.faults[words] = report(error, self.session.state)
        return self.faults[words]

    def try_one(
        self, journal: Journal, number: int, ready: Ready, home: bytes, limits: Limits, left_behind: dict[int, str]
    ) -> Outcome | None:
        """
        Submit one array, if nothing speaks against it.

        Args:
            number: Its own in this flush.
            home: Its folder, which is made here.
            left_behind: The tickets that cannot be waited for, and why.

        Returns:
            None where Slurm refused it, something fails, or it is more than there is room for, and it is to be tried
            in two halves.
        """
        array, path = ready.array, home + b"/script"
        stopped = next((left_behind[ticket] for ticket in array.producers if ticket in left_behind), "")
        if self.patience.stop.signal:
            self.result.halted = "interrupted"
        if not stopped and self.refusals.is_full(array):
            stopped = NO_ROOM
        bound = self.room.bound(array)
        if not (stopped or self.result.halted) and bound is not None and array.size > bound:
            if bound and len(array.members) > 1:
                return None
            stopped = NO_ROOM
        if self.result.halted or stopped:
            text = "" if self.result.halted else stopped
            return Outcome(array, path, None, text, final=text == REFUSED_BEHIND)
        if ready.fault is not None:
            return Outcome(array, path, None, f"not submitted: {self.words_for(ready.fault)}")
        make_folder(home)
        if ready.lacks and ready.lacks not in self.result.notes:
            self.result.notes.append(ready.lacks)
        if ready.mark:
            make_folder(os.path.dirname(ready.mark))
        if ready.whole is not None:
            create(ready.whole, ready.script)
        create(path, ready.script if ready.whole is None else ready.script.without_values())
        if self.wishes.scripts is not None:
            self.keep_script(ready.script, os.path.dirname(os.path.dirname(home)), number)
        try:
            submission = submission_of(
                array,
                home,
                ready.environment,
                limits,
                self.placer(array.calls[0]),
                own_logs=ready.own_logs,
                throttle=self.wishes.throttle,
                extra=tuple(self.wishes.extra),
            )
            self.backend.prepare(submission, limits)
        except OSError:
            raise  # a full disk: no call's fault
        except Exception as error:
            if len(array.members) > 1 and not isinstance(error, ShimError):
                return None
            final, hopeless = isinstance(error, Refused), isinstance(error, NeverMet)
            words = self.words_for(error)
            return Outcome(array, path, None, f"not submitted: {words}", final=final, hopeless=hopeless)
        return self.submit_one(journal, number, submission)

    def submit_one(self, journal: Journal, number: int, submission: Submission) -> Outcome | None:
        """Submit one array, with a line in the journal before and after; None: it is to be tried in two halves."""
        array = submission.array
        tickets = [call.ticket for call in array.calls]
        tasks_of = places(array)
        lanes = None
        if (submission.to_split or submission.last_waits) and not self.wishes.wide_lanes:
            lanes = lanes_of(submission)
        script = os.fsdecode(submission.script)
        event = Submitting(number, tasks_of, script, self.backend.asked(array), lanes)
        while True:
            journal.add(event)
            answer = self.backend.submit(submission)
            if answer.uncertain:
                journal.add(Uncertain(number, tickets, answer.text))
                answer = self.ask_about(event, answer)
            if answer.job is not None:
                taken = self.backend.accepted(number, tasks_of, answer.job)
                journal.add(taken)
                self.tickets.learn(taken, journal.folder, event)
                if isinstance(taken, Collected):
                    self.collected[answer.job] = (journal, taken)
                self.patience.refill()
                self.refusals.accepted(array)
                self.room.accepted(array)
                if lanes is not None:
                    self.split_off(journal, [(event, answer.job)])
                break
            if answer.uncertain:
                break
            passes = answer.temporary or answer.unsent
            journal.add(RefusedEvent(number, tickets, answer.text, answer.status, passes))
            if self.refusals.ask_for_pieces(array, answer):
                return None
            if self.refusals.ask_untouched(submission, answer):
                submission = untouched(submission)
                continue
            if not answer.temporary or not self.patience.again(answer.text.strip()):
                break
        if answer.uncertain or answer.everywhere:
            self.result.halted = self.result.halted or "Slurm takes nothing at present"
        final = not (answer.job or answer.uncertain or answer.temporary or answer.everywhere or answer.unsent)
        return Outcome(array, submission.script, answer.job, answer.text, answer.uncertain, final)

    def give_up(self, journal: Journal, number: int, tickets: list[int], text: str) -> None:
        """Note that calls are over that Slurm has refused for good, and keep the words for the next sbatch."""
        text = text.strip()
        journal.add(Failed(number, tickets, text))
        self.result.failed.update(dict.fromkeys(tickets, text))
        words = last_words(text)
        with open(self.session.folder + b"/failed", "a", errors="surrogateescape") as stream:
            stream.write("".join(f"{ticket} {words}\n" for ticket in tickets))

    def note(self, job: int, kind: type[Placed]) -> None:
        """Write down what a job that runs here does."""
        journal, taken = self.collected[job]
        journal.add(kind(taken.array, taken.tickets, job))
        if kind is Started:
            self.started.add(job)
        else:
            del self.collected[job]

    def split_off(self, journal: Journal, submitted: list[tuple[Submitting, int]]) -> None:
        """Split off the elements that slurmctld would not see; by `submitting` event and job id."""
        for event, job in submitted:
            while trouble := self.backend.split_off(event, job):
                if not self.patience.again(trouble):
                    self.result.problems.append(
                        f"job {job}: Slurm could not be told to look at all of its lanes ({trouble}), so that slow or "
                        "failed ones may hold up others; the next flush of this session tries again"
                    )
                    break
            else:
                self.patience.refill()
                journal.add(Seen(event.array, list(event.tickets)))

    def ask_about(self, submitting: Submitting, answer: Answer) -> Answer:
        """
        An ambiguous answer, and what the controller says to it.

        The patience is not filled up by that: an sbatch may end like this each time.
        """
        try:
            fate = self.ask(submitting)
        except ShimError as error:
            return replace(answer, text=f"{answer.text}{error}\n")
        if not fate.known:
            return replace(answer, text=f"{answer.text}{fate.why}\n")
        # Absent: it may be tried again, as nothing says that Slurm would not take it.
        absent = fate.job is None
        return replace(answer, job=fate.job, uncertain=False, temporary=absent, everywhere=absent and answer.lost)

    def reachable(self, calls: list[Call]) -> tuple[Limits, set[int]]:
        """The limits of the controllers that answer, and the tickets for the others; ShimError when none answers."""
        found: Limits | None = None
        silent: set[int] = set()
        why = ""
        for group in by_controller(self.backend, calls):
            key = self.backend.controller(group[0])
            while True:
                try:
                    limits = self.told[key] = self.told.get(key) or self.backend.limits(group[0])
                except NoAnswer as error:
                    why = str(error)
                    if self.patience.again(why):
                        continue
                    silent.update(call.ticket for call in group)
                    self.result.problems.append(f"{why}; kept: {counted(len(group), 'call')} for that controller")
                else:
                    found = limits.narrowed(found)
                    self.result.elsewhere += self.meant_for_others(group)
                break
        if found is None:
            self.result.problems.clear()
            raise ShimError(f"{why}; nothing was submitted, the calls stay queued")
        return found, silent | set(self.result.elsewhere)

    def meant_for_others(self, calls: list[Call]) -> set[int]:
        """The tickets of calls that were made for another cluster than the one that would take them: they are kept."""
        here = self.backend.clusters(calls[0])
        meant: dict[str, set[int]] = {}
        for call in calls if here and not self.wishes.any_cluster else ():
            if call.cluster and call.cluster not in here:
                meant.setdefault(call.cluster, set()).add(call.ticket)
        for name, tickets in meant.items():
            session = os.fsdecode(self.session.name)
            self.result.problems.append(
                f"kept, as made for the cluster {name} while {here[0]} answers here: {counted(len(tickets), 'call')}; "
                f"sarray-flush --session {session} submits them there, and with --any-cluster here"
            )
        return {ticket for tickets in meant.values() for ticket in tickets}

    def flush_producers(self, calls: list[Call]) -> None:
        """
        Flush the other sessions that hold calls which these wait for.

        Calls of two sessions may wait for each other's in turn: then each flush takes the chain a step further.
        """
        own = {call.ticket for call in calls}
        done = {self.session.name, *self.within}
        for call in calls:
            for ticket in ticket_numbers(call.options.get("dependency") or b""):
                name = self.tickets.session(ticket)
                if ticket not in own and name is not None and name not in done:
                    done.add(name)
                    session = Session(self.session.state, name)
                    wishes = Wishes(keep_arrays=True, wide_lanes=self.wishes.wide_lanes)
                    within = self.within | {self.session.name}
                    hurried = self.hurried or self.wishes.final
                    other = Flush(session, self.backend, wishes, self.tickets, self.patience, within, hurried=hurried)
                    try:
                        other.run()
                    except Busy as error:
                        why = f"session {os.fsdecode(name)}: {error}; what waits for its calls is kept"
                        other.result.problems.append(why)
                    except Exception as error:
                        if isinstance(error, (ShimError, OSError)):
                            raise
                        why = f"session {os.fsdecode(name)}: {self.words_for(error)}; what waits for its calls is kept"
                        other.result.problems.append(why)
                    # What stays queued there is that session's own.
                    self.result.absorb(replace(other.result, kept=[], elsewhere=[], uncertain=[]))

    def keep_script(self, script: bytes, folder: bytes, number: int) -> None:
        """A private copy of a script of the flush in `folder`, where the user asked for one; names sort by number."""
        wanted = self.wishes.scripts or "."
        os.makedirs(wanted, exist_ok=True)
        name = b"%s-%s-%04d.sh" % (os.path.basename(folder), self.session.name, number)
        path = os.path.join(os.fsencode(wanted), name)
        if os.path.lexists(path):
            os.unlink(path)
        create(path, script)

    def finish(self) -> None:
        """Mark the flush folders of which nothing is left to submit."""
        if self.result.kept or self.result.uncertain or self.result.problems:
            return
        for folder in open_folders(self.session):
            mark_done(folder)
