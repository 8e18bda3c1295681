"""An alert, and its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jaxlog._format.nonfinite import without_nonfinite

MOST_LANES = 5
"""The most lanes that an alert names."""


class AlertedLane(NamedTuple):
    """A lane in which a condition holds.

    Attributes:
      number: the number of the lane.
      labels: its labels.
      value: the value of the key that is watched.
    """

    number: int
    labels: Mapping[str, Any]
    value: float


@dataclass(frozen=True)
class Alert:
    """One message to the user.

    Attributes:
      kind: the kind of the condition.
      run: the name of the run.
      why: the condition in words.
      timestamp: when it was noticed, in seconds since 1970 (UTC).
      directory: the run's directory; empty without one.
      host: the machine.
      metric: the call and the key, `batch/loss`; empty for conditions without one.
      step: the step of the line; None for conditions without one.
      lanes: the first lanes in which it holds.
      num_lanes: the number of lanes in which it holds.
      of_lanes: the number of lanes that logged.
    """

    kind: str
    run: str
    why: str
    timestamp: float
    directory: str = ""
    host: str = ""
    metric: str = ""
    step: int | None = None
    lanes: Sequence[AlertedLane] = field(default=())
    num_lanes: int = 0
    of_lanes: int = 0

    @property
    def text(self) -> str:
        """The alert as one line.

        >>> lanes = [AlertedLane(3, {"seed": 3}, float("nan"))]
        >>> Alert("not_finite", "ppo", "is not finite", 0.0, metric="batch/loss", step=120,
        ...       lanes=lanes, num_lanes=1, of_lanes=8).text
        'run ppo: batch/loss is not finite (nan) at step 120, in 1 of 8 lanes: lane 3 (seed 3)'
        """
        words = f"run {self.run}: "
        words += f"{self.metric} {self.why}" if self.metric else self.why
        if self.lanes:
            words += f" ({self.lanes[0].value:.6g})"
        if self.step is not None:
            words += f" at step {self.step}"
        if self.of_lanes > 1:
            shown = ", ".join(map(_named, self.lanes))
            more = self.num_lanes - len(self.lanes)
            shown += f" and {more:,} more" if more else ""
            words += f", in {self.num_lanes:,} of {self.of_lanes:,} lanes: {shown}"
        elif self.lanes and self.lanes[0].labels:
            words += f", {_named(self.lanes[0])}"
        return words

    def to_json(self) -> dict[str, Any]:
        """The alert as plain values; a number that is not finite as in the lines of a run."""
        found: dict[str, Any] = {
            "timestamp": self.timestamp,
            "kind": self.kind,
            "run": self.run,
            "text": self.text,
            "directory": self.directory,
            "host": self.host,
        }
        if self.metric:
            found |= {"metric": self.metric, "step": self.step, "value": self.lanes[0].value}
            found["lanes"] = [
                {"lane": lane.number, "labels": dict(lane.labels), "value": lane.value}
                for lane in self.lanes
            ]
            found |= {"num_lanes": self.num_lanes, "of_lanes": self.of_lanes}
        finite, nonfinite = without_nonfinite(found)
        return finite | ({"nonfinite": nonfinite} if nonfinite else {})


def _named(lane: AlertedLane) -> str:
    labels = ", ".join(f"{name} {value}" for name, value in lane.labels.items())
    return f"lane {lane.number}" + (f" ({labels})" if labels else "")
