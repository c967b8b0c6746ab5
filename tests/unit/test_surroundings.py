"""What the tests start is free of what the run itself was started with."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD])
def test_a_signal_that_the_run_ignores_is_not_ignored_by_what_it_starts(number: signal.Signals) -> None:
    """nohup: a signal would end nothing that a test wants to see ended."""
    look = "import conftest, subprocess; conftest.inherit_nothing(); subprocess.run(['cat', '/proc/self/status'])"
    command = f"trap '' {number.name[3:]}; cd {TESTS} && exec {sys.executable} -c \"{look}\""
    status = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout
    (ignored,) = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:")]
    assert not ignored & (1 << number - 1)
