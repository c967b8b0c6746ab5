"""Rendered arrays, run by bash: each task becomes the job that was asked for, byte for byte."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import NAMES, PROCESSES, array_of, call, no_nul

from sbatch_shim.flush.backends.sbatch import limits_of
from sbatch_shim.merge.environment import SPANK_PREFIX, SUBMIT_VARIABLES, for_job
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.render import common_folder, render
from sbatch_shim.merge.tables import Opening, escape
from sbatch_shim.state.calls import Call, Environment

PROBE = """#!%s -IS
import os, sys
with open("/proc/self/cmdline", "rb") as stream:
    words = stream.read().split(b"\\0")[:-1]
with open("/proc/self/environ", "rb") as stream:
    environment = stream.read().split(b"\\0")[:-1]
with open(words[3], "rb") as stream:
    body = stream.read()
seen = {"file": words[3], "words": words[4:], "env": environment, "body": body}
print(repr({**seen, "cwd": os.getcwdb(), "pid": os.getpid()}))
"""


@cache
def workshop() -> Path:
    """A folder that lasts as long as the tests, with the probe that scripts name as their interpreter."""
    keeper = tempfile.TemporaryDirectory(prefix="shim-render-")
    workshop.keeper = keeper  # type: ignore[attr-defined]
    folder = Path(keeper.name).resolve()
    (folder / "probe").write_text(PROBE % sys.executable)
    (folder / "probe").chmod(0o700)
    return folder


def folder(name: bytes) -> bytes:
    """A folder of that name, as awkward as it may be."""
    path = os.fsencode(workshop()) + b"/in" + name.replace(b"/", b"_")
    os.makedirs(path, exist_ok=True)
    return path


def probe_body(rest: bytes = b"") -> bytes:
    return b"#!" + os.fsencode(workshop()) + b"/probe\n" + rest


def run(
    array: Array,
    index: int,
    *,
    as_slurm: bool = False,
    node: dict[bytes, bytes] | None = None,
    change: Callable[[bytes], bytes] = lambda script: script,
) -> dict[str, Any]:
    """Run one task; what the probe saw, and the pid that was started. Nothing may be said on stderr."""
    script, submit = render(array, Limits())
    script = change(script)
    private = tempfile.mkdtemp(dir=workshop())
    path = os.path.join(private, "slurm_script" if as_slurm else "script")
    with open(path, "wb") as stream:
        stream.write(script)
    os.chmod(path, 0o700)
    environment = {**submit, **(node or {})}
    environment[b"SLURM_ARRAY_TASK_ID" if as_slurm else b"SARRAY_TASK"] = b"%d" % index
    process = subprocess.Popen(
        [path] if as_slurm else ["/bin/bash", "-p", path],
        cwd=common_folder(array) or b"/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, b"")
    seen: dict[str, Any] = ast.literal_eval(out.decode())
    if as_slurm:
        assert seen["file"] == os.fsencode(path)
        assert seen["pid"] == process.pid
    else:
        assert not os.path.exists(seen["file"])
    return seen


def check(seen: dict[str, Any], made: Call, task: int | None) -> None:
    """What the task saw is what its call asked for."""
    assert seen["words"] == made.arguments
    assert seen["body"] == made.body()
    assert seen["cwd"] == made.folder
    wanted = for_job(made, launch_sets_name=False).whole()
    if task is None:
        assert dict(entry.split(b"=", 1) for entry in seen["env"]) == wanted
    else:
        ids = made.tasks
        wanted[b"SLURM_ARRAY_JOB_ID"] = b"%d" % made.ticket
        wanted[b"SLURM_ARRAY_TASK_ID"] = b"%d" % task
        wanted[b"SLURM_ARRAY_TASK_COUNT"] = b"%d" % len(ids)
        wanted[b"SLURM_ARRAY_TASK_MIN"] = b"%d" % ids[0]
        wanted[b"SLURM_ARRAY_TASK_MAX"] = b"%d" % ids[-1]
        wanted[b"SLURM_ARRAY_TASK_STEP"] = b"3"
        assert dict(entry.split(b"=", 1) for entry in seen["env"]) == wanted
    assert len(seen["env"]) == len(wanted)


# Left out: what bash itself reports on stderr (a test of its own below), and TMPDIR, which slurmstepd sees first.
VALUES = st.dictionaries(
    NAMES
    | st.sampled_from([b"body", b"call", b"common", b"entry", b"file", b"final", b"first", b"folder", b"mine", b"name"])
    | st.sampled_from(
        [b"node", b"record", b"task", b"POSIXLY_CORRECT", b"SHELLOPTS", b"BASH_ENV", b"BASHOPTS", b"CDPATH"]
    ),
    no_nul(),
    max_size=6,
).filter(lambda found: len(found.get(b"SHLVL", b"").strip()) < 4)


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """A few calls, plain and arrays, in one or in several folders; none of an array differ in what sbatch needs."""
    own = VALUES.map(
        lambda values: {k: v for k, v in values.items() if k not in SUBMIT_VARIABLES and not k.startswith(SPANK_PREFIX)}
    )
    base = draw(own)
    folders = draw(st.lists(no_nul(6), min_size=1, max_size=2))
    calls = []
    for number in range(draw(st.integers(1, 3))):
        options: dict[str, bytes | None] = {}
        if draw(st.integers(0, 2)) == 0:
            options["array"] = b"1-7:3"
        rest = draw(no_nul(40)).replace(b"\r\n", b"\r")
        removed = draw(st.sets(st.sampled_from(sorted(base)))) if base else set()
        calls.append(
            call(
                number,
                options,
                body=probe_body(rest),
                env=Environment(base, frozenset(removed), {k: v for k, v in draw(own).items() if k not in removed}),
                cwd=folder(draw(st.sampled_from(folders))),
                arguments=draw(st.lists(no_nul(), max_size=4)),
            )
        )
    return array_of(calls)


@PROCESSES
@given(arrays(), st.booleans(), st.data())
def test_a_task_is_the_job_that_was_asked_for(array: Array, as_slurm: bool, data: st.DataObject) -> None:
    """By hand, and as slurmd runs it: then the file is overwritten and executed, with the same path and pid."""
    script, _ = render(array, Limits())
    assert b"\0" not in script
    assert b"\r\n" not in script
    task = data.draw(st.sampled_from(array.tasks()))
    check(run(array, task.index, as_slurm=as_slurm), task.call, task.local_id)


@pytest.mark.parametrize("as_slurm", [False, True])
def test_all_tasks_of_an_array(as_slurm: bool) -> None:
    calls = [
        call(0, body=probe_body(b"one\\n\n\n"), cwd=folder(b"a"), arguments=[b"", b"a\nb", b"\\", b"-n", b"\xff\r\n"]),
        call(1, {"array": b"1-7:3"}, body=probe_body(b"\xfe no line end"), cwd=folder(b" b\n")),
        call(2, body=probe_body(b"one\\n\n\n"), cwd=folder(b"a"), env=Environment({}, frozenset(), {b"X": b"\\c\n\r"})),
    ]
    array = array_of(calls)
    assert len(array.tasks()) == 5
    for task in array.tasks():
        check(run(array, task.index, as_slurm=as_slurm), task.call, task.local_id)


def test_an_array_call_of_its_own_keeps_its_ids() -> None:
    made = call(0, {"array": b"1-7:3"}, body=probe_body(), cwd=folder(b"a"))
    array = array_of([made])
    for task in (1, 4, 7):
        check(run(array, task, as_slurm=True), made, task)


def test_large_arguments_bodies_and_environments_pass() -> None:
    env = Environment(
        {}, frozenset(), {b"V%d" % number: b"\\" * 100 for number in range(1000)} | {b"BIG": b"x" * 100000}
    )
    made = call(0, body=probe_body(b"\xc3\n" * 300000), cwd=folder(b"a"), env=env, arguments=[b"y" * 100000] * 3)
    check(run(array_of([made, call(1, body=probe_body())]), 0, as_slurm=True), made, None)


def test_a_temporary_folder_with_an_equals_sign() -> None:
    """By hand the script runs from a copy under TMPDIR, whose path env(1) must not take for a variable."""
    environment = Environment({}, frozenset(), {b"TMPDIR": folder(b"a=b")})
    made = call(0, body=probe_body(), cwd=folder(b"a"), env=environment)
    check(run(array_of([made]), 0), made, None)


def test_a_large_body_passes_beside_a_variable_called_body() -> None:
    """bash exports its own variable of an inherited name, which then must fit in the environment of mktemp."""
    made = call(0, body=probe_body(b"x" * 200000), cwd=folder(b"a"), env=Environment({}, frozenset(), {b"body": b"1"}))
    check(run(array_of([made]), 0), made, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"LC_ALL", b"xx_XX.UTF-8"),
        (b"LC_CTYPE", b"UTF-8"),
        (b"SHLVL", b"1000"),
        (b"BASH_COMPAT", b"x"),
        (b"BASH_XTRACEFD", b"99"),
        (b"EXECIGNORE", b"*/dd:*/env"),
        (b"FUNCNEST", b"1"),
    ],
)
def test_bash_says_nothing_about_the_calls_environment(name: bytes, value: bytes) -> None:
    """A locale that the node lacks is common; a job that is no bash script would not hear of it."""
    made = call(0, body=probe_body(), cwd=folder(b"a"), env=Environment({}, frozenset(), {name: value}))
    check(run(array_of([made]), 0, as_slurm=True), made, None)


def test_what_is_loaded_into_every_program_is_loaded_into_the_job_alone() -> None:
    """A library that is not there is complained of by each program that starts."""
    env = Environment({b"LD_PRELOAD": b"/no/such.so"}, frozenset(), {})
    array = array_of([call(number, body=b"#!/bin/sh\n:\n", cwd=folder(b"a"), env=env) for number in range(2)])
    script, submit = render(array, Limits())
    path = workshop() / "slurm_script"
    path.write_bytes(script)
    path.chmod(0o700)
    done = subprocess.run(
        [path], env={**submit, b"SLURM_ARRAY_TASK_ID": b"1"}, capture_output=True, check=True, timeout=30
    )
    assert done.stderr.count(b"/no/such.so") == 1


def test_what_the_node_sets_stays_and_what_is_ours_goes() -> None:
    """The node's values win, but for the few that tell of the array; SARRAY_* never reach the job."""
    mine = {b"SLURM_CONF": b"/mine", b"HOSTNAME": b"login", b"SLURM_NTASKS": b"leaked"}
    made = call(0, body=probe_body(), cwd=folder(b"a"), env=Environment({}, frozenset(), mine))
    told = {b"SLURM_JOB_ID": b"9", b"HOSTNAME": b"node1", b"SLURM_JOB_NAME": b"array+1", b"SLURM_ARRAY_JOB_ID": b"9"}
    seen = run(
        array_of([made, call(1, body=probe_body(), cwd=folder(b"a"))]),
        0,
        as_slurm=True,
        node={**told, b"SARRAY_X": b"1"},
    )
    environment = dict(entry.split(b"=", 1) for entry in seen["env"])
    assert environment == {
        **for_job(made, launch_sets_name=False).whole(),
        b"SLURM_JOB_ID": b"9",
        b"HOSTNAME": b"node1",
    }


