"""
The merge: calls in, arrays out. Pure: no clock, no environment, no files but the bodies that the calls name.

Two calls share an array only where that cannot change what either does. What Slurm applies to a whole array
is the merge key; what the dispatcher restores for each task is not. All tasks of an array share one dependency,
so calls with the same one share an array, and chains that exist many times run side by side in lanes (lanes.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sbatch_shim.merge import environment, lanes, logs
from sbatch_shim.merge.lanes import WAITED, Group, Member
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.meaning import array_options, canonical
from sbatch_shim.state.calls import Call
from sbatch_shim.state.dependency import BY_ELEMENT, MOST_ELEMENTS, Dependency, parse
from sbatch_shim.state.span import Span

# A summary that waits for this many tasks names their arrays, not each of them, if these hold nothing else.
FAN_IN = 500


@dataclass(frozen=True)
class Task:
    """
    One task of an array.

    Attributes:
        index: What Slurm calls the array task id; 0 for a plain job.
        local_id: The task id that the call asked for; None for a plain call.
    """

    index: int
    call: Call
    local_id: int | None


class Placed(NamedTuple):
    """A call in an array, and the indices of its tasks."""

    call: Call
    span: Span

    @classmethod
    def at(cls, call: Call, first: int | None) -> Placed:
        """
        A call whose tasks stand side by side.

        Args:
            first: Index of the first task; None for a plain job, or where the local ids are the indices.
        """
        return cls(call, Span(first, call.tasks if call.is_array else None))

    def tasks(self) -> list[Task]:
        """Its tasks, by index."""
        if not self.call.is_array:
            return [Task(self.span.first or 0, self.call, None)]
        return [Task(index, self.call, self.span.local_id_of(index)) for index in self.span.indices]


@dataclass(eq=False)
class Array:
    """
    One submission.

    Attributes:
        members: Its calls, each with the indices of its tasks; by index.
        options: What Slurm applies to all of it but the dependency, from the first call (the others mean the same).
        waits: What all of it waits for.
        upstream: The arrays whose element of the same index each task waits for (aftercorr).
        alone: Why nothing may join it, in words; empty when others may.
        login: The node adds the user's login environment.
        exposed: The site may change what sbatch sends with it, so that is what each call would have sent.
        nice: What sbatch has to be started with, as the job inherits it; None where it does not.
        nil: Its calls have `--export=NIL`, see Call.exports_nil.
        early: See environment.Sending.
        named_whole: More tasks of it and of others are waited for together than one dependency can name.
    """

    members: list[Placed]
    options: dict[str, bytes | None]
    waits: Dependency
    upstream: list[Array] = field(default_factory=list)
    alone: str = ""
    login: bool = False
    nice: int | None = None
    exposed: bool = False
    nil: bool = False
    early: bool = False
    named_whole: bool = False

    @property
    def calls(self) -> list[Call]:
        """Its calls, by index."""
        return [member.call for member in self.members]

    @property
    def sending(self) -> environment.Sending:
        """How the environments of its calls reach their tasks."""
        return environment.Sending(self.login, self.exposed, self.early)

    @property
    def own_indices(self) -> bool:
        """Its indices are the local ids of its one call."""
        return len(self.members) == 1 and self.members[0].span.first is None

    @property
    def is_plain(self) -> bool:
        """One plain call: submitted without --array."""
        return len(self.members) == 1 and not self.members[0].call.is_array

    @property
    def size(self) -> int:
        """The number of tasks."""
        return sum(member.span.size for member in self.members)

    @property
    def producers(self) -> list[int]:
        """The tickets that it waits for."""
        lanes_of = (call.ticket for array in self.upstream for call in array.calls)
        return list(dict.fromkeys([*self.waits.tickets, *lanes_of]))

    def tasks(self) -> list[Task]:
        """All tasks, by index."""
        return [task for member in self.members for task in member.tasks()]


def task_count(call: Call) -> int:
    if not call.is_array:
        return 1
    return len(call.tasks)


def waited_for_as_arrays(waits: Sequence[Dependency]) -> set[int]:
    """The tickets that calls wait for in ways that need a whole array: as one of several, or with afternotok."""
    return {
        condition.job
        for dependency in waits
        for condition in dependency.conditions
        if condition.element is None and (dependency.any_of or condition.kind not in (*BY_ELEMENT, "aftercorr"))
    }


def reason_alone(call: Call, body: bytes, waits: Dependency) -> str:
    """Why a call may not join others, or an empty string."""
    options = call.options
    if call.throttle:
        return "it limits how many of its own tasks run at a time (--array=...%N)"
    if any(condition.kind == "singleton" for condition in waits.conditions):
        return "--dependency=singleton would let the tasks of an array run side by side"
    if call.is_array and "mail-type" in options:
        return "it asks for mail, and Slurm sends one mail for a whole array"
    if call.is_array:
        for kind in logs.KINDS:
            name = logs.expand(call, kind, call.tasks[0])
            if name is not None and name.on_node:
                return f"only the node knows the name of its --{kind} file"
    if (b"scancel" in body or b"scontrol" in body) and (b"SLURM_JOB_ID" in body or b"SLURM_JOBID" in body):
        return "its script hands $SLURM_JOB_ID to scancel or scontrol, which could mean the whole array"
    return ""


def options_of(call: Call) -> dict[str, bytes | None]:
    """What Slurm applies to a whole array that holds this call."""
    return array_options(call.options, call.time, call.environment.get(b"TZ"))


def merge_key(call: Call, limits: Limits, *, keep_names: bool, keep_comments: bool = False) -> tuple[object, ...]:
    """What calls of one array have in common, dependencies aside."""
    node_names = []
    for kind in logs.KINDS:
        name = logs.expand(call, kind, call.tasks[0] if call.is_array else None)
        if name is not None:
            node_names.append(name.path if name.on_node else b"")
    return (
        tuple((name, canonical(name, value)) for name, value in options_of(call).items()),
        call.umask,
        call.limits,
        call.group,
        call.nice if limits.propagates_nice else None,
        environment.exposed_key(call) if limits.site_changes_environment else None,
        call.sbatch,
        "error" in call.options,
        environment.submit_key(call),
        environment.needs_login(call),
        call.exports_nil,
        tuple(node_names) if any(node_names) else (),
        call.name if keep_names else None,
        call.comment if keep_comments else None,
    )


def connected(arrays: Sequence[Array], tickets: Set[int]) -> list[Array]:
    """
    The arrays that hold any of the tickets, and all that wait for each other with them, directly or not.

    So no lanes are torn apart: their tasks have related indices inside of one flush only. A singleton waits for all
    that is older and has its name, so where there is one nothing is left out.
    """
    if any(one.kind == "singleton" for array in arrays for one in array.waits.conditions):
        return list(arrays)
    holders = {call.ticket: array for array in arrays for call in array.calls}
    neighbours: defaultdict[Array, list[Array]] = defaultdict(list)
    for array in arrays:
        for ticket in array.producers:
            if ticket in holders:
                neighbours[array].append(holders[ticket])
                neighbours[holders[ticket]].append(array)
    found: set[Array] = set()
    to_do = [holders[ticket] for ticket in tickets if ticket in holders]
    while to_do:
        array = to_do.pop()
        if array not in found:
            found.add(array)
            to_do += neighbours[array]
    return [array for array in arrays if array in found]


def singleton_names(calls: Sequence[Call], waits: Sequence[Dependency]) -> dict[int, tuple[str, int]]:
    """
    By ticket, for each call with the name of a singleton: that name, and how many singletons of it came before.

    A singleton waits for older jobs of its name, so these have the name to themselves and do not mix with younger ones.
    """
    single = {
        call.ticket
        for call, dependency in zip(calls, waits)
        if any(condition.kind == "singleton" for condition in dependency.conditions)
    }
    before = {call.shown_name: 0 for call in calls if call.ticket in single}
    found = {}
    for call in calls:
        name = call.shown_name
        if name in before:
            found[call.ticket] = (name, before[name])
            before[name] += call.ticket in single
    return found


@dataclass(frozen=True)
class FanIns:
    """
    Large sets of calls that somebody waits for together.

    Attributes:
        waiters: For each ticket, the tickets of those who wait for a set that it belongs to, as far as sets are apart.
        unnamable: The tickets in sets of more tasks than one dependency can name.
    """

    waiters: dict[int, list[int]]
    unnamable: set[int]


def fan_ins(calls: Sequence[Call], waits: Sequence[Dependency]) -> FanIns:
    """
    The large sets of producers.

    Calls of one such set share no array with others, so that the set can be named by whole arrays: unless the
    sets overlap in so many ways that this would tear the arrays to pieces.
    """
    sizes = {call.ticket: task_count(call) for call in calls}
    sets: dict[int, list[int]] = {}
    for call, dependency in zip(calls, waits):
        named = [one.job for one in dependency.conditions if one.job in sizes and one.element is None]
        if len(named) > 1 and sum(sizes[ticket] for ticket in named) >= FAN_IN:
            sets[call.ticket] = named
    tasks_of = {waiter: sum(sizes[ticket] for ticket in named) for waiter, named in sets.items()}
    for smallest in (FAN_IN, MOST_ELEMENTS):
        found: dict[int, list[int]] = defaultdict(list)
        for waiter, named in sets.items():
            if tasks_of[waiter] >= smallest:
                for ticket in named:
                    found[ticket].append(waiter)
        if len({tuple(waiters) for waiters in found.values()}) <= 2 * len(sets):
            break
    unnamable = {ticket for waiter, named in sets.items() if tasks_of[waiter] > MOST_ELEMENTS for ticket in named}
    return FanIns(found, unnamable)


def plan(
    calls: Sequence[Call],
    limits: Limits,
    *,
    keep_names: bool = False,
    keep_arrays: bool = False,
    keep_comments: bool = False,
    apart: Set[int] = frozenset(),
    later: Sequence[Dependency] = (),
) -> list[Array]:
    """
    Group calls into arrays.

    Args:
        calls: In the order of their tickets; not modified.
        limits: Of the controller.
        keep_names: Calls with different job names do not share an array.
        keep_arrays: Array calls stay alone, since it is not known yet how others will wait for them.
        keep_comments: Calls with different comments do not share an array.
        apart: Tickets whose calls share arrays with each other only.
        later: What calls wait for that are not among these.

    Returns:
        Arrays that together hold each call exactly once, by their oldest ticket. So an array comes after all that
        it waits for: a ticket is older than whoever names it, and what the calls of an array wait for is either
        common to all of them, or has its oldest ticket in the array that they follow lane by lane.
        The script's size is the renderer's matter (see halve).
    """
    bodies: dict[bytes, bytes] = {}
    waits = [parse(call.options.get("dependency")) for call in calls]
    as_arrays = waited_for_as_arrays([*waits, *later])
    sets = fan_ins(calls, waits)
    singletons = singleton_names(calls, waits)
    members = []
    for call, dependency in zip(calls, waits):
        body = bodies.get(call.body_hash)
        if body is None:
            body = bodies[call.body_hash] = call.body()
        alone = reason_alone(call, body, dependency)
        if call.is_array and not alone and (keep_arrays or call.ticket in as_arrays):
            alone = "nobody knows yet how others will wait for it"
            if call.ticket in as_arrays:
                alone = WAITED
        own_key = merge_key(call, limits, keep_names=keep_names, keep_comments=keep_comments)
        key = (
            own_key,
            tuple(sets.waiters.get(call.ticket, ())),
            singletons.get(call.ticket),
            call.ticket in apart,
            call.is_array and limits.spares,  # an array that holds a call's own array has no spare
        )
        members.append(Member(call, key, dependency, alone))
    arrays = [array for block in fill(lanes.find(members, limits), limits.indices) for array in block.arrays()]
    for array in arrays:
        array.nice = None
        if limits.propagates_nice:
            array.nice = array.calls[0].nice
        array.exposed = limits.site_changes_environment
        array.named_whole = any(call.ticket in sets.unnamable for call in array.calls)
    return sorted(arrays, key=lambda array: min(call.ticket for call in array.calls))


@dataclass(eq=False)
class Slot:
    """An array in the making: its calls with the indices of their first tasks."""

    upstream: list[Slot]
    members: list[tuple[int, Member]] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)


@dataclass
class Block:
    """Arrays whose indices are given out together, since lanes run through them."""

    groups: list[Group] = field(default_factory=list)
    size: int = 0
    slots: dict[Hashable, list[Slot]] = field(default_factory=lambda: defaultdict(list))
    slot_of: dict[int, Slot] = field(default_factory=dict)

    def add(self, group: Group) -> None:
        """Give a group the next free indices."""
        members = sorted(group.members, key=lambda member: member.call.ticket)
        for member in members:
            upstream = list(dict.fromkeys(self.slot_of[condition.job] for condition in member.lanes))
            first = self.size + member.offset - group.low
            span = range(first, first + len(member.tasks))
            alike = self.slots[member.key, member.common, frozenset(map(id, upstream))]
            slot = next((one for one in alike if one.taken.isdisjoint(span)), None)
            if slot is None:
                slot = Slot(upstream)
                alike.append(slot)
            slot.members.append((first, member))
            slot.taken.update(span)
            self.slot_of[member.call.ticket] = slot
        self.size += group.high - group.low
        self.groups.append(group)

    def arrays(self) -> list[Array]:
        """The slots as arrays."""
        ids = self.lone_ids()
        made: dict[Slot, Array] = {}
        for slot in dict.fromkeys(self.slot_of.values()):
            members = sorted(slot.members, key=lambda pair: pair[0])
            first = members[0][1]
            array = Array(
                [Placed.at(member.call, first_index(member, at, ids)) for at, member in members],
                options_of(first.call),
                Dependency(tuple(one for one in first.waits.conditions if one not in first.lanes), first.waits.any_of),
                [made[one] for one in slot.upstream],
                first.alone,
                environment.needs_login(first.call),
                nil=first.call.exports_nil,
            )
            made[slot] = settled(array)
        return list(made.values())

    def lone_ids(self) -> list[int]:
        """The local ids of an array call that shares indices with nobody but those that wait for its tasks."""
        if len(self.groups) > 1:
            return []
        spans = {(member.offset, tuple(member.tasks)) for member in self.groups[0].members if member.call.is_array}
        ids: tuple[int, ...] = ()
        if len(spans) == 1:
            ids = spans.pop()[1]
        if len(ids) != self.size:
            return []
        return list(ids)


def first_index(member: Member, at: int, ids: Sequence[int]) -> int | None:
    """
    The index of a call's first task; None where its local ids are the indices.

    Args:
        at: The place that the block has given it.
        ids: What the block's places stand for (see Block.lone_ids), or empty: its own numbers.
    """
    if not ids:
        return at
    if member.call.is_array:
        return None
    return ids[at]


def settled(array: Array) -> Array:
    """A plain call by itself is no array, so it has no index to meet anything by."""
    if array.is_plain:
        array.members, array.upstream = [Placed.at(array.calls[0], None)], []
        array.waits = parse(array.calls[0].options.get("dependency"))
    return array


def fill(groups: Sequence[Group], indices: int) -> list[Block]:
    """Groups side by side as long as indices last, those with the same kind of first call in one block."""
    blocks: list[Block] = []
    open_blocks: dict[Hashable, Block] = {}
    for group in groups:
        first = min(group.members, key=lambda member: member.call.ticket)
        key = (first.key, first.common)
        block = None
        if not first.alone:
            block = open_blocks.get(key)
        if block is None or block.size + group.high - group.low > indices:
            block = Block()
            blocks.append(block)
            if not first.alone:
                open_blocks[key] = block
        block.add(group)
    return blocks


def halve(array: Array, later: list[Array]) -> list[Array]:
    """
    Two arrays of half the calls each, for a script that is too large; a single call cannot be split.

    Args:
        later: The arrays to be submitted after it.

    Returns:
        All of them: those that follow it lane by lane are cut at the same index, so that each piece has one array
        to follow.
    """
    index = array.members[len(array.members) // 2].span.first
    assert index is not None
    pieces = {array: cut(array, index, {})}
    rest = []
    for other in later:
        if pieces.keys().isdisjoint(other.upstream):
            rest.append(other)
        else:
            pieces[other] = cut(other, index, pieces)
            rest += [piece for piece in pieces[other] if piece.calls]
    for side in (0, 1):
        take_own_indices([halves[side] for halves in pieces.values() if halves[side].calls])
    return [*pieces[array], *rest]


def take_own_indices(together: list[Array]) -> None:
    """
    Number the tasks of arrays by their local ids, where each is one array call by itself and nothing else stands
    beside them: as such calls are planned that never shared an array.

    Args:
        together: Arrays, and all that follow them lane by lane.
    """
    calls = [array.calls[0] for array in together if len(array.members) == 1 and array.calls[0].is_array]
    places = {(array.members[0].span.first, tuple(array.calls[0].tasks)) for array in together}
    follow_others = any(not set(array.upstream) <= set(together) for array in together)
    if len(calls) == len(together) and len(places) == 1 and not follow_others:
        for array, call in zip(together, calls):
            array.members = [Placed.at(call, None)]


def cut(array: Array, index: int, pieces: dict[Array, list[Array]]) -> list[Array]:
    """The calls below an index and the others, each following the right piece of what was cut before."""
    made = []
    for side in (0, 1):
        part = replace(
            array,
            members=[member for member in array.members if ((member.span.first or 0) >= index) == bool(side)],
            upstream=[pieces[one][side] if one in pieces else one for one in array.upstream],
        )
        made.append(settled(part))
    return made
