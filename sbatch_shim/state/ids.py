"""
Ids as people and Slurm write them: of a job, of tasks of an array, of a step.

::

    JobId      `7`, `7_3`, `7_[1-4,9%2]`, `7_3.batch`: parsed from a caller's words (`JobId.given`, `JobId.of_ticket`)
               and from what Slurm prints (`JobId.printed`), written by `str()`
    TaskSet    `1-4,9%2`: parsed from a column or a mask, written in Slurm's forms

Regular expressions that find ids inside other text stay where that text is known; what they find is parsed here.
"""

from __future__ import annotations

import os

from sbatch_shim.spool import FIRST_TICKET, LAST_TICKET
from sbatch_shim.state.lazy import pattern, re
from sbatch_shim.state.plain import dataclass
from sbatch_shim.values import indices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


# An id that no job has, for questions that must find nothing.
NO_JOB = 2147483646
# NO_VAL in Slurm's source: the task id that is shown for a job which is no array's, and for an array's record that no
# longer tells its tasks (they were cancelled together while they waited).
NO_TASK = 4294967294
# As many bytes of a task list as Slurm shows unless SLURM_BITSTR_LEN says otherwise, and the most that it may say.
DIGITS = "0123456789"
SHOWN_BYTES = 64
MOST_SHOWN_BYTES = 4096


@dataclass(frozen=True)
class TaskSet:
    """
    Task ids of one array.

    Attributes:
        ids: In rising order; empty where a list does not tell them (`N/A`, or one that Slurm has cut short).
        throttle: How many of the array's tasks may run at a time, 0 for no limit.
    """

    ids: tuple[int, ...] = ()
    throttle: int = 0

    @classmethod
    def parse(cls, text: str) -> TaskSet:
        """The tasks of a column of squeue, sacct or scontrol: `1-4,7`, `0-20:2%3`, `N/A`, `1,2,...`."""
        spec, _, throttle = text.partition("%")
        found: set[int] = set()
        for part in spec.split(","):
            if is_number(part):
                found.add(int(part))
                continue
            low, _, rest = part.partition("-")
            high, stepped, step = rest.partition(":")
            if not all(map(is_number, (low, high, step) if stepped else (low, high))):
                return cls()
            found.update(range(int(low), int(high) + 1, int(step or 1)))
        return cls(tuple(sorted(found)), int(throttle) if throttle.isdigit() else 0)

    @classmethod
    def of_mask(cls, mask: str | None) -> TaskSet:
        """The tasks of a mask such as `0x3E`, in which sacct's documents tell what waits."""
        bits = 0
        if mask and mask.startswith("0x"):
            bits = int(mask, 16)
        return cls(tuple(at for at in range(bits.bit_length()) if bits >> at & 1))

    def __bool__(self) -> bool:
        return bool(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids)

    def ranges(self) -> str:
        """`1-4,7`: all of them, without steps, which scontrol does not take (tried on 22.05)."""
        return ranges(self.ids)

    def shown(self, limit: int | None = None) -> str:
        """
        As Slurm 22.05 shows the tasks of an array that waits: `1-4,7%2`, with a step where one fits all of many.

        Args:
            limit: Bytes, 0 for no limit; by default SLURM_BITSTR_LEN or 64.
        """
        if limit is None:
            given = os.environ.get("SLURM_BITSTR_LEN", "")
            limit = min(int(given), MOST_SHOWN_BYTES) if given.isdigit() else SHOWN_BYTES
        after = ""
        if self.throttle:
            after = f"%{self.throttle}"
        if len(self.ids) > 5 and self.ids[-1] - self.ids[0] > 10:
            steps = {high - low for low, high in zip(self.ids, self.ids[1:])}
            if len(steps) == 1 and 1 not in steps:
                return f"{self.ids[0]}-{self.ids[-1]}:{steps.pop()}{after}"
        text = self.ranges()
        if limit and len(text) > limit - 3:
            text = text[: limit - 4] + "..."
        return text + after


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as `1-4,7`."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


