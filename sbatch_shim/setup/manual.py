"""The manual pages, made from the help texts of the commands, so that they cannot differ from them."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

from sbatch_shim import __released__, __version__
from sbatch_shim.flush import cli
from sbatch_shim.state.paths import TEMPLATES
from sbatch_shim.verbs import sarray

# Below PREFIX/share/man, where man(1) looks for the pages of a program in PREFIX/bin or PREFIX/shims.
PAGES = ("man1/sarray.1", "man1/sarray-flush.1", "man7/sbatch-shim.7")
SUMMARIES = {
    "sarray": "run pipelines whose sbatch calls are merged, and look after the calls",
    "sarray-flush": "submit queued sbatch calls as Slurm job arrays",
}


@contextmanager
def eighty_columns() -> Iterator[None]:
    """Help texts as for a terminal of 80 columns without colours."""
    before = {name: os.environ.pop(name, None) for name in ("COLUMNS", "FORCE_COLOR")}
    os.environ["COLUMNS"] = "80"
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def printed(command: Callable[[], int]) -> str:
    """What a command prints that ends by returning or by SystemExit."""
    out = io.StringIO()
    with eighty_columns(), redirect_stdout(out):
        try:
            command()
        except SystemExit:  # argparse, after a help text
            pass
    # Python 3.9 has another heading.
    return out.getvalue().replace("\noptional arguments:\n", "\noptions:\n")


def help_of(verb: str) -> str:
    """The help text of `sarray VERB`; of `sarray` itself where the verb is empty."""
    return printed(lambda: sarray.run([verb, "--help"] if verb else ["--help"], 0o022))


def help_of_flush() -> str:
    return printed(lambda: cli.run(["--help"]))


def escaped(text: str) -> str:
    """Text that roff prints as it is."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").split("\n")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in lines)


def entries(lines: list[str]) -> list[tuple[str, str]]:
    """The terms of a list and what is said of each; what is said may begin on the next line."""
    found: list[tuple[str, str]] = []
    depth = min(len(line) - len(line.lstrip()) for line in lines)
    for line in lines:
        if line[depth] != " ":
            term, *said = re.split(r" {2,}", line.strip(), maxsplit=1)
            found.append((term, "".join(said)))
        else:
            term, before = found[-1]
            found[-1] = (term, f"{before} {line.strip()}".strip())
    return found


def roff_of_block(block: str, heading: str) -> Iterator[str]:
    """A part of a help text between blank lines; `heading` is the macro for one: `.SH` or `.SS`."""
    lines = block.split("\n")
    if lines[0].startswith("usage: "):
        indent = " " * len("usage: ")
        usage = [line[len(indent) :] if line.startswith(indent) else line for line in lines]
        yield from (f"{heading} SYNOPSIS", ".nf", *map(escaped, [lines[0][len(indent) :], *usage[1:]]), ".fi")
        yield f"{heading} DESCRIPTION"
        return
    if lines[0].startswith("Exit status: "):
        yield from (f"{heading} EXIT STATUS", escaped(" ".join(lines)[len("Exit status: ") :]))
        return
    listed = [line for line in lines if line.startswith(" ")]
    told = " ".join(line for line in lines if not line.startswith(" "))
    is_example = told.lower().endswith("examples:")
    if re.fullmatch(r"[a-z ]+:", told) and listed:
        yield f"{heading} {told[:-1].upper()}"
    elif told:
        yield from (".PP", escaped(told))
    if is_example:
        yield from (".nf", *(escaped(line.strip()) for line in listed), ".fi")
    elif listed:
        for term, said in entries(listed):
            yield from (".TP", f".B {escaped(term)}")
            if said:
                yield escaped(said)


def roff_of(text: str, heading: str) -> Iterator[str]:
    before = ""
    for block in text.strip().split("\n\n"):
        for line in roff_of_block(block, heading):
            if line != ".PP" or not before.startswith(".S"):  # a heading begins a paragraph
                yield line
            before = line


def head(name: str, section: int, summary: str) -> Iterator[str]:
    yield f'.TH {name.upper()} {section} {__released__} "sbatch\\-shim {__version__}" "sbatch\\-shim"'
    yield from (".SH NAME", f"{escaped(name)} \\- {escaped(summary)}")


def see_also(*names: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    yield from (f".BR {escaped(name)}" for name in names)


def sarray_page() -> str:
    """sarray(1): the overview, then a section for each verb."""
    lines = [*head("sarray", 1, SUMMARIES["sarray"]), *roff_of(help_of(""), ".SH")]
    for verb in sarray.VERBS:
        lines += [f".SH SARRAY {verb.upper()}", *roff_of(help_of(verb), ".SS")]
    return "\n".join([*lines, *see_also("sarray-flush (1),", "sbatch-shim (7),", "sbatch (1)"), ""])


def flush_page() -> str:
    """sarray-flush(1)."""
    lines = [*head("sarray-flush", 1, SUMMARIES["sarray-flush"]), *roff_of(help_of_flush(), ".SH")]
    return "\n".join([*lines, *see_also("sarray (1),", "sbatch-shim (7),", "sbatch (1)"), ""])


def overview_page() -> str:
    """sbatch-shim(7): what it is, its variables and files."""
    return (TEMPLATES / "sbatch-shim.7").read_text().replace("VERSION", __version__).replace("RELEASED", __released__)


def pages() -> dict[str, str]:
    """The text of each of PAGES."""
    return dict(zip(PAGES, (sarray_page(), flush_page(), overview_page())))
