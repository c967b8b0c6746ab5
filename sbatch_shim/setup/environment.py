"""
The environment of an installation, PREFIX/venvs/VERSION-DIGEST: a copy of this package and of what it needs.

A copy, so that it does not matter where the package came from: a folder that install.sh removes again, an environment
of pip, pipx, uv or conda that is updated or removed later, a home that others cannot read. It is made beside its place
and renamed, so it is whole wherever it exists.

The standard library only: install.sh uses this module before anything is installed.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from sbatch_shim import __version__
from sbatch_shim.errors import ShimError
from sbatch_shim.setup import place

# What pyproject.toml names; what they need in turn is found by their metadata.
NEEDED = ("filelock", "jinja2", "platformdirs")
DRAFT = ".new-"
# Holds the digest of the sources that an environment was made from.
SOURCES = "sources"
USED = "import sbatch_shim.shim, sbatch_shim.flush.cli, sbatch_shim.flush.flush, sbatch_shim.flush.backends.slurm"


def make_bare(folder: Path) -> None:
    """An environment with a Python and nothing else: no pip, and no activate, as nobody works in it."""
    try:
        import venv
    except ModuleNotFoundError:
        raise ShimError(
            f"{sys.executable} has no module venv (Debian: apt-get install python3-venv); nothing was installed"
        ) from None
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    for script in (folder / "bin").iterdir():
        if not script.name.startswith("python"):
            script.unlink()


def files_of(module: Path) -> Iterator[Path]:
    """The files of a module or a package, in order, without what Python compiled."""
    if not module.is_dir():
        yield module
        return
    for entry in sorted(module.iterdir()):
        if entry.name != "__pycache__" and entry.suffix != ".pyc":
            yield from files_of(entry)


def add(digest: hashlib._Hash, module: Path) -> None:
    """Add the names and bytes of a module's files."""
    for path in files_of(module):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(module.parent)} {len(data)}\n".encode("utf-8", "surrogateescape"))
        digest.update(data)


def digest_of_python() -> hashlib._Hash:
    return hashlib.sha256(f"{sys.version}\n{sys.base_prefix}\n".encode("utf-8", "surrogateescape"))


def digest_of_sources(package: Path) -> str:
    """Says which sources and which Python an environment was made from; sources and what is installed of them agree."""
    digest = digest_of_python()
    add(digest, package)
    return digest.hexdigest()


def needed_distributions() -> list[Distribution]:
    """
    What this package needs, and what that needs in turn.

    Raises:
        ShimError: One of NEEDED is not installed.
    """
    found: dict[str, Distribution] = {}
    waiting = list(NEEDED)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            if name in NEEDED:
                raise ShimError(f"{name} is not installed for {sys.executable}; nothing was installed") from None
            continue  # for another version of Python
        lines = [line for line in found[name].requires or () if not re.search(r"\bextra *==", line)]
        waiting += [re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in lines]
    return [found[name] for name in sorted(found)]


def module_of(wanted: Distribution) -> Path:
    """Where a distribution's module or package lies; ShimError where it cannot be imported."""
    name = re.sub(r"[-.]", "_", wanted.metadata["Name"]).lower()
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ShimError(f"{name} cannot be imported by {sys.executable}; nothing was installed")
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin


def metadata_of(wanted: Distribution) -> list[Path]:
    """The files that tell of a distribution, its licence among them."""
    listed = [path for path in wanted.files or () if path.parts[0].endswith(".dist-info")]
    return [found for found in (Path(str(wanted.locate_file(path))) for path in listed) if found.is_file()]


def copy(module: Path, site: Path) -> None:
    """Copy a module or package; modes are by our umask, whatever those of the original are."""
    for path in files_of(module):
        target = site / path.relative_to(module.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def is_installed(prefix: Path, sources: str) -> bool:
    """Whether what is in use was made from these sources, and its Python is still there."""
    return is_whole(prefix / "venv", sources)


def is_whole(environment: Path, sources: str) -> bool:
    """Whether an environment was made from these sources, still has them, and its Python is still there."""
    packages = list(environment.glob("lib/python*/site-packages/sbatch_shim"))
    try:
        made = (environment / SOURCES).read_text()
        return (
            made == sources
            and os.access(environment / "bin" / "python", os.X_OK)
            and [digest_of_sources(package) for package in packages] == [sources]
        )
    except OSError:
        return False


def build(prefix: Path, package: Path) -> Path:
    """
    The environment of this package in a prefix; one that is there already is not touched.

    Args:
        package: The folder of this package.

    Raises:
        ShimError: It cannot be made, or others could not use it.
        OSError: The same, in the system's words.
    """
    needed = [(one, module_of(one)) for one in needed_distributions()]
    sources = digest_of_sources(package)
    digest = hashlib.sha256(sources.encode())
    for _, module in needed:
        add(digest, module)
    final = prefix / "venvs" / f"{__version__}-{digest.hexdigest()[:12]}"
    for left in final.parent.glob(f"{DRAFT}*"):  # of one that was killed
        shutil.rmtree(left, ignore_errors=True)
    if is_whole(final, sources):
        return final
    draft = final.with_name(DRAFT + final.name)
    made = not final.parent.exists()
    try:
        make_bare(draft)
        (site,) = draft.glob("lib/python*/site-packages")
        copy(package, site)
        for one, module in needed:
            copy(module, site)
            for path in metadata_of(one):
                target = site / path.parent.relative_to(Path(str(one.locate_file(""))))
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / path.name)
        # Without compiled files each call of a read-only installation would compile again.
        compileall.compile_dir(str(site), quiet=2, ddir=str(final / site.relative_to(draft)))
        (draft / SOURCES).write_text(sources)
        python = str(draft / "bin" / "python")
        if place.is_for_others(prefix) and not place.usable_by_others(python, USED):
            raise ShimError(
                f"other users cannot run {os.path.realpath(python)}, or read {prefix}; choose a Python and a prefix "
                "that everybody can read (nothing was installed)"
            )
        if final.is_dir():  # parts of it are gone
            final.rename(final.with_name(f"{DRAFT}damaged"))
        draft.rename(final)
        shutil.rmtree(final.with_name(f"{DRAFT}damaged"), ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if made:
            place.remove_folders([final.parent])
    return final


def use(prefix: Path, environment: Path) -> None:
    """Let PREFIX/venv name this environment, and remove all but this and the one before, in which commands may run."""
    link = prefix / "venv"
    before = os.readlink(link) if link.is_symlink() else ""
    name = f"venvs/{environment.name}"
    if before == name:
        return
    draft = prefix / "venv.new"
    draft.unlink(missing_ok=True)
    draft.symlink_to(name)
    draft.replace(link)
    for old in environment.parent.iterdir():
        if old not in (environment, prefix / before):
            shutil.rmtree(old, ignore_errors=True)
