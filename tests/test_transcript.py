"""The transcript of a page is what its commands and its Python print."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.transcript import COLUMNS, PAGE, Transcript, comparable


@pytest.mark.parametrize("page", [PAGE], ids=lambda path: path.stem)
def test_a_page_shows_what_its_commands_print(
    page: Path, month: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", COLUMNS)
    shutil.copytree(month, tmp_path / "runs")
    text = page.read_text()
    found = Transcript(tmp_path).rewritten(text)
    assert comparable(found) == comparable(text), "run python -m tests.transcript"
    assert "Traceback" not in found
    assert (tmp_path / "returns.pdf").stat().st_size
    assert (tmp_path / "month.html").stat().st_size
