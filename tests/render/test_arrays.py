"""Pictures of arrays that are logged whole: every dtype and shape, with the numbers as colours."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import ml_dtypes
import numpy as np
import pytest

from jaxlog._render.arrays import LARGE, array_pictures, array_pixels, array_svg, pixels_left_out
from jaxlog._render.image import heat, heat_of
from jaxlog._render.png import MOST_PIXELS, png

RNG = np.random.default_rng(0)


def entries(array: np.ndarray) -> np.ndarray:
    """The colour of each entry of a small array, in the middle of its square."""
    pixels = array_pixels(array)
    assert pixels is not None
    times = LARGE // max(array.shape[:2])
    assert pixels.shape[:2] == (array.shape[0] * times, array.shape[1] * times)
    return pixels[times // 2 :: times, times // 2 :: times]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, ml_dtypes.bfloat16, np.int64, np.bool_])
def test_a_table_is_a_heat_map_from_its_smallest_to_its_largest(dtype: type) -> None:
    table = RNG.integers(0, 2, (3, 5)).astype(dtype)
    np.testing.assert_array_equal(entries(table), heat(table.astype(np.float64)))


def test_numbers_that_are_not_finite_have_a_colour_of_their_own() -> None:
    found = entries(np.array([[0.0, np.nan], [np.inf, 2.0]]))
    assert found[0, 1].tolist() == found[1, 0].tolist() == [232, 62, 140]
    np.testing.assert_array_equal(found[1, 1], heat(np.array(1.0)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_image_keeps_its_pixels(channels: int) -> None:
    image = RNG.integers(0, 256, (6, 4, channels)).astype(np.uint8)
    np.testing.assert_array_equal(entries(image), image)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_are_no_image_since_their_axes_may_be_steps_and_actions(channels: int) -> None:
    probabilities = RNG.random((2, 5, channels))  # of two steps
    pixels = array_pixels(probabilities)
    assert pixels is not None
    if channels == 1:
        np.testing.assert_array_equal(entries(probabilities), heat_of(probabilities[:, :, 0]))
        return
    times = LARGE // max(5, 2 * channels + 1)
    found = pixels[times // 2 :: times, times // 2 :: times]
    assert found.shape == (5, 2 * channels + 1, 3)
    colours = heat_of(probabilities)
    np.testing.assert_array_equal(found[:, :channels], colours[0])
    np.testing.assert_array_equal(found[:, channels + 1 :], colours[1])


def test_what_is_not_drawn_is_said() -> None:
    assert pixels_left_out(np.ones((36, 4, 4))) == pixels_left_out(np.ones(500)) == []
    assert pixels_left_out(np.ones((50, 4, 4))) == ["the first 36 of 50 planes"]
    assert pixels_left_out(np.ones((1500, 2, 3), np.uint8)) == [
        "1 of 3 rows and columns of 1500 by 2"
    ]
    assert pixels_left_out(np.array(1.0, np.float32)) == pixels_left_out(np.ones((0, 3))) == []


def test_grey_images_have_two_axes_of_uint8() -> None:
    image = RNG.integers(0, 256, (6, 4)).astype(np.uint8)
    np.testing.assert_array_equal(entries(image)[:, :, 0], image)


def test_more_axes_are_planes_with_one_scale() -> None:
    stack = np.arange(3.0 * 2 * 2).reshape(3, 2, 2)
    pixels = array_pixels(stack)
    assert pixels is not None
    times = LARGE // 5  # 2 + 1 + 2 entries along each side
    found = pixels[times // 2 :: times, times // 2 :: times]
    part = heat(stack / 11)
    for plane, (top, left) in enumerate([(0, 0), (0, 3), (3, 0)]):
        np.testing.assert_array_equal(found[top : top + 2, left : left + 2], part[plane])
    assert (found[2] == 240).all()


def test_large_arrays_are_thinned() -> None:
    for shape in ((1500, 2), (40, 100, 100), (2000,)):
        pixels = array_pixels(np.ones(shape))
        assert pixels is not None
        assert max(pixels.shape) <= MOST_PIXELS


def test_a_png_is_read_by_another_library() -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = array_pixels(RNG.normal(size=(7, 9)))
    assert pixels is not None
    np.testing.assert_array_equal(np.asarray(image.open(io.BytesIO(png(pixels)))), pixels)


SHAPES = [(), (0,), (1,), (9,), (600,), (2, 3), (1, 1), (4, 5, 3), (3, 4, 5), (2, 0, 3), (2,) * 5]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float16, ml_dtypes.bfloat16])
def test_every_array_has_a_picture(shape: tuple[int, ...], dtype: type) -> None:
    array = (40 * RNG.random(shape)).astype(dtype)
    svg = array_svg(np.asarray(array), "a <b> & c")
    root = ElementTree.fromstring(svg)
    texts = ["".join(part.itertext()) for part in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a <b> & c" in texts
    assert any(f"{np.dtype(dtype).name}[" in words for words in texts)
    assert "cannot be drawn" not in texts
    assert (array_pixels(np.asarray(array)) is None) == (not shape or not np.prod(shape))


def test_html_loads_nothing_and_escapes_titles() -> None:
    html = array_pictures([("<script>", np.eye(2)), ("b", np.ones(3))], left_out=5)
    assert "<script>" not in html
    assert html.count("<img ") == 2
    assert set(re.findall(r'src="([^,]*),', html)) == {"data:image/svg+xml;base64"}
    assert "5 earlier arrays are not shown" in html
    assert array_pictures([]) == "<p>no arrays</p>"
