"""Execute the notebooks: write an .ipynb with outputs beside each script."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

SCRIPTS = sorted(Path(__file__).parent.glob("[0-9]*.py"))


def executed(script: Path) -> nbformat.NotebookNode:
    """Return the notebook of a script, with the outputs of its cells.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell has failed.
    """
    notebook = jupytext.read(script)
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"  # random otherwise, so that every file would differ
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
    """Execute all notebooks, or those named on the command line."""
    for script in map(Path, sys.argv[1:]) if sys.argv[1:] else SCRIPTS:
        nbformat.write(executed(script), script.with_suffix(".ipynb"))
        print(script.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
