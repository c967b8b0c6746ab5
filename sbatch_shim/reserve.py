"""
Real ids at the call: what sbatch answers is the id that the job will see in SLURM_JOB_ID.

Imported only by calls that want one. The id comes from a pool (state/pools.py): most calls take the next one of a pool
that is open, which asks Slurm nothing; for the others flush/reserving.py makes a pool.
"""

import posix
import time

from sbatch_shim.errors import HandOver, ShimError, Unsure
from sbatch_shim.grammar import ARRAY, OPTIONS, ROLE
from sbatch_shim.record import digest, netstring
from sbatch_shim.spool import Lock, Session, close, make_folder, read, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sbatch_shim.request import Request

WAYS = (b"", b"auto", b"real")
# What is a call's own affair, so that it gets a pool of one id: a job that is submitted held for it alone. A time is
# meant from the call on, and of a pool's mails Slurm sends one for all.
ALONE = ("dependency", "hold", "begin", "mail-type")
# Of the environment, what sbatch acts on when it submits, and what each shell sets (merge/environment.py has the same).
SUBMIT_VARIABLES = (b"SLURM_CONF", b"SLURM_CONF_SERVER", b"SLURM_JWT", b"SLURM_CPUS_PER_TASK")
SHELLS_OWN = (b"PWD", b"OLDPWD", b"SHLVL", b"_")
# After a pool could not be made, how long the next calls do not try.
PAUSE_SECONDS = 60
# More than a file in `open` can hold.
OPEN_BYTES = 100


def reserve(
    session: Session,
    way: bytes,
    values: "dict[str, bytes]",
    body: bytes,
    understood: "Request",
    environment: "dict[bytes, bytes]",
    payload: bytes,
) -> "int | None":
    """
    Put a call on disk under a real id, if it shall have one.

    Args:
        way: `$SARRAY_IDS`, not `ticket`.
        values, payload: Its record.
        body: Its script.

    Returns:
        The id, None for a call that gets a ticket.

    Raises:
        HandOver: It shall have a real id, and no pool can give it one: then the real sbatch does.
    """
    if way not in WAYS:
        raise Unsure(
            "SARRAY_IDS=%s is unknown; use real, auto or ticket, or unset it; nothing was submitted"
            % way.decode("utf-8", "backslashreplace")
        )
    if "array" in understood.options or not values["sbatch"]:  # no Slurm: `sarray-flush --local` runs it
        return None
    if way != b"real" and not names_its_id(body):
        return None
    leave_unfit(values, understood)
    alone = not understood.options.keys().isdisjoint(ALONE)
    folder = session.folder + b"/pools"

    def kind() -> bytes:
        """Of the call; another one once it is known that the site sees what sbatch sends."""
        if alone:
            return b"alone"
        return key_of(values, understood, environment, exposed=exists(folder + b"/exposed"))

    make_folder(folder)
    make_folder(folder + b"/open")
    make_folder(session.state + b"/ids")
    with Lock(folder + b"/lock", folder + b"/failed"):
        if alone:
            forget(session, kind())
        number = take(session, kind(), payload)
        if number is None:
            grow(session, kind, payload, alone=alone)
            number = take(session, kind(), payload)
    if number is None:
        raise HandOver("a real id that no pool could give")
    return number


def names_its_id(body: bytes) -> bool:
    """Whether a script names SLURM_JOB_ID or SLURM_JOBID outside of lines that are comments."""
    for line in body.split(b"\n"):
        if (b"SLURM_JOB_ID" in line or b"SLURM_JOBID" in line) and line.lstrip()[:1] != b"#":
            return True
    return False


def leave_unfit(values: "dict[str, bytes]", understood: "Request") -> None:
    """Raise HandOver for a call whose job cannot become it by what its pool reads."""
    options = understood.options
    if "get-user-env" in options:
        raise HandOver("a real id with --get-user-env")
    if b"singleton" in (options.get("dependency") or b"").lower():
        raise HandOver("a real id with --dependency=singleton")
    if values.get("export") == b"nil":
        raise HandOver("a real id with --export=NIL")
    names = [options.get(kind) or b"" for kind in ("output", "error", "input", "chdir")]
    if any(b"%" in name and b"N" in name for name in (*names, values["cwd"])):
        raise HandOver("a real id with a log name that only the node knows")


def exists(path: bytes) -> bool:
    try:
        posix.stat(path)
    except FileNotFoundError:
        return False
    return True


