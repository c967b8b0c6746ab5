"""How long a flush goes on trying, and how it is stopped: signals, waits and the bound on them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from sbatch_shim.errors import complain

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_WAIT = 30.0
SLICE = 0.1
# Who asks for something else than a flush, but waits for one, is told so after this time, in seconds.
QUIET_SECONDS = 10
# And no longer than this: the flush may hang on another host.
BYSTANDER_SECONDS = 600


class Stop:
    """
    A wish to stop, made by a signal: noted at once, granted after the running submission.

    A context manager that puts the handlers in place and back. A signal that was ignored stays so (nohup).
    """

    def __init__(self) -> None:
        self.signal = 0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self.before[number] = signal.signal(number, self.note)
        # Who ignores this one is not told how a child ended: each sbatch would seem to have gone well.
        self.before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before.clear()

    def note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number

    @property
    def status(self) -> int:
        """The exit status that a shell gives to the signal; 0 when there was none."""
        if not self.signal:
            return 0
        return 128 + self.signal

    def wait(self, seconds: float) -> bool:
        """Let time pass; False when a signal cut it short."""
        end = time.monotonic() + seconds
        while not self.signal:
            left = end - time.monotonic()
            if left <= 0:
                return True
            time.sleep(min(SLICE, left))
        return False


def bystander(stop: Stop | None = None) -> Patience:
    """Of a command that is no flush as its user sees it, and may have to wait for one."""
    return Patience(
        stop=stop,
        say=lambda text: complain(f"sarray: {text}\n"),
        quiet=QUIET_SECONDS,
        bound=BYSTANDER_SECONDS,
    )


class Patience:
    """
    Tries again what Slurm refuses for a time: after 1, 2, 4 ... 30 seconds, until `seconds` have gone since the
    first refusal. A success fills it up again.

    Args:
        say: Tells the user.
        quiet: Not in the first so many seconds.
        bound: How long to wait for another flush, in seconds; None: as long as it is not stopped.
    """

    def __init__(
        self,
        seconds: float = 0,
        stop: Stop | None = None,
        say: Callable[[str], None] = lambda text: None,
        quiet: float = 0,
        bound: float | None = None,
    ) -> None:
        self.seconds = seconds
        self.bound = bound
        self.stop = stop or Stop()
        self.tell = say
        self.told = ""
        self.speaks_from = time.monotonic() + quiet
        self.refill()

    def say(self, text: str) -> None:
        """Tell the user why it takes long; the same words once."""
        if time.monotonic() < self.speaks_from:
            return
        if text != self.told:
            self.tell(text)
        self.told = text

    def refill(self) -> None:
        self.since: float | None = None
        self.delay = 1.0

    def again(self, reason: str) -> bool:
        """Wait before another try; False when it is time to give up."""
        now = time.monotonic()
        if self.since is None:
            self.since = now
            if self.seconds:
                self.say(f"{reason}; trying again for {self.seconds:g} s")
        if now - self.since + self.delay > self.seconds:
            return False
        waited = self.stop.wait(self.delay)
        self.delay = min(2 * self.delay, LONGEST_WAIT)
        return waited
