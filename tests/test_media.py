"""Images, figures and tables: from a program or plain Python to the reader."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest
from jax.sharding import AxisType, PartitionSpec
from matplotlib.figure import Figure
from PIL import Image as Pillow

import jaxlog
from jaxlog._host import media as host_media
from tests.conftest import MakeLogger

JSONL = [{"kind": "memory"}, {"kind": "jsonl"}]
FLOATS = np.random.default_rng(0).random((5, 7, 3), np.float32)


def as_bytes(floats: np.ndarray) -> np.ndarray:
    """The pixels of floats from 0 to 1, as Pillow's users compute them, in float64."""
    return np.rint(255.0 * np.asarray(floats, np.float64)).astype(np.uint8)


def of(lane: jaxlog.sinks.Lane) -> Mapping[str, Any]:
    """The images and tables of a lane, of any type."""
    return lane.media


def read(one: Any) -> np.ndarray:
    """The pixels of a logged image, `[height, width, channels]`, as Pillow reads its file."""
    pixels = np.asarray(Pillow.open(io.BytesIO(one.png)))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


SHAPES = [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4), (1, 1, 3)]


@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("way", ["program", "python", "run.log"])
def test_an_image_keeps_its_pixels(
    way: str, shape: tuple[int, ...], dtype: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger, random = make_logger(sinks=JSONL), np.random.default_rng(1)
    array: Any = random.integers(0, 256, shape).astype(np.uint8)
    if dtype != "uint8":
        array = jnp.asarray(random.random(shape), dtype)
    expected = array if dtype == "uint8" else as_bytes(np.asarray(array, np.float32))
    with logger.open(tmp_path) as run:
        if way == "program":
            jax.jit(lambda x: jaxlog.log(logger, jnp.int32(0), {"a": jaxlog.Image(x, "one ✓")}))(
                array
            )
        elif way == "python":
            jaxlog.log(logger, 0, {"a": jaxlog.Image(np.asarray(array), "one ✓")})
        else:
            run.log({"a": jaxlog.Image(np.asarray(array), "one ✓")}, step=0, name="train")
    (event,) = run.sink("memory").metrics
    image = of(event.lanes[0])["a"]
    assert (image.array.dtype, image.caption) == (np.uint8, "one ✓")
    assert not image.array.flags.writeable
    (found,) = jaxlog.read_run(tmp_path).logged_images("a")
    assert (found.call, found.name, found.step, found.lane) == ("train", "a", 0, 0)
    assert found.caption == "one ✓"
    for pixels in (image.array, found.value, read(found)):
        np.testing.assert_array_equal(pixels, expected.reshape(*shape[:2], -1))


def train(logger: jaxlog.Logger, axis_name: Any, frame: jax.Array, seed: jax.Array) -> Any:
    """Darkens a frame, and logs it after each update."""

    def update(frame: jax.Array, step: jax.Array) -> Any:
        frame = frame * np.float32(0.75)
        record = jaxlog.batch_step(
            logger,
            step,
            {"episode_returns": frame[0, :, 0], "loss": frame.mean()},
            values={
                "seen": {"frame": jaxlog.Image(frame, "now"), "grey": jaxlog.Image(frame[..., 0])}
            },
            arrays={"table": frame[0]},
            labels={"seed": seed},
            axis_name=axis_name,
        )
        return frame, record

    return jax.lax.scan(update, frame, jnp.arange(6))


def darkened(frame: np.ndarray, step: int) -> np.ndarray:
    for _ in range(step + 1):
        frame = frame * np.float32(0.75)
    return as_bytes(frame)


@pytest.mark.parametrize("delivery", ["live", "return"])
def test_lanes_have_images_of_their_own(
    delivery: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=JSONL, log_frequency=2, delivery=delivery, sampling_enabled=False)
    frames = np.random.default_rng(3).random((5, 4, 6, 3), np.float32)
    with logger.open(tmp_path) as run:
        program = jax.jit(jax.vmap(partial(train, logger, None)))
        _, records = jax.block_until_ready(program(frames, jnp.arange(5)))
        if delivery == "return":
            logger.write(records)
    for event in run.sink("memory").metrics:
        for lane in event.lanes:
            pixels = darkened(frames[lane.index], event.step)
            np.testing.assert_array_equal(of(lane)["seen/frame"].array, pixels)
            np.testing.assert_array_equal(of(lane)["seen/grey"].array, pixels[..., :1])
            assert list(lane.arrays) == ["table"]
    found = jaxlog.read_run(tmp_path).logged_images("seen/frame")
    assert [(one.step, one.lane, one.labels) for one in found] == [
        (step, lane, {"seed": lane}) for step in (0, 2, 4) for lane in range(5)
    ]
    for one in found:
        np.testing.assert_array_equal(read(one), darkened(frames[one.lane], one.step))


@pytest.mark.parametrize("delivery", ["live", "return"])
def test_the_image_of_the_first_device_is_taken(delivery: str, make_logger: MakeLogger) -> None:
    logger = make_logger(delivery=delivery, sampling_enabled=False, log_frequency=3)
    frames = np.random.default_rng(4).random((3, 16, 3), np.float32)
    mesh, spec = jax.make_mesh((4,), ("devices",), (AxisType.Auto,)), PartitionSpec(None, "devices")
    program = jax.shard_map(
        partial(train, logger, "devices"),
        mesh=mesh,
        in_specs=(spec, PartitionSpec()),
        out_specs=(spec, PartitionSpec()),
    )
    with logger.open() as run:
        _, records = jax.block_until_ready(jax.jit(program)(frames, jnp.int32(3)))
        if delivery == "return":
            logger.write(records)
    events = run.sink("memory").metrics
    assert [event.step for event in events] == [0, 3]
    for event in events:
        pixels = of(event.lanes[0])["seen/frame"].array
        np.testing.assert_array_equal(pixels, darkened(frames[:, :4], event.step))


def test_a_window_logs_the_image_of_the_current_update(make_logger: MakeLogger) -> None:
    logger = make_logger(8, log_frequency=5)

    def update(window: jaxlog.Window, step: jax.Array) -> Any:
        image = jaxlog.Image(jnp.full((2, 2), step, np.uint8))
        values = {"loss": step.astype(float), "frame": image}
        return jaxlog.window_step(logger, window, step, values)[1], None

    window = jaxlog.empty_window(logger, {"loss": 0.0})
    with logger.open() as run:
        jax.block_until_ready(
            jax.jit(jax.lax.scan, static_argnums=0)(update, window, jnp.arange(8))
        )
    found = [(e.step, e.lanes[0].metrics["loss"], of(e.lanes[0])["frame"].array.max())
             for e in run.sink("memory").metrics]  # fmt: skip
    assert found == [(0, 0.0, 0), (5, 3.0, 5), (7, 6.5, 7)]


def test_an_image_goes_through_a_program_as_a_pytree(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=2)

    def update(image: jaxlog.Image, step: jax.Array) -> Any:
        jaxlog.log(logger, step, {"frame": image})
        return jax.tree.map(lambda x: x * np.float32(0.75), image), None

    with logger.open() as run:
        last, _ = jax.jit(lambda x: jax.lax.scan(update, x, jnp.arange(3)))(
            jaxlog.Image(jnp.asarray(FLOATS), "carried")
        )
    assert isinstance(last, jaxlog.Image)
    assert last.caption == "carried"
    images = [of(event.lanes[0])["frame"] for event in run.sink("memory").metrics]
    np.testing.assert_array_equal(images[0].array, as_bytes(FLOATS))
    np.testing.assert_array_equal(images[1].array, darkened(FLOATS, 1))
    assert jax.grad(lambda x: update(jaxlog.Image(x), jnp.int32(0))[0].array.sum())(
        jnp.ones((2, 2))
    ).tolist() == [[0.75, 0.75], [0.75, 0.75]]


def test_settings_name_images_too(make_logger: MakeLogger) -> None:
    logger = make_logger(exclude=["seen"])
    frame = jnp.asarray(FLOATS)
    with logger.open() as run:
        jax.jit(lambda: train(logger, None, frame, jnp.int32(0)))()
        jaxlog.log(logger, 0, {"seen": jaxlog.Image(FLOATS), "x": 1.0}, name="python")
    assert not any(event.lanes[0].media for event in run.sink("memory").metrics)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (np.ones((2, 3), np.int32), TypeError, "got int32[2,3], expected an image in uint8, or"),
        (np.ones((2, 3), bool), TypeError, "got bool[2,3], expected an image"),
        (np.ones(3, np.float32), ValueError, "got float32[3], expected an image [height, width]"),
        (np.ones((2, 3, 2), np.uint8), ValueError, "with 1, 3 or 4 channels"),
        (np.ones((9, 2, 3, 3), np.uint8), ValueError, "For the frames of an episode, record it."),
        (np.ones((0, 3), np.uint8), ValueError, "0 pixels, expected 1 to 4,194,304"),
        (np.ones((4096, 1025), np.uint8), ValueError, "4,198,400 pixels, expected 1 to 4,194,"),
        (np.ones((1024, 1025), np.uint8), ValueError, "(the setting max_array_bytes)"),
        (0.5, TypeError, "got an image of 0.5, expected an array"),
        (Figure(), TypeError, "got an image of Figure, expected an array; a figure, or an image"),
    ],
)
def test_what_is_no_image_is_an_error_while_tracing(
    value: Any, error: type[Exception], text: str, make_logger: MakeLogger
) -> None:
    logger = make_logger()
    images = {"a": jaxlog.Image(value)}
    with pytest.raises(error) as raised:
        jax.jit(lambda: jaxlog.log(logger, jnp.int32(0), images))()
    assert text in str(raised.value)
    assert "['a']: " in str(raised.value)


