"""
Which cluster Slurm's commands speak to, by the slurm.conf that they read: several clusters may share a home.

Each queued call tells its cluster. So that it need not read slurm.conf for that, a link in the state folder has the
name as its target (spool.noted_cluster), and this module is imported where there is no such link yet.
"""

import posix

from sbatch_shim.spool import NAMELESS, make_folder, read, slurm_confs

# Files that include each other in a circle are not followed for ever.
DEEPEST = 10


def note(path: bytes, link: bytes) -> bytes:
    """
    Read a name, and make the link that tells the next call.

    Returns:
        The name, or NAMELESS.
    """
    name = named_in(path) or NAMELESS
    try:
        make_folder(link.rpartition(b"/")[0])
        posix.symlink(name, link)
    except OSError:
        pass  # another call has made it just now, or the next one reads the file again
    return name


def here(environment: "dict[bytes, bytes]", real: bytes) -> str:
    """The name of the cluster that Slurm's commands speak to by themselves; empty where no slurm.conf tells."""
    for path in slurm_confs(environment, real):
        try:
            posix.stat(path)
        except OSError:
            continue
        return named_in(path).decode("utf-8", "surrogateescape")
    return ""


def named_in(path: bytes, depth: int = 0) -> bytes:
    """The ClusterName of a slurm.conf, or of a file that it includes, in lower case as Slurm has it; or empty."""
    try:
        lines = read(path).replace(b"\\\n", b"").split(b"\n")
    except OSError:
        return b""
    found = b""
    for line in lines:
        line = line.partition(b"#")[0].strip()
        if line[:8].lower() in (b"include ", b"include\t"):
            if depth < DEEPEST:
                found = named_in(included(path, line[8:].strip()), depth + 1) or found
            continue
        at = line.lower().find(b"clustername")
        if at < 0 or line[max(at - 1, 0) : at].strip():
            continue
        name, equals, value = line[at:].partition(b"=")
        words = value.replace(b'"', b" ").split()
        if equals and name.strip().lower() == b"clustername" and words:
            found = words[0].lower()
    return found


def included(path: bytes, name: bytes) -> bytes:
    """The path of an included file: one that is relative stands beside the file that includes it."""
    if name[:1] == b"/":
        return name
    return path.rpartition(b"/")[0] + b"/" + name
