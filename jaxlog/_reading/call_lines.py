"""One row for each lane and step of a call: which lines are of one lane, which replace others.

A lane is known by its number; lanes of one number, by their labels. Lines of one lane and step that
have different metrics belong together. One that has a metric of the line before it replaces that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from jaxlog._reading.columns import Table
from jaxlog._reading.layouts import LANES

_MOST_LABELS = 6
"""Of more labels that differ at one step, all identify a lane."""


@dataclass(frozen=True)
class CallLines:
    """The lines of a call, by lane and step.

    Attributes:
      frame: a row for each lane and step, in the order of the lines.
      labels: which of its columns are labels.
      replaced: how many lines are not in it, because a later one of the same lane and step
        replaces them.
      told_apart: labels that tell lanes of one number apart. These lanes have new numbers in
        `frame`.
      changing: labels that change along a lane.
    """

    frame: pl.DataFrame
    labels: tuple[str, ...]
    replaced: int = 0
    told_apart: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()

    def words(self) -> Iterator[str]:
        """What a reader has to know about it, a sentence for each."""
        if self.told_apart:
            names = " and ".join(map(repr, self.told_apart))
            yield (
                f"lines of one step and one lane number differ in the label {names}; each value is "
                "read as a lane of its own"
            )
        if self.replaced:
            yield (
                f"{self.replaced} lines were replaced by a later line of the same step and lane; "
                "where a loop begins anew, let its steps go on, or label each pass; run.metrics "
                "has all lines"
            )
        if self.changing:
            names = " and ".join(map(repr, self.changing))
            yield (
                f"the label {names} changes along a lane; the lane counts once, with the last "
                "value of the label"
            )


def lines_of_call(table: Table) -> CallLines:
    """The lines of a call, by lane and step.

    Args:
      table: the call's metrics.
    """
    frame, labels = table.frame, list(table.labels)
    told_apart: tuple[str, ...] = ()
    replaced = 0
    if frame.select(pl.struct("lane", "step").is_duplicated().any()).item():
        told_apart = _telling_apart(frame, labels)
        if told_apart:
            frame = frame.with_columns(_numbers(frame, told_apart))
        frame, replaced = _one_row_each(frame, labels)
    changing = [label for label in labels if _varies(frame, label, "lane")]
    return CallLines(frame, table.labels, replaced, told_apart, tuple(changing))


def _varies(frame: pl.DataFrame, label: str, *places: str) -> bool:
    """Whether a label has several values at some place."""
    several = frame.group_by(places).agg(pl.col(label).drop_nulls().n_unique().alias("n"))
    return bool((several["n"] > 1).any())


def _telling_apart(frame: pl.DataFrame, labels: Sequence[str]) -> tuple[str, ...]:
    """The fewest labels that tell apart what the labels of the lines of one step do."""
    different = [label for label in labels if _varies(frame, label, "lane", "step")]
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
            # A label that changes along the lanes makes more of them.
            return min(found, key=lambda of: of[0])[1]
    return tuple(different)


def _numbers(frame: pl.DataFrame, labels: Sequence[str]) -> pl.Series:
    """New lane numbers: of each number, the first lane keeps it, later ones follow all others."""
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
    """One row for each lane and step, and how many were replaced."""
    others = {*LANES.own, *labels}
    values = [name for name in frame.columns if name not in others]
    group = frame.select(pl.struct("lane", "step").rank("dense").cast(pl.Int64) - 1)
    group = group.to_series().to_numpy()
    has = np.stack([frame[name].is_not_null().to_numpy() for name in frame.columns], axis=1)
    is_value = np.array([name in values for name in frame.columns])
    order = np.argsort(group, kind="stable")
    first_lines = order[_begins(group[order])]
    order = _from_the_last_pass(order, group, has & is_value)
    replaced = len(group) - len(order)
    begins = _begins(group[order])
    turn = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    picked = np.full((len(begins), len(frame.columns)), len(frame))  # from which row; none yet
    lines = np.zeros(len(begins), np.int64)
    by_turn = np.argsort(turn, kind="stable")
    for rows in np.split(order[by_turn], _begins(turn[by_turn])[1:]):
        places = group[rows]
        again = ((picked[places] < len(frame)) & has[rows] & is_value).any(axis=1)
        replaced += int(lines[places[again]].sum())
        lines[places[again]] = 0
        picked[places[again]] = len(frame)
        picked[places] = np.where(has[rows], rows[:, None], picked[places])
        lines[places] += 1
    picked = picked[np.argsort(first_lines)]  # as the lines come
    with_none = frame.clear(1)
    columns = [
        pl.concat([frame[name], with_none[name]]).gather(rows)
        for name, rows in zip(frame.columns, picked.T, strict=True)
    ]
    return pl.DataFrame(columns), replaced


def _begins(numbers: np.ndarray) -> np.ndarray:
    """Where each stretch of equal numbers begins."""
    return np.flatnonzero(np.diff(numbers, prepend=-1))


def _from_the_last_pass(order: np.ndarray, group: np.ndarray, has: np.ndarray) -> np.ndarray:
    """Rows by group, without those before a row that replaces the row before it.

    Such a row replaces all before it, since what a group has by then is of one pass. This is what
    mostly happens, and it takes no loop over the rows of a group.

    Args:
      order: the rows, by group, in the order of their lines.
      group: of each row.
      has: of each row, which values it has.
    """
    ordered, groups = has[order], group[order]
    again = np.zeros(len(order), bool)
    again[1:] = (ordered[1:] & ordered[:-1]).any(axis=1) & (groups[1:] == groups[:-1])
    begins = _begins(groups)
    last = np.maximum.reduceat(np.where(again, np.arange(len(order)), 0), begins)
    start = np.repeat(np.maximum(last, begins), np.diff(begins, append=len(order)))
    return order[np.arange(len(order)) >= start]
