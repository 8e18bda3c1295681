"""Takes an earlier tree of jaxlog from the history, to compare with."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from benchmarks.page import ROOT


def extract(commit: str, directory: Path) -> Path:
    """Writes the tree of a commit into a directory, which is made.

    Raises:
      SystemExit: the commit is not in this clone.
    """
    found = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False
    )
    if found.returncode:
        raise SystemExit(f"the commit {commit} is not here: git fetch --unshallow brings it")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return directory
