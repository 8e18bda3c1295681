"""The files of one run, as frames and arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxlog._caller import warn_caller
from jaxlog._format.health import Health, health_of
from jaxlog._format.lines import METRICS
from jaxlog._format.run_file import newer_format
from jaxlog._host.status import observe
from jaxlog._reading.extra import needs_extra
from jaxlog._reading.finding import not_read, run_files

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from jaxlog._reading.call_lines import CallLines
    from jaxlog._reading.columns import Table

_LARGE = 2**24
"""Files of so many bytes are not read to show a run's health."""
_METRICS = Path(METRICS).stem
DEFAULT_CALLS = ("batch", "train")
"""What `batch_step` and `log` are called where the user says nothing."""


class RunFrames:
    """What one run has logged: the part of `jaxlog.RunData` that reads its files.

    Args:
      path: the run's directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info, self.status = observe(path)
        if newer := newer_format(self.info):
            warn_caller(f"{path}: {newer}")
        self._files = {file.stem: file for file in run_files(path)}
        for why in not_read(path):
            warn_caller(why)
        self._tables: dict[str, tuple[Table, Table | None]] = {}
        self._places: dict[str, CallLines] = {}
        of_metrics = [stem for stem in self._files if stem.endswith(_METRICS)]
        self.calls = tuple(stem.removesuffix(_METRICS) for stem in of_metrics)

    @property
    def metrics(self) -> pl.DataFrame:
        """A row per step and lane of the call `batch`; else of `train`, or of the only call."""
        return self.metrics_of(None)

    def metrics_of(self, call: str | None) -> pl.DataFrame:
        """A row per step and lane of one call.

        Args:
          call: its name, one of `calls`; None takes that of `metrics`.

        Raises:
          LookupError: it has logged nothing, or it is None and it is not clear which is meant.
        """
        return self._metrics(call)[0].frame

    @property
    def over_lanes(self) -> pl.DataFrame:
        """A row per step and statistic over the lanes, for the call of `metrics`."""
        return self.over_lanes_of(None)

    def over_lanes_of(self, call: str | None) -> pl.DataFrame:
        """A row per step and statistic over the lanes, as the setting `over_lanes` asks for them.

        In the column `over_lanes` is the statistic, `mean` or `iqm`, in `lanes` of how many lanes.

        Args:
          call: as in `metrics_of`.

        Raises:
          LookupError: as in `metrics_of`.
        """
        over_lanes = self._metrics(call)[1]
        assert over_lanes is not None
        return over_lanes.frame

    def labels_of(self, call: str | None = None) -> tuple[str, ...]:
        """The columns of a call's metrics that are labels.

        Args:
          call: as in `metrics_of`.

        Raises:
          LookupError: as in `metrics_of`.
        """
        return self._metrics(call)[0].labels

    def arrays(self, call: str | None = None) -> dict[str, np.ndarray]:
        """The metrics of a call as arrays.

        Args:
          call: as in `metrics_of`.

        Returns:
          Arrays by name. `lane` and `step` are the numbers that the axes stand for; `env_step`,
          where known, for each step; labels, for each lane the last; and every column of numbers,
          float64 shaped (lane, step), NaN where the lane has no value. Lines of one step and lane
          with different metrics are merged; a line that has a metric again replaces the earlier
          one. Lines of one step and lane number whose labels differ are of different lanes: the
          first keeps the number. Histograms and texts are not among the arrays.

        Raises:
          LookupError: as in `metrics_of`.

        Warns:
          UserWarning: lines were replaced; labels tell lanes apart; or a label changes along
            a lane.

        >>> import tempfile
        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with logger.open(directory, lanes=[{"seed": 0}, {"seed": 1}]) as run:
        ...         for step in range(3):
        ...             run.log({"loss": [0.5 / (step + 1), 0.25]}, step=step)
        ...     arrays = jaxlog.read_run(directory).arrays()
        >>> arrays["step"].tolist(), arrays["loss"].mean(axis=0).round(2).tolist()
        ([0, 1, 2], [0.38, 0.25, 0.21])
        """
        places = self._placed(call)
        from jaxlog._reading.arrays import arrays  # once it is known that polars is there

        for words in places.words():
            warn_caller(f"{self.path}: {words}")
        return arrays(places)

    def _placed(self, call: str | None = None) -> CallLines:
        """The metrics of a call by lane and step, as `arrays`, plots and comparisons take them.

        Args:
          call: as in `metrics_of`.

        Raises:
          LookupError: as in `metrics_of`.
        """
        name = chosen_call(call, self.calls, str(self.path))
        if name not in self._places:
            table = self._metrics(name)[0] if self.calls else self._metrics(call)[0]
            # Imported once it is known that polars is there.
            from jaxlog._reading.call_lines import lines_of_call

            self._places[name] = lines_of_call(table)
        return self._places[name]

    @property
    def episodes(self) -> pl.DataFrame:
        """A row per sampled episode, or per episode of a single environment."""
        return self._table("episodes").frame

    def labels_of_episodes(self) -> tuple[str, ...]:
        """The columns of `episodes` that are labels."""
        return self._table("episodes").labels

    @property
    def steps(self) -> pl.DataFrame:
        """A row per step of a single environment."""
        return self._table("steps").frame

    @property
    def tasks(self) -> pl.DataFrame:
        """A row per task of a single environment."""
        return self._table("tasks").frame

    @property
    def evaluations(self) -> pl.DataFrame:
        """A row per evaluation."""
        return self._table("evaluations").frame

    def frames(self) -> dict[str, pl.DataFrame]:
        """Every frame of which there is a file, by the file's stem: `batch_metrics`, `episodes`.

        What stands in a file of metrics over lanes is `batch_over_lanes`.
        """
        found: dict[str, pl.DataFrame] = {}
        for stem in self._files:
            table, over_lanes = self._read(stem)
            found[stem] = table.frame
            if over_lanes is not None and len(over_lanes.frame):
                found[f"{stem.removesuffix(_METRICS)}_over_lanes"] = over_lanes.frame
        return found

    @property
    def health(self) -> Health:
        """What is wrong with what the run logged; false where nothing is, and text as `str`.

        `diverged (3 of 8 lanes, from update 130)`: the last value of some metric of these lanes is
        not finite. `unfinished (70 of 100 updates)`: it ended before its last update. `records lost
        (12)`: by a sink. Where run.json does not say, the files are read.
        """
        if not self._is_told():
            return self._read_health()
        return health_of(self.info, self.status)

    def _is_told(self) -> bool:
        """Whether run.json says what is not finite; that of a killed run is behind its lines."""
        return "health" in self.info and self.status != "killed"

    def _read_health(self) -> Health:
        places = {call: self._placed(call) for call in self.calls}
        from jaxlog._reading.sound import tally_of  # once it is known that polars is there

        frames = (self._table(stem).frame for stem in self._files)
        steps = [frame["step"].max() for frame in frames if len(frame)]
        done = max(steps, default=None)  # type: ignore[type-var]
        done = None if done is None else int(done) + 1  # type: ignore[arg-type]
        return health_of(self.info, self.status, done, tally_of(places, self.info.get("calls")))

    def _brief_health(self) -> str:
        """As `health`, in words, without reading files that are large."""
        if not self._is_told():
            with contextlib.suppress(ModuleNotFoundError, OSError):  # polars, or a file, is missing
                if sum(path.stat().st_size for path in self._files.values()) <= _LARGE:
                    return str(self._read_health())
        return str(health_of(self.info, self.status))

    @property
    def is_unfinished(self) -> bool:
        """Whether the run has not come to its end, because it is live or something else ended it.

        A run on another machine, which says that it is running, counts as unfinished: nobody here
        knows more.
        """
        if self.status == "unknown":
            return self.info.get("status") == "running"
        return self.status not in ("finished", "ended")

    def __repr__(self) -> str:
        files = ", ".join(self._files) or "no lines"
        health = self._brief_health()
        status = f"{self.status}, {health}" if health else self.status
        return f"{type(self).__name__}({str(self.path)!r}, {status}: {files})"

    def _metrics(self, call: str | None) -> tuple[Table, Table | None]:
        return self._read(chosen_call(call, self.calls, str(self.path)) + _METRICS)

    def _table(self, stem: str) -> Table:
        return self._read(stem)[0]

    def _read(self, stem: str) -> tuple[Table, Table | None]:
        if stem not in self._tables:
            with needs_extra("the frames of a run"):
                from jaxlog._reading.tables import read
            self._tables[stem] = read(self._files.get(stem), stem)
        return self._tables[stem]


def chosen_call(call: str | None, calls: Sequence[str], where: str) -> str:
    """The name of a call that has logged metrics.

    Args:
      call: as the user named it; None for the usual one.
      calls: those there are.
      where: stands before an error.

    Raises:
      LookupError: there is no such call, or it is not clear which is meant.
    """
    if call is not None and call in calls:
        return call
    there_are = f"there are {', '.join(map(repr, calls))}" if calls else "no call has logged any"
    if call is not None:
        raise LookupError(f"{where}: has no metrics of a call {call!r}; {there_are}")
    for name in DEFAULT_CALLS:
        if name in calls or not calls:
            return name
    if len(calls) > 1:
        raise LookupError(f"{where}: got no call, expected the name of one; {there_are}")
    return calls[0]
