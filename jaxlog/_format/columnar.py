"""The names of columnar files, and of their columns, for the sink that writes them and for readers.

The metrics of a call are Arrow IPC streams. A stream has one schema, so that other columns begin a
new file, a segment: `batch_metrics.arrows`, `batch_metrics.1.arrows`, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from jaxlog._format.lines import LineKind

FORMAT = 1
"""The number of the format of columnar files, in the metadata of their schema.

It increases when older readers would misread a file.
"""
MARK = b"jaxlog.columns"
"""The key of `FORMAT` in the metadata of a schema; only jaxlog's files have it."""
RUN_ID = b"jaxlog.run"
"""The key of the run's id in the metadata of a schema."""
PART = b"part"
"""The key, in the metadata of a column, of the part of a line that it belongs to: `metrics`."""
KEY = b"key"
"""The key, in the metadata of a column, of the name of its values within that part."""
RUN = "run"
"""The column with the name of the run, in a frame of several runs."""

Kind = Literal["metrics", "over_lanes"]
_NAME = re.compile(r"(?P<call>.+)_(?P<kind>metrics|over_lanes)(?:\.(?P<number>[1-9]\d*))?\.arrows")


class Segment(NamedTuple):
    """The meaning of the name of a columnar file.

    Attributes:
      call: the name of the call.
      kind: `metrics` for rows of lanes, `over_lanes` for statistics over lanes.
      number: the number of files of this call and kind before it.
    """

    call: str
    kind: Kind
    number: int

    @property
    def name(self) -> str:
        """The name of the file.

        >>> Segment("eval", "metrics", 0).name, Segment("eval", "over_lanes", 2).name
        ('eval_metrics.arrows', 'eval_over_lanes.2.arrows')
        """
        number = f".{self.number}" if self.number else ""
        return f"{self.call}_{self.kind}{number}.arrows"


def segment_of(name: str) -> Segment | None:
    """The meaning of a file's name; None if it is not that of a columnar file.

    >>> segment_of("eval_metrics.1.arrows")
    Segment(call='eval', kind='metrics', number=1)
    >>> segment_of("eval_metrics.jsonl")
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    kind: Kind = "metrics" if found["kind"] == "metrics" else "over_lanes"
    return Segment(found["call"], kind, int(found["number"] or 0))


def column_names(keys: Mapping[str, Iterable[str]], layout: LineKind) -> dict[tuple[str, str], str]:
    """The column of each value, by its part and key, in the order of the columns.

    A column has the name of its value. If two values share a name, the label, or else the detail,
    gets the name of its part as a prefix: `labels.seed`.

    Args:
      keys: the keys of each part of the lines.
      layout: the kind of the lines.
    """
    chosen: dict[tuple[str, str], str] = {}
    taken = {*layout.own, RUN}
    last = [
        part for part in ("details", "labels") if part in layout.parts
    ]  # these get a prefix if a name is taken
    for part in (*layout.needed, *last):
        for key in keys.get(part, ()):
            name = key
            while name in taken:
                name = f"{part}.{name}"
            taken.add(name)
            chosen[part, key] = name
    return {(part, key): chosen[part, key] for part in layout.parts for key in keys.get(part, ())}
