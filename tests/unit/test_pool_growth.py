"""The allocator of real ids, beside a controller that only counts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbatch_shim import reserve
from sbatch_shim.aligned import list_file
from sbatch_shim.errors import HandOver, ShimError, Unsure
from sbatch_shim.flush import reserving
from sbatch_shim.flush.release import close_all
from sbatch_shim.request import Request
from sbatch_shim.shim import may_need_its_id
from sbatch_shim.spool import FIRST_TICKET, Session, create, make_folder, open_state, session_of
from sbatch_shim.state.calls import tickets_in
from sbatch_shim.state.dropped import drop
from sbatch_shim.state.folders import is_pool_script
from sbatch_shim.state.pools import Pool, pool_folders, pool_in, unfinished

VALUES = dict.fromkeys(("umask", "limits", "nice", "sbatch", "group", "cluster", "cwd", "time", "host", "source"), b"1")


class Counter:
    """A controller that gives out ids, some of them to strangers, and may refuse."""

    def __init__(self) -> None:
        self.last = 500
        self.made: list[Pool] = []
        self.beside: dict[int, int | None] = {}
        self.refuses = False

    def make_pool(self, session: Session, payload: bytes, size: int, beside: int | None = None) -> Pool:
        if self.refuses:
            raise ShimError("no")
        folder = reserving.new_folder(session)
        job = self.last + 1
        pool = Pool(folder, job, job, 1) if size == 1 else Pool(folder, job, job + 3, size - 1)
        self.last = pool.first + pool.count
        create(folder + b"/ids", b"%d %d %d\n" % (pool.job, pool.first, pool.count))
        self.made.append(pool)
        self.beside[pool.job] = beside
        return pool


def elements_of(pool: Pool) -> int:
    return pool.count if pool.is_plain else pool.count + 1


@contextmanager
def at(counter: Counter) -> Iterator[Session]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(reserving, "make_pool", counter.make_pool)
        patch.setattr("sbatch_shim.shim.hold_closed", lambda *streams: None)
        state = os.fsencode(folder) + b"/state"
        open_state(state)
        session = Session(state, b"test")
        session.make()
        yield session


def asked(
    session: Session,
    kind: bytes = b"1",
    body: bytes = b"#!/bin/sh\n",
    way: bytes = b"real",
    waits: bytes = b"",
    conf: bytes = b"",
    cluster: bytes = b"1",
) -> int | None:
    options: dict[str, bytes | None] = {"time": kind}
    if waits:
        options["dependency"] = waits
    request = Request(options, [], quiet=False)
    environment = {b"SLURM_CONF": conf} if conf else {}
    return reserve.reserve(session, way, {**VALUES, "cluster": cluster}, body, request, environment, b"5:hello,")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["one", "one", "one", "two", "ticket", "close", "killed"]), max_size=60))
def test_every_id_is_told_once_and_few_are_made(steps: list[str]) -> None:
    counter = Counter()
    told: list[int] = []
    tickets: list[int] = []
    with at(counter) as session:
        since_close = 0
        made_before = 0
        killed: set[int] = set()
        for step in steps:
            if step == "close":
                close_all(session)
                since_close, made_before = 0, len(counter.made)
                continue
            if step == "ticket":
                tickets.append(session.append(b"5:hello,"))
                continue
            if step == "killed":
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(Session, "append", killed_at(killed))
                    with pytest.raises(KeyboardInterrupt):
                        asked(session)
                since_close += 1
                continue
            found = asked(session, step.encode())
            assert found is not None
            told.append(found)
            since_close += 1
        assert len(set(told)) == len(told)
        assert killed.isdisjoint(told)
        for one in told:
            assert one < FIRST_TICKET
            assert session_of(session.state, one) == b"test"
            owners = [pool for pool in counter.made if pool.element_of(one) is not None]
            assert len(owners) == 1
            assert one != owners[0].job or owners[0].count == 1
        # Two kinds of calls at most, each with its own bound.
        held = sum(elements_of(pool) for pool in counter.made[made_before:])
        assert held <= 2 * since_close + 3 * 7
        assert tickets == sorted(set(tickets))
        assert all(one >= FIRST_TICKET for one in tickets)
        if told or tickets:
            assert tickets_in(session.queue) == {*told, *tickets}


def killed_at(killed: set[int]) -> object:
    def append(self: Session, payload: bytes, given: int = 0) -> int:
        killed.add(given)
        raise KeyboardInterrupt

    return append


def test_the_bound_for_one_kind_is_kept_after_each_call() -> None:
    counter = Counter()
    with at(counter) as session:
        for number in range(1, 200):
            asked(session)
            assert sum(elements_of(pool) for pool in counter.made) <= 2 * number + 7
        assert len(counter.made) < 9
        assert [pool_in(folder) for folder in unfinished(session)] == counter.made
        assert pool_folders(session) == [pool.folder for pool in counter.made]


def test_after_a_refusal_nobody_asks_for_a_minute() -> None:
    counter = Counter()
    with at(counter) as session:
        counter.refuses = True
        with pytest.raises(HandOver, match="no pool could be made"):
            asked(session)
        counter.refuses = False
        with pytest.raises(HandOver, match="soon after"):
            asked(session)
        os.utime(session.folder + b"/pools/failed", (1, 1))
        assert asked(session)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"#!/bin/sh\necho $SLURM_JOB_ID\n", True),
        (b"#!/bin/sh\necho ${SLURM_JOBID}\n", True),
        (b"#!/usr/bin/env python3\nimport os; os.environ['SLURM_JOB_ID']\n", True),
        (b"#!/bin/sh\n# SLURM_JOB_ID\n   # $SLURM_JOBID\n", False),
        (b"#!/bin/sh\necho $SLURM_JOB_NAME\n", False),
    ],
)
def test_a_script_that_names_its_id(body: bytes, names: bool) -> None:
    assert reserve.names_its_id(body) == names
    with at(Counter()) as session:
        assert (asked(session, body=body, way=b"auto") is not None) == names
        assert may_need_its_id(b"", body) >= names
        assert not may_need_its_id(b"ticket", body)
        with pytest.raises(Unsure, match="unknown"):
            asked(session, body=body, way=b"reel")


def test_the_script_of_a_pool_is_known_by_its_path(tmp_path: Path) -> None:
    assert is_pool_script(b"/state/sessions/x/pools/12/script")
    assert not is_pool_script(b"/state/sessions/x/flushes/20260101-000000-000/arrays/1/script")
    assert not is_pool_script(b"/state/pools/script")
    make_folder(os.fsencode(tmp_path) + b"/1")
    assert pool_in(os.fsencode(tmp_path) + b"/1") is None


def test_chains_need_few_pools_and_each_waits_for_its_own() -> None:
    counter = Counter()
    with at(counter) as session:
        for _ in range(300):
            first = asked(session)
            second = asked(session, waits=b"afterok:%d" % first)
            asked(session, waits=b"afterok:%d" % second)
        assert len(counter.made) < 40
        assert sum(map(elements_of, counter.made)) <= 3 * (2 * 300 + 7)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), st.integers(0, 30), st.booleans()), max_size=80))
def test_who_waits_for_an_element_gets_the_one_that_does(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever the order, and whoever asks twice: aligned with it, or a job of its own."""
    counter = Counter()
    told: list[int] = []
    with at(counter) as session:
        for kind, back, waits in steps:
            if not waits or back >= len(told):
                number = asked(session, kind.encode())
                assert number is not None
                (pool,) = (one for one in counter.made if one.element_of(number) is not None)
                assert counter.beside[pool.job] is None
            else:
                awaited = told[-1 - back]
                number = asked(session, kind.encode(), waits=b"afterok:%d" % awaited)
                assert number is not None
                (pool,) = (one for one in counter.made if one.element_of(number) is not None)
                (producer,) = (one for one in counter.made if one.element_of(awaited) is not None)
                if counter.beside[pool.job] is not None:
                    assert counter.beside[pool.job] == producer.job
                    assert pool.element_of(number) == producer.element_of(awaited)
                elif not pool.is_plain:
                    assert producer.is_plain  # they wait for one and the same job
            told.append(number)
        assert len(set(told)) == len(told)
        made = [elements_of(pool) for pool in counter.made if counter.beside[pool.job] is not None]
        assert sum(made) <= 2 * len(told) + 2 * 7


