"""Calls, environments and bytes for Hypothesis; each call is built as the flush builds it, with a real session."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from itertools import accumulate

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sbatch_shim.merge.plan import Array, Placed
from sbatch_shim.spool import FIRST_TICKET, Session, open_state
from sbatch_shim.state.calls import Call, Environment
from sbatch_shim.state.dependency import Dependency

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
QUICK = settings(max_examples=150, deadline=None, database=None, suppress_health_check=SLOW)
PROCESSES = settings(max_examples=30, deadline=None, database=None, suppress_health_check=SLOW)


@cache
def session() -> Session:
    """One session in a folder of its own, for the bodies that calls name."""
    state = tempfile.mkdtemp(prefix="shim-unit-")
    atexit.register(shutil.rmtree, state, ignore_errors=True)
    open_state(os.fsencode(state) + b"/state")
    made = Session(os.fsencode(state) + b"/state", b"unit")
    made.make()
    return made


@cache
def kept(body: bytes) -> bytes:
    """The hash of a body that the session holds from now on."""
    return session().keep_blob(body)


def environment(*, base: dict[bytes, bytes] | None = None, **changed: bytes) -> Environment:
    return Environment({} if base is None else base, frozenset(), {k.encode(): v for k, v in changed.items()})


def call(
    number: int = 0,
    options: dict[str, bytes | None] | None = None,
    *,
    body: bytes = b"#!/bin/sh\n",
    env: Environment | None = None,
    **fields: object,
) -> Call:
    """A call that is like all others but for what is named; `number` counts tickets from the first one."""
    values: dict[str, object] = {
        "time": 1700000000,
        "host": b"login",
        "sbatch": b"/usr/bin/sbatch",
        "cwd": b"/work",
        "umask": b"0022",
        "nice": 0,
        "limits": b"CPU=-1,NOFILE=1024",
        "source": b"file",
        "script": b"/work/job.sh",
        "arguments": [],
        **fields,
    }
    return Call(
        ticket=FIRST_TICKET + number,
        session=session(),
        body_hash=kept(body),
        environment=environment() if env is None else env,
        words=[],
        options={} if options is None else options,
        **values,  # type: ignore[arg-type]
    )


def array_of(calls: list[Call], **fields: object) -> Array:
    """An array of calls that has no options, indices from 0; a lone call keeps its own ids."""
    firsts: list[int | None] = [None]
    if len(calls) > 1:
        firsts = list(accumulate([0] + [len(one.tasks) if one.is_array else 1 for one in calls[:-1]]))
    return Array([Placed.at(*pair) for pair in zip(calls, firsts)], {}, Dependency(), **fields)  # type: ignore[arg-type]


# Bytes that shells, line formats and locales stumble over, among all others but NUL.
AWKWARD = st.sampled_from([bytes([byte]) for byte in b"\n\r\\%'\"$`=, \t\x01\x7f\x80\xc3\xff*[]~-:;|&"])
ANY_BYTE = st.integers(1, 255).map(lambda byte: bytes([byte]))


def no_nul(max_size: int = 12) -> st.SearchStrategy[bytes]:
    """Byte strings as argv, paths and values may hold them."""
    return st.lists(AWKWARD | ANY_BYTE, max_size=max_size).map(b"".join)


NAMES = st.sampled_from(
    [
        b"A",
        b"B",
        b"FOO",
        b"PATH",
        b"PWD",
        b"OLDPWD",
        b"SHLVL",
        b"_",
        b"IFS",
        b"HOME",
        b"BASH_FUNC_f%%",
        b"a.b",
        b"@",
        b"*",
        b"SLURM_NTASKS",
        b"SLURM_ARRAY_TASK_ID",
        b"SLURM_SUBMIT_DIR",
        b"SLURM_JOB_NAME",
        b"SLURMD_X",
        b"SLURM_CONF",
        b"SBATCH_ACCOUNT",
        b"SLURM_SPANK_X",
        b"SLURM_EXPORT_ENV",
        b"SLURM_CPUS_PER_TASK",
    ]
) | no_nul(6).map(lambda name: name.replace(b"=", b"") or b"N").filter(lambda name: not name.startswith(b"SARRAY_"))
VARIABLES = st.dictionaries(NAMES, no_nul(), max_size=8)


@st.composite
def environments(draw: st.DrawFn, bases: list[dict[bytes, bytes]]) -> Environment:
    """An environment told as a difference from one of the bases."""
    base = draw(st.sampled_from(bases))
    removed = draw(st.sets(st.sampled_from(sorted(base)))) if base else set()
    changed = {name: value for name, value in draw(VARIABLES).items() if name not in removed}
    return Environment(base, frozenset(removed), changed)


EXPORTS = st.sampled_from([None, b"ALL", b"all", b"NONE", b"", b"A,FOO=x", b"ALL,FOO=x", b"FOO=x,ALL", b'A="b,c",B'])
BODIES = [
    b"#!/bin/sh\n",
    b"#!/bin/bash\necho 1\n",
    b"#!/bin/sh\nscancel $SLURM_JOB_ID\n",
    b"#!/bin/sh\nscontrol show\n",
]
SPECS = st.sampled_from([b"0-3", b"1,5,9", b"1-10:4", b"7", b"1-4%2"])

# One value of each pair means the same as the other, or surely not.
OPTION_VALUES: dict[str, list[bytes | None]] = {
    "mem": [b"8G", b"8192M", b"8192", b"1G"],
    "time": [b"60", b"1:00:00", b"0-1", b"30"],
    "partition": [b"short", b"long"],
    "begin": [b"now+1hour", b"now+60minutes", b"2030-01-01"],
    "hold": [None],
    "mail-type": [b"END,FAIL", b"fail,end"],
    "output": [b"/logs/%j", b"out.%a", b"/logs/%N"],
    "error": [b"/logs/err"],
    "job-name": [b"one", b"two"],
    "chdir": [b"sub", b"/elsewhere"],
}


@st.composite
def call_lists(draw: st.DrawFn, max_size: int = 14) -> list[Call]:
    """Calls in the order of their tickets, some of which wait for earlier ones."""
    base = {b"PATH": b"/bin", b"SLURM_CONF": b"/etc/slurm.conf"}
    calls: list[Call] = []
    for number in range(draw(st.integers(0, max_size))):
        chosen = draw(st.lists(st.sampled_from(sorted(OPTION_VALUES)), max_size=2, unique=True))
        options = {name: draw(st.sampled_from(OPTION_VALUES[name])) for name in chosen}
        export = draw(EXPORTS)
        if export is not None:
            options["export"] = export
        if draw(st.integers(0, 2)) == 0:
            options["array"] = draw(SPECS)
        kind = draw(st.sampled_from(["", "", "afterok", "afternotok", "singleton"]))
        if kind == "singleton":
            options["dependency"] = b"singleton"
        elif kind and calls:
            waited = draw(
                st.lists(st.sampled_from([made.ticket for made in calls]), min_size=1, max_size=3, unique=True)
            )
            options["dependency"] = kind.encode() + b"".join(b":%d" % ticket for ticket in waited)
        calls.append(
            call(
                number,
                options,
                body=draw(st.sampled_from(BODIES)),
                env=Environment(
                    base, frozenset(), draw(st.sampled_from([{}, {b"SLURM_CONF": b"/other"}, {b"X": b"1"}]))
                ),
                umask=draw(st.sampled_from([b"0022", b"0022", b"0077"])),
                time=1700000000 + draw(st.integers(0, 1)),
                cwd=draw(st.sampled_from([b"/work", b"/other"])),
            )
        )
    return calls
