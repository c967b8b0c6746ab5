#!/usr/bin/env python3
"""
Make terminal.svg: the example of sarray's README, typed into a terminal (tmux), as it stands there in the end.

    PATH=PREFIX/shims:$PATH docs/terminal.py > docs/terminal.svg

Needs tmux, an installed sbatch-shim and a Slurm; it works in a new folder and shows what really happened.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS, ROWS = 100, 34
WIDTH, HEIGHT, SIZE = 8.4, 18, 14
SHADES = ("#484f58", "#ff7b72", "#3fb950", "#e3b341", "#58a6ff", "#bc8cff", "#39c5cf", "#c9d1d9")
COLOURS = dict(zip(range(30, 38), SHADES))
FONT = 'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace"'
PROMPT = "$ "
LISTENING = "[sarray] $ "
# What is typed, and what must stand on the screen before the next line is.
TYPED = [
    ("sarray listen", LISTENING),
    ("sbatch --array=0-9 experiments/baseline.slurm", LISTENING),
    ("sbatch --array=0-9 experiments/ablation.slurm", LISTENING),
    ("sbatch --array=0-9 experiments/ablation2.slurm", LISTENING),
    ("sarray submit --dry-run | head -3   # look first", LISTENING),
    ("sarray submit", PROMPT),
    ("squeue --me | head -4", PROMPT),
    ("sarray status --watch", PROMPT),
    ("sarray status", PROMPT),
    ("ls *.log | wc -l", PROMPT),
]


def tmux(socket: str, *words: str) -> str:
    whole = ["tmux", "-f", "/dev/null", "-S", socket, *words]
    return subprocess.run(whole, check=True, capture_output=True, text=True).stdout


def wait_for(socket: str, typed: str, prompt: str) -> None:
    """Wait until a line that was typed stands there, and a prompt at the end."""
    deadline = time.monotonic() + 120
    while True:
        lines = tmux(socket, "capture-pane", "-p", "-t", "t").rstrip().splitlines() or [""]
        if lines[-1] == prompt.rstrip() and any(line.endswith(typed) for line in lines):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"{prompt!r} did not come; there is {lines[-1]!r}")
        time.sleep(0.1)


def record(folder: Path) -> str:
    """The screen with its colours."""
    for name in ("baseline", "ablation", "ablation2"):
        script = folder / "experiments" / f"{name}.slurm"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/bash\n#SBATCH --output={name}-%a.log\nhostname && sleep 4\n")
    (folder / ".bashrc").write_text(f"PS1='{PROMPT}'\n")
    environment = [f"{name}={os.environ[name]}" for name in ("PATH", "SLURM_CONF") if name in os.environ]
    environment += [f"HOME={folder}", "TERM=screen-256color", "LANG=C.UTF-8", "SHELL=/bin/bash"]
    socket = str(folder / "tmux")
    size = ["-x", str(COLUMNS), "-y", str(ROWS)]
    tmux(socket, "new-session", "-d", "-s", "t", *size, "-c", str(folder), "env", "-i", *environment, "bash")
    try:
        wait_for(socket, "", PROMPT)
        for line, prompt in TYPED:
            tmux(socket, "send-keys", "-t", "t", "-l", line)
            tmux(socket, "send-keys", "-t", "t", "Enter")
            wait_for(socket, line, prompt)
        return tmux(socket, "capture-pane", "-p", "-e", "-S", "-200", "-t", "t").rstrip()
    finally:
        tmux(socket, "kill-server")


def svg(screen: str) -> str:
    """The screen as a picture."""
    lines = screen.splitlines()
    width, height = round(COLUMNS * WIDTH + 32), len(lines) * HEIGHT + 48
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
        *(f'<circle cx="{20 + 18 * at}" cy="17" r="5" fill="{SHADES[shade]}"/>' for at, shade in enumerate((1, 3, 2))),
        f'<g {FONT} font-size="{SIZE}" fill="{SHADES[7]}" xml:space="preserve">',
    ]
    style: dict[str, str] = {}  # an attribute that stands twice is no XML
    for number, line in enumerate(lines):
        at, spans = 0, []
        for part in re.split(r"(\x1b\[[0-9;]*m)", line):
            if part.startswith("\x1b"):
                codes = [int(code or 0) for code in part[2:-1].split(";")]
                for code in codes:
                    if code == 0:
                        style = {}
                    elif code == 1:
                        style["font-weight"] = "bold"
                    elif code == 39:
                        style.pop("fill", None)
                    elif code in COLOURS:
                        style["fill"] = COLOURS[code]
            elif part:
                x = 16 + at * WIDTH
                place = f'x="{x:.1f}" textLength="{len(part) * WIDTH:.1f}"'
                styles = "".join(f' {name}="{value}"' for name, value in style.items())
                spans.append(f"<tspan {place}{styles}>{html.escape(part)}</tspan>")
                at += len(part)
        if spans:
            drawn.append(f'<text y="{46 + number * HEIGHT}">{"".join(spans)}</text>')
    return "\n".join([*drawn, "</g>", "</svg>", ""])


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sarray-"))
    try:
        sys.stdout.write(svg(record(folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
