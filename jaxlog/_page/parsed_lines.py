"""Keeps tables of parsed lines: each chart, grouping and comparison needs the same lines anew."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxlog._reading.columns import TableFrame

UNUSED = 60.0
"""The seconds after which a table that nobody used gives way to another."""


class Parsed(NamedTuple):
    """The rows that were made of some lines.

    Attributes:
      table: the rows.
      notes: what could not be read, in sentences.
    """

    table: TableFrame
    notes: Sequence[str]


class ParsedLines:
    """Keeps what was made of lines, by their contents.

    If there is too much, what is there stays while it is used: who reads many files again and
    again finds some of them, and not none.

    Args:
      most: the bytes that are kept, about.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._num_bytes = 0
        self._kept: OrderedDict[tuple[Path, bytes], tuple[float, int, Parsed]] = OrderedDict()

    def of(self, file: Path, data: bytes, parse: Callable[[], Parsed]) -> Parsed:
        """Returns what `parse` makes of some lines of a file, or has made of the same lines."""
        key = file, hashlib.blake2b(data, digest_size=16).digest()
        now = time.monotonic()
        if key in self._kept:
            _, size, found = self._kept[key]
            self._kept[key] = now, size, found
            self._kept.move_to_end(key)
            return found
        made = parse()
        size = 512 + int(made.table.frame.estimated_size())
        while self._num_bytes + size > self._most and self._kept:
            used, oldest, _ = next(iter(self._kept.values()))
            if now - used < UNUSED:
                return made
            self._kept.popitem(last=False)
            self._num_bytes -= oldest
        if size <= self._most:
            self._kept[key] = now, size, made
            self._num_bytes += size
        return made
