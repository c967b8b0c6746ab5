"""
The environment that a direct submission would hand to the job, and how an array of calls shares it.

What is meant is what sbatch itself does to its environment before the node adds its part (`_opt_env`,
`_set_exp`, `env_array_*` of 22.05; the differential tests compare it with what jobs find).
"""

from __future__ import annotations

from dataclasses import dataclass

from sbatch_shim.record import digest
from sbatch_shim.state.calls import Call, Environment

# What says which controller is meant, and who asks.
CONTROLLER_VARIABLES = (b"SLURM_CONF", b"SLURM_CONF_SERVER", b"SLURM_JWT")
# sbatch reads these when it submits the array, so they may differ between arrays but not inside one.
SUBMIT_VARIABLES = (*CONTROLLER_VARIABLES, b"SLURM_CPUS_PER_TASK")
SPANK_PREFIX = b"SLURM_SPANK_"
# bash complains of bad values of these, before the dispatcher's first line.
UNSETTLING = (b"LANG", b"SHLVL", b"BASH_COMPAT", b"BASH_XTRACEFD")
# These act on every program that is started, so on the dispatcher and its helpers too.
INTRUSIVE = (b"LD_", b"MALLOC_", b"GLIBC_TUNABLES", b"EXECIGNORE")
# Values that no machine lacks.
COMMON_LOCALES = (b"", b"C", b"POSIX", b"C.UTF-8", b"C.utf8")
# What a shell sets anew when it starts, and so does not see as its caller had it.
SHELLS_OWN = (b"PWD", b"OLDPWD", b"SHLVL", b"_")
# sbatch drops variables with longer names without a word (env_array of 22.05, tried).
MAX_NAME = 255


@dataclass(frozen=True)
class Sending:
    """
    How an array's environment reaches its tasks.

    Attributes:
        login: The node adds a login environment.
        exposed: The site sees, and may change, what sbatch sends (TaskProlog, plugins).
        early: It is submitted before its calls are known (a pool), so only what they agree on by exposed_key is sent.
    """

    login: bool = False
    exposed: bool = False
    early: bool = False

    @property
    def by_script(self) -> bool:
        """All of it is in the script, since the calls' values must beat the login environment."""
        return self.login and not self.exposed

    def withholds(self, name: bytes, value: bytes) -> bool:
        """
        Whether a variable must not be around when the array is submitted, so that the script brings it to the tasks.

        sbatch would read some as options. Others would act on the dispatcher: bash would complain of them on the
        task's stderr, where the job's own interpreter may not, before the dispatcher's first line; or they change
        every program that starts. What a site's TaskProlog is to see stays, but for what bash complains of.
        """
        if name[:7] == b"SBATCH_" or name[:6] == b"SLURM_" or (self.early and name in SHELLS_OWN):
            return True
        if self.exposed:
            complains = name in (b"SHLVL", b"BASH_COMPAT", b"BASH_XTRACEFD") or (
                name in (b"LC_ALL", b"LC_CTYPE") and value not in COMMON_LOCALES
            )
            return complains and not self.login
        return name[:3] == b"LC_" or name in UNSETTLING or name.startswith(INTRUSIVE)


@dataclass
class Shared:
    """
    The environments of the calls of one array, taken apart.

    Attributes:
        submit: What sbatch is started with: what all have in common and sbatch does not read as options.
        common: What all have in common beyond that; carried in the script once.
        own: For each call, what is left.
    """

    submit: dict[bytes, bytes]
    common: dict[bytes, bytes]
    own: list[dict[bytes, bytes]]


def needs_login(call: Call) -> bool:
    """
    Whether the node adds the user's login environment: for every `--export` but none, ALL and (from 23.11) NIL, and
    for `--get-user-env`, whatever its value (tried: what is exported beats it, and soft limits are not propagated).
    """
    value = call.options.get("export")
    by_export = value is not None and value.upper() != b"ALL" and not call.exports_nil
    return by_export or "get-user-env" in call.options


