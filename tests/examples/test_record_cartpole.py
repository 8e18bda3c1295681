"""CartPole, in short: recorded episodes obey its physics, and their films show them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxlog
from tests.conftest import module_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "record_cartpole.py"
pytest.importorskip("gymnax")


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    module = module_of(EXAMPLE)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # gymnax
        yield module


@pytest.fixture(scope="module")
def directory(example: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "cartpole"
    example.main(directory, num_updates=21)
    return directory


def test_each_step_follows_from_the_one_before(directory: Path) -> None:
    run = jaxlog.read_run(directory)
    assert len(run.recordings) > 5
    assert set(run.episodes["name"]) == {"recorded"}
    for episode in run.recordings:
        state, action = episode.tree["state"], episode.tree["action"]
        assert state["time"].tolist() == list(range(len(episode)))
        assert len(episode) == episode.episode["total_steps"] == episode.episode["total_reward"]
        np.testing.assert_allclose(np.diff(state["x"]), 0.02 * state["x_dot"][:-1], atol=1e-6)
        np.testing.assert_allclose(
            np.diff(state["theta"]), 0.02 * state["theta_dot"][:-1], atol=1e-6
        )
        pushed = np.sign(np.diff(state["x_dot"]))
        assert (pushed == np.where(action[:-1], 1, -1)).all()  # in gymnax the force decides
        assert abs(state["theta"]).max() < 12 * np.pi / 180
        # One more step takes it beyond a limit, or it had as many steps as there are.
        beyond = abs(state["theta"][-1] + 0.02 * state["theta_dot"][-1]) > 12 * np.pi / 180
        beyond |= abs(state["x"][-1] + 0.02 * state["x_dot"][-1]) > 2.4
        assert beyond or len(episode) >= 499


def test_the_films_show_their_steps(example: Any, directory: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    episodes = jaxlog.read_run(directory).recordings
    with image.open(directory / "first.webp") as film:
        assert film.size == (240, 80)
        assert film.info["loop"] == 0
        shown = np.asarray(film.convert("RGB"))
    assert (shown == example.draw(episodes[0].at(0))).all()
    first, last = (example.draw(episodes[0].at(index)) for index in (0, -1))
    assert (first != last).any()
    assert (directory / "longest.webp").exists()
