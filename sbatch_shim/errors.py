"""
Every error that this package raises on purpose, and who hears of it.

::

    HandOver       the call is not ours to keep: the real sbatch gets it untouched
    ShimError      one sentence for the user, exit status in `status`
      SpoolError       the state folder cannot be used (disk full, no lock, not ours, newer format)
      Unsure           the call may be on disk: it must not be submitted as well
      NeverMet         a call waits for one that was cancelled
      Refused          a call waits for one that Slurm has refused for good
      NoRealSbatch     exit 127: every place that was looked at
      BadDependency    a --dependency that is none

Imported on the hot path: nothing but what is compiled into the interpreter may be used here.
"""

import posix


def complain(text: str) -> None:
    """Write to stderr if that can be: one that is closed or full, or whose reader has gone, stops nothing."""
    try:
        posix.write(2, text.encode("utf-8", "surrogateescape"))
    except (OSError, ValueError):
        pass


class HandOver(Exception):
    """The call must go to the real sbatch; the argument is the reason, in words that can be counted."""


class ShimError(Exception):
    """A mistake or a condition that the user can do something about."""

    status = 1


class SpoolError(ShimError):
    """The state folder cannot be used."""


class Unsure(ShimError):
    """Whether a call is queued cannot be said."""


class BadDependency(ShimError, ValueError):
    """A `--dependency` that cannot be taken apart; a ValueError for those who judge the values of a record."""


class NoRealSbatch(ShimError):
    """No sbatch but ours on PATH."""

    status = 127


class NeverMet(ShimError):
    """A dependency on a call that was cancelled before it was submitted."""


class Refused(ShimError):
    """A dependency on a call that Slurm has refused for good."""
