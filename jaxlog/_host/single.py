"""Counts the steps and episodes of a single environment, and makes events of its values."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlog._format.events import (
    NOTHING,
    EpisodeEvent,
    EvaluationEvent,
    Labels,
    ReadOnlyDict,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.lines import EPISODE


@dataclass(frozen=True)
class NamedValues:
    """Values by name that a user logged, with arrays apart from numbers and texts.

    Attributes:
      values: numbers and texts by name.
      details: arrays by name.
      tree: the user's pytree, with NumPy arrays as leaves.
    """

    values: Mapping[str, Any]
    details: Mapping[str, np.ndarray]
    tree: Any

    @property
    def num_bytes(self) -> int:
        """The memory it takes, roughly."""
        arrays = sum(array.nbytes for array in self.details.values())
        return 512 + 128 * (len(self.values) + len(self.details)) + arrays


class SingleEnvironment:
    """The task, the episode and the step of a single environment.

    Args:
      steps: the number of steps so far.
      episodes: the number of episodes that have ended so far.
      since_episode: the number of steps logged one by one since the last episode ended.
      labels: the labels of the task.
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
        self._labels = ReadOnlyDict(labels) if labels else NOTHING
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[str, Any]:
        """The arguments that make another one which goes on from here, as plain JSON values."""
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

    def task(self, logged: NamedValues) -> TaskEvent:
        """The beginning of a task, to which the following steps and episodes belong."""
        with self._lock:
            name = logged.values.get("task_id")
            self._labels = NOTHING if name is None else ReadOnlyDict({"task_id": name})
            return TaskEvent(self._steps, time.time(), logged.values, logged.details, logged.tree)

    def step(self, logged: NamedValues) -> StepEvent:
        """One step."""
        with self._lock:
            self._steps += 1
            self._since_episode += 1
            return StepEvent(
                self.last_step,
                time.time(),
                self._episodes,
                self._labels,
                logged.values,
                logged.details,
                logged.tree,
            )

    def episode(self, logged: NamedValues) -> EpisodeEvent:
        """The end of an episode. If its steps were not logged one by one, they are counted here."""
        with self._lock:
            if not self._since_episode:
                self._steps += _length(logged.values.get("total_steps"))
            self._since_episode = 0
            self._episodes += 1
            return EpisodeEvent(
                EPISODE,
                self.last_step,
                None,
                time.time(),
                0,
                self._labels,
                logged.values,
                logged.details,
                tree=logged.tree,
                sampled=False,
            )

    def evaluation(self, logged: NamedValues, step: int) -> EvaluationEvent:
        """The summary of an evaluation."""
        return EvaluationEvent(step, time.time(), logged.values, logged.details)


def _length(total_steps: Any) -> int:
    """The length of an episode: `total_steps` if it is a sensible number, else 1."""
    known = isinstance(total_steps, int | float | np.integer | np.floating)
    if isinstance(total_steps, bool) or not known or not 1 <= total_steps <= 2**31:
        return 1
    return int(total_steps)
