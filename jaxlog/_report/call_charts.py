"""For each call, in all runs: its lanes, their groups, and a chart for each metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl

from jaxlog._analysis.groups import is_seed
from jaxlog._analysis.html_pages import brief
from jaxlog._analysis.lane_values import LaneValues
from jaxlog._format.events import Key
from jaxlog._format.keys import Keys
from jaxlog._format.lines import EPISODE, LANES
from jaxlog._format.names import CATEGORIES, EPISODE_COUNT
from jaxlog._reading.call_lines import values_by_lane
from jaxlog._reading.run_frames import DEFAULT_CALLS, RunFrames
from jaxlog._report.chart_curves import ChartCurve, LaneRows, of_lane, spread_evenly, together
from jaxlog.sinks.console.line_values import CATEGORY_OF_SUMMARY

MOST_LANES, MOST_GROUPS = 64, 48
"""The number of lanes of a call with curves of their own, and of groups. A group's curve is
computed from all its lanes."""
CURVES = 5_000
"""About the number of curves of either kind in a call, so that there are fewer lanes and groups if
there are hundreds of metrics."""
POINTS = 250_000
"""About the number of points in a report, so that its file stays small."""
FEWEST, MOST = 24, 600
"""The least and the greatest number of points of one curve."""

_PLACE = "jaxlog.place"
"""The column of the index of a lane."""

BESIDE = ("std", "min", "max")
"""Statistics with charts in a section that is closed at first, if the metric has a mean."""


@dataclass(frozen=True)
class LaneGroup:
    """Lanes of a run that differ only in their seed.

    Attributes:
      run: the run's index.
      name: the run's name, if there are several, and the labels without the seed.
      lanes: their indices in the run's `LaneRows.lanes`, ascending.
      unfinished: how far the run came if it has not finished; else empty.
    """

    run: int
    name: str
    lanes: np.ndarray
    unfinished: str = ""


@dataclass(frozen=True)
class LaneOf:
    """A lane with a curve of its own.

    Attributes:
      group: the index of its group.
      name: its labels.
      place: its index in the run's `LaneRows.lanes`.
    """

    group: int
    name: str
    place: int


@dataclass
class Chart:
    """The curves of one metric.

    Attributes:
      key: the metric's key on the lines.
      info: its meaning.
      beside: whether it is in the section that is closed at first.
      groups: curves by the group's index.
      lanes: curves by the lane's index. A lane that is a group of its own has only the group's.
      last: the last values of a group's lanes, finite or not, by the group's index.
      odd: the number of values that are not finite.
      left_out: the number of values of single episodes that were left out of finite statistics,
        since they are not finite.
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
    """The charts of one call.

    Attributes:
      name: the call's.
      places: the lanes and steps of each run; None for a run without lines.
      groups: the groups with curves.
      lanes: the lanes with curves of their own.
      charts: sorted by category.
      lines: the number of lines.
      num_lanes: the number of lanes in all runs.
      num_groups: the number of groups, also of those without curves.
      dead: for each lane whether it has diverged, by run.
      notes: what a reader has to know about the lines, in sentences.
    """

    name: str
    places: Sequence[LaneRows | None]
    groups: Sequence[LaneGroup]
    lanes: Sequence[LaneOf]
    charts: Sequence[Chart]
    lines: int
    num_lanes: int
    num_groups: int
    dead: Mapping[int, np.ndarray] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def alive(self, number: int) -> int:
        """The number of a group's lanes that have not diverged: their last values are finite."""
        group = self.groups[number]
        return len(group.lanes) - int(self.dead[group.run][group.lanes].sum())

    def is_dead(self, lane: LaneOf) -> bool:
        """True if a lane has diverged."""
        return bool(self.dead[self.groups[lane.group].run][lane.place])


class _Meanings(Protocol):
    """The meaning of a column, by its name."""

    def __getitem__(self, name: str, /) -> Key: ...


class _Logged(NamedTuple):
    """The lines of one call of a run.

    Attributes:
      frame: a row per step and lane.
      labels: the columns that are labels.
      keys: the meaning of the others.
      lines: the number of lines in the file.
      notes: what a reader has to know about them, in sentences.
    """

    frame: pl.DataFrame
    labels: Sequence[str]
    keys: _Meanings
    lines: int
    notes: Sequence[str] = ()