def test_other_media_is_an_error_while_tracing(make_logger: MakeLogger) -> None:
    logger, image = make_logger(), jaxlog.Image(jnp.ones((2, 2)))

    def log(*args: Any, **kwargs: Any) -> None:
        jax.jit(lambda: jaxlog.batch_step(logger, jnp.int32(0), *args, **kwargs))()

    with pytest.raises(TypeError, match=r"arrays\['a'\]: .* an image belongs in values= or metr"):
        log({"x": 1.0}, arrays={"a": image})
    with pytest.raises(TypeError, match="a table is logged from plain Python"):
        log({"a": jaxlog.Table(["x"], [[1]])})
    with pytest.raises(ValueError, match="'a'"):
        log({"a": image}, values={"a": image})
    with pytest.raises(ValueError, match="two values would be written as 'a'"):
        log({"a": 1.0}, values={"a": image})
    with pytest.raises(TypeError, match="got the caption 3, expected a text"):
        jaxlog.Image(jnp.ones((2, 2)), 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1.01, -0.01])
def test_an_image_with_wrong_numbers_is_left_out(
    wrong: float, make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(12, log_frequency=1)

    def update(_: None, step: jax.Array) -> tuple[None, None]:
        frame = jnp.full((2, 3), 0.5).at[0, 1].set(jnp.where(step == 0, 0.5, wrong))
        jaxlog.log(logger, step, {"loss": 1.0, "frame": jaxlog.Image(frame)})
        return None, None

    with logger.open() as run:
        jax.block_until_ready(jax.lax.scan(update, None, jnp.arange(12)))
        run.log({"frame": jaxlog.Image(np.full((2, 3), wrong)), "x": 1.0}, step=3)
    events = run.sink("memory").metrics
    assert [list(event.lanes[0].media) for event in events] == [["frame"]] + [[]] * 12
    assert [event.lanes[0].metrics.get("loss", 1.0) for event in events] == [1.0] * 13
    said = [record.getMessage() for record in caplog.records]
    of_program = [text for text in said if "train/frame" in text]
    assert len(said) == 3
    assert "left out (1 so far), and the run goes on: 1 of 6 numbers are outside" in of_program[0]
    assert "left out (10 so far)" in of_program[1]
    assert "eval/frame" in (of_python := next(text for text in said if text not in of_program))
    assert "6 of 6 numbers" in of_python


def test_numbers_that_are_nearly_colours_are_colours(make_logger: MakeLogger) -> None:
    logger, frame = make_logger(), np.array([[-0.001, 1.0005]], np.float32)
    with logger.open() as run:
        jax.jit(lambda: jaxlog.log(logger, jnp.int32(0), {"a": jaxlog.Image(jnp.asarray(frame))}))()
        run.log({"a": jaxlog.Image(frame)}, step=1)
    for event in run.sink("memory").metrics:
        assert of(event.lanes[0])["a"].array.tolist() == [[[0], [255]]]


def figure(size: tuple[float, float] = (4.0, 3.0)) -> Figure:
    made = Figure(figsize=size, dpi=50)
    made.subplots().plot([1, 3, 2])
    return made


def test_figures_and_images_of_pillow_are_images(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger, own = make_logger(sinks=JSONL), figure()
    pillow = {mode: Pillow.fromarray(as_bytes(FLOATS)).convert(mode)
              for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "HSV")}  # fmt: skip
    clear = Figure(figsize=(2, 1), dpi=50, facecolor="none")
    with logger.open(tmp_path) as run, mpl.rc_context({"savefig.facecolor": "auto"}):
        run.log({"figure": own, "clear": clear, "large": figure((200, 3))}, step=0)
        jaxlog.log(logger, 0, {"figure": jaxlog.Image(own, "returns"), **pillow})
        own.axes[0].clear()  # changes nothing that was logged
    run = jaxlog.read_run(tmp_path)
    drawn = io.BytesIO()
    figure().savefig(drawn, format="png", dpi=50)
    expected = np.asarray(Pillow.open(drawn).convert("RGB"))
    for one in run.logged_images("figure"):
        np.testing.assert_array_equal(read(one), expected)
    assert [one.caption for one in run.logged_images("figure")] == [None, "returns"]
    assert run.logged_images("clear")[0].shape == (50, 100, 4)
    assert run.logged_images("large")[0].shape[1] == host_media.FIGURE_SIDE
    for mode, image in pillow.items():
        (found,) = run.logged_images(mode)
        grey, alpha = mode in ("1", "L"), mode in ("P", "RGBA", "LA")
        np.testing.assert_array_equal(
            read(found), np.asarray(image.convert("L" if grey else "RGBA" if alpha else "RGB"))
            .reshape(5, 7, -1),
        )  # fmt: skip


ROWS: list[tuple[Any, ...]] = [
    ("maze <b>|", 0.1, 3, True, None),
    ("", float("nan"), 2**63, False, "x"),
    ("ü\n✓", float("-inf"), -1, True, None),
]
COLUMNS = ["task", "score", "n", "ok", "[odd] name: ✓"]


def same(found: Any, rows: Any) -> bool:
    """True if the cells are equal and of the same types; NaN equals NaN."""
    described = [
        [[(type(cell).__name__, repr(cell)) for cell in row] for row in one]
        for one in (found, rows)
    ]
    return described[0] == described[1]


@pytest.mark.parametrize("kind", ["jsonl", "arrow"])
def test_a_table_keeps_its_cells(kind: str, make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "memory"}, {"kind": kind}])
    with logger.open(tmp_path) as run:
        run.log({"t": jaxlog.Table(COLUMNS, ROWS), "x": 1.0}, step=3, labels={"seed": np.nan})
        jaxlog.log(logger, 4, {"t": jaxlog.Table(["a", "b"], np.eye(2, dtype=np.float32))}, every=4)
        jaxlog.log(logger, 4, {"t": jaxlog.Table(["a"], [])}, name="none", every=4)
        run.log({"t": jaxlog.Table(["n"], [[2**63], [None]])}, step=5, name="large")
    first, second, none, _ = run.sink("memory").metrics
    assert same(of(first.lanes[0])["t"].rows, ROWS)
    assert same(of(second.lanes[0])["t"].rows, [(1.0, 0.0), (0.0, 1.0)])
    assert of(none.lanes[0])["t"].rows == ()
    run = jaxlog.read_run(tmp_path)
    found = run.logged_tables(call="eval")[0]
    assert same(found.rows, ROWS)
    assert (found.step, list(found.columns)) == (3, COLUMNS)
    line = json.loads((tmp_path / "media.jsonl").read_text().splitlines()[0])
    assert line["nonfinite"] == {"t[1, 1]": "nan", "t[2, 1]": "-inf", "seed": "nan"}
    assert run.logged_tables(call="none")[0].frame().columns == ["a"]
    frame = found.frame()
    assert frame.columns == COLUMNS
    assert frame["score"].is_nan().to_list() == [False, True, False]
    assert frame["n"].to_list() == ["3", str(2**63), "-1"]  # no type has all of them
    large = jaxlog.read_run(tmp_path).logged_tables(call="large")[0].frame()
    assert large["n"].to_list() == [2**63, None]
    assert run.metrics_of("eval")["x"].to_list() == [1.0]


