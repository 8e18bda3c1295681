"""The plots and pictures of a run, or of several, for notebooks."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from jaxlog._reading.extra import needs_extra

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

    from jaxlog._analysis.gallery import Gallery
    from jaxlog._analysis.group_curves import Spread
    from jaxlog._analysis.groups import By
    from jaxlog._analysis.score_notes import Bounds
    from jaxlog._reading.run_frames import RunFrames

X = Literal["step", "env_step", "time", "relative"]


class Views(ABC):
    """The methods that draw metrics and episodes, shared by `RunData` and `RunsData`."""

    @abstractmethod
    def by_name(self) -> Mapping[str, RunFrames]:
        """Returns the runs by name: the name of the directory, or as in `RunsData.names`."""

    @property
    @abstractmethod
    def episodes(self) -> pl.DataFrame:
        """A polars frame with a row per episode."""

    @overload
    def plot(
        self,
        names: str,
        *,
        call: str | None = None,
        by: By = None,
        x: X = "step",
        spread: Spread = "std",
        ax: Axes | None = None,
        width: float | None = None,
        rename: Mapping[Any, str] | None = None,
        smooth: int = 1,
        save: str | os.PathLike[str] | None = None,
        panels: None = None,
        task: str | None = None,
        normalize: Bounds | None = None,
    ) -> Axes: ...

    @overload
    def plot(
        self,
        names: str,
        *,
        call: str | None = None,
        by: By = None,
        x: X = "step",
        spread: Spread = "std",
        width: float | None = None,
        rename: Mapping[Any, str] | None = None,
        smooth: int = 1,
        save: str | os.PathLike[str] | None = None,
        panels: str,
        task: str | None = None,
        normalize: Bounds | None = None,
    ) -> list[Axes]: ...

    @overload
    def plot(
        self,
        names: Sequence[str],
        *,
        call: str | None = None,
        by: By = None,
        x: X = "step",
        spread: Spread = "std",
        width: float | None = None,
        rename: Mapping[Any, str] | None = None,
        smooth: int = 1,
        save: str | os.PathLike[str] | None = None,
        task: str | None = None,
        normalize: Bounds | None = None,
    ) -> list[Axes]: ...

    def plot(
        self,
        names: str | Sequence[str],
        *,
        call: str | None = None,
        by: By = None,
        x: X = "step",
        spread: Spread = "std",
        ax: Axes | None = None,
        width: float | None = None,
        rename: Mapping[Any, str] | None = None,
        smooth: int = 1,
        save: str | os.PathLike[str] | None = None,
        panels: str | None = None,
        task: str | None = None,
        normalize: Bounds | None = None,
    ) -> Axes | list[Axes]:
        """Plots metrics over the steps: a line per group of lanes, with a band for their spread.

        At each step, the line is computed over the lanes that are alive there: those with a finite
        value. It is dashed where a lane of the group has diverged or ended, and ends with a cross
        if no lane is left. The legend, the caption and a corner of the axes give the numbers of
        lanes alive and of values that are not finite. For a metric that is a minimum or maximum,
        the line is the minimum or maximum over the lanes. A group of one lane has no band.

        Args:
          names: the key of a metric; or a list of keys, for plots side by side.
          call: the call that logged them, as in `RunData.metrics_of`.
          by: the labels or keys that define the groups, as in `jaxlog.compare`; `()` puts all lanes
            into one group.
          x: the horizontal axis: `step`, the updates; `env_step`, the environment steps; `time`,
            the date and time; or `relative`, the time for which the run had been open, with earlier
            sessions. Over the times of several runs, a lane counts with its last value before each
            point, and the caption says so.
          spread: the band: `std`, one standard deviation around the mean; `iqr`, the quartiles
            around the median; `range`, from the minimum to the maximum; `ci`, the 95 % bootstrap
            interval of the interquartile mean, as in `jaxlog.compare`; `lanes`, a thin line per
            lane in place of a band, or for a group of more than 200 lanes, bands of 50 % and 90 %
            of them; None, no band.
          ax: the axes to draw a single metric on; None makes a new figure.
          width: the width of a new figure in inches, such as 3.25 or 5.5 for a column of a paper:
            the legend is below, and the metric beside its axis. None for a figure for a screen.
          rename: texts in place of values of `by`, metrics and the names of axes, such as
            `{"sac": "SAC", "ppo": "PPO", "episode_return_mean": "return"}`. A number is found by
            itself or by its text: `0.1`, `"0.1"` or `"learning_rate 0.1"`. Groups are in the order
            of their values there; those that are not there come last. Values of `by` that all
            groups share are left out of the legend. There is a warning if none of it is found.
          smooth: the number of steps of a lane over which values are averaged, around each step;
            1 for none. The caption says it.
          save: the file, ending in .pdf, .svg or .png, that the figure is written to. Equal figures
            are equal files: they have no date.
          panels: a label or key, such as `env`: plots of a single metric side by side, one for each
            of its values. A group has the same colour in all of them.
          task: the label or key that says on which task a lane was trained. With `spread="ci"` and
            `x="env_step"`, the plot is the sample-efficiency curve of Agarwal et al. (NeurIPS
            2021): the interquartile mean over all lanes and tasks, with an interval for which
            lanes are drawn within each task. Tasks that were logged at other steps are brought to
            the same ones, where a lane counts with its last value before.
          normalize: for each task, the value that becomes 0 and the value that becomes 1; or one
            such pair for all tasks.

        Returns:
          The axes; for a list of names or with `panels`, a list of axes.

        Raises:
          LookupError: there is no such metric, call or label, or no finite value.
          ModuleNotFoundError: polars or matplotlib is missing; they come with the extra `explore`.
          TypeError: a metric is not a number.
          ValueError: an argument is none of the above, or `ax` is given with several plots.

        Warns:
          UserWarning: lines were replaced, lanes share a number and are distinguished by labels, or
            a label changes along a lane.

        >>> import tempfile
        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with logger.open(directory, lanes=[{"seed": 0}, {"seed": 1}]) as run:
        ...         for step in range(3):
        ...             run.log({"loss": [0.5 / (step + 1), 0.25]}, step=step)
        ...     ax = jaxlog.read_run(directory).plot("loss", spread="range")
        >>> ax.get_title(loc="left"), ax.get_xlabel()
        ('loss', 'update')
        """
        with needs_extra("plots"):
            from jaxlog._analysis.plotting import plot
        return plot(
            self.by_name(),
            names,
            call=call,
            by=by,
            x=x,
            spread=spread,
            ax=ax,
            width=width,
            rename=rename,
            smooth=smooth,
            save=save,
            panels=panels,
            task=task,
            normalize=normalize,
        )

    def plot_histogram(
        self,
        name: str,
        *,
        call: str | None = None,
        ax: Axes | None = None,
        width: float | None = None,
        rename: Mapping[Any, str] | None = None,
        save: str | os.PathLike[str] | None = None,
    ) -> Axes:
        """Plots a histogram over the steps, as a heat map: its colours are densities.

        The histograms of all lanes and runs are added up at each step. The share of each bin is
        that of all values, also of those outside of the bins; the caption says how many these are.
        Of more than 600 steps, stretches are added up. Histograms with other bins than most are
        left out. For some of the runs only, use `runs.filter(...)`.

        Args:
          name: the key of the histogram, such as `episode_length_histogram`, or without the ending.
          call: the call that logged it, as in `RunData.metrics_of`.
          ax: the axes to draw on; None makes a new figure.
          width: the width of a new figure in inches, such as 3.25 or 5.5; None for a screen.
          rename: texts in place of the names of the axes.
          save: the file, ending in .pdf, .svg or .png, that the figure is written to.

        Returns:
          The axes.

        Raises:
          LookupError: there is no such histogram or call.
          ModuleNotFoundError: polars or matplotlib is missing; they come with the extra `explore`.
          ValueError: `width` or `save` cannot be used.

        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> import jaxlog
        >>> settings = {"histograms": {"episode_lengths": {"low": 0, "high": 10, "bins": 5}}}
        >>> logger = jaxlog.Logger(settings | {"sinks": [{"kind": "jsonl"}]})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with logger.open(directory):
        ...         for step in (0, 10):
        ...             jaxlog.batch_step(logger, step, {"episode_lengths": jnp.arange(8) % 5})
        ...     ax = jaxlog.read_run(directory).plot_histogram("episode_length")
        >>> ax.get_title(loc="left"), ax.get_xlabel()
        ('episode_length', 'update')
        """
        with needs_extra("plots"):
            from jaxlog._analysis.histogram_plot import plot_histogram
        return plot_histogram(
            self.by_name(), name, call=call, ax=ax, width=width, rename=rename, save=save
        )

    def view_episodes(self, episodes: pl.DataFrame | None = None, *, most: int = 500) -> Gallery:
        """Makes a page with pictures of episodes, to filter, sort and browse by step.

        A notebook shows it if it is the last value of a cell; `.save("episodes.html")` writes it to
        a file. A picture is the one that the sink `svg` drew, if there is one. Otherwise it is
        drawn from the states in `details`, `initial_state` and `final_state`; without states it is
        a card of the summary.

        Args:
          episodes: rows of `episodes`, with all columns, in the order to be shown, such as
            `run.episodes.filter(~pl.col("success"))`. None shows all.
          most: the most episodes that are shown, from the first one; the page says how many are
            left out. It contains all of its pictures, so it grows with their number.

        Raises:
          ModuleNotFoundError: polars or Jinja2 is missing; they come with the extra `explore`.
          TypeError: `episodes` is not a polars frame.
          ValueError: columns are missing, rows are from other runs, or `most` is below 1.

        >>> import tempfile
        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with logger.open(directory):
        ...         for total in range(3):
        ...             logger.log_episode_summary({"total_reward": total, "total_steps": 9})
        ...     run = jaxlog.read_run(directory)
        ...     run.view_episodes(run.episodes.sort("total_reward").head(2))
        Gallery(2 episodes)
        """
        with needs_extra("pictures of episodes"):
            from jaxlog._analysis.gallery import gallery
        return gallery(self.by_name(), self.episodes if episodes is None else episodes, most)
