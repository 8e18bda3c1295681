"""The table of the libraries that draw states of their environments, and the renderer of one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax

from jaxlog._environments import libraries
from jaxlog._environments.libraries import Frame, StateDrawing
from jaxlog._environments.states import rebuilt
from jaxlog._format.recording import LIBRARIES

_DRAWINGS: dict[str, Callable[[str], StateDrawing]] = {
    name: getattr(libraries, f"of_{name}") for name in LIBRARIES
}
"""Makes what draws the states of an environment of each library, from the environment's name."""


def checked(name: Any) -> tuple[str, str]:
    """The names of the library and of the environment.

    Raises:
      ValueError: the text is no name of a renderer.
    """
    library, _, environment = str(name).partition("/")
    if library not in LIBRARIES or not environment:
        raise ValueError(
            f"got {name!r:.60}, expected LIBRARY/ENVIRONMENT, like 'pgx/minatar-breakout', with "
            f"one of these libraries: {', '.join(LIBRARIES)}"
        )
    return library, environment


def renderer(name: str) -> Callable[[Any], Frame]:
    """Makes a function that draws recorded steps as the library of their environment draws states.

    It imports the library and makes the environment with its default settings. For an environment
    with other settings, write a function of your own.

    Args:
      name: `LIBRARY/ENVIRONMENT`, such as `pgx/minatar-breakout`. The libraries are brax, craftax,
        gymnax, jumanji, navix, pgx and xminigrid, and the environment is what their `make` takes.

    Returns:
      A function of the tree of one step, as `RecordedEpisode.at` returns it and
      `RecordedEpisode.frames` takes it. It finds the environment's state in the tree, and returns
      an SVG as text (pgx), or an image as an array, `uint8[height, width, channels]` (the others).
      It raises a ValueError if the step does not have the state. Call it outside of compiled
      programs.

    Raises:
      ModuleNotFoundError: the library, or one that it draws with, is not installed.
      ValueError: there is no such library or environment, or it cannot draw here.

    >>> draw = renderer("pgx/minatar-breakout")
    >>> import jax, numpy, pgx
    >>> state = pgx.make("minatar-breakout").init(jax.random.key(0))
    >>> step = {"state": {key: numpy.asarray(value) for key, value in vars(state).items()}}
    >>> draw(step | {"action": 2}).strip()[-6:]
    '</svg>'
    """
    library, environment = checked(name)
    try:
        with _as_by_default():
            drawing = _DRAWINGS[library](environment)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # each library has its own
        text = " ".join(str(error).split())
        raise ValueError(
            f"{name}: {library} cannot draw such an environment: {type(error).__name__}: "
            f"{text:.300}"
        ) from error

    def draw(step: Any) -> Frame:
        state = rebuilt(step, drawing.example, drawing.unseen)
        with _as_by_default():
            return drawing.draw(state)

    return draw


@contextlib.contextmanager
def _as_by_default() -> Iterator[None]:
    """JAX's settings by default, for which the libraries are written."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
