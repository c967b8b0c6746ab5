"""#SBATCH lines by Slurm's rules."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import QUICK

from sbatch_shim.directives import directive_words, words_of
from sbatch_shim.errors import HandOver
from sbatch_shim.merge.meaning import array_options
from sbatch_shim.request import combine, from_directives, understand


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"#!/bin/sh\n#SBATCH -n 2\n#SBATCH --mem=1\n", b"-n 2 --mem=1"),
        (b"#!/bin/sh\n#SBATCH--mem=1\n", b"--mem=1"),
        (b"#!/bin/sh\n #SBATCH -H\n#sbatch -H\n##SBATCH -H\n# SBATCH -H\n", b""),
        (b"#!/bin/sh\n\n  # note\n\t\n#SBATCH -H\n", b"-H"),
        (b"#!/bin/sh\n#SBATCH -H\ntrue\n#SBATCH -n2\n", b"-H"),
        (b"#!/bin/sh\n  true\n#SBATCH -n2\n", b""),
        (b"#!/bin/sh\n#SBATCH -o a#b.out\n#SBATCH -H # why\n", b"-o a -H"),
        (b"#!/bin/sh\n#SBATCH -H", b"-H"),
        (b"#!/bin/sh\n#SBATCH -J\n#SBATCH --mem=10\n", b"-J --mem=10"),
        (b"#!/bin/sh\n#SBATCH\t-n\t2  -H \n", b"-n 2 -H"),
        (b"#!/bin/sh\n#SBATCH -o $HOME/%j\n", b"-o $HOME/%j"),
        (b"#SBATCH -H\n", b"-H"),
        (b"", b""),
    ],
)
def test_where_directives_stand(script: bytes, words: bytes) -> None:
    assert directive_words(script, ignore_pbs=True) == words.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b""" --comment="a b" -J 'c d' """, [b"--comment=a b", b"-J", b"c d"]),
        (b""" -J a"b c"'d e'f""", [b"-J", b"ab cd ef"]),
        (b""" --comment="" -H""", [b"--comment=", b"-H"]),
        (b""" -J "it's" -H""", [b"-J", b"it's", b"-H"]),
        (b""" -J 'say "x"'""", [b"-J", b'say "x"']),
        (b""" -o "a#b" # "open""", [b"-o", b"a#b"]),
    ],
)
def test_quotes(line: bytes, words: list[bytes]) -> None:
    assert words_of(line) == words


@pytest.mark.parametrize(
    "line", [b' -J ""', b" -J '' -H", b' -J "open', b" -J it's", b" -J a\\ b", b" -H\r", b" -J a\vb"]
)
def test_lines_that_versions_read_otherwise_are_handed_over(line: bytes) -> None:
    with pytest.raises(HandOver):
        words_of(line)


@QUICK
@given(st.text(st.sampled_from("ab-=%/ \t'\"#"), max_size=12))
def test_words_are_those_of_a_shell_without_expansion(line: str) -> None:
    """shlex splits alike but for a bare #, which here also ends a word, and for what is handed over."""
    try:
        found = words_of(line.encode())
    except HandOver:
        return
    reader = shlex.shlex(line, posix=True, punctuation_chars=False)
    reader.whitespace_split, reader.escape, reader.commenters = True, "", "#"
    wanted: list[str] = []
    try:
        wanted = list(reader)
    except ValueError:  # an open quote behind a comment sign within a word
        assert "#" in line
    if "#" not in line:
        assert [word.decode() for word in found] == wanted


@pytest.mark.parametrize("magic", [b"#PBS", b"#BSUB"])
def test_foreign_directives_are_handed_over_unless_ignored(magic: bytes) -> None:
    script = b"#!/bin/sh\n#SBATCH -H\n" + magic + b" -x\n"
    with pytest.raises(HandOver):
        directive_words(script, ignore_pbs=False)
    assert directive_words(script, ignore_pbs=True) == [b"-H"]
    assert directive_words(b"#!/bin/sh\necho 'a " + magic + b"'\n", ignore_pbs=False) == []


