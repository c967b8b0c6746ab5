"""The version of the real sbatch, for the few options whose grammar depends on it; imported only for those."""

import posix

from sbatch_shim.spool import Session, read, replace

# Of a program that tells none.
NONE = (0, 0)


def of_sbatch(session: Session, real: bytes, environment: "dict[bytes, bytes]") -> "tuple[int, int]":
    """
    What `sbatch --version` tells, such as (22, 5); asked once for each session. (0, 0) where it tells nothing.

    Args:
        real: The path of the real sbatch.
        environment: To run it in.
    """
    path = session.folder + b"/slurm-version"
    try:
        known, _, told = read(path).rpartition(b"\n")
        if known == real:
            return parse(told)
    except OSError:
        pass
    told = ask(real, environment).strip()
    found = parse(told)
    if found != NONE:
        try:
            session.make()
            replace(path, real + b"\n" + told)
        except OSError:
            pass  # asked again, then
    return found


def parse(told: bytes) -> "tuple[int, int]":
    """The first two numbers of `slurm-wlm 22.05.8`; NONE where there are no two."""
    words = told.split()
    parts = words[-1].split(b".") if words else []
    if len(parts) < 2 or not parts[0].isdigit() or not parts[1].isdigit():
        return NONE
    return int(parts[0]), int(parts[1])


def ask(real: bytes, environment: "dict[bytes, bytes]") -> bytes:
    """The stdout of `sbatch --version`; empty where it cannot be run."""
    reader, writer = posix.pipe()
    try:
        actions = [(posix.POSIX_SPAWN_DUP2, writer, 1)]
        child = posix.posix_spawn(real, [b"sbatch", b"--version"], environment, file_actions=actions)
    except OSError:
        posix.close(reader)
        return b""
    finally:
        posix.close(writer)
    told = b""
    while True:
        part = posix.read(reader, 4096)
        if not part:
            break
        told += part
    posix.close(reader)
    try:
        posix.waitpid(child, 0)
    except ChildProcessError:
        pass  # SIGCHLD is ignored
    return told