def key_of(
    values: "dict[str, bytes]", understood: "Request", environment: "dict[bytes, bytes]", *, exposed: bool
) -> bytes:
    """
    The name of what calls of one pool have in common: all that Slurm applies to a whole array, compared by spelling.

    Strict: what the planner would merge may need two pools.

    Args:
        exposed: The site sees what sbatch sends with a pool, so what calls would send is the same, see
            merge/environment.exposed_key.
    """
    options = understood.options
    # Nothing waits for the disk to know which ids are taken, so a pool gives out none after this machine has crashed.
    fields = [read(b"/proc/sys/kernel/random/boot_id")]
    fields += [values[name] for name in ("umask", "limits", "nice", "sbatch")]
    fields += [values.get(name, b"") for name in ("group", "cluster")]
    for name in sorted(options):
        given = options[name]
        if OPTIONS[name][ROLE] == ARRAY or name in ("export", "comment"):
            fields += [name.encode(), b"1" + given if given is not None else b"0"]
        elif name in ("error", "input"):
            fields.append(name.encode())
    for variable in sorted(environment):
        sent = exposed and variable not in SHELLS_OWN and variable[:6] != b"SLURM_" and variable[:7] != b"SBATCH_"
        if sent or variable in SUBMIT_VARIABLES or variable[:12] == b"SLURM_SPANK_":
            fields += [variable, environment[variable]]
    return digest(b"".join([netstring(field) for field in fields])).encode()


def forget(session: Session, key: bytes) -> None:
    """Let no call take from the pool that a call has left which was killed, and whose pool was for it alone."""
    try:
        posix.unlink(place_of(session, key))
    except FileNotFoundError:
        pass


def take(session: Session, key: bytes, payload: bytes) -> "int | None":
    """
    Give the next id of an open pool to a call; None where there is none. Under the lock.

    The element counts as taken before the call is on disk: who is killed in between leaves one that nobody knows.
    """
    try:
        descriptor = posix.open(place_of(session, key), posix.O_RDWR | posix.O_CLOEXEC | posix.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fields = [int(field) for field in posix.read(descriptor, OPEN_BYTES).split()]
        if len(fields) != 5:  # of another version
            return None
        first, count, element, asked, made = fields
        if element >= count:
            return None
        # Not brought to the disk: after a power cut the key is another one.
        posix.pwrite(descriptor, opened(first, count, element + 1, asked + 1, made), 0)
    finally:
        close(descriptor)
    job_id = first + element
    link = session.state + b"/ids/%d" % job_id
    try:
        posix.symlink(session.name, link)
    except FileExistsError:  # of another cluster, or ids have begun again
        posix.unlink(link)
        posix.symlink(session.name, link)
    session.append(payload, job_id)
    return job_id


def place_of(session: Session, key: bytes) -> bytes:
    """The file of what calls of a kind take from."""
    return session.folder + b"/pools/open/" + key


def opened(first: int, count: int, element: int, asked: int, made: int) -> bytes:
    """What that file holds (state/pools.py), always as many bytes, so that it can be written in its place."""
    return b"%10d %10d %10d %10d %10d" % (first, count, element, asked, made)


def grow(session: Session, kind: "Callable[[], bytes]", payload: bytes, *, alone: bool) -> None:
    """
    Open another pool for such calls: for the first one a job of its own, then never more elements than twice what was
    asked for, plus seven. Under the lock.

    Args:
        kind: Tells the key of such calls.
        alone: The pool is for this call only.

    Raises HandOver where Slurm does not make one: then sbatch tells why, or takes the call as it is.
    """
    failed = session.folder + b"/pools/failed"
    try:
        paused = time.time() - posix.stat(failed).st_mtime < PAUSE_SECONDS
    except FileNotFoundError:
        paused = False
    if paused:
        raise HandOver("a real id, soon after no pool could be made")
    try:
        asked, made = [int(field) for field in read(place_of(session, kind())).split()[-2:]]
    except (OSError, ValueError):
        asked = made = 0
    size = 2 * (asked + 1) + 7 - made if made else 1
    from sbatch_shim.shim import hold_closed

    hold_closed(0, 1, 2)
    # python -S left these out; they stand beside this package.
    import site

    site.main()
    from sbatch_shim.flush.reserving import make_pool

    try:
        pool = make_pool(session, payload, size)
    except ShimError as error:
        if not alone:  # else what was refused may be its own dependency
            replace(failed, str(error).encode("utf-8", "surrogateescape"))
        raise HandOver("a real id, as no pool could be made") from None
    elements = pool.count if pool.is_plain else pool.count + 1
    replace(place_of(session, kind()), opened(pool.first, pool.count, 0, asked, made + elements))
