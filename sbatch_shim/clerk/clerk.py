"""
The clerk of a session: it queues the calls that launchers hand to it, with the functions that shim.py has for one call.

Whatever is odd about a call it declines, and the launcher goes the ordinary way. It holds nothing that is not on disk:
it may be killed or stopped at any point (given_up.py). It leaves when it is of no use any more: nobody has called for a
while, a flush has taken what there was, or it has to decline each call.
"""

import fcntl
import posix
import select
import sys
import time

from sbatch_shim.burst import CAP, DEFAULT, count_path, lock_path
from sbatch_shim.clerk.caller import Dead, Declined, Elsewhere, FromCaller, Gone, place, rights
from sbatch_shim.clerk.desk import Asked, Desk
from sbatch_shim.errors import HandOver, ShimError, Unsure
from sbatch_shim.given_up import ENTRY, Pending, entry
from sbatch_shim.shim import Call, UnknownTicket, as_the_site_has_it, may_need_its_id, told, understood_call
from sbatch_shim.spool import (
    EMPTY_QUEUE,
    Session,
    close,
    mode_of,
    open_private,
    open_state,
    read,
    session_name,
    wrong_path,
)

LINGER_SECONDS = 10.0
# So many calls that it declined, one after the other, say that it costs more than it saves.
DECLINED_CALLS = 4
# Between two looks whether it is still wanted, in seconds.
GLANCE_SECONDS = 1.0
# How long a starting clerk tries: a look of others at the lock takes it for an instant (burst.attended).
TAKING_SECONDS = 1.0
# How long a clerk that leaves waits for those who are asking.
LEAVING_SECONDS = 1.0
# A slot that is not put back, while nobody calls, belongs to a caller that was killed.
LOST_SECONDS = 5.0
# A folder of a clerk that was killed: nobody asks it any more, in seconds.
OLD_SECONDS = 86400.0


def say(text: str) -> None:
    """A line of the clerk's log; where the disk takes none, the work goes on without."""
    line = "%s clerk %d: %s\n" % (time.strftime("%Y-%m-%dT%H:%M:%S"), posix.getpid(), text)
    try:
        posix.write(1, line.encode("utf-8", "surrogateescape"))
    except OSError:
        pass


class Desked(Session):
    """
    The session, as the clerk writes into it: whose a record will be is on disk before it.

    Attributes:
        caller, asked: Who waits for the record, and its message.
        call: What it asks for.
        script: "s" where its script was read from its stdin, else "-".
        answer: What its caller is told.
    """

    caller: Elsewhere
    asked: Asked
    call: Call
    script: bytes
    answer: bytes

    def attend(self, desk: Desk) -> None:
        self.desk = desk
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW
        self.pending = posix.open(self.folder + b"/pending", flags, 0o600)

    def before_writing(self, ticket: int, start: int, end: int) -> None:
        """Raises Gone where nobody waits any more: as if an sbatch had been killed before it wrote."""
        self.caller.check()
        self.answer = self.script + told(ticket, self.call.understood).rstrip()
        begun = Pending(self.desk.name, self.asked.slot, self.asked.caller, ticket, start, end, self.answer)
        try:
            posix.pwrite(self.pending, begun.line(), 0)
        except OSError:
            posix.ftruncate(self.pending, 0)
            raise

    def after_writing(self, ticket: int) -> None:
        """Nothing can undo the call any more, so nothing is raised."""
        try:
            posix.pwrite(self.desk.ledger, entry(self.asked.caller, self.answer), ENTRY * self.asked.slot)
            posix.ftruncate(self.pending, 0)
        except OSError:
            pass  # who opens the queue next does it

    def take_back(self, descriptor: int, size: int, error: OSError) -> None:
        super().take_back(descriptor, size, error)
        posix.ftruncate(self.pending, 0)


