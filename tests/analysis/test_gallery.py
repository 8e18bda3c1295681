"""The page of episodes has the right content, and text of users is only text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import resource
import shutil
import signal
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

import jaxlog
from jaxlog._analysis.gallery import Gallery
from jaxlog._analysis.pictures import MOST_BYTES
from jaxlog.sinks.svg import SvgSettings, SvgSink
from tests.reading.files import write

HOSTILE = "</script><script>alert(1)</script>\"'&amp; ü 日本 \u2028 {{ 6 * 7 }}"


def event(step: int, lane: int = 0, env: int = 0, **more: Any) -> jaxlog.sinks.EpisodeEvent:
    values = {"environment_id": env, "total_reward": float(step + lane), "success": env > 0}
    values |= more.pop("values", {})
    details = more.pop("details", {})
    labels = more.pop("labels", {"seed": lane})
    return jaxlog.sinks.EpisodeEvent(
        "batch", step, None, 1.5, lane, labels, values, details, **more
    )


def draw(directory: Path, *events: jaxlog.sinks.EpisodeEvent) -> None:
    """Draws episodes with the sink svg."""
    sink = SvgSink(SvgSettings())
    sink.open(jaxlog.sinks.RunInfo("run", directory, if_exists="replace"))
    for one in events:
        sink.write_episode(one)
    sink.close()


class Parsed(HTMLParser):
    """The tags of a page, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def data_of(page: Gallery) -> dict[str, Any]:
    """Returns the data of the page's script."""
    return json.loads(Parsed(page.html).scripts[0])


def pictures(page: Gallery) -> list[str]:
    return [zlib.decompress(base64.b64decode(text)).decode() for text in data_of(page)["pictures"]]


def rows(page: Gallery) -> list[dict[str, Any]]:
    """Returns the episodes as the page lists them."""
    data = data_of(page)
    return [
        {
            column["title"]: column["choices"][value]
            if "choices" in column and value is not None
            else value
            for column, value in zip(data["columns"], episode, strict=True)
        }
        for episode in data["episodes"]
    ]


def test_rows_are_shown_in_their_order(tmp_path: Path) -> None:
    events = [event(step, lane, env) for step in (0, 10) for lane in (0, 1) for env in (0, 3)]
    run = jaxlog.read_run(write(tmp_path, events))
    everything = run.view_episodes()
    assert repr(everything) == "Gallery(8 episodes)"
    assert [row["step"] for row in rows(everything)] == [0] * 4 + [10] * 4
    frame = run.episodes.filter(pl.col("success")).sort("total_reward", descending=True)
    some = rows(run.view_episodes(frame))
    assert some == [
        {"name": "batch", "step": s, "lane": str(n), "seed": str(n), "env": 3, "return": s + n}
        | {"success": "yes"}
        for s, n in ((10, 1), (10, 0), (0, 1), (0, 0))
    ]


def test_cards_name_their_lane_if_there_are_several(tmp_path: Path) -> None:
    for lanes in (1, 2):
        (tmp_path / f"{lanes}").mkdir()
        run = jaxlog.read_run(
            write(tmp_path / f"{lanes}", [event(0, lane) for lane in range(lanes)])
        )
        found = ["lane " in one for one in pictures(run.view_episodes())]
        assert found == [lanes > 1] * lanes


def test_only_columns_that_differ_have_filters(tmp_path: Path) -> None:
    events = [event(step, step % 3, 1, labels={"rate": step / 7, "env": "a"}) for step in range(90)]
    columns = data_of(jaxlog.read_run(write(tmp_path, events)).view_episodes())["columns"]
    filters = {
        column["key"]: column["filter"] + " of choices" * ("choices" in column)
        for column in columns
        if "filter" in column
    }
    assert filters == {"lane": "number of choices", "rate": "number", "total_reward": "number"}


def test_pictures_are_those_of_the_sink_or_else_drawn(tmp_path: Path) -> None:
    grid = np.arange(4, dtype=np.int32).reshape(2, 2)
    drawn = event(0, details={"final_state": grid})
    not_drawn = event(0, 1, details={"final_state": grid})
    card = event(0, 2)
    write(tmp_path, [drawn, not_drawn, card])
    draw(tmp_path, drawn)
    path = next(tmp_path.glob("svg/batch/*/lane_0000*.svg"))
    path.write_text(path.read_text().replace("<title>", "<title>own "))
    found = pictures(jaxlog.read_run(tmp_path).view_episodes())
    assert found[0] == path.read_text()
    for svg, has_state in zip(found, (True, True, False), strict=True):
        ElementTree.fromstring(svg)
        assert ('data-title="final"' in svg) == has_state
    shutil.rmtree(tmp_path / "svg")
    again = pictures(jaxlog.read_run(tmp_path).view_episodes())
    assert "<title>own" not in again[0]
    assert again[1:] == found[1:]


