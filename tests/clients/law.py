# requires: law==0.1.21
"""A workflow of branches as jobs, run again as a job by law's own script, and a task that reads them all."""

import sys
from pathlib import Path

import law
import luigi

law.contrib.load("slurm")
HERE = Path(__file__).resolve().parent


class Part(law.slurm.SlurmWorkflow, law.LocalWorkflow):
    def create_branch_map(self):
        return dict(enumerate(range(6)))

    def slurm_output_directory(self):
        return law.LocalDirectoryTarget(str(HERE / "jobs"))

    def slurm_bootstrap_file(self):
        return law.JobInputFile(str(HERE / "bootstrap.sh"), copy=False, render_local=True)

    def slurm_use_local_scheduler(self):
        return True

    def output(self):
        return law.LocalFileTarget(str(HERE / f"part{self.branch}.txt"))

    def run(self):
        self.output().dump(f"{self.branch_data ** 2}\n", formatter="text")


class Total(law.Task):
    def requires(self):
        return Part.req(self, workflow="slurm", slurm_partition="main", poll_interval=2 / 60, retries=0)

    def output(self):
        return law.LocalFileTarget(str(HERE / "total.txt"))

    def run(self):
        found = [int(target.load(formatter="text")) for target in self.input()["collection"].targets.values()]
        self.output().dump(str(sum(found)), formatter="text")


if __name__ == "__main__":
    (HERE / "bootstrap.sh").write_text(f"export PATH={Path(sys.executable).parent}:$PATH PYTHONPATH={HERE}\n")
    luigi.build([Total()], local_scheduler=True, log_level="INFO")
    print((HERE / "total.txt").read_text())
