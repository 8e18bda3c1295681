"""Histograms over steps: the density of the values in each bin, all lanes together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from jaxlog._reading.run_frames import RunFrames
from jaxlog._text import counted

MOST_STEPS = 600
"""The most steps of one picture; of more, stretches of them are added up."""
_FIELDS = ("edges", "counts", "below", "above")


class DensityOverSteps(NamedTuple):
    """The densities of the values of a histogram over steps.

    Attributes:
      steps: float64 of shape (column,), the mean step of each column.
      edges: float64 of shape (bins + 1,), the edges of the bins.
      density: float64 of shape (column, bins), the share of the values in each bin, divided by its
        width. With the share outside of the bins, that of a column is 1.
      notes: what a reader has to know, in sentences.
    """

    steps: np.ndarray
    edges: np.ndarray
    density: np.ndarray
    notes: tuple[str, ...]


def density_over_steps(
    runs: Mapping[str, RunFrames], call: str, key: str, most: int = MOST_STEPS
) -> DensityOverSteps:
    """Adds the histograms of all lanes of some runs up, step by step.

    Args:
      runs: the runs by their names.
      call: the call that logged the histogram.
      key: its key on a line.
      most: the most columns.

    Raises:
      LookupError: none of the runs has such a histogram.
    """
    frame = _rows(runs, call, key)
    usual = frame["edges"].value_counts(sort=True).head(1)
    edges = usual["edges"][0]
    alike = frame.join(usual, on="edges", how="semi", maintain_order="left")
    steps, step = np.unique(alike["step"].to_numpy(), return_inverse=True)
    counts = np.array(alike["counts"].to_list(), np.float64)
    outside = (alike["below"] + alike["above"]).to_numpy().astype(np.float64)
    width = 1 << max(0, (len(steps) - 1) // most).bit_length()
    stretch = step // width
    number = -(-len(steps) // width)
    totals = np.zeros((number, counts.shape[1]))
    np.add.at(totals, stretch, counts)
    beyond = np.bincount(stretch, outside, number)
    every = np.maximum(totals.sum(axis=1) + beyond, 1.0)
    bounds = edges.to_numpy()
    x = np.add.reduceat(steps.astype(np.float64), np.arange(0, len(steps), width))
    x /= np.diff(np.arange(0, len(steps), width), append=len(steps))
    said: list[str] = []
    if len(alike) < len(frame):
        one, many = "histogram with other bins is", "histograms with other bins are"
        said.append(f"{counted(len(frame) - len(alike), one, many)} left out")
    if beyond.any():
        share = beyond.sum() / max(1.0, totals.sum() + beyond.sum())
        said.append(f"{share:.2%} of the values are outside of the bins")
    if width > 1:
        said.append(f"{len(steps):,} steps, {width} of them added up in each column")
    density = totals / every[:, None] / np.diff(bounds)
    return DensityOverSteps(x, bounds, density, tuple(said))


def _rows(runs: Mapping[str, RunFrames], call: str, key: str) -> pl.DataFrame:
    """The step and the histogram of each line that has one."""
    parts = []
    for run in runs.values():
        frame = run._call_lines(call).frame if call in run.calls else pl.DataFrame()
        kind = frame.schema.get(key)
        if isinstance(kind, pl.Struct) and {f.name for f in kind.fields} >= set(_FIELDS):
            own = frame.select("step", pl.col(key)).drop_nulls().unnest(key)
            own = own.select("step", *(pl.col(name) for name in _FIELDS))
            types = {"edges": pl.List(pl.Float64()), "counts": pl.List(pl.Int64())}
            parts.append(own.cast({"below": pl.Int64(), "above": pl.Int64(), **types}))
    found = pl.concat(parts) if parts else pl.DataFrame()
    if len(found):
        found = found.filter(pl.col("edges").list.len() == pl.col("counts").list.len() + 1)
    if not len(found):
        raise LookupError(f"{call} {key}: is a histogram that none of these runs has logged")
    return found
