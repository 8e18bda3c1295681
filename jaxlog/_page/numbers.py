"""Numbers and bodies of answers: JSON, in which numbers that are not finite are texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson


def json_body(value: Any) -> bytes:
    """An answer as JSON.

    >>> json_body({"value": float("nan"), "values": [1.0, float("-inf")]})
    b'{"value":"nan","values":[1.0,"-inf"]}'
    """
    return orjson.dumps(plain_values(value), option=orjson.OPT_NON_STR_KEYS, default=str)


def plain_values(value: Any) -> Any:
    """Values that JSON has: numbers that are not finite become `nan`, `inf` and `-inf`."""
    # The usual types first: a match with classes takes ten times as long.
    kind = type(value)
    if (kind is str and value.isascii()) or (kind is float and math.isfinite(value)):
        return value
    if kind is dict:
        return {plain_values(str(key)): plain_values(one) for key, one in value.items()}
    if kind is list:
        return [plain_values(one) for one in value]
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case str():
            return value.encode("utf-8", "replace").decode()  # lone surrogates have no UTF-8
        case bool() | int() if not -(2**63) <= value < 2**64:
            return str(value)
        case np.generic():
            return plain_values(value.item())
        case Mapping():
            return {plain_values(str(key)): plain_values(one) for key, one in value.items()}
        case Sequence():
            return [plain_values(one) for one in value]
        case _:
            return value


def binary_body(header: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> bytes:
    """A header and the arrays after it.

    It begins with the length of the header, a little-endian uint32. The header is JSON, filled with
    blanks so that the arrays begin at a multiple of 8. The arrays follow without gaps.

    Args:
      header: the header.
      arrays: arrays of float64 or float32.
    """
    text = json_body(header)
    text += b" " * (-(4 + len(text)) % 8)
    parts = [len(text).to_bytes(4, "little"), text]
    parts += [array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays]
    return b"".join(parts)
