"""Groups of lanes and runs side by side: interquartile means, and how sure they are."""

from __future__ import annotations

import html
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
"""So many groups or runs a sentence names."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `jaxlog.compare` found.

    Attributes:
      frame: a row per group: the columns of `by`; `iqm`, the interquartile mean of its
        scores; `lower` and `upper`, the ends of its interval, null where no task has two scores;
        `interval`, the bootstrap method they come from: `BCa`, or `percentile` where BCa has none;
        `scores` and `tasks`, how many; and counts of lanes: `alive`, whose value is finite;
        `diverged`, whose value is not; `unfinished`, whose run has not finished and ends before the
        others; `left_out`, which have no score.
      scores: a row per lane: the group, the task where there are several, `run`, `lane`, `score`,
        null or NaN where it is left out, and whether it is `alive`, `diverged`, `unfinished`.
      metric: what was compared.
      by: the columns that tell groups apart. A label or key that is called as one of the others
        is `labels.score`, `config.tasks`.
      task: the column that says of which task a score is; None for one task.
      normalized: whether scores were brought to a scale of their tasks.
      confidence: of the intervals.
      notes: what died, what has not finished, and what is not finite, a sentence for each.
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
        """A row per group: the interquartile mean and its interval, and a dot for each score.

        A lane that has diverged is a cross, and the group says how many lanes are alive.

        Args:
          ax: where to draw; None makes a figure.

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
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in (self._words(), *self.notes))
        return notes + self.frame._repr_html_()

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
    """The interquartile mean of each group of lanes, with a stratified bootstrap interval.

    Each lane of each run has one score. Lanes that differ in nothing but their seed are a group.
    Few seeds make unsure means; intervals that overlap widely tell no winner. As R. Agarwal et al.,
    Deep Reinforcement Learning at the Edge of the Statistical Precipice (NeurIPS 2021), propose,
    the mean leaves out the lowest and the highest quarter of all scores of a group, and the
    interval comes from drawing its runs anew, within each task by itself. It is the bias-corrected
    and accelerated interval (BCa) of `scipy.stats.bootstrap`, or, where few scores differ and BCa
    has none, the percentile interval. With few seeds it is too narrow: of five normal scores, a
    95 % interval contains the true mean in 89 of 100 experiments (`docs/explore.md`).

    Args:
      runs: what was read, or what `read_runs` takes.
      metric: the name of a metric: `episode_return_mean`.
      call: that logged it, as in `RunData.metrics_of`.
      at: which value of a lane is its score: `last`, the last it has; that of a step; or, for
        `(first, last)`, the mean of those between two steps, both included. Values that are
        missing, because no episode ended, are passed over. A lane has diverged if its last value
        is not finite; for a step, if its value there is not; for two, if one between is not.
      by: what tells groups apart: names of labels, of keys of the runs' `config`, `run` or `lane`.
        None stands for all labels and keys that have several values, but for seeds (those whose
        name is or ends in `seed`); and for `run`, where runs differ in no key and have the same
        seeds.
      task: the name of the label or key that says what a lane was trained on. Scores of each task
        are drawn by themselves; all count alike, so they have to be on one scale.
      diverged: the score of a lane that has diverged. `worst`: the worst of all finite scores
        compared in its task; `leave_out`: none, so that only survivors count; `keep_last`: the
        mean of the finite values there, or else the last finite one before.
      unfinished: what becomes of the lanes of runs that are live, or were killed, failed, stopped
        or interrupted, and that end before the lanes of those that finished. `leave_out`:
        they have no part; where no run has finished, all are compared as `common_step` says.
        `common_step`: all lanes are compared at the last step that all have. `keep_last`: they
        are compared by their last value, or by what they have in a window.
      higher_is_better: which end of the scores, after `normalize`, is the worst. None: higher is
        better, unless the metric's name ends in `loss`, `error`, `cost` or `regret`, or in that and
        a statistic, and there is no `normalize`.
      normalize: brings them there: for each task, what counts as 0 and what as 1; or the same for
        all.
      confidence: how often the interval is meant to contain the true value.
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
      UserWarning: lanes have diverged; runs have not finished; lanes have no score and are left
        out; lines were replaced, or a label changes along a lane. `Comparison.notes` has the same.

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
    said = _notes(groups, found, task, at, diverged, unfinished, higher)
    notes = (*values.notes, *said)
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
        raise LookupError(f"{metric!r}: got no finite score of any lane, expected one at least")
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
    """What a comparison leaves out or makes up, a sentence for each kind."""
    scores = groups.frame
    dead = scores["diverged"].sum()
    if dead:
        end, name = ("least", "higher") if higher else ("greatest", "lower")
        of_all = "of its task" if task is not None else "of all"
        policy = {
            "worst": f"each counts as the worst {of_all}, the {end} score, since {name} is better",
            "leave_out": "they are left out, and only survivors count",
            "keep_last": "each counts with what it had before",
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
            policy = f"all lanes are compared at step {found.step}, the last that all have"
        elif unfinished == "keep_last":
            policy = "their lanes count with what they have"
        elif at == "last":
            policy = "their lanes are left out; unfinished='common_step' compares all at one step"
        else:
            policy = "their lanes are left out; they end before the steps that are compared"
        yield f"runs that have not finished: {shown}{more}; {policy}"
    has_none = scores["score"].is_null() & ~scores["left_out"] & ~scores["diverged"]
    if has_none.any():
        yield f"{has_none.sum()} of {len(scores)} lanes have no value there and are left out"


def _listed(groups: Values, flag: str) -> str:
    """How many lanes of each group, of those that have some: `rate 0.1: 3 of 8`."""
    from jaxlog._analysis.groups import named

    words = [
        f"{named(groups.by, key)}: {rows[flag].sum()} of {len(rows)}"
        for key, rows in groups.groups()
        if rows[flag].any()
    ]
    words = [text.removeprefix(": ") for text in words]
    more = f"; {len(words) - _NAMED} groups more" if len(words) > _NAMED else ""
    return "; ".join(words[:_NAMED]) + more


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
