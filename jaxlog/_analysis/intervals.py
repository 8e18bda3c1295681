"""Computes bootstrap intervals of interquartile means over runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxlog._format.across_lanes import interquartile_mean

CONFIDENCE = 0.95
RESAMPLES = 2000
_MOST_VALUES = 2**22
"""The number of values that are resampled at a time: 32 MiB."""


class Interval(NamedTuple):
    """Intervals of interquartile means.

    Attributes:
      lower: float64, the lower ends; NaN if there is no interval.
      upper: float64, the upper ends.
      percentile: bool, True where the interval is from the percentile method, since BCa gives none.
    """

    lower: np.ndarray
    upper: np.ndarray
    percentile: np.ndarray


def bootstrap_interval(
    strata: Sequence[np.ndarray],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Computes the interval of the interquartile mean of all scores, by a stratified bootstrap.

    It is the bias-corrected and accelerated interval (BCa) of `scipy.stats.bootstrap`. Scores are
    drawn with replacement within each stratum, so each stratum keeps its share; the mean is over
    the scores of all strata. BCa gives no interval if the mean is the same whichever score is left
    out, as when one of five seeds solves a task. Then the interval is from the percentile method,
    with the same draws.

    With few scores the interval is too narrow. A 95 % interval of normal scores contains the true
    mean in 89 % of experiments with 5 scores, in 93 % with 10, and in 94 % with 20.

    Args:
      strata: for each task, the finite scores of its runs, of shape (runs, ...). The axes after
        the first are the same in all strata; each index along them has its own interval.
      confidence: the confidence level, between 0 and 1.
      resamples: the number of draws.
      seed: the seed of the draws. The same seed gives the same interval.

    Returns:
      The intervals, each array of shape (...); NaN if no stratum has two scores.

    Raises:
      ValueError: there is no score, or `confidence` or `resamples` is out of range.

    >>> import numpy as np
    >>> lower, upper, percentile = bootstrap_interval([np.arange(10.0), np.arange(10.0) + 1])
    >>> bool(lower < 5.0 < upper), bool(percentile)
    (True, False)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: got {confidence!r}, expected a number between 0 and 1")
    if resamples < 1:
        raise ValueError(f"resamples: got {resamples!r}, expected at least 1")
    strata = [np.asarray(scores, np.float64) for scores in strata if len(scores)]
    if not strata:
        raise ValueError("got no scores, expected at least one")
    shape = strata[0].shape[1:]
    if all(len(scores) == 1 for scores in strata):
        return Interval(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, bool))
    flat = [scores.reshape(len(scores), -1) for scores in strata]
    lower, upper = np.empty((2, flat[0].shape[1]))
    percentile = np.empty(len(lower), bool)
    scores = sum(map(len, flat))
    at_a_time = max(1, _MOST_VALUES // (scores * resamples))
    for first in range(0, len(lower), at_a_time):
        part = slice(first, first + at_a_time)
        batch = max(1, _MOST_VALUES // (scores * at_a_time))
        lower[part], upper[part], percentile[part] = _intervals(
            [s[:, part] for s in flat], confidence, resamples, seed, batch
        )
    return Interval(lower.reshape(shape), upper.reshape(shape), percentile.reshape(shape))


@np.errstate(all="ignore")  # scores may be as large as floats can be, and BCa may divide 0 by 0
def _intervals(
    strata: Sequence[np.ndarray], confidence: float, resamples: int, seed: int, batch: int
) -> Interval:
    """Computes an interval per column, of strata of shape (runs, columns)."""
    # Imported here: it takes as long as importing JAX, and most users of runs need no interval.
    from scipy.stats import bootstrap

    # Centred at zero, so that the mean of equal scores is exact. The mean of ten times 0.1 is not
    # 0.1, and BCa would take that rounding error for the influence of a score.
    middle = np.median(np.concatenate(strata), axis=0)
    samples = [(scores - middle).T for scores in strata]
    drawn = [scores for scores in samples if scores.shape[1] > 1]
    # SciPy refuses samples of one score; every draw of one is that score.
    single = [scores for scores in samples if scores.shape[1] == 1]

    def statistic(*several: np.ndarray, axis: int) -> np.ndarray:
        lead = several[0].shape[:-1]  # (columns,), or (columns, draws)
        one = [s.reshape(-1, *[1] * len(lead)) for s in single]
        every = [*several, *(np.broadcast_to(s, (*lead, 1)) for s in one)]
        return interquartile_mean(np.concatenate(every, axis=axis))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns if BCa gives no interval
        found = bootstrap(
            drawn,
            statistic,
            method="BCa",
            axis=-1,
            vectorized=True,
            confidence_level=confidence,
            n_resamples=resamples,
            batch=batch,
            rng=np.random.default_rng(seed),
        )
        lower, upper = found.confidence_interval
        none = ~(lower <= upper)  # NaN; or the ends are swapped, by a large acceleration
        if none.any():
            instead = bootstrap(
                drawn,
                statistic,
                method="percentile",
                axis=-1,
                vectorized=True,
                confidence_level=confidence,
                n_resamples=0,
                bootstrap_result=found,
            )
            lower, upper = np.where(none, instead.confidence_interval, (lower, upper))
    return Interval(middle + lower, middle + upper, none)
