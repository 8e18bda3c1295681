"""Reads the files of one table of a run in pieces, so that memory does not grow with the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxlog._format.segment import segment_of
from jaxlog._reading.batches import some_batches_of
from jaxlog._reading.columnar import ColumnarRows, rows_of_batches
from jaxlog._reading.columns import TableFrame, flat
from jaxlog._reading.layouts import KINDS, LANES, OVER_LANES, empty
from jaxlog._reading.lines import read_part
from jaxlog._reading.tables import read
from jaxlog._run_files import extents, open_file

PIECE = 2**25
"""The bytes of a file that are read at a time."""

_BLOCK = 2**20

Piece = tuple[TableFrame, TableFrame | None]
"""Rows as `tables.read` returns them."""


def pieces(
    paths: Sequence[Path], stem: str, run_id: str | None = None, most: int = PIECE
) -> Iterator[Piece]:
    """Reads the rows of a table as `tables.read` does, a part of them at a time.

    A column that a piece lacks, or has in a narrower type, is that of `concatenate.joined`. If a
    table has lines and columns, each row is found in both, and all of them are one piece.

    Args:
      paths: the files of the table.
      stem: the name of the table.
      run_id: the id of the run, from run.json; None if it is not known.
      most: the bytes of a piece; it has more if a line or a batch has.

    Warns:
      UserWarning: something cannot be read, and is left out.
    """
    lines = [path for path in paths if segment_of(path.name) is None]
    is_mixed = bool(lines) and len(lines) < len(paths)
    if is_mixed or sum(path.stat().st_size for path in paths) <= most:
        yield read(paths, stem, run_id)
    elif lines:
        yield from _of_lines(lines[0], stem, most)
    else:
        yield from _of_columns(paths, run_id, most)


def _of_lines(path: Path, stem: str, most: int) -> Iterator[Piece]:
    before = 0
    layout = KINDS.get(stem)
    for data in blocks_of_lines(path, most):
        if layout is not None:
            (found,) = read_part(path, data, (layout,), before)
            yield flat(found, layout), None
        else:
            lanes, over_lanes = read_part(path, data, (LANES, OVER_LANES), before)
            yield flat(lanes, LANES), flat(over_lanes, OVER_LANES)
        before += data.count(b"\n")


def _of_columns(paths: Sequence[Path], run_id: str | None, most: int) -> Iterator[Piece]:
    found = [(segment, path) for path in paths if (segment := segment_of(path.name)) is not None]
    for segment, path in sorted(found):
        layout = LANES if segment.kind == "metrics" else OVER_LANES
        for batches in some_batches_of(path, most, run_id):
            rows = ColumnarRows([rows_of_batches(path, batches, layout)], layout).table()
            if layout is LANES:
                yield rows, TableFrame(empty(OVER_LANES))
            else:
                yield TableFrame(empty(LANES)), rows


def blocks_of_lines(path: Path, most: int) -> Iterator[bytes]:
    """Yields the bytes of a file, cut after ends of lines; the last line may have no end.

    A hole in the file is one NUL byte, which no valid line has.

    Args:
      path: the file.
      most: the bytes after which a block ends with the next line.

    Raises:
      OSError: the file cannot be opened.
    """
    with open_file(path) as file:
        block = bytearray()
        end = 0
        for start, stop in extents(file):
            if start > end:
                block += b"\0"
            file.seek(start)
            while start < stop and (data := file.read(min(_BLOCK, most, stop - start))):
                start += len(data)
                block += data
                if len(block) >= most and (cut := block.rfind(b"\n") + 1):
                    yield bytes(block[:cut])
                    del block[:cut]
            end = stop
        if block:
            yield bytes(block)