def test_data_frames_are_tables(make_logger: MakeLogger) -> None:
    logger = make_logger()
    values = {"a": [1, None, 3], "b": ["x", None, "z"]}
    frame = pd.DataFrame(
        {
            "n": [1.5, np.nan, 2.0],
            "t": pd.to_datetime(["2024-01-02", None, "2024-01-03"]),
            "c": pd.Categorical(["x", "y", "x"]),
            "i": pd.array([1, None, 3], "Int64"),
        }
    )
    with logger.open() as run:
        run.log(
            {
                "polars": pl.DataFrame(values),
                "pandas": frame,
                "indexed": frame[["n"]].set_index(pd.Index(["u", "v", "w"], name="run")),
                "numbers": pd.DataFrame([[1, 2]]),
            },
            step=0,
        )
    media = of(run.sink("memory").metrics[0].lanes[0])
    assert media["polars"].columns == ("a", "b")
    assert same(media["polars"].rows, [(1, "x"), (None, None), (3, "z")])
    assert media["pandas"].columns == ("n", "t", "c", "i")
    assert same(
        media["pandas"].rows,
        [
            (1.5, "2024-01-02 00:00:00", "x", 1),
            (float("nan"), None, "y", None),
            (2.0, "2024-01-03 00:00:00", "x", 3),
        ],
    )
    assert media["indexed"].columns == ("run", "n")
    assert media["indexed"].rows[0] == ("u", 1.5)
    assert media["numbers"].columns == ("0", "1")