ODD_NAMES = (
    *(b"a.b", b"with blank", b'"$x\\{}#', b"-u", b"two  blanks", b"line\nbreak", b"\xff", b"${shim_0}", b"*", b"'"),
    *(b"MAIL_PASSWORD", b"MAILCHECK", b"COMP_TOKEN", b"HISTFILE", b"BASH_FUNC_f%%", b"BASH_ENV", b"PS4", b"RANDOM"),
    *(b"LC_SECRET", b"LD_SECRET", b"MALLOC_SECRET_", b"PERL5OPT", b"shim_0", b"shim_entry", b"shim_words", b"words"),
    *(b"PWD", b"OLDPWD", b"_", b"PATH", b"IFS", b"line", b"undo", b"carried", b"count", b"POSIXLY_CORRECT"),
)


USUAL = {
    b"PWD": b"/no/such",
    b"OLDPWD": b"",
    b"_": b"/usr/bin/sbatch",
    b"SHLVL": b"3",
    b"LANG": b"de_DE",
    b"MAIL": b"/x",
    b"PS1": b"$ ",
    b"LC_TIME": b"C",
    b"PATH": b"/a:/b",
    b"HOME": b"/h\n",
    b"HISTSIZE": b"9",
    b"BASH_ENV": b"/e",
    b"BASH_FUNC_ml%%": b'() {  eval $(x "$@")\n}',
    b"a.b": b"\xff",
    b"line": b"1\\n",
    b"http_proxy": b"p",
    b"TMPDIR": b"/tmp",
    b"LESSOPEN": b"| x %s",
    b"TZ": b"UTC",
    b"SARRAY_X": b"1",
    b"PERL5LIB": b"/p",
}


