"""Makes metrics events on the host, from values of plain Python."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from jaxlog._format.events import (
    NOTHING,
    Labels,
    Lane,
    MetricsEvent,
    ReadOnlyDict,
    Scalar,
)
from jaxlog._format.keys import scalar_key
from jaxlog._format.media import num_bytes
from jaxlog._host.arrival import EVENT_BYTES
from jaxlog._host.plain import plain_label
from jaxlog._limits import (
    MAX_ARRAY_BYTES,
    as_utf8,
    check_array_bytes,
    check_depth,
    check_integer,
    flat,
)


def metrics_event(
    name: str,
    step: int,
    env_step: int | None,
    values: Any,
    labels: Any,
    lane_labels: Sequence[Labels] = (),
    lane_counts: Callable[[int], Collection[int]] = lambda size: (size,),
    arrays: Any = None,
    max_array_bytes: int = MAX_ARRAY_BYTES,
    media: Callable[[int], Sequence[Mapping[str, Any]]] | None = None,
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
      arrays: arrays that are logged whole, by name; if `values` has arrays, these have the lanes
        along their first axis.
      max_array_bytes: the setting.
      media: returns the images and tables of each lane by name, given the number of lanes; None
        for none.

    Raises:
      TypeError: a value is neither a number nor an array of numbers.
      ValueError: arrays differ in length, have several axes, or the run does not have that many
        lanes; or a file cannot hold a name or an integer; or `arrays` are too large.
    """
    values = {} if values is None and arrays is not None else values
    numbers = {key: _number(key, value) for key, value in flat("values", values).items()}
    labels = {
        str(key): _label(f"labels[{key!r}]", value)
        for key, value in flat("labels", labels or {}).items()
    }
    sizes = {array.shape for array in numbers.values() if array.ndim}
    for key, array in numbers.items():
        if array.ndim > 1 or len(sizes) > 1 or not array.size:
            raise ValueError(
                f"values[{key!r}]: got {array.dtype.name}{list(array.shape)}, expected a number, "
                "or one for each lane; of an array of another shape log one number, like .mean()"
            )
    num_lanes = next(iter(sizes))[0] if sizes else 1
    if num_lanes > 1 and num_lanes not in (counts := lane_counts(num_lanes)):
        key, array = next((key, array) for key, array in numbers.items() if array.ndim)
        known = ", ".join(map(str, sorted(counts))) or "no"
        known += " lane" if known == "1" else " lanes"
        raise ValueError(
            f"values[{key!r}]: got {array.dtype.name}{list(array.shape)}, expected a number, since "
            f"this run has {known}; name each entry, as in {{{key + '/0'!r}: ...}}, or log "
            "one number, like .mean(); where the entries are lanes, give open a dict of labels for "
            "each, lanes=[{'seed': 0}, ...]"
        )
    whole = _whole(arrays, num_lanes if sizes else None, max_array_bytes)
    own = lane_labels if len(lane_labels) == num_lanes and num_lanes > 1 else [{}] * num_lanes
    shown = [NOTHING] * num_lanes if media is None else list(map(ReadOnlyDict, media(num_lanes)))
    for of_arrays, of_media in zip(whole, shown, strict=True):
        _refuse_repeated(numbers, of_arrays, of_media)
    lanes = tuple(
        Lane(
            i,
            ReadOnlyDict({**own[i], **labels}),
            ReadOnlyDict(
                {k: array[i] if array.ndim else array[()] for k, array in numbers.items()}
            ),
            arrays=whole[i],
            media=shown[i],
        )
        for i in range(num_lanes)
    )
    keys = ReadOnlyDict({key: scalar_key(key) for key in numbers})
    return MetricsEvent(name, step, env_step, time.time(), lanes, keys, NOTHING, num_lanes)


def num_bytes_of_arrays(event: MetricsEvent) -> int | None:
    """The memory of the arrays, images and tables of an event, roughly; None if it has none."""
    size = sum(array.nbytes for lane in event.lanes for array in lane.arrays.values())
    size += sum(num_bytes(value) for lane in event.lanes for value in lane.media.values())
    return size + EVENT_BYTES * len(event.lanes) if size else None


def _whole(given: Any, num_lanes: int | None, max_bytes: int) -> list[ReadOnlyDict]:
    """The arrays of each lane, as copies that nobody can change.

    Args:
      given: the argument `arrays`.
      num_lanes: the length of the first axis of each array; None if there is only one lane.
      max_bytes: the setting `max_array_bytes`.
    """
    arrays: dict[str, np.ndarray] = {}
    sizes: dict[str, tuple[str, int]] = {}
    for key, value in flat("arrays", {} if given is None else given).items():
        array = np.array(_number(key, value, "arrays", halves=True))
        if num_lanes is not None and array.shape[:1] != (num_lanes,):
            raise ValueError(
                f"arrays[{key!r}]: got {_described(array)}, expected a shape that begins with "
                f"{num_lanes}, the number of lanes: one array for each"
            )
        array.flags.writeable = False
        arrays[key] = array
        sizes[key] = _described(array), array.nbytes // (num_lanes or 1)
    check_array_bytes(sizes, max_bytes)
    if not arrays:
        return [NOTHING] * (num_lanes or 1)
    if num_lanes is None:
        return [ReadOnlyDict(arrays)]
    return [
        ReadOnlyDict({key: array[i, ...] for key, array in arrays.items()})
        for i in range(num_lanes)
    ]


def _refuse_repeated(*parts: Mapping[str, Any]) -> None:
    """Raises an error for a name that two parts of one line have."""
    seen: set[str] = set()
    for part in parts:
        for key in part:
            if key in seen:
                raise ValueError(
                    f"two values would be written as {key!r}; give one of them another name"
                )
        seen |= part.keys()


def _described(array: np.ndarray) -> str:
    return f"{array.dtype.name}{list(array.shape)}"


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


def _number(key: str, value: Any, argument: str = "values", *, halves: bool = False) -> Any:
    """Checks a number or an array of numbers, and returns it with a dtype that sinks know.

    Args:
      key: its name.
      value: what the user passed.
      argument: the argument that has it, for errors.
      halves: whether the halves and quarters of ml_dtypes stay as they are.
    """
    if isinstance(value, int):
        check_integer(f"{argument}[{key!r}]", value)
    check_depth(f"{argument}[{key!r}]", value)
    try:
        array = np.asarray(value)
    except Exception as error:  # a tracer, or an array that is gone
        raise TypeError(f"{argument}[{key!r}]: got {type(value).__name__}: {error}") from None
    if array.dtype.kind == "V" and not issubclass(array.dtype.type, np.void):
        array = _of_ml_dtypes(array, halves=halves)
        if halves:
            return array
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.char == "g":  # a long double, which no file has
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{argument}[{key!r}]: got {type(value).__name__} {value!r:.60}, expected a number or "
            "a bool; text that does not change belongs in logger.open(config=...)"
        )
    return array


def _of_ml_dtypes(array: np.ndarray, *, halves: bool) -> np.ndarray:
    """Converts an array of a type of ml_dtypes; with `halves`, to what a program would send."""
    name = array.dtype.name
    if not halves or name.startswith(("float4", "float6")):
        return array.astype(np.float32)
    if name.startswith(("int", "uint")):
        return array.astype(np.int8 if name.startswith("int") else np.uint8)
    return array
