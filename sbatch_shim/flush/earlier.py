"""What flushes before this one left open: cut short while they submitted, or before all lanes were split off."""

from __future__ import annotations

import os

from sbatch_shim.flush.backends.recovery import Fate
from sbatch_shim.flush.result import Adopted
from sbatch_shim.flush.work import Work
from sbatch_shim.state.calls import tickets_in
from sbatch_shim.state.events import Absent, Assumed, Damaged, Event, Seen, Started, Submitted, Submitting, Worded
from sbatch_shim.state.folders import claimed
from sbatch_shim.state.journal import Journal, open_folders, places_in


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


def settle_earlier(work: Work) -> None:
    """Settle what earlier flushes left open; raises ShimError when Slurm cannot be asked now."""
    folders = open_folders(work.session)
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
                fate = work.ask(event)
            work.patience.refill()
            if isinstance(event, Submitting) and fate.known:
                learn_fate(work, journal, event, fate)
            elif work.wishes.assume == "submitted":
                assumed = Assumed(event.array, list(event.tickets))
                journal.add(assumed)
                work.tickets.learn(assumed, folder)
            elif work.wishes.assume == "lost":
                journal.add(Absent(event.array, list(event.tickets)))
            else:
                script = script_in(event)
                work.result.problems.append(f"{script}: {fate.why}" if script else fate.why)
                work.result.uncertain += event.tickets
        for submitting, job in journal.history().to_split.values():
            split_off_later(work, journal, submitting, job)


def split_off_later(work: Work, journal: Journal, submitting: Submitting, job: int) -> None:
    """Do what a flush that was killed did not: unless the id is another job's by now, or on another cluster."""
    there = work.backend.has(submitting, job)
    if there:
        work.split_off(journal, [(submitting, job)])
    elif there is not None:
        journal.add(Seen(submitting.array, list(submitting.tickets)))
    elif submitting.asked is not None and submitting.asked.cluster:
        work.result.problems.append(
            f"job {job} was submitted on the cluster {submitting.asked.cluster}, and slow or failed tasks of it "
            "may hold up others until this session is flushed there"
        )


def learn_fate(work: Work, journal: Journal, event: Submitting, fate: Fate) -> None:
    """Write down what became of a submission of an earlier flush."""
    if fate.job is None:
        journal.add(Absent(event.array, list(event.tickets)))
        return
    learned = Submitted(event.array, event.tickets, fate.job, spare=event.has_spare)
    journal.add(learned)
    work.tickets.learn(learned, journal.folder, event)
    places = places_in(learned)
    script = os.fsencode(event.script)
    work.result.adopted.append(Adopted(fate.job, script, sorted(places), next(iter(places.values())).tasks))
