"""Pictures of episodes for a page: those that the svg sink drew, else drawn of their lines."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from jaxlog.events import EpisodeEvent
from jaxlog.render import picture
from jaxlog.report.curves import spread_evenly
from jaxlog.report.html import Html, joined, tag

MOST = 24
"""So many pictures of a run are shown."""
MOST_BYTES = 1_500_000
"""So large they may be together."""

_EPISODES = "episodes.jsonl"
_STEP = re.compile(r"step_(-?\d+)")
_DRAWABLE = ("initial_state", "state", "final_state")


class Picture(NamedTuple):
    """A picture of an episode.

    Attributes:
      title: what it is of.
      svg: the picture.
    """

    title: str
    svg: bytes


def pictures(directory: Path) -> tuple[list[Picture], int]:
    """Pictures of a run's episodes, from its first to its last, and how many there are in all."""
    files = sorted(
        (path for path in directory.glob("svg/**/*.svg") if path.is_file() and _is_of_one(path)),
        key=lambda path: (_step_of(path), path.as_posix()),
    )
    if files:
        found = _within_bytes(_of_file(directory, file) for file in _across(files))
        return found, len(files)
    return _drawn(directory)


def gallery(found: Sequence[Picture], there_are: int) -> Html:
    """Pictures side by side, each as an image, so that nothing in it runs or is loaded."""
    shown = [
        tag(
            "figure",
            tag("img", src=_address(one.svg), alt=one.title, decoding="async"),
            tag("figcaption", tag("bdi", one.title)),
            class_="episode",
        )
        for one in found
    ]
    left = there_are - len(found)
    note = f"{len(found)} of {there_are:,} episodes; {left:,} are left out here." if left else ""
    return joined(
        tag("div", *shown, class_="episodes"), tag("p", note, class_="note") if note else ""
    )


def _address(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _is_of_one(path: Path) -> bool:
    """Whether it is of one episode: not a sheet of many, a step of one, or half written."""
    return path.name != "sheet.svg" and not path.name.startswith(".") and "steps" not in path.parts


def _step_of(path: Path) -> int:
    found = _STEP.findall(path.as_posix())
    return int(found[-1]) if found else 0


def _across(files: Sequence[Path]) -> Iterator[Path]:
    """Some of the files: of steps from the first to the last, of each as many as of the others."""
    by_step: dict[int, list[Path]] = {}
    for file in files:
        by_step.setdefault(_step_of(file), []).append(file)
    steps = [list(by_step.values())[i] for i in spread_evenly(len(by_step), MOST // 2)]
    share = max(1, MOST // len(steps))
    for of_step in steps:
        yield from (of_step[i] for i in spread_evenly(len(of_step), share))


def _of_file(directory: Path, file: Path) -> Picture:
    parts = file.relative_to(directory / "svg").with_suffix("").parts
    words = " · ".join(re.sub(r"(?<=[_-])0+(?=\d)", "", part) for part in parts)
    words = words.replace("_env_", " · env ").replace("_", " ")
    return Picture(words, file.read_bytes())


def _within_bytes(found: Iterator[Picture]) -> list[Picture]:
    kept: list[Picture] = []
    size = 0
    for one in found:
        size += len(one.svg)
        if size <= MOST_BYTES:
            kept.append(one)
    return kept


def _drawn(directory: Path) -> tuple[list[Picture], int]:
    """Pictures of lines that have states."""
    path = directory / _EPISODES
    if not path.is_file():
        return [], 0
    mark = tuple(f'"{name}'.encode() for name in _DRAWABLE)
    with path.open("rb") as file:
        lines = [line for line in file if line.endswith(b"\n") and any(m in line for m in mark)]
    found = (_of_line(lines[i]) for i in spread_evenly(len(lines), MOST))
    return _within_bytes(one for one in found if one is not None), len(lines)


def _of_line(line: bytes) -> Picture | None:
    try:
        said = orjson.loads(line)
        details = {name: np.asarray(value) for name, value in said.get("details", {}).items()}
        event = EpisodeEvent(
            str(said["name"]),
            int(said["step"]),
            said.get("env_step"),
            float(said["timestamp"]),
            int(said["lane"]),
            dict(said["labels"]),
            dict(said["episode"]),
            details,
        )
    except (KeyError, TypeError, ValueError, AttributeError):  # a line that is no episode's
        return None
    words = [event.name, f"step {event.step}", f"lane {event.lane}"]
    environment: Any = event.episode.get("environment_id")
    words += [f"env {environment}"] if environment is not None else []
    return Picture(" · ".join(words), picture(event).encode())
