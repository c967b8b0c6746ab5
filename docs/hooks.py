"""The site's front page and the pages beside docs/ are those of the repository (see mkdocs.yml)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

REPO = Path(__file__).parent.parent
# Files outside of docs/, and the site's pages of them.
ELSEWHERE = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "bench/README.md": "bench.md",
}


def as_on_the_site(text: str) -> str:
    """A page with its links as they are where all pages lie in one folder."""

    def link(match: re.Match[str]) -> str:
        path, hash_mark, anchor = match[1].partition("#")
        path = re.sub(r"^(?:\.\./)+", "", path)
        return f"]({ELSEWHERE.get(path, re.sub('^docs/', '', path))}{hash_mark}{anchor})"

    return re.sub(r"\]\(((?![a-z]+:)[^()\s]+)\)", link, text)


def on_files(files: Files, config: Any) -> Files:
    for path, page in ELSEWHERE.items():
        files.append(File.generated(config, page, content=as_on_the_site((REPO / path).read_text())))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    return as_on_the_site(markdown)
