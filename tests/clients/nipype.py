# requires: nipype==1.11.0 setuptools
"""A workflow of function nodes with iterables and a join, each node a job of the SLURM plugin."""

from pathlib import Path

from nipype import Function, JoinNode, Node, Workflow


def square(number):
    return number * number


def total(numbers, path):
    with open(path, "w") as file:
        file.write(f"{sum(numbers)}\n")
    return path


parts = Node(Function(input_names=["number"], output_names=["found"], function=square), name="parts")
parts.iterables = ("number", [1, 2, 3, 4, 5, 6])
joined = JoinNode(
    Function(input_names=["numbers", "path"], output_names=["path"], function=total),
    name="joined", joinsource="parts", joinfield="numbers",
)  # fmt: skip
joined.inputs.path = str(Path("result.txt").absolute())
flow = Workflow(name="flow", base_dir=str(Path.cwd()))
flow.connect(parts, "found", joined, "numbers")
flow.config["execution"] = {"job_finished_timeout": 60, "poll_sleep_duration": 0.5}
flow.run(plugin="SLURM", plugin_args={"sbatch_args": "--partition=main --mem=300M --time=5"})
