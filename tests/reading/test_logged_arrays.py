"""Lines of arrays that are listed without being parsed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from jaxlog._format.events import Lane, MetricsEvent
from jaxlog._format.lines import ARRAYS, array_lines_of
from jaxlog._reading.logged_arrays import arrays_of_line
from jaxlog._reading.logged_values import value_lines, values_of_lines
from tests.format import filled

NO_CALLS = partial(arrays_of_line, calls=None)


@pytest.mark.parametrize("optional", [True, False])
def test_every_line_is_listed_with_and_without_optional_fields(
    optional: bool, tmp_path: Path
) -> None:
    event = filled.rows()
    if not optional:
        lanes = [Lane(lane.index, {}, {}, arrays=lane.arrays) for lane in event.lanes]
        event = MetricsEvent("batch", 3, None, 1.5, tuple(lanes), {})
    path = tmp_path / ARRAYS
    path.write_bytes(array_lines_of(event) + array_lines_of(replace(event, step=2**62)))
    found = value_lines(path)
    assert [(line.call, line.step, line.lane) for line in found] == [
        (event.name, step, lane.index) for step in (event.step, 2**62) for lane in event.lanes
    ]
    arrays = list(values_of_lines(path, found, NO_CALLS))
    assert [one.value.tolist() for one in arrays] == [
        array.tolist() for _ in range(2) for lane in event.lanes for array in lane.arrays.values()
    ]


@pytest.mark.parametrize("value", ["1.5", "-3", "null", "true", r'"a\",b"', '[1.5,"x"]', "[]"])
@pytest.mark.parametrize("before", ["timestamp", "step", "name", "lane", "labels"])
def test_fields_that_a_newer_jaxlog_writes_are_passed_over(
    before: str, value: str, tmp_path: Path
) -> None:
    event, path = filled.rows(), tmp_path / ARRAYS
    lines = array_lines_of(event)
    path.write_bytes(lines.replace(f'"{before}":'.encode(), f'"x":{value},"{before}":'.encode()))
    expected = [(event.name, event.step, lane.index) for lane in event.lanes]
    assert [(line.call, line.step, line.lane) for line in value_lines(path)] == expected
    assert len(list(values_of_lines(path, value_lines(path), NO_CALLS))) == len(expected)
