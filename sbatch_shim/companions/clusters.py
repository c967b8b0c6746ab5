"""
--clusters with tickets.

A ticket is at home on the cluster that sbatch submits to by itself: a call that names another is not queued.
"""

from __future__ import annotations

from sbatch_shim.companions.context import Context
from sbatch_shim.companions.options import Line, Unreadable

OPTIONS = ("clusters", "cluster")


def alone(context: Context, given: str) -> bool:
    """Whether no other cluster is asked for."""
    if given.lower() != "all":
        return given == context.cluster
    return context.run("sacctmgr", ["-n", "-P", "list", "clusters", "format=cluster"]).out.count(b"\n") == 1


def asked(context: Context, line: Line) -> tuple[Line, str | None]:
    """
    The clusters that are asked for, in an option; Unreadable where this one is not among them.

    Returns:
        The line, with SLURM_CLUSTERS made an option, and the option's value.
    """
    given = line.last(*OPTIONS)
    if not line.has(*OPTIONS):
        given = context.variable("SLURM_CLUSTERS")
        if given is not None:
            line = Line([*line.options, ("clusters", given)], line.operands)
    judge(context, given)
    return line, given


def judge(context: Context, given: str | None) -> None:
    """Unreadable where this cluster is not among those asked for."""
    if given is not None and given.lower() != "all" and context.cluster not in given.split(","):
        raise Unreadable("another cluster")
