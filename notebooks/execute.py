"""Executes the notebooks: of each script, beside it, an .ipynb with its outputs."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

SCRIPTS = sorted(Path(__file__).parent.glob("[0-9]*.py"))


def executed(script: Path) -> nbformat.NotebookNode:
    """The notebook of a script, with what its cells have shown.

    Raises:
      nbclient.exceptions.CellExecutionError: one of them has failed.
    """
    notebook = jupytext.read(script)
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"  # made up anew otherwise, so that every file would differ
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
    )
    with tempfile.TemporaryDirectory() as directory:
        client = NotebookClient(
            notebook,
            timeout=120,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": directory}},
        )
        return client.execute()


def main() -> None:
    """Executes all, or those that are named."""
    for script in map(Path, sys.argv[1:]) if sys.argv[1:] else SCRIPTS:
        nbformat.write(executed(script), script.with_suffix(".ipynb"))
        print(script.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
