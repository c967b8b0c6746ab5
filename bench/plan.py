"""
The planner alone: how few submissions pipelines of linked calls become, and how planning grows with their number.

    python3 bench/plan.py        (with this package importable: `PYTHONPATH=. .venv/bin/python bench/plan.py`)

Needs no Slurm. CPU time of this process, not wall time, and without garbage collection, as in sarray-flush; memory
is what `plan` had allocated at most (tracemalloc, in a run of its own, since it slows everything down). An array with a
spare costs three requests, and a lone call one.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable

from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.plan import Array, plan
from sbatch_shim.merge.submission import elements_to_split, spare_of
from sbatch_shim.spool import FIRST_TICKET, Session, open_state
from sbatch_shim.state.calls import Call, Environment

STATE = os.fsencode(tempfile.mkdtemp()) + b"/state"
open_state(STATE)
SESSION = Session(STATE, b"bench")
SESSION.make()
BODY = SESSION.keep_blob(b"#!/bin/sh\n")
ENVIRONMENT = Environment({b"PATH": b"/bin"}, frozenset(), {})


class Pipeline:
    """Calls as a script makes them, one after the other."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def submit(self, *producers: int, kind: bytes = b"afterok") -> int:
        """Queue a call that waits for `producers`; its ticket."""
        ticket = FIRST_TICKET + len(self.calls)
        options: dict[str, bytes | None] = {"mem": b"1G"}
        if producers:
            options["dependency"] = kind + b"".join(b":%d" % one for one in producers)
        self.calls.append(
            Call(
                ticket=ticket,
                session=SESSION,
                time=0,
                host=b"login",
                sbatch=b"/usr/bin/sbatch",
                cwd=b"/work",
                umask=b"0022",
                nice=0,
                limits=b"CPU=-1",
                source=b"file",
                script=b"/work/job.sh",
                body_hash=BODY,
                environment=ENVIRONMENT,
                words=[],
                options=options,
                arguments=[],
            )
        )
        return ticket


def chains(samples: int) -> list[Call]:
    """A -> B -> C for each sample."""
    made = Pipeline()
    for _ in range(samples):
        made.submit(made.submit(made.submit()))
    return made.calls


def diamonds(samples: int) -> list[Call]:
    """A -> B and C -> D for each sample."""
    made = Pipeline()
    for _ in range(samples):
        first = made.submit()
        made.submit(made.submit(first), made.submit(first))
    return made.calls


def map_reduce(samples: int) -> list[Call]:
    """Ten maps and a reduce for each sample, and a summary of all reduces, at most 5,000 at a time."""
    made = Pipeline()
    reduces = [made.submit(*[made.submit() for _ in range(10)]) for _ in range(samples)]
    for start in range(0, samples, 5000):
        made.submit(*reduces[start : start + 5000])
    return made.calls


def windows(samples: int) -> list[Call]:
    """A job for each sample, then one for each pair of neighbours: nothing that lanes could express for all."""
    made = Pipeline()
    firsts = [made.submit() for _ in range(samples)]
    for one, next_one in zip(firsts, firsts[1:]):
        made.submit(one, next_one)
    return made.calls


def requests_of(array: Array, limits: Limits) -> int:
    """A submission; where there is a spare, an update and a cancellation; else an update for lanes."""
    if spare_of(array, limits, ()) is not None:
        return 3
    return 1 + bool(elements_to_split(array, limits))


def measure(shape: Callable[[int], list[Call]], samples: int) -> tuple[int, int, int, float, int]:
    """Calls, arrays, requests, seconds of CPU, bytes."""
    calls = shape(samples)
    limits = Limits(spares=True)
    gc.collect()
    gc.disable()
    before = time.process_time()
    arrays = plan(calls, limits)
    seconds = time.process_time() - before
    gc.enable()
    count = len(arrays)
    requests = sum(requests_of(array, limits) for array in arrays)
    del arrays
    gc.collect()
    tracemalloc.start()
    plan(calls, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return len(calls), count, requests, seconds, peak


def main() -> None:
    print("| pipeline | samples | calls | submissions | requests | requests per call |")
    print("|---|---|---|---|---|---|")
    times: dict[tuple[str, int], tuple[float, int, int]] = {}
    for shape in (chains, diamonds, map_reduce, windows):
        name = shape.__name__.replace("_", "-")
        for samples in (10, 1000, 10000):
            calls, arrays, requests, _, _ = measure(shape, samples)
            figures = f"{samples:,} | {calls:,} | {arrays:,} | {requests:,} | {requests / calls:.3f}"
            print(f"| {name} | {figures} |", flush=True)
        size = {"chains": 3, "diamonds": 4, "map-reduce": 11, "windows": 2}[name]
        for total in (10000, 100000):
            calls, _, _, seconds, peak = measure(shape, total // size)
            times[name, total] = (seconds, peak, calls)
    print("\n| pipeline | CPU time of 100,000 calls against 10,000 | memory | bytes per call |")
    print("|---|---|---|---|")
    for name in ("chains", "diamonds", "map-reduce", "windows"):
        small, large = times[name, 10000], times[name, 100000]
        print(f"| {name} | {large[0] / small[0]:.1f} | {large[1] / small[1]:.1f} | {large[1] / large[2]:,.0f} |")


if __name__ == "__main__":
    main()
