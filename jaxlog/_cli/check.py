"""`jaxlog check`: whether settings files hold."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import out
from jaxlog._settings import ConfigError, load_config

_Files = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="FILE...", help_behavior_hint=""),
]


def check(files: _Files, *, strict: bool = False) -> int:
    """Check settings files: every problem, with its file, line and column.

    Args:
      files: YAML files, and directories, of which each *.yaml and *.yml is checked.
      strict: Whether a warning counts as a problem.

    Returns:
      1 where there is a problem, else 0.

    Raises:
      CommandError: there is nothing to check.
    """
    if not files:
        raise CommandError("check: give the settings files to check, or a directory of them")
    found = [_problems(file) for path in files for file in _of(path)]
    return int(any(errors or (strict and warned) for errors, warned in found))


def _of(path: Path) -> list[Path]:
    try:
        is_directory = path.is_dir()
    except OSError:  # of a place that nobody may look into
        is_directory = False
    if not is_directory:
        return [path]  # if it is not there, that is its problem
    named = (file for file in path.iterdir() if file.suffix in (".yaml", ".yml"))
    found = sorted(file for file in named if not _waits(file))
    if not found:
        raise CommandError(f"{path}: there is no *.yaml or *.yml in this directory")
    return found


def _waits(file: Path) -> bool:
    """Whether it is a pipe or a device, which may never end, and holds no settings."""
    return file.exists() and not (file.is_file() or file.is_dir())


def _problems(file: Path) -> tuple[bool, bool]:
    """Says what is wrong with a file; whether something is, and whether it was warned of."""
    errors: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            load_config(file)
        except ConfigError as error:
            errors = str(error).splitlines()
    for line in errors:
        out(line)
    for warning in caught:
        out(f"warning: {' '.join(str(warning.message).split())}")
    if not errors and not caught:
        out(f"{file}: ok")
    return bool(errors), bool(caught)
