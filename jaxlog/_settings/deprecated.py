"""Keys of an older, asynchronous logger: a file with them still loads."""

from __future__ import annotations

from jaxlog._settings.source import Source

KEYS = ("queue_size", "worker_threads", "batch_size", "flush_interval", "enable_compression")


def without_deprecated(given: Source) -> tuple[Source, str]:
    """The settings without these keys, and a warning that names those found; empty for none."""
    found = sorted(set(KEYS) & set(given.data), key=lambda key: given.place((key,)).order)
    if not found:
        return given, ""
    named = ", ".join(f"{given.place((key,))}: {key}" for key in found)
    one = len(found) == 1
    return given.without(*found), (
        f"{named}: {'has' if one else 'have'} no effect any more, only an older, asynchronous "
        f"logger read {'it' if one else 'them'}; delete {'it' if one else 'them'}"
    )
