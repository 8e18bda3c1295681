"""What the documents tell a reader to run, runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import jaxlog
from benchmarks import page

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKING = [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)


def python_blocks(document: Path) -> str:
    return "\n".join(blocks(document, "python"))


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if python_blocks(d)], ids=named)
def test_the_code_of_a_document_runs_and_its_commands_and_writes_what_it_shows(
    document: Path, tmp_path: Path
) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")

    def run(*arguments: str) -> None:
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=200, capture_output=True)

    run("-W", "error", "-c", python_blocks(document))
    for line in "".join(blocks(document, "sh")).splitlines():
        if line.startswith("jaxlog "):
            run("-m", *shlex.split(line, comments=True))
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
    return [json.loads(b) for b in blocks(document, "json") if '"timestamp"' in b]


def assert_like(shown: Any, got: Any) -> None:
    """Equal, but for the last digits of numbers, which differ between processors."""
    if isinstance(shown, dict):
        assert shown.keys() == got.keys()
        for key in shown:
            assert_like(shown[key], got[key])
    else:
        assert got == (pytest.approx(shown, rel=1e-4) if isinstance(shown, float) else shown)


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d, "yaml")], ids=named)
def test_settings_that_a_document_shows_are_settings(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / "configs")  # where what they extend lies
    for block in blocks(document, "yaml"):
        settings = yaml.safe_load(block) or {}
        if settings.get("sinks") == [{"kind": "text", "digits": 3}]:
            continue  # it is of the sink that the page writes, and of no package here
        jaxlog.load_config(settings, batched_logging_enabled=True)


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


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_what_is_to_be_made_is_in_the_makefile(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    lines = "".join(blocks(ROOT / name, "sh")).splitlines()
    given = [line.partition("#")[0].split()[1:] for line in lines if line.startswith("make ")]
    commands = [word for words in given for word in words if "=" not in word]
    assert "test" in commands
    for command in commands:
        assert re.search(rf"^([a-z]+ )*{command}( [a-z]+)*:", makefile, re.MULTILINE), command
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("name", [path.name for path in page.PAGES])
def test_the_figures_are_those_of_the_benchmarks(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert "<!-- figures: " in text
    assert page.filled(text) == text, "run python -m benchmarks.page"


def test_the_figures_of_the_readme_are_those_of_the_benchmark() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "crossing.json").read_text())
    of_lanes = {row["lanes"]: row for row in found["grid"] if row["metrics"] == 30}
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    ours = [f"{of_lanes[lanes]['jaxlog']:.1f} µs" for lanes in (1, 16)]
    assert f"30 metrics adds {ours[0]} to a step of a compiled scan, and {ours[1]} for 16" in readme
    plain = [f"{of_lanes[lanes]['debug.callback']:,.0f} µs" for lanes in (1, 16)]
    assert f"`jax.debug.callback` with the same values adds {plain[0]}, and {plain[1]}." in readme
