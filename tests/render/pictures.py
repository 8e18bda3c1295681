"""Reads pictures back: their cells, pixels and words."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Any
from xml.etree import ElementTree

import numpy as np

from jaxlog._format.events import EpisodeEvent

SVG = "{http://www.w3.org/2000/svg}"


def root_of(svg: str) -> ElementTree.Element:
    """Parses an SVG, and checks its size and that no identifier occurs twice."""
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert float(root.get("width", "")) > 0
    assert float(root.get("height", "")) > 0
    found = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(found) == len(set(found))
    return root


def words_of(svg: str) -> str:
    root = root_of(svg)
    return " | ".join("".join(e.itertext()) for e in root.iter(f"{SVG}text"))


def grids_of(svg: str) -> list[np.ndarray]:
    """The values and colours of each grid that is drawn as cells: `[h, w]` of (value, colour)."""
    grids = []
    for group in root_of(svg).iter(f"{SVG}g"):
        if group.get("class") != "cells":
            continue
        cells: dict[tuple[int, int], tuple[int, str]] = {}
        for path in group:
            squares = re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path.get("d", ""))
            assert "".join(f"M{x} {y}h{n}v1h-{m}z" for x, y, n, m in squares) == path.get("d")
            for x, y, count, back in squares:
                assert count == back
                for column in range(int(x), int(x) + int(count)):
                    assert (int(y), column) not in cells
                    cells[int(y), column] = (int(path.get("data-value", "")), path.get("fill", ""))
        height, width = max(y for y, _ in cells) + 1, max(x for _, x in cells) + 1
        assert len(cells) == height * width
        grid = np.empty((height, width), object)
        for place, value in cells.items():
            grid[place] = value
        grids.append(grid)
    return grids


def values_of(grid: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda cell: cell[0], otypes=[np.int64])(grid)


def pixels_of(svg: str) -> list[np.ndarray]:
    """The pixels of each image, `[h, w, channels]`."""
    images = []
    for image in root_of(svg).iter(f"{SVG}image"):
        start = "data:image/png;base64,"
        href = image.get("href", "")
        assert href.startswith(start)
        images.append(read_png(base64.b64decode(href[len(start) :], validate=True)))
    return images


def read_png(data: bytes) -> np.ndarray:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        (check,) = struct.unpack(">I", data[place + 8 + size : place + 12 + size])
        assert check == zlib.crc32(name + body)
        chunks[name] = body
        place += 12 + size
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 4: 2, 2: 3, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8)
    rows = rows.reshape(height, 1 + width * channels)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


def episode(details: dict[str, Any] | None = None, **changes: Any) -> EpisodeEvent:
    """A sampled episode; what is not a field of the event goes into its summary."""
    fields = {name: changes.pop(name) for name in list(changes) if name in EVENT_FIELDS}
    summary = {"environment_id": 19, "total_reward": np.float32(1.5), **changes}
    event = {"name": "batch", "step": 100, "env_step": None, "timestamp": 0.0, "lane": 0}
    event |= {"labels": {}, "episode": summary, "details": details or {}}
    return EpisodeEvent(**{**event, **fields})


EVENT_FIELDS = set(EpisodeEvent.__dataclass_fields__)
