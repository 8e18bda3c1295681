"""From a file of a run to tables."""

from __future__ import annotations

from pathlib import Path

from jaxlog._reading.columns import Table, flat
from jaxlog._reading.layouts import KINDS, LANES, OVER_LANES, empty
from jaxlog._reading.lines import Lines, read_kind, read_metrics


def read(path: Path | None, stem: str) -> tuple[Table, Table | None]:
    """What a file says: its rows, and, of one of metrics, those over all lanes.

    Args:
      path: None where there is no such file.
      stem: the file's name without its suffix.
    """
    if stem in KINDS:
        layout = KINDS[stem]
        lines = Lines(empty(layout)) if path is None else read_kind(path, layout)
        return flat(lines, layout), None
    if path is None:
        return Table(empty(LANES)), Table(empty(OVER_LANES))
    lanes, over_lanes = read_metrics(path)
    return flat(lanes, LANES), flat(over_lanes, OVER_LANES)
