"""Compares groups of lanes: their interquartile means, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from jaxlog._analysis.choices import At, Diverged, Unfinished
from jaxlog._analysis.intervals import CONFIDENCE, RESAMPLES, bootstrap_interval
from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.runs_data import RunsData, read_runs
from jaxlog._caller import warn_caller
from jaxlog._format.across_lanes import interquartile_mean
from jaxlog._reading.extra import needs_extra
from jaxlog._reading.finding import Where

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

    from jaxlog._analysis.groups import By, Values
    from jaxlog._analysis.scores import Scores

_NUMBERS = ("iqm", "lower", "upper")
_METHOD = "interval"
_COUNTS = ("scores", "tasks", "alive", "diverged", "unfinished", "left_out")
_OF_LANES = ("score", "partial")
_NAMED = 6
"""The most groups or runs that a note names."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """The result of `jaxlog.compare`.

    Attributes:
      frame: a polars frame with a row per group and these columns:

        - the columns of `by`;
        - `iqm`: the interquartile mean of the group's scores;
        - `lower`, `upper`: its interval, null if no task has two scores;
        - `interval`: the bootstrap method, `BCa`, or `percentile` if BCa gives no interval;
        - `scores`, `tasks`: the number of scores and of tasks;
        - `alive`, `diverged`: the number of lanes with a finite value, and of those without;
        - `unfinished`: the number of lanes whose run has not finished and ends before the others;
        - `left_out`: the number of lanes without a score.
      scores: a polars frame with a row per lane: the group; the task, if there are several; `run`
        and `lane`; `score`, null or NaN if it is left out; and the bools `alive`, `diverged` and
        `unfinished`.
      metric: the metric that was compared.
      by: the columns that define the groups. A label or key whose name is that of another column
        is called `labels.score` or `config.tasks`.
      task: the column with the task of each score; None for a single task.
      normalized: True if the scores were normalized by task.
      confidence: the confidence level of the intervals.
      notes: a sentence for each decision about lanes that diverged, runs that have not finished,
        and values that are not finite.
    """

    frame: pl.DataFrame
    scores: pl.DataFrame
    metric: str
    by: tuple[str, ...]
    task: str | None
    normalized: bool
    confidence: float
    notes: tuple[str, ...] = ()

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Plots a row per group: its interquartile mean and interval, and a dot for each score.

        A cross marks a lane that has diverged. If not all lanes of a group are alive, their number
        is below its name. Of more than 40 groups, the 20 that score highest and the 20 that score
        lowest are shown, and the caption says how many are left out; `frame` has all of them.

        Args:
          ax: the axes to draw on; None makes a new figure.

        Returns:
          The axes.

        Raises:
          ModuleNotFoundError: matplotlib is missing; it comes with the extra `explore`.
        """
        with needs_extra("plots"):
            from jaxlog._analysis.comparison_plot import plot_comparison
        return plot_comparison(
            self.frame,
            self.scores,
            ax,
            metric=self.metric,
            by=self.by,
            normalized=self.normalized,
            confidence=self.confidence,
            notes=self.notes,
        )

    def __repr__(self) -> str:
        return "\n".join((self._words(), *self.notes, str(self.frame)))

    def _repr_html_(self) -> str:
        from jaxlog._analysis.html_tables import frame_html

        columns = {name: self.frame[name].to_list() for name in self.frame.columns}
        return frame_html(self._words(), columns, self.notes)

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
    diverged: Diverged = "worst",
    unfinished: Unfinished = "leave_out",
    higher_is_better: bool | None = None,
    normalize: tuple[float, float] | Mapping[Any, tuple[float, float]] | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compares groups of lanes by their interquartile means, with stratified bootstrap intervals.

    Each lane of each run has one score. By default, lanes that differ only in their seed form a
    group. If the intervals of two groups overlap widely, the comparison has no winner: add seeds.

    The method is that of R. Agarwal et al., Deep Reinforcement Learning at the Edge of the
    Statistical Precipice (NeurIPS 2021). The mean leaves out the lowest and the highest quarter of
    all scores of a group. For the interval, lanes are resampled within each task. The interval is
    the bias-corrected and accelerated one (BCa) of `scipy.stats.bootstrap`; if few scores differ
    and BCa gives none, it is the percentile interval. With few seeds it is too narrow: for five
    normal scores, a 95 % interval contains the true mean in 89 of 100 experiments
    (`docs/explore.md`).

    Args:
      runs: the result of `read_runs` or `read_run`, or an argument for `read_runs`.
      metric: the key of the metric, such as `episode_return_mean`.
      call: the call that logged it, as in `RunData.metrics_of`.
      at: the value of a lane that is its score: `last` for the last one; an integer for the value
        at that step; `(first, last)` for the mean of the values at these steps and between. Missing
        values (no episode ended) are skipped. A lane has diverged if the last of these values is
        not finite, or, for `(first, last)`, if any of them is not finite.
      by: the labels, keys of the runs' `config`, `run` or `lane` that define the groups. None
        selects all labels and keys with several values, except seeds (names that are or end in
        `seed`); and `run`, if the runs differ in no key and have the same seeds.
      task: the label or key that says which task a lane was trained on. Lanes are resampled within
        each task. All scores have equal weight, so they must be on the same scale.
      diverged: the score of a lane that has diverged. `worst`: the worst finite score in its task;
        `leave_out`: no score, so that only the lanes that are alive count; `keep_last`: the mean of
        its finite values at the steps of `at`, or else its last finite value before them.
      unfinished: the treatment of lanes that end before the lanes of finished runs, because their
        run is live or was killed, failed, stopped or interrupted. `leave_out`: they are left out;
        if no run has finished, `common_step` is used. `common_step`: all lanes are compared at the
        last step that all of them have. `keep_last`: they are compared by their last value, or by
        their values between the steps of `at`.
      higher_is_better: False if the highest score, after `normalize`, is the worst. None: True,
        unless the metric's name ends in a word like `loss`, `error`, `cost` or `regret` (a
        statistic may follow) and there is no `normalize`.
      normalize: for each task, the score that becomes 0 and the score that becomes 1; or one such
        pair for all tasks.
      confidence: the confidence level of the intervals, between 0 and 1.
      resamples: the number of bootstrap resamples.
      seed: the seed of the resampling; the same seed gives the same intervals.

    Raises:
      FileNotFoundError: there is no run.
      LookupError: there is no such metric, call, step, name or task (the text lists those there
        are), or no lane has a finite score.
      ModuleNotFoundError: polars is missing; it comes with the extra `explore`.
      TypeError: the metric is not a number.
      ValueError: `confidence` or `resamples` is out of range, or `normalize` does not have two
        different finite numbers for a task.

    Warns:
      UserWarning: lanes have diverged; runs have not finished; lanes without a score are left out;
        lines were replaced; or a label changes along a lane. `Comparison.notes` has the same texts.

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

        from jaxlog._analysis.groups import Values, values_of
        from jaxlog._analysis.scores import less_is_better, scores_of, with_the_worst
    _check_choice("diverged", diverged, Diverged)
    _check_choice("unfinished", unfinished, Unfinished)
    read = runs if isinstance(runs, RunData | RunsData) else read_runs(runs)
    by_name = read.by_name()
    taken = (*_NUMBERS, _METHOD, *_COUNTS, *_OF_LANES)
    values = values_of(by_name, metric, call, by, () if task is None else (task,), taken)
    task = next(iter(values.extra), None)
    columns = [*values.by, *values.extra]
    found = scores_of(values.frame, by_name, at, columns, metric, diverged, unfinished)
    scores = found.frame
    if normalize is not None:
        scores = scores.with_columns(_normalized(scores, task, normalize))
    higher = higher_is_better
    if higher is None:
        higher = normalize is not None or not less_is_better(metric)
    if diverged == "worst":
        scores = with_the_worst(scores, task, higher_is_better=higher)
    groups = Values(scores, values.by)
    notes = (*values.notes, *_notes(groups, found, task, at, diverged, unfinished, higher))
    for note in notes:
        warn_caller(f"{metric}: {note}")
    rows: list[tuple[Any, ...]] = []
    for key, every in groups.groups():
        finite = every.filter(pl.col("score").is_finite())
        parts = [finite] if task is None else finite.partition_by(task, maintain_order=True)
        strata = [part["score"].to_numpy() for part in parts if len(part)]
        middle, ends, method = None, (None, None), None
        if strata:
            middle = float(interquartile_mean(np.concatenate(strata)))
            lower, upper, percentile = bootstrap_interval(
                strata, confidence=confidence, resamples=resamples, seed=seed
            )
            if np.isfinite(lower):
                ends = (float(lower), float(upper))
                method = "percentile" if percentile else "BCa"
        of_lanes = (every[name].sum() for name in ("alive", "diverged", "unfinished"))
        left_out = len(every) - len(finite)
        rows.append((*key, middle, *ends, method, len(finite), len(strata), *of_lanes, left_out))
    types = {name: scores.schema[name] for name in values.by}
    numbers = dict.fromkeys(_NUMBERS, pl.Float64())
    counts = dict.fromkeys(_COUNTS, pl.Int64())
    schema = types | numbers | {_METHOD: pl.String()} | counts
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    if frame["iqm"].null_count() == len(frame):
        raise LookupError(f"{metric!r}: got no finite score of any lane, expected at least one")
    partial = scores["partial"].sum()
    if partial:
        notes = (
            *notes,
            f"values that are not finite are left out of the scores of {partial} lanes",
        )
    shown = scores.drop("left_out", "partial")
    return Comparison(
        frame, shown, metric, values.by, task, normalize is not None, confidence, notes
    )


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in get_args(choices):
        known = ", ".join(map(repr, get_args(choices)))
        raise ValueError(f"{name}: got {value!r}, expected one of {known}")


def _notes(
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
        yield (
            f"{dead} of {len(scores)} lanes have diverged ({_listed(groups, 'diverged')}); {policy}"
        )
    if found.unfinished:
        runs = [
            f"{name} ({status}, last step {end})"
            for name, (status, end) in found.unfinished.items()
        ]
        shown = ", ".join(runs[:_NAMED])
        more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
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
        yield f"{has_none.sum()} of {len(scores)} lanes have no value to compare and are left out"


def _listed(groups: Values, flag: str) -> str:
    """Lists the groups with marked lanes, and the number of these: `rate 0.1: 3 of 8`."""
    from jaxlog._analysis.groups import named

    words = [
        f"{named(groups.by, key)}: {rows[flag].sum()} of {len(rows)}"
        for key, rows in groups.groups()
        if rows[flag].any()
    ]
    words = [text.removeprefix(": ") for text in words]
    more = f"; {len(words) - _NAMED} more groups" if len(words) > _NAMED else ""
    return "; ".join(words[:_NAMED]) + more


def _normalized(
    scores: pl.DataFrame,
    task: str | None,
    bounds: tuple[float, float] | Mapping[Any, tuple[float, float]],
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
    for pair in of_rows:
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
