"""`jaxlog import` of TensorBoard's event files: what its own reader has is what the run has."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter

import jaxlog
from jaxlog._cli.main import main
from tests.conftest import MakeLogger
from tests.sinks.two_lanes import train

ALL = {"scalars": 0, "tensors": 0, "histograms": 0, "images": 0}
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def accumulated(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars of a folder, by TensorBoard's own reader."""
    reader = EventAccumulator(str(folder), size_guidance=ALL)
    reader.Reload()
    tags: Any = reader.Tags()
    found = {tag: [(one.step, one.value) for one in reader.Scalars(tag)] for tag in tags["scalars"]}
    for tag in tags["tensors"]:
        events = reader.Tensors(tag)
        if reader.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            make = importlib.import_module("tensorboard.util.tensor_util").make_ndarray
            found[tag] = [(one.step, make(one.tensor_proto).item()) for one in events]
    return {tag: sorted(points, key=lambda point: point[0]) for tag, points in found.items()}


def imported(run: Path, call: str = "history") -> dict[str, list[tuple[int, float]]]:
    """The numbers of a run, as the float32 that its lines have."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in map(json.loads, (run / f"{call}_metrics.jsonl").read_text().splitlines()):
        for key, value in line["metrics"].items():
            if not isinstance(value, dict):
                number = float(line["nonfinite"][key]) if value is None else value
                found.setdefault(key, []).append((line["step"], float(np.float32(number))))
    return {key: sorted(points, key=lambda point: point[0]) for key, points in found.items()}


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)  # NaN, too


def test_what_the_common_writer_wrote(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path / "logs" / "ppo" / "0"))
    rng = np.random.default_rng(0)
    for step in range(50):
        writer.add_scalar("loss/train", rng.normal(), step, walltime=1000.0 + step)
    for step in range(0, 50, 10):
        writer.add_scalar("return", [0.1, np.nan, np.inf, 1e30, -5][step // 10], step, 2000.0)
        writer.add_histogram("weights", rng.normal(size=200), step, walltime=2001.0)
    writer.add_scalar("return", 7, 40)  # once more at the same step
    writer.add_image("frame", PIXELS, 10, walltime=2002.0, dataformats="HWC")
    writer.add_images("several", np.stack([PIXELS, PIXELS]), 10, dataformats="NHWC")
    writer.add_text("note", "**bold** text", 20)
    writer.add_hparams({"lr": 3e-4, "layers": 3, "name": "x", "on": True}, {"best": 0.5}, name="hp")
    writer.add_scalar("early", 1.0, -1)
    writer.close()
    words = ["import", str(tmp_path / "logs"), "--to", str(tmp_path / "runs")]
    assert main(words) == 0
    run = jaxlog.read_run(tmp_path / "runs" / "ppo-0")
    expected = accumulated(tmp_path / "logs" / "ppo" / "0")
    del expected["early"]
    assert same(imported(run.path), expected)
    facts = json.loads((run.path / "run.json").read_bytes())
    assert facts["imported"]["left_out"] == {"points at negative steps": 1}
    assert facts["health"]["history"]["lanes"] == 1
    parameters = jaxlog.read_run(tmp_path / "runs" / "ppo-0-hp")
    facts = json.loads((parameters.path / "run.json").read_bytes())
    assert facts["config"] == {"lr": 3e-4, "layers": 3, "name": "x", "on": True}
    assert imported(parameters.path) == {"best": [(0, 0.5)]}
    assert parameters.status == "finished"

    reader = EventAccumulator(str(tmp_path / "logs" / "ppo" / "0"), size_guidance=ALL)
    reader.Reload()
    lines = [
        json.loads(line) for line in (run.path / "history_metrics.jsonl").read_text().splitlines()
    ]
    found = {
        line["step"]: line["metrics"]["weights_histogram"]
        for line in lines
        if "weights_histogram" in line["metrics"]
    }
    for event in reader.Histograms("weights"):
        theirs = event.histogram_value
        assert sum(found[event.step]["counts"]) == theirs.num == 200
        edges = found[event.step]["edges"]
        assert (edges[0], edges[-1]) == (theirs.min, theirs.max)
        assert set(edges[1:-1]) <= set(theirs.bucket_limit)
    images = {image.name: image for image in run.logged_images()}
    assert set(images) == {"frame", "several"}
    np.testing.assert_array_equal(images["frame"].value, PIXELS)
    assert run.logged_tables("note/text_summary")[0].rows == (("**bold** text",),)


def test_what_writers_of_tensors_wrote(tmp_path: Path) -> None:
    made = {
        name: importlib.import_module(f"tensorboard.plugins.{name}.summary_v2")
        for name in ("scalar", "histogram", "text", "hparams")
    }
    event_pb2 = importlib.import_module("tensorboard.compat.proto.event_pb2")
    files = importlib.import_module("tensorboard.summary.writer.event_file_writer")
    writer = files.EventFileWriter(str(tmp_path / "tf2"))

    def add(summary: Any, step: int, *, bare: bool = False) -> None:
        if bare:  # only the first value of a tag has its metadata
            summary.value[0].ClearField("metadata")
        writer.add_event(event_pb2.Event(wall_time=10.0 + step, step=step, summary=summary))

    for step in range(3):
        add(made["scalar"].scalar_pb("loss", 0.1 * step), step, bare=step > 0)
        rows = np.linspace(-1.0, 1.0, 30) * (step + 1)
        add(made["histogram"].histogram_pb("w", rows, 5), step, bare=step > 0)
    add(made["histogram"].histogram_pb("same", np.full(9, 2.5), 3), 0)
    add(made["text"].text_pb("words", np.array([["a", "b"], ["c", "d"]])), 1)
    add(made["hparams"].hparams_pb({"lr": 0.5}, start_time_secs=5.0), 0)
    writer.close()
    [done] = jaxlog.import_runs(tmp_path / "tf2", tmp_path / "runs")
    assert (done.left_out, done.cut) == ({}, ())
    assert done.path.name == "tf2"
    assert same(imported(done.path), accumulated(tmp_path / "tf2"))
    lines = [
        json.loads(line) for line in (done.path / "history_metrics.jsonl").read_text().splitlines()
    ]
    first = lines[0]["metrics"]
    assert first["w_histogram"]["counts"] == [6] * 5
    np.testing.assert_allclose(first["w_histogram"]["edges"], np.linspace(-1, 1, 6), atol=1e-7)
    assert first["same_histogram"]["counts"] == [9]
    assert first["same_histogram"]["edges"] == [2.5, math.nextafter(2.5, 3)]
    facts = json.loads((done.path / "run.json").read_bytes())
    assert (facts["config"], facts["opened"]) == ({"lr": 0.5}, 5.0)
    [table] = jaxlog.read_run(done.path).logged_tables("words")
    assert (table.columns, table.rows) == (("0", "1"), (("a", "b"), ("c", "d")))


def test_the_sink_and_back(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(
        sinks=[{"kind": "tensorboard"}], histograms={"episode_returns": [0, 9, 20]}
    )
    with logger.open(tmp_path / "run"):
        train(logger, 31)
    found = jaxlog.import_runs(tmp_path / "run" / "tensorboard", tmp_path / "runs")
    folders = sorted(file.parent for file in (tmp_path / "run").rglob("*tfevents*"))
    assert [one.files[0].parent for one in found] == folders
    assert len(found) > 1
    for one in found:
        assert same(imported(one.path), accumulated(one.files[0].parent))


def test_several_files_and_a_restart(tmp_path: Path) -> None:
    for number, (begin, end) in enumerate([(0, 10), (6, 15)]):
        purge = begin if number else None
        writer = SummaryWriter(
            str(tmp_path / "logs"), filename_suffix=str(number), purge_step=purge
        )
        for step in range(begin, end):
            writer.add_scalar("x", step + 100 * number, step)
        writer.close()
    paths = sorted((tmp_path / "logs").iterdir(), key=lambda path: path.name[-1])
    for number, path in enumerate(paths):  # within one second, their names have no order
        path.rename(path.with_name(f"events.out.tfevents.100000000{number}.x"))
    [done] = jaxlog.import_runs(tmp_path / "logs", tmp_path / "runs")
    assert done.left_out == {"points that a restart has superseded": 4}
    expected = [(step, step + 100.0 * (step > 5)) for step in range(15)]
    assert imported(done.path) == {"x": expected} == accumulated(tmp_path / "logs")


def test_values_that_are_none_and_the_largest(tmp_path: Path) -> None:
    make = importlib.import_module("tensorboard.util.tensor_util").make_tensor_proto
    event_pb2: Any = importlib.import_module("tensorboard.compat.proto.event_pb2")
    writer = importlib.import_module("tensorboard.summary.writer.event_file_writer")
    largest = float(np.finfo(np.float64).max)

    def of_plugin(name: str, value: Any, content: bytes = b"") -> dict[str, Any]:
        plugin = {"plugin_name": name, "content": content}
        return {"tensor": make(value), "metadata": {"plugin_data": plugin}}

    values = {
        "parameters": of_plugin("hparams", 0.0, b"\xff\xff"),
        "texts": of_plugin("histograms", np.array([["a", "b", "c"]])),
        "same": of_plugin("histograms", np.array([[largest, largest, 3]])),
        "big": of_plugin("histograms", np.array([[0, 1, 1e300]])),
        "x": {"simple_value": 1.0},
    }
    summary = {"value": [{"tag": tag, **value} for tag, value in values.items()]}
    made = writer.EventFileWriter(str(tmp_path / "logs"))
    made.add_event(event_pb2.Event(wall_time=1e300, step=0, summary=summary))
    made.close()
    [done] = jaxlog.import_runs(tmp_path / "logs", tmp_path / "runs")
    [line] = map(json.loads, (done.path / "history_metrics.jsonl").read_text().splitlines())
    assert (line["timestamp"], line["metrics"]["x"]) == (0, 1)
    edges = [math.nextafter(largest, 0), largest]
    assert line["metrics"]["same_histogram"] == {
        "edges": edges, "counts": [3], "below": 0, "above": 0,
    }  # fmt: skip
    assert sorted(done.left_out.values()) == [1, 1, 1]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("written")
    writer = SummaryWriter(str(folder))
    for step in range(20):
        writer.add_scalar("x", step, step)
    writer.close()
    return next(folder.iterdir()).read_bytes()


@pytest.mark.parametrize("missing", [1, 5, 30, 44])
def test_a_cut_file_gives_its_whole_records(missing: int, written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "events.out.tfevents.1.x"
    path.parent.mkdir()
    path.write_bytes(written[:-missing])
    [done] = jaxlog.import_runs(path, tmp_path / "runs")
    assert done.path.name == "logs"
    assert imported(done.path) == accumulated(path.parent)
    assert len(imported(done.path)["x"]) in (18, 19)
    [cut] = done.cut
    place = int(cut.partition("at byte ")[2].partition(",")[0])
    assert cut == f"{path}: ends within the record at byte {place}, which is left out"
    path.write_bytes(written[:place])  # as the message says
    [whole] = jaxlog.import_runs(path, tmp_path / "runs")
    assert (whole.state, whole.cut, whole.lines) == ("replaced", (), done.lines)


@pytest.mark.parametrize(("place", "said"), [(300, "is damaged: "), (3, "is no event file of")])
def test_a_damaged_record_is_an_error_and_leaves_nothing(
    place: int, said: str, written: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.out.tfevents.1.x"
    damaged = bytearray(written)
    damaged[place] ^= 1
    path.write_bytes(damaged)
    assert main(["import", str(path), "--to", str(tmp_path / "runs")]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == damaged
    if place > 3:
        at = int(err.rpartition("truncate -s ")[2].partition(" ")[0])
        path.write_bytes(damaged[:at])
        assert main(["import", str(path), "--to", str(tmp_path / "runs")]) == 0


def test_what_is_written_while_it_is_read_comes_with_the_next_import(
    written: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.out.tfevents.1.x"
    file.write_bytes(written[:-200])
    cls: Any = importlib.import_module("jaxlog._importing.tensorboard_source")._EventReader
    read = cls.read

    def read_and_grow(self: Any, path: Path) -> None:
        read(self, path)
        path.write_bytes(written)

    with monkeypatch.context() as patched:
        patched.setattr(cls, "read", read_and_grow)
        [done] = jaxlog.import_runs(file, tmp_path / "runs")
    assert (done.state, done.lines < 20) == ("new", True)
    [done] = jaxlog.import_runs(file, tmp_path / "runs")
    assert (done.state, done.lines) == ("replaced", 20)
