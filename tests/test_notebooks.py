"""The notebooks run, and those that are kept with their outputs are of the scripts beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

from tests.conftest import module_of

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SCRIPTS = sorted(NOTEBOOKS.glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def execute() -> Any:
    return module_of(NOTEBOOKS / "execute.py")


def outputs(notebook: Any) -> list[list[set[str]]]:
    """Of each cell, what its outputs are: as text, as HTML, as a picture."""
    return [
        [set(output.get("data", {output.output_type: ""})) for output in cell.get("outputs", [])]
        for cell in notebook.cells
    ]


def test_there_are_some() -> None:
    assert [script.stem for script in SCRIPTS] == [
        "01_quickstart",
        "02_sampled_episodes",
        "03_sweep",
        "04_paper",
    ]


# nbclient leaves its sockets to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_the_one_that_is_kept_does(
    execute: Any, script: Path
) -> None:
    kept = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    found = execute.executed(script)
    assert outputs(found) == outputs(kept)
    streams = [o for cell in found.cells for o in cell.get("outputs", []) if "text" in o]
    assert not [o.text for o in streams if o.get("name") == "stderr"]  # no warnings


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_that_is_kept_is_its_script_with_outputs(script: Path) -> None:
    path = script.with_suffix(".ipynb")
    kept, expected = nbformat.read(path, as_version=4), jupytext.read(script)
    nbformat.validate(kept)
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [
        (cell.cell_type, cell.source) for cell in expected.cells
    ], "run make notebooks"
    assert any(kinds for kinds in outputs(kept))
    assert path.stat().st_size < 800_000  # one shows a whole report
