"""Counts the values that are not finite in a run's lines, for its health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from jaxlog._format.health import Tally
from jaxlog._reading.call_lines import CallLines
from jaxlog._reading.layouts import LANES


def tally_of(calls: Mapping[str, CallLines], described: Any = None) -> Tally:
    """Counts the values that are not finite, and finds the lanes that have diverged.

    Args:
      calls: the metrics of each call, by its name.
      described: the value of `calls` in run.json.
    """
    return Tally({name: _of_call(lines) for name, lines in calls.items()}, described)


def _of_call(lines: CallLines) -> dict[str, Any]:
    """Returns the entry of a call in the form of `Tally.to_json`."""
    frame = lines.frame
    others = {*LANES.own, *lines.labels}
    floats = [n for n, kind in frame.schema.items() if kind.is_float() and n not in others]
    odd = [name for name in floats if not frame[name].is_finite().all()]
    keys = {name: _of_key(frame.select("lane", "step", value=name).drop_nulls()) for name in odd}
    lanes = (frame["lane"].max() or 0) + 1  # type: ignore[operator]
    return {"lanes": lanes, "keys": keys}


def _of_key(frame: pl.DataFrame) -> dict[str, Any]:
    step, finite = pl.col("step"), pl.col("value").is_finite()
    steps = frame.filter(~finite)["step"]
    last = step.filter(finite).max()
    ended = step.filter(~finite & (last.is_null() | (step > last))).min()
    dead = frame.group_by("lane").agg(dead=ended).drop_nulls()
    return {"dead": dict(dead.rows()), "steps": [steps.min(), steps.max()]}
