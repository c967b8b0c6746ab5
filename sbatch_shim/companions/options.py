"""The command lines of squeue, scancel, sacct and scontrol, read as getopt_long reads them."""

from __future__ import annotations

from sbatch_shim.state.plain import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


NONE, REQUIRED, OPTIONAL = 0, 1, 2
# Long name to (its letter or "", whether it takes a value).
Table = dict[str, tuple[str, int]]


class Unreadable(Exception):
    """The command line is not understood: the real command judges it."""


class Unseparable(Exception):
    """A value of the real command's output cannot be told from its neighbours."""


@dataclass
class Line:
    """
    A command line.

    Attributes:
        options: (long name, value or None) in their order.
        operands: All other words, wherever they stood.
    """

    options: list[tuple[str, str | None]]
    operands: list[str]

    def last(self, *names: str) -> str | None:
        """The value of the last of these options; None when none was given (or it has no value)."""
        found = [value for name, value in self.options if name in names]
        if not found:
            return None
        return found[-1]

    def has(self, *names: str) -> bool:
        return any(name in names for name, _ in self.options)

    def without(self, *names: str) -> Line:
        """The same line with these options left out."""
        return Line([one for one in self.options if one[0] not in names], list(self.operands))

    def words(self) -> list[str]:
        """As words again, operands last."""
        words = [f"--{name}" if value is None else f"--{name}={value}" for name, value in self.options]
        if self.operands:
            return [*words, "--", *self.operands]
        return words


def long_name(given: str, table: Table) -> str:
    """An exact name or an unambiguous beginning of one."""
    if given in table:
        return given
    found = [name for name in table if name.startswith(given)]
    if not found or len({table[name] for name in found}) > 1 or (len(found) > 1 and not table[found[0]][0]):
        raise Unreadable(given)
    return found[0]


def read(words: Sequence[str], table: Table, *, permute: bool = True) -> Line:
    """
    Read the words after the command's name.

    Args:
        permute: Options may stand behind operands.

    Raises:
        Unreadable: an option that is not in the table, or a missing value.
    """
    letters = {letter: name for name, (letter, _) in reversed(list(table.items())) if letter}
    line = Line([], [])
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            line.operands += words[at:]
            break
        if word.startswith("--"):
            given, equals, value = word[2:].partition("=")
            name = long_name(given, table)
            takes = table[name][1]
            if takes == REQUIRED and not equals:
                if at == len(words):
                    raise Unreadable(word)
                value, at = words[at], at + 1
            elif takes == NONE and equals:
                raise Unreadable(word)
            line.options.append((name, value if equals or takes == REQUIRED else None))
        elif word.startswith("-") and len(word) > 1:
            rest = word[1:]
            while rest:
                if rest[0] not in letters:
                    raise Unreadable(word)
                name, rest = letters[rest[0]], rest[1:]
                takes = table[name][1]
                if takes == NONE:
                    line.options.append((name, None))
                    continue
                if takes == REQUIRED and not rest:
                    if at == len(words):
                        raise Unreadable(word)
                    rest, at = words[at], at + 1
                line.options.append((name, rest if takes == REQUIRED else rest or None))
                break
        elif permute:
            line.operands.append(word)
        else:
            line.operands += words[at - 1 :]
            break
    return line
