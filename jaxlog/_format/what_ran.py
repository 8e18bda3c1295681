"""The names of files of a run that have no lines of calls: about its program, output, alerts."""

from __future__ import annotations

FOLDER = "program"
"""The folder below a run's directory that has these files."""
PARTS = ("command", "code", "packages", "environment")
"""The entries of run.json about the program, which the setting `what_ran` lists."""
OUTPUT = "output.txt"
"""The file with the standard output and errors of the program."""

ALERTS = "alerts.jsonl"
"""The file with a line for each alert."""


def packages_file(session: int) -> str:
    """The file with the installed packages, relative to the run's directory.

    >>> packages_file(0), packages_file(2)
    ('program/packages.txt', 'program/packages.2.txt')
    """
    return f"{FOLDER}/packages{_number(session)}.txt"


def diff_file(session: int) -> str:
    """The file with the difference to the commit, relative to the run's directory.

    >>> diff_file(0)
    'program/code.diff'
    """
    return f"{FOLDER}/code{_number(session)}.diff"


def cells_file(session: int) -> str:
    """The file with the cells of a notebook, relative to the run's directory.

    >>> cells_file(1)
    'program/cells.1.py'
    """
    return f"{FOLDER}/cells{_number(session)}.py"


def _number(session: int) -> str:
    return f".{session}" if session else ""