def for_job(call: Call, *, launch_sets_name: bool) -> Environment:
    """
    What sbatch would send with the job.

    Args:
        launch_sets_name: Slurm 24.11 and newer set SLURM_JOB_NAME at launch, also where sbatch does not.
    """
    environment = exported(call)
    changed = {name: value for name, value in environment.changed.items() if not lost(name)}
    removed = environment.removed | {name for name in environment.base if lost(name)}
    changed[b"SLURM_SUBMIT_DIR"] = call.cwd
    changed[b"SLURM_SUBMIT_HOST"] = call.host
    changed[b"SLURM_PRIO_PROCESS"] = b"%d" % call.nice
    name = call.name
    if name is None and launch_sets_name:
        name = b"sbatch"
    if name is not None:
        changed[b"SLURM_JOB_NAME"] = name
    dependency = call.options.get("dependency")
    if dependency is not None:
        changed[b"SLURM_JOB_DEPENDENCY"] = dependency
    value = call.options.get("export")
    if value is not None and value.upper() != b"ALL" and environment.get(b"SLURM_EXPORT_ENV") is None:
        changed[b"SLURM_EXPORT_ENV"] = value
    return Environment(environment.base, removed, changed)


def lost(name: bytes) -> bool:
    """Variables that no job gets: sbatch takes one from its own environment, and drops long names."""
    return len(name) > MAX_NAME or name == b"SLURM_CONF_SERVER"


def exported(call: Call) -> Environment:
    """The caller's environment through `--export`."""
    value = call.options.get("export")
    environment = call.environment
    if value is None or value.upper() == b"ALL":
        return environment
    if value.upper() == b"NONE" or call.exports_nil:
        # Names of five letters: SLURMD_ and the like pass too.
        kept = {name: found for name, found in environment.whole().items() if name[:5] == b"SLURM"}
        return Environment({}, frozenset(), kept)
    whole: dict[bytes, bytes] = {}
    all_named = False
    for item in split_list(value):
        name, equals, assigned = item.partition(b"=")
        if item.upper() == b"ALL":
            # Order decides: what was assigned before loses against the caller's value.
            all_named = True
            for found in list(whole):
                kept_value = environment.get(found)
                if kept_value is not None:
                    whole[found] = kept_value
        elif equals:
            whole[name] = assigned
        else:
            existing = environment.get(name)
            if existing is not None:
                whole[name] = existing
    if all_named:
        changed = {**environment.changed, **whole}
        return Environment(environment.base, environment.removed - frozenset(whole), changed)
    for name, found_value in environment.whole().items():
        if name[:6] == b"SLURM_" and name not in whole:
            whole[name] = found_value
    return Environment({}, frozenset(), whole)


def split_list(value: bytes) -> list[bytes]:
    """Split at commas outside quotes; the quotes stay in the value."""
    items = []
    item = b""
    quote = b""
    for at in range(len(value)):
        letter = value[at : at + 1]
        if letter == b"," and not quote:
            items.append(item)
            item = b""
            continue
        if letter in (b'"', b"'"):
            if not quote:
                quote = letter
            elif letter == quote:
                quote = b""
        item += letter
    items.append(item)
    return [item for item in items if item]


def exposed_key(call: Call) -> tuple[bytes | None, str]:
    """
    What calls of one array agree on where the site sees, and may change, what sbatch sends.

    That is everything but what a shell sets anew when it starts (most are such scripts), and what Slurm itself tells of
    a job: its name, its number, the folder it was submitted from.
    """
    sent = exported(call).whole()
    entries = [
        name + b"=" + value
        for name, value in sent.items()
        if name not in SHELLS_OWN and name[:6] != b"SLURM_" and name[:7] != b"SBATCH_"
    ]
    return call.options.get("export") if needs_login(call) else None, digest(b"\0".join(sorted(entries)))


