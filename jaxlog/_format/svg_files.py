"""The names of the pictures that the sink `svg` writes into the directory of a run."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

FOLDER = "svg"
STEPS = "steps"
SHEET = "sheet.svg"
LANE = r"lane_(\d{4,})[\w.-]*\.svg"
"""The pattern of the name of a sampled episode's picture, which has its lane."""
_STEP = r"step_(-?\d{9,})"
LAYOUT = (
    re.compile(rf"[\w.-]+/{_STEP}/(?:{LANE}|sheet\.svg)"),
    re.compile(rf"[\w.-]+/{_STEP}(?:_\d+)?\.svg"),
    re.compile(rf"{STEPS}/episode_\d{{6,}}/{_STEP}(?:_\d+)?\.svg"),
)
"""The patterns of the paths below the folder, which have the step."""


def safe_name(name: str) -> str:
    """Converts any text to the name of a file or folder; different texts get different names.

    >>> safe_name("eval"), safe_name("../eval")
    ('eval', 'eval-18bf256a')
    """
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip("._-")[:40]
    if safe == name and safe:
        return safe
    return f"{safe or 'unnamed'}-{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"


def episode_paths(name: str, step: int, lane: int, episode: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths, in the run's directory, that the picture of an episode may have.

    The first is that of a sampled episode, the second that of a single environment. If a loop
    logged the same step again, the pictures of its later episodes have other names.

    Args:
      name: the name of the call, as in `EpisodeEvent`.
      step: the step.
      lane: the number of the lane.
      episode: the summary of the episode.

    >>> episode_paths("batch", 100, 3, {"environment_id": 19})[0]
    'svg/batch/step_0000000100/lane_0003_env_000019.svg'
    """
    folder = f"{FOLDER}/{safe_name(name)}/{step_name(step)}"
    return f"{folder}/{episode_name(lane, episode)}.svg", f"{folder}.svg"


def step_name(step: int) -> str:
    """The name of a step's folder or picture."""
    return f"step_{step:010d}"  # an int32 has up to 10 digits, so names sort like steps


def episode_name(lane: int, episode: Mapping[str, Any]) -> str:
    """The name of a sampled episode's picture, in the folder of its step."""
    name = f"lane_{lane:04d}"
    environment = episode.get("batch_index", episode.get("environment_id"))
    if environment is None:
        return name
    index = environment if isinstance(environment, list | tuple) else [environment]
    try:
        return f"{name}_env_{'-'.join(f'{int(number):06d}' for number in index)}"
    except (TypeError, ValueError, OverflowError):
        return f"{name}_env_{safe_name(str(environment))}"
