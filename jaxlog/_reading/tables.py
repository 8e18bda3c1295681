"""Reads one file of a run into tables."""

from __future__ import annotations

from pathlib import Path

from jaxlog._reading.columns import Table, flat
from jaxlog._reading.layouts import KINDS, LANES, OVER_LANES, empty
from jaxlog._reading.lines import Lines, read_kind, read_metrics


def read(path: Path | None, stem: str) -> tuple[Table, Table | None]:
    """Reads the rows of a file; a file of metrics also has rows over all lanes.

    Args:
      path: the file; None if it does not exist.
      stem: the name of the file without its suffix.

    Returns:
      The rows, and for a file of metrics the rows over all lanes, else None.
    """
    if stem in KINDS:
        layout = KINDS[stem]
        lines = Lines(empty(layout)) if path is None else read_kind(path, layout)
        return flat(lines, layout), None
    if path is None:
        return Table(empty(LANES)), Table(empty(OVER_LANES))
    lanes, over_lanes = read_metrics(path)
    return flat(lanes, LANES), flat(over_lanes, OVER_LANES)
