"""Names of partitions and the like that a controller knows, for the calls after this flush (sbatch_shim/names.py)."""

from __future__ import annotations

import os
import pwd
import re
import time

from sbatch_shim.errors import ShimError
from sbatch_shim.flush.backends.controller import Controller
from sbatch_shim.names import file_of
from sbatch_shim.spool import make_folder, replace
from sbatch_shim.state.calls import Call

# How old a look may be, in seconds.
KEEP_SECONDS = 300


def keep(call: Call, controller: Controller, config: dict[str, str]) -> None:
    """
    Write down the names that the controller of a call knows, if the last look was long ago.

    A failure is no matter of the flush: names that are not known are not judged.

    Args:
        config: What Controller.config() found.
    """
    path = file_of(call.session.state, call.sbatch, call.environment.get(b"SLURM_CONF") or b"")
    try:
        if 0 <= time.time() - os.stat(path).st_mtime < KEEP_SECONDS:
            return
    except OSError:
        pass
    try:
        found = {**partitions_and_features(controller), **reservations(controller), **accounts(controller, config)}
        lines = [" ".join([kind, *sorted(names)]) for kind, names in found.items()]
        make_folder(os.path.dirname(path))
        replace(path, "\n".join(lines).encode() + b"\n")
    except (ShimError, OSError):
        pass


def partitions_and_features(controller: Controller) -> dict[str, set[str]]:
    """From one look at the nodes; -a: also in partitions that are hidden from the user."""
    partitions, features = set(), set()
    for line in controller.ask("sinfo", "-h", "-a", "-o", "%R|%f").decode(errors="surrogateescape").splitlines():
        partition, _, available = line.partition("|")
        partitions.add(partition)
        features |= set(available.split(",")) - {"(null)", ""}
    return {"partition": partitions, "constraint": features}


def reservations(controller: Controller) -> dict[str, set[str]]:
    """None of them is a line too: every name is a typo then."""
    told = controller.ask("scontrol", "-o", "show", "reservation").decode(errors="surrogateescape")
    return {"reservation": set(re.findall(r"^ReservationName=(\S+)", told, re.MULTILINE))}


def accounts(controller: Controller, config: dict[str, str]) -> dict[str, set[str]]:
    """The accounts and qualities of service of this user, where the site enforces them."""
    if "associations" not in config.get("AccountingStorageEnforce", ""):
        return {}
    user = pwd.getpwuid(os.getuid()).pw_name
    told = controller.ask("sacctmgr", "-n", "-P", "show", "associations", f"user={user}", "format=account,qos")
    found: dict[str, set[str]] = {"account": set(), "qos": set()}
    for line in told.decode(errors="surrogateescape").lower().splitlines():
        account, _, qualities = line.partition("|")
        found["account"].add(account)
        found["qos"] |= set(qualities.split(",")) - {""}
    return {kind: names for kind, names in found.items() if names}
