"""Statistics over lanes: those of NumPy, over the lanes that have a finite value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxlog._format.across_lanes import (
    across_lanes,
    across_lanes_of_points,
    over_lanes,
    values_across_lanes,
)
from jaxlog._format.columns import Columns
from jaxlog._format.events import Histogram, Key, Lane

VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))
TABLES = st.tuples(st.integers(1, 6), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(arrays(np.float64, shape, elements=VALUES), arrays(bool, shape))
)


@given(TABLES, st.sampled_from(["", "mean", "rate", "std", "p95", "sum", "min", "max"]))
def test_it_is_numpy_over_the_lanes_that_are_alive(
    table: tuple[np.ndarray, np.ndarray], statistic: str
) -> None:
    values, logged = table
    found = across_lanes(values, logged, statistic)
    pick = {"min": np.min, "max": np.max}.get(statistic, np.mean)
    for place in range(values.shape[1]):
        own = values[logged[:, place], place]
        alive = own[np.isfinite(own)]
        assert found.logged[place] == len(own)
        assert found.alive[place] == len(alive)
        if not len(alive):
            assert not np.isfinite(found.middle[place])
            assert np.isnan(found.spread[place])
            continue
        assert found.middle[place] == pytest.approx(pick(alive), rel=1e-12, abs=1e-9)
        assert alive.min() <= found.middle[place] <= alive.max()
        if statistic in ("min", "max"):
            assert np.isnan(found.spread[place])
        else:
            assert found.spread[place] == pytest.approx(np.std(alive), rel=1e-9, abs=1e-9)


@given(TABLES, st.sampled_from(["mean", "std", "min", "max", "nonfinite"]))
def test_rows_of_values_are_combined_as_a_table_is(
    table: tuple[np.ndarray, np.ndarray], statistic: str
) -> None:
    values, logged = (part[:, table[1].any(axis=0)] for part in table)
    _, point = np.nonzero(logged)
    found = across_lanes_of_points(values[logged], point, values.shape[1], len(values), statistic)
    for part, expected in zip(found, across_lanes(values, logged, statistic), strict=True):
        assert part.dtype == expected.dtype
        np.testing.assert_allclose(part, expected, rtol=1e-12, atol=1e-9)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 9))
def test_the_mean_of_equal_numbers_is_that_number(value: float, lanes: int) -> None:
    found = across_lanes(np.full(lanes, value))
    assert float(found.middle) == value
    assert float(found.spread) == 0.0


def test_where_no_lane_is_alive_it_is_what_they_have() -> None:
    inf, nan = math.inf, math.nan
    values = np.array([[inf, inf, nan, nan], [inf, -inf, nan, nan]])
    found = across_lanes(values, np.array([[True, True, True, False]] * 2))
    np.testing.assert_array_equal(found.middle, [inf, nan, nan, nan])
    assert found.alive.tolist() == [0, 0, 0, 0]
    assert found.logged.tolist() == [2, 2, 2, 0]


def test_a_count_of_what_was_not_finite_is_zero_where_it_is_left_out() -> None:
    found = across_lanes(np.array([3.0, np.nan]), np.array([True, False]), "nonfinite")
    assert (float(found.middle), int(found.logged)) == (1.5, 2)
    found = across_lanes(np.array([np.nan]), np.array([False]), "nonfinite")
    assert int(found.logged) == 0


def test_the_values_of_an_event() -> None:
    keys = {
        "episode_count": Key("other", "episode_count", ""),
        "episode_return_mean": Key("rewards", "episode_return", "mean"),
        "episode_return_max": Key("rewards", "episode_return", "max"),
        "episode_return_nonfinite": Key("rewards", "episode_return", "nonfinite"),
        "episode_return_histogram": Key("rewards", "episode_return", "histogram"),
        "q_max": Key("other", "q_max", ""),
        "loss": Key("training", "loss", ""),
    }
    histogram = Histogram((0.0, 1.0), (2,), 0, 0)
    lanes = [
        Lane(0, {}, {"episode_count": 2, "episode_return_mean": 4.0, "episode_return_max": 5.0,
                     "episode_return_histogram": histogram, "q_max": 0.0}),
        Lane(1, {}, {"episode_count": 0, "q_max": 10.0}),
        Lane(2, {}, {"episode_count": 3, "episode_return_mean": np.float32(np.nan),
                     "episode_return_max": np.float32(np.nan), "episode_return_nonfinite": 3,
                     "q_max": 5.0}),
    ]  # fmt: skip
    found = values_across_lanes(Columns.of(lanes), keys)
    assert list(found) == [
        "episode_count", "episode_return_mean", "episode_return_max", "episode_return_nonfinite",
        "q_max",
    ]  # fmt: skip
    assert found["episode_return_mean"] == (4.0, 0.0, 1, 2)
    assert found["episode_return_max"] == (5.0, None, 1, 2)
    assert found["episode_return_nonfinite"][:1] == (1.0,)
    assert found["q_max"] == (5.0, pytest.approx(np.std([0, 10, 5])), 3, 3)  # no maximum: a scalar


def test_lines_over_lanes_say_where_no_lane_is_alive() -> None:
    lanes = [Lane(0, {}, {"loss": math.nan}), Lane(1, {}, {"loss": math.inf})]
    found = over_lanes(["mean", "iqm"], Columns.of(lanes), {"loss": Key("training", "loss", "")})
    assert math.isnan(found["mean"]["loss"])
    assert math.isnan(found["iqm"]["loss"])
    assert found["mean"]["loss_lanes"] == 0.0


def test_lines_over_lanes_count_what_was_not_finite_as_zero_where_it_is_left_out() -> None:
    key = {"loss_nonfinite": Key("training", "loss", "nonfinite")}
    lanes = [Lane(0, {}, {"loss_nonfinite": 3}), Lane(1, {}, {}), Lane(2, {}, {})]
    assert over_lanes(["mean"], Columns.of(lanes), key) == {"mean": {"loss_nonfinite": 1.0}}
    assert over_lanes(["mean"], Columns.of(lanes[1:]), key) == {"mean": {}}
