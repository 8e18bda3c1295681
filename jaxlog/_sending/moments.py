"""Reads a run's files back to events, whole and in the order in which its sinks received them."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jaxlog._format.events import EpisodeEvent, Event, Lane, MetricsEvent
from jaxlog._format.from_lines import Line, events_from, numbers_of_line
from jaxlog._format.from_many_lines import event_of_many
from jaxlog._format.lines import ARRAYS, MEDIA, call_of
from jaxlog._format.media import Image, StoredImage
from jaxlog._format.media_lines import MOST_BYTES
from jaxlog._format.timing import Stopwatch, sessions
from jaxlog._reading.columnar_lines import is_over_lanes
from jaxlog._reading.recorded import FILE, is_file_of_episode, read_recording
from jaxlog._render.png import own_pixels
from jaxlog._run_files import read_small_below
from jaxlog._say import Once
from jaxlog._say import log as _log
from jaxlog._sending.lane_facts import LaneFacts
from jaxlog._watching.follow import Follower, LineGroup
from jaxlog._watching.lines import MANY, read

_STATISTICS = 3
"""The most lines over lanes that an event has, after those of its lanes."""


class Moment(NamedTuple):
    """The events that arrived at one time.

    Attributes:
      events: the events, metrics first.
      read: the offset up to which each file has been read then, by its name.
    """

    events: Sequence[Event]
    read: Mapping[str, int]


class MomentReader:
    """Reads the events of a run that are new since an earlier reader.

    Args:
      directory: the directory of the run.
      facts: the contents of run.json.
      offsets: the offsets up to which files have been read before, by name.
      timed: the last timed line of each call before: its lane, step, environment steps and time.
      recordings: whether recorded episodes have their steps, which are read from their files.
    """

    def __init__(
        self,
        directory: Path,
        facts: Mapping[str, Any],
        offsets: Mapping[str, int],
        timed: Mapping[str, Sequence[Any]],
        *,
        recordings: bool = False,
    ) -> None:
        self._directory = directory
        self._recordings = recordings
        self._is_first_image = Once()
        self._is_first_recording = Once()
        self._follower = Follower(directory, None, offsets)
        self._lanes = LaneFacts(facts)
        self._calls = facts.get("calls")
        every = sessions(facts) or [(0.0, 0.0)]
        self._opened = [opened for opened, _ in every]
        self._stopwatches = [Stopwatch(opened, before) for opened, before in every]
        self.timed: dict[str, Sequence[Any]] = {}
        for call, (lane, step, env_step, timestamp) in timed.items():
            self._timing(call, lane, step, env_step, timestamp)

    def learn(self, facts: Mapping[str, Any]) -> None:
        """Notes what run.json says by now."""
        self._lanes = LaneFacts(facts)
        self._calls = facts.get("calls")

    def look(self, *, ended: bool) -> Iterator[Moment]:
        """Yields what is new, in order.

        Args:
          ended: True if the run will write no more lines.
        """
        groups: list[LineGroup] = []
        offsets = self._follower.read()
        for group in self._follower.look(ended=ended):
            if groups and group.timestamp != groups[0].timestamp:
                yield Moment(self._events(groups), offsets)
                groups = []
            groups.append(group)
            offsets = self._follower.read()
        if groups:
            yield Moment(self._events(groups), offsets)

    def _events(self, groups: Sequence[LineGroup]) -> list[Event]:
        found: list[Event] = []
        for group in groups:
            if is_over_lanes(group.path):
                lines = [line for line in map(read, group.lines) if line is not None]
                _add_over_lanes(found, call_of(group.path.name), lines)
                continue
            beside = group.path.name in (ARRAYS, MEDIA)
            for event in self._whole(group):
                if isinstance(event, MetricsEvent):
                    event = self._with_images(event) if group.path.name == MEDIA else event
                    _add_metrics(found, event, beside=beside)
                else:
                    found.append(event)
        return [self._completed(event) for event in found]

    def _whole(self, group: LineGroup) -> Iterator[Event]:
        call = call_of(group.path.name)
        if call is not None and len(group.lines) >= MANY and b'"edges":' not in group.lines[0]:
            event = event_of_many(call, group.lines, self._calls)
            if event is not None:
                last = [line for line in map(read, group.lines[-_STATISTICS:]) if line is not None]
                _add_over_lanes([event], call, last)
                yield event
                return
        lines = [line for line in map(read, group.lines) if line is not None]
        yield from events_from(group.path.name, lines, self._calls, whole=True)

    def _with_images(self, event: MetricsEvent) -> MetricsEvent:
        """The event with the pixels of its images; without those whose files are gone."""
        lanes: list[Lane] = []
        for lane in event.lanes:
            media: dict[str, Any] = {}
            for name, value in lane.media.items():
                if not isinstance(value, StoredImage):
                    media[name] = value
                    continue
                try:
                    data = read_small_below(self._directory, value.file or "", MOST_BYTES)
                    media[name] = Image(own_pixels(data), value.caption)
                except (OSError, ValueError):
                    if self._is_first_image():
                        _log.warning(
                            "jaxlog: %s: the image %s/%s of step %d has no file, and is not sent: "
                            "as many are kept as keep_images of the sink says. Said once.",
                            self._directory,
                            event.name,
                            name,
                            event.step,
                        )
            lanes.append(replace(lane, media=media))
        return replace(event, lanes=tuple(lanes))

    def _completed(self, event: Event) -> Event:
        if isinstance(event, EpisodeEvent) and event.sampled:
            return self._lanes.completed_episode(self._with_recording(event))
        if not isinstance(event, MetricsEvent):
            return event
        event = self._lanes.completed(event)
        first = event.lane_numbers(1)[0]
        timing = self._timing(event.name, first, event.step, event.env_step, event.timestamp)
        event.__dict__["timing"] = timing  # nobody else has the event yet
        return event

    def _with_recording(self, event: EpisodeEvent) -> EpisodeEvent:
        """The episode with its steps, if they are wanted; its line names the file that has them."""
        file = event.episode.get(FILE)
        if not is_file_of_episode(file):
            return event
        episode = {key: value for key, value in event.episode.items() if key != FILE}
        recording = None
        if self._recordings:
            try:
                recording = read_recording(self._directory, file)
            except (OSError, ValueError) as error:
                if self._is_first_recording():
                    _log.warning(
                        "jaxlog: an episode is sent without its film: %s. Said once.", error
                    )
        return replace(event, episode=episode, recording=recording)

    def _timing(
        self, call: str, lane: int, step: int, env_step: int | None, timestamp: float
    ) -> Any:
        self.timed[call] = (lane, step, env_step, timestamp)
        session = max(0, bisect.bisect_right(self._opened, timestamp) - 1)
        return self._stopwatches[session].time(call, lane, step, env_step, timestamp)


def _add_metrics(found: list[Event], event: MetricsEvent, *, beside: bool) -> None:
    """Adds an event; arrays and media are added to the metrics that were logged with them."""
    for place, other in enumerate(found):
        if (
            beside
            and isinstance(other, MetricsEvent)
            and not other.has_columns
            and (other.name, other.step) == (event.name, event.step)
        ):
            more = {lane.index: lane for lane in event.lanes}
            if more.keys() <= {lane.index for lane in other.lanes}:
                lanes = tuple(
                    replace(
                        lane,
                        arrays=more[lane.index].arrays or lane.arrays,
                        media=more[lane.index].media or lane.media,
                    )
                    if lane.index in more
                    else lane
                    for lane in other.lanes
                )
                found[place] = replace(other, lanes=lanes)
                return
    found.append(event)


def _add_over_lanes(found: Sequence[Event], call: str | None, lines: Sequence[Line]) -> None:
    """Adds the statistics over lanes, which are lines of their own, to the event they are of."""
    over = {
        str(line["over_lanes"]): numbers_of_line(line) for line in lines if "over_lanes" in line
    }
    for event in found:
        if isinstance(event, MetricsEvent) and event.name == call and over:
            event.__dict__["over_lanes"] = over  # nobody else has the event yet
