"""Draws states with the libraries of environments. Each is imported when it is first asked for."""
# pyright: reportMissingImports=false
# Most of these libraries are not installed where the types are checked.

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import numpy as np

Frame = str | np.ndarray
"""A picture of one state: an SVG as text, or uint8 `[height, width, channels]`."""

_DOTS_PER_INCH = 48
"""The resolution of figures: those of jumanji are 10 inches wide."""
_HEIGHT, _WIDTH = 240, 320
"""The size of MuJoCo's pictures, that of brax's own."""


class StateDrawing(NamedTuple):
    """The renderer of one environment.

    Attributes:
      example: a state, or its shapes: the arrays that have to be recorded.
      draw: makes a picture of one state.
      unseen: the parts of the state that may be missing.
    """

    example: Any
    draw: Callable[[Any], Frame]
    unseen: tuple[str, ...] = ()


def of_brax(environment: str) -> StateDrawing:
    """Draws bodies with MuJoCo, from the positions of the joints. It needs OpenGL."""
    try:
        import mujoco
    except ImportError:
        raise
    except Exception as error:  # of the library of OpenGL that it looks for
        raise _no_opengl(error) from None
    from brax import envs

    model = envs.get_environment(environment).sys.mj_model
    try:
        renderer = mujoco.Renderer(model, height=_HEIGHT, width=_WIDTH)
    except Exception as error:
        raise _no_opengl(error) from None
    data = mujoco.MjData(model)

    def draw(state: Any) -> np.ndarray:
        data.qpos = state["q"]
        mujoco.mj_forward(model, data)
        renderer.update_scene(data, camera=-1)
        return renderer.render()

    return StateDrawing({"q": np.zeros(model.nq, np.float32)}, draw)


def _no_opengl(error: Exception) -> ValueError:
    return ValueError(
        "MuJoCo found no OpenGL to draw with; without a screen, set MUJOCO_GL=egl or "
        f"MUJOCO_GL=osmesa before the program starts ({type(error).__name__}: {error})"
    )


def of_craftax(environment: str) -> StateDrawing:
    """Draws what the player sees, in the textures of the game."""
    from craftax.craftax_env import make_craftax_env_from_name

    env = make_craftax_env_from_name(environment, auto_reset=False)
    if "Classic" in environment:
        from craftax.craftax_classic.constants import BLOCK_PIXEL_SIZE_IMG
        from craftax.craftax_classic.renderer import make_craftax_pixel_renderer
    else:
        from craftax.craftax.constants import BLOCK_PIXEL_SIZE_IMG
        from craftax.craftax.renderer import make_craftax_pixel_renderer
    pixels = jax.jit(make_craftax_pixel_renderer(BLOCK_PIXEL_SIZE_IMG))
    return StateDrawing(
        jax.eval_shape(lambda key: env.reset(key, env.default_params)[1], _key()),
        lambda state: np.asarray(pixels(state)).round().clip(0, 255).astype(np.uint8),
    )


def of_gymnax(environment: str) -> StateDrawing:
    """Draws with Gymnasium what it has, too, and the others with gymnax's figures."""
    import gymnax
    from gymnax.visualize import vis_gym
    from gymnax.visualize.visualizer import Visualizer

    env, params = gymnax.make(environment)
    example = jax.eval_shape(lambda key: env.reset(key, params)[1], _key())
    if environment in vis_gym.SUPPORTED_GYM_ENVS:
        return StateDrawing(
            example, lambda state: vis_gym.render_gym_frame(environment, state, params)
        )
    view: Any = Visualizer(env, params, [])
    _closed(view.fig)

    def draw(state: Any) -> np.ndarray:
        view.state_seq = [state]
        if not hasattr(view, "im"):
            view.init()
            if not hasattr(view, "im"):
                raise ValueError(f"gymnax has no picture of {environment}")
        view.update(0)
        view.ax.set_title("")  # it has the number of the state, and knows of one only
        return _pixels(view.fig)

    return StateDrawing(example, draw)


def of_jumanji(environment: str) -> StateDrawing:
    """Draws with the figures of jumanji's viewers."""
    import jumanji
    import matplotlib.pyplot as plt

    env = jumanji.make(environment)

    def draw(state: Any) -> np.ndarray:
        with plt.ion():  # otherwise the viewer opens a window
            env.render(state)
            return _pixels(plt.gcf())

    return StateDrawing(
        jax.eval_shape(lambda key: env.reset(key)[0], _key()), draw, unseen=("key",)
    )


def of_navix(environment: str) -> StateDrawing:
    """Draws the grid with navix's sprites, which need not be recorded."""
    import navix
    from navix.rendering.cache import RenderingCache

    env = navix.make(environment)
    pixels = jax.jit(
        lambda state: navix.observations.rgb(state.replace(cache=RenderingCache.init(state.grid)))
    )
    return StateDrawing(
        jax.eval_shape(lambda key: env.reset(key).state, _key()),
        lambda state: np.asarray(pixels(state)),
        unseen=("key", "cache"),
    )


def of_pgx(environment: str) -> StateDrawing:
    """Draws with the states' own pictures."""
    import pgx

    env = pgx.make(environment)  # pyright: ignore[reportArgumentType]
    return StateDrawing(jax.eval_shape(env.init, _key()), lambda state: state.to_svg())


def of_xminigrid(environment: str) -> StateDrawing:
    """Draws the grid and the agent's view of it."""
    import xminigrid

    env, params = xminigrid.make(environment)
    state = jax.eval_shape(lambda key: env.reset(params, key).state, _key())

    def draw(seen: Any) -> np.ndarray:
        return env.render(params, SimpleNamespace(state=SimpleNamespace(**seen)))

    return StateDrawing({"grid": state.grid, "agent": state.agent}, draw)


def _key() -> jax.Array:
    return jax.random.PRNGKey(0)  # brax takes no typed keys


def _pixels(figure: Any) -> np.ndarray:
    """The pixels of a figure of matplotlib, whichever backend it was made with."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _closed(figure: Any) -> None:
    """Takes a figure out of pyplot's list, so that no notebook shows it; it can be drawn still."""
    import matplotlib.pyplot as plt

    plt.close(figure)
