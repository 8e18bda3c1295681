"""The bootstrap interval of an interquartile mean over runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxlog._format.across_lanes import interquartile_mean

CONFIDENCE = 0.95
RESAMPLES = 2000
_MOST_VALUES = 2**22
"""So many values are resampled at a time: 32 MiB of them."""


class Interval(NamedTuple):
    """Intervals of interquartile means.

    Attributes:
      lower: float64, the lower ends; NaN where there is no interval.
      upper: float64, the upper ends.
      percentile: bool, where the percentile method is used, because BCa has no interval.
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
    """The interval of the interquartile mean of all scores, by SciPy's stratified bootstrap.

    It is the bias-corrected and accelerated interval (BCa) of `scipy.stats.bootstrap`. Scores are
    drawn with replacement within each stratum, so each stratum keeps its share; the mean is that
    of all strata together. BCa has no interval where the mean stays the same whichever score is
    left out, as when one of five seeds solves a task. There the interval is that of the percentile
    method, from the same draws.

    With few scores the interval is too narrow. A 95 % interval of normal scores contains the true
    mean in 89 % of experiments with 5 scores, in 93 % with 10, and in 94 % with 20.

    Args:
      strata: finite scores of the runs of each task, each shaped (runs, ...). The axes after the
        first are the same in all strata, and each place on them has an interval of its own.
      confidence: how often the interval is meant to contain the true value, between 0 and 1.
      resamples: the number of draws.
      seed: of the draws. The same seed gives the same interval.

    Returns:
      The intervals, each array shaped (...); NaN where no stratum has two scores.

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
        raise ValueError("got no scores, expected one at least")
    shape = strata[0].shape[1:]
    if all(len(scores) == 1 for scores in strata):
        return Interval(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, bool))
    flat = [scores.reshape(len(scores), -1) for scores in strata]
    lower, upper = np.empty((2, flat[0].shape[1]))
    percentile = np.empty(len(lower), bool)
    scores = sum(map(len, flat))
    together = max(1, _MOST_VALUES // (scores * resamples))
    for first in range(0, len(lower), together):
        part = slice(first, first + together)
        batch = max(1, _MOST_VALUES // (scores * together))
        lower[part], upper[part], percentile[part] = _intervals(
            [s[:, part] for s in flat], confidence, resamples, seed, batch
        )
    return Interval(lower.reshape(shape), upper.reshape(shape), percentile.reshape(shape))


@np.errstate(all="ignore")  # scores may be as large as floats are, and BCa divides 0 by 0
def _intervals(
    strata: Sequence[np.ndarray], confidence: float, resamples: int, seed: int, batch: int
) -> Interval:
    """The intervals at places, of strata shaped (runs, places)."""
    # This import takes as long as that of JAX, and most readers of runs need no interval.
    from scipy.stats import bootstrap

    # Around zero, the mean of equal scores is exactly theirs. The mean of ten times 0.1 is not 0.1,
    # and BCa would take that rounding error for the influence of a score.
    middle = np.median(np.concatenate(strata), axis=0)
    samples = [(scores - middle).T for scores in strata]
    drawn = [scores for scores in samples if scores.shape[1] > 1]
    # SciPy refuses samples of one score, which cannot be drawn otherwise.
    single = [scores for scores in samples if scores.shape[1] == 1]

    def statistic(*several: np.ndarray, axis: int) -> np.ndarray:
        lead = several[0].shape[:-1]  # (places,), or (places, draws)
        one = [s.reshape(-1, *[1] * len(lead)) for s in single]
        every = [*several, *(np.broadcast_to(s, (*lead, 1)) for s in one)]
        return interquartile_mean(np.concatenate(every, axis=axis))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that BCa has no interval
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
        none = ~(lower <= upper)  # NaN; or turned about, by a great acceleration
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
