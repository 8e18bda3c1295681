"""Reads W&B's offline files as runs: each id is a run, whose files belong together."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jaxlog._errors import ImportingError
from jaxlog._format.events import MetricsEvent
from jaxlog._importing.rows import EventMaker
from jaxlog._importing.source import ImportOptions, SourceRun, digest_of, time_of
from jaxlog._importing.wandb_axes import Axes, Part
from jaxlog._importing.wandb_records import WandbRecords
from jaxlog._importing.wandb_values import converted, flat, path_of, row_of

SUMMARY = "summary"
"""The call that has the values that only the summary of a run has."""
_LEFT_OUT = {
    "stats": "rows of system metrics",
    "output": "lines of output",
    "output_raw": "lines of output",
    "alert": "alerts",
    "artifact": "artifacts",
    "use_artifact": "artifacts",
    "noop_link_artifact": "artifacts",
    "tbrecord": "folders of TensorBoard",
}
"""Names of what is not brought in, by the kind of its record; others have nothing of the user's."""
_COPIES = "copies of a file"
_INTERRUPTED = 255
"""W&B's exit code of a program that Ctrl-C ended."""


@dataclass
class _File:
    """The facts in one file."""

    path: Path
    digest: str
    axes: Axes
    left_out: Counter[str] = field(default_factory=Counter)
    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    has_rows: bool = False
    started: float | None = None
    last: float = 0.0
    host: str | None = None
    commit: str | None = None
    cut: str | None = None


def wandb_runs(files: Sequence[Path], options: ImportOptions) -> list[SourceRun]:
    """The runs in some offline files.

    Args:
      files: the files, `run-ID.wandb`.
      options: the choices for an import.

    Raises:
      ImportingError: a file is none of W&B's, or is damaged; or the package wandb is missing.
      OSError: a file cannot be read.
    """
    try:
        messages: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    except ImportError:
        raise ImportingError(
            "W&B's files cannot be read without the package wandb; install it with: "
            "pip install 'jaxlog[import]'"
        ) from None
    of_run: dict[str, dict[float | Path, _File]] = {}  # of each run by the time of its beginning
    for path in sorted(files):
        found = _facts(path, messages, options.call)
        if found.run is None:
            if found.cut is not None:
                raise ImportingError(f"{found.cut}; there is no run in it")
            raise ImportingError(f"{path}: has no run")
        parts = of_run.setdefault(f"{found.run.project}/{found.run.run_id}", {})
        copy = parts.get(key := found.started or path)
        parts[key] = found if copy is None else _longer(copy, found)
    return [
        _source(key, sorted(parts.values(), key=_began), messages) for key, parts in of_run.items()
    ]


def _longer(one: _File, other: _File) -> _File:
    """The longer of two copies of a file; the other one is counted."""
    sizes = [file.path.stat().st_size for file in (one, other)]
    longer = other if sizes[1] > sizes[0] else one
    copies = one.left_out[_COPIES] + other.left_out[_COPIES] + 1
    longer.left_out[_COPIES] = copies
    return longer


def _began(file: _File) -> tuple[float, str]:
    return file.started or 0.0, file.path.name


def _facts(path: Path, messages: Any, call: str) -> _File:
    """Reads all of a file but the values of its rows."""
    found = _File(path, digest_of([path]), Axes(call))
    records = WandbRecords(path)
    for place, raw in records:
        try:
            record = messages.Record.FromString(raw)
            _note(found, record)
        except Exception as error:
            if isinstance(error, ImportingError):
                raise
            raise ImportingError(
                f"{path}: the record at byte {place:,} is not W&B's: {type(error).__name__}: "
                f"{error}"
            ) from None
    found.cut = records.cut
    return found


