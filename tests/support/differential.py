"""
Run a legacy pipeline directly and queued, and compare everything that it leaves.

Both runs happen in the same folder, one after the other, so that paths are equal. Ids that were printed are
compared by their order: in both runs `<id 1>` is the first one that the pipeline was told.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from support.clerks import Clerk
from support.person import SYSTEM_PATH, Person, Result

HERE = Path(__file__).parent
# Every pipeline has a clerk from its first call on.
CLERK = bool(os.environ.get("SHIM_TEST_CLERK"))

# The test cluster counts from 500001; tickets have ten digits.
ID = re.compile(rb"(?<![0-9])(?:5[0-9]{5}|[12][0-9]{9})(?![0-9])")
# Every job has one since 26.05, in Crockford's base 32; no two are equal.
SLUID = re.compile(rb"\bs[0-9A-HJKMNP-TV-Z]{13}\b")


@dataclass
class Trace:
    """Everything that a run left: what the pipeline printed, and each file by its normalised name."""

    status: int
    out: bytes
    err: bytes
    files: dict[bytes, tuple[int, bytes]]


def tools_for(pipeline: Path, tools: Path) -> Path:
    """Copy a pipeline, and what it needs, into a folder that the user can read; returns the copy."""
    tools.mkdir(exist_ok=True)
    tools.chmod(0o755)
    for path in (HERE / "probe.py", HERE / "lib.sh", pipeline):
        shutil.copy(path, tools)
        (tools / path.name).chmod(0o755)
    return tools / pipeline.name


def normalise(data: bytes, known: list[bytes], prefix: Path) -> bytes:
    def name(match: re.Match[bytes]) -> bytes:
        found = match.group()
        return b"<id %d>" % (known.index(found) + 1) if found in known else b"<other id>"

    data = re.sub(rb"(job)\d{5,}(/slurm_script)", rb"\1<raw>\2", data)
    data = SLUID.sub(b"<sluid>", data)  # first, since its digits may be like an id
    data = ID.sub(name, data)
    data = data.replace(b"%s/shims:" % os.fsencode(prefix), b"")
    # The times and process ids that Slurm writes into its own lines.
    data = re.sub(rb"AT \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", b"AT <time>", data)
    data = re.sub(rb"^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\] error: ", b"[<time>] error: ", data, flags=re.M)
    # A process ended by itself between slurmstepd's look and its signal: a race of Slurm's own, directly and merged.
    return re.sub(rb"^slurmstepd[^\n]*: failed signal 18 [^\n]* No such process\n", b"", data, flags=re.M)


def trace(result: Result, work: Path, prefix: Path) -> Trace:
    known = list(dict.fromkeys(ID.findall(result.out)))
    files = {}
    for path in sorted(work.rglob("*")):
        name = normalise(os.fsencode(path.relative_to(work)), known, prefix)
        if path.is_file():
            data = path.read_bytes()
            if name.endswith(b".unordered"):
                data = b"\n".join(sorted(data.split(b"\n")))
            files[name] = (path.lstat().st_mode & 0o7777, normalise(data, known, prefix))
        elif path.is_dir():
            files[name + b"/"] = (path.stat().st_mode & 0o7777, b"")
    return Trace(
        result.status,
        normalise(result.out, known, prefix),
        normalise(result.err, known, prefix),
        files,
    )


def run_both(
    person: Person, pipeline: Path, tools: Path, mode: str = "queue", ids: str = ""
) -> tuple[Trace, Trace, Result]:
    """
    The pipeline's traces, direct and in `mode`, and what the sarray-flush at the end said.

    Args:
        ids: SARRAY_IDS, empty for none.
    """
    work = person.home / "work"
    traces = []
    flushed = Result(0, b"", b"")
    for queued in (False, True):
        work.mkdir()
        work.chmod(0o755)
        person.own(work)
        # A site's task prolog (tests/slurm/site) takes the second one away.
        more = {"TOOLS": str(tools), "SITE_LOGIN_ONLY": "not for jobs"}
        if queued:
            more.update(SARRAY_MODE=mode, SARRAY_SESSION="differential", SARRAY_IDLE="0.3")
            more.update({"SARRAY_IDS": ids} if ids else {})
        else:
            more["PATH"] = SYSTEM_PATH
        environment = person.environment(**more)
        if not queued:
            del environment["SARRAY_STATE_DIR"]
        with Clerk(person, "differential") if CLERK and queued and mode == "queue" else nullcontext():
            result = person.run("/bin/bash", str(pipeline), cwd=work, env=environment)
        if queued:
            flushed = person.run(
                str(person.prefix / "bin" / "sarray-flush"),
                env=person.environment(SARRAY_SESSION="differential", STRANGER="must not reach a job"),
            )
        person.settle()
        traces.append(trace(result, work, person.prefix))
        kept = person.home / ("queued" if queued else "direct")
        shutil.move(work, kept)
    return traces[0], traces[1], flushed


def differences(direct: Trace, queued: Trace) -> str:
    """All that differs, as text; empty when nothing does."""
    found = []
    if direct.status != queued.status:
        found.append(f"exit status {direct.status} directly, {queued.status} queued")
    pairs = [("stdout", direct.out, queued.out), ("stderr", direct.err, queued.err)]
    for name in sorted(direct.files.keys() | queued.files.keys()):
        missing = (0, b"(no such file)\n")
        one, other = direct.files.get(name, missing), queued.files.get(name, missing)
        if one[0] != other[0]:
            found.append(f"{name!r}: mode {one[0]:o} directly, {other[0]:o} queued")
        pairs.append((repr(name), one[1], other[1]))
    for title, before, after in pairs:
        if before != after:
            lines = [data.decode("utf-8", "backslashreplace").split("\n") for data in (before, after)]
            found += [f"== {title}", *difflib.unified_diff(*lines, "direct", "queued", lineterm="", n=0)]
    return "\n".join(found)
