"""The live view in a real browser, with `jaxlog serve` and real runs."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from jaxlog._page import vendored
from tests.browser import REQUIRED, Open, Opened
from tests.page.served import HOSTILE, RATES, SEEDS, STEPS, logger, returns, served, write_runs

pytestmark = pytest.mark.skipif(
    bool(vendored.missing()) and os.environ.get(REQUIRED) != "required",
    reason=f"the charts are not here; run: {vendored.COMMAND}",
)

LINES = """() => document.querySelector("#main figure").figure.chart.shown.lines
  .map(one => ({name: one.name, x: [...one.x], y: [...one.y], raw: one.raw && [...one.raw]}))"""
"""The lines of the large chart as they are drawn."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("watched") / "runs"
    write_runs(directory)
    return directory


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with served(runs) as found:
        yield found


def looked_at(open_page: Open, address: str, fragment: str = "", **options: Any) -> Opened:
    """The page, once everything in sight is drawn. The token is exchanged for a cookie first."""
    opened = open_page(address, **options)
    opened.page.wait_for_url(re.compile(r"/$"))
    if fragment:
        opened.page.goto(urlsplit(address)._replace(query="", fragment=fragment).geturl())
        opened.page.reload()
    wait(
        opened,
        "document.querySelector('#main canvas') && document.querySelector('#answer').textContent",
    )
    wait(opened, "document.querySelectorAll('#comparison tbody tr').length")
    return opened


def wait(opened: Opened, condition: str) -> None:
    opened.page.wait_for_function(f"() => Boolean({condition})", timeout=60_000)


def quiet(opened: Opened) -> None:
    assert opened.said == []
    assert opened.asked == []


def chosen(opened: Opened) -> dict[str, list[str]]:
    """The state in the fragment."""
    return parse_qs(urlsplit(opened.page.url).fragment, keep_blank_values=True)


def names(opened: Opened) -> list[str]:
    return opened.page.locator(".rows .row .name").all_inner_texts()


def lines(opened: Opened) -> list[dict[str, Any]]:
    found = opened.page.evaluate(LINES)
    assert isinstance(found, list)
    return found


def compared(opened: Opened, name: str) -> Any:
    """The row of a group in the comparison."""
    name_cell = opened.page.get_by_text(name, exact=True)
    return opened.page.locator("#comparison tbody tr", has=name_cell)


def test_the_first_screen_has_state_answer_table_chart_and_comparison(
    address: str, open_page: Open
) -> None:
    opened = looked_at(open_page, address)
    page = opened.page
    assert page.locator("#state").inner_text().startswith("1 diverged · 2 finished · newest ")
    assert page.locator("#alarms button").all_inner_texts() == ["1 diverged"]
    assert page.locator("#answer").inner_text().startswith("learning_rate 0.1 leads: ")
    assert sorted(names(opened)) == [f"rate-{rate}" for rate in RATES]
    assert page.locator(".count").inner_text() == "3 runs"
    heads = page.locator(".head [role=columnheader]").all_inner_texts()
    assert {
        "run",
        "status",
        "done",
        "score",
        "trend",
        "lanes",
        "learning_rate",
    } <= set(heads)
    assert "gamma" not in heads  # it does not differ
    found = {line["name"]: line for line in lines(opened)}
    assert set(found) == {str(rate) for rate in RATES}
    means = np.mean([returns(0.01, seed) for seed in range(SEEDS)], axis=0)
    np.testing.assert_allclose(found["0.01"]["y"], means, rtol=1e-5)
    first = page.locator("#comparison tbody tr").first
    assert first.locator("th").inner_text() == "0.1"
    assert first.locator("td").nth(2).inner_text() == f"{SEEDS - 1}/{SEEDS}"
    quiet(opened)


