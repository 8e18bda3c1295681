"""Reads a CSV file as a run: a row for each step and lane, a column for each metric."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog._errors import ImportingError
from jaxlog._format.events import MetricsEvent, ReadOnlyDict
from jaxlog._importing.rows import EventMaker, SourceRow
from jaxlog._importing.source import LATEST, ImportOptions, SourceRun, digest_of
from jaxlog._limits import LARGEST, SMALLEST
from jaxlog._text import counted

STEPS = ("step", "_step", "global_step", "update", "updates", "iteration", "iterations", "epoch")
"""The names of the column of the step, in the order in which they are looked for."""
TIMES = ("timestamp", "_timestamp", "wall time", "wall_time")
"""The names of the column of the time."""
ENV_STEP = "env_step"
MISSING = ("", "na", "n/a", "null", "none")
"""The texts of a cell without a value, in lower case."""

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf(inity)?)", re.IGNORECASE
)
_NAMED = 12
"""The most columns that an error names."""


class _Layout(NamedTuple):
    """The columns of a file.

    Attributes:
      header: the names of all columns.
      step: the place of the step.
      time: the place of the time; None for none.
      labels: the places of the labels.
      metrics: the places of the metrics.
    """

    header: Sequence[str]
    step: int
    time: int | None
    labels: Sequence[int]
    metrics: Sequence[int]


class _Cells(NamedTuple):
    """A row of the file, in numbers."""

    step: int
    time: float | None
    labels: tuple[Any, ...]
    values: Mapping[str, Any]


def csv_run(path: Path, options: ImportOptions) -> SourceRun:
    """The run in a CSV file.

    Args:
      path: the file. Its cells are separated by commas, semicolons or tabs.
      options: the columns, if they have not the usual names.

    Raises:
      ImportingError: it is no CSV file, has no column of the step, a cell is no number, or a row
        has more or fewer cells than the header.
      OSError: it cannot be read.
    """
    digest, (text, cut) = digest_of([path]), _text(path)
    left_out: Counter[str] = Counter()
    numbered, broken = _rows(path, text)
    if broken:
        cut.append(broken)
    if not numbered:
        raise ImportingError(f"{path}: is empty, expected a header and rows")
    layout = _layout(path, numbered[0][1], options, left_out)
    rows = [_cells(path, number, cells, layout) for number, cells in numbered[1:] if any(cells)]
    if not rows:
        raise ImportingError(f"{path}: has a header and no rows; there is nothing to bring in")
    lanes = {labels: lane for lane, labels in enumerate(dict.fromkeys(one.labels for one in rows))}
    names = [layout.header[place] for place in layout.labels]
    grouped = _grouped(rows)
    written = path.stat().st_mtime
    return SourceRun(
        kind="csv",
        key=f"csv:{path.resolve()}",
        files=[path],
        digest=digest,
        name=path.stem,
        events=partial(_events, options.call, grouped, lanes, names, written),
        details={
            "columns": {
                "step": layout.header[layout.step],
                "time": None if layout.time is None else layout.header[layout.time],
                "labels": names,
            }
        },
        cut=cut,
        left_out=left_out,
    )


def _text(path: Path) -> tuple[str, list[str]]:
    """The text of a file; and, if it ends within a character, where."""
    data = path.read_bytes()
    if b"\0" in data:
        raise ImportingError(
            f"{path}: has the byte 0 at offset {data.index(0):,}, so it is no text; expected a CSV "
            "file in UTF-8"
        )
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            where = f"{path}: ends within a character, at byte {error.start:,}"
            return data[: error.start].decode("utf-8-sig"), [where]
        raise ImportingError(
            f"{path}: byte {error.start:,} is not UTF-8, expected a CSV file in UTF-8; convert it, "
            "as by iconv"
        ) from None


def _rows(path: Path, text: str) -> tuple[list[tuple[int, list[str]]], str | None]:
    """The rows with the numbers of their lines; and, if the last one is cut, where."""
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end" not in str(error):
            raise ImportingError(f"{path}: line {reader.line_num}: {error}") from None
        return rows, f"{path}: ends within line {line}, which is left out"
    if len(rows) > 1 and not text.endswith(("\n", "\r")) and len(rows[-1][1]) < len(rows[0][1]):
        return rows[:-1], f"{path}: ends within line {rows[-1][0]}, which is left out"
    return rows, None


def _layout(
    path: Path, header: Sequence[str], options: ImportOptions, left_out: Counter[str]
) -> _Layout:
    header = [name.strip() for name in header]
    known = f"the columns are {_listed(header)}"
    for name in header:
        if name and header.count(name) > 1:
            raise ImportingError(f"{path}: got two columns {name!r}; rename one of them")
    given = [options.step, options.time, *options.labels, *options.leave_out]
    for name in given:
        if name is not None and name not in header:
            raise ImportingError(f"{path}: has no column {name!r}; {known}")
    lower = [name.lower() for name in header]
    step = _place(header, lower, options.step, STEPS)
    if step is None:
        raise ImportingError(
            f"{path}: has no column of the step, such as {', '.join(STEPS[:4])}; name it with "
            f"--step (step=), as {known}"
        )
    time = _place(header, lower, options.time, TIMES)
    labels = [header.index(name) for name in options.labels]
    metrics: list[int] = []
    for place, name in enumerate(header):
        if name in options.leave_out:
            left_out[f"columns {name}"] += 1
        elif place not in (step, time, *labels):
            if name:
                metrics.append(place)
            else:
                left_out["columns without a name"] += 1
    return _Layout(header, step, time, labels, metrics)


def _place(
    header: Sequence[str], lower: Sequence[str], given: str | None, usual: Sequence[str]
) -> int | None:
    if given is not None:
        return header.index(given)
    return next((lower.index(name) for name in usual if name in lower), None)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")


def _cells(path: Path, line: int, cells: Sequence[str], layout: _Layout) -> _Cells:
    header = layout.header
    if len(cells) != len(header):
        raise ImportingError(
            f"{path}: line {line}: got {counted(len(cells), 'cell')}, expected "
            f"{len(header)}, as many as the header has"
        )
    cells = [cell.strip() for cell in cells]
    name, text = header[layout.step], cells[layout.step]
    number = _number(text)
    if number is None or isinstance(number, bool) or number != number or number % 1:
        raise ImportingError(
            f"{path}: line {line}: {name!r}: got {text!r:.60}, expected the step, an integer"
        )
    step = int(number)
    if not 0 <= step < 2**63:
        raise ImportingError(f"{path}: line {line}: {name!r}: got {step}, expected 0 to 2**63 - 1")
    time = None
    if layout.time is not None:
        name, text = header[layout.time], cells[layout.time]
        time = _number(text)
        if time is None or not 0 <= float(time) < LATEST:
            raise ImportingError(
                f"{path}: line {line}: {name!r}: got {text!r:.60}, expected the time in seconds "
                "since 1970; name another column with --time (time=), or leave this one out with "
                "--leave-out (leave_out=)"
            )
    values = {}
    for place in layout.metrics:
        text = cells[place]
        if text.lower() in MISSING:
            continue
        value = _number(text)
        if value is None:
            raise ImportingError(
                f"{path}: line {line}: {header[place]!r}: got {text!r:.60}, expected a number; if "
                "the column tells lanes apart, name it in --labels (labels=), or leave it out with "
                "--leave-out (leave_out=)"
            )
        values[header[place]] = value
    labels = tuple(_label(cells[place]) for place in layout.labels)
    return _Cells(step, None if time is None else float(time), labels, values)


def _number(text: str) -> bool | int | float | None:
    """The number in a cell; None if it has none, or one that no file can hold."""
    if text in ("True", "False", "true", "false"):
        return text in ("True", "true")
    if _INTEGER.fullmatch(text):
        found = int(text) if len(text) < 25 else LARGEST + 1
        return found if SMALLEST <= found <= LARGEST else None
    return float(text) if _NUMBER.fullmatch(text) else None


def _label(text: str) -> bool | int | float | str:
    number = _number(text)
    return text if number is None or number != number else number


def _grouped(rows: Sequence[_Cells]) -> list[list[_Cells]]:
    """The rows of each step together, each lane once.

    A step that a lane repeats starts a new pass, to which the lane's later rows belong, as when a
    program was restarted at an earlier step. Within a pass, rows are sorted by step.
    """
    groups: dict[tuple[int, int], list[_Cells]] = {}
    passes: Counter[tuple[Any, ...]] = Counter()
    steps: dict[tuple[Any, ...], set[int]] = {}
    for row in rows:
        seen = steps.setdefault(row.labels, set())
        if row.step in seen:
            passes[row.labels] += 1
            seen.clear()
        seen.add(row.step)
        groups.setdefault((passes[row.labels], row.step), []).append(row)
    return [groups[key] for key in sorted(groups)]


def _events(
    call: str,
    groups: Sequence[Sequence[_Cells]],
    lanes: Mapping[tuple[Any, ...], int],
    names: Sequence[str],
    written: float,
) -> Iterator[MetricsEvent]:
    maker = EventMaker(call, len(lanes))
    labels = {own: ReadOnlyDict(zip(names, own, strict=True)) for own in lanes}
    has_env_step = _has_env_step(groups)
    for group in groups:
        env_step = group[0].values[ENV_STEP] if has_env_step else None
        rows = []
        for one in group:
            values = dict(one.values)
            if has_env_step:
                del values[ENV_STEP]
            rows.append(SourceRow(values, lanes[one.labels], labels[one.labels]))
        times = [one.time for one in group if one.time is not None]
        yield maker.event(group[0].step, max(times, default=written), rows, env_step)


def _has_env_step(groups: Sequence[Sequence[_Cells]]) -> bool:
    """True if all rows of a step have one number of environment steps."""
    for group in groups:
        found = {one.values.get(ENV_STEP) for one in group}
        (first, *others) = found
        if others or type(first) is not int or not 0 <= first < 2**63:
            return False
    return True
