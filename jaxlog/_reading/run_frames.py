"""Reads the files of one run as frames and arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlog._caller import warn_caller
from jaxlog._format.health import Health, Tally, health_of
from jaxlog._format.lines import ARRAYS, MEDIA, METRICS_TABLE, calls_of, over_lanes_table
from jaxlog._format.run_file import facts_in, id_of
from jaxlog._format.segment import segment_of
from jaxlog._reading.extra import needs_extra
from jaxlog._reading.finding import stem_of
from jaxlog._reading.opening import OpenedRun, opened
from jaxlog._reading.run_values import RunValues
from jaxlog._store import known
from jaxlog._store.known import shown
from jaxlog._text import counted

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from jaxlog._reading.call_lines import CallLines
    from jaxlog._reading.columns import TableFrame
    from jaxlog._reading.recorded import RecordedEpisode, RecordedEpisodes
    from jaxlog._reading.together import RunMetrics

_LARGE = 2**24
"""Files of more bytes in total are not read to show a run's health."""
_ARRAYS, _MEDIA = Path(ARRAYS).stem, Path(MEDIA).stem
DEFAULT_CALLS = ("batch", "train")
"""The names of the calls `batch_step` and `log` if the user gives none."""


class RunFrames(RunValues):
    """The part of `jaxlog.RunData` that reads the files of a run.

    Args:
      path: the directory of the run.
      found: what is known of it; None if it is opened now.
    """

    def __init__(self, path: Path, found: OpenedRun | None = None) -> None:
        found = opened(path) if found is None else found
        self.path = path
        self.status = found.status
        self._run_file = found.data
        self._names = found.tables
        for note in found.notes:
            warn_caller(note)
        self._tables: dict[str, tuple[TableFrame, TableFrame | None]] = {}
        self._lines_of_calls: dict[str, CallLines] = {}
        self._short: set[str] = set()
        self.calls = tuple(calls_of(self._names))

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """The files of each table whose lines have columns."""
        tables = ((stem, own) for stem, own in self._names.items() if stem != _MEDIA)
        return {stem: [self.path / name for name in own] for stem, own in tables}

    @cached_property
    def _media(self) -> list[Path]:
        return [self.path / name for name in self._names.get(_MEDIA, ())]

    @cached_property
    def info(self) -> dict[str, Any]:
        """The content of run.json; empty if it cannot be read."""
        return facts_in(self._run_file)

    @property
    def metrics(self) -> pl.DataFrame:
        """The metrics of the call `batch`, or else of `train`, or of the only call.

        A polars frame with a row per line: per step and lane.
        """
        return self.metrics_of(None)

    def metrics_of(self, call: str | None) -> pl.DataFrame:
        """Returns the metrics of one call: a frame with a row per line, per step and lane.

        Args:
          call: the name of the call, one of `calls`; None selects the call of `metrics`.

        Raises:
          LookupError: the call has logged nothing, or `call` is None and several calls could be
            meant.
        """
        return self._metrics(call)[0].frame

    def scan(self, call: str | None = None) -> pl.LazyFrame:
        """Returns the metrics of a call as a polars LazyFrame, with the columns of `metrics_of`.

        Nothing is read before `collect`. Of columnar files (`kind: arrow`), only the columns that
        the query needs are then converted; lines are parsed as a whole.

        Args:
          call: as in `metrics_of`.

        Raises:
          LookupError: as in `metrics_of`.

        >>> import tempfile
        >>> import polars as pl
        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with logger.open(directory) as run:
        ...         for step in range(3):
        ...             run.log({"loss": 0.5 / (step + 1), "entropy": 1.0}, step=step)
        ...     lazy = jaxlog.read_run(directory).scan()
        ...     lazy.filter(pl.col("step") > 0).select("loss").collect()["loss"].to_list()
        [0.25, 0.16666666666666666]
        """
        name = chosen_call(call, self.calls, shown(self.path)) + METRICS_TABLE
        with needs_extra("the frames of a run"):
            from jaxlog._reading.scanning import scan
        self._check_sizes(name)
        return scan(self._files.get(name, ()), self._id, lambda: self._read(name)[0].frame)

    @property
    def over_lanes(self) -> pl.DataFrame:
        """The statistics over lanes of the call of `metrics`: see `over_lanes_of`."""
        return self.over_lanes_of(None)

    def over_lanes_of(self, call: str | None) -> pl.DataFrame:
        """Returns the statistics over lanes that the setting `over_lanes` selects.

        A polars frame with a row per step and statistic. The column `over_lanes` has the statistic,
        such as `mean` or `iqm`, and `lanes` the number of lanes.

        Args:
          call: as in `metrics_of`.

        Raises:
          LookupError: as in `metrics_of`.
        """
        over_lanes = self._metrics(call)[1]
        assert over_lanes is not None
        return over_lanes.frame

    def timing_of(self, call: str | None = None) -> pl.DataFrame:
        """Returns the time of each line of a call, and how fast the call logged.

        A polars frame with a row per line, as in `metrics_of`. Beside `timestamp`, `step`,
        `env_step` and `lane`, it has `seconds`, for which the run had been open, with earlier
        sessions; and `updates_per_second` and `env_steps_per_second` (of one lane) since the
        previous line of the call, whatever the program did in that time. They are null for the
        first line of the call in a session, and where steps do not increase. They are computed
        from the timestamps, so they mean nothing for a run with `delivery: return`, whose records
        arrive together.

        Args:
          call: as in `metrics_of`.

        Raises:
          LookupError: as in `metrics_of`.
        """
        name = chosen_call(call, self.calls, shown(self.path))
        frame = self._metrics(name)[0].frame
        from jaxlog._reading.timings import timings  # polars is there

        return timings(name, frame, self.info)

    def labels_of(self, call: str | None = None) -> tuple[str, ...]:
        """Returns the columns of a call's metrics that are labels.

        Args:
          call: as in `metrics_of`.

        Raises:
          LookupError: as in `metrics_of`.
        """
        return self._metrics(call)[0].labels

    def arrays(self, call: str | None = None) -> dict[str, np.ndarray]:
        """Returns the metrics of a call as NumPy arrays.

        Args:
          call: as in `metrics_of`.

        Returns:
          Arrays by name:

          - `lane` and `step`: the lane numbers and the steps along the two axes;
          - `env_step`, if logged: shape (step,);
          - each label: shape (lane,), the last value of each lane;
          - each column of numbers or bools: float64 of shape (lane, step), NaN where a lane has no
            value. Histograms and texts are left out.

          Lines of the same step and lane with different metrics are merged; a line that repeats a
          metric replaces the earlier lines. Lines of the same step and lane number whose labels
          differ belong to different lanes, of which the first keeps the number.

        Raises:
          LookupError: as in `metrics_of`.

        Warns:
          UserWarning: lines were replaced, lanes share a number and are distinguished by labels,
            or a label changes along a lane.

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
        lines = self._call_lines(call)
        from jaxlog._reading.arrays import arrays  # imported here, after the check for polars

        for warning in lines.warnings():
            warn_caller(f"{self.path}: {warning}")
        return arrays(lines)

    def _call_lines(self, call: str | None = None) -> CallLines:
        """Returns the metrics of a call by lane and step, for arrays, plots and comparisons.

        Args:
          call: as in `metrics_of`.

        Raises:
          LookupError: as in `metrics_of`.
        """
        name = chosen_call(call, self.calls, shown(self.path))
        if name not in self._lines_of_calls:
            table = self._metrics(name)[0] if self.calls else self._metrics(call)[0]
            # Imported here, after the check for polars.
            from jaxlog._reading.call_lines import lines_of_call

            self._lines_of_calls[name] = lines_of_call(table)
        return self._lines_of_calls[name]

    @property
    def episodes(self) -> pl.DataFrame:
        """A polars frame with a row per sampled episode, or per episode of a single environment."""
        return self._table("episodes").frame

    @property
    def recordings(self) -> RecordedEpisodes:
        """The episodes that were recorded whole (`log_episodes`), in the order of their lines.

        Their arrays are read when they are first needed. Needs no extra.
        """
        from jaxlog._reading.recorded import recordings

        return recordings(self.path)

    def episode(self, which: int | Mapping[str, Any]) -> RecordedEpisode:
        """Returns an episode that was recorded whole, with the arrays of its steps.

        Args:
          which: the number of its row in `episodes`, or the row itself as a dict, such as
            `run.episodes.sort("total_reward").row(-1, named=True)`.

        Raises:
          IndexError: there is no such row.
          LookupError: the episode was not recorded whole, so that only its summary is known.

        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        >>> recorder = jaxlog.empty_recorder(logger, {"x": jnp.zeros(1)}, num_episodes=1)
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with logger.open(directory):
        ...         for x in range(3):
        ...             recorder = jaxlog.record_step(
        ...                 recorder, {"x": jnp.full(1, 1.0 * x)}, jnp.ones(1), jnp.full(1, x == 2)
        ...             )
        ...         _, recorder = jaxlog.log_episodes(logger, recorder, 0)
        ...     episode = jaxlog.read_run(directory).episode(0)
        ...     episode.tree["x"].tolist(), episode.rewards.tolist()
        ([0.0, 1.0, 2.0], [1.0, 1.0, 1.0])
        """
        row = which if isinstance(which, Mapping) else self._row_of_episode(which)
        file = row.get("file")
        for found in self.recordings if file is not None else ():
            if found.file == file:
                return found
        raise LookupError(
            f"{self.path}: the episode of step {row.get('step')}, environment "
            f"{row.get('environment_id')}, was not recorded whole; only its summary is known. "
            "Record episodes with jaxlog.record_step"
        )

    def _row_of_episode(self, number: int) -> Mapping[str, Any]:
        frame = self.episodes
        if not -len(frame) <= number < len(frame):
            raise IndexError(
                f"{self.path}: got the episode {number}, expected one of the "
                f"{counted(len(frame), 'row')} of episodes"
            )
        return frame.row(number, named=True)

    def labels_of_episodes(self) -> tuple[str, ...]:
        """Returns the columns of `episodes` that are labels."""
        return self._table("episodes").labels

    @property
    def steps(self) -> pl.DataFrame:
        """A polars frame with a row per step of a single environment."""
        return self._table("steps").frame

    @property
    def tasks(self) -> pl.DataFrame:
        """A polars frame with a row per task of a single environment."""
        return self._table("tasks").frame

    @property
    def evaluations(self) -> pl.DataFrame:
        """A polars frame with a row per evaluation."""
        return self._table("evaluations").frame

    def frames(self) -> dict[str, pl.DataFrame]:
        """Returns a frame for each file, by the stem of its name: `batch_metrics`, `episodes`.

        The statistics over lanes in `batch_metrics` are a frame of their own, `batch_over_lanes`.
        """
        found: dict[str, pl.DataFrame] = {}
        for stem in self._files:
            table, over_lanes = self._read(stem)
            found[stem] = table.frame
            if over_lanes is not None and len(over_lanes.frame):
                found[over_lanes_table(stem)] = over_lanes.frame
        return found

    @property
    def health(self) -> Health:
        """The problems of the run. It is false if there are none; `str` gives them as text.

        - `diverged (3 of 8 lanes, from update 130)`: in these lanes, the last value of a metric is
          not finite.
        - `unfinished (70 of 100 updates)`: the run ended before its last update.
        - `records lost (12)`: a sink has lost records.

        If run.json does not have them, all metrics are read.
        """
        if not self._has_health():
            return self._read_health()
        return health_of(self.info, self.status)

    def _has_health(self) -> bool:
        """True if run.json has the health; that of a killed run is older than its lines."""
        return "health" in self.info and self.status != "killed"

    def _read_health(self) -> Health:
        frames = (self._table(stem).frame for stem in self._files if stem != _ARRAYS)
        steps = [frame["step"].max() for frame in frames if len(frame)]
        done = max(steps, default=None)  # type: ignore[type-var]
        done = None if done is None else int(done) + 1  # type: ignore[arg-type]
        return health_of(self.info, self.status, done, self._tally())

    def _tally(self) -> Tally | None:
        """Counts the values that are not finite in the lines; None if run.json has the counts."""
        if self._has_health():
            return None
        lines = {call: self._call_lines(call) for call in self.calls}
        from jaxlog._reading.health_tally import (
            tally_of,  # imported here, after the check for polars
        )

        return tally_of(lines, self.info.get("calls"))

    def _brief_health(self) -> str:
        """Returns `health` as text, without reading large files."""
        if not self._has_health():
            with contextlib.suppress(ModuleNotFoundError, OSError):  # polars, or a file, is missing
                stems = (stem for stem in self._files if stem != _ARRAYS)
                files = (path for stem in stems for path in self._files[stem])
                if sum(path.stat().st_size for path in files) <= _LARGE:
                    return str(self._read_health())
        return str(health_of(self.info, self.status))

    @property
    def is_unfinished(self) -> bool:
        """True if the run is live, or was ended before its program ended.

        A run on another machine counts as unfinished if its run.json says that it is running.
        """
        if self.status == "unknown":
            return self.info.get("status") == "running"
        return self.status not in ("finished", "ended")

    def __repr__(self) -> str:
        files = ", ".join([*self._files, *([_MEDIA] if self._media else [])]) or "no lines"
        health = self._brief_health()
        status = f"{self.status}, {health}" if health else self.status
        return f"{type(self).__name__}({shown(self.path)!r}, {status}: {files})"

    def _to_send(self) -> tuple[str, OpenedRun]:
        """The place of the run, and what reading its frames needs, for another process."""
        has_columns = any(segment_of(name) for own in self._names.values() for name in own)
        data = self._run_file if has_columns else b""  # thousands of them would be sent
        return shown(self.path), OpenedRun(data, self.status, self._names, ())

    def _to_read(self, name: str, call: str) -> RunMetrics:
        """The metrics of a call, as many runs are read together."""
        from jaxlog._reading.together import RunMetrics

        stem = call + METRICS_TABLE
        files = () if stem in self._tables else self._files.get(stem, ())
        return RunMetrics(name, files, lambda: self.metrics_of(call))

    def _metrics(self, call: str | None) -> tuple[TableFrame, TableFrame | None]:
        return self._read(chosen_call(call, self.calls, shown(self.path)) + METRICS_TABLE)

    def _table(self, stem: str) -> TableFrame:
        return self._read(stem)[0]

    def _read(self, stem: str) -> tuple[TableFrame, TableFrame | None]:
        if stem not in self._tables:
            with needs_extra("the frames of a run"):
                from jaxlog._reading.tables import read
            known.bring(self.path)  # another process may have listed the files
            self._check_sizes(stem)
            self._tables[stem] = read(self._files.get(stem, ()), stem, self._id)
        return self._tables[stem]

    @property
    def _id(self) -> str | None:
        return id_of(self.info)

    def _check_sizes(self, stem: str) -> None:
        """Warns about columnar files that are shorter than they were at the end of the run.

        A stream that is cut between two batches is a shorter stream, for any reader.
        """
        for name, counts in _counts(self.info):
            path = self.path / name
            if path.name != name or segment_of(name) is None or stem_of(path) != stem:
                continue
            found = path.stat().st_size if path.is_file() else 0
            if found < counts.get("bytes", 0) and name not in self._short:
                self._short.add(name)
                warn_caller(
                    f"{path}: got {counted(found, 'byte')}, expected the {counts['bytes']:,} of "
                    f"{counted(counts.get('batches', 0), 'batch', 'batches')} and "
                    f"{counted(counts.get('rows', 0), 'row')} that run.json counts; the "
                    "whole batches that are left are read"
                )


def _counts(info: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, int]]]:
    """The counts of each file at the end of the run, from run.json."""
    sinks = info.get("sinks")
    for sink in sinks if isinstance(sinks, list) else ():
        files = sink.get("files") if isinstance(sink, Mapping) else None
        for name, counts in files.items() if isinstance(files, Mapping) else ():
            if isinstance(counts, Mapping) and all(type(n) is int for n in counts.values()):
                yield name, counts


def chosen_call(call: str | None, calls: Sequence[str], where: str) -> str:
    """Returns the name of a call that has logged metrics.

    Args:
      call: the name the user gave; None selects `batch`, else `train`, else the only call.
      calls: the names of the calls with metrics.
      where: the first words of an error.

    Raises:
      LookupError: there is no such call, or `call` is None and several calls could be meant.
    """
    if call is not None and call in calls:
        return call
    known = f"the calls are {', '.join(map(repr, calls))}" if calls else "no call has logged any"
    if call is not None:
        raise LookupError(f"{where}: has no metrics of a call {call!r}; {known}")
    for name in DEFAULT_CALLS:
        if name in calls or not calls:
            return name
    if len(calls) > 1:
        raise LookupError(f"{where}: got no call, expected the name of one; {known}")
    return calls[0]
