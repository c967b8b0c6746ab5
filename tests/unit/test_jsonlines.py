"""Lines of a journal are read as the standard module reads them, without its import."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbatch_shim.state import jsonlines

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_is_written_is_read(value: object) -> None:
    line = jsonlines.dumps(value)
    assert b"\n" not in line
    assert jsonlines.loads(line) == json.loads(line) == value


@pytest.mark.parametrize("line", [b" 1", b"1 ", b'\t{"a": [1, 2]}\r', b"-Infinity", b"1e3", b'"\\ud800"'])
def test_what_others_may_write_is_read_as_by_the_module(line: bytes) -> None:
    assert jsonlines.loads(line) == json.loads(line)


def test_no_number_is_read() -> None:
    assert math.isnan(jsonlines.loads(b"NaN"))


@pytest.mark.parametrize("line", [b"", b"{", b'{"a": 1} x', b'{"a"}', b"nul", b'"\n"', b"\xff", b"[1,]"])
def test_a_damaged_line_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        jsonlines.loads(line)
