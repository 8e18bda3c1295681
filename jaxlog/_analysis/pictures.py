"""Finds the picture of a row of `episodes` that the svg sink drew, or draws one from the row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from jaxlog._format.columnar import RUN
from jaxlog._format.events import EpisodeEvent
from jaxlog._format.lines import KINDS
from jaxlog._format.svg_files import episode_paths
from jaxlog._format.whole_arrays import guessed
from jaxlog._reading.run_frames import RunFrames
from jaxlog._render import picture
from jaxlog._render.foreign import is_own
from jaxlog._run_files import read_small_below

_FIELDS = (*KINDS["episodes"].own, RUN)

MOST_BYTES = 2**23
"""The most bytes of a picture file that is read: twice the limit of two user-drawn states."""


class Pictures:
    """The pictures of the episodes of some runs.

    Args:
      runs: the runs by their names.
      labels: the columns that are labels.
    """

    def __init__(self, runs: Mapping[str, RunFrames], labels: Iterable[str]) -> None:
        self._runs = runs
        self._labels = tuple(labels)
        self._counts: dict[str, Counter[tuple[str, ...]]] = {}
        self._num_lanes: dict[str, int] = {}

    def of(self, row: Mapping[str, Any]) -> str:
        """Returns the SVG of a row: that of the sink if it can be identified, else a new one."""
        name = row[RUN] if len(self._runs) > 1 else next(iter(self._runs))
        event = self._event(row, self._num_lanes_of(name))
        paths = episode_paths(event.name, event.step, event.lane, event.episode)
        if self._counts_of(name)[paths] == 1:
            for path in paths:
                try:
                    svg = read_small_below(self._runs[name].path, path, MOST_BYTES).decode()
                except (OSError, UnicodeDecodeError):  # not drawn, or removed
                    continue
                if is_own(svg):
                    return svg
        return picture(event)

    def _counts_of(self, name: str) -> Counter[tuple[str, ...]]:
        """Counts the episodes of a run by file name: a repeated loop adds numbers to the names."""
        if name not in self._counts:
            frame = self._runs[name].episodes
            where = [
                key
                for key in ("name", "step", "lane", "batch_index", "environment_id")
                if key in frame.columns
            ]
            self._counts[name] = Counter(
                episode_paths(row["name"], row["step"], row["lane"], _without_none(row))
                for row in frame.select(where).iter_rows(named=True)
            )
        return self._counts[name]

    def _num_lanes_of(self, name: str) -> int:
        """The number of lanes of a run, as far as its episodes show it."""
        if name not in self._num_lanes:
            lanes = self._runs[name].episodes["lane"].to_list()
            self._num_lanes[name] = 1 + max(lanes, default=0)
        return self._num_lanes[name]

    def _event(self, row: Mapping[str, Any], num_lanes: int) -> EpisodeEvent:
        values = _without_none({key: v for key, v in row.items() if key not in _FIELDS})
        labels = {key: values.pop(key) for key in self._labels if key in values}
        details = {
            key: guessed(values.pop(key))
            for key, value in list(values.items())
            if isinstance(value, list) and key != "batch_index"
        }
        return EpisodeEvent(
            row["name"],
            row["step"],
            row.get("env_step"),
            row.get("timestamp") or 0.0,
            row["lane"],
            labels,
            values,
            details,
            tuple(row.get("lane_position") or ()),
            num_lanes=max(num_lanes, row["lane"] + 1),
        )


def _without_none(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}
