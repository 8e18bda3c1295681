"""Reduces the lines of a call to one row per lane and step.

A lane is identified by its number; if lanes share a number, also by their labels. Lines of the same
lane and step are merged if they have different metrics. A line that repeats a metric replaces the
earlier lines.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from jaxlog._reading.columns import TableFrame
from jaxlog._reading.layouts import LANES
from jaxlog._text import counted

_MOST_LABELS = 6
"""If more labels differ within a step, all of them identify a lane: subsets would be too many."""


@dataclass(frozen=True)
class CallLines:
    """The lines of a call, by lane and step.

    Attributes:
      frame: a row per lane and step, in the order of the lines.
      labels: the columns that are labels.
      replaced: the number of lines left out because a later line of the same lane and step replaced
        them.
      identifying: the labels that distinguish lanes of the same number. In `frame`, these lanes
        have new numbers.
      changing: the labels that change along a lane.
    """

    frame: pl.DataFrame
    labels: tuple[str, ...]
    replaced: int = 0
    identifying: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()

    def warnings(self) -> Iterator[str]:
        """Yields a warning for each decision that a user has to know about."""
        if self.identifying:
            names = " and ".join(map(repr, self.identifying))
            yield (
                f"lines of the same step and lane number differ in the label {names}; each value "
                "is read as a separate lane"
            )
        if self.replaced:
            lines = counted(self.replaced, "line was", "lines were")
            yield (
                f"{lines} replaced by a later line of the same step and lane; if a loop runs "
                "again, continue its steps or give each pass a label; run.metrics has all lines"
            )
        if self.changing:
            names = " and ".join(map(repr, self.changing))
            yield (
                f"the label {names} changes along a lane; the lane is counted once, with the last "
                "value of the label"
            )


def lines_of_call(table: TableFrame) -> CallLines:
    """Reduces the metrics of a call to one row per lane and step.

    Args:
      table: the metrics of the call.
    """
    frame, labels = table.frame, list(table.labels)
    identifying: tuple[str, ...] = ()
    replaced = 0
    if _has_repeats(frame):
        identifying = _identifying_labels(frame, labels)
        if identifying:
            frame = frame.with_columns(_lane_numbers(frame, identifying))
        frame, replaced = _one_row_each(frame, labels)
    changing = [label for label in labels if values_by_lane(frame, label).varies.any()]
    return CallLines(frame, table.labels, replaced, identifying, tuple(changing))


class LabelValues(NamedTuple):
    """The values of a label in each lane, the lanes in the order of their numbers.

    Attributes:
      first: the first value that is not null; null if there is none.
      varies: bool, whether there are others.
    """

    first: pl.Series
    varies: np.ndarray


def values_by_lane(frame: pl.DataFrame, label: str) -> LabelValues:
    """Returns the values of a label in each lane of a frame."""
    column = frame[label]
    lanes, lane = np.unique(frame["lane"].to_numpy(), return_inverse=True)
    (known,) = np.nonzero(column.is_not_null().to_numpy())
    rows = np.full(len(lanes), len(column))
    rows[lane[known[::-1]]] = known[::-1]  # the last assignment counts
    first = pl.concat([column, column.clear(1)]).gather(rows)
    others = known[(column != first.gather(lane)).gather(known).to_numpy()]
    varies = np.zeros(len(lanes), bool)
    varies[lane[others]] = True
    return LabelValues(first, varies)


def _has_repeats(frame: pl.DataFrame) -> bool:
    """True if two rows have the same lane and step."""
    lane, step = (frame[name].to_numpy() for name in ("lane", "step"))
    is_later = (step[1:] > step[:-1]) | ((step[1:] == step[:-1]) & (lane[1:] > lane[:-1]))
    if is_later.all():  # lines that arrive in their order
        return False
    order = np.lexsort((lane, step))
    lane, step = lane[order], step[order]
    return bool(((step[1:] == step[:-1]) & (lane[1:] == lane[:-1])).any())


def _identifying_labels(frame: pl.DataFrame, labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the fewest labels that distinguish the lines of a step as well as all labels do."""
    by_step = frame.group_by("lane", "step").agg(pl.col(labels).drop_nulls().n_unique())
    different = [label for label in labels if (by_step[label] > 1).any()]
    if not different or len(different) > _MOST_LABELS:
        return tuple(different)
    every = frame.n_unique(["lane", "step", *different])
    for size in range(1, len(different)):
        found = [
            (frame.n_unique(["lane", *chosen]), chosen)
            for chosen in itertools.combinations(different, size)
            if frame.n_unique(["lane", "step", *chosen]) == every
        ]
        if found:
            # A label that changes along a lane would split it: the fewest lanes are right.
            return min(found, key=lambda pair: pair[0])[1]
    return tuple(different)


