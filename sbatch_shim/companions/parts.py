"""A row of squeue, sacct or scontrol that tells of a merged array, as rows of the calls that are in it."""

from __future__ import annotations

from sbatch_shim.state.calls import Call
from sbatch_shim.state.ids import JobId, TaskSet, split_ids
from sbatch_shim.state.plain import dataclass, field, replace
from sbatch_shim.state.tickets import Job, Tickets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass
class Entry:
    """
    What every form of output tells of a job: a row, a record, or an object of a document.

    Attributes:
        id: Array and tasks, or the plain job; None for a job of another kind (a component of a heterogeneous one).
        raw: The job id of this very task.
        name: The job's.
        command: Its script's path with arguments, as far as the version tells; or empty.
    """

    id: JobId | None
    raw: str
    name: str
    command: str

    @property
    def number(self) -> int:
        """The array's id, or the plain job's; 0 for a job of another kind."""
        return self.id.job if self.id is not None else 0

    @property
    def tasks(self) -> TaskSet:
        """The tasks that it tells of; none of a plain job, or where they are not told."""
        if self.id is not None:
            return self.id.tasks or TaskSet()
        return TaskSet()


@dataclass
class Part:
    """
    One call, or some tasks of it, in a row.

    Attributes:
        tasks: Local ids; None for a plain call, and for an array call of which the row names no tasks.
        folded: The tasks wait together, as `T_[1-4]`.
        throttle: The call's own limit of tasks at a time, 0 for none.
        raw: The row's own job id; empty where the ticket stands for it.
        index: The index of the first of the tasks.
    """

    ticket: int
    tasks: list[int] | None
    folded: bool = False
    throttle: int = 0
    raw: str = ""
    index: int = -1

    def ids(self, name: str) -> str:
        """The value of an id field, by its name in squeue's --Format."""
        ticket = str(self.ticket)
        if name in ("jobid", "arrayjobid") or (name == "jobarrayid" and self.tasks is None):
            if name == "jobid" and self.raw:
                return self.raw
            return ticket
        if self.tasks is None:
            return "N/A"
        tasks = TaskSet(tuple(self.tasks), self.throttle).shown() if self.folded else str(self.tasks[0])
        if name == "arraytaskid":
            return tasks
        if self.folded:
            return f"{ticket}_[{tasks}]"
        return f"{ticket}_{tasks}"

    @property
    def single(self) -> int | None:
        """The one task that it is of; None for a plain call, and for tasks that wait together."""
        if self.tasks and not self.folded:
            return self.tasks[0]
        return None

    def tasks_apart(self) -> list[Part]:
        """A part for each of its tasks; itself where it has none."""
        if not self.tasks:
            return [self]
        return [replace(self, tasks=[task], folded=False) for task in self.tasks]


def whole(call: Call) -> Part:
    """A call that waits as a whole, as squeue shows an array or a job that nothing has touched."""
    return Part(call.ticket, call.tasks if call.is_array else None, folded=call.is_array, throttle=call.throttle)


def shares(job: Job, tasks: TaskSet, *, folded: bool, raw: str = "") -> list[Part]:
    """
    The calls that have tasks in a row of a merged job.

    Args:
        tasks: The row's indices, none for a plain job; and the array's own limit.
        folded: The tasks wait together.
        raw: The row's own job id.
    """
    first: dict[int, int] = {}
    for index in tasks:
        for ticket in job.shares([index]):
            first.setdefault(ticket, index)
    found = []
    for ticket, locals_ in job.shares(tasks or [None]).items():
        local_ids = [task for task in locals_ if task is not None]
        # An array's last task has the array's own id, and so the ticket; a plain call has only the one id.
        last = bool(local_ids) and local_ids[-1] == job.last_task(ticket)
        own = "" if folded or not local_ids or last or raw == str(job.number) else raw
        together = folded and bool(local_ids)
        found.append(
            Part(
                ticket,
                local_ids or None,
                folded=together,
                throttle=tasks.throttle,
                raw=own,
                index=first.get(ticket, -1),
            )
        )
    return found


def shares_of_pending(job: Job, tasks: TaskSet, apart: Iterable[int]) -> list[Part]:
    """
    The calls in a record of the accounting that tells of tasks which wait together.

    The database may go on listing in it a task that was split off its array, beside the task's own record
    (seen on 22.05, for as long as the task waited): the task is then where its own record is.

    Args:
        apart: The indices that have records of their own.
    """
    split_off = set(apart)
    together = TaskSet(tuple(index for index in tasks if index not in split_off), tasks.throttle)
    if not together:
        return []
    return shares(job, together, folded=True)


def shares_of_entry(job: Job, entry: Entry, elsewhere: Callable[[], Iterable[int]]) -> list[Part]:
    """
    The calls of a merged job that an entry tells of.

    Args:
        elsewhere: The indices that have entries of their own; asked only where the entry does not tell its tasks.
    """
    if job.is_array and not entry.tasks:
        return shares_of_rest(job, elsewhere())
    return shares(job, entry.tasks, folded=entry.id is not None and entry.id.folded, raw=entry.raw)


