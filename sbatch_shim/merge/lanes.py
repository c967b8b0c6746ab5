"""
Lanes: tasks that share an index across arrays, so that one array can wait for another task by task.

`aftercorr` makes element i of an array wait for element i of another one. So a chain that exists a hundred
times becomes an array per link, if all tasks of a lane get the same index. This module says which conditions
are met that way (`find`); plan.py turns the outcome into arrays.

A lane is exact whatever is chosen here: a condition that cannot be met, or that is not worth it, is written
out as the element that it names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from sbatch_shim.merge.limits import Limits
from sbatch_shim.state.calls import Call
from sbatch_shim.state.dependency import Condition, Dependency

# A call that waits for more single tasks than this is a fan-in, never part of a lane.
MOST_PRODUCERS = 64


@dataclass
class Member:
    """
    A call while it is planned.

    Attributes:
        key: What it must have in common with an array that it joins, its dependency aside.
        waits: Its dependency.
        alone: Why nothing may join it; empty when others may.
        lanes: The conditions that its index meets.
        root, offset: Its group of tasks with related indices, and the place of its first task there.
    """

    call: Call
    key: Hashable
    waits: Dependency
    alone: str = ""
    lanes: list[Condition] = field(default_factory=list)
    root: Group = field(init=False)
    offset: int = 0

    def __post_init__(self) -> None:
        self.root = Group([self], 0, len(self.tasks))

    @property
    def tasks(self) -> list[int]:
        if self.call.is_array:
            return self.call.tasks
        return [0]

    @property
    def common(self) -> tuple[bool, frozenset[Condition]]:
        """What its array must wait for as a whole."""
        return self.waits.any_of, frozenset(self.waits.conditions).difference(self.lanes)


@dataclass(eq=False)
class Group:
    """
    Calls whose tasks must keep their places relative to each other, because lanes run through them.

    Attributes:
        low, high: The first place, and one after the last.
    """

    members: list[Member]
    low: int
    high: int

    def slots(self) -> int:
        """About how many arrays it is spread over: tasks for each index."""
        return -(-sum(len(member.tasks) for member in self.members) // (self.high - self.low))


def find(members: list[Member], limits: Limits) -> list[Group]:
    """
    Decide which conditions are met by lanes.

    Args:
        members: In the order of their tickets; their `alone`, `lanes`, `root` and `offset` are set.
        limits: Of the controller.

    Returns:
        The groups, by their first ticket; a call without lanes is a group of its own.
    """
    known = {member.call.ticket: member for member in members}
    keep_whole(members, known, limits.lookahead)
    for member in members:
        if member.call.is_array and not member.alone:
            member.lanes = [
                condition
                for condition in member.waits.conditions
                if condition.kind == "aftercorr" and condition.job in known and known[condition.job].call.is_array
            ]
            for condition in member.lanes:
                join([(known[condition.job], 0)], member)
    for class_ in classes(members, known):
        judge(class_, limits.indices)
    return list(dict.fromkeys(member.root for member in members))


def keep_whole(members: list[Member], known: dict[int, Member], lookahead: int) -> None:
    """Leave array calls alone where one waits for the other's tasks and lanes could not say so."""
    # For each ticket those that are alone if it is, and why.
    linked: dict[int, list[tuple[Member, str]]] = defaultdict(list)
    for member in members:
        if not member.call.is_array:
            continue
        for condition in member.waits.conditions:
            producer = known.get(condition.job)
            if condition.kind != "aftercorr" or (producer is not None and not producer.call.is_array):
                continue
            if producer is None or not lanes_fit(member, producer, condition, lookahead):
                member.alone = member.alone or WAITS
            if producer is not None:
                linked[member.call.ticket].append((producer, WAITED))
                linked[producer.call.ticket].append((member, WAITS))
    alone = [member for member in members if member.alone]
    while alone:
        for other, why in linked[alone.pop().call.ticket]:
            if not other.alone:
                other.alone = why
                alone.append(other)


WAITS = "its tasks wait one by one for those of another array (aftercorr)"
WAITED = "another call waits for it as a whole, which Slurm can only say of an array of its own"


def lanes_fit(member: Member, producer: Member, condition: Condition, lookahead: int) -> bool:
    """
    Whether all tasks of an array call can take the indices of those they wait for.

    An array that slurmctld does not look at as a whole is left as it is, with all that this means for it.
    """
    return (
        condition.element is None
        and not member.waits.any_of
        and member.tasks == producer.tasks
        and len(member.tasks) <= lookahead
    )


# A condition that a lane could meet, with its producer and the place of the task there.
Link = tuple[Condition, Member, int]


def links(member: Member, known: dict[int, Member]) -> list[Link]:
    """The conditions of a plain call that lanes could meet."""
    if member.alone or member.call.is_array or member.waits.any_of:
        return []
    found = []
    for condition in member.waits.conditions:
        producer = known.get(condition.job)
        if condition.kind not in ("afterok", "aftercorr") or producer is None or producer.alone:
            continue
        if condition.element is None and len(producer.tasks) == 1:
            found.append((condition, producer, 0))
        elif producer.call.is_array and condition.element in producer.tasks:
            found.append((condition, producer, producer.tasks.index(condition.element)))
    return found


