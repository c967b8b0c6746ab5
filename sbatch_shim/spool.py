"""
The state folder on disk: sessions, their queues, their blobs, and the numbers of tickets.

::

    STATE/
      format                    the number of this layout
      next-block                a hint where to look for a free block
      names/<hash>              what a controller's partitions and the like are called (names.py)
      mode                      queue or auto, where `sarray mode` has set one for calls without $SARRAY_MODE
      slurm-versions            what commands of Slurm told of their version (companions/slurm_version.py)
      clusters/<key>            a link, its target is the name of a cluster (clustername.py)
      ids/<id>                  a link, its target names the session that gave out this real id (state/pools.py)
      spares/<id>               the same of a merged array that has a spare, by its id (state/spares.py)
      blocks/<n>                1,000 tickets; holds the name of the session that reserved them
      live/<name>               exists while a ticket of that session may be listed: the companions look here first
      sessions/<name>/
        lock                    flock(2); sbatch while it appends, the flush while it claims
        flush.lock              one flush at a time
        keeper.lock             auto mode: held by the keeper while it lives (keeping.py)
        keeper.log              what it did
        clerk.lock              held by the clerk while it lives (clerk/); clerk.log: what it did
        clerk                   in which folder it is asked, and how one sees that it lives
        clerks/<name>/          that folder: FIFOs, and what it answered last (given_up.py)
        pending                 what a clerk is writing into the queue at present (given_up.py)
        burst                   as many bytes as calls followed others closely (burst.py)
        asked                   queue mode: how often a queued call was asked for (companions/reminder.py)
        wake                    made by who waits for a queued call, until the keeper flushes
        failed                  auto mode: what Slurm refused after the answer, until an sbatch has told of it
        queue                   records (record.py), the last one tells the last ticket
        blobs/<hash>            script bodies and environments, each once
        passed                  why calls went to the real sbatch, one line each
        passed-told             how many bytes of that a flush has told of
        listed                  what listings show of the calls in a queue file, so that they need not read it
                                (state/briefs.py); listed.new: the next one, while it is written
        slurm-version           what the real sbatch tells of itself (version.py)
        config                  what the controller told of itself lately (flush/backends/controller.py)
        flushes/<stamp>/        see state/journal.py
        pools/                  see state/pools.py
        dropped                 tickets that were cancelled before a flush took them (state/dropped.py)
        reruns                  tickets that sarray rerun queued again, and as which (verbs/rerun.py)

Hot path: `posix` is what `os` is made of, without an import of its own. All paths are bytes.
Folders are 0700 and files 0600 whatever the umask: environments hold secrets.
"""

import fcntl
import posix
import time

from sbatch_shim.errors import SpoolError, Unsure
from sbatch_shim.record import HEAD_BYTES, TAIL_BYTES, digest, frame, frames, has_tail, tail_ticket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = b"1\n"
QUEUE_HEAD = b"sarray-queue 1\n"
EMPTY_QUEUE = len(QUEUE_HEAD) + HEAD_BYTES + TAIL_BYTES
FIRST_TICKET = 1000000000
LAST_TICKET = 2147483647
BLOCK = 1000
# Calls that are not further apart follow each other closely, in seconds.
FOLLOWING_SECONDS = 1.0
BLOCKS = (LAST_TICKET + 1 - FIRST_TICKET) // BLOCK
# Where Slurm's commands look for slurm.conf when SLURM_CONF does not say: in the folder that was given to configure
# (or in `etc` beside the commands), then where a configless node keeps what it has fetched.
USUAL_CONFS = (b"/etc/slurm/slurm.conf", b"/etc/slurm-llnl/slurm.conf")
FETCHED_CONF = b"/run/slurm/conf/slurm.conf"
# What `clusters/<key>` leads to for a slurm.conf that tells no name.
NAMELESS = b"?"
SESSION_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-"


def make_folder(path: bytes) -> None:
    """Create a private folder; an existing one is fine."""
    try:
        posix.mkdir(path, 0o700)
        posix.chmod(path, 0o700)
    except FileExistsError:
        pass


