"""How the real commands are found."""

from __future__ import annotations

from pathlib import Path

from sbatch_shim.flush.backends.sbatch import beside, find_command
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
