"""MinAtar, in short: recorded games agree with their rewards, and their films show their states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxlog
from tests.conftest import module_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "record_minatar.py"
BRICKS = 30
pytest.importorskip("pgx")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),  # pgx
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.syspath_prepend(EXAMPLE.parent)  # as when the file is run
        example = module_of(EXAMPLE)
        example.SETTINGS |= {"sample_frequency": 5}
        directory = tmp_path_factory.mktemp("runs") / "minatar"
        example.main(directory, num_updates=6, num_envs=8)
        yield directory


def test_the_games_are_whole(directory: Path) -> None:
    episodes = jaxlog.read_run(directory).recordings
    assert len(episodes) >= 2
    for episode in episodes:
        state = episode.tree["state"]
        assert episode.renderer == "pgx/minatar-breakout"
        assert state["_step_count"].tolist() == list(range(len(episode)))
        assert len(episode) == episode.episode["total_steps"]
        # A brick that is gone is a point.
        gone = BRICKS - state["_brick_map"].sum(axis=(1, 2))
        assert gone.tolist() == [0, *np.cumsum(episode.rewards)[:-1]]
        assert not state["terminated"].any()
        assert set(episode.tree["action"].tolist()) <= {0, 1, 2}


def test_each_frame_of_the_films_shows_its_state(directory: Path) -> None:
    for episode in jaxlog.read_run(directory).recordings:
        name = f"{Path(episode.file).stem}.gif"
        with Image.open(directory / "export" / "films" / "recorded" / name) as film:
            # Neighbours that are equal are one frame, shown for longer.
            frames: list[np.ndarray] = []
            for number in range(film.n_frames):
                film.seek(number)
                frames += [np.asarray(film.convert("RGB"))] * (film.info["duration"] // 100)
        assert len(frames) == len(episode)
        for step, pixels in enumerate(frames):
            # Without its margin the picture is the board of 10 x 10.
            dark = np.flatnonzero((pixels != 255).any(axis=(1, 2)))
            top, side = dark[0], (dark[-1] + 1 - dark[0]) / 10
            centre = top + (side * (np.arange(10) + 0.5)).astype(int)
            board = pixels[np.ix_(centre, centre)].astype(int)
            seen = episode.tree["state"]["observation"][step]  # paddle, ball, trail, brick
            bright = board.sum(axis=-1) > 600  # a brick is the brightest
            np.testing.assert_array_equal(bright, seen[..., 3])
            np.testing.assert_array_equal(board.sum(axis=-1) > 20, seen.any(axis=-1))
