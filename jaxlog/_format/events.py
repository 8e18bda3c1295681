"""The events that sinks receive: frozen dataclasses of Python and NumPy values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jaxlog._format.names import EPISODE_COUNT, UPDATE_COUNT
from jaxlog._format.timing import Timing
from jaxlog._former_names import former_keyword, warn_former_name


class KeyData(np.ndarray):
    """The data of typed PRNG keys in the `tree` of an event: `uint32`, as `key_data` returns it.

    The type says that these numbers are keys, so that pictures can leave them out.
    """


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
    """

    index: int
    labels: Labels
    values: Mapping[str, Scalar | Histogram]
    position: tuple[int, ...] = ()
    series: int = 0
    alone: bool = False
    first_labels: Labels | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=lambda: NOTHING)

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


@dataclass(frozen=True)
class MetricsEvent:
    """The statistics and scalars that all lanes of one call logged at one step.

    Attributes:
      name: the name of the call, such as `batch` or `eval`.
      step: the index of the update.
      env_step: the environment steps taken when this update was done; None without the setting
        `env_steps_per_update`.
      timestamp: the time of arrival on the host, in seconds since 1970 (UTC).
      lanes: the lanes that logged, ordered by their index.
      keys: the meaning of each key that a lane can have, in the order of a line.
      over_lanes: for each statistic of the setting `over_lanes`, the values over all lanes by key.
      num_lanes: the number of lanes of the program, including those that did not log; 1 without
        `vmap`. It grows while programs run one after another.
      finite: True if all values are known to be finite; False if this was not checked.
      exact: True if all numbers of the lanes, including labels, are known to be finite and equal
        to their shortest decimal text (see `_format.numbers`); False if this was not checked.
      total_updates: the number of updates that the call logs, if it was given its own; else None,
        and that of the run applies.
      timing: how long the run has been open, and how fast the call logs; None for lines that were
        read from files, and for records that a program returned (`delivery: return`).
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
    total_updates: int | None = None
    timing: Timing | None = field(default=None, compare=False)


@dataclass(frozen=True)
class EpisodeEvent:
    """One episode: sampled from a batch, or logged for a single environment.

    Attributes:
      name: the name of the call; `episode` for a single environment.
      step: the index of the update; for a single environment, that of the episode's last step.
      env_step: as in `MetricsEvent`.
      timestamp: as in `MetricsEvent`.
      lane: the number of the lane.
      labels: the labels of the lane.
      episode: the summary of the episode: `environment_id`, the index along the batch's last axis;
        `batch_index` if the batch has several axes; and a value for each metric that has one per
        episode. For a single environment, the numbers and texts of `Logger.log_episode_summary`.
      details: the episode's row of each array of `details`, by name.
      lane_position: as `Lane.position`.
      tree: the pytree `details` as the program passed it, with the episode's rows as NumPy leaves;
        None if there are no details.
      sampled: True if it was sampled from a batch, False for a single environment.
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
    """The start of a task of a single environment, from `Logger.log_task_start`.

    Attributes:
      step: the number of steps that were logged before it.
      timestamp: as in `MetricsEvent`.
      values: the numbers and texts, by name.
      details: the arrays, by name.
      tree: the pytree that was passed, with NumPy arrays as leaves.
    """

    step: int
    timestamp: float
    values: Mapping[str, Any]
    details: Mapping[str, np.ndarray]
    tree: Any = None


@dataclass(frozen=True)
class StepEvent:
    """One step of a single environment, from `Logger.log_step`.

    Attributes:
      step: the index of the step in the run.
      timestamp: as in `MetricsEvent`.
      episode: the number of episodes that ended before it.
      labels: `task_id`, if the current task has one.
      values: the numbers and texts, by name: `reward`, `action`.
      details: the arrays, by name: `state`, `before_state`, `after_state`.
      tree: the pytree that was passed, with NumPy arrays as leaves.
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
    """The summary of an evaluation, from `Logger.log_evaluation_summary`.

    Attributes:
      step: the step that was passed, or the last step that was logged before it, or 0.
      timestamp: as in `MetricsEvent`.
      values: the numbers and texts, by name: `success_rate`, `num_episodes`.
      details: the arrays, by name.
    """

    step: int
    timestamp: float
    values: Mapping[str, Any]
    details: Mapping[str, np.ndarray]


Event = MetricsEvent | EpisodeEvent | TaskEvent | StepEvent | EvaluationEvent


@dataclass(frozen=True)
class Account:
    """Counts of the records that one sink of a run received.

    Attributes:
      kind: the kind of the sink.
      arrived: the number of records that it received, one per lane.
      written: the number of records that it wrote and flushed.
      failure: the last error of the sink; None if there was none.
      off: True if the sink was switched off.
    """

    kind: str
    arrived: int
    written: int
    failure: str | None = None
    off: bool = False


@former_keyword("total_steps", "total_updates")
@dataclass(frozen=True)
class RunInfo:
    """The facts about a run that its sinks receive in `check` and `open`.

    Attributes:
      name: the name of the run.
      directory: the directory for the run's files; None for a run without files.
      total_updates: the number of updates that the program makes, if known.
      config: the user's hyper-parameters.
      tags: the user's tags.
      lanes: one dict of labels per lane, from `Logger.open(lanes=)`; empty for none.
      id: the id of the run, 8 hexadecimal digits; a resumed run keeps it.
      if_exists: `replace` if the run replaces one in the same directory, `resume` if it resumes
        one, `error` if there is none.
      resumes_at: if the run resumes from a state, the first step that is logged again: the largest
        of `resumes`; else None.
      resumes: if the run resumes from a state, the first step that is logged again for each call by
        its name, and for `steps` and `episode` of a single environment. A call that is missing had
        logged nothing when the state was taken.
      position: the result of this sink's `position` when that state was taken; None if the run does
        not resume from a state, or did not have this sink then.
      session: the number of times that the run was opened before; 0 for a new run.
      earlier: the entries `calls` and `health` of run.json, as of the point from which the run
        resumes; empty for a new run.
      sink_number: the number of sinks of the same kind before this one in the settings.
      accounts: a function that returns the current `Account` of each sink.
      status: a function that returns the status of the run: `running`, and, when sinks are closed,
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
