"""The sink `arrow`, which writes metrics in columns: an Arrow IPC stream for each call.

A flush appends one batch to each file, whole or not at all, so that flushed rows are in the files
even if the process is killed. Then at most the last batch of a file is incomplete; it is removed
when the run is resumed. Everything but metrics is written as the sink `jsonl` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from jaxlog._format.arrow_stream import SCHEMA, messages
from jaxlog._format.events import Event, MetricsEvent, RunInfo
from jaxlog._format.named_files import column_files
from jaxlog._format.segment import Kind, Segment, segment_of
from jaxlog.sinks.jsonl import JsonlSink, keep_episodes, keep_images
from jaxlog.sinks.sink import SinkSettings

if TYPE_CHECKING:
    from jaxlog.sinks.arrow_segments import CallColumns

Compression = Literal["none", "lz4", "zstd"]


class ArrowSettings(SinkSettings, frozen=True):
    """Writes `{name}_metrics.arrows` into the run's directory: metrics in columns, for many lanes.

    Episodes, arrays and what a single environment logs are lines, as those of the sink `jsonl`.
    """

    kind: Literal["arrow"] = "arrow"
    compression: Compression = Field(
        default="none",
        description="How the columns are compressed: `none`, which is the fastest to write and to "
        "read; `lz4`; or `zstd`, which makes the smallest files.",
    )
    keep_episodes: int = keep_episodes()
    keep_images: int = keep_images()


class ArrowSink(JsonlSink):
    """Writes a row per step and lane; whatever is not metrics, as `JsonlSink` does."""

    Settings = ArrowSettings
    linger = 0.5

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._calls: dict[tuple[str, Kind], CallColumns] = {}

    def check(self, run: RunInfo) -> None:
        """Checks that pyarrow is installed, and that the files belong to this run.

        Raises:
          ModuleNotFoundError: pyarrow is not installed.
          ValueError: the run has two such sinks; or rows that were there when the state was taken
            are missing.
          FileExistsError: there are files of another run.
        """
        try:
            import pyarrow  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "the sink arrow needs pyarrow, which is not installed; pip install 'jaxlog[arrow]'",
                name=error.name,
            ) from error
        if run.sink_number:
            raise ValueError(
                "sinks: got two sinks of the kind arrow, expected one, since they would write the "
                "same files; remove one"
            )
        self._has_lines = "jsonl" not in run.sink_kinds  # else that sink writes the other files
        super().check(run)

    def open(self, run: RunInfo) -> None:
        """Prepares the files as `JsonlSink` does; a batch that is incomplete is removed."""
        self._has_lines = "jsonl" not in run.sink_kinds
        self._run_id = run.id
        super().open(run)
        for path in column_files(self._directory):
            segment = segment_of(path.name)
            assert segment is not None
            self._call(segment.call, segment.kind).resume(path, segment)

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102  as Sink says
        from jaxlog.sinks.arrow_columns import columns_of, over_lanes_of

        beside = self._beside(event) if self._has_lines else {}
        rows, num_lanes = columns_of(event, event.columns), len(event.columns)
        prepared = [self._call(event.name, "metrics").prepare(rows, num_lanes)]
        if over_lanes := over_lanes_of(event, num_lanes):
            prepared.append(self._call(event.name, "over_lanes").prepare(over_lanes, 0))
        for add in prepared:  # nothing fails from here on: a retry would add the rows again
            add()
        for name, lines in beside.items():
            self._file(name).add(lines)

    def _write(self, event: Event) -> None:
        if self._has_lines:
            super()._write(event)

    def flush(self) -> None:  # noqa: D102
        for call in self._calls.values():
            call.finish_batch()
        super().flush()

    def pending(self) -> int:
        """The number of records that are not in a file yet."""
        return super().pending() + sum(call.pending for call in self._calls.values())

    def file_counts(self) -> Mapping[str, Mapping[str, int]]:
        """The bytes, batches and rows of each columnar file."""
        found: dict[str, dict[str, int]] = {}
        for path in column_files(self._directory):
            with path.open("rb") as file:
                batches = [one for one in messages(file) if one.kind != SCHEMA]
            found[path.name] = {
                "bytes": path.stat().st_size,
                "batches": len(batches),
                "rows": sum(one.rows for one in batches),
            }
        return found

    def close(self) -> None:  # noqa: D102
        for call in self._calls.values():
            call.finish_batch()
        super().close()

    def _call(self, name: str, kind: Kind) -> CallColumns:
        from jaxlog.sinks.arrow_segments import CallColumns

        if (name, kind) not in self._calls:
            self._calls[name, kind] = CallColumns(
                Segment(name, kind, 0), self._file, self._run_id, self.settings.compression
            )
        return self._calls[name, kind]

    def _written_files(self, directory: Path) -> list[Path]:
        lines = super()._written_files(directory) if self._has_lines else []
        return [*lines, *column_files(directory)]

    def _whole_size(self, path: Path) -> int:
        if segment_of(path.name) is None:
            return super()._whole_size(path)
        with path.open("rb") as file:
            return max((message.end for message in messages(file)), default=0)

    def _lacks_its_end(self, path: Path) -> bool:
        return segment_of(path.name) is None and super()._lacks_its_end(path)
