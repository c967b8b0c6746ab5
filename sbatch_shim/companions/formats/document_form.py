"""How a document of Slurm's writes its values, and all that it holds of a job that waits."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from sbatch_shim.state.lazy import json, re
from sbatch_shim.state.plain import dataclass

JsonJob = dict[str, Any]

# By kind of document and by the last version of its form: what Slurm 22.05 (38) and the three forms of 24.11 say of a
# job that waits and was submitted with no option, without all that tells of the job, its user or the cluster.
BLANKS = os.path.join(os.path.dirname(__file__), "blanks.json")


@dataclass(frozen=True)
class DocumentForm:
    """
    How a document writes its values.

    Attributes:
        version: Of the data parser, the last part of `v0.0.42`; 38 for Slurm 22.05.
        plain_values: Where nothing is known there is null (`+complex`).
    """

    version: int
    plain_values: bool

    @classmethod
    def of(cls, document: JsonJob) -> DocumentForm:
        """From what the document says of the plugin that wrote it, `data_parser/v0.0.42+complex`."""
        plugin = document.get("meta", {}).get("plugin", {})
        said = plugin.get("data_parser") or plugin.get("type") or ""
        found = re.search(r"v0\.0\.([0-9]+)", said)
        return cls(int(found[1]) if found else 38, "+complex" in said)

    @property
    def filtered(self) -> bool:
        """squeue's own filters hold for it, which 22.05 ignores; logs are shown by their names, not patterns."""
        return self.version >= 39

    @property
    def objects(self) -> bool:
        """A number that may be missing is an object that says so."""
        return self.version >= 39 and not self.plain_values

    def number(self, value: int | None) -> Any:
        if self.objects:
            return {"set": value is not None, "infinite": False, "number": value or 0}
        return value

    def text(self, value: str) -> str | None:
        if self.plain_values and not value:
            return None
        return value

    def waiting(self, kind: str, values: JsonJob) -> JsonJob:
        """
        A job that waits.

        Args:
            kind: `queue` for squeue and scontrol, or `accounting`.
            values: What is known of it, numbers plain or as text; what this version does not show is left out.
        """
        return {name: self.written(value, values.get(name)) for name, value in blank_of(kind, self.version).items()}

    def written(self, blank: Any, value: Any) -> Any:
        """A value in the form that the blank has; None for the blank itself."""
        if isinstance(blank, list) and value is not None:
            return [value]
        if isinstance(value, str) and (type(blank) is int or (isinstance(blank, dict) and "set" in blank)):
            value = int(value) if value.isdigit() else None
        if isinstance(blank, dict) and "set" in blank:
            if self.plain_values and value is None:
                number = None
                if blank["set"]:
                    number = blank["number"]
                if blank["infinite"]:
                    return "Infinity"
                return number
            if value is None:
                return blank
            return self.number(value)
        if isinstance(blank, dict):
            return {name: self.written(one, (value or {}).get(name)) for name, one in blank.items()}
        if value is None:
            value = blank
        if isinstance(value, str):
            return self.text(value)
        return value


@cache
def blank_of(kind: str, version: int) -> JsonJob:
    """A job that waits in this form, read once however many calls wait; not to be changed."""
    with open(BLANKS, encoding="ascii") as stream:
        blanks = json.load(stream)[kind]
    until = min((one for one in map(int, blanks) if one >= version), default=max(map(int, blanks)))
    blank: JsonJob = blanks[str(until)]
    if "like" in blank:
        like = blanks[blank["like"]].items()
        blank = {name: value for name, value in like if name not in blank["without"]} | blank["with"]
    return blank


def plain(value: Any) -> Any:
    """A number, or None, from either form."""
    if isinstance(value, dict):
        if not value["set"]:
            return None
        return value["number"]
    return value
