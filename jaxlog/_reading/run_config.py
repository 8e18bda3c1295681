"""The config of runs as columns beside their rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from jaxlog._format.columnar import RUN
from jaxlog._reading.concatenate import frame_of_rows
from jaxlog.sinks import summaries

CONFIG = "config."
"""The beginning of the names of columns that are keys of the config."""


def config_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a run by its columns, from its run.json."""
    found = facts.get("config")
    flat = summaries.flat(found) if isinstance(found, Mapping) else {}
    return {f"{CONFIG}{key}": value for key, value in flat.items()}


def config_frame(name: str, facts: Mapping[str, Any]) -> pl.DataFrame:
    """One row: the name of a run, and its config.

    Args:
      name: the name of the run.
      facts: the content of its run.json.
    """
    row = {RUN: name, **config_of(facts)}
    return frame_of_rows([row], list(row))
