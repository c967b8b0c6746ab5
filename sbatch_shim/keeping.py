"""
Auto mode: whether a session has its keeper, and how one is started (flush/keeper.py is what it does).

::

    caller ── sbatch, which has answered ── child ── the keeper: process session, descriptors and folder of its own
                          │ waits for it      │ exits at once
                          └── exits

Imported by the hot path in auto mode only, and by the companions; stdlib only.
"""

import fcntl
import posix
import resource
import sys
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIG_SETMASK,
    SIGKILL,
    pthread_sigmask,
    signal,
    valid_signals,
)

from sbatch_shim.errors import complain
from sbatch_shim.spool import EMPTY_QUEUE, Session, close, open_private, read, session_name

KEEPER = b"sbatch_shim.flush.keeper"
# A log of this size is begun anew, in bytes.
LONGEST_LOG = 1 << 20
# Soft limits of one call that are no limits of the flush; the stack's would change how memory is laid out.
RAISED = ("CPU", "FSIZE", "DATA", "NPROC", "NOFILE", "AS")
# Those that sbatch hands on to jobs (shim.LIMITS).
LIMITS = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS")


def open_lock(session: Session) -> int:
    """The file of the keeper's lock."""
    try:
        return open_private(session.keeper_lock, posix.O_RDWR)
    except FileNotFoundError:
        session.make()
        return open_private(session.keeper_lock, posix.O_RDWR)


def lockable(session: Session) -> bool:
    """
    Whether the file system has flock: without it no keeper would be the only one, and none begins.

    Raises OSError where there can be no keeper either, as its file cannot be opened.
    """
    descriptor = open_lock(session)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except OSError:
        return False
    finally:
        close(descriptor)
    return True


def attended(session: Session) -> bool:
    """Whether a keeper lives."""
    descriptor = open_lock(session)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without flock
        return False
    finally:
        close(descriptor)
    return False


def attend(session: Session, entries: "list[bytes]") -> None:
    """
    See that the session has a keeper, after a call was answered; a failure is no matter of the call.

    Args:
        entries: The environment that the keeper gets.
    """
    try:
        if not attended(session) or displaced(session):
            start(session, entries)
    except Exception:  # the call was answered, and a fault here must not undo that in words
        pass  # the next call tries again, and sarray status shows what waits


def abilities() -> bytes:
    """What a keeper writes into the file of its lock: its process, nice value and hard limits (-1 is none)."""
    hard = [resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] for name in LIMITS]
    return b" ".join([b"%d" % one for one in (posix.getpid(), posix.nice(0), *hard)]) + b"\n"


def unfit(told: bytes) -> int:
    """
    The process of a keeper that cannot submit what this process calls for; 0 where it can, or nothing is known.

    That is one that was stopped, and one that its first caller's limits or nice value hold back: a process may not
    raise those.

    Args:
        told: Its abilities.
    """
    try:
        pid, nice, *hard = [int(word) for word in told.split()]
    except ValueError:
        return 0
    soft = [resource.getrlimit(getattr(resource, "RLIMIT_" + name))[0] for name in LIMITS]
    if nice > posix.nice(0) or any(most >= 0 and not 0 <= own <= most for most, own in zip(hard, soft)):
        return pid
    try:
        # The name may hold blanks and brackets.
        if read(b"/proc/%d/stat" % pid).rpartition(b") ")[2][:1] != b"T":
            return 0
        return pid
    except OSError:
        return 0


def displaced(session: Session) -> bool:
    """
    End a keeper that cannot submit what this process calls for: what it has begun goes on without it.

    Returns:
        Whether there was one.
    """
    pid = unfit(read(session.keeper_lock))
    if not pid:
        return False
    from sbatch_shim.contended import holding

    # By the kernel's word: the number may be of another host or container.
    if holding(session.keeper_lock) != pid:
        return False
    posix.kill(pid, SIGKILL)
    return True


def wake(session: Session, entries: "list[bytes]", *, start_one: bool) -> None:
    """
    Make known that somebody waits for what is queued, if the session is one of auto mode and holds calls.

    Args:
        start_one: Start a keeper where none lives any more. (Not in a job: it would end with it.)
    """
    if not has_work(session):
        return
    try:
        close(open_private(session.folder + b"/wake", posix.O_WRONLY))
    except OSError:
        return
    if start_one and kept_here(session):
        attend(session, entries)