def test_new_lines_appear_without_a_reload(tmp_path: Path, open_page: Open) -> None:
    one = logger()
    with one.open(tmp_path / "runs" / "first") as run, served(tmp_path / "runs") as address:
        run.log({"score": 1.0}, step=0, name="train")
        run.log({"score": 2.0}, step=1, name="train")
        run.flush()
        opened = looked_at(open_page, address)
        page = opened.page
        page.evaluate("() => { window.isTheSame = true; }")
        page.locator(".table").focus()
        for step in range(2, 12):
            run.log({"score": float(step * step)}, step=step, name="train")
            run.flush()
        wait(opened, f"({LINES})()[0].y.at(-1) === 121")
        wait(opened, "document.querySelector('.rows').textContent.includes('121')")
        assert lines(opened)[0]["x"] == list(range(12))
        assert "1 running" in page.locator("#state").inner_text()
        logger().open(tmp_path / "runs" / "second").close()
        wait(opened, "document.querySelectorAll('.rows .row').length === 2")
        assert (
            page.evaluate("() => window.isTheSame && document.activeElement.className") == "table"
        )
        quiet(opened)


def test_an_update_moves_neither_scroll_nor_zoom_nor_selection(
    tmp_path: Path, open_page: Open
) -> None:
    one = logger()
    with one.open(tmp_path / "runs" / "first") as run, served(tmp_path / "runs") as address:
        for step in range(20):
            run.log({f"metric_{i}": float(step) for i in range(30)}, step=step, name="train")
        run.flush()
        opened = looked_at(open_page, address, "from=5&to=15")
        page = opened.page
        page.locator("#metrics .chart").nth(20).scroll_into_view_if_needed()
        page.locator("#metrics input").fill("metric_")
        before = page.evaluate("scrollY")
        assert before > 0
        seen = page.evaluate("() => document.querySelector('#main figure').figure.answer.version")
        run.log({f"metric_{i}": 99.0 for i in range(30)}, step=20, name="train")
        run.flush()
        wait(opened, f"document.querySelector('#main figure').figure.answer.version > {seen}")
        assert page.evaluate("scrollY") == before
        assert page.evaluate("() => document.activeElement.value") == "metric_"
        assert page.evaluate(
            "() => document.querySelector('#main figure').figure.chart.shown.x"
        ) == [5, 15]
        quiet(opened)


def test_the_filter_is_one_box_and_in_the_address(address: str, open_page: Open) -> None:
    opened = looked_at(open_page, address)
    page = opened.page
    page.keyboard.press("/")
    page.keyboard.type("learning_rate>=0.01")
    wait(opened, "document.querySelector('.count').textContent === '2 of 3 runs'")
    assert sorted(names(opened)) == ["rate-0.01", "rate-0.1"]
    assert chosen(opened)["where"] == ["learning_rate>=0.01"]
    wait(opened, f"({LINES})().length === 2")
    quiet(opened)
    page.keyboard.type(" lr>")
    wait(opened, "document.querySelector('#filter-error').textContent.includes('got no value')")
    assert sorted(names(opened)) == ["rate-0.01", "rate-0.1"]  # what was there before
    page.locator("#filter input").fill("")
    wait(opened, "document.querySelector('.count').textContent === '3 runs'")
    assert page.locator("#filter-error").inner_text() == ""
    page.get_by_role("button", name="1 diverged").click()
    wait(opened, "document.querySelectorAll('.rows .row').length === 1")
    assert names(opened) == ["rate-0.1"]
    page.reload()
    wait(opened, "document.querySelectorAll('.rows .row').length === 1")
    assert page.locator("#filter input").input_value() == "health:diverged"
    assert opened.asked == []


def test_columns_sort(address: str, open_page: Open) -> None:
    opened = looked_at(open_page, address)
    page = opened.page
    head = page.locator(".head").get_by_role("button", name=re.compile("^learning_rate"))
    head.click()
    wait(opened, "document.querySelector('.rows .row .name').textContent === 'rate-0.1'")
    assert names(opened) == ["rate-0.1", "rate-0.01", "rate-0.001"]
    assert chosen(opened)["sort"] == ["-learning_rate"]
    head.click()
    wait(
        opened,
        "document.querySelector('.rows [data-place=\"0\"] .name').textContent === 'rate-0.001'",
    )
    assert page.locator('.head [aria-sort="ascending"]').inner_text() == "learning_rate ↑"
    quiet(opened)


