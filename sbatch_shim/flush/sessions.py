"""Sessions as a person knows them: by the beginning of a name, and by the folder and the jobs that they hold."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from sbatch_shim.errors import ShimError
from sbatch_shim.spool import Session
from sbatch_shim.state.journal import flush_folders
from sbatch_shim.state.tickets import SessionTickets

# Of so many calls of a session the names are looked at, evenly spread over it.
SAMPLES = 30
# So many of their names are told.
NAMED = 3
# States of a process that has ended, and that nobody has asked about (zombies).
ENDED = (b"Z", b"X")


class Ambiguous(ShimError):
    status = 2


def session_names(state: bytes) -> list[bytes]:
    """The sessions of a state folder, sorted."""
    try:
        return sorted(name for name in os.listdir(state + b"/sessions") if not name.startswith(b"."))
    except OSError:
        return []


def resolved(state: bytes, name: bytes) -> bytes:
    """
    The session of this name, else the only one whose name begins so; without any the name itself.

    Raises Ambiguous where several begin so.
    """
    known = session_names(state)
    begin = [one for one in known if one.startswith(name)]
    if name in known or not begin:
        return name
    if len(begin) > 1:
        shown = ", ".join(os.fsdecode(one) for one in begin[:5]) + (", ..." if len(begin) > 5 else "")
        raise Ambiguous(f"several sessions begin with {os.fsdecode(name)!a}: {shown}")
    return begin[0]


def newest(state: bytes) -> bytes | None:
    """The session of which something was queued or flushed last; None where there is none."""
    times: list[tuple[int, bytes]] = []
    for name in session_names(state):
        session = Session(state, name)
        for path in (session.queue, *flush_folders(session)[-1:]):
            try:
                times.append((os.stat(path).st_mtime_ns, name))
            except OSError:
                pass
    if not times:
        return None
    return max(times)[1]


def has_ended(name: bytes) -> bool:
    """
    Whether a session is a login on this host of which no process lives any more; env.sh has the same rule.

    Sessions that were named, auto mode's and those of other hosts end when their user says so: False, as for a login
    that /proc did not show (0 in place of its start).
    """
    host, leader, start = ([b"", b"", *name.rsplit(b".", 2)])[-3:]
    if host != os.uname().nodename.encode() or not (leader.isdigit() and start.isdigit()) or start == b"0":
        return False
    if not os.path.exists("/proc/self/stat"):
        return False
    # While one of its processes lives (nohup), the leader's number is given to no other.
    try:
        found = stat_of(os.fsdecode(leader))
        if start not in found or found[0] not in ENDED:
            return start not in found
    except OSError:
        pass
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            found = stat_of(process)
        except OSError:
            continue  # it has ended meanwhile
        if found[3] == leader and found[0] not in ENDED:
            return False
    return True


def stat_of(process: str) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on, behind the name, which may hold blanks and brackets; OSError."""
    with open(f"/proc/{process}/stat", "rb") as stream:
        return stream.read().rpartition(b") ")[2].split()


def whereabouts(pages: SessionTickets, tickets: Collection[int]) -> str:
    """What a session's calls are, in a clause: their folder, and the names of some; empty when nothing can be read."""
    ordered = sorted(tickets)
    step = max(1, len(ordered) // SAMPLES)
    calls = [call for call in map(pages.call, ordered[::step]) if call is not None]
    if not calls:
        return ""
    return in_clause([call.shown_name for call in calls], os.fsdecode(calls[0].cwd))


def in_clause(names: Iterable[str], folder: str) -> str:
    """Job names, of which the first few are told, and the folder that they were called in."""
    different = list(dict.fromkeys(names))
    more = ""
    if len(different) > NAMED:
        more = ", ..."
    return f"{', '.join(different[:NAMED])}{more} in {short_folder(folder)}"


def short_folder(folder: str) -> str:
    """A folder with ~ for the home folder."""
    home = os.environ.get("HOME", "").rstrip("/")
    if home and (folder == home or folder.startswith(home + "/")):
        return "~" + folder[len(home) :]
    return folder


def held_by(state: bytes, name: str) -> str:
    """`whereabouts` of what is queued in a session, in brackets behind a blank; empty when nothing can be read."""
    try:
        pages = SessionTickets(Session(state, os.fsencode(name))).read()
        told = whereabouts(pages, pages.queued)
    except (ShimError, OSError):
        return ""
    if not told:
        return ""
    return f" ({told})"
