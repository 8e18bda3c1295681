"""Groups of lanes and runs side by side: interquartile means, and how sure they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jaxlog._format.across_lanes import interquartile_mean
from jaxlog.caller import warn_caller
from jaxlog.explore.extra import needs_extra
from jaxlog.explore.finding import Where
from jaxlog.explore.intervals import CONFIDENCE, RESAMPLES, bootstrap_interval
from jaxlog.explore.run_data import RunData
from jaxlog.explore.runs_data import RunsData, read_runs

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

    from jaxlog.explore.groups import By

At = Literal["last"] | int | tuple[int, int]

_NUMBERS = ("iqm", "lower", "upper")
_COUNTS = ("scores", "tasks", "left_out")
_SCORE = "score"


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `jaxlog.compare` found.

    Attributes:
      frame: a row per group: the columns of `by`; `iqm`, the interquartile mean of its
        scores; `lower` and `upper`, the ends of its interval, null where no task has two scores;
        `scores` and `tasks`, how many; `left_out`, how many lanes had no finite score.
      scores: a row per score: the group, the task where there are several, `run`, `lane`, `score`.
      metric: what was compared.
      by: the columns that tell groups apart. A label or key that is called as one of the others
        is `labels.score`, `config.tasks`.
      task: the column that says of which task a score is; None for one task.
      normalized: whether scores were brought to a scale of their tasks.
      confidence: of the intervals.
    """

    frame: pl.DataFrame
    scores: pl.DataFrame
    metric: str
    by: tuple[str, ...]
    task: str | None
    normalized: bool
    confidence: float

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """A row per group: the interquartile mean and its interval, and a dot for each score.

        Args:
          ax: where to draw; None makes a figure.

        Raises:
          ModuleNotFoundError: matplotlib is missing; it comes with the extra `explore`.
        """
        with needs_extra("plots"):
            from jaxlog.explore.plotting import plot_comparison
        return plot_comparison(self, ax)

    def __repr__(self) -> str:
        return f"{self._words()}\n{self.frame}"

    def _repr_html_(self) -> str:
        return self.frame._repr_html_()

    def _words(self) -> str:
        return f"{self.metric}: interquartile means and {100 * self.confidence:.4g} % intervals"


