"""Plan calls and submit their arrays, one after the other, with a line in the journal before and after each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from sbatch_shim.errors import BadDependency, NeverMet, Refused, ShimError
from sbatch_shim.flush import room
from sbatch_shim.flush.backends.sbatch import Answer
from sbatch_shim.flush.ready import Ready, arrays_of, next_ready
from sbatch_shim.flush.refusals import Refusals
from sbatch_shim.flush.result import Outcome
from sbatch_shim.flush.untouched import untouched
from sbatch_shim.flush.work import ELSEWHERE, LEFT_BEHIND, NO_ROOM, REFUSED_BEHIND, Work
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, connected, halve
from sbatch_shim.merge.submission import Submission, indices_of, places, submission_of, without_spare
from sbatch_shim.spool import Session, create, make_folder
from sbatch_shim.state.calls import Call
from sbatch_shim.state.dependency import parse
from sbatch_shim.state.events import Collected, Placed, Splitting, Submitting, Uncertain
from sbatch_shim.state.events import Refused as RefusedEvent
from sbatch_shim.state.journal import Journal, open_folders

# A flush for the sake of some tickets leaves no more than this queued, as each such flush reads it again: flush
# folders that hold something (1 ms each), and calls.
MOST_FOLDERS_LEFT = 32
MOST_CALLS_LEFT = 500


def splitting_of(submission: Submission) -> Splitting | None:
    """What Slurm must be told of an array that follows others lane by lane, or has a spare; None for nothing."""
    if not submission.to_split and submission.last_waits is None:
        return None
    waits = b""
    if submission.last_waits is not None:
        waits = submission.last_waits.spec
    name, last = os.fsdecode(submission.name), indices_of(submission.array).ids[-1]
    elements, for_lanes = submission.to_split.ranges(), bool(submission.array.upstream)
    return Splitting(elements, name, last, waits.decode(), submission.spare, for_lanes)


def refused_alone(session: Session) -> set[int]:
    """
    The tickets of calls that Slurm refused for good each by itself.

    They share arrays with each other only, so that they take no others along again.
    """
    return set().union(*(Journal(folder).history().refused_alone for folder in open_folders(session)))


def behind(outcome: Outcome) -> str:
    """Why what waits for an array that was not submitted is not submitted either."""
    if outcome.final:
        return REFUSED_BEHIND
    if outcome.text == ELSEWHERE:
        return ELSEWHERE
    return LEFT_BEHIND


class Submitter:
    """
    Submits the calls of one flush that have no real ids.

    Args:
        flush_producers: Flushes the other sessions that hold calls which these wait for.

    Attributes:
        collected: By job, where each array that runs here at the end was noted; those that have not ended.
    """

    def __init__(self, work: Work, flush_producers: Callable[[Sequence[Call]], None]) -> None:
        self.work = work
        self.flush_producers = flush_producers
        self.refusals = Refusals(judged_by_site=False)
        self.room = room.Room()
        self.collected: dict[int, tuple[Journal, Placed]] = {}

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
        if not self.work.wishes.repeated:
            return self.submit_now(folder, calls, progress, number, reserved)
        asking = calls[0]
        self.room = room.look(self.work.session, lambda: self.work.backend.held(asking))
        if any(self.room.bound(call) != 0 for call in calls):
            number = self.submit_now(folder, calls, progress, number, reserved)
            self.note_room(asking)
            return number
        self.work.result.kept += [call.ticket for call in calls]
        self.work.left_behind.update((call.ticket, NO_ROOM) for call in calls)
        if not reserved:
            with suppress(OSError):
                os.rmdir(folder)  # unless calls were claimed into it
        return number

    def note_room(self, call: Call) -> None:
        """Leave for the next flush what limits this one has met."""
        if self.refusals.full:
            room.note(self.work.session, frozenset(self.refusals.full), self.work.backend.held(call))
        elif not any(outcome.text == NO_ROOM for outcome in self.work.result.outcomes):
            room.forget(self.work.session)

    def submit_now(
        self,
        folder: bytes,
        calls: list[Call],
        progress: Callable[[int, int], None],
        number: int,
        reserved: Sequence[Call],
    ) -> int:
        """The same, where a limit on submitted jobs has not been asked for or leaves room."""
        limits, silent = self.work.reachable(calls)
        self.work.keep(silent)
        calls = [call for call in calls if call.ticket not in silent]
        self.flush_producers([*calls, *reserved])
        arrays, unplanned = self.planned(calls, limits, reserved)
        few = len(calls) <= MOST_CALLS_LEFT and len(open_folders(self.work.session)) <= MOST_FOLDERS_LEFT
        if self.work.wishes.only is not None and few:
            wanted = connected(arrays, self.work.wishes.only)
            self.work.result.kept += [call.ticket for array in arrays if array not in wanted for call in array.calls]
            arrays = wanted
        journal = Journal(folder)
        make_folder(folder + b"/arrays")
        self.refusals = Refusals(judged_by_site=limits.judged_by_site)
        left_behind = self.work.left_behind
        left_behind.update(dict.fromkeys([*silent, *unplanned], LEFT_BEHIND))
        left_behind.update(dict.fromkeys(self.work.result.elsewhere, ELSEWHERE))
        while arrays:
            number += 1
            progress(number - 1, number - 1 + len(arrays))
            home = b"%s/arrays/%d" % (folder, number)
            ready = next_ready(arrays, limits, self.work.wishes, home, self.work.backend)
            outcome = self.try_one(journal, number, ready, home, limits)
            if outcome is None:
                arrays[:] = halve(ready.array, arrays)
                continue
            self.work.result.outcomes.append(outcome)
            if outcome.job is None:
                tickets = [call.ticket for call in ready.array.calls]
                left_behind.update(dict.fromkeys(tickets, behind(outcome)))
                if outcome.final and self.work.wishes.final:
                    self.work.give_up(journal, number, tickets, outcome.text)
                else:
                    if outcome.text == ELSEWHERE:
                        self.work.result.elsewhere += tickets
                    (self.work.result.uncertain if outcome.uncertain else self.work.result.kept).extend(tickets)
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
        apart = refused_alone(self.work.session)
        options = [dict(call.options) for call in calls]  # planning changes them
        try:
            return arrays_of(calls, limits, self.work.wishes, apart, later), []
        except Exception as error:
            if isinstance(error, ShimError) and not isinstance(error, BadDependency):
                raise  # a wish that cannot be fulfilled
            left, kept = [], []
            for call, own in zip(calls, options):
                call.options = dict(own)
                try:
                    arrays_of([call], limits, self.work.wishes, apart)
                except Exception as trouble:
                    kept.append(call.ticket)
                    self.work.result.problems.append(f"{call.ticket} is kept: {self.work.words_for(trouble)}")
                else:
                    left.append(call)
                call.options = dict(own)
            if not kept:
                raise  # no call by itself
        self.work.result.kept += kept
        return arrays_of(left, limits, self.work.wishes, apart, later), kept

    def try_one(self, journal: Journal, number: int, ready: Ready, home: bytes, limits: Limits) -> Outcome | None:
        """
        Submit one array, if nothing speaks against it.

        Args:
            number: Its own in this flush.
            home: Its folder, which is made here.

        Returns:
            None where Slurm refused it, something fails, or it is more than there is room for, and it is to be tried
            in two halves.
        """
        array, path = ready.array, home + b"/script"
        left_behind = self.work.left_behind
        named = [*array.producers, *(condition.job for condition in array.waits.conditions)]
        stopped = next((left_behind[ticket] for ticket in named if ticket in left_behind), "")
        if self.work.patience.stop.signal:
            self.work.result.halted = "interrupted"
        if not stopped and self.refusals.is_full(array):
            stopped = NO_ROOM
        bound = self.room.bound(array)
        if not (stopped or self.work.result.halted) and bound is not None and array.size > bound:
            if bound and len(array.members) > 1:
                return None
            stopped = NO_ROOM
        if self.work.result.halted or stopped:
            text = "" if self.work.result.halted else stopped
            return Outcome(array, path, None, text, final=text == REFUSED_BEHIND)
        if ready.fault is not None:
            return Outcome(array, path, None, f"not submitted: {self.work.words_for(ready.fault)}")
        self.write(ready, home, number)
        try:
            submission = submission_of(
                array,
                home,
                ready.environment,
                limits,
                self.work.placer(array.calls[0]),
                own_logs=ready.own_logs,
                throttle=self.work.wishes.throttle,
                extra=tuple(self.work.wishes.extra),
                has_room=bound is None or array.size < bound,
            )
            self.work.backend.prepare(submission, limits)
        except OSError:
            raise  # a full disk: no call's fault
        except Exception as error:
            if len(array.members) > 1 and not isinstance(error, ShimError):
                return None
            final, hopeless = isinstance(error, Refused), isinstance(error, NeverMet)
            words = self.work.words_for(error)
            return Outcome(array, path, None, f"not submitted: {words}", final=final, hopeless=hopeless)
        return self.submit_one(journal, number, submission, limits)

    def write(self, ready: Ready, home: bytes, number: int) -> None:
        """Write what an array's submission and its tasks read, as `try_one` has it."""
        make_folder(home)
        if ready.lacks and ready.lacks not in self.work.result.notes:
            self.work.result.notes.append(ready.lacks)
        if ready.mark:
            make_folder(os.path.dirname(ready.mark))
        if ready.whole is not None:
            create(ready.whole, ready.script)
        create(home + b"/script", ready.script if ready.whole is None else ready.script.without_values())
        if self.work.wishes.scripts is not None:
            self.keep_script(ready.script, os.path.dirname(os.path.dirname(home)), number)

    def submit_one(self, journal: Journal, number: int, submission: Submission, limits: Limits) -> Outcome | None:
        """Submit one array, with a line in the journal before and after; None: it is to be tried in two halves."""
        array = submission.array
        tickets = [call.ticket for call in array.calls]
        tasks_of = places(array)
        script = os.fsdecode(submission.script)
        while True:
            splitting = None if self.work.wishes.wide_lanes else splitting_of(submission)
            event = Submitting(number, tasks_of, script, self.work.backend.asked(array), splitting)
            journal.add(event)
            answer = self.work.backend.submit(submission)
            if answer.uncertain:
                journal.add(Uncertain(number, tickets, answer.text))
                answer = self.ask_about(event, answer)
            if answer.job is not None:
                taken = self.work.backend.accepted(number, tasks_of, answer.job, spare=event.has_spare)
                journal.add(taken)
                self.work.tickets.learn(taken, journal.folder, event)
                if isinstance(taken, Collected):
                    self.collected[answer.job] = (journal, taken)
                self.work.patience.refill()
                self.refusals.accepted(array)
                self.room.accepted(array)
                if splitting is not None:
                    self.work.split_off(journal, [(event, answer.job)])
                break
            if answer.uncertain:
                break
            passes = answer.temporary or answer.unsent
            journal.add(RefusedEvent(number, tickets, answer.text, answer.status, passes))
            if self.refusals.ask_without_spare(submission, answer):
                submission = without_spare(submission, limits, self.work.wishes.throttle)
                continue
            if self.refusals.ask_for_pieces(array, answer):
                return None
            if self.refusals.ask_untouched(submission, answer):
                submission = untouched(submission)
                continue
            if not answer.temporary or not self.work.patience.again(answer.text.strip()):
                break
        if answer.uncertain or answer.everywhere:
            self.work.result.halted = self.work.result.halted or "Slurm takes nothing at present"
        final = not (answer.job or answer.uncertain or answer.temporary or answer.everywhere or answer.unsent)
        return Outcome(array, submission.script, answer.job, answer.text, answer.uncertain, final)

    def ask_about(self, submitting: Submitting, answer: Answer) -> Answer:
        """
        An ambiguous answer, and what the controller says to it.

        The patience is not filled up by that: an sbatch may end like this each time.
        """
        try:
            fate = self.work.ask(submitting)
        except ShimError as error:
            return replace(answer, text=f"{answer.text}{error}\n")
        if not fate.known:
            return replace(answer, text=f"{answer.text}{fate.why}\n")
        # Absent: it may be tried again, as nothing says that Slurm would not take it.
        absent = fate.job is None
        return replace(answer, job=fate.job, uncertain=False, temporary=absent, everywhere=absent and answer.lost)

    def keep_script(self, script: bytes, folder: bytes, number: int) -> None:
        """A private copy of a script of the flush in `folder`, where the user asked for one; names sort by number."""
        wanted = self.work.wishes.scripts or "."
        os.makedirs(wanted, exist_ok=True)
        name = b"%s-%s-%04d.sh" % (os.path.basename(folder), self.work.session.name, number)
        path = os.path.join(os.fsencode(wanted), name)
        if os.path.lexists(path):
            os.unlink(path)
        create(path, script)
