"""The films of a run: the frames, rewards and lines of an episode that was recorded whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxlog._analysis.played import MOST_BYTES, MOST_STEPS, film_title, played
from jaxlog._page.asked import AbsentError
from jaxlog._reading.recorded import RecordedEpisode

MOST_LISTED = 500
"""The most episodes that are listed."""


def films(recorded: Sequence[RecordedEpisode], one: str) -> tuple[list[dict[str, Any]], int]:
    """Lists the episodes that were recorded, the newest first, and counts those not listed.

    Episodes whose file was deleted are left out.

    Args:
      recorded: the episodes.
      one: the run's id.
    """
    there = [
        number
        for number, episode in enumerate(recorded)
        if (episode.directory / episode.file).is_file()
    ]
    shown = there[::-1][:MOST_LISTED]
    listed = [
        {
            "title": film_title(recorded[number]),
            "failed": recorded[number].episode.get("success") is False,
            "source": f"film?episode={number}&run={one}",
        }
        for number in shown
    ]
    return listed, len(there) - len(shown)


def film(episode: RecordedEpisode, array: str, version: int) -> dict[str, Any]:
    """The answer to `film`.

    Args:
      episode: the episode.
      array: the name of the array that is shown as frames; empty for the one that is an image.
      version: the version of the run.

    Raises:
      AbsentError: the file cannot be read, or there is no such array.
    """
    try:
        shown = played(episode, array, most_steps=MOST_STEPS, most_bytes=MOST_BYTES)
    except (LookupError, OSError, ValueError) as error:
        raise AbsentError(str(error)) from None
    return {"version": version, **shown}
