"""Events that are made on the host, of what Python gives."""

from __future__ import annotations

import operator
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxlog.events import Key, Labels, Lane, MetricsEvent, Scalar
from jaxlog.host.facts import text
from jaxlog.names import look_up


def metrics_event(
    name: str,
    step: int,
    env_step: int | None,
    values: Any,
    labels: Any,
    lane_labels: Sequence[Labels] = (),
) -> MetricsEvent:
    """The line of some values: of one lane, or, where they are arrays, of a lane for each entry.

    Raises:
      TypeError: a value is no number, nor an array of numbers.
      ValueError: arrays are of different lengths, or have several axes.
    """
    arrays = {key: _number(key, value) for key, value in _named("values", values).items()}
    labels = {key: _label(key, value) for key, value in _named("labels", labels or {}).items()}
    sizes = {array.shape for array in arrays.values() if array.ndim}
    for key, array in arrays.items():
        if array.ndim > 1 or len(sizes) > 1 or not array.size:
            raise ValueError(
                f"values[{key!r}]: got {array.dtype.name}{list(array.shape)}, expected a number, "
                "or one for each lane; of what has another shape log one number, like .mean()"
            )
    num_lanes = sizes.pop()[0] if sizes else 1
    own = lane_labels if len(lane_labels) == num_lanes and num_lanes > 1 else [{}] * num_lanes
    lanes = tuple(
        Lane(
            i,
            {**own[i], **labels},
            {key: array[i] if array.ndim else array[()] for key, array in arrays.items()},
        )
        for i in range(num_lanes)
    )
    keys = {key: Key(look_up(key).category, key, "", key) for key in arrays}
    return MetricsEvent(name, step, env_step, time.time(), lanes, keys, {}, num_lanes)


def checked_step(step: Any) -> int:
    """An index that sinks can write.

    Raises:
      TypeError: it is no integer.
      ValueError: it is negative, or does not fit into 64 bits.
    """
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"step: got {step!r:.60}, expected an integer, the index of the update")
    if not 0 <= (index := operator.index(step)) < 2**63:
        raise ValueError(f"step: got {index}, expected 0 to 2**63 - 1")
    return index


def _named(argument: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{argument}: got {type(given).__name__}, expected a dict by name, like {{'loss': 0.5}}"
        )
    for key in given:
        if not isinstance(key, str) or not key:
            raise TypeError(f"{argument}: got the key {key!r}, expected a name")
    return given


def _label(key: str, value: Any) -> Scalar | str:
    if isinstance(value, str):
        return text(value)
    array = _number(key, value, "labels")
    if array.ndim:
        raise ValueError(
            f"labels[{key!r}]: got {array.dtype.name}{list(array.shape)}, expected a number or a "
            "text"
        )
    return array[()]


def _number(key: str, value: Any, argument: str = "values") -> Any:
    """A number, or an array of numbers, as sinks know them."""
    try:
        array = np.asarray(value)
    except Exception as error:  # a tracer, or an array that is gone
        raise TypeError(f"{argument}[{key!r}]: got {type(value).__name__}: {error}") from None
    if array.dtype.kind == "V" and not issubclass(array.dtype.type, np.void):
        array = array.astype(np.float32)  # the halves and quarters of ml_dtypes
    if array.dtype.char == "g":  # a long double, which no file has
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{argument}[{key!r}]: got {type(value).__name__} {value!r:.60}, expected a number or "
            "a bool; what is text and does not change belongs in logger.open(config=...)"
        )
    return array
