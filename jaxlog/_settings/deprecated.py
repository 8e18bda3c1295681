"""Keys of an older, asynchronous design: a file that still has them loads."""

from __future__ import annotations

from jaxlog._settings.source import Source

KEYS = ("queue_size", "worker_threads", "batch_size", "flush_interval", "enable_compression")


def without_deprecated(given: Source) -> tuple[Source, str]:
    """Settings without these keys, and a sentence that names those it had; empty for none."""
    found = sorted(set(KEYS) & set(given.data), key=lambda key: given.place((key,)).order)
    if not found:
        return given, ""
    named = ", ".join(f"{given.place((key,))}: {key}" for key in found)
    it = "it" if len(found) == 1 else "them"
    return given.without(*found), (
        f"{named}: of an older, asynchronous logger; nothing reads {it} any more, leave {it} out"
    )
