"""The values of records as those of W&B: rows, images, tables, histograms and configs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from jaxlog._format.events import EpisodeEvent, Histogram, Labels, Scalar
from jaxlog._format.media import Media, Table
from jaxlog._format.numbers import as_written

MAX_BINS = 512
"""The largest number of bins of a histogram in W&B."""


def row_of(name: str, values: Mapping[str, Scalar | Histogram]) -> dict[str, Any]:
    """Converts the values of one line for W&B."""
    row: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Histogram):
            row |= _histogram(f"{name}/{key}", value)
        else:
            row[f"{name}/{key}"] = as_python(value)
    return row


def pictures_of(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Converts arrays that were logged whole: to images, or to numbers if they have no axes."""
    from jaxlog._render.arrays import array_pixels, pixels_left_out

    row: dict[str, Any] = {}
    for key, array in arrays.items():
        pixels = array_pixels(array)
        if pixels is not None:
            words = [f"{array.dtype.name}{list(array.shape)}", *pixels_left_out(array)]
            row[f"{name}/{key}"] = _picture(pixels, " · ".join(words))
        elif not array.ndim:
            row[f"{name}/{key}"] = as_python(array[()])
    return row


def media_of(name: str, media: Media) -> dict[str, Any]:
    """Converts images and tables."""
    import wandb

    row: dict[str, Any] = {}
    for key, value in media.items():
        if isinstance(value, Table):
            columns: list[Any] = list(value.columns)
            data: Any = [list(cells) for cells in value.rows]
            found = wandb.Table(columns=columns, data=data, allow_mixed_types=True)
        else:
            found = _picture(value.array, value.caption)
        row[f"{name}/{key}"] = found
    return row


def _picture(pixels: np.ndarray, caption: str | None) -> Any:
    """Pixels as an image of W&B, which needs Pillow; without it, as HTML with the same image."""
    import wandb

    from jaxlog._render.png import png

    try:
        from PIL import Image
    except ImportError:
        source = base64.b64encode(png(pixels)).decode()
        title = escape(caption or "", quote=True)
        html = f'<img src="data:image/png;base64,{source}" title="{title}">'
        return wandb.Html(html, inject=False, data_is_not_path=True)
    # Not as an array, of which W&B would scale one without large numbers.
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return wandb.Image(image, caption=caption, file_type="png")


def _histogram(key: str, histogram: Histogram) -> dict[str, Any]:
    """Converts a histogram; the counts outside of its edges, where W&B has no bins, become keys."""
    import wandb

    counts, edges = list(histogram.counts), list(histogram.edges)
    together = -(-len(counts) // MAX_BINS)  # the number of bins that are joined to one
    counts = [sum(counts[i : i + together]) for i in range(0, len(counts), together)]
    edges = [*edges[:-1:together], edges[-1]]
    outside = {f"{key}_below": histogram.below, f"{key}_above": histogram.above}
    bins = (np.array(counts), np.array(edges))
    return {key: wandb.Histogram(np_histogram=bins), **outside}


def beside(counters: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the counters to a row; a value with the name of a counter is renamed."""
    named = {f"{key}_value" if key in counters else key: value for key, value in row.items()}
    return {**counters, **named}


def summary_of(event: EpisodeEvent) -> dict[str, Any]:
    """An episode as a row of a table."""
    row = {"lane": event.lane, **event.labels, **event.episode}
    return {key: as_python(value) for key, value in row.items()}


def config_of(labels: Labels) -> dict[str, Any]:
    """Converts labels to values of a config."""
    return {
        key: as_written(value) if isinstance(value, np.floating) else as_python(value)
        for key, value in labels.items()
    }


def as_python(value: Any) -> Any:
    """Converts a value to Python's types, because W&B is slow with NumPy's."""
    if isinstance(value, np.generic):
        value = float(value) if value.dtype.kind == "V" else value.item()
    return str(value) if isinstance(value, list | complex) else value
