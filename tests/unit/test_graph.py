"""The plan in words: what a person is told of a dry run, on one screen."""

from __future__ import annotations

from support.strategies import call

from sbatch_shim.merge.graph import COLUMNS, graph, reasons
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, plan
from sbatch_shim.state.calls import Call


def planned(*calls: Call) -> list[Array]:
    return plan(list(calls), Limits())


def test_why_a_call_is_alone_is_told_where_it_could_have_had_company() -> None:
    """Not where nothing here has the same options, nor of the one call at the end that waits for all."""
    mail = {"mail-type": b"END"}
    lonely = planned(call(1, {**mail, "array": b"0-1", "mem": b"1G"}), call(2, options={"mem": b"2G"}))
    assert reasons(lonely) == ["", ""]
    two = planned(call(1, {**mail, "array": b"0-1"}), call(2, {**mail, "array": b"0-1"}))
    assert len(two) == 2 and all("mail" in why for why in reasons(two))
    last = call(4, options={"dependency": b"afterok:%d:%d" % (call(1).ticket, call(2).ticket)})
    assert reasons(planned(call(1), call(2), call(3), last)) == ["", ""]


def test_no_line_is_wider_than_a_terminal() -> None:
    calls = [call(number, options={"comment": b"x" * 50, "mem": b"%dM" % number}) for number in range(1, 60)]
    waits = b":".join(b"%d" % one.ticket for one in calls)
    arrays = planned(*calls, call(60, options={"dependency": b"afterok:" + waits}))
    text = graph(arrays, ["--mem=4G --partition=" + "p" * 40 + " --constraint=" + "c" * 40] * len(arrays))
    assert max(len(line) for line in text.splitlines()) <= COLUMNS
