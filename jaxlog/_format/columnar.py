"""The names of columns, and the metadata of columnar files, for their sink and for readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
