"""Restores statistics that are NaN because no value was finite, in old files that omit them.

Such a line has `episode_return_nonfinite`, the number of values that were not finite, but no
`episode_return_mean`. A line of an update in which no episode ended has neither. Newer files have
the NaN.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from jaxlog._format.keys import key_from_name

_COUNT = "_nonfinite"


def with_nan(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """Fills in NaN for the statistics of metrics none of whose values was finite.

    Args:
      frame: a row per line.
      columns: the column of each key.
    """
    for count, column in columns.items():
        stem = count.removesuffix(_COUNT)
        if stem == count or not frame.schema[column].is_numeric():
            continue
        statistics = [
            columns[key]
            for key in columns
            if _stem(key) == stem
            and (frame.schema[columns[key]].is_numeric() or frame.schema[columns[key]] == pl.Null)
        ]
        if not statistics:
            continue
        # A line that has one of the statistics was logged without the others.
        dead = (pl.col(column) > 0) & pl.all_horizontal(pl.col(statistics).is_null())
        if frame.select(dead.any()).item():
            frame = frame.with_columns(
                pl.when(dead)
                .then(pl.lit(float("nan")))
                .otherwise(pl.col(name).cast(pl.Float64))
                .alias(name)
                for name in statistics
            )
    return frame


def count_column(metric: str, columns: Collection[str]) -> str | None:
    """Returns the column that counts the values of a metric that were not finite, or None.

    >>> count_column("episode_return_mean", ["episode_return_mean", "episode_return_nonfinite"])
    'episode_return_nonfinite'
    """
    names = (f"{metric}{_COUNT}", f"{_stem(metric)}{_COUNT}")
    return next((name for name in names if name in columns), None)


def _stem(key: str) -> str | None:
    """Returns the metric of a statistic that is NaN if no value is finite; a scalar's own name."""
    meant = key_from_name(key, of_episodes=True)
    return None if meant.statistic in ("count", "nonfinite", "histogram") else meant.stem
