"""Files beside the lines of a run, of which a bounded number is kept."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from jaxlog import _run_files
from jaxlog._say import Once
from jaxlog._say import log as _log

_DRAFT = re.compile(rf"\.(.*)\.[0-9a-f]{{16}}{re.escape(_run_files.DRAFT)}")


class KeptFiles:
    """The files of one folder of a run's directory, in a folder for each call.

    Args:
      directory: the directory of the run.
      folder: the name of the folder.
      name: what the names of the files match.
      one: what a file is, for messages, such as `the file of a recorded episode`.
    """

    def __init__(self, directory: Path, folder: str, name: re.Pattern[str], one: str) -> None:
        self._directory = directory
        self._folder = folder
        self._name = name
        self._one = one
        self._is_first_failure = Once()

    def keep_only(self, known: set[str]) -> None:
        """Removes the files that the lines of a resumed run do not know, and drafts."""
        for path in self._own():
            if path.relative_to(self._directory).as_posix() not in known:
                path.unlink()

    def clear(self) -> None:
        """Removes the files of a run that is replaced."""
        for path in self._own():
            path.unlink()

    def add(self, name_of: Callable[[int], str], write: Callable[[BinaryIO], object]) -> str | None:
        """Writes a file, whole or not at all.

        If a loop logs a step again, its earlier files are kept.

        Args:
          name_of: returns the path below the run's directory, given the number of files that have
            the earlier ones.
          write: writes the content.

        Returns:
          The path; None if it could not be written, which costs nothing but the file.
        """
        repetition = 0
        while (self._directory / (name := name_of(repetition))).exists():
            repetition += 1
        try:
            path = self._directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with _run_files.replacing(path) as file:
                write(file)
        except OSError as error:
            if self._is_first_failure():
                _log.warning(
                    "jaxlog: %s: %s could not be written: %s. Its line is written without it, and "
                    "the run goes on. Said once.",
                    self._directory / name,
                    self._one,
                    error,
                )
            return None
        return name

    def remove(self, name: str) -> None:
        """Removes a file that is one too many."""
        with contextlib.suppress(OSError):
            (self._directory / name).unlink()

    def _own(self) -> Iterator[Path]:
        """The files in the directory, and what is left of some that were not written.

        A link is not followed, and files with other names are the user's.
        """
        folder = self._directory / self._folder
        if folder.is_symlink() or not folder.is_dir():
            return
        for of_call in sorted(folder.iterdir()):
            if of_call.is_symlink() or not of_call.is_dir():
                continue
            for path in sorted(of_call.iterdir()):
                draft = _DRAFT.fullmatch(path.name)
                is_own = self._name.fullmatch(draft[1] if draft else path.name)
                if is_own and _run_files.is_regular(path):
                    yield path
