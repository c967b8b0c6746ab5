"""
Calls that have real ids: a flush writes what the elements of their pools run, releases them, and cancels the rest.

Releasing twice does nothing, and nothing runs of a pool before its `tasks` are on disk; so a flush that was killed is
simply done again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sbatch_shim.errors import ShimError
from sbatch_shim.flush.backends.controller import OVER, Controller
from sbatch_shim.flush.backends.recovery import asked_elsewhere, settle
from sbatch_shim.flush.backends.slurm import make_log_folder
from sbatch_shim.flush.patience import Patience, bystander
from sbatch_shim.flush.reserving import array_of
from sbatch_shim.merge import logs
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.render import render
from sbatch_shim.request import waits_by_name
from sbatch_shim.spool import Session, make_folder, replace
from sbatch_shim.state.calls import Call, look, payloads
from sbatch_shim.state.dropped import dropped
from sbatch_shim.state.events import Refused, Submitted, Submitting
from sbatch_shim.state.folders import flush_lock, mark_done
from sbatch_shim.state.ids import TaskSet, ranges
from sbatch_shim.state.journal import Journal, Origin
from sbatch_shim.state.locks import exclusive
from sbatch_shim.state.pools import Pool, asked_in, is_given_out, pool_in, trimmed_file, unfinished, untrimmed


def is_over(trouble: str) -> bool:
    """Whether scontrol or scancel complain of nothing but jobs that have ended."""
    return all(any(words in line for words in OVER) for line in trouble.splitlines())


@dataclass(frozen=True)
class Release:
    """
    The calls of one pool, ready to be released.

    Attributes:
        calls: With their elements, in that order.
    """

    pool: Pool
    calls: list[tuple[Call, int]]
    limits: Limits

    @property
    def array(self) -> Array:
        """The calls as an array."""
        calls = [(call, self.pool.place(element)) for call, element in self.calls]
        return array_of(calls, self.limits, sent=self.pool.sent)

    @property
    def tickets(self) -> dict[int, tuple[int | None, None]]:
        """For the journal: the place of each call."""
        return {call.ticket: (self.pool.place(element), None) for call, element in self.calls}

    @property
    def elements(self) -> TaskSet:
        """The elements that are released."""
        return TaskSet(tuple(element for _, element in self.calls))

    def prepare(self) -> None:
        """Write what the elements run, and make the links to their logs."""
        table = self.pool.folder + b"/tasks"
        script, _ = render(self.array, self.limits, table=table)
        replace(table, script)
        for call, element in self.calls:
            for kind in logs.KINDS:
                name = logs.expand(call, kind, None, launch_sets_name=self.limits.launch_sets_name)
                if kind != "output" and kind not in call.options:
                    continue
                path = b"/dev/null" if name is None else name.path
                folder = self.pool.folder + b"/" + kind.encode()
                make_folder(folder)
                if self.limits.makes_log_folders and kind != "input":
                    make_log_folder(os.path.dirname(path))
                link = b"%s/%d" % (folder, element)
                if os.path.lexists(link):
                    os.unlink(link)
                os.symlink(path, link)

    def submitting(self, number: int) -> Submitting:
        """The event that goes before; `number`: of the array in its flush."""
        asked = self.pool.asked()
        return Submitting(number, self.tickets, asked.script, asked.asked, pool=True)

    @property
    def stays_held(self) -> bool:
        """Its call asked for that (`--hold`); such a call has a pool of its own."""
        return "hold" in self.calls[0][0].options

    def submit(
        self, journal: Journal, number: int, controller: Controller, changes: Sequence[bytes] = ()
    ) -> tuple[Submitted | None, str]:
        """
        Let the elements start, with a line in the journal before and after.

        Args:
            number: Of the array in its flush.
            changes: What Slurm is told of them before, as Controller.update takes it.

        Returns:
            The event that says so, and what went wrong; empty for nothing.
        """
        tickets = self.tickets
        journal.add(self.submitting(number))
        trouble = self.let_go(controller, changes)
        if trouble and not is_over(trouble):
            journal.add(Refused(number, list(tickets), trouble, passes=True))
            return None, trouble
        done = Submitted(number, tickets, self.pool.job, pool=True)
        journal.add(done)
        return done, ""

    def let_go(self, controller: Controller, changes: Sequence[bytes]) -> str:
        """Change and release the elements; what went wrong, empty for nothing."""
        target = self.pool.target(self.elements)
        trouble = controller.update(target, *changes) if changes else ""
        if trouble and not is_over(trouble):
            # A flush that was killed may have let it go: then it may have begun, and what it waits for be forgotten.
            return trouble if self.stays_held or self.waits_held(controller) else ""
        return "" if self.stays_held else controller.release(target)

    def waits_held(self, controller: Controller) -> bool:
        """Whether any of it waits held."""
        first = self.pool.first
        return any(controller.is_held(first + element) for element in self.elements.ids)


def members_of(pool: Pool, calls: Sequence[Call]) -> list[tuple[Call, int]]:
    """The calls that have ids of a pool, with their elements."""
    found = ((call, pool.element_of(call.ticket)) for call in calls)
    return [(call, element) for call, element in found if element is not None]


@dataclass(frozen=True)
class Namesakes:
    """
    Calls with real ids that have the name of a singleton.

    Attributes:
        older: Those that came before it, for which it waits.
        younger: Those that came after it.
    """

    older: list[Call]
    younger: list[Call]


def namesakes_in(session: Session, calls: Sequence[Call], given: Sequence[Call]) -> Namesakes:
    """
    Of all singletons of a flush; who came between two of one name counts as older.

    Args:
        calls: Those with tickets, among which singletons may be.
        given: Those with real ids.
    """
    single = {call.ticket: call.shown_name for call in calls if waits_by_name(call.options)}
    if not single or not given:
        return Namesakes([], [])
    ahead: set[str] = set()
    older, younger = [], []
    by_number = {call.ticket: call for call in given}
    for number in reversed(list(payloads(session))):  # as they were queued, which numbers of both kinds do not tell
        if number in single:
            ahead.add(single[number])
        elif number in by_number:
            name = by_number[number].shown_name
            if name in ahead:
                older.append(by_number[number])
            elif name in single.values():
                younger.append(by_number[number])
    return Namesakes(older, younger)


def name_elements(session: Session, calls: Namesakes, usable: Callable[[str], str]) -> list[str]:
    """
    Let Slurm know by name for which jobs a singleton waits: all of that name with a lower id.

    An element of a pool has the pool's name, and one of an older call gets its call's. The job of a younger call has
    its call's, and the lower id too: it gets another one, as it may even wait for the singleton.
    What Slurm refuses is left as it is.

    Returns:
        A sentence for each pool of which Slurm refused that.
    """
    known: dict[Hashable, Controller] = {}
    refused = []
    for home in unfinished(session) if calls.older or calls.younger else ():
        pool = pool_in(home)
        if pool is None:
            continue
        named: dict[str, list[int]] = {}
        for call, element in members_of(pool, calls.younger if pool.is_plain else calls.older):
            named.setdefault(f"{call.shown_name}+0" if pool.is_plain else call.shown_name, []).append(element)
        for name, elements in named.items():
            target = pool.target(TaskSet(tuple(sorted(elements))))
            with suppress(ShimError):
                trouble = controller_of(home, usable, known).update(target, b"JobName=" + os.fsencode(name))
                if trouble and not is_over(trouble):
                    refused.append(unnamed(pool, sorted(elements), trouble))
    return refused


def unnamed(pool: Pool, elements: list[int], trouble: str) -> str:
    """What it means for a singleton that Slurm refused these jobs their name."""
    ids = ranges([pool.first + element for element in elements])
    if pool.is_plain:
        return f"a singleton waits for {ids} too, which came later: Slurm refused it another name: {trouble}"
    whom = "it its" if len(elements) == 1 else "them their"
    return f"a singleton does not wait for {ids}, which came before: Slurm refused {whom} name: {trouble}"


def controller_of(folder: bytes, usable: Callable[[str], str], known: dict[Hashable, Controller]) -> Controller:
    """
    The controller that a pool was made by; ShimError where another one answers by now.

    Args:
        usable: Finds the real sbatch that may stand in for a recorded one.
        known: Those of other pools, of which each is asked once what it is; one may be added.
    """
    asked = asked_in(folder)
    assert asked.asked is not None, "no pool is local"
    sbatch, variables = usable(asked.asked.sbatch), asked.asked.variables
    key = sbatch, frozenset(variables.items())
    controller = known.setdefault(key, Controller.recorded(sbatch, variables))
    elsewhere = asked_elsewhere(Origin.of(asked), controller)
    if elsewhere:
        raise ShimError(elsewhere)
    return controller


def was_never_asked_for(folder: bytes) -> bool:
    """Whether an sbatch was killed before it asked Slurm for a pool, of which nothing can wait then."""
    try:
        asked_in(folder)
    except (FileNotFoundError, ValueError):
        mark_done(folder)
        return True
    return False


def cancel_rest(
    session: Session, folder: bytes, controller: Controller, patience: Patience, *, is_needed: bool = False
) -> str:
    """
    Cancel the elements of a closed pool that are no call's, and of one whose making was cut short all.

    Those of calls that an earlier flush has released are calls' too.

    Args:
        folder: The pool's.
        is_needed: A later flush has to release calls of it.

    Returns:
        What went wrong; empty for nothing.
    """
    pool = pool_in(folder)
    if pool is None:
        fate = settle(asked_in(folder), controller.sbatch, patience, waits_held=True)
        if not fate.known:
            return fate.why
        trouble = controller.cancel(str(fate.job)) if fate.job is not None else ""
    else:
        kept = {pool.element_of(ticket) for ticket in payloads(session).keys() - dropped(session).keys()}
        rest = pool.rest(kept)
        trouble = controller.cancel(pool.target(rest)) if rest else ""
    if trouble and not is_over(trouble):
        return trouble
    if is_needed:
        replace(trimmed_file(folder), b"")
    else:
        mark_done(folder)
    return ""


def close_all(session: Session) -> None:
    """Let no further call take an id of a pool that is open; under the pools' lock."""
    try:
        names = os.listdir(session.folder + b"/pools/open")
    except FileNotFoundError:
        return
    for name in names:
        os.unlink(session.folder + b"/pools/open/" + name)


