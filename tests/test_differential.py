"""Every pipeline in tests/pipelines, run directly and queued, leaves the same."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from support.differential import differences, run_both, tools_for
from support.person import USER, Person

# For all pipelines: how they are run beside directly.
MODE = os.environ.get("SHIM_TEST_MODE", "queue")
# `real`: every plain call is to have the id of its job; not set: those whose scripts name it.
IDS = os.environ.get("SHIM_TEST_IDS", "")
IDS_OF = re.compile(rb"^# ids: (real|auto)$", re.M)
WAITS = re.compile(rb"^# waits$", re.M)
AS_OPERATOR = re.compile(rb"^# as operator$", re.M)
NOT_AT_A_SITE = re.compile(rb"^# not at a site: .{10,120}$", re.M)
SITE = bool(os.environ.get("SHIM_TEST_SITE"))


def needs(pipeline: Path) -> list[pytest.MarkDecorator]:
    text = pipeline.read_bytes()
    return [pytest.mark.accounting] if b"sacct" in text or AS_OPERATOR.search(text) else []


PIPELINES = [
    pytest.param(path, id=path.stem, marks=needs(path))
    for path in sorted((Path(__file__).parent / "pipelines").glob("*.sh"))
    if not (SITE and NOT_AT_A_SITE.search(path.read_bytes()))
]


@pytest.mark.slurm
def test_a_site_takes_pools(person: Person) -> None:
    """Else all calls with real ids would be submitted one by one, and no pipeline would tell."""
    env = person.environment(SARRAY_MODE="queue", SARRAY_SESSION="pools", SARRAY_IDS="real")
    for _ in range(4):
        assert person.run("sbatch", "--parsable", "-o", "/dev/null", "--wrap=true", env=env).status == 0
    folder = Path(env["SARRAY_STATE_DIR"]) / "sessions/pools"
    assert not (folder / "passed").exists()
    assert [len((pool / "ids").read_text().split()) for pool in folder.glob("pools/[0-9]*")] == [3, 3]
    assert person.run("sarray-flush", "--session", "pools", env=env).status == 0
    person.settle()


@contextmanager
def operator(person: Person) -> Iterator[None]:
    """The test user may suspend jobs, and raise their priority."""
    accounting = ("sacctmgr", "-i", "-Q")
    slurm = {**os.environ, "SLURM_CONF": person.conf}
    known = subprocess.run(
        ["sacctmgr", "-n", "-P", "list", "user", USER], env=slurm, check=True, capture_output=True
    ).stdout.strip()
    if known:  # A site's user has an account, which must stay.
        commands = [["modify", "user", USER, "set", "adminlevel=Operator"]]
        undo = [["modify", "user", USER, "set", "adminlevel=None"]]
    else:
        account = ["add", "account", "operators"]
        commands = [account, ["add", "user", USER, "account=operators", "adminlevel=Operator"]]
        undo = [["delete", "user", USER], ["delete", "account", "operators"]]
    for words in commands:
        subprocess.run([*accounting, *words], env=slurm, check=True)
    try:
        yield
    finally:
        for words in undo:
            subprocess.run([*accounting, *words], env=slurm, check=True)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_says_what_it_shows(pipeline: Path) -> None:
    first = pipeline.read_text(errors="replace").split("\n", 1)[0]
    assert re.fullmatch(r"# shows: .{10,120}", first), first


@pytest.mark.slurm
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_leaves_the_same(person: Person, scratch: Path, pipeline: Path) -> None:
    """
    Run a pipeline in both ways.

    Comments in it say more: `# shows:` first; `# arrays: N`, its submissions on a cluster where nothing keeps calls
    apart; `# waits`, that it needs auto mode; `# as operator`, who runs it; `# not at a site: WHY`, a limit that
    docs/limits.md tells too; `# ids: WAY`, the value of SARRAY_IDS. With SHIM_TEST_MODE=auto all are run so.
    """
    copy = tools_for(pipeline, scratch / "tools")
    with operator(person) if AS_OPERATOR.search(pipeline.read_bytes()) else nullcontext():
        mode = "auto" if WAITS.search(pipeline.read_bytes()) else MODE
        given = IDS_OF.search(pipeline.read_bytes())
        ids = given[1].decode() if given else IDS
        direct, queued, flushed = run_both(person, copy, copy.parent, mode, ids)
    found = differences(direct, queued)
    assert not found, f"{found}\n== sarray-flush: exit status {flushed.status}\n{flushed.err.decode()}"
    assert b"gave up" not in direct.err, direct.err.decode()
    assert direct.files, "the pipeline left nothing that could differ"
    wanted = re.search(r"^# arrays: (\d+)", pipeline.read_text(errors="replace"), re.M)
    if (
        wanted and not SITE and mode == "queue" and not (IDS and not given)
    ):  # A site's task prolog sees each environment, so calls that differ in it stay apart.
        assert len(flushed.out.splitlines()) == int(wanted.group(1)), flushed.err.decode()
        assert flushed.status == 0, flushed.err.decode()
