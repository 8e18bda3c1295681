"""TensorBoard's summaries: scalars, histograms, tables and hyper-parameters."""

from __future__ import annotations

import functools
import importlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlog._format.events import Histogram, Scalar
from jaxlog._format.media import Image
from jaxlog._format.numbers import as_written
from jaxlog._limits import as_utf8

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from jaxlog.sinks.films import Film

_MARKUP = re.compile(r"[\\`*_{}\[\]<>|&]")
_LONGEST_CELL = 500


@functools.cache
def _protos() -> Any:
    """The module with the protobuf messages, whose types are only known at run time.

    It is imported on first use, because other sinks do not need tensorboardX.
    """
    return importlib.import_module("tensorboardX.summary")


def summary(values: Mapping[str, Scalar | Histogram]) -> Message:
    """Makes one summary of values by tag. TensorBoard stores numbers as float32."""
    protos = _protos()
    return protos.Summary(
        value=[
            protos.Summary.Value(tag=tag, histo=_histogram(value))
            if isinstance(value, Histogram)
            else protos.Summary.Value(tag=tag, simple_value=float(value))
            for tag, value in values.items()
        ]
    )


def scalar_rows(tags: tuple[str, ...], values: np.ndarray) -> list[bytes]:
    """Makes a summary of scalars for each row of `values`, encoded.

    Args:
      tags: the tag of each column.
      values: numbers `[rows, columns]`; TensorBoard stores float32.
    """
    template, places = _template(tags)
    rows = np.tile(template, (len(values), 1))
    with np.errstate(over="ignore"):  # as protobuf does
        numbers = np.ascontiguousarray(values, "<f4")
    rows[:, places] = numbers.view(np.uint8).reshape(*values.shape, 4)
    return [row.tobytes() for row in rows]


@functools.lru_cache(maxsize=1024)
def _template(tags: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """An encoded summary of scalars that are 0, and the places of their four bytes in it."""
    parts = [summary({tag: 0.0}).SerializeToString() for tag in tags]  # the number comes last
    ends = np.cumsum([len(part) for part in parts])
    return np.frombuffer(b"".join(parts), np.uint8), ends[:, None] + np.arange(-4, 0)


def _histogram(histogram: Histogram) -> Message:
    """Converts a histogram; values outside of its edges go into one more bucket on each side.

    Each of these is as wide as the bin beside it, because the real extent was not counted. Sums
    were not counted either, and TensorBoard shows none.
    """
    edges = histogram.edges
    limits = (2 * edges[0] - edges[1], *edges, 2 * edges[-1] - edges[-2])
    counts = (histogram.below, *histogram.counts, histogram.above)
    full = [i for i, count in enumerate(counts) if count] or [0]
    return _protos().HistogramProto(
        min=limits[full[0]],
        max=limits[full[-1] + 1],
        num=sum(counts),
        bucket_limit=limits[1:],  # upper limits; a bucket starts where the previous one ends
        bucket=counts,
    )


def pictures(arrays: Mapping[str, np.ndarray]) -> Message | None:
    """Makes one summary of arrays by tag: images, and scalars for arrays without axes.

    Returns:
      The summary; None if no array can be shown, because all are empty.
    """
    from jaxlog._render.arrays import array_pixels, pixels_left_out
    from jaxlog._render.png import png

    protos = _protos()
    values = []
    for tag, array in arrays.items():
        pixels = array_pixels(array)
        if pixels is not None:
            own = protos.Summary.Value(tag=tag, image=_image(pixels.shape, png(pixels)))
            if words := pixels_left_out(array):
                own.metadata.summary_description = "drawn: " + ", ".join(words)
            values.append(own)
        elif not array.ndim:
            values.append(protos.Summary.Value(tag=tag, simple_value=float(array)))
    return protos.Summary(value=values) if values else None


def image(tag: str, value: Image) -> Message:
    """Makes a summary of an image, whose caption TensorBoard shows as its description."""
    from jaxlog._render.png import image_png

    protos = _protos()
    own = protos.Summary.Value(tag=tag, image=_image(value.shape, image_png(value)))
    if value.caption is not None:
        own.metadata.summary_description = value.caption
    return protos.Summary(value=[own])


def _image(shape: tuple[int, ...], data: bytes) -> Any:
    height, width, channels = shape
    return _protos().Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=data
    )


