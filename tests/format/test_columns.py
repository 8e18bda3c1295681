"""Events in columns: the rows, lines and statistics are those of events made from rows."""

from __future__ import annotations

import copy
import dataclasses
import gc
import math
import pickle
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._format.across_lanes import over_lanes, values_across_lanes
from jaxlog._format.column_lines import lane_lines
from jaxlog._format.columns import Columns
from jaxlog._format.delivery import Delivery, Words, buffers_of, header
from jaxlog._format.events import Event, Histogram, Lane, MetricsEvent
from jaxlog._format.health import Tally
from jaxlog._format.lines import array_lines_of, lines_of
from jaxlog._format.schema import METRICS_DUE, Field, Schema
from jaxlog._host.arrival import Arrival
from jaxlog._host.decode import Decoder
from jaxlog._host.lane_identity import LaneTable
from tests.format import filled

DTYPES = [
    *map(np.dtype, (np.float32, np.float64, np.float16, np.int8, np.uint16, np.int32, np.uint64)),
    np.dtype(np.bool_),
    np.dtype(ml_dtypes.bfloat16),
    np.dtype(ml_dtypes.float8_e4m3fn),
]
FLOATS = [0.1, -1.5, 1e-7, 3e5, 2.0**24 + 2, 123456792.0, 1e15, 1e30, math.nan, math.inf, -math.inf]
EDGES = (0.0, 0.5, 2.0)


