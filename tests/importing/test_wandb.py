"""`jaxlog import` of W&B's offline files: what W&B was given is what the run has."""

from __future__ import annotations

import importlib
import json
import math
import re
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxlog
from jaxlog._cli.main import main
from tests.conftest import MakeLogger
from tests.sinks import wandb_files
from tests.sinks.two_lanes import train

wandb: Any = pytest.importorskip("wandb")

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
NUMBERS = [0.1, 1 / 3, 5e-324, 1.7e308, 2**53 + 1, -(2**62), True, math.nan, math.inf, -math.inf]


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of one run, as a user of W&B makes them."""
    folder = tmp_path_factory.mktemp("offline")
    run = wandb.init(
        dir=folder,
        mode="offline",
        project="p",
        name="first run/1",
        group="g",
        tags=["a", "b"],
        notes="a note",
        config={"lr": 3e-4, "net": {"layers": [64, 64]}, "api_key": "secret"},
        settings=wandb.Settings(silent=True),
    )
    run.define_metric("epoch")
    run.define_metric("val/*", step_metric="epoch")
    run.define_metric("train/step")
    run.define_metric("train/*", step_metric="train/step")
    for number, value in enumerate(NUMBERS):
        run.log({"number": value, "nested": {"x": number}, "phase": "warmup"})
    for epoch in range(3):
        run.log({"epoch": epoch, "val/loss": epoch / 7, "train/step": 10 * epoch, "train/loss": 1})
    run.log(
        {
            "histogram": wandb.Histogram(
                np_histogram=(np.array([1, 0, 5]), np.array([0, 1, 2, 4]))
            ),
            "frame": wandb.Image(PIXELS, caption="now"),
            "frames": [wandb.Image(PIXELS), wandb.Image(PIXELS[::-1])],
            "table": wandb.Table(columns=["task", "n"], data=[["maze", 0.5], ["key", None]]),
            "list": [1.5, 2.5],
            "page": wandb.Html("<b>x</b>"),
        }
    )
    run.summary["best"] = 0.75
    run.config.update({"late": 1})
    run.finish()
    wandb_files.read_all(folder)  # waits for it
    return folder


def lines(run: Path, call: str) -> list[dict[str, Any]]:
    text = (run / f"{call}_metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_all_of_a_run_is_there(offline: Path, tmp_path: Path) -> None:
    words = ["import", str(offline), "--to", str(tmp_path / "runs")]
    assert main(words) == 0
    run = jaxlog.read_run(tmp_path / "runs" / "first run-1")
    facts = json.loads((run.path / "run.json").read_bytes())
    assert (facts["name"], facts["tags"]) == ("first run/1", ["a", "b"])
    assert json.loads((run.path / "annotations.json").read_bytes())["note"] == "a note"
    assert run.status == "finished"
    assert facts["config"] == {
        "lr": 3e-4,
        "net": {"layers": [64, 64]},
        "api_key": "(redacted)",
        "late": 1,
    }
    found = [line for line in lines(run.path, "history") if "number" in line["metrics"]]
    for number, (line, value) in enumerate(zip(found, NUMBERS, strict=True)):
        read = line["metrics"]["number"]
        read = float(line["nonfinite"]["number"]) if read is None else read
        assert repr(float(read)) == repr(float(value))
        assert not isinstance(value, int) or int(read) == value
        assert (line["step"], line["metrics"]["nested.x"]) == (number, number)
        assert abs(line["timestamp"] - time.time()) < 600
    assert [(one["step"], one["metrics"]) for one in lines(run.path, "epoch")] == [
        (epoch, {"val/loss": epoch / 7}) for epoch in range(3)
    ]
    assert [(one["step"], one["metrics"]) for one in lines(run.path, "train")] == [
        (10 * epoch, {"loss": 1}) for epoch in range(3)
    ]
    [summary] = lines(run.path, "summary")
    assert summary["metrics"] == {"best": 0.75}
    last = lines(run.path, "history")[-1]["metrics"]
    assert last["histogram_histogram"] == {
        "edges": [0, 1, 2, 4], "counts": [1, 0, 5], "below": 0, "above": 0,
    }  # fmt: skip
    from PIL import Image

    pictures = {path.name.partition("-step")[0]: path for path in run.path.rglob("*.png")}
    assert len(pictures) == 3
    np.testing.assert_array_equal(np.asarray(Image.open(pictures["frame"])), PIXELS)
    assert run.logged_tables("table")[0].rows == (("maze", 0.5), ("key", None))
    np.testing.assert_array_equal(run.logged_arrays("list")[0].value, [1.5, 2.5])
    imported = facts["imported"]
    assert (imported["from"], imported["project"], imported["group"]) == ("wandb", "p", "g")
    assert imported["left_out"]["texts"] == len(NUMBERS)
    assert imported["left_out"]["pages of HTML"] == 1
    assert (facts["started"], facts["ended"]) >= ("2020", "2020")
    [again] = jaxlog.import_runs(offline, tmp_path / "runs")
    assert again.state == "same"


def test_readers_and_commands_take_it(
    offline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [done] = jaxlog.import_runs(offline, tmp_path / "runs")
    page = tmp_path / "page.html"
    for words in (
        ["show", str(done.path)],
        ["runs", str(tmp_path / "runs"), "--where", "lr=3e-4 tag=a"],
        ["report", str(done.path), "-o", str(page)],
        ["sync", str(done.path), "--to", "tensorboard"],
        ["export", str(done.path), "--to", "parquet"],
    ):
        assert main(words) == 0, capsys.readouterr().err
    assert "first run/1" in capsys.readouterr().out
    assert b"val/loss" in page.read_bytes()
    frame = jaxlog.read_runs(tmp_path / "runs").metrics_of("epoch")
    assert frame["val/loss"].drop_nulls().to_list() == [0, 1 / 7, 2 / 7]


def test_names_axes_and_the_summary(tmp_path: Path) -> None:
    run = wandb.init(
        dir=tmp_path,
        mode="offline",
        config={"": 1, "deep": json.loads("[" * 40 + "]" * 40), "layers": [64, None]},
        settings=wandb.Settings(silent=True),
    )
    run.define_metric("val.loss", step_metric="epoch")  # of a nested dict
    run.define_metric("train/*", step_metric="train/global_step")
    run.define_metric("fit/loss", step_metric="fit/step")
    run.define_metric("loss", step_metric="fit/step", summary="min")
    for n in range(2):
        run.log({"epoch": n, "val": {"loss": n / 2, "other": n}, "plain": n})
        run.log({"train/global_step": 10 * n, "train/acc": n})
        run.log({"fit/step": 5 * n, "fit/loss": n, "loss": 9 - n})
    run.log({"epoch": 7, "plain": 2})  # an axis beside values of W&B's own step
    run.log({"a": {"b": 1}, "a.b": 2, "odd": {"_type": [3, 4], "n": 5}})
    run.summary["plain"] = -1
    run.summary["curve"] = [1, 2]
    run.finish()
    wandb_files.read_all(tmp_path)
    [done] = jaxlog.import_runs(tmp_path, tmp_path / "runs")

    def found(call: str) -> list[tuple[int, dict[str, Any]]]:
        return [(line["step"], line["metrics"]) for line in lines(done.path, call)]

    assert found("epoch") == [(0, {"val.loss": 0}), (1, {"val.loss": 0.5})]
    assert found("train_global_step") == [(0, {"train/acc": 0}), (10, {"train/acc": 1})]
    assert found("fit") == [(0, {"fit/loss": 0, "loss": 9}), (5, {"fit/loss": 1, "loss": 8})]
    assert found("history") == [
        (0, {"plain": 0, "val.other": 0}),
        (3, {"plain": 1, "val.other": 1}),
        (6, {"plain": 2, "epoch": 7}),
        (7, {"a.b": 2, "odd.n": 5}),
    ]
    assert found("summary") == [(10, {"plain": -1})]
    read = jaxlog.read_run(done.path)
    assert {array.name for array in read.logged_arrays()} == {"odd._type", "curve"}
    assert read.info["config"] == {"": 1, "layers": [64, None]}
    assert done.left_out["values whose name another value has"] == 1
    assert done.left_out["values of the config that no file can hold"] == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("x", '{"_type": "histogram", "values": [1], "packedBins": {"count": 1e12}}', "histograms"),
        ("x", '{"_type": "histogram", "values": [1], "bins": [0, Infinity]}', "histograms"),
        ("x", '{"_type": "histogram", "values": [], "bins": [0]}', "histograms"),
        ("x", '{"_type": "images/separated", "filenames": 5}', "files"),
        ("x", '{"_type": "image-file", "path": "/etc/passwd"}', "files"),
        ("_timestamp", "1e300", ""),
        ("_timestamp", "NaN", ""),
    ],
)
def test_values_that_are_none(name: str, value: str, said: str, tmp_path: Path) -> None:
    proto: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    records = [proto.Record(run={"run_id": "a", "start_time": {"seconds": 2**62}})]
    items = [{"key": name, "value_json": value}, {"key": "y", "value_json": "1"}]
    records += [proto.Record(history={"item": items}), proto.Record(exit={})]
    path = tmp_path / "run-a.wandb"
    path.write_bytes(b":W&B\0\0\0" + b"".join(map(_chunk, records)))
    [done] = jaxlog.import_runs(path, tmp_path / "runs")
    assert said in " ".join(done.left_out)
    [line] = lines(done.path, "history")
    assert line["metrics"] == {"y": 1}
    assert line["timestamp"] == 0


def _chunk(record: Any) -> bytes:
    data = record.SerializeToString()
    return struct.pack("<IHB", zlib.crc32(data, zlib.crc32(b"\1")), len(data), 1) + data


def test_the_sink_and_back(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(
        sinks=[{"kind": "jsonl"}, {"kind": "wandb", "mode": "offline"}],
        env_steps_per_update=8,
        histograms={"episode_returns": [0, 9, 20]},
    )
    with logger.open(tmp_path / "run", config={"lr": 0.1}) as run:
        train(logger, 31)
        run.log({"score": 3.25}, step=7)
    theirs = wandb_files.read_all(tmp_path / "run")
    found = jaxlog.import_runs(tmp_path / "run" / "wandb", tmp_path / "runs")
    names = [json.loads((one.path / "run.json").read_bytes())["name"] for one in found]
    assert sorted(names) == [one.name for one in theirs]
    lanes = [one for one in found if (one.path / "batch_metrics.jsonl").exists()]
    assert len(lanes) == 2
    for lane, one in enumerate(sorted(lanes, key=lambda one: one.path.name)):
        ours = [line for line in lines(tmp_path / "run", "batch") if line["lane"] == lane]
        read = [line for line in lines(one.path, "batch") if line["metrics"]]
        assert [(line["step"], line["env_step"]) for line in read] == [
            (line["step"], line["env_step"]) for line in ours
        ]
        for line, live in zip(read, ours, strict=True):
            for key, value in live["metrics"].items():
                if isinstance(value, dict):
                    found_one = line["metrics"][key]
                    assert [found_one[part] for part in ("edges", "counts")] == [
                        value[part] for part in ("edges", "counts")
                    ]
                else:
                    assert np.float32(line["metrics"][key]) == np.float32(value)


def test_a_run_that_was_continued_is_one(tmp_path: Path) -> None:
    for part in range(2):
        run = wandb.init(
            dir=tmp_path, mode="offline", id="abc", resume="allow", settings={"silent": True}
        )
        run.log({"x": part}, step=part)
        run.finish(exit_code=part)
        wandb_files.read_all(tmp_path)
        time.sleep(1.1)  # the folder's name has the second
    [done] = jaxlog.import_runs(tmp_path, tmp_path / "runs")
    assert len(done.files) == 2
    assert [(one["step"], one["metrics"]["x"]) for one in lines(done.path, "history")] == [
        (0, 0),
        (1, 1),
    ]
    read = jaxlog.read_run(done.path)
    assert read.status == "failed"
    copy = tmp_path / "backup" / "run-abc.wandb"
    copy.parent.mkdir()
    copy.write_bytes(done.files[0].read_bytes()[:-20])
    [again] = jaxlog.import_runs(tmp_path, tmp_path / "runs")
    assert (again.state, again.left_out["copies of a file"]) == ("same", 1)


def _file(offline: Path) -> Path:
    return next(offline.rglob("*.wandb"))


def test_a_cut_file_gives_its_whole_records(offline: Path, tmp_path: Path) -> None:
    data = _file(offline).read_bytes()
    path = tmp_path / "run-x.wandb"
    for size in (len(data) - 1, len(data) * 2 // 3):
        path.write_bytes(data[:size])
        [done] = jaxlog.import_runs(path, tmp_path / "runs")
        [cut] = done.cut
        at = int(re.findall(r"at byte ([0-9,]+), which", cut)[0].replace(",", ""))
        assert at < size
        assert jaxlog.read_run(done.path).status in ("killed", "unknown")
        steps = [line["step"] for line in lines(done.path, "history")]
        path.write_bytes(data[:at])  # all that comes before
        rows = wandb_files.read(path).rows
        assert steps == [row["_step"] for row in rows if "number" in row or "list" in row]
        assert steps


def test_damaged_and_other_files_are_errors_and_leave_nothing(
    offline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(_file(offline).read_bytes())
    data[len(data) // 2] ^= 1
    path = tmp_path / "run-x.wandb"
    for content, said in (
        (bytes(data), "is damaged: its checksum is wrong"),
        (b"step,x\n0,1\n", "is no offline file of W&B: it begins otherwise"),
        (b":W&", "ends within its head; it has no record; there is no run in it"),
    ):
        path.write_bytes(content)
        assert main(["import", str(path), "--to", str(tmp_path / "runs")]) == 2
        assert said in capsys.readouterr().err
        assert [one.name for one in tmp_path.iterdir()] == [path.name]
