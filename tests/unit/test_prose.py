"""Prose can be read in a terminal and compared line by line: lines of at most 100 columns, a sentence on each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent.parent
PAGES = sorted([*REPO.glob("*.md"), *REPO.glob("docs/*.md"), *REPO.glob("bench/*.md")])
COLUMNS = 100
# A sentence ends and another begins. (Not behind an abbreviation.)
TWO_SENTENCES = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!\d)[.!?][)*`\"]{0,2} +[A-Z]")


def prose(page: Path) -> list[tuple[int, str]]:
    """The numbered lines of a page that are neither code nor a table's."""
    found = []
    code = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```"):
            code = not code
        elif not code and not line.startswith(("|", "#", "    ", "![")):
            found.append((number, line))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_lines_are_short(page: Path) -> None:
    # Directory trees and tables are as wide as they must be.
    assert not [number for number, line in prose(page) if len(line) > COLUMNS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_a_line_holds_one_sentence(page: Path) -> None:
    assert not [(number, line) for number, line in prose(page) if TWO_SENTENCES.search(line)]


def test_the_readme_is_one_page() -> None:
    assert len((REPO / "README.md").read_text().splitlines()) <= 120
