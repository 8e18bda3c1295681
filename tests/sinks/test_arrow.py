"""The columnar files, read back with pyarrow and polars themselves."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog._format.arrow_stream import messages
from jaxlog._format.events import MetricsEvent, RunInfo
from jaxlog._format.lines import FIELDS, LANES, OPTIONAL, OVER_LANES
from jaxlog.sinks import arrow_segments, sink_class
from jaxlog.sinks.arrow import ArrowSettings, ArrowSink
from jaxlog.sinks.arrow_columns import batch_of
from tests.conftest import MakeLogger
from tests.format import filled
from tests.reading.files import metrics, write
from tests.sinks.disk import full_disk


def table(path: Path) -> pa.Table:
    """Reads a file with pyarrow alone."""
    with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
        return stream.read_all()


def opened(directory: Path, **more: Any) -> ArrowSink:
    sink = ArrowSink(ArrowSettings(compression=more.pop("compression", "none")))
    own: dict[str, Any] = {"if_exists": "replace", "id": "0123abcd"}
    info = RunInfo("run", directory, **own | more)
    sink.check(info)
    sink.open(info)
    return sink


def event(step: int, lanes: int = 3, **values: Any) -> MetricsEvent:
    values = values or {"loss": 0.5}
    return metrics(step, *(({"seed": i}, values) for i in range(lanes)))


def written(sink: ArrowSink, *events: MetricsEvent) -> ArrowSink:
    for one in events:
        sink.write_metrics(one)
        sink.flush()
    return sink


def test_a_row_per_step_and_lane(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(
        log_frequency=1,
        env_steps_per_update=2**31,
        over_lanes=["mean"],
        histograms={"episode_returns": [0, 2, 4]},
        sinks=[{"kind": "arrow"}],
    )

    def train(seed: jax.Array) -> Any:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            returns = jnp.arange(4.0) + seed.astype(np.float32)
            values = {"episode_returns": returns, "loss": jnp.where(seed == 1, np.nan, 0.1)}
            ended = jnp.full(4, seed > 0)
            jaxlog.batch_step(logger, step, values, where=ended, labels={"seed": seed})
            return None, None

        return jax.lax.scan(update, None, jnp.arange(2))

    with logger.open(tmp_path):
        jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(2)))
    for frame in (
        pl.read_ipc_stream(tmp_path / "batch_metrics.arrows"),
        pl.from_arrow(table(tmp_path / "batch_metrics.arrows")),
    ):
        assert isinstance(frame, pl.DataFrame)
        own = ["timestamp", "step", "env_step", "lane", "seed", "episode_count"]
        assert frame.columns[:6] == own
        assert frame["step"].to_list() == [0, 0, 1, 1]
        assert frame["env_step"].to_list() == [2**31, 2**31, 2**32, 2**32]
        assert frame["lane"].to_list() == frame["seed"].to_list() == [0, 1, 0, 1]
        assert frame["loss"].dtype == pl.Float32  # as in the program
        assert frame["loss"].is_nan().to_list() == [False, True, False, True]  # a value
        assert frame["episode_return_mean"].to_list() == [None, 2.5, None, 2.5]  # none ended
        histogram = {"edges": [0.0, 2.0, 4.0], "counts": [1, 3], "below": 0, "above": 0}
        assert frame["episode_return_histogram"].to_list() == [None, histogram] * 2
    over = pl.read_ipc_stream(tmp_path / "batch_over_lanes.arrows")
    assert over.select("step", "over_lanes", "lanes", "episode_return_mean").rows() == [
        (0, "mean", 2, 2.5),
        (1, "mean", 2, 2.5),
    ]


def test_whatever_is_not_metrics_is_lines(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(num_samples=1, sinks=[{"kind": "arrow"}])
    with logger.open(tmp_path) as run:
        jaxlog.batch_step(logger, 0, {"episode_returns": np.ones(2, np.float32)})
        run.log(step=0, arrays={"eye": np.eye(2)})
        logger.log_task_start({"task_id": 1})
        logger.log_step({"reward": 1.0})
        logger.log_episode_summary({"total_reward": 1.0})
        logger.log_evaluation_summary({"rate": 0.5})
    lines = {path.name: path.read_text().count("\n") for path in tmp_path.glob("*.jsonl")}
    single = {"tasks.jsonl": 1, "steps.jsonl": 1, "evaluations.jsonl": 1}
    assert lines == single | {"episodes.jsonl": 2, "arrays.jsonl": 1}
    assert [account.written for account in run.accounts()] == [run.arrived]


def test_beside_lines_it_writes_metrics_alone(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(num_samples=1, sinks=[{"kind": "arrow"}, {"kind": "jsonl"}])
    for if_exists in ("error", "replace"):
        with logger.open(tmp_path, if_exists=if_exists) as run:
            jaxlog.batch_step(logger, 0, {"episode_returns": np.ones(2, np.float32)})
            run.log(step=0, arrays={"eye": np.eye(2)})
        for name in ("episodes", "arrays", "batch_metrics"):
            assert (tmp_path / f"{name}.jsonl").read_text().count("\n") == 1
        assert len(table(tmp_path / "batch_metrics.arrows")) == 1


def test_other_columns_begin_a_file_which_has_all_of_them(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    written(sink, event(0), event(1, loss=1), event(2, accuracy=True), event(3), event(4, loss=2))
    sink.close()
    names = [f"batch_metrics{number}.arrows" for number in ("", ".1")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    first, second = (pl.read_ipc_stream(tmp_path / name) for name in names)
    assert first["loss"].to_list() == [0.5] * 3 + [1.0] * 3
    assert second.select("step", "loss", "accuracy").rows()[::3] == [
        (2, None, True),
        (3, 0.5, None),
        (4, 2.0, None),
    ]


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_compressed_columns_are_those_columns(tmp_path: Path, compression: str) -> None:
    sink = opened(tmp_path, compression=compression)
    written(sink, *(event(step, lanes=1000, loss=0.25) for step in range(3))).close()
    path = tmp_path / "batch_metrics.arrows"
    for found in (pl.read_ipc_stream(path), pl.from_arrow(table(path))):
        assert isinstance(found, pl.DataFrame)
        assert found["loss"].to_list() == [0.25] * 3000
    assert (path.stat().st_size < 3000 * 8 * 4) == (compression != "none")


def test_a_flush_writes_the_rows_of_many_records_as_one_batch(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    for step in range(50):
        sink.write_metrics(event(step))
    assert sink.pending() == 150
    sink.flush()
    assert sink.pending() == 0
    size = (tmp_path / "batch_metrics.arrows").stat().st_size
    counts = {"bytes": size, "batches": 1, "rows": 150}
    assert sink.file_counts() == {"batch_metrics.arrows": counts}
    assert sink.position() == {"batch_metrics.arrows": size}
    sink.close()


def test_run_json_counts_batches_and_bytes(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "arrow"}])
    with logger.open(tmp_path, lanes=[{"seed": seed} for seed in range(4)]) as run:
        run.log({"loss": np.ones(4)}, step=0)
        run.flush()
        run.log({"loss": np.ones(4)}, step=1)
    (sink,) = json.loads((tmp_path / "run.json").read_text())["sinks"]
    size = (tmp_path / "eval_metrics.arrows").stat().st_size
    assert sink == {
        "kind": "arrow", "written": 8, "lost": 0, "failure": None,
        "files": {"eval_metrics.arrows": {"bytes": size, "batches": 2, "rows": 8}},
    }  # fmt: skip


def test_rows_are_in_the_file_while_the_run_is_open(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "arrow"}])
    path = tmp_path / "eval_metrics.arrows"
    assert ArrowSink.linger is not None
    assert ArrowSink.linger < 1
    with logger.open(tmp_path) as run:
        run.log({"loss": 0.5}, step=0)
        end = time.monotonic() + 60
        while not path.exists() or not len(table(path)):
            assert time.monotonic() < end
            time.sleep(0.02)


def stream(tmp_path: Path, steps: int = 4) -> bytes:
    written(opened(tmp_path), *map(event, range(steps))).close()
    return (tmp_path / "batch_metrics.arrows").read_bytes()


@given(cut=st.integers(0), torn=st.binary(max_size=20))
def test_a_run_that_goes_on_keeps_all_whole_batches(
    tmp_path_factory: pytest.TempPathFactory, cut: int, torn: bytes
) -> None:
    tmp_path = tmp_path_factory.mktemp("run")
    data = stream(tmp_path)
    path = tmp_path / "batch_metrics.arrows"
    ends = [message.end for message in messages(io.BytesIO(data))]
    cut %= len(data) + 1
    path.write_bytes(data[:cut])
    if cut in ends:
        path.write_bytes(data[:cut] + torn[:7])  # no message is as short
    whole = sum(end <= cut for end in ends[1:])
    sink = opened(tmp_path, if_exists="resume")
    kept = max((end for end in ends if end <= cut), default=0)
    assert (path.read_bytes() if path.exists() else b"") == data[:kept]
    written(sink, event(9)).close()
    found = [path for path in tmp_path.iterdir() if path.suffix == ".arrows"]
    assert found == [path]
    expected = [step for step in range(whole) for _ in range(3)] + [9] * 3
    assert table(path)["step"].to_pylist() == expected
    assert pl.read_ipc_stream(path)["step"].to_list() == expected


def test_a_run_that_goes_on_from_a_state_drops_what_came_later(tmp_path: Path) -> None:
    sink = written(opened(tmp_path), event(0))
    position = sink.position()
    written(sink, event(1), event(2, accuracy=1.0)).close()
    sink = opened(tmp_path, if_exists="resume", position=position)
    assert [path.name for path in tmp_path.iterdir()] == ["batch_metrics.arrows"]
    written(sink, event(1, loss=1.5), event(2, reward=1.0)).close()
    assert table(tmp_path / "batch_metrics.arrows")["loss"].to_pylist() == [0.5] * 3 + [1.5] * 3
    assert "accuracy" not in table(tmp_path / "batch_metrics.1.arrows").column_names
    (tmp_path / "batch_metrics.arrows").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"arrows: got 1 byte, expected the [\d,]+ it had when"):
        opened(tmp_path, if_exists="resume", position=position)


def test_the_files_of_another_run_are_not_appended_to(tmp_path: Path) -> None:
    stream(tmp_path)
    for name in ("jsonl", "arrow"):
        sink = sink_class(name)(None)
        info = RunInfo("run", tmp_path, if_exists="error")
        with pytest.raises(FileExistsError, match=r"arrows: has the lines of another run"):
            sink.check(info)
    written(opened(tmp_path, id="ffffffff", if_exists="resume"), event(9)).close()
    assert table(tmp_path / "batch_metrics.1.arrows")["step"].to_pylist() == [9] * 3


def test_a_run_with_lines_replaces_one_with_columns(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    for kind, other in (("arrow", "jsonl"), ("jsonl", "arrow"), ("arrow", "jsonl")):
        with make_logger(sinks=[{"kind": kind}]).open(tmp_path, if_exists="replace") as run:
            run.log({"loss": 1.0})
        suffixes = {"arrow": "arrows", "jsonl": "jsonl"}
        assert (tmp_path / f"eval_metrics.{suffixes[kind]}").exists()
        assert not (tmp_path / f"eval_metrics.{suffixes[other]}").exists()


def test_what_others_have_under_such_a_name_stays(tmp_path: Path) -> None:
    theirs = {"my_metrics.arrows": b"ARROW1\0\0", "my_over_lanes.arrows": b"text"}
    out = io.BytesIO()
    with pa.ipc.new_stream(out, pa.schema([("x", pa.int64())])) as stream:
        stream.write_batch(pa.record_batch({"x": [1]}))
    theirs["x_metrics.1.arrows"] = out.getvalue()
    for name, data in theirs.items():
        (tmp_path / name).write_bytes(data)
    for if_exists in ("error", "resume", "replace"):
        opened(tmp_path, if_exists=if_exists).close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == theirs


def test_a_disk_that_is_full_in_the_middle_of_a_batch_tears_none(tmp_path: Path) -> None:
    sink = written(opened(tmp_path), event(0))
    path = tmp_path / "batch_metrics.arrows"
    whole = path.read_bytes()
    for step in (1, 2):
        sink.write_metrics(event(step))
        with full_disk(len(whole) + 100), pytest.raises(OSError, match="File too large"):
            sink.flush()
        assert path.read_bytes() == whole
        assert sink.pending() == 3 * step
    written(sink, event(3)).close()
    assert sink.pending() == 0
    assert table(path)["step"].to_pylist()[::3] == [0, 1, 2, 3]


def test_two_such_sinks_are_refused(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "arrow"}, {"kind": "arrow", "compression": "lz4"}])
    text = "sinks: got two sinks of the kind arrow, expected one, since they would write the same"
    with pytest.raises(ValueError, match=text), logger.open(tmp_path):
        pass


def test_pyarrow_that_is_missing_is_named_when_the_run_opens(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    text = r"the sink arrow needs pyarrow, which is not installed; pip install 'jaxlog\[arrow\]'"
    logger = make_logger(sinks=[{"kind": "arrow"}])
    with pytest.raises(ModuleNotFoundError, match=text), logger.open(tmp_path):
        pass


def test_an_event_that_no_column_can_hold_leaves_the_others(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    sink.write_metrics(event(0))
    with pytest.raises(TypeError):
        sink.write_metrics(event(1, loss=object()))
    written(sink, event(2)).close()
    assert table(tmp_path / "batch_metrics.arrows")["step"].to_pylist() == [0] * 3 + [2] * 3


@pytest.mark.parametrize("fails", ["batch_of", "finish_batch"])
def test_an_event_is_written_whole_or_not_at_all(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows over lanes fail, or the batch that the rows of lanes have filled."""
    monkeypatch.setattr(arrow_segments, "MOST_ROWS", 3)
    over = {"mean": {"loss": 0.5}}
    sink = opened(tmp_path)
    sink.write_metrics(replace(event(0), over_lanes=over))

    def no_memory(columns: Any, *more: Any) -> Any:
        if fails == "finish_batch" or ("", "over_lanes") in columns:
            raise MemoryError
        return batch_of(columns, *more)

    with monkeypatch.context() as patch:
        where: Any = arrow_segments.CallColumns if fails == "finish_batch" else arrow_segments
        patch.setattr(where, fails, no_memory)
        for _ in range(2):
            with pytest.raises(MemoryError):
                sink.write_metrics(replace(event(1), over_lanes=over))
            assert sink.pending() == 3
    written(sink, replace(event(1), over_lanes=over)).close()
    assert table(tmp_path / "batch_metrics.arrows")["step"].to_pylist() == [0, 0, 0, 1, 1, 1]
    assert table(tmp_path / "batch_over_lanes.arrows")["step"].to_pylist() == [0, 1]


