"""Real ids in what Slurm says, as the tickets that the caller knows."""

from __future__ import annotations

import re

from sbatch_shim.book import Book

TERM = re.compile(r"([a-z]+:)([0-9]{1,10})(_[0-9]+|_\*)?((?:\+[0-9]+)?(?:\([a-z]+\))?)")
# The only places where scancel and scontrol name a job in an error.
IN_ERROR = re.compile(r"((?:^|job (?:id )?|Job |job_id=))([0-9]{1,10})(_[0-9]+|_\[[^\]]*\])?(?=[: ,\n]|$)", re.M)


def dependency_with_tickets(spec: str, book: Book, wholes: set[int]) -> str:
    """
    A dependency as Slurm shows it (`afterok:500001_3(unfulfilled)`), with tickets.

    Args:
        wholes: Tickets that are waited for as wholes: their tasks become one `T_*`, as of an array.
    """
    separator = "?" if "?" in spec else ","
    found: list[str] = []
    for term in spec.split(separator):
        match = TERM.fullmatch(term)
        job = book.jobs.get(int(match[2])) if match else None
        if match is None or job is None:
            found.append(term)
            continue
        if match[3] in (None, "_*"):
            ids = [f"{ticket}" + ("" if place.spec is None else "_*") for _, ticket, place in job.entries]
        else:
            ids = []
            for ticket, tasks in job.shares([int(match[3][1:])]).items():
                task = "" if tasks[0] is None else "_*" if ticket in wholes else f"_{tasks[0]}"
                ids.append(f"{ticket}{task}")
        found += [f"{match[1]}{one}{match[4]}" for one in ids]
    return separator.join(dict.fromkeys(found))


def error_with_tickets(text: bytes, book: Book, given: dict[str, str]) -> bytes:
    """
    What a command wrote to stderr, with the ids that we gave it as the caller wrote them.

    Args:
        given: From the real id on the command line to the caller's.
    """

    def name(found: re.Match[str]) -> str:
        whole = found[2] + (found[3] or "")
        if whole in given:
            return found[1] + given[whole]
        job = book.jobs.get(int(found[2]))
        if job is None or (found[3] or "_")[1:].isdigit() is False:
            return found[0]
        try:
            ticket, local = job.task(int(found[3][1:]))
        except KeyError:
            return found[0]
        return found[1] + (str(ticket) if local is None else f"{ticket}_{local}")

    return IN_ERROR.sub(name, text.decode(errors="surrogateescape")).encode(errors="surrogateescape")
