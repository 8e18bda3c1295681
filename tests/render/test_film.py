"""The frames of an episode: images stay images, and a colour means the same in all frames."""

from __future__ import annotations

import numpy as np
import pytest

from jaxlog._render.arrays import array_pixels
from jaxlog._render.film import framed, frames, left_out, lined
from jaxlog._render.image import heat_of


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_image_stays_one(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 7, 9, channels), np.uint8)
    np.testing.assert_array_equal(frames(images), images)
    if channels != 4:
        floats = images.astype(np.float32) / 255
        np.testing.assert_array_equal(frames(floats), images)


def test_a_grey_image_needs_no_axis_of_channels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 7, 9), np.uint8)
    np.testing.assert_array_equal(frames(images), images[..., None])


def test_a_colour_means_the_same_in_all_frames() -> None:
    grid = np.random.default_rng(0).normal(size=(6, 4, 5))
    grid[2, 1, 1] = np.nan
    found = frames(grid)
    assert found.shape == (6, 4, 5, 3)
    np.testing.assert_array_equal(found, heat_of(grid))
    alone = frames(grid[:1])
    assert (alone != found[:1]).any()  # its own range is a smaller one


def test_planes_of_a_step_are_side_by_side_with_one_scale() -> None:
    planes = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    found = frames(planes)
    assert found.shape == (2, 9, 11, 3)  # two by two planes, with a line between
    colours = heat_of(planes)
    np.testing.assert_array_equal(found[1, :4, 6:], colours[1, 1])
    np.testing.assert_array_equal(found[1, 5:, :5], colours[1, 2])
    assert (found[:, 4] == 240).all()


def test_channels_of_a_grid_are_planes() -> None:
    board = np.random.default_rng(0).random((3, 10, 10, 4)) < 0.3  # as MinAtar has it
    for same in (board, board.astype(np.float32)):  # as gymnax has it: no RGBA
        found = frames(same)
        assert found.shape == (3, 21, 21, 3)
        np.testing.assert_array_equal(found[2, 11:, 11:], heat_of(board[2, :, :, 3].astype(float)))


def test_what_is_not_drawn_is_said() -> None:
    assert left_out(np.zeros((3, 10, 10, 4), np.float32)) == []
    assert left_out(np.zeros((3, 8, 9, 21), np.float32)) == []  # 8 planes of 9 by 21
    assert left_out(np.zeros((3, 20, 9, 9))) == ["the first 16 of 20 planes are shown"]
    large = ["1 of 3 rows and columns of 1300 by 600 is shown"]
    assert left_out(np.zeros((2, 1300, 600, 3), np.uint8)) == large
    assert left_out(np.zeros((2, 1300, 600))) == large


def test_one_step_has_the_colours_of_the_array() -> None:
    grid = np.arange(12.0).reshape(3, 4)
    whole = array_pixels(grid)
    assert whole is not None
    times = whole.shape[1] // 4
    np.testing.assert_array_equal(frames(grid[None])[0], whole[::times, ::times])


def test_large_frames_are_thinned() -> None:
    assert frames(np.zeros((2, 1300, 600, 3), np.uint8)).shape == (2, 434, 200, 3)
    assert frames(np.zeros((2, 1300, 600))).shape == (2, 434, 200, 3)


def test_arrays_are_chosen_by_what_they_are() -> None:
    arrays = {
        "board": np.zeros((4, 30, 30), np.int32),
        "screen": np.full((4, 8, 8, 3), 9, np.uint8),
        "velocity": np.zeros((4, 2)),
        "score": np.zeros(4),
        "many": np.zeros((4, 500)),
        "text": np.array(["a"] * 4),
        "nothing": np.zeros((4, 0, 3)),
    }
    assert framed(arrays) == ["screen", "board"]
    assert lined(arrays) == ["velocity", "score"]
