"""The record of a run in a table for programs: its state, its config and its last values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jaxlog._watching.run_index import IndexedRun


def record(one: IndexedRun) -> dict[str, Any]:
    """Returns everything that is known about a run without reading all of its lines.

    `config` is by dotted names, `metrics` are the last values over the lanes that are alive, and
    times are texts as in run.json.
    """
    run = one.run
    return {
        "run": one.name,
        "path": str(one.path),
        "name": run.name,
        "status": run.status,
        "health": str(one.health),
        "started": _time(run.started),
        "ended": _time(run.ended),
        "done": one.done,
        "total": run.total_updates,
        "tags": list(run.tags),
        "note": run.note,
        "metric": one.metric,
        "config": dict(one.config),
        "metrics": dict(one.metrics),
    }


def flattened(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Makes each record one row: the keys of `config` and `metrics` become columns.

    A key of `config` that is named like a column becomes `config.status`; a metric that is named
    like another column, `metrics.loss`. All rows have the same columns; a missing value is None.
    """
    own = [key for key in (records[0] if records else ()) if key not in ("config", "metrics")]
    keys = dict.fromkeys(key for one in records for key in one["config"])
    metrics = dict.fromkeys(key for one in records for key in one["metrics"])
    named = {key: f"config.{key}" if key in own else key for key in keys}
    taken = {*own, *named.values()}
    of_metrics = {key: f"metrics.{key}" if key in taken else key for key in metrics}
    return [
        {key: one[key] for key in own}
        | {name: one["config"].get(key) for key, name in named.items()}
        | {name: one["metrics"].get(key) for key, name in of_metrics.items()}
        for one in records
    ]


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
