"""Curves: what of them is left when they are drawn small, and groups against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxlog._report.chart_curves import ChartCurve, extremes, of_lane, spread_evenly, together

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


def test_a_lane_without_a_value_has_no_point_and_one_with_nan_has() -> None:
    values = np.array([1.0, np.nan, np.nan, 4.0])
    curve = of_lane(values, np.array([True, False, True, True]))
    assert curve.at.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(curve.values, [1.0, np.nan, 4.0])


def test_together_is_the_mean_and_the_spread_of_the_lanes_that_have_a_value() -> None:
    random = np.random.default_rng(1)
    values, there = random.normal(size=(5, 40)), random.random((5, 40)) < 0.6
    there[:, 7] = False
    curve = together(np.where(there, values, np.nan), there)
    assert 7 not in curve.at
    assert curve.low is not None
    assert curve.high is not None
    for place, step in enumerate(curve.at):
        own = values[there[:, step], step]
        assert curve.values[place] == pytest.approx(own.mean())
        assert curve.high[place] - curve.values[place] == pytest.approx(own.std())
        assert curve.values[place] - curve.low[place] == pytest.approx(own.std())


def test_of_minima_it_is_the_smallest() -> None:
    values = np.array([[1.0, 5.0], [2.0, 3.0]])
    there = np.array([[True, True], [True, False]])
    assert together(values, there, "min").values.tolist() == [1.0, 5.0]
    assert together(values, there, "max").values.tolist() == [2.0, 5.0]
    assert together(values, there, "max").low is None


@pytest.mark.parametrize("statistic", ["mean", "min", "max"])
def test_a_lane_that_has_diverged_does_not_hide_the_others(statistic: str) -> None:
    values = np.array([[np.inf, 1.0, np.nan, np.nan], [np.nan, 3.0, 1.0, np.nan]])
    curve = together(values, np.array([[True] * 4, [True] * 3 + [False]]), statistic)
    middle = {"mean": 2.0, "min": 1.0, "max": 3.0}[statistic]
    np.testing.assert_array_equal(curve.values, [np.nan, middle, 1.0, np.nan])


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
