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
from sbatch_shim.request import waits_by_name
from sbatch_shim.spool import Lock, Session, close, make_folder, read, replace, ticket_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sbatch_shim.aligned import Awaited
    from sbatch_shim.request import Request
    from sbatch_shim.state.pools import Pool

WAYS = (b"", b"auto", b"real")
# What is a call's own affair, so that it gets a pool of one id: a job that is submitted held for it alone. A time is
# meant from the call on, and of a pool's mails Slurm sends one for all.
ALONE = ("hold", "begin", "mail-type")
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
    waits = understood.options.get("dependency") or b""
    alone = not understood.options.keys().isdisjoint(ALONE) or bool(ticket_numbers(waits))
    folder = session.folder + b"/pools"

    def kind(leaving_out: str = "") -> bytes:
        """Of the call; another one once it is known that the site sees what sbatch sends."""
        return key_of(values, understood, environment, leaving_out, exposed=exists(folder + b"/exposed"))

    slurm = slurm_key(values, environment)
    make_folder(folder)
    make_folder(folder + b"/open")
    make_folder(session.state + b"/ids")
    with Lock(folder + b"/lock", folder + b"/failed"):
        number = one = depth = None
        if not waits:
            depth = 0
        elif not alone:
            from sbatch_shim.aligned import awaited

            one = awaited(session, waits, slurm)
        if one is not None:
            depth = one.depth + 1
            number = take_aligned(session, kind("dependency"), one, payload, slurm)
            alone = number is None
        if number is None:
            number = take_next(session, None if alone else kind, payload, depth, slurm)
        give(session, number, payload)
    return number


def take_aligned(session: Session, kind: bytes, waits: "Awaited", payload: bytes, slurm: bytes) -> "int | None":
    """The id of the element that waits for that one alone, in a pool of such; None where none may be made."""
    from sbatch_shim.aligned import TURNS, Budget, Row, note_pool

    budget = Budget(session, kind, waits.depth)
    for turn in range(TURNS if waits.element is not None else 0):
        row = Row(session, kind, waits, turn)
        made = 0
        if not row.exists():
            made = waits.count + 1
            if not budget.allows(made):
                break
            pool = pool_for(session, payload, made, alone=True, beside=waits.job)
            row.open(pool.first, pool.count)
            note_pool(session, pool.job, pool.first, pool.count, waits.depth + 1, slurm)
        number = row.take()
        if number is not None:
            budget.note(made)
            return number
    budget.note(1)
    return None


def take_next(
    session: Session, kind: "Callable[[], bytes] | None", payload: bytes, depth: "int | None", slurm: bytes
) -> int:
    """
    The next id of the open pool for such calls, after making one if there is none.

    Args:
        kind: Tells what they have in common; None for a pool that is for this call only.
        depth, slurm: See grow.
    """
    alone = kind is None
    if kind is None:
        kind = alone_key
        forget(session, kind())
    number = take(session, kind())
    if number is None:
        grow(session, kind, payload, depth, slurm, alone=alone)
        number = take(session, kind())
    if number is None:
        raise HandOver("a real id that no pool could give")
    return number


def alone_key() -> bytes:
    """Of pools that are for one call only."""
    return b"alone"


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
    if waits_by_name(options):
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
    values: "dict[str, bytes]",
    understood: "Request",
    environment: "dict[bytes, bytes]",
    leaving_out: str,
    *,
    exposed: bool,
) -> bytes:
    """
    The name of what calls of one pool have in common: all that Slurm applies to a whole array, compared by spelling.

    Strict: what the planner would merge may need two pools.

    Args:
        leaving_out: An option that need not be alike; empty for none.
        exposed: The site sees what sbatch sends with a pool, so what calls would send is the same, see
            merge/environment.exposed_key.
    """
    options = understood.options
    # Nothing waits for the disk to know which ids are taken, so a pool gives out none after this machine has crashed.
    fields = [read(b"/proc/sys/kernel/random/boot_id")]
    fields += [values[name] for name in ("umask", "limits", "nice", "sbatch")]
    fields += [values.get(name, b"") for name in ("group", "cluster")]
    for name in sorted(options.keys() - {leaving_out}):
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


