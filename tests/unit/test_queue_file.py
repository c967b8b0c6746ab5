"""The lines of a queue file."""

from __future__ import annotations

import pytest

from sbatch_shim.flush.cli import Usage
from sbatch_shim.verbs.queuefile import calls_in


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sbatch a.sh\n", [["a.sh"]]),
        ("a.sh x 'y z'", [["a.sh", "x", "y z"]]),
        ("/usr/bin/sbatch --wrap='sbatch b.sh'\n", [["--wrap=sbatch b.sh"]]),
        ("# sbatch a.sh\n\n   # b\nsbatch c.sh # d\n", [["c.sh"]]),
        ("\ufeffsbatch a.sh\r\nsbatch b.sh\r\n", [["a.sh"], ["b.sh"]]),
        ("sbatch --wrap='a\x0cb\u2028c'\n", [["--wrap=a\x0cb\u2028c"]]),
        ("sbatch --comment='' a.sh '' '#'\n", [["--comment=", "a.sh", "", "#"]]),
        ("sbatch\n", [[]]),
        (" \n", []),
    ],
)
def test_words(text: str, words: list[list[str]]) -> None:
    assert [found for _, found in calls_in(text, "jobs.conf")] == words


@pytest.mark.parametrize("text", ["sbatch a.sh\nsbatch 'b\n", "sbatch a.sh\nsbatch b\0c\n", "sbatch a.sh\nsbatch b \\"])
def test_a_line_that_no_shell_reads_is_named(text: str) -> None:
    with pytest.raises(Usage, match=r"^jobs.conf, line 2: .*; nothing was submitted$"):
        calls_in(text, "jobs.conf")
