"""The layout of a call's records, which the program side packs and the host side unpacks.

The host side uses NumPy only.
"""

from __future__ import annotations

import functools
import math
import zlib
from dataclasses import dataclass

import numpy as np

from jaxlog._format.events import Key
from jaxlog._format.keys import key_name
from jaxlog._format.names import EPISODE_COUNT, UPDATE_COUNT, look_up

METRICS_DUE = 1
"""The bit of a record's `due` that marks its statistics and scalars as due."""
SAMPLES_DUE = 2
"""The bit of a record's `due` that marks its sampled episodes as due."""
OWN_GATES = 1 << 16
"""Added to the number of lane axes of a delivery whose lanes have separate due bits."""
MAX_LANE_AXES = 6
"""The largest number of lane axes of a record that a program returns."""


Path = tuple[str, ...]
"""The position of a field in a record: its section, then its name in the section."""


@dataclass(frozen=True)
class Field:
    """One array of a record.

    Attributes:
      path: its position in the record.
      dtype: its NumPy dtype on the host.
      shape: its shape, without lane axes.
    """

    path: Path
    dtype: np.dtype
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def num_words(self) -> int:
        """The number of its `uint32` words; narrower values are padded to a whole word."""
        return -(-self.size * self.dtype.itemsize // 4)


@dataclass(frozen=True)
class Column:
    """One key of a line.

    Attributes:
      info: the meaning of the key.
      path: the path of the field with its value.
      presence: the path of the field that is 0 if there is no value; None if there always is one.
    """

    info: Key
    path: Path
    presence: Path | None = None

    @property
    def key(self) -> str:
        """The text of the key."""
        return key_name(self.info)


@dataclass(frozen=True)
class Schema:
    """The fields of one call's records, in the order they are packed.

    Attributes:
      name: the name of the call, such as `batch` or `eval`.
      fields: the fields of every record. The sections are `step`, `labels`, `count`, `updates`,
        `aggregates`, `scalars`, `arrays` and `samples`.
      batch_shape: the shape of the batch, into which the indices of sampled episodes point.
      edges: the edges of each metric that has a histogram.
    """

    name: str
    fields: tuple[Field, ...]
    batch_shape: tuple[int, ...] = ()
    edges: tuple[tuple[str, tuple[float, ...]], ...] = ()

    @functools.cached_property
    def offsets(self) -> dict[Path, tuple[Field, int]]:
        """The fields by path, each with the index of its first word."""
        offsets, position = {}, 0
        for field in self.fields:
            offsets[field.path] = (field, position)
            position += field.num_words
        return offsets

    @functools.cached_property
    def num_words(self) -> int:
        """The number of words of the record of one lane."""
        return sum(field.num_words for field in self.fields)

    @functools.cached_property
    def call_number(self) -> int:
        """A number for this schema, the same in every process that traces the same call."""
        parts = [f"{'/'.join(f.path)}:{f.dtype.name}{list(f.shape)}" for f in self.fields]
        static = [self.name, str(self.batch_shape), str(self.edges)]
        return zlib.crc32("|".join([*static, *parts]).encode())

    @functools.cached_property
    def columns(self) -> list[Column]:
        """The keys of a line, in the order they are written."""
        columns = [
            Column(Key("other", key, ""), field.path)
            for key, section in ((EPISODE_COUNT, "count"), (UPDATE_COUNT, "updates"))
            for field in self.section(section)
        ]
        for field in sorted(self.section("aggregates"), key=self._order_on_line):
            _, metric, statistic = field.path
            if statistic == "present":
                continue
            name = look_up(metric)
            # A statistic has no value if no value was counted; `nonfinite` has none if it is 0.
            present = ("aggregates", metric, "present")
            presence = field.path if statistic == "nonfinite" else present
            stem = name.stem if statistic else metric
            columns.append(
                Column(Key(name.category, stem, statistic, metric), field.path, presence)
            )
        for field in self.section("scalars"):
            metric = field.path[1]
            columns.append(Column(Key(look_up(metric).category, metric, "", metric), field.path))
        return columns

    def _order_on_line(self, field: Field) -> tuple[int, bool]:
        """Sorts the keys of one metric together, its statistics first."""
        _, metric, statistic = field.path
        present = ("aggregates", metric, "present")
        return self.offsets[present][1], statistic in ("nonfinite", "histogram")

    def section(self, *prefix: str) -> list[Field]:
        """The fields whose path begins with `prefix`."""
        return [field for field in self.fields if field.path[: len(prefix)] == prefix]

    def read(self, words: np.ndarray, *path: str) -> np.ndarray:
        """Reads one field of many records.

        Args:
          words: `uint32[records, num_words]`, one record per row.
          *path: the path of the field.

        Returns:
          `dtype[records, *shape]`.
        """
        field, start = self.offsets[path]
        if field.dtype.itemsize == 4 and field.num_words == 1:
            return words[:, start].view(field.dtype).reshape(-1, *field.shape)
        rows = len(words)
        raw = np.ascontiguousarray(words[:, start : start + field.num_words]).view(np.uint8)
        values = raw[:, : field.size * field.dtype.itemsize]
        return np.ascontiguousarray(values).view(field.dtype).reshape(rows, *field.shape)


class Delivery:
    """The records of all lanes of one call at one step: one buffer, of which views are read.

    Args:
      buffer: `uint32[...]`: the handle of the logger, the number of the call, the number of lane
        axes (plus `OWN_GATES`) and their sizes, the due bits of each lane, the words of each lane.

    Attributes:
      buffer: as given.
      handle: the handle of its logger.
      call_number: the number of the schema of `words`.
      own_gates: True if each lane has its own due bits, even if they are all equal. This happens if
        `vmap` maps over the step, `when`, or a value that they are computed from.
      lanes: the sizes of the lane axes, outermost first; empty without `vmap`.
      num_records: the number of lanes that log; each has one record.
    """

    __slots__ = ("buffer", "call_number", "handle", "lanes", "num_records", "own_gates")

    # The thread that receives makes one for each record: what it needs is read at once, and for a
    # delivery without lanes without a view, since each costs as much as all else here.
    def __init__(self, buffer: np.ndarray) -> None:
        self.buffer = buffer
        self.handle, self.call_number, axes, first = buffer[:4].tolist()
        self.own_gates = axes >= OWN_GATES
        num_axes = axes % OWN_GATES
        if num_axes:
            self.lanes = tuple(buffer[3 : 3 + num_axes].tolist())
            self.num_records = int(np.count_nonzero(self.due))
        else:
            self.lanes = ()
            self.num_records = int(first != 0)

    @property
    def due(self) -> np.ndarray:
        """`uint32[lanes]`, the due bits of each lane."""
        start, num_lanes = 3 + len(self.lanes), math.prod(self.lanes)
        return self.buffer[start : start + num_lanes]

    @property
    def words(self) -> np.ndarray:
        """`uint32[lanes, num_words]`, the record of each lane."""
        num_lanes = math.prod(self.lanes)
        return self.buffer[3 + len(self.lanes) + num_lanes :].reshape(num_lanes, -1)

    def without(self, lanes: np.ndarray) -> Delivery:
        """A copy in which the lanes that `bool[lanes]` marks do not log."""
        buffer = self.buffer.copy()
        start = 3 + len(self.lanes)
        buffer[start : start + math.prod(self.lanes)][lanes] = 0
        return Delivery(buffer)

    @property
    def num_bytes(self) -> int:
        """Its size in memory, including the overhead of Python and NumPy (240 bytes, measured)."""
        return self.buffer.nbytes + 256


def header(
    handle: int, call_number: int, lanes: tuple[int, ...], *, own_gates: bool = False
) -> np.ndarray:
    """The words before the due bits in the buffer of a `Delivery`."""
    num_axes = len(lanes) + OWN_GATES * own_gates
    return np.array([handle, call_number, num_axes, *lanes], np.uint32)