def _note(found: _File, record: Any) -> None:
    kind = record.WhichOneof("record_type")
    match kind:
        case "run":
            found.run = run = record.run
            _update(found.config, run.config)
            _update(found.summary, run.summary)
            found.started = time_of(run.start_time.seconds + run.start_time.nanos / 1e9) or None
            found.host = run.host or found.host
            found.commit = run.git.commit or found.commit
        case "config":
            _update(found.config, record.config)
        case "summary":
            _update(found.summary, record.summary)
        case "environment":
            found.host = record.environment.host or found.host
            found.commit = record.environment.git.commit or found.commit
        case "metric":
            found.axes.define(record.metric)
        case "history":
            found.has_rows = True
            row = row_of(record.history, Counter())
            found.axes.note(row)
            found.last = max(found.last, time_of(row.get("_timestamp")) or 0.0)
        case "exit":
            found.exit_code = record.exit.exit_code
        case _ if kind in _LEFT_OUT:
            found.left_out[_LEFT_OUT[kind]] += 1
        case _:
            pass


def _update(values: dict[str, Any], record: Any) -> None:
    """Applies the changes of a config or a summary."""
    for item in record.update:
        path = path_of(item)
        inner = values
        for part in path[:-1]:
            inner = inner.setdefault(part, {}) if isinstance(inner, dict) else {}
        if isinstance(inner, dict):
            inner[path[-1]] = json.loads(item.value_json)
    for item in record.remove:
        path = path_of(item)
        inner = values
        for part in path[:-1]:
            inner = inner.get(part, {}) if isinstance(inner, dict) else {}
        if isinstance(inner, dict):
            inner.pop(path[-1], None)


def _source(key: str, files: Sequence[_File], messages: Any) -> SourceRun:
    first, last = files[0], files[-1]
    axes = first.axes
    for file in files[1:]:
        axes = file.axes.joined(axes)
    left_out = sum((file.left_out for file in files), Counter[str]())
    run = last.run
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for file in files:
        config |= file.config
        summary |= file.summary
    config.pop("_wandb", None)
    code = last.exit_code
    status = {None: "running", 0: "finished", _INTERRUPTED: "interrupted"}.get(code, "failed")
    ended = max((file.last for file in files), default=0.0)
    details = {
        name: value
        for name, value in {
            "id": run.run_id,
            "project": run.project,
            "entity": run.entity,
            "group": run.run_group,
            "job_type": run.job_type,
            "sweep": run.sweep_id,
        }.items()
        if value
    }
    return SourceRun(
        kind="wandb",
        key=f"wandb:{key}",
        files=[file.path for file in files],
        digest=" ".join(file.digest for file in files),
        name=run.display_name or run.run_id,
        events=partial(_events, files, axes, summary, left_out, messages),
        config=config,
        tags=list(run.tags),
        note=run.notes,
        status=status,
        error=f"exit code {code}" if status == "failed" else None,
        started=first.started,
        ended=ended or None,
        host=last.host,
        git=last.commit,
        details=details,
        cut=[file.cut for file in files if file.cut is not None],
        left_out=left_out,
    )


def _events(
    files: Sequence[_File],
    axes: Axes,
    summary: Mapping[str, Any],
    left_out: Counter[str],
    messages: Any,
) -> Iterator[MetricsEvent]:
    makers: dict[str, EventMaker] = {}
    waiting: dict[str, tuple[Part, float]] = {}  # the last part of each call
    timestamp, last_step = files[0].started or 0.0, 0

    def made(part: Part, timestamp: float) -> MetricsEvent:
        maker = makers.setdefault(part.call, EventMaker(part.call))
        return maker.event(part.step, timestamp, [part.row], part.env_step)

    for file in files:
        for _, raw in WandbRecords(file.path):
            record = messages.Record.FromString(raw)
            if record.WhichOneof("record_type") != "history":
                continue
            row = row_of(record.history, left_out)
            timestamp = time_of(row.get("_timestamp")) or timestamp
            for part in axes.parts(row, file.path.parent / "files", left_out):
                last_step = max(last_step, part.step)
                before = waiting.get(part.call)
                together = None if before is None else before[0].joined(part)
                if before is not None and together is None:
                    yield made(*before)
                waiting[part.call] = together or part, timestamp
    for part, time in waiting.values():
        yield made(part, time)
    if only := axes.only_in_summary(flat(summary, Counter())):
        call = SUMMARY if SUMMARY not in makers else f"{SUMMARY}_of_run"
        row = converted(only, files[-1].path.parent / "files", left_out)
        if row.values or row.arrays or row.media:
            yield made(Part(call, last_step, None, row), timestamp)