def test_groups_and_bands(address: str, open_page: Open) -> None:
    opened = looked_at(open_page, address)
    page = opened.page
    page.get_by_label("group by").select_option("seed")
    wait(opened, f"({LINES})().length === {SEEDS}")
    found = {line["name"]: line["y"] for line in lines(opened)}
    means = np.mean([returns(rate, 1) for rate in RATES], axis=0)
    np.testing.assert_allclose(found["1"], means, rtol=1e-5)
    chart = "document.querySelector('#main figure').figure.chart.shown"
    assert page.evaluate(f"() => {chart}.lines.every(one => one.hasBand)")
    page.get_by_label("band").select_option("range")
    wait(opened, f"{chart}.answer.band !== 'mean ± std' && {chart}.lines[1].upper[9] > 0")
    upper = page.evaluate(f"() => [...{chart}.lines.find(one => one.name === '1').upper]")
    np.testing.assert_allclose(
        upper, np.max([returns(rate, 1) for rate in RATES], axis=0), rtol=1e-5
    )
    page.get_by_label("band").select_option("none")
    wait(opened, f"{chart}.lines.every(one => !one.hasBand)")
    page.go_back()
    page.go_back()
    wait(opened, f"{chart}.lines.every(one => one.hasBand)")
    assert page.get_by_label("band").input_value() == "std"
    quiet(opened)


def moving_average(x: list[float], y: list[float], half_life: float) -> np.ndarray:
    """Each point's weights are halved for each half-life that lies between."""
    found = []
    for i in range(len(x)):
        weights = np.array([0.5 ** ((x[i] - other) / half_life) for other in x[: i + 1]])
        found.append(float(np.average(y[: i + 1], weights=weights)))
    return np.array(found)


def test_smoothing_is_a_debiased_average_over_distance(address: str, open_page: Open) -> None:
    opened = looked_at(open_page, address)
    assert lines(opened)[0]["raw"] is None  # off at first
    slider = opened.page.get_by_label("smoothing", exact=True)
    slider.focus()
    for _ in range(5):
        opened.page.keyboard.press("ArrowRight")
    wait(opened, f"({LINES})()[0].raw")
    assert chosen(opened)["smooth"] == ["5"]
    assert opened.page.locator("output").inner_text() == "5 %"
    for line in lines(opened):
        expected = moving_average(line["x"], line["raw"], 0.05 * (STEPS - 1))
        np.testing.assert_allclose(line["y"], expected, rtol=1e-6)
    # Texts have the values as they were logged.
    values = opened.page.locator("#main table td:nth-child(2)").all_text_contents()
    assert [float(text) for text in values] == [
        pytest.approx(line["raw"][-1], rel=1e-3) for line in lines(opened)
    ]
    quiet(opened)


def test_a_brush_zooms_and_back_and_a_double_click_reset(address: str, open_page: Open) -> None:
    opened = looked_at(open_page, address)
    page = opened.page
    box = page.locator("#main .u-over").first.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=5)
    page.mouse.up()
    wait(opened, "location.hash.includes('from=')")
    low, high = (float(chosen(opened)[name][0]) for name in ("from", "to"))
    assert low == pytest.approx(0.25 * (STEPS - 1), abs=0.5)
    assert high == pytest.approx(0.75 * (STEPS - 1), abs=0.5)
    wait(opened, f"({LINES})()[0].x.length < {STEPS}")
    within = lines(opened)[0]["x"]
    assert low - 1 <= within[0] <= low + 1
    assert high - 1 <= within[-1] <= high + 1
    page.go_back()
    wait(opened, f"({LINES})()[0].x.length === {STEPS}")
    page.go_forward()
    wait(opened, f"({LINES})()[0].x.length < {STEPS}")
    page.mouse.dblclick(box["x"] + box["width"] / 2, y)
    wait(opened, f"({LINES})()[0].x.length === {STEPS}")
    assert "from" not in chosen(opened)
    quiet(opened)


