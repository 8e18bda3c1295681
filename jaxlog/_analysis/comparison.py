"""The public class with the result of a comparison."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlog._analysis import comparison_tables, comparison_text
from jaxlog._analysis.aggregates import aggregates, profile
from jaxlog._analysis.intervals import RESAMPLES
from jaxlog._reading.extra import needs_extra

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes


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
      higher_is_better: False if lower scores are better.
      baseline: the group that others are compared with, by the values of `by`; None for none.
      differences: with a baseline, a polars frame with a row per other group; else None:

        - the columns of `by`;
        - `difference`: its interquartile mean less that of the baseline, on the tasks of both;
        - `lower`, `upper`: the interval of the difference, null if a group has no two scores;
        - `probability`: the probability that a lane of the group scores higher than one of the
          baseline on the same task, a tie counting half, with its interval `probability_lower` and
          `probability_upper`;
        - `paired`: True if pairs of lanes with the same seeds were drawn;
        - `scores`, `baseline_scores`, `tasks`: how many of each were compared.
      resamples: the number of bootstrap resamples.
      seed: the seed of the resampling.
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
    higher_is_better: bool = True
    baseline: tuple[Any, ...] | None = None
    differences: pl.DataFrame | None = None
    resamples: int = RESAMPLES
    seed: int = 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """A sentence for each group, with its score or what speaks for a difference."""
        return tuple(comparison_text.sentences(self))

    def aggregates(self) -> pl.DataFrame:
        """Returns the mean, the median, the interquartile mean and the optimality gap of groups.

        They are those of Agarwal et al. (NeurIPS 2021), with percentile intervals of a stratified
        bootstrap. The mean and the median are over the tasks' means; for a single task, the median
        is that of its scores. The optimality gap says by how much scores miss 1 on average, where
        more than 1 counts as 1; it is left out of scores that are not normalized.

        Returns:
          A polars frame with the columns of `by`, `statistic`, `value`, `lower` and `upper`, and a
          row for each group and statistic. The interval of `iqm` is that of `frame`.
        """
        import polars as pl

        rows: list[tuple[Any, ...]] = []
        for key, strata in self._strata():
            own = dict(zip(self.by, key, strict=True))
            found = aggregates(
                strata, confidence=self.confidence, resamples=self.resamples, seed=self.seed
            )
            for name, (value, lower, upper) in found.items():
                if name == "iqm":
                    row = self._row(key)
                    rows.append((*key, name, row["iqm"], row["lower"], row["upper"]))
                elif name != "optimality_gap" or self.normalized:
                    rows.append((*own.values(), name, value, _or_none(lower), _or_none(upper)))
        schema = {name: self.frame.schema[name] for name in self.by} | {
            "statistic": pl.String(),
            "value": pl.Float64(),
            "lower": pl.Float64(),
            "upper": pl.Float64(),
        }
        return pl.DataFrame(rows, schema=schema, orient="row")

    def profile(self, thresholds: Sequence[float] | None = None) -> pl.DataFrame:
        """Returns the performance profile of each group: the fraction of lanes above a threshold.

        It is the mean over tasks, with percentile intervals for each threshold. If the profile of a
        group is nowhere below that of another, the group is better whatever statistic is compared.

        Args:
          thresholds: the thresholds; None for 101 from the lowest to the highest score.

        Returns:
          A polars frame with the columns of `by`, `threshold`, `fraction`, `lower` and `upper`.
        """
        import polars as pl

        if thresholds is None:
            scores = self.scores["score"].drop_nulls().to_numpy()
            scores = scores[np.isfinite(scores)]
            thresholds = np.linspace(scores.min(), scores.max(), 101).tolist()
        at = np.asarray(thresholds, np.float64)
        parts: list[pl.DataFrame] = []
        for key, strata in self._strata():
            found = profile(
                strata, at, confidence=self.confidence, resamples=self.resamples, seed=self.seed
            )
            own = [
                pl.lit(value, self.frame.schema[name]).alias(name)
                for name, value in zip(self.by, key, strict=True)
            ]
            numbers = dict(
                zip(("threshold", "fraction", "lower", "upper"), (at, *found), strict=True)
            )
            part = pl.DataFrame(numbers).with_columns(pl.col("lower", "upper").fill_nan(None))
            parts.append(part.select(*own, *numbers))
        return pl.concat(parts)

    def to_latex(self, *, rename: Mapping[Any, str] | None = None) -> str:
        """Returns the table of the groups in LaTeX, with the differences if there is a baseline.

        Args:
          rename: for values of `by` and the metric, the texts that the table has instead; their
            order is that of the rows, and groups that are not among them come after.
        """
        return comparison_tables.latex(*self._table(rename))

    def to_markdown(self, *, rename: Mapping[Any, str] | None = None) -> str:
        """Returns the table of the groups in Markdown.

        Args:
          rename: as in `to_latex`.
        """
        return comparison_tables.markdown(*self._table(rename))

    def plot(
        self,
        *,
        ax: Axes | None = None,
        width: float | None = None,
        rename: Mapping[Any, str] | None = None,
        save: str | os.PathLike[str] | None = None,
    ) -> Axes:
        """Plots a row per group: its interquartile mean and interval, and a dot for each score.

        A cross marks a lane that has diverged. If not all lanes of a group are alive, their number
        is below its name. Of more than 40 groups, the 20 that score highest and the 20 that score
        lowest are shown, and the caption says how many are left out; `frame` has all of them.

        Args:
          ax: the axes to draw on; None makes a new figure.
          width: the width of a new figure in inches, such as 3.25 or 5.5 for a column of a paper;
            None for a figure for a screen.
          rename: for values of `by` and the metric, the texts that the plot has instead; their
            order is that of the rows, and groups that are not among them come after.
          save: the file, ending in .pdf, .svg or .png, that the figure is written to. Equal figures
            are equal files: they have no date.

        Returns:
          The axes.

        Raises:
          ModuleNotFoundError: matplotlib is missing; it comes with the extra `explore`.
          ValueError: `width` is out of range, `save` has another ending, or `width` is given with
            `ax`.
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
            width=width,
            rename=rename,
            save=save,
        )

    def _table(self, rename: Mapping[Any, str] | None) -> tuple[list[str], list[list[str]]]:
        return comparison_tables.cells(self, rename or {})

    def _strata(self) -> Iterator[tuple[tuple[Any, ...], list[np.ndarray]]]:
        """Yields each group that has finite scores, with those of each task."""
        from jaxlog._analysis.groups import Values

        for key, own in Values(self.scores, self.by).groups():
            strata = list(strata_of(own, self.task).values())
            if strata:
                yield key, strata

    def _row(self, key: tuple[Any, ...]) -> dict[str, Any]:
        keys = list(map(str, self.frame.select(self.by).rows())) if self.by else [str(())]
        return self.frame.row(keys.index(str(key)), named=True)

    def __repr__(self) -> str:
        said = self.sentences if self.baseline is not None else ()
        return "\n".join((self._words(), *said, *self.notes, str(self.frame)))

    def _repr_html_(self) -> str:
        from jaxlog._analysis.html_tables import frame_html

        columns = {name: self.frame[name].to_list() for name in self.frame.columns}
        said = self.sentences if self.baseline is not None else ()
        return frame_html(self._words(), columns, (*said, *self.notes))

    def _words(self) -> str:
        return f"{self.metric}: interquartile means and {100 * self.confidence:.4g} % intervals"


def strata_of(scores: pl.DataFrame, task: str | None) -> dict[Any, np.ndarray]:
    """The finite scores of each task, in the order of their rows."""
    import polars as pl

    finite = scores.filter(pl.col("score").is_finite())
    parts = [finite] if task is None else finite.partition_by(task, maintain_order=True)
    return {
        None if task is None else part[task][0]: part["score"].cast(pl.Float64).to_numpy()
        for part in parts
        if len(part)
    }


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
