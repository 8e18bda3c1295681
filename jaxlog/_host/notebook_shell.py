"""The shell of a notebook, and the cells that were run in it."""

from __future__ import annotations

import sys
from typing import Any


def notebook_shell() -> Any:
    """The shell of IPython in which this process runs the cells of a notebook; else None."""
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    shell = None if get is None else get()
    return shell if hasattr(shell, "kernel") else None


def runs_in_marimo() -> bool:
    """True if this thread runs a cell of a notebook of marimo."""
    runs = getattr(sys.modules.get("marimo"), "running_in_notebook", None)
    return runs is not None and bool(runs())


def cells_run() -> str | None:
    """The cells that were run so far, with their numbers; None outside of a notebook.

    A cell that runs is the last one. They are as they were typed, with their magics.
    """
    history = getattr(notebook_shell(), "history_manager", None)
    cells: list[Any] = list(getattr(history, "input_hist_raw", ()))
    if not any(isinstance(cell, str) and cell.strip() for cell in cells):
        return None
    return "\n".join(
        f"# In [{number}]\n{cell.rstrip()}\n"
        for number, cell in enumerate(cells)
        if isinstance(cell, str) and cell.strip()
    )
