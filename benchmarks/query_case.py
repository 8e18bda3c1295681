"""A query over thousands of runs; it imports only what a user's program does."""

from __future__ import annotations

from pathlib import Path

import polars as pl

import jaxlog


def query(where: Path | str) -> None:
    """The mean of a metric for each value of a key of the config."""
    runs = jaxlog.scan_runs(where, config=True)
    means = runs.group_by("config.lr").agg(pl.col("episode_return_mean").mean()).collect()
    assert len(means) == 3
