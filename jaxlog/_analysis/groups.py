"""Collects one metric of several runs, and groups the lanes by labels and keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from jaxlog._format.columnar import RUN
from jaxlog._format.keys import Keys
from jaxlog._format.names import EPISODE_COUNT
from jaxlog._reading.all_nonfinite import count_column
from jaxlog._reading.call_lines import CallLines
from jaxlog._reading.concatenate import concatenated
from jaxlog._reading.layouts import LANES
from jaxlog._reading.run_frames import RunFrames, chosen_call
from jaxlog._text import counted

VALUE = "jaxlog.value"
"""The column of the metric."""
NONFINITE = "jaxlog.nonfinite"
"""The column that counts the values left out of the metric because they were not finite."""
_TAKEN = (RUN, "lane", "step", "env_step", VALUE, NONFINITE)
_MOST_NOTES = 4
_SHOWN = 12
"""The most names that an error lists."""

By = str | Sequence[str] | None


@dataclass(frozen=True)
class Values:
    """A metric by group.

    Attributes:
      frame: a row per run, lane and step, with the columns `run`, `lane`, those of the axes, those
        of `by` and `extra`, `VALUE` (the metric, Float64) and `NONFINITE` (the number of values
        left out of it, Int64).
      by: the columns that define the groups.
      extra: further columns that the caller has selected.
      statistic: the statistic of the metric, as in `events.Key.statistic`.
      late: the names of the runs that have not finished.
      notes: warnings about the lines, a sentence each.
    """

    frame: pl.DataFrame
    by: tuple[str, ...]
    extra: tuple[str, ...] = ()
    statistic: str = ""
    late: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def groups(self) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
        """Yields the values of `by` and the rows of each group, sorted by these values."""
        if not self.by:
            yield (), self.frame
            return
        # The values come from the rows: a label that is NaN cannot be looked up as a key.
        ordered = self.frame.sort(self.by, maintain_order=True)
        for part in ordered.partition_by(self.by, maintain_order=True):
            yield part.select(self.by).row(0), part


def values_of(
    runs: Mapping[str, RunFrames],
    metric: str,
    call: str | None,
    by: By,
    extra: Sequence[str] = (),
    taken: Sequence[str] = (),
    axes: Sequence[str] = ("step", "env_step"),
) -> Values:
    """Collects a metric of some runs, by group.

    Args:
      runs: the runs by their names.
      metric: the column of the metric.
      call: the call that logged it; None as in `chosen_call`.
      by: the labels, keys of `config` (`network.width` for a nested one), `run` or `lane` that
        define the groups. None selects all labels and keys with several values, except seeds; and
        `run`, if the runs differ in no key and have the same seeds.
      extra: labels or keys that get a column too, without defining groups.
      taken: names of the caller's own columns. A label of that name is called `labels.score`, a
        key `config.score`.
      axes: the columns of the lines that the frame has besides `run` and `lane`, if they are there.

    Raises:
      LookupError: there is no such metric or name, or several calls could be meant.
      TypeError: the metric is not a number.
    """
    calls = sorted({name for run in runs.values() for name in run.calls})
    where = f"{len(runs)} runs" if len(runs) != 1 else str(next(iter(runs.values())).path)
    chosen = chosen_call(call, calls, where)
    runs = {name: run for name, run in runs.items() if chosen in run.calls}
    lines = {name: run._call_lines(chosen) for name, run in runs.items()}
    frame = concatenated({name: own.frame for name, own in lines.items()})
    labels = list(dict.fromkeys(label for run in runs.values() for label in run.labels_of(chosen)))
    _check_metric(metric, frame, labels, chosen, where)
    configs = {name: config_of(run) for name, run in runs.items()}
    keys = list(dict.fromkeys(key for config in configs.values() for key in config))
    if by is None:
        changing = {label for own in lines.values() for label in own.changing}
        names = _default(frame, labels, keys, configs, changing)
        names = [name for name in names if name not in set(extra)]
    else:
        names = [by] if isinstance(by, str) else list(dict.fromkeys(by))
    called: dict[str, str] = {}
    columns = []
    others = {*_TAKEN, *taken}
    for name in dict.fromkeys((*names, *extra)):
        if name in (RUN, "lane"):
            called[name] = name
            continue
        if name in labels:
            part, column = "labels", frame[name]
        elif name in keys:
            part, column = "config", _of_config(frame[RUN], name, configs)
        else:
            known = [*labels, *keys, RUN, "lane"]
            raise LookupError(f"{where}: got {name!r} to group by, {_expected(name, known)}")
        called[name] = name
        while called[name] in others:
            called[name] = f"{part}.{called[name]}"
        others.add(called[name])
        columns.append(column.alias(called[name]))
    places = [frame[name] for name in (RUN, "lane", *axes) if name in frame.columns]
    statistic = _statistic(metric, runs, lines, chosen)
    values = frame[metric].cast(pl.Float64).alias(VALUE)
    if statistic == "nonfinite":  # the key is left out if there were none
        values = values.fill_null(0.0)
    selected = pl.DataFrame([*places, *columns, values])
    count = count_column(metric, frame.columns)
    left_out = pl.lit(0) if count is None else frame[count].fill_null(0)
    selected = selected.with_columns(left_out.cast(pl.Int64).alias(NONFINITE))
    notes = tuple(f"{name}: {text}" for name, own in lines.items() for text in own.warnings())
    return Values(
        selected,
        tuple(called[n] for n in names),
        tuple(called[n] for n in extra),
        statistic,
        frozenset(name for name, run in runs.items() if run.is_unfinished),
        _brief(notes),
    )


def _statistic(
    metric: str, runs: Mapping[str, RunFrames], lines: Mapping[str, CallLines], call: str
) -> str:
    """Returns the statistic of a metric, from the run.json of the first run that has it."""
    name = next(name for name, own in lines.items() if metric in own.frame.columns)
    calls = runs[name].info.get("calls")
    described = calls.get(call) if isinstance(calls, Mapping) else None
    keys = Keys(described, of_episodes=EPISODE_COUNT in lines[name].frame.columns)
    return keys[metric].statistic


def _brief(notes: Sequence[str]) -> tuple[str, ...]:
    """Shortens a list of notes, and adds the number of those left out."""
    if len(notes) <= _MOST_NOTES:
        return tuple(notes)
    left = counted(len(notes) - _MOST_NOTES, "note like these", "notes like these")
    return (*notes[:_MOST_NOTES], f"and {left}")


def named(by: Sequence[str], key: Sequence[Any]) -> str:
    """Formats the values that define a group.

    >>> named(("learning_rate", "run"), (0.001, "ppo"))
    'learning_rate 0.001, ppo'
    """
    words = [
        worded(v) if name == RUN else f"{name} {worded(v)}" for name, v in zip(by, key, strict=True)
    ]
    return ", ".join(words)


def worded(value: Any) -> str:
    """Formats one of the values that define a group.

    >>> worded(0.001), worded(None), worded("ppo")
    ('0.001', 'none', 'ppo')
    """
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def config_of(run: RunFrames) -> dict[str, Any]:
    """The config of a run, by dotted names."""
    return dict(_flat(run.info.get("config")))


def seed_names(runs: Mapping[str, RunFrames], call: str | None) -> list[str]:
    """The labels and the keys of the config that are seeds.

    Args:
      runs: the runs by their names.
      call: as in `values_of`.
    """
    calls = sorted({name for run in runs.values() for name in run.calls})
    chosen = chosen_call(call, calls, counted(len(runs), "run"))
    logged = [run for run in runs.values() if chosen in run.calls]
    labels = [label for run in logged for label in run.labels_of(chosen)]
    keys = [key for run in logged for key in config_of(run)]
    return [name for name in dict.fromkeys((*labels, *keys)) if is_seed(name)]


def is_seed(name: str) -> bool:
    """True if a label or key is a seed, by its name.

    >>> is_seed("seed"), is_seed("env_seed"), is_seed("train.seed"), is_seed("seeded_at")
    (True, True, True, False)
    """
    return re.split(r"[._]", name.lower())[-1] == "seed"


def _check_metric(
    metric: str, frame: pl.DataFrame, labels: Sequence[str], call: str, where: str
) -> None:
    others = {*LANES.own, *labels, RUN}
    numbers = [
        name
        for name, kind in frame.schema.items()
        if name not in others and (kind.is_numeric() or kind in (pl.Boolean, pl.Null))
    ]
    if metric in numbers:
        return
    start = f"{where}: got {metric!r}"
    if metric in labels:
        raise LookupError(f"{start}, which is a label, {_expected(metric, numbers)}")
    if metric in frame.columns and metric not in others:
        kind = frame.schema[metric]
        what = "a histogram" if isinstance(kind, pl.Struct) else f"a column of {kind}"
        raise TypeError(f"{start}, which is {what}, {_expected(metric, numbers)}")
    raise LookupError(f"{start}, which the call {call!r} did not log, {_expected(metric, numbers)}")


def _expected(name: str, known: Sequence[str]) -> str:
    if not known:
        return "but it logged no numbers"
    close = difflib.get_close_matches(name, known, 1)
    close = close or [other for other in known if other.startswith(name)][:1]
    suggestion = f"; did you mean {close[0]!r}?" if close else ""
    shown = ", ".join(map(repr, known[:_SHOWN]))
    return f"expected one of {shown}{', …' if len(known) > _SHOWN else ''}{suggestion}"


def _default(
    frame: pl.DataFrame,
    labels: Sequence[str],
    keys: Sequence[str],
    configs: Mapping[str, Mapping[str, Any]],
    changing: Collection[str],
) -> list[str]:
    """Selects the keys and labels that define groups by default; none that changes along a lane."""
    different_labels = [
        name
        for name in labels
        if not is_seed(name) and name not in changing and frame[name].n_unique() > 1
    ]
    different_keys = [
        key
        for key in keys
        if key not in labels
        and not is_seed(key)
        and len({orjson.dumps(config.get(key)) for config in configs.values()}) > 1
    ]
    if len(configs) > 1 and not different_keys:
        seeds = {
            (
                tuple(orjson.dumps(configs[name].get(key)) for key in keys if is_seed(key)),
                tuple(tuple(part[label].unique().sort()) for label in labels if is_seed(label)),
            )
            for (name,), part in frame.partition_by(RUN, as_dict=True).items()
        }
        if len(seeds) == 1:
            different_keys = [RUN]
    return [*different_keys, *different_labels]


def _of_config(runs: pl.Series, key: str, configs: Mapping[str, Mapping[str, Any]]) -> pl.Series:
    """Returns the value of a key for each row; as text if the runs have several types."""
    values = {name: config.get(key) for name, config in configs.items()}
    kinds = {type(value) for value in values.values() if value is not None}
    if not (kinds <= {int, float} or kinds in ({bool}, {str})):
        values = {
            name: value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in values.items()
        }
    kind = pl.Float64() if kinds == {int, float} else None
    names = pl.Series(list(values), dtype=pl.String())
    return runs.replace_strict(names, pl.Series(list(values.values()), dtype=kind)).alias(key)


def _flat(config: Any, start: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the values of nested mappings by dotted names; nothing if it is not a mapping."""
    if not isinstance(config, Mapping):
        return
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{start}{key}.")
        else:
            yield f"{start}{key}", value
