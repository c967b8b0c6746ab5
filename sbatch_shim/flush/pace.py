"""When a keeper flushes: after a moment of quiet, before a call has waited long, or when somebody waits."""

from __future__ import annotations

from dataclasses import dataclass

# Between two tries of what Slurm does not take at present, and how long these go on without any success; in seconds.
LONGEST_RETRY = 30.0
LONGEST_PATIENCE = 86400.0
# Between two flushes while a limit on submitted jobs leaves calls queued: Slurm is asked no more often.
FULL_SECONDS = 10.0


@dataclass
class Pace:
    """
    Decides when to flush, from what is seen of a session; times are those of one steady clock, in seconds.

    Attributes:
        quiet: A flush follows when no call has come for so long.
        longest: It does not wait longer than this since it saw the first call.
        linger: How long a keeper stays while nothing is to do.
        full: A limit left calls queued at the last flush, so that whatever came since waits for the next try.
    """

    quiet: float
    longest: float
    linger: float
    seen: tuple[int, int] | None = None
    first: float = 0.0
    last: float = 0.0
    retry: float | None = None
    delay: float = 1.0
    patient_since: float | None = None
    full: bool = False

    def look(self, now: float, queue: tuple[int, int] | None) -> None:
        """Take in what is queued: the queue's file and size, or None where it holds no call."""
        if queue == self.seen:
            return
        if self.seen is None or queue is None:
            self.first = now
        self.seen, self.last = queue, now

    def due(self, now: float, *, asked: bool) -> bool:
        """Whether to flush now. `asked`: somebody waits for what is queued."""
        if self.retry is not None and now >= self.retry:
            return True
        if self.seen is None:
            return False
        if self.full:
            return now - self.first >= FULL_SECONDS
        return asked or now - self.last >= self.quiet or now - self.first >= self.longest

    def flushed(self, now: float, *, left: bool, progress: bool, full: bool = False) -> None:
        """
        Take in what a flush came to.

        Args:
            left: Calls stay queued that another flush may submit.
            progress: It submitted something.
            full: What is left waits for room under a limit.
        """
        self.seen, self.last, self.full = None, now, left and full
        if not left:
            self.retry, self.delay, self.patient_since = None, 1.0, None
            return
        if progress or self.patient_since is None:
            self.patient_since = now
        self.delay = 1.0 if progress else min(2 * self.delay, LONGEST_RETRY)
        wait = max(self.delay, FULL_SECONDS) if self.full else self.delay
        self.retry = None
        if now - self.patient_since < LONGEST_PATIENCE:
            self.retry = now + wait

    def idle(self, now: float) -> bool:
        """Whether it is time to leave."""
        return self.seen is None and self.retry is None and now - self.last >= self.linger
