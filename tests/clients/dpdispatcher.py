# requires: dpdispatcher==1.1.0
"""Groups of tasks as jobs of their own, polled until all have ended."""

from pathlib import Path

from dpdispatcher import Machine, Resources, Submission, Task

root = Path.cwd()
machine = Machine.load_from_dict(
    {
        "batch_type": "Slurm",
        "context_type": "LocalContext",
        "local_root": str(root),
        "remote_root": str(root / "remote"),
    }
)
resources = Resources.load_from_dict(
    {"number_node": 1, "cpu_per_node": 1, "gpu_per_node": 0, "queue_name": "main", "group_size": 2}
)
tasks = []
for number in range(8):
    (root / f"part{number}").mkdir()
    command = f"echo $(({number} * {number})) >found.txt"
    tasks.append(Task(command=command, task_work_path=f"part{number}", forward_files=[], backward_files=["found.txt"]))
Submission(work_base=".", machine=machine, resources=resources, task_list=tasks).run_submission(check_interval=2)
found = [Path(f"part{number}/found.txt").read_text() for number in range(8)]
Path("result.txt").write_text("".join(found))
