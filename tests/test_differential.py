"""Every pipeline in tests/pipelines, run directly and queued, leaves the same."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import Person
from differential import differences, run_both

PIPELINES = [
    pytest.param(path, id=path.stem, marks=pytest.mark.accounting if b"sacct" in path.read_bytes() else ())
    for path in sorted((Path(__file__).parent / "pipelines").glob("*.sh"))
]


@pytest.mark.slurm
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_leaves_the_same(person: Person, scratch: Path, pipeline: Path) -> None:
    """A comment `# arrays: N` in the pipeline says into how many submissions its calls merge."""
    tools = scratch / "tools"
    if not tools.exists():
        tools.mkdir()
        for name in ("probe.py",):
            shutil.copy(Path(__file__).parent / name, tools)
            (tools / name).chmod(0o755)
        tools.chmod(0o755)
    copy = scratch / "tools" / pipeline.name
    shutil.copy(pipeline, copy)
    copy.chmod(0o755)
    direct, queued, flushed = run_both(person, copy, tools)
    found = differences(direct, queued)
    assert not found, found
    assert direct.files, "the pipeline left nothing that could differ"
    wanted = re.search(r"^# arrays: (\d+)", pipeline.read_text(errors="replace"), re.M)
    if wanted:
        assert len(flushed.out.splitlines()) == int(wanted.group(1)), flushed.err.decode()
        assert flushed.status == 0, flushed.err.decode()