@pytest.mark.parametrize("without", [(), (b"PWD",), (b"OLDPWD", b"SHLVL"), (b"_", b"SHLVL", b"PATH"), tuple(USUAL)])
@pytest.mark.parametrize("locale", [None, b"C.UTF-8", b"xx_XX"])
def test_a_usual_environment_needs_no_other_program(without: tuple[bytes, ...], locale: bytes | None) -> None:
    """The shell becomes the job by itself: env(1) would take as long again as an interpreter needs to start."""
    kept = {name: value for name, value in USUAL.items() if name not in without and name != b"SARRAY_X"}
    if locale is not None:
        kept[b"LC_ALL"] = locale
    arguments = [bytes([letter]) + b"\xc3\x01" for letter in range(1, 256)]
    env = Environment({}, frozenset(), kept)
    own = Environment({}, frozenset(), {**kept, b"SAMPLE": b"\xe4 \\", b"LC_TIME": b"POSIX"})
    made = call(0, body=probe_body(b"\r"), cwd=folder(b"a"), env=env, arguments=arguments)
    other = call(1, body=probe_body(), cwd=folder(b"b"), env=own, arguments=arguments)

    def without_env(script: bytes) -> bytes:
        changed = script.replace(b"/usr/bin/env", b"/usr/bin/n..")
        assert len(changed) == len(script) and changed != script
        return changed

    for index, one in enumerate((made, other)):
        node = {b"SARRAY_X": b"1", b"SLURM_JOB_NAME": b"array+1"}
        check(run(array_of([made, other]), index, as_slurm=True, node=node, change=without_env), one, None)