def _lane_numbers(frame: pl.DataFrame, labels: Sequence[str]) -> pl.Series:
    """Gives each lane its own number: the first lane keeps it, others get unused numbers."""
    lanes = frame.select("lane", *labels).unique(maintain_order=True)
    several = lanes.with_columns(
        (pl.col("lane") + pl.int_range(pl.len()).over("lane") * (frame["lane"].max() + 1)).alias(  # type: ignore[operator]
            "number"
        )
    )
    return frame.join(
        several, ["lane", *labels], "left", nulls_equal=True, maintain_order="left"
    )["number"].alias("lane")  # fmt: skip


def _one_row_each(frame: pl.DataFrame, labels: Sequence[str]) -> tuple[pl.DataFrame, int]:
    """Returns one row per lane and step, and the number of lines that were replaced."""
    others = {*LANES.own, *labels}
    values = [name for name in frame.columns if name not in others]
    group = frame.select(pl.struct("lane", "step").rank("dense").cast(pl.Int64) - 1)
    group = group.to_series().to_numpy()
    has = np.stack([frame[name].is_not_null().to_numpy() for name in frame.columns], axis=1)
    is_value = np.array([name in values for name in frame.columns])
    order = np.argsort(group, kind="stable")
    first_lines = order[_begins(group[order])]
    order = _without_replaced(order, group, has & is_value)
    replaced = len(group) - len(order)
    begins = _begins(group[order])
    turn = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    # The row that each value is taken from; len(frame) for none.
    picked = np.full((len(begins), len(frame.columns)), len(frame))
    lines = np.zeros(len(begins), np.int64)
    by_turn = np.argsort(turn, kind="stable")
    for rows in np.split(order[by_turn], _begins(turn[by_turn])[1:]):
        groups = group[rows]
        repeats = ((picked[groups] < len(frame)) & has[rows] & is_value).any(axis=1)
        replaced += int(lines[groups[repeats]].sum())
        lines[groups[repeats]] = 0
        picked[groups[repeats]] = len(frame)
        picked[groups] = np.where(has[rows], rows[:, None], picked[groups])
        lines[groups] += 1
    picked = picked[np.argsort(first_lines)]  # in the order of the lines
    with_none = frame.clear(1)
    columns = [
        pl.concat([frame[name], with_none[name]]).gather(rows)
        for name, rows in zip(frame.columns, picked.T, strict=True)
    ]
    return pl.DataFrame(columns), replaced


def _begins(numbers: np.ndarray) -> np.ndarray:
    """Returns the index at which each stretch of equal numbers begins."""
    return np.flatnonzero(np.diff(numbers, prepend=-1))


def _without_replaced(order: np.ndarray, group: np.ndarray, has: np.ndarray) -> np.ndarray:
    """Drops the rows before a row that repeats a value of the row just before it.

    Such a row replaces all earlier rows of its group. This is the most common case, and it needs no
    loop over the rows of a group.

    Args:
      order: indices of rows, sorted by group, then in the order of their lines.
      group: the group of each row.
      has: for each row, which values it has; of shape (row, column).

    Returns:
      `order` without the dropped rows.
    """
    ordered, groups = has[order], group[order]
    repeats = np.zeros(len(order), bool)
    repeats[1:] = (ordered[1:] & ordered[:-1]).any(axis=1) & (groups[1:] == groups[:-1])
    begins = _begins(groups)
    last = np.maximum.reduceat(np.where(repeats, np.arange(len(order)), 0), begins)
    start = np.repeat(np.maximum(last, begins), np.diff(begins, append=len(order)))
    return order[np.arange(len(order)) >= start]
