"""Converts float32 numbers to the float64 numbers that readers of lines get, many at a time.

Lines have the shortest decimal text that identifies a float32, and all digits of a whole number
from 2**24 on (`numbers.py`). The text of 0.1 is `0.1`, whose float64 is another number than the
float32 widened.
"""

from __future__ import annotations

import numpy as np
import orjson

_CHUNK = 2**14  # the arrays of a chunk fit into a core's cache
_LARGE = 2.0**24
_MOST_PLACES = 22  # 10**22 is the largest power of ten that float64 has exactly
_POWERS = 10.0 ** np.arange(_MOST_PLACES + 1)


def _places() -> np.ndarray:
    """For each exponent of float32, the decimal places that identify every number that has it.

    One unit in the last of them is at most the distance between two such numbers. More than
    `_MOST_PLACES` if there are none.
    """
    spacing = 2.0 ** (np.arange(256.0) - 127 - 23)
    places = np.ceil(-np.log10(spacing)).clip(0, _MOST_PLACES + 1).astype(np.int64)
    places[0] = _MOST_PLACES + 1  # the numbers below the normal ones
    return places


_PLACES = _places()


def shortest(values: np.ndarray) -> np.ndarray:
    """The float64 of the text that lines have, for each float32; of the same shape.

    >>> shortest(np.float32([0.1, 123456792, np.nan])).tolist()
    [0.1, 123456792.0, nan]
    """
    values = np.ascontiguousarray(values, np.float32)
    flat = values.reshape(-1)
    found = np.empty(flat.shape, np.float64)
    with np.errstate(all="ignore"):  # NaN and infinities stay as they are
        for start in range(0, len(flat), _CHUNK):
            stop = start + _CHUNK
            _convert(flat[start:stop], found[start:stop])
    return found.reshape(values.shape)


def _convert(values: np.ndarray, found: np.ndarray) -> None:
    found[:] = values
    at = np.flatnonzero((found != np.rint(found)) & np.isfinite(found))  # others are exact
    if not len(at):
        return
    few = len(at) < len(values)
    own = values[at] if few else values
    bits = own.view(np.uint32)
    places = _PLACES[(bits >> 23) & 0xFF]
    # At a power of two, the numbers that round to it reach less far down than up.
    odd = (places > _MOST_PLACES) | ((bits & 0x7FFFFF) == 0)
    if odd.any():
        rest = np.flatnonzero(odd)
        texts = orjson.dumps(own[rest], option=orjson.OPT_SERIALIZE_NUMPY)
        found[at[rest]] = orjson.loads(texts)
        keep = np.flatnonzero(~odd)
        at, own, places, few = at[keep], own[keep], places[keep], True
    exact = own.astype(np.float64)
    power = _POWERS[places]
    best = _rounded(exact, power)
    power /= 10
    fewer = _rounded(exact, power)
    same = fewer.astype(np.float32) == own
    best = np.where(same, fewer, best)
    left = np.flatnonzero(same)
    while len(left):  # one place less, for as long as the number is still identified
        power[left] /= 10
        fewer = _rounded(exact[left], power[left])
        same = fewer.astype(np.float32) == own[left]
        left = left[same]
        best[left] = fewer[same]
    if few:
        found[at] = best
    else:
        found[:] = best


def _rounded(numbers: np.ndarray, power: np.ndarray) -> np.ndarray:
    """The numbers with fewer decimal places: correctly rounded, since `power` is exact."""
    return np.rint(numbers * power) / power
