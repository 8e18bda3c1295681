"""Pictures leave out PRNG keys and caches, and say so."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._format.events import EpisodeEvent, KeyData, StepEvent
from jaxlog._render import Style, picture
from tests.conftest import MakeLogger
from tests.render.pictures import episode, grids_of, values_of, words_of

BOARD = np.array([[0, 1], [2, 3]], np.int8)
KEY = np.array([7, 1234567], np.uint32)
NAVIX = {  # the parts of its state
    "key": KEY,
    "grid": BOARD,
    "cache": {"patches": np.zeros((2, 2, 3), np.uint8)},
    "entities": {"player": {"direction": np.int32(1)}},
}


@pytest.mark.parametrize("renderer", ["auto", "card", "grid"])
def test_keys_and_caches_are_left_out_and_named(renderer: str) -> None:
    svg = picture(episode({"final_state": NAVIX}), Style(renderer))
    words = words_of(svg)
    assert "left out: key, cache" in words
    assert "1234567" not in words
    assert "patches" not in words
    if renderer == "card":
        assert "entities.player.direction" in words
    else:
        (drawn,) = grids_of(svg)
        np.testing.assert_array_equal(values_of(drawn), BOARD)


@pytest.mark.parametrize(
    "left_out",
    [
        {"rng": KEY},
        {"key_data": KEY},
        {"env_rng": np.zeros((3, 2), np.uint32)},
        {"keys": np.zeros(4, np.uint32)},  # of rbg
        {"noise": KEY.view(KeyData)},
        {"first_pipeline_state": {"q": BOARD}},
        {"AutoResetWrapper_first_obs": BOARD},
    ],
)
def test_what_is_left_out(left_out: dict[str, Any]) -> None:
    words = words_of(picture(episode({"state": {"board": BOARD, **left_out}}), Style("card")))
    assert f"left out: {next(iter(left_out))}" in words
    assert "board" in words


@pytest.mark.parametrize(
    "kept",
    [
        {"keys": np.array([1, 2], np.int32)},  # of doors
        {"key": np.zeros(3, np.uint32)},
        {"monkey": KEY},
        {"cached": BOARD},
        {"noise": KEY},
    ],
)
def test_what_only_looks_like_it_is_kept(kept: dict[str, Any]) -> None:
    words = words_of(picture(episode({"state": {"board": BOARD, **kept}}), Style("card")))
    assert "left out" not in words
    assert next(iter(kept)) in words


def test_many_names_are_counted() -> None:
    state = {"board": BOARD, **{f"rng_{i}": KEY for i in range(5)}}
    words = words_of(picture(episode({"state": state}), Style("card")))
    assert "left out: rng_0, rng_1 and 3 more" in words


def test_a_state_of_nothing_else_is_shown() -> None:
    words = words_of(picture(episode({"state": {"key": KEY}}), Style("card")))
    assert "1234567" in words
    assert "left out" not in words


def test_a_function_of_the_user_gets_the_whole_state() -> None:
    seen: list[Any] = []

    def own(state: Any) -> str:
        seen.append(state)
        return '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'

    picture(episode({"state": NAVIX}), Style(own))
    assert set(seen[0]) == set(NAVIX)


class State(NamedTuple):
    board: Any
    noise: Any


def test_typed_keys_are_known_by_their_type_whatever_their_name(make_logger: MakeLogger) -> None:
    logger = make_logger(sampling_enabled=True, sample_frequency=1, num_samples=1)
    states = State(jnp.asarray(np.stack([BOARD] * 3)), jax.random.split(jax.random.key(0), 3))

    @jax.jit
    def program(states: State) -> None:
        jaxlog.batch_step(
            logger, 0, {"episode_returns": jnp.ones(3)}, details={"final_state": states}
        )

    with logger.open() as run:
        program(states)
        logger.log_step({"state": jax.tree.map(lambda rows: rows[0], states)})
    events: list[EpisodeEvent | StepEvent] = [run.sink("memory").episodes[0]]
    events.append(run.sink("memory").steps[0])
    for event in events:
        assert {type(array) for array in event.details.values()} == {np.ndarray}
        words = words_of(picture(event, Style("card")))
        assert "left out: noise" in words
    data = np.asarray(jax.random.key_data(states.noise))
    assert events[0].tree["final_state"].noise.tolist() in data.tolist()
    assert events[1].tree["state"].noise.tolist() == data[0].tolist()
