"""Turns the rows of a call into arrays of shape (lane, step)."""

from __future__ import annotations

import numpy as np
import polars as pl

from jaxlog._reading.call_lines import CallLines


def arrays(lines: CallLines) -> dict[str, np.ndarray]:
    """Returns the axes, the labels, and an array of shape (lane, step) per column of numbers."""
    frame = lines.frame
    lanes, lane = np.unique(frame["lane"].to_numpy(), return_inverse=True)
    steps, step = np.unique(frame["step"].to_numpy(), return_inverse=True)
    found: dict[str, np.ndarray] = {"lane": lanes, "step": steps}
    if "env_step" in frame.columns:
        known = frame["env_step"].is_not_null().to_numpy()
        found["env_step"] = np.full(len(steps), np.nan)
        found["env_step"][step[known]] = frame["env_step"].cast(pl.Float64).to_numpy()[known]
    for name in lines.labels:
        column = frame[name]
        values = column.to_numpy()
        found[name] = np.empty(len(lanes), values.dtype)
        # The last row of a lane wins, as in any assignment of NumPy.
        found[name][lane] = values
    for name, kind in frame.schema.items():
        if name not in found and (kind.is_numeric() or kind == pl.Boolean):
            found[name] = np.full((len(lanes), len(steps)), np.nan)
            found[name][lane, step] = frame[name].cast(pl.Float64).to_numpy()
    return found