def give_back(
    session: Session, usable: Callable[[str], str], seconds: float | None = None, *, has_ended: bool = False
) -> None:
    """
    Cancel the elements of a session's pools whose calls were cancelled, and where no call waits any more all others.

    What Slurm does not take now is left to the next flush.

    Args:
        usable: See controller_of.
        seconds: How long to wait for a flush, or an sbatch, that is at work; Busy after that.
        has_ended: Nobody will take another id: what is no call's is cancelled although calls wait.
    """
    if not unfinished(session):
        return
    gone = set(dropped(session))
    with (
        exclusive(flush_lock(session), None, seconds),
        exclusive(session.folder + b"/pools/lock", None, seconds),
    ):
        waiting = {call.ticket for call in look(session)[0] if is_given_out(call.ticket)}
        is_closed = has_ended or not waiting
        if is_closed:
            close_all(session)
        known: dict[Hashable, Controller] = {}
        for home in untrimmed(session) if has_ended and waiting else unfinished(session):
            pool = pool_in(home)
            if pool is None and (not is_closed or was_never_asked_for(home)):
                continue
            try:
                controller = controller_of(home, usable, known)
                if is_closed:
                    is_needed = pool is not None and any(pool.element_of(one) is not None for one in waiting)
                    cancel_rest(session, home, controller, bystander(), is_needed=is_needed)
                elif pool is not None:
                    found = (pool.element_of(one) for one in gone)
                    over = TaskSet(tuple(sorted(one for one in found if one is not None)))
                    if over:
                        controller.cancel(pool.target(over))
            except ShimError:
                pass
