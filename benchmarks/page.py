"""Writes the figures of `results/` into the pages of `docs/`.

A page has places for tables: `<!-- figures: NAME -->`, a table, `<!-- end of figures -->`, where
NAME is `crossing budgets` or `crossing grid`. A benchmark fills them again when it ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = tuple(ROOT / "docs" / name for name in ("performance.md", "explore.md", "scaling.md"))
_PLACE = re.compile(
    r"(?P<begin><!-- figures: (?P<name>\w+) (?P<part>budgets|grid) -->\n).*?"
    r"(?P<end><!-- end of figures -->)",
    re.DOTALL,
)


def fill() -> None:
    """Writes the tables of all pages anew."""
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


def filled(text: str) -> str:
    """The text of a page with the tables of `results/`."""
    return _PLACE.sub(_table, text)


def _table(place: re.Match[str]) -> str:
    path = RESULTS / f"{place['name']}.json"
    found = json.loads(path.read_text(encoding="utf-8"))[place["part"]]
    lines = _of_budgets(found) if place["part"] == "budgets" else _of_grid(found)
    return "\n".join([place["begin"], *lines, "", place["end"]])


def _of_budgets(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ["| measured | reference | figure | budget |", "|---|---|---|---|"]
    lines = []
    for row in rows:
        figure, budget = (_with_unit(row, key) for key in ("value", "budget"))
        figure = figure if row["met"] else f"**{figure}**"
        lines.append(_line(row["what"], row["against"], figure, budget))
    return head + lines


def _of_grid(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        _line(*rows[0]),
        _line(*("---" if isinstance(value, str) else "---:" for value in rows[0].values())),
        *(_line(*(_number(value) for value in row.values())) for row in rows),
    ]


def _with_unit(row: Mapping[str, Any], key: str) -> str:
    unit = "×" if row["unit"] == "x" else row["unit"]  # noqa: RUF001
    number = f"{row[key]:.2f}" if unit == "×" and key == "value" else _number(row[key])  # noqa: RUF001
    sign = "+ " if unit == "%" else ""
    return f"{sign}{number} {unit}".strip().replace("-", "−")  # noqa: RUF001


def _number(value: str | float | None) -> str:
    """Three digits are all that a second measurement would find again."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text.replace("-", "−")  # noqa: RUF001


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    fill()