@pytest.mark.parametrize(
    "script",
    [
        b"#!/bin/sh\n#SLURM -H\n",
        b"#!/bin/sh\n#SBATCH hetjob\n",
        b"#!/bin/sh\n#SBATCH -H\n#SBATCH packjob\n",
        b"#!/bin/sh\n#SBATCH : -n 2\n",
        b"#!/bin/sh\n#SBATCH stray\n",
        b"#!/bin/sh\n#SBATCH -H -- more\n",
        b"#!/bin/sh\n#SBATCHx\n",
        b"#!/bin/sh\n#SBATCH --nosuch\n",
    ],
)
def test_what_sbatch_refuses_or_splits_is_handed_over(script: bytes) -> None:
    with pytest.raises(HandOver):
        from_directives(script, ignore_pbs=True)


def test_early_options_and_wrap_do_nothing_in_directives() -> None:
    script = b"#!/bin/sh\n#SBATCH -Q -v --help --usage --version --wrap=x -n 2 --parsable\n"
    assert from_directives(script, ignore_pbs=True) == [("ntasks", b"2"), ("parsable", None)]


def test_the_command_line_beats_variables_which_beat_directives() -> None:
    script = b"#!/bin/sh\n#SBATCH -p a -A a -t 1 --mail-type=END\n"
    request, _ = understand(
        [b"-p", b"c", b"--mail-type=FAIL", b"x"], {b"SBATCH_PARTITION": b"b", b"SBATCH_ACCOUNT": b"b"}, script
    )
    assert request.options == {"partition": b"c", "account": b"b", "time": b"1", "mail-type": b"END,FAIL"}


def test_an_empty_array_or_dependency_takes_back_an_earlier_one() -> None:
    taken_back = combine([[("array", b"1-3"), ("dependency", b"singleton")], [("array", b""), ("dependency", b"")]])
    # The job sees the empty dependency.
    assert taken_back == {"dependency": b""}
    assert array_options(taken_back, 0) == {}


@pytest.mark.parametrize(
    "line",
    [
        "-n 4 --ntasks-per-node=2 -N 1",
        "-n 9 --ntasks-per-node=2 -N 2-4",
        "-n 2 -N 3",
        "-t 5 --time-min=6",
        "--mail-type=END --mail-type=NONE",
        "--mail-type=NONE --mail-type=END",
        "--ntasks-per-gpu=1 --ntasks-per-node=1",
        "--ntasks-per-gpu=1 --tasks-per-node=1",
        "--ntasks-per-gpu=1 --gpus-per-socket=1",
        "--ntasks-per-gpu=1 --gpus-per-task=1",
        "--cpus-per-gpu=1 -c 1",
        "--gpus-per-node=1 --gres=shard:1,gpu:a100:1",
    ],
)
def test_what_contradicts_itself_is_handed_over(line: str) -> None:
    with pytest.raises(HandOver):
        understand([*line.encode().split(), b"x"], {}, b"#!/bin/sh\n")


@pytest.mark.parametrize(
    "line",
    [
        "-n 4 --ntasks-per-node=2",
        "-n 4 --ntasks-per-node=2 -N 2",
        "-n 2 --ntasks-per-node=4 -N 1",
        "-n 3 --ntasks-per-node=2 -N 2",
        "-n 8 --tasks-per-node=2 -N 2-4",
        "-t UNLIMITED --time-min=6",
        "-t 6 --time-min=6",
        "-t 6:30 --time-min=6:01",
    ],
)
def test_what_does_not_contradict_itself_is_understood(line: str) -> None:
    understand([*line.encode().split(), b"x"], {}, b"#!/bin/sh\n")


def test_no_mail_is_the_same_as_no_word_about_mail() -> None:
    assert understand([b"--mail-type=none", b"x"], {}, b"#!/bin/sh\n")[0].options == {}
    with pytest.raises(HandOver):
        understand([b"--mail-type=none", b"x"], {}, b"#!/bin/sh\n#SBATCH --mail-type=END\n")
