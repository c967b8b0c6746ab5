"""
Options of a flush for jobs that wait in Slurm already, as scontrol applies them.

Tried on 22.05 with split elements that are held (not the reservation): one request changes all of a list; time,
partition and the account also on 24.11 and 26.05. Not nice: a new nice value gives a held job a priority, which lets it
start (22.05, as root). Without accounting 26.05 says "Resource temporarily unavailable" to another partition or
account.
"""

from __future__ import annotations

from sbatch_shim.errors import ShimError
from sbatch_shim.flush.wishes import Wishes
from sbatch_shim.merge.meaning import canonical

# What scontrol calls these options; the values are spelled alike.
FIELDS = {
    "account": "Account",
    "begin": "StartTime",
    "constraint": "Features",
    "exclude": "ExcNodeList",
    "licenses": "Licenses",
    "mem": "MinMemoryNode",
    "mem-per-cpu": "MinMemoryCPU",
    "partition": "Partition",
    "qos": "QOS",
    "reservation": "ReservationName",
    "time": "TimeLimit",
    "time-min": "TimeMin",
    "wckey": "WCKey",
}
SWITCHES = {"requeue": b"Requeue=1", "no-requeue": b"Requeue=0"}
# What the flush itself sees to.
OWN = ("dependency", "hold")


def changes_of(wishes: Wishes) -> list[bytes]:
    """
    What `scontrol update` is told of jobs that wait.

    Raises ShimError for an option that it cannot apply to them.
    """
    unfit = [f"--{name}" for name in wishes.overrides if name not in FIELDS and name not in (*SWITCHES, *OWN)]
    unfit += [word.partition(b"=")[0].decode(errors="replace") for word in wishes.extra]
    if wishes.throttle is not None:
        unfit.append("--throttle")
    if unfit:
        raise ShimError(
            f"{', '.join(unfit)} cannot be applied to jobs that wait in Slurm already, as those of calls with real "
            "ids do; nothing was submitted: flush without, or use scontrol update"
        )
    found = []
    for name, value in wishes.overrides.items():
        if name in FIELDS:
            told = canonical(name, value) if name in ("mem", "mem-per-cpu") else value
            found.append(b"%s=%s" % (FIELDS[name].encode(), told or b""))
        elif name in SWITCHES:
            found.append(SWITCHES[name])
    return found
