"""Computes the score of each lane, and whether it is alive, diverged or unfinished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from jaxlog._analysis.choices import At, Diverged, Unfinished
from jaxlog._analysis.groups import NONFINITE, VALUE
from jaxlog._format.columnar import RUN
from jaxlog._format.keys import STATISTICS, quantile
from jaxlog._reading.run_frames import RunFrames

SCORE = "score"
ALIVE = "alive"
DIVERGED = "diverged"
UNFINISHED = "unfinished"
LEFT_OUT = "left_out"
PARTIAL = "partial"
_FATE = "jaxlog.fate"
_KEPT = "jaxlog.kept"

_LESS_IS_BETTER = {
    "loss", "error", "cost", "regret", "perplexity", "nll", "mse", "mae", "rmse",
}  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """The score of each lane, before diverged lanes get the worst score.

    Attributes:
      frame: a row per lane: the group, the task, `run`, `lane`, `score` (null or NaN if it has
        none), and the bools `alive`, `diverged`, `unfinished`, `left_out` (the lane is not compared
        because its run has not finished) and `partial` (its score was computed without values that
        were not finite).
      step: the last step that is compared, if runs have not finished; None for each lane's last.
      unfinished: the status and the last step of each run that has not finished.
    """

    frame: pl.DataFrame
    step: int | None
    unfinished: Mapping[str, tuple[str, int]]


def less_is_better(metric: str) -> bool:
    """True if lower values of a metric are better, by its name.

    >>> less_is_better("value_loss"), less_is_better("td_error_mean"), less_is_better("return")
    (True, True, False)
    >>> less_is_better("td_error_p95"), less_is_better("td_error_count")
    (True, False)
    """
    *words, last = metric.lower().replace("/", "_").replace(".", "_").split("_")
    is_statistic = last in STATISTICS or quantile(last) is not None
    word = words[-1] if words and is_statistic and last != "count" else last
    return word in _LESS_IS_BETTER


def scores_of(
    frame: pl.DataFrame,
    runs: Mapping[str, RunFrames],
    at: At,
    columns: Sequence[str],
    metric: str,
    diverged: Diverged,
    unfinished: Unfinished,
) -> Scores:
    """Computes the score of each lane.

    Args:
      frame: as in `groups.Values`.
      runs: the runs by their names.
      at: as in `compare`.
      columns: the columns of groups and tasks. If one changes along a lane, its last value counts.
      metric: the name of the metric, for errors.
      diverged: as in `compare`; with `worst`, diverged lanes have no score yet.
      unfinished: as in `compare`.

    Raises:
      LookupError: there is no line at the steps of `at`.
      TypeError: `at` has another form.
    """
    first, last = _window(at)
    steps, step = frame["step"], pl.col("step")
    if last is not None and not steps.is_between(first, last).any():
        raise LookupError(
            f"{metric!r}: got at={at!r}, where there is no line; expected steps between "
            f"{steps.min()} and {steps.max()}"
        )
    late = [name for name, run in runs.items() if run.is_unfinished]
    ends = frame.group_by(RUN, "lane").agg(step.max())
    # A run that failed after its training has the same steps as the finished runs.
    target = ends.filter(~pl.col(RUN).is_in(late))["step"].max()
    is_late = pl.col(RUN).is_in(late) & (True if target is None else step < target)
    behind = ends.filter(is_late)
    common = None
    # If no run has finished, `leave_out` would leave no lane.
    is_common = unfinished == "common_step" or (unfinished == "leave_out" and target is None)
    if last is None and is_common and len(behind) and ends["step"].n_unique() > 1:
        common = ends["step"].min()
    if last is None:
        upto = pl.lit(value=True) if common is None else step <= common
        score = _values(upto).last()
        fate = _values().last()  # a lane may diverge after the common step
        kept = _values(upto, finite=True).last()
        partial = pl.col(NONFINITE).filter(upto & pl.col(VALUE).is_finite()).last() > 0
        is_out = pl.lit(target is not None) & is_late
    else:
        inside = step.is_between(first, last)
        score = _values(inside).mean()  # not finite if any value is not
        fate = pl.coalesce(score, _values(step < first).last())
        kept = _values(inside, finite=True).mean()
        kept = pl.coalesce(kept, _values(step < first, finite=True).last())
        partial = (pl.col(NONFINITE).filter(inside & pl.col(VALUE).is_finite()) > 0).any()
        is_out = is_late & (step < last)
    keys = list(dict.fromkeys([*columns, RUN, "lane"]))
    own = [pl.col(key).drop_nulls().last() for key in keys if key not in (RUN, "lane")]
    names = (SCORE, _FATE, _KEPT, PARTIAL)
    found = frame.sort("step", maintain_order=True).group_by(RUN, "lane").agg(
        *own,
        *(e.alias(name) for e, name in zip((score, fate, kept, partial), names, strict=True)),
        step.max(),
    )  # fmt: skip
    fate = pl.col(_FATE)
    found = found.with_columns(
        (fate.is_not_null() & fate.is_finite()).alias(ALIVE),
        (fate.is_not_null() & ~fate.is_finite()).alias(DIVERGED),
        is_late.alias(UNFINISHED),
        (is_out & pl.lit(unfinished == "leave_out")).alias(LEFT_OUT),
    )
    dead = pl.lit(float("nan")) if diverged != "keep_last" else pl.col(_KEPT)
    found = found.with_columns(
        pl.when(LEFT_OUT)
        .then(None)
        .when(DIVERGED)
        .then(dead)
        .otherwise(SCORE)
        .cast(pl.Float64)
        .alias(SCORE)
    )
    if last is not None:
        behind = behind.filter(step < last)
    elif ends["step"].n_unique() == 1:
        behind = behind.clear()
    reached = behind.group_by(RUN).agg(step.max()).sort(RUN)
    of_runs = {name: (runs[name].status, end) for name, end in reached.rows()}
    flags = (SCORE, ALIVE, DIVERGED, UNFINISHED, LEFT_OUT, PARTIAL)
    return Scores(found.select(*keys, *flags).sort(keys), common, of_runs)  # type: ignore[arg-type]


def _window(at: At) -> tuple[int | None, int | None]:
    """Returns the first and the last step of `at`; None and None for the last value."""
    match at:
        case "last":
            return None, None
        case (int() | np.integer() as first, int() | np.integer() as last):
            return int(first), int(last)
        case int() | np.integer():
            return int(at), int(at)
        case _:
            raise TypeError(f"at: got {at!r}, expected 'last', a step, or (first, last)")


def _values(where: pl.Expr | None = None, *, finite: bool = False) -> pl.Expr:
    """Selects the values of the metric that are not missing, optionally only of some rows."""
    value = pl.col(VALUE)
    has = value.is_finite() if finite else value.is_not_null()
    return value.filter(has if where is None else has & where)


def with_the_worst(
    frame: pl.DataFrame, task: str | None, *, higher_is_better: bool
) -> pl.DataFrame:
    """Gives each diverged lane the worst score of its task.

    If no lane of a task has a finite score, its diverged lanes have none either.
    """
    compared = pl.col(SCORE).filter(pl.col(SCORE).is_finite() & ~pl.col(DIVERGED))
    worst = compared.min() if higher_is_better else compared.max()
    worst = worst if task is None else worst.over(task)
    dead = pl.col(DIVERGED) & ~pl.col(LEFT_OUT)
    return frame.with_columns(pl.when(dead).then(worst).otherwise(SCORE).alias(SCORE))
