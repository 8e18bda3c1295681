"""The events that sinks receive: frozen dataclasses of Python and NumPy values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlog._format.columns import Columns as Columns
from jaxlog._format.columns import Place, Together
from jaxlog._format.lane import NOTHING as NOTHING
from jaxlog._format.lane import Histogram as Histogram
from jaxlog._format.lane import Key as Key
from jaxlog._format.lane import Labels as Labels
from jaxlog._format.lane import Lane as Lane
from jaxlog._format.lane import ReadOnlyDict as ReadOnlyDict
from jaxlog._format.lane import Scalar as Scalar
from jaxlog._format.timing import Timing
from jaxlog._former_names import former_keyword, warn_former_name


class KeyData(np.ndarray):
    """The data of typed PRNG keys in the `tree` of an event: `uint32`, as `key_data` returns it.

    The type says that these numbers are keys, so that pictures can leave them out.
    """


@dataclass(frozen=True)
class MetricsEvent:
    """The statistics and scalars that all lanes of one call logged at one step.

    The records of a program arrive as columns, with one array for each key (`columns`). Rows, one
    for each lane (`lanes`), are made from them once, when somebody first asks for them.

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

    @classmethod
    def of_columns(
        cls, columns: Columns, place: Place, together: Together | None = None, **fields: Any
    ) -> MetricsEvent:
        """An event of some columns, whose rows are made when they are first needed.

        Args:
          columns: the values of its lanes, and of others.
          place: its lanes among them.
          together: as for `Columns.part`.
          **fields: all other fields of the event.
        """
        made = object.__new__(cls)
        fields["_part"] = columns, place, together
        made.__dict__.update(fields)
        return made

    @property
    def columns(self) -> Columns:
        """The values of all lanes, with one array for each key."""
        own = self.__dict__  # a cached_property takes a lock, and most events are small
        if "_columns" in own:
            return own["_columns"]
        if "_part" in own:
            columns, place, together = own["_part"]
            found = columns.part(place, together)
        else:
            found = Columns.of(self.lanes, self.keys)
        return own.setdefault("_columns", found)  # another thread may have made them, too

    @property
    def has_columns(self) -> bool:
        """True if its values arrived as columns; False if it was made from rows."""
        return "_part" in self.__dict__

    @property
    def num_logged(self) -> int:
        """The number of lanes that logged."""
        if "_part" not in self.__dict__:
            return len(self.lanes)
        columns, place, _ = self.__dict__["_part"]
        return len(columns.lanes[place])

    @property
    def has_arrays(self) -> bool:
        """True if its call logs arrays whole; a lane may have logged none."""
        if "_part" in self.__dict__:
            return bool(self.__dict__["_part"][0].arrays)
        return any(lane.arrays for lane in self.lanes)

    @property
    def has_media(self) -> bool:
        """True if its call logs images or tables; a lane may have logged none."""
        if "_part" in self.__dict__:
            return bool(self.__dict__["_part"][0].media)
        return any(lane.media for lane in self.lanes)

    def lane_numbers(self, most: int) -> list[int]:
        """The numbers of the first `most` lanes that logged."""
        if "lanes" in self.__dict__:
            return [lane.index for lane in self.lanes[:most]]
        columns, place, _ = self.__dict__["_part"]
        return columns.lanes[place][:most].tolist()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "lanes" and "_part" in self.__dict__:
                return self.__dict__.setdefault("lanes", self.columns.rows())
            return object.__getattribute__(self, name)  # raises AttributeError

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}


@dataclass(frozen=True)
class Leaf:
    """The place of an array in a recorded pytree.

    Attributes:
      name: its path as a text, joined by dots; `values` if it is the whole tree.
      path: the keys, indices and attributes that lead to it.
      is_key: whether it is the data of typed PRNG keys.
    """

    name: str
    path: tuple[str | int, ...] = ()
    is_key: bool = False


@dataclass(frozen=True)
class EpisodeSteps:
    """The recorded steps of one episode.

    Attributes:
      steps: `int64[steps]`, the index of each recorded step in the episode, ascending.
      rewards: `float32[steps]`, the reward of each recorded step.
      arrays: the arrays that were recorded, `[steps, ...]` each, by their path in the tree, joined
        by dots.
      tree: the pytree that the program recorded, with these arrays as leaves; None if it cannot be
        built.
      leaves: the places of `arrays` in the tree, in their order.
      renderer: the name of the renderer that draws a step, as `empty_recorder` was given it; empty
        for none.
    """

    steps: np.ndarray
    rewards: np.ndarray
    arrays: Mapping[str, np.ndarray]
    tree: Any = None
    leaves: tuple[Leaf, ...] = ()
    renderer: str = ""


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
      recording: its steps, if it was recorded whole (`log_episodes`); else None.
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
    recording: EpisodeSteps | None = None


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
      files: once the sink is closed, what `Sink.file_counts` returned.
    """

    kind: str
    arrived: int
    written: int
    failure: str | None = None
    off: bool = False
    files: Mapping[str, Mapping[str, int]] = field(default_factory=dict, compare=False)


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
      sink_kinds: the kinds of all sinks of the run.
      env_steps_per_update: the number of environment steps in one update, if known.
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
    sink_kinds: tuple[str, ...] = ()
    env_steps_per_update: int | None = None
    accounts: Callable[[], Sequence[Account]] = tuple
    status: Callable[[], str] = lambda: "running"

    @property
    def total_steps(self) -> int | None:
        """The former name of `total_updates`, with a `DeprecationWarning`."""
        warn_former_name("RunInfo.total_steps", "RunInfo.total_updates")
        return self.total_updates