def test_runs_and_groups_are_hidden_and_pinned(address: str, open_page: Open) -> None:
    opened = looked_at(open_page, address)
    page = opened.page
    compared(opened, "0.01").locator("button.name").click()
    wait(opened, f"({LINES})().length === 2")
    assert chosen(opened)["hide"] == ["0.01"]
    page.get_by_role("button", name="show 1 hidden").click()
    wait(opened, f"({LINES})().length === 3")
    row = page.locator(".rows .row", has_text="rate-0.1")
    row.locator("[data-act=off]").click()
    wait(opened, f"({LINES})().length === 2")
    assert {line["name"] for line in lines(opened)} == {
        "0.001",
        "0.01",
    }
    row.locator("[data-act=off]").click()
    wait(opened, f"({LINES})().length === 3")
    row.locator("[data-act=pin]").click()
    wait(opened, f"({LINES})().length === 4")
    assert {line["name"] for line in lines(opened)} >= {"rate-0.1"}
    assert page.locator('.rows [data-place="0"] .name').inner_text() == "rate-0.1"
    page.locator(".rows .row", has_text="rate-0.001").locator("[data-act=pin]").click()
    page.get_by_role("button", name="compare configs").click()
    table = page.locator("dialog.side table").first
    table.wait_for()
    assert table.locator("tbody tr").all_inner_texts() == ["learning_rate\t0.1\t0.001"]
    page.keyboard.press("Escape")
    wait(opened, "!document.querySelector('dialog.side').open")
    compared(opened, "0.001").get_by_role("button", name="baseline").click()
    wait(opened, "document.querySelector('#comparison thead').textContent.includes('difference')")
    best = page.locator("#comparison tbody tr").first.locator("td").nth(1).inner_text()
    assert best.startswith("+")
    quiet(opened)


def test_what_is_shown_is_copied(address: str, open_page: Open) -> None:
    opened = looked_at(open_page, address)
    page = opened.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    def copied(name: str) -> str:
        page.evaluate("() => navigator.clipboard.writeText('')")
        page.locator("#main summary").click()
        page.get_by_role("button", name=name).click()
        page.wait_for_function("async () => await navigator.clipboard.readText()")
        return str(page.evaluate("() => navigator.clipboard.readText()"))

    rows = list(csv.DictReader(io.StringIO(copied("copy CSV"))))
    assert len(rows) == len(RATES) * STEPS
    found = {(row["group"], float(row["update"])): float(row["score"]) for row in rows}
    expected = np.mean([returns(0.01, seed)[7] for seed in range(SEEDS)])
    assert found["0.01", 7.0] == pytest.approx(expected, rel=1e-5)
    picture = copied("copy SVG")
    assert picture.startswith("<svg ")
    assert picture.count("<path") == 2 * len(RATES)  # a line and a band each
    assert "jaxlog" in copied("copy Python")
    page.locator("#main summary").click()
    page.get_by_role("button", name="copy PNG").click()
    page.wait_for_function(
        "async () => (await navigator.clipboard.read())[0].types.includes('image/png')"
    )
    page.locator("#comparison").get_by_role("button", name="LaTeX").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('tabular')")
    quiet(opened)


def test_a_saved_view_opens_without_a_server(runs: Path, tmp_path: Path, open_page: Open) -> None:
    with served(runs) as address:
        opened = looked_at(open_page, address, "band=range&smooth=5")
        before = lines(opened)
        with opened.page.expect_download() as download:
            opened.page.get_by_role("button", name="save this view").click()
        file = tmp_path / "saved.html"
        download.value.save_as(file)
        quiet(opened)
    frozen = open_page(file)
    wait(frozen, "document.querySelector('#main canvas')")
    assert lines(frozen) == before
    assert sorted(names(frozen)) == [f"rate-{rate}" for rate in RATES]
    page = frozen.page
    wait(frozen, "document.querySelectorAll('#comparison tbody tr').length === 3")
    control = page.locator("#filter input")
    assert control.is_disabled()
    assert "not a part of the saved view" in control.get_attribute("title")
    assert not page.locator("#save").is_visible()
    page.get_by_label("band").select_option("none")
    chart = "document.querySelector('#main figure').figure.chart.shown"
    wait(frozen, f"{chart}.lines.every(one => !one.hasBand)")
    page.locator(".rows .row").first.click()
    page.locator("dialog.side dl").wait_for()
    assert HOSTILE in page.locator("dialog.side").inner_text()
    quiet(frozen)