def as_before_coreutils_8_30(script: bytes) -> bytes:
    """The script as it behaves where bash and env(1) are old; offsets stay."""
    old = script.replace(b"BASH_VERSINFO < 5", b"BASH_VERSINFO < 9").replace(b"env -S true", b"env -/ true")
    assert len(old) == len(script)
    assert old != script
    return old


@pytest.mark.parametrize("old", [False, True])
def test_no_value_is_a_word_of_a_process(old: bool) -> None:
    """The words of a process are for every user of the node to read (/proc/PID/cmdline)."""
    env = Environment({}, frozenset(), {name: b"secret \\ ${shim_1}\n\"'%d" % at for at, name in enumerate(ODD_NAMES)})
    made = call(0, body=probe_body(), cwd=folder(b"a"), env=env)
    script, submit = render(array_of([made, call(1, body=probe_body())]), Limits())
    path = workshop() / "traced"
    path.write_bytes(as_before_coreutils_8_30(script) if old else script)
    done = subprocess.run(
        ["/bin/bash", "-px", path], env={**submit, b"SARRAY_TASK": b"0"}, capture_output=True, check=True, timeout=30
    )
    seen = ast.literal_eval(done.stdout.decode())
    check(seen, made, None)
    words = [line for line in done.stderr.split(b"\n") if re.match(rb"\++ (exec|dd|perl|mkdir|mktemp|chmod|rm) ", line)]
    assert any(b"exec /usr/bin/perl" in line if old else b"exec /usr/bin/env" in line for line in words)
    assert not [line for line in words if b"secret" in line]


