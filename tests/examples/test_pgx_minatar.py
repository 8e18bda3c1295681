"""The example with pgx, in short: what it logs of episodes agrees with the games' own states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jax
import numpy as np
import pytest
import tyro

from tests.conftest import module_of
from tests.examples.advantages import a_rollout, advantages_of

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "pgx_minatar.py"
UPDATES, SEEDS, BRICKS = 3, 2, 30


@pytest.fixture(scope="module")
def loose() -> Iterator[None]:
    """pgx mixes dtypes, on the sink's thread too, which contexts of this one do not reach."""
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module")
def example() -> Any:
    return module_of(EXAMPLE)


@pytest.fixture(scope="module")
def run(example: Any, loose: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run that logs each episode there was, at each update."""
    example.SETTINGS |= {"log_frequency": 1, "sample_frequency": 1, "num_samples": 1000}
    directory = tmp_path_factory.mktemp("runs") / "minatar"
    options = {"directory": directory, "num-updates": UPDATES, "num-seeds": SEEDS, "num-envs": 4}
    tyro.cli(example.main, args=[f"--{name}={value}" for name, value in options.items()])
    return directory


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_aggregates_are_those_of_the_episodes(run: Path) -> None:
    lines, episodes = read(run / "batch_metrics.jsonl"), read(run / "episodes.jsonl")
    assert [(line["step"], line["lane"]) for line in lines] == [
        (step, seed) for step in range(UPDATES) for seed in range(SEEDS)
    ]
    for line in lines:
        assert line["labels"] == {"seed": line["lane"]}
        of_it = [e["episode"] for e in episodes if (e["step"], e["lane"]) == place(line)]
        got = line["metrics"]
        assert got["episode_count"] == len(of_it) > 0
        for stem, key in (("episode_return", "total_reward"), ("episode_length", "total_steps")):
            values = np.array([episode[key] for episode in of_it], float)
            assert got[f"{stem}_mean"] == pytest.approx(values.mean(), rel=1e-6)
            assert (got[f"{stem}_min"], got[f"{stem}_max"]) == (values.min(), values.max())
        assert got["entropy"] == pytest.approx(np.log(3), abs=0.1)  # three actions, all but random


def place(line: dict[str, Any]) -> tuple[int, int]:
    return line["step"], line["lane"]


def test_advantages_end_where_episodes_do(example: Any) -> None:
    config, rollout = example.Config(), a_rollout()
    values = np.concatenate([rollout.value[1:], rollout.next_value[-1:]])
    rollout = rollout._replace(next_value=values, terminated=rollout.done)  # no game is cut
    steps = example.Steps(None, None, rollout.value, rollout.reward, rollout.done)
    got = example.estimate_advantages(steps, values[-1], config)
    assert got == pytest.approx(advantages_of(rollout, config), rel=1e-5, abs=1e-6)


def test_returns_and_lengths_are_those_of_the_final_states(run: Path) -> None:
    """A brick that is gone is a point; the game counts its own steps."""
    begun_in_an_update_before = 0
    for line in read(run / "episodes.jsonl"):
        episode, details = line["episode"], line["details"]
        bricks = np.array(details["final_state._brick_map"])
        assert bricks.shape == (10, 10)
        assert episode["total_reward"] == BRICKS - bricks.sum()
        assert episode["total_steps"] == episode["final_state._step_count"]
        assert episode["final_state.terminated"] is True
        assert episode["final_state._ball_y"] == 9  # past the paddle
        assert np.sum(details["initial_state._brick_map"]) == BRICKS
        assert episode["initial_state._step_count"] == 0
        assert episode["initial_state.terminated"] is False
        if episode["total_steps"] == 6:  # never hit, the ball falls along a diagonal
            assert abs(episode["final_state._ball_x"] - episode["initial_state._ball_x"]) == 6
        ended_at, _ = episode["batch_index"]
        begun_in_an_update_before += episode["total_steps"] > ended_at + 1
    assert begun_in_an_update_before


def test_each_episode_has_a_picture_of_pgx(run: Path) -> None:
    pictures = sorted(run.glob("svg/batch/step_*/lane_*.svg"))
    assert len(pictures) == len(read(run / "episodes.jsonl"))
    for picture in pictures:
        names = "{http://www.w3.org/2000/svg}"
        states = ElementTree.parse(picture).findall(f".//{names}svg[@class='state']")
        assert [state.get("data-title") for state in states] == ["initial", "final"]
        boards = [state.find(f".//{names}image") for state in states]  # as matplotlib embeds it
        assert all(board is not None for board in boards)
        assert boards[0].get("href") != boards[1].get("href")  # type: ignore[union-attr]
    assert len(sorted(run.glob("svg/batch/step_*/sheet.svg"))) == UPDATES
