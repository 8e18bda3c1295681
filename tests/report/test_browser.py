"""A report in a real browser: read, asked, printed; it says no error, and asks for nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

from jaxlog._page import vendored
from jaxlog._page.answers import Answers
from jaxlog._page.followed import FollowedRuns
from tests.browser import REQUIRED, Open, Opened
from tests.page.served import HOSTILE, RATES, write_runs
from tests.report.pages import page_of

pytestmark = pytest.mark.skipif(
    bool(vendored.missing()) and os.environ.get(REQUIRED) != "required",
    reason=f"the charts are not here; run: {vendored.COMMAND}",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report") / "runs"
    write_runs(directory)
    return directory


@pytest.fixture(scope="module")
def report(runs: Path) -> Path:
    file = runs.parent / "report.html"
    page_of(file, runs)
    return file


@pytest.fixture(scope="module")
def report_of_one(logged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("one") / "report.html"
    page_of(file, logged)
    return file


def quiet(opened: Opened) -> None:
    assert opened.said == []
    assert opened.asked == []


def wait(opened: Opened, condition: str) -> None:
    opened.page.wait_for_function(f"() => Boolean({condition})", timeout=60_000)


def drawn(opened: Opened) -> Opened:
    """The page, with all its charts."""
    wait(opened, "document.querySelector('#main canvas')")
    wait(opened, "!document.querySelector('.chart:not(.drawn)')")
    return opened


def names(opened: Opened) -> list[str]:
    return opened.page.locator(".rows .row .name").all_inner_texts()


def ids(runs: Path) -> dict[str, str]:
    followed = FollowedRuns(runs)
    followed.look(all_of_it=True)
    return {run.row.name: run.id for run in followed.runs()}


def test_all_charts_are_drawn_without_scrolling_and_printed_unfolded(
    report_of_one: Path, open_page: Open
) -> None:
    opened = drawn(open_page(report_of_one))
    page = opened.page
    folded = page.locator(".fold .chart")
    assert folded.count() == 3
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for chart in folded.all():
        width = chart.locator("canvas").first.bounding_box()["width"]
        assert width == pytest.approx(chart.bounding_box()["width"], abs=40)
    page.emulate_media(media="print")
    assert not page.locator("#controls").is_visible()
    assert page.locator("#facts pre").is_visible()
    assert page.locator("#facts").get_by_text("gamma", exact=True).is_visible()
    images = page.locator("#pictures img")
    assert images.count() == 24
    wait(opened, "[...document.querySelectorAll('#pictures img')].every(one => one.naturalWidth)")
    assert page.pdf(format="A4").startswith(b"%PDF-")
    quiet(opened)


@pytest.mark.parametrize("sort", ["score", "-score", "run", "-learning_rate", "-lanes", "alive"])
def test_the_table_is_sorted_as_the_server_sorts_it(
    runs: Path, report: Path, open_page: Open, sort: str
) -> None:
    answers = Answers(FollowedRuns(runs))
    answers.followed.look(all_of_it=True)
    found = answers.of("runs", urlencode({"sort": sort}))
    assert found is not None
    opened = open_page(f"{report.as_uri()}#{urlencode({'sort': sort})}")
    wait(opened, "document.querySelectorAll('.rows .row').length === 3")
    assert names(opened) == [row["name"] for row in json.loads(found.body)["rows"]]
    quiet(opened)


def test_the_configs_of_two_runs_are_those_of_the_server(
    runs: Path, report: Path, open_page: Open
) -> None:
    one, other = (ids(runs)[f"rate-{rate}"] for rate in RATES[:2])
    answers = Answers(FollowedRuns(runs))
    answers.followed.look(all_of_it=True)
    found = answers.of("configs", urlencode({"a": one, "b": other}))
    assert found is not None
    rows = json.loads(found.body)["rows"]
    opened = open_page(f"{report.as_uri()}#{urlencode({'open': f'{one},{other}'})}")
    wait(opened, "document.querySelectorAll('dialog.side tbody tr').length")
    shown = opened.page.locator("dialog.side tbody tr").all_inner_texts()
    differing = ["\t".join(row[:3]) for row in rows if row[3]]
    equal = ["\t".join(row[:2]) for row in rows if not row[3]]
    assert shown == differing + equal
    assert f"note\t{HOSTILE}" in shown
    quiet(opened)


def test_another_metric_and_grouping_are_chosen(report: Path, open_page: Open) -> None:
    opened = drawn(open_page(report))
    page = opened.page
    assert page.locator("#answer").inner_text().startswith("learning_rate 0.1 leads: ")
    page.get_by_role("combobox", name="metric").select_option("train/wind")
    wait(opened, "document.querySelector('#comparison h2').textContent.startsWith('wind')")
    wait(opened, "document.querySelector('#main h3').textContent === 'wind'")
    wait(opened, "document.querySelector('#answer').textContent.includes('level')")
    page.get_by_role("combobox", name="metric").select_option("train/score")
    page.get_by_role("combobox", name="group by").select_option("none")
    wait(opened, "document.querySelector('#answer').textContent.startsWith('score: ')")
    wait(opened, "document.querySelectorAll('#comparison tbody tr').length === 1")
    assert names(opened)  # the table stays
    quiet(opened)


def test_it_is_read_without_a_script(report: Path, open_page: Open) -> None:
    opened = open_page(report, java_script_enabled=False)
    words = opened.page.locator("noscript").inner_text()
    assert "1 diverged · 2 finished" in words
    assert "learning_rate 0.1 leads: " in words
    assert "| 0.001 |" in words


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_is_no_wider_than_the_window(report: Path, open_page: Open, width: int) -> None:
    opened = drawn(open_page(report, viewport={"width": width, "height": 844}))
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    quiet(opened)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_read_by_day_and_by_night(report_of_one: Path, open_page: Open, scheme: str) -> None:
    opened = drawn(open_page(report_of_one, color_scheme=scheme))
    for selector in ("body", "dt", ".note", "#answer", ".category", "button", "figcaption", "pre"):
        assert contrast(opened, selector) >= 4.5, selector
    quiet(opened)


def contrast(opened: Opened, selector: str) -> float:
    """That of a text and what is behind it, as WCAG 2 defines it."""
    colours = opened.page.evaluate(
        """selector => {
          const element = document.querySelector(selector);
          let behind = element;
          while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") {
            behind = behind.parentElement;
          }
          return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
            .map(colour => colour.match(/[0-9.]+/g).slice(0, 3).map(Number));
        }""",
        selector,
    )
    scaled = np.array(colours) / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return float((high + 0.05) / (low + 0.05))
