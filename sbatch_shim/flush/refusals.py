"""
Which refused arrays are worth trying in pieces.

Slurm judges an array as a whole; directly it would have judged each call by itself. So an array that is refused is
halved until only what Slurm refuses by itself is left. Of n calls one bad one costs about 2 * log2(n) requests; if all
are bad, it is at most twice what their direct submission would have cost.
"""

from __future__ import annotations

from sbatch_shim.flush.backends.sbatch import Answer
from sbatch_shim.flush.room import Kind, kind_of
from sbatch_shim.flush.untouched import may_be_untouched
from sbatch_shim.merge.plan import Array
from sbatch_shim.merge.submission import Submission

# What slurmctld says of options that all calls of an array share (src/common/slurm_errno.c): each of them would be
# refused with the same words. A job_submit plugin may say the same of something else.
OF_ALL_CALLS = (
    "Invalid partition name specified",
    "Invalid account or account/partition combination specified",
    "Invalid qos specification",
    "Invalid feature specification",
    "Invalid generic resource (gres) specification",
    "Invalid license specification",
    "Invalid node name specified",
    "Invalid wckey specification",
    "Job dependency problem",
    "Requested node configuration is not available",
    "Requested partition configuration not available now",
    "Requested reservation is invalid",
    "Requested time limit is invalid (missing or exceeds some limit)",
    "Required partition not available (inactive or drain)",
    "User's group not permitted to use this partition",
)


class Refusals:
    """
    What was refused in one flush.

    Args:
        judged_by_site: The site has job_submit plugins, which may judge what calls of one array do not share.
    """

    def __init__(self, *, judged_by_site: bool) -> None:
        self.judged_by_site = judged_by_site
        # The limits that a single call has met, by words and by what they are counted for.
        self.reached: set[tuple[str, Kind]] = set()
        # Limits of which it was tried whether they leave room for the tasks of an array, but not for its spare.
        self.tight: set[tuple[str, Kind]] = set()
        # What counts for a limit that leaves no room for one more task.
        self.full: set[Kind] = set()

    def ask_for_pieces(self, array: Array, answer: Answer) -> bool:
        """Whether an array that was refused is to be tried in two halves, now."""
        if answer.uncertain or answer.everywhere or answer.unsent:
            return False
        limit = self.limit_of(array, answer)
        if len(array.members) == 1:
            if answer.temporary:
                self.reached.add(limit)
                if array.size == 1:
                    self.full.add(kind_of(array))
            return False
        if answer.temporary:
            return limit not in self.reached
        return self.may_be_of_the_site(answer)

    def may_be_of_the_site(self, answer: Answer) -> bool:
        """
        Whether a rule of the site's may have refused an array for what its calls do not share.

        Besides job_submit plugins, those of sbatch itself (cli_filter, SPANK) and a program in front of it can: they
        use words of their own.
        """
        return self.judged_by_site or not any(words in answer.text for words in OF_ALL_CALLS)

    def ask_without_spare(self, submission: Submission, answer: Answer) -> bool:
        """Whether an array that met a limit is to be tried with its calls' tasks alone, now; once for each limit."""
        limit = self.limit_of(submission.array, answer)
        if submission.spare is None or not answer.temporary or answer.uncertain or answer.everywhere:
            return False
        is_first = limit not in self.tight
        self.tight.add(limit)
        return is_first

    def ask_untouched(self, submission: Submission, answer: Answer) -> bool:
        """Whether a call that was refused by itself is to be tried without the dispatcher, now."""
        final = not (answer.uncertain or answer.temporary or answer.everywhere or answer.unsent)
        return final and self.may_be_of_the_site(answer) and submission.own is None and may_be_untouched(submission)

    def is_full(self, array: Array) -> bool:
        """Whether a call that counts for the same limits has just met one, so that no array needs to be tried."""
        return kind_of(array) in self.full

    def accepted(self, array: Array) -> None:
        """There is room again."""
        self.full.discard(kind_of(array))
        self.reached.clear()

    @staticmethod
    def limit_of(array: Array, answer: Answer) -> tuple[str, Kind]:
        """A limit on submitted jobs: the words of its refusal, and whose jobs it counts."""
        return answer.text, kind_of(array)
