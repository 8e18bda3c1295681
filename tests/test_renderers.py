"""States are found in recorded steps, and built with their own classes; what is missing is said."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._environments.states import NoSuchStateError, rebuilt
from jaxlog._format.episode_file import read_steps, write_steps
from tests.conftest import MakeLogger


class Body(NamedTuple):
    x: Any
    parts: dict[str, Any]


class State(NamedTuple):
    body: Body
    key: Any
    cache: Any


def state(number: int) -> State:
    body = Body(jnp.full(3, number), {"a": jnp.float32(number), "b": (jnp.ones((2, 2), bool),)})
    return State(body, jax.random.key(number), {"sprites": jnp.full(4, number, np.uint8)})


def read_back(make_logger: MakeLogger, values: Any) -> Any:
    """The tree of the last of two steps, as it is read from the file of an episode."""
    logger = make_logger()
    tree = jax.tree.map(lambda leaf: leaf[None], values)
    recorder = jaxlog.empty_recorder(logger, tree, num_episodes=1, max_steps=2)
    with logger.open() as run:
        for last in (False, True):
            recorder = jaxlog.record_step(recorder, tree, jnp.ones(1), jnp.full(1, last))
        jaxlog.log_episodes(logger, recorder, 0, every=1)
    (event,) = run.sink("memory").episodes
    assert event.recording is not None
    file = io.BytesIO()
    write_steps(file, event.recording)
    return jax.tree.map(lambda leaf: leaf[1], read_steps(file).tree)


def same(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        if jnp.issubdtype(other.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        assert one.dtype == other.dtype


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda own: own,
        lambda own: {"state": own, "action": jnp.int32(7)},
        lambda own: {"log": [jnp.float32(1), {"env_state": own}]},
    ],
)
def test_a_state_is_built_from_wherever_it_was_recorded(
    make_logger: MakeLogger, wrapped: Any
) -> None:
    step = read_back(make_logger, wrapped(state(5)))
    same(rebuilt(step, jax.eval_shape(lambda: state(0))), state(5))


def test_the_first_node_that_has_the_state_is_taken(make_logger: MakeLogger) -> None:
    step = read_back(make_logger, {"inner": {"later": state(2)}, "now": state(1)})
    same(rebuilt(step, jax.eval_shape(lambda: state(0))), state(1))


def test_parts_that_no_picture_shows_may_be_missing(make_logger: MakeLogger) -> None:
    step = read_back(make_logger, {"body": state(5).body})
    found = rebuilt(step, jax.eval_shape(lambda: state(0)), ("key", "cache"))
    same(found.body, state(5).body)
    assert found.cache["sprites"].tolist() == [0, 0, 0, 0]
    assert (jax.random.key_data(found.key) == 0).all()


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        (lambda own: own._asdict() | {"cache": {}}, "cache.sprites is missing"),
        (lambda own: {"x": jnp.ones(3)}, "body.x is missing, body.parts.a is missing, body.pa"),
        (
            lambda own: own._replace(body=own.body._replace(x=jnp.ones((2, 3)))),
            "body.x has shape [2, 3], not [3]",
        ),
    ],
)
def test_a_step_without_the_state_says_what_is_missing(
    make_logger: MakeLogger, recorded: Any, said: str
) -> None:
    step = read_back(make_logger, recorded(state(5)))
    with pytest.raises(NoSuchStateError) as error:
        rebuilt(step, jax.eval_shape(lambda: state(0)))
    assert f"got a step without this state: {said}" in str(error.value)


def test_a_name_that_is_none_says_what_is_expected() -> None:
    for name in ("pgx", "pgx/", "atari/pong", "", 5):
        with pytest.raises(ValueError, match="expected LIBRARY/ENVIRONMENT") as error:
            jaxlog.renderer(name)  # type: ignore[arg-type]
        assert "brax, craftax, gymnax, jumanji, navix, pgx, xminigrid" in str(error.value)