# Calls that could share an array, each with what lanes could meet.
Class = list[tuple[Member, list[Link]]]


def classes(members: list[Member], known: dict[int, Member]) -> Iterable[Class]:
    """
    Calls that could share an array by lanes, at most one of them for a task that they wait for.

    Conditions that many of them share (a set-up job) are left to the array as a whole. The calls of a class are
    equally far down their chains, so that none waits for another one.
    """
    alike: dict[Hashable, Class] = defaultdict(list)
    depth: dict[int, int] = {}
    for member in members:
        found = links(member, known)
        if 0 < len(found) <= MOST_PRODUCERS:
            depth[member.call.ticket] = below = 1 + max(depth.get(one.call.ticket, 0) for _, one, _ in found)
            rest = member.waits.conditions if len(found) < len(member.waits.conditions) else ()
            others = frozenset(rest).difference(condition for condition, _, _ in found)
            alike[member.key, len(found), below, others].append((member, found))
    rounds: dict[Hashable, Class] = defaultdict(list)
    for key, class_ in alike.items():
        heavy = shared_conditions(class_)
        met: Counter[Condition] = Counter()
        for member, found in class_:
            light = [link for link in found if link[0] not in heavy]
            if light:
                met.update(condition for condition, _, _ in light)
                common = frozenset(condition for condition, _, _ in found if condition in heavy)
                rounds[key, common, max(met[condition] for condition, _, _ in light)].append((member, light))
    return sorted(rounds.values(), key=lambda class_: class_[0][0].call.ticket)


def shared_conditions(class_: Class) -> set[Condition]:
    """
    The conditions that so many calls share that their arrays should wait for them as a whole.

    The bound on how many calls may share a lane's condition is chosen for the fewest arrays.
    """
    counts = Counter(condition for _, found in class_ for condition, _, _ in found)
    best, fewest = 0, len(class_) + 1
    for bound in [0, *sorted(set(counts.values()))[:16]]:
        sets: dict[frozenset[Condition], Counter[Condition]] = defaultdict(Counter)
        for _, found in class_:
            common = frozenset(condition for condition, _, _ in found if counts[condition] > bound)
            sets[common].update(condition for condition, _, _ in found if counts[condition] <= bound)
        arrays = sum(max(light.values(), default=1) for light in sets.values())
        if arrays < fewest:
            best, fewest = bound, arrays
    return {condition for condition, count in counts.items() if count > best}


def judge(class_: Class, indices: int) -> None:
    """Join the calls of a class to the groups of their producers, if that makes fewer arrays."""
    # Calls whose first tasks would get the same index cannot share an array: one round for each of them.
    rounds: dict[int, Class] = defaultdict(list)
    followers: Counter[tuple[Group, int]] = Counter()
    touched: set[Group] = set()
    extra = 0
    for member, found in class_:
        groups = {producer.root for _, producer, _ in found}
        places = {(producer.root, producer.offset + at) for _, producer, at in found}
        if len(places) > len(groups):
            continue  # it waits for two tasks that cannot have one index
        if len(groups) > 1:
            if touched & groups or joint_width(found) > indices:
                continue
            sizes = sorted(group.slots() for group in groups)
            extra = max(extra, sum(sizes[:-1]))
        touched |= groups
        _, first, at = found[0]
        place = (first.root, first.offset + at)
        followers[place] += 1
        rounds[followers[place]].append((member, found))
    for accepted in rounds.values():
        if len(accepted) - 1 > extra:
            for member, found in accepted:
                member.lanes = [condition for condition, _, _ in found]
                join([(producer, at) for _, producer, at in found], member)


def joint_width(found: list[Link]) -> int:
    """How many indices the groups of these tasks need once the tasks share one."""
    before = after = 0
    for _, producer, at in found:
        before = max(before, producer.offset + at - producer.root.low)
        after = max(after, producer.root.high - producer.offset - at)
    return before + after


def join(wanted: list[tuple[Member, int]], member: Member) -> None:
    """Give a call's first task the index of each task in `wanted`, and make all of them one group."""
    first, at = wanted[0]
    merge(first, at, member)
    for other, place in wanted[1:]:
        merge(first, at - place, other)


def merge(first: Member, at: int, second: Member) -> None:
    """Move the group of `second` into that of `first`, so that its offset is `at` after the first one's."""
    into, other = first.root, second.root
    if into is other:
        return
    shift = first.offset + at - second.offset
    if len(into.members) < len(other.members):
        into, other, shift = other, into, -shift
    for member in other.members:
        member.root = into
        member.offset += shift
    into.members += other.members
    into.low = min(into.low, other.low + shift)
    into.high = max(into.high, other.high + shift)