def make_folders(path: bytes) -> None:
    """
    Create a private folder and the missing ones above it.

    Raises SpoolError where the first would be in a folder of another user: root with the HOME that su or sudo -E has
    kept would make ~/.local its own. Root's own (an administrator's scratch folder) and those like /tmp are fine.
    """
    above = path.rpartition(b"/")[0] or b"/"
    try:
        found = posix.stat(above)
    except FileNotFoundError:
        make_folders(above)
    else:
        if found.st_uid not in (posix.geteuid(), 0) and found.st_mode & 0o1002 != 0o1002:
            raise SpoolError(
                "%s is missing, and %s, in which it would be, belongs to another user (%d); make it yourself, or name "
                "another folder in SARRAY_STATE_DIR" % (text(path), text(above), found.st_uid)
            )
    make_folder(path)


def text(path: bytes) -> str:
    """A path as it can be shown."""
    return path.decode("utf-8", "surrogateescape")


def create(path: bytes, data: bytes) -> None:
    """Create a private file that must not exist, with its data on disk."""
    descriptor = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW, 0o600)
    try:
        posix.fchmod(descriptor, 0o600)
        write(descriptor, data)
        posix.fdatasync(descriptor)
    except OSError:  # a full disk, a limit on file sizes
        posix.unlink(path)
        raise
    finally:
        close(descriptor)


def replace(path: bytes, data: bytes) -> None:
    """Give a private file new contents, whole or not at all."""
    draft = b"%s.%d.%d" % (path, posix.getpid(), time.time_ns())
    create(draft, data)
    posix.rename(draft, path)


def open_private(path: bytes, flags: int) -> int:
    """A file that only its user may open, whatever the umask; it is made if it is not there."""
    descriptor = posix.open(path, flags | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW, 0o600)
    posix.fchmod(descriptor, 0o600)
    return descriptor


def close(descriptor: int) -> None:
    """What matters is on disk by then: an error here (NFS has such) must not undo in words what was done."""
    try:
        posix.close(descriptor)
    except OSError:
        pass


def sync_folder(path: bytes) -> None:
    """
    Bring the names in a folder to the disk: of a new file only its data need be there else.

    Not for each blob: on journalling file systems the record that names it takes its name along.
    """
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_DIRECTORY)
    try:
        posix.fsync(descriptor)
    except OSError as error:
        if error.errno != 22:  # EINVAL: a file system that has no such thing
            raise
    finally:
        close(descriptor)


def write(descriptor: int, data: bytes) -> None:
    """Write everything: one write(2) may be short on a full disk."""
    view = memoryview(data)
    while view:
        view = view[posix.write(descriptor, view) :]


