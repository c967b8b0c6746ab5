"""
Lines of JSON: what a journal holds.

The standard module imports regular expressions, which takes as long as Python's own start. What it does with most
lines is done by a C function alone, and so it is asked here; for what that does not understand there is the module.
"""

from __future__ import annotations

from sbatch_shim.state.lazy import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Standard:
    """What the C function takes as the settings of a json.JSONDecoder: those of json.loads."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


scan: Callable[[str, int], tuple[Any, int]] | None = None
try:
    from _json import make_scanner

    scan = make_scanner(Standard)  # type: ignore[arg-type]
except ImportError:
    pass  # another Python than CPython


def loads(line: bytes) -> Any:
    """What a line tells; ValueError for one that is no JSON."""
    if scan is None:
        return json.loads(line)
    text = line.decode()
    try:
        value, end = scan(text, 0)
    except StopIteration:
        return json.loads(text)
    if end != len(text):
        return json.loads(text)
    return value


def dumps(value: object) -> bytes:
    """A value as a line, without its end."""
    return json.dumps(value, separators=(",", ":")).encode()
