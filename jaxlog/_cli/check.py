"""`jaxlog check`: validates settings files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import out
from jaxlog._settings import ConfigError, load_config
from jaxlog._terminal import plain

_Files = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="FILE...", help_behavior_hint=""),
]


def check(files: _Files, *, strict: bool = False) -> int:
    """Check settings files and print each problem with its file, line and column.

    Args:
      files: YAML files, and directories in which each *.yaml and *.yml is checked.
      strict: Count warnings as problems.

    Returns:
      1 if a file has a problem, else 0.

    Raises:
      CommandError: no file is given, or a directory has none.
    """
    if not files:
        raise CommandError(
            "check: got no files; give settings files, or directories that have some"
        )
    found = [_problems(file) for path in files for file in _files_of(path)]
    return int(any(errors or (strict and warned) for errors, warned in found))


def _files_of(path: Path) -> list[Path]:
    try:
        is_directory = path.is_dir()
    except OSError:  # a directory on the way cannot be read
        is_directory = False
    if not is_directory:
        return [path]  # if it does not exist, `load_config` says so
    named = (file for file in path.iterdir() if file.suffix in (".yaml", ".yml"))
    found = sorted(file for file in named if not _is_special(file))
    if not found:
        raise CommandError(f"{path}: this directory has no *.yaml or *.yml file")
    return found


def _is_special(file: Path) -> bool:
    """True for a pipe or a device, which has no settings and could block a reader for ever."""
    return file.exists() and not (file.is_file() or file.is_dir())


def _problems(file: Path) -> tuple[bool, bool]:
    """Prints the problems of a file; returns if it has errors, and if it has warnings."""
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
        out(f"warning: {plain(str(warning.message))}")
    if not errors and not caught:
        out(f"{file}: ok")
    return bool(errors), bool(caught)
