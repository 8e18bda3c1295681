"""Converts float32 numbers to the float64 numbers that readers of lines get, many at a time.

Lines have the shortest decimal text that identifies a float32, and all digits of a whole number
from 2**24 on (`numbers.py`). The text of 0.1 is `0.1`, whose float64 is another number than the
float32 widened.
"""

from __future__ import annotations

import numpy as np
import orjson

_CHUNK = 2**15  # the arrays of a chunk fit into a core's cache
_MOST_PLACES = 22  # 10**22 is the largest power of ten that float64 has exactly


def _powers() -> np.ndarray:
    """For each sign and exponent of float32 the power of ten whose inverse identifies its numbers.

    The inverse is at most the distance between two numbers with that exponent: so many decimal
    places are enough. 0 if float64 has no such power exactly.
    """
    spacing = 2.0 ** (np.arange(256.0) - 127 - 23)
    places = np.ceil(-np.log10(spacing)).clip(0).astype(np.int64)
    powers = np.where(places > _MOST_PLACES, 0.0, 10.0 ** places.clip(None, _MOST_PLACES))
    powers[0] = 0.0  # the numbers below the normal ones
    return np.tile(powers, 2)


_POWERS = _powers()


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
    at = np.flatnonzero(found != np.rint(found))  # others are exact; NaN stays NaN below
    if not len(at):
        return
    few = len(at) < len(values)
    own, exact = (values[at], found[at]) if few else (values, found)
    bits = own.view(np.uint32)
    power = _POWERS.take(bits >> 23)
    # At a power of two, the numbers that round to it reach less far down than up.
    odd = (power == 0) | ((bits & 0x7FFFFF) == 0)
    if odd.any():
        rest = np.flatnonzero(odd)
        texts = orjson.dumps(own[rest], option=orjson.OPT_SERIALIZE_NUMPY)
        keep = np.flatnonzero(~odd)
        own, exact, power = own[keep], exact[keep], power[keep]
        found[at[rest]] = orjson.loads(texts)
        at, few = at[keep], True
    best = _rounded(exact, power)
    power /= 10
    fewer = _rounded(exact, power)
    identified = fewer.astype(np.float32) == own
    best = np.where(identified, fewer, best)
    left = same = np.flatnonzero(identified)
    # One place less, for as long as the number is still identified. Indices are faster than masks.
    while len(left):
        own, exact, power = own.take(same), exact.take(same), power.take(same) / 10
        fewer = _rounded(exact, power)
        same = np.flatnonzero(fewer.astype(np.float32) == own)
        left = left.take(same)
        best[left] = fewer.take(same)
    if few:
        found[at] = best
    else:
        found[:] = best


def _rounded(numbers: np.ndarray, power: np.ndarray) -> np.ndarray:
    """The numbers with fewer decimal places: correctly rounded, since `power` is exact."""
    found = numbers * power
    np.rint(found, out=found)
    found /= power
    return found
