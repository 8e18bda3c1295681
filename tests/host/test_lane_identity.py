"""Lanes that run one after another, and labels that change along a lane."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog._format.events import Key, Lane, MetricsEvent
from jaxlog._host.lane_identity import MAX_KEPT, Identities, LaneIdentity, LaneTable, numbered
from jaxlog._host.lane_labels import RecordLabels
from tests.conftest import MakeLogger
from tests.format import filled

Numbers = dict[str, set[tuple[Any, ...]]]


def numbers(sink: Any, *labels: str) -> Numbers:
    """Of each call, the lanes' numbers with the labels that each had."""
    found: Numbers = {}
    for event in sink.metrics:
        for lane in event.lanes:
            values = (float(lane.labels[key]) for key in labels if key in lane.labels)
            found.setdefault(event.name, set()).add((lane.index, *values))
    return found


def train(logger: jaxlog.Logger, num_steps: int = 3, **labels: Any) -> jax.Array:
    def update(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        jaxlog.log(logger, step, {"score": x}, labels=labels)
        jaxlog.log(
            logger, step, {"x": x}, name="eval", labels={"seed": labels["seed"]}, when=step == 2
        )
        return x + 1.0, None

    return jax.lax.scan(update, jnp.float32(0.0), jnp.arange(num_steps))[0]


def mapped(logger: jaxlog.Logger) -> None:
    jax.jit(lambda: jax.lax.map(lambda seed: train(logger, seed=seed), jnp.arange(4)))()


def in_a_loop(logger: jaxlog.Logger) -> None:
    program = jax.jit(lambda seed: train(logger, seed=seed))
    for seed in range(4):
        program(seed)


def in_batches(logger: jaxlog.Logger) -> None:
    jax.jit(
        lambda: jax.lax.map(lambda seed: train(logger, seed=seed), jnp.arange(4), batch_size=2)
    )()


@pytest.mark.parametrize("program", [mapped, in_a_loop, in_batches])
def test_seeds_that_run_in_turn_are_lanes(
    program: Callable[[jaxlog.Logger], None], make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(log_frequency=1)
    sink = logged(logger, lambda: program(logger))
    lanes = {(i, float(i)) for i in range(4)}
    assert numbers(sink, "seed") == {"train": lanes, "eval": lanes}
    assert len([lane for event in sink.metrics for lane in event.lanes]) == 4 * 3 + 4
    assert max(event.num_lanes for event in sink.metrics) == 4


def test_every_reader_has_each_of_them(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "run"):
        mapped(logger)
    arrays = jaxlog.read_run(tmp_path / "run").arrays()
    assert arrays["score"].tolist() == [[0.0, 1.0, 2.0]] * 4
    assert arrays["seed"].tolist() == [0, 1, 2, 3]
    scores = jaxlog.compare(tmp_path / "run", "score").scores
    assert scores["lane"].to_list() == [0, 1, 2, 3]


def test_a_vmap_in_a_loop_goes_on_counting(
    make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(log_frequency=1, over_lanes=["mean"])
    program = jax.jit(jax.vmap(lambda seed, lr: train(logger, seed=seed, lr=lr), (0, None)))

    def loop() -> None:
        for lr in (0.1, 0.2, 0.3):
            program(jnp.arange(2), lr)

    sink = logged(logger, loop)
    wanted = {(2 * i + s, s, lr) for i, lr in enumerate((0.1, 0.2, 0.3)) for s in range(2)}
    found = numbers(sink, "seed", "lr")["train"]
    assert {(i, s, round(lr, 6)) for i, s, lr in found} == wanted
    last = sink.metrics[-2]
    assert (last.num_lanes, [lane.series for lane in last.lanes]) == (6, [2, 2])
    assert last.over_lanes["mean"]["score"] == last.lanes[0].metrics["score"]


def test_a_label_that_changes_is_one_lane_and_said_once(
    make_logger: MakeLogger, logged: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(log_frequency=1)

    def lane(seed: jax.Array) -> jax.Array:
        def update(lr: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            labels = {"seed": seed, "lr": lr}
            jaxlog.log(logger, step, {"score": lr}, labels=labels)
            jaxlog.log(logger, step, {"x": lr}, labels={"lr": lr}, name="eval")
            return jnp.where(step % 5 == 4, 2 * lr, lr), None

        return jax.lax.scan(update, 0.5 + seed.astype(np.float32), jnp.arange(12))[0]

    sink = logged(logger, lambda: jax.jit(jax.vmap(lane))(jnp.arange(2)))
    rates = {(0, 0.5), (0, 1.0), (0, 2.0), (1, 1.5), (1, 3.0), (1, 6.0)}
    assert numbers(sink, "lr") == {"train": rates, "eval": rates}
    for event in sink.metrics:
        assert event.num_lanes == 2
        assert [lane.named_by["lr"] for lane in event.lanes] == [0.5, 1.5]
    (said,) = caplog.messages
    assert said.replace("'eval'", "'train'") == (
        "jaxlog: run jaxlog: the call 'train': the label 'lr' of lane 0 changes along the lane, "
        "from 0.5 to 1.0 at step 5. It stays one lane. If another program begins there, count its "
        "steps from 0 again, or log it in a run of its own. Said once for each label."
    )


@pytest.mark.parametrize("unroll", [1, 4])
def test_the_order_in_which_records_come_does_not_matter(
    unroll: int, make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(log_frequency=1)

    rates = 0.5 ** jnp.arange(4.0)

    def program() -> None:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            jaxlog.log(logger, step, {"x": step}, labels={"lr": rates[step // 2]})
            return None, None

        jax.jit(lambda: jax.lax.scan(update, None, jnp.arange(8), unroll=unroll)[1])()

    assert {number for number, _ in numbers(logged(logger, program), "lr")["train"]} == {0}


def test_layers_of_a_scan_are_lanes_and_seeds_after_them(
    make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(log_frequency=1)

    def program(seed: jax.Array) -> None:
        def update(lr: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            def layer(x: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
                labels = {"seed": seed, "layer": number, "lr": lr}
                jaxlog.log(logger, step, {"norm": x}, labels=labels)
                return x + 1.0, None

            jax.lax.scan(layer, jnp.float32(0.0), jnp.arange(3))
            return jnp.where(step == 2, lr / 2, lr), None

        jax.lax.scan(update, jnp.float32(1.0), jnp.arange(5))

    jitted = jax.jit(program)
    sink = logged(logger, lambda: [jitted(seed) for seed in range(2)])
    found = {(i, s, n) for i, s, n, _ in numbers(sink, "seed", "layer", "lr")["train"]}
    assert found == {(3 * s + n, s, n) for s in range(2) for n in range(3)}


def test_a_call_outside_of_the_vmap_finds_its_lane(
    make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(log_frequency=1)

    def program() -> None:
        jax.jit(jax.vmap(lambda seed: train(logger, seed=seed)))(jnp.array([5, 6, 7]))
        evaluate = jax.jit(
            lambda seed: jaxlog.log(logger, 9, {"y": 1.0}, name="after", labels={"seed": seed})
        )
        run = logger._writing_engine()
        assert run is not None
        for seed in (7, 5, 8):
            evaluate(seed)
            run.log({"z": 2.0}, name="last", labels={"seed": np.int64(seed)})

    sink = logged(logger, program)
    lanes = {(2, 7.0), (0, 5.0), (3, 8.0)}
    found = numbers(sink, "seed")
    assert (found["after"], found["last"]) == (lanes, lanes)
    assert not any(lane.alone for e in sink.metrics for lane in e.lanes if lane.index < 3)


def test_labels_of_other_names_say_nothing_of_each_other(
    make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(log_frequency=1)

    def program() -> None:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            jaxlog.log(logger, step, {"x": 1.0}, labels={"seed": 3})
            jaxlog.log(logger, step, {"x": 1.0}, labels={"task": 7}, name="eval")
            jaxlog.log(logger, step, {"x": 1.0}, name="without")
            return None, None

        jax.jit(lambda: jax.lax.scan(update, None, jnp.arange(3))[1])()

    found = numbers(logged(logger, program), "seed", "task")
    assert found == {"train": {(0, 3.0)}, "eval": {(0, 7.0)}, "without": {(0,)}}


def test_a_label_of_nan_is_like_itself(
    make_logger: MakeLogger, logged: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(log_frequency=1)

    def program() -> None:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            jaxlog.log(logger, step, {"x": 1.0}, labels={"clip": jnp.float32(np.nan)})
            return None, None

        jitted = jax.jit(lambda first: jax.lax.scan(update, None, first + jnp.arange(3))[1])
        for step in range(0, 9, 3):
            jitted(step)
            run = logger._writing_engine()
            assert run is not None
            run.log({"x": 1.0}, name="last", labels={"clip": np.nan}, step=step)

    assert {i for f in numbers(logged(logger, program), "clip").values() for i, _ in f} == {0}
    assert not caplog.messages


def test_records_that_are_returned_have_the_same_lanes(
    make_logger: MakeLogger, logged: Callable[..., Any]
) -> None:
    logger = make_logger(log_frequency=1, delivery="return")

    def lane(seed: jax.Array) -> Any:
        def update(x: jax.Array, step: jax.Array) -> Any:
            return x, jaxlog.log(logger, step, {"score": x}, labels={"seed": seed})

        return jax.lax.scan(update, jnp.float32(0.0), jnp.arange(3))[1]

    def program() -> None:
        logger.write(jax.jit(lambda: jax.lax.map(lane, jnp.arange(4)))())

    assert numbers(logged(logger, program), "seed") == {"train": {(i, float(i)) for i in range(4)}}


def labelled(logger: jaxlog.Logger, seed: int, steps: Any, lr: float = 0.5) -> None:
    def update(_: None, step: jax.Array) -> tuple[None, None]:
        labels = {"seed": seed, "lr": lr * 2.0 ** (step // 4).astype(np.float32)}
        jaxlog.log(logger, step, {"x": step}, labels=labels)
        return None, None

    jax.block_until_ready(jax.jit(lambda steps: jax.lax.scan(update, None, steps)[1])(steps))


@pytest.mark.parametrize("stopped", ["with a state", "at its end", "killed"])
def test_a_run_that_goes_on_has_the_lanes_of_one_that_nobody_stopped(
    stopped: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    make = partial(make_logger, log_frequency=1, sinks=[{"kind": "jsonl"}, {"kind": "memory"}])
    first = make()
    state = None
    with first.open(tmp_path / "run") as run:
        for seed in (3, 4):
            labelled(first, seed, jnp.arange(8))
        labelled(first, 5, jnp.arange(5))
        run.flush()
        held = (tmp_path / "run" / "run.json").read_bytes()
        if stopped == "with a state":
            state = run.state()
            labelled(first, 5, jnp.arange(5, 8))  # what comes again
            labelled(first, 6, jnp.arange(1))
    if stopped == "killed":
        (tmp_path / "run" / "run.json").write_bytes(held)
    second = make()
    with second.open(tmp_path / "run", if_exists="resume", state=state) as run:
        labelled(second, 5, jnp.arange(5, 8))
        labelled(second, 6, jnp.arange(8))
        labelled(second, 3, jnp.arange(8, 9))
        run.flush()
        names = {
            lane.index: dict(lane.named_by)
            for event in run.sink("memory").metrics
            for lane in event.lanes
        }
    lines = [
        json.loads(line)
        for line in (tmp_path / "run" / "train_metrics.jsonl").read_text().splitlines()
    ]
    found = [(line["lane"], line["labels"]["seed"], line["step"]) for line in lines]
    wanted = [(seed - 3, seed, step) for seed in (3, 4, 5, 6) for step in range(8)]
    assert sorted(found) == sorted([*wanted, (0, 3, 8)])
    assert names == {i: {"seed": 3 + i, "lr": 0.5} for i in (0, 2, 3)}


def test_a_state_with_many_lanes_goes_on_with_all_of_them(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    make = partial(make_logger, sinks=[{"kind": "jsonl"}, {"kind": "memory"}])
    with make().open(tmp_path / "run") as run:
        for seed in range(70):  # more than a mark keeps
            run.log({"x": 1.0}, step=0, labels={"seed": seed})
        state = run.state()
    with make().open(tmp_path / "run", if_exists="resume", state=state) as run:
        for seed in (69, 5):
            run.log({"x": 1.0}, step=1, labels={"seed": seed})
        run.flush()
        lanes = [lane for event in run.sink("memory").metrics for lane in event.lanes]
    assert [(lane.index, lane.labels["seed"]) for lane in lanes] == [(69, 69), (5, 5)]


def test_seeds_of_a_later_session_are_other_lanes(make_logger: MakeLogger, tmp_path: Path) -> None:
    for session in range(2):
        logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}])
        with logger.open(tmp_path / "run", if_exists="resume"):
            jax.jit(jax.vmap(lambda seed, logger=logger: train(logger, seed=seed)))(
                jnp.arange(2) + 2 * session
            )
    frame = jaxlog.read_run(tmp_path / "run").metrics.filter(pl.col("score").is_not_null())
    assert set(frame.select("lane", "seed").rows()) == {(i, i) for i in range(4)}


def test_what_a_run_keeps_of_its_lanes_is_bounded(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "run") as run:
        jax.vmap(lambda seed: train(logger, seed=seed))(jnp.arange(MAX_KEPT))
        run.flush()
        assert len(json.loads((tmp_path / "run" / "run.json").read_text()).get("lane_labels", ()))
        jax.vmap(lambda seed: train(logger, seed=seed))(jnp.arange(MAX_KEPT) + MAX_KEPT)
    assert "lane_labels" not in json.loads((tmp_path / "run" / "run.json").read_text())


def test_a_label_that_differs_on_each_line_ends_somewhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("jaxlog._host.lane_identity.MAX_LANES", 3)
    table = LaneTable("run")
    found = [
        table.of_event(event("eval", 0, {"time": float(i)}), []).lanes[0].index for i in range(6)
    ]
    assert found == [0, 1, 2, 2, 2, 2]
    (said,) = caplog.messages
    assert "run run: the call 'eval' logs more than 3 lanes in turn, told apart by" in said


def event(name: str, step: int, labels: dict[str, Any]) -> MetricsEvent:
    lane = Lane(0, labels, {"x": 1.0})
    return MetricsEvent(name, step, None, 0.0, (lane,), {"x": Key("other", "x", "")})


def test_lanes_side_by_side_are_counted_by_whole_passes() -> None:
    table = LaneTable("run")
    found = []
    for seeds in ((0, 1), (2, 3), (4,), (5, 6)):
        lanes = tuple(Lane(i, {"seed": seed}, {"x": 1.0}) for i, seed in enumerate(seeds))
        one = MetricsEvent("eval", 0, None, 0.0, lanes, {}, num_lanes=2)
        numbered = table.of_event(one, [])
        found.append(([lane.index for lane in numbered.lanes], numbered.num_lanes))
    assert found == [([0, 1], 2), ([2, 3], 4), ([4], 6), ([6, 5], 8)]


def records(
    table: LaneTable, call: int, axes: tuple[int, ...], labels: dict[str, np.ndarray], step: int
) -> Identities:
    """Finds the lanes of one record of a program, all of whose lanes are due."""
    num_lanes = len(labels["seed"])
    words = np.stack([column.view(np.uint32) for column in labels.values()], axis=1)
    (found,) = table.of_records(
        f"call_{call}",
        call,
        axes,
        [[]],
        np.full((1, num_lanes), step),
        np.ones((1, num_lanes), np.bool_),
        words[None],
        RecordLabels((), labels),
        [0],
    )
    return found


LANES = st.fixed_dictionaries(
    {
        "seed": st.sampled_from([(0, 1, 2), (0, 0, 1), (3, 4, 5), (0, 1, 5), (2, 1, 0)]),
        "lr": st.sampled_from([None, (0.1, 0.1, 0.1), (np.nan, 0.1, 0.2), (0.1, 0.2, 0.3)]),
    }
)


@given(
    st.lists(
        st.tuples(st.integers(1, 2), LANES, st.integers(0, 3), st.booleans()),
        min_size=1,
        max_size=6,
    )
)
def test_lanes_that_are_made_late_have_the_same_numbers(
    found: list[tuple[int, dict[str, Any], int, bool]],
) -> None:
    """The lanes of the first records are made only if they are needed."""

    class Eager(LaneTable):
        def _is_of_new_lanes(self, first: Any) -> bool:
            return False

    tables = LaneTable("run"), Eager("run")
    for call, given_labels, step, of_host in found:
        labels: dict[str, np.ndarray] = {"seed": np.array(given_labels["seed"], np.int32)}
        if given_labels["lr"] is not None:
            labels["lr"] = np.array(given_labels["lr"], np.float32)
        # A call has the same labels at each record.
        number = 2 * call + len(labels)
        one, other = (records(table, number, (3,), labels, step) for table in tables)
        assert repr(one) == repr(other)
        if of_host:
            logged = event("eval", step, {"seed": int(labels["seed"][0])})
            one, other = (table.of_event(logged, []) for table in tables)
            assert one.lanes == other.lanes
        assert len({table.num_lanes((3,)) for table in tables}) == 1
    assert all(table.has_changed() for table in tables)
    assert repr(tables[0].facts()) == repr(tables[1].facts())  # NaN is not equal to itself
    assert not any(table.has_changed() for table in tables)


def test_lanes_of_a_run_with_one_vmap_are_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LaneTable, "_find", None)
    table = LaneTable("run")
    labels = {"seed": np.arange(MAX_KEPT + 1, dtype=np.int32)}
    for step in range(3):
        for call in (1, 2):
            found = records(table, call, (MAX_KEPT + 1,), labels, step)
            assert found.numbers.tolist() == list(range(MAX_KEPT + 1))
    assert table.facts() == []


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=5),
    st.booleans(),
    st.lists(st.integers(0, 40), max_size=5),
)
def test_all_sinks_have_the_same_numbers(
    lengths: list[int], changes: bool, cuts: list[int]
) -> None:
    events = [
        event("train", step, {"seed": seed, "lr": 0.5**step if changes else 1.0})
        for seed, length in enumerate(lengths)
        for step in range(length)
    ]
    table, memory = LaneTable("run"), [[] for _ in events]  # type: ignore[var-annotated]
    first = [table.of_event(*pair) for pair in zip(events, memory, strict=True)]
    assert [e.lanes[0].index for e in first] == [e.lanes[0].labels["seed"] for e in events]
    again = [table.of_event(*pair) for pair in zip(events, memory, strict=True)]
    assert [e.lanes for e in again] == [e.lanes for e in first]
    # And after a restart in the middle.
    cut = min([*cuts, len(events)])
    other = LaneTable("run")
    for one in events[:cut]:
        other.of_event(one, [])
    resumed = LaneTable("run")
    resumed.take_up(json.loads(json.dumps(other.facts())), {})
    rest = [resumed.of_event(one, []) for one in events[cut:]]
    assert [e.lanes[0].index for e in rest] == [e.lanes[0].labels["seed"] for e in events[cut:]]


def test_a_lane_that_gets_its_number_keeps_everything_else() -> None:
    lane, identity = filled.filled(Lane), LaneIdentity(90, 2, False, None)
    found, own = filled.attributes(numbered(lane, identity)), {"index": 90, "series": 2}
    own |= {"alone": False, "first_labels": None}
    assert found == filled.attributes(lane) | own
