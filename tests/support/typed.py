"""A page whose console blocks are typed at a terminal, and what comes compared with what the page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.person import SYSTEM_PATH, Person
from support.terminal import Terminal

# Not what a page shows, so that no output is taken for a prompt.
PROMPT = "[typed] "
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
ANY_LINES = "..."
# The home folder of the page's user.
HOME = "/home/ada"
# What is different each time, and the word that stands for it while lines are compared.
VARYING = (
    (re.compile(r"\b(?:[\w-]+\.)+\d+\.\d+\b"), "SESSION"),
    (re.compile(r"(?<!\d)\d{4,}(?!\d)"), "ID"),
    (re.compile(r"\b\d+:\d\d(?::\d\d)?\b"), "TIME"),
    (re.compile(r"\[#+\]"), "BAR"),  # as long as the session's name leaves room
    (re.compile(r"\s+"), " "),
)
# Written over themselves on a terminal, and only where a flush takes longer than a moment.
PASSING = re.compile(r"submitted \d+ of \d+ arrays\s*")


@dataclass
class Typed:
    """
    A command of a page.

    Attributes:
        lines: What is typed: the command, and what follows behind the second prompt.
        shown: The lines that the page shows behind it.
    """

    lines: list[str]
    shown: list[str]


def typed_in(block: str) -> list[Typed]:
    """The commands of a console block, with the output that follows each."""
    found: list[Typed] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Typed([line[2:]], []))
        elif line.startswith("> ") and not found[-1].shown:
            found[-1].lines.append(line[2:])
        else:
            found[-1].shown.append(line)
    return found


def comparable(line: str) -> str:
    for pattern, word in VARYING:
        line = pattern.sub(word, line)
    return line.strip()


def agrees(shown: Sequence[str], came: Sequence[str]) -> bool:
    """Whether these lines are those that the page shows, where `...` stands for any number of lines."""
    if not shown:
        return not came
    if shown[0] == ANY_LINES:
        return any(agrees(shown[1:], came[at:]) for at in range(len(came) + 1))
    return bool(came) and comparable(shown[0]) == comparable(came[0]) and agrees(shown[1:], came[1:])


def type_command(terminal: Terminal, command: Typed) -> list[str]:
    """Type a command at the prompt, and wait for the next one; returns the lines between."""
    for line in command.lines[:-1]:
        terminal.type(f"{line}\n")
        terminal.expect("^> ")
    terminal.type(f"{command.lines[-1]}\n")
    # The terminal echoes what is typed, whatever has been written in front of it.
    begin = terminal.expect(re.escape(command.lines[-1]) + "\n").end()
    end = terminal.expect("^" + re.escape(PROMPT)).start()
    lines = [line.rstrip() for line in terminal.text[begin:end].splitlines()]
    return [line for line in lines if not PASSING.fullmatch(line)]


def install_at_home(person: Person) -> None:
    """Let the installation be where install.sh puts it for one user."""
    installed = person.home / ".local" / "share" / "sbatch-shim"
    installed.parent.mkdir(parents=True)
    installed.symlink_to(person.prefix)
    person.own(person.home / ".local")


def type_page(person: Person, page: str) -> Iterator[tuple[Typed, list[str]]]:
    """Each command of a page, typed one after the other into one shell, and what came."""
    install_at_home(person)
    # No keeper submits before the pipeline has ended, however slow the machine is.
    waits = {"SARRAY_IDLE": "600", "SARRAY_MAX_WAIT": "600"}
    shell = ("bash", "--noprofile", "--norc", "--noediting", "-i")
    with Terminal(person, *shell, PATH=SYSTEM_PATH, PS1=PROMPT, PS2="> ", **waits) as terminal:
        terminal.expect("^" + re.escape(PROMPT))
        for block in BLOCK.findall(page):
            for command in typed_in(block):
                lines = type_command(terminal, command)
                for real, told in ((str(person.prefix), f"{HOME}/.local/share/sbatch-shim"), (str(person.home), HOME)):
                    lines = [line.replace(real, told) for line in lines]
                yield command, lines


def with_output(page: str, came: Sequence[list[str]]) -> str:
    """The page with the output that came, in place of what it shows."""
    outputs = iter(came)

    def typed_block(match: re.Match[str]) -> str:
        lines = []
        for command in typed_in(match[1]):
            lines += [f"$ {command.lines[0]}", *(f"> {line}" for line in command.lines[1:]), *next(outputs)]
        return "\n".join(["```console", *lines, "```"])

    return BLOCK.sub(typed_block, page)


def update(path: Path, came: Sequence[list[str]]) -> None:
    path.write_text(with_output(path.read_text(), came))
