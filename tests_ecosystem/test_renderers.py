"""Recorded states of each library of environments, drawn by its renderer.

The reference is the picture that the library makes of the state which the program had.
"""

from __future__ import annotations

import io
import operator
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("MUJOCO_GL", "egl")

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._format.episode_file import read_steps, write_steps

STEPS = 6
pytestmark = pytest.mark.timeout(1800)  # craftax prepares its textures for minutes


class Played(NamedTuple):
    """Some steps of one environment.

    Attributes:
      states: the state from which each step was taken.
      recorded: what is recorded of a state.
      drawn: the library's picture of a state.
    """

    states: list[Any]
    recorded: Callable[[Any], Any]
    drawn: Callable[[Any], Any]


def played(reset: Any, step: Any, drawn: Any, recorded: Any = lambda state: state) -> Played:
    step = jax.jit(step)
    states = [jax.jit(reset)(jax.random.PRNGKey(3))]
    for number in range(STEPS - 1):
        states.append(step(jax.random.PRNGKey(number), states[-1]))
    return Played(states, recorded, drawn)


def brax(environment: str) -> Played:
    from brax import envs
    from brax.io import image

    env = envs.get_environment(environment, backend="spring")

    def step(key: jax.Array, state: Any) -> Any:
        return env.step(state, jax.random.uniform(key, (env.action_size,), minval=-3.0, maxval=3.0))

    return played(
        env.reset,
        step,
        lambda state: image.render_array(env.sys, state.pipeline_state),
        lambda state: {"q": state.pipeline_state.q, "reward": state.reward},
    )


def craftax(environment: str) -> Played:
    from craftax.craftax_classic.constants import BLOCK_PIXEL_SIZE_IMG
    from craftax.craftax_classic.renderer import make_craftax_pixel_renderer
    from craftax.craftax_env import make_craftax_env_from_name

    env = make_craftax_env_from_name(environment, auto_reset=True)
    params = env.default_params
    pixels = make_craftax_pixel_renderer(BLOCK_PIXEL_SIZE_IMG)
    return played(
        lambda key: env.reset(key, params)[1],
        lambda key, state: env.step(key, state, jax.random.randint(key, (), 1, 5), params)[1],
        lambda state: np.asarray(pixels(state)).round().astype(np.uint8),
    )


def gymnax(environment: str) -> Played:
    import gymnax
    from gymnax.visualize import vis_gym
    from gymnax.visualize.visualizer import Visualizer

    env, params = gymnax.make(environment)

    def drawn(state: Any) -> Any:
        if environment == "CartPole-v1":
            return vis_gym.render_gym_frame(environment, state, params)
        view: Any = Visualizer(env, params, [state])
        view.init()
        view.fig.set_dpi(48)
        view.fig.canvas.draw()
        return np.array(view.fig.canvas.buffer_rgba())[..., :3]

    return played(
        lambda key: env.reset(key, params)[1],
        lambda key, state: env.step(key, state, key[0] % env.num_actions, params)[1],
        drawn,
    )


def jumanji(environment: str) -> Played:
    import jumanji
    from jumanji.environments.logic.game_2048.viewer import Game2048Viewer
    from jumanji.environments.routing.snake.viewer import SnakeViewer

    env = jumanji.make(environment)
    viewer: Any = (
        SnakeViewer(name="own", render_mode="rgb_array")
        if environment == "Snake-v1"
        else Game2048Viewer(name="own", board_size=4, render_mode="rgb_array")
    )

    def drawn(state: Any) -> np.ndarray:
        viewer._get_fig_ax(show=False)[0].set_dpi(48)
        return np.array(viewer.render(state))[..., :3]

    return played(
        lambda key: env.reset(key)[0],
        lambda key, state: env.step(state, jax.random.randint(key, (), 0, 4))[0],
        drawn,
        # Its key is not recorded.
        lambda state: (
            {name: getattr(state, name) for name in state._fields if name != "key"}
            if hasattr(state, "_fields")
            else {name: value for name, value in vars(state).items() if name != "key"}
        ),
    )


