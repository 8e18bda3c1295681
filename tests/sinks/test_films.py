"""Films of recorded episodes in trackers, read by the tools that own the formats."""

from __future__ import annotations

import importlib
import io
import os
import sys
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import jaxlog
from jaxlog._render import film_files
from jaxlog._render.film_files import LEAST_SIDE
from jaxlog.sinks import films
from tests.conftest import MakeLogger
from tests.sinks import wandb_files
from tests.sinks.filmed import LENGTHS, SINKS, record, rows_in_trackio, tensorboard, trackio, wandb


def gifs(directory: Path) -> dict[int, list[bytes]]:
    """The films of each step that TensorBoard's reader finds."""
    found = EventAccumulator(
        str(directory / "tensorboard"), size_guidance={"images": 0, "tensors": 0}
    ).Reload()
    if "sampled_episodes/recorded/films" not in found.Tags()["tensors"]:
        return {}
    metadata = found.SummaryMetadata("sampled_episodes/recorded/films")
    assert metadata.plugin_data.plugin_name == "images"
    assert metadata.summary_description.startswith("1: environment 0 · return 5 · 5 steps")
    return {
        event.step: list(event.tensor_proto.string_val)
        for event in found.Tensors("sampled_episodes/recorded/films")
    }


def test_tensorboard_has_films_as_images(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[tensorboard(film_speed=20.0)])
    with logger.open(tmp_path) as run:
        record(logger)
    (account,) = run.accounts()
    assert (account.written, account.failure) == (2, None)
    for width, height, *data in gifs(tmp_path).values():
        assert (int(width), int(height)) == (LEAST_SIDE, LEAST_SIDE)
        assert len(data) == 2  # the first two of three environments
        for one, length in zip(data, LENGTHS[:2], strict=True):
            film = Image.open(io.BytesIO(one))
            assert film.format == "GIF"
            assert film.n_frames == length  # type: ignore[attr-defined]
            for step in range(length):
                film.seek(step)
                assert film.info["duration"] == 50
                small = np.asarray(film.convert("L"))[:: LEAST_SIDE // 4, :: LEAST_SIDE // 4]
                assert np.argmax(small) == step % 16
    assert sorted(gifs(tmp_path)) == [0, 1]


def test_wandb_has_films_as_videos(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[wandb()])
    with logger.open(tmp_path) as run:
        record(logger)
    (account,) = run.accounts()
    assert (account.written, account.failure) == (2, None)
    (of_run,) = wandb_files.read_all(tmp_path)
    (folder,) = (path.parent / "files" for path in tmp_path.rglob("*.wandb"))
    for row in of_run.rows:
        assert row["recorded/episodes/_type"] == "table-file"
        assert (row["recorded/films/_type"], row["recorded/films/count"]) == ("videos", 2)
        captions = row["recorded/films/captions"]
        assert captions[1] == "environment 1 · return 12 · 12 steps"
        for one, length in zip(row["recorded/films/videos"], LENGTHS, strict=False):
            check_video(folder / one["path"], length)


def check_video(file: Path, length: int) -> None:
    """The MP4 has the boards of an episode."""
    with av.open(file) as container:
        (stream,) = container.streams.video
        assert stream.average_rate == 10
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
    assert len(frames) == length
    for step, frame in enumerate(frames):
        assert frame.shape == (LEAST_SIDE, LEAST_SIDE)
        assert np.argmax(frame[32::64, 32::64]) == step % 16


@pytest.mark.parametrize("episodes", ["table", "off"])
def test_trackio_has_films_as_videos(
    episodes: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[trackio(episodes=episodes)])
    with logger.open(tmp_path) as run:
        record(logger)
    (account,) = run.accounts()
    assert (account.written, account.failure) == (2, None)
    rows = rows_in_trackio(run.info.id)
    assert [row["step"] for row in rows] == [0, 1]
    for row in rows:
        assert ("recorded/episodes" in row) == (episodes == "table")
        videos = [row[f"recorded/films/{number}"] for number in range(2)]
        assert "recorded/films/2" not in row
        assert {video["_type"] for video in videos} == {"trackio.video"}
        assert videos[1]["caption"] == "environment 1 · return 12 · 12 steps"
        for video, length in zip(videos, LENGTHS, strict=False):
            check_video(Path(os.environ["TRACKIO_DIR"]) / "media" / video["file_path"], length)


def test_mlflow_has_films_as_files(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[SINKS["mlflow"]()])
    with logger.open(tmp_path) as run:
        record(logger)
    (account,) = run.accounts()
    assert (account.written, account.failure) == (2, None)
    client = importlib.import_module("mlflow").MlflowClient()
    experiment = client.get_experiment_by_name("films").experiment_id
    wanted = f"tags.`jaxlog.run` = '{run.info.id}'"
    (found,) = client.search_runs([experiment], wanted)
    folder = Path(client.download_artifacts(found.info.run_id, "recorded/films", str(tmp_path)))
    names = [f"{step:010d}_{number}.mp4" for step in range(2) for number in range(2)]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        check_video(folder / name, LENGTHS[int(name[-5])])


@pytest.mark.parametrize("episodes", ["table", "off"])
def test_there_is_none_without_the_setting(
    episodes: str, make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(films, "write_film", lambda *_: pytest.fail("made"))
    logger = make_logger(sinks=[tensorboard(films=0, episodes=episodes), {"kind": "memory"}])
    with logger.open(tmp_path):
        record(logger)
    assert gifs(tmp_path) == {}


THREADS: set[int] = set()


def draw(tree: Any) -> np.ndarray:
    """Draws the count of a step, as grey; remembers the thread."""
    THREADS.add(threading.get_ident())
    assert set(tree) == {"board", "pair"}
    count, same = tree["pair"]
    assert same == count
    return np.full((8, 6, 3), 10 * count, np.uint8)


def raises(tree: Any) -> np.ndarray:
    """Raises an error at the fourth step."""
    if tree["pair"][0] == 3:
        raise RuntimeError("no such colour")
    return np.zeros((8, 6, 3), np.uint8)


def differs(tree: Any) -> np.ndarray:
    """Returns frames that grow."""
    return np.zeros((8 + int(tree["pair"][0]), 6, 3), np.uint8)


def wide(tree: Any) -> np.ndarray:
    """Returns frames that no format takes."""
    del tree
    return np.zeros((8, 20_000, 3), np.uint8)


def floats(tree: Any) -> np.ndarray:
    """Returns no uint8."""
    return np.zeros((8, 6, 3))


def test_a_renderer_draws_on_the_thread_of_the_sink(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    THREADS.clear()
    logger = make_logger(sinks=[tensorboard(film_renderer=f"{__name__}:draw", episodes="off")])
    with logger.open(tmp_path):
        record(logger)
        assert threading.get_ident() not in THREADS
    assert len(THREADS) == 1
    assert threading.get_ident() not in THREADS
    for width, height, *data in gifs(tmp_path).values():
        assert (int(width), int(height)) == (6 * 32, 8 * 32)
        film = Image.open(io.BytesIO(data[0]))
        film.seek(4)
        assert np.abs(np.asarray(film.convert("L")).astype(int) - 40).max() <= 2


WRONG = [
    ({"film_renderer": f"{__name__}:raises"}, "RuntimeError: no such colour"),
    ({"film_renderer": f"{__name__}:differs"}, "frame 1: got shape [9, 6, 3], expected that"),
    ({"film_renderer": f"{__name__}:floats"}, "frame 0: got float64 of shape [8, 6, 3]"),
    ({"film_renderer": f"{__name__}:wide"}, "frame 0: got 8 by 20,000 pixels, expected at"),
    ({"film_array": "pair.0"}, "film_array: got 'pair.0', expected a recorded array with two"),
]


@pytest.mark.parametrize(
    ("kind", "settings", "text"),
    [
        *((kind, *wrong) for kind in ("tensorboard", "wandb") for wrong in WRONG),
        ("trackio", *WRONG[0]),
    ],
)
def test_what_is_wrong_costs_the_film_only(
    kind: str,
    settings: dict[str, Any],
    text: str,
    make_logger: MakeLogger,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = make_logger(sinks=[SINKS[kind](**settings), {"kind": "memory"}])
    with logger.open(tmp_path) as run:
        record(logger)
    assert [account.failure for account in run.accounts()] == [None, None]
    assert [account.written for account in run.accounts()] == [2, 2]
    said = [
        record.getMessage() for record in caplog.records if "has no film" in record.getMessage()
    ]
    assert len(said) == 1
    assert (
        f"the sink {kind} has no film of the episode of the call recorded, step 0: {text}"
        in said[0]
    )
    if kind == "tensorboard":
        assert gifs(tmp_path) == {}
    elif kind == "trackio":
        rows = rows_in_trackio(run.info.id)
        assert [row["recorded/episodes"]["_type"] for row in rows] == ["trackio.table"] * 2
        assert not any("films" in key for row in rows for key in row)
    else:
        (of_run,) = wandb_files.read_all(tmp_path)
        assert [row["recorded/episodes/_type"] for row in of_run.rows] == ["table-file"] * 2
        assert not any("films" in key for row in of_run.rows for key in row)


def test_a_long_episode_is_thinned_and_says_so(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(films, "MOST_FRAMES", 4)
    logger = make_logger(sinks=[wandb(film_array="board")])
    with logger.open(tmp_path):
        record(logger, 1)
    (of_run,) = wandb_files.read_all(tmp_path)
    assert of_run.rows[0]["recorded/films/captions"][0] == "environment 0 · return 5 · 4 of 5 steps"
    (folder,) = (path.parent / "files" for path in tmp_path.rglob("*.wandb"))
    file: Path = folder / of_run.rows[0]["recorded/films/videos"][0]["path"]
    with av.open(file) as container:
        shown = [np.argmax(f.to_ndarray(format="gray")[32::64, 32::64]) for f in container.decode()]
    assert shown == [0, 1, 3, 4]


def test_a_film_has_a_limit(
    make_logger: MakeLogger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(films, "MOST_BYTES", 100)
    logger = make_logger(sinks=[tensorboard()])
    with logger.open(tmp_path):
        record(logger, 1)
    assert "bytes, expected at most 100; draw smaller frames" in caplog.text
    assert gifs(tmp_path) == {}


@pytest.mark.parametrize(
    ("kind", "module"),
    [("tensorboard", "PIL"), ("wandb", "av"), ("trackio", "av"), ("mlflow", "av")],
)
def test_what_writes_films_has_to_be_there(
    kind: str, module: str, make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    made = SINKS[kind]
    logger = make_logger(sinks=[made()])
    with pytest.raises(ModuleNotFoundError, match=r"films: need .*; pip install 'jaxlog\[film\]'"):
        logger.open(tmp_path)
    with make_logger(sinks=[made(films=0)]).open(tmp_path / "without"):
        pass


def test_a_build_without_the_codec_is_refused(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_files, "_ENCODER", "libnone")
    with pytest.raises(ValueError, match=r"mp4: got a build of av without H.264"):
        make_logger(sinks=[wandb()]).open(tmp_path)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"films": -1}, "films"),
        ({"films": 17}, "films"),
        ({"film_speed": 0.0}, "film_speed"),
        ({"film_renderer": "card"}, "film_renderer: got 'card', expected module:function"),
        ({"film_renderer": "no.such:thing"}, "film_renderer: got 'no.such:thing', which cannot be"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(jaxlog.ConfigError) as raised:
        jaxlog.Logger({"sinks": [tensorboard(**settings)]})
    assert text in str(raised.value)
