"""Makes Arrow columns of metrics events, and finds the types that columns of several events share.

NaN is a value; a lane without a value has null.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from jaxlog._format.columnar import FORMAT, KEY, MARK, PART, RUN_ID, column_names
from jaxlog._format.columns import Columns
from jaxlog._format.events import Histogram, MetricsEvent
from jaxlog._format.lines import FIELDS, LANES, OVER_LANES, LineKind
from jaxlog._format.shortest import shortest

Name = tuple[str, str]
"""The part of a line that a column belongs to (empty for a field of jaxlog's own), and its key."""
ArrowArray = Any  # pyarrow has no types
ArrowType = Any
ArrowSchema = Any
ArrowColumns = dict[Name, ArrowArray]

_BEGIN = {name: place for place, name in enumerate(("", "labels", "metrics"))}
_OF_FIELDS = list(FIELDS)


def columns_of(event: MetricsEvent, found: Columns) -> ArrowColumns:
    """The rows of an event, one for each lane, in the order of its lanes.

    Args:
      event: the event.
      found: its columns.
    """
    num_lanes = len(found.lanes)
    columns = _own(event, num_lanes)
    columns["", "lane"] = _numbers(found.lanes)
    if found.positions is not None:
        columns["", "lane_position"] = _lists(found.positions)
    for key, values in found.labels.items():
        columns["labels", key] = _array(values, None)
    for key, values in found.values.items():
        present = found.present.get(key)
        columns["metrics", key] = (
            _histograms(values, found, key, present)
            if key in found.edges
            else _array(values, present)
        )
    return columns


def over_lanes_of(event: MetricsEvent, num_lanes: int) -> ArrowColumns:
    """The rows over the lanes of an event, one for each statistic; empty if there are none."""
    statistics = event.over_lanes
    if not statistics:
        return {}
    columns = _own(event, len(statistics))
    columns["", "over_lanes"] = _texts(list(statistics))
    columns["", "lanes"] = _numbers(np.full(len(statistics), num_lanes))
    for key in dict.fromkeys(key for values in statistics.values() for key in values):
        column = [values.get(key) for values in statistics.values()]
        columns["metrics", key] = _optional(column, np.float64)
    return columns


def _own(event: MetricsEvent, rows: int) -> ArrowColumns:
    """The fields that have one value for an event, on each of its rows, also those over lanes."""
    columns: ArrowColumns = {
        ("", "timestamp"): _numbers(np.full(rows, event.timestamp, np.float64)),
        ("", "step"): _numbers(np.full(rows, event.step, np.int64)),
    }
    if event.env_step is not None:
        columns["", "env_step"] = _numbers(np.full(rows, event.env_step, np.int64))
    return columns


def _array(values: np.ndarray, present: np.ndarray | None) -> ArrowArray:
    kind = values.dtype.kind
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    elif kind == "V" or (kind == "f" and values.dtype.itemsize > 8):
        values = values.astype(np.float64)  # the halves of ml_dtypes have all digits on lines
    elif kind == "c":
        pairs = np.stack([np.real(values), np.imag(values)], axis=-1, dtype=np.float64)
        return _lists(pairs, present)
    elif kind in "OU":
        objects = values.tolist()
        if present is not None:
            objects = [v if has else None for v, has in zip(objects, present.tolist(), strict=True)]
        return _of_objects(objects)
    if values.dtype == np.uint64 and int(values.max(initial=0)) < 2**63:
        values = values.astype(np.int64)
    return _numbers(values, present)


def _numbers(values: np.ndarray, present: np.ndarray | None = None) -> ArrowArray:
    """Numbers or bools, without a copy; `pa.array` would import pandas, which takes a second.

    Args:
      values: `[n]`.
      present: `bool[n]`, which of them are not null; None for all.
    """
    is_bool = values.dtype == np.bool_
    data = _bits(values) if is_bool else pa.py_buffer(np.ascontiguousarray(values))
    validity = None if present is None else _bits(present)
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [validity, data])


