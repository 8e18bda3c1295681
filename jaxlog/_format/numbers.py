"""Which number a float32 is for readers of float64: the shortest that is it, and if whole, itself.

The shortest decimal text of a float32 has the digits that tell it from its neighbours, and zeros
after them: `123456790.0` for 123456792. A reader takes that for another number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

LARGE = 2.0**24
"""From here on each float32 is whole, and below, each that is whole has all of its digits."""


def as_written(value: Any) -> float:
    """A float as jaxlog writes it, in Python.

    >>> as_written(np.float32(0.1)), as_written(np.float32(123456792))
    (0.1, 123456792.0)
    """
    exact = float(value)
    return exact if exact.is_integer() else float(str(value))


def with_whole(value: Any) -> Any:
    """What orjson is to be given in place of a value, so that whole numbers are written whole.

    It is the value itself, if that is neither a float32 from `LARGE` on nor an array with such.
    """
    if type(value) is np.float32:
        return float(value) if abs(value) >= LARGE else value
    if not isinstance(value, np.ndarray) or value.dtype != np.float32:
        return value
    large = np.abs(value) >= LARGE
    if not large.any():
        return value
    if not value.ndim:
        return float(value)
    rest = np.where(large, np.float32(0), value)
    shortest = orjson.loads(orjson.dumps(rest, option=orjson.OPT_SERIALIZE_NUMPY))
    return np.where(large, value.astype(np.float64), np.array(shortest, np.float64))
