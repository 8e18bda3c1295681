"""Makes metrics events on the host, from values of plain Python."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from jaxlog._format.events import (
    NOTHING,
    Key,
    Labels,
    Lane,
    MetricsEvent,
    ReadOnlyDict,
    Scalar,
)
from jaxlog._format.names import look_up
from jaxlog._host.plain import plain_label
from jaxlog._limits import as_utf8, check_depth, check_integer, check_named


def metrics_event(
    name: str,
    step: int,
    env_step: int | None,
    values: Any,
    labels: Any,
    lane_labels: Sequence[Labels] = (),
    lane_counts: Callable[[int], Collection[int]] = lambda size: (size,),
) -> MetricsEvent:
    """The event of some values: of one lane, or, if there are arrays, of one lane per entry.

    Args:
      name: the call's name.
      step: the update's index.
      env_step: environment steps taken by then; None if they are not known.
      values: numbers or arrays by name.
      labels: numbers or texts by name.
      lane_labels: more labels, one mapping per lane; empty for none.
      lane_counts: returns the numbers of lanes that the run is known to have, given the length of
        the arrays; called only if that is more than one.

    Raises:
      TypeError: a value is neither a number nor an array of numbers.
      ValueError: arrays differ in length, have several axes, or the run does not have that many
        lanes; or a file cannot hold a name or an integer.
    """
    arrays = {key: _number(key, value) for key, value in check_named("values", values).items()}
    labels = {
        str(key): _label(f"labels[{key!r}]", value)
        for key, value in check_named("labels", labels or {}).items()
    }
    sizes = {array.shape for array in arrays.values() if array.ndim}
    for key, array in arrays.items():
        if array.ndim > 1 or len(sizes) > 1 or not array.size:
            raise ValueError(
                f"values[{key!r}]: got {array.dtype.name}{list(array.shape)}, expected a number, "
                "or one for each lane; of an array of another shape log one number, like .mean()"
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
            ReadOnlyDict({**own[i], **labels}),
            ReadOnlyDict({k: array[i] if array.ndim else array[()] for k, array in arrays.items()}),
        )
        for i in range(num_lanes)
    )
    keys = ReadOnlyDict({key: Key(look_up(key).category, key, "", key) for key in arrays})
    return MetricsEvent(name, step, env_step, time.time(), lanes, keys, NOTHING, num_lanes)


def checked_step(step: Any) -> int:
    """Returns a step as an index that sinks can write.

    Raises:
      TypeError: it is not an integer.
      ValueError: it is negative, or does not fit into 64 bits.
    """
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"step: got {step!r:.60}, expected an integer, the index of the update")
    if not 0 <= (index := operator.index(step)) < 2**63:
        raise ValueError(f"step: got {index}, expected 0 to 2**63 - 1")
    return index


def _label(path: str, value: Any) -> Scalar | str:
    """Checks a label. Text that UTF-8 cannot encode gets `?`, so that the program goes on."""
    if isinstance(value, str):
        return as_utf8(value)
    return plain_label(path, value)


def _number(key: str, value: Any, argument: str = "values") -> Any:
    """Checks a number or an array of numbers, and returns it with a dtype that sinks know."""
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
            "a bool; text that does not change belongs in logger.open(config=...)"
        )
    return array
