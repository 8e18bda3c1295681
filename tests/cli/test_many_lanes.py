"""Events of many lanes are read as columns, with the same result as line by line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog._format.columns import Columns
from jaxlog._format.events import Event, MetricsEvent
from jaxlog._format.from_lines import events_from
from jaxlog._format.from_many_lines import event_of_many
from jaxlog._reading.finding import event_files
from jaxlog._watching import lines
from jaxlog._watching.history import last_events, logged_before, progress, tally
from jaxlog._watching.observed_run import observed
from tests.cli.conftest import Command

LANES = 300
STEPS = 4
FILES = {"jsonl": "batch_metrics.jsonl", "arrow": "batch_metrics.arrows"}
NEVER = 10**9


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with many lanes for each sink: some have no value, some one that is not finite."""

    def update(seed: jax.Array, step: jax.Array) -> None:
        metrics = {
            "episode_returns": jnp.arange(4.0) * 0.1 + step + seed,
            "loss": jnp.where((seed == 7) & (step > 1), jnp.nan, 0.3 / (step + 1.0)),
            "level": seed * 3,
        }
        where = jnp.broadcast_to(seed % 5 != 0, (4,))
        jaxlog.batch_step(logger, step, metrics, where=where, labels={"seed": seed})

    found = {}
    for kind in FILES:
        settings = {
            "batched_logging_enabled": True,
            "log_frequency": 1,
            "env_steps_per_update": 8,
            "statistics": {"default": ["mean", "max", "count"]},
            "sinks": [{"kind": kind}],
        }
        logger = jaxlog.Logger(settings, total_updates=STEPS)
        found[kind] = tmp_path_factory.mktemp("wide") / "one"
        with jax.numpy_dtype_promotion("standard"), logger.open(found[kind]):
            every = jax.jit(jax.vmap(update, in_axes=(0, None)))
            for step in range(STEPS):
                every(jnp.arange(LANES), step)
    return found


def metrics(events: Iterable[Event]) -> list[MetricsEvent]:
    return [event for event in events if isinstance(event, MetricsEvent)]


def known(event: MetricsEvent) -> dict[str, Any]:
    """The fields of an event, with its lanes as text, in which NaN equals NaN."""
    fields = {name: getattr(event, name) for name in ("name", "step", "env_step", "timestamp")}
    lanes = [
        (
            lane.index,
            list(lane.labels.items()),
            sorted((key, str(value)) for key, value in lane.values.items()),
            lane.position,
        )
        for lane in event.lanes
    ]
    return fields | {
        "lanes": lanes,
        "keys": list(event.keys.items()),
        "num": event.num_lanes,
        "total": event.total_updates,
    }


