"""The live table as HTML: in the colours of the notebook's theme, in Jupyter and in marimo."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

import jaxlog
from jaxlog.sinks.console.html import COLOURS, html_and_text
from tests.browser import Open

PICTURE = Text.assemble(
    ("<b>&", "bold red"), " ", ("▁▂▃", "blue"), ("rest", "dim"), ("back", "grey23"), "  \n", "end"
)


def test_texts_are_escaped_and_colours_are_those_of_the_theme() -> None:
    page, text = html_and_text(PICTURE, 40)
    assert text == "<b>& ▁▂▃restback\nend"
    assert "&lt;b&gt;&amp;" in page
    assert page.startswith("<pre style=")
    blue = re.findall(r'<span style="color:([^"]*)">▁▂▃</span>', page)
    assert blue == [
        "var(--jp-brand-color1,var(--vscode-terminal-ansiBlue,var(--blue-11,"
        "light-dark(#0969da,#58a6ff))))"
    ]
    assert '<span style="opacity:0.7">rest</span>' in page
    assert '<span style="opacity:0.25">back</span>' in page


def contrast(one: str, other: str) -> float:
    """The contrast of two colours like `rgb(1, 2, 3)`, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("style", "back"),
    [
        ("background: #111; color-scheme: dark", "rgb(17, 17, 17)"),
        ("background: #fff; color-scheme: light", "rgb(255, 255, 255)"),
        ("background: #fff", "rgb(255, 255, 255)"),
    ],
)
@pytest.mark.parametrize("system", ["light", "dark"])
def test_colours_can_be_read_on_light_and_dark_pages(
    tmp_path: Path, open_page: Open, style: str, back: str, system: str
) -> None:
    picture = Text.assemble(*((f"{name}\n", name) for name in COLOURS))
    file = tmp_path / "page.html"
    page, _ = html_and_text(picture, 40)
    file.write_text(f'<!doctype html><meta charset=utf-8><body style="{style}">{page}', "utf-8")
    opened = open_page(file, color_scheme=system)
    colours = opened.page.locator("span").evaluate_all(
        "spans => spans.map((span) => getComputedStyle(span).color)"
    )
    assert len(set(colours)) == len(COLOURS)
    assert min(contrast(colour, back) for colour in colours) > 4.5


def test_the_theme_of_jupyterlab_has_precedence(tmp_path: Path, open_page: Open) -> None:
    file = tmp_path / "page.html"
    page, _ = html_and_text(PICTURE, 40)
    style = "<style>:root { --jp-brand-color1: rgb(1, 2, 3) }</style>"
    file.write_text(f"<!doctype html><meta charset=utf-8>{style}{page}", "utf-8")
    shown = open_page(file).page.get_by_text("▁▂▃")
    assert shown.evaluate("span => getComputedStyle(span).color") == "rgb(1, 2, 3)"


class Marimo(types.ModuleType):
    """What the sink uses of marimo: an output that only threads of marimo can change."""

    def __init__(self) -> None:
        super().__init__("marimo")
        cell = threading.local()
        cell.runs = True
        self.sent: list[str] = []
        outputs: list[Any] = []

        class Thread(threading.Thread):
            def __init__(self, **options: Any) -> None:
                assert getattr(cell, "runs", False), "made on another thread than the cell's"
                super().__init__(**options)

            def run(self) -> None:
                cell.runs = True
                super().run()

        class Html:
            def __init__(self, text: str) -> None:
                self._text = text

            @property
            def text(self) -> str:
                return self._text

        def flush() -> None:
            if getattr(cell, "runs", False):
                self.sent.append("".join(output.text for output in outputs))

        def append(html: Any) -> None:
            outputs.append(html)
            flush()

        def replace(html: Any) -> None:
            outputs[:] = [html]
            flush()

        self.Thread, self.Html = Thread, Html
        self.running_in_notebook = lambda: getattr(cell, "runs", False)
        self.output = types.SimpleNamespace(append=append, replace=replace)
        self.private = types.SimpleNamespace(flush=flush)


@pytest.mark.parametrize("private", [True, False])
def test_a_cell_of_marimo_has_a_live_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], private: bool
) -> None:
    marimo = Marimo()
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    name = "marimo._runtime.output._output"
    monkeypatch.setitem(sys.modules, name, marimo.private if private else types.ModuleType(name))
    marimo.output.append(marimo.Html("own output "))
    sink = {"kind": "console", "live": True, "refresh_per_second": 60}
    logger = jaxlog.Logger({"sinks": [sink]}, total_updates=40)
    with logger.open(name="first") as run:
        step, end = 0, time.monotonic() + 60
        while sum("eval · step" in page for page in marimo.sent) < 3:  # drawn again and again
            assert time.monotonic() < end
            run.log({"loss": 1.0}, step=step)
            step += 1
    last = marimo.sent[-1]
    assert f"eval · step {step - 1}" in last
    assert " · first" in last
    assert last.startswith("own output <pre" if private else "<pre")
    assert capsys.readouterr() == ("", "")


def test_marimo_is_not_imported() -> None:
    code = (
        "import sys, jaxlog\n"
        "with jaxlog.Logger({'sinks': [{'kind': 'console', 'live': True}]}).open() as run:\n"
        "    run.log({'loss': 1.0}, step=0)\n"
        "assert 'marimo' not in sys.modules and 'IPython' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("eval · step 0")