def some(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...], odd: bool) -> Any:
    """Values of a dtype, some of which are large or not finite if `odd`."""
    if dtype.kind in "fV":
        values = rng.normal(size=shape)
        if odd:
            values = np.where(rng.random(shape) < 0.2, rng.choice(FLOATS, shape), values)
        with np.errstate(all="ignore"):
            return values.astype(dtype)
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    top = np.iinfo(dtype).max
    return rng.integers(0, top, shape, dtype, endpoint=True) >> rng.integers(0, 8, dtype=dtype)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Schema, list[Arrival], list[dict[str, Any]], int]:
    """A call, some of its records, the labels of `open(lanes=)`, and the number of lanes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    odd = draw(st.booleans())
    lanes = draw(st.sampled_from([(), (1,), (3,), (9,), (2, 3), (70,)]))
    num_lanes = math.prod(lanes)
    dtypes = st.sampled_from(DTYPES)
    fields = [Field(("step",), np.dtype(np.int32))]
    fields += [Field(("labels", n), draw(dtypes)) for n in draw(st.sets(st.sampled_from("ab")))]
    edges = ()
    if draw(st.booleans()):
        fields.append(Field(("count",), np.dtype(np.int32)))
        for metric in draw(st.sampled_from([["episode_returns"], ["episode_returns", "m"]])):
            value = draw(st.sampled_from([d for d in DTYPES if d.kind in "fV"]))
            fields.append(Field(("aggregates", metric, "present"), np.dtype(np.int32)))
            fields += [Field(("aggregates", metric, s), value) for s in ("mean", "max")]
            fields.append(Field(("aggregates", metric, "nonfinite"), np.dtype(np.int32)))
            if draw(st.booleans()):
                fields.append(Field(("aggregates", metric, "histogram"), np.dtype(np.int32), (4,)))
                edges += ((metric, EDGES),)
    for name in draw(st.sets(st.sampled_from(["loss", "a", "x/y", 'q"\n']))):
        fields.append(Field(("scalars", name), draw(dtypes)))
    if draw(st.booleans()):
        fields.append(Field(("arrays", "whole"), draw(dtypes), draw(st.sampled_from([(), (2,)]))))
    schema = Schema("batch", tuple(fields), edges=edges)
    own = draw(st.sampled_from(["none", "even", "uneven", "several", "nan"]))
    given = {
        "none": [],
        "even": [{"env": f"e,{i}", "b": i} for i in range(num_lanes)],
        "uneven": [dict(sorted({"env": "x", "a": i}.items(), reverse=i % 2 == 0))
                   for i in range(num_lanes)],
        "several": [{} if i % 3 else {"lr": [0.1, 3, True, "null"][i % 4]}
                    for i in range(num_lanes)],
        "nan": [{"lr": math.nan if i % 2 else 0.5} for i in range(num_lanes)],
    }[own]  # fmt: skip
    mixed = draw(st.booleans())
    arrivals = []
    for step in range(draw(st.integers(1, 4))):
        words = np.zeros((num_lanes, schema.num_words), np.uint32)
        for field, start in schema.offsets.values():
            values = some(rng, field.dtype, (num_lanes, *field.shape), odd)
            if field.path[0] == "step":
                values = np.full(num_lanes, step, np.int32)
                if mixed:
                    values += rng.integers(0, 3, num_lanes, np.int32)
            elif field.path[0] == "labels" and field.dtype.kind in "iu":
                values = np.arange(num_lanes).astype(field.dtype)
            elif field.path[-1] in ("present", "nonfinite"):
                values = rng.integers(0, 2, num_lanes, np.int32)
            raw = np.ascontiguousarray(values).reshape(num_lanes, -1).view(np.uint8)
            padded = np.zeros((num_lanes, 4 * field.num_words), np.uint8)
            padded[:, : raw.shape[1]] = raw
            words[:, start : start + field.num_words] = padded.view(np.uint32)
        due = rng.choice([0, METRICS_DUE], num_lanes) if mixed else np.full(num_lanes, METRICS_DUE)
        head = header(0, schema.call_number, schema.head_words, lanes)
        bits = due.astype(np.uint32)
        (buffer,) = buffers_of(head, bits[None], words[None], schema.head_words)
        arrivals.append(Arrival(1.7e9 + step, Delivery(buffer)))
    return schema, arrivals, given, num_lanes


def row(schema: Schema, words: Words, lane: int, given: Mapping[str, Any]) -> Lane:
    """One record, read by itself: the rules for a value without an episode, plainly."""
    read = {path: schema.read(words, *path)[0] for path in schema.offsets}
    labels = {**given, **{p[1]: v for p, v in read.items() if p[0] == "labels"}}
    values: dict[str, Any] = {}
    for column in schema.columns:
        value = read[column.path]
        if column.presence is not None and not read[column.presence]:
            diverged = read["aggregates", column.path[1], "nonfinite"] > 0
            if column.info.kind == "histogram" or not diverged:
                continue
            value = value.dtype.type(math.nan)
        if column.info.kind == "histogram":
            below, *counts, above = value.tolist()
            value = Histogram(EDGES, tuple(counts), below, above)
        values[column.key] = value
    arrays = {p[1]: v for p, v in read.items() if p[0] == "arrays"}
    return Lane(lane, labels, values, arrays={k: np.asarray(v) for k, v in arrays.items()})


def decoded(call: tuple[Schema, list[Arrival], list[dict[str, Any]], int]) -> list[MetricsEvent]:
    schema, arrivals, given, _ = call
    return metrics(Decoder(schema, 8, ["mean", "iqm"]).events(arrivals, tuple(given)))


def metrics(records: list[list[Event]]) -> list[MetricsEvent]:
    return [event for events in records for event in events if isinstance(event, MetricsEvent)]


def same(one: Any, other: Any) -> bool:
    """Equal, of one type and in one order; NaN equals itself."""
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray | np.generic):
        one, other = np.asarray(one), np.asarray(other)
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return type(one) is type(other) and repr(one) == repr(other)


@given(calls())
def test_rows_are_those_of_each_record_read_by_itself(call: Any) -> None:
    schema, arrivals, given, _ = call
    expected = []
    for arrival in arrivals:
        delivery = arrival.delivery
        for step in np.unique(schema.read(delivery.words, "step")[delivery.due != 0]).tolist():
            expected += [
                row(schema, words, lane, given[lane] if given else {})
                for lane in range(len(delivery.words))
                for words in [delivery.words[lane : lane + 1]]
                if delivery.due[lane] and schema.read(words, "step")[0] == step
            ]
    found = [lane for event in decoded(call) for lane in event.lanes]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.index == other.index
        assert same(one.labels, other.labels)
        assert same(one.values, other.values)
        assert same(one.arrays, other.arrays)
        if len(arrivals[0].delivery.lanes) == 2:
            assert one.position == divmod(one.index, 3)
            assert all(type(i) is int for i in one.position)


@given(calls())
def test_lines_are_those_of_rows_byte_for_byte(call: Any) -> None:
    for event in decoded(call):
        rows = dataclasses.replace(event)
        assert not rows.has_columns
        assert array_lines_of(event) == array_lines_of(rows)
        for exact in (False, True) if event.exact else (False,):
            expected = lines_of(dataclasses.replace(event, exact=exact))
            expected = b"".join(expected.splitlines(keepends=True)[: event.num_logged])
            if event.has_columns:
                head = expected.partition(b',"lane":')[0]
                assert lane_lines(event.columns, head, exact=exact) == expected
        assert lines_of(event) == lines_of(dataclasses.replace(event, exact=event.exact))


@given(calls())
def test_an_event_is_the_same_from_rows_after_replace_and_pickle(call: Any) -> None:
    for event, again in zip(decoded(call), decoded(call), strict=True):
        whole = event.columns.values and all(
            np.isfinite(v.astype(float)).all() for v in event.columns.values.values()
        )
        alike = [again, pickle.loads(pickle.dumps(again)), copy.copy(event)]
        alike.append(dataclasses.replace(again, timestamp=event.timestamp))
        alike.append(copy.deepcopy(event))
        for other in alike:
            assert repr(other) == repr(event)
            assert lines_of(other) == lines_of(event)
            if whole and not event.columns.arrays and "nan" not in repr(event):
                assert other == event
        assert pickle.loads(pickle.dumps(event.columns)).rows() is not event.lanes


@given(calls())
def test_statistics_over_lanes_and_health_are_those_of_rows(call: Any) -> None:
    columns, rows = Tally(), Tally()
    for event in decoded(call):
        from_rows = Columns.of(event.lanes, event.keys)
        assert repr(values_across_lanes(event.columns, event.keys)) == repr(
            values_across_lanes(from_rows, event.keys)
        )
        names = ["mean", "std", "iqm"]
        assert repr(over_lanes(names, event.columns, event.keys)) == repr(
            over_lanes(names, from_rows, event.keys)
        )
        columns.add(event)
        rows.add(dataclasses.replace(event, finite=event.finite))
        assert repr(columns.to_json()) == repr(rows.to_json())
        assert columns.diverged() == rows.diverged()


def meaning(columns: Columns, name: str) -> Any:
    """A field of columns, without what has no meaning: what a lane has where it has no value."""
    found = getattr(columns, name)
    if name == "labels":  # in any order; numbers of Python have dtypes after they were rows
        plain = {k: [np.array(one).item() for one in found[k]] for k in sorted(found)}
        return {key: column for key, column in plain.items() if column.count(None) < len(column)}
    if not isinstance(found, Mapping):
        return [*found] if isinstance(found, np.ndarray) else found
    logged = {key: columns.present.get(key, np.ones(len(columns), bool)) for key in found}
    logged = {key: lanes for key, lanes in logged.items() if lanes.any()}
    if name == "present":
        return {key: lanes.tolist() for key, lanes in logged.items() if not lanes.all()}
    if name == "edges":
        return {key: found[key] for key in logged}
    return {
        key: found[key][lanes].tolist() if key in columns.edges else [*found[key][lanes]]
        for key, lanes in logged.items()
    }


@given(calls())
def test_columns_of_rows_have_what_the_decoded_ones_have(call: Any) -> None:
    for event in decoded(call):
        from_rows, columns = Columns.of(event.lanes, event.keys), event.columns
        for one in dataclasses.fields(Columns):
            found, expected = meaning(from_rows, one.name), meaning(columns, one.name)
            assert repr(found) == repr(expected), one.name
        for array in (*columns.values.values(), *columns.labels.values(), columns.lanes):
            assert not array.flags.writeable


def test_columns_of_rows_have_each_attribute_of_a_lane() -> None:
    event = filled.columns(filled.rows())
    assert "lanes" not in vars(event)
    for one, lane in zip(event.lanes, filled.rows().lanes, strict=True):
        assert filled.attributes(one) == filled.attributes(lane)


def num_rows() -> int:
    return sum(type(one) is Lane for one in gc.get_objects())


@pytest.mark.parametrize("num_lanes", [1, 100])
def test_rows_are_made_once_and_only_when_asked_for(num_lanes: int) -> None:
    fields = (Field(("step",), np.dtype(np.int32)), Field(("labels", "seed"), np.dtype(np.int32)),
              Field(("scalars", "loss"), np.dtype(np.float32)))  # fmt: skip
    schema = Schema("batch", fields)
    arrivals = []
    for step in range(3):
        seeds = np.arange(num_lanes, dtype=np.uint32)
        words = np.stack([np.full_like(seeds, step), seeds, seeds], axis=1)
        due = np.full(num_lanes, METRICS_DUE, np.uint32)
        head = header(0, schema.call_number, schema.head_words, (num_lanes,))
        (buffer,) = buffers_of(head, due[None], words[None], schema.head_words)
        arrivals.append(Arrival(1.7e9, Delivery(buffer)))
    before = num_rows()
    events = metrics(Decoder(schema, None, ["mean"]).events(arrivals, (), LaneTable("run")))
    tally = Tally()
    for event in events:
        tally.add(event)
        values_across_lanes(event.columns, event.keys)
        assert event.num_logged == num_lanes
        if num_lanes > 1:
            assert lines_of(event).count(b"\n") == num_lanes + 1
    assert num_rows() == before
    assert events[1].lanes is events[1].lanes is events[1].columns.rows()
    assert [lane.labels["seed"] for lane in events[1].lanes] == list(range(num_lanes))
