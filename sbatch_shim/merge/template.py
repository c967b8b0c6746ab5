"""
The little of Jinja's syntax that the dispatcher's template is written in.

Importing Jinja and compiling a template takes 35 ms, half of what a flush of a single call needs, and such a flush
stands in front of each call that goes to the real sbatch behind a ticket. (install.py, where that does not matter,
uses Jinja; a test renders the dispatcher by both.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TAG = re.compile(
    r"\{\{ (?P<value>\w+) \}\}"
    r"|\{%(?P<trim>-?) (?P<word>if|else|endif|raw|endraw)(?: (?P<negated>not )?(?P<name>\w+))? %\}"
)


def fill(text: str, values: Mapping[str, object]) -> str:
    """
    A template with its values.

    Known are `{{ name }}`, `{% if name %}`, `{% if not name %}`, `{% else %}` and `{% endif %}`, nested or not, and
    `{% raw %}` around what Jinja would take for a comment; a minus sign behind `{%` takes away the blanks and line
    ends in front.

    Raises:
        KeyError: a name without a value.
        ValueError: a condition that has no end, or an end without a condition.
    """
    parts = []
    shown = [True]  # for each condition that we are in, all of it first
    at = 0
    for tag in TAG.finditer(text):
        before = text[at : tag.start()]
        at = tag.end()
        if shown[-1]:
            parts.append(before.rstrip() if tag["trim"] else before)
        if tag["value"]:
            value = values[tag["value"]]
            if shown[-1]:
                parts.append(str(value))
        elif tag["word"] == "if":
            shown.append(shown[-1] and bool(values[tag["name"]]) is not bool(tag["negated"]))
        elif tag["word"] in ("else", "endif") and len(shown) == 1:
            raise ValueError(f"{tag[0]} at {tag.start()} belongs to no condition")
        elif tag["word"] == "else":
            shown[-1] = shown[-2] and not shown[-1]
        elif tag["word"] == "endif":
            shown.pop()
    if len(shown) > 1:
        raise ValueError("a condition has no end")
    return "".join([*parts, text[at:]])
