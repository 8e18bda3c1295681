"""A sink of one's own: the values of each line as rows of one CSV file.

Installed, it is chosen by its kind, like those that jaxlog has:

    sinks:
      - kind: csv
        delimiter: ";"
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import Field

from jaxlog import Histogram, MetricsEvent, RunInfo, Sink, SinkSettings


class CsvSettings(SinkSettings, frozen=True):
    """Writes `metrics.csv` into the run's directory."""

    kind: Literal["csv"] = "csv"
    delimiter: str = Field(",", min_length=1, max_length=1, description="Stands between values.")


class CsvSink(Sink):
    """Writes a row for each value, so that a metric that comes late needs no column."""

    Settings = CsvSettings
    needs_directory = True

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._file: TextIO | None = None

    def check(self, run: RunInfo) -> None:
        """What is raised here reaches the user, before the run begins."""
        if run.if_exists == "error" and self._path(run).exists():
            raise FileExistsError(f"{self._path(run)}: is of another run; choose another directory")

    def open(self, run: RunInfo) -> None:
        """From here on, all is called on a thread of this sink's own."""
        mode = "w" if run.if_exists == "replace" else "a"
        self._file = self._path(run).open(mode, newline="")
        self._rows = csv.writer(self._file, delimiter=self.settings.delimiter)
        if not self._file.tell():
            self._rows.writerow(["name", "step", "lane", "key", "value"])

    def write_metrics(self, event: MetricsEvent) -> None:
        """A step's aggregates and scalars, of all lanes that log."""
        for lane in event.lanes:
            for key, value in lane.metrics.items():
                if not isinstance(value, Histogram):
                    self._rows.writerow([event.name, event.step, lane.index, key, value])

    def flush(self) -> None:
        """What is in the file now counts as written."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Called once."""
        if self._file is not None:
            self._file.close()

    def _path(self, run: RunInfo) -> Path:
        assert run.directory is not None
        return run.directory / "metrics.csv"
