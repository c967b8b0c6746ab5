"""`sarray install --demo`: a small pipeline, queued and flushed; on Slurm where there is one, else on this machine."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from sbatch_shim.errors import NoRealSbatch
from sbatch_shim.flush.backends.sbatch import real_sbatch
from sbatch_shim.merge.graph import counted
from sbatch_shim.spool import Session
from sbatch_shim.state.events import Ran, Submitted
from sbatch_shim.state.journal import History, Journal, flush_folders

PIPELINE = """\
#!/bin/bash
# Nine samples, and a summary that waits for all of them.
for sample in alpha beta gamma delta epsilon zeta eta theta iota; do
    job=$(sbatch --parsable --job-name="count-$sample" --output="$sample.log" count.sh "$sample")
    jobs=$jobs:$job
    echo "sample $sample is job $job"
done
sbatch --dependency="afterok$jobs" --output=summary.log --wrap='cat *.count | sort'
"""
STEP = """\
#!/bin/bash
echo "counting the letters of $1 in job $SLURM_JOB_NAME"
printf '%s %s\\n' "$1" "${#1}" > "$1.count"
"""


def has_slurm() -> bool:
    """Whether a real sbatch is on PATH and its controller answers."""
    try:
        sbatch = real_sbatch(os.environ.get("PATH", os.defpath))
        ping = [os.path.join(os.path.dirname(sbatch), "scontrol"), "ping"]
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0
    except (NoRealSbatch, OSError):
        return False


def demo(prefix: Path) -> int:
    """Show it, with what is installed in this prefix; returns the exit status."""
    parent = Path.home() if has_slurm() else None
    folder = Path(tempfile.mkdtemp(prefix="sbatch-shim-demo-", dir=parent))
    (folder / "pipeline.sh").write_text(PIPELINE)
    (folder / "count.sh").write_text(STEP)
    environment = dict(os.environ)
    environment.update(
        PATH=f"{prefix / 'shims'}:{os.environ.get('PATH', os.defpath)}",
        SARRAY_MODE="queue",
        SARRAY_SESSION=folder.name,
        SARRAY_STATE_DIR=str(folder / "state"),
    )
    flush = [str(prefix / "bin" / "sarray-flush")] + ([] if parent else ["--local"])
    print(f"\n$ cat pipeline.sh\n{PIPELINE}\n$ export SARRAY_MODE=queue\n$ bash pipeline.sh", flush=True)
    subprocess.run(["bash", "pipeline.sh"], cwd=folder, env=environment, check=True)
    if parent is None:
        print("\nThere is no Slurm here, so the arrays run as processes on this machine:", flush=True)
    print(f"$ sarray-flush{'' if parent else ' --local'}", flush=True)
    status = subprocess.run(flush, cwd=folder, env=environment, check=False).returncode
    if status == 0 and parent is not None:
        wait_for(folder / "summary.log")
    if status == 0:
        print("\n$ cat summary.log", flush=True)
        print((folder / "summary.log").read_text() if (folder / "summary.log").exists() else "(not there yet)", end="")
        print(f"\n{point(folder)}")
    print(f"\n{what_next(prefix, folder)}")
    return status


def point(folder: Path) -> str:
    """What the demo shows, counted in its journals."""
    history = History()
    for flush in flush_folders(Session(os.fsencode(folder / "state"), os.fsencode(folder.name))):
        history.take(Journal(flush).lines()[0])
    arrays = [*history.landed[Submitted].values(), *history.landed[Ran].values()]
    calls = counted(sum(len(array.places) for array in arrays), "sbatch call")
    return f"{calls} became {counted(len(arrays), 'submission')}; the pipeline was not changed for that."


def what_next(prefix: Path, folder: Path) -> str:
    """What to type next, and how to remove it all."""
    env, here = shlex.quote(str(prefix / "env.sh")), shlex.quote(str(folder))
    at = "" if prefix == Path.home() / ".local/share/sbatch-shim" else f" --prefix {shlex.quote(str(prefix))}"
    return (
        "Next, with a pipeline of yours:\n"
        f"  . {env}\n"
        "  sarray run ./pipeline.sh\n"
        "To remove it again:\n"
        f"  rm -r {here}    # the demo; everything of it is there\n"
        f"  ./install.sh{at} --uninstall"
    )


def wait_for(result: Path) -> None:
    """Give a cluster that is not busy the time to run the sample: a minute."""
    print("\nwaiting up to a minute for the jobs; `squeue --me` shows them", flush=True)
    for _ in range(60):
        if result.exists() and result.stat().st_size:
            return
        time.sleep(1)
