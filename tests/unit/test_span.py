"""Index and local id of a task: each the inverse of the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbatch_shim.state.span import Span

LOCAL_IDS = st.one_of(st.none(), st.sets(st.integers(0, 200), min_size=1).map(lambda ids: tuple(sorted(ids))))
SPANS = st.builds(Span, st.one_of(st.none(), st.integers(0, 1000)), LOCAL_IDS)


@given(SPANS)
def test_each_index_is_that_of_one_task(span: Span) -> None:
    ids = [span.local_id_of(index) for index in span.indices]
    if span.local_ids is not None:
        assert ids == list(span.local_ids)
        assert [span.index_of(one) for one in span.local_ids] == list(span.indices)
    else:
        assert ids == [None] * len(span.indices)


@given(SPANS, st.integers(-5, 1500))
def test_other_indices_are_nobodys(span: Span, index: int) -> None:
    if index not in span.indices:
        with pytest.raises(KeyError):
            span.local_id_of(index)


@given(SPANS, st.integers(-5, 300))
def test_other_local_ids_have_no_index(span: Span, local_id: int) -> None:
    if local_id not in (span.local_ids or ()):
        assert span.index_of(local_id) is None
