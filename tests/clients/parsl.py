# requires: parsl==2026.10.26
"""Blocks of workers as jobs, apps that depend on each other, and the blocks cancelled at the end."""

from pathlib import Path

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SingleNodeLauncher
from parsl.providers import SlurmProvider


@parsl.python_app
def square(number):
    return number * number


@parsl.python_app
def total(inputs=()):
    return sum(inputs)


def run() -> str:
    provider = SlurmProvider(
        "main", nodes_per_block=1, cores_per_node=1, mem_per_node=1, init_blocks=3, min_blocks=3, max_blocks=3,
        walltime="00:10:00", launcher=SingleNodeLauncher(), exclusive=False,
    )  # fmt: skip
    executor = HighThroughputExecutor(
        label="htex", address="127.0.0.1", loopback_address="127.0.0.1", max_workers_per_node=1, provider=provider
    )
    with parsl.load(Config(executors=[executor], strategy="none", usage_tracking=0)):
        found = total(inputs=[square(number) for number in range(40)]).result(timeout=300)
    return f"{found}\n"


if __name__ == "__main__":
    Path("result.txt").write_text(run())
