"""Statistics that are NaN because no value was finite, in files that leave them out.

Such a line has `episode_return_nonfinite`, how many values were not finite, and no
`episode_return_mean`. A line on which no episode ended has neither. Newer files say NaN themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from jaxlog._format.keys import key_from_name

_COUNT = "_nonfinite"


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
            if _stem(key) == stem
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
    names = (f"{metric}{_COUNT}", f"{_stem(metric)}{_COUNT}")
    return next((name for name in names if name in columns), None)


def _stem(key: str) -> str | None:
    """The metric of a statistic that is NaN without a finite value; of a scalar, its name."""
    meant = key_from_name(key, of_episodes=True)
    return None if meant.statistic in ("count", "nonfinite", "histogram") else meant.stem
