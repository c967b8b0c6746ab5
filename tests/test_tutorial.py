"""
The tutorial, typed into a fresh terminal: what comes is what the page shows. And the lines of README.md run.

With SHIM_TEST_UPDATE set, the page gets the output that differs. A line `...`, which stands for any lines, has to be
put in by hand.
"""

from __future__ import annotations

import os
import re

import pytest
from support.person import REPO, SYSTEM_PATH, Person
from support.typed import agrees, install_at_home, type_page, update

PAGE = REPO / "docs" / "tutorial.md"


@pytest.mark.slurm
def test_what_the_tutorial_shows_is_what_comes(person: Person) -> None:
    shown, differing = [], []
    for command, came in type_page(person, PAGE.read_text()):
        same = agrees(command.shown, came)
        shown.append(command.shown if same else came)
        if not same:
            differing.append("\n".join([f"$ {command.lines[0]}", *came]))
    if differing and os.environ.get("SHIM_TEST_UPDATE"):
        update(PAGE, shown)
        return
    assert not differing, "\n\n".join(differing)


@pytest.mark.slurm
def test_the_lines_of_the_readme_run_after_an_installation(person: Person) -> None:
    """In a shell that knows nothing of it, as `install.sh --demo` leaves one."""
    readme = (REPO / "README.md").read_text()
    part = readme[readme.index("## In use") : readme.index("## What is merged")]
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", part, re.M | re.S))
    assert "env.sh" in lines and "sarray run" in lines
    install_at_home(person)
    pipeline = person.home / "pipeline.sh"
    pipeline.write_text("#!/bin/bash\nfor n in 1 2 3; do sbatch -o $n.$$.log --wrap='echo $SLURM_JOB_NAME'; done\n")
    pipeline.chmod(0o755)
    done = person.run("bash", "-ec", lines, env=person.environment(PATH=SYSTEM_PATH))
    assert done.status == 0, done.err
    assert done.out.count(b"Submitted batch job") >= 3 + 3
    assert b"3 calls become 1 submission" in done.out
    person.settle()
    # The pipeline ran twice, and jobs of both runs may write at once.
    assert [path.read_text() for path in person.home.glob("[123].*.log")] == ["wrap\n"] * 6