def read(path: bytes, folder: "int | None" = None) -> bytes:
    """The whole of a file, by a path from an open folder if there is one."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC, dir_fd=folder)
    try:
        parts = []  # type: list[bytes]
        while True:
            part = posix.read(descriptor, 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
    finally:
        close(descriptor)


def launched_with() -> "list[bytes]":
    """
    What the launcher says behind `python -I -S -c CODE`.

    As bytes from the kernel: sys.argv has been through the locale.
    """
    return read(b"/proc/self/cmdline").split(b"\0")[5:-1]


def handed_on(source: bytes, writer: bytes, count: bytes) -> "list[bytes]":
    """
    The caller's environment, entry by entry, as the launcher hands it on.

    Args:
        source: Where to read it: `/proc/self/environ`, or the pipe that the launcher has left open.
        writer: The process that writes into that pipe, which is our child; or empty.
        count: How many entries there are, or empty.
    """
    entries = read(source).split(b"\0")[:-1]
    if source[:8] == b"/dev/fd/":
        close(int(source[8:]))
    if writer:
        try:
            posix.waitpid(int(writer), 0)
        except ChildProcessError:
            pass  # its end is ignored here
    if count == b"0":
        return []
    if count and len(entries) != int(count):
        raise SpoolError("the environment was not handed on whole; nothing was submitted")
    return entries


def wrong_path(state: bytes) -> str:
    """
    Why a state folder cannot have this path, in words; an empty string for a good one.

    A relative path means another folder to each caller. A backslash switches Slurm's log patterns off, and a line end
    makes its lists of jobs ambiguous (all other bytes, and paths near PATH_MAX, were tried on 22.05 and 24.11).
    """
    if state[:1] == b"/" and b"\\" not in state and b"\n" not in state:
        return ""
    shown = text(state).replace("\n", "\\n")
    if state[:1] != b"/":
        return "SARRAY_STATE_DIR must be an absolute path, which %s is not" % shown
    return "no state folder can have a backslash or a line end in its path: %s; set SARRAY_STATE_DIR" % shown


def open_state(state: bytes) -> None:
    """
    Make the state folder, or see that it is ours, private and of our format.

    Raises SpoolError when its path will not do, it belongs to somebody else, others may write to it, or a newer
    version made it.
    """
    wrong = wrong_path(state)
    if wrong:
        raise SpoolError(wrong)
    state = state.rstrip(b"/") or b"/"  # lstat would follow a link with a slash behind it
    try:
        found = posix.lstat(state)
    except FileNotFoundError:
        make_folders(state)
        found = posix.lstat(state)
    if found.st_mode & 0o170000 == 0o120000 and found.st_uid in (0, posix.geteuid()):
        found = posix.stat(state)  # to another disk, say
    if found.st_mode & 0o170000 != 0o040000 or found.st_uid != posix.geteuid() or found.st_mode & 0o022:
        raise SpoolError("the state folder %s is not a folder that only you can write" % text(state))
    path = state + b"/format"
    try:
        known = read(path)
    except FileNotFoundError:
        make_folder(state + b"/sessions")
        make_folder(state + b"/blocks")
        replace(path, FORMAT)
        return
    if known != FORMAT:
        raise SpoolError(
            "the state folder %s was written by another version of sbatch-shim; use that one, or name another folder "
            "in SARRAY_STATE_DIR" % text(state)
        )


def mode_of(environment: "dict[bytes, bytes]", state: bytes) -> bytes:
    """
    `$SARRAY_MODE`, or where that is not set, what `sarray mode` has written; empty for pass mode.

    The file is for drivers that clean the environment. The launcher has the same rule.
    """
    mode = environment.get(b"SARRAY_MODE")
    if mode is not None:
        return mode
    try:
        return read(state + b"/mode").strip()
    except OSError:
        return b""


def session_name(environment: "dict[bytes, bytes]", process: int = 0) -> bytes:
    """
    `$SARRAY_SESSION`, or the login session: host, pid of the session leader, its start time in clock ticks.

    In auto mode the one session of this user and group on this host, since drivers start sbatch in login sessions of
    their own, and no process may submit for a group (newgrp, sg) other than its own.

    Args:
        environment: With the mode in `SARRAY_MODE` (mode_of).
        process: Whose; 0 is this one.

    Raises SpoolError for a name that cannot be a file name.
    """
    name = environment.get(b"SARRAY_SESSION", b"")
    if name:
        if len(name) > 128 or name[:1] == b"." or name.strip(SESSION_LETTERS):
            raise SpoolError("SARRAY_SESSION may hold letters, digits and ._@+- only, and not begin with a dot")
        return name
    if environment.get(b"SARRAY_MODE") == b"auto":
        return b"auto.%s.%d" % (posix.uname().nodename.encode(), posix.getegid())
    leader = posix.getsid(process)
    try:
        # The name in field 2 may hold blanks and brackets: count from the last bracket.
        started = read(b"/proc/%d/stat" % leader).rpartition(b")")[2].split()[19]
    except (OSError, IndexError):
        started = b"0"
    return b"%s.%d.%s" % (posix.uname().nodename.encode(), leader, started)


class Lock:
    """
    flock(2) on a file, the very lock that filelock's UnixFileLock takes on it (a test holds that).

    Where the file system has no flock, filelock's soft lock, for both sides alike. A holder that shows no sign of life
    is not waited for: SpoolError (contended.py).
    """

    def __init__(self, path: bytes, sign: bytes = b"") -> None:
        """`sign`: a file that changes each time the lock was held."""
        self.path = path
        self.sign = sign

    def soft_look(self) -> "Callable[[], None] | None":
        """The same for the soft lock, which has a bound of its own."""
        return None

    def look(self) -> "Callable[[], None]":
        """What is asked again and again while somebody else holds the lock, and raises to give up."""
        from sbatch_shim.contended import Stuck

        return Stuck(self.path, self.sign)

    def __enter__(self) -> None:
        self.soft = None
        self.descriptor = open_private(self.path, posix.O_RDWR)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            from sbatch_shim.contended import wait

            try:
                wait(self.descriptor, self.look())
            except BaseException:
                close(self.descriptor)
                raise
        except OSError:
            posix.close(self.descriptor)
            from sbatch_shim.softlock import acquire

            self.soft = acquire(self.path, self.soft_look())

    def __exit__(self, *_: object) -> None:
        if self.soft is None:
            close(self.descriptor)
            return
        try:
            self.soft.release()
        except OSError:
            pass  # who comes next waits for a while, and names it


class Session:
    """
    The folder of one session.

    Attributes:
        follows: Whether the call that was put on disk follows another one closely.
    """

    follows = False

    def __init__(self, state: bytes, name: bytes) -> None:
        self.state = state
        self.name = name
        self.folder = state + b"/sessions/" + name
        self.queue = self.folder + b"/queue"
        self.live = state + b"/live/" + name

    @property
    def keeper_lock(self) -> bytes:
        """What the keeper holds a lock on while it lives; it exists once the session had one."""
        return self.folder + b"/keeper.lock"

    def make(self) -> None:
        """Create what is missing of the session's folder."""
        for part in (b"", b"/blobs", b"/flushes"):
            make_folder(self.folder + part)

    def lock(self) -> Lock:
        return Lock(self.folder + b"/lock", self.queue)

    def link(self, kind: bytes, job_id: int) -> None:
        """Let a job's id lead to this session; `kind`: the folder, `ids` or `spares`, which must be there."""
        path = self.state + b"/%s/%d" % (kind, job_id)
        try:
            posix.symlink(self.name, path)
        except FileExistsError:  # of another cluster, or ids have begun again
            posix.unlink(path)
            posix.symlink(self.name, path)

    def unlink(self, kind: bytes, job_id: int) -> None:
        """Take such a link away, if it does not lead to another session by now."""
        path = self.state + b"/%s/%d" % (kind, job_id)
        try:
            if posix.readlink(path) == self.name:
                posix.unlink(path)
        except OSError:
            pass

    def keep_blob(self, data: bytes) -> bytes:
        """Store bytes under the hash of their content, once; return the hash."""
        name = digest(data).encode()
        path = self.folder + b"/blobs/" + name
        try:
            if posix.stat(path).st_size == len(data):
                return name
        except FileNotFoundError:
            pass
        replace(path, data)
        return name

    def blob(self, name: bytes) -> bytes:
        return read(self.folder + b"/blobs/" + name)

    def note_passed(self, reason: str) -> bool:
        """
        Count a call that went to the real sbatch; a failure to do so is nobody's concern.

        Returns:
            Whether it is the session's first one.
        """
        try:
            self.make()
            descriptor = open_private(self.folder + b"/passed", posix.O_WRONLY | posix.O_APPEND)
            first = posix.fstat(descriptor).st_size == 0
            posix.write(descriptor, reason.encode() + b"\n")
            posix.close(descriptor)
            return first
        except OSError:
            return False

    def append(self, payload: bytes, given: int = 0) -> int:
        """
        Put a call on disk and return its ticket. This is the commit point: from here on the call is ours.

        Args:
            given: A real id that the call has in place of a ticket (reserve.py), 0 for none.

        Raises OSError when the disk does not take it; nothing is queued then. Unsure when that cannot be said either.
        """
        with self.lock():
            descriptor = self.open_queue()
            try:
                age = time.time() - posix.fstat(descriptor).st_mtime
                size, last = self.last_ticket(descriptor)
                ticket = given or last + 1
                if not given and (last < FIRST_TICKET or ticket % BLOCK == 0):
                    ticket = self.reserve_block()
                if size <= EMPTY_QUEUE:
                    self.mark_live()
                self.follows = size > EMPTY_QUEUE and abs(age) < FOLLOWING_SECONDS
                posix.lseek(descriptor, size, 0)
                data = frame(ticket, payload, size)
                if given:  # the last record tells the last ticket
                    data += frame(last, b"", size + len(data))
                self.before_writing(ticket, size, size + len(data))
                try:
                    write(descriptor, data)
                    posix.fdatasync(descriptor)
                except OSError as error:
                    self.take_back(descriptor, size, error)
                    raise
                self.after_writing(ticket)
            finally:
                close(descriptor)
        return ticket

    def before_writing(self, ticket: int, start: int, end: int) -> None:
        """A record is about to be written to these offsets of the queue; under the lock. For the clerk."""

    def after_writing(self, ticket: int) -> None:
        """It is on disk."""

    def take_back(self, descriptor: int, size: int, error: OSError) -> None:
        """Cut off what was written behind `size`; Unsure when the disk does not take that (read-only by now, say)."""
        try:
            posix.ftruncate(descriptor, size)
        except OSError:
            raise Unsure(
                "%s; not submitted, but %s may hold the call: see sarray status" % (error, text(self.queue))
            ) from None

    def mark_live(self) -> None:
        """Say that tickets of this session may be listed; under the lock, as is the removal (housekeeping.py)."""
        make_folder(self.state + b"/live")
        try:
            create(self.live, b"")
        except FileExistsError:
            pass

    def open_queue(self) -> int:
        """The queue, open for reading and writing; under the lock."""
        try:
            unsettled = posix.stat(self.folder + b"/pending").st_size > 0
        except FileNotFoundError:
            unsettled = False
        if unsettled:  # a clerk was killed while it wrote
            from sbatch_shim.given_up import settle

            settle(self)
        flags = posix.O_RDWR | posix.O_CLOEXEC | posix.O_NOFOLLOW
        try:
            return posix.open(self.queue, flags)
        except FileNotFoundError:
            pass
        # A claim that was killed between its two renames has left the new queue beside the old one's place.
        try:
            posix.rename(self.queue + b".new", self.queue)
        except FileNotFoundError:
            replace(self.queue, QUEUE_HEAD + frame(0, b"", len(QUEUE_HEAD)))
        sync_folder(self.folder)
        return posix.open(self.queue, flags)

    def last_ticket(self, descriptor: int) -> "tuple[int, int]":
        """
        The size of the queue without a torn record at its end, and its last ticket; under the lock.

        Raises SpoolError for a queue that is damaged in another way.
        """
        size = posix.lseek(descriptor, 0, 2)
        if size > TAIL_BYTES:
            ticket = tail_ticket(posix.pread(descriptor, TAIL_BYTES, size - TAIL_BYTES), size)
            if ticket is not None:
                return size, ticket
        data = read(self.queue)
        found, end = frames(data, len(QUEUE_HEAD))
        if not found or has_tail(data, end):
            raise SpoolError("%s is damaged; sarray-flush sets it aside" % text(self.queue))
        posix.ftruncate(descriptor, end)
        return end, found[-1][0]

    def claim(self, target: bytes) -> bool:
        """
        Set the queue aside as the file `target`; calls that come later go to a new one. Under the lock.

        Returns False, and does nothing, when no call is queued.
        """
        descriptor = self.open_queue()
        damaged = False
        try:
            size, last = self.last_ticket(descriptor)
        except SpoolError:
            # Its last ticket is not known: the new queue begins with another block.
            damaged, size, last = True, 0, 0
        finally:
            posix.close(descriptor)
        empty = QUEUE_HEAD + frame(last, b"", len(QUEUE_HEAD))
        if not damaged and size <= len(empty):
            return False
        replace(self.queue + b".new", empty)
        posix.rename(self.queue, target)
        posix.rename(self.queue + b".new", self.queue)
        sync_folder(target.rpartition(b"/")[0])
        sync_folder(self.folder)
        return True

    def reserve_block(self) -> int:
        """
        Make 1,000 numbers this session's own and return the first.

        An exclusive create decides, which holds over NFS and between login hosts.
        """
        hint = self.state + b"/next-block"
        try:
            first = int(read(hint))
        except (OSError, ValueError):
            # Spread over the users, so that a ticket of another user is most likely unknown rather than ours.
            first = posix.getuid() * 7919 % BLOCKS
        for number in range(first, first + BLOCKS):
            try:
                create(self.state + b"/blocks/%d" % (number % BLOCKS), self.name)
                break
            except FileExistsError:
                pass
        else:
            raise SpoolError("all tickets of %s are taken" % text(self.state))
        sync_folder(self.state + b"/blocks")
        replace(hint, b"%d" % (number + 1))
        return FIRST_TICKET + number % BLOCKS * BLOCK