def charts_of_calls(
    runs: Sequence[RunFrames], names: Sequence[str], unfinished: Sequence[str] | None = None
) -> list[CallCharts]:
    """The charts of each call, then of episodes of single environments, then of evaluations.

    Args:
      runs: the runs.
      names: one per run.
      unfinished: for each run, how far it came if it has not finished; else empty. None if all runs
        have finished.
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
    """A call's lines with a row per lane and step, the same as in plots and comparisons."""
    calls = run.info.get("calls")
    described = calls.get(call) if isinstance(calls, Mapping) else None
    placed = run._call_lines(call)
    keys = Keys(described, of_episodes=EPISODE_COUNT in placed.frame.columns)
    notes = tuple(f"{brief(name)}: {words}." for words in placed.warnings())
    return _Logged(placed.frame, placed.labels, keys, len(run.metrics_of(call)), notes)


def _episodes(run: RunFrames) -> _Logged | None:
    """The episodes of a single environment. Sampled episodes make no curve."""
    frame = run.episodes.filter(pl.col("name") == EPISODE)
    labels = run.labels_of_episodes()
    return _Logged(frame, labels, _Summary(), len(frame)) if len(frame) else None


def _evaluations(run: RunFrames) -> _Logged | None:
    frame = run.evaluations.with_columns(lane=pl.lit(0))
    return _Logged(frame, (), _Summary(), len(frame)) if len(frame) else None


class _Summary:
    """The meaning of the values of a summary, which has no statistics."""

    def __getitem__(self, name: str) -> Key:
        return Key(CATEGORY_OF_SUMMARY.get(name, "other"), name, "")