@pytest.mark.parametrize("kind", FILES)
def test_columns_have_what_the_lines_have(
    wide: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = observed(wide[kind]).facts["calls"]
    files = event_files(wide[kind])
    found = metrics(last_events(files, calls))
    assert [event.has_columns for event in found] == [True] * STEPS
    monkeypatch.setattr(lines, "MANY", NEVER)
    rows = metrics(last_events(files, calls))
    assert [event.has_columns for event in rows] == [False] * STEPS
    assert list(map(known, found)) == list(map(known, rows))
    assert len(rows[0].lanes) == LANES


@pytest.mark.parametrize("kind", FILES)
def test_show_says_the_same(
    wide: dict[str, Path], kind: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_rows(columns: Columns) -> Any:
        raise AssertionError(columns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Columns, "rows", no_rows)  # an object for each lane
        found = command("show", wide[kind])
    assert "299 of 300 lanes" in found.out
    assert "seed 0, 1, 2, 3, 4, 5, 6, 7, …" in found.out
    monkeypatch.setattr(lines, "MANY", NEVER)
    by_line = command("show", wide[kind])
    # The first line says how long ago the run finished.
    assert by_line.out.splitlines()[1:] == found.out.splitlines()[1:]


@pytest.mark.parametrize("kind", FILES)
def test_the_values_that_are_not_finite_are_counted(wide: dict[str, Path], kind: str) -> None:
    run = observed(wide[kind])
    counts = run.facts["health"]
    found = tally(run._replace(status="killed"), event_files(run.path))
    assert found is not None
    assert found.to_json() == counts
    assert counts["batch"]["keys"]["loss"]["dead"] == {"7": 2}
    assert progress(run)[0] == STEPS


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("number", [0, 1, 3, 4, 9])
def test_the_last_events_begin_where_their_first_lane_does(
    wide: dict[str, Path], kind: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wide[kind] / FILES[kind]
    start = lines.last(path, number)
    left = sum(1 for _ in lines.forwards(path, start))
    assert left == min(number, STEPS) * LANES
    events = list(lines.events_backwards(path))
    assert [step for _, step in events] == sorted((step for _, step in events), reverse=True)
    monkeypatch.setattr(lines, "MANY", NEVER)
    assert lines.last(path, number) == start
    assert list(lines.events_backwards(path)) == events


@pytest.mark.parametrize("kind", FILES)
def test_steps_before_the_last_events(
    wide: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jaxlog._watching.history.READ", 2)
    monkeypatch.setattr("jaxlog._watching.spread.SMALL", 0)
    files = event_files(wide[kind])
    history = [*last_events(files), *lines.events_since(wide[kind] / FILES[kind], 0)]
    before = logged_before(files, history)
    assert [before("batch", step) for step in range(STEPS + 1)] == [True] * 2 + [False] * 3


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 7), st.booleans()), max_size=9),
    st.integers(1, 40),
    st.booleans(),
)
def test_events_backwards_with_many_lines_skips_none(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[int, int, bool]],
    block: int,
    torn: bool,
) -> None:
    path = tmp_path_factory.mktemp("lines") / "some_metrics.jsonl"
    text = b""
    for step, number, has_gap in events:
        text += b'{"timestamp":1.5,"step":%d,"lane":0}\n' % step * number + b"\n" * has_gap
    path.write_bytes(text + b'{"timestamp":1.5,"st' * torn)
    with pytest.MonkeyPatch.context() as patch:
        one_by_one = list(lines.events_backwards(path))
        patch.setattr(lines, "MANY", 2)
        patch.setattr(lines, "_LARGE_BLOCK", block)
        assert list(lines.events_backwards(path)) == one_by_one


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.sampled_from([None, True, 3, "text", [1.0], {"edges": [0]}]),
)
LINES = st.fixed_dictionaries(
    {
        "lane": st.integers(0, 5),
        "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from([1, 0.5, "x"])),
        "metrics": st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3),
    },
    optional={"nonfinite": st.just({"x": "nan"}), "lane_position": st.just([1, 2])},
)


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(1, 3))
def test_any_lines_give_the_same_event_or_none(found: list[dict[str, Any]], chunk: int) -> None:
    texts = []
    for line in found:
        head = {"timestamp": 1.5, "step": 3}
        try:
            texts.append(orjson.dumps(head | line))
        except TypeError:  # orjson writes integers of 64 bits only
            texts.append(orjson.dumps(head | line | {"metrics": {"x": 2}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxlog._format.from_many_lines._CHUNK", chunk)
        event = event_of_many("batch", texts)
    (rows,) = metrics(events_from("batch_metrics.jsonl", [orjson.loads(text) for text in texts]))
    if event is not None:
        own, others = known(event), known(rows)
        own["keys"], others["keys"] = sorted(own["keys"]), sorted(others["keys"])
        own["lanes"], others["lanes"] = (
            [
                (index, sorted(labels), sorted(values), position)
                for index, labels, values, position in lanes
            ]
            for lanes in (own["lanes"], others["lanes"])
        )
        assert own == others


@pytest.mark.parametrize(
    "damaged",
    [
        b"{",
        b"1, 2",
        b'{"lane":0}',
        b'{"timestamp":1.5,"step":3,"lane":0,"labels":{},"metrics":{}},{"lane":1}',
        b'{"timestamp":1.5,"step":3,"lane":0,"labels":{},"metrics":{"x":%b1%b}}'
        % (b"[" * 70, b"]" * 70),
    ],
)
def test_damaged_lines_are_left_to_the_rows(damaged: bytes) -> None:
    line = b'{"timestamp":1.5,"step":3,"lane":0,"labels":{},"metrics":{"x":1.0}}'
    assert event_of_many("batch", [line, damaged]) is None
    event = event_of_many("batch", [line, line])
    assert event is not None
    assert event.columns.values["x"].tolist() == [1.0, 1.0]
    assert event.columns.values["x"].dtype == np.float64
