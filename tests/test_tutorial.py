"""
The tutorial, typed into a fresh terminal: what comes is what the page shows.

With SHIM_TEST_UPDATE set, the page gets the output that differs (a line `...` stands for any lines).
"""

from __future__ import annotations

import os

import pytest
from support.person import REPO, Person
from support.typed import agrees, type_page, update

PAGE = REPO / "docs" / "tutorial.md"


@pytest.mark.slurm
def test_what_the_tutorial_shows_is_what_comes(person: Person) -> None:
    shown, differing = [], []
    for command, came in type_page(person, PAGE.read_text()):
        same = agrees(command.shown, came)
        shown.append(command.shown if same else came)
        if not same:
            differing.append("\n".join([f"$ {command.lines[0]}", *came]))
    if differing and os.environ.get("SHIM_TEST_UPDATE"):
        update(PAGE, shown)
        return
    assert not differing, "\n\n".join(differing)
