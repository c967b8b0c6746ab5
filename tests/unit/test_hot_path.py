"""What every sbatch of a pipeline pays for, and where its calls go."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.replies import DATA, Record, copy_of_state

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


# A real squeue and scontrol that know one task, and show of it what they are asked for.
REAL = r"""#!/bin/sh
for word; do
    case $word in
    --format=*)
        printf '%s\n' "${word#--format=}" | sed 's:%A:500007:; s:%i:500007_2:; s:%o:@SCRIPT@:; s:%j:run+1:; s:%t:R:'
        ;;
    show)
        printf 'JobId=500014 ArrayJobId=500007 ArrayTaskId=2 JobName=run+1\n   JobState=RUNNING Dependency=(null)\n'
        printf '   Command=%s\n   WorkDir=/\n   StdErr=%s\n\n' '@SCRIPT@' '@LINK@'
        ;;
    --version) echo slurm-wlm 22.05.8 ;;
    esac
done
"""
CHILD = """
import os, sys
sys.path.insert(0, {repo!r})
leave = os._exit
def tell(status):
    os.write(2, " ".join(sys.modules).encode())
    leave(status)
os._exit = tell
from sbatch_shim.companions.start import main
sys.exit(main({command!r}))
"""


@pytest.mark.parametrize(
    ("name", "words", "shown"),
    [
        ("run", ["squeue", "-h", "-j", "{ticket}", "-o", "%i %t"], "{ticket} R\n"),
        ("run", ["scontrol", "show", "job", "{ticket}"], "JobId={ticket} JobName=run\n"),
        ("late", ["squeue", "-h", "-j", "{ticket}", "-o", "%i %t"], "{ticket} PD\n"),
        ("late", ["scontrol", "show", "job", "{ticket}"], "JobId={ticket} JobName=late\n"),
    ],
)
def test_a_companion_that_is_asked_for_one_ticket_does_without_costly_modules(
    tmp_path: Path, name: str, words: list[str], shown: str
) -> None:
    """Regular expressions alone take as long to import as Python takes to start."""
    record = Record(DATA / "slurm-22.05")
    ticket = record.tickets[name]
    state = copy_of_state(record, tmp_path)
    script = next(
        json.loads(line)["script"]
        for journal in state.glob("sessions/*/flushes/*/journal")
        for line in journal.read_text().splitlines()
        if record.tickets["run"] in line and "submitting" in line
    )
    link = script.replace("/script", "/output/2")
    words = [word.format(ticket=ticket) for word in words]
    real = tmp_path / words[0]
    real.write_text(REAL.replace("@SCRIPT@", script).replace("@LINK@", link))
    real.chmod(0o755)
    (tmp_path / "sinfo").write_text("#!/bin/sh\necho 'main*'\n")
    (tmp_path / "sinfo").chmod(0o755)
    code = CHILD.format(repo=str(REPO), command=words[0])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, "/proc/self/environ", "", "", str(state), str(real), *words[1:]],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SARRAY_MODE": "queue", "SARRAY_SESSION": "record"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.startswith(shown.format(ticket=ticket)), done.stderr
    assert set(done.stderr.split()) & {"re", "json", "enum", "typing", "dataclasses", "subprocess", "site"} == set()
