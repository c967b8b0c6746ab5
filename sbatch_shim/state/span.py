"""The indices that the tasks of one call have in an array, and back: the only place that counts them."""

from __future__ import annotations

from bisect import bisect_left

from sbatch_shim.state.plain import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Span:
    """
    Where the tasks of one call stand in an array.

    Attributes:
        first: Index of the first task; None where there is no array (a plain job), or where the array has the very
            indices that the call asked for.
        local_ids: The task ids that the call asked for, in rising order; None for a plain call.
    """

    first: int | None
    local_ids: Sequence[int] | None = None

    @property
    def size(self) -> int:
        """The number of tasks."""
        if self.local_ids is None:
            return 1
        return len(self.local_ids)

    @property
    def indices(self) -> Sequence[int]:
        """The indices of the tasks, in rising order; none of a plain job."""
        if self.first is None:
            return self.local_ids or ()
        return range(self.first, self.first + self.size)

    def index_of(self, local_id: int) -> int | None:
        """The index of the task that the call knows as `local_id`; None for one that the call does not have."""
        ids = self.local_ids or ()
        at = bisect_left(ids, local_id)
        if at == len(ids) or ids[at] != local_id:
            return None
        if self.first is None:
            return local_id
        return self.first + at

    def local_id_of(self, index: int) -> int | None:
        """
        The local id of the task at an index; None for a plain call's only task.

        Raises KeyError for an index that is not this call's.
        """
        if self.first is None:
            if self.local_ids is None or self.index_of(index) is None:
                raise KeyError(index)
            return index
        if not self.first <= index < self.first + self.size:
            raise KeyError(index)
        if self.local_ids is None:
            return None
        return self.local_ids[index - self.first]
