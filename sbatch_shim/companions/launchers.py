"""
srun and salloc with tickets, their own job's id, or singleton in `--dependency`, and with ids in `srun --jobid`.

Only a value that Slurm must be told otherwise is added, behind the caller's options; then the real command is executed.
"""

from __future__ import annotations

import os

from sbatch_shim.companions.context import Context
from sbatch_shim.companions.submit_first import placed
from sbatch_shim.companions.this_job import own_job
from sbatch_shim.companions.waits import OwnConditions
from sbatch_shim.errors import BadDependency, ShimError
from sbatch_shim.flush.handover import real_dependency, release_awaited, submit_namesakes
from sbatch_shim.request import waits_by_name
from sbatch_shim.spool import session_of, ticket_numbers

# Options whose value may be the next word, by the help of 22.05 to 26.05; all others take none, or behind a `=`.
LETTERS = "ABCDFGJLMNSTWbcdeimnopqrtwx"
WITH_VALUES = """
    account acctg-freq bb bbf bcast bcast-exclude begin chdir cluster-constraint clusters comment constraint container
    container-id container-type core-spec cores-per-socket cpu-bind cpu-freq cpus-per-gpu cpus-per-task deadline
    delay-boot dependency distribution epilog error exclude export extra extra-node-info gid gpu-bind gpu-freq gpus
    gpus-per-node gpus-per-socket gpus-per-task gres gres-flags het-group hint ignore-signals input job-name jobid
    licenses mail-type mail-user max-exit-timeout max-threads mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus
    mpi msg-timeout network nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node
    ntasks-per-socket ntasks-per-tres output partition power prefer priority profile prolog qos relative reservation
    segment signal slurmd-debug sockets-per-node switches task-epilog task-prolog thread-spec threads threads-per-core
    time time-min tmp treewidth tres-bind tres-per-task uid wait wait-all-nodes wait-for-switch wckey
"""
NAMES = frozenset(WITH_VALUES.split())
# An abbreviation is one of these where getopt_long would take it for them.
OURS = {"dependency": 3, "jobid": 4, "job-name": 4}
LETTER_OF = {"d": "dependency", "J": "job-name"}


def options_of(words: list[str]) -> tuple[dict[str, str], int]:
    """
    The last value of each of our options, and how many words stand before the command that is launched.

    An option that is not known ends the search: what follows may be its value, or the command.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(words):
        word = words[at]
        if word in ("--", ":") or not word.startswith("-") or word == "-":
            break
        at += 1
        if word.startswith("--"):
            given, equals, value = word[2:].partition("=")
            name = next((one for one, least in OURS.items() if len(given) >= least and one.startswith(given)), given)
            wants = not equals and (name in NAMES or any(one.startswith(name) for one in NAMES if len(name) > 3))
        else:
            letter = next((place for place, one in enumerate(word[1:], 1) if one in LETTERS or one in "IK"), 0)
            name = ""
            if letter:
                name = LETTER_OF.get(word[letter], "")
            value = word[letter + 1 :]
            wants = bool(letter) and word[letter] in LETTERS and not value
        if wants:
            if at == len(words):
                break  # without its value, which the real command says
            value = words[at]
            at += 1
        if name in OURS:
            found[name] = value
    return found, at


def number_of(context: Context, element: str) -> str:
    """The number of an element that has started, as srun of 22.05 takes no `A_i`; any other id as it is."""
    if "_" not in element:
        return element
    words = ["-h", "-t", "all", "-j", element, "-o", "%A"]
    return next(iter(context.run("squeue", words, **context.unfiltered()).out.decode().split()), element)


def submit_older(context: Context, name: str | None) -> None:
    """
    See that what waits for all older jobs of its name does so for those that are queued in the caller's session.

    Args:
        name: As --job-name has it; without, all calls are submitted, as the name depends on the version.

    Raises ShimError when that fails.
    """
    session = context.session()
    if os.path.exists(session.folder):
        submit_namesakes(session, None if name is None else os.fsencode(name), in_person=True)


def main(context: Context) -> int:
    """Be the real command; ShimError where what it waits for cannot be submitted."""
    given, at = options_of(context.words)
    entries = [name + b"=" + value for name, value in context.environment.items()]
    more = []
    spec = os.fsencode(given.get("dependency", ""))
    if any(session_of(context.state, ticket) is None for ticket in ticket_numbers(spec)):
        own = own_job(context)
        if own:
            context.state = own.state
    if waits_by_name({"dependency": spec}):
        submit_older(context, given.get("job-name"))
    release_awaited(spec + b" " + os.fsencode(given.get("jobid", "")), context.state)
    try:
        real = real_dependency(spec, context.state, OwnConditions(os.fsencode(context.real), entries), for_array=False)
    except BadDependency:
        failed = "Job submit/allocate failed"
        if context.command == "srun":
            failed = "Unable to allocate resources"
        raise ShimError(f"{failed}: Job dependency problem") from None
    if real is not None:
        more.append(f"--dependency={os.fsdecode(real.spec)}")
    named = context.tickets.named(given.get("jobid", ""))
    if named is not None:
        more.append(f"--jobid={number_of(context, placed(context, named)[-1])}")
    return context.become([*context.words[:at], *more, *context.words[at:]])
