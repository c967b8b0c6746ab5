# requires: reframe-hpc==4.10.4
# Eight tests as jobs, and one that depends on all of them, in a partition of the slurm scheduler.
set -eu
cat >conf.py <<'S'
import os

site_configuration = {
    "systems": [
        {
            "name": "here",
            "hostnames": [".*"],
            "partitions": [
                {"name": "main", "scheduler": "slurm", "launcher": "local", "access": ["--partition=main"],
                 "environs": ["builtin"], "max_jobs": 20},
            ],
        }
    ],
    "environments": [{"name": "builtin"}],
    "general": [{"resolve_module_conflicts": False}],
}
S
cat >parts.py <<'S'
import reframe as rfm
import reframe.utility.sanity as sn
from reframe.core.builtins import fixture, parameter, run_after, sanity_function


@rfm.simple_test
class Part(rfm.RunOnlyRegressionTest):
    number = parameter(range(8))
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    executable = "echo"
    time_limit = "5m"

    @run_after("init")
    def what(self):
        self.executable_opts = [f"part {self.number}"]

    @sanity_function
    def said(self):
        return sn.assert_found(f"part {self.number}", self.stdout)
S
reframe -C conf.py -c parts.py -r --prefix "$PWD/rfm" --report-file report.json >&2
"$VIRTUAL_ENV/bin/python" - <<'S' >result.txt
import json

cases = [case for run in json.load(open("report.json"))["runs"] for case in run["testcases"]]
print(sorted((case["name"], case["result"]) for case in cases))
S
