"""
What a site has set in `config.ini`: what it means where a user has set nothing, and caps that hold for everybody.

`sarray install` reads the file, and writes what it says into sbatch's launcher and into `settings.json`, which all
other commands read: so no call of sbatch reads a file for it, and one that is edited, or broken, changes nothing before
the next `sarray install`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sbatch_shim.errors import ShimError
from sbatch_shim.state.paths import MANIFEST, prefix

NAME = "config.ini"
EVERYWHERE = Path("/etc/sbatch-shim") / NAME
IN_EFFECT = "settings.json"
SECTIONS = ("defaults", "caps")


@dataclass(frozen=True)
class Setting:
    """
    Something that a site may set.

    Attributes:
        usual: What it is where nobody has set it.
        variable: What a user sets it by; empty where that is an option.
        words: The values it may have; none for a number.
        caps: Those that a cap on it may have; none where there is no cap. A cap on a number is a number.
        lowest, whole: Of a number: where it begins, and whether it is an integer.
    """

    usual: str
    variable: str = ""
    words: tuple[str, ...] = ()
    caps: tuple[str, ...] = ()
    lowest: int = 0
    whole: bool = False

    def wanted(self, value: str, *, cap: bool) -> str:
        """What a value should be, in words; empty where it is so."""
        words = self.words
        if cap:
            words = self.caps
        if self.words and value not in words:
            return " or ".join(words)
        if not self.words and not self.lowest <= number(value, whole=self.whole) < 10**6:
            return f"a number from {self.lowest} up"
        return ""


def number(text: str, *, whole: bool) -> float:
    """A number; not one (nan) for any other text."""
    kind = int if whole else float
    try:
        return kind(text)
    except ValueError:
        return math.nan


# There is no mode: where a user has asked for nothing, sbatch submits.
SETTINGS = {
    "ids": Setting("auto", "SARRAY_IDS", words=("ticket", "auto", "real"), caps=("ticket",)),
    "keeper": Setting("on", "SARRAY_KEEPER", words=("on", "off"), caps=("off",)),
    "idle": Setting("1", "SARRAY_IDLE"),
    "max-wait": Setting("10", "SARRAY_MAX_WAIT"),
    "linger": Setting("60", "SARRAY_LINGER"),
    "throttle": Setting("none", caps=("a number",), lowest=1, whole=True),
    "feed": Setting("off", words=("on", "off"), caps=("off",)),
}


@dataclass(frozen=True)
class Settings:
    """
    What a site has set.

    Attributes:
        source: The file that says so; empty for none.
        defaults, caps: By name, see SETTINGS.
    """

    source: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    caps: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.source)

    def text(self) -> str:
        """What is written where all commands read it."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def of_calls(self, section: Mapping[str, str]) -> dict[bytes, bytes]:
        """The defaults, or the caps, that sbatch itself obeys, as variables."""
        return {
            SETTINGS[name].variable.encode(): section[name].encode() for name in ("ids", "keeper") if name in section
        }

    def limit(self, section: Mapping[str, str]) -> int:
        """The throttle among the defaults, or the caps; 0 for none."""
        return int(section.get("throttle", 0))

    def seconds(self, name: str) -> float:
        """A time where no variable says it."""
        return float(self.defaults.get(name, SETTINGS[name].usual))

    def shown(self, environment: Mapping[str, str]) -> list[str]:
        """For each setting what it comes to, and where that came from."""
        found = []
        for name, setting in SETTINGS.items():
            value, why = setting.usual, "built in"
            if name in self.defaults:
                value, why = self.defaults[name], f"[defaults] of {self.source}"
            if environment.get(setting.variable):
                value, why = environment[setting.variable], f"${setting.variable}"
            if name in self.caps:
                value, why = self.caps[name], f"[caps] of {self.source}"
                if not setting.words:
                    value = f"at most {value}"
            found.append(f"{name} = {value} ({why})")
        return found


NOTHING_SET = Settings()


def source_for(folder: Path) -> Path | None:
    """The file of a prefix: the one in it, else the one for all of this machine; None for none."""
    return next((path for path in (folder / NAME, EVERYWHERE) if os.path.lexists(path)), None)


def read(folder: Path) -> Settings:
    """
    What the file of a prefix says.

    Raises:
        ShimError: It cannot be read or understood; why, in one sentence.
    """
    path = source_for(folder)
    if path is None:
        return NOTHING_SET
    import configparser

    parser = configparser.ConfigParser(interpolation=None, default_section="", inline_comment_prefixes="#")
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ShimError(f"{path} cannot be read: {error.strerror}") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ShimError(f"{path} is not understood: {' '.join(str(error).split())}") from None
    for section in parser.sections():
        if section not in SECTIONS:
            raise ShimError(f"{path}: there is no section [{section}]; it can be [defaults] or [caps]")
        for name, value in parser.items(section):
            check(path, section, name, value)
    defaults, caps = (dict(parser.items(section)) if parser.has_section(section) else {} for section in SECTIONS)
    return Settings(str(path), defaults, caps)


def check(path: Path, section: str, name: str, value: str) -> None:
    """ShimError for a line that sets nothing."""
    known = [one for one, setting in SETTINGS.items() if section == "defaults" or setting.caps]
    if name not in known:
        raise ShimError(f"{path}: [{section}] has no {name!a}; it can set {', '.join(known)}")
    wanted = SETTINGS[name].wanted(value, cap=section == "caps")
    if wanted:
        raise ShimError(f"{path}: {name} = {value} in [{section}] is not understood; it can be {wanted}")


def in_effect() -> Settings:
    """What the shims that are in use were installed with; nothing where that cannot be read."""
    try:
        return Settings(**json.loads((prefix() / IN_EFFECT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return NOTHING_SET


def changed(settings: Settings) -> str:
    """A sentence where the file of the shims in use says something else than these settings; else empty."""
    if not (prefix() / MANIFEST).is_file():
        return ""
    try:
        found = read(prefix())
    except ShimError as error:
        return f"{error}; what was installed before is in effect"
    if found == settings:
        return ""
    where = found.source or settings.source
    return f"{where} has changed, which takes effect with {prefix()}/bin/sarray install"