def loader_variables(call: Call) -> dict[bytes, bytes]:
    """The part of a call's environment that says where programs find their libraries."""
    return {name: value for name, value in call.environment.whole().items() if name[:3] == b"LD_"}


def controller_variables(call: Call) -> tuple[tuple[bytes, bytes], ...]:
    """The part of a call's environment that says which controller it is for."""
    found = ((name, call.environment.get(name)) for name in CONTROLLER_VARIABLES)
    return tuple((name, value) for name, value in found if value is not None)


def submit_key(call: Call) -> tuple[tuple[bytes, bytes], ...]:
    """The part of a call's environment that calls of one array must agree on."""
    found = []
    for name in SUBMIT_VARIABLES:
        value = call.environment.get(name)
        if value is not None:
            found.append((name, value))
    for names in (call.environment.base, call.environment.changed):
        for name in names:
            if name[:12] == SPANK_PREFIX:
                value = call.environment.get(name)
                if value is not None:
                    found.append((name, value))
    return tuple(sorted(set(found)))


def export_by_variable(call: Call, sending: Sending) -> bool:
    """
    Whether sbatch is told of `--export` by SBATCH_EXPORT, which the dispatcher takes away again.

    Where the site sees the environment sbatch itself and the node make it, as they would for each call; but a list may
    hold values, and a call that has it from a directive or a variable has shown them in no process's words.
    """
    return sending.login and sending.exposed and b"=" in (call.options.get("export") or b"")


def for_sbatch(call: Call, shared: Shared, sending: Sending) -> dict[bytes, bytes]:
    """
    The environment to start sbatch with for an array that holds `call`.

    Which controller and whose token come from the caller, whatever the job's own environment is to hold. In login
    mode sbatch passes nothing else on, but a site's wrapper around it needs a PATH all the same.
    """
    around = shared.submit
    if sending.by_script:
        around = {
            name: value
            for name, value in call.environment.whole().items()
            if name[:5] != b"SLURM" and not sending.withholds(name, value)
        }
    elif sending.login:
        # sbatch itself chooses what to send; what the calls differ in is each one's own.
        whole = call.environment.whole()
        differing = {name for own in shared.own for name in own}
        around = {
            name: value for name, value in whole.items() if name not in differing and not sending.withholds(name, value)
        }
        if export_by_variable(call, sending):
            around[b"SBATCH_EXPORT"] = call.options["export"] or b""
    return {**around, **dict(submit_key(call))}


def share(environments: list[Environment], sending: Sending) -> Shared:
    """Take the environments of one array's calls apart."""
    base = environments[0].base
    rebased = [environment if environment.base is base else rebase(environment, base) for environment in environments]
    touched: set[bytes] = set()
    for environment in rebased:
        touched |= environment.removed
        touched.update(environment.changed)
    alike = {name: value for name, value in base.items() if name not in touched}
    # Changed by all in the same way is common too.
    first = rebased[0]
    for name in list(touched):
        value = first.get(name)
        if value is not None and name in first.changed and all(other.changed.get(name) == value for other in rebased):
            alike[name] = value
            touched.discard(name)
    shared_base = [name for name in base if name in touched]
    own = []
    for environment in rebased:
        mine = {name: value for name, value in environment.changed.items() if name in touched}
        for name in shared_base:
            if name not in mine and name not in environment.removed:
                mine[name] = base[name]
        own.append(mine)
    submit: dict[bytes, bytes] = {}
    common: dict[bytes, bytes] = {}
    for name, value in alike.items():
        (common if sending.by_script or sending.withholds(name, value) else submit)[name] = value
    return Shared(submit, common, own)


def rebase(environment: Environment, base: dict[bytes, bytes]) -> Environment:
    """The same environment told as a difference from another base."""
    whole = environment.whole()
    return Environment(
        base,
        frozenset(name for name in base if name not in whole),
        {name: value for name, value in whole.items() if base.get(name) != value},
    )
