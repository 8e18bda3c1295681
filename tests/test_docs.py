"""What the documents tell a reader to run, runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKING = [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


def python_blocks(document: Path) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL))


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if python_blocks(d)], ids=named)
def test_the_code_of_a_document_runs_and_writes_the_lines_that_it_shows(
    document: Path, tmp_path: Path
) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    subprocess.run(
        [sys.executable, "-W", "error", "-c", python_blocks(document)],
        cwd=tmp_path,
        check=True,
        timeout=200,
        capture_output=True,
    )
    written = [
        json.loads(line)
        for path in tmp_path.rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    for shown in lines_shown(document):
        same = [
            line
            for line in written
            if line.keys() == shown.keys()
            and (line["step"], line["lane"]) == (shown["step"], shown["lane"])
        ]
        assert same
        assert_like(shown | {"timestamp": 0}, same[0] | {"timestamp": 0})


def lines_shown(document: Path) -> list[dict[str, Any]]:
    blocks = re.findall(r"```json\n(.*?)```", document.read_text(), re.DOTALL)
    return [json.loads(block) for block in blocks if '"timestamp"' in block]


def assert_like(shown: Any, got: Any) -> None:
    """Equal, but for the last digits of numbers, which differ between processors."""
    if isinstance(shown, dict):
        assert shown.keys() == got.keys()
        for key in shown:
            assert_like(shown[key], got[key])
    else:
        assert got == (pytest.approx(shown, rel=1e-4) if isinstance(shown, float) else shown)


def test_the_readme_shows_a_line_of_each_file() -> None:
    metrics, episode = lines_shown(ROOT / "README.md")
    assert "metrics" in metrics
    assert "episode" in episode


@pytest.mark.parametrize("document", LINKING, ids=named)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\(([^)#]+)|(?:src|srcset)=\"([^\"]+)", text):
        target = target[0] or target[1]
        assert "://" in target or (document.parent / target).exists(), target


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(commands)
    for command in commands:
        assert f"\n{command}:" in makefile
    assert "make test" in (ROOT / ".ci" / "run").read_text()


# ruff: noqa: RUF001  the signs are those of the pages
WRITTEN = {
    "x": ("{:.2f} ×", "{:.1f} ×"),
    "µs": ("{:.2f} µs",),
    "us": ("{:.2f} µs",),
    "%": ("+ {:.0f} %",),
}


@pytest.mark.parametrize("name", ["crossing", "statistics", "compiling", "sinks", "reading"])
def test_the_figures_are_those_of_the_benchmarks(name: str) -> None:
    text = "".join((ROOT / "docs" / page).read_text() for page in ("performance.md", "explore.md"))
    found = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    assert found["budgets"]
    for row in found["budgets"]:
        ways = WRITTEN.get(row["unit"])
        assert not ways or any(way.format(row["value"]) in text for way in ways), row


def test_the_grid_of_the_crossing_is_that_of_the_benchmark() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    found = json.loads((ROOT / "benchmarks" / "results" / "crossing.json").read_text())
    for row in found["grid"]:
        shown = ["" if value is None else f"{value + 0.0:.0f}" for value in row.values()]
        line = " | ".join(shown).replace("-", "−").replace("−0 ", "0 ")
        assert f"| {line} |" in text, row
    (row,) = (row for row in found["grid"] if (row["lanes"], row["metrics"]) == (16, 30))
    shown = [f"{row[name]:,.0f}" for name in ("debug.callback", "returned from scan", "jaxlog")]
    assert f"30 metrics of 16 seeds | | {' | '.join(shown)} |" in (ROOT / "README.md").read_text()
