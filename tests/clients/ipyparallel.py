# requires: ipyparallel==9.2.0
"""Engines as one job that a controller on the login node talks to, and their end."""

from pathlib import Path

import ipyparallel


def square(number):
    return number * number


if __name__ == "__main__":
    cluster = ipyparallel.Cluster(n=3, engines="slurm", controller_ip="127.0.0.1", location="127.0.0.1")
    cluster.engine_launcher_class.queue = "main"
    with cluster as client:
        client.wait_for_engines(3, timeout=120)
        found = client[:].map_sync(square, range(12))
    Path("result.txt").write_text(f"{found}\n")
