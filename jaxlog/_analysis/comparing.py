"""Compares groups of lanes: their interquartile means, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from jaxlog._analysis.choices import At, Diverged, Unfinished
from jaxlog._analysis.comparison import Comparison, strata_of
from jaxlog._analysis.intervals import CONFIDENCE, RESAMPLES, bootstrap_interval
from jaxlog._analysis.run_data import RunData
from jaxlog._analysis.runs_data import RunsData, read_runs
from jaxlog._caller import warn_caller
from jaxlog._format.across_lanes import interquartile_mean
from jaxlog._reading.extra import needs_extra
from jaxlog._reading.finding import Where
from jaxlog._text import counted

if TYPE_CHECKING:
    from jaxlog._analysis.groups import By

_NUMBERS = ("iqm", "lower", "upper")
_METHOD = "interval"
_COUNTS = ("scores", "tasks", "alive", "diverged", "unfinished", "left_out")
_OF_LANES = ("score", "partial")


def compare(
    runs: RunsData | RunData | Where | Iterable[Where],
    metric: str,
    *,
    call: str | None = None,
    at: At = "last",
    by: By = None,
    task: str | None = None,
    baseline: Any = None,
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
      baseline: the group that the others are compared with, by its value of `by`; several values
        are a tuple, or a dict by name. `Comparison.differences` has the result, and
        `Comparison.sentences` says it. If both groups have the same seeds on each task (labels and
        keys of the config that are or end in `seed`), pairs of lanes are drawn, which makes the
        interval narrower where a seed is hard for both.
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
      LookupError: there is no such metric, call, step, name, task or baseline (the text lists those
        there are), or no lane has a finite score.
      ModuleNotFoundError: polars is missing; it comes with the extra `explore`.
      TypeError: the metric is not a number.
      ValueError: `confidence` or `resamples` is out of range, or `normalize` does not have two
        different finite numbers for a task.

    Warns:
      UserWarning: lanes have diverged; runs have not finished; lanes without a score are left out;
        lines were replaced; a label changes along a lane; groups differ in more keys of `config`
        than `by` has; or with a baseline, a group has fewer than 5 scores. `Comparison.notes` has
        the same texts.

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

        from jaxlog._analysis.baseline import differences_from, group_of
        from jaxlog._analysis.groups import Values, config_of, seed_names, values_of
        from jaxlog._analysis.score_notes import group_notes, lane_notes, normalized
        from jaxlog._analysis.scores import less_is_better, scores_of, with_the_worst
    _check_choice("diverged", diverged, Diverged)
    _check_choice("unfinished", unfinished, Unfinished)
    read = runs if isinstance(runs, RunData | RunsData) else read_runs(runs)
    by_name = read.by_name()
    taken = (*_NUMBERS, _METHOD, *_COUNTS, *_OF_LANES)
    tasks = () if task is None else (task,)
    seeds = () if baseline is None else seed_names(by_name, call)
    values = values_of(by_name, metric, call, by, (*tasks, *seeds), taken)
    task = values.extra[0] if tasks else None
    columns = [*values.by, *values.extra]
    found = scores_of(values.frame, by_name, at, columns, metric, diverged, unfinished)
    scores = found.frame
    if normalize is not None:
        scores = scores.with_columns(normalized(scores, task, normalize))
    higher = higher_is_better
    if higher is None:
        higher = normalize is not None or not less_is_better(metric)
    if diverged == "worst":
        scores = with_the_worst(scores, task, higher_is_better=higher)
    groups = Values(scores, values.by)
    configs = {name: config_of(run) for name, run in by_name.items()}
    notes = (
        *values.notes,
        *lane_notes(groups, found, task, at, diverged, unfinished, higher),
        *group_notes(groups, configs, task, few=baseline is not None),
    )
    for note in notes:
        warn_caller(f"{metric}: {note}")
    rows: list[tuple[Any, ...]] = []
    for key, every in groups.groups():
        strata = list(strata_of(every, task).values())
        scored = sum(map(len, strata))
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
        numbers = (scored, len(strata), *of_lanes, len(every) - scored)
        rows.append((*key, middle, *ends, method, *numbers))
    types = {name: scores.schema[name] for name in values.by}
    numbers = dict.fromkeys(_NUMBERS, pl.Float64())
    counts = dict.fromkeys(_COUNTS, pl.Int64())
    schema = types | numbers | {_METHOD: pl.String()} | counts
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    if frame["iqm"].null_count() == len(frame):
        raise LookupError(f"{metric!r}: got no finite score of any lane, expected at least one")
    partial = int(scores["partial"].sum())
    if partial:
        notes = (
            *notes,
            f"values that are not finite are left out of the scores of {counted(partial, 'lane')}",
        )
    base = None if baseline is None else group_of(baseline, groups)
    own_seeds = values.extra[len(tasks) :]
    differences = None
    if base is not None:
        differences = differences_from(groups, base, task, own_seeds, confidence, resamples, seed)
    return Comparison(
        frame,
        scores.drop("left_out", "partial"),
        metric,
        values.by,
        task,
        normalize is not None,
        confidence,
        notes,
        higher,
        base,
        differences,
        resamples,
        seed,
    )


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in get_args(choices):
        known = ", ".join(map(repr, get_args(choices)))
        raise ValueError(f"{name}: got {value!r}, expected one of {known}")
