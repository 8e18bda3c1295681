"""The metrics that some runs logged, in the order in which the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxlog._analysis.scores import less_is_better
from jaxlog._format.events import Key
from jaxlog._format.names import CATEGORIES
from jaxlog._page.followed import FollowedRun
from jaxlog._reading.run_frames import DEFAULT_CALLS
from jaxlog._terminal import plain
from jaxlog._text import counted

MOST_METRICS = 20_000
"""The most metrics of one answer."""
BESIDE = ("std", "min", "max")
"""Statistics that the page does not show at first, if the metric has a mean."""


def metrics(runs: Sequence[FollowedRun], version: int) -> dict[str, Any]:
    """The answer to `metrics`.

    Args:
      runs: the runs; their rows are read here.
      version: the version of all runs.
    """
    found: dict[tuple[str, str], Key] = {}
    counts: dict[tuple[str, str], int] = {}
    for run in runs:
        for name, key in run.row.keys.items():
            found.setdefault(name, key)
            counts[name] = counts.get(name, 0) + 1
    means = {(call, key.stem) for (call, _), key in found.items() if key.statistic == "mean"}
    ranked = sorted(found, key=lambda name: _rank(name, found[name]))
    listed = [
        {
            "call": call,
            "key": key,
            "title": plain(key),
            "category": found[call, key].category,
            "statistic": found[call, key].statistic,
            "lower_is_better": less_is_better(key),
            "kind": "histogram" if found[call, key].kind == "histogram" else "curve",
            "beside": _is_beside(found[call, key]) and (call, found[call, key].stem) in means,
            "runs": counts[call, key],
            "part_of": _part_of(found[call, key]),
        }
        for call, key in ranked[:MOST_METRICS]
    ]
    left_out = len(ranked) - len(listed)
    notes = [f"{counted(left_out, 'metric is', 'metrics are')} not listed"] if left_out else []
    return {"version": version, "metrics": listed, "notes": notes}


def _rank(name: tuple[str, str], key: Key) -> tuple[int, int]:
    """Metrics of the usual calls come first, and in a call the categories in their order."""
    call, _ = name
    usual = DEFAULT_CALLS.index(call) if call in DEFAULT_CALLS else len(DEFAULT_CALLS)
    return usual, CATEGORIES.index(key.category)


def _is_beside(key: Key) -> bool:
    return key.statistic in BESIDE


def _part_of(key: Key) -> str | None:
    """The array whose part a metric is: `episode_returns` for `episode_returns/agent_0`."""
    whole, slash, _ = (key.metric or key.stem).rpartition("/")
    return plain(whole) if slash else None
