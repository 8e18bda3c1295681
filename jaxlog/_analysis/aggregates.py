"""Aggregates the scores of several tasks: mean, median, interquartile mean and optimality gap.

They are those of R. Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical
Precipice (NeurIPS 2021), with stratified bootstrap intervals: runs are drawn within each task.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxlog._format.across_lanes import interquartile_mean

_MOST_VALUES = 2**22
"""The number of values that are drawn at a time: 32 MiB."""


class Aggregate(NamedTuple):
    """One aggregate of the scores of a group.

    Attributes:
      value: the aggregate.
      lower: the lower end of its interval; NaN if no task has two scores.
      upper: the upper end.
    """

    value: float
    lower: float = math.nan
    upper: float = math.nan


def aggregate(strata: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Computes the aggregates of scores.

    Args:
      strata: for each task, scores of shape (..., runs).

    Returns:
      Arrays of shape (...): `iqm`, the interquartile mean of all scores; `mean`, the mean of the
      tasks' means; `median`, the median of the tasks' means, or for one task the median of its
      scores; `optimality_gap`, by how much scores miss 1 on average, over tasks.

    >>> found = aggregate([np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([4.0, 4.0])])
    >>> {name: round(float(value), 3) for name, value in found.items()}
    {'iqm': 2.0, 'mean': 2.0, 'median': 1.5, 'optimality_gap': 0.167}
    """
    means = np.stack([scores.mean(axis=-1) for scores in strata], axis=-1)
    gaps = np.stack([(1 - np.minimum(scores, 1.0)).mean(axis=-1) for scores in strata], axis=-1)
    return {
        "iqm": interquartile_mean(np.concatenate(strata, axis=-1)),
        "mean": means.mean(axis=-1),
        "median": np.median(means if len(strata) > 1 else strata[0], axis=-1),
        "optimality_gap": gaps.mean(axis=-1),
    }


def aggregates(
    strata: Sequence[np.ndarray], *, confidence: float, resamples: int, seed: int
) -> dict[str, Aggregate]:
    """Computes the aggregates of a group, with percentile intervals of a stratified bootstrap.

    Args:
      strata: the finite scores of each task, of shape (runs,).
      confidence: the confidence level, between 0 and 1.
      resamples: the number of draws.
      seed: the seed of the draws.
    """
    values = aggregate(strata)
    if all(len(scores) < 2 for scores in strata):
        return {name: Aggregate(float(value)) for name, value in values.items()}
    found = [aggregate(drawn) for drawn in draws(strata, resamples, np.random.default_rng(seed))]
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    return {
        name: Aggregate(
            float(value), *map(float, np.quantile(np.concatenate([f[name] for f in found]), tails))
        )
        for name, value in values.items()
    }


def draws(
    strata: Sequence[np.ndarray], resamples: int, random: np.random.Generator
) -> Iterator[list[np.ndarray]]:
    """Yields draws with replacement within each task, each of shape (draws, runs)."""
    at_a_time = max(1, _MOST_VALUES // sum(map(len, strata)))
    for first in range(0, resamples, at_a_time):
        number = min(at_a_time, resamples - first)
        yield [s[random.integers(0, len(s), (number, len(s)))] for s in strata]


def profile(
    strata: Sequence[np.ndarray],
    thresholds: np.ndarray,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the performance profile of a group: the fraction of runs above each threshold.

    It is the mean over tasks of the fraction of a task's runs, as in Agarwal et al.

    Args:
      strata: the finite scores of each task, of shape (runs,).
      thresholds: the thresholds, of shape (thresholds,).
      confidence: the confidence level, between 0 and 1.
      resamples: the number of draws.
      seed: the seed of the draws.

    Returns:
      The fractions, and the lower and the upper ends of their percentile intervals, each of shape
      (thresholds,); the ends are NaN if no task has two scores.
    """

    def fractions(scores: Sequence[np.ndarray]) -> np.ndarray:
        # Counted from sorted scores: comparing each with each threshold would take more memory.
        above = [
            np.stack([len(row) - np.searchsorted(row, thresholds, side="right") for row in own])
            / own.shape[-1]
            for own in (np.sort(s, axis=-1) for s in scores)
        ]
        return np.mean(above, axis=0)

    values = fractions([scores[None] for scores in strata])[0]
    if all(len(scores) < 2 for scores in strata):
        return values, np.full_like(values, np.nan), np.full_like(values, np.nan)
    random = np.random.default_rng(seed)
    found = np.concatenate([fractions(drawn) for drawn in draws(strata, resamples, random)])
    lower, upper = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return values, lower, upper
