"""Lines that are read back give the events they were written from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jaxlog._format.events import EpisodeEvent, MetricsEvent, RunInfo
from jaxlog._format.lines import OPTIONAL
from jaxlog._watching import lines
from jaxlog.sinks.console.lines import line as console_line
from jaxlog.sinks.console.run_display import RunDisplay
from tests.cli.conftest import Logged


def read(path: Path, start: int = 0) -> list[Any]:
    facts = path.parent / "run.json"
    calls = orjson.loads(facts.read_bytes())["calls"] if facts.exists() else None
    return list(lines.events(path, (line for _, line in lines.forwards(path, start)), calls))


def as_numbers(values: Any) -> dict[str, Any]:
    return {key: np.asarray(value).tolist() for key, value in values.items()}


def test_metrics_are_those_that_the_sinks_were_given(logged: Logged) -> None:
    for name in ("batch", "eval"):
        found = read(logged.directory / f"{name}_metrics.jsonl")
        expected = [event for event in logged.memory.metrics if event.name == name]
        assert len(found) == len(expected)
        assert expected
        for one, other in zip(found, expected, strict=True):
            assert isinstance(one, MetricsEvent)
            for part in ("name", "step", "env_step", "timestamp", "num_lanes"):
                assert getattr(one, part) == getattr(other, part), part
            present = {key for lane in other.lanes for key in lane.metrics}
            assert one.keys == {key: other.keys[key] for key in other.keys if key in present}
            for lane, lane_of_other in zip(one.lanes, other.lanes, strict=True):
                assert lane.index == lane_of_other.index
                assert as_numbers(lane.labels) == as_numbers(lane_of_other.labels)
                assert lane.metrics.keys() == lane_of_other.metrics.keys()
                for key, value in lane.metrics.items():
                    # JSON has the shortest digits that identify a float32.
                    value_of_other = np.float32(lane_of_other.metrics[key])
                    np.testing.assert_equal(np.float32(value), value_of_other, err_msg=key)


def test_episodes_are_those_that_the_sinks_were_given(logged: Logged) -> None:
    found, expected = read(logged.directory / "episodes.jsonl"), logged.memory.episodes
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, EpisodeEvent)
        assert one.sampled
        assert (one.name, one.step, one.lane) == (other.name, other.step, other.lane)
        assert one.episode.keys() == other.episode.keys()


LINES = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=12)


@given(LINES, st.binary(max_size=5), st.integers(1, 7))
def test_backwards_is_forwards_reversed(
    tmp_path_factory: pytest.TempPathFactory, whole: list[bytes], torn: bytes, block: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "some_metrics.jsonl"
    torn = torn.replace(b"\n", b"").replace(b"}", b"")  # a complete object would be a line
    path.write_bytes(b"".join(line + b"\n" for line in whole) + torn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        found = list(lines.forwards(path))
        assert [line for _, line in found] == whole
        assert list(lines.backwards(path)) == found[::-1]
        assert lines.count(path) == len(whole)
        for start, _ in found:
            assert list(lines.forwards(path, start)) == [f for f in found if f[0] >= start]
            middle = list(lines.forwards(path, start + 1))
            assert [f for f in found if f[0] > start] == middle


@pytest.mark.parametrize("number", [0, 1, 2, 24, 25, 26, 1000])
def test_the_last_events_have_all_their_lanes(logged: Logged, number: int) -> None:
    path = logged.directory / "batch_metrics.jsonl"
    steps = [event.step for event in read(path, lines.last(path, number))]
    assert steps == list(range(25))[max(0, 25 - number) :]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\n\n",
        b"no JSON\n",
        b"[1, 2]\n",
        b"null\n",
        b'{"timestamp":1,"step":2}\n',
        b'{"timestamp":"x","step":2,"lane":0,"labels":{},"metrics":{}}\n',
        b'{"timestamp":1,"step":2,"lane":0,"labels":{},"metrics":{"a":null},"nonfinite":{"a":"?"}}\n',
        b'{"timestamp":1,"step":2,"lane":0,"labels":null,"metrics":{}}\n',
        b"\xff\xfe\x00\n",
        b'{"timestamp":1,"step":2,"lane":0,"labels":{},"metrics":[1]}\n',
        b'{"timestamp":1,"step":2,"env_step":"x","lane":0,"labels":{},"metrics":{}}\n',
        b'{"timestamp":1,"step":2,"env_step":[2],"lane":0,"labels":{},"metrics":{}}\n',
        b'{"timestamp":1e300,"step":2,"lane":0,"labels":{},"metrics":{}}\n',
        b'{"timestamp":1e17,"step":2,"lane":0,"labels":{},"metrics":{}}\n',
        b'{"timestamp":1e20,"step":2,"lane":0,"labels":{},"metrics":{}}\n',
        b'{"timestamp":-1e20,"step":2,"lane":0,"labels":{},"metrics":{}}\n',
    ],
)
def test_lines_not_written_by_jaxlog_are_left_out(tmp_path: Path, broken: bytes) -> None:
    good = b'{"timestamp":1.5,"step":3,"lane":0,"labels":{},"metrics":{"a":1}}\n'
    path = tmp_path / "batch_metrics.jsonl"
    path.write_bytes(good + broken + good.replace(b"3", b"4") + good[:20])
    assert [event.step for event in read(path)] == [3, 4]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
GOOD = {
    "batch_metrics": {"lane": 0, "labels": {}, "metrics": {"a": 1.0}},
    "episodes": {"name": "batch", "lane": 0, "labels": {}, "episode": {"total_reward": 1.0}},
    "steps": {"episode": 0, "labels": {}, "values": {"reward": 1.0}},
    "tasks": {"task": {"id": 3}},
    "evaluations": {"evaluation": {"success_rate": 0.5}},
}
FIELDS = ("timestamp", "step", *OPTIONAL, "nonfinite")


@given(st.sampled_from(list(GOOD)), st.data())
def test_any_line_is_printed_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, stem: str, data: st.DataObject
) -> None:
    own = tuple(GOOD[stem])
    odd = data.draw(st.dictionaries(st.sampled_from((*FIELDS, *own)), JSON, max_size=3))
    inside = data.draw(st.dictionaries(st.sampled_from(own), st.dictionaries(st.text(), JSON)))
    line = {"timestamp": 1.5, "step": 3, **GOOD[stem], "details": {}} | inside | odd
    path = tmp_path_factory.mktemp("run") / f"{stem}.jsonl"
    path.write_bytes(orjson.dumps(line) + b"\n")
    picture = RunDisplay(RunInfo("run"), 0.0)
    for event in read(path):
        assert console_line(event, None)
        picture.add(event)
    Console(file=io.StringIO()).print(picture.draw(80, None, 10.0, ended=True))


def test_a_call_may_be_named_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a_metrics.jsonl_metrics.jsonl"
    path.write_bytes(b'{"timestamp":1,"step":3,"lane":0,"labels":{},"metrics":{"x_mean":1}}\n')
    (event,) = read(path)
    assert event.name == "a_metrics.jsonl"
    assert event.keys["x_mean"].stem == "x_mean"  # a number of that name, not a statistic