def test_a_repeated_step_is_drawn_from_its_row(tmp_path: Path) -> None:
    """The second picture has another name, and a row does not say which one is its own."""
    first, second = event(0), event(0, values={"total_reward": 77.0})
    write(tmp_path, [first, second])
    draw(tmp_path, first, second)
    run = jaxlog.read_run(tmp_path)
    (svg,) = pictures(run.view_episodes(run.episodes.filter(pl.col("total_reward") == 77)))
    assert ">77<" in svg


def test_an_image_is_recognized(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    events = [event(0, details={"final_state": image})]
    (svg,) = pictures(jaxlog.read_run(write(tmp_path, events)).view_episodes())
    assert "data:image/png" in svg


def test_episodes_of_several_runs_are_distinguished(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, [event(0, details={"final_state": np.zeros((2, 2), int)})])
        draw(tmp_path / name, event(0, values={"total_reward": 5.0 if name == "a" else 6.0}))
    runs = jaxlog.read_runs(tmp_path)
    page = runs.view_episodes(runs.episodes.reverse())
    assert [row["run"] for row in rows(page)] == ["b", "a"]
    assert [">6<" in svg for svg in pictures(page)] == [True, False]
    with pytest.raises(ValueError, match="got rows of the run 'c', expected those of 'a', 'b'"):
        runs.view_episodes(runs.episodes.with_columns(run=pl.lit("c")))
    with pytest.raises(ValueError, match="a frame without 'run', expected rows of `episodes`"):
        runs.view_episodes(runs.episodes.drop("run"))


def test_user_text_is_only_text(tmp_path: Path) -> None:
    events = [
        event(0, i, labels={HOSTILE: HOSTILE + str(i)}, values={HOSTILE + "x": HOSTILE})
        for i in range(2)
    ]
    page = jaxlog.read_run(write(tmp_path, events)).view_episodes()
    inner = Parsed(page.html)
    assert [tag for tag, _ in inner.tags].count("script") == 2  # its data, and its own
    assert rows(page)[0][HOSTILE.replace("_", " ")].startswith(HOSTILE)
    (tag, attributes), script = Parsed(page._repr_html_()).tags
    assert script == ("script", {})  # it tells the page the notebook's theme
    assert (tag, attributes["sandbox"]) == ("iframe", "allow-scripts")
    assert attributes["srcdoc"] == page.html
    (policy,) = [str(a["content"]) for tag, a in inner.tags if tag == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):  # only the page's own
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page.html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"; {tag}-src 'sha256-{digest}'; " in policy


def test_without_jinja2_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = jaxlog.read_run(write(tmp_path, [event(0)]))
    for name in ("gallery", "html_pages"):
        monkeypatch.delitem(sys.modules, f"jaxlog._analysis.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    said = "pictures of episodes need jinja2, which is not installed; pip install 'jaxlog[explore]'"
    with pytest.raises(ModuleNotFoundError, match=re.escape(said)):
        run.view_episodes()


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    page = jaxlog.read_run(write(tmp_path, [event(0)])).view_episodes()
    for _, attributes in Parsed(page.html).tags:
        assert not {"src", "href", "action"} & attributes.keys()


def test_missing_and_nonfinite_values_are_empty(tmp_path: Path) -> None:
    events = [
        event(0, values={"x": float("nan")}),
        event(1, values={"x": float("-inf")}),
        event(2, values={"x": 1.5}),
        event(3),
    ]
    page = jaxlog.read_run(write(tmp_path, events)).view_episodes()
    assert [row["x"] for row in rows(page)] == [None, None, 1.5, None]


def test_a_column_without_finite_values_has_no_filter(tmp_path: Path) -> None:
    found = (float("nan"), float("inf"), None)
    events = [event(i, values={"x": x} if x is not None else {}) for i, x in enumerate(found)]
    columns = data_of(jaxlog.read_run(write(tmp_path, events)).view_episodes())["columns"]
    assert [column.get("filter") for column in columns if column["key"] == "x"] == [None]


def test_a_label_that_is_not_finite_is_a_choice(tmp_path: Path) -> None:
    rates = (float("nan"), 0.1, float("inf"), float("nan"))
    events = [event(i, labels={"rate": rate}) for i, rate in enumerate(rates)]
    page = jaxlog.read_run(write(tmp_path, events)).view_episodes()
    assert [row["rate"] for row in rows(page)] == ["nan", "0.1", "inf", "nan"]


def test_added_columns_are_shown(tmp_path: Path) -> None:
    run = jaxlog.read_run(write(tmp_path, [event(step) for step in range(2)]))
    added = run.episodes.with_columns(
        when=pl.from_epoch(pl.lit(0)),
        kind=pl.Series(["good", "bad"], dtype=pl.Categorical()),
        price=pl.Series([1, 2]).cast(pl.Decimal(10, 2)),
        took=pl.duration(seconds=pl.col("step")),
    )
    first, second = rows(run.view_episodes(added))
    assert first["when"] == "1970-01-01 00:00:00"
    assert (first["kind"], second["kind"]) == ("good", "bad")
    assert (first["price"], second["price"]) == (1.0, 2.0)
    assert (first["took"], second["took"]) == ("0:00:00", "0:00:01")


def test_another_frame_is_refused(tmp_path: Path) -> None:
    run = jaxlog.read_run(write(tmp_path, [event(0)]))
    other: Any = run.episodes.lazy()
    with pytest.raises(TypeError, match="episodes: got LazyFrame, expected a polars DataFrame"):
        run.view_episodes(other)


def test_a_run_without_episodes_and_a_frame_without_rows(tmp_path: Path) -> None:
    run = jaxlog.read_run(write(tmp_path, [event(0)]))
    assert repr(run.view_episodes(run.episodes.clear())) == "Gallery(0 episodes)"
    (tmp_path / "episodes.jsonl").unlink()
    (tmp_path / "run.json").write_text("{}")
    page = jaxlog.read_run(tmp_path).view_episodes()
    assert data_of(page)["episodes"] == []


def test_the_number_of_episodes_left_out_is_shown(tmp_path: Path) -> None:
    run = jaxlog.read_run(write(tmp_path, [event(step) for step in range(20)]))
    page = run.view_episodes(most=5)
    assert repr(page) == "Gallery(5 episodes, 15 more left out)"
    assert data_of(page)["note"] == " · 15 more were left out"
    with pytest.raises(ValueError, match="most: got 0, expected at least 1"):
        run.view_episodes(most=0)
    with pytest.raises(ValueError, match="a frame without 'step', 'lane', expected rows"):
        run.view_episodes(run.episodes.drop("step", "lane"))


def test_episodes_of_a_single_environment(tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}, {"kind": "svg"}]})
    with logger.open(tmp_path / "run"):
        for total in range(3):
            logger.log_step({"reward": 1.0})
            logger.log_episode_summary({"total_reward": total, "total_steps": 9})
    page = jaxlog.read_run(tmp_path / "run").view_episodes()
    drawn = sorted((tmp_path / "run" / "svg" / "episode").glob("*.svg"))
    assert pictures(page) == [path.read_text() for path in drawn]
    saved = page.save(tmp_path / "page.html")
    assert saved.read_text("utf-8") == page.html


