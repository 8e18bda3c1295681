"""Curves: what of them is left when they are drawn small, and groups against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxlog._analysis.lane_values import LaneValues
from jaxlog._format.across_lanes import EXTREMES, across_lanes
from jaxlog._format.events import Key
from jaxlog._report.call_charts import CallCharts, Chart
from jaxlog._report.chart_curves import ChartCurve, extremes, of_lane, spread_evenly, together
from jaxlog._report.charts import figure

FLOATS = st.one_of(st.floats(-1e9, 1e9), st.sampled_from([np.nan, np.inf, -np.inf]))


@given(arrays(np.float64, st.integers(1, 400), elements=FLOATS), st.integers(1, 50))
def test_what_is_left_has_the_extremes_of_each_stretch(values: np.ndarray, stretches: int) -> None:
    kept = extremes(values, stretches)
    assert (np.diff(kept) > 0).all()
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    assert len(kept) <= 3 * stretches + 2
    size = -(-len(values) // stretches)
    for start in range(0, len(values), size):
        part = values[start : start + size]
        own = values[kept[(kept >= start) & (kept < start + size)]]
        finite = part[np.isfinite(part)]
        if len(finite):
            assert own[np.isfinite(own)].min() == finite.min()
            assert own[np.isfinite(own)].max() == finite.max()
        assert np.isfinite(own).all() == np.isfinite(part).all()


def test_a_short_curve_stays_as_it_is() -> None:
    curve = ChartCurve(np.arange(10), np.arange(10.0))
    assert curve.thinned(10) is curve
    assert len(curve.thinned(4).at) < 10


def test_a_band_is_thinned_with_its_line() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    thin = ChartCurve(np.arange(1000), values, values - 1, values + 1).thinned(100)
    assert thin.low is not None
    assert thin.high is not None
    np.testing.assert_array_equal(thin.values, values[thin.at])
    np.testing.assert_array_equal(thin.low, values[thin.at] - 1)
    np.testing.assert_array_equal(thin.high, values[thin.at] + 1)


def values_of(values: np.ndarray, there: np.ndarray) -> LaneValues:
    """The entries of an array by lane and step that are there."""
    step, lane = np.nonzero(there.T)
    return LaneValues(lane, step, values[lane, step])


def test_a_lane_without_a_value_has_no_point_and_one_with_nan_has() -> None:
    values = np.array([[1.0, np.nan, np.nan, 4.0]])
    curve = of_lane(values_of(values, np.array([[True, False, True, True]])))
    assert curve.at.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(curve.values, [1.0, np.nan, 4.0])


def test_together_is_the_mean_and_the_spread_of_the_lanes_that_have_a_value() -> None:
    random = np.random.default_rng(1)
    values, there = random.normal(size=(5, 40)), random.random((5, 40)) < 0.6
    there[:, 7] = False
    curve = together(values_of(values, there), 5)
    assert 7 not in curve.at
    assert curve.low is not None
    assert curve.high is not None
    for place, step in enumerate(curve.at):
        own = values[there[:, step], step]
        assert curve.values[place] == pytest.approx(own.mean())
        assert curve.high[place] - curve.values[place] == pytest.approx(own.std())
        assert curve.values[place] - curve.low[place] == pytest.approx(own.std())


def test_of_minima_it_is_the_smallest() -> None:
    own = values_of(np.array([[1.0, 5.0], [2.0, 3.0]]), np.array([[True, True], [True, False]]))
    assert together(own, 2, "min").values.tolist() == [1.0, 5.0]
    assert together(own, 2, "max").values.tolist() == [2.0, 5.0]
    assert together(own, 2, "max").low is None


@pytest.mark.parametrize("statistic", ["mean", "min", "max"])
def test_a_lane_that_has_diverged_does_not_hide_the_others(statistic: str) -> None:
    values = np.array([[np.inf, 1.0, np.nan, np.nan], [np.nan, 3.0, 1.0, np.nan]])
    own = values_of(values, np.array([[True] * 4, [True] * 3 + [False]]))
    curve = together(own, 2, statistic)
    middle = {"mean": 2.0, "min": 1.0, "max": 3.0}[statistic]
    np.testing.assert_array_equal(curve.values, [np.nan, middle, 1.0, np.nan])


TABLES = st.tuples(st.integers(1, 6), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(arrays(np.float64, shape, elements=FLOATS), arrays(bool, shape))
)


@given(TABLES, st.sampled_from(["mean", "min", "max", "nonfinite"]))
def test_together_is_what_an_array_by_lane_and_step_gives(
    table: tuple[np.ndarray, np.ndarray], statistic: str
) -> None:
    values, there = table
    curve = together(values_of(values, there), len(values), statistic)
    (at,) = np.nonzero(there.any(0))
    assert curve.at.tolist() == at.tolist()
    if not len(at):
        return
    values, there = values[:, at], there[:, at]
    last = np.maximum.accumulate(np.where(there, np.arange(len(at)), -1), axis=1)
    odd = np.take_along_axis(~np.isfinite(values), np.maximum(last, 0), axis=1) & (last >= 0)
    alive = len(values) - odd.sum(0)
    assert (curve.alive is None) == (not odd.any())
    np.testing.assert_array_equal(len(values) if curve.alive is None else curve.alive, alive)
    if len(values) == 1:
        np.testing.assert_array_equal(curve.values, values[0])
        return
    found = across_lanes(values, there, statistic)
    np.testing.assert_allclose(curve.values, found.middle, rtol=1e-12, atol=1e-12)
    if statistic in EXTREMES:
        assert curve.low is None
    else:
        assert curve.low is not None
        np.testing.assert_allclose(curve.low, found.middle - found.spread, rtol=1e-9, atol=1e-6)


@given(TABLES)
def test_the_last_value_of_each_lane_that_has_one(table: tuple[np.ndarray, np.ndarray]) -> None:
    values, there = table
    lanes, last = values_of(values, there).last()
    assert lanes.tolist() == np.flatnonzero(there.any(1)).tolist()
    np.testing.assert_array_equal(last, [values[lane, there[lane]][-1] for lane in lanes])


@given(st.integers(1, 500), st.integers(1, 60))
def test_what_is_chosen_is_spread_over_all(number: int, most: int) -> None:
    found = spread_evenly(number, most)
    assert len(found) == len(set(found)) == min(number, most)
    assert found[0] == 0
    assert most == 1 or found[-1] == number - 1


@pytest.mark.parametrize("most", [4, 10, 100, 500])
def test_a_curve_has_about_as_many_points_as_it_may(most: int) -> None:
    """Two of each of most / 2 stretches, and the ends."""
    values = np.random.default_rng(0).normal(size=20_000)
    kept = len(ChartCurve(np.arange(20_000), values).thinned(most).at)
    assert most - 2 <= kept <= most + 2


@pytest.mark.parametrize(
    ("odd", "left_out", "said"),
    [
        (2, 240, "2 not finite, 240 of episodes left out"),
        (0, 240, "240 not finite left out"),
        (2, 0, "2 not finite"),
        (0, 0, ""),
    ],
)
def test_a_chart_counts_what_is_not_finite(odd: int, left_out: int, said: str) -> None:
    key = Key("rewards", "episode_return", "mean")
    chart = Chart("episode_return_mean", key, odd=odd, left_out=left_out)
    call = CallCharts("batch", [], [], [], [chart], 0, 0, 0)
    assert figure(0, chart, call).not_finite == said