def session_of(state: bytes, ticket: int) -> "bytes | None":
    """The name of the session that a ticket belongs to, or None for a number that is not one of ours."""
    if not FIRST_TICKET <= ticket < FIRST_TICKET + BLOCKS * BLOCK:
        try:
            return posix.readlink(state + b"/ids/%d" % ticket)
        except OSError:
            return None
    try:
        return read(state + b"/blocks/%d" % ((ticket - FIRST_TICKET) // BLOCK)) or None
    except OSError:
        return None


def names_spared(spec: bytes, state: bytes) -> bool:
    """Whether a dependency may name an array by its id, which also means a cancelled element (state/spares.py)."""
    folder = state + b"/spares"
    try:
        posix.stat(folder)
    except OSError:
        return False
    for number in spec.replace(b"?", b":").replace(b",", b":").split(b":"):
        number = number.strip()
        if number.isdigit():
            try:
                posix.lstat(folder + b"/" + number)
                return True
            except OSError:
                pass
    return False


def slurm_confs(environment: "dict[bytes, bytes]", real: bytes) -> "tuple[bytes, ...]":
    """
    Where slurm.conf may be, the first that exists counts.

    Args:
        real: The path of a real command of Slurm; empty where there is none.
    """
    given = environment.get(b"SLURM_CONF")
    if given:
        return (given,)
    prefix = real.rpartition(b"/")[0].rpartition(b"/")[0]
    beside = (prefix + b"/etc/slurm.conf", prefix + b"/etc/slurm/slurm.conf") if prefix else ()
    return (*USUAL_CONFS, *beside, FETCHED_CONF)


def noted_cluster(state: bytes, environment: "dict[bytes, bytes]", real: bytes) -> bytes:
    """
    The cluster that the real sbatch would submit to, as several may share a home; empty where no slurm.conf tells.

    A link knows it by the file's identity, which is looked at in place of the file.
    """
    for path in slurm_confs(environment, real):
        try:
            found = posix.stat(path)
        except OSError:
            continue
        link = state + b"/clusters/%d-%d-%d" % (found.st_ino, found.st_mtime_ns, found.st_size)
        try:
            name = posix.readlink(link)
        except OSError:
            from sbatch_shim import clustername

            name = clustername.note(path, link)
        if name == NAMELESS:
            return b""
        return name
    return b""


def was_issued(state: bytes, ticket: int) -> bool:
    """Whether a caller of ours was told this number: in a block of ours, and not beyond its session's last one."""
    name = session_of(state, ticket)
    if name is None:
        return False
    try:
        descriptor = posix.open(Session(state, name).queue, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW)
    except OSError:
        return True  # a claim is between its two renames
    size = posix.lseek(descriptor, 0, 2)
    tail = posix.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
    posix.close(descriptor)
    last = tail_ticket(tail, size)
    return last is None or ticket // BLOCK != last // BLOCK or ticket <= last


def dropped(state: bytes, ticket: int) -> bool:
    """Whether a call was cancelled before a flush submitted it (state/dropped.py writes the file)."""
    name = session_of(state, ticket)
    try:
        return name is not None and b"\n%d " % ticket in b"\n" + read(Session(state, name).folder + b"/dropped")
    except OSError:
        return False


def ticket_numbers(spec: bytes) -> "list[int]":
    """The numbers in a dependency that can only be tickets."""
    numbers = []
    digits = b""
    for at in range(len(spec) + 1):
        letter = spec[at : at + 1]
        if letter and letter in b"0123456789":
            digits += letter
            continue
        if len(digits) == 10 and FIRST_TICKET <= int(digits) <= LAST_TICKET:
            numbers.append(int(digits))
        digits = b""
    return numbers
