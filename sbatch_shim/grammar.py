"""
The option grammar of sbatch: a table of its options and getopt_long's way of reading them.

Hot path: a literal table and string methods only. The options are those of Slurm 22.05 to 26.05
(`src/common/slurm_opt.c` of each release; spot-checked against 22.05 by running it). An option whose
behaviour is not fully understood here has the role HAND: the real sbatch gets such a call.
"""

from sbatch_shim.errors import HandOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

FLAG, REQUIRED, OPTIONAL = 0, 1, 2
# The columns of OPTIONS; a NamedTuple would be an import.
LETTER: "Final" = 0
TAKES: "Final" = 1
VARIABLE: "Final" = 2
ROLE: "Final" = 3
KIND: "Final" = 4

ARRAY = "array"  # Slurm applies it to a whole array: part of the merge key
TASK = "task"  # carried for each task by the dispatcher
CLIENT = "client"  # changes only what sbatch prints
HAND = "hand"  # the real sbatch must see it
EARLY = "early"  # like HAND on the command line, ignored in #SBATCH lines

# name: (short, argument, suffix of its SBATCH_ variable, role, kind of value; see values.py)
OPTIONS = {
    "account": ("A", REQUIRED, "ACCOUNT", ARRAY, "text"),
    "acctg-freq": ("", REQUIRED, "ACCTG_FREQ", HAND, ""),
    "array": ("a", REQUIRED, "ARRAY_INX", TASK, "array"),
    "autocomplete": ("", REQUIRED, "", HAND, ""),
    "batch": ("", REQUIRED, "BATCH", HAND, ""),
    "bb": ("", REQUIRED, "BURST_BUFFER", HAND, ""),
    "bbf": ("", REQUIRED, "", HAND, ""),
    "begin": ("b", REQUIRED, "", ARRAY, "begin"),
    "chdir": ("D", REQUIRED, "", TASK, "path"),
    "cluster": ("", REQUIRED, "", HAND, ""),
    "cluster-constraint": ("", REQUIRED, "CLUSTER_CONSTRAINT", HAND, ""),
    "clusters": ("M", REQUIRED, "CLUSTERS", HAND, ""),
    "comment": ("", REQUIRED, "", TASK, "text"),
    "consolidate-segments": ("", FLAG, "CONSOLIDATE_SEGMENTS", HAND, ""),
    "constraint": ("C", REQUIRED, "CONSTRAINT", ARRAY, "text"),
    "container": ("", REQUIRED, "CONTAINER", HAND, ""),
    "container-id": ("", REQUIRED, "CONTAINER_ID", HAND, ""),
    "container-type": ("", REQUIRED, "CONTAINER_TYPE", HAND, ""),
    "context": ("", REQUIRED, "", HAND, ""),
    "contiguous": ("", FLAG, "", ARRAY, "flag"),
    "core-spec": ("S", REQUIRED, "CORE_SPEC", HAND, ""),
    "cores-per-socket": ("", REQUIRED, "", ARRAY, "count"),
    "cpu-freq": ("", REQUIRED, "CPU_FREQ_REQ", ARRAY, "cpu-freq"),
    "cpus-per-gpu": ("", REQUIRED, "CPUS_PER_GPU", ARRAY, "count"),
    "cpus-per-task": ("c", REQUIRED, "", ARRAY, "count"),
    "deadline": ("", REQUIRED, "", HAND, ""),
    "delay-boot": ("", REQUIRED, "DELAY_BOOT", HAND, ""),
    "dependency": ("d", REQUIRED, "", ARRAY, "dependency"),
    "distribution": ("m", REQUIRED, "DISTRIBUTION", ARRAY, "distribution"),
    "error": ("e", REQUIRED, "ERROR", TASK, "path"),
    "exclude": ("x", REQUIRED, "", ARRAY, "hosts"),
    "exclusive": ("", OPTIONAL, "EXCLUSIVE", ARRAY, "exclusive"),
    "export": ("", REQUIRED, "EXPORT", TASK, "export"),
    "export-file": ("", REQUIRED, "", HAND, ""),
    "external": ("", FLAG, "", HAND, ""),
    "extra": ("", REQUIRED, "", HAND, ""),
    "extra-node-info": ("B", REQUIRED, "", HAND, ""),
    "get-user-env": ("", OPTIONAL, "GET_USER_ENV", ARRAY, "user-env"),
    "gid": ("", REQUIRED, "", HAND, ""),
    "gpu-bind": ("", REQUIRED, "GPU_BIND", ARRAY, "gpu-bind"),
    "gpu-freq": ("", REQUIRED, "GPU_FREQ", HAND, ""),
    "gpus": ("G", REQUIRED, "GPUS", ARRAY, "gpus"),
    "gpus-per-node": ("", REQUIRED, "GPUS_PER_NODE", ARRAY, "gpus"),
    "gpus-per-socket": ("", REQUIRED, "GPUS_PER_SOCKET", ARRAY, "gpus"),
    "gpus-per-task": ("", REQUIRED, "GPUS_PER_TASK", ARRAY, "gpus"),
    "gres": ("", REQUIRED, "GRES", ARRAY, "gres"),
    "gres-flags": ("", REQUIRED, "GRES_FLAGS", ARRAY, "gres-flags"),
    "help": ("h", FLAG, "", EARLY, ""),
    "hint": ("", REQUIRED, "HINT", ARRAY, "hint"),
    "hold": ("H", FLAG, "", ARRAY, "flag"),
    "ignore-pbs": ("", FLAG, "IGNORE_PBS", CLIENT, "flag"),
    "input": ("i", REQUIRED, "INPUT", TASK, "path"),
    "job-name": ("J", REQUIRED, "JOB_NAME", TASK, "text"),
    "kill-on-invalid-dep": ("", REQUIRED, "", ARRAY, "yes-no"),
    "licenses": ("L", REQUIRED, "", ARRAY, "word"),
    "mail-type": ("", REQUIRED, "", ARRAY, "mail-type"),
    "mail-user": ("", REQUIRED, "", ARRAY, "text"),
    "mcs-label": ("", REQUIRED, "", ARRAY, "text"),
    "mem": ("", REQUIRED, "MEM_PER_NODE", ARRAY, "mem"),
    "mem-bind": ("", REQUIRED, "MEM_BIND", ARRAY, "mem-bind"),
    "mem-per-cpu": ("", REQUIRED, "MEM_PER_CPU", ARRAY, "mem"),
    "mem-per-gpu": ("", REQUIRED, "MEM_PER_GPU", ARRAY, "mem"),
    "mem-update": ("", REQUIRED, "", HAND, ""),
    "mincpus": ("", REQUIRED, "", ARRAY, "count"),
    "network": ("", REQUIRED, "NETWORK", HAND, ""),
    "nice": ("", OPTIONAL, "", ARRAY, "nice"),
    "no-kill": ("k", OPTIONAL, "NO_KILL", ARRAY, "bare"),
    "no-requeue": ("", FLAG, "NO_REQUEUE", ARRAY, "flag"),
    "nodefile": ("F", REQUIRED, "", HAND, ""),
    "nodelist": ("w", REQUIRED, "", ARRAY, "host"),
    "nodes": ("N", REQUIRED, "", ARRAY, "nodes"),
    "ntasks": ("n", REQUIRED, "", ARRAY, "count"),
    "ntasks-per-core": ("", REQUIRED, "", ARRAY, "count"),
    "ntasks-per-gpu": ("", REQUIRED, "", ARRAY, "count"),
    "ntasks-per-node": ("", REQUIRED, "", ARRAY, "count"),
    "ntasks-per-socket": ("", REQUIRED, "", ARRAY, "count"),
    "ntasks-per-tres": ("", REQUIRED, "", HAND, ""),
    "oom-kill-step": ("", OPTIONAL, "OOM_KILL_STEP", HAND, ""),
    "open-mode": ("", REQUIRED, "OPEN_MODE", ARRAY, "open-mode"),
    "output": ("o", REQUIRED, "OUTPUT", TASK, "path"),
    "overcommit": ("O", FLAG, "OVERCOMMIT", ARRAY, "flag"),
    "oversubscribe": ("s", FLAG, "", ARRAY, "flag"),
    "parsable": ("", FLAG, "", CLIENT, "flag"),
    "partition": ("p", REQUIRED, "PARTITION", ARRAY, "text"),
    "power": ("", REQUIRED, "POWER", HAND, ""),
    "prefer": ("", REQUIRED, "", ARRAY, "text"),
    "priority": ("", REQUIRED, "", HAND, ""),
    "profile": ("", REQUIRED, "PROFILE", ARRAY, "profile"),
    "propagate": ("", OPTIONAL, "", ARRAY, "propagate"),
    "qos": ("q", REQUIRED, "QOS", ARRAY, "text"),
    "quiet": ("Q", FLAG, "", EARLY, "flag"),
    "reboot": ("", FLAG, "", HAND, ""),
    "requeue": ("", OPTIONAL, "REQUEUE", ARRAY, "bare"),
    "reservation": ("", REQUIRED, "RESERVATION", ARRAY, "text"),
    "resources": ("", REQUIRED, "", HAND, ""),
    "resv-ports": ("", OPTIONAL, "", HAND, ""),
    "segment": ("", REQUIRED, "SEGMENT_SIZE", HAND, ""),
    "signal": ("", REQUIRED, "SIGNAL", ARRAY, "signal"),
    "sockets-per-node": ("", REQUIRED, "", ARRAY, "count"),
    "spread-job": ("", FLAG, "SPREAD_JOB", ARRAY, "flag"),
    "spread-segments": ("", FLAG, "SPREAD_SEGMENTS", HAND, ""),
    "stepmgr": ("", FLAG, "", HAND, ""),
    "switches": ("", REQUIRED, "", ARRAY, "switches"),
    "tasks-per-node": ("", REQUIRED, "", ARRAY, "count"),
    "test-only": ("", FLAG, "", HAND, ""),
    "thread-spec": ("", REQUIRED, "THREAD_SPEC", HAND, ""),
    "threads-per-core": ("", REQUIRED, "THREADS_PER_CORE", ARRAY, "count"),
    "time": ("t", REQUIRED, "TIMELIMIT", ARRAY, "time"),
    "time-min": ("", REQUIRED, "", ARRAY, "time-min"),
    "tmp": ("", REQUIRED, "", ARRAY, "mem"),
    "tres-bind": ("", REQUIRED, "TRES_BIND", HAND, ""),
    "tres-per-task": ("", REQUIRED, "TRES_PER_TASK", HAND, ""),
    "uid": ("", REQUIRED, "", HAND, ""),
    "usage": ("", FLAG, "", EARLY, ""),
    "use-min-nodes": ("", FLAG, "USE_MIN_NODES", ARRAY, "flag"),
    "verbose": ("v", FLAG, "DEBUG", EARLY, ""),
    "version": ("V", FLAG, "", EARLY, ""),
    "wait": ("W", FLAG, "WAIT", HAND, ""),
    "wait-all-nodes": ("", REQUIRED, "WAIT_ALL_NODES", ARRAY, "zero-one"),
    "wckey": ("", REQUIRED, "WCKEY", ARRAY, "text"),
    "wrap": ("", REQUIRED, "", TASK, "any"),
}

