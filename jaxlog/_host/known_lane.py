"""One lane of a run: its number, its labels so far, and its last step in each call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxlog._format.events import Labels, ReadOnlyDict
from jaxlog._format.numbers import as_written

_MAX_VALUES = 64
"""The most values of each label that are kept for one lane; older ones are dropped."""

Axes = tuple[int, ...]
"""The sizes of the lane axes of a call, the outermost first; empty without `vmap`."""


@dataclass(slots=True)
class KnownLane:
    """One lane, as far as its records have arrived.

    Attributes:
      number: its number.
      series: as in `LaneIdentity`.
      axes: the lane axes of the call that logged it first.
      place: its index over all these axes.
      first: the first value of each label.
      now: the last value of each label, comparable.
      values: all values of each label, comparable.
      steps: its last step in each call.
    """

    number: int
    series: int
    axes: Axes
    place: int
    first: dict[str, Any] = field(default_factory=dict)
    now: dict[str, Any] = field(default_factory=dict)
    values: dict[str, dict[Any, None]] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], reached: Mapping[str, int]) -> KnownLane:
        """A lane of the run that is resumed.

        Args:
          facts: as `facts` returned them.
          reached: the last step of each call at the point from which the run goes on.
        """
        known = cls(facts["lane"], facts["series"], tuple(facts["axes"]), facts["place"])
        for labels in (facts["labels"], facts.get("now", {})):
            labels = {key: math.nan if v is None else v for key, v in labels.items()}
            known.name(labels, {key: comparable(value) for key, value in labels.items()})
        known.steps = {
            call: min(step, reached.get(call, step)) for call, step in facts["steps"].items()
        }
        return known

    def facts(self) -> dict[str, Any]:
        """The lane as plain JSON values for run.json."""
        facts = {
            "lane": self.number,
            "series": self.series,
            "axes": self.axes,
            "place": self.place,
            "labels": {key: _plain(value) for key, value in self.first.items()},
            "steps": dict(self.steps),
        }
        changed = {
            key: None if value == "NaN" else value
            for key, value in self.now.items()
            if comparable(self.first[key]) != value
        }
        return facts | ({"now": changed} if changed else {})

    @property
    def alone(self) -> bool:
        """As `Lane.alone`."""
        return not self.axes and self.series == 0

    def shares(self, labels: Mapping[str, Any]) -> bool:
        """True if it has one of these labels, with any value."""
        return not self.now.keys().isdisjoint(labels)

    def last(self, call: str) -> int:
        """The last step that a call logged for it; if the call logged none, that of all calls."""
        return self.steps.get(call, max(self.steps.values(), default=-1))

    def agreement(self, labels: Mapping[str, Any]) -> int:
        """The number of labels with a value that it has had; 0 if one has another value."""
        shared = self.values.keys() & labels.keys()
        return len(shared) if all(labels[key] in self.values[key] for key in shared) else 0

    def name(self, labels: Labels, compared: Mapping[str, Any]) -> None:
        """Notes the labels that it has now, and their values for comparison."""
        for key, value in compared.items():
            self.first.setdefault(key, labels[key])
            self.now[key] = value
            values = self.values.setdefault(key, {})
            values[value] = None
            if len(values) > _MAX_VALUES:
                del values[next(iter(values))]

    def first_of(self, labels: Labels) -> Labels | None:
        """The first values of some labels; None if all of them still have these values."""
        first = {key: self.first[key] for key in labels}
        same = all(
            first[key] is labels[key] or comparable(first[key]) == comparable(labels[key])
            for key in labels
        )
        return None if same else ReadOnlyDict(first)


def comparable(value: Any) -> Any:
    """A label's value for comparison, whatever its dtype; NaN equals itself."""
    plain = _plain(value)
    return "NaN" if isinstance(plain, float) and math.isnan(plain) else plain


def _plain(value: Any) -> Any:
    """A label's value as a Python value: a float32 of 0.1 becomes 0.1."""
    if isinstance(value, np.generic):
        return as_written(value) if value.dtype.kind in "fV" else value.item()
    return value