def test_a_cancelled_job_is_waited_for_by_a_job_of_its_own() -> None:
    counter = Counter()
    with at(counter) as session:
        told = [asked(session) for _ in range(3)]
        asked(session, waits=b"afterok:%d" % told[1])
        drop(session, {told[2]})
        asked(session, waits=b"afterok:%d" % told[2])
        asked(session, waits=b"afterany:%d" % told[1])
        assert set(counter.beside.values()) == {None}


@pytest.mark.parametrize("other", [{"conf": b"/other/slurm.conf"}, {"cluster": b"other"}])
def test_an_id_of_another_cluster_is_not_waited_for_here(other: dict[str, bytes]) -> None:
    """There it is another job's, so Slurm is told of it as it stands, by a job of the call's own."""
    counter = Counter()
    with at(counter) as session:
        told = [asked(session) for _ in range(3)]
        for _ in range(3):
            asked(session, waits=b"afterok:%d" % told[2], **other)
        assert set(counter.beside.values()) == {None}
        for _ in range(3):
            asked(session, waits=b"afterok:%d" % told[2])
        assert counter.made[1].job in counter.beside.values()


def test_a_line_that_a_full_disk_has_cut_is_no_pool() -> None:
    counter = Counter()
    with at(counter) as session:
        asked(session)
        with open(list_file(session), "ab") as stream:
            stream.write(b"\n50 ")
        told = [asked(session) for _ in range(2)]
        for _ in range(2):
            asked(session, waits=b"afterok:%d" % told[0])
        awaiting = [one for one in counter.made if counter.beside[one.job] is not None]
        assert [counter.beside[one.job] for one in awaiting] == [counter.made[1].job]