def attend_listed(state: bytes, entries: "list[bytes]") -> None:
    """
    See that what is queued has its keepers, for a question that names nobody: `squeue -u $USER` may be a poll too.

    Not for the sessions of other hosts and groups (kept_here).
    """
    try:
        for name in posix.listdir(state + b"/live"):
            session = Session(state, name)
            if kept_here(session) and has_work(session):
                attend(session, entries)
    except OSError:
        pass


def kept_here(session: Session) -> bool:
    """Whether a keeper that this process starts would do: those of other hosts and groups are not to be ours."""
    return session.name[:5] != b"auto." or session.name == session_name({b"SARRAY_MODE": b"auto"})


def has_work(session: Session) -> bool:
    """Whether a session is one of auto mode and holds calls."""
    try:
        posix.stat(session.keeper_lock)
        return posix.stat(session.queue).st_size > EMPTY_QUEUE or unfinished(session)
    except OSError:
        return False


def unfinished(session: Session) -> bool:
    """Whether one of the last flushes was killed, or has left something to try again."""
    folder = session.folder + b"/flushes"
    for name in sorted(posix.listdir(folder))[-20:]:
        try:
            posix.stat(b"%s/%s/done" % (folder, name))
        except FileNotFoundError:
            return True
    return False


def tell_failures(session: Session) -> None:
    """Tell once, on stderr, what Slurm has refused after sbatch had answered."""
    path = session.folder + b"/failed"
    told = b"%s.%d" % (path, posix.getpid())
    try:
        posix.rename(path, told)
        lines = read(told).decode("utf-8", "replace").splitlines()
        posix.unlink(told)
    except OSError:
        return
    if not lines:  # it was written on a full disk
        return
    ticket, _, words = lines[0].partition(" ")
    many = len(lines) - 1
    noun = "call" if many == 1 else "calls"
    more = ""
    if many:
        more = " (and %d more %s)" % (many, noun)
    complain(
        "sbatch: error: job %s was refused after it had been answered%s: %s; see sarray status\n"
        % (ticket, more, words)
    )


def start(session: Session, entries: "list[bytes]", module: bytes = KEEPER, log: bytes = b"/keeper.log") -> None:
    """
    Start a keeper that has nothing of its caller: no process session, descriptor, folder, signal or parent.

    Two that are started at once are no harm: the second leaves.

    Args:
        entries: The environment that it gets.
        module: Another one's, which is started likewise (clerk/clerk.py), and the end of its log's path.
    """
    child = posix.fork()
    if not child:
        try:
            posix.setsid()
            # Not the leader of that process session, so that no terminal can become its own.
            if not posix.fork():
                become(session, entries, module, session.folder + log)
        finally:
            posix._exit(0)
    try:
        posix.waitpid(child, 0)
    except ChildProcessError:
        pass  # its end is ignored here


def become(session: Session, entries: "list[bytes]", module: bytes, log: bytes) -> None:
    """Execute the keeper in this process."""
    try:
        if posix.stat(log).st_size > LONGEST_LOG:
            posix.rename(log, log + b".old")
    except OSError:
        pass
    descriptors = [posix.open(b"/dev/null", posix.O_RDONLY), open_private(log, posix.O_WRONLY | posix.O_APPEND)]
    # Out of the way of 0, 1 and 2, which the caller may have closed.
    descriptors = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 3) for one in descriptors]
    for stream, source in enumerate((descriptors[0], descriptors[1], descriptors[1])):
        posix.dup2(source, stream)
    for name in posix.listdir(b"/proc/self/fd"):
        if int(name) > 2:
            close(int(name))
    posix.chdir(b"/")
    posix.umask(0o077)
    for number in valid_signals():
        try:
            signal(number, SIG_DFL)
        except (OSError, ValueError):
            pass  # SIGKILL, SIGSTOP
    pthread_sigmask(SIG_SETMASK, ())
    for limit in RAISED:
        number = getattr(resource, "RLIMIT_" + limit)
        hard = resource.getrlimit(number)[1]
        resource.setrlimit(number, (hard, hard))
    environment = {}
    for entry in entries:
        name, equals, value = entry.partition(b"=")
        # What acts on every program was meant for the caller's; the mode and the session are said in words.
        if name and equals and name not in (b"LD_PRELOAD", b"LD_AUDIT", b"SARRAY_MODE", b"SARRAY_SESSION"):
            environment[name] = value
    environment[b"SARRAY_STATE_DIR"] = session.state
    python = sys.executable.encode("utf-8", "surrogateescape")
    posix.execve(python, [python, b"-I", b"-m", module, session.name], environment)
