"""States of episodes as pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jaxlog._format.events import EpisodeEvent
from jaxlog._render.arrays import array_pixels
from jaxlog._render.pixels import episode_pixels
from jaxlog._render.style import ARC_COLOURS

COLOURS = np.array([list(bytes.fromhex(colour[1:])) for colour in ARC_COLOURS], np.uint8)
RNG = np.random.default_rng(0)
BOARD = RNG.integers(0, 5, (3, 3))


def episode(**states: Any) -> EpisodeEvent:
    return EpisodeEvent("batch", 0, None, 0.0, 0, {}, {}, {}, tree=states)


@pytest.mark.parametrize(
    "state",
    [
        BOARD,
        BOARD.astype(np.uint8),
        np.eye(5, dtype=bool)[BOARD],  # one-hot
        {"board": BOARD, "score": 1.5, "note": "a text"},
    ],
)
def test_a_grid_has_the_colours_of_the_palette(state: Any) -> None:
    pixels = episode_pixels(episode(state=state))
    assert pixels is not None
    np.testing.assert_array_equal(pixels[::85, ::85], COLOURS[BOARD])


def test_other_arrays_are_images_and_heat_maps() -> None:
    floats = RNG.normal(size=(4, 4))
    photo = RNG.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    clear = np.dstack([photo, np.zeros((4, 4), np.uint8)])
    for array in (floats, photo, RNG.normal(size=7)):
        np.testing.assert_array_equal(episode_pixels(episode(state=array)), array_pixels(array))
    white = episode_pixels(episode(state=clear))
    assert white is not None
    assert (white == 255).all()
    grey = episode_pixels(episode(state=photo[:, :, :1]))
    assert grey is not None
    assert (grey == grey[:, :, :1]).all()


def test_states_are_beside_each_other_and_their_arrays_below() -> None:
    small, wide = np.zeros((2, 2), int), np.ones((1, 4), int)
    state = {"a": small, "b": wide}
    pixels = episode_pixels(episode(initial_state=state, final_state={"a": small}))
    assert pixels is not None
    assert pixels.shape == (256 + 16 + 64, 256 + 16 + 256, 3)
    black, white = [0] * 3, [255] * 3
    np.testing.assert_array_equal(pixels[0, [0, 256, 271, 272]], [black, white, white, black])
    np.testing.assert_array_equal(pixels[[256, 271, 272], 0], [white, white, COLOURS[1]])
    assert (pixels[272:, 272:] == 255).all()


def test_planes_are_side_by_side() -> None:
    planes = RNG.integers(0, 5, (13, 14, 12))
    pixels = episode_pixels(episode(state=planes))
    assert pixels is not None
    times = len(pixels) // 13
    first = pixels[::times, : 14 * times : times]
    np.testing.assert_array_equal(first, COLOURS[planes[:, :, 0]])
    assert pixels.shape[1] == (9 * 14 + 8) * times  # the first nine, and what is between them


@pytest.mark.parametrize("state", [None, 1.5, "a text", np.zeros((0, 2)), np.float32(1.0)])
def test_a_state_without_arrays_has_no_pixels(state: Any) -> None:
    assert episode_pixels(episode(state=state)) is None
    assert episode_pixels(episode()) is None
