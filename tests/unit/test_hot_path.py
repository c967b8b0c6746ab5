"""What every sbatch of a pipeline pays for, and where its calls go."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sbatch_shim.setup import install
from sbatch_shim.state.paths import state_folder

REPO = Path(__file__).parent.parent.parent
# Beyond a bare `python -I -S`; time and those of C are compiled into the interpreter or small extension modules.
ALLOWED = (
    {"_blake2", "_signal", "fcntl", "posix", "resource", "time"}
    | {"sbatch_shim"}
    | {
        f"sbatch_shim.{name}"
        for name in ("directives", "errors", "grammar", "record", "request", "shim", "spool", "values")
    }
)


def modules(code: str) -> set[str]:
    head = f"import posix,sys; sys.path.insert(0, {str(REPO)!r}); "
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", head + code + "; print(*sorted(sys.modules))"],
        capture_output=True,
        check=True,
    )
    return set(done.stdout.decode().split())


def test_the_hot_path_imports_exactly_what_it_may() -> None:
    bare = modules("pass")
    assert modules("import sbatch_shim.shim") - bare == ALLOWED - bare


def test_the_hot_path_never_imports_these() -> None:
    """Also where the bare interpreter had them, so that the list above cannot hide one."""
    costly = {
        "os",
        "re",
        "json",
        "pathlib",
        "typing",
        "argparse",
        "enum",
        "contextlib",
        "subprocess",
        "signal",
        "hashlib",
    }
    costly |= {
        "dataclasses",
        "collections",
        "functools",
        "filelock",
        "jinja2",
        "platformdirs",
        "logging",
        "tempfile",
        "site",
    }
    assert modules("import sbatch_shim.shim") & costly == set()


@pytest.mark.parametrize("home", ["/home/someone", "/home/odd name*"])
@pytest.mark.parametrize("state", ["/states", "", None, "/odd [s]tate", "/trailing/", "relative"])
def test_launcher_and_platformdirs_agree_on_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str | None, home: str
) -> None:
    """The launcher is run for real, with a Python that only shows the folder it is given."""
    shown = tmp_path / "python"
    shown.write_text('#!/bin/sh\nprintf %s "$8"\n')
    shown.chmod(0o755)
    launcher = tmp_path / "sbatch"
    launcher.write_text(install.launcher("sbatch", "/bin/bash", str(shown), "/site"))
    launcher.chmod(0o755)
    environment = {"PATH": "/nowhere", "HOME": home, "SARRAY_MODE": "queue"}
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("SARRAY_STATE_DIR", raising=False)
    if state is not None:
        environment["XDG_STATE_HOME"] = state
        monkeypatch.setenv("XDG_STATE_HOME", state)
    done = subprocess.run([str(launcher)], env=environment, capture_output=True, check=True)
    given, wanted = os.fsdecode(done.stdout), state_folder()
    assert os.path.normpath(given) == os.path.normpath(wanted)


def test_what_only_a_flush_needs_is_imported_by_nothing_else() -> None:
    """The companions, and a call that is handed over behind tickets which are submitted already, start without it."""
    packages = ", ".join(repr(path) for path in sys.path if path.endswith("site-packages"))
    start = f"sys.path += [{packages}]; import sbatch_shim.companions.start, sbatch_shim.flush.handover"
    found = modules(f"{start}; import sbatch_shim.companions.waits, sbatch_shim.companions.squeue")
    costly = {"jinja2", "platformdirs", "hashlib", "sbatch_shim.merge.plan", "sbatch_shim.flush.flush"}
    assert found & costly == set()
    behind = modules("import sbatch_shim.shim, sbatch_shim.flush.handover")
    assert behind & {"subprocess", "sbatch_shim.companions", "sbatch_shim.state.tickets"} == set()
    assert "jinja2" not in modules(f"{start}; import sbatch_shim.flush.flush, sbatch_shim.flush.backends.slurm")


def test_a_companion_starts_without_what_few_questions_need() -> None:
    found = modules("import sbatch_shim.companions.start, sbatch_shim.companions.squeue")
    costly = {"re", "json", "typing", "dataclasses", "inspect", "enum", "collections", "functools", "subprocess"}
    costly |= {"signal", "shutil", "traceback", "site", "sbatch_shim.companions.formats.document"}
    assert found & costly == set()


def test_the_part_for_calls_of_a_burst_is_found_by_its_line() -> None:
    """A pattern over the whole file takes bash tens of milliseconds where the locale is UTF-8."""
    text = install.launcher("sbatch", "/bin/bash", "/usr/bin/python3", "/nowhere")
    found = re.search(r"^ *mapfile -s (\d+) shim_lines <\"\$0\"$", text, re.M)
    assert found is not None
    assert text.splitlines()[int(found[1])] == "# the clerk"
