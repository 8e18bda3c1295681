"""Interquartile means and their intervals: as SciPy has them, and as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxlog._analysis import intervals
from jaxlog._analysis.intervals import bootstrap_interval
from jaxlog._format.across_lanes import interquartile_mean

SCORES = st.integers(1, 12).flatmap(
    lambda size: arrays(np.float64, size, elements=st.floats(-1e6, 1e6))
)
STRATA = st.lists(SCORES, min_size=1, max_size=4)


@given(
    arrays(
        np.float64, st.tuples(st.integers(1, 3), st.integers(1, 30)), elements=st.floats(-1e6, 1e6)
    )
)
def test_the_mean_is_that_of_scipy(values: np.ndarray) -> None:
    expected = scipy.stats.trim_mean(values, 0.25, axis=-1)
    np.testing.assert_allclose(interquartile_mean(values), expected, rtol=1e-9, atol=1e-7)


def test_the_interval_is_that_of_a_loop() -> None:
    """One draw after the other, each stratum by itself, with another generator."""
    random = np.random.default_rng(1)
    strata = [random.normal(size=9), random.gamma(2.0, size=5) + 3]
    other = np.random.RandomState(7)
    means = [
        scipy.stats.trim_mean(np.concatenate([other.choice(s, len(s)) for s in strata]), 0.25)
        for _ in range(20_000)
    ]
    expected = np.percentile(means, [2.5, 97.5])
    found = bootstrap_interval(strata, resamples=20_000)
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_the_interval_of_one_stratum_is_that_of_scipy() -> None:
    scores = np.random.default_rng(2).normal(size=20)
    expected = scipy.stats.bootstrap(
        (scores,),
        lambda x, axis: scipy.stats.trim_mean(x, 0.25, axis=axis),
        method="percentile",
        n_resamples=20_000,
        confidence_level=0.8,
        rng=np.random.default_rng(3),
    ).confidence_interval
    found = bootstrap_interval([scores], resamples=20_000, confidence=0.8)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_strata_are_drawn_by_themselves() -> None:
    """Tasks of other scales add nothing to the spread, as they would if all were drawn together."""
    random = np.random.default_rng(0)
    easy, hard = random.normal(0, 1, 10), random.normal(100, 1, 10)
    apart = np.subtract(*bootstrap_interval([hard, easy])[::-1])
    together = np.subtract(*bootstrap_interval([np.concatenate([hard, easy])])[::-1])
    assert apart < 30 < together


@pytest.mark.parametrize(("strata", "scores"), [(1, 30), (4, 10)])
def test_the_interval_holds_as_often_as_it_says(strata: int, scores: int) -> None:
    """Of 600 experiments on normal data; the percentile bootstrap is a little too narrow."""
    random = np.random.default_rng(0)
    experiments = random.normal(size=(strata, scores, 600))
    lower, upper = bootstrap_interval(list(experiments), confidence=0.9, resamples=500)
    held = np.mean((lower <= 0) & (upper >= 0))
    assert 0.84 < held < 0.93, held


@given(STRATA, st.floats(-1e3, 1e3), st.sampled_from([0.5, 2.0, 8.0]))
def test_it_moves_and_grows_with_the_scores(
    strata: list[np.ndarray], shift: float, scale: float
) -> None:
    plain = np.array(bootstrap_interval(strata, resamples=50))
    moved = bootstrap_interval([scale * s + shift for s in strata], resamples=50)
    np.testing.assert_allclose(moved, scale * plain + shift, rtol=1e-6, atol=1e-5)


@given(STRATA)
def test_it_lies_within_the_scores_and_grows_with_confidence(strata: list[np.ndarray]) -> None:
    lower, upper = bootstrap_interval(strata, resamples=50)
    wider = bootstrap_interval(strata, resamples=50, confidence=0.99)
    if all(len(scores) == 1 for scores in strata):
        assert np.isnan([lower, upper]).all()
        return
    every, room = np.concatenate(strata), 1e-6
    assert every.min() - room <= wider[0] <= lower <= upper <= wider[1] <= every.max() + room


def test_places_have_intervals_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are computed at a time."""
    scores = np.random.default_rng(0).normal(size=(6, 3, 5))
    lower, upper = bootstrap_interval([scores])
    assert lower.shape == upper.shape == (3, 5)
    one = bootstrap_interval([scores[:, 1, 2]])
    np.testing.assert_allclose((lower[1, 2], upper[1, 2]), one)
    monkeypatch.setattr(intervals, "_MOST_VALUES", 1)
    np.testing.assert_array_equal(bootstrap_interval([scores]), (lower, upper))


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match="got no scores"):
        bootstrap_interval([np.empty(0)])
    with pytest.raises(ValueError, match=r"confidence: got 95, expected .* between 0 and 1"):
        bootstrap_interval([np.ones(3)], confidence=95)
    with pytest.raises(ValueError, match="resamples: got 0"):
        bootstrap_interval([np.ones(3)], resamples=0)
