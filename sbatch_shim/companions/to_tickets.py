"""Real ids in what Slurm says, as the tickets that the caller knows."""

from __future__ import annotations

from sbatch_shim.errors import BadDependency
from sbatch_shim.state.calls import Call
from sbatch_shim.state.dependency import Condition, parse
from sbatch_shim.state.ids import JobId, TaskSet
from sbatch_shim.state.lazy import pattern, re
from sbatch_shim.state.tickets import Job, Tickets

TERM = pattern(r"([a-z]+):([0-9]{1,10})(?:_([0-9]+|\*))?((?:\+[0-9]+)?)((?:\([a-z]+\))?)")
# The only places where scancel and scontrol name a job in an error.
IN_ERROR = pattern(r"(?m)((?:^|job (?:id )?|Job |job_id=|JobId=))([0-9]{1,10})(_[0-9]+|_\[[^\]]*\])?(?=[: ,\n]|$)")


def conditions_of(call: Call | None) -> tuple[Condition, ...]:
    """What a call waits for by its own words."""
    try:
        if not call:
            return ()
        return parse(call.options.get("dependency")).conditions
    except BadDependency:
        return ()


def shown_condition(condition: Condition, tickets: Tickets, state: str) -> str:
    """A condition as Slurm shows it, `afterok:7_*(unfulfilled)`: the whole of an array is `_*`."""
    if not condition.job:
        return condition.kind + state
    element = ""
    if condition.element is not None:
        element = f"_{condition.element}"
    if not element and condition.on_ticket:
        producer = tickets.call(condition.job)
        element = ""
        if producer is not None and producer.is_array:
            element = "_*"
    delay = ""
    if condition.delay:
        delay = f"+{condition.delay}"
    return f"{condition.kind}:{condition.job}{element}{delay}{state}"


def waiting_dependency(call: Call, tickets: Tickets) -> str:
    """What Slurm would show of the dependency of a call that no flush has submitted; empty for none."""
    separator = ","
    if b"?" in (call.options.get("dependency") or b""):
        separator = "?"
    return separator.join(shown_condition(one, tickets, "(unfulfilled)") for one in conditions_of(call))


def became(condition: Condition, kind: str, delay: str) -> bool:
    """Whether a condition with this type and delay (`+5`) can be what a call's own became at its submission."""
    lanes = ("afterok", "aftercorr")  # each is submitted as the other where that is the same for the call
    same = kind == condition.kind or (kind in lanes and condition.kind in lanes)
    return same and delay == (f"+{condition.delay}" if condition.delay else "")


class Translation:
    """
    A dependency that Slurm shows, in a call's own words.

    Attributes:
        found: Its terms, each with its place among the call's own.
        states: By the place of a condition of the call's own: what Slurm says of each element that it became.
        updated: The local ids that a term names which is none of the call's own: somebody updated the job.
    """

    def __init__(self, tickets: Tickets, call: Call | None, index: int) -> None:
        self.tickets = tickets
        self.index = index
        self.own = conditions_of(call)
        self.found: dict[str, int] = {}
        self.states: dict[int, set[str]] = {}
        self.updated: dict[tuple[str, int, str, str], list[int | None]] = {}

    def add(self, term: str) -> None:
        """Take in a term."""
        match = TERM.fullmatch(term)
        number = int(match[2]) if match else 0
        job = self.tickets.job_here(number) if match else None
        if match is None or job is None:
            place = next((at for at, one in enumerate(self.own) if one.job == number), len(self.own))
            self.found.setdefault(term, place)
            return
        kind, task, delay, state = match[1], match[3], match[4], match[5]
        for ticket, tasks in self.producers(job, kind, task).items():
            meant = [
                at
                for at, one in enumerate(self.own)
                if one.job == ticket and one.element in (None, *tasks) and became(one, kind, delay)
            ]
            for at in meant:
                self.states.setdefault(at, set()).add(state)
            if not meant:
                self.updated.setdefault((kind, ticket, delay, state), []).extend(tasks)

    def producers(self, job: Job, kind: str, task: str | None) -> dict[int, list[int | None]]:
        """The tickets of a merged job that a term names, each with its local ids."""
        if kind == "aftercorr" and job.is_array and len(job.entries) > 1:
            return job.shares([self.index])
        if task in (None, "*"):
            return job.shares(job.indices or [None])
        return job.shares([int(task)])

    def terms(self) -> list[str]:
        """All of them, in the call's order."""
        found = dict(self.found)
        for at, said in self.states.items():
            state = "(failed)" if "(failed)" in said else min(said)
            found[shown_condition(self.own[at], self.tickets, state)] = at
        for (kind, ticket, delay, state), tasks in self.updated.items():
            for element in self.elements(ticket, tasks):
                found[f"{kind}:{ticket}{element}{delay}{state}"] = len(self.own)
        return sorted(found, key=lambda one: found[one])

    def elements(self, ticket: int, tasks: list[int | None]) -> list[str]:
        """What stands behind a ticket for some of its tasks: nothing for a plain call, `_*` for a whole array."""
        if tasks[0] is None:
            return [""]
        producer = self.tickets.call(ticket)
        if producer is not None and set(producer.tasks) == set(tasks):
            return ["_*"]
        return [f"_{local}" for local in tasks]


def dependency_with_tickets(spec: str, tickets: Tickets, call: Call | None, index: int) -> str:
    """
    A dependency as Slurm shows it (`afterok:500001_3(unfulfilled)`) in the call's own words, as far as it is not met.

    Args:
        call: Whose it is; None where its record is gone.
        index: The task's index, which tells whom it waits for lane by lane (`aftercorr`).
    """
    if spec == "(null)":
        return spec
    separator = ","
    if "?" in spec:
        separator = "?"
    translation = Translation(tickets, call, index)
    for term in spec.split(separator):
        translation.add(term)
    return separator.join(translation.terms())


def error_with_tickets(text: bytes, tickets: Tickets, given: dict[str, str]) -> bytes:
    """
    What a command wrote to stderr, with the ids that we gave it as the caller wrote them.

    Args:
        given: From the real id on the command line to the caller's.
    """

    if not text:
        return text

    def name(found: re.Match[str]) -> str:
        whole = found[2] + (found[3] or "")
        if whole in given:
            return found[1] + given[whole]
        job = tickets.job_here(int(found[2]))
        if job is None or (not found[3] and len(job.entries) > 1):
            return found[0]
        tasks = TaskSet.parse((found[3] or "_")[1:].strip("[]"))
        named = []
        for ticket, local_ids in job.shares(tasks if found[3] else job.indices or [None]).items():
            numbers = [local for local in local_ids if local is not None]
            folded = (found[3] or "").startswith("_[")
            some = None
            if numbers and found[3]:
                some = TaskSet(tuple(sorted(numbers)))
            named.append(str(JobId(ticket, some, folded=folded)))
        if named:
            return found[1] + ",".join(named)
        return found[0]

    said = text.decode(errors="surrogateescape")
    for real in sorted(given, key=len, reverse=True):
        if not real.replace("_", "").isdigit():  # a list
            said = re.sub(rf"(?<![0-9_]){re.escape(real)}(?![0-9_])", lambda _, real=real: given[real], said)  # type: ignore[misc]
    return IN_ERROR.sub(name, said).encode(errors="surrogateescape")
