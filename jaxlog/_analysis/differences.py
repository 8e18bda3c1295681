"""Compares two groups of scores: their difference, and how often one is higher."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxlog._analysis.normal import quantiles_at
from jaxlog._format.across_lanes import interquartile_mean

_MOST_VALUES = 2**22
"""The number of values that are drawn at a time: 32 MiB."""
_MOST_PAIRS = 2**20
"""The most pairs of scores of one task that are drawn; of more, the interval is a normal one."""


class Difference(NamedTuple):
    """A group compared with a baseline.

    Attributes:
      value: the difference of the interquartile means.
      lower: the lower end of its interval; NaN unless both groups have two scores.
      upper: the upper end.
      probability: the probability that a score of the group is higher than one of the baseline on
        the same task; ties count half.
      probability_lower: the lower end of its interval; NaN as above.
      probability_upper: the upper end.
    """

    value: float
    lower: float
    upper: float
    probability: float
    probability_lower: float
    probability_upper: float


def difference(
    scores: Sequence[np.ndarray],
    baseline: Sequence[np.ndarray],
    *,
    paired: bool,
    confidence: float,
    resamples: int,
    seed: int,
) -> Difference:
    """Compares two groups by a stratified bootstrap, whose percentiles are the intervals.

    The probability of improvement is that of R. Agarwal et al., Deep Reinforcement Learning at the
    Edge of the Statistical Precipice (NeurIPS 2021): the mean over tasks of the Mann-Whitney
    statistic divided by the number of pairs. Where a task has more than a million pairs, the
    variance of DeLong et al. (1988) gives its interval.

    Args:
      scores: the finite scores of the group on each task, of shape (runs,).
      baseline: those of the baseline, in the same order of tasks.
      paired: True if the scores of each task are in the same order of seeds: then pairs are drawn,
        and otherwise each group on its own.
      confidence: the confidence level, between 0 and 1.
      resamples: the number of draws.
      seed: the seed of the draws.

    >>> import numpy as np
    >>> one = [np.arange(10.0)]
    >>> found = difference([one[0] + 2], one, paired=True, confidence=0.95, resamples=200, seed=0)
    >>> [round(value, 6) for value in (found.value, found.lower, found.upper, found.probability)]
    [2.0, 2.0, 2.0, 0.68]
    """
    value = _iqm(scores) - _iqm(baseline)
    higher = [_higher(one, other) for one, other in zip(scores, baseline, strict=True)]
    probability = float(np.mean([_probability(h) for h in higher]))
    few = all(len(s) < 2 for s in scores) or all(len(s) < 2 for s in baseline)
    if few:
        return Difference(value, math.nan, math.nan, probability, math.nan, math.nan)
    drawn_values: list[np.ndarray] = []
    drawn_chances: list[np.ndarray] = []
    random = np.random.default_rng(seed)
    at_a_time = max(1, _MOST_VALUES // sum(map(len, (*scores, *baseline))))
    is_drawn = all(one.drawn is not None for one in higher)
    for first in range(0, resamples, at_a_time):
        number = min(at_a_time, resamples - first)
        own: list[np.ndarray] = []
        other: list[np.ndarray] = []
        chance = np.zeros(number)
        for s, b, h in zip(scores, baseline, higher, strict=True):
            i = random.integers(0, len(s), (number, len(s)))
            j = i if paired else random.integers(0, len(b), (number, len(b)))
            own.append(s[i])
            other.append(b[j])
            if is_drawn and h.drawn is not None:
                times, others = _times(i, len(s)), _times(j, len(b))
                chance += ((times @ h.drawn) * others).sum(axis=1) / (len(s) * len(b))
        drawn_values.append(
            interquartile_mean(np.concatenate(own, axis=1))
            - interquartile_mean(np.concatenate(other, axis=1))
        )
        drawn_chances.append(chance / len(scores))
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    lower, upper = np.quantile(np.concatenate(drawn_values), tails)
    if is_drawn:
        least, most = np.quantile(np.concatenate(drawn_chances), tails)
    else:
        least, most = _normal_interval(higher, probability, paired, confidence)
    return Difference(value, float(lower), float(upper), probability, float(least), float(most))


class _Higher(NamedTuple):
    """The share of pairs in which a group's score is above the baseline's, on one task.

    Attributes:
      of_scores: for each score, the fraction of the baseline's that are lower.
      of_baseline: for each score of the baseline, the fraction of the group's that are higher.
      drawn: for each pair, 1 if the score is higher, 0.5 for a tie; None for too many pairs.
    """

    of_scores: np.ndarray
    of_baseline: np.ndarray
    drawn: np.ndarray | None


def _higher(scores: np.ndarray, baseline: np.ndarray) -> _Higher:
    ordered, others = np.sort(scores), np.sort(baseline)
    below = np.searchsorted(others, scores) + np.searchsorted(others, scores, side="right")
    above = 2 * len(scores) - (
        np.searchsorted(ordered, baseline) + np.searchsorted(ordered, baseline, side="right")
    )
    pairs = None
    if len(scores) * len(baseline) <= _MOST_PAIRS:
        apart = scores[:, None] - baseline[None, :]
        pairs = (apart > 0) + 0.5 * (apart == 0)
    return _Higher(below / (2 * len(baseline)), above / (2 * len(scores)), pairs)


def _probability(higher: _Higher) -> float:
    return float(higher.of_scores.mean())


def _normal_interval(
    higher: Sequence[_Higher], probability: float, paired: bool, confidence: float
) -> tuple[float, float]:
    """The interval of the mean of some probabilities, by the variance of DeLong et al. (1988)."""
    variance = 0.0
    for one in higher:
        if paired:
            both = one.of_scores + one.of_baseline
            variance += both.var(ddof=1) / len(both)
        else:
            variance += one.of_scores.var(ddof=1) / len(one.of_scores)
            variance += one.of_baseline.var(ddof=1) / len(one.of_baseline)
    reach = float(quantiles_at((1 + confidence) / 2)) * math.sqrt(variance) / len(higher)
    return max(0.0, probability - reach), min(1.0, probability + reach)


def _iqm(strata: Sequence[np.ndarray]) -> float:
    return float(interquartile_mean(np.concatenate(strata)))


def _times(drawn: np.ndarray, size: int) -> np.ndarray:
    """The number of times that each score was drawn, of shape (draws, scores)."""
    place = np.arange(len(drawn))[:, None] * size
    counts = np.bincount((drawn + place).ravel(), minlength=len(drawn) * size)
    return counts.reshape(len(drawn), size).astype(np.float64)