def test_more_odd_names_than_one_word_can_hold() -> None:
    """The kernel takes 128 KiB in a word."""
    names = [b"%d." % number + b"n" * 200 for number in range(1500)]
    env = Environment({}, frozenset(), {name: b"of " + name for name in [*names, b"PWD", b"LC_ALL", b"shim_3"]})
    made = call(0, body=probe_body(), cwd=folder(b"a"), env=env)
    check(run(array_of([made]), 0, as_slurm=True), made, None)


@pytest.mark.parametrize("perl", [True, False])
@pytest.mark.parametrize("path", ["{0}/made", "made/", "deep/made", "{0}/-made", "a  b"])
def test_tasks_that_make_the_same_temporary_folder_at_once(path: str, perl: bool) -> None:
    """slurmstepd makes a missing TMPDIR, and does not mind who was first; a relative one is in the job's folder."""
    home = folder(b"tmpdir-%d-of-" % perl + path.replace("/", "_").encode())
    wanted = path.format(home.decode()).encode()
    os.makedirs(home + b"/deep", exist_ok=True)
    env = Environment({}, frozenset(), {b"TMPDIR": wanted})
    made = [call(number, body=probe_body(), cwd=home, env=env) for number in range(2)]
    array = array_of([*made, call(2, body=probe_body(), cwd=folder(b"elsewhere"))])
    # A mkdir that another task was faster than: the race, without its chance.
    tools = tempfile.mkdtemp(prefix="t", dir="/tmp")
    Path(tools, "mkdir").write_text('#!/bin/sh\n/bin/mkdir "$@"\nexec /bin/mkdir "$@"\n')
    Path(tools, "mkdir").chmod(0o755)

    def with_a_rival(script: bytes) -> bytes:
        before = b"    PATH=/usr/bin:/bin\n"
        after = b"    PATH=%s:/bin" % os.fsencode(tools)
        assert script.count(before) == 1
        script = script.replace(before, after + b" " * (len(before) - len(after) - 1) + b"\n")
        return script if perl else script.replace(b"-x /usr/bin/perl", b"-x /usr/bin/no..")

    before = os.umask(0o102)
    try:
        for index in (0, 1):
            node = {b"TMPDIR": b"/tmp"}
            check(run(array, index, as_slurm=True, node=node, change=with_a_rival), made[index], None)
    finally:
        os.umask(before)
        shutil.rmtree(tools)
    assert os.stat(os.path.join(home, wanted)).st_mode & 0o7777 == 0o600


def test_the_program_does_not_grow_with_the_number_of_calls() -> None:
    def program(count: int) -> bytes:
        script, _ = render(array_of([call(number, body=probe_body()) for number in range(count)]), Limits())
        end = b'exit "$shim_status"\n}\n'
        return script[: script.index(end) + len(end)]

    small, large = program(2), program(1000)
    assert small.endswith(b"\n}\n")
    assert large.endswith(b"\n}\n")
    assert len(large) - len(small) < 60  # digits of offsets and counts


@pytest.mark.parametrize(
    ("log_time", "expected"),
    [
        ("iso8601_ms", rb"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\]"),
        ("iso8601", rb"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\]"),
        ("rfc5424", rb"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d\]"),
        ("rfc5424_ms", rb"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d\]"),
        ("short", rb"\[[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d\]"),
    ],
)
def test_since_25_05_the_lines_of_the_node_begin_with_a_time(tmp_path: Path, log_time: str, expected: bytes) -> None:
    limits = limits_of({"SLURM_VERSION": "26.05.5", "LogTimeFormat": log_time})
    path = tmp_path / "slurm_script"
    path.write_bytes(render(array_of([call(0, body=b"#!/no/such\n")]), limits)[0])
    done = subprocess.run(["bash", str(path)], env={"TZ": "Asia/Tokyo"}, capture_output=True, check=False)
    said = re.fullmatch(expected + rb" error: (.*)\n", done.stderr)
    assert said, done.stderr
    assert said[1] == b"execve(): bad interpreter(/no/such): No such file or directory"


def test_before_25_05_the_lines_of_the_node_begin_with_its_name() -> None:
    assert limits_of({"SLURM_VERSION": "24.11.5", "LogTimeFormat": "iso8601_ms"}).time_format == ""


