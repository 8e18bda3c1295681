"""A sink in a package of its own: it writes the values of each line as rows of one CSV file.

After installation, settings choose it by its kind, like the sinks of jaxlog:

    sinks:
      - kind: csv
        delimiter: ";"
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Literal

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
        self._text = io.StringIO()  # the rows since the last flush
        self._rows = csv.writer(self._text, delimiter=settings.delimiter)

    def check(self, run: RunInfo) -> None:
        """Raise errors that the user has to correct, before the run begins."""
        path = self._path(run)
        if run.if_exists == "error" and path.exists():
            raise FileExistsError(f"{path}: belongs to another run; choose another directory")
        size = path.stat().st_size if path.exists() else 0
        if run.position is not None and size < run.position["size"]:
            raise ValueError(f"{path}: got {size} bytes, expected {run.position['size']}")

    def open(self, run: RunInfo) -> None:
        """Open the file. This and all later calls are on the sink's own thread."""
        path = self._path(run)
        self._file = path.open("wb" if run.if_exists == "replace" else "ab")
        if run.position is not None:
            self._size = run.position["size"]  # records after this are logged again
        else:
            self._size = path.read_bytes().rfind(b"\n") + 1  # a kill may leave half a row
        self._file.truncate(self._size)
        if not self._size:
            self._rows.writerow(["name", "step", "lane", "key", "value"])

    def write_metrics(self, event: MetricsEvent) -> None:
        """Take one step of one call: the metrics of all lanes that log."""
        rows = [
            [event.name, event.step, lane.index, key, value]
            for lane in event.lanes
            for key, value in lane.metrics.items()
        ]
        self._rows.writerows(rows)  # after everything that can fail: all of the event, or nothing

    def flush(self) -> None:
        """Write the rows to the file; from now on they count as written."""
        data = self._text.getvalue().encode()
        self._file.truncate(self._size)  # the rest of a flush that failed
        self._file.write(data)
        self._file.flush()
        self._size += len(data)
        self._text.seek(0)
        self._text.truncate()

    def position(self) -> dict[str, int]:
        """Return how far the file is written, for a run that is resumed from here."""
        return {"size": self._size}

    def close(self) -> None:
        """Flush and close the file. Called once."""
        try:
            self.flush()
        finally:
            self._file.close()

    def _path(self, run: RunInfo) -> Path:
        assert run.directory is not None
        return run.directory / "metrics.csv"
