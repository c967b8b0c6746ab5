"""Odd calls end to end: bodies, arguments, environments and log names come out of the dispatcher byte for byte."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.person import SYSTEM_PATH, Person

# What shells, printf, sbatch's patterns and our own tables might trip over.
PIECES = [
    *(b"$(touch evil)", b"`touch evil`", b"${HOME}", b"$$", b";touch evil;", b">evil", b"|", b"&", b"#", b"!", b"~"),
    *(b"\\", b"\\n", b"\\x41", b"%s", b"%%", b"'", b'"', b"''", b"*", b"?", b"[a-z]", b"{a,b}", b"@", b"k", b"--"),
    *(b"\t", b" ", b"\n", b"\r", b"\x01", b"\x7f", b"\x1b[31m", b"\xff", b"\xc3\xa4", b"\xe2\x80\xae"),
    *(b"EOF", b"{{ x }}", b"{% raw %}", b"end 1000000000", b"a" * 50),
]
LOG_PIECES = [
    *(b"%j", b"%A", b"%x", b"%u", b"%%", b"'", b'"', b"$HOME", b"`x`", b";", b"*", b"&", b"~", b"{", b"\xc3\xa4", b" x")
]
# A job that writes down all that it was given, and its own script.
BODY = b"""#!/bin/bash
echo "$NUMBER"
{ printf '%s\\0' "$@"; printf 'end\\0'; cat /proc/self/environ; } >"$SAW" && cp "$0" "$SAW.body"
exit 0
: """


@dataclass
class OddCall:
    """A call, and what its job must see."""

    number: int
    words: list[bytes]
    arguments: list[bytes]
    variables: dict[bytes, bytes]
    body: bytes
    log: bytes
    ticket: int = 0


def odd(chance: random.Random, longest: int = 6) -> bytes:
    return b"".join(chance.choice(PIECES) for _ in range(chance.randrange(longest)))


def odd_calls(person: Person, chance: random.Random, count: int) -> Iterator[OddCall]:
    """Queue `count` odd calls."""
    (person.home / "logs").mkdir()
    (person.home / "calls").mkdir()
    person.own(person.home)
    path = f"{person.prefix}/shims:{person.home}/site:{SYSTEM_PATH}"
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="test", PATH=path)
    base = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
    for number in range(count):
        arguments = [odd(chance) for _ in range(chance.randrange(5))]
        endings = [b"", b".x", b"%%", b" y", b"\xff", b"()"]
        variables = {b"V%d" % at + chance.choice(endings): odd(chance) for at in range(chance.randrange(4))}
        variables[b"SAW"] = os.fsencode(person.home / f"saw.{number}")
        variables[b"NUMBER"] = b"%d" % number
        # sbatch refuses line ends of DOS.
        body = BODY + re.sub(rb"\r+\n", b"", odd(chance, 40) + chance.choice([b"", b"\n", b"\n\n"]))
        script = person.home / f"calls/{number}"
        script.write_bytes(body)
        log = b"%d." % number + b"".join(chance.choice(LOG_PIECES) for _ in range(chance.randrange(4))) + b"z"
        words = [b"sbatch", b"--parsable", b"-o", b"logs/" + log, os.fsencode(script), *arguments]
        done = person.run(*words, env={**base, **variables})  # type: ignore[dict-item]
        assert (done.status, done.err) == (0, b""), (words, variables)
        call = OddCall(number, words, arguments, variables, body, log, int(done.out))
        assert 10**9 <= call.ticket < 2**31, "it was handed over: %s" % call
        yield call


def check(person: Person, call: OddCall) -> None:
    """The job saw what the call had."""
    saw = (person.home / f"saw.{call.number}").read_bytes()
    # With no arguments printf writes one empty field all the same.
    fields = saw.split(b"\0", max(1, len(call.arguments)))
    assert fields[:-1] == (call.arguments or [b""]), call.words
    assert fields[-1].startswith(b"end\0")
    environment = fields[-1][4:]
    found = dict(entry.partition(b"=")[::2] for entry in environment.split(b"\0") if entry)
    assert {name: found.get(name) for name in call.variables} == call.variables
    assert not [name for name in found if name.startswith(b"SARRAY_")]
    assert (person.home / f"saw.{call.number}.body").read_bytes() == call.body


def odd_calls_come_out_as_they_went_in(person: Person, count: int, seed: int) -> None:
    """Each as a task of its array's script, run by hand; what stands for sbatch only answers."""
    print(f"seed {seed}")
    (person.home / "site").mkdir()
    (person.home / "site/sbatch").write_text("#!/bin/sh\necho $$\n")
    (person.home / "site/sbatch").chmod(0o755)
    calls = {call.ticket: call for call in odd_calls(person, random.Random(seed), count)}
    document = json.loads(person.flush("--json").out)
    ran = 0
    for array in document["arrays"]:
        assert len(array["tickets"]) == array["tasks"]
        last = array["tasks"] - 1
        script = f"for i in $(seq 0 {last}); do SARRAY_TASK=$i bash {array['script']} </dev/null || exit; done"
        done = person.run("bash", "-c", script, timeout=3600)
        assert (done.status, done.err) == (0, b"")
        assert done.out.split() == [b"%d" % calls[ticket].number for ticket in array["tickets"]]
        ran += array["tasks"]
    assert ran == count
    for call in calls.values():
        check(person, call)
    assert not list(person.home.rglob("evil"))


@pytest.mark.slurm
def test_odd_calls_by_hand(person: Person) -> None:
    odd_calls_come_out_as_they_went_in(person, 300, seed=1)


@pytest.mark.slurm
def test_odd_calls_on_the_cluster(person: Person) -> None:
    """With their log files, which Slurm opens."""
    calls = list(odd_calls(person, random.Random(2), 30))
    done = person.flush()
    assert done.status == 0, done.err
    person.settle()
    expected = {}
    for call in calls:
        check(person, call)
        values = {b"j": b"%d" % call.ticket, b"A": b"%d" % call.ticket, b"%": b"%"}
        values |= {b"x": b"%d" % call.number, b"u": os.fsencode(person.environment()["USER"])}
        name = re.sub(rb"%(.)", lambda found, values=values: values[found.group(1)], call.log)
        expected[name] = b"%d\n" % call.number
    logs = Path(person.home / "logs")
    assert {os.fsencode(path.name): path.read_bytes() for path in logs.iterdir()} == expected
    assert not list(person.home.rglob("evil"))