def images(tag: str, pictures: Sequence[np.ndarray]) -> Message:
    """Makes a summary of several images with one tag, which TensorBoard shows as its samples.

    Args:
      tag: the tag.
      pictures: uint8 `[height, width, channels]` each; TensorBoard gets the size of the first.
    """
    from jaxlog._render.png import png

    return _samples(tag, pictures[0].shape[:2], list(map(png, pictures)))


def films(tag: str, given: Sequence[Film]) -> Message:
    """Makes a summary of films in GIF with one tag, as images, which TensorBoard's page plays."""
    made = _samples(tag, given[0].shape, [film.data for film in given])
    captions = [f"{number}: {film.caption}" for number, film in enumerate(given, 1)]
    made.value[0].metadata.summary_description = "\n\n".join(captions)
    return made


def _samples(tag: str, shape: Sequence[int], data: Sequence[bytes]) -> Any:
    """A summary of several encoded images with one tag."""
    protos = _protos()
    height, width = shape
    strings = [str(width).encode(), str(height).encode(), *data]
    size = protos.TensorShapeProto.Dim(size=len(strings))
    tensor = protos.TensorProto(
        dtype="DT_STRING", string_val=strings, tensor_shape=protos.TensorShapeProto(dim=[size])
    )
    plugin = protos.SummaryMetadata.PluginData(plugin_name="images")
    metadata = protos.SummaryMetadata(plugin_data=plugin)
    return protos.Summary(value=[protos.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])


def text(tag: str, markdown: str) -> Message:
    """Makes a summary with a text, which TensorBoard shows as Markdown."""
    protos = _protos()
    plugin = protos.SummaryMetadata.PluginData(
        plugin_name="text", content=protos.TextPluginData(version=0).SerializeToString()
    )
    # A tensor without axes: TensorBoard shows an array, as tensorboardX writes it, as a table.
    tensor = protos.TensorProto(
        dtype="DT_STRING", string_val=[markdown.encode()], tensor_shape=protos.TensorShapeProto()
    )
    metadata = protos.SummaryMetadata(plugin_data=plugin)
    value = protos.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
    return protos.Summary(value=[value])


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Makes a Markdown table; markup characters in its cells are escaped.

    Args:
      rows: the cells of each row by column.
      columns: the columns; empty for those of the rows.
    """
    columns = list(columns) or list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    head, *body = (f"| {' | '.join(map(_cell, line))} |" for line in lines)
    return "\n".join((head, "|" + "---|" * len(columns), *body))


def _cell(value: Any) -> str:
    shown = value.tolist() if isinstance(value, np.ndarray) else value
    line = " ".join(printable(shown)[:_LONGEST_CELL].split())
    return _MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", line)


def printable(value: Any) -> str:
    """Converts a value to a text that UTF-8 can hold; a file name may have other bytes."""
    return as_utf8(str(value))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested dicts to one dict with keys like `optimizer.lr`."""
    return dict(_flat(values, prefix))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def hyperparameters(values: Mapping[str, Any], trial: str = "") -> Message:
    """Makes the summary by which TensorBoard's tab for hyper-parameters compares runs.

    Args:
      values: the hyper-parameters.
      trial: what the tab calls the run, unique among all runs; empty for the path of the run.
    """
    plain = {printable(key): _hyperparameter(value) for key, value in values.items()}
    # TensorBoard collects the other two messages from all runs by itself.
    _, start, _ = _protos().hparams(plain, {})
    if trial:
        plugin = start.value[0].metadata.plugin_data
        data = importlib.import_module("tensorboardX.proto.plugin_hparams_pb2").HParamsPluginData()
        data.ParseFromString(plugin.content)
        data.session_start_info.group_name = printable(trial)
        plugin.content = data.SerializeToString()
    return start


def _hyperparameter(value: Any) -> bool | float | str:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    number = as_number(value)
    # JSON has no number that is not finite, and one would leave the whole tab empty.
    if number is None or not math.isfinite(number):
        return printable(value)
    return as_written(value) if isinstance(value, np.floating) else number


def as_number(value: Any) -> float | None:
    """Converts a number to a float; returns None if the value is not a number."""
    if isinstance(value, str | bytes | complex | np.complexfloating):
        return None
    if not isinstance(value, bool | int | float | np.generic) and np.ndim(value):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
