"""What each call logged, in all runs: its lanes, their groups, and a chart for each metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl

from jaxlog._analysis.groups import is_seed
from jaxlog._analysis.html_pages import brief
from jaxlog._format.events import Key
from jaxlog._format.keys import Keys
from jaxlog._format.lines import EPISODE, LANES
from jaxlog._format.names import CATEGORIES, EPISODE_COUNT
from jaxlog._reading.run_frames import DEFAULT_CALLS, RunFrames
from jaxlog._report.chart_curves import (
    ChartCurve,
    LaneGrid,
    diverged,
    of_lane,
    spread_evenly,
    together,
)
from jaxlog.sinks.console.history import CATEGORY_OF_SUMMARY

MOST_LANES, MOST_GROUPS = 64, 48
"""So many lanes of a call have curves of their own, and so many groups; a group's are of all
its lanes."""
CURVES = 5_000
"""About so many curves of either a call has, so that with hundreds of metrics it has fewer."""
POINTS = 250_000
"""About so many points of curves a report has, so that its file stays small."""
FEWEST, MOST = 24, 600
"""Between these are the points of one curve, whatever the number of curves."""

BESIDE = ("std", "min", "max")
"""Statistics that stand behind the others of their metric, where it has a mean."""


@dataclass(frozen=True)
class LaneGroup:
    """Lanes of a run that differ in nothing but their seed.

    Attributes:
      run: which run, counted from 0.
      name: what tells it from the others.
      lanes: their places in the run's `LaneGrid.lanes`.
      unfinished: how far the run came, where it has not finished; else empty.
    """

    run: int
    name: str
    lanes: Sequence[int]
    unfinished: str = ""


@dataclass(frozen=True)
class LaneOf:
    """A lane with a curve of its own.

    Attributes:
      group: its group, counted from 0.
      name: its labels.
      place: in the run's `LaneGrid.lanes`.
    """

    group: int
    name: str
    place: int


@dataclass
class Chart:
    """The curves of one metric.

    Attributes:
      key: its name on the lines.
      info: what it means.
      beside: whether it stands behind the others.
      groups: the curve of each group that has one, by the group's number.
      lanes: the curve of each lane that has one, by the lane's; lanes that are a group of their own
        have that group's.
      last: what each group's lanes had last, finite or not, by the group's number.
      odd: how many values are not finite.
      left_out: how many values of single episodes are not in those that are finite, since they were
        not.
    """

    key: str
    info: Key
    beside: bool = False
    groups: dict[int, ChartCurve] = field(default_factory=dict)
    lanes: dict[int, ChartCurve] = field(default_factory=dict)
    last: dict[int, np.ndarray] = field(default_factory=dict)
    odd: int = 0
    left_out: int = 0


@dataclass(frozen=True)
class CallCharts:
    """What one call logged.

    Attributes:
      name: of the call.
      places: of each run, where its lines stand; None of a run that has none.
      groups: those with curves.
      lanes: those with curves of their own.
      charts: by category.
      lines: how many lines there are.
      num_lanes: how many lanes there are, in all runs.
      num_groups: how many groups there are.
      dead: the places of the lanes that have diverged, by run.
      notes: what a reader has to know about the lines, a sentence for each.
    """

    name: str
    places: Sequence[LaneGrid | None]
    groups: Sequence[LaneGroup]
    lanes: Sequence[LaneOf]
    charts: Sequence[Chart]
    lines: int
    num_lanes: int
    num_groups: int
    dead: Mapping[int, frozenset[int]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def alive(self, number: int) -> int:
        """How many lanes of a group have not diverged: all their metrics ended finite."""
        group = self.groups[number]
        return len(group.lanes) - len(
            self.dead.get(group.run, frozenset()).intersection(group.lanes)
        )

    def is_dead(self, lane: LaneOf) -> bool:
        """Whether a lane has diverged."""
        return lane.place in self.dead.get(self.groups[lane.group].run, ())


class _Meanings(Protocol):
    """What the name of a column means."""

    def __getitem__(self, name: str, /) -> Key: ...


class _Logged(NamedTuple):
    """What a run logged at one call.

    Attributes:
      frame: a row per step and lane.
      labels: which of its columns are labels.
      keys: what the others mean.
      lines: how many lines there are in the file.
      notes: what a reader has to know about them.
    """

    frame: pl.DataFrame
    labels: Sequence[str]
    keys: _Meanings
    lines: int
    notes: Sequence[str] = ()


def charts_of_calls(
    runs: Sequence[RunFrames], names: Sequence[str], unfinished: Sequence[str] | None = None
) -> list[CallCharts]:
    """The calls of some runs; then episodes of single environments, and evaluations.

    Args:
      runs: what they logged.
      names: what they are called.
      unfinished: of each run, how far it came, where it has not finished; else empty. None stands
        for runs that all have finished.
    """
    unfinished = unfinished or [""] * len(runs)
    calls = {call for run in runs for call in run.calls}
    usual = [call for call in DEFAULT_CALLS if call in calls]
    found = []
    for call in [*usual, *sorted(calls.difference(usual))]:
        logged = [
            _metrics(run, name, call) if call in run.calls else None
            for run, name in zip(runs, names, strict=True)
        ]
        found.append(_charts_of_call(call, logged, names, unfinished))
    for name, logged in (
        ("episodes", [_episodes(run) for run in runs]),
        ("evaluations", [_evaluations(run) for run in runs]),
    ):
        if any(one is not None for one in logged):
            found.append(_charts_of_call(name, logged, names, unfinished))
    return found


def _metrics(run: RunFrames, name: str, call: str) -> _Logged:
    """Those of a call, a row per lane and step, as plots and comparisons take them."""
    calls = run.info.get("calls")
    described = calls.get(call) if isinstance(calls, Mapping) else None
    placed = run._call_lines(call)
    keys = Keys(described, of_episodes=EPISODE_COUNT in placed.frame.columns)
    notes = tuple(f"{brief(name)}: {words}." for words in placed.warnings())
    return _Logged(placed.frame, placed.labels, keys, len(run.metrics_of(call)), notes)


def _episodes(run: RunFrames) -> _Logged | None:
    """Those of a single environment: sampled ones are no curve."""
    frame = run.episodes.filter(pl.col("name") == EPISODE)
    labels = run.labels_of_episodes()
    return _Logged(frame, labels, _Summary(), len(frame)) if len(frame) else None


def _evaluations(run: RunFrames) -> _Logged | None:
    frame = run.evaluations.with_columns(lane=pl.lit(0))
    return _Logged(frame, (), _Summary(), len(frame)) if len(frame) else None


class _Summary:
    """What the values of a summary mean: each is one of its own."""

    def __getitem__(self, name: str) -> Key:
        return Key(CATEGORY_OF_SUMMARY.get(name, "other"), name, "")


def thinned(found: Sequence[CallCharts]) -> None:
    """Leaves as many points of each curve as there is room for."""
    charts = [chart for call in found for chart in call.charts]
    curves = sum(3 * len(chart.groups) + len(chart.lanes) for chart in charts)
    most = max(FEWEST, min(MOST, POINTS // max(1, curves)))
    for chart in charts:
        for of in (chart.groups, chart.lanes):
            for number, curve in of.items():
                of[number] = curve.thinned(most)


def _charts_of_call(
    call: str,
    logged: Sequence[_Logged | None],
    names: Sequence[str],
    unfinished: Sequence[str],
) -> CallCharts:
    places = [None if one is None else LaneGrid(one.frame) for one in logged]
    every: list[tuple[LaneGroup, list[str]]] = []
    for number, (one, place) in enumerate(zip(logged, places, strict=True)):
        if one is not None and place is not None and len(one.frame):
            prefix = names[number] if len(logged) > 1 else ""
            every += _groups(number, one, place, prefix, unfinished[number])
    present = [one.frame for one in logged if one is not None]
    columns = {name for frame in present for name, kind in frame.schema.items() if _is_number(kind)}
    room = max(8, CURVES // max(1, len(columns)))
    groups = [every[i] for i in spread_evenly(len(every), min(room, MOST_GROUPS))]
    lanes = [
        LaneOf(number, name, place)
        for number, (group, own) in enumerate(groups)
        for place, name in zip(group.lanes, own, strict=True)
    ]
    lanes = [lanes[i] for i in spread_evenly(len(lanes), min(room, MOST_LANES))]
    chosen = [group for group, _ in groups]
    charts: dict[str, Chart] = {}
    dead: dict[int, frozenset[int]] = {}
    for number, (one, place) in enumerate(zip(logged, places, strict=True)):
        if one is not None and place is not None:
            of_run = {i: group for i, group in enumerate(chosen) if group.run == number}
            dead[number] = _add(charts, one, place, of_run, lanes)
    means = {chart.info.stem for chart in charts.values() if chart.info.statistic == "mean"}
    for chart in charts.values():
        chart.beside = chart.info.statistic in BESIDE and chart.info.stem in means
    ranked = sorted(charts.values(), key=lambda chart: CATEGORIES.index(chart.info.category))
    return CallCharts(
        call,
        places,
        chosen,
        lanes,
        ranked,
        lines=sum(one.lines for one in logged if one is not None),
        num_lanes=sum(len(place.lanes) for place in places if place is not None),
        num_groups=len(every),
        dead=dead,
        notes=[note for one in logged if one is not None for note in one.notes],
    )


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind == pl.Boolean


def _groups(
    run: int, logged: _Logged, places: LaneGrid, prefix: str, unfinished: str
) -> list[tuple[LaneGroup, list[str]]]:
    """The groups of a run, each with the names of its lanes."""
    frame, labels = logged.frame, logged.labels
    # One that changes along a lane, as the task of a single environment may, does not name it.
    values = (pl.col(label).drop_nulls() for label in labels)
    named = frame.group_by("lane").agg(
        pl.when(own.n_unique() == 1).then(own.first()) for own in values
    )
    rows = named.sort("lane").drop("lane").to_dicts() if labels else [{}] * len(places.lanes)
    found: dict[str, tuple[list[int], list[str]]] = {}
    for place, row in enumerate(rows):
        told = {label: value for label, value in row.items() if value is not None}
        group = _named({k: v for k, v in told.items() if not is_seed(k)})
        name = _named(told) or (f"lane {places.lanes[place]}" if len(rows) > 1 else "")
        of = found.setdefault(" · ".join(part for part in (prefix, group) if part), ([], []))
        of[0].append(place)
        of[1].append(brief(" · ".join(part for part in (prefix, name) if part) or "the run"))
    return [
        (LaneGroup(run, brief(name or _unnamed(own)), lanes, unfinished), own)
        for name, (lanes, own) in found.items()
    ]


def _unnamed(lanes: Sequence[str]) -> str:
    return "all lanes" if len(lanes) > 1 else lanes[0]


def _named(labels: Mapping[str, Any]) -> str:
    return " · ".join(
        f"{label} {f'{value:.6g}' if isinstance(value, float) else value}"
        for label, value in labels.items()
    )


def _add(
    charts: dict[str, Chart],
    logged: _Logged,
    places: LaneGrid,
    groups: Mapping[int, LaneGroup],
    lanes: Sequence[LaneOf],
) -> frozenset[int]:
    """Adds what one run logged; the places of its lanes that have diverged."""
    frame, labels, keys = logged.frame, logged.labels, logged.keys
    fields = {*LANES.own, *labels}
    columns = [name for name, kind in frame.schema.items() if _is_number(kind)]
    infos = {name: keys[name] for name in columns if name not in fields}
    counts = {info.stem: name for name, info in infos.items() if info.statistic == "nonfinite"}
    dead = np.zeros(len(places.lanes), bool)
    for name, info in infos.items():
        values, there = places.values(frame[name])
        if not there.any():
            continue
        if info.statistic == "nonfinite":  # a line on which there were none does not have it
            values, there = np.where(there, values, 0.0), places.logged
        chart = charts.setdefault(name, Chart(name, info))
        odd = there & ~np.isfinite(values)
        chart.odd += int(odd.sum())
        if odd.any():
            dead |= diverged(values, there)[:, -1]
        if info.stem in counts and info.kind == "statistic":
            left_out, counted = places.values(frame[counts[info.stem]])
            chart.left_out += int(left_out[counted & there & ~odd].sum())
        for number, group in groups.items():
            rows = np.array(group.lanes)
            curve = together(values[rows], there[rows], info.statistic)
            if len(curve.at):
                chart.groups[number] = curve
                chart.last[number] = _last(values[rows], there[rows])
        for number, lane in enumerate(lanes):
            if lane.group in groups and len(groups[lane.group].lanes) > 1:
                curve = of_lane(values[lane.place], there[lane.place])
                if len(curve.at):
                    chart.lanes[number] = curve
    return frozenset(np.flatnonzero(dead).tolist())


def _last(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The last value of each lane that has one."""
    rows = there.any(1)
    last = there.shape[1] - 1 - there[:, ::-1].argmax(1)
    return values[np.arange(len(values)), last][rows]