def compare(
    runs: RunsData | RunData | Where | Iterable[Where],
    metric: str,
    *,
    call: str | None = None,
    at: At = "last",
    by: By = None,
    task: str | None = None,
    normalize: tuple[float, float] | Mapping[Any, tuple[float, float]] | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """The interquartile mean of each group of lanes, with a stratified bootstrap interval.

    Each lane of each run has one score. Lanes that differ in nothing but their seed are a group.
    Few seeds make unsure means; intervals that overlap widely tell no winner. As R. Agarwal et al.,
    Deep Reinforcement Learning at the Edge of the Statistical Precipice (NeurIPS 2021), propose,
    the mean leaves out the lowest and the highest quarter of all scores of a group, and the
    interval comes from drawing its runs anew, within each task by itself (`docs/explore.md`).

    Args:
      runs: what was read, or what `read_runs` takes.
      metric: the name of a metric: `episode_return_mean`.
      call: that logged it, as in `RunData.metrics_of`.
      at: which value of a lane is its score: `last`, the last it has; that of a step; or, for
        `(first, last)`, the mean of those between two steps, both included.
      by: what tells groups apart: names of labels, of keys of the runs' `config`, `run` or `lane`.
        None stands for all labels and keys that have several values, but for seeds (those whose
        name is or ends in `seed`); and for `run`, where runs differ in no key and have the same
        seeds.
      task: the name of the label or key that says what a lane was trained on. Scores of each task
        are drawn by themselves; all count alike, so they have to be on one scale.
      normalize: brings them there: for each task, what counts as 0 and what as 1; or the same for
        all.
      confidence: how often the interval is to hold the true value.
      resamples: how often runs are drawn anew.
      seed: of these draws; the same seed gives the same intervals.

    Raises:
      FileNotFoundError: there is no run.
      LookupError: there is no such metric, call, step, name or task; the text says what there is;
        or no lane has a finite score.
      ModuleNotFoundError: polars is missing; it comes with the extra `explore`.
      TypeError: the metric is no number.
      ValueError: `confidence` or `resamples` is out of range, or `normalize` has no two numbers for
        a task, or one twice.

    Warns:
      UserWarning: lanes have no finite score and are left out: those that are may be the worst.

    >>> import tempfile
    >>> import jaxlog
    >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     lanes = [{"rate": rate, "seed": seed} for rate in (0.1, 0.2) for seed in range(8)]
    ...     with logger.open(directory, lanes=lanes) as run:
    ...         run.log({"return": [100 * lane["rate"] + lane["seed"] for lane in lanes]}, step=0)
    ...     found = jaxlog.compare(directory, "return")
    >>> found.frame.select("rate", "iqm", "scores").rows()
    [(0.1, 13.5, 8), (0.2, 23.5, 8)]
    """
    with needs_extra("comparisons"):
        import polars as pl

        from jaxlog.explore.groups import Values, named, values_of
    read = runs if isinstance(runs, RunData | RunsData) else read_runs(runs)
    taken = (*_NUMBERS, *_COUNTS, _SCORE)
    values = values_of(read.by_name(), metric, call, by, () if task is None else (task,), taken)
    task = next(iter(values.extra), None)
    scores = _scores(values.frame, at, [*values.by, *values.extra], metric)
    if normalize is not None:
        scores = scores.with_columns(_normalized(scores, task, normalize))
    rows: list[tuple[Any, ...]] = []
    for key, every in Values(scores, values.by).groups():
        found = every.filter(pl.col("score").is_finite())
        parts = [found] if task is None else found.partition_by(task, maintain_order=True)
        strata = [part["score"].to_numpy() for part in parts if len(part)]
        if len(found) < len(every):
            group = f" of {named(values.by, key)}" if key else ""
            warn_caller(
                f"{metric}: {len(every) - len(found)} of {len(every)} lanes{group} have no finite "
                "score and are left out of the comparison; they may be the worst"
            )
        middle, ends = None, (None, None)
        if strata:
            middle = float(interquartile_mean(np.concatenate(strata)))
            lower, upper = bootstrap_interval(
                strata, confidence=confidence, resamples=resamples, seed=seed
            )
            ends = (float(lower), float(upper)) if np.isfinite(lower) else ends
        rows.append((*key, middle, *ends, len(found), len(strata), len(every) - len(found)))
    types = {name: scores.schema[name] for name in values.by}
    numbers = dict.fromkeys(_NUMBERS, pl.Float64())
    counts = dict.fromkeys(_COUNTS, pl.Int64())
    frame = pl.DataFrame(rows, schema=types | numbers | counts, orient="row")
    if frame["iqm"].null_count() == len(frame):
        raise LookupError(f"{metric!r}: got no finite score of any lane, expected one at least")
    return Comparison(frame, scores, metric, values.by, task, normalize is not None, confidence)


def _scores(frame: pl.DataFrame, at: At, columns: Sequence[str], metric: str) -> pl.DataFrame:
    """A row per lane, with its `score`: NaN or null where it has none."""
    import polars as pl

    from jaxlog.explore.groups import VALUE

    steps, value, there = frame["step"], pl.col(VALUE), True
    match at:
        case "last":
            score = value.drop_nulls().last()
        case (int() | np.integer() as first, int() | np.integer() as last):
            score = value.filter(pl.col("step").is_between(first, last)).mean()
            there = steps.is_between(first, last).any()
        case int() | np.integer():
            score = value.filter(pl.col("step") == at).last()
            there = (steps == at).any()
        case _:
            raise TypeError(f"at: got {at!r}, expected 'last', a step, or (first, last)")
    if not there:
        raise LookupError(
            f"{metric!r}: got at={at!r}, and there is no line; expected steps between "
            f"{steps.min()} and {steps.max()}"
        )
    keys = list(dict.fromkeys([*columns, "run", "lane"]))
    return (
        frame.sort("step").group_by(keys, maintain_order=True).agg(score.alias(_SCORE)).sort(keys)
    )


def _normalized(
    scores: pl.DataFrame,
    task: str | None,
    bounds: tuple[float, float] | Mapping[Any, tuple[float, float]],
) -> pl.Series:
    """The scores, with what counts as 0 at 0 and what counts as 1 at 1."""
    if isinstance(bounds, Mapping):
        if task is None:
            raise TypeError("normalize: got bounds by task, expected task= to say what they are of")
        missing = [key for key in scores[task].unique().sort() if key not in bounds]
        if missing:
            raise LookupError(
                f"normalize: got no bounds of the task {missing[0]!r}, expected (what counts as 0, "
                "what counts as 1) of each"
            )
        of_rows = [bounds[key] for key in scores[task]]
    else:
        of_rows = [bounds] * len(scores)
    for pair in of_rows:
        if np.shape(pair) != (2,) or not np.isfinite(pair).all():
            raise ValueError(
                f"normalize: got {pair!r}, expected (what counts as 0, what counts as 1)"
            )
    low, high = np.array(of_rows, np.float64).reshape(-1, 2).T
    if (low == high).any():
        raise ValueError("normalize: got the same for 0 and for 1, expected two different scores")
    return ((scores["score"] - low) / (high - low)).alias("score")
