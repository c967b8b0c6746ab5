"""The dispatcher's template is filled as Jinja fills it."""

from __future__ import annotations

from itertools import combinations_with_replacement

import jinja2
import pytest

from sbatch_shim.merge.render import REST, template
from sbatch_shim.merge.template import fill

SWITCHES = (
    "bodies_in_front",
    "common_lines",
    "login",
    "whole",
    "time_format",
    "opening",
    "mark",
    "makes_log_folders",
    "appends",
    "table",
    "one_pass",
    "merged",
)
NUMBERS = (
    *("first_index", "rows_offset", "rows_start", "row_count", "row_bytes", "common_offset", "front_offset"),
    *("program_lines", "rest_lines", "front_lines", "common_at", "lines_in_front"),
)
NAMES = (
    "title",
    "version",
    "summary",
    "tickets",
    "host",
    "own_script",
    "joined",
    "time_zone",
    "changed_by_bash",
    "kept_by_bash",
    "odd_for_bash",
    *NUMBERS,
    *SWITCHES,
)
ODD = "{{ login }} {% if whole %} \\ \n\u00e4"


def by_jinja(text: str, values: dict[str, object]) -> str:
    return (
        jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
        .from_string(text)
        .render(values)
    )


PAIRS = [set(pair) for pair in combinations_with_replacement(SWITCHES, 2)]


@pytest.mark.parametrize("on", [set(), *PAIRS, *(set(SWITCHES) - pair for pair in PAIRS)], ids=" ".join)
def test_the_dispatcher(on: set[str]) -> None:
    values: dict[str, object] = {name: f"{ODD}{name}" for name in NAMES}
    values.update((name, ODD if name in on else "") for name in SWITCHES)
    for text in (template(), template(REST)):
        assert fill(text, values) == by_jinja(text, values)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no tag\n",
        "a\n {%- if yes %} b{% else %} c{% endif %}\n",
        "a\n {%- if no %} b{% else %} c{% endif %}\n",
        "{% if yes %}{% if no %}1{% else %}2{{ value }}{% endif %}3{% else %}{% if yes %}4{% endif %}{% endif %}",
        "{% if no %}{% if yes %}1{% else %}2{{ value }}{% endif %}3{% else %}{% if yes %}4\n{%- endif %}{% endif %}",
        "{{ value }}{{ value }} {%- if yes %}x{% endif %}",
        "{% if not yes %}1{% else %}2{% endif %}{%- if not no %}3{% if yes %}4{% endif %}{% endif %}",
        "{% raw %}${#names[@]}{% endraw %} }} { % %}",
    ],
)
def test_what_it_knows_it_does_as_jinja(text: str) -> None:
    values: dict[str, object] = {"yes": 1, "no": 0, "value": "v"}
    assert fill(text, values) == by_jinja(text, values)


def test_a_name_without_a_value_is_an_error_where_it_is_not_shown_too() -> None:
    for text in ("{{ gone }}", "{% if gone %}x{% endif %}", "{% if no %}{{ gone }}{% endif %}"):
        with pytest.raises(KeyError):
            fill(text, {"no": 0})


@pytest.mark.parametrize("text", ["{% if no %}", "{% else %}", "{% endif %}", "{% if no %}{% endif %}{% endif %}"])
def test_conditions_must_begin_and_end(text: str) -> None:
    with pytest.raises(ValueError):
        fill(text, {"no": 0})
