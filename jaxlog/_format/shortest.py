"""Converts float32 numbers to the float64 numbers that readers of lines get, many at a time.

Lines have the shortest decimal text that identifies a float32, and all digits of a whole number
from 2**24 on (`numbers.py`). The text of 0.1 is `0.1`, whose float64 is another number than the
float32 widened. A function in C converts them if there was a compiler at installation; else NumPy
does the same.
"""

from __future__ import annotations

import numpy as np
import orjson

_CHUNK = 2**15  # the arrays of a chunk fit into a core's cache
_MOST_PLACES = 22  # 10**22 is the largest power of ten that float64 has exactly


def _places() -> np.ndarray:
    """For each exponent of float32 the decimal places that identify its numbers: int8[256].

    A unit of the last place is at most the distance between two numbers with that exponent. -1 if
    it takes more places than float64 has powers of ten exactly.
    """
    spacing = 2.0 ** (np.arange(256.0) - 127 - 23)
    places = np.ceil(-np.log10(spacing)).clip(0)
    places[places > _MOST_PLACES] = -1
    places[0] = -1  # the numbers below the normal ones
    return places.astype(np.int8)


_PLACES = _places()
_POWERS = np.tile(np.where(_PLACES < 0, 0.0, 10.0 ** _PLACES.clip(0)), 2)
"""The power of ten by sign and exponent; 0 if there is none."""


def shortest(values: np.ndarray) -> np.ndarray:
    """The float64 of the text that lines have, for each float32; of the same shape.

    >>> shortest(np.float32([0.1, 123456792, np.nan])).tolist()
    [0.1, 123456792.0, nan]
    """
    values = np.ascontiguousarray(values, np.float32)
    flat = values.reshape(-1)
    found = np.empty(flat.shape, np.float64)
    if _convert(flat, found, _PLACES):
        left = np.flatnonzero(np.isnan(found) & ~np.isnan(flat))
        found[left] = orjson.loads(orjson.dumps(flat[left], option=orjson.OPT_SERIALIZE_NUMPY))
    return found.reshape(values.shape)


def _convert_in_numpy(values: np.ndarray, found: np.ndarray, _: np.ndarray) -> int:
    """Converts most numbers; see `native_shortest.c`, which does the same.

    Args:
      values: float32[n].
      found: float64[n], which it fills; NaN where the number is left to the caller.

    Returns:
      The count of those that are left.
    """
    parts = ((values[at : at + _CHUNK], found[at:]) for at in range(0, len(values), _CHUNK))
    with np.errstate(all="ignore"):  # NaN and infinities stay as they are
        return sum(_convert_chunk(own, into[: len(own)]) for own, into in parts)


def _convert_chunk(values: np.ndarray, found: np.ndarray) -> int:
    found[:] = values
    at = np.flatnonzero(found != np.rint(found))  # others are exact; NaN stays NaN below
    if not len(at):
        return 0
    few = len(at) < len(values)
    own, exact = (values[at], found[at]) if few else (values, found)
    bits = own.view(np.uint32)
    power = _POWERS.take(bits >> 23)
    # At a power of two, the numbers that round to it reach less far down than up.
    odd = (power == 0) | ((bits & 0x7FFFFF) == 0)
    if odd.any():
        keep = np.flatnonzero(~odd)
        found[at[odd]] = np.nan
        own, exact, power = own[keep], exact[keep], power[keep]
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
    return int(np.count_nonzero(odd))


def _rounded(numbers: np.ndarray, power: np.ndarray) -> np.ndarray:
    """The numbers with fewer decimal places: correctly rounded, since `power` is exact."""
    found = numbers * power
    np.rint(found, out=found)
    found /= power
    return found


try:
    from jaxlog._format.native_shortest import convert as _convert
except ImportError:  # it was not built
    _convert = _convert_in_numpy
