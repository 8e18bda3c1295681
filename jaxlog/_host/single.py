"""What a single environment tells in one run, counted and made into events."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Labels,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.lines import EPISODE


@dataclass(frozen=True)
class NamedValues:
    """Values by name that a user logged: numbers and texts apart from arrays.

    Attributes:
      values: numbers and texts by name.
      details: arrays by name.
      tree: what was given, with NumPy arrays as leaves.
    """

    values: Mapping[str, Any]
    details: Mapping[str, np.ndarray]
    tree: Any

    @property
    def num_bytes(self) -> int:
        """What it holds in memory, about."""
        arrays = sum(array.nbytes for array in self.details.values())
        return 512 + 128 * (len(self.values) + len(self.details)) + arrays


class SingleEnvironment:
    """Knows the task, the episode and the step a single environment is at.

    Args:
      steps: of the environment, so far.
      episodes: that have ended, so far.
      since_episode: steps that were told one by one since the last one ended.
      labels: of the task.
    """

    def __init__(
        self,
        steps: int = 0,
        episodes: int = 0,
        since_episode: int = 0,
        labels: Labels | None = None,
    ) -> None:
        self._steps = steps
        self._episodes = episodes
        self._since_episode = since_episode
        self._labels = labels or {}
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[str, Any]:
        """What makes another that goes on from here, in plain JSON values."""
        labels = {
            key: label.item() if isinstance(label, np.generic) else label
            for key, label in self._labels.items()
        }
        return {
            "steps": self._steps,
            "episodes": self._episodes,
            "since_episode": self._since_episode,
            "labels": labels,
        }

    @property
    def last_step(self) -> int:
        """The index of the last step; -1 before the first."""
        return self._steps - 1

    def task(self, told: NamedValues) -> TaskEvent:
        """The beginning of a task; what follows is of it."""
        with self._lock:
            name = told.values.get("task_id")
            self._labels = {} if name is None else {"task_id": name}
            return TaskEvent(self._steps, time.time(), told.values, told.details, told.tree)

    def step(self, told: NamedValues) -> StepEvent:
        """One more step."""
        with self._lock:
            self._steps += 1
            self._since_episode += 1
            return StepEvent(
                self.last_step,
                time.time(),
                self._episodes,
                self._labels,
                told.values,
                told.details,
                told.tree,
            )

    def episode(self, told: NamedValues) -> EpisodeEvent:
        """The end of an episode. Steps that nobody told of one by one are counted here."""
        with self._lock:
            if not self._since_episode:
                self._steps += _length(told.values.get("total_steps"))
            self._since_episode = 0
            self._episodes += 1
            return EpisodeEvent(
                EPISODE,
                self.last_step,
                None,
                time.time(),
                0,
                self._labels,
                told.values,
                told.details,
                tree=told.tree,
                sampled=False,
            )

    def evaluation(self, told: NamedValues, step: int) -> EvaluationEvent:
        """The summary of an evaluation."""
        return EvaluationEvent(step, time.time(), told.values, told.details)


def _length(total_steps: Any) -> int:
    """How many steps an episode had: what it says, if that can be; else it counts as one."""
    known = isinstance(total_steps, int | float | np.integer | np.floating)
    if isinstance(total_steps, bool) or not known or not 1 <= total_steps <= 2**31:
        return 1
    return int(total_steps)
