"""The tables of runs and comparisons in notebooks: small, escaped, and they say what is missing."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import jaxlog
from jaxlog._analysis.html_tables import MOST_KEYS, MOST_ROWS

TAGS = {"div", "strong", "table", "thead", "tbody", "tr", "th", "td"}
HOSTILE = "<img src=x onerror=alert(1)>\"'&\u0000"


class Parsed(HTMLParser):
    """The cells of the rows, the notes, and the tags with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = False if tag in ("th", "td") else self._in_cell

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data


def make(directory: Path, config: Any, value: float = 1.0, **options: Any) -> Path:
    with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(
        directory, config=config, **options
    ) as run:
        run.log({"loss": value}, step=7)
    return directory


def test_one_run(tmp_path: Path) -> None:
    config = {"lr": 3e-4, "optimizer": {"name": "adam", "nesterov": True}, "steps": 128}
    shown = Parsed(jaxlog.read_run(make(tmp_path / "first", config))._repr_html_())
    assert shown.text.startswith("first · finished")
    rows = dict(shown.rows)
    assert rows["directory"] == str(tmp_path / "first")
    assert rows["last step"] == "eval 7"
    assert {key: value for key, value in rows.items() if key.startswith("config ")} == {
        "config lr": "0.0003",
        "config optimizer.name": "adam",
        "config optimizer.nesterov": "true",
        "config steps": "128",
    }
    assert "left out" not in shown.text


def test_a_run_with_many_settings_says_how_many_are_left_out(tmp_path: Path) -> None:
    config = {f"key_{i}": i for i in range(100)}
    shown = Parsed(jaxlog.read_run(make(tmp_path / "first", config))._repr_html_())
    assert len(shown.rows) == MOST_ROWS
    kept = sum(row[0].startswith("config ") for row in shown.rows)
    assert f"{100 - kept} more config keys are left out" in shown.text


def test_several_runs_with_the_config_that_differs(tmp_path: Path) -> None:
    for i in range(3):
        make(tmp_path / f"run{i}", {"lr": 10.0**-i, "env": "CartPole", "net": {"width": 64 * i}})
    shown = Parsed(jaxlog.read_runs(tmp_path)._repr_html_())
    assert shown.text.startswith("3 runs")
    assert shown.rows == [
        ["run", "status", "health", "lr", "net.width"],
        ["run0", "finished", "", "1", "0"],
        ["run1", "finished", "", "0.1", "64"],
        ["run2", "finished", "", "0.01", "128"],
    ]
    assert "left out" not in shown.text


def test_many_runs_and_keys_are_left_out_and_counted(tmp_path: Path) -> None:
    for i in range(MOST_ROWS + 3):
        make(tmp_path / f"run{i:02}", {f"key_{k}": i for k in range(MOST_KEYS + 2)})
    shown = Parsed(jaxlog.read_runs(tmp_path)._repr_html_())
    assert len(shown.rows) == 1 + MOST_ROWS
    assert "3 more runs are left out" in shown.text
    assert "config keys that differ and are left out: key_6, key_7" in shown.text


def test_a_comparison(tmp_path: Path) -> None:
    for i in range(6):
        make(tmp_path / f"run{i}", {"lr": 0.1 * (i // 3), "note": HOSTILE}, float(i))
    found = jaxlog.compare(tmp_path, "loss", by="lr")
    shown = Parsed(found._repr_html_())
    assert shown.text.startswith("loss: interquartile means and 95 % intervals")
    header, *rows = shown.rows
    assert header == found.frame.columns
    for row, expected in zip(rows, found.frame.iter_rows(named=True), strict=True):
        assert float(row[header.index("iqm")]) == pytest.approx(expected["iqm"], rel=1e-3)
        assert row[header.index("alive")] == "3"
    for note in found.notes:
        assert note in shown.text


def test_texts_of_a_run_are_only_text_and_cut(tmp_path: Path) -> None:
    run, _ = [
        make(tmp_path / f"run{i}", {HOSTILE: f"{HOSTILE}{i}", "long": "x" * 999}, name=HOSTILE)
        for i in range(2)
    ]
    pages = [
        jaxlog.read_run(run)._repr_html_(),
        jaxlog.read_runs(tmp_path)._repr_html_(),
        jaxlog.compare(tmp_path, "loss", by=HOSTILE)._repr_html_(),
    ]
    for page in pages:
        shown = Parsed(page)
        assert {tag for tag, _ in shown.tags} <= TAGS
        assert {name for _, attributes in shown.tags for name in attributes} <= {"style"}
        assert "<img src=x onerror=alert(1)>" in shown.text
        assert len(page) < 10_000
        # Fonts and colours are those of the page.
        assert not any("color:" in (attributes.get("style") or "") for _, attributes in shown.tags)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"config": 3, "steps": [1], "lane_counts": 2, "name": null, "started": []}']
)
def test_a_run_json_of_anything_is_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    (tmp_path / "eval_metrics.jsonl").write_text("")
    assert tmp_path.name in jaxlog.read_run(tmp_path)._repr_html_()
