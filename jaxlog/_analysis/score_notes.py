"""Sentences about the lanes of a comparison, and the normalization of their scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import polars as pl

from jaxlog._analysis.choices import At, Diverged, Unfinished
from jaxlog._analysis.groups import Values, is_seed, named
from jaxlog._analysis.scores import Scores
from jaxlog._format.columnar import RUN
from jaxlog._text import counted

NAMED = 6
"""The most groups or runs that a note names."""
FEW = 5
"""With fewer scores than this, an interval is much too narrow."""


Bounds = tuple[float, float] | Mapping[Any, tuple[float, float]]
"""The scores that become 0 and 1: for all tasks, or for each task."""


def lane_notes(
    groups: Values,
    found: Scores,
    task: str | None,
    at: At,
    diverged: Diverged,
    unfinished: Unfinished,
    higher: bool,
) -> Iterator[str]:
    """Yields a sentence for each kind of lane that has no score, or a score by convention."""
    scores = groups.frame
    dead = scores["diverged"].sum()
    if dead:
        end, name = ("lowest", "higher") if higher else ("highest", "lower")
        of_all = "of its task" if task is not None else "of all"
        policy = {
            "worst": f"each gets the worst score {of_all}, the {end}, since {name} is better",
            "leave_out": "they are left out; only lanes that are alive count",
            "keep_last": "each is compared by its last finite values",
        }[diverged]
        of = counted(len(scores), "lane has", "lanes have")
        yield f"{dead:,} of {of} diverged ({_listed(groups, 'diverged')}); {policy}"
    if found.unfinished:
        runs = [
            f"{name} ({status}, last step {end})"
            for name, (status, end) in found.unfinished.items()
        ]
        shown = ", ".join(runs[:NAMED])
        more = f" and {len(runs) - NAMED} more" if len(runs) > NAMED else ""
        if found.step is not None:
            policy = f"all lanes are compared at step {found.step}, the last that all of them have"
        elif unfinished == "keep_last":
            policy = "their lanes are compared by the values they have"
        elif at == "last":
            policy = "their lanes are left out; unfinished='common_step' compares all at one step"
        else:
            policy = "their lanes are left out; they end before the steps that are compared"
        yield f"runs that have not finished: {shown}{more}; {policy}"
    has_none = scores["score"].is_null() & ~scores["left_out"] & ~scores["diverged"]
    if has_none.any():
        one = "lane has no value to compare and is"
        many = "lanes have no value to compare and are"
        yield f"{has_none.sum():,} of {counted(len(scores), one, many)} left out"


def group_notes(
    groups: Values, configs: Mapping[str, Mapping[str, Any]], task: str | None, *, few: bool
) -> Iterator[str]:
    """Yields a sentence if groups differ in more than what they are named by, or have few scores.

    Args:
      groups: the scores by group.
      configs: the config of each run, by dotted names.
      task: the column of the task.
      few: True to say which groups have few scores.
    """
    every = list(groups.groups())
    named_by = {name.removeprefix("config.") for name in (*groups.by, *([task] if task else ()))}
    if len(every) > 1 and not {RUN, "lane"} & set(groups.by):
        others: list[str] = []
        for name in dict.fromkeys(name for config in configs.values() for name in config):
            if name in named_by or is_seed(name):
                continue
            values = [
                {orjson.dumps(configs[run].get(name)) for run in rows[RUN].unique()}
                for _, rows in every
            ]
            if any(own != values[0] for own in values):
                others.append(name)
        if others:
            shown = ", ".join(others[:NAMED]) + (", …" if len(others) > NAMED else "")
            yield (
                f"the groups differ in more than {', '.join(groups.by) or 'nothing'}: also in "
                f"{shown}, which may be the reason for a difference"
            )
    if few:
        finite = [(key, int(rows["score"].is_finite().sum())) for key, rows in every]
        words = [f"{named(groups.by, key)}: {n}" for key, n in finite if 0 < n < FEW]
        if words:
            yield (
                f"some groups have fewer than {FEW} scores ({_the_first(words)}), so "
                "that intervals are much too narrow: add seeds"
            )


def _listed(groups: Values, flag: str) -> str:
    """Lists the groups with marked lanes, and the number of these: `rate 0.1: 3 of 8`."""
    words = [
        f"{named(groups.by, key)}: {rows[flag].sum()} of {len(rows)}"
        for key, rows in groups.groups()
        if rows[flag].any()
    ]
    return _the_first([text.removeprefix(": ") for text in words])


def _the_first(words: Sequence[str]) -> str:
    """The first of some texts, one for each group, and the number of the others."""
    left = counted(len(words) - NAMED, "more group")
    return "; ".join([*words[:NAMED], *([left] if len(words) > NAMED else [])])


def normalized(
    scores: pl.DataFrame,
    task: str | None,
    bounds: Bounds,
) -> pl.Series:
    """Scales scores linearly, so that the first score of `bounds` is 0 and the second is 1."""
    if isinstance(bounds, Mapping):
        if task is None:
            raise TypeError(
                "normalize: got bounds by task, expected task= with the name of a label or key"
            )
        missing = [key for key in scores[task].unique().sort() if key not in bounds]
        if missing:
            raise LookupError(
                f"normalize: got no bounds for the task {missing[0]!r}, expected (score that "
                "becomes 0, score that becomes 1) for each"
            )
        of_rows = [bounds[key] for key in scores[task]]
    else:
        of_rows = [bounds] * len(scores)
    for pair in {id(one): one for one in of_rows}.values():
        if np.shape(pair) != (2,) or not np.isfinite(pair).all():
            raise ValueError(
                f"normalize: got {pair!r}, expected (score that becomes 0, score that becomes 1)"
            )
    low, high = np.array(of_rows, np.float64).reshape(-1, 2).T
    if (low == high).any():
        raise ValueError(
            "normalize: got the same score for 0 and for 1, expected two different scores"
        )
    return ((scores["score"] - low) / (high - low)).alias("score")
