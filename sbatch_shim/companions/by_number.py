"""
sattach, sbcast, sprio, sstat and strigger with tickets: as the number of the job that runs, which is all they know.

Of an element `A_i` sstat takes the array's id alone, and strigger sets its trigger for the array (tried on 22.05). What
waits gets the words that Slurm has for a job that waits. Rows of sstat show the ticket again; sprio shows real ids.
"""

from __future__ import annotations

import os

from sbatch_shim.companions import clusters
from sbatch_shim.companions.context import Context, say, write
from sbatch_shim.companions.submit_first import placed
from sbatch_shim.state.lazy import pattern, re
from sbatch_shim.state.plain import dataclass, field
from sbatch_shim.state.tickets import IN_FLIGHT, QUEUED, REFUSED, Named

# -j behind letters of options without a value.
CLUSTERED = pattern(r"-[aehilnpPvw]*j(.*)")
# What Slurm says of a job that waits, behind the command's name; what the others of its answers are is theirs.
WAITS = {
    "sattach": "Could not get job step info: Job is pending execution",
    "sbcast": "Slurm job {} lookup error: Job is pending execution",
    "sprio": "{} waits for sarray-flush, and has no priority before",
    "sstat": "No steps running for",  # and "job N", "JobId=N" on 26.05
}
STATUS = {"sattach": 1, "sbcast": 255, "sprio": 1, "sstat": 0}
# What stands in sstat's column.
JOB = pattern(rb"([0-9]+)(\..*)?")
# sstat's letters without a value, and what follows them.
# Its letter, or its word, for a format.
FORM = pattern(r"(--format=|--format|-[aeinpPv]*o)(.*)")
FIRST = "JobID%40,"
BARE = pattern(r"-([aeinpPv]+)((?:[jo].*)?)")


@dataclass
class Meant:
    """
    What the ids in a command line are.

    Attributes:
        words: The command line with numbers in place of tickets.
        tickets: The tickets of plain calls, by their jobs' numbers.
        waiting: The tickets of which nothing runs.
        numbers: All numbers that stand for tickets.
        others: Whether something else is named too.
    """

    words: list[str]
    tickets: dict[str, int] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    others: bool = False


def places_of(command: str, words: list[str]) -> list[tuple[int, int]]:
    """Where ids stand: which word, and behind how many of its letters."""
    found = []
    at = 0
    while at < len(words) and words[at] != "--":
        word = words[at]
        clustered = CLUSTERED.fullmatch(word) if command in ("sprio", "sstat") else None
        if word.startswith("--job"):
            found.append((at, word.index("=") + 1) if "=" in word else (at + 1, 0))
        elif clustered is not None or word.startswith("-j"):
            value = clustered[1] if clustered is not None else word[2:]
            found.append((at, len(word) - len(value)) if value else (at + 1, 0))
        elif command == "sattach" and not word.startswith("-"):
            found.append((at, 0))
        if found:
            at = max(at, found[-1][0])
        at += 1
    return [(at, start) for at, start in found if at < len(words)]


def numbers_of(context: Context, named: Named) -> tuple[list[str], bool]:
    """
    The numbers of what a ticket names, of those that have begun.

    Returns:
        Them, and whether it waits.
    """
    if named.state in (QUEUED, REFUSED, IN_FLIGHT):
        return [], True
    if not named.submitted or not clusters.has(context, named.job):
        return [], False
    ids = [one.partition(".")[0] for one in named.elements()]
    words = ["-h", "-a", "-r", "-t", "all", "-j", ",".join(ids), "-o", "%A %t"]
    rows = [line.split() for line in context.run("squeue", words, **context.unfiltered()).out.decode().splitlines()]
    return [number for number, state in rows if state != "PD"], any(state == "PD" for _, state in rows)


def meant(context: Context) -> Meant:
    """The tickets in our words as numbers; ShimError where a trigger's job cannot be submitted."""
    found = Meant(list(context.words))
    for at, start in places_of(context.command, found.words):
        word = found.words[at]
        parts = []
        for part in word[start:].split(","):
            job, dot, step = part.partition(".")
            named = context.tickets.named(job)
            if named is None:
                found.others = True
                parts.append(part)
                continue
            if context.command == "strigger" and named.state in (QUEUED, REFUSED):
                placed(context, named)  # as directly, the job has to be there
                named = context.tickets.named(job) or named
            numbers, waits = numbers_of(context, named)
            if context.command in ("strigger", "sprio") and waits and named.submitted:
                numbers, waits = pending(context, named), False
            if waits and not numbers:
                found.waiting.append(job)
            parts += [number + dot + step for number in numbers]
            if not numbers:
                parts.append(part)  # Slurm knows no such job
            found.numbers += numbers
            if named.submitted and named.place.spec is None:
                found.tickets.update((number, named.ticket) for number in numbers)
        found.words[at] = word[:start] + ",".join(parts)
    return found