def broken() -> Figure:
    made = figure()
    made.axes[0].set_title(r"$\unknown{$")
    return made


WRONG: dict[str, tuple[Any, str]] = {
    "ints": (jaxlog.Image(np.ones((2, 2), int)), "got int64[2, 2], expected an image in uint8"),
    "axes": (jaxlog.Image(np.ones(3)), "got float64[3], expected an image [height, width]"),
    "channels": (jaxlog.Image(np.ones((2, 2, 2))), "with 1, 3 or 4 channels"),
    "film": (jaxlog.Image(np.ones((5, 2, 2, 3))), "For the frames of an episode, record it"),
    "empty": (jaxlog.Image(np.ones((0, 2))), "0 pixels, expected 1 to 4,194,304"),
    "huge": (jaxlog.Image(np.zeros((2049, 2049), np.uint8)), "4,198,401 pixels"),
    "text": (jaxlog.Image("cat.png"), "got str, expected an image in uint8"),
    "none": (jaxlog.Image(None), "got NoneType, expected an image in uint8"),
    "table": (jaxlog.Image(jaxlog.Table(["a"], [])), "got Table, expected an image in uint8"),
    "nan": (jaxlog.Image(np.full((2, 2), np.nan)), "4 of 4 numbers are outside of 0 to 1"),
    "mode": (Pillow.fromarray(np.ones((2, 2), np.int32)), "in the mode I, expected one of 8 bits"),
    "large": (Pillow.new("L", (4096, 1025)), "4,096 by 1,025 pixels, expected 1 to 4,194,304"),
    "figure": (broken(), "cannot be read: ValueError: \\unknown{ ^ ParseFatalException"),
    "ragged": (jaxlog.Table(["a", "b"], [[1, 2], [3]]), "row 1: got 1 cell, expected 2"),
    "twice": (jaxlog.Table(["a", "a"], []), "got two columns named 'a'"),
    "no columns": (jaxlog.Table([], []), "got a table without columns"),
    "one name": (jaxlog.Table("ab", []), "got the columns 'ab', expected a list"),
    "rows": (jaxlog.Table(["a"], "ab"), "got the rows 'ab', expected a list of rows"),
    "row": (jaxlog.Table(["a"], ["b"]), "row 0: got 'b', expected a list of 1 cell"),
    "cell": (jaxlog.Table(["a"], [[np.ones(2)]]), "row 0: got float64[2] in a cell"),
    "flat": (jaxlog.Table(["a"], np.ones(3)), "got rows of shape [3], expected [rows, 1]"),
    "cells": (jaxlog.Table(["a"], range(200_001)), "a table of 200,001 rows and 1 column,"),
    "frame": (pl.DataFrame({"a": range(200_001)}), "expected at most 200,000 cells"),
    "bytes": (jaxlog.Table(["a"], [["x" * 999]] * 1100), "1,104,409 bytes as JSON, expected at"),
    "index": (pd.DataFrame({"a": [1]}, index=pd.Index([1], name="a")), "already exists"),
}


