"""What sinks are given: frozen dataclasses of Python and NumPy values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

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
"""A value of a metric or a label. A float32 of the program stays `np.float32`."""


@dataclass(frozen=True)
class Histogram:
    """How many values of a metric lie where, as counted in the program.

    Attributes:
      edges: of the bins, ascending.
      counts: how many are in each bin; the last bin holds its upper edge.
      below: how many are below the first edge.
      above: how many are above the last.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    below: int
    above: int


Labels = Mapping[str, Scalar | str]
"""What names a lane: numbers of the program, and what `Logger.open` was given."""


@dataclass(frozen=True)
class Key:
    """What one key of a line is, for sinks that arrange them.

    Attributes:
      category: the group it belongs to, one of `names.CATEGORIES`.
      stem: what it is of: `episode_return`; for a scalar, its name.
      statistic: which statistic of it: `mean`, or `histogram`, whose value is a `Histogram`; empty
        for a scalar.
      metric: the metric, as the program names it: `episode_returns`; empty for the counts of
        episodes and updates, and where it is not known.
    """

    category: str
    stem: str
    statistic: str
    metric: str = ""

    @property
    def kind(self) -> str:
        """What its value is.

        `scalar`: a number of the program (in a window, its mean over the updates). `statistic`: one
        over the episodes. `count`: how many episodes, updates or values that is of. `histogram`.
        """
        if self.statistic in ("count", "nonfinite"):
            return "count"
        if self.statistic:
            return "histogram" if self.statistic == "histogram" else "statistic"
        return "count" if self.stem in (EPISODE_COUNT, UPDATE_COUNT) else "scalar"


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
    """What one lane of the program logged at one step.

    Attributes:
      index: the lane's number, counted over all lane axes, the outermost slowest; 0 without `vmap`.
        Lanes that run one after another, told apart by their labels, have numbers of their own.
      labels: what this lane is named with.
      values: numbers and histograms by key, in the order of `MetricsEvent.keys`. A metric that has
        no value here, because no episode ended, is not in it.
      position: the lane's index along each lane axis, where there are several; else empty.
      series: how many lanes have had its place in the program before it, one after another: 2 for
        the third seed of a Python loop. Their numbers are higher than those of the lanes before.
      alone: whether no other lane runs beside it, and none ran before it: sinks show it as the run
        as a whole, since there may be no other.
      first_labels: the labels it had first, where one has changed since; None where none has.
    """

    index: int
    labels: Labels
    values: Mapping[str, Scalar | Histogram]
    position: tuple[int, ...] = ()
    series: int = 0
    alone: bool = False
    first_labels: Labels | None = None

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
        """The labels that name it, the same on each of its lines."""
        return self.labels if self.first_labels is None else self.first_labels


@dataclass(frozen=True)
class MetricsEvent:
    """The aggregates and scalars of one call at one step, of all lanes that logged.

    Attributes:
      name: the call's name, `batch` or `eval`, say.
      step: the update's index.
      env_step: environment steps taken when this update was done; None where not configured.
      timestamp: when it reached the host, in seconds since 1970 (UTC).
      lanes: in order of their index.
      keys: what each key is that a lane can have, in the order they are written.
      over_lanes: by statistic, the values over all lanes, by key; as the settings ask for.
      num_lanes: how many lanes the program has, logging or not; 1 without `vmap`. It grows while
        lanes run one after another.
      finite: whether all values are known to be finite; False where nobody has looked.
      exact: whether all numbers of the lanes, labels too, are known to be finite, and to be what
        their shortest text says (`_format.numbers`); False where nobody has looked.
    """

    name: str
    step: int
    env_step: int | None
    timestamp: float
    lanes: tuple[Lane, ...]
    keys: Mapping[str, Key]
    over_lanes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    num_lanes: int = 1
    finite: bool = field(default=False, compare=False)
    exact: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class EpisodeEvent:
    """One episode: picked among many, or that of a single environment.

    Attributes:
      name: the call's name; `episode` where it is that of a single environment.
      step: the update's index.
      env_step: as in `MetricsEvent`.
      timestamp: as in `MetricsEvent`.
      lane: the lane's number.
      labels: what this lane is named with.
      episode: its summary: `environment_id`, the index along the batch's last axis, `batch_index`
        where the batch has several axes, and a value for each metric that has one per episode. Of a
        single environment, what `Logger.log_episode_summary` was given.
      details: its row of each array of `details`, by name.
      lane_position: as `Lane.position`.
      tree: the `details` as the program gave them, a pytree, with this episode's rows, in NumPy, as
        leaves; None where there are none.
      sampled: whether it was picked among many; False for that of a single environment.
      num_lanes: as in `MetricsEvent`.
      lane_alone: as `Lane.alone`.
      lane_first_labels: as `Lane.first_labels`.
    """

    name: str
    step: int
    env_step: int | None
    timestamp: float
    lane: int
    labels: Labels
    episode: Mapping[str, Any]
    details: Mapping[str, np.ndarray]
    lane_position: tuple[int, ...] = ()
    tree: Any = None
    sampled: bool = True
    num_lanes: int = 1
    lane_alone: bool = False
    lane_first_labels: Labels | None = None


