"""What sinks are given: frozen dataclasses of Python and NumPy values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

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
      statistic: what is told of it: `mean`, or `histogram`, whose value is a `Histogram`; empty for
        a scalar.
    """

    category: str
    stem: str
    statistic: str


@dataclass(frozen=True)
class Lane:
    """What one lane of the program logged at one step.

    Attributes:
      index: the lane's number, counted over all lane axes, the outermost slowest; 0 without `vmap`.
      labels: what this lane is named with.
      metrics: the values by key. A metric that has no value here, because no episode ended, is not
        in it.
      position: the lane's index along each lane axis, where there are several; else empty.
    """

    index: int
    labels: Labels
    metrics: Mapping[str, Scalar | Histogram]
    position: tuple[int, ...] = ()


@dataclass(frozen=True)
class MetricsEvent:
    """The aggregates and scalars of one call site at one step, of all lanes that logged.

    Attributes:
      name: the call site's name, `batch` or `eval`, say.
      step: the update's index.
      env_step: environment steps taken when this update was done; None where not configured.
      timestamp: when it reached the host, in seconds since 1970 (UTC).
      lanes: in order of their index.
      keys: what each key is that a lane can have, in the order they are written.
      over_lanes: by statistic, the values over all lanes, by key; as the settings ask for.
    """

    name: str
    step: int
    env_step: int | None
    timestamp: float
    lanes: tuple[Lane, ...]
    keys: Mapping[str, Key]
    over_lanes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class EpisodeEvent:
    """One sampled episode.

    Attributes:
      name: the call site's name.
      step: the update's index.
      env_step: as in `MetricsEvent`.
      timestamp: as in `MetricsEvent`.
      lane: the lane's number.
      labels: what this lane is named with.
      episode: its summary: `environment_id`, the index along the batch's last axis, `batch_index`
        where the batch has several axes, and a value for each metric that has one per episode.
      details: its row of each array of `details`, by name.
      lane_position: as `Lane.position`.
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


Event = MetricsEvent | EpisodeEvent


@dataclass(frozen=True)
class RunInfo:
    """What a sink knows of the run it opens for.

    Attributes:
      name: the run's name.
      directory: where its files go; None for a run without files.
      total_steps: how many updates it will make, where known.
      config: the user's own hyper-parameters.
      tags: the user's own words for it.
      lanes: labels of each lane, beside those of the program; empty for none.
      id: of the run, the same when it goes on; 8 hexadecimal digits.
      if_exists: what the user wants of a run that is there already: `error` (there is none),
        `resume`, or `replace`.
      resumes_at: the first step that comes again, where the run goes on from a state.
      position: what this sink's `position` was when that state was taken; None where the run does
        not go on from a state, or the sink is new to it.
    """

    name: str
    directory: Path | None = None
    total_steps: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    lanes: tuple[Labels, ...] = ()
    id: str = ""
    if_exists: str = "error"
    resumes_at: int | None = None
    position: Mapping[str, int] | None = None
