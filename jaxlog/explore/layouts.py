"""Which fields a line of each of a run's files has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

TYPES: Mapping[str, pl.DataType] = {
    "timestamp": pl.Float64(),
    "step": pl.Int64(),
    "env_step": pl.Int64(),
    "name": pl.String(),
    "over_lanes": pl.String(),
    "lanes": pl.Int64(),
    "lane": pl.Int64(),
    "lane_position": pl.List(pl.Int64()),
    "episode": pl.Int64(),
}
"""The fields whose names are not the user's, in the order of their columns."""

OPTIONAL = ("env_step", "lane_position")
"""Those that only some runs have."""

NONFINITE = ("nan", "inf", "-inf")
"""What a line can say of a number that is `null` on it."""


@dataclass(frozen=True)
class Layout:
    """The fields of one kind of line.

    Attributes:
      fields: which each such line has, beside those of `OPTIONAL`.
      parts: fields that hold values under names of the user's, in the order of their columns; all
        but `labels` and `details` are on each line.
    """

    fields: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        """The parts that are on each line."""
        return tuple(part for part in self.parts if part not in ("labels", "details"))

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields that are columns as they are, in their order."""
        return tuple(name for name in TYPES if name in (*self.fields, *OPTIONAL))

    def empty(self) -> pl.DataFrame:
        """The frame of no lines."""
        return pl.DataFrame(
            schema={name: TYPES[name] for name in self.columns if name in self.fields}
        )


LANES = Layout(("timestamp", "step", "lane"), ("labels", "metrics"))
OVER_LANES = Layout(("timestamp", "step", "over_lanes", "lanes"), ("metrics",))

OF_FILES: Mapping[str, Layout] = {
    "episodes": Layout(("timestamp", "step", "name", "lane"), ("labels", "episode", "details")),
    "steps": Layout(("timestamp", "step", "episode"), ("labels", "values", "details")),
    "tasks": Layout(("timestamp", "step"), ("task", "details")),
    "evaluations": Layout(("timestamp", "step"), ("evaluation", "details")),
}
"""Those of the files beside `{name}_metrics.jsonl`, by their stems."""
