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


def python_blocks(document: Path) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL))


@pytest.mark.parametrize(
    "document", [d for d in DOCUMENTS if python_blocks(d)], ids=lambda path: path.stem
)
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
    shown = lines_shown(ROOT / "README.md")
    assert [("metrics" in line, "episode" in line) for line in shown] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(commands)
    for command in commands:
        assert f"\n{command}:" in makefile
    assert "make test" in (ROOT / ".ci" / "run").read_text()
