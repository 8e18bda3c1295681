"""Lines have every field of their events: no attribute is forgotten on the way to a reader."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Event,
    Lane,
    MetricsEvent,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.from_lines import events_from
from jaxlog._format.keys import to_json
from jaxlog._format.lines import (
    ARRAYS,
    FIELDS,
    KINDS,
    LANES,
    MEDIA,
    OPTIONAL,
    OVER_LANES,
    LineKind,
    array_lines_of,
    file_of,
    lines_of,
)
from jaxlog._format.media import Image, StoredImage
from jaxlog._format.media_lines import media_lines_of
from jaxlog._format.whole_arrays import described
from tests.format import filled

NOT_READ_BACK = {
    MetricsEvent: frozenset({"over_lanes", "finite", "exact", "timing"}),
    Lane: frozenset({"series", "alone", "first_labels"}),
    EpisodeEvent: frozenset(
        {"details", "tree", "num_lanes", "lane_alone", "lane_first_labels", "recording"}
    ),
    TaskEvent: frozenset({"details", "tree"}),
    StepEvent: frozenset({"details", "tree"}),
    EvaluationEvent: frozenset({"details"}),
}
"""The attributes that events from lines do not have."""

FILES = {
    (lane.index, "frame"): f"images/batch/frame-step_0000000000-lane_{lane.index:04d}.png"
    for lane in filled.rows().lanes
}
"""The files of the images."""

EVENTS = pytest.mark.parametrize("event", filled.events(), ids=lambda event: type(event).__name__)


def parsed(lines: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def kinds_of(event: Event) -> list[tuple[dict[str, Any], LineKind]]:
    """All lines of an event, each with its kind."""
    lines = parsed(lines_of(event))
    if not isinstance(event, MetricsEvent):
        return [(line, KINDS[file_of(event).removesuffix(".jsonl")]) for line in lines]
    own = [(line, LANES if "lane" in line else OVER_LANES) for line in lines]
    own += [(line, KINDS["arrays"]) for line in parsed(array_lines_of(event))]
    return own + [(line, KINDS["media"]) for line in parsed(media_lines_of(event, FILES))]


def calls_of(event: MetricsEvent) -> dict[str, Any]:
    """The description in run.json of the call of an event."""
    arrays = {name: described(array) for name, array in event.lanes[0].arrays.items()}
    about = {"keys": to_json(event.keys), "total_updates": event.total_updates, "arrays": arrays}
    return {event.name: about}


@EVENTS
def test_an_event_is_read_back_with_each_attribute(event: Event) -> None:
    calls = calls_of(event) if isinstance(event, MetricsEvent) else None
    (found,) = events_from(file_of(event), parsed(lines_of(event)), calls)
    assert type(found) is type(event)
    without = NOT_READ_BACK[type(event)]
    assert filled.attributes(found, without) == filled.attributes(event, without)
    if isinstance(event, MetricsEvent):
        assert isinstance(found, MetricsEvent)
        without = NOT_READ_BACK[Lane]
        for one, lane in zip(found.lanes, event.lanes, strict=True):
            without |= {"arrays", "media"}
            assert filled.attributes(one, without) == filled.attributes(lane, without)


def test_arrays_are_read_back_with_each_attribute() -> None:
    event = filled.rows()
    (found,) = events_from(ARRAYS, parsed(array_lines_of(event)), calls_of(event))
    assert isinstance(found, MetricsEvent)
    without = NOT_READ_BACK[MetricsEvent] | {"keys"}
    assert filled.attributes(found, without) == filled.attributes(event, without)
    without = NOT_READ_BACK[Lane] | {"values", "media"}
    for one, lane in zip(found.lanes, event.lanes, strict=True):
        assert filled.attributes(one, without) == filled.attributes(lane, without)


def test_media_are_read_back_with_each_attribute() -> None:
    event = filled.rows()
    (found,) = events_from(MEDIA, parsed(media_lines_of(event, FILES)), calls_of(event))
    assert isinstance(found, MetricsEvent)
    without = NOT_READ_BACK[MetricsEvent] | {"keys"}
    assert filled.attributes(found, without) == filled.attributes(event, without)
    without = NOT_READ_BACK[Lane] | {"values", "arrays", "media"}
    for one, lane in zip(found.lanes, event.lanes, strict=True):
        assert filled.attributes(one, without) == filled.attributes(lane, without)
        image = one.media["frame"]
        assert isinstance(image, StoredImage)
        own = lane.media["frame"]
        assert isinstance(own, Image)
        assert (image.shape, image.caption) == (own.shape, own.caption)
        assert image.file == FILES[lane.index, "frame"]


@EVENTS
def test_the_fields_of_a_line_come_first_and_in_their_order(event: Event) -> None:
    for line, kind in kinds_of(event):
        own = [name for name in FIELDS if name in line and name in kind.own]
        assert list(line) == [*own, *kind.parts]
        assert set(kind.fields) <= set(own)


@EVENTS
def test_every_optional_field_is_on_the_lines_of_lanes(event: Event) -> None:
    for line, kind in kinds_of(event):
        if "lane" in line:
            assert [name for name in kind.own if name not in line] == []


@pytest.mark.parametrize("event", filled.events()[:2], ids=["rows", "columns"])
def test_lines_over_lanes_have_the_optional_fields_of_their_event(event: MetricsEvent) -> None:
    *lanes, over = parsed(lines_of(event))
    same = [name for name in OPTIONAL if all(line[name] == lanes[0][name] for line in lanes)]
    assert [name for name in OPTIONAL if name in over] == same
    assert {name: over[name] for name in same} == {name: lanes[0][name] for name in same}


@pytest.mark.parametrize("exact", [False, True])
def test_lines_of_columns_are_those_of_rows(exact: bool) -> None:
    event = replace(filled.rows(), exact=exact)
    of_columns = filled.columns(event)
    assert of_columns.has_columns
    assert lines_of(of_columns) == lines_of(event)
    assert array_lines_of(of_columns) == array_lines_of(event)
    assert media_lines_of(of_columns, FILES) == media_lines_of(event, FILES)
