"""What the listings of all companions have in common, and the table of what a waiting call shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sbatch_shim.companions import unsubmitted as table
from sbatch_shim.companions.formats.columns import JOBS, sort_by_id
from sbatch_shim.companions.formats.document import Sacct, Scontrol, Squeue
from sbatch_shim.companions.formats.document_form import blank_of
from sbatch_shim.companions.listing import translated, unsubmitted
from sbatch_shim.companions.parts import Part
from sbatch_shim.companions.unsubmitted import Unsubmitted

POOL = "/home/ada/state/sessions/s/pools/1/script"


class Letters:
    """Rows that are letters: capitals are of merged jobs, `X` of two calls, and `N` of one that is not wanted."""

    TICKETS = {"A": [30], "B": [10], "X": [20, 40], "N": [50], "E": []}  # noqa: RUF012

    def parts(self, entry: str) -> list[Part] | None:
        tickets = self.TICKETS.get(entry)
        return None if tickets is None else [Part(ticket, None) for ticket in tickets]

    def others(self, entry: str) -> list[str]:
        return [entry] if entry != "z" else []

    def ours(self, entry: str, part: Part) -> list[str]:
        return [f"{entry}{part.ticket}"] if entry != "N" else []


def test_rows_of_calls_stand_where_those_of_their_jobs_stood() -> None:
    seen: set[int] = set()
    assert translated(Letters(), "aAzXbNEB", seen) == ["a", "A30", "X20", "X40", "b", "B10"]
    assert seen == {30, 20, 40, 50, 10}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("", ["a", "A30", "X20", "X40", "b", "B10"]),
        ("i", ["a", "B10", "X20", "A30", "b", "X40"]),
        ("-i", ["a", "X40", "A30", "X20", "b", "B10"]),
    ],
)
def test_rows_of_calls_are_sorted_among_themselves(given: str, shown: list[str]) -> None:
    def sort(ours: list[tuple[Part, Any]]) -> None:
        sort_by_id(ours, given)

    assert translated(Letters(), "aAXbB", set(), sort) == shown


def test_only_calls_that_were_not_met_and_are_wanted_are_added() -> None:
    calls = {ticket: SimpleNamespace(ticket=ticket, group=None, options={}) for ticket in (1, 2, 3)}
    held = SimpleNamespace(call=calls.get)
    context: Any = SimpleNamespace(tickets=None)
    waiting: Any = [(ticket, held, "queued") for ticket in (1, 2, 3, 4)]  # nobody can read the last one

    def wanted(call: Any, state: str) -> list[Part]:
        return [Part(call.ticket, None)] * (call.ticket != 3)

    found = list(unsubmitted(context, waiting, wanted, seen={2}))
    assert [(part.ticket, values.state) for part, values in found] == [(1, "PENDING")]


def test_every_value_of_the_table_is_one_that_a_call_has() -> None:
    names = {row[0] for row in table.VALUES if row[0][:1] not in ("-", "=")}
    assert names <= {*dir(Unsubmitted), "user_id", "group_id", "state", "reason"}


@pytest.mark.parametrize("form", [table.SQUEUE, table.SACCT, table.QUEUE, table.ACCOUNTING, table.RECORD])
def test_a_form_shows_one_value_under_a_name(form: int) -> None:
    names = [name for row in table.VALUES for name in row[form].split()]
    assert sorted(names) == sorted(set(names))


def test_squeue_and_documents_have_these_names() -> None:
    assert set(table.by_name(table.SQUEUE)) <= {*JOBS.letters.values()} | {"timeleft"}
    newest = blank_of("queue", 99)
    missing = {name for name in table.by_name(table.QUEUE) if name not in newest}
    assert missing == set()


def document(**job: Any) -> dict[str, Any]:
    return {"jobs": [{"job_id": 7, "name": "pool", **job}]}


def test_documents_do_not_show_the_jobs_of_a_pool() -> None:
    """As rows and records do not: nobody was told of them."""
    tickets = SimpleNamespace(
        hides=lambda command: command == POOL,
        settle=lambda jobs: None,
        job=lambda number, command: None,
        accounted=lambda number, cluster, line: None,
        unsubmitted=list,
    )
    context: Any = SimpleNamespace(tickets=tickets)
    queue: Any = SimpleNamespace(context=context, unsubmitted=lambda seen: [], wants_other=lambda entry: True)
    ids = {"array_job_id": 0, "array_task_id": None, "array_task_string": ""}
    for command, count in ((POOL, 0), ("/home/ada/other.sh", 1)):
        found = document(command=command, **ids)
        assert len(Squeue(queue, found).jobs()) == count
        assert len(Scontrol(context, found, None, None).jobs(None)) == count
        wanted = SimpleNamespace(for_tickets=set(), names_record=lambda *ids: False, has_name=lambda name: True)
        accounting: Any = SimpleNamespace(context=context, tickets=tickets, wanted=wanted)
        array = {"task_id": None, "task": None, "job_id": 0}
        record = document(array=array, cluster="c", submit_line=f"sbatch -H {command}")
        form = Sacct(accounting, record)
        assert len(translated(form, form.printed, set())) == count