SHORT = {row[LETTER]: name for name, row in OPTIONS.items() if row[LETTER]}

# Options that set the same field in Slurm: the later one wins, under the first one's name.
SAME_FIELD = {"tasks-per-node": "ntasks-per-node"}


def long_name(given: str) -> str:
    """
    The option that `--given` means: an exact name, or an unambiguous prefix of one.

    An ambiguous or unknown name is a HandOver. What is unambiguous among the options of all versions is so
    in each of them; a SPANK plugin's option (unknown here) is always handed over.
    """
    if given in OPTIONS:
        return given
    found = [name for name in OPTIONS if name.startswith(given)]
    if len(found) != 1 or not given:
        raise HandOver("option --%s" % given)
    return found[0]


def parse(words: "list[bytes]") -> "tuple[list[tuple[str, bytes | None]], list[bytes]]":
    """
    Read options as getopt_long does with `+`: they end at the first word that is not one.

    Args:
        words: The words after the program's name, as bytes.

    Returns:
        The options in order, each with its value or None, and the words that are left.

    Raises:
        HandOver: a word that getopt_long would refuse, or that this table does not know.
    """
    options = []
    at = 0
    count = len(words)
    while at < count:
        word = words[at]
        if word == b"--":
            at += 1
            break
        if word[:1] != b"-" or word == b"-":
            break
        at += 1
        value = None
        if word[:2] == b"--":
            given, equals, rest = word[2:].partition(b"=")
            name = long_name(given.decode("latin-1"))
            takes = OPTIONS[name][TAKES]
            if equals:
                if takes == FLAG:
                    raise HandOver("--%s with a value" % name)
                value = rest
            elif takes == REQUIRED:
                if at == count:
                    raise HandOver("--%s without its value" % name)
                value = words[at]
                at += 1
            options.append((SAME_FIELD.get(name, name), value))
            continue
        cluster = word[1:]
        while cluster:
            letter = cluster[:1].decode("latin-1")
            cluster = cluster[1:]
            if letter not in SHORT:
                raise HandOver("option -%s" % letter)
            name = SHORT[letter]
            takes = OPTIONS[name][TAKES]
            value = None
            if takes != FLAG and cluster:
                value, cluster = cluster, b""
            elif takes == REQUIRED:
                if at == count:
                    raise HandOver("-%s without its value" % letter)
                value = words[at]
                at += 1
            options.append((name, value))
    return options, words[at:]
