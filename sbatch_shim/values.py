"""
Which option values are surely valid, so that a call with them may be queued.

Every recogniser errs on one side: False means only "let the real sbatch judge", and costs nothing but the
merge of that call. Hot path: string methods only. The rules are those of `src/common/slurm_opt.c`,
`parse_time.c` and `proc_args.c` of Slurm 22.05, tried there.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIGITS = b"0123456789"
LETTERS = DIGITS + b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

DISTRIBUTIONS = (b"block", b"cyclic", b"arbitrary", b"plane")
HINTS = (b"compute_bound", b"memory_bound", b"multithread", b"nomultithread")
MAIL_TYPES = (
    b"BEGIN END FAIL REQUEUE INVALID_DEPEND STAGE_OUT TIME_LIMIT TIME_LIMIT_50 TIME_LIMIT_80 TIME_LIMIT_90 "
    b"ALL ARRAY_TASKS"
).split()
LIMITS = b"AS CORE CPU DATA FSIZE MEMLOCK NOFILE NPROC RSS STACK".split()
SIGNALS = b"HUP INT QUIT ABRT KILL ALRM TERM USR1 USR2 URG CONT STOP TSTP TTIN TTOU".split()
CLOCKS = {b"midnight": 0, b"noon": 12, b"fika": 15, b"teatime": 16}
MEM_BINDINGS = (b"q", b"quiet", b"v", b"verbose", b"none", b"rank", b"local", b"prefer")
PROFILES = (b"energy", b"lustre", b"network", b"task")
TIME_UNITS = (b"", b"second", b"seconds", b"minute", b"minutes", b"hour", b"hours", b"day", b"days", b"week", b"weeks")
DEPENDENCY_TYPES = (b"after", b"afterany", b"afterok", b"afternotok", b"aftercorr", b"afterburstbuffer")

# What a % in a log name may be followed by (after digits) from 22.05 on; see logs.py.
LOG_LETTERS = b"AaJjNnstux"

# Text that reaches a single field of the job: printable, and within Slurm's 1,024 bytes.
MAX_TEXT = 1024
PRINTABLE = bytes(range(32, 127)) + bytes(range(128, 256))
MAX_PATH = 4095
# The largest index under the default MaxArraySize. Whether a larger one is allowed, only the controller knows;
# such a call is one submission already, so handing it over costs nothing.
MAX_INDEX = 1000


def integer(value: bytes, low: int, high: int) -> bool:
    """Plain decimal digits within bounds (both inclusive)."""
    return bool(value) and len(value) < 11 and not value.strip(DIGITS) and low <= int(value) <= high


def count(value: bytes) -> bool:
    return integer(value, 1, 1000000)


def is_text(value: bytes) -> bool:
    return 0 < len(value) < MAX_TEXT and not value.translate(None, PRINTABLE)


def is_word(value: bytes) -> bool:
    return is_text(value) and not value.translate(None, LETTERS + b"_.:,=-@/")


def is_gres(value: bytes) -> bool:
    return is_word(value) and value not in (b"help", b"list")


def is_host(value: bytes) -> bool:
    """One node: sbatch counts the nodes of a list, and reads a file where there is a slash."""
    return is_word(value) and not any(byte in b",/:@=" for byte in value)


def hosts(value: bytes) -> bool:
    """A list of nodes, with ranges in brackets; which nodes there are, the controller knows."""
    if not is_text(value) or value.translate(None, LETTERS + b"_.-,[]") or value.count(b"[") != value.count(b"]"):
        return False
    for piece in value.split(b"[")[1:]:
        inside, closed, _ = piece.partition(b"]")
        if not closed or not inside or inside.strip(DIGITS + b"-,"):
            return False
    return b"" not in value.split(b",")


def is_path(value: bytes) -> bool:
    """
    A folder or a log name, which may be a pattern: also the folder is part of it where the name is relative.

    Which letters mean something, and what becomes of the others, differs between versions.
    """
    # Of two backslashes in a row one is left to 24.11, and none to 26.05.
    if not 0 < len(value) <= MAX_PATH or b"\\\\" in value:
        return False
    for piece in value.replace(b"%%", b"\0").split(b"%")[1:]:
        letter = piece.lstrip(DIGITS)[:1]
        if not letter or letter not in LOG_LETTERS:
            return False
    return True


def is_export(value: bytes) -> bool:
    """An open quote is an error. What NIL means depends on the version, see shim.queue."""
    return value.count(b"'") % 2 == value.count(b'"') % 2 == 0


def anything(value: bytes) -> bool:
    return True


def flag(value: "bytes | None") -> bool:
    return value is None


def nice(value: "bytes | None") -> bool:
    return value is None or integer(value, 0, 2147483645)


def exclusive(value: "bytes | None") -> bool:
    return value is None or value in (b"user", b"mcs")


def yes_no(value: bytes) -> bool:
    return value in (b"yes", b"no")


def open_mode(value: bytes) -> bool:
    return value in (b"append", b"truncate", b"a", b"t")


def hint(value: bytes) -> bool:
    return value in HINTS


def distribution(value: bytes) -> bool:
    first, colon, rest = value.partition(b":")
    return first in (b"block", b"cyclic") and (not colon or rest in (b"block", b"cyclic", b"fcyclic"))


def gres_flags(value: bytes) -> bool:
    return value in (b"disable-binding", b"enforce-binding")


def mail_type(value: bytes) -> bool:
    """NONE alone: it takes back the others of its list, and from some version on those of other lists."""
    return value.upper() == b"NONE" or all(part.upper() in MAIL_TYPES for part in value.split(b","))


def propagate(value: "bytes | None") -> bool:
    return value in (None, b"ALL", b"NONE") or all(part in LIMITS for part in value.split(b","))


def gpus(value: bytes) -> bool:
    kind, colon, number = value.rpartition(b":")
    return integer(number, 1, 100000) and (not colon or (is_word(kind) and b":" not in kind and b"," not in kind))


def is_nodes(value: bytes) -> bool:
    low, dash, high = value.partition(b"-")
    if not integer(low, 1, 1000000):
        return False
    return not dash or (integer(high, 1, 1000000) and int(low) <= int(high))


def megabytes(value: bytes) -> int:
    """
    Size in MB, rounded up as `str_to_mbytes` does; a plain number is MB. ValueError if not understood.

    A B may follow the unit: `8GB`, `8Gb`, `8gB` and `8G` are the same (tried on 22.05, 24.11 and 26.05).
    """
    if len(value) > 2 and value[-1:] in b"Bb" and value[-2:-1] in b"KMGTkmgt":
        value = value[:-1]
    unit = value[-1:].upper()
    number = value[:-1] if unit in (b"K", b"M", b"G", b"T") else value
    if not integer(number, 0, 4000000000):
        raise ValueError(value)
    size = int(number)
    if unit == b"K":
        return (size + 1023) // 1024
    return size * {b"G": 1024, b"T": 1048576}.get(unit, 1)


def is_memory(value: bytes) -> bool:
    try:
        megabytes(value)
    except ValueError:
        return False
    return True


def minutes(value: bytes) -> int:
    """
    A time limit in minutes, seconds rounded up; -1 for no limit. ValueError if not understood.

    The forms are minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]].
    """
    if value.upper() in (b"INFINITE", b"UNLIMITED"):
        return -1
    days, dash, rest = value.partition(b"-")
    parts = rest.split(b":") if dash else value.split(b":")
    if len(parts) > 3 or (dash and not integer(days, 0, 100000)):
        raise ValueError(value)
    for part in parts:
        if not integer(part, 0, 10000000):
            raise ValueError(value)
    numbers = [int(part) for part in parts]
    if dash:
        numbers += [0] * (3 - len(numbers))
        seconds = int(days) * 86400 + numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
    elif len(numbers) == 3:
        seconds = numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
    else:
        seconds = numbers[0] * 60 + (numbers[1] if len(numbers) == 2 else 0)
    return (seconds + 59) // 60


def is_time(value: bytes) -> bool:
    try:
        # 0 means no limit to some versions and one minute to others.
        return minutes(value) != 0
    except ValueError:
        return False


def time_min(value: bytes) -> bool:
    """A least time limit; 0 and no limit are refused by the controller."""
    try:
        return minutes(value) > 0
    except ValueError:
        return False


def is_begin(value: bytes) -> bool:
    """`now`, `now+COUNT[unit]`, or a day and a time of day (see `moment`)."""
    try:
        later(value) if value[:3] == b"now" else moment(value)
    except ValueError:
        return False
    return True


def later(value: bytes) -> "tuple[int, bytes]":
    """What `now+COUNT[unit]` adds: a count, and the unit as in TIME_UNITS. ValueError if not understood."""
    if value == b"now":
        return 0, b""
    rest = value[4:]
    number = rest.rstrip(b"abcdefghijklmnopqrstuvwxyz")
    unit = rest[len(number) :]
    if value[:4] != b"now+" or not integer(number, 0, 100000000) or unit not in TIME_UNITS:
        raise ValueError(value)
    return int(number), unit


def moment(value: bytes) -> "tuple[bytes | tuple[int, int, int], tuple[int, int, int] | None]":
    """
    An absolute time: a day, a time of day, or both in either order (`parse_time` of 22.05 to 26.05, tried there).

    Returns:
        The day as `today`, `tomorrow`, (year, month, day) with 0 for a year that is not told, or empty for the next
        day that has that time; and (hour, minute, second), or None.

    Raises:
        ValueError: not surely valid. `elevenses` is new in some version, and a capital T is skipped: no `Tomorrow`.
    """
    day = b""  # type: bytes | tuple[int, int, int]
    clock = None
    last = b""
    if not is_text(value) or not value.strip():
        raise ValueError(value)
    words = []  # type: list[bytes]
    for word in value.split():
        first, between, second = word.partition(b"T")
        if not between and word[4:5] != b"-":
            first, between, second = word.partition(b"-")
        words += [first, second] if between else [first]
    for word in words:
        lower = word.lower()
        if lower in (b"am", b"pm"):
            if b":" not in last:
                raise ValueError(value)
            clock = clock_of(last + lower)
            word = b""
        elif lower in CLOCKS or b":" in word:
            if clock is not None:
                raise ValueError(value)
            clock = (CLOCKS[lower], 0, 0) if lower in CLOCKS else clock_of(lower)
        elif day:
            raise ValueError(value)
        else:
            day = lower if lower in (b"today", b"tomorrow") else date_of(word)
        last = word
    return day, clock


def clock_of(word: bytes) -> "tuple[int, int, int]":
    """H:MM[:SS], with am or pm behind it or not; ValueError otherwise."""
    half = b""
    if word[-2:] in (b"am", b"pm"):
        half = word[-2:]
    parts = word[: len(word) - len(half)].split(b":")
    if len(parts) not in (2, 3) or len(parts[0]) > 2 or any(len(part) != 2 for part in parts[1:]):
        raise ValueError(word)
    if not integer(parts[0], 0, 23) or not all(integer(part, 0, 59) for part in parts[1:]):
        raise ValueError(word)
    hour = int(parts[0])
    if half and hour > 12:
        raise ValueError(word)
    if half:
        hour = hour % 12 + (12 if half == b"pm" else 0)
    return hour, int(parts[1]), int(parts[2]) if len(parts) == 3 else 0


def date_of(word: bytes) -> "tuple[int, int, int]":
    """YYYY-MM-DD, or M/D[/YY], M.D[.YY], MMDD[YY]: as (year or 0, month, day); ValueError otherwise."""
    if word[4:5] == b"-":
        year, month, day = [*word.split(b"-"), b"", b""][:3]
        if len(word) != 10 or len(month) != 2 or not integer(year, 2000, 2099):
            raise ValueError(word)
    else:
        if b"/" in word or b"." in word:
            parts = word.split(b"/" if b"/" in word else b".")
        else:
            parts = [word[at : at + 2] for at in range(0, len(word), 2)]
            if len(word) not in (4, 6):
                raise ValueError(word)
        month, day, year = [*parts, b"", b""][:3]
        if len(parts) not in (2, 3) or len(month) > 2 or len(day) > 2:
            raise ValueError(word)
        if len(parts) == 3:
            # Slurm takes 00 for no year.
            if len(year) != 2 or not integer(year, 1, 99):
                raise ValueError(word)
            year = b"20" + year
    if not integer(month, 1, 12) or not integer(day, 1, 31):
        raise ValueError(word)
    return int(year or 0), int(month), int(day)


def gpu_bind(value: bytes) -> bool:
    """All but maps and masks."""
    kind = value[8:] if value[:8] == b"verbose," else value
    return kind in (b"none", b"closest") or (kind[:7] == b"single:" and count(kind[7:]))


def user_env(value: "bytes | None") -> bool:
    """The flag, or (before 25.05 only, see shim.py) a timeout in seconds and how to log in."""
    if value is None:
        return True
    seconds = value[:-1] if value[-1:] in (b"L", b"S", b"l", b"s") else value
    return not seconds or integer(seconds, 0, 10000)


def zero_one(value: bytes) -> bool:
    return value in (b"0", b"1")


def cpu_freq(value: bytes) -> bool:
    """A level or kilohertz. Which governors there are is in slurm.conf, and what a range needs differs by version."""
    return value.lower() in (b"low", b"medium", b"high", b"highm1") or integer(value, 1, 100000000)


def mem_bind(value: bytes) -> bool:
    """All but maps and masks, which hold commas of their own, and what newer versions no longer know."""
    return all(part in MEM_BINDINGS for part in value.lower().split(b","))


def profile(value: bytes) -> bool:
    """All kinds that were ever collected; sbatch refuses a list only if its first part is unknown."""
    kinds = value.lower()
    return kinds in (b"all", b"none") or all(part in PROFILES for part in kinds.split(b","))


def switches(value: bytes) -> bool:
    """How many leaf switches, and how long to wait for that."""
    number, at, longest = value.partition(b"@")
    return count(number) and (not at or time_min(longest))


def is_signal(value: bytes) -> bool:
    """[B:]SIGNAL[@seconds], the signal by number or by name."""
    target, colon, rest = value.rpartition(b":")
    if colon and target != b"B":
        return False
    name, at, seconds = rest.partition(b"@")
    if at and not integer(seconds, 1, 65535):
        return False
    return integer(name, 1, 31) or (name[3:] if name[:3] == b"SIG" else name) in SIGNALS


def indices(spec: bytes) -> "tuple[list[int], int, int]":
    """
    The task ids that `--array=spec` asks for.

    Returns:
        The ids in rising order, each once; the throttle (0: none); the step that Slurm tells the tasks:
        the number after the first colon, else 1 (tried on 22.05).

    Raises:
        ValueError: a spec that is not surely valid; brackets and signs are left to the real sbatch.
    """
    ids, percent, throttle = spec.partition(b"%")
    limit = 0
    if percent:
        if not integer(throttle, 1, 1000000):
            raise ValueError(spec)
        limit = int(throttle)
    found = set()  # type: set[int]
    for part in ids.split(b","):
        span, colon, step = part.partition(b":")
        low, dash, high = span.partition(b"-")
        if colon and not dash:
            raise ValueError(spec)
        if not integer(low, 0, MAX_INDEX) or (dash and not integer(high, int(low), MAX_INDEX)):
            raise ValueError(spec)
        if colon and not integer(step, 1, 1000):
            raise ValueError(spec)
        found.update(range(int(low), int(high or low) + 1, int(step or 1)))
    if len(spec) > 4096:
        raise ValueError(spec)
    first_step = 1
    if b":" in ids:
        digits = ids.split(b":", 1)[1]
        first_step = int(digits[: len(digits) - len(digits.lstrip(DIGITS))])
    return sorted(found), limit, first_step


def is_array_spec(value: bytes) -> bool:
    try:
        indices(value)
    except ValueError:
        return False
    return True


def is_dependency(value: bytes) -> bool:
    """
    Terms `type:id[:id...]`, `id` or singleton, joined by all commas or all question marks.

    Ids are N, N_i, N_*, N+minutes; `N_[...]` is left to the real sbatch.
    """
    separator = b","
    if b"?" in value:
        separator = b"?"
    if len(value) > 131071:
        return False
    for term in value.split(separator):
        kind, colon, ids = term.partition(b":")
        kind = kind.lower()
        if kind == b"singleton" and not colon:
            continue
        if not colon:
            ids = term
        elif kind not in DEPENDENCY_TYPES:
            return False
        for one in ids.split(b":"):
            number, plus, delay = one.partition(b"+")
            if plus and (kind != b"after" or not integer(delay, 1, 1000000)):
                return False
            job, underscore, task = number.partition(b"_")
            if not integer(job, 1, 4294967294) or (underscore and task != b"*" and not integer(task, 0, 4000000)):
                return False
    return True


# By the kind of value in grammar.OPTIONS; a flag or an optional argument may get None.
RECOGNISERS: "dict[str, Any]" = {
    "any": anything,
    "array": is_array_spec,
    "bare": flag,
    "begin": is_begin,
    "count": count,
    "cpu-freq": cpu_freq,
    "dependency": is_dependency,
    "distribution": distribution,
    "exclusive": exclusive,
    "export": is_export,
    "flag": flag,
    "gpu-bind": gpu_bind,
    "gpus": gpus,
    "gres": is_gres,
    "gres-flags": gres_flags,
    "hint": hint,
    "host": is_host,
    "hosts": hosts,
    "mail-type": mail_type,
    "mem": is_memory,
    "mem-bind": mem_bind,
    "nice": nice,
    "nodes": is_nodes,
    "open-mode": open_mode,
    "path": is_path,
    "profile": profile,
    "propagate": propagate,
    "signal": is_signal,
    "switches": switches,
    "text": is_text,
    "time": is_time,
    "time-min": time_min,
    "user-env": user_env,
    "word": is_word,
    "yes-no": yes_no,
    "zero-one": zero_one,
}
