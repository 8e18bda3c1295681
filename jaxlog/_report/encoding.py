"""Encodes charts for the page's script: JSON, with arrays as base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxlog._analysis.html_pages import brief
from jaxlog._report.call_charts import CallCharts
from jaxlog._report.chart_curves import ChartCurve
from jaxlog._report.charts import beside, beside_lane


def encoded(calls: Sequence[CallCharts]) -> list[dict[str, Any]]:
    """The data of each call."""
    return [_call(call) for call in calls]


def _call(call: CallCharts) -> dict[str, Any]:
    runs = {group.run for group in call.groups}
    kept = {run: _kept(call, run) for run in runs}
    return {
        "runs": {str(run): _axes(call, run, kept[run]) for run in sorted(runs)},
        "groups": [
            {
                "run": group.run,
                "name": group.name,
                "lanes": len(group.lanes),
                "beside": beside(call, number),
            }
            for number, group in enumerate(call.groups)
        ],
        "lanes": [
            {"group": lane.group, "name": lane.name, "beside": beside_lane(call, lane)}
            for lane in call.lanes
        ],
        "charts": [
            {
                "key": brief(chart.key),
                "groups": {
                    str(number): _curve(curve, kept[call.groups[number].run])
                    for number, curve in chart.groups.items()
                },
                "lanes": {
                    str(number): _curve(curve, kept[call.groups[call.lanes[number].group].run])
                    for number, curve in chart.lanes.items()
                },
            }
            for chart in call.charts
        ],
    }


def _kept(call: CallCharts, run: int) -> np.ndarray:
    """The indices of the steps that a run's curves have, ascending. Others are not written."""
    parts = [
        curve.at
        for chart in call.charts
        for of, run_of in (
            (chart.groups, {i: group.run for i, group in enumerate(call.groups)}),
            (chart.lanes, {i: call.groups[lane.group].run for i, lane in enumerate(call.lanes)}),
        )
        for number, curve in of.items()
        if run_of[number] == run
    ]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def _axes(call: CallCharts, run: int, kept: np.ndarray) -> Mapping[str, str]:
    places = call.places[run]
    assert places is not None
    axes = {
        "step": places.steps[kept].astype(np.float64),
        "time": places.seconds[kept].astype(np.float32),
    }
    if places.env_steps is not None:
        axes["env_step"] = places.env_steps[kept]
    return {name: _array(values) for name, values in axes.items()}


def _curve(curve: ChartCurve, kept: np.ndarray) -> dict[str, str]:
    found = {"y": _array(_narrow(curve.values))}
    if len(curve.at) < len(kept):  # without `at`, a curve has all steps
        at = np.searchsorted(kept, curve.at)
        found["at"] = _array(at.astype(np.uint16 if len(kept) < 2**16 else np.uint32))
    if curve.low is not None and curve.high is not None:
        found |= {"low": _array(_narrow(curve.low)), "high": _array(_narrow(curve.high))}
    if curve.alive is not None:
        found["alive"] = _array(curve.alive.astype(np.uint32))
    return found


def _narrow(values: np.ndarray) -> np.ndarray:
    """The values as float32, if the difference cannot be seen in a chart."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    finite = np.isfinite(values)
    size = np.ptp(values[finite]) or np.abs(values[finite]).max() if finite.any() else 0.0
    with np.errstate(invalid="ignore"):
        error = np.abs(narrow - values)[finite].max(initial=0.0)
    return narrow if error <= 1e-5 * size else values


def _array(values: np.ndarray) -> str:
    """An array as `f4:` and its little-endian bytes in base64."""
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    kind = f"{values.dtype.kind}{values.dtype.itemsize}"
    return f"{kind}:{base64.b64encode(values.tobytes()).decode()}"