def slurm_key(values: "dict[str, bytes]", environment: "dict[bytes, bytes]") -> bytes:
    """Which Slurm a call is for, as far as that can be told without asking it."""
    fields = [values["sbatch"], values.get("cluster", b"")]
    fields += [environment.get(name, b"") for name in (b"SLURM_CONF", b"SLURM_CONF_SERVER")]
    return digest(b"".join([netstring(field) for field in fields])).encode()


def forget(session: Session, key: bytes) -> None:
    """Let no call take from the pool that a call has left which was killed, and whose pool was for it alone."""
    try:
        posix.unlink(place_of(session, key))
    except FileNotFoundError:
        pass


def take(session: Session, key: bytes) -> "int | None":
    """
    The next id of an open pool; None where there is none. Under the lock.

    It counts as taken before the call is on disk: who is killed in between leaves one that nobody knows.
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
    return first + element


def give(session: Session, job_id: int, payload: bytes) -> None:
    """Put a call on disk under an id that it has taken."""
    session.link(b"ids", job_id)
    session.append(payload, job_id)


def place_of(session: Session, key: bytes) -> bytes:
    """The file of what calls of a kind take from."""
    return session.folder + b"/pools/open/" + key


def opened(first: int, count: int, element: int, asked: int, made: int) -> bytes:
    """What that file holds (state/pools.py), always as many bytes, so that it can be written in its place."""
    return b"%10d %10d %10d %10d %10d" % (first, count, element, asked, made)


def most_elements(asked: int) -> int:
    """How many elements may be made for so many calls of a kind."""
    return 2 * asked + 7


def grow(
    session: Session,
    kind: "Callable[[], bytes]",
    payload: bytes,
    depth: "int | None",
    slurm: bytes,
    *,
    alone: bool,
) -> None:
    """
    Open another pool for such calls: for the first one a job of its own, then as many elements as may be made. Under
    the lock.

    Args:
        kind: Tells the key of such calls.
        depth: For how many pools they wait one by one; None where they wait for something else.
        slurm: Which Slurm they are for.
        alone: The pool is for this call only.
    """
    try:
        asked, made = [int(field) for field in read(place_of(session, kind())).split()[-2:]]
    except (OSError, ValueError):
        asked = made = 0
    size = most_elements(asked + 1) - made if made else 1
    pool = pool_for(session, payload, size, alone=alone or depth is None)
    if depth is not None:
        from sbatch_shim.aligned import note_pool

        note_pool(session, pool.job, pool.first, pool.count, depth, slurm)
    elements = pool.count if pool.is_plain else pool.count + 1
    replace(place_of(session, kind()), opened(pool.first, pool.count, 0, asked, made + elements))


def import_all() -> None:
    """Let this process import what a flush does."""
    from sbatch_shim.shim import hold_closed

    hold_closed(0, 1, 2)
    # python -S left these out; they stand beside this package.
    import site

    site.main()


def pool_for(session: Session, payload: bytes, size: int, *, alone: bool, beside: "int | None" = None) -> "Pool":
    """
    A new pool.

    Args:
        size: Its elements, the last of which nobody gets; 1 for a plain job.
        alone: What Slurm says to this call need not be meant for others like it, as it may be its dependency.
        beside: The array for which it waits, element by element.

    Raises HandOver where Slurm does not make one: then sbatch tells why, or takes the call as it is.
    """
    failed = session.folder + b"/pools/failed"
    try:
        paused = time.time() - posix.stat(failed).st_mtime < PAUSE_SECONDS
    except FileNotFoundError:
        paused = False
    if paused:
        raise HandOver("a real id, soon after no pool could be made")
    import_all()
    from sbatch_shim.flush.reserving import make_pool

    try:
        return make_pool(session, payload, size, beside)
    except ShimError as error:
        if not alone:
            replace(failed, str(error).encode("utf-8", "surrogateescape"))
        raise HandOver("a real id, as no pool could be made") from None
