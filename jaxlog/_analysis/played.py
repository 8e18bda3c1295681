"""The frames, rewards and numbers of a recorded episode, for a player."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from jaxlog._analysis.html_pages import brief
from jaxlog._reading.recorded import RecordedEpisode
from jaxlog._render.film import framed, frames, left_out, lined
from jaxlog._render.png import png
from jaxlog._terminal import plain
from jaxlog._text import counted
from jaxlog.sinks.console.values import number

MOST_STEPS = 400
"""The most steps that are shown of an episode."""
MOST_BYTES = 2**23
"""The most bytes of its frames."""
MOST_LINES = 32
"""The most lines of an episode."""


def played(
    episode: RecordedEpisode, array: str = "", *, most_steps: int, most_bytes: int
) -> dict[str, Any]:
    """The frames of an episode as addresses of PNG files, its rewards, and its numbers as lines.

    Args:
      episode: the episode.
      array: the name of the array that is shown as frames; empty for the one that is an image.
      most_steps: of more steps, as many are shown, spread evenly.
      most_bytes: the most bytes of the frames; if they have more, there are none, and it says so.

    Raises:
      LookupError: there is no such array.
      OSError: the file cannot be read.
      ValueError: the file is damaged.
    """
    arrays, steps, rewards = episode.arrays, episode.steps, episode.rewards
    names = framed(arrays)
    if array and array not in names:
        raise LookupError(
            f"array: got {array!r:.60}, which is no array of this episode with frames"
        )
    chosen = array or (names[0] if names else "")
    kept = np.unique(
        np.linspace(0, len(steps) - 1, min(len(steps), most_steps)).round().astype(int)
    )
    notes = _notes(episode, len(kept))
    pictures: list[str] = []
    if chosen:
        pictures = _pictures(frames(arrays[chosen][kept]), most_bytes)
        notes += left_out(arrays[chosen]) if pictures else ["the frames are too large to be shown"]
    lines = [
        {"name": plain(name), "values": values[kept].tolist()} for name, values in _lines(arrays)
    ]
    return {
        "title": film_title(episode),
        "steps": steps[kept].tolist(),
        "rewards": rewards[kept].tolist(),
        "returns": np.cumsum(rewards, dtype=np.float64)[kept].tolist() if episode.is_whole else [],
        "total_steps": episode.episode.get("total_steps"),
        "arrays": [plain(name) for name in names],
        "array": plain(chosen),
        "frames": pictures,
        "lines": lines[:MOST_LINES],
        "lines_left_out": max(0, len(lines) - MOST_LINES),
        "notes": notes,
    }


def film_title(episode: RecordedEpisode) -> str:
    """Names an episode by its call, step, lane and environment, with its return and its end."""
    own = episode.episode
    words = [episode.call, f"step {episode.step:,}", f"lane {episode.lane}"]
    words.append(f"environment {own.get('environment_id')}")
    words += [f"return {number(own['total_reward'])}"] if "total_reward" in own else []
    words += [counted(own["total_steps"], "step")] if "total_steps" in own else []
    words += [str(own["end"])] if "end" in own else []
    return brief(plain(" · ".join(words)))


def _notes(episode: RecordedEpisode, shown: int) -> list[str]:
    total, recorded = episode.episode.get("total_steps"), len(episode.steps)
    notes = []
    if not episode.is_whole:
        notes.append(
            f"{recorded:,} of {total:,} steps were recorded" if isinstance(total, int) else ""
        )
    if shown < recorded:
        notes.append(f"{shown:,} of {recorded:,} recorded steps are shown, spread evenly")
    return [note for note in notes if note]


def _pictures(found: np.ndarray, most: int) -> list[str]:
    """The frames as addresses of PNG files; none if they are too large."""
    pictures, size = [], 0
    for pixels in found:
        data = base64.b64encode(png(pixels)).decode()
        size += len(data)
        if size > most:
            return []
        pictures.append(f"data:image/png;base64,{data}")
    return pictures


def _lines(arrays: Any) -> list[tuple[str, np.ndarray]]:
    """The numbers of each step, by their names: `velocity[1]`."""
    found: list[tuple[str, np.ndarray]] = []
    for name in lined(arrays):
        array = np.asarray(arrays[name], np.float64)
        if array.ndim == 1:
            found.append((name, array))
        else:
            found += [(f"{name}[{index}]", array[:, index]) for index in range(array.shape[1])]
    return found
