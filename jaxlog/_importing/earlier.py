"""Finds the runs in a directory that were imported before."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from jaxlog import _run_files
from jaxlog._format.imported import IMPORTED
from jaxlog._format.run_file import facts_in
from jaxlog._host.directory import RUN_FILE


class EarlierRuns:
    """The runs in a directory that were imported, by their keys.

    Args:
      to: the directory. Its runs are read once, since there may be thousands.
    """

    def __init__(self, to: Path) -> None:
        self._to = to
        self._paths: dict[str, Path] | None = None

    def find(self, key: str) -> Path | None:
        """The run with a key; None for none."""
        if self._paths is None:
            self._paths = {}
            for path, own in self._imported():
                self._paths.setdefault(own, path)
        path = self._paths.get(key)
        return path if path is not None and key_of(path) == key else None  # it may be gone

    def add(self, key: str, path: Path) -> None:
        """Notes a run that was just written."""
        if self._paths is not None:
            self._paths[key] = path

    def _imported(self) -> Iterator[tuple[Path, str]]:
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self._to.iterdir()):
                if (key := key_of(path)) is not None:
                    yield path, key


def key_of(run: Path) -> str | None:
    """The key of an imported run; None for a directory that is none."""
    with contextlib.suppress(OSError):
        data = _run_files.read_small(run / RUN_FILE)
        if f'"{IMPORTED}"'.encode() in data:  # most have none, and to parse all takes long
            imported = facts_in(data).get(IMPORTED)
            key = imported.get("key") if isinstance(imported, dict) else None
            return key if isinstance(key, str) else None
    return None
