"""Events whose every attribute has a value, found by the attribute's type.

A new attribute of an event or a lane has a value here at once. Tests that iterate over fields then
fail if it is forgotten anywhere between the program and a reader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxlog._format.columns import Columns
from jaxlog._format.events import (
    EpisodeEvent,
    EpisodeSteps,
    EvaluationEvent,
    Event,
    Key,
    Lane,
    MetricsEvent,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.media import Image
from jaxlog._format.timing import Timing

NUM_LANES = 5
"""More than the number of lanes below which lines are made from rows."""

_OF_TYPES: Mapping[str, Callable[[int], Any]] = {
    "int": lambda n: n,
    "float": lambda n: n + 0.5,
    "bool": lambda n: n % 2 == 1,
    "str": lambda n: f"text{n}",
    "tuple[int, ...]": lambda n: (n, n + 1),
    "Labels": lambda n: {"seed": n},
    "Timing": lambda n: Timing(float(n)),
    "Any": lambda n: {"x": n},
    "EpisodeSteps": lambda n: EpisodeSteps(np.arange(n), np.ones(n, np.float32), {}),
    "tuple[Lane, ...]": lambda _: tuple(filled(Lane, 2 * i + 1) for i in range(NUM_LANES)),
    "Mapping[str, Any]": lambda n: {"x": n + 0.5},
    "Mapping[str, Scalar | Histogram]": lambda n: {"loss": n + 0.5},
    "Mapping[str, np.ndarray]": lambda n: {"table": np.full((2, 2), n, np.int32)},
    "Media": lambda n: {"frame": Image(np.full((1, 2, 1), n, np.uint8), str(n))},
    "Mapping[str, Key]": lambda _: {"loss": Key("training", "loss", "", "loss")},
    "Mapping[str, Mapping[str, float]]": lambda n: {"mean": {"loss": n + 0.5}},
}
"""A value of each type; a new type needs a line."""


def filled(cls: Any, number: int = 1) -> Any:
    """An instance of a dataclass, with a value for each attribute.

    Args:
      cls: the class.
      number: makes the values those of one of several instances; odd, so that bools are true.
    """
    return cls(
        **{
            one.name: _OF_TYPES[str(one.type).removesuffix(" | None")](number + 20 * place)
            for place, one in enumerate(dataclasses.fields(cls))
        }
    )


def rows() -> MetricsEvent:
    """A metrics event that was made from rows."""
    event = filled(MetricsEvent)
    return dataclasses.replace(event, num_lanes=1 + max(lane.index for lane in event.lanes))


def columns(event: MetricsEvent) -> MetricsEvent:
    """The same event as if it had arrived as columns."""
    found = Columns.of(event.lanes, event.keys)
    made = Columns(**{one.name: getattr(found, one.name) for one in dataclasses.fields(Columns)})
    own = {one.name: getattr(event, one.name) for one in dataclasses.fields(event)}
    del own["lanes"]
    return MetricsEvent.of_columns(made, slice(0, len(made)), **own)


def events() -> list[Event]:
    """An event of each class, and the one of metrics also from columns."""
    others = (EpisodeEvent, TaskEvent, StepEvent, EvaluationEvent)
    return [rows(), columns(rows()), *map(filled, others)]


def plain(value: Any) -> Any:
    """An attribute as values that `==` compares; arrays have no truth value."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, Image):
        return [value.array.tolist(), value.caption]
    return value.tolist() if isinstance(value, np.ndarray) else value


def attributes(value: Any, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The attributes of an event or a lane; the lanes of an event are another matter."""
    return {
        one.name: plain(getattr(value, one.name))
        for one in dataclasses.fields(value)
        if one.name not in without | {"lanes"}
    }
