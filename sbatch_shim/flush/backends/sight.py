"""
Whether the compute nodes see the state folder.

Slurm opens the logs of an array through links in it, and a node that does not see them fails each job before its
first line. So links are made only where it is proven that they are seen; elsewhere the tasks open their logs
themselves (merge/submission.py).
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sbatch_shim.errors import ShimError
from sbatch_shim.flush.backends.controller import Controller
from sbatch_shim.spool import create, make_folder

# What a cluster's nodes mount as its login nodes do.
NETWORK = (
    *("nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "cifs", "smb3", "glusterfs", "panfs"),
    *("afs", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs", "gfs2", "ocfs2", "orangefs", "wekafs"),
)


# What a plugin that gives each job a /tmp of its own hides, also where a file system of the network is mounted there.
TEMPORARY = re.compile(r"/(tmp|var/tmp|dev/shm)/")


@dataclass(frozen=True)
class Sight:
    """
    What is known of the nodes' view of the state folder.

    Attributes:
        why: What proves that they see it; empty where nothing does.
        file_system: The type of its file system here.
        mark: The file that a task which sees the folder makes; empty where there is none to make.
        here: The host whose tasks prove nothing for other nodes; empty where there are no others.
    """

    why: str
    file_system: str
    mark: bytes = b""
    here: str = ""


def file_system(path: str) -> str:
    """The type of the file system that holds a path, from the kernel's table of mounts."""
    best, kind = "", "unknown"
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                words = line.split()
                if len(words) < 3 or len(words[1]) < len(best):
                    continue
                if (path + "/").startswith(words[1].rstrip("/") + "/"):
                    best, kind = words[1], words[2]
    except OSError:
        pass
    return kind


def host() -> str:
    """This host's name, as /proc/sys/kernel/hostname has it."""
    return socket.gethostname()


def mark_of(state: bytes, cluster: str) -> bytes:
    """The file that says that a node of a cluster saw the state folder; empty for a cluster without a name."""
    if cluster and "/" not in cluster:
        return state + b"/seen/" + os.fsencode(cluster)
    return b""


def remember(state: bytes, cluster: str) -> None:
    """Note for later flushes that a node of a cluster saw the state folder."""
    mark = mark_of(state, cluster)
    if mark and not os.path.exists(mark):
        make_folder(os.path.dirname(mark))
        create(mark, b"")


def has_private_mounts(values: dict[str, str]) -> bool:
    """Whether a plugin of the controller's configuration may give each job a /tmp of its own."""
    plugin = values.get("NamespaceType") or values.get("JobContainerType", "")
    return plugin.rpartition("/")[2] not in ("", "(null)", "none")


def sight_of(state: bytes, controller: Controller, cluster: str, *, private: bool) -> Sight:
    """
    What is known of the view that the nodes of a controller have of the state folder.

    Args:
        cluster: The controller's ClusterName.
        private: Jobs have mounts of their own (job_container/tmpfs), other ones than their slurmd.
    """
    path = os.path.realpath(os.fsdecode(state))
    kind = file_system(path)
    if kind in NETWORK and not (private and TEMPORARY.match(path + "/")):
        return Sight(f"it is on a network file system ({kind})", kind)
    mark = mark_of(state, cluster)
    if mark and os.path.exists(mark):
        return Sight("a job has seen it", kind)
    if not only_node_is_here(controller):
        return Sight("", kind, mark, host())
    if not private and is_seen_by_slurmd(os.path.realpath(state)):
        return Sight("the cluster's only node is this host", kind)
    return Sight("", kind, mark)


def mount_of(path: bytes, process: str) -> tuple[bytes, ...] | None:
    """
    What a process has mounted where a path is: device, folder of its file system, and place.

    None where that cannot be read. (Every user can, of every process: see proc(5).)
    """
    found: tuple[bytes, ...] = ()
    try:
        for line in Path("/proc", process, "mountinfo").read_bytes().splitlines():
            device, folder, place = line.split()[2:5]
            place = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), place)
            # A later mount at the same place covers an earlier one.
            if (path + b"/").startswith(place.rstrip(b"/") + b"/") and len(place) >= len(b"".join(found[2:])):
                found = device, folder, place
    except (OSError, ValueError):
        return None
    return found


def slurmds() -> Iterator[str]:
    """The process ids of all slurmd of this host but those in containers."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            status = Path("/proc", process, "status").read_text(errors="replace")
            if re.match(r"Name:\tslurmd\n", status) and re.search(r"^NSpid:\t\d+$", status, re.M):
                yield process


def is_seen_by_slurmd(path: bytes) -> bool:
    """Whether each slurmd of this host has mounted at a path what is here: with PrivateTmp its /tmp is another."""
    # None: one that has ended meanwhile, or does so.
    mounts = {mount_of(path, process) for process in slurmds()} - {None}
    return mounts == {mount_of(path, "self")}


def only_node_is_here(controller: Controller) -> bool:
    """Whether the cluster has one node, and that is this host. Several nodes on one host may see different folders."""
    try:
        told = controller.ask("sinfo", "-h", "-a", "-N", "-o", "%N %n").decode(errors="replace")
    except ShimError:
        return False
    nodes = {tuple(line.split()) for line in told.splitlines() if line.strip()}
    return len(nodes) == 1 and nodes.pop()[-1] in (host(), host().partition(".")[0])
