"""The page of episodes in a real browser: filtered, sorted, stepped through and enlarged."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxlog
from jaxlog._analysis import gallery
from jaxlog._render.film import frames
from jaxlog._render.png import own_pixels
from tests.analysis.test_gallery import HOSTILE, event
from tests.browser import Open
from tests.reading.files import write
from tests.sinks.test_films import LENGTHS
from tests.sinks.test_films import record as record_boards

Show = Callable[..., Any]


def record(logger: jaxlog.Logger, directory: Path) -> None:
    """A run with two episodes of each of three environments."""
    with logger.open(directory):
        record_boards(logger)


@pytest.fixture
def show(tmp_path: Path, open_page: Open) -> Show:
    """Opens a page with what a notebook shows of some episodes, and gives its frame."""

    def show(
        *events: jaxlog.sinks.EpisodeEvent, body: str = "<body>", **options: Any
    ) -> tuple[Any, Any]:
        (tmp_path / "run.json").write_text("{}")
        page = jaxlog.read_run(write(tmp_path, events)).view_episodes()
        file = tmp_path / "notebook.html"
        file.write_text(f"<!doctype html><meta charset=utf-8>{body}{page._repr_html_()}", "utf-8")
        opened = open_page(file, viewport={"width": 1000, "height": 700}, **options)
        return opened, opened.page.frame_locator("iframe")

    return show


def grids(number: int) -> list[jaxlog.sinks.EpisodeEvent]:
    """Episodes with states, ten of each step, of two lanes."""
    state = np.arange(64, dtype=np.int32).reshape(8, 8) % 10
    details = {"initial_state": state, "final_state": state[::-1].copy()}
    return [event(i // 10, i % 2, i % 3, details=details) for i in range(number)]


def test_a_recorded_episode_is_played(tmp_path: Path, open_page: Open) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    record(logger, tmp_path / "run")
    run = jaxlog.read_run(tmp_path / "run")
    assert run.episodes["total_steps"].to_list() == [*LENGTHS] * 2
    opened = open_page(run.view_episodes().save(tmp_path / "page.html"))
    page, first, second = opened.page, *run.recordings[:2]
    assert page.locator(".tile.film").count() == 2 * len(LENGTHS)
    page.locator(".tile").first.click()
    page.locator("#player").wait_for()
    image = page.locator("dialog img")
    said = page.locator("#said")
    assert said.inner_text() == f"step 0 of {LENGTHS[0]} · reward 1"
    sources = []
    for step in range(len(first)):
        page.locator("#frame").fill(str(step))
        assert said.inner_text() == f"step {step} of {LENGTHS[0]} · reward 1"
        sources.append(image.get_attribute("src"))
    expected = frames(first.arrays["board"])
    for source, frame in zip(sources, expected, strict=True):
        data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(own_pixels(data), frame)
    page.locator("#frame").press("Home")
    page.get_by_role("button", name="play").click()
    page.wait_for_function(f"() => find('said').textContent.startsWith('step {len(first) - 1} of')")
    page.wait_for_function("() => find('play').textContent === 'play'")
    page.locator("dialog #next").click()
    assert said.inner_text() == f"step 0 of {LENGTHS[1]} · reward 1"
    assert int(page.locator("#frame").get_attribute("max")) == len(second) - 1
    page.keyboard.press("Escape")
    assert opened.said == []


def test_only_some_recorded_episodes_have_a_film_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}), tmp_path)
    monkeypatch.setattr(gallery, "MOST_FILMS", 4)
    run = jaxlog.read_run(tmp_path)
    (tmp_path / run.recordings[0].file).unlink()
    (tmp_path / run.recordings[1].file).write_bytes(b"damaged")
    page = run.view_episodes().html
    assert "2 recorded without a film here" not in page
    assert "1 recorded without a film here" in page
    monkeypatch.setattr(gallery, "FILM_BYTES", 100)
    assert "5 recorded without a film here" in jaxlog.read_run(tmp_path).view_episodes().html


def steps(frame: Any) -> list[str]:
    """Of the tiles that are shown, which step and lane each is of."""
    titles = frame.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.title)")
    return [" ".join(title.split(" · ")[1:3]) for title in titles]


def test_pictures_come_when_they_are_near(show: Show) -> None:
    opened, frame = show(*grids(500))
    frame.locator(".tile img").first.wait_for()
    opened.page.wait_for_timeout(300)
    assert frame.locator(".tile").count() == 500
    assert 0 < frame.locator(".tile img").count() < 60
    frame.locator(".tile").last.scroll_into_view_if_needed()
    image = frame.locator(".tile").last.locator("img")
    image.wait_for()
    assert image.evaluate("async (img) => { await img.decode(); return img.naturalWidth }") > 100
    assert (opened.said, opened.asked) == ([], [])


def test_filters_the_slider_and_the_order(show: Show) -> None:
    opened, frame = show(*grids(30))
    count = frame.locator("#count")
    assert count.inner_text() == "30 of 30 episodes"
    frame.get_by_label("success", exact=True).select_option("yes")
    assert count.inner_text() == "20 of 30 episodes"
    frame.get_by_label("lane", exact=True).select_option("1")
    assert count.inner_text() == "10 of 30 episodes"
    frame.get_by_label("return from", exact=True).fill("2.5")
    assert set(steps(frame)) == {"step 2 lane 1"}
    frame.get_by_role("button", name="clear filters").click()
    slider = frame.locator("#step")
    slider.focus()
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("ArrowRight")
    assert frame.locator("#at").inner_text() == "step 1"
    assert set(steps(frame)) == {"step 1 lane 0", "step 1 lane 1"}
    frame.get_by_label("sort by", exact=True).select_option("lane")
    frame.get_by_role("button", name="ascending").click()
    assert steps(frame) == ["step 1 lane 1"] * 5 + ["step 1 lane 0"] * 5
    frame.get_by_label("return to", exact=True).fill("-5")
    assert count.inner_text() == "none of 30 episodes"
    assert opened.said == []


def test_the_keyboard_leads_from_one_episode_to_the_next(show: Show) -> None:
    opened, frame = show(*grids(20))
    keyboard, large = opened.page.keyboard, frame.locator("dialog p")
    frame.locator(".tile").first.focus()
    keyboard.press("ArrowRight")
    keyboard.press("Enter")
    assert "step 0 · lane 1" in large.inner_text()
    frame.locator("dialog img[src^='data:image/svg']").wait_for()
    for key in ["ArrowRight"] * 30 + ["ArrowLeft"]:  # no further than to the last
        keyboard.press(key)
    assert "step 1 · lane 0" in large.inner_text()
    keyboard.press("Escape")
    assert not frame.locator("dialog").is_visible()
    assert frame.locator(".tile:focus").get_attribute("data-place") == "18"
    assert opened.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_are_read_in_light_and_in_dark(show: Show, scheme: str) -> None:
    """By WCAG's contrast of the muted text on its panel: 4.5 is asked for."""
    _, frame = show(*grids(10), color_scheme=scheme)
    colours = frame.locator("#count").evaluate(
        "node => [getComputedStyle(node).color,"
        " getComputedStyle(document.querySelector('header')).backgroundColor]"
    )
    light, dark = sorted((luminance(colour) for colour in colours), reverse=True)
    assert (light + 0.05) / (dark + 0.05) > 4.5
    assert (luminance(colours[0]) > luminance(colours[1])) == (scheme == "dark")


