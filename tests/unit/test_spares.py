"""What a dependency on the id of an array with a spare becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbatch_shim.errors import ShimError
from sbatch_shim.spool import Session, names_spared
from sbatch_shim.state import spares
from sbatch_shim.state.dependency import parse
from sbatch_shim.state.events import Submitted
from sbatch_shim.state.journal import Origin, TicketMap

T = 1_000_000_003


def tickets_of(folder: Path) -> TicketMap:
    """Three calls in the array 70, which has a spare."""
    state = bytes(folder)
    spares.note(Session(state, b"one"), 70)
    tickets = TicketMap(state)
    tickets.learn(Submitted(1, {T + at: (at, None) for at in range(3)}, 70, spare=True), b"flush")
    return tickets


def anywhere(_: Origin) -> bool:
    return True


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (b"afterok:70", b"afterok:70_0:70_1:70_2"),
        (b"AfterOK:7:70,afterany:70", b"afterok:7:70_0:70_1:70_2,afterany:70"),
        (b"afternotok:70", b"afternotok:70_0?afternotok:70_1?afternotok:70_2"),
        (b"afterany:7?afternotok:70", b"afterany:7?afternotok:70_0?afternotok:70_1?afternotok:70_2"),
        *(
            (spec, None)
            for spec in (b"afterok:7", b"70", b"after:70+5", b"aftercorr:70", b"afterok:70_1", b"afternotok:70_0")
        ),
    ],
)
def test_elements_take_the_place_of_an_array(tmp_path: Path, spec: bytes, wanted: bytes | None) -> None:
    found = spares.by_elements(parse(spec), tickets_of(tmp_path), anywhere)
    assert (found and found.spec) == wanted


@pytest.mark.parametrize("spec", [b"afterok:70?afterok:7", b"afternotok:70,afterany:7", b"afternotok:70:7"])
def test_what_elements_cannot_say_is_refused(tmp_path: Path, spec: bytes) -> None:
    with pytest.raises(ShimError, match="on the array 70: Slurm cannot be told"):
        spares.by_elements(parse(spec), tickets_of(tmp_path), anywhere)


def test_an_array_elsewhere_is_another_job(tmp_path: Path) -> None:
    assert spares.by_elements(parse(b"afterok:70"), tickets_of(tmp_path), lambda origin: False) is None


@pytest.mark.parametrize(
    ("spec", "may"),
    [(b"afterok:7:70", True), (b"70", True), (b"x?y:70", True), (b"afterok:70_1,7", False), (b"afterok:700", False)],
)
def test_a_dependency_is_looked_into_only_where_it_may_name_one(tmp_path: Path, spec: bytes, may: bool) -> None:
    assert not names_spared(spec, bytes(tmp_path))
    tickets_of(tmp_path)
    assert names_spared(spec, bytes(tmp_path)) is may


def test_an_id_that_leads_to_another_session_by_now_stays(tmp_path: Path) -> None:
    """Ids begin again, or are of another cluster: what is collected of the older session is not the younger's."""
    older, younger = Session(bytes(tmp_path), b"older"), Session(bytes(tmp_path), b"younger")
    spares.note(older, 70)
    spares.note(younger, 70)
    older.unlink(spares.LINKS, 70)
    assert (tmp_path / "spares/70").readlink() == Path("younger")
    younger.unlink(spares.LINKS, 70)
    assert list((tmp_path / "spares").iterdir()) == []
