"""How the real commands are found, and what they and the controller tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.strategies import session

from sbatch_shim import version
from sbatch_shim.flush.backends.controller import CONFIG_SECONDS, Controller, NoAnswer
from sbatch_shim.flush.backends.sbatch import Inherited, beside, find_command, limits_of, loads_plugins, submit
from sbatch_shim.setup.install import launcher


def command(folder: Path, name: str, text: str = "#!/bin/sh\n") -> str:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_our_own_launchers_are_no_real_commands(tmp_path: Path) -> None:
    """A site's sbatch in a folder of its own, the shims first on PATH, Slurm's commands last."""
    shims, site, slurm = (tmp_path / name for name in ("shims", "site", "slurm"))
    for name in ("sbatch", "squeue"):
        command(shims, name, launcher(name, "/bin/bash", "/usr/bin/python3", "/nowhere"))
    sbatch = command(site, "sbatch")
    squeue = command(slurm, "squeue")
    path = f"{shims}:{site}:{slurm}"
    assert find_command("sbatch", path) == (sbatch, [f"{shims}/sbatch (this shim)"])
    assert beside(sbatch, "squeue", path) == squeue
    near = command(site, "squeue")
    assert beside(sbatch, "squeue", path) == near
    assert beside(sbatch, "sacct", path) == f"{site}/sacct"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", False),
        ("# required /x.so\n\n", False),
        ("include parts/*.conf\n", True),
        ("include empty/*.conf\n", False),
        ("include plugstack.conf\n", False),
        ("optional /usr/lib/slurm/tmpdir.so base=/scratch\n", True),
    ],
)
def test_a_plugstack_that_names_a_plugin(tmp_path: Path, text: str, named: bool) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/a.conf").write_text("required x.so\n")
    (tmp_path / "plugstack.conf").write_text(text)
    beside_conf = {"SLURM_CONF": f"{tmp_path}/slurm.conf", "PlugStackConfig": "(null)"}
    assert loads_plugins(beside_conf) == named
    assert loads_plugins({"PlugStackConfig": f"{tmp_path}/plugstack.conf"}) == named
    assert limits_of(beside_conf).site_changes_environment == named


@pytest.mark.parametrize(
    ("values", "exposed", "nice", "stored"),
    [
        ({}, False, False, False),
        ({"TaskProlog": "(null)", "PropagatePrioProcess": "0", "AccountingStoreFlags": "(null)"}, False, False, False),
        ({"TaskProlog": "/etc/prolog"}, True, False, False),
        ({"TaskProlog[0]": "/etc/prolog"}, True, False, False),
        ({"PropagatePrioProcess": "2"}, False, True, False),
        ({"AccountingStoreFlags": "job_comment,job_script"}, False, False, True),
        ({"AccountingStoreFlags": "job_env,job_script"}, False, False, False),
    ],
)
def test_what_a_site_does_to_jobs(values: dict[str, str], exposed: bool, nice: bool, stored: bool) -> None:
    found = limits_of({**values, "SLURM_CONF": "/nowhere/slurm.conf"})
    assert (found.site_changes_environment, found.propagates_nice, found.stores_scripts) == (exposed, nice, stored)


def test_an_sbatch_without_its_libraries_has_sent_nothing(tmp_path: Path) -> None:
    text = "sbatch: error while loading shared libraries: libslurmfull.so: cannot open shared object file: No such file"
    script = f'#!/bin/sh\n[ -n "$LD_LIBRARY_PATH" ] && echo 7 && exit\necho "{text}" >&2; exit 127\n'
    path = command(tmp_path, "sbatch", script)
    inherited = Inherited(0o022, {}, None, None)
    for environment, lacks in (({}, True), ({b"LD_LIBRARY_PATH": b"/opt/slurm/lib"}, False)):
        answer = submit([path.encode()], environment, inherited, "test", b"/", 0)
        assert answer.lacks_libraries == lacks
        assert (answer.job is None) == lacks


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ({}, False),
        ({"JobSubmitPlugins": "(null)", "Prolog": "(null)", "PrologFlags": "Alloc", "TaskProlog": "/p"}, False),
        ({"JobSubmitPlugins": "lua"}, True),
        ({"CliFilterPlugins": "lua"}, True),
        ({"PrologSlurmctld": "/p"}, True),
        ({"Prolog[0]": "/p"}, True),
        ({"EpilogSlurmctld[0]": "/e"}, True),
    ],
)
def test_what_a_site_adds_may_read_comments(line: dict[str, str], reads: bool) -> None:
    assert limits_of(line).reads_comments is reads


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (b"slurm 24.11.5", (24, 11)),
        (b"slurm-wlm 22.05.8", (22, 5)),
        (b"slurm 25.05.0-0rc1", (25, 5)),
        (b"", (0, 0)),
        (b"slurm unknown", (0, 0)),
        (b"slurm x.y", (0, 0)),
    ],
)
def test_versions(told: bytes, found: tuple[int, int]) -> None:
    assert version.parse(told) == found


def test_the_version_of_an_sbatch_is_asked_once_for_each_session(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    text = "#!/bin/sh\necho x >> {}\necho slurm {}\n"
    old = os.fsencode(command(tmp_path / "old", "sbatch", text.format(asked, "24.11.5")))
    new = os.fsencode(command(tmp_path / "new", "sbatch", text.format(asked, "25.05.1")))
    environment = {b"PATH": b"/usr/bin:/bin"}
    assert [version.of_sbatch(session(), old, environment) for _ in range(3)] == [(24, 11)] * 3
    assert asked.read_text() == "x\n"
    assert version.of_sbatch(session(), new, environment) == (25, 5)
    assert version.of_sbatch(session(), os.fsencode(tmp_path / "none"), environment) == (0, 0)


def test_a_configuration_is_asked_for_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, kept = tmp_path / "asked", os.fsencode(tmp_path / "config")
    text = f"#!/bin/sh\necho >> {asked}\necho 'Configuration data as of 2026-01-01T00:00:00'\necho 'MaxArraySize = 7'\n"
    command(tmp_path / "one", "scontrol", text)
    command(tmp_path / "two", "scontrol", text)
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)

    def times_asked(sbatch: str, **variables: str) -> tuple[int, float]:
        asked.write_text("")
        controller = Controller(f"{tmp_path}/{sbatch}/sbatch", {k.encode(): v.encode() for k, v in variables.items()})
        values, when = controller.recent_config(kept)
        assert values == {"MaxArraySize": "7", "clock": "1767225600"}
        return len(asked.read_text().splitlines()), when

    assert times_asked("one") == (1, now)
    now += CONFIG_SECONDS - 1
    assert times_asked("one") == (0, 1000.0)
    # Another controller, or what is beside another sbatch, may tell something else.
    assert times_asked("one", SLURM_CONF="/x") == (1, now)
    assert times_asked("one") == (1, now)
    assert times_asked("two") == (1, now)
    now += CONFIG_SECONDS
    assert times_asked("two") == (1, now)
    now = 5.0  # the machine was started again
    assert times_asked("two") == (1, now)
    (tmp_path / "config").write_text('{"asker"')
    assert times_asked("two") == (1, now)
    assert times_asked("two") == (0, now)


def test_a_configuration_that_is_not_told_is_not_kept(tmp_path: Path) -> None:
    command(tmp_path, "scontrol", "#!/bin/sh\necho no answer >&2\nexit 1\n")
    controller = Controller(f"{tmp_path}/sbatch", {})
    with pytest.raises(NoAnswer):
        controller.recent_config(os.fsencode(tmp_path / "config"))
    assert not (tmp_path / "config").exists()
