"""Histograms over steps: the share of the values in each bin, all lanes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from jaxlog._page.asked import AbsentError
from jaxlog._page.chart_values import AXES
from jaxlog._page.numbers import binary_body
from jaxlog._reading.run_frames import RunFrames
from jaxlog._terminal import plain

MOST_STEPS = 600
"""The most steps of one picture; of more, stretches of them are added up."""
_FIELDS = ("edges", "counts", "below", "above")


def heat(
    runs: Mapping[str, RunFrames], call: str, key: str, version: int, notes: Sequence[str]
) -> bytes:
    """The answer to `heat`.

    Args:
      runs: the runs by their names; the histograms of all are added up.
      call: the call that logged the histogram.
      key: its key on a line.
      version: the version of all runs.
      notes: what a reader has to know of the runs.

    Raises:
      AbsentError: none of the runs has such a histogram.
    """
    frame = _rows(runs, call, key)
    usual = frame["edges"].value_counts(sort=True).head(1)
    edges = usual["edges"][0]
    alike = frame.join(usual, on="edges", how="semi", maintain_order="left")
    steps, step = np.unique(alike["step"].to_numpy(), return_inverse=True)
    counts = np.array(alike["counts"].to_list(), np.float64)
    outside = (alike["below"] + alike["above"]).to_numpy().astype(np.float64)
    width = 1 << max(0, (len(steps) - 1) // MOST_STEPS).bit_length()
    stretch = step // width
    number = -(-len(steps) // width)
    totals = np.zeros((number, counts.shape[1]))
    np.add.at(totals, stretch, counts)
    beyond = np.bincount(stretch, outside, number)
    every = np.maximum(totals.sum(axis=1) + beyond, 1.0)
    bounds = edges.to_numpy()
    density = totals / every[:, None] / np.diff(bounds)
    x = np.add.reduceat(steps.astype(np.float64), np.arange(0, len(steps), width))
    x /= np.diff(np.arange(0, len(steps), width), append=len(steps))
    said = list(notes)
    if len(alike) < len(frame):
        said.append(f"{len(frame) - len(alike):,} histograms with other bins are left out")
    if beyond.any():
        share = beyond.sum() / max(1.0, totals.sum() + beyond.sum())
        said.append(f"{share:.2%} of the values are outside of the bins")
    if width > 1:
        said.append(f"{len(steps):,} steps, {width} of them added up in each column")
    header = {
        "version": version,
        "x": {"title": AXES["step"][1], "kind": "number"},
        "y": {"title": plain(key.removesuffix("_histogram"))},
        "call": plain(call),
        "edges": bounds.tolist(),
        "steps": number,
        "bins": counts.shape[1],
        "notes": said,
    }
    with np.errstate(over="ignore"):
        return binary_body(header, [x, density.astype(np.float32).reshape(-1)])


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
        raise AbsentError(f"{call} {key}: is a histogram that none of these runs has logged")
    return found
