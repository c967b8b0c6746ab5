"""
The keeper of a session in auto mode: one process that flushes when it is time, and leaves when nothing is to do.

Nothing lives in its memory only, so it may be killed at any point: the next call or companion starts another
(keeping.py). Each flush is a sarray-flush of its own, which outlives it.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from contextlib import suppress

from sbatch_shim.errors import ShimError, SpoolError
from sbatch_shim.flush import watched
from sbatch_shim.flush.pace import Pace
from sbatch_shim.keeping import abilities, displaced
from sbatch_shim.spool import EMPTY_QUEUE, Session, make_folder
from sbatch_shim.state.journal import open_folders
from sbatch_shim.state.settings import in_effect

# Between two looks at the queue, in seconds: while calls wait, and while none does.
LOOK, GLANCE = 0.05, 0.2
# How long a starting keeper tries: a look of others at the lock takes it for an instant (keeping.attended).
TAKING_SECONDS = 1.0


def say(text: str) -> None:
    """A line of the keeper's log; where the disk takes none, the work goes on without."""
    line = f"{time.strftime('%Y-%m-%dT%H:%M:%S')} keeper {os.getpid()}: {text}\n"
    try:
        os.write(1, line.encode(errors="surrogateescape"))
    except OSError:
        pass


def seconds(name: str, otherwise: float) -> float:
    """A variable's value in seconds; one that is none is said, and does not count."""
    given = os.environ.get(name)
    if not given:
        return otherwise
    try:
        found = float(given)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        say(f"{name}={given!a} is not a number of seconds; taking {otherwise:g}")
        return otherwise
    return found


def take(session: Session) -> int | None:
    """The lock of a session's only keeper, as an open file; None where another one lives."""
    path = session.keeper_lock
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    until = time.monotonic() + TAKING_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            displaced(session)  # one that was started at the same time by a caller with less
            if time.monotonic() > until:
                os.close(descriptor)
                return None
            time.sleep(0.01)
    os.ftruncate(descriptor, 0)
    try:
        os.pwrite(descriptor, abilities(), 0)
    except OSError:
        pass  # a full disk: nothing is known of it then
    return descriptor


class Keeper:
    """
    One keeper.

    Attributes:
        held: The open file of its lock.
        wish: A file that exists where somebody waits for what is queued, from before this keeper's start too.
    """

    def __init__(self, session: Session, held: int, pace: Pace) -> None:
        self.session = session
        self.held = held
        self.pace = pace
        self.wish = session.folder + b"/wake"

    def run(self) -> None:
        """Keep the session until there is nothing to do, or it is gone."""
        if open_folders(self.session):
            self.pace.retry = time.monotonic()  # what an earlier one has left
        while self.is_ours():
            now = time.monotonic()
            self.pace.look(now, self.queue())
            if self.pace.due(now, asked=os.path.exists(self.wish)):
                # Before the flush: who asks from now on may mean a call that comes after it.
                with suppress(FileNotFoundError):
                    os.unlink(self.wish)
                self.flush()
            elif self.pace.idle(now) and self.leave():
                say("leaves, as nothing is queued")
                return
            time.sleep(LOOK if self.pace.seen else GLANCE)
        say("leaves, as its session is gone")

    def is_ours(self) -> bool:
        """Whether the lock that is held is still the one that others look at."""
        try:
            return os.path.samestat(os.fstat(self.held), os.stat(self.session.keeper_lock))
        except OSError:
            return False

    def queue(self) -> tuple[int, int] | None:
        """The queue's inode and size; None while it holds no call."""
        try:
            found = os.stat(self.session.queue)
        except OSError:
            return None
        if found.st_size <= EMPTY_QUEUE:
            return None
        return (found.st_ino, found.st_size)

    def leave(self) -> bool:
        """Give up the lock, if really nothing is queued: a call that comes later starts another keeper."""
        try:
            with self.session.lock():
                if self.queue() is None:
                    os.close(self.held)
                    return True
        except (SpoolError, OSError):
            pass
        return False

    def flush(self) -> None:
        """One sarray-flush."""
        words = ["--session", os.fsdecode(self.session.name), "--final", "--keep-arrays", "--retry", "0", "--json"]
        done = watched.run([sys.executable, "-I", "-m", "sbatch_shim.flush.cli", *words])
        try:
            found = json.loads(done.stdout)
            progress = any(one["job"] for one in found["arrays"]) or bool(found["adopted"])
            # What only somebody can do something about is kept, but not waited for.
            over = bool(found["kept"]) and not found["waiting"] and not found["uncertain"]
            left = done.returncode != 0 and not over
            full = bool(found["waiting"]) and not found["halted"]
        except (ValueError, KeyError, TypeError):
            left, progress, full = True, False, False
        left = left and bool(open_folders(self.session) or self.queue())
        say(f"flushed, exit status {done.returncode}" + ("; calls stay queued" if left else ""))
        self.pace.flushed(time.monotonic(), left=left, progress=progress, full=full)


def main() -> int:
    """Entry of keeping.become: `python -I -m sbatch_shim.flush.keeper SESSION`."""
    session = Session(os.fsencode(os.environ["SARRAY_STATE_DIR"]), os.fsencode(sys.argv[1]))
    try:
        make_folder(session.folder)
        held = take(session)
        if held is None:
            return 0
        site = in_effect()
        pace = Pace(
            quiet=seconds("SARRAY_IDLE", site.seconds("idle")),
            longest=seconds("SARRAY_MAX_WAIT", site.seconds("max-wait")),
            linger=seconds("SARRAY_LINGER", site.seconds("linger")),
        )
        pace.last = time.monotonic()
        say("begins")
        Keeper(session, held, pace).run()
    except (ShimError, OSError) as error:
        say(f"ends: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
