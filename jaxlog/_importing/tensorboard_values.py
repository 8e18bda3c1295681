"""Converts TensorBoard's histograms and texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxlog._format.events import Histogram
from jaxlog._format.media import Table
from jaxlog._limits import LARGEST

_SPLIT = "histograms whose bins have gaps or no order"
_UNCOUNTED = "histograms whose counts are no integers"
_EMPTY = "histograms without a value"


def histogram_of(given: Any) -> Histogram | str:
    """Converts a histogram.

    Args:
      given: a `HistogramProto`; or, as newer writers have it, an array `[bins, 3]` with the edges
        and the count of each bin.

    Returns:
      The histogram; a text if it cannot be one, which says what it is. Bins without a value at both
      ends are left out, since the outermost edges of a `HistogramProto` are those of all numbers;
      TensorBoard leaves them out, too, and puts the least and the greatest value in their place.
    """
    if isinstance(given, np.ndarray):
        if given.ndim != 2 or given.shape[1] != 3 or given.dtype.kind not in "biuf":
            return _SPLIT
        bins = np.asarray(given, np.float64)
        if not bins[:, 2].any():
            return _EMPTY
        return _joined(bins[:, 0].tolist(), bins[:, 1].tolist(), bins[:, 2].tolist())
    counts, limits = list(given.bucket), list(given.bucket_limit)
    full = [place for place, count in enumerate(counts) if count]
    if not full or len(limits) != len(counts):
        return _EMPTY if not full else _SPLIT
    start, end = full[0], full[-1]
    inner = limits[start:end]
    return _joined([given.min, *inner], [*inner, given.max], counts[start : end + 1])


def _joined(lefts: Sequence[float], rights: Sequence[float], counts: Sequence[float]) -> Any:
    """A histogram of bins that follow each other; those of no width are parts of the next one."""
    if not np.isfinite([*lefts, *rights]).all():
        return _SPLIT
    has_gaps = any(right != left for right, left in zip(rights, lefts[1:], strict=False))
    if has_gaps:
        return _SPLIT
    if any(not 0 <= count <= LARGEST or count % 1 for count in counts):
        return _UNCOUNTED
    edges, sums, waiting = [lefts[0]], [], 0
    for left, right, count in zip(lefts, rights, counts, strict=True):
        if right < left:
            return _SPLIT
        waiting += int(count)
        if right > edges[-1]:
            edges.append(right)
            sums.append(waiting)
            waiting = 0
    if not sums:  # all values are one number
        edges.append(math.nextafter(edges[0], math.inf))
        if edges[1] == math.inf:
            edges = [math.nextafter(edges[0], 0), edges[0]]
        sums.append(0)
    sums[-1] += waiting
    return Histogram(tuple(edges), tuple(sums), 0, 0)


def table_of(texts: np.ndarray) -> Table:
    """Converts a text, or an array of texts, to a table."""
    cells = np.atleast_1d(texts)
    cells = cells[:, None] if cells.ndim == 1 else cells.reshape(len(cells), -1)
    rows = [[_text(cell) for cell in row] for row in cells]
    names = ["text"] if cells.shape[1] == 1 else [str(number) for number in range(cells.shape[1])]
    return Table(names, rows)


def _text(cell: Any) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
