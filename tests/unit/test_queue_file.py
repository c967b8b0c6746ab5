"""The lines of a queue file."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbatch_shim.flush.cli import Usage
from sbatch_shim.verbs.queuefile import calls_in, words_in


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
        ("sbatch --comment=issue#5 a.sh#b '#'c #d\n", [["--comment=issue#5", "a.sh#b", "#c"]]),
        (r"""sbatch --wrap="echo \$x \`y\` \"z\" \\ \n" """, [['--wrap=echo $x `y` "z" \\ \\n']]),
        (r"""sbatch a\ b.sh \# 'c'"d"\'e '\' $x ';' "|" \& """, [["a b.sh", "#", "cd'e", "\\", "$x", ";", "|", "&"]]),
        ("\tsbatch\ta.sh\t''\r\n", [["a.sh", ""]]),
        ("sbatch\n", [[]]),
        (" \n", []),
    ],
)
def test_words(text: str, words: list[list[str]]) -> None:
    assert [found for _, found in calls_in(text, "jobs.conf")] == words


@pytest.mark.parametrize("line", ["'b", '"b', "b\0c", "b \\", "b > log", "b; sbatch c", "b & ", "(b)", "b 2>&1"])
def test_a_line_that_is_no_call_alone_is_named(line: str) -> None:
    with pytest.raises(Usage, match=r"^jobs.conf, line 2: .*; nothing was submitted$"):
        calls_in(f"sbatch a.sh\nsbatch {line}\n", "jobs.conf")


LETTERS = st.text(alphabet="ab#\\'\" \t=-", max_size=12)


@given(LETTERS)
def test_words_are_those_of_bash(line: str) -> None:
    """Nothing in these lines is expanded or an operator."""
    done = subprocess.run(
        ["bash", "-c", f"set -f; printf '%s\\0' {line}\n"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    try:
        words = words_in(line)
    except ValueError:
        assert done.returncode != 0 or line.endswith("\\")
    else:
        assert done.stdout.decode().split("\0")[:-1] == (words or [""])
