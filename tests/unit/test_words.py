"""Numbers in messages: one call, two calls."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

import sbatch_shim
from sbatch_shim.merge.graph import counted

PACKAGE = Path(sbatch_shim.__file__).parent
NOUNS = "calls|tasks|jobs|arrays|tickets|sessions|submissions|users|logins|tasks|nodes|hosts|folders|commands|requests"
# A value in front of a plural: {n} calls, %d calls, {n} more calls; and who leaves it to the reader: call(s).
PLURAL = re.compile(rf"(?:\}}|%d) (?:more |other |queued |failed )*(?:{NOUNS})\b|\w\(s\)")
# What is never one.
MANY = {"{limits.array_size} tasks in an array"}


def lines_with_plurals(text: str) -> list[tuple[int, str]]:
    """Lines of a program that print a number before a plural as it is; comments do not count."""
    comments = {
        token.start[0]: token.start[1]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        shown = line[: comments.get(number, len(line))]
        for known in MANY:
            shown = shown.replace(known, "")
        if PLURAL.search(shown):
            found.append((number, line.strip()))
    return found


def test_one_and_several() -> None:
    assert [counted(number, "call") for number in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]


def test_what_the_look_finds() -> None:
    for text in ('print(f"{n} calls")\n', 'say("%d more calls" % n)\n', 'f"{n:d} task(s)"\n'):
        assert lines_with_plurals(text)
    assert not lines_with_plurals("f\"{counted(n, 'call')} queued\"  # {n} calls\n")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_message_says_1_calls(path: Path) -> None:
    assert lines_with_plurals(path.read_text()) == []
