"""Files as the sink writes them, and as a crash, a full disk or an editor leaves them."""

from __future__ import annotations

import json
import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import jaxlog
from jaxlog._format.lines import LANES
from jaxlog.sinks import (
    EpisodeEvent,
    EvaluationEvent,
    Histogram,
    Lane,
    MetricsEvent,
    StepEvent,
    TaskEvent,
)
from tests.reading.files import episode, lines, metrics, same, write

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
FIELDS = {*LANES.own, "run"}
NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1).map(np.int32),
    "uint64": st.integers(0, 2**64 - 1).map(np.uint64),
    "float": st.floats(),
    "float32": st.floats(width=32).map(np.float32),
    "float16": st.floats(width=16).map(np.float16),
    "bfloat16": st.floats(width=16).map(ml_dtypes.bfloat16),
    "bool": st.booleans(),
}
LABELS = NUMBERS | {"text": st.text(st.characters(exclude_categories=["Cs"]), max_size=8)}


@st.composite
def runs(draw: st.DrawFn) -> list[MetricsEvent]:
    """Events whose lanes have any labels and metrics, each key with values of one type."""
    keys = draw(st.lists(KEYS, min_size=1, max_size=6, unique=True))
    keys = [key for key in keys if key not in FIELDS]
    num_labels = draw(st.integers(0, len(keys)))
    kinds = {
        key: draw(st.sampled_from(list(LABELS if i < num_labels else NUMBERS)))
        for i, key in enumerate(keys)
    }
    labels = st.fixed_dictionaries({}, optional={k: LABELS[kinds[k]] for k in keys[:num_labels]})
    values = st.fixed_dictionaries({}, optional={k: NUMBERS[kinds[k]] for k in keys[num_labels:]})
    return [
        metrics(
            draw(st.integers(0, 2**63 - 1)),
            *draw(st.lists(st.tuples(labels, values), min_size=1, max_size=3)),
            env_step=draw(st.none() | st.integers(0, 2**63 - 1)),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]


def assert_is(found: Any, value: Any) -> None:
    """Checks that a value was read back in its own precision."""
    if isinstance(value, np.generic) and value.dtype.kind in "fV":
        found = None if found is None else type(value)(found)
        assert same(float(found), float(value)), (found, value)
    else:
        value = value.item() if isinstance(value, np.generic) else value
        assert same(found, value), (found, value)
        assert isinstance(found, bool) == isinstance(value, bool)


@given(runs())
def test_lines_are_read_back(events: list[MetricsEvent]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory), events)
        if not events:
            with pytest.raises(FileNotFoundError):
                jaxlog.read_run(directory)
            return
        run = jaxlog.read_run(directory)
        frame, labels = run.metrics, run.labels_of()
    rows = frame.to_dicts()
    logged = [(event, lane) for event in events for lane in event.lanes]
    assert len(rows) == len(logged)
    for row, (event, lane) in zip(rows, logged, strict=True):
        assert (row["timestamp"], row["step"]) == (event.timestamp, event.step)
        assert (row["lane"], row.get("env_step")) == (lane.index, event.env_step)
        given = {**lane.labels, **lane.metrics}
        for key, value in given.items():
            assert_is(row[key], value)
        assert all(row[key] is None for key in row.keys() - given.keys() - FIELDS)
        assert set(lane.labels) <= set(labels)
    every = {key for _, lane in logged for key in (*lane.labels, *lane.metrics)}
    assert set(frame.columns) - FIELDS == every
    assert set(labels) == {key for _, lane in logged for key in lane.labels}


ARRAYS = st.sampled_from(["float32", "int32", "bool"]).flatmap(
    lambda kind: st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)).flatmap(
        lambda shape: st.lists(
            NUMBERS[kind], min_size=math.prod(shape), max_size=math.prod(shape)
        ).map(lambda values: np.array(values, kind).reshape(shape))
    )
)


