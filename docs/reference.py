#!/usr/bin/env python3
"""
Make reference.md from the help texts of all commands.

    .venv/bin/python docs/reference.py > docs/reference.md

tests/unit/test_manual.py compares the page with the help texts.
"""

from __future__ import annotations

import sys

from sbatch_shim.setup import manual
from sbatch_shim.verbs import sarray

HEAD = """\
# Reference

The help texts of the commands, as they print them ([sarray.md](sarray.md) tells the verbs in short,
[the variables](installing.md#variables) stand with the installation).
The same texts are the manual pages `sarray(1)` and `sarray-flush(1)`; `sbatch-shim(7)` is an
overview.
The shims `sbatch`, `squeue`, `scancel`, `sacct`, `scontrol`, `srun`, `salloc`, `sattach`, `sbcast`,
`sprio`, `sstat` and `strigger` have the options of the real commands.
This page is made by `docs/reference.py`.
"""


def section(name: str, text: str) -> str:
    return f"## {name}\n\n```text\n{text.rstrip()}\n```\n"


def page() -> str:
    parts = [HEAD, section("sarray-flush", manual.help_of_flush()), section("sarray", manual.help_of(""))]
    parts += [section(f"sarray {verb}", manual.help_of(verb)) for verb in sarray.VERBS]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
