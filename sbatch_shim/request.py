"""
What one sbatch call asks for: its options by Slurm's precedence, its script and its arguments.

Hot path, and used again by the flush on the recorded call, so that both see the same. Reads files only through
`find_script` and `read_script`; everything else is a function of the call.
"""

import posix

from sbatch_shim.directives import directive_words
from sbatch_shim.errors import HandOver
from sbatch_shim.grammar import EARLY, FLAG, HAND, KIND, OPTIONS, REQUIRED, ROLE, TAKES, VARIABLE, parse
from sbatch_shim.values import RECOGNISERS, minutes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Other variables that sbatch reads as input (opt.c of 22.05; each name that is in the libraries of 22.05, 24.11 and
# 26.05 was tried); they act in ways that are not ours to repeat
# (SBATCH_MEM_BIND is no --mem-bind: no job has SLURM_MEM_BIND of it).
FOREIGN_INPUT = (
    b"SLURM_CLUSTERS",
    b"SLURM_DEBUG_FLAGS",
    b"SLURM_EXIT_ERROR",
    b"SLURM_GET_USER_ENV",
    b"SLURM_HINT",
    b"SLURM_HOSTFILE",
    b"SLURM_SACK_JWKS",
    b"SLURM_SACK_KEY",
    b"SLURM_UMASK",
    b"SBATCH_GPU_BIND",
    b"SBATCH_MEM_BIND",
    b"SBATCH_REQ_SWITCH",
    b"SBATCH_WAIT4SWITCH",
)
# Each group sets one field or excludes itself, by rules that depend on where each was given.
EXCLUSIVE_GROUPS = (
    ("mem", "mem-per-cpu", "mem-per-gpu"),
    ("requeue", "no-requeue"),
    ("exclusive", "oversubscribe"),
    # Fatal to sbatch (each pair of options was tried on 22.05, 24.11 and 26.05).
    ("ntasks-per-gpu", "ntasks-per-node"),
    ("ntasks-per-gpu", "gpus-per-socket"),
    ("ntasks-per-gpu", "gpus-per-task"),
    ("cpus-per-gpu", "cpus-per-task"),  # in newer versions
)
EXCLUSIVE = {name for group in EXCLUSIVE_GROUPS for name in group}
INPUT_VARIABLES = {b"SBATCH_" + row[VARIABLE].encode(): name for name, row in OPTIONS.items() if row[VARIABLE]}
# What sbatch writes around the command of --wrap (script_wrap in 22.05).
WRAP_HEAD = b"#!/bin/sh\n# This script was created by sbatch --wrap.\n\n"
# Slurm takes 4 MiB; the dispatcher and an environment must fit beside the body.
SCRIPT_MAX = 3145728

FILE, STDIN, WRAP = b"file", b"stdin", b"wrap"


class Piped:
    """
    A script that is taken from stdin or another pipe: if the real sbatch is run, it must be able to read it again.

    Attributes:
        script: Its bytes; None while nothing was taken.
        descriptor: Where it was.
    """

    __slots__ = ("descriptor", "script")

    def __init__(self) -> None:
        self.script = None  # type: bytes | None
        self.descriptor = 0

    def take(self, descriptor: int) -> bytes:
        """Read all of it."""
        self.descriptor = descriptor
        self.script = read_all(descriptor)
        return self.script

    def put_back(self) -> None:
        """Let the descriptor begin with it again."""
        if self.script is None:
            return
        copy = posix.memfd_create("stdin", 0)
        view = memoryview(self.script)
        while view:
            view = view[posix.write(copy, view) :]
        posix.lseek(copy, 0, 0)
        posix.dup2(copy, self.descriptor)
        posix.close(copy)


class Request:
    """
    One understood call.

    Attributes:
        options: Canonical name to value (None for a flag); command line over SBATCH_* over #SBATCH.
        arguments: The words after the script, as the job will see them.
        parsable, quiet: How the ticket is printed.
    """

    __slots__ = ("arguments", "options", "parsable", "quiet")

    def __init__(self, options: "dict[str, bytes | None]", arguments: "list[bytes]", *, quiet: bool) -> None:
        self.options = options
        self.arguments = arguments
        self.parsable = "parsable" in options
        self.quiet = quiet


def check(options: "list[tuple[str, bytes | None]]") -> None:
    """Raise HandOver for an option that is not ours, or a value that is not surely valid."""
    for name, value in options:
        row = OPTIONS[name]
        if row[ROLE] == HAND or (row[ROLE] == EARLY and name != "quiet"):
            raise HandOver("--" + name)
        if value == b"" and name in ("array", "dependency"):
            continue
        if not RECOGNISERS[row[KIND]](value):
            raise HandOver("the value of --" + name)


def from_environment(environment: "dict[bytes, bytes]") -> "list[tuple[str, bytes | None]]":
    """The options that SBATCH_* variables set; HandOver for others that mean something to Slurm or its plugins."""
    options = []  # type: list[tuple[str, bytes | None]]
    for variable in FOREIGN_INPUT:
        if variable in environment:
            raise HandOver(variable.decode())
    for variable, value in environment.items():
        if variable[:7] == b"SBATCH_" and variable in INPUT_VARIABLES:
            name = INPUT_VARIABLES[variable]
            if OPTIONS[name][TAKES] == REQUIRED:
                options.append((name, value))
            elif not value or (value in (b"yes", b"1") and OPTIONS[name][TAKES] == FLAG):
                # Slurm takes an empty value, "yes" and non-zero numbers as on; the rest resets the flag.
                # Of --requeue, which takes words since 25.05, 26.05 refuses them.
                options.append((name, None))
            elif name == "exclusive":
                options.append((name, value))
            else:
                raise HandOver(variable.decode())
        elif variable[:13] == b"SLURM_RLIMIT_" or variable[:20] == b"_SLURM_SPANK_OPTION_":
            raise HandOver(variable.decode())
    return options


def from_directives(script: bytes, *, ignore_pbs: bool) -> "list[tuple[str, bytes | None]]":
    """The options that #SBATCH lines set; the early ones are accepted there and do nothing."""
    words = directive_words(script, ignore_pbs=ignore_pbs)
    if not words:
        return []
    options, rest = parse(words)
    if rest:
        raise HandOver("a stray word in an #SBATCH line")
    return [(name, value) for name, value in options if OPTIONS[name][ROLE] != EARLY and name != "wrap"]


def combine(layers: "list[list[tuple[str, bytes | None]]]") -> "dict[str, bytes | None]":
    """Later layers over earlier ones, `--mail-type` added up, an empty array taken back."""
    options = {}  # type: dict[str, bytes | None]
    for layer in layers:
        for name, value in layer:
            if name == "mail-type" and name in options:
                value = b"%s,%s" % (options[name], value)
            options[name] = value
    if options.get("array") == b"":
        del options["array"]
    mail_types = (options.get("mail-type") or b"").upper().split(b",")
    if mail_types == [b"NONE"]:
        del options["mail-type"]
    elif b"NONE" in mail_types:
        # Whether it takes back what was said elsewhere depends on the version.
        raise HandOver("--mail-type=NONE beside others")
    for group in EXCLUSIVE_GROUPS if len(options.keys() & EXCLUSIVE) > 1 else ():
        if len([name for name in group if name in options]) > 1:
            raise HandOver("--%s together" % " and --".join(name for name in group if name in options))
    check_contradictions(options)
    return options


def check_contradictions(options: "dict[str, bytes | None]") -> None:
    """Hand over values that contradict each other: sbatch refuses them, or warns on stderr and corrects them."""
    shortest, longest = options.get("time-min"), options.get("time")
    if shortest and longest and 0 <= minutes(longest) < minutes(shortest):
        raise HandOver("--time-min above --time")
    if "gpus-per-node" in options and b"gpu" in (options.get("gres") or b""):
        raise HandOver("--gpus-per-node beside --gres=gpu")  # fatal to 26.05
    tasks, nodes = options.get("ntasks"), options.get("nodes")
    if not tasks or not nodes:
        return
    low, _, high = nodes.partition(b"-")
    if int(low) > int(tasks):
        raise HandOver("--nodes above --ntasks")
    per_node = options.get("ntasks-per-node")
    if per_node and int(tasks) > int(per_node) * int(high or low):
        raise HandOver("--ntasks above --ntasks-per-node times --nodes")


def read_words(
    words: "list[bytes]", *, judge: bool = True
) -> "tuple[list[tuple[str, bytes | None]], bytes, list[bytes]]":
    """
    The command line: its options, where the script comes from, and the words after the options.

    Args:
        judge: Whether the options must be ours, and their values valid.

    Raises HandOver for whatever the real sbatch must see, before any file or stdin is touched.
    """
    if b":" in words:
        raise HandOver("a heterogeneous job")
    options, rest = parse(words)
    if judge:
        check(options)
    if any(name == "wrap" for name, _ in options):
        if rest:
            raise HandOver("a script with --wrap")
        return options, WRAP, rest
    return options, FILE if rest else STDIN, rest


def last(options: "list[tuple[str, bytes | None]]", wanted: str) -> "bytes | None":
    """The value of the last `wanted` among `options`."""
    found = None
    for name, value in options:
        if name == wanted:
            found = value
    return found


def reads_script(options: "list[tuple[str, bytes | None]]", source: bytes) -> bool:
    """Whether a script's own lines may say what a call waits for, where its command line does not."""
    if source == WRAP or any(name == "dependency" for name, _ in options):
        return False
    return not any(OPTIONS[name][ROLE] == EARLY and name not in ("quiet", "verbose") for name, _ in options)


def dependency_of(words: "list[bytes]", script: "bytes | None") -> "bytes | None":
    """
    The dependency that sbatch would use, as far as the call can be read.

    Args:
        script: What was read from stdin or another pipe, or None.
    """
    try:
        options, source, _ = read_words(words, judge=False)
        if not reads_script(options, source):
            return last(options, "dependency")
        return last(from_directives(script_of(words, script), ignore_pbs=True), "dependency")
    except HandOver:
        place = dependency_place(words)
        if not place:
            return None
        return words[place[0]][place[1] :]


def waits_by_name(options: "Mapping[str, bytes | None]") -> bool:
    """Whether a call waits for older jobs of its name."""
    return b"singleton" in (options.get("dependency") or b"").lower()


def name_of(words: "list[bytes]", entries: "list[bytes]", script: "bytes | None") -> "bytes | None":
    """
    The name that sbatch would give the job; None for a call that cannot be read.

    Args:
        entries, script: As asks_to_wait has them.
    """
    try:
        options, source, rest = read_words(words, judge=False)
        inner = [] if source == WRAP else from_directives(script_of(words, script), ignore_pbs=True)
    except HandOver:
        return None
    given = [entry[16:] for entry in entries if entry[:16] == b"SBATCH_JOB_NAME="]
    for name in (last(options, "job-name"), given[-1] if given else None, last(inner, "job-name")):
        if name:
            return name
    if source == WRAP:
        return b"wrap"
    return rest[0].rpartition(b"/")[2] if source == FILE else b"sbatch"


def asks_to_wait(words: "list[bytes]", entries: "list[bytes]", script: "bytes | None") -> bool:
    """
    Whether sbatch would wait until the job has ended, as far as the call can be read.

    Args:
        entries: The caller's environment.
        script: What was read from stdin or another pipe, or None.
    """
    if any(entry[:12] == b"SBATCH_WAIT=" for entry in entries):
        return True
    try:
        options, source, _ = read_words(words, judge=False)
        if source != WRAP:
            options = options + from_directives(script_of(words, script), ignore_pbs=True)
    except HandOver:
        return b"--wait" in words or b"-W" in words
    return any(name == "wait" for name, _ in options)


def dependency_place(words: "list[bytes]") -> "tuple[int, int] | None":
    """
    Where a value of --dependency stands among words that cannot all be read: options of plugins, several components.

    Returns:
        The word and the offset in it, of the last one before the script; None where there is none.
    """
    found = None
    at = 0
    while at < len(words):
        word = words[at]
        name, equals, _ = word.partition(b"=")
        if name[:5] == b"--dep" and b"--dependency".startswith(name):
            found = (at, len(name) + 1) if equals else (at + 1, 0)
        elif word[:2] == b"-d":
            found = (at, 2) if word[2:] else (at + 1, 0)
        elif word[:1] != b"-" and (found is None or found[0] != at) and is_file(word):
            break  # the script: what follows is its own
        at += 1
    if found is not None and found[0] < len(words):
        return found
    return None


def is_file(path: bytes) -> bool:
    try:
        return posix.stat(path).st_mode & 0o170000 == 0o100000
    except OSError:
        return False


def understand(
    words: "list[bytes]", environment: "dict[bytes, bytes]", script: "bytes | None"
) -> "tuple[Request, bytes]":
    """
    Resolve a call whose script is known.

    Args:
        words: The words after `sbatch`.
        environment: The caller's.
        script: Its bytes, or None for --wrap.

    Returns:
        The request and the body that the job will run.
    """
    command_line, source, rest = read_words(words)
    environment_options = from_environment(environment)
    check(environment_options)
    quiet = any(name == "quiet" for name, _ in command_line)
    if source == WRAP:
        body = WRAP_HEAD + (last(command_line, "wrap") or b"") + b"\n"
        if b"\r\n" in body:
            raise HandOver("DOS line ends in --wrap")
    else:
        assert script is not None
        body = script
        check_script(body)

    def directives(ignore_pbs: bool) -> "list[tuple[str, bytes | None]]":
        found = from_directives(body, ignore_pbs=ignore_pbs)
        check(found)
        return found

    if len(body) > SCRIPT_MAX:
        raise HandOver("a script above 3 MiB")
    options = resolve(source, command_line, environment_options, directives)
    check_export(options.get("export"), environment)
    return Request(options, rest[1:], quiet=quiet), body


def resolve(
    source: bytes,
    command_line: "list[tuple[str, bytes | None]]",
    environment_options: "list[tuple[str, bytes | None]]",
    directives: "Callable[[bool], list[tuple[str, bytes | None]]]",
) -> "dict[str, bytes | None]":
    """
    The options of a call, in the order in which sbatch reads them: at the call, and again by the flush.

    Args:
        directives: Reads the #SBATCH lines, which --wrap has none of; with whether #PBS lines are ignored.
    """
    lines = []  # type: list[tuple[str, bytes | None]]
    if source != WRAP:
        lines = directives(any(name == "ignore-pbs" for name, _ in command_line + environment_options))
    options = combine([lines, environment_options, command_line])
    options.pop("wrap", None)
    return options


def check_export(value: "bytes | None", environment: "dict[bytes, bytes]") -> None:
    """
    Hand over an `--export` list beside variables that only some versions pass on with it.

    All pass SLURM_*, newer ones whatever begins with SLURM. The node sets SLURMD_NODENAME itself.
    """
    if value is None or value.upper() in (b"ALL", b"NONE"):
        return
    for name in environment:
        if name[:5] == b"SLURM" and name[5:6] != b"_" and name != b"SLURMD_NODENAME":
            raise HandOver("--export beside %s" % name.decode("latin-1"))


def check_script(body: bytes) -> None:
    """Hand over what sbatch refuses: no #!, NUL, DOS line ends, an empty script."""
    if body[:2] != b"#!" or b"\0" in body or b"\r\n" in body:
        raise HandOver("not a batch script")


def find_script(name: bytes, folder: bytes, environment: "dict[bytes, bytes]") -> bytes:
    """
    The path that sbatch opens for the script word `name` (search_path in 22.05).

    Args:
        folder: `--chdir` of the command line, else the working directory.

    Returns:
        `name` itself where it begins with a dot or a slash, or is found nowhere.

    Raises HandOver where there is no PATH at all.
    """
    if name[:1] in (b".", b"/"):
        return name
    if b"PATH" not in environment:
        raise HandOver("no PATH, of which sbatch complains")
    for entry in [folder, *environment.get(b"PATH", b"").split(b":")]:
        if entry:
            candidate = entry + b"/" + name
            try:
                if posix.stat(candidate).st_mode & 0o170000 != 0o040000:
                    return candidate
            except OSError:
                pass
    return name


def pipe_at(path: bytes) -> "int | None":
    """
    The descriptor that a script's path stands for, if what is read there is gone afterwards: `<(...)` of a shell.

    Raises HandOver for a pipe that cannot be put back (one with a name), unread.
    """
    if path in (b"/dev/stdin", b"/proc/self/fd/0", b"/dev/fd/0"):
        return 0
    try:
        kind = posix.stat(path).st_mode & 0o170000
    except OSError:
        return None
    if kind in (0o100000, 0o040000):
        return None
    folder, _, number = path.rpartition(b"/")
    if folder in (b"/dev/fd", b"/proc/self/fd") and number.isdigit():
        return int(number)
    raise HandOver("a script that is no file")


def read_script(path: bytes) -> bytes:
    """The bytes of a script file; HandOver when it cannot be read."""
    try:
        descriptor = posix.open(path, posix.O_RDONLY)
    except OSError:
        raise HandOver("a script that cannot be opened") from None
    try:
        return read_all(descriptor)
    finally:
        posix.close(descriptor)


def read_all(descriptor: int) -> bytes:
    """All bytes up to the end of file."""
    parts = []  # type: list[bytes]
    while True:
        try:
            part = posix.read(descriptor, 1 << 20)
        except OSError:
            raise HandOver("a script that cannot be read") from None
        if not part:
            return b"".join(parts)
        parts.append(part)


def script_of(words: "list[bytes]", script: "bytes | None") -> bytes:
    """The script of a call that is handed over, as far as it can be read without taking it from a pipe."""
    if script is not None:
        return script
    try:
        command_line, _, rest = read_words(words, judge=False)
        folder = last(command_line, "chdir") or posix.getcwdb()
        path = b""
        if rest:
            path = find_script(rest[0], folder, posix.environ)
        if path and pipe_at(path) is None:
            return read_script(path)
        return b""
    except (HandOver, OSError):
        return b""
