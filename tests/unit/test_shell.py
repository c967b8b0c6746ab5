"""shellcheck on the shell that only exists once it is rendered: the launcher, env.sh and the dispatcher."""

from __future__ import annotations

import subprocess

import pytest
from support.strategies import array_of, call

from sbatch_shim.companions.context import COMPANIONS
from sbatch_shim.merge.limits import Limits
from sbatch_shim.merge.render import render
from sbatch_shim.merge.tables import Opening
from sbatch_shim.setup.install import launcher
from sbatch_shim.setup.install import render as rendered
from sbatch_shim.state.settings import NOTHING_SET, Settings


def check(text: bytes, shell: str = "bash") -> None:
    done = subprocess.run(["shellcheck", "-s", shell, "-"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


SETTINGS = Settings("/x/config.ini", {"ids": "real", "keeper": "on"})  # a cap is a constant, which shellcheck minds


@pytest.mark.parametrize("command", ["sbatch", *COMPANIONS])
@pytest.mark.parametrize("settings", [NOTHING_SET, SETTINGS])
def test_the_launcher(command: str, settings: Settings) -> None:
    check(launcher(command, "/bin/bash", "/x/python", "/x/site", settings=settings).encode())


def test_what_shells_read_at_their_start() -> None:
    check(rendered("env.sh", shims="/x/shims").encode(), "sh")


PATHS = {"output": {0: b"/one", 1: b"/two"}}


@pytest.mark.parametrize("opening", [None, Opening(PATHS, "here", b"/home/script", b"/seen/cluster")])
@pytest.mark.parametrize("login", [False, True])
def test_the_dispatcher(login: bool, opening: Opening | None) -> None:
    limits = Limits(makes_log_folders=True)
    script, _ = render(array_of([call(0, {}), call(1, {})], login=login), limits, opening=opening)
    program, found, text = script.partition(b"\n}\n# What few tasks need.\n")
    assert found
    end = b'exit "$shim_status"\n}\n'
    # In the order in which bash gets to know them.
    first_line, _, program = program.partition(b"\n")
    check(first_line + b"\n" + text[: text.index(end) + len(end)] + program + b"\n}\n")