@given(st.lists(ARRAYS, min_size=1, max_size=5))
@example([np.zeros((0, 1, 2), np.float32), np.ones((1, 1, 2), np.int32)])
@example([np.full((1, 1, 2), np.nan, np.float32), np.ones((1, 1, 2), bool)])
def test_arrays_are_read_back(arrays: list[np.ndarray]) -> None:
    events = [episode(i, {"environment_id": i}, state=a) for i, a in enumerate(arrays)]
    with tempfile.TemporaryDirectory() as directory:
        found = jaxlog.read_run(write(Path(directory), events)).episodes["state"].to_list()
    for array, value in zip(arrays, found, strict=True):
        again = np.array(value, array.dtype).reshape(array.shape)
        np.testing.assert_array_equal(again, array)


def test_pandas_reads_the_same(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(0)
    events = [
        metrics(
            step,
            *(({"seed": np.int32(i)}, {"loss": x, "count": step}) for i, x in enumerate(row)),
        )
        for step, row in enumerate(rng.normal(size=(50, 3)).astype(np.float32))
    ]
    path = write(tmp_path, events) / "batch_metrics.jsonl"
    outside = pd.json_normalize(
        pd.read_json(path, lines=True, precise_float=True).to_dict("records")
    )
    outside.columns = [name.rpartition(".")[2] for name in outside.columns]
    found = jaxlog.read_run(tmp_path).metrics.to_pandas()
    pd.testing.assert_frame_equal(found, outside[found.columns], check_dtype=False)


def test_a_torn_file_is_read_up_to_its_last_whole_line_and_left_as_it_is(tmp_path: Path) -> None:
    events = [metrics(i, ({"é": "ü\n😀"}, {"loss": float("nan")})) for i in range(3)]
    path = write(tmp_path, events) / "batch_metrics.jsonl"
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        # A line that lacks only its line end is complete.
        assert len(jaxlog.read_run(tmp_path).metrics) == whole[: size + 1].count(b"\n")
        assert path.read_bytes() == whole[:size]


BROKEN = [
    b"{", b"x", b"3", b"null", b"[1]", b'{"step":1}', b"{}", b"\0\0\0\0", b"\xff\xfe",
    b'{"timestamp":1.5,"step":1,"lane":0,"labels":{},"metrics":{"loss":0.5}',
    b'{"timestamp":1.5,"step":1,"lane":0,"labels":{},"metr{"timestamp":1.5,"step":1,"lane":0}',
    b'{"timestamp":1.5,"step":1,"lane":0,"labels":{},"metrics":{"loss":NaN}}',
    b'{"timestamp":1.5,"step":1,"lane":0,"labels":{},"metrics":[1]}',
    b'{"timestamp":1.5,"step":1,"lane":0,"labels":[],"metrics":{}}',
    b'{"timestamp":1.5,"step":"1","lane":0,"labels":{},"metrics":{}}',
    b'{"timestamp":1.5,"step":true,"lane":0,"labels":{},"metrics":{}}',
    b'{"timestamp":1.5,"step":1.5,"lane":0,"labels":{},"metrics":{}}',
    b'{"timestamp":1.5,"step":99999999999999999999,"lane":0,"labels":{},"metrics":{}}',
    b'{"timestamp":null,"step":1,"lane":0,"labels":{},"metrics":{}}',
    b'{"timestamp":1.5,"step":1,"lane":0,"lane_position":3,"labels":{},"metrics":{}}',
    b'{"timestamp":1.5,"step":1,"lane":0,"lane_position":[],"labels":{},"metrics":{}}',
    b'{"timestamp":1.5,"step":1,"lane":0,"labels":{},"metrics":{},"nonfinite":[]}',
    b'{"timestamp":1.5,"step":1,"over_lanes":3,"lanes":2,"metrics":{}}',
    b'{"timestamp":1.5,"step":1,"lane":0,"labels":{"\\ud800":1},"metrics":{"loss":1.5}}',
    b'{"a":' * 2000,
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=lambda line: repr(line[:70]))
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_broken_line_is_left_out_with_a_warning(
    tmp_path: Path, broken: bytes, place: int
) -> None:
    events = [metrics(i, ({"seed": 1}, {"loss": float("-inf")})) for i in range(3)]
    path = write(tmp_path, events) / "batch_metrics.jsonl"
    found = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*found[:place], broken + b"\n", *found[place:]]))
    with pytest.warns(UserWarning, match=rf"line {place + 1}: .*; 1 left out") as caught:
        frame = jaxlog.read_run(tmp_path).metrics
    assert caught[0].filename == __file__  # of the user's line
    assert frame.drop("timestamp").rows() == [(i, 0, 1, -math.inf) for i in range(3)]


