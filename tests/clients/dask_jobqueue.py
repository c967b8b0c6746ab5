# requires: dask-jobqueue==0.9.0 dask==2026.8.0 distributed==2026.8.0
"""A cluster of workers as jobs, scaled up, some work, and all of it cancelled at the end."""

import subprocess
import time
from pathlib import Path

from dask.distributed import Client
from dask_jobqueue import SLURMCluster

with SLURMCluster(
    queue="main", cores=1, processes=1, memory="500MB", walltime="00:10:00", local_directory="local",
    log_directory="log", interface="lo", scheduler_options={"dashboard_address": None},
) as cluster, Client(cluster) as client:  # fmt: skip
    cluster.scale(jobs=4)
    client.wait_for_workers(4, timeout=240)
    found = sum(client.gather(client.map(lambda number: number * number, range(100))))
    workers = len(client.scheduler_info(n_workers=-1)["workers"])
mine = ["squeue", "--me", "--noheader", "--format=%i %T"]
while subprocess.run(mine, capture_output=True, check=True).stdout:
    time.sleep(0.5)  # its jobs are cancelled when the cluster is closed
Path("result.txt").write_text(f"{found} of {workers} workers, and none is left\n")
