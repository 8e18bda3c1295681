"""Draws the picture of one event: its states side by side, a heading, and its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jaxlog._format.events import EpisodeEvent, StepEvent
from jaxlog._render.card import draw_problem, in_rows, worded
from jaxlog._render.choose import draw
from jaxlog._render.markup import (
    BAD,
    EDGE,
    GOOD,
    INK,
    MUTED,
    Drawing,
    document,
    element,
    joined,
    number,
    placed,
    rect,
    text,
    text_width,
    xml_text,
)
from jaxlog._render.states import is_of_a_state, states
from jaxlog._render.style import Style

_MARGIN = 18
_ARROW = 44
_NARROWEST = 300
_NOTE = 200
"""The width that a note has at least, in pixels."""
_MOST_NUMBERS = 8
_TITLES = {
    "total_reward": "return",
    "total_steps": "length",
    "final_similarity": "similarity",
    "environment_id": "env",
    "batch_index": "batch index",
}
_IN_THE_HEAD = ("environment_id", "batch_index", "success")

Warn = Callable[[str], None]


def _ignore(_: str) -> None:
    pass


def picture(
    event: EpisodeEvent | StepEvent, style: Style | None = None, warn: Warn = _ignore
) -> str:
    """Draws an event as an SVG document: its states, or a card of its numbers if it has no states.

    For a state that cannot be drawn, a panel says why. Equal events give equal text.

    Args:
      event: an episode, or a step of a single environment.
      style: colours, size and renderer; the defaults if None.
      warn: called with the reason for each state that cannot be drawn.
    """
    style = style or Style()
    drawings = {}
    for index, (title, state) in enumerate(states(event).items()):
        try:
            drawings[title] = draw(state, style, f"s{index}")
        except Exception as error:
            # A user's own renderer may raise anything, and the episode must not be lost.
            reason = (
                str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            )
            warn(f"the {title} state cannot be drawn: {reason}")
            drawings[title] = draw_problem(reason, style)
    facts = _facts(event)
    if drawings:
        middle = _side_by_side(drawings)
    else:
        rows = [(title_of(key), worded(value)) for key, value in facts["numbers"].items()]
        rows += [(key, worded(value)) for key, value in event.details.items()]
        middle = in_rows(rows, _NARROWEST)
    numbers = {} if not drawings else facts["numbers"]
    whole = _framed(middle, facts, numbers)
    summary = {**facts, "numbers": {key: worded(v) for key, v in facts["numbers"].items()}}
    kind = "step" if isinstance(event, StepEvent) else "episode"
    return document(whole, kind=kind, title=_title(facts), metadata=json.dumps(summary))


def _facts(event: EpisodeEvent | StepEvent) -> dict[str, Any]:
    """Returns the text of a picture, ready for JSON, and under `numbers` its values."""
    values = event.values if isinstance(event, StepEvent) else event.episode
    labels = {xml_text(str(key)): xml_text(worded(value)) for key, value in event.labels.items()}
    facts: dict[str, Any] = {"step": event.step, "labels": labels}
    if isinstance(event, StepEvent):
        facts |= {"name": "step", "episode": event.episode}
    else:
        facts |= {"name": xml_text(event.name), "lane": event.lane, "lanes": event.num_lanes}
        if event.lane_position:
            facts["lane_position"] = list(event.lane_position)
        if "environment_id" in values:
            index = values.get("batch_index", values["environment_id"])
            facts["environment"] = xml_text(worded(index))
    success = values.get("success")
    if isinstance(success, bool | np.bool_):
        facts["success"] = bool(success)
    left_out = set(_IN_THE_HEAD) if not isinstance(event, StepEvent) else set()
    if "success" not in facts:
        left_out -= {"success"}
    numbers = {
        xml_text(str(key)): value
        for key, value in values.items()
        if key not in left_out and not is_of_a_state(str(key))
    }
    known = [key for key in _TITLES if key in numbers]
    return facts | {"numbers": {key: numbers[key] for key in [*known, *numbers]}}


def title_of(key: str) -> str:
    """Returns the title of a number in a picture."""
    return _TITLES.get(key, key.replace("_", " "))


def _title(facts: Mapping[str, Any]) -> str:
    return f"{facts['name']}, step {facts['step']}, {_origin(facts)}".rstrip(", ")


def _origin(facts: Mapping[str, Any]) -> str:
    """Names the lane, its labels, and the environment."""
    words = [f"{key} {value}" for key, value in facts["labels"].items()]
    if facts.get("lanes", 1) > 1 or facts.get("lane", 0):
        position = facts.get("lane_position") or facts["lane"]
        words = [f"lane {worded(position)}", *words]
    if "environment" in facts:
        words.append(f"env {facts['environment']}")
    if "episode" in facts:
        words.append(f"episode {facts['episode']}")
    return " \u00b7 ".join(words)


def _side_by_side(drawings: Mapping[str, Drawing]) -> Drawing:
    """Places states from left to right with arrows between, titles above and notes below."""
    body: list[str] = []
    tallest = max(drawing.height for drawing in drawings.values())
    left, bottom = 0.0, 0.0
    for index, (title, drawing) in enumerate(drawings.items()):
        if index:
            body.append(arrow(left + 8, 18 + tallest / 2, _ARROW - 16))
            left += _ARROW
        width = max(drawing.width, 60)
        top = 18
        body.append(text(title, left, top - 7, 11, fill=MUTED, weight="500"))
        body.append(
            placed(
                drawing, left, top, drawing.width, drawing.height, class_="state", data_title=title
            )
        )
        below = top + drawing.height
        for note in drawing.notes[:3]:
            below += 14
            body.append(text(note, left, below, 10, fill=MUTED, width=max(width, _NOTE)))
        left += max(width, max((min(text_width(n) * 10, _NOTE) for n in drawing.notes), default=0))
        bottom = max(bottom, below)
    return Drawing(left, bottom + 4, joined(body))


def arrow(x: float, y: float, length: float) -> str:
    """Draws an arrow to the right."""
    shaft = f"M{number(x)} {number(y)}h{number(length)}"
    return element(
        "path",
        d=f"{shaft}m-6 -5l6 5l-6 5",
        fill="none",
        stroke=MUTED,
        stroke_width=1.6,
        stroke_linecap="round",
        stroke_linejoin="round",
    )


def verdict(success: bool, x: float, y: float) -> str:
    """Draws a tick or a cross in a circle around (x, y); not every font has these characters."""
    path = "M-3.2 0.2l2.3 2.4l4.2 -4.8" if success else "M-2.7 -2.7l5.4 5.4M2.7 -2.7l-5.4 5.4"
    mark = element(
        "path", d=path, fill="none", stroke="#ffffff", stroke_width=1.6, stroke_linecap="round"
    )
    circle = element("circle", r=7, fill=GOOD if success else BAD)
    words = element("title", "success" if success else "no success")
    move = f"translate({number(x)} {number(y)})"
    return element("g", words + circle + mark, class_="verdict", transform=move)


def _framed(middle: Drawing, facts: Mapping[str, Any], numbers: Mapping[str, Any]) -> Drawing:
    """Adds a heading above a drawing, and its numbers and notes below."""
    columns = _columns(numbers.items())
    inner = max(middle.width, _NARROWEST)
    head = [
        text(f"{facts['name']}", _MARGIN, 32, 15, weight="600", width=inner - 150),
        text(f"step {facts['step']}", _MARGIN + inner, 32, 13, fill=INK, anchor="end"),
    ]
    origin = _origin(facts)
    if "success" in facts:
        head.append(verdict(facts["success"], _MARGIN + inner - 7, 46))
    if origin:
        head.append(text(origin, _MARGIN, 50, 12, fill=MUTED, width=inner - 24))
    top = 68 if origin or "success" in facts else 50
    across = _MARGIN + (inner - middle.width) / 2
    body = [*head, placed(middle, across, top, middle.width, middle.height)]
    bottom = top + middle.height
    if columns:
        body.append(rect(_MARGIN, bottom + 12, inner, 1, fill=EDGE))
        per_row = max(1, int(inner // 76))
        width = inner / min(per_row, len(columns))
        for index, (title, value) in enumerate(columns):
            x = _MARGIN + index % per_row * width
            y = bottom + 30 + index // per_row * 40
            body.append(text(title, x, y, 10, fill=MUTED, width=width - 8))
            body.append(text(value, x, y + 17, 14, weight="600", width=width - 8))
        bottom += 16 + -(-len(columns) // per_row) * 40
    for note in middle.notes:
        bottom += 16
        body.append(text(note, _MARGIN, bottom, 10, fill=MUTED, width=inner))
    return Drawing(inner + 2 * _MARGIN, bottom + _MARGIN, joined(body))


def _columns(numbers: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    columns = [(title_of(key), worded(value)) for key, value in numbers]
    if len(columns) <= _MOST_NUMBERS:
        return columns
    more = len(columns) - _MOST_NUMBERS + 1
    return [*columns[: _MOST_NUMBERS - 1], ("and", f"{more} more")]
