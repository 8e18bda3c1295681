"""The layout of a call's records, which the program side packs and the host side unpacks.

The host side uses NumPy only.
"""

from __future__ import annotations

import functools
import math
import zlib
from dataclasses import dataclass

import numpy as np

from jaxlog._format.delivery import Words
from jaxlog._format.events import Key
from jaxlog._format.keys import key_name
from jaxlog._format.names import EPISODE_COUNT, UPDATE_COUNT, look_up

METRICS_DUE = 1
"""The bit of a record's `due` that marks its statistics and scalars as due."""
SAMPLES_DUE = 2
"""The bit of a record's `due` that marks its sampled episodes as due."""
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
    """The fields of one call's records, in the order of their words.

    Attributes:
      name: the name of the call, such as `batch` or `eval`.
      fields: the fields of every record. The sections are `step`, `labels`, `count`, `updates`,
        `aggregates`, `scalars`, `arrays`, `outside` (of each image, how many of its numbers are no
        colours) and `samples`.
      batch_shape: the shape of the batch, into which the indices of sampled episodes point.
      edges: the edges of each metric that has a histogram.
      head: the number of fields, from the first on, whose words are in `Words.head`.
      images: the names of those of `arrays` that are images, with their captions.
    """

    name: str
    fields: tuple[Field, ...]
    batch_shape: tuple[int, ...] = ()
    edges: tuple[tuple[str, tuple[float, ...]], ...] = ()
    head: int = 1
    images: tuple[tuple[str, str | None], ...] = ()

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
    def head_words(self) -> int:
        """The number of words of the record of one lane that are in `Words.head`."""
        return sum(field.num_words for field in self.fields[: self.head])

    @functools.cached_property
    def call_number(self) -> int:
        """A number for this schema, the same in every process that traces the same call."""
        parts = [f"{'/'.join(f.path)}:{f.dtype.name}{list(f.shape)}" for f in self.fields]
        static = [self.name, str(self.batch_shape), str(self.edges), str(self.head)]
        static += [str(self.images)] if self.images else []
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

    def words(self, records: np.ndarray) -> Words:
        """The words of some records, from `uint32[records, num_words]`."""
        head = self.head_words
        return Words(records[:, :head].T, records[:, head:])

    def words_of(self, words: Words, *path: str) -> np.ndarray:
        """The words of one field of many records, as `uint32[records, k]`."""
        field, start = self.offsets[path]
        end = start + field.num_words
        head = self.head_words
        return words.head[start:end].T if end <= head else words.rest[:, start - head : end - head]

    def read(self, words: Words, *path: str) -> np.ndarray:
        """Reads one field of many records, as `dtype[records, *shape]`."""
        field, _ = self.offsets[path]
        own = self.words_of(words, *path)
        rows = len(own)
        if field.dtype.itemsize == 4 and field.num_words == 1:
            return own[:, 0].view(field.dtype).reshape(rows, *field.shape)
        raw = np.ascontiguousarray(own).view(np.uint8)
        values = raw[:, : field.size * field.dtype.itemsize]
        return np.ascontiguousarray(values).view(field.dtype).reshape(rows, *field.shape)
