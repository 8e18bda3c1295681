"""How sure a mean over runs is: the interquartile mean's bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxlog._format.across_lanes import interquartile_mean

CONFIDENCE = 0.95
RESAMPLES = 2000
_MOST_VALUES = 2**22
"""So many values are resampled at a time: 32 MiB of them."""


def bootstrap_interval(
    strata: Sequence[np.ndarray],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Between what the interquartile mean of all scores lies, by the stratified bootstrap.

    Scores are drawn with replacement within each stratum by itself, so that each keeps its share;
    the interquartile mean is taken of all that was drawn. The interval lies between the quantiles
    (1 - confidence) / 2 and (1 + confidence) / 2 of what `resamples` such draws give: the
    percentile bootstrap, as R. Agarwal et al., Deep Reinforcement Learning at the Edge of the
    Statistical Precipice (NeurIPS 2021), section 4, propose. With few scores it is too narrow: of
    five normal ones, 95 % intervals hold the true mean nine times of ten; of twenty, 94 of 100.

    Args:
      strata: finite scores of the runs of each task, each shaped (runs, ...). Axes behind the first
        are the same in all, and each place on them has an interval, from the same draws.
      confidence: how often the interval is to hold the true value, between 0 and 1.
      resamples: how many draws.
      seed: of the draws. The same seed gives the same interval.

    Returns:
      The lower and the upper ends, each shaped (...); NaN where no stratum has two scores, since
      one tells nothing of how others would be.

    Raises:
      ValueError: there is no score, or `confidence` or `resamples` is out of range.

    >>> import numpy as np
    >>> lower, upper = bootstrap_interval([np.arange(10.0), np.arange(10.0) + 1])
    >>> bool(lower < 5.0 < upper)
    True
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
        return np.full(shape, np.nan), np.full(shape, np.nan)
    # The runs last: they are drawn and sorted.
    flat = np.concatenate([s.reshape(len(s), -1) for s in strata]).T
    random = np.random.default_rng(seed)
    starts = np.cumsum([0, *(len(scores) for scores in strata[:-1])])
    draws = np.concatenate(
        [
            start + random.integers(0, len(s), (resamples, len(s)))
            for start, s in zip(starts, strata, strict=True)
        ],
        axis=1,
    )
    ends = np.empty((2, len(flat)))
    together = max(1, _MOST_VALUES // draws.size)
    for first in range(0, len(flat), together):
        part = slice(first, first + together)
        means = interquartile_mean(flat[part][:, draws])
        ends[:, part] = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=-1)
    return ends[0].reshape(shape), ends[1].reshape(shape)
