"""The tables of all calls, with as many columns and rows as fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from jaxlog._text import counted
from jaxlog.sinks.console.history import Row
from jaxlog.sinks.console.line_values import BESIDE
from jaxlog.sinks.console.trend import NOT_FINITE, condensed, sparkline
from jaxlog.sinks.console.values import Shown, number, plain

GAP = 2
"""The number of characters between two columns."""
NAME_WIDTH = 24
"""The width of names; if it does not fit, the table drops columns. Longer names are cut then."""
NOTHING = "·"
"""A missing value: no episode ended."""
GOOD_UPWARDS = ("rewards", "similarity")
"""The categories in which more is better; changes in other categories have no colour."""

LEAST_TREND, MOST_TREND = 20, 128
"""The width that a trend has at least, and at most: it takes the width that the others leave."""

_COLUMNS = ("last", "change", *BESIDE, "trend")
_DROPPED = ((), ("min", "max"), BESIDE, (*BESIDE, "trend"), (*BESIDE, "trend", "change"))
"""The columns that are dropped, from wide to narrow terminals."""


@dataclass(frozen=True)
class CallTable:
    """The table of one call.

    Attributes:
      title: the parts of its heading; the last ones are left out if they do not fit.
      rows: the rows by name, ordered by category.
    """

    title: Sequence[str]
    rows: Mapping[str, Row]


def tables(calls: Sequence[CallTable], width: int, height: int | None) -> list[Text]:
    """Draws a table for each call, all with the same columns.

    Args:
      calls: the calls, in the order of their tables.
      width: the width of the terminal, in characters.
      height: the maximum number of lines; None for no limit.
    """
    if (height is not None and height < 3) or not calls:
        return []
    shown = calls if height is None else calls[: max(1, (height - 1) // 3)]
    headings = height is None or _height(shown, headings=True) <= height
    needed = [len(_lines(call, headings=headings)) for call in shown]
    room = math.inf if height is None else height - len(shown) - 1  # titles, and the header
    if len(shown) < len(calls):
        room -= 1
    blanks = sum(needed) + len(shown) - 1 <= room
    widths = _widths(shown, width)
    found: list[Text] = []
    for i, (call, count) in enumerate(zip(shown, _shares(needed, room), strict=True)):
        if blanks and i:
            found.append(Text())
        found.append(one_line(call.title, width, style="bold"))
        rows = _lines(call, headings=headings)
        cut = rows[: max(0, count - 1)] if len(rows) > count else rows
        if not i:
            found.append(_header(widths))
        found += [_line(name, row, widths) for name, row in cut]
        if len(rows) > len(cut):
            left = sum(1 for _, row in rows[len(cut) :] if row is not None)
            metrics = counted(left, "more metric")
            found.append(one_line([f"  … {metrics}"], width, style="dim"))
    if len(shown) < len(calls):
        names = ", ".join(call.title[0].split(" · ")[0] for call in calls[len(shown) :])
        found.append(one_line([f"… {len(calls) - len(shown)} more: {names}"], width, style="dim"))
    return found


def one_line(parts: Sequence[str], width: int, style: str = "") -> Text:
    """Joins the parts of a line with dots; leaves out the last ones if they do not fit."""
    kept = [part for part in parts if part]
    while len(kept) > 1 and cell_len(" · ".join(kept)) > width:
        kept.pop()
    return Text(" · ".join(kept), style, no_wrap=True, overflow="ellipsis")


def _height(calls: Sequence[CallTable], *, headings: bool) -> int:
    """The number of lines of all tables, with titles and header."""
    return 1 + sum(1 + len(_lines(call, headings=headings)) for call in calls)


def _lines(call: CallTable, *, headings: bool) -> list[tuple[str, Row | None]]:
    """The lines of a table: names with their rows, and categories with None."""
    lines: list[tuple[str, Row | None]] = []
    categories = dict.fromkeys(row.category for row in call.rows.values())
    headings = headings and list(categories) != ["other"]
    for category in categories:
        lines += [(category, None)] if headings else []
        lines += [(name, row) for name, row in call.rows.items() if row.category == category]
    return lines


def _shares(needed: Sequence[int], room: float) -> list[int]:
    """Shares the lines among the tables: each gets what it needs, or an equal share."""
    shares = [0] * len(needed)
    while sum(shares) < room and shares != list(needed):
        for i, most in enumerate(needed):
            if shares[i] < most and sum(shares) < room:
                shares[i] += 1
    return shares


def _widths(calls: Sequence[CallTable], width: int) -> dict[str, int]:
    """The widths of the columns that fit, and of `name`, `value` and `spread`."""
    rows = [row for call in calls for row in call.rows.values()]
    names = [cell_len(name) + 2 for call in calls for name in call.rows] or [0]
    values = [_value(row) for row in rows]
    widths = {
        "value": max([cell_len(value) for value, _ in values], default=0),
        "spread": max([cell_len(spread) for _, spread in values], default=0),
    }
    natural = {
        column: max((cell_len(_cell(row, column)) for row in rows), default=0)
        for column in ("change", *BESIDE)
    }
    natural["last"] = widths["value"] + widths["spread"]
    natural["trend"] = LEAST_TREND if any(len(_trend_of(row)) > 1 for row in rows) else 0
    natural["change"] = max(natural["change"], 8) if natural["change"] else 0
    natural = {column: max(size, len(column)) for column, size in natural.items() if size}
    kept = natural
    for dropped in _DROPPED:
        kept = {column: natural[column] for column in _COLUMNS if column in natural}
        kept = {column: size for column, size in kept.items() if column not in dropped}
        room = width - sum(GAP + size for size in kept.values())
        if room >= min(max(names), NAME_WIDTH):
            break
    room = width - sum(GAP + size for size in kept.values())
    if "trend" in kept:
        kept["trend"] = min(MOST_TREND, kept["trend"] + max(0, room - max(names)))
    return widths | kept | {"name": max(1, min(max(names), room))}


def _header(widths: Mapping[str, int]) -> Text:
    cells = [" " * widths["name"]]
    for column in (column for column in _COLUMNS if column in widths):
        if column == "last":
            cells.append(set_cell_size(column.rjust(widths["value"]), widths["last"]))
        else:
            cells.append(_justified(column, column, widths))
    return Text((" " * GAP).join(cells).rstrip(), "dim", no_wrap=True, overflow="ellipsis")


def _line(name: str, row: Row | None, widths: Mapping[str, int]) -> Text:
    """The line of a row, or of a category."""
    name = plain(name)  # a metric's name may have line breaks
    line = Text(f"  {name}" if row is not None else name, no_wrap=True, overflow="ellipsis")
    if row is None:
        line.stylize("cyan")
        return line
    # Rich's own tables take three times as long: 12 ms for 30 rows, four times a second.
    line.truncate(widths["name"], overflow="ellipsis", pad=True)
    for column in _COLUMNS:
        if column in widths:
            line.append(" " * GAP).append_text(_styled(row, column, widths))
    line.rstrip()
    return line


def _justified(cell: str, column: str, widths: Mapping[str, int]) -> str:
    width = widths[column]
    return cell.ljust(width) if column in ("change", "trend") else cell.rjust(width)


def _value(row: Row) -> tuple[str, str]:
    """The value, and the text after it: its spread over lanes, and the lanes that it leaves out."""
    if row.shown is None:
        return NOTHING, ""
    if isinstance(row.shown, str):
        return plain(row.shown)[:NAME_WIDTH], ""
    return number(row.shown.middle), row.shown.beside


def _cell(row: Row, column: str) -> str:
    match column:
        case "last":
            return "".join(_value(row))
        case "change":
            return _change(row.change)
        case _:
            return number(row.beside[column]) if column in row.beside else ""


def _trend_of(row: Row) -> Sequence[float | None]:
    """The numbers of the trend; empty if no line has one."""
    return row.trend if any(value is not None for value in row.trend) else ()


def _change(change: float | None) -> str:
    if change is None:
        return ""
    if change == 0:
        return "="
    return f"{'▲' if change > 0 else '▼'} {'+' if change > 0 else ''}{_three_digits(change)}"


def _three_digits(value: float) -> str:
    return number(value) if 1e4 <= abs(value) < 1e7 else f"{value:.3g}"


def _styled(row: Row, column: str, widths: Mapping[str, int]) -> Text:
    match column:
        case "last":
            value, spread = _value(row)
            shown = row.shown if isinstance(row.shown, Shown) else None
            wrong = shown is not None and not math.isfinite(shown.middle)
            padded = value.rjust(widths["value"])
            text = Text(padded, "bold red" if wrong else "bold")
            # The text of a summary may be wider than the numbers.
            rest = max(0, widths["last"] - cell_len(padded))
            style = "red" if shown is not None and shown.left_out else "dim"
            return Text.assemble(text, (set_cell_size(spread, rest), style))
        case "change":
            change = row.change or 0.0
            style = "dim"
            if change and row.category in GOOD_UPWARDS:
                style = "green" if change > 0 else "red"
        case "trend":
            style = "blue" if row.shown is not None else "dim"
            drawn = sparkline(condensed(_trend_of(row), widths["trend"]))
            trend = Text(drawn, style)
            trend.highlight_words([NOT_FINITE], "red")
            return trend
        case _:
            style = "dim"
    return Text(_justified(_cell(row, column), column, widths), style)