def test_a_body_stands_once_however_many_calls_run_it() -> None:
    calls = [call(number, body=probe_body(b"once")) for number in range(50)]
    assert render(array_of(calls), Limits())[0].count(probe_body(b"once")) == 1


def test_names_cannot_leave_their_comment() -> None:
    made = call(0, {"job-name": b"x\n#SBATCH --hold\n\xff"}, body=b"#!/bin/sh\n")
    assert not [line for line in render(array_of([made]), Limits())[0].split(b"\n") if line.startswith(b"#SBATCH")]


@PROCESSES
@given(no_nul())
def test_an_escaped_field_is_one_line(field: bytes) -> None:
    line = escape(field)
    assert b"\n" not in line and b"\r" not in line
    assert re.sub(rb"\\(.)", lambda found: {b"n": b"\n", b"r": b"\r", b"\\": b"\\"}[found[1]], line) == field


@pytest.mark.parametrize("host", ["login", "node"])
@pytest.mark.parametrize("seen", [True, False])
def test_a_task_on_another_host_that_sees_the_state_folder_says_so(tmp_path: Path, host: str, seen: bool) -> None:
    mark, own_script = tmp_path / "mark", tmp_path / "script"
    if seen:
        own_script.touch()
    logs = {0: tmp_path / "log0", 1: tmp_path / "odd \\ %d\n"}
    paths = {"output": {index: bytes(path) for index, path in logs.items()}}
    here = Path("/proc/sys/kernel/hostname").read_text().strip() if host == "login" else "no host is called this"
    array = array_of([call(number, body=b"#!/bin/sh\necho told; echo more >&2\n") for number in logs])
    script, _ = render(array, Limits(), opening=Opening(paths, here, bytes(own_script), bytes(mark)))
    for index, log in logs.items():
        path = tmp_path / "slurm_script"
        path.write_bytes(script)
        path.chmod(0o700)
        done = subprocess.run([path], env={"SLURM_ARRAY_TASK_ID": str(index)}, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert log.read_bytes() == b"told\nmore\n"
    assert mark.exists() == (seen and host == "node")


@pytest.mark.parametrize(("restarts", "expected"), [(None, b"told\n"), ("1", b"before\ntold\n")])
def test_the_log_of_a_job_that_was_requeued_is_appended_to(
    tmp_path: Path, restarts: str | None, expected: bytes
) -> None:
    """As slurmd does, whatever --open-mode says (seen on 22.05)."""
    paths = {"output": {index: bytes(tmp_path / f"log{index}") for index in range(2)}}
    array = array_of([call(number, body=b"#!/bin/sh\necho told\n") for number in range(2)])
    path, log = tmp_path / "slurm_script", tmp_path / "log1"
    path.write_bytes(render(array, Limits(), opening=Opening(paths, "here", b"/no/script", b""))[0])
    path.chmod(0o700)
    log.write_bytes(b"before\n")
    environment = {"SLURM_ARRAY_TASK_ID": "1", **({"SLURM_RESTART_COUNT": restarts} if restarts else {})}
    subprocess.run([str(path)], env=environment, stdin=subprocess.DEVNULL, check=True)
    assert log.read_bytes() == expected


@pytest.mark.parametrize("size", [0, 100, 40_000, 200_000])
def test_a_body_of_any_bytes_is_written_as_it_is(tmp_path: Path, size: int) -> None:
    """A short one stands in front of the tables and is read by bash, a long one behind them."""
    text = b"#!/bin/cat\n" + bytes(set(range(1, 256))) + b"\\n\\\xc3\xa9\r\n\n" + b"x" * size + b"\n\n"
    path = tmp_path / "slurm_script"
    calls = [call(number, body=text) for number in range(2100)]
    path.write_bytes(render(array_of(calls), Limits())[0])
    path.chmod(0o700)
    for index in ("0", "2099"):
        path.write_bytes(render(array_of(calls), Limits())[0])
        done = subprocess.run([str(path)], env={"SLURM_ARRAY_TASK_ID": index}, capture_output=True, check=False)
        assert done.stdout == text, (done.stderr, len(done.stdout))