def luminance(colour: str) -> float:
    """Of `rgb(r, g, b)`, as WCAG 2 defines it."""
    rgb = np.array(colour.removeprefix("rgb(").removesuffix(")").split(","), float) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_names_of_the_users_do_nothing(show: Show) -> None:
    values = {HOSTILE + str(i): HOSTILE for i in range(3)} | {"x" * 5000: 1.0}
    hostile = [event(i, i, values=values, labels={HOSTILE: HOSTILE + str(i)}) for i in range(4)]
    opened, frame = show(*hostile)
    frame.locator(".tile img").first.wait_for()
    assert frame.locator("script").count() == 2
    hostile_choice = frame.locator("#filters label").filter(has_text=HOSTILE.replace("_", " "))
    hostile_choice.locator("select").select_option("2")
    assert frame.locator("#count").inner_text() == "1 of 4 episodes"
    wide = frame.locator("body").evaluate("body => body.scrollWidth - body.clientWidth")
    assert wide == 0
    assert (opened.said, opened.asked) == ([], [])


def test_returns_that_are_all_not_finite_leave_the_page_as_it_is(show: Show) -> None:
    returns = (float("nan"), float("inf"))
    opened, frame = show(*(event(i, values={"total_reward": x}) for i, x in enumerate(returns)))
    assert frame.locator("#count").inner_text() == "2 of 2 episodes"
    assert opened.said == []


def test_without_episodes_it_says_so(show: Show) -> None:
    _, frame = show()
    assert frame.locator("#count").inner_text() == "none of 0 episodes"


LIGHT, DARK = "rgb(255, 255, 255)", "rgb(20, 24, 29)"


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('<body style="background: #111111">', DARK),
        ('<body style="background: #ffffff">', LIGHT),
        ('<body style="background: black"><div style="background: rgb(250 250 250)">', LIGHT),
        # As in VS Code, whose outputs have no background of their own.
        ('<body style="color: #eeeeee">', DARK),
        ("<body>", None),
    ],
)
def test_the_gallery_follows_the_theme_of_the_notebook(
    show: Show, system: str, body: str, shown: str | None
) -> None:
    opened, frame = show(*grids(10), body=body, color_scheme=system)
    frame.locator(".tile img").first.wait_for()
    page = frame.locator("body")
    expected = shown or {"light": LIGHT, "dark": DARK}[system]
    opened.page.wait_for_timeout(100)
    assert page.evaluate("body => getComputedStyle(body).backgroundColor") == expected
    # The theme is changed while the page is shown.
    opened.page.evaluate("document.body.style.background = '#202020'")
    if not body.endswith('250)">'):
        opened.page.wait_for_timeout(300)
        assert page.evaluate("body => getComputedStyle(body).backgroundColor") == DARK
    assert (opened.said, opened.asked) == ([], [])


def test_the_gallery_follows_a_notebook_that_shows_outputs_in_frames(
    tmp_path: Path, open_page: Open
) -> None:
    (tmp_path / "run.json").write_text("{}")
    page = jaxlog.read_run(write(tmp_path, grids(10))).view_episodes()
    output = html.escape(f"<!doctype html><meta charset=utf-8>{page._repr_html_()}")
    file = tmp_path / "notebook.html"
    inner = f'<iframe srcdoc="{output}" width=900 height=700></iframe>'
    file.write_text(f'<!doctype html><body style="background: #181c1a">{inner}', "utf-8")
    opened = open_page(file, color_scheme="light")
    shown = opened.page.frame_locator("iframe").frame_locator("iframe").locator("body")
    shown.locator(".tile img").first.wait_for()
    opened.page.wait_for_timeout(200)
    assert shown.evaluate("body => getComputedStyle(body).backgroundColor") == DARK
    opened.page.evaluate("document.body.style.background = '#f0f0f0'")
    opened.page.wait_for_timeout(300)
    assert shown.evaluate("body => getComputedStyle(body).backgroundColor") == LIGHT