def test_many_broken_lines_give_one_warning(tmp_path: Path) -> None:
    path = write(tmp_path, [metrics(0, ({}, {"loss": 1.0}))]) / "batch_metrics.jsonl"
    path.write_bytes(path.read_bytes() + b"x\n" * 1000)
    run = jaxlog.read_run(tmp_path)
    with pytest.warns(UserWarning, match="lines 2, 3, 4, 5, 6, …: .*; 1000 left out"):
        assert len(run.metrics) == 1
    assert len(run.metrics) == 1  # which would be an error


@given(st.binary(max_size=60), st.integers(0, 10_000))
def test_any_bytes_in_a_line_leave_the_other_lines_readable(junk: bytes, place: int) -> None:
    events = [metrics(i, ({"seed": i}, {"loss": float("nan")})) for i in range(4)]
    with tempfile.TemporaryDirectory() as directory:
        path = write(Path(directory), events) / "batch_metrics.jsonl"
        whole = path.read_bytes()
        place %= len(whole)
        path.write_bytes(whole[:place] + junk + whole[place:])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the broken line
            frame = jaxlog.read_run(directory).metrics
    hit = whole[:place].count(b"\n")
    assert set(range(4)) - {hit} <= set(frame["step"])


def test_keys_of_late_lines_are_columns(tmp_path: Path) -> None:
    events = [
        metrics(i, ({}, {"loss": 1.0} | ({"late": i} if i > 900 else {}))) for i in range(999)
    ]
    frame = jaxlog.read_run(write(tmp_path, events)).metrics
    assert frame["late"].to_list() == [i if i > 900 else None for i in range(999)]


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ([1, 2.5], [1.0, 2.5]),
        ([2**63, 1], [2**63, 1]),
        ([2**64 - 1, float("nan")], [float(2**64), float("nan")]),
        ([True, 2], [1, 2]),
        ([True, 0.5, float("inf")], [1.0, 0.5, float("inf")]),
        ([True, False], [True, False]),
        (["x", 1, 1.5, True], ["x", "1", "1.5", "true"]),
        (["x", float("nan")], ["x", "nan"]),
        ([-0.0, 5e-324, 1.7976931348623157e308], [-0.0, 5e-324, 1.7976931348623157e308]),
        ([float("nan")] * 3, [float("nan")] * 3),
    ],
)
def test_values_of_several_types_are_one_column(
    tmp_path: Path, values: list[Any], read: list[Any]
) -> None:
    events = [metrics(i, ({"label": value}, {})) for i, value in enumerate(values)]
    found = jaxlog.read_run(write(tmp_path, events)).metrics["label"].to_list()
    assert same(found, read), found
    assert [type(value) for value in found] == [type(value) for value in read]


def test_arrays_of_different_axes_are_texts(tmp_path: Path) -> None:
    states = [np.array([1.5, 2.5]), np.array([[1, 2]]), np.float32(7), np.array([np.nan])]
    events = [episode(0, {}, state=state, other=np.zeros(2)) for state in states]
    frame = jaxlog.read_run(write(tmp_path, events)).episodes
    assert frame["state"].to_list() == ["[1.5,2.5]", "[[1,2]]", "7.0", "[null]"]
    assert frame["other"].to_list() == [[0.0, 0.0]] * 4


