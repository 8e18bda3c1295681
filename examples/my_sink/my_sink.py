"""A sink in a package of its own: it writes the values of each line as rows of one CSV file.

After installation, settings choose it by its kind, like the sinks of jaxlog:

    sinks:
      - kind: csv
        delimiter: ";"
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import Field

from jaxlog.sinks import MetricsEvent, RunInfo, Sink, SinkSettings


class CsvSettings(SinkSettings, frozen=True):
    """Writes `metrics.csv` into the run's directory."""

    kind: Literal["csv"] = "csv"
    delimiter: str = Field(
        default=",", min_length=1, max_length=1, description="Character between values."
    )


class CsvSink(Sink):
    """Writes a row for each value, so that a metric may appear late without a new column."""

    Settings = CsvSettings
    needs_directory = True

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._file: TextIO | None = None

    def check(self, run: RunInfo) -> None:
        """Raise errors that the user has to correct, before the run begins."""
        if run.if_exists == "error" and self._path(run).exists():
            raise FileExistsError(
                f"{self._path(run)}: belongs to another run; choose another directory"
            )

    def open(self, run: RunInfo) -> None:
        """Open the file. This and all later calls are on the sink's own thread."""
        mode = "w" if run.if_exists == "replace" else "a"
        self._file = self._path(run).open(mode, newline="")
        self._rows = csv.writer(self._file, delimiter=self.settings.delimiter)
        if not self._file.tell():
            self._rows.writerow(["name", "step", "lane", "key", "value"])

    def write_metrics(self, event: MetricsEvent) -> None:
        """Take one step of one call: the metrics of all lanes that log."""
        for lane in event.lanes:
            for key, value in lane.metrics.items():
                self._rows.writerow([event.name, event.step, lane.index, key, value])

    def flush(self) -> None:
        """Flush the file; its rows now count as written."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file. Called once."""
        if self._file is not None:
            self._file.close()

    def _path(self, run: RunInfo) -> Path:
        assert run.directory is not None
        return run.directory / "metrics.csv"
