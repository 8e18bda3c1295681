"""Events that are made on the host, of what Python gives."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from jaxlog._format.events import Key, Labels, Lane, MetricsEvent, Scalar
from jaxlog._format.names import look_up
from jaxlog._host.facts import text
from jaxlog._host.plain import plain_label
from jaxlog._limits import check_depth, check_integer, check_name


def metrics_event(
    name: str,
    step: int,
    env_step: int | None,
    values: Any,
    labels: Any,
    lane_labels: Sequence[Labels] = (),
    lane_counts: Callable[[int], Collection[int]] = lambda size: (size,),
) -> MetricsEvent:
    """The line of some values: of one lane, or, where they are arrays, of a lane for each entry.

    Args:
      name: the call's.
      step: the update's index.
      env_step: environment steps by then; None where not configured.
      values: numbers or arrays by name.
      labels: numbers or texts by name.
      lane_labels: more labels, for each lane, or for none.
      lane_counts: how many lanes the run has, as far as is known, of which one may be that of an
        array; asked for only where there are arrays with more than one entry.

    Raises:
      TypeError: a value is no number, nor an array of numbers.
      ValueError: arrays are of different lengths, or have several axes, or the run has not so many
        lanes; or a name or an integer is one that no file can hold.
    """
    arrays = {key: _number(key, value) for key, value in _named("values", values).items()}
    labels = {
        str(key): _label(f"labels[{key!r}]", value)
        for key, value in _named("labels", labels or {}).items()
    }
    sizes = {array.shape for array in arrays.values() if array.ndim}
    for key, array in arrays.items():
        if array.ndim > 1 or len(sizes) > 1 or not array.size:
            raise ValueError(
                f"values[{key!r}]: got {array.dtype.name}{list(array.shape)}, expected a number, "
                "or one for each lane; of what has another shape log one number, like .mean()"
            )
    num_lanes = sizes.pop()[0] if sizes else 1
    if num_lanes > 1 and num_lanes not in (counts := lane_counts(num_lanes)):
        key, array = next((key, array) for key, array in arrays.items() if array.ndim)
        known = ", ".join(map(str, sorted(counts))) or "no"
        raise ValueError(
            f"values[{key!r}]: got {array.dtype.name}{list(array.shape)}, expected a number, since "
            f"this run has {known} lanes; name each entry, as in {{{key + '/0'!r}: ...}}, or log "
            "one number, like .mean(); where the entries are lanes, give open a dict of labels for "
            "each, lanes=[{'seed': 0}, ...]"
        )
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
        check_name(argument, key)
    return given


def _label(path: str, value: Any) -> Scalar | str:
    """A label; what is not Unicode in its text is replaced, since a program goes on."""
    if isinstance(value, str):
        return text(value)
    return plain_label(path, value)


def _number(key: str, value: Any, argument: str = "values") -> Any:
    """A number, or an array of numbers, as sinks know them."""
    if isinstance(value, int):
        check_integer(f"{argument}[{key!r}]", value)
    check_depth(f"{argument}[{key!r}]", value)
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
