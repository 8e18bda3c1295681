"""Finds the shell of a notebook."""

from __future__ import annotations

import sys
from typing import Any


def notebook_shell() -> Any:
    """The shell of IPython in which this process runs the cells of a notebook; else None."""
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    shell = None if get is None else get()
    return shell if hasattr(shell, "kernel") else None
