"""Makes a lazy frame of the metrics of many runs, which are read some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from jaxlog._format.columnar import RUN
from jaxlog._format.lines import METRICS_TABLE, calls_of
from jaxlog._format.named_files import named_files
from jaxlog._format.run_file import id_of
from jaxlog._host.status import facts_of
from jaxlog._reading.concatenate import fitted, joined
from jaxlog._reading.finding import files_of_tables
from jaxlog._reading.io_source import rows_asked_for
from jaxlog._reading.run_config import config_frame
from jaxlog._reading.run_frames import chosen_call
from jaxlog._reading.tables import read
from jaxlog._reading.together import RunMetrics, rows_of_runs
from jaxlog._text import counted

KEPT = 2**28
"""The most bytes of rows that are kept from the first reading for the second."""


class ManyRuns:
    """The metrics of a call of many runs.

    Args:
      runs: the directory of each run, by its name.
      call: the name of the call; None for the default one.
      config: whether the rows have columns of the config.

    Raises:
      LookupError: no run has logged metrics of the call, or several calls could be meant.
    """

    def __init__(self, runs: Mapping[str, Path], call: str | None, *, config: bool) -> None:
        files = {name: files_of_tables(named_files(path)) for name, path in runs.items()}
        calls = sorted(calls_of({stem for own in files.values() for stem in own}))
        where = counted(len(runs), "run")
        self._stem = chosen_call(call, calls, where) + METRICS_TABLE
        self._paths = runs
        self._files = {name: own[self._stem] for name, own in files.items() if self._stem in own}
        self._config = config
        self._schema: pl.Schema | None = None
        self._kept: list[pl.DataFrame] | None = []
        self._of_config: pl.DataFrame | None = None

    @property
    def schema(self) -> pl.Schema:
        """The columns of all rows; the first time, all runs are read for it."""
        if self._schema is None:
            found = pl.DataFrame(schema={RUN: pl.String()})
            size = 0
            kept: list[pl.DataFrame] | None = []
            for frame in self._read():
                found = fitted(frame.clear(), found.schema)
                size += int(frame.estimated_size())
                kept = None if kept is None or size > KEPT else [*kept, frame]
            self._schema, self._kept = found.schema, kept
        return self._schema

    def rows(
        self,
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,  # noqa: ARG002  some runs are a batch
    ) -> Iterator[pl.DataFrame]:
        """Yields the rows of some runs at a time; what polars calls."""
        return rows_asked_for(self._columns(with_columns), predicate, n_rows)

    def _columns(self, wanted: list[str] | None) -> Iterator[pl.DataFrame]:
        schema = self.schema
        for frame in self._read() if self._kept is None else self._kept:
            rows = fitted(frame, schema).select(schema.names()).cast(schema)  # a live run
            yield rows if wanted is None else rows.select(wanted)

    def _read(self) -> Iterator[pl.DataFrame]:
        for frame in rows_of_runs(self._to_read(name) for name in self._files):
            yield frame if not self._config else self._with_config(frame)

    def _to_read(self, name: str) -> RunMetrics:
        files = self._files[name]

        def alone() -> pl.DataFrame:
            run_id = id_of(facts_of(self._paths[name]))
            return read(files, self._stem, run_id)[0].frame

        return RunMetrics(name, files, alone)

    def _with_config(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self._of_config is None:
            configs = [config_frame(name, facts_of(self._paths[name])) for name in self._files]
            self._of_config = joined(configs)
        found = frame.join(self._of_config, on=RUN, how="left", maintain_order="left")
        own = [name for name in found.columns if name not in frame.columns]
        return found.select(RUN, *own, *frame.columns[1:])


def scan_many(runs: Mapping[str, Path], call: str | None, *, config: bool) -> pl.LazyFrame:
    """A lazy frame of the metrics of many runs.

    Args:
      runs: as for `ManyRuns`.
      call: as for `ManyRuns`.
      config: as for `ManyRuns`.

    Raises:
      LookupError: as for `ManyRuns`.
    """
    many = ManyRuns(runs, call, config=config)
    return register_io_source(many.rows, schema=lambda: many.schema, is_pure=True)
