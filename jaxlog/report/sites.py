"""What each call site logged, in all runs: its lanes, their groups, and a chart for each metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl

from jaxlog._format.lines import EPISODE
from jaxlog.events import Key
from jaxlog.explore.groups import is_seed
from jaxlog.explore.run_data import DEFAULT_CALLS, RunData
from jaxlog.names import CATEGORIES
from jaxlog.report.curves import Curve, Places, of_lane, spread_evenly, together
from jaxlog.report.html import brief
from jaxlog.sinks.console.history import CATEGORY_OF_SUMMARY

MOST_LANES, MOST_GROUPS = 64, 48
"""So many lanes of a call site have curves of their own, and so many groups; a group's are of all
its lanes."""
CURVES = 5_000
"""About so many curves of either a call site has, so that with hundreds of metrics it has fewer."""
POINTS = 250_000
"""About so many points of curves a report has, so that its file stays small."""
FEWEST, MOST = 24, 600
"""Between these are the points of one curve, whatever the number of curves."""

BESIDE = ("std", "min", "max")
"""Statistics that stand behind the others of their metric, where it has a mean."""


class KeyOf(Protocol):
    """What the name of a column means."""

    def __call__(self, name: str, /, *, of_episodes: bool) -> Key:
        """Of a line that has aggregates of episodes, or has none."""
        ...


@dataclass(frozen=True)
class Group:
    """Lanes of a run that differ in nothing but their seed.

    Attributes:
      run: which run, counted from 0.
      name: what tells it from the others.
      lanes: their places in the run's `Places.lanes`.
    """

    run: int
    name: str
    lanes: Sequence[int]


@dataclass(frozen=True)
class LaneOf:
    """A lane with a curve of its own.

    Attributes:
      group: its group, counted from 0.
      name: its labels.
      place: in the run's `Places.lanes`.
    """

    group: int
    name: str
    place: int


@dataclass
class Chart:
    """The curves of one metric.

    Attributes:
      key: its name on the lines.
      category: one of `names.CATEGORIES`.
      beside: whether it stands behind the others.
      groups: the curve of each group that has one, by the group's number.
      lanes: the curve of each lane that has one, by the lane's; lanes that are a group of their own
        have that group's.
      last: what each group's lanes had last, finite or not, by the group's number.
      odd: how many values are not finite.
    """

    key: str
    category: str
    beside: bool
    groups: dict[int, Curve] = field(default_factory=dict)
    lanes: dict[int, Curve] = field(default_factory=dict)
    last: dict[int, np.ndarray] = field(default_factory=dict)
    odd: int = 0


@dataclass(frozen=True)
class Site:
    """What one call site logged.

    Attributes:
      name: of the call.
      places: of each run, where its lines stand; None of a run that has none.
      groups: those with curves.
      lanes: those with curves of their own.
      charts: by category.
      lines: how many lines there are.
      num_lanes: how many lanes there are, in all runs.
      num_groups: how many groups there are.
      notes: what a reader has to know about its lines, a sentence for each.
    """

    name: str
    places: Sequence[Places | None]
    groups: Sequence[Group]
    lanes: Sequence[LaneOf]
    charts: Sequence[Chart]
    lines: int
    num_lanes: int
    num_groups: int
    notes: Sequence[str] = ()


class _Logged(NamedTuple):
    """What a run logged at one call site.

    Attributes:
      frame: a row per step and lane.
      labels: which of its columns are labels.
      lines: how many lines there are in the file.
      notes: what a reader has to know about them.
    """

    frame: pl.DataFrame
    labels: Sequence[str]
    lines: int
    notes: Sequence[str] = ()


def sites(runs: Sequence[RunData], names: Sequence[str], key_of: KeyOf) -> list[Site]:
    """The call sites of some runs; then episodes of single environments, and evaluations.

    Args:
      runs: what they logged.
      names: what they are called.
      key_of: tells what a column is of.
    """
    calls = {call for run in runs for call in run.calls}
    usual = [call for call in DEFAULT_CALLS if call in calls]
    found = []
    for call in [*usual, *sorted(calls.difference(usual))]:
        logged = [
            _metrics(run, name, call) if call in run.calls else None
            for run, name in zip(runs, names, strict=True)
        ]
        found.append(_site(call, logged, names, key_of))
    for name, logged in (
        ("episodes", [_episodes(run) for run in runs]),
        ("evaluations", [_evaluations(run) for run in runs]),
    ):
        if any(one is not None for one in logged):
            found.append(_site(name, logged, names, _key_of_summary))
    return found


def _metrics(run: RunData, name: str, call: str) -> _Logged:
    """Those of a call, a row per lane and step, as plots and comparisons take them."""
    placed = run._placed(call)
    notes = tuple(f"{brief(name)}: {words}." for words in placed.words())
    return _Logged(placed.frame, placed.labels, len(run.metrics_of(call)), notes)


def _episodes(run: RunData) -> _Logged | None:
    """Those of a single environment: sampled ones are no curve."""
    frame = run.episodes.filter(pl.col("name") == EPISODE)
    return _Logged(frame, run.labels_of_episodes(), len(frame)) if len(frame) else None


def _evaluations(run: RunData) -> _Logged | None:
    frame = run.evaluations.with_columns(lane=pl.lit(0))
    return _Logged(frame, (), len(frame)) if len(frame) else None


def _key_of_summary(key: str, /, *, of_episodes: bool) -> Key:
    del of_episodes
    return Key(CATEGORY_OF_SUMMARY.get(key, "other"), key, "")


def thinned(found: Sequence[Site]) -> None:
    """Leaves as many points of each curve as there is room for."""
    charts = [chart for site in found for chart in site.charts]
    curves = sum(3 * len(chart.groups) + len(chart.lanes) for chart in charts)
    most = max(FEWEST, min(MOST, POINTS // max(1, curves)))
    for chart in charts:
        for of in (chart.groups, chart.lanes):
            for number, curve in of.items():
                of[number] = curve.thinned(most)


def _site(call: str, logged: Sequence[_Logged | None], names: Sequence[str], key_of: KeyOf) -> Site:
    places = [None if one is None else Places(one.frame) for one in logged]
    every: list[tuple[Group, list[str]]] = []
    for number, (one, place) in enumerate(zip(logged, places, strict=True)):
        if one is not None and place is not None and len(one.frame):
            prefix = names[number] if len(logged) > 1 else ""
            every += _groups(number, one, place, prefix)
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
    for number, (one, place) in enumerate(zip(logged, places, strict=True)):
        if one is not None and place is not None:
            of_run = {i: group for i, group in enumerate(chosen) if group.run == number}
            _add(charts, one, place, of_run, lanes, key_of)
    means = {key.removesuffix("_mean") for key in charts if key.endswith("_mean")}
    for chart in charts.values():
        stem, _, statistic = chart.key.rpartition("_")
        chart.beside = statistic in BESIDE and stem in means
    ranked = sorted(charts.values(), key=lambda chart: CATEGORIES.index(chart.category))
    return Site(
        call,
        places,
        chosen,
        lanes,
        ranked,
        lines=sum(one.lines for one in logged if one is not None),
        num_lanes=sum(len(place.lanes) for place in places if place is not None),
        num_groups=len(every),
        notes=[note for one in logged if one is not None for note in one.notes],
    )


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind == pl.Boolean


def _groups(
    run: int, logged: _Logged, places: Places, prefix: str
) -> list[tuple[Group, list[str]]]:
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
        (Group(run, brief(name or ("all lanes" if len(own) > 1 else own[0])), lanes), own)
        for name, (lanes, own) in found.items()
    ]


def _named(labels: Mapping[str, Any]) -> str:
    return " · ".join(
        f"{label} {f'{value:.6g}' if isinstance(value, float) else value}"
        for label, value in labels.items()
    )


def _add(
    charts: dict[str, Chart],
    logged: _Logged,
    places: Places,
    groups: Mapping[int, Group],
    lanes: Sequence[LaneOf],
    key_of: KeyOf,
) -> None:
    """Adds what one run logged."""
    frame, labels = logged.frame, logged.labels
    fields = {"timestamp", "step", "env_step", "lane", "lane_position", *labels}
    of_episodes = "episode_count" in frame.columns
    for name, kind in frame.schema.items():
        if name in fields or not _is_number(kind):
            continue
        values, there = places.values(frame[name])
        if not there.any():
            continue
        key = key_of(name, of_episodes=of_episodes)
        chart = charts.setdefault(name, Chart(name, key.category, beside=False))
        chart.odd += int((there & ~np.isfinite(values)).sum())
        for number, group in groups.items():
            rows = np.array(group.lanes)
            curve = together(values[rows], there[rows], key.statistic)
            if len(curve.at):
                chart.groups[number] = curve
                chart.last[number] = _last(values[rows], there[rows])
        for number, lane in enumerate(lanes):
            if lane.group in groups and len(groups[lane.group].lanes) > 1:
                curve = of_lane(values[lane.place], there[lane.place])
                if len(curve.at):
                    chart.lanes[number] = curve


def _last(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The last value of each lane that has one."""
    rows = there.any(1)
    last = there.shape[1] - 1 - there[:, ::-1].argmax(1)
    return values[np.arange(len(values)), last][rows]