@dataclass(frozen=True)
class TaskEvent:
    """What a single environment is to do next, as `Logger.log_task_start` was told.

    Attributes:
      step: the steps that were logged before it.
      timestamp: as in `MetricsEvent`.
      values: numbers and texts by name.
      details: arrays by name.
      tree: what was given, with NumPy arrays as leaves.
    """

    step: int
    timestamp: float
    values: Mapping[str, Any]
    details: Mapping[str, np.ndarray]
    tree: Any = None


@dataclass(frozen=True)
class StepEvent:
    """One step of a single environment, as `Logger.log_step` was told.

    Attributes:
      step: its index among the steps of the run.
      timestamp: as in `MetricsEvent`.
      episode: the episodes that had ended before it.
      labels: `task_id` of the task it is of, where that was told.
      values: numbers and texts by name: `reward`, `action`.
      details: arrays by name: `state`, `before_state`, `after_state`.
      tree: what was given, with NumPy arrays as leaves.
    """

    step: int
    timestamp: float
    episode: int
    labels: Labels
    values: Mapping[str, Any]
    details: Mapping[str, np.ndarray]
    tree: Any = None


@dataclass(frozen=True)
class EvaluationEvent:
    """The summary of an evaluation, as `Logger.log_evaluation_summary` was told.

    Attributes:
      step: the last step that was logged before it; 0 without.
      timestamp: as in `MetricsEvent`.
      values: numbers and texts by name: `success_rate`, `num_episodes`.
      details: arrays by name.
    """

    step: int
    timestamp: float
    values: Mapping[str, Any]
    details: Mapping[str, np.ndarray]


Event = MetricsEvent | EpisodeEvent | TaskEvent | StepEvent | EvaluationEvent


@dataclass(frozen=True)
class Account:
    """What has become of the records that one sink of a run was given.

    Attributes:
      kind: the sink's.
      arrived: how many it was given: each lane's for one.
      written: how many it has written and flushed.
      failure: what went wrong with it last; None where all is well.
      off: whether it is switched off.
    """

    kind: str
    arrived: int
    written: int
    failure: str | None = None
    off: bool = False


@former_keyword("total_steps", "total_updates")
@dataclass(frozen=True)
class RunInfo:
    """What a sink knows of the run it opens for.

    Attributes:
      name: the run's name.
      directory: where its files go; None for a run without files.
      total_updates: how many updates it will make, where known.
      config: the user's own hyper-parameters.
      tags: the user's own words for it.
      lanes: labels of each lane, beside those of the program; empty for none.
      id: of the run, the same when it goes on; 8 hexadecimal digits.
      if_exists: what the user wants of a run that is there already: `error` (there is none),
        `resume`, or `replace`.
      resumes_at: the first step that comes again, where the run goes on from a state; the largest
        of `resumes`.
      resumes: the same for each call by its name, and, of a single environment, for `steps` and
        `episode`; what is not in it had logged nothing by then.
      position: what this sink's `position` was when that state was taken; None where the run does
        not go on from a state, or the sink is new to it.
      session: how often the run was opened before; 0 for a new one.
      earlier: `calls` and `health` of run.json, as they were at the point from which the run goes
        on; empty for a new run.
      sink_number: how many sinks of the same kind the run's settings name before this one.
      accounts: tells how the run's sinks are doing, now.
      status: tells how the run is doing: `running`, or, when sinks are closed, how it has ended:
        `finished`, `failed`, `interrupted`, `exited` or `terminated`.
    """

    name: str
    directory: Path | None = None
    total_updates: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    lanes: tuple[Labels, ...] = ()
    id: str = ""
    if_exists: str = "error"
    resumes_at: int | None = None
    resumes: Mapping[str, int] = field(default_factory=dict)
    position: Mapping[str, int] | None = None
    session: int = 0
    earlier: Mapping[str, Any] = field(default_factory=dict)
    sink_number: int = 0
    accounts: Callable[[], Sequence[Account]] = tuple
    status: Callable[[], str] = lambda: "running"

    @property
    def total_steps(self) -> int | None:
        """The former name of `total_updates`, with a `DeprecationWarning`."""
        warn_former_name("RunInfo.total_steps", "RunInfo.total_updates")
        return self.total_updates