@pytest.mark.parametrize("event", filled.events()[:2], ids=["rows", "columns"])
def test_rows_have_every_field_that_lines_have(event: MetricsEvent, tmp_path: Path) -> None:
    frames: list[list[pl.DataFrame]] = []
    for kind in ("jsonl", "arrow"):
        (tmp_path / kind).mkdir()
        run = jaxlog.read_run(write(tmp_path / kind, [event], kind))
        frames.append([run.metrics_of(event.name), run.over_lanes_of(event.name)])
    for of_lines, of_columns, layout in zip(*frames, (LANES, OVER_LANES), strict=True):
        own = [name for name in layout.own if name in of_lines.columns]
        assert [name for name in of_columns.columns if name in FIELDS] == own
        assert of_columns.select(own).equals(of_lines.select(own))
    assert set(OPTIONAL) <= set(frames[1][0].columns)


def test_duckdb_queries_a_file_as_it_lies(tmp_path: Path) -> None:
    written(opened(tmp_path), *(event(step) for step in range(4))).close()
    rows = duckdb.from_arrow(table(tmp_path / "batch_metrics.arrows"))
    found = rows.aggregate("seed, sum(step), avg(loss)", "seed").fetchall()
    assert sorted(found) == [(seed, 6, 0.5) for seed in range(3)]


def test_pandas_is_not_imported(tmp_path: Path) -> None:
    """`pa.array` imports it, which takes a second."""
    pytest.importorskip("pandas")
    program = """
import sys, jaxlog
logger = jaxlog.Logger({"sinks": [{"kind": "arrow"}], "over_lanes": ["mean"]})
with logger.open(sys.argv[1], lanes=[{"env": "a", "lr": 0.1}, {"env": "b", "lr": 1}]) as run:
    for step in range(3):
        run.log({"loss": [0.5, 0.25], "n": step or 0.5, "ok": True}, step=step)
frame = jaxlog.read_run(sys.argv[1]).metrics
assert frame["env"].to_list() == ["a", "b"] * 3 and frame["loss"].sum() == 2.25
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, tmp_path / "run"], check=True)
