"""Summaries as TensorBoard shows them: scalars, histograms, tables and hyper-parameters."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlog._format.events import Histogram, Scalar
from jaxlog._format.numbers import as_written

if TYPE_CHECKING:
    from google.protobuf.message import Message

_MARKUP = re.compile(r"[\\`*_{}\[\]<>|&]")
_LONGEST_CELL = 500


def _protos() -> Any:
    """The messages, which are made when it is imported: type checkers know none of them.

    Imported when one is used: whoever chooses other sinks need not have tensorboardX.
    """
    return importlib.import_module("tensorboardX.summary")


def summary(values: Mapping[str, Scalar | Histogram]) -> Message:
    """One summary of many values, by tag. TensorBoard keeps numbers as float32."""
    protos = _protos()
    return protos.Summary(
        value=[
            protos.Summary.Value(tag=tag, histo=_histogram(value))
            if isinstance(value, Histogram)
            else protos.Summary.Value(tag=tag, simple_value=float(value))
            for tag, value in values.items()
        ]
    )


def _histogram(histogram: Histogram) -> Message:
    """What is below the first edge and above the last has a bucket as wide as the one beside it.

    How far it really lies from there was not counted. The sums of the values were not either, and
    TensorBoard shows none.
    """
    edges = histogram.edges
    limits = (2 * edges[0] - edges[1], *edges, 2 * edges[-1] - edges[-2])
    counts = (histogram.below, *histogram.counts, histogram.above)
    full = [i for i, count in enumerate(counts) if count] or [0]
    return _protos().HistogramProto(
        min=limits[full[0]],
        max=limits[full[-1] + 1],
        num=sum(counts),
        bucket_limit=limits[1:],  # a bucket begins where the one before it ends
        bucket=counts,
    )


def text(tag: str, markdown: str) -> Message:
    """A text that TensorBoard shows as Markdown."""
    protos = _protos()
    plugin = protos.SummaryMetadata.PluginData(
        plugin_name="text", content=protos.TextPluginData(version=0).SerializeToString()
    )
    # Without axes: of an array, as tensorboardX.summary.text has it, TensorBoard makes a table.
    tensor = protos.TensorProto(
        dtype="DT_STRING", string_val=[markdown.encode()], tensor_shape=protos.TensorShapeProto()
    )
    metadata = protos.SummaryMetadata(plugin_data=plugin)
    value = protos.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
    return protos.Summary(value=[value])


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table, in which nothing but the table is markup."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    head, *body = (f"| {' | '.join(map(_cell, line))} |" for line in lines)
    return "\n".join((head, "|" + "---|" * len(columns), *body))


def _cell(value: Any) -> str:
    shown = value.tolist() if isinstance(value, np.ndarray) else value
    line = " ".join(printable(shown)[:_LONGEST_CELL].split())
    return _MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", line)


def printable(value: Any) -> str:
    """A value as text that UTF-8 can hold: a file's name may have bytes that are not."""
    return str(value).encode("utf-8", "replace").decode()


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, with keys like `optimizer.lr`."""
    return dict(_flat(values, prefix))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def hyperparameters(values: Mapping[str, Any]) -> Message:
    """What TensorBoard's tab for hyper-parameters compares runs by."""
    plain = {printable(key): _hyperparameter(value) for key, value in values.items()}
    _, start, _ = _protos().hparams(
        plain, {}
    )  # the others TensorBoard gathers from all runs by itself
    return start


def _hyperparameter(value: Any) -> bool | float | str:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    number = as_number(value)
    # One that is not finite has no JSON, and the whole tab would stay empty.
    if number is None or not math.isfinite(number):
        return printable(value)
    return as_written(value) if isinstance(value, np.floating) else number


def as_number(value: Any) -> float | None:
    """A number as a float; None of what is no number."""
    if isinstance(value, str | bytes | complex | np.complexfloating):
        return None
    if not isinstance(value, bool | int | float | np.generic) and np.ndim(value):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
