"""From the rows of lanes to arrays shaped (lane, step)."""

from __future__ import annotations

import numpy as np
import polars as pl

from jaxlog.explore.columns import Table


def arrays(table: Table) -> dict[str, np.ndarray]:
    """Each number of a call's lines by lane and step, and the axes.

    Args:
      table: with columns `lane` and `step`.
    """
    frame = table.frame
    lanes, lane = np.unique(frame["lane"].to_numpy(), return_inverse=True)
    steps, step = np.unique(frame["step"].to_numpy(), return_inverse=True)
    found: dict[str, np.ndarray] = {"lane": lanes, "step": steps}
    # Of rows of the same place the last is what stays: so does NumPy assign.
    if "env_step" in frame.columns:
        found["env_step"] = np.full(len(steps), np.nan)
        found["env_step"][step] = frame["env_step"].cast(pl.Float64).to_numpy()
    for name in table.labels:
        column = frame[name]
        values = column.to_numpy()
        found[name] = np.empty(len(lanes), values.dtype)
        found[name][lane] = values
    for name, kind in frame.schema.items():
        if name not in found and (kind.is_numeric() or kind == pl.Boolean):
            found[name] = np.full((len(lanes), len(steps)), np.nan)
            found[name][lane, step] = frame[name].cast(pl.Float64).to_numpy()
    return found
