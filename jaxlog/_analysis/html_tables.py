"""Small HTML tables for notebooks, in the fonts and colours of the page they are in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxlog._render.markup import escape
from jaxlog._text import counted
from jaxlog.sinks.summaries import flat

MOST_ROWS = 40
"""The largest number of rows of a table."""
MOST_KEYS = 6
"""The largest number of config keys that have a column."""
MOST_LETTERS = 80
"""The longest text in a cell."""
_CELL = "text-align:left;padding:2px 12px 2px 0;border:0;background:none"


def html_table(
    title: Sequence[str], header: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str]
) -> str:
    """Makes a table. All texts are escaped, and long ones are cut.

    Args:
      title: the parts of its title, the first of which is emphasized.
      header: the headings of the columns; empty for none.
      rows: the cells of each row.
      notes: sentences below the table, such as what it leaves out.
    """
    first, *rest = [_text(part) for part in title if part]
    lines = [f"<div>{' · '.join([f'<strong>{first}</strong>', *rest])}</div>"]
    lines.append('<table style="border-collapse:collapse;margin:4px 0">')
    if header:
        cells = "".join(f'<th style="{_CELL};opacity:0.7">{_text(name)}</th>' for name in header)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for row in rows:
        cells = "".join(f'<td style="{_CELL}">{_text(cell)}</td>' for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    lines.append("</tbody></table>")
    lines += [f'<div style="opacity:0.7">{escape(note)}</div>' for note in notes]
    return f"<div>{''.join(lines)}</div>"


def run_html(name: str, status: str, info: Mapping[str, Any], health: str, path: str) -> str:
    """The table of one run: facts and hyper-parameters.

    Args:
      name: the name of the run.
      status: its status.
      info: the content of run.json.
      health: its problems; empty if there are none.
      path: its directory.
    """
    config = info.get("config")
    settings = flat(config) if isinstance(config, Mapping) else {}
    steps = info.get("steps")
    rows = [("directory", path)]
    rows += [("started", started)] if isinstance(started := info.get("started"), str) else []
    if isinstance(steps, Mapping):
        rows += [("last step", f"{call} {step}") for call, step in steps.items()]
    if (total := info.get("total_updates")) is not None:
        rows.append(("total updates", str(total)))
    if isinstance(lanes := info.get("lane_counts"), list):
        rows.append(("lanes", ", ".join(map(str, lanes))))
    room = max(0, MOST_ROWS - len(rows))
    shown = list(settings.items())[:room]
    rows += [(f"config {key}", _value(value)) for key, value in shown]
    left = len(settings) - len(shown)
    more = counted(left, "more config key is", "more config keys are")
    notes = [f"{more} left out: see .info['config']"] if left else []
    notes.append("Values are in .metrics, .episodes and .frames().")
    return html_table((name, status, health), (), rows, notes)


def runs_html(runs: Sequence[tuple[str, str, str]], infos: Sequence[Mapping[str, Any]]) -> str:
    """The table of several runs, with the hyper-parameters that differ.

    Args:
      runs: the name, the status and the problems of the first `MOST_ROWS` runs.
      infos: the content of run.json of all runs.
    """
    configs = [
        flat(config) if isinstance(config := info.get("config"), Mapping) else {} for info in infos
    ]
    names = dict.fromkeys(name for config in configs for name in config)
    texts = {name: [_value(config.get(name, "")) for config in configs] for name in names}
    differing = [name for name in names if len(set(texts[name])) > 1]
    shown, left = differing[:MOST_KEYS], differing[MOST_KEYS:]
    rows = [(*run, *(texts[key][i] for key in shown)) for i, run in enumerate(runs)]
    more = counted(len(infos) - len(runs), "more run is", "more runs are")
    notes = [f"{more} left out"] if len(infos) > len(runs) else []
    if left:
        notes.append(f"config keys that differ and are left out: {', '.join(left)}")
    header = ("run", "status", "health", *shown)
    return html_table((counted(len(infos), "run"),), header, rows, notes)


def frame_html(title: str, columns: Mapping[str, Sequence[Any]], notes: Sequence[str]) -> str:
    """The table of a frame.

    Args:
      title: its title.
      columns: the values of each column.
      notes: sentences below it.
    """
    rows = list(zip(*columns.values(), strict=True))
    left = len(rows) - MOST_ROWS
    words = counted(left, "more row is", "more rows are")
    more = [f"{words} left out: see .frame"] if left > 0 else []
    shown = [tuple(map(_value, row)) for row in rows[:MOST_ROWS]]
    return html_table((title,), tuple(columns), shown, (*notes, *more))


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def _text(text: str) -> str:
    cut = text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
    return escape(cut)
