"""One metric of several runs, and which of their lanes belong together."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from jaxlog._format.keys import Keys
from jaxlog._format.names import EPISODE_COUNT
from jaxlog._reading.all_nonfinite import count_column
from jaxlog._reading.call_lines import CallLines
from jaxlog._reading.columns import RUN
from jaxlog._reading.layouts import LANES
from jaxlog._reading.run_frames import RunFrames, chosen_call
from jaxlog._reading.together import together

VALUE = "jaxlog.value"
"""The column of the metric."""
NONFINITE = "jaxlog.nonfinite"
"""The column that counts the values of it that were not finite, where some were finite."""
_TAKEN = (RUN, "lane", "step", "env_step", VALUE, NONFINITE)
_MOST_NOTES = 4
_SHOWN = 12
"""So many names an error lists."""

By = str | Sequence[str] | None


@dataclass(frozen=True)
class Values:
    """A metric by group.

    Attributes:
      frame: a row per line, with `run`, `lane`, `step`, perhaps `env_step`, the columns of `by` and
        `extra`, the metric in `VALUE`, Float64, and in `NONFINITE`, Int64, how many values are left
        out of it. Each run, lane and step has one row.
      by: the columns that tell groups apart.
      extra: further ones that were asked for.
      statistic: what the metric is, as `events.Key.statistic` says.
      late: the runs that have not finished.
      notes: what a reader has to know about the lines, a sentence for each.
    """

    frame: pl.DataFrame
    by: tuple[str, ...]
    extra: tuple[str, ...] = ()
    statistic: str = ""
    late: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def groups(self) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
        """What each group has in common, in the order of `by`, and its rows; groups are sorted."""
        if not self.by:
            yield (), self.frame
            return
        # By the rows, not by keys: NaN, which a label may be, is not found as one.
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
) -> Values:
    """A metric of some runs, by group.

    Args:
      runs: by their names.
      metric: the name of its column.
      call: that logged it; None for the usual one.
      by: what tells groups apart: labels, keys of `config` (`network.width` for one in another),
        `run` or `lane`. None stands for all labels and keys that have several values, but for
        seeds; and for `run`, where runs differ in no key and have the same seeds.
      extra: names of further such columns, which tell no groups apart.
      taken: names that the caller's own columns have. Of such a name, a label is called
        `labels.score`, a key `config.score`.

    Raises:
      LookupError: there is no such metric or name, or it is not clear which call is meant.
      TypeError: the metric is no number.
    """
    calls = sorted({name for run in runs.values() for name in run.calls})
    where = f"{len(runs)} runs" if len(runs) != 1 else str(next(iter(runs.values())).path)
    chosen = chosen_call(call, calls, where)
    runs = {name: run for name, run in runs.items() if chosen in run.calls}
    places = {name: run._call_lines(chosen) for name, run in runs.items()}
    frame = together({name: own.frame for name, own in places.items()})
    labels = list(dict.fromkeys(label for run in runs.values() for label in run.labels_of(chosen)))
    _check_metric(metric, frame, labels, chosen, where)
    configs = {name: dict(_flat(run.info.get("config"))) for name, run in runs.items()}
    keys = list(dict.fromkeys(key for config in configs.values() for key in config))
    if by is None:
        changing = {label for own in places.values() for label in own.changing}
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
    axes = [frame[name] for name in (RUN, "lane", "step", "env_step") if name in frame.columns]
    statistic = _statistic(metric, runs, places, chosen)
    values = frame[metric].cast(pl.Float64).alias(VALUE)
    if statistic == "nonfinite":  # its key is left out where there were none
        values = values.fill_null(0.0)
    told = pl.DataFrame([*axes, *columns, values])
    count = count_column(metric, frame.columns)
    left_out = pl.lit(0) if count is None else frame[count].fill_null(0)
    told = told.with_columns(left_out.cast(pl.Int64).alias(NONFINITE))
    notes = tuple(f"{name}: {words}" for name, own in places.items() for words in own.words())
    return Values(
        told,
        tuple(called[n] for n in names),
        tuple(called[n] for n in extra),
        statistic,
        frozenset(name for name, run in runs.items() if run.is_unfinished),
        _brief(notes),
    )


def _statistic(
    metric: str, runs: Mapping[str, RunFrames], places: Mapping[str, CallLines], call: str
) -> str:
    """What a metric is, as the first run says that has it."""
    name = next(name for name, own in places.items() if metric in own.frame.columns)
    calls = runs[name].info.get("calls")
    described = calls.get(call) if isinstance(calls, Mapping) else None
    keys = Keys(described, of_episodes=EPISODE_COUNT in places[name].frame.columns)
    return keys[metric].statistic


def _brief(notes: Sequence[str]) -> tuple[str, ...]:
    """The first few of some notes, and how many there are more."""
    if len(notes) <= _MOST_NOTES:
        return tuple(notes)
    return (*notes[:_MOST_NOTES], f"and {len(notes) - _MOST_NOTES} notes like these")


def named(by: Sequence[str], key: Sequence[Any]) -> str:
    """A group in words.

    >>> named(("learning_rate", "run"), (0.001, "ppo"))
    'learning_rate 0.001, ppo'
    """
    words = [
        _worded(v) if name == RUN else f"{name} {_worded(v)}"
        for name, v in zip(by, key, strict=True)
    ]
    return ", ".join(words)


def _worded(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def is_seed(name: str) -> bool:
    """Whether a label or a key tells only of the random numbers.

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
        return "and there is none"
    close = difflib.get_close_matches(name, known, 1)
    close = close or [other for other in known if other.startswith(name)][:1]
    meant = f"; did you mean {close[0]!r}?" if close else ""
    shown = ", ".join(map(repr, known[:_SHOWN]))
    return f"expected one of {shown}{', …' if len(known) > _SHOWN else ''}{meant}"


def _default(
    frame: pl.DataFrame,
    labels: Sequence[str],
    keys: Sequence[str],
    configs: Mapping[str, Mapping[str, Any]],
    changing: Collection[str],
) -> list[str]:
    """What tells groups apart where the user says nothing; no label that changes along a lane."""
    differ = [
        name
        for name in labels
        if not is_seed(name) and name not in changing and frame[name].n_unique() > 1
    ]
    told = [
        key
        for key in keys
        if key not in labels
        and not is_seed(key)
        and len({orjson.dumps(config.get(key)) for config in configs.values()}) > 1
    ]
    if len(configs) > 1 and not told:
        seeds = {
            (
                tuple(orjson.dumps(configs[name].get(key)) for key in keys if is_seed(key)),
                tuple(tuple(part[label].unique().sort()) for label in labels if is_seed(label)),
            )
            for (name,), part in frame.partition_by(RUN, as_dict=True).items()
        }
        if len(seeds) == 1:
            told = [RUN]
    return [*told, *differ]


def _of_config(runs: pl.Series, key: str, configs: Mapping[str, Mapping[str, Any]]) -> pl.Series:
    """The value of a key for each row; as texts where runs have it in several types."""
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
    """The values of nested mappings, by their dotted names; of what is no mapping, none."""
    if not isinstance(config, Mapping):
        return
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{start}{key}.")
        else:
            yield f"{start}{key}", value