def test_complex_numbers_are_pairs(tmp_path: Path) -> None:
    z = np.array([1 + 2j, complex(np.nan, -np.inf)], np.complex64)
    frame = jaxlog.read_run(write(tmp_path, [episode(0, {"z": z[1]}, wave=z)])).episodes
    assert same(frame["z"].to_list(), [[math.nan, -math.inf]])
    assert same(frame["wave"].to_list(), [[[1.0, 2.0], [math.nan, -math.inf]]])


def test_histograms_are_structs(tmp_path: Path) -> None:
    histogram = Histogram((0.0, 1.0, 2.0), (3, 4), 1, 0)
    frame = jaxlog.read_run(
        write(tmp_path, [metrics(0, ({}, {"length_histogram": histogram}), ({}, {}))])
    ).metrics
    expected = {"edges": [0.0, 1.0, 2.0], "counts": [3, 4], "below": 1, "above": 0}
    assert frame["length_histogram"].to_list() == [expected, None]


def test_values_and_labels_of_one_name_are_both_there(tmp_path: Path) -> None:
    values = {"seed": 0.5, "step": 0.25, "labels.seed": 1.0, "run": 7.0, "lane": math.nan}
    event = metrics(3, ({"seed": 9, "step": 8, "env": "x", "run": "r"}, values))
    run = jaxlog.read_run(write(tmp_path, [event]))
    (row,) = run.metrics.to_dicts()
    assert math.isnan(row.pop("metrics.lane"))
    assert row == {
        "timestamp": 4.5, "step": 3, "lane": 0,
        "labels.labels.seed": 9, "labels.step": 8, "env": "x", "labels.run": "r",
        "seed": 0.5, "metrics.step": 0.25, "labels.seed": 1.0, "metrics.run": 7.0,
    }  # fmt: skip
    assert run.labels_of() == ("labels.labels.seed", "labels.step", "env", "labels.run")
    arrays = run.arrays()
    assert (arrays["step"].tolist(), arrays["metrics.step"].tolist()) == ([3], [[0.25]])


def test_a_name_that_looks_like_an_index_is_a_name(tmp_path: Path) -> None:
    values = {"x[0]": math.nan, "x": math.inf, "nonfinite": 1.0, "over_lanes": 2.0}
    frame = jaxlog.read_run(
        write(tmp_path, [metrics(0, ({"t": '","over_lanes":"'}, values))])
    ).metrics
    (row,) = frame.to_dicts()
    assert math.isnan(row.pop("x[0]"))
    assert {key: row[key] for key in ("x", "nonfinite", "over_lanes", "t")} == {
        "x": math.inf, "nonfinite": 1.0, "over_lanes": 2.0, "t": '","over_lanes":"',
    }  # fmt: skip


def test_a_label_that_is_not_finite_and_an_array_of_one_name(tmp_path: Path) -> None:
    events = [
        EpisodeEvent(
            "batch", 0, None, 1.5, 0, {"x": math.nan}, {}, {"x": np.array([1.0, math.inf])}
        )
    ]
    frame = jaxlog.read_run(write(tmp_path, events)).episodes
    assert same(frame["labels.x"].to_list(), [math.nan])
    assert frame["x"].to_list() == [[1.0, math.inf]]