def test_a_page_that_cannot_be_written_leaves_the_older_one(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    page = jaxlog.read_run(write(run, [event(0)])).view_episodes()
    older = tmp_path / "page.html"
    older.write_text("older")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # write raises, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            page.save(older)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert older.read_text() == "older"
    assert sorted(tmp_path.iterdir()) == [older, run]


@pytest.mark.parametrize("change", ["text", "script", "link", "folder", "bytes", "large"])
def test_a_changed_picture_is_drawn_from_its_row(change: str, tmp_path: Path) -> None:
    events = [event(0, details={"final_state": np.eye(3)})]
    run = tmp_path / "run"
    write(run_directory(run), events)
    draw(run, *events)
    path = next(run.glob("svg/batch/*/lane_0000*.svg"))
    svg = path.read_text()
    text = svg.replace("return", "changed")
    assert text != svg
    match change:
        case "text":
            path.write_text(text)
        case "script":
            path.write_text(text.replace("</svg>", "<script>1</script></svg>"))
        case "link":
            path.rename(tmp_path / "elsewhere.svg")
            (tmp_path / "elsewhere.svg").write_text(text)
            path.symlink_to(tmp_path / "elsewhere.svg")
        case "folder":
            path.write_text(text)
            (run / "svg").rename(tmp_path / "elsewhere")
            (run / "svg").symlink_to(tmp_path / "elsewhere")
        case "bytes":
            path.write_bytes(text.encode() + b"\xff")
        case _:
            path.write_text(text + " " * MOST_BYTES)
    (found,) = pictures(jaxlog.read_run(run).view_episodes())
    # What a picture says is its own affair: another text is no danger.
    assert ("changed" in found) == (change == "text")
    assert "<script" not in found
    assert "data-title" in found


def run_directory(path: Path) -> Path:
    path.mkdir()
    return path