@pytest.mark.parametrize("way", ["run.log", "log"])
def test_what_is_wrong_in_python_is_said_and_the_rest_is_logged(
    way: str, make_logger: MakeLogger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(sinks=JSONL)
    values = {name: value for name, (value, _) in WRONG.items()} | {"x": 1.0}
    values["good"] = jaxlog.Image(FLOATS)
    with logger.open(tmp_path) as run:
        for step in range(0, 30, 10):
            if way == "log":
                jaxlog.log(logger, step, values)
            else:
                run.log(values, step=step, name="train")
    for event in run.sink("memory").metrics:
        assert list(event.lanes[0].media) == ["good"]
        assert event.lanes[0].metrics["x"] == 1.0
    said = {
        record.getMessage().removeprefix("jaxlog: train/").partition(":")[0]: record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING
    }
    assert len(caplog.records) == len(WRONG)  # once for each
    for name, (_, text) in WRONG.items():
        assert text in said[name], name
    assert jaxlog.read_run(tmp_path).status == "finished"


def test_lanes_of_python_have_a_list(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger()
    images = [jaxlog.Image(np.full((1, 1), i, np.uint8)) for i in range(2)]
    with logger.open(lanes=[{"seed": 0}, {"seed": 1}]) as run:
        run.log({"return": [1.0, 2.0], "frame": images, "one": images[0]}, step=0)
        run.log({"frames": images}, step=1)
    first, second = run.sink("memory").metrics
    assert [of(lane)["frame"].array.item() for lane in first.lanes] == [0, 1]
    assert list(second.lanes[0].media) == ["frames/0", "frames/1"]
    assert (
        caplog.text.count("got Image, expected a list of 2, an image or a table for each lane") == 1
    )
    with logger.open() as run, pytest.raises(ValueError, match="two values would be written as"):
        run.log({"a": images[0]}, step=0, arrays={"a": np.eye(2)})


def test_a_step_that_is_not_due_draws_nothing(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=10)
    drawn = figure()
    drawn.savefig = lambda *_, **__: pytest.fail("drawn")  # type: ignore[method-assign]
    with logger.open() as run:
        jaxlog.log(logger, 3, {"figure": drawn})
    assert run.arrived == 0


def test_logging_that_is_off_adds_nothing(make_logger: MakeLogger) -> None:
    logger = make_logger(batched_logging_enabled=False)

    def program(frame: jax.Array) -> jax.Array:
        jaxlog.batch_step(logger, 0, {"frame": jaxlog.Image(frame)})
        return frame

    assert not jax.make_jaxpr(program)(jnp.ones((2, 2))).eqns
