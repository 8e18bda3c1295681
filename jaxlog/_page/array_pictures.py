"""Pictures of the arrays that calls logged whole: the last of some lanes, and a few before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxlog._analysis.html_pages import brief
from jaxlog._reading.logged_arrays import arrays_of_line
from jaxlog._reading.logged_values import LoggedValue, ValueLine, value_lines, values_of_lines
from jaxlog._reading.run_frames import RunFrames
from jaxlog._render.arrays import array_svg

MOST_LANES = 4
"""The number of lanes whose last arrays are shown."""
MOST_STEPS = 6
"""The number of steps of the first lane that are shown."""
MOST_BYTES = 1_500_000
"""The bytes of all pictures of one run."""


class ArrayPicture(NamedTuple):
    """A picture of an array.

    Attributes:
      title: names its step and lane.
      svg: the picture.
    """

    title: str
    svg: str


class ArrayPictures(NamedTuple):
    """Pictures of the arrays of one name.

    Attributes:
      name: the call and the name.
      pictures: some of them, by lane and step.
      left_out: the number of lines of the call that are not shown.
    """

    name: str
    pictures: Sequence[ArrayPicture]
    left_out: int


def array_pictures(run: RunFrames) -> list[ArrayPictures]:
    """Pictures of some arrays of a run, by name; only the lines of these are parsed."""
    file = run.file_of_arrays
    if file is None:
        return []
    lines = value_lines(file)
    chosen = chosen_lines(lines)
    by_name: dict[str, list[ArrayPicture]] = {}
    totals = Counter(line.call for line in lines)
    calls: dict[str, str] = {}
    size = 0
    parse = partial(arrays_of_line, calls=run.info.get("calls"))
    for one in values_of_lines(file, chosen, parse):
        name = f"{one.call}/{one.name}"
        drawn = by_name.setdefault(name, [])
        calls[name] = one.call
        title = title_of_line(one)
        svg = array_svg(one.value, title)
        if size + len(svg) <= MOST_BYTES:
            size += len(svg)
            drawn.append(ArrayPicture(brief(f"{name} · {title}"), svg))
    return [
        ArrayPictures(brief(name), drawn, max(0, totals[calls[name]] - len(drawn)))
        for name, drawn in by_name.items()
    ]


def chosen_lines(lines: Sequence[ValueLine]) -> list[ValueLine]:
    """Some lines of each call: steps of the first lane, and the last step of other lanes."""
    return [line for call in _by_call(lines) for line in _chosen(call)]


def _by_call(lines: Sequence[ValueLine]) -> Iterator[Sequence[ValueLine]]:
    for call in dict.fromkeys(line.call for line in lines):
        yield [line for line in lines if line.call == call]


def _chosen(lines: Sequence[ValueLine]) -> list[ValueLine]:
    by_lane: dict[int, dict[int, ValueLine]] = {}
    for line in lines:  # of a step that was logged twice, the later line
        by_lane.setdefault(line.lane, {})[line.step] = line
    lanes = sorted(by_lane)
    first, *others = (lanes[i] for i in spread_evenly(len(lanes), MOST_LANES))
    steps = sorted(by_lane[first])
    of_first = [by_lane[first][steps[i]] for i in spread_evenly(len(steps), MOST_STEPS)]
    return of_first + [by_lane[lane][max(by_lane[lane])] for lane in others]


def spread_evenly(number: int, most: int) -> Sequence[int]:
    """At most `most` of 0, …, number - 1, with the first and the last.

    >>> spread_evenly(3, 5), spread_evenly(100, 3)
    ([0, 1, 2], [0, 50, 99])
    """
    if number <= most:
        return list(range(number))
    return np.linspace(0, number - 1, most).round().astype(int).tolist()


def title_of_line(one: LoggedValue) -> str:
    """Names the step and the lane of a value, with the labels of the lane."""
    labels = [f"{key} {value}" for key, value in one.labels.items()]
    return " · ".join([f"step {one.step:,}", f"lane {one.lane}", *labels])
