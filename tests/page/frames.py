"""Reads the binary answers of the page, as its front end does."""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

import numpy as np

NAMES = ("middle", "low", "high", "lower", "upper", "alive")


class Frame(NamedTuple):
    """A binary answer: its header, and for each group its arrays by name."""

    header: dict[str, Any]
    groups: dict[str, dict[str, np.ndarray]]


def opened(body: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a binary answer, and the bytes of its arrays."""
    (length,) = struct.unpack_from("<I", body)
    assert (4 + length) % 8 == 0
    return json.loads(body[4 : 4 + length]), body[4 + length :]


def decoded(body: bytes) -> Frame:
    """An answer to `curves`."""
    header, data = opened(body)
    groups: dict[str, dict[str, np.ndarray]] = {}
    for group in header["groups"]:
        at, points = group["at"], group["points"]
        assert at % 8 == 0
        own = {"x": np.frombuffer(data, "<f8", points, at)}
        at += 8 * points
        for name in NAMES:
            own[name] = np.frombuffer(data, "<f4", points, at)
            at += 4 * points
        groups[f"{group['name']}{'!' if group['place'] == 'pinned' else ''}"] = own
    return Frame(header, groups)
