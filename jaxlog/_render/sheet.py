"""Draws contact sheets: the episodes of one step on one page, by lane if lanes have several."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from jaxlog._render.foreign import NotSvgError, embedded, parse
from jaxlog._render.markup import (
    EDGE,
    MUTED,
    PANEL,
    SVG,
    Drawing,
    document,
    escape,
    joined,
    placed,
    rect,
    text,
    text_width,
)
from jaxlog._render.picture import arrow, title_of, verdict
from jaxlog._text import counted

_DOT = " \u00b7 "
_THUMB = 116
_PAD = 10
_GAP = 12
_MARGIN = 20
_ARROW = 26
_WIDE = 1180
_MOST_CHARACTERS = 6_000_000
"""The most characters of all pictures on a sheet; further episodes are only in their own files."""
_FIRST_NUMBERS = ("total_reward", "final_similarity", "total_steps")
_MOST_IN_A_ROW = 12
_MOST_ROWS = 6
"""The most numbers on the tile of an episode without states."""


@dataclass(frozen=True)
class _Tile:
    """One episode on the sheet: its facts, and the drawings of its states."""

    facts: dict[str, Any]
    states: tuple[Drawing, ...]
    titles: tuple[str, ...]


def sheet(pictures: Iterable[str], left_out: int = 0) -> str:
    """Draws small versions of the pictures of one step on one page.

    Args:
      pictures: SVGs from `picture`, in the order to be shown.
      left_out: the number of further episodes, which the sheet mentions.

    Raises:
      ValueError: a picture is not from jaxlog.
    """
    tiles: list[_Tile] = []
    size = 0
    for index, svg in enumerate(pictures):
        size += len(svg)
        if size > _MOST_CHARACTERS and tiles:
            left_out += 1
        else:
            tiles.append(_tile(svg, index))
    return document(
        _page(tiles, left_out),
        kind="sheet",
        title="Episodes of one step",
        metadata=json.dumps({"episodes": len(tiles), "left_out": left_out}),
    )


def facts_of(svg: str) -> dict[str, Any]:
    """Reads the metadata of a picture or a sheet.

    Raises:
      ValueError: the SVG is not from jaxlog.
    """
    return _facts(parse(svg))


def _facts(root: ElementTree.Element) -> dict[str, Any]:
    try:
        facts = json.loads(root.findtext(f"{{{SVG}}}metadata") or "")
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise NotSvgError("got an SVG without the metadata of a jaxlog picture")
    return facts


def _tile(svg: str, index: int) -> _Tile:
    root = parse(svg)
    drawings, titles = [], []
    for number, state in enumerate(root.iter(f"{{{SVG}}}svg")):
        if state.get("class") == "state" and state.get("data-title"):
            whole = ElementTree.tostring(state, encoding="unicode")
            drawings.append(embedded(whole, f"e{index}-{number}"))
            titles.append(state.get("data-title", ""))
    return _Tile(_facts(root), tuple(drawings), tuple(titles))


def _page(tiles: Sequence[_Tile], left_out: int) -> Drawing:
    facts = tiles[0].facts if tiles else {"name": "", "step": ""}
    most_states = max((len(tile.states) for tile in tiles), default=1) or 2
    width = most_states * _THUMB + (most_states - 1) * _ARROW + 2 * _PAD
    rows_of_numbers = max((min(len(t.facts["numbers"]), _MOST_ROWS) for t in tiles), default=0)
    height = (_THUMB + 18 if any(t.states for t in tiles) else 18 * rows_of_numbers) + 2 * _PAD + 22
    rows, by_lane = _rows(tiles, max(1, (_WIDE + _GAP) // (width + _GAP)))
    body = [
        text(str(facts["name"]), _MARGIN, 36, 18, weight="600", width=240),
    ]
    top = 56.0
    across = max((len(row) for row in rows), default=1)
    inner = max(across * (width + _GAP) - _GAP, 320)
    lane = None
    for row in rows:
        if by_lane and row[0].facts.get("lane") != lane:
            lane = row[0].facts.get("lane")
            body.append(text(_lane(row[0]), _MARGIN, top + 16, 12, weight="600", width=inner))
            top += 26
        for column, tile in enumerate(row):
            x = _MARGIN + column * (width + _GAP)
            body.append(placed(_drawn(tile, width, height, by_lane), x, top, width, height))
        top += height + _GAP
    shown = counted(len(tiles), "episode")
    words = f"step {facts['step']} \u00b7 {shown}"
    if left_out:
        words += f", {left_out} more left out"
    body.append(text(words, _MARGIN + inner, 36, 13, fill=MUTED, anchor="end"))
    return Drawing(inner + 2 * _MARGIN, top - _GAP + _MARGIN, joined(body))


def _rows(tiles: Sequence[_Tile], columns: int) -> tuple[list[Sequence[_Tile]], bool]:
    """Arranges tiles in rows; returns True if each row has one lane: then lanes have several."""
    lanes: dict[int, list[_Tile]] = {}
    for tile in tiles:
        lanes.setdefault(int(tile.facts.get("lane", 0)), []).append(tile)
    by_lane = len(lanes) > 1 and len(tiles) >= 2 * len(lanes)
    groups = list(lanes.values()) if by_lane else [list(tiles)]
    columns = min(columns, _MOST_IN_A_ROW)
    return [
        group[start : start + columns]
        for group in groups
        for start in range(0, len(group), columns)
    ], by_lane


def _lane(tile: _Tile) -> str:
    labels = [f"{key} {value}" for key, value in tile.facts.get("labels", {}).items()]
    position = tile.facts.get("lane_position") or tile.facts.get("lane", 0)
    shown = ", ".join(map(str, position)) if isinstance(position, list) else str(position)
    return _DOT.join([f"lane {shown}", *labels])


def _drawn(tile: _Tile, width: float, height: float, by_lane: bool) -> Drawing:
    facts = tile.facts
    body = [rect(0.5, 0.5, width - 1, height - 1, rx=6, fill=PANEL, stroke=EDGE)]
    left = _PAD + (width - 2 * _PAD - _across(tile)) / 2
    for index, state in enumerate(tile.states):
        if index:
            body.append(arrow(left + 5, _PAD + _THUMB / 2, _ARROW - 10))
            left += _ARROW
        scale = min(_THUMB / state.width, _THUMB / state.height)
        across, down = state.width * scale, state.height * scale
        x, y = left + (_THUMB - across) / 2, _PAD + (_THUMB - down) / 2
        title = tile.titles[index]
        body.append(
            placed(
                Drawing(state.width, state.height, f"<title>{escape(title)}</title>{state.body}"),
                x,
                y,
                across,
                down,
            )
        )
        left += _THUMB
    numbers: dict[str, str] = facts.get("numbers", {})
    if not tile.states:
        for index, (key, value) in enumerate(list(numbers.items())[:_MOST_ROWS]):
            y = _PAD + 14 + 18 * index
            body.append(text(title_of(key), _PAD, y, 11, fill=MUTED, width=width / 2))
            body.append(text(value, width - _PAD, y, 11, anchor="end", width=width / 2 - 2 * _PAD))
    base = height - (26 if tile.states else 12)
    room = width - 2 * _PAD
    if "success" in facts:
        body.append(verdict(bool(facts["success"]), width - _PAD - 7, base - 4))
        room -= 20
    words = [f"env {facts['environment']}"] if "environment" in facts else []
    if not by_lane and (facts.get("lanes", 1) > 1 or facts.get("lane", 0)):
        lane, *labels = _lane(tile).split(_DOT)
        words = [lane, *words, *labels]
    body.append(text(_fitting(words, room / 11), _PAD, base, 11, weight="500", width=room))
    if tile.states:
        shown = [f"{title_of(key)} {numbers[key]}" for key in _FIRST_NUMBERS if key in numbers]
        room = width - 2 * _PAD
        body.append(text(_fitting(shown, room / 10), _PAD, height - 10, 10, fill=MUTED, width=room))
    return Drawing(width, height, joined(body))


def _fitting(parts: Sequence[str], width: float) -> str:
    """Joins as many of the first parts as fit, and at least one."""
    words = _DOT.join(parts)
    while len(parts) > 1 and text_width(words) > width:
        parts = parts[:-1]
        words = _DOT.join(parts)
    return words


def _across(tile: _Tile) -> float:
    count = len(tile.states)
    return count * _THUMB + max(count - 1, 0) * _ARROW