def thinned(found: Sequence[CallCharts]) -> None:
    """Replaces curves by ones with fewer points, so that all have room."""
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
    places = [None if one is None else LaneRows(one.frame) for one in logged]
    of_runs: dict[int, _RunGroups] = {}
    for number, (one, place) in enumerate(zip(logged, places, strict=True)):
        if one is not None and place is not None and len(one.frame):
            prefix = names[number] if len(logged) > 1 else ""
            of_runs[number] = _RunGroups(number, one, place, prefix, unfinished[number])
    every = [group for of_run in of_runs.values() for group in of_run.groups()]
    present = [one.frame for one in logged if one is not None]
    columns = {name for frame in present for name, kind in frame.schema.items() if _is_number(kind)}
    room = max(8, CURVES // max(1, len(columns)))
    groups = [every[i] for i in spread_evenly(len(every), min(room, MOST_GROUPS))]
    ends = np.cumsum([len(group.lanes) for group in groups])
    lanes = []
    for lane in spread_evenly(int(ends[-1]) if groups else 0, min(room, MOST_LANES)):
        number = int(np.searchsorted(ends, lane, "right"))
        place = int(groups[number].lanes[lane - ends[number]])  # from the end of the group's lanes
        lanes.append(LaneOf(number, of_runs[groups[number].run].name_of(place), place))
    charts: dict[str, Chart] = {}
    dead: dict[int, np.ndarray] = {}
    for number, (one, place) in enumerate(zip(logged, places, strict=True)):
        if one is not None and place is not None:
            of_run = {i: group for i, group in enumerate(groups) if group.run == number}
            dead[number] = _add(charts, one, place, of_run, lanes)
    means = {chart.info.stem for chart in charts.values() if chart.info.statistic == "mean"}
    for chart in charts.values():
        chart.beside = chart.info.statistic in BESIDE and chart.info.stem in means
    ranked = sorted(charts.values(), key=lambda chart: CATEGORIES.index(chart.info.category))
    return CallCharts(
        call,
        places,
        groups,
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


class _RunGroups:
    """The groups of lanes of one run, and the names of its lanes.

    Args:
      run: the run's index.
      logged: its lines.
      places: the lanes and steps of these.
      prefix: the first part of each name.
      unfinished: as in `LaneGroup`.
    """

    def __init__(
        self, run: int, logged: _Logged, places: LaneRows, prefix: str, unfinished: str
    ) -> None:
        self._run, self._prefix, self._unfinished = run, prefix, unfinished
        self._lanes = places.lanes
        # A label that changes within a lane, such as the task of a single environment, is no name.
        values = {label: values_by_lane(logged.frame, label) for label in logged.labels}
        self._labels = pl.DataFrame(
            {label: own.first.set(pl.Series(own.varies), None) for label, own in values.items()}
        )

    def groups(self) -> list[LaneGroup]:
        """The groups, in the order of their first lanes."""
        by = [label for label in self._labels.columns if not is_seed(label)]
        if by:
            places = self._labels.select(by).with_row_index(_PLACE)
            parts = places.group_by(by, maintain_order=True).agg(_PLACE)
            rows, lanes = parts.select(by).iter_rows(named=True), parts[_PLACE]
        else:
            rows, lanes = [{}], [np.arange(len(self._lanes))]
        found: dict[str, list[np.ndarray]] = {}
        for row, own in zip(rows, lanes, strict=True):
            name = " · ".join(part for part in (self._prefix, _named(row)) if part)
            found.setdefault(name, []).append(np.asarray(own))
        merged = {name: np.sort(np.concatenate(own)) for name, own in found.items()}
        return [
            LaneGroup(self._run, brief(name or self._unnamed(lanes)), lanes, self._unfinished)
            for name, lanes in merged.items()
        ]

    def _unnamed(self, lanes: np.ndarray) -> str:
        return "all lanes" if len(lanes) > 1 else self.name_of(int(lanes[0]))

    def name_of(self, place: int) -> str:
        """The name of a lane.

        Args:
          place: its index in `LaneRows.lanes`.
        """
        labels = self._labels.row(place, named=True) if self._labels.columns else {}
        name = _named(labels) or (f"lane {self._lanes[place]}" if len(self._lanes) > 1 else "")
        return brief(" · ".join(part for part in (self._prefix, name) if part) or "the run")


def _named(labels: Mapping[str, Any]) -> str:
    return " · ".join(
        f"{label} {f'{value:.6g}' if isinstance(value, float) else value}"
        for label, value in labels.items()
        if value is not None
    )


def _add(
    charts: dict[str, Chart],
    logged: _Logged,
    places: LaneRows,
    groups: Mapping[int, LaneGroup],
    lanes: Sequence[LaneOf],
) -> np.ndarray:
    """Adds the curves of one run. Returns for each of its lanes whether it has diverged."""
    frame, labels, keys = logged.frame, logged.labels, logged.keys
    fields = {*LANES.own, *labels}
    columns = [name for name, kind in frame.schema.items() if _is_number(kind)]
    infos = {name: keys[name] for name in columns if name not in fields}
    counts = {info.stem: name for name, info in infos.items() if info.statistic == "nonfinite"}
    group_of, curve_of = np.full((2, len(places.lanes)), -1)
    for number, group in groups.items():
        group_of[group.lanes] = number
    for number, lane in enumerate(lanes):
        if lane.group in groups and len(groups[lane.group].lanes) > 1:
            curve_of[lane.place] = number
    dead = np.zeros(len(places.lanes), bool)
    for name, info in infos.items():
        values = places.values(frame[name])
        if not len(values):
            continue
        if info.statistic == "nonfinite":  # a line with none lacks the key
            values = places.values(frame[name], or_zero=True)
        chart = charts.setdefault(name, Chart(name, info))
        finite = np.isfinite(values.value)
        chart.odd += int((~finite).sum())
        if not finite.all():
            ended, last = values.last()
            dead[ended] |= ~np.isfinite(last)
        if info.stem in counts and info.kind == "statistic":
            is_finite = frame[name].cast(pl.Float64).is_finite()
            chart.left_out += int(frame[counts[info.stem]].filter(is_finite).sum())
        for number, own in _parts(values, group_of):
            num_lanes = len(groups[number].lanes)
            chart.groups[number] = together(own, num_lanes, info.statistic)
            chart.last[number] = own.last()[1]
        for number, own in _parts(values, curve_of):
            chart.lanes[number] = of_lane(own)
    return dead


def _parts(values: LaneValues, part_of: np.ndarray) -> Iterator[tuple[int, LaneValues]]:
    """Yields the number of each part with values, and these.

    Args:
      values: the values of a run.
      part_of: the number of the part that each lane belongs to; -1 for none.
    """
    part = part_of[values.lane]
    rows = np.argsort(part, kind="stable")
    for own in np.split(rows, np.flatnonzero(np.diff(part[rows])) + 1):
        number = int(part[own[0]])
        if number >= 0:
            yield number, values[own]
