"""Interquartile means and intervals agree with SciPy, and have the documented coverage."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxlog._analysis import intervals
from jaxlog._analysis.intervals import bootstrap_interval
from jaxlog._format.across_lanes import interquartile_mean

# Whole eighths: moving them by whole numbers rounds nothing, so that ties stay ties.
SCORES = st.lists(st.integers(-800, 800).map(lambda i: i / 8), min_size=1, max_size=12)
STRATA = st.lists(SCORES.map(np.array), min_size=1, max_size=4)


def of_scipy(strata: list[np.ndarray], method: str, resamples: int = 20_000) -> tuple[float, float]:
    """Computes the interval with SciPy alone, for strata of two or more scores."""

    def statistic(*samples: np.ndarray, axis: int) -> np.ndarray:
        return scipy.stats.trim_mean(np.concatenate(samples, axis=axis), 0.25, axis=axis)

    found = scipy.stats.bootstrap(
        strata,
        statistic,
        axis=-1,
        vectorized=True,
        method=method,
        n_resamples=resamples,
        confidence_level=0.8,
        rng=np.random.default_rng(0),
    )
    return found.confidence_interval


@given(
    arrays(
        np.float64, st.tuples(st.integers(1, 3), st.integers(1, 30)), elements=st.floats(-1e6, 1e6)
    )
)
def test_the_mean_is_that_of_scipy(values: np.ndarray) -> None:
    expected = scipy.stats.trim_mean(values, 0.25, axis=-1)
    np.testing.assert_allclose(interquartile_mean(values), expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("sizes", [(20,), (9, 5), (3, 4, 30)])
def test_the_interval_is_that_of_scipy(sizes: tuple[int, ...]) -> None:
    """With BCa, of skewed scores; SciPy's own mean differs in the last bits, and so do ties."""
    random = np.random.default_rng(2)
    strata = [random.gamma(2.0, size=size) + place for place, size in enumerate(sizes)]
    found = bootstrap_interval(strata, resamples=20_000, confidence=0.8)
    assert not found.percentile
    np.testing.assert_allclose(found[:2], of_scipy(strata, "BCa"), atol=0.005)
    apart = np.subtract(found[:2], of_scipy(strata, "percentile"))
    assert np.abs(apart).max() > 0.005  # another method gives other ends


@pytest.mark.filterwarnings("ignore")  # SciPy warns where BCa gives no interval
@given(st.lists(SCORES.filter(lambda s: len(s) > 1).map(np.array), min_size=1, max_size=4))
def test_the_interval_of_any_scores_is_that_of_scipy(strata: list[np.ndarray]) -> None:
    """With the same draws, by the method that gives one."""
    found = bootstrap_interval(strata, resamples=50, confidence=0.8)
    lower, upper = of_scipy(strata, "BCa", 50)
    has_one = bool(lower <= upper)
    if np.ptp(of_scipy(strata, "percentile", 50)) < 1e-9:  # the mean of each draw is the same
        assert np.ptp(found[:2]) < 1e-9
        return
    assert found.percentile != has_one
    expected = (lower, upper) if has_one else of_scipy(strata, "percentile", 50)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-9, atol=1e-9)


def test_a_stratum_of_one_score_keeps_it() -> None:
    scores = np.random.default_rng(4).gamma(2.0, size=8)
    found = bootstrap_interval([scores, np.array([1.0]), np.array([9.0])], resamples=20_000)

    def statistic(x: np.ndarray, axis: int) -> np.ndarray:
        lead = (*x.shape[:-1], 1)
        every = [np.full(lead, 9.0), x, np.full(lead, 1.0)]
        return scipy.stats.trim_mean(np.concatenate(every, axis=-1), 0.25, axis=-1)

    expected = scipy.stats.bootstrap((scores,), statistic, n_resamples=20_000, rng=0, axis=-1)
    np.testing.assert_allclose(found[:2], expected.confidence_interval, atol=0.02)


@pytest.mark.parametrize(
    "scores",
    [
        [0.0, 0, 0, 0, 1],
        [1.0, 1, 1, 1, 1, 1, 1, 1, 0, 0],
        [0.5, 0.5, 0.5],
        # BCa has an interval of these only by rounding errors of their mean.
        [0.3] * 8 + [0.9, 0.95],
        [0.7] * 18 + [0.9, 0.95],
    ],
)
def test_if_few_scores_differ_the_interval_is_of_percentiles(scores: list[float]) -> None:
    """The reference is a plain loop over draws, with another generator."""
    other = np.random.RandomState(7)
    means = [scipy.stats.trim_mean(other.choice(scores, len(scores)), 0.25) for _ in range(4000)]
    found = bootstrap_interval([np.array(scores)], resamples=20_000)
    assert found.percentile
    np.testing.assert_allclose(found[:2], np.percentile(means, [2.5, 97.5]), atol=0.04)


def test_each_column_has_its_own_method() -> None:
    random = np.random.default_rng(0)
    solved, returned = np.array([0.0, 0, 0, 0, 1]), random.normal(size=5)
    both = bootstrap_interval([np.stack([solved, returned], axis=1)])
    assert both.percentile.tolist() == [True, False]
    for place, scores in enumerate((solved, returned)):
        np.testing.assert_array_equal(
            [part[place] for part in both[:2]], bootstrap_interval([scores])[:2]
        )


