"""One lane of a metrics event: its labels, its values by key, and what a key means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from jaxlog._format.media import Media
from jaxlog._format.names import EPISODE_COUNT, UPDATE_COUNT
from jaxlog._former_names import former_keyword, warn_former_name


class ReadOnlyDict(dict[str, Any]):
    """A mapping of an event. All sinks of a run share its events, so that none may change one.

    It is a dict for whatever writes dicts. `dict(event.labels)` is a copy that can be changed.
    """

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "an event's mappings cannot be changed, since all sinks share the event; change a "
            "copy: dict(mapping)"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse  # pyright: ignore[reportAssignmentType]
    clear = pop = popitem = setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> Any:
        return type(self), (dict(self),)


NOTHING = ReadOnlyDict()
"""An empty mapping of an event."""

Scalar = bool | int | float | np.generic
"""A value of a metric or a label. A float32 of the program is an `np.float32`."""


@dataclass(frozen=True)
class Histogram:
    """A histogram of the values of a metric, counted in the program.

    Attributes:
      edges: the edges of the bins, ascending.
      counts: the number of values in each bin; the last bin includes its upper edge.
      below: the number of values below the first edge.
      above: the number of values above the last edge.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    below: int
    above: int


Labels = Mapping[str, Scalar | str]
"""The labels of a lane: those that the program passed, and those of `Logger.open(lanes=)`."""


@dataclass(frozen=True)
class Key:
    """The meaning of one key of a line, for sinks that group or aggregate keys.

    Attributes:
      category: the group of the metric: `rewards`, `similarity`, `episode length`, `training` or
        `other`.
      stem: the first part of the key, such as `episode_return`; for a scalar, its name.
      statistic: the statistic, such as `mean`, or `histogram`, whose value is a `Histogram`; empty
        for a scalar.
      metric: the name of the metric in the program, such as `episode_returns`; empty for the counts
        of episodes and updates, and if it is not known.
      counts: True for the number of counted entries, if the setting `count_key` names it.
    """

    category: str
    stem: str
    statistic: str
    metric: str = ""
    counts: bool = False

    @property
    def kind(self) -> str:
        """The kind of the value, one of `scalar`, `statistic`, `count` and `histogram`.

        A `scalar` is a number of the program, or its mean over the updates of a window. A
        `statistic` is computed over episodes. A `count` is a number of episodes, updates or values.
        """
        if self.statistic in ("count", "nonfinite"):
            return "count"
        if self.statistic:
            return "histogram" if self.statistic == "histogram" else "statistic"
        counts = self.counts or self.stem in (EPISODE_COUNT, UPDATE_COUNT)
        return "count" if counts else "scalar"


class _Numbers(ReadOnlyDict):
    """The numbers of a lane. Its histograms can be looked up, too, for one more release."""

    def __init__(self, values: Mapping[str, Scalar | Histogram]) -> None:
        super().__init__({k: v for k, v in values.items() if not isinstance(v, Histogram)})
        self._values = values

    def __missing__(self, key: str) -> Any:
        histogram = self._values[key]
        warn_former_name(f"Lane.metrics[{key!r}], a histogram", f"Lane.histograms[{key!r}]")
        return histogram


@former_keyword("metrics", "values")
@dataclass(frozen=True)
class Lane:
    """The values that one lane of the program logged at one step.

    Attributes:
      index: the number of the lane, counted over all lane axes, with the last axis fastest; 0
        without `vmap`. Programs that run one after another with different labels are lanes with
        different numbers.
      labels: the labels of the lane at this step.
      values: the numbers and histograms by key, in the order of `MetricsEvent.keys`. A key whose
        metric has no value here, because no episode ended, is missing.
      position: the index of the lane along each lane axis if there are several, else empty.
      series: the number of programs that ran before this one in the same place: 2 for the third
        seed of a Python loop. Later programs have higher lane numbers.
      alone: True if no other lane runs beside it and none ran before it. Sinks then show it as the
        whole run, because there may be no other lane.
      first_labels: the labels that the lane had first, if one has changed since; else None.
      arrays: the arrays that the program logged whole, by name, read-only, in their dtypes.
      media: the images and tables by name: each a `jaxlog.Image` or a `jaxlog.Table`.
    """

    index: int
    labels: Labels
    values: Mapping[str, Scalar | Histogram]
    position: tuple[int, ...] = ()
    series: int = 0
    alone: bool = False
    first_labels: Labels | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=lambda: NOTHING)
    media: Media = field(default_factory=lambda: NOTHING)

    @cached_property
    def metrics(self) -> Mapping[str, Scalar]:
        """The numbers among `values`, by key."""
        return _Numbers(self.values)

    @cached_property
    def histograms(self) -> Mapping[str, Histogram]:
        """The histograms among `values`, by key."""
        return {k: v for k, v in self.values.items() if isinstance(v, Histogram)}

    @property
    def named_by(self) -> Labels:
        """The labels that identify the lane, the same on all of its lines."""
        return self.labels if self.first_labels is None else self.first_labels
