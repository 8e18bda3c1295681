"""The names of columnar files.

The metrics of a call are Arrow IPC streams. A stream has one schema, so that other columns begin a
new file, a segment: `batch_metrics.arrows`, `batch_metrics.1.arrows`, ...
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

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
