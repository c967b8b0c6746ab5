# requires: nipype==1.11.0 setuptools
"""A workflow of function nodes with iterables and a join, each node a job of the SLURM plugin."""

from pathlib import Path

from nipype import Function, JoinNode, Node, Workflow


def square(number):
    return number * number


def total(numbers):
    with open("total.txt", "w") as file:
        file.write(str(sum(numbers)))
    return sum(numbers)


parts = Node(Function(input_names=["number"], output_names=["found"], function=square), name="parts")
parts.iterables = ("number", [1, 2, 3, 4, 5, 6])
joined = JoinNode(
    Function(input_names=["numbers"], output_names=["found"], function=total),
    name="joined", joinsource="parts", joinfield="numbers",
)  # fmt: skip
flow = Workflow(name="flow", base_dir=str(Path.cwd()))
flow.connect(parts, "found", joined, "numbers")
flow.config["execution"] = {"job_finished_timeout": 60, "poll_sleep_duration": 0.5}
flow.run(plugin="SLURM", plugin_args={"sbatch_args": "--partition=main --mem=300M --time=5"})
print(sorted(path.read_text() for path in Path("flow").rglob("total.txt")))