def _bits(values: np.ndarray) -> Any:
    return pa.py_buffer(np.packbits(values, bitorder="little"))


def _texts(values: Sequence[str | None]) -> ArrowArray:
    """Texts; None is null.

    Raises:
      OverflowError: they are too long for one column.
    """
    encoded = [b"" if value is None else value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)])
    if ends[-1] >= 2**31:
        raise OverflowError(
            f"got a column with {ends[-1]:,} bytes of text, expected fewer than 2**31"
        )
    present = np.array([value is not None for value in values], np.bool_)
    offsets, data = pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(encoded))
    return pa.StringArray.from_buffers(len(values), offsets, data, _bits(present))


def _optional(values: Sequence[Any], dtype: Any) -> ArrowArray:
    """Numbers of Python; None is null.

    Raises:
      OverflowError: the type does not hold a number.
    """
    present = np.array([value is not None for value in values], np.bool_)
    numbers = np.array([0 if value is None else value for value in values], dtype)
    return _numbers(numbers, None if present.all() else present)


def _of_objects(values: list[Any]) -> ArrowArray:
    """Values of several types, or texts; None is missing."""
    types = {type(value) for value in values if value is not None}
    if types <= {str, np.str_}:
        return _texts(values)
    dtypes = {value.dtype for value in values if isinstance(value, np.generic)}
    if len(types) == len(dtypes) == 1:  # numbers of the program, some of which are missing
        present = np.array([value is not None for value in values])
        return _array(np.array([0 if v is None else v for v in values], *dtypes), present)
    kept = (type(None), str)
    plain = [value if isinstance(value, kept) else _plain(value) for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds == {bool}:
        return _optional(plain, np.bool_)
    if kinds <= {bool, int}:
        for dtype in (np.int64, np.uint64):
            with contextlib.suppress(OverflowError):
                return _optional(plain, dtype)
    if kinds <= {bool, int, float}:
        return _optional(plain, np.float64)
    return _texts([_text(value) for value in plain])


def _plain(value: Any) -> Any:
    """A number as Python's, with the digits that lines have; a histogram as its dict."""
    if isinstance(value, Histogram):
        return {n: getattr(value, n) for n in ("edges", "counts", "below", "above")}
    array = np.asarray(value)
    if array.dtype.kind in "fV":
        if array.dtype.itemsize > 4 or array.dtype.kind == "V":
            return float(array)
        return float(shortest(array.astype(np.float32).reshape(1))[0])
    if array.dtype.kind == "c":
        return [float(np.real(array)), float(np.imag(array))]
    return array.item()


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _lists(values: np.ndarray, present: np.ndarray | None = None) -> ArrowArray:
    """A list for each row of an array `[n, size]`."""
    n, size = values.shape
    offsets = _numbers(np.arange(n + 1, dtype=np.int32) * np.int32(size))
    missing = None if present is None else _numbers(~present)
    return pa.ListArray.from_arrays(offsets, _numbers(np.ravel(values)), mask=missing)


def _histograms(
    values: np.ndarray, found: Columns, key: str, present: np.ndarray | None
) -> ArrowArray:
    edges = np.asarray(found.edges[key], np.float64)
    values = values.astype(np.int64)
    parts = {
        "edges": _lists(np.tile(edges, (len(values), 1))),
        "counts": _lists(values[:, 1:-1]),
        "below": _numbers(values[:, 0]),
        "above": _numbers(values[:, -1]),
    }
    missing = None if present is None else _numbers(~present)
    return pa.StructArray.from_arrays(list(parts.values()), list(parts), mask=missing)


def schema_of(types: Mapping[Name, ArrowType], layout: LineKind, run_id: str) -> ArrowSchema:
    """The schema of a file: its columns are named as in the frames that readers make.

    Args:
      types: the type of each column, in the order of `in_order`.
      layout: the kind of the rows.
      run_id: the id of the run.
    """
    keys: dict[str, list[str]] = {}
    for part, key in types:
        keys.setdefault(part, []).append(key)
    names = column_names(keys, layout)
    fields = [
        pa.field(names.get((part, key), key), kind, metadata={PART: part, KEY: key})
        for (part, key), kind in types.items()
    ]
    return pa.schema(fields, metadata={MARK: str(FORMAT), RUN_ID: run_id})


def types_of(schema: ArrowSchema) -> dict[Name, ArrowType]:
    """The type of each column of a file; the inverse of `schema_of`."""
    return {
        ((field.metadata or {}).get(PART, b"").decode(), field.metadata[KEY].decode()): field.type
        for field in schema
    }


def layout_of(kind: str) -> LineKind:
    """The kind of the rows of a file of lanes, or over lanes."""
    return LANES if kind == "metrics" else OVER_LANES


def in_order(types: Mapping[Name, ArrowType]) -> dict[Name, ArrowType]:
    """The columns by their parts: jaxlog's own in their order, labels, values."""

    def place(name: Name) -> tuple[int, int]:
        return _BEGIN[name[0]], _OF_FIELDS.index(name[1]) if not name[0] else 0

    return {name: types[name] for name in sorted(types, key=place)}


def shared_type(one: ArrowType, other: ArrowType, *, negative: bool = False) -> ArrowType:
    """The type of a column that takes the values of two types.

    Numbers of several types become int64 or float64, as in frames of lines; anything else becomes
    JSON text.

    Args:
      one: a type.
      other: another one.
      negative: True if there are negative numbers, so that uint64 cannot hold all.
    """
    if one == other:
        return one
    if not (_is_number(one) and _is_number(other)):
        return pa.string()
    if pa.types.is_floating(one) or pa.types.is_floating(other):
        return pa.float64()
    if negative and pa.uint64() in (one, other):
        return pa.float64()
    return pa.uint64() if pa.uint64() in (one, other) else pa.int64()


def _is_number(kind: ArrowType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def has_negative(column: ArrowArray) -> bool:
    """True if a column of integers has negative ones."""
    if not pa.types.is_signed_integer(column.type):
        return False
    values, present = to_numpy(column)
    return bool((values < 0).any() if present is None else (values[present] < 0).any())


def fitted(column: ArrowArray, kind: ArrowType) -> ArrowArray:
    """Converts a column to a type that `shared_type` has found for it."""
    if column.type == kind:
        return column
    if kind == pa.string():
        return _texts([_text(value) for value in widened(column).to_pylist()])
    values, present = to_numpy(widened(column))
    return _numbers(values.astype(kind.to_pandas_dtype()), present)


def widened(column: ArrowArray) -> ArrowArray:
    """Converts float32 to the float64 numbers that readers of lines get."""
    if column.type != pa.float32():
        return column
    values, present = to_numpy(column)
    return _numbers(shortest(values), present)


def to_numpy(column: ArrowArray) -> tuple[np.ndarray, np.ndarray | None]:
    """Numbers or bools, and which of them are not null: the inverse of `_numbers`.

    Not by pyarrow's `to_numpy`, which imports pandas where it is installed.
    """
    validity, data = column.buffers()
    own = slice(column.offset, column.offset + len(column))

    def bools(bits: Any) -> np.ndarray:
        bytes_ = np.frombuffer(bits, np.uint8)
        return np.unpackbits(bytes_, count=own.stop, bitorder="little")[own].view(np.bool_)

    dtype = column.type.to_pandas_dtype()
    values = bools(data) if dtype is np.bool_ else np.frombuffer(data, dtype, own.stop)[own]
    return values, None if validity is None else bools(validity)


def batch_of(columns: ArrowColumns, types: Mapping[Name, ArrowType], schema: ArrowSchema) -> Any:
    """The batch of some rows; columns that they lack are null.

    Args:
      columns: the columns of the rows.
      types: the type of each column of the file.
      schema: that of the file, from `types`.
    """
    rows = len(next(iter(columns.values())))
    arrays: Sequence[ArrowArray] = [
        fitted(columns[name], kind) if name in columns else pa.nulls(rows, kind)
        for name, kind in types.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
