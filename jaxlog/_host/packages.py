"""The packages that are installed where the program runs."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxlog._host.redaction import redacted
from jaxlog._limits import as_utf8

_METADATA = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(-py[0-9.]+)?\.(dist-info|egg-info)")
_MOST_BYTES = 2**16
"""The most bytes of a package's direct_url.json that are read."""
_known: dict[tuple[tuple[str, int], ...], list[str]] = {}
_lock = threading.Lock()


def installed(places: Sequence[str]) -> list[str]:
    """A line for each package, like those of `pip freeze`, sorted by name.

    The names and versions are those of the folders of metadata, so that no metadata is parsed. A
    package that was installed from a directory, an address or a repository has it as a comment.

    Args:
      places: the entries of `sys.path`; of two packages with one name, the first one counts.
    """
    folders = [(place or ".", _time(place or ".")) for place in places]
    key = tuple((place, time) for place, time in folders if time)
    with _lock:
        if key not in _known:
            _known.clear()
            _known[key] = _lines([place for place, _ in key])
        return _known[key]


def _time(place: str) -> int:
    try:
        found = os.stat(place)  # noqa: PTH116  a zip file, or gone
    except (OSError, ValueError):
        return 0
    return found.st_mtime_ns


def _lines(places: Sequence[str]) -> list[str]:
    found: dict[str, str] = {}
    for place in places:
        try:
            names = os.listdir(place)  # noqa: PTH208  faster
        except (OSError, ValueError):
            continue
        for name in names:
            match = _METADATA.fullmatch(name)
            if match is None:
                continue
            own = re.sub(r"[-_.]+", "-", match["name"]).lower()
            if own not in found:
                origin = _origin(Path(place, name, "direct_url.json"))
                found[own] = as_utf8(f"{own}=={match['version']}{origin}")
    return [found[name] for name in sorted(found)]


def _origin(file: Path) -> str:
    """Where a package came from, as a comment, by PEP 610; empty if it is from an index."""
    try:
        with file.open("rb") as opened:
            described: Any = json.loads(opened.read(_MOST_BYTES))
        url = str(described["url"])
        version = described.get("vcs_info") or {}
        commit = version.get("commit_id")
        editable = (described.get("dir_info") or {}).get("editable") is True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    words = [f"{version.get('vcs', 'git')}+{url}@{commit}" if commit else url]
    words += ["editable"] if editable else []
    return "  # " + redacted(", ".join(words)).replace("\n", " ")