def test_strata_are_resampled_separately() -> None:
    """Tasks of different scales add nothing to the spread; they would if drawn together."""
    random = np.random.default_rng(0)
    easy, hard = random.normal(0, 1, 10), random.normal(100, 1, 10)
    apart = np.ptp(bootstrap_interval([hard, easy])[:2])
    together = np.ptp(bootstrap_interval([np.concatenate([hard, easy])])[:2])
    assert apart < 30 < together


@pytest.mark.parametrize(
    ("strata", "scores", "confidence", "least", "most"),
    [
        # What docs/explore.md says of few seeds: too narrow, and by how much.
        (1, 3, 0.95, 0.68, 0.77),
        (1, 5, 0.95, 0.86, 0.92),
        (1, 10, 0.95, 0.90, 0.95),
        (1, 20, 0.95, 0.92, 0.97),
        (1, 30, 0.9, 0.84, 0.93),
        (4, 10, 0.9, 0.84, 0.93),
    ],
)
def test_the_coverage_is_that_of_the_documentation(
    strata: int, scores: int, confidence: float, least: float, most: float
) -> None:
    """Measured in 800 experiments on normal data."""
    random = np.random.default_rng(0)
    experiments = random.normal(size=(strata, scores, 800))
    lower, upper, _ = bootstrap_interval(list(experiments), confidence=confidence)
    held = np.mean((lower <= 0) & (upper >= 0))
    assert least < held < most, held


@given(STRATA, st.integers(-1000, 1000), st.sampled_from([0.5, 2.0, 8.0]))
def test_it_shifts_and_scales_with_the_scores(
    strata: list[np.ndarray], shift: int, scale: float
) -> None:
    plain = np.array(bootstrap_interval(strata, resamples=50)[:2])
    moved = bootstrap_interval([scale * s + shift for s in strata], resamples=50)[:2]
    np.testing.assert_allclose(moved, scale * plain + shift, rtol=1e-9, atol=1e-9)


@given(STRATA)
@example([np.array([-0.125]), np.array([0.0, 0.0])])
def test_it_lies_within_the_scores_and_grows_with_confidence(strata: list[np.ndarray]) -> None:
    lower, upper, percentile = bootstrap_interval(strata, resamples=50)
    wider = bootstrap_interval(strata, resamples=50, confidence=0.99)
    if all(len(scores) == 1 for scores in strata):
        assert np.isnan([lower, upper]).all()
        return
    every, room = np.concatenate(strata), 1e-6
    assert every.min() - room <= lower <= upper <= every.max() + room
    if wider.percentile == percentile:
        assert wider.lower <= lower + room
        assert wider.upper >= upper - room


def test_each_column_has_its_own_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of columns that are computed at a time makes no difference."""
    scores = np.random.default_rng(0).normal(size=(6, 3, 5))
    lower, upper, _ = bootstrap_interval([scores])
    assert lower.shape == upper.shape == (3, 5)
    one = bootstrap_interval([scores[:, 1, 2]])
    np.testing.assert_allclose((lower[1, 2], upper[1, 2]), one[:2])
    monkeypatch.setattr(intervals, "_MOST_AT_ONCE", 1)
    np.testing.assert_array_equal(bootstrap_interval([scores])[:2], (lower, upper))
    monkeypatch.setattr(intervals, "_MOST_VALUES", 1)
    few = bootstrap_interval([scores])  # from other draws, since these are in batches, too
    np.testing.assert_allclose(few[:2], (lower, upper), atol=0.2)


MANY = np.random.default_rng(3)
"""Makes the scores of the test below."""


@pytest.mark.parametrize(
    "strata",
    [
        pytest.param([MANY.gamma(2.0, size=(1201, 3))], id="columns"),
        pytest.param([MANY.gamma(2.0, size=(n, 2)) for n in (400, 1, 600)], id="strata"),
        pytest.param([MANY.gamma(2.0, size=(n, 1)) for n in (700, 1500)], id="turns"),
        pytest.param([MANY.integers(0, 4, (800, 2)) / 4], id="few values"),
        pytest.param([np.repeat([0.3, 0.9], [990, 10])], id="one value"),
        pytest.param([np.repeat([0.0, 1.0], [760, 240])], id="a quarter"),
        pytest.param([np.append(MANY.normal(size=990), [1e300, -1e300, *[7e30] * 8])], id="far"),
    ],
)
def test_many_scores_have_the_intervals_of_draws_that_are_sorted(
    strata: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference sorts the scores of each draw, as for few scores."""
    found = bootstrap_interval(strata, resamples=300)
    monkeypatch.setattr(intervals, "_MANY", 10_000)
    expected = bootstrap_interval(strata, resamples=300)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.percentile, expected.percentile)


def test_ties_of_many_scores_do_not_depend_on_rounding() -> None:
    scores = np.random.default_rng(4).integers(0, 10, 900)
    tenths = bootstrap_interval([scores / 10], resamples=300)
    whole = bootstrap_interval([scores.astype(np.float64)], resamples=300)
    np.testing.assert_allclose(np.multiply(tenths[:2], 10), whole[:2], rtol=1e-9)


def test_bad_arguments_are_errors() -> None:
    with pytest.raises(ValueError, match="got no scores"):
        bootstrap_interval([np.empty(0)])
    with pytest.raises(ValueError, match=r"confidence: got 95, expected .* between 0 and 1"):
        bootstrap_interval([np.ones(3)], confidence=95)
    with pytest.raises(ValueError, match="resamples: got 0"):
        bootstrap_interval([np.ones(3)], resamples=0)
