"""Reads TensorBoard's event files as runs: each folder with such files is a run, as there."""

from __future__ import annotations

import importlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxlog._errors import ImportingError
from jaxlog._format.events import Histogram, MetricsEvent
from jaxlog._format.media import Image, Table
from jaxlog._importing.event_records import HEAD, EventRecords
from jaxlog._importing.pictures import decoded_image
from jaxlog._importing.rows import EventMaker, SourceRow
from jaxlog._importing.source import ImportOptions, SourceRun, digest_of, time_of
from jaxlog._importing.tensorboard_values import histogram_of, table_of

_STATUS = {1: "finished", 2: "failed"}
"""The status of a session of the tab for hyper-parameters, by its number; 3 is still running."""


@dataclass
class _Points:
    """The points of one tag, in the order of the files.

    Attributes:
      kind: `scalar`, `histogram`, `image` or `text`.
      steps: the steps.
      times: the times, in seconds since 1970.
      values: the numbers, float32; or whatever else the points have.
    """

    kind: str
    steps: array[int] = field(default_factory=lambda: array("q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    values: Any = field(default_factory=list)

    def add(self, step: int, time: float, value: Any) -> None:
        """Adds a point."""
        self.steps.append(step)
        self.times.append(time)
        self.values.append(value)

    def cut(self, step: int) -> int:
        """Drops the points from a step on; returns how many."""
        kept = [place for place, own in enumerate(self.steps) if own < step]
        dropped = len(self.steps) - len(kept)
        if dropped:
            self.steps = array("q", [self.steps[place] for place in kept])
            self.times = array("d", [self.times[place] for place in kept])
            values = [self.values[place] for place in kept]
            self.values = array("f", values) if isinstance(self.values, array) else values
        return dropped


class _EventReader:
    """Collects the points of all event files of one folder.

    Attributes:
      tags: the points of each tag.
      config: the hyper-parameters.
      outcome: the status and the times that the tab for hyper-parameters has.
      left_out: as in `SourceRun`.
      cut: as in `SourceRun`.
    """

    def __init__(self) -> None:
        self.tags: dict[str, _Points] = {}
        self.config: dict[str, Any] = {}
        self.outcome: dict[str, Any] = {}
        self.left_out: Counter[str] = Counter()
        self.cut: list[str] = []
        self._plugins: dict[str, str] = {}
        self._time = 0.0  # of the last point
        self._event: Any = importlib.import_module("tensorboard.compat.proto.event_pb2").Event
        util: Any = importlib.import_module("tensorboard.util.tensor_util")
        self._array = util.make_ndarray

    def read(self, path: Path) -> None:
        """Reads one file.

        Raises:
          ImportingError: it is no event file, or is damaged.
        """
        records = EventRecords(path)
        for record in records:
            try:
                event = self._event.FromString(record.data)
            except Exception as error:
                raise ImportingError(
                    f"{path}: the record at byte {record.place:,} is not TensorBoard's: {error}"
                ) from None
            match event.WhichOneof("what"):
                case "summary":
                    for place, value in enumerate(event.summary.value):
                        self._add(
                            event, value, (path, record.place + HEAD, len(record.data), place)
                        )
                case "session_log" if event.session_log.status == 1:  # a restart
                    dropped = sum(points.cut(event.step) for points in self.tags.values())
                    if dropped:
                        self.left_out["points that a restart has superseded"] += dropped
                case "graph_def" | "meta_graph_def":
                    self.left_out["graphs"] += 1
                case "tagged_run_metadata" | "log_message":
                    self.left_out["messages and metadata of sessions"] += 1
                case _:
                    pass
        if records.cut is not None:
            self.cut.append(records.cut)

    def _add(self, event: Any, value: Any, place: tuple[Path, int, int, int]) -> None:
        plugin = value.metadata.plugin_data.plugin_name
        if plugin:  # only the first event of a tag has it
            self._plugins.setdefault(value.tag, plugin)
        plugin = self._plugins.get(value.tag, "")
        what = value.WhichOneof("value")
        if plugin == "hparams":
            self._add_hyper_parameters(value.metadata.plugin_data.content)
            return
        if event.step < 0:
            self.left_out["points at negative steps"] += 1
            return
        match what:
            case "simple_value":
                self._point(event, value.tag, "scalar", np.float32(value.simple_value))
            case "histo":
                self._histogram(event, value.tag, histogram_of(value.histo))
            case "image":
                self._point(event, value.tag, "image", place)
            case "tensor":
                self._tensor(event, value, plugin, place)
            case "audio":
                self.left_out["sounds"] += 1
            case _:
                self.left_out["values of an unknown kind"] += 1

    def _tensor(self, event: Any, value: Any, plugin: str, place: Any) -> None:
        if plugin == "images":
            self._point(event, value.tag, "image", place)
            return
        try:
            found = self._array(value.tensor)
        except Exception:
            self.left_out["tensors that cannot be read"] += 1
            return
        if plugin == "scalars" or (not plugin and not found.ndim and found.dtype.kind in "biuf"):
            number = found.reshape(-1)
            if number.size != 1 or number.dtype.kind not in "biufV":
                self.left_out["tensors that cannot be read"] += 1
                return
            self._point(event, value.tag, "scalar", number[0])
        elif plugin == "histograms":
            self._histogram(event, value.tag, histogram_of(found))
        elif plugin == "text":
            self._point(event, value.tag, "text", table_of(found))
        else:
            self.left_out[f"values of the plugin {plugin}" if plugin else "tensors"] += 1

    def _histogram(self, event: Any, tag: str, histogram: Histogram | str) -> None:
        if isinstance(histogram, str):
            self.left_out[histogram] += 1
        else:
            self._point(event, tag, "histogram", histogram)

    def _point(self, event: Any, tag: str, kind: str, value: Any) -> None:
        if not tag:
            self.left_out["values without a tag"] += 1
            return
        points = self.tags.get(tag)
        if points is None:
            points = self.tags[tag] = _Points(kind, values=array("f") if kind == "scalar" else [])
        if points.kind != kind:
            self.left_out[f"values of {tag} of another kind than {points.kind}"] += 1
            return
        if isinstance(points.values, array) and value.dtype != np.float32:
            points.values = list(map(np.float32, points.values))  # a number of another type follows
        self._time = time_of(event.wall_time) or self._time
        points.add(event.step, self._time, value)

    def _add_hyper_parameters(self, content: bytes) -> None:
        plugin: Any = importlib.import_module("tensorboard.plugins.hparams.plugin_data_pb2")
        try:
            data = plugin.HParamsPluginData.FromString(content)
        except Exception:  # whatever protobuf raises
            self.left_out["hyper-parameters that cannot be read"] += 1
            return
        match data.WhichOneof("data"):
            case "session_start_info":
                start = data.session_start_info
                for name, value in start.hparams.items():
                    self.config[name] = _plain(getattr(value, value.WhichOneof("kind") or "", None))
                if time_of(start.start_time_secs):
                    self.outcome["started"] = start.start_time_secs
            case "session_end_info":
                self.outcome["status"] = _STATUS.get(data.session_end_info.status)
                if time_of(data.session_end_info.end_time_secs):
                    self.outcome["ended"] = data.session_end_info.end_time_secs
            case _:
                pass


def _plain(value: Any) -> Any:
    """A hyper-parameter; whole numbers are integers, which TensorBoard does not tell apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def folders_with_events(path: Path) -> list[Path]:
    """The folders with event files in a directory and below it, sorted."""
    return sorted({file.parent for file in path.rglob("*tfevents*") if file.is_file()})


def tensorboard_run(
    files: Sequence[Path], name: str, key: Path, options: ImportOptions
) -> SourceRun:
    """The run in some event files of one folder.

    Args:
      files: the files, which TensorBoard reads in the order of their names.
      name: the name of the run.
      key: the folder, or the only file.
      options: the choices for an import.

    Raises:
      ImportingError: a file is no event file, or is damaged; or a package is missing.
      OSError: a file cannot be read.
    """
    reader = _reader()
    digest = digest_of(files)
    for path in files:
        reader.read(path)
    return SourceRun(
        kind="tensorboard",
        key=f"tensorboard:{key.resolve()}",
        files=files,
        digest=digest,
        name=name,
        events=partial(_events, options.call, reader),
        config=reader.config,
        cut=reader.cut,
        left_out=reader.left_out,
        **reader.outcome,
    )


def _reader() -> _EventReader:
    try:
        importlib.import_module("crc32c")
        return _EventReader()
    except ImportError as error:
        raise ImportingError(
            f"TensorBoard's files cannot be read without the package {error.name}; install it "
            "with: pip install 'jaxlog[import]'"
        ) from None


def _events(call: str, reader: _EventReader) -> Iterator[MetricsEvent]:
    """The events: the points of one step are together, whenever they were written.

    A tag that has several points at a step has them in several events.
    """
    rows: dict[tuple[int, int], list[tuple[str, int]]] = {}
    times: dict[tuple[int, int], float] = {}
    for tag, points in reader.tags.items():
        seen: Counter[int] = Counter()
        for place, step in enumerate(points.steps):
            key = seen[step], step
            seen[step] += 1
            rows.setdefault(key, []).append((tag, place))
            times[key] = max(times.get(key, 0.0), points.times[place])
    maker = EventMaker(call)
    for key in sorted(rows, key=lambda key: (times[key], key)):
        yield maker.event(key[1], times[key], [_row(reader, rows[key])])


def _row(reader: _EventReader, found: Sequence[tuple[str, int]]) -> SourceRow:
    values: dict[str, Any] = {}
    media: dict[str, Image | Table] = {}
    for tag, place in found:
        points = reader.tags[tag]
        value = points.values[place]
        match points.kind:
            case "image":
                media.update(_images(reader, tag, *value))
            case "text":
                media[tag] = value
            case "scalar" if isinstance(points.values, array):
                values[tag] = np.float32(value)
            case _:
                values[tag] = value
    return SourceRow(values, media={key: one for key, one in media.items() if key not in values})


def _images(
    reader: _EventReader, tag: str, path: Path, place: int, size: int, number: int
) -> Mapping[str, Image]:
    """The images of one value, decoded from the file again: all of them may not fit in memory."""
    with path.open("rb") as file:
        file.seek(place)
        value = reader._event.FromString(file.read(size)).summary.value[number]
    if value.WhichOneof("value") == "image":
        data = [value.image.encoded_image_string]
    else:  # a tensor of texts: width, height, and the images
        data = [bytes(one) for one in reader._array(value.tensor).reshape(-1)[2:]]
    caption = value.metadata.summary_description or None
    names = [tag] if len(data) == 1 else [f"{tag}/{one}" for one in range(len(data))]
    found: dict[str, Image] = {}
    for name, one in zip(names, data, strict=True):
        image = decoded_image(one, caption)
        if isinstance(image, str):
            reader.left_out[image] += 1
        else:
            found[name] = image
    return found


def run_name(folder: Path, root: Path) -> str:
    """The name of the run of a folder: its path below the directory that was given.

    >>> run_name(Path("logs/ppo/train"), Path("logs")), run_name(Path("logs"), Path("logs"))
    ('ppo-train', 'logs')
    """
    inside = folder.relative_to(root).parts
    return "-".join(inside) if inside else folder.resolve().name