def test_lines_over_lanes_are_kept_apart(tmp_path: Path) -> None:
    lanes = [({"seed": i}, {"count": i, "loss": float(i)}) for i in range(2)]
    over = {"mean": {"count": 0.5, "loss": 0.5, "loss_lanes": 2.0}, "iqm": {"loss": math.nan}}
    events = [metrics(i, *lanes, over_lanes=over, env_step=10 * i) for i in range(3)]
    path = write(tmp_path, events) / "batch_metrics.jsonl"
    for broken in ("", "x\n"):
        path.write_text(path.read_text() + broken)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run = jaxlog.read_run(tmp_path)
            frame, over_lanes = run.metrics, run.over_lanes
        assert len(caught) == bool(broken)
        expected = ["timestamp", "step", "env_step", "lane", "seed", "count", "loss"]
        assert frame.columns == expected
        assert frame.schema["count"] == pl.Int64  # not as in those over lanes
        assert over_lanes.select("step", "env_step", "over_lanes", "lanes", "count").rows() == [
            (i, 10 * i, statistic, 2, count)
            for i in range(3)
            for statistic, count in (("mean", 0.5), ("iqm", None))
        ]
        assert same(over_lanes["loss"].to_list(), [0.5, math.nan] * 3)
        assert list(run.frames()) == ["batch_metrics", "batch_over_lanes"]


def test_a_single_environment(tmp_path: Path) -> None:
    state = np.array([[1.0, np.nan]], np.float32)
    events = [
        TaskEvent(0, 1.5, {"task_id": "maze", "size": 5}, {"goal": np.array([1, 2])}),
        StepEvent(
            0, 1.5, 0, {"task_id": "maze"}, {"reward": np.inf, "episode": 7}, {"state": state}
        ),
        EvaluationEvent(0, 1.5, {"success_rate": 0.5, "step": 3}, {}),
    ]
    run = jaxlog.read_run(write(tmp_path, events))
    assert run.calls == ()
    assert run.metrics.is_empty()
    assert run.metrics.columns == ["timestamp", "step", "lane"]
    assert run.tasks.to_dicts() == [
        {"timestamp": 1.5, "step": 0, "task_id": "maze", "size": 5, "goal": [1, 2]}
    ]
    (row,) = run.steps.to_dicts()
    assert same(row.pop("state"), [[1.0, math.nan]])
    assert row == {
        "timestamp": 1.5, "step": 0, "episode": 0, "task_id": "maze", "reward": math.inf,
        "values.episode": 7,
    }  # fmt: skip
    assert run.evaluations.rows() == [(1.5, 0, 0.5, 3)]
    assert list(run.frames()) == ["evaluations", "steps", "tasks"]
    assert run.episodes.columns == ["timestamp", "step", "name", "lane"]


def test_lines_another_program_has_rewritten_are_read(tmp_path: Path) -> None:
    over = {"mean": {"loss": 0.5}}
    events = [metrics(i, ({"seed": 1}, {"loss": 0.5}), over_lanes=over) for i in range(2)]
    path = write(tmp_path, events) / "batch_metrics.jsonl"
    text = "".join(json.dumps(line, sort_keys=True) + "\r\n\n" for line in lines(path)[1:])
    with path.open("a", newline="") as file:
        file.write(text)
    run = jaxlog.read_run(tmp_path)
    assert run.metrics.drop("timestamp").rows() == [(i, 0, 1, 0.5) for i in (0, 1, 1)]
    assert run.over_lanes["step"].to_list() == [0, 1, 0, 1]


def test_long_lines_and_many_columns(tmp_path: Path) -> None:
    events: list[Any] = [metrics(0, ({}, {f"metric {i}": i for i in range(3000)}))]
    events += [episode(i, {}, image=np.full((200, 200, 3), i, np.uint8)) for i in range(4)]
    run = jaxlog.read_run(write(tmp_path, events))
    assert run.metrics.row(0)[3:] == tuple(range(3000))
    image = np.array(run.episodes["image"].to_list())
    np.testing.assert_array_equal(image, [event.details["image"] for event in events[1:]])


def test_lanes_of_nested_vmaps_have_a_position(tmp_path: Path) -> None:
    lanes = tuple(Lane(i, {}, {"loss": 1.0}, (i // 2, i % 2)) for i in range(4))
    frame = jaxlog.read_run(
        write(tmp_path, [MetricsEvent("batch", 0, None, 1.5, lanes, {})])
    ).metrics
    assert frame["lane_position"].to_list() == [[0, 0], [0, 1], [1, 0], [1, 1]]