def pending(context: Context, named: Named) -> list[str]:
    """The numbers of what a ticket names, of all of it."""
    words = ["-h", "-a", "-r", "-t", "all", "-j", ",".join(named.elements()), "-o", "%A"]
    return context.run("squeue", words, **context.unfiltered()).out.decode().split()


def main(context: Context) -> int:
    """Be the real command, or answer in its words."""
    asked = meant(context)
    if context.command == "sstat":
        return show_steps(context, asked)
    for ticket in asked.waiting:
        say(f"{context.command}: error: {WAITS[context.command].format(ticket)}")
    if asked.waiting and not asked.others:
        return STATUS[context.command]
    return context.become(asked.words)


def show_steps(context: Context, asked: Meant) -> int:
    """
    sstat's rows, with tickets, and without those of others.

    Asked for a job with its array's own id, sstat tells of all elements that run; and twice, where these are asked for
    too.
    """
    words, bare = with_header(asked.words)
    words, hidden = with_number(words)
    answer = context.run("sstat", words)
    said = answer.err.decode(errors="surrogateescape")
    for ticket in asked.waiting:
        said = re.sub(rf"couldn't get steps for (job |JobId=){ticket}\n", rf"{WAITS['sstat']} \g<1>{ticket}\n", said)
    lines = answer.out.split(b"\n")[:-1]
    table = len(lines) > 1 and re.fullmatch(rb"[- ]+", lines[1]) is not None
    separator = None if table else b"|"
    spans = [slice(*found.span()) for found in re.finditer(rb"-+", lines[1])] if table else []
    rows = [[line[span] for span in spans] if table else line.split(separator) for line in lines]
    head = 2 if table else 1
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    shown = rows[:head]
    told: set[bytes] = set()
    for row in rows[head:]:
        found = JOB.fullmatch(row[names.index(b"jobid")].strip()) if b"jobid" in names else None
        if found is not None:
            number = found[1].decode()
            if found[0] in told or not (asked.others or number in asked.numbers):
                continue
            told.add(found[0])
            own = asked.tickets.get(number)
            if own is not None:
                row = [
                    fitted(cell, b"%d" % own, table=table) if name == b"jobid" else cell
                    for name, cell in zip(names, row)
                ]
        shown.append(row)
    joiner = b" " if table else b"|"
    end = b" \n" if table else b"\n"
    texts = [joiner.join(row[hidden:]) + end for row in shown]
    write(b"".join([] if bare else texts[:head]))
    os.write(2, os.fsencode(said))
    write(b"".join(texts[head:]))
    return answer.status


def fitted(cell: bytes, number: bytes, *, table: bool) -> bytes:
    """A cell with another job's number, as wide and on the same side, and cut off as sstat cuts."""
    found = JOB.fullmatch(cell.strip())
    told = number + (found[2] or b"" if found is not None else b"")
    if not table:
        return told
    width = len(cell)
    told = told if len(told) <= width else told[: width - 1] + b"+"
    return told.rjust(width) if cell.startswith(b" ") else told.ljust(width)


def with_number(words: list[str]) -> tuple[list[str], int]:
    """
    A command line of sstat whose first column is the job's number, wide enough for all of it.

    Returns:
        It, and how many columns were put in front. What sstat shows by default begins with one.
    """
    found = list(words)
    for at, word in enumerate(words):
        form = FORM.fullmatch(word)
        if form is None:
            continue
        if form[2]:
            found[at] = f"{form[1]}{FIRST}{form[2]}"
        elif at + 1 < len(words):
            found[at + 1] = FIRST + words[at + 1]
    return found, int(found != words)


def with_header(words: list[str]) -> tuple[list[str], bool]:
    """A command line of sstat that asks for the header, and whether the caller did not want it."""
    kept = []
    for word in words:
        found = BARE.fullmatch(word)
        if found is not None and "n" in found[1]:
            word = "-" + found[1].replace("n", "") + found[2]
        if word not in ("-", "--noheader"):
            kept.append(word)
    return kept, kept != words
