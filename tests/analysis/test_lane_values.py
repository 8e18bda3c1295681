"""The values of a metric by lane and step, against an array of all of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxlog._analysis.lane_values import LaneValues

FLOATS = st.one_of(st.floats(-1e9, 1e9), st.sampled_from([np.nan, np.inf, -np.inf]))
TABLES = st.tuples(st.integers(1, 6), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(arrays(np.float64, shape, elements=FLOATS), arrays(bool, shape))
)


@given(TABLES)
def test_the_last_value_of_each_lane_that_has_one(table: tuple[np.ndarray, np.ndarray]) -> None:
    values, there = table
    step, lane = np.nonzero(there.T)
    lanes, last = LaneValues(lane, step, values[lane, step]).last()
    assert lanes.tolist() == np.flatnonzero(there.any(1)).tolist()
    np.testing.assert_array_equal(last, [values[lane, there[lane]][-1] for lane in lanes])