def navix(environment: str) -> Played:
    import navix

    env = navix.make(environment)

    def recorded(timestep: Any) -> Any:
        own = timestep.state
        # 95 % of a state is the cache of its sprites.
        return {"grid": own.grid, "entities": own.entities, "events": own.events}

    return played(
        env.reset,
        lambda key, timestep: env.step(timestep, jax.random.randint(key, (), 0, 4)),
        lambda timestep: np.asarray(navix.observations.rgb(timestep.state)),
        recorded,
    )


def pgx(environment: str) -> Played:
    import pgx

    env = pgx.make(environment)
    return played(
        env.init,
        lambda key, state: env.step(
            state,
            jax.random.categorical(key, jnp.log(state.legal_action_mask.astype(jnp.float32))),
            key,
        ),
        lambda state: state.to_svg(),
    )


def xminigrid(environment: str) -> Played:
    import xminigrid

    env, params = xminigrid.make(environment)
    return played(
        lambda key: env.reset(params, key),
        lambda key, timestep: env.step(params, timestep, jax.random.randint(key, (), 0, 3)),
        lambda timestep: env.render(params, timestep),
        lambda timestep: {"timestep": timestep.state},
    )


def record(name: str, one: Played) -> Any:
    """The steps, as they are read from the file that a run has of them."""
    logger = jaxlog.Logger({"sample_frequency": 1, "sinks": [{"kind": "memory"}]})

    def values(state: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], {"of": one.recorded(state)})

    with logger.open() as run:
        recorder = jaxlog.empty_recorder(
            logger, values(one.states[0]), num_episodes=1, max_steps=STEPS, renderer=name
        )
        for number, state in enumerate(one.states):
            last = jnp.full(1, number == STEPS - 1)
            recorder = jaxlog.record_step(recorder, values(state), jnp.ones(1), last)
        jaxlog.log_episodes(logger, recorder, 0)
    (event,) = run.sink("memory").episodes
    file = io.BytesIO()
    write_steps(file, event.recording)
    return read_steps(file)


@pytest.mark.parametrize(
    ("library", "environment"),
    [
        (brax, "inverted_pendulum"),
        (craftax, "Craftax-Classic-Symbolic-v1"),
        (gymnax, "CartPole-v1"),
        (gymnax, "Breakout-MinAtar"),
        (jumanji, "Snake-v1"),
        (jumanji, "Game2048-v1"),
        (navix, "Navix-DoorKey-5x5-v0"),
        (pgx, "minatar-breakout"),
        (pgx, "tic_tac_toe"),
        (xminigrid, "MiniGrid-Empty-5x5"),
    ],
)
def test_a_recorded_state_is_drawn_as_the_library_draws_it(
    library: Callable[[str], Played], environment: str
) -> None:
    name = f"{library.__name__}/{environment}"
    one = library(environment)
    recorded = record(name, one)
    assert (len(recorded.steps), recorded.renderer) == (STEPS, name)
    try:
        draw = jaxlog.renderer(name)
    except ValueError as error:
        if "MuJoCo found no OpenGL" in str(error):
            pytest.skip(str(error))
        raise
    steps = [jax.tree.map(operator.itemgetter(place), recorded.tree) for place in range(STEPS)]
    frames = [np.asarray(draw(step)) for step in steps]
    for frame, state in zip(frames, one.states, strict=True):
        expected = np.asarray(one.drawn(state))
        if frame.ndim:
            assert (frame.dtype, frame.shape) == (np.uint8, expected.shape)
            assert np.ptp(frame) > 100
            np.testing.assert_array_equal(frame, expected)
        else:
            assert without_ids(str(frame)) == without_ids(str(expected))
    assert len({without_ids(str(frame.tolist())) for frame in frames}) > 1


def without_ids(svg: str) -> str:
    """The SVG without what matplotlib draws at random or takes from the clock."""
    return re.sub(r'(id="|url\(#|href="#|<dc:date>)[^"<)]*', r"\1", svg)
