"""A picture has the values of the state, and is a valid SVG."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, NamedTuple
from xml.etree import ElementTree

import hypothesis
import hypothesis.extra.numpy as numpy_arrays
import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest

from jaxlog._format.events import StepEvent
from jaxlog._render import Style, picture, sheet
from jaxlog._render.choose import RENDERERS
from jaxlog._render.line import draw_line
from jaxlog._render.markup import text_width
from jaxlog._render.sheet import facts_of
from jaxlog._render.style import ARC_COLOURS
from tests.render.pictures import (
    SVG,
    episode,
    grids_of,
    pixels_of,
    root_of,
    values_of,
    words_of,
)

DTYPES = [
    np.bool_, np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64, np.float16, np.float32,
    np.float64, np.complex64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4,
]  # fmt: skip


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    shape = draw(numpy_arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    seed = draw(st.integers(0, 2**16))
    raw = np.random.default_rng(seed).integers(0, 256, (*shape, dtype.itemsize), np.uint8)
    if draw(st.booleans()) or dtype == ml_dtypes.int4:  # small values; else any bits
        with np.errstate(all="ignore"):
            return np.asarray(raw[..., 0] % 5 - np.int64(dtype.kind == "i")).astype(dtype)
    return (raw[..., 0] > 99) if dtype == np.bool_ else raw.view(dtype).reshape(shape)


@hypothesis.settings(max_examples=150)
@hypothesis.given(arrays(), st.sampled_from(RENDERERS))
@hypothesis.example(np.array([np.nan, np.inf, -np.inf]), "line")
@hypothesis.example(np.full((2, 2), np.nan), "image")
@hypothesis.example(np.array([-1.7e308, 1.7e308]), "line")
@hypothesis.example(np.array([[-1.7e308, 1.7e308]]), "image")
@hypothesis.example(np.array([[np.iinfo(np.uint64).max]]), "grid")
@hypothesis.example(np.zeros((1, 3000), np.int8), "grid")
@hypothesis.example(np.zeros((3000, 1), np.float32), "image")
def test_every_array_has_a_picture_with_every_renderer(state: np.ndarray, renderer: str) -> None:
    event = episode({"initial_state": state, "final_state": state})
    problems: list[str] = []
    svg = picture(event, Style(renderer), problems.append)
    assert ("cannot be drawn" in words_of(svg)) == bool(problems)
    assert svg == picture(event, Style(renderer))
    root_of(sheet([svg, svg]))
    if renderer in ("auto", "card"):
        assert not problems


GRID = np.array([[0, 1, 2], [7, 8, 9]], np.int8)


@pytest.mark.parametrize("renderer", ["auto", "grid"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint64, ml_dtypes.int4])
def test_a_grid_has_the_cells_of_the_array(renderer: str, dtype: Any) -> None:
    grid = (GRID % 7).astype(dtype)
    (drawn,) = grids_of(picture(episode({"final_state": grid}), Style(renderer)))
    assert [[ARC_COLOURS[int(value)] for value in row] for row in grid] == [
        [colour for _, colour in row] for row in drawn
    ]


def test_initial_stands_before_final_and_not_the_other_way() -> None:
    details = {"final_state": GRID.T, "initial_state": GRID}
    first, second = grids_of(picture(episode(details)))
    np.testing.assert_array_equal(values_of(first), GRID)
    np.testing.assert_array_equal(values_of(second), GRID.T)
    assert words_of(picture(episode(details))).index("initial") < words_of(
        picture(episode(details))
    ).index("final")


@hypothesis.settings(max_examples=30)
@hypothesis.given(
    numpy_arrays.arrays(np.int16, numpy_arrays.array_shapes(min_dims=2, max_dims=2, max_side=8))
)
def test_any_integers_are_separate_cells(grid: np.ndarray) -> None:
    svg = picture(episode({"state": grid}), Style("grid"))
    (drawn,) = grids_of(svg)
    np.testing.assert_array_equal(values_of(drawn), grid)
    assert ("struck: negative" in words_of(svg)) == (grid.min() < 0)
    assert ("paler: above 9" in words_of(svg)) == (grid.max() > 9)
    assert {c for v, c in drawn.flat if v > 9}.isdisjoint(ARC_COLOURS)


def test_a_custom_palette_and_booleans() -> None:
    style = Style(palette=("#111111", "#222222"))
    (drawn,) = grids_of(picture(episode({"state": GRID > 1}), style))
    assert [c for _, c in drawn.flat] == ["#111111"] * 2 + ["#222222"] * 4


@pytest.mark.parametrize("axis", [0, 2])
def test_one_hot_planes_are_one_grid(axis: int) -> None:
    grid = np.random.default_rng(0).integers(0, 4, (6, 7))
    planes = np.moveaxis(np.eye(4, dtype=bool)[grid], 2, axis)
    (drawn,) = grids_of(picture(episode({"state": planes}), Style("grid")))
    np.testing.assert_array_equal(values_of(drawn), grid)


@pytest.mark.parametrize("axis", [0, 2])
def test_other_planes_are_side_by_side_and_many_are_cut(axis: int) -> None:
    planes = np.random.default_rng(0).random((5, 5, 12)) < 0.5
    svg = picture(episode({"state": np.moveaxis(planes, 2, axis)}))
    drawn = grids_of(svg)
    assert len(drawn) == 9
    for place, grid in enumerate(drawn):
        np.testing.assert_array_equal(values_of(grid), planes[..., place])
    assert "the first 9 of 12 planes" in words_of(svg)


def test_a_large_grid_is_an_image_of_its_colours_and_small() -> None:
    grid = np.random.default_rng(0).integers(0, 10, (1000, 600))
    svg = picture(episode({"state": grid}))
    (pixels,) = pixels_of(svg)
    colours = np.array([list(bytes.fromhex(c[1:])) for c in ARC_COLOURS], np.uint8)
    np.testing.assert_array_equal(pixels, colours[grid[::2, ::2]])
    assert "1000 \N{MULTIPLICATION SIGN} 600, drawn: 1 of 2 each way" in words_of(svg)
    assert len(svg) < 500_000


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_image_has_the_pixels_of_the_array(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (17, 40, channels), np.uint8)
    (pixels,) = pixels_of(picture(episode({"state": image}), Style("image")))
    np.testing.assert_array_equal(pixels, image)
    (floats,) = pixels_of(picture(episode({"state": np.float32(image / 255)}), Style("image")))
    np.testing.assert_array_equal(floats, image)


def test_a_heat_map_goes_from_dark_to_bright_and_marks_nonfinite_values() -> None:
    svg = picture(episode({"state": np.array([[-3.0, np.nan], [1.0, 5.0]])}))
    (pixels, scale) = pixels_of(svg)
    np.testing.assert_array_equal(pixels[0, 0], (68, 1, 84))
    np.testing.assert_array_equal(pixels[1, 1], (253, 231, 37))
    np.testing.assert_array_equal(pixels[1, 0], (33, 145, 140))
    np.testing.assert_array_equal(pixels[0, 1], (232, 62, 140))
    np.testing.assert_array_equal(scale[[0, -1], 0], pixels[[1, 0], [1, 0]])
    assert "\N{MINUS SIGN}3" in words_of(svg)
    assert "1 of 4 not finite (NaN)" in words_of(svg)


def test_bars_are_as_high_as_the_values_and_gaps_are_noted() -> None:
    svg = picture(episode({"state": np.array([1.0, -2.0, np.inf, 4.0])}))
    bars = [e for e in root_of(svg).iter(f"{SVG}rect") if e.get("class") == "bar"]
    heights = np.array([float(bar.get("height", "")) for bar in bars])
    np.testing.assert_allclose(heights / heights[0], [1, 2, 4], rtol=1e-3)
    assert float(bars[1].get("y", "")) > float(bars[0].get("y", ""))
    assert "1 of 4 not finite (∞)" in words_of(svg)


@pytest.mark.parametrize("least", [-0.04189, -1.2345e-5, -123456.0, 0.0])
def test_the_labels_of_the_axes_are_not_cut(least: float) -> None:
    drawing = draw_line(np.array([least, 2.5]), Style())
    words = list(ElementTree.fromstring(f"<g>{drawing.body}</g>").iter("text"))
    ends = [word for word in words if word.get("text-anchor") == "end"]
    assert len(ends) >= 2
    for word in ends:
        width = float(word.get("font-size", "")) * text_width(word.text or "")
        assert float(word.get("x", "")) >= width, word.text


def test_a_line_breaks_where_a_value_is_missing_and_long_ones_keep_their_ends() -> None:
    values = np.arange(100.0)
    values[40] = np.nan
    lines = list(root_of(picture(episode({"state": values}))).iter(f"{SVG}polyline"))
    assert [len(line.get("points", "").split()) for line in lines] == [40, 59]
    values = np.zeros(100_000)
    values[77_777] = 9.0
    svg = picture(episode({"state": values}))
    (line,) = root_of(svg).iter(f"{SVG}polyline")
    heights = [float(point.split(",")[1]) for point in line.get("points", "").split()]
    assert len(svg) < 20_000
    assert sum(y < max(heights) for y in heights) == 1
    assert "100000 values: the range of every 417" in words_of(svg)


class Board(NamedTuple):
    cells: np.ndarray
    player: int


@dataclasses.dataclass
class State:
    board: Board
    seen: np.ndarray


@pytest.mark.parametrize("where", ["tree", "details"])
def test_the_parts_of_a_state_are_drawn_with_their_names(where: str) -> None:
    if where == "tree":
        event = episode(tree={"final_state": State(Board(GRID, 2), np.ones(5, bool))})
    else:
        details = {"final_state.board.cells": GRID, "final_state.seen": np.ones(5, bool)}
        event = episode(details, **{"final_state.board.player": np.int32(2)})
    svg = picture(event)
    (drawn,) = grids_of(svg)
    np.testing.assert_array_equal(values_of(drawn), GRID)
    words = words_of(svg)
    for name in ("board.cells", "board.player", "seen", "final"):
        assert name in words
    assert "initial" not in words


def test_an_episode_without_states_is_a_card() -> None:
    svg = picture(
        episode(
            {"velocity": np.array([1, -2], np.float32)},
            total_steps=12,
            success=np.bool_(False),
            note="<b> & \x00 \ud800 é ✓",
            labels={"seed": np.int32(3), "who": '"A" <script>'},
            lane=4,
            num_lanes=8,
        )
    )
    words = words_of(svg)
    for word in (
        'lane 4 · seed 3 · who "A" <script> · env 19',
        "step 100",
        "return | 1.5",
        "length | 12",
        "velocity | 1, \N{MINUS SIGN}2",
        "note | <b> & \ufffd \ufffd é ✓",
    ):
        assert word in words
    assert "<script" not in svg
    facts = facts_of(svg)
    assert (facts["success"], facts["lane"], facts["environment"]) == (False, 4, "19")
    assert facts["numbers"]["total_reward"] == "1.5"


def test_a_step_of_a_single_environment_has_before_and_after() -> None:
    details = {"before_state": GRID, "after_state": GRID[::-1]}
    svg = picture(StepEvent(12, 0.0, 3, {"task_id": "abc"}, {"reward": 1.5}, details))
    before, after = grids_of(svg)
    np.testing.assert_array_equal(values_of(before), GRID)
    np.testing.assert_array_equal(values_of(after), GRID[::-1])
    assert "task_id abc · episode 3" in words_of(svg)


def test_a_state_that_cannot_be_drawn_is_an_error() -> None:
    problems: list[str] = []
    state = np.zeros((3, 4, 5, 6), np.float32)
    svg = picture(episode({"final_state": state}), Style("grid"), problems.append)
    assert problems == [
        "the final state cannot be drawn: float32[3, 4, 5, 6]: grid takes integers [height, width]"
    ]
    assert "cannot be drawn" in words_of(svg)
    assert "return" in words_of(svg)


def test_a_cyclic_object_and_one_without_a_str_are_drawn() -> None:
    class Knot:
        def __init__(self) -> None:
            self.itself = self

        def __str__(self) -> str:
            raise RuntimeError("no words")

    root_of(picture(episode(tree={"final_state": Knot()})))


def test_a_sheet_has_all_pictures_in_order_and_a_row_for_each_lane() -> None:
    def pictures(lanes: int, each: int) -> list[str]:
        return [
            picture(
                episode(
                    {"initial_state": GRID * 0 + lane, "final_state": GRID * 0 + k},
                    lane=lane,
                    num_lanes=lanes,
                    environment_id=k,
                )
            )
            for lane in range(lanes)
            for k in range(each)
        ]

    page = sheet(pictures(3, 2), left_out=7)
    found = [int(values_of(grid)[0, 0]) for grid in grids_of(page)]
    assert found == [0, 0, 0, 1, 1, 0, 1, 1, 2, 0, 2, 1]
    words = words_of(page)
    assert "6 episodes, 7 more left out" in words
    assert words.index("lane 0") < words.index("env 0") < words.index("lane 1")
    assert json.loads(root_of(page).findtext(f"{SVG}metadata") or "") == {
        "episodes": 6,
        "left_out": 7,
    }
    assert "lane 2 · env 0" in words_of(sheet(pictures(3, 1)))
    assert "0 episodes" in words_of(sheet([]))
    with pytest.raises(ValueError, match="without the metadata of a jaxlog picture"):
        sheet(['<svg xmlns="http://www.w3.org/2000/svg"/>'])
