# requires: law==0.1.21
# A workflow of six branches as jobs, each of them law again, and a task that reads what they left.
set -eu
export LAW_HOME=$PWD/home LAW_CONFIG_FILE=$PWD/law.cfg PYTHONPATH=$PWD HERE=$PWD
cat >law.cfg <<'S'
[modules]
tasks
S
cat >bootstrap.sh <<S
export PATH=$VIRTUAL_ENV/bin:\$PATH LAW_HOME=$LAW_HOME LAW_CONFIG_FILE=$LAW_CONFIG_FILE PYTHONPATH=$PWD HERE=$PWD
S
cat >tasks.py <<'S'
import os

import law

law.contrib.load("slurm")
HERE = os.environ["HERE"]


class Part(law.slurm.SlurmWorkflow, law.LocalWorkflow):
    def create_branch_map(self):
        return dict(enumerate(range(6)))

    def slurm_output_directory(self):
        return law.LocalDirectoryTarget(HERE + "/jobs")

    def slurm_bootstrap_file(self):
        return law.JobInputFile(HERE + "/bootstrap.sh", share=True, render_job=True)

    def slurm_use_local_scheduler(self):
        return True

    def output(self):
        return law.LocalFileTarget(HERE + f"/part{self.branch}.txt")

    def run(self):
        self.output().dump(f"{self.branch_data ** 2}\n", formatter="text")


class Total(law.Task):
    def requires(self):
        return Part.req(self, workflow="slurm", slurm_partition="main", poll_interval=2 / 60, retries=0)

    def output(self):
        return law.LocalFileTarget(HERE + "/result.txt")

    def run(self):
        found = [int(target.load(formatter="text")) for target in self.input()["collection"].targets.values()]
        self.output().dump(f"{sum(found)}\n", formatter="text")
S
law index >&2
law run Total --local-scheduler >&2
