"""Calls that differ in their comments, as snakemake's executor makes them: how many arrays they become."""

from __future__ import annotations

import re

import pytest
from support.person import SYSTEM_PATH, Person

pytestmark = pytest.mark.slurm


def queue_rules(person: Person, count: int) -> None:
    for number in range(count):
        comment = f"rule_align_wildcards_{number}"
        person.queue("--hold", "-o", "/dev/null", f"--comment={comment}", f"--wrap=echo {number}")


def comments(person: Person) -> list[str]:
    """What Slurm itself holds, one for each job."""
    environment = person.environment(PATH=SYSTEM_PATH)
    done = person.run("squeue", "-h", "-u", environment["USER"], "-o", "%k", env=environment)
    return sorted(done.out.decode().splitlines())


def test_comments_keep_no_calls_apart(person: Person) -> None:
    queue_rules(person, 31)
    done = person.flush()
    assert re.fullmatch(rb"Submitted batch job \d+\n", done.out), done.err
    assert set(comments(person)) == {"rule_align_wildcards_0+30"}


def test_they_do_where_that_is_wished(person: Person) -> None:
    queue_rules(person, 3)
    done = person.flush("--keep-comments")
    assert re.fullmatch(rb"(Submitted batch job \d+\n){3}", done.out), done.err
    assert comments(person) == [f"rule_align_wildcards_{number}" for number in range(3)]


def test_a_comment_for_all_replaces_each_calls_own(person: Person) -> None:
    queue_rules(person, 2)
    assert person.flush("--comment=of the flush", "--keep-comments").status == 0
    assert set(comments(person)) == {"of the flush"}
    assert person.flush("--keep-comments", "--merge-comments").status == 2