class Clerk:
    """
    One clerk.

    Attributes:
        held: The open file of its lock.
        linger: How long it stays while nobody calls, in seconds.
        served: Whether it has queued a call.
        declined: How many calls it has declined since then.
    """

    served = False
    declined = 0

    def __init__(self, session: Desked, held: int, linger: float) -> None:
        self.session = session
        self.held = held
        self.linger = linger
        with session.lock():
            close(session.open_queue())  # and what an earlier clerk has begun is settled
        self.desk = Desk(session)
        session.attend(self.desk)
        own = posix.open(b"/proc/self", posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        self.rights = rights(read(b"status", own))
        self.place = place(own)
        close(own)
        self.defaults, self.caps = of_the_site(DEFAULT), of_the_site(CAP)

    def run(self) -> None:
        """Serve until that is of no use any more, or the session is gone."""
        self.desk.open()
        poll = select.poll()
        poll.register(self.desk.calls, select.POLLIN)
        last = time.monotonic()
        while True:
            if poll.poll(1000 * GLANCE_SECONDS):
                for asked in self.desk.asked():
                    self.serve(asked)
                last = time.monotonic()
                if self.declined >= DECLINED_CALLS:
                    break
                continue
            quiet = time.monotonic() - last
            lost = quiet > LOST_SECONDS and self.desk.is_full()
            if quiet > self.linger or lost or self.is_flushed() or not self.is_ours():
                break
        self.leave()

    def is_flushed(self) -> bool:
        """Whether a flush has taken all calls, so that most likely the burst is over."""
        try:
            return self.served and posix.stat(self.session.queue).st_size <= EMPTY_QUEUE
        except FileNotFoundError:  # it is being claimed
            return False

    def leave(self) -> None:
        """End, if possible with nobody there who is asking."""
        self.desk.close()
        until = time.monotonic() + LEAVING_SECONDS
        while not self.desk.take_slots():
            for asked in self.desk.asked():
                self.serve(asked)
            if time.monotonic() > until:
                return
            time.sleep(0.01)
        self.desk.remove()

    def is_ours(self) -> bool:
        """Whether the lock that is held is still the one that others look at."""
        try:
            found, held = posix.stat(lock_path(self.session)), posix.fstat(self.held)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def serve(self, asked: Asked) -> None:
        """Queue one call, or decline it; and answer."""
        try:
            text = self.answer_to(asked)
        except Dead:
            self.desk.put_back(asked.slot)
            return
        except Gone:
            return  # it looks what became of its call, and its slot stays its own
        try:
            self.desk.reply(asked, text)
        except OSError as error:
            say("no answer can be given: %s" % error)  # the launcher ends us, and finds what it was

    def answer_to(self, asked: Asked) -> bytes:
        """`k` and what the caller is told; `n`: it must go the ordinary way; `e` and an error."""
        self.declined += 1
        try:
            queued = self.queue(asked)
            if not self.served:
                self.count_anew()
            self.served, self.declined = True, 0
            return b"k " + queued
        except Gone:
            raise
        except Unsure as error:
            return b"e " + str(error).encode("utf-8", "surrogateescape")[:500]
        except (Declined, HandOver, UnknownTicket):
            return b"n "
        except (ShimError, OSError, ValueError) as error:
            say("declined: %s" % error)
            return b"n "

    def count_anew(self) -> None:
        """Let the next clerk begin as soon as this one, since one can be of use here."""
        try:
            posix.unlink(count_path(self.session))
        except OSError:
            pass  # it was not a burst that started this one

    def queue(self, asked: Asked) -> bytes:
        """Put a call on disk; what its caller is told."""
        session = self.session
        caller = Elsewhere(asked.caller, asked.descriptor, self.desk.ids[asked.slot], asked.words, asked.real)
        try:
            piped = FromCaller(caller)
            call = self.understood(caller, piped, asked.real)
            caller.check()
            session.caller, session.asked, session.call = caller, asked, call
            session.script = b"s" if piped.taken else b"-"
            session.append(call.payload)
            return session.answer
        finally:
            caller.close()
            posix.chdir(b"/")

    def understood(self, caller: Elsewhere, piped: FromCaller, real: bytes) -> Call:
        """What a call asks for, by the rules of shim.main; raises Declined for whatever that does not queue at once."""
        session = self.session
        if rights(caller.status) != self.rights or place(caller.proc) != self.place:
            raise Declined("other rights, or another place")
        own = []
        asked = {}
        for one in caller.entries:
            if one[:7] == b"SARRAY_":
                name, _, value = one.partition(b"=")
                asked[name] = value
            else:
                own.append(one)
                if one[:13] == b"SLURM_JOB_ID=":
                    raise Declined("a call in a job")
        given = asked.get(b"SARRAY_STATE_DIR")
        mode = asked[b"SARRAY_MODE"] = mode_of(asked, given or session.state)
        as_the_site_has_it(asked, self.defaults, self.caps)
        if mode != b"queue" or (given and wrong_path(given)):
            raise Declined("a mode that is not ours")
        if session_name(asked, caller.pid) != session.name:
            raise Declined("another session")
        open_state(session.state)
        caller.enter()
        call = understood_call(session, caller.words, own, real, piped, caller)
        if may_need_its_id(asked.get(b"SARRAY_IDS", b""), call.body):
            raise Declined("a real id")
        return call


def take(session: Session) -> "int | None":
    """The lock of a session's only clerk, as an open file; None where another one lives."""
    descriptor = open_private(lock_path(session), posix.O_RDWR)
    until = time.monotonic() + TAKING_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > until:
                close(descriptor)
                return None
            time.sleep(0.01)


def clear(session: Session) -> None:
    """Remove what clerks have left that were killed long ago."""
    folder = session.folder + b"/clerks"
    for name in posix.listdir(folder):
        path = folder + b"/" + name
        if time.time() - posix.stat(path).st_mtime > OLD_SECONDS:
            for part in posix.listdir(path):
                posix.unlink(path + b"/" + part)
            posix.rmdir(path)


def of_the_site(before: bytes) -> "dict[bytes, bytes]":
    """What the site has set, as the sbatch that started this has told it: variables of callers and their values."""
    return {b"SARRAY_" + name[len(before) :]: value for name, value in posix.environ.items() if name.startswith(before)}


def lingering() -> float:
    """`$SARRAY_LINGER`, as the keeper has it, but at most ten seconds, and these where it is no number."""
    try:
        return max(0.0, min(float(posix.environ.get(b"SARRAY_LINGER", b"")), LINGER_SECONDS))
    except ValueError:
        return LINGER_SECONDS


def main() -> int:
    """Entry of keeping.become: `python -I -m sbatch_shim.clerk.clerk SESSION`."""
    words = read(b"/proc/self/cmdline").split(b"\0")[:-1]
    session = Desked(posix.environ[b"SARRAY_STATE_DIR"], words[-1])
    try:
        open_state(session.state)
        session.make()
        held = take(session)
        if held is None:
            return 0
        clerk = Clerk(session, held, lingering())
        clear(session)
        say("begins")
        clerk.run()
        say("leaves")
    except (ShimError, OSError) as error:
        say("ends: %s" % error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
