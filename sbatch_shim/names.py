"""
Names that the controller knew when a flush last looked: a call with another one goes to the real sbatch.

So that a typo fails at the call, as it does directly: `sbatch -p fast || sbatch -p slow` works. Of a name that is new
since then the only price is that the call is not merged. flush/backends/slurm.py writes the file, one line for each
kind: `KIND NAME NAME...`; a kind without a line is not judged.

Imported by the hot path for calls that name one of these.
"""

from sbatch_shim.record import digest
from sbatch_shim.spool import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("partition", "reservation", "account", "qos", "constraint")
# Slurm keeps these in lower case (its accounting storage does; tried on 22.05).
ANY_CASE = ("account", "qos")
SIMPLE = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"


def file_of(state: bytes, sbatch: bytes, conf: bytes) -> bytes:
    """
    Where the names of a controller are kept.

    Args:
        sbatch: The real one's path.
        conf: $SLURM_CONF, or empty.
    """
    return state + b"/names/" + digest(sbatch + b"\0" + conf).encode()


def unknown(options: "Mapping[str, bytes | None]", path: bytes) -> str:
    """The kind of the first name in a call's options that the controller did not know; empty where there is none."""
    try:
        lines = read(path).splitlines()
    except OSError:
        return ""
    known = {line.partition(b" ")[0]: line.split(b" ")[1:] for line in lines}
    for kind in KINDS:
        names = known.get(kind.encode())
        given = options.get(kind)
        if names is None or not given:
            continue
        if kind == "constraint" and given.strip(SIMPLE):
            continue  # an expression
        if kind in ANY_CASE:
            given = given.lower()
        if any(name not in names for name in given.split(b",")):
            return kind
    return ""
