"""Statistics that are NaN because no value was finite, in files that leave them out.

Such a line has `episode_return_nonfinite`, how many values were not finite, and no
`episode_return_mean`. A line on which no episode ended has neither. Newer files say NaN themselves.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import polars as pl

_COUNT = "_nonfinite"
_STATISTIC = re.compile(r"(?:_(?:mean|std|min|max|sum|rate|median|p\d{1,3}(?:\.\d+)?))?")
"""What follows the name of a metric in the keys of its statistics; of a scalar, nothing."""


def with_nan(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """A frame with NaN for the statistics of metrics whose values were all not finite.

    Args:
      frame: a row for each line.
      columns: the column of each key.
    """
    for count, column in columns.items():
        stem = count.removesuffix(_COUNT)
        if stem == count or not frame.schema[column].is_numeric():
            continue
        statistics = [
            columns[key]
            for key in columns
            if key.startswith(stem)
            and _STATISTIC.fullmatch(key, len(stem))
            and (frame.schema[columns[key]].is_numeric() or frame.schema[columns[key]] == pl.Null)
        ]
        if not statistics:
            continue
        # With one statistic on the line, another was not asked for there.
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
    """The column that counts the values of a metric that were not finite; None without one.

    >>> count_column("episode_return_mean", ["episode_return_mean", "episode_return_nonfinite"])
    'episode_return_nonfinite'
    """
    for stem in (metric, metric.rpartition("_")[0]):
        name = f"{stem}{_COUNT}"
        if stem and name in columns and _STATISTIC.fullmatch(metric, len(stem)):
            return name
    return None
