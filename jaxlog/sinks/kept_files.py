"""Files beside the lines of a run, of which a bounded number is kept."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from jaxlog import _run_files
from jaxlog._say import Once
from jaxlog._say import log as _log

Fact = TypeVar("Fact")
"""The type of what is noted of a file, by which it is chosen to be kept."""

_DRAFT = re.compile(rf"\.(.*)\.[0-9a-f]{{16}}{re.escape(_run_files.DRAFT)}")


class KeptFiles(Generic[Fact]):
    """The files of one folder of a run's directory, in a folder for each call.

    If there are more than `keep`, one is deleted: the newer half stays. The choice follows from the
    lines alone, so that a resumed run keeps what a run keeps that nobody stopped. The lines of
    deleted files stay.

    Args:
      directory: the directory of the run.
      folder: the name of the folder.
      name: what the names of the files match.
      one: what a file is, for messages, such as `the file of a recorded episode`.
      keep: the most files.
      least_missed: returns the place of the file to delete, given the older half of the files: each
        with what was noted of it, the oldest first.
    """

    def __init__(
        self,
        directory: Path,
        folder: str,
        name: re.Pattern[str],
        one: str,
        keep: int,
        least_missed: Callable[[Sequence[Fact]], int],
    ) -> None:
        self._directory = directory
        self._folder = folder
        self._name = name
        self._one = one
        self._keep = keep
        self._least_missed = least_missed
        self._kept: list[tuple[str, Fact]] = []  # the oldest first
        self._is_first_failure = Once()

    def resume(self, lines: Path, files_of: Callable[[Any], Iterable[tuple[str, Fact]]]) -> None:
        """Removes the files that the lines of a resumed run do not know, and drafts.

        Args:
          lines: the file with the lines.
          files_of: returns the files that a parsed line names, each with what is noted of it; an
            error of it leaves the line out.
        """
        for kept in _written(lines, files_of):
            self._kept.append(kept)
            self._excess()
        known = {name for name, _ in self._kept}
        for path in self._own():
            if path.relative_to(self._directory).as_posix() not in known:
                path.unlink()

    def clear(self) -> None:
        """Removes the files of a run that is replaced."""
        for path in self._own():
            path.unlink()

    def add(
        self,
        name_of: Callable[[int], str],
        write: Callable[[BinaryIO], object],
        fact: Fact,
    ) -> str | None:
        """Writes a file, whole or not at all, and deletes those that are too many.

        If a loop logs a step again, its earlier files are kept.

        Args:
          name_of: returns the path below the run's directory, given the number of files that have
            the earlier ones.
          write: writes the content.
          fact: what is noted of the file.

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
        self._kept.append((name, fact))
        for old in self._excess():
            with contextlib.suppress(OSError):
                (self._directory / old).unlink()
        return name

    def _excess(self) -> list[str]:
        """Forgets the files that are too many, and returns their names."""
        found: list[str] = []
        while len(self._kept) > self._keep:
            older = self._kept[: len(self._kept) - max(self._keep // 2, 1)]
            place = self._least_missed([fact for _, fact in older])
            found.append(self._kept.pop(place)[0])
        return found

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


def _written(
    lines: Path, files_of: Callable[[Any], Iterable[tuple[str, Fact]]]
) -> Iterator[tuple[str, Fact]]:
    """The files that lines name, in their order."""
    try:
        text = _run_files.read_lines(lines)
    except OSError:
        return
    for line in text.split(b"\n"):
        if b'"file":"' in line:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                yield from files_of(_run_files.loads(line))