def shares_of_rest(job: Job, elsewhere: Iterable[int]) -> list[Part]:
    """
    The calls in a row that names no tasks: slurmctld forgets which they were when it cancels what waits of an array.

    Since 26.05 it also forgets that of a spare, and the accounting tells it late.

    Args:
        elsewhere: The indices that have rows of their own.
    """
    known = set(elsewhere)
    if job.spare is not None and job.spare not in known:
        return []
    return [Part(ticket, None) for first, ticket, place in job.entries if not known.issuperset(place.indices)]


@dataclass
class Selection:
    """
    What -j and --name select; names are compared by us, as Slurm knows a merged array by one name.

    Attributes:
        targets: By ticket.
        reals: Real ids, and what is no id.
        asked: Ids for the real command: `reals`, and the jobs of the submitted tickets.
        for_tickets: Those among them that are there for tickets.
        anything: There is no -j.
        names: None for any.
    """

    targets: dict[int, list[JobId]]
    reals: list[str]
    asked: list[str]
    anything: bool
    names: set[str] | None
    for_tickets: set[int] = field(default_factory=set)

    def names_other(self, entry: Entry) -> bool:
        """Whether a job that is none of ours is asked for: not if it has the id that a ticket's job has elsewhere."""
        mine = entry.id is not None and entry.id.job in self.for_tickets
        return self.anything or not mine or self.real_tasks(entry) != set()

    def has_name(self, name: str) -> bool:
        return self.names is None or name in self.names

    def real_tasks(self, entry: Entry) -> set[int] | None:
        """The indices of a row that -j names by real ids `A_3`; None where it names all of the row."""
        found: set[int] = set()
        for word in self.reals:
            real = JobId.given(word)
            if word == entry.raw or (real is not None and real.tasks is None and str(real.job) == entry.raw):
                return None
            if real is None or entry.id is None or real.job != entry.id.job:
                continue
            if real.tasks is None:
                return None
            found.update(index for index in entry.tasks if index in real.tasks)
        return found

    def takes_real(self, shown: Part, entry: Entry, job: Job) -> Part | None:
        """What of a call in a row -j wants by real ids; None for nothing."""
        indices = self.real_tasks(entry)
        if indices is None:
            return shown
        tasks = job.shares(sorted(indices)).get(shown.ticket)
        if not tasks:
            return None
        if shown.tasks is None or not shown.folded:
            return shown
        some = [task for task in tasks if task is not None]
        if some != shown.tasks:
            return replace(shown, tasks=some, folded=len(some) > 1, throttle=0)
        return shown

    def names_record(self, printed: JobId, raw: str, step: str = "") -> bool:
        """
        Whether -j names a record of the accounting by a real id.

        Args:
            printed: The record's id, as sacct prints it.
            raw: The job id of this very task.
            step: `.batch` for instance; empty for the job itself.
        """
        for word in self.reals:
            real = JobId.given(word)
            if real is None or (real.step or step) != step:
                continue
            if real.tasks is None:
                if str(real.job) in (str(printed.job), raw):
                    return True
            elif real.job == printed.job and printed.task is not None and printed.task in real.tasks:
                return True
        return False

    def takes(self, shown: Part, step: str = "") -> Part | None:
        """What -j wants of a row; None for nothing."""
        if self.anything:
            return shown
        targets = [one for one in self.targets.get(shown.ticket, ()) if not one.step or one.step == step]
        if not targets:
            return None
        if shown.tasks is None or any(one.tasks is None for one in targets):
            return shown
        chosen = [task for task in shown.tasks if any(task in (one.tasks or ()) for one in targets)]
        if not chosen:
            return None
        return replace(shown, tasks=chosen)


def selection_of(tickets: Tickets, jobs: str | None, names: str | None) -> Selection:
    """
    The caller's selection.

    Args:
        jobs: The value of -j; None when it was not given.
        names: The value of --name; None when it was not given.
    """
    wanted = Selection({}, [], [], jobs is None, set(names.split(",")) if names is not None else None)
    asked: list[str] = []
    for word in split_ids(jobs or ""):
        named = tickets.named(word)
        if named is None:
            wanted.reals.append(word)
            asked.append(word)
            continue
        targets = wanted.targets.setdefault(named.ticket, [])
        call = None
        if named.tasks is not None:
            call = named.call
        if call is not None and not call.is_array:
            continue  # a job without tasks
        targets.append(named.id)
        if named.submitted:
            asked.append(str(named.place.job))
            wanted.for_tickets.add(named.place.job)
    # Beside an element squeue does not list the rest of its array.
    elements = {word for word in asked if (found := JobId.given(word)) and found.tasks and str(found.job) in asked}
    wanted.asked = [word for word in dict.fromkeys(asked) if word not in elements]
    return wanted
