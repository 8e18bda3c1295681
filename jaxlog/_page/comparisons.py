"""The comparison of groups: sorted, with differences to a baseline, and ready to be copied."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from jaxlog._analysis.comparing import compare
from jaxlog._analysis.comparison import Comparison
from jaxlog._analysis.comparison_tables import latex, markdown
from jaxlog._analysis.intervals import difference_interval
from jaxlog._analysis.runs_data import RunsData
from jaxlog._analysis.scores import less_is_better
from jaxlog._page.asked import AbsentError
from jaxlog._page.chart_values import group_name
from jaxlog._terminal import plain
from jaxlog._text import counted
from jaxlog.sinks.console.values import number

MOST_ROWS = 1000
"""The most groups of one answer."""
_MOST_LEVEL = 4
"""The most groups that the answer names if several lead."""


def comparison(
    found: Comparison, call: str, key: str, baseline: str, version: int, notes: Sequence[str]
) -> dict[str, Any]:
    """The answer to `comparison`.

    Args:
      found: the comparison.
      call: the call that logged the metric.
      key: its key on a line.
      baseline: the name of the group that others are compared with; empty for none.
      version: the version of all runs.
      notes: what a reader has to know of the runs.

    Raises:
      AbsentError: there is no group that is named like the baseline.
    """
    lower_is_better = less_is_better(key)
    rows = _rows(found, lower_is_better=lower_is_better)
    said = [*notes, *found.notes]
    if baseline:
        _add_differences(rows, baseline)
        said.append("the interval of a difference is a percentile bootstrap of both groups' lanes")
    if len(rows) > MOST_ROWS:
        more = counted(len(rows) - MOST_ROWS, "group is", "groups are")
        said.append(f"{more} not listed")
        rows = rows[:MOST_ROWS]
    titles = [", ".join(found.by) or "lanes", plain(key), "95 % interval", "lanes"]
    titles += ["difference"] if baseline else []
    cells = [_cells(row, with_difference=bool(baseline)) for row in rows]
    for row in rows:
        del row["scores"]
    return {
        "version": version,
        "title": plain(key),
        "call": plain(call),
        "by": [plain(name) for name in found.by],
        "group": plain(", ".join(found.by)),
        "baseline": baseline or None,
        "lower_is_better": lower_is_better,
        "rows": rows,
        "notes": said,
        "latex": latex(titles, cells),
        "csv": _csv(titles, cells),
        "markdown": markdown(titles, cells),
    }


def answer(found: Comparison, call: str, key: str) -> dict[str, Any] | None:
    """The sentence that the first screen begins with; None if there is no finite score.

    Args:
      found: the comparison.
      call: the call that logged the metric.
      key: its key on a line.
    """
    rows = [row for row in _rows(found, lower_is_better=less_is_better(key)) if row["text"]]
    if not rows:
        return None
    best, name = rows[0], plain(", ".join(found.by))
    if not found.by:
        text = f"{plain(key)}: {best['text']} over {counted(best['lanes'], 'lane')}"
    elif len(rows) == 1:
        text = f"{_told(name, best)}: {best['text']}"
    elif best["value"] == rows[1]["value"]:
        level = [row for row in rows if row["value"] == best["value"]]
        text = f"{_all_of(name, level)} are level: {best['text']}"
    else:
        text = f"{_told(name, best)} leads: {best['text']}; next {rows[1]['name']}: "
        text += number(rows[1]["value"])
        if not _apart(best, rows[1]):
            text += " (their intervals overlap)"
    return {"text": text, "metric": plain(key), "call": plain(call), "group": name}


def compared(
    runs: RunsData, call: str, key: str, by: Sequence[str], *, only_last: bool
) -> Comparison:
    """Compares groups of lanes as `jaxlog.compare` does.

    Args:
      runs: the runs.
      call: the call that logged the metric.
      key: its key on a line.
      by: as in `compare`.
      only_last: True if of some runs only the last rows of each lane are known.

    Raises:
      AbsentError: there is no such metric or label, or no finite score.
    """
    if not runs.calls:
        raise AbsentError(f"{call} {key}: is a metric that none of these runs has logged")
    # All lanes at one step would need the rows of that step.
    has_finished = any(not run.is_unfinished for run in runs)
    unfinished = "leave_out" if has_finished or not only_last else "keep_last"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # they are the notes
        try:
            return compare(runs, key, call=call, by=tuple(by), unfinished=unfinished)
        except (LookupError, TypeError) as error:
            raise AbsentError(str(error.args[0])) from None


def _rows(found: Comparison, *, lower_is_better: bool) -> list[dict[str, Any]]:
    """A row for each group, the best first; groups without a score are last."""
    columns = list(found.by)
    runs = _runs_of(found)
    rows: list[dict[str, Any]] = []
    for row in found.frame.iter_rows(named=True):
        key = tuple(row[name] for name in columns)
        value, lower, upper = row["iqm"], row["lower"], row["upper"]
        interval = _interval_text(lower, upper)
        rows.append(
            {
                "name": plain(group_name(found.by, key)),
                "runs": runs.get(key, 0),
                "lanes": row["alive"] + row["diverged"],
                "alive": row["alive"],
                "unfinished": row["unfinished"],
                "left_out": row["left_out"],
                "value": value,
                "lower": lower,
                "upper": upper,
                "interval": interval,
                "text": "" if value is None else f"{number(value)} {interval}".strip(),
                "difference": None,
                "difference_text": "",
                "scores": _scores(found, key),
            }
        )
    known = [row for row in rows if row["value"] is not None]
    known.sort(key=lambda row: row["value"], reverse=not lower_is_better)
    return known + [row for row in rows if row["value"] is None]


def _runs_of(found: Comparison) -> dict[tuple[Any, ...], int]:
    columns = list(found.by)
    if not columns:
        return {(): found.scores["run"].n_unique()}
    counts = found.scores.group_by(columns).agg(pl.col("run").n_unique().alias("jaxlog.runs"))
    return {tuple(row[:-1]): row[-1] for row in counts.select(*columns, "jaxlog.runs").rows()}


def _scores(found: Comparison, key: tuple[Any, ...]) -> np.ndarray:
    scores = found.scores
    for name, value in zip(found.by, key, strict=True):
        scores = scores.filter(pl.col(name).eq_missing(pl.lit(value, scores.schema[name])))
    values = scores["score"].drop_nulls().to_numpy()
    return values[np.isfinite(values)]


def _add_differences(rows: Sequence[dict[str, Any]], baseline: str) -> None:
    base = next((row for row in rows if row["name"] == baseline), None)
    if base is None:
        raise AbsentError(f"baseline: got {baseline!r:.100}, which is no group")
    for row in rows:
        if row is base or row["value"] is None or base["value"] is None:
            continue
        row["difference"] = row["value"] - base["value"]
        lower, upper = difference_interval(row["scores"], base["scores"])
        text = f"{number(row['difference'])} {_interval_text(lower, upper)}".strip()
        row["difference_text"] = text if text.startswith("-") else f"+{text}"


def _interval_text(lower: float | None, upper: float | None) -> str:
    if lower is None or upper is None or not (np.isfinite(lower) and np.isfinite(upper)):
        return ""
    return f"[{number(lower)}, {number(upper)}]"


def _all_of(name: str, rows: Sequence[dict[str, Any]]) -> str:
    """The names of several groups; of many, the first."""
    named = [_told(name, rows[0]), *(row["name"] for row in rows[1:])]
    if len(named) > _MOST_LEVEL:
        named[_MOST_LEVEL:] = [f"{len(named) - _MOST_LEVEL:,} more"]
    return f"{', '.join(named[:-1])} and {named[-1]}"


def _told(by: str, row: dict[str, Any]) -> str:
    return row["name"] if "," in by or by == "run" else f"{by} {row['name']}"


def _apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """True if the intervals of two groups do not overlap; also if one of them has none."""
    ends = (one["lower"], one["upper"], other["lower"], other["upper"])
    if any(end is None for end in ends):
        return True
    return one["lower"] > other["upper"] or other["lower"] > one["upper"]


def _cells(row: dict[str, Any], *, with_difference: bool) -> list[str]:
    value = "" if row["value"] is None else number(row["value"])
    lanes = row["lanes"]
    alive = f"{lanes}" if row["alive"] == lanes else f"{row['alive']} of {lanes}"
    own = [row["difference_text"]] if with_difference else []
    return [row["name"], value, row["interval"], alive, *own]


def _csv(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([titles, *([_no_formula(name), *rest] for name, *rest in rows)])
    return text.getvalue()


def _no_formula(name: str) -> str:
    """A name that no spreadsheet runs as a formula."""
    begins = name.startswith(("=", "@", "+", "-", "\t", "\r"))
    return f"'{name}" if begins and not _is_number(name) else name


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
