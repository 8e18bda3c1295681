"""The table of `jaxlog top`: as many columns as fit, and one line about the state of all runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from jaxlog._cli.output import COLOURS, STYLES
from jaxlog._terminal import plain
from jaxlog._watching.call_reader import MOST_POINTS
from jaxlog._watching.durations import ago
from jaxlog._watching.run_row import RunRow
from jaxlog._watching.shared_facts import json_of
from jaxlog._watching.state import differing, newest, records_lost, state_counts
from jaxlog.sinks.console.trend import condensed, sparkline
from jaxlog.sinks.console.values import clock, number, per_second

GAP = 2
"""The number of characters between two columns."""
NAME_WIDTH = 32
"""The width of names; longer ones are cut."""
CONFIG_WIDTH = 16
"""The width of a value of the config; longer ones are cut."""
LEAST_TREND = 12
"""The width that a trend has at least."""


class RunColumn(NamedTuple):
    """A column of the table.

    Attributes:
      heading: its first line.
      cells: its texts, one for each run.
      styles: their styles.
      need: the columns with the lowest number are shown, as many as fit.
      right: True if the texts are aligned at the right.
    """

    heading: str
    cells: Sequence[str]
    styles: Sequence[str]
    need: int
    right: bool = True

    @property
    def width(self) -> int:
        """The width that its texts need."""
        return max(map(cell_len, [self.heading, *self.cells]))


def state_line(rows: Sequence[RunRow], now: float) -> Text:
    """Counts the runs in each state: `3 running · 1 diverged · 27 finished · newest 4 s ago`.

    Each run is counted once, as `state_counts` says. Records that were lost are counted, too.
    """
    if not rows:
        return Text("no runs", "dim")
    counts = state_counts(rows, now)
    lost = records_lost(rows)
    counts += [lost] if lost.number else []
    parts = [Text(f"{one.number:,} {one.name}", COLOURS[one.tone]) for one in counts]
    last = newest(rows)
    if last is not None:
        parts.append(Text(f"newest {ago(now - last)} ago", "dim"))
    return Text(" · ").join(parts)


def table_lines(
    rows: Sequence[RunRow], among: Sequence[RunRow], width: int, now: float
) -> list[Text]:
    """Draws the header and a line for each run, as wide as the columns need.

    Args:
      rows: the runs that are drawn.
      among: all runs that the table has: the config keys are those that differ between them.
      width: the maximum width.
      now: the current time, in seconds since 1970.
    """
    return drawn(_columns(rows, differing(among), width, now), width)


def drawn(columns: Sequence[RunColumn], width: int) -> list[Text]:
    """Draws the header and a line for each run, of those columns that fit."""
    columns = _fitting(columns, width)
    header = Text("  ".join(_justified(c.heading, c) for c in columns).rstrip(), "dim")
    lines = [header]
    for i in range(len(columns[0].cells) if columns else 0):
        line = Text(no_wrap=True, overflow="ellipsis")
        for column in columns:
            line.append(" " * GAP if line else "")
            line.append(_justified(column.cells[i], column), column.styles[i])
        line.rstrip()
        lines.append(line)
    return lines


def _columns(
    rows: Sequence[RunRow], names: Sequence[str], width: int, now: float
) -> list[RunColumn]:
    """All columns, in the order in which they are shown; those without any text are left out."""
    trend = max(LEAST_TREND, min(MOST_POINTS, width - 100))
    found = [
        _column("run", rows, lambda row: _cut(plain(row.name), NAME_WIDTH), 0, right=False),
        _column("status", rows, lambda row: row.run.status, 1, _status_style, right=False),
        _column("alarm", rows, lambda row: alarm(row, now), 2, lambda _: "red", right=False),
        _column("age", rows, lambda row: _known(row.age(now), ago), 8),
        _column("done", rows, _done, 4),
        _column("left", rows, lambda row: _known(row.left(now), clock), 5),
        _column("updates/s", rows, _speed, 9),
        *_metric(rows, trend),
        _column("lanes", rows, _lanes, 6, _lanes_style),
    ]
    found += [
        _column(plain(name), rows, lambda row, name=name: cell_text(row.config.get(name)), 7)
        for name in names
    ]
    found += [
        _column("name", rows, lambda row: _cut(row.run.given_name, NAME_WIDTH), 7, right=False),
        _column("tags", rows, lambda row: cell_text(row.run.tags), 7, right=False),
        _column("note", rows, lambda row: _cut(plain(row.run.note), NAME_WIDTH), 9, right=False),
    ]
    return [column for column in found if any(column.cells)]


def _metric(rows: Sequence[RunRow], trend: int) -> list[RunColumn]:
    """The main metric of the runs: its name, its value and its trend."""
    metrics = {row.metric for row in rows if row.metric}
    columns = [
        _column("last", rows, _value, 3, _value_style),
        _column("trend", rows, lambda row: _trend(row, trend), 4, lambda _: "blue", right=False),
    ]
    if len(metrics) == 1:
        columns[0] = columns[0]._replace(heading=plain(metrics.pop()))
    else:
        columns.insert(0, _column("metric", rows, lambda row: plain(row.metric), 3))
    return columns


def _column(
    heading: str,
    rows: Sequence[RunRow],
    cell: Callable[[RunRow], str],
    need: int,
    style: Callable[[RunRow], str] = lambda _: "",
    *,
    right: bool = True,
) -> RunColumn:
    return RunColumn(heading, [cell(row) for row in rows], [style(r) for r in rows], need, right)


def _fitting(columns: Sequence[RunColumn], width: int) -> list[RunColumn]:
    """The columns that fit, in their order; the most needed are chosen first."""
    chosen: set[int] = set()
    room = width + GAP
    for i in sorted(range(len(columns)), key=lambda i: columns[i].need):
        if columns[i].width + GAP <= room or not chosen:
            chosen.add(i)
            room -= columns[i].width + GAP
    return [column for i, column in enumerate(columns) if i in chosen]


def _justified(text: str, column: RunColumn) -> str:
    space = " " * (column.width - cell_len(text))
    return space + text if column.right else text + space


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def _known(value: float | None, text: Callable[[float], str]) -> str:
    return "" if value is None else text(value)


def _status_style(row: RunRow) -> str:
    return STYLES.get(row.run.status, "yellow")


def alarm(row: RunRow, now: float) -> str:
    """The problems of a run in a few words: `diverged 3/8 lost 12`; empty if it has none."""
    words: list[str] = []
    if row.health.diverged is not None:
        dead, lanes = len(row.health.diverged.since), row.health.diverged.lanes
        words.append(f"diverged {dead}/{lanes}" if lanes > 1 else "diverged")
    if row.is_stalled(now) and row.last is not None:
        words.append(f"stalled {ago(now - row.last)}")
    words += [f"lost {row.health.lost:,}"] if row.health.lost else []
    return " ".join(words)


def _done(row: RunRow) -> str:
    progress = row.progress()
    if progress is None:
        return "" if row.done is None else f"{row.done:,}"
    return f"{min(progress, 100):.0f} %"


def _speed(row: RunRow) -> str:
    speed = row.speed()
    return "" if speed is None else per_second(speed).removesuffix(" updates/s")


def _value(row: RunRow) -> str:
    return "" if row.value is None else number(row.value)


def _value_style(row: RunRow) -> str:
    return "bold" if row.value is None or math.isfinite(row.value) else "bold red"


def _trend(row: RunRow, width: int) -> str:
    return sparkline(condensed([point.value for point in row.points], width))


def _lanes(row: RunRow) -> str:
    if row.lanes is None:
        return ""
    alive, lanes = row.lanes
    return f"{lanes}" if alive == lanes else f"{alive}/{lanes}"


def _lanes_style(row: RunRow) -> str:
    return "red" if row.lanes is not None and row.lanes[0] < row.lanes[1] else ""


def cell_text(value: Any, width: int = CONFIG_WIDTH) -> str:
    """The text of a value in a table.

    >>> cell_text(3e-4), cell_text(("best", "ppo")), cell_text(None), cell_text([64, 64])
    ('0.0003', 'best, ppo', '', '[64,64]')
    """
    match value:
        case None:
            return ""
        case tuple():
            text = plain(", ".join(map(str, value)))
        case float():
            text = f"{value:.6g}"
        case str():
            text = plain(value)
        case _:
            text = plain(json_of(value))
    return _cut(text, width)