def test_names_are_only_ever_text(address: str, open_page: Open) -> None:
    opened = looked_at(open_page, address)
    page = opened.page
    page.locator(".rows .row").first.click()
    page.locator("dialog.side dl").wait_for()
    assert HOSTILE in page.locator("dialog.side").inner_text()
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "runs · jaxlog"
    quiet(opened)


def test_everything_is_reached_by_the_keyboard(address: str, open_page: Open) -> None:
    opened = looked_at(open_page, address)
    page = opened.page
    page.locator(".table").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    active = page.locator(".table").get_attribute("aria-activedescendant")
    assert active == "run-1"
    name = page.locator(f"#{active} .name").inner_text()
    page.keyboard.press("Enter")
    page.locator("dialog.side h2").wait_for()
    assert page.locator("dialog.side h2").inner_text() == name
    page.keyboard.press("Escape")
    wait(opened, "!document.querySelector('dialog.side').open")
    assert page.evaluate("() => document.activeElement.className") == "table"
    page.keyboard.press("h")
    wait(opened, f"({LINES})().length === 2")
    page.locator("#main figure").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "update 1" in page.locator("#main .tooltip").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#main .tooltip").is_visible()
    page.keyboard.press("Enter")
    page.locator("dialog.big canvas").first.wait_for()
    page.keyboard.press("Escape")
    wait(opened, "!document.querySelector('dialog.big').open")
    order = []
    page.locator("#save").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate(
                "() => document.activeElement.ariaLabel || document.activeElement.innerText"
            )
        )
    assert "filter runs" in order
    assert "runs" in order
    quiet(opened)


def test_a_phone_shows_the_numbers_at_once(address: str, open_page: Open) -> None:
    phone = {"width": 390, "height": 844}
    opened = looked_at(open_page, address, viewport=phone, has_touch=True, is_mobile=True)
    page = opened.page
    assert page.evaluate("() => document.documentElement.scrollWidth") == phone["width"]
    for row in page.locator("#comparison tbody tr").all():
        box = row.bounding_box()
        assert box["y"] + box["height"] < phone["height"]
        assert row.locator("td").first.bounding_box()["x"] < phone["width"] - 60
    quiet(opened)


@pytest.mark.parametrize(("scheme", "colour"), [("light", "#0072b2"), ("dark", "#4fa9e2")])
def test_canvases_have_the_colours_of_the_page(
    address: str, open_page: Open, scheme: str, colour: str
) -> None:
    opened = looked_at(open_page, address, color_scheme=scheme)
    drawn = opened.page.evaluate(  # counted there: sending the pixels takes longer than the rest
        """pixel => new Uint32Array(document.querySelector("#main canvas").getContext("2d")
        .getImageData(0, 0, 2000, 500).data.buffer).filter(one => one === pixel).length""",
        int.from_bytes([*bytes.fromhex(colour[1:]), 255], "little"),
    )
    assert drawn > 10
    quiet(opened)


def test_a_server_that_is_gone_is_said(runs: Path, open_page: Open) -> None:
    with served(runs) as address:
        opened = looked_at(open_page, address)
        quiet(opened)
    wait(
        opened,
        "document.querySelector('#state').textContent.startsWith('The server does not answer')",
    )
    assert sorted(names(opened)) == [f"rate-{rate}" for rate in RATES]
    port = str(urlsplit(address).port)
    with served(runs, "--port", port):
        wait(opened, "document.querySelector('#state').textContent.includes('no longer valid')")
