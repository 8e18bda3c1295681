"""What a notebook shows of a run, or of several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, overload

from jaxlog._reading.extra import needs_extra

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

    from jaxlog._analysis.gallery import Gallery
    from jaxlog._analysis.group_curves import Spread
    from jaxlog._analysis.groups import By
    from jaxlog._reading.run_frames import RunFrames

X = Literal["step", "env_step"]


class Views(ABC):
    """Plots of metrics, and pictures of episodes."""

    @abstractmethod
    def by_name(self) -> Mapping[str, RunFrames]:
        """The runs, by their names: that of the directory, or as in `RunsData.names`."""

    @property
    @abstractmethod
    def episodes(self) -> pl.DataFrame:
        """A row per episode."""

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
    ) -> Axes: ...

    @overload
    def plot(
        self,
        names: Sequence[str],
        *,
        call: str | None = None,
        by: By = None,
        x: X = "step",
        spread: Spread = "std",
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
    ) -> Axes | list[Axes]:
        """Draws metrics over the steps: a line for each group of lanes, and how far they spread.

        At each step the lanes count that are alive: whose value is finite. Where one of a group has
        diverged or ended, its line is dashed; where none is left, it ends with a cross. Legend,
        caption and a corner of the axes say how many live, and what was not finite. Of a metric
        that is a minimum or a maximum, the line is the extreme of the lanes. One lane has no band.

        Args:
          names: of a metric; or of several, for a plot of each, side by side.
          call: that logged them, as in `RunData.metrics_of`.
          by: what tells groups apart, as in `jaxlog.compare`; `()` makes one group of all lanes.
          x: the horizontal axis: the updates, or the steps of environments, where they are known.
          spread: what the band tells: `std`, one standard deviation about the mean; `range`, the
            least and the greatest value; `ci`, the 95 % bootstrap interval (BCa) of the
            interquartile mean, as in `jaxlog.compare`; `lanes`, a thin line for each lane; None,
            nothing.
          ax: where to draw a single metric; None makes a figure.

        Returns:
          The axes; for several names a list of them.

        Raises:
          LookupError: there is no such metric, call or label, or no finite value.
          ModuleNotFoundError: polars or matplotlib is missing; they come with the extra `explore`.
          TypeError: a metric is no number.
          ValueError: `x`, `spread` or `ax` is not as said above.

        Warns:
          UserWarning: lines were replaced, labels tell lanes apart, or a label changes along one.

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
        return plot(self.by_name(), names, call=call, by=by, x=x, spread=spread, ax=ax)

    def view_episodes(self, episodes: pl.DataFrame | None = None, *, most: int = 500) -> Gallery:
        """Shows pictures of episodes: a page with filters, a slider over steps, and an order.

        Last in a cell of a notebook, it is shown there; `.save("episodes.html")` makes a file of
        it. A picture is that of the svg sink where there is one; else it is drawn of the states in
        `details`, `initial_state` and `final_state`, or it is a card of the summary.

        Args:
          episodes: rows of `episodes`, with all of their columns, in the order to be shown in:
            `run.episodes.filter(~pl.col("success"))`. None takes all.
          most: so many, from the first, are shown, and the page says how many were left out: it
            holds all of its pictures.

        Raises:
          ModuleNotFoundError: polars is missing; it comes with the extra `explore`.
          TypeError: `episodes` is no frame of polars.
          ValueError: columns are missing, rows are of other runs, or `most` is below 1.

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
