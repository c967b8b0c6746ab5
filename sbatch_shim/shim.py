"""
sbatch in queue mode: understand the call, put it on disk, answer as sbatch does; or run the real sbatch.

Hot path: every module that is imported here is paid for by every call of a pipeline (a test holds the list).
The launcher (templates/launcher) starts it as `python -I -S -c CODE SOURCE WRITER COUNT STATE REAL WORDS...`; the
first three are for spool.handed_on.
"""

import posix
import resource
import time
from _signal import SIG_DFL, SIG_IGN, SIGHUP, SIGINT, SIGPIPE, SIGXFSZ, getsignal, signal  # type: ignore[import-not-found]

from sbatch_shim import request
from sbatch_shim.errors import HandOver, ShimError, Unsure, complain
from sbatch_shim.record import encode
from sbatch_shim.spool import (
    FIRST_TICKET,
    Session,
    handed_on,
    launched_with,
    mode_of,
    names_spared,
    noted_cluster,
    open_state,
    read,
    replace,
    session_name,
    ticket_numbers,
    was_issued,
    wrong_path,
)
from sbatch_shim.values import is_path

# What sbatch propagates, in the order of slurmd's table (src/common/slurm_rlimits_info.c).
LIMITS = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS")

QUESTIONS = ("--help", "--usage", "--version")

# Slurm refuses a line of 1 MiB, all words joined; this leaves room for how it counts.
SUBMIT_LINE = 1000000


def say(text: str) -> None:
    complain("sbatch: error: %s\n" % text)


