"""A report in a real browser: read, asked, printed; it says no error, and asks for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser import Open, Opened
from tests.reading.files import metrics
from tests.report.pages import page_of, run_of
from tests.report.test_page import hostile


@pytest.fixture
def report(logged: Path, tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    page_of(file, logged)
    return file


def quiet(opened: Opened) -> None:
    assert opened.said == []
    assert opened.asked == []


def drawn(opened: Opened) -> Opened:
    """The page, when its script has drawn what is in sight: an observer is told last."""
    opened.page.evaluate(
        """() => new Promise(resolve => {
          const observer = new IntersectionObserver(() => {
            observer.disconnect();
            resolve();
          });
          observer.observe(document.querySelector("figure.chart"));
        })"""
    )
    return opened


def lines(opened: Opened, key: str = "episode_return_mean") -> list[dict[str, Any]]:
    """The lines that are drawn of a metric: their classes and paths."""
    found = opened.page.evaluate(
        """key => [...document.querySelectorAll("figure.chart")]
        .filter(figure => figure.querySelector(".key").textContent === key)
        .flatMap(figure => [...figure.querySelectorAll("path.line")])
        .map(path => ({looks: path.getAttribute("class"), d: path.getAttribute("d")}))""",
        key,
    )
    assert isinstance(found, list)
    return found


def press(opened: Opened, name: str) -> None:
    opened.page.locator("#curves-0 .controls").get_by_role("button", name=name, exact=True).click()


def test_curves_tell_their_values_where_they_are_pointed_at(report: Path, open_page: Open) -> None:
    opened = drawn(open_page(report))
    figure = opened.page.locator("figure.chart").first
    figure.scroll_into_view_if_needed()
    assert figure.locator(".tooltip").count() == 0
    box = figure.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 90)
    told = figure.locator(".tooltip").inner_text()
    # Of step 39 three seeds' means, each of two episodes, as the lines have them.
    assert "step 39" in told
    assert "learning_rate 2 · 3 lanes" in told
    assert "786 ± 0.82" in told
    assert "201 ± 0.82" in told
    opened.page.mouse.move(5, 5)
    assert not figure.locator(".tooltip").is_visible()
    quiet(opened)


def test_the_keyboard_asks_too(report: Path, open_page: Open) -> None:
    opened = drawn(open_page(report))
    figure = opened.page.locator("figure.chart").first
    figure.focus()
    for key, step in (("ArrowRight", 0), ("ArrowRight", 1), ("ArrowLeft", 0)):
        opened.page.keyboard.press(key)
        assert f"step {step}\n" in figure.locator(".tooltip").inner_text()
    opened.page.keyboard.press("Escape")
    assert not figure.locator(".tooltip").is_visible()
    quiet(opened)


def test_lanes_are_selected_in_the_legend(report: Path, open_page: Open) -> None:
    opened = drawn(open_page(report))
    assert len(lines(opened)) == 2
    press(opened, "lanes")
    assert len(lines(opened)) == 6
    before = lines(opened)
    press(opened, "learning_rate 2 · seed 1")
    found = lines(opened)
    assert [line for line in found if "faint" not in line["looks"]] != before
    assert sum("faint" in line["looks"] for line in found) == 5
    press(opened, "learning_rate 0.5 · seed 0")
    assert sum("faint" in line["looks"] for line in lines(opened)) == 4
    pressed = opened.page.locator('#curves-0 .legend button[aria-pressed="true"]')
    assert pressed.all_inner_texts() == ["learning_rate 0.5 · seed 0", "learning_rate 2 · seed 1"]
    press(opened, "show all")
    assert lines(opened) == before
    quiet(opened)


def test_axes_are_chosen(report: Path, open_page: Open) -> None:
    opened = drawn(open_page(report))
    first = opened.page.locator("figure.chart").first
    linear = lines(opened)
    press(opened, "log")
    assert lines(opened) != linear
    press(opened, "linear")
    assert lines(opened) == linear
    press(opened, "environment steps")
    opened.page.mouse.move(5, 5)
    first.focus()
    opened.page.keyboard.press("ArrowLeft")
    assert f"environment steps {40 * 64:,}" in first.locator(".tooltip").inner_text()
    press(opened, "time")
    assert "time" in (first.locator("svg title").first.text_content() or "")
    quiet(opened)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_read_by_day_and_by_night(report: Path, open_page: Open, scheme: str) -> None:
    opened = drawn(open_page(report, color_scheme=scheme))
    for selector in (
        "body",
        "dt",
        ".note",
        ".chart .last, .chart text",
        "nav a",
        ".status",
        "button",
    ):
        assert contrast(opened, selector) >= 4.5, selector
    quiet(opened)


def contrast(opened: Opened, selector: str) -> float:
    """That of a text and what is behind it, as WCAG 2 defines it."""
    colours = opened.page.evaluate(
        """selector => {
          const element = document.querySelector(selector);
          const style = getComputedStyle(element);
          const text = element instanceof SVGElement ? style.fill : style.color;
          let behind = element;
          while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") {
            behind = behind.parentElement;
          }
          return [text, getComputedStyle(behind).backgroundColor]
            .map(colour => colour.match(/[0-9.]+/g).slice(0, 3).map(Number));
        }""",
        selector,
    )
    scaled = np.array(colours) / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return float((high + 0.05) / (low + 0.05))


def test_a_phone_is_wide_enough(report: Path, open_page: Open) -> None:
    opened = drawn(open_page(report, viewport={"width": 390, "height": 844}))
    press(opened, "lanes")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    quiet(opened)


def test_what_is_printed_has_all_pictures_and_curves(report: Path, open_page: Open) -> None:
    opened = drawn(open_page(report))
    assert opened.page.pdf(format="A4").startswith(b"%PDF-")
    opened.page.emulate_media(media="print")
    assert not opened.page.locator(".bar").first.is_visible()
    whole = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    assert opened.page.evaluate(whole)
    quiet(opened)


def test_paper_has_what_is_folded_on_the_screen(report: Path, open_page: Open) -> None:
    opened = drawn(open_page(report))
    folded = opened.page.locator("details:not([open])").count()
    assert folded
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not opened.page.locator("details:not([open])").count()
    for figure in opened.page.locator("figure.chart").all():
        assert figure.locator("path.line").count()
    opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.page.locator("details:not([open])").count() == folded
    quiet(opened)


def test_without_its_script_the_curves_are_there(report: Path, open_page: Open) -> None:
    opened = open_page(report, java_script_enabled=False)
    figures = opened.page.locator("figure.chart")
    assert figures.count() == 6
    assert figures.first.locator("path.line").count() == 2
    assert opened.page.locator(".legend li").all_inner_texts()[0] == "learning_rate 0.5 · 3 lanes"


def test_nothing_of_a_user_runs(tmp_path: Path, open_page: Open) -> None:
    page_of(tmp_path / "page.html", hostile(tmp_path / "run"))
    opened = open_page(tmp_path / "page.html")
    shown: list[str] = []
    opened.page.on("dialog", lambda dialog: (shown.append(dialog.message), dialog.dismiss()))
    opened.page.locator("figure.chart").first.hover()
    opened.page.locator(".legend button").first.click()
    opened.page.reload()
    assert shown == []
    # Even what would get through runs nothing, and loads nothing.
    opened.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=http://x.test/>')"
    )
    opened.page.wait_for_timeout(100)
    assert any("Content Security Policy" in text for text in opened.said)


def test_values_that_differ_in_their_last_bit_are_drawn(tmp_path: Path, open_page: Open) -> None:
    values = {"rounded": (0.3, 0.1 + 0.2), "large": (1e16, 1e16 + 2)}
    of_step = [{key: pair[step % 2] for key, pair in values.items()} for step in range(4)]
    run = run_of(tmp_path / "run", [metrics(step, ({}, own)) for step, own in enumerate(of_step)])
    page_of(tmp_path / "page.html", run)
    opened = drawn(open_page(tmp_path / "page.html"))
    opened.page.locator("figure.chart").first.hover()
    assert opened.page.locator("#curves-0 .bar").count() == 1
    for key in values:
        ((line,), labels) = lines(opened, key), opened.page.locator("figure.chart text")
        assert line["d"].count("L") == 3
        assert labels.count() < 40
    quiet(opened)


def test_a_page_of_many_lines_is_small_and_draws_at_once(tmp_path: Path, open_page: Open) -> None:
    random = np.random.default_rng(0)
    keys = [f"metric_{number}" for number in range(30)]

    def line(step: int) -> Any:
        values = random.normal(size=(16, 30)).astype(np.float32)
        lanes = (({"seed": i}, dict(zip(keys, own, strict=True))) for i, own in enumerate(values))
        return metrics(step, *lanes)

    run = run_of(tmp_path / "run", map(line, range(2_500)))
    page_of(tmp_path / "page.html", run)
    size = (tmp_path / "page.html").stat().st_size
    assert size < 5e6
    opened = open_page(tmp_path / "page.html", viewport={"width": 1280, "height": 900})
    assert "40,000 lines of 16 lanes" in opened.page.locator("#curves-0 .note").inner_text()
    quiet(opened)


def test_a_long_note_stays_in_its_chart(tmp_path: Path, open_page: Open) -> None:
    def lane(seed: int, scale: float) -> tuple[dict[str, Any], dict[str, Any]]:
        values: dict[str, Any] = {"episode_count": 64}
        for i in range(4):
            name = f"success_of_the_encoder_{i}"
            values |= {f"{name}_mean": scale * (12345.678 + 999.9 * seed), f"{name}_nonfinite": 60}
        return {"seed": seed}, values

    dead = lane(3, float("nan"))
    run = run_of(tmp_path / "run", [metrics(s, lane(0, 1.0), lane(1, -1.0), dead) for s in (0, 1)])
    page_of(tmp_path / "page.html", run)
    opened = drawn(open_page(tmp_path / "page.html"))
    found = opened.page.evaluate(
        """() => [...document.querySelectorAll("figure.chart")].flatMap(figure =>
          [...figure.querySelectorAll("figcaption .odd, figcaption .last")].map(note => ({
            words: note.textContent,
            over: note.getBoundingClientRect().right - figure.getBoundingClientRect().right,
          })))"""
    )
    assert any("not finite" in one["words"] for one in found)
    assert all(one["over"] <= 0 for one in found)
