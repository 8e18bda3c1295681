"""The Python that makes the figure that the page shows."""

from __future__ import annotations

from collections.abc import Sequence

from jaxlog._page.curves import ChartQuery
from jaxlog._page.followed import FollowedRun, FollowedRuns
from jaxlog._text import counted

MOST_PATHS = 40
"""The most runs that are named one by one."""


def figure_code(followed: FollowedRuns, runs: Sequence[FollowedRun], query: ChartQuery) -> str:
    """Writes the code that plots the same curves with `jaxlog.read_runs`.

    Args:
      followed: all runs.
      runs: those that are shown.
      query: the chart.
    """
    paths = sorted(str(run.row.path) for run in runs)
    where = repr(str(followed.directory))
    comments = []
    if not followed.has_all or len(paths) < len(followed.runs()):
        where = repr(paths[0]) if len(paths) == 1 else repr(paths[:MOST_PATHS])
        if len(paths) > MOST_PATHS:
            left = len(paths) - MOST_PATHS
            more = counted(left, "more run is", "more runs are")
            comments.append(f"# {more} shown: add {'its path' if left == 1 else 'their paths'}")
    of = query.of
    words = [repr(of.key), f"call={of.call!r}", f"by={list(of.by)!r}"]
    if of.x != "step":
        words.append(f"x={of.x!r}")
    if of.spread != "std":
        words.append(f"spread={of.spread!r}")
    lines = ["import jaxlog", "", *comments, f"runs = jaxlog.read_runs({where})"]
    lines.append(f"ax = runs.plot({', '.join(words)})")
    if query.begin > float("-inf") or query.end < float("inf"):
        lines.append(f"ax.set_xlim({_end(query.begin)}, {_end(query.end)})")
    return "\n".join(lines)


def _end(value: float) -> str:
    return f"{value:.10g}" if abs(value) < float("inf") else "None"
