"""Reads the files of one table of a run, lines or columns, or both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jaxlog._format.segment import Kind, segment_of
from jaxlog._reading.columnar import ColumnarRows
from jaxlog._reading.columns import TableFrame, flat
from jaxlog._reading.concatenate import joined
from jaxlog._reading.layouts import KINDS, LANES, OVER_LANES, LineKind, empty
from jaxlog._reading.lines import Lines, read_kind, read_metrics


def read(
    paths: Sequence[Path], stem: str, run_id: str | None = None
) -> tuple[TableFrame, TableFrame | None]:
    """Reads the rows of a table; that of metrics also has rows over all lanes.

    Args:
      paths: its files; empty if there are none.
      stem: the name of the table: that of the file of its lines, without the suffix.
      run_id: the id of the run, from run.json; None if it is not known.

    Returns:
      The rows, and for metrics the rows over all lanes, else None.
    """
    lines = [path for path in paths if segment_of(path.name) is None]
    if stem in KINDS:
        layout = KINDS[stem]
        found = read_kind(lines[0], layout) if lines else Lines(empty(layout))
        return flat(found, layout), None
    lanes, over_lanes = TableFrame(empty(LANES)), TableFrame(empty(OVER_LANES))
    if lines:
        of_lanes, of_all = read_metrics(lines[0])
        lanes, over_lanes = flat(of_lanes, LANES), flat(of_all, OVER_LANES)
    if len(lines) < len(paths):
        lanes = _both(lanes, columnar_rows(paths, "metrics", run_id).table(), LANES)
        rows = columnar_rows(paths, "over_lanes", run_id).table()
        over_lanes = _both(over_lanes, rows, OVER_LANES)
    return lanes, over_lanes


def columnar_rows(paths: Sequence[Path], kind: Kind, run_id: str | None) -> ColumnarRows:
    """The rows of those among the files of a table that have columns.

    Args:
      paths: the files.
      kind: `metrics` for the rows of lanes, `over_lanes` for those over lanes.
      run_id: as for `read`.
    """
    found = [(segment_of(path.name), path) for path in paths]
    own = sorted((one, path) for one, path in found if one is not None and one.kind == kind)
    layout = LANES if kind == "metrics" else OVER_LANES
    return ColumnarRows.of_files([path for _, path in own], layout, run_id)


def _both(lines: TableFrame, columns: TableFrame, layout: LineKind) -> TableFrame:
    """The rows of both files, each row once, in the order of time.

    A run may have both sinks, or may have changed its sink when it was resumed.
    """
    if not len(lines.frame):
        return columns
    if not len(columns.frame):
        return lines
    row = [name for name in layout.fields if name != "lanes"]
    rest = lines.frame.join(columns.frame, on=row, how="anti", maintain_order="left")
    if not len(rest):
        return columns
    both = joined([columns.frame, rest]).sort("timestamp", maintain_order=True)
    return TableFrame(both, tuple(dict.fromkeys((*columns.labels, *lines.labels))))
