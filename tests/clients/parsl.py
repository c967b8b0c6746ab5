# requires: parsl==2026.10.26
"""Blocks of workers as jobs, apps that depend on each other, and the blocks cancelled at the end."""

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SingleNodeLauncher
from parsl.providers import SlurmProvider


@parsl.python_app
def square(number):
    return number * number


@parsl.python_app
def total(numbers):
    return sum(numbers)


provider = SlurmProvider(
    "main", nodes_per_block=1, cores_per_node=1, mem_per_node=1, init_blocks=3, min_blocks=3, max_blocks=3,
    walltime="00:10:00", launcher=SingleNodeLauncher(), exclusive=False,
)  # fmt: skip
executor = HighThroughputExecutor(
    label="htex", address="127.0.0.1", loopback_address="127.0.0.1", max_workers_per_node=1, provider=provider
)
with parsl.load(Config(executors=[executor], strategy="none", usage_tracking=0)):
    squares = [square(number) for number in range(40)]
    print(total(squares).result(timeout=300))
    print(sorted({status.state.name for status in executor.status().values()}))
