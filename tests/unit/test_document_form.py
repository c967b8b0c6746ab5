"""How documents of Slurm's versions write a job that waits."""

from __future__ import annotations

from typing import Any

import pytest

from sbatch_shim.companions.formats.document_form import DocumentForm, plain

KNOWN = {"cpus": 4, "name": "x", "time_limit": 7, "dependency": "", "nosuch": 1}


def form(said: str) -> DocumentForm:
    return DocumentForm.of({"meta": {"plugin": {"data_parser": f"data_parser/{said}"}}})


@pytest.mark.parametrize(
    "said, cpus, limit, dependency",
    [
        ("v0.0.40", {"set": True, "infinite": False, "number": 4}, {"set": True, "infinite": False, "number": 7}, ""),
        ("v0.0.42", {"set": True, "infinite": False, "number": 4}, {"set": True, "infinite": False, "number": 7}, ""),
        ("v0.0.42+complex", 4, 7, None),
        ("v0.0.99", {"set": True, "infinite": False, "number": 4}, {"set": True, "infinite": False, "number": 7}, ""),
    ],
)
def test_values_in_the_form_of_the_document(said: str, cpus: Any, limit: Any, dependency: Any) -> None:
    job = form(said).waiting("queue", KNOWN)
    assert (job["cpus"], job["time_limit"], job["dependency"], job["name"]) == (cpus, limit, dependency, "x")
    assert "nosuch" not in job


def test_22_05_names_a_plugin_without_a_version() -> None:
    old = DocumentForm.of({"meta": {"plugin": {"type": "openapi/dbv0.0.38", "name": "Slurm OpenAPI DB v0.0.38"}}})
    job = old.waiting("queue", KNOWN)
    assert (job["cpus"], job["time_limit"], job["job_state"]) == (4, 7, "PENDING")
    assert old.waiting("queue", {})["time_limit"] is None


def test_what_is_not_known_is_blank() -> None:
    assert form("v0.0.42").waiting("queue", {})["time_limit"] == {"set": False, "infinite": True, "number": 0}
    assert form("v0.0.42+complex").waiting("queue", {})["time_limit"] == "Infinity"
    assert form("v0.0.42").waiting("accounting", {"time": {"submission": 5}})["time"]["submission"] == 5
    assert form("v0.0.42").waiting("accounting", {"time": {"submission": 5}})["time"]["elapsed"] == 0


def test_members_come_and_go_with_versions() -> None:
    before, since = (form(said).waiting("queue", {}) for said in ("v0.0.41", "v0.0.42"))
    assert "exclusive" in before and "exclusive" not in since
    assert "priority_by_partition" in since and "priority_by_partition" not in before
    before, since = (form(said).waiting("accounting", {}) for said in ("v0.0.40", "v0.0.41"))
    assert "stdout" in since and "stdout" not in before
    assert "planned" in since["time"] and "planned" not in before["time"]


@pytest.mark.parametrize(
    "value, number", [(3, 3), (None, None), ({"set": True, "number": 3}, 3), ({"set": False}, None)]
)
def test_plain_reads_all_forms(value: Any, number: int | None) -> None:
    assert plain(value) == number