def hold_closed(*streams: int) -> None:
    """
    Put /dev/null where the caller has closed a stream, or a file of ours would be opened there and written to as such.

    The real sbatch finds the stream closed again.
    """
    for stream in streams:
        try:
            posix.fstat(stream)
            continue
        except OSError:
            pass
        try:
            null = posix.open(b"/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
            if null != stream:
                posix.dup2(null, stream, inheritable=False)
                posix.close(null)
        except OSError:
            pass


def say_passed(reason: str) -> None:
    """Tell a person, once for each session, that not everything is queued."""
    text = "sbatch: not queued, but submitted directly: %s (said once; sarray-flush counts such calls)\n" % reason
    complain(text)


def fault(error: Exception, state: bytes) -> str:
    """A fault of ours in words; the traceback goes into a report."""
    from sbatch_shim.state.faults import report

    return report(error, state)


class Caller:
    """
    The process that calls, as far as its job inherits from it: this one.

    clerk/caller.py has one that is another process.
    """

    def folder(self) -> bytes:
        """Its working directory, without symbolic links."""
        try:
            return posix.getcwdb()
        except OSError:
            raise HandOver("a deleted working directory") from None

    def group(self) -> int:
        group = posix.getgid()
        if group != posix.getegid():
            raise HandOver("a real group other than the effective one")
        return group

    def umask(self) -> int:
        mask = posix.umask(0)
        posix.umask(mask)
        return mask

    def nice(self) -> int:
        return posix.nice(0)

    def soft_limit(self, number: int) -> int:
        """One limit, -1 for none."""
        return resource.getrlimit(number)[0]


def soft_limits(caller: Caller) -> bytes:
    """NAME=value for each limit that sbatch propagates; -1 is none."""
    return b",".join(
        [b"%s=%d" % (name.encode(), caller.soft_limit(getattr(resource, "RLIMIT_" + name))) for name in LIMITS]
    )


def run_real(real: bytes, words: "list[bytes]", entries: "list[bytes]", piped: "request.Piped") -> int:
    """Become the real sbatch."""
    if not real:
        say("no other sbatch on PATH; `sarray-flush --local` runs queued calls without Slurm")
        return 127
    piped.put_back()
    environment = {}
    for entry in entries:
        name, _, value = entry.partition(b"=")
        environment[name] = value
    # Python ignores these two, and exec would pass that on.
    signal(SIGPIPE, SIG_DFL)
    signal(SIGXFSZ, SIG_DFL)
    # getopt's messages begin with argv[0]: what a caller that finds sbatch on PATH has there.
    argv = [b"sbatch", *words]
    if [name + b"=" + value for name, value in environment.items()] != entries or b"" in environment:
        exec_as_it_is(real, argv, entries)
    posix.execve(real, argv, environment)
    return 127


def exec_as_it_is(real: bytes, argv: "list[bytes]", entries: "list[bytes]") -> None:
    """Execute with an environment that no dict can hold: a name twice, none, or no `=`."""
    import ctypes

    def array(words: "list[bytes]") -> "ctypes.Array[ctypes.c_char_p]":
        return (ctypes.c_char_p * (len(words) + 1))(*words, None)

    ctypes.CDLL(None).execve(real, array(argv), array(entries))


def main(defaults: "dict[bytes, bytes]", caps: "dict[bytes, bytes]") -> int:
    if getsignal(SIGINT) != SIG_IGN:
        signal(SIGINT, SIG_DFL)
    words = launched_with()
    state, real, burst = words[3:6]
    try:
        entries = handed_on(*words[:3])
    except ShimError as error:
        say(str(error))
        return 1
    words = words[6:]
    own = []
    asked = {}
    for entry in entries:
        if entry[:7] == b"SARRAY_":
            name, _, value = entry.partition(b"=")
            asked[name] = value
        else:
            own.append(entry)
    given = asked.get(b"SARRAY_STATE_DIR")
    state = given or state
    piped = request.Piped()
    mode = asked[b"SARRAY_MODE"] = mode_of(asked, state)
    as_the_site_has_it(asked, defaults, caps)
    if mode in (b"", b"pass") or inherited(asked):
        # A call that may name a ticket or its own job, or whose environment a shell cannot hand on.
        take_piped_script(words, entries, piped)
        return hand_over(real, words, entries, state, piped)
    if given and wrong_path(given):
        say("%s; nothing was submitted" % wrong_path(given))
        return 1
    hold_closed(1, 2)
    session = None
    try:
        open_state(state)
        session = Session(state, session_name(asked))
        if mode == b"auto":
            if caps.get(b"SARRAY_KEEPER") == b"off":
                raise HandOver("no process of ours may stay at this site, which auto mode needs")
            leave_without_locks(session)
        ticket, understood = queue(session, words, own, real, piped, asked.get(b"SARRAY_IDS", b""))
    except HandOver as reason:
        # A question is no call that could have been queued.
        if session is not None and str(reason) not in QUESTIONS:
            first = session.note_passed(str(reason))
            if first and str(reason) != "--test-only" and posix.isatty(2):
                say_passed(str(reason))
        if str(reason) not in (*QUESTIONS, "--test-only"):
            if session is not None and not submit_namesakes(session, words, own, piped):
                return 1
            release_awaited(words, own, state, piped)
        return hand_over(real, words, own, state, piped)
    except UnknownTicket:
        # What sbatch says to a dependency that cannot be.
        say("Batch job submission failed: Job dependency problem")
        return 1
    except Unsure as error:
        say(str(error))
        return 1
    except (ShimError, OSError) as error:  # nothing is queued yet, so submitting cannot duplicate
        say("not queued, submitting directly: %s" % error)
        return hand_over(real, words, own, state, piped)
    except Exception as error:
        say("not queued, submitting directly: %s" % fault(error, state))
        return hand_over(real, words, own, state, piped)
    if mode == b"auto":
        signal(SIGHUP, SIG_IGN)  # a terminal that closes at the answer: the call is queued, and needs its keeper
    answer(ticket, understood)
    # What comes through a pipe a clerk cannot read.
    if burst and session.follows and ticket >= FIRST_TICKET and piped.script is None:
        from sbatch_shim.burst import another_call

        another_call(session, entries, defaults, caps)
    if mode == b"auto":
        from sbatch_shim.keeping import attend, tell_failures

        tell_failures(session)
        attend(session, entries)
    return 0


def as_the_site_has_it(asked: "dict[bytes, bytes]", defaults: "dict[bytes, bytes]", caps: "dict[bytes, bytes]") -> None:
    """Put in what a site has set: defaults where the caller has set nothing, and caps in any case."""
    asked.update([(name, value) for name, value in defaults.items() if not asked.get(name)])
    asked.update(caps)


def leave_without_locks(session: Session) -> None:
    """Raise HandOver where no keeper could submit what is queued; OSError where its file cannot be opened."""
    from sbatch_shim.keeping import lockable

    if not lockable(session):
        raise HandOver("no file locks (flock) in the state folder, which auto mode needs")


def inherited(asked: "dict[bytes, bytes]") -> bool:
    """
    Whether the mode came into a job by accident: by a login profile, `sarray mode`, or with an environment that was
    dumped outside.

    Nobody flushes there. A driver that runs in a job and means it names a session. The launcher has the same rule.
    """
    return (
        asked[b"SARRAY_MODE"] in (b"queue", b"auto")
        and not asked.get(b"SARRAY_SESSION")
        and bool(posix.environ.get(b"SLURM_JOB_ID"))
    )


def hand_over(real: bytes, words: "list[bytes]", entries: "list[bytes]", state: bytes, piped: "request.Piped") -> int:
    """Become the real sbatch, which must see no ticket, and not the id of a merged job around it."""
    try:
        waits = request.dependency_of(words, piped.script)
    except Exception as error:
        if any(ticket_numbers(text) for text in (*words, piped.script or b"")):
            say("not submitted, as it may wait for tickets: %s" % fault(error, state))
            return 1
        waits = None
    if waits and (ticket_numbers(waits) or own_job_in(waits, entries) or names_spared(waits, state)):
        in_job = any(entry[:13] == b"SLURM_JOB_ID=" for entry in entries)
        return run_behind_tickets(real, words, entries, state, piped, in_job=in_job)
    return run_real(real, words, entries, piped)


def submit_namesakes(session: Session, words: "list[bytes]", entries: "list[bytes]", piped: "request.Piped") -> bool:
    """
    See that a call which waits for all older jobs of its name does so for those that are queued.

    Returns whether the call may be submitted.
    """
    waits = request.dependency_of(words, piped.script)
    if not request.waits_by_name({"dependency": waits}):
        return True
    hold_closed(0, 1, 2)
    import site  # python -S left it out

    site.main()
    from sbatch_shim.flush import handover

    try:
        name = request.name_of(words, entries, piped.script)
        in_person = request.asks_to_wait(words, entries, piped.script)
        handover.submit_namesakes(session, name, in_person=in_person)
        return True
    except (ShimError, OSError) as error:
        say("not submitted, as it waits for all jobs of its name: %s" % error)
    except Exception as error:
        say("not submitted, as it waits for all jobs of its name: %s" % fault(error, session.state))
    return False


def release_awaited(words: "list[bytes]", entries: "list[bytes]", state: bytes, piped: "request.Piped") -> None:
    """
    Let jobs start that the caller of `sbatch --wait` waits for through another one.

    Slurm has them, but they wait for a flush.
    """
    waits = request.dependency_of(words, piped.script)
    if not waits or not request.asks_to_wait(words, entries, piped.script):
        return
    hold_closed(0, 1, 2)
    import site  # python -S left it out

    site.main()
    from sbatch_shim.flush import handover

    try:
        handover.release_awaited(waits, state)
    except (ShimError, OSError) as error:
        say("what the job waits for is not released: %s" % error)


def take_piped_script(words: "list[bytes]", entries: "list[bytes]", piped: "request.Piped") -> None:
    """Read a script that comes through a pipe, where only its own lines can say what the call waits for."""
    try:
        options, source, rest = request.read_words(words, judge=False)
        if not request.reads_script(options, source):
            return
        if source == request.STDIN:
            piped.take(0)
            return
        environment = dict([entry.partition(b"=")[::2] for entry in entries])
        folder = request.last(options, "chdir") or posix.getcwdb()
        pipe = request.pipe_at(request.find_script(rest[0], folder, environment))
        if pipe is not None:
            piped.take(pipe)
    except (HandOver, OSError):
        pass  # what it waits for is looked for among the words as they are


def own_job_in(spec: bytes, entries: "list[bytes]") -> bool:
    """Whether a dependency may name the job that we run in: a merged one has the id of an array."""
    for entry in entries:
        if entry[:13] == b"SLURM_JOB_ID=" and entry[13:].isdigit():
            return entry[13:] in spec
    return False


def run_behind_tickets(
    real: bytes, words: "list[bytes]", entries: "list[bytes]", state: bytes, piped: "request.Piped", *, in_job: bool
) -> int:
    """
    Become the real sbatch, with what the call waits for named as Slurm knows it.

    That is tickets, which are submitted first, the job that this runs in, and merged arrays.

    Args:
        in_job: There is one.
    """
    hold_closed(0, 1, 2)
    # python -S left these out; they stand beside this package.
    import site

    site.main()
    from sbatch_shim.errors import BadDependency
    from sbatch_shim.flush.handover import OutsideJobs, with_real_ids

    own = OutsideJobs(real, entries)  # type: OutsideJobs | OwnConditions
    try:
        if in_job:  # most calls are spared what this imports
            from sbatch_shim.companions.waits import OwnConditions

            own = conditions = OwnConditions(real, entries)
            state = conditions.state_of(request.dependency_of(words, piped.script) or b"", state)
        words = with_real_ids(words, state, piped.script, own)
    except BadDependency:
        say("Batch job submission failed: Job dependency problem")
        return 1
    except (ShimError, OSError) as error:
        say("not submitted: %s" % error)
        return 1
    except Exception as error:
        say("not submitted: %s" % fault(error, state))
        return 1
    return run_real(real, words, entries, piped)


class UnknownTicket(Exception):
    """A dependency on a number that nobody was told."""


def check_tickets(spec: bytes, state: bytes) -> None:
    """Raise UnknownTicket for a dependency that names one."""
    for ticket in ticket_numbers(spec):
        if not was_issued(state, ticket):
            raise UnknownTicket


def queue(
    session: Session,
    words: "list[bytes]",
    entries: "list[bytes]",
    real: bytes,
    piped: "request.Piped",
    ids: bytes = b"",
) -> "tuple[int, request.Request]":
    """
    Snapshot a call and put it on disk; returns its ticket, or its real id, and what was understood of it.

    `ids` is `$SARRAY_IDS`.

    Whatever it raises, `piped` holds what was taken from a pipe by then.
    """
    call = understood_call(session, words, entries, real, piped, Caller())
    if may_need_its_id(ids, call.body):
        from sbatch_shim.reserve import reserve

        number = reserve(session, ids, call.values, call.body, call.understood, call.environment, call.payload)
        if number is not None:
            return number, call.understood
    return session.append(call.payload), call.understood


def may_need_its_id(ids: bytes, body: bytes) -> bool:
    """
    Whether a call may have to be told the real id of its job, for which most calls import nothing; reserve.py decides.

    Args:
        ids: `$SARRAY_IDS`; what is not set is `auto`.
        body: The call's script.
    """
    if ids not in (b"", b"auto"):
        return ids != b"ticket"
    return b"SLURM_JOB_ID" in body or b"SLURM_JOBID" in body


class Call:
    """
    A call that may be put on disk; its script and its environment's base are there already.

    Attributes:
        payload: What its record holds: the values, the words and the environment.
    """

    __slots__ = ("body", "environment", "payload", "understood", "values")

    values: "dict[str, bytes]"
    body: bytes
    understood: "request.Request"
    environment: "dict[bytes, bytes]"
    payload: bytes


def understood_call(
    session: Session,
    words: "list[bytes]",
    entries: "list[bytes]",
    real: bytes,
    piped: "request.Piped",
    caller: Caller,
) -> Call:
    """Snapshot a call as far as possible without the session's lock; HandOver for one that is not ours to queue."""
    environment = {}
    for entry in entries:
        name, equals, value = entry.partition(b"=")
        if not equals or not name or name in environment:
            raise HandOver("an environment that is no list of names and values")
        environment[name] = value
    values, body, understood = snapshot(words, environment, real, piped, caller)
    nil = (understood.options.get("export") or b"").upper() == b"NIL"
    if nil or understood.options.get("get-user-env") is not None:
        from sbatch_shim import version

        found = version.of_sbatch(session, real, environment)
        if found == (0, 0):
            raise HandOver("an option whose meaning depends on a version that sbatch does not tell")
        if understood.options.get("get-user-env") is not None and found >= (25, 5):
            raise HandOver("--get-user-env with a value")
        if nil and found >= (23, 11):  # before that it is a list of one unknown name
            values["export"] = b"nil"
    leave_unknown_names(understood.options, session, real, environment)
    if own_job_in(understood.options.get("dependency") or b"", entries):
        # Only this job can tell which element of an array it is: the id is the array's too, for one of them.
        raise HandOver("a dependency on the job that makes the call")
    waits = understood.options.get("dependency")
    if waits:
        check_tickets(waits, session.state)
        if names_spared(waits, session.state):
            raise HandOver("a dependency on the id of a merged array")
    try:
        values["body"] = session.keep_blob(body)
    except FileNotFoundError:
        session.make()
        values["body"] = session.keep_blob(body)
    cluster = noted_cluster(session.state, environment, real)
    if cluster:
        values["cluster"] = cluster
    values["environment"], removed, changed = difference(session, entries)
    call = Call()
    call.values, call.body, call.understood, call.environment = values, body, understood, environment
    call.payload = encode(values, words, removed, changed)
    return call


def leave_unknown_names(
    options: "dict[str, bytes | None]", session: Session, real: bytes, environment: "dict[bytes, bytes]"
) -> None:
    """Raise HandOver for a partition or the like that Slurm did not know: sbatch refuses a typo at the call."""
    if not ("partition" in options or "account" in options or "qos" in options or "constraint" in options) and (
        "reservation" not in options
    ):
        return
    from sbatch_shim import names

    kind = names.unknown(options, names.file_of(session.state, real, environment.get(b"SLURM_CONF", b"")))
    if kind:
        raise HandOver("--%s with a name that Slurm did not know when it was last asked" % kind)


def snapshot(
    words: "list[bytes]", environment: "dict[bytes, bytes]", real: bytes, piped: "request.Piped", caller: Caller
) -> "tuple[dict[str, bytes], bytes, request.Request]":
    """
    Everything about the call that another second could change.

    Returns:
        The record's values, the body, the request.
    """
    if sum([len(word) + 1 for word in words]) > SUBMIT_LINE:
        raise HandOver("arguments near Slurm's limit of a submit line")
    command_line, source, rest = request.read_words(words)
    folder = caller.folder()
    if not is_path(folder):
        raise HandOver("a working directory that looks like an unknown log pattern")
    path = b""
    if source == request.FILE:
        path = request.find_script(rest[0], request.last(command_line, "chdir") or folder, environment)
        pipe = request.pipe_at(path)
        body = request.read_script(path) if pipe is None else piped.take(pipe)
    elif source == request.STDIN:
        request.check(request.from_environment(environment))
        body = piped.take(0)
    else:
        body = b""
    understood, body = request.understand(words, environment, None if source == request.WRAP else body)
    if b"\\" in (understood.options.get("job-name") or path.rpartition(b"/")[2]):
        # Any backslash switches the expansion of log names off, so one cannot be part of what %x becomes.
        raise HandOver("a backslash in the job's name")
    if "array" in understood.options and b"SLURM_" in body and (b"scancel" in body or b"scontrol" in body):
        raise HandOver("an array that may manage itself by its ids")
    group = caller.group()
    values = {
        "time": b"%d" % time.time(),
        "host": posix.uname().nodename.encode(),
        "sbatch": real,
        "cwd": folder,
        "umask": b"%04o" % caller.umask(),
        "nice": b"%d" % caller.nice(),
        "limits": soft_limits(caller),
        "source": source,
        "script": path,
        "group": b"%d" % group,
    }
    return values, body, understood


def difference(session: Session, entries: "list[bytes]") -> "tuple[bytes, list[bytes], list[bytes]]":
    """
    This environment told as a difference from the session's first one, so that ten thousand calls that
    differ in a variable or two do not store ten thousand environments.

    Returns:
        The hash of the base, the names that are gone, the entries that are new or other.
    """
    pointer = session.folder + b"/base"
    try:
        base = read(pointer)
        before = session.blob(base).split(b"\0")
    except FileNotFoundError:
        base = session.keep_blob(b"\0".join(entries))
        replace(pointer, base)
        return base, [], []
    had = set(before)
    changed = [entry for entry in entries if entry not in had]
    names = {entry.partition(b"=")[0] for entry in entries}
    removed = [entry.partition(b"=")[0] for entry in before if entry and entry.partition(b"=")[0] not in names]
    if 2 * len(changed) > len(entries):
        base = session.keep_blob(b"\0".join(entries))
        return base, [], []
    return base, removed, changed


def answer(ticket: int, understood: "request.Request") -> None:
    """Print what sbatch prints; like it, do not mind a closed or full stdout, and die of a closed pipe."""
    text = told(ticket, understood)
    if not text:
        return
    signal(SIGPIPE, SIG_DFL)
    try:
        posix.write(1, text)
    except OSError:
        pass


def told(ticket: int, understood: "request.Request") -> bytes:
    """What sbatch prints of a job; nothing with --quiet."""
    if understood.quiet:
        return b""
    return (b"%d\n" if understood.parsable else b"Submitted batch job %d\n") % ticket