# Slurm reads the number with strtol: blanks, a plus and zeros may stand in front of it.
GIVEN = pattern(r"(?a)\s*\+?0*([0-9]+)(?:_(?:(\*)|([0-9]+)|\[([0-9,:-]+)(?:%[0-9]+)?\]))?(\.[a-z0-9+]+)?")


@dataclass(frozen=True)
class JobId:
    """
    A job, some tasks of an array job, or a step of one of these.

    Attributes:
        job: The number in front: a real job id, or a ticket.
        tasks: The tasks meant; None for the job as a whole.
        folded: The tasks stand in brackets: they wait together in one record.
        step: What follows, with its dot (`.batch`), or empty.
    """

    job: int
    tasks: TaskSet | None = None
    folded: bool = False
    step: str = ""

    @classmethod
    def given(cls, word: str) -> JobId | None:
        """An id on a command line, as Slurm's commands read one; None for any other word."""
        if is_number(word):  # most words
            return cls(int(word))
        found = GIVEN.fullmatch(word)
        if found is None:
            return None
        tasks: TaskSet | None = None
        try:
            if found[3]:
                tasks = TaskSet((int(found[3]),))
            elif found[4]:
                tasks = TaskSet(tuple(indices(found[4].encode())[0]))
        except ValueError:
            return None
        return cls(int(found[1]), tasks, bool(found[4]), found[5] or "")

    @classmethod
    def of_ticket(cls, word: str) -> JobId | None:
        """The same, for a word whose number can only be a ticket."""
        if not any(digit in word for digit in DIGITS):
            return None
        found = cls.given(word)
        if found is not None and found.is_ticket:
            return found
        return None

    @classmethod
    def printed(cls, text: str) -> JobId | None:
        """An id as squeue, sacct and scontrol print one; None for any other text."""
        number, opened, rest = text.partition("_[")
        if opened:
            # sacct leaves the closing bracket out where it cuts a long list.
            listed, _, step = rest.partition("]")
            if not is_number(number) or (step and step[0] != "."):
                return None
            return cls(int(number), TaskSet.parse(listed), folded=True, step=step)
        one, dot, step = text.partition(".")
        number, under, task = one.partition("_")
        if not is_number(number) or (under and not is_number(task)):
            return None
        return cls(int(number), TaskSet((int(task),)) if under else None, step=dot + step)

    @property
    def is_ticket(self) -> bool:
        """Whether the number can only be a ticket."""
        return FIRST_TICKET <= self.job <= LAST_TICKET

    @property
    def task(self) -> int | None:
        """The one task of an element's id `7_3`; None for all other ids."""
        if self.tasks and not self.folded:
            return self.tasks.ids[0]
        return None

    def __str__(self) -> str:
        if self.tasks is None:
            return f"{self.job}{self.step}"
        tasks = f"[{self.tasks.ranges()}]" if self.folded else str(self.tasks.ids[0])
        return f"{self.job}_{tasks}{self.step}"


def is_number(text: str) -> bool:
    """Whether a text is decimal digits and nothing else."""
    return text.isdigit() and text.isascii()


def split_ids(text: str) -> list[str]:
    """A list of ids at its commas, but for those in brackets."""
    if "[" not in text and "]" not in text:
        return [one for one in text.split(",") if one]
    return [one for one in re.split(r",(?![^\[]*\])", text) if one]


def compact(ids: Iterable[str]) -> list[str]:
    """Elements of one job as `A_[1-4,7]`, in order of first appearance; other ids, and those of steps, as they are."""
    jobs: dict[str, list[int]] = {}
    for one in ids:
        found = JobId.printed(one)
        whole = found is None or found.task is None or found.step
        tasks = jobs.setdefault(one if found is None or whole else str(found.job), [])
        if found is not None and found.task is not None and not found.step:
            tasks.append(found.task)
    return [elements_of(job, tasks) if tasks else job for job, tasks in jobs.items()]


def elements_of(job: str, tasks: list[int]) -> str:
    """`A_3`, or `A_[1-4,7]` for several tasks."""
    return str(JobId(int(job), TaskSet(tuple(tasks)), folded=len(tasks) > 1))
