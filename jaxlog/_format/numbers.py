"""Float32 numbers as decimal texts: the shortest text, except that whole numbers are exact.

The shortest decimal text of a float32 has only the digits that distinguish it from other float32
numbers, and zeros after them: `123456790.0` for 123456792. Readers, which parse it as float64,
would get another number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

LARGE = 2.0**24
"""From here on, every float32 is whole; below, the shortest text of a whole number is exact."""


def as_written(value: Any) -> float:
    """Converts a float to the Python float that jaxlog writes.

    >>> as_written(np.float32(0.1)), as_written(np.float32(123456792))
    (0.1, 123456792.0)
    """
    exact = float(value)
    return exact if exact.is_integer() else float(str(value))


def with_whole(value: Any) -> Any:
    """Converts float32 numbers from `LARGE` on so that orjson writes them exactly.

    Returns any other value as it is.
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
