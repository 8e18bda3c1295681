"""Computes the timing of each line of a call from the timestamps of the lines."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from jaxlog._format.timing import Stopwatch, sessions

COLUMNS = ("seconds", "updates_per_second", "env_steps_per_second")
"""The columns that are added to `timestamp`, `step`, `env_step` and `lane`."""


def timings(call: str, frame: pl.DataFrame, facts: Mapping[str, Any]) -> pl.DataFrame:
    """The timing of each line.

    Args:
      call: the name of the call.
      frame: its metrics, with a row per line, in the order of the file.
      facts: the contents of run.json.
    """
    of_lines = frame.select(
        name for name in ("timestamp", "step", "env_step", "lane") if name in frame
    )
    every = sessions(facts) or [(_first(of_lines), 0.0)]
    opened = [began for began, _ in every]
    stopwatches = [Stopwatch(began, before) for began, before in every]
    found: list[tuple[float | None, ...]] = []
    last: tuple[float, int] | None = None
    for row in of_lines.iter_rows(named=True):
        if last != (row["timestamp"], row["step"]):  # else another lane of the same event
            last = row["timestamp"], row["step"]
            session = max(0, bisect.bisect_right(opened, row["timestamp"]) - 1)
            timing = stopwatches[session].time(
                call, row["lane"], row["step"], row.get("env_step"), row["timestamp"]
            )
            values = timing.known
            found.append(tuple(values.get(name) for name in COLUMNS))
        else:
            found.append(found[-1])
    columns = [
        pl.Series(name, [row[place] for row in found], dtype=pl.Float64)
        for place, name in enumerate(COLUMNS)
    ]
    return of_lines.with_columns(columns)


def seconds_open(timestamps: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    """Returns the seconds for which the run had been open at some times, with earlier sessions.

    Args:
      timestamps: float64, the times, in seconds since 1970.
      facts: the contents of run.json.
    """
    every = sessions(facts) or [(float(timestamps.min(initial=np.inf)), 0.0)]
    opened, before = np.transpose(every)
    session = np.maximum(0, np.searchsorted(opened, timestamps, "right") - 1)
    return np.maximum(0.0, before[session] + timestamps - opened[session])


def _first(frame: pl.DataFrame) -> float:
    return float(frame["timestamp"][0]) if len(frame) else 0.0
