"""A run's health: which lanes died and since when, what is missing, what is lost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog._format.events import Key, Lane, MetricsEvent
from jaxlog._format.health import Health, Tally, health_of
from tests.conftest import MakeLogger


def event(step: int, values: list[float | None], name: str = "train") -> MetricsEvent:
    lanes = tuple(
        Lane(i, {}, {} if value is None else {"loss": value}) for i, value in enumerate(values)
    )
    keys = {"loss": Key("training", "loss", "")}
    return MetricsEvent(name, step, None, 0.0, lanes, keys, {}, len(values))


def nonfinite(tally: Tally) -> dict[str, dict[str, tuple[int, int]]]:
    """By call and key: the first and the last step at which a lane was not finite."""
    steps = {
        name: {key: tuple(found["steps"]) for key, found in call["keys"].items()}
        for name, call in tally.to_json().items()
    }
    return {name: keys for name, keys in steps.items() if keys}


VALUE = st.sampled_from([1.0, math.nan, math.inf, None])


@given(st.lists(st.lists(VALUE, min_size=3, max_size=3), min_size=1, max_size=8))
def test_a_lane_has_diverged_if_its_last_value_is_not_finite(
    table: list[list[float | None]],
) -> None:
    tally = Tally()
    for step, values in enumerate(table):
        tally.add(event(step, values))
    expected, dead = {}, []
    for lane in range(3):
        rows = enumerate(table)
        own = [(step, value) for step, row in rows if (value := row[lane]) is not None]
        for step, value in reversed(own):
            if math.isfinite(value):
                break
            expected[lane] = step
        dead += [step for step, value in own if not math.isfinite(value)]
    found = tally.diverged()
    assert (found.since if found else {}) == expected
    steps = {"train": {"loss": (min(dead), max(dead))}} if dead else {}
    assert nonfinite(tally) == steps
    again = Tally(json.loads(json.dumps(tally.to_json())))
    assert again.diverged() == found
    assert nonfinite(again) == nonfinite(tally)


@given(st.permutations(range(6)))
def test_the_order_in_which_steps_come_says_nothing(order: list[int]) -> None:
    values = [1.0, math.nan, math.nan, math.nan, math.nan, math.nan]
    tally = Tally()
    for step in order:
        tally.add(event(step, [values[step]]))
    found = tally.diverged()
    assert found is not None
    assert found.since == {0: 1}


def test_one_that_recovers_has_not_diverged_and_is_not_forgotten() -> None:
    tally = Tally()
    for step, value in enumerate([1.0, math.nan, 2.0]):
        tally.add(event(step, [value]))
    assert tally.diverged() is None
    assert nonfinite(tally) == {"train": {"loss": (1, 1)}}


def test_what_comes_again_after_a_resume_is_forgotten() -> None:
    tally = Tally()
    for step, values in enumerate([[1.0, math.nan], [1.0, math.nan], [math.nan, math.nan]]):
        tally.add(event(step, list(values)))
    tally.cut({"train": 2})
    found = tally.diverged()
    assert found is not None
    assert found.since == {1: 0}
    assert nonfinite(tally) == {"train": {"loss": (0, 1)}}
    tally.add(event(2, [1.0, 1.0]))
    assert tally.diverged() is None
    tally.add(event(3, [math.nan, 1.0]))
    tally.cut({})
    assert (tally.diverged(), nonfinite(tally)) == (None, {})


@pytest.mark.parametrize(("number", "why"), [(3, "c, b, a"), (5, "e, d, c and 2 more")])
def test_what_went_wrong_first_is_named_first(number: int, why: str) -> None:
    tally = Tally()
    for step in range(number):  # the last of the alphabet first
        name = "abcde"[number - 1 - step]
        keys = {name: Key("training", name, "")}
        lanes = (Lane(0, {}, {}), Lane(1, {}, {name: math.nan}))
        tally.add(MetricsEvent("train", step, None, 0.0, lanes, keys, {}, 2))
    assert Health(tally.diverged()).why == why
    assert str(tally.diverged()) == "diverged (1 of 2 lanes, from step 0)"


def test_a_metric_went_wrong_when_the_first_of_its_lanes_did() -> None:
    tally = Tally()
    for step, dead in {3: [("loss", 0)], 20: [("entropy", 0)], 50: [("loss", 1)]}.items():
        for name, lane in dead:
            lanes = tuple(Lane(i, {}, {name: math.nan} if i == lane else {}) for i in range(2))
            keys = {name: Key("training", name, "")}
            tally.add(MetricsEvent("train", step, None, 0.0, lanes, keys, {}, 2))
    assert Health(tally.diverged()).why == "loss, entropy"


@pytest.mark.parametrize(
    ("facts", "status", "done", "expected"),
    [
        ({}, "finished", None, ""),
        ({"total_updates": 100}, "finished", 100, ""),
        ({"total_updates": 100}, "finished", 60, "unfinished (60 of 100 updates)"),
        ({"total_steps": 100}, "finished", 60, "unfinished (60 of 100 updates)"),  # before 0.2
        ({"total_updates": 100}, "killed", 60, "unfinished (60 of 100 updates)"),
        ({"total_updates": 100}, "killed", 100, ""),
        ({"total_updates": 100, "steps": {"batch": 59}}, "failed", None,
         "unfinished (60 of 100 updates)"),
        ({}, "failed", None, "unfinished (failed)"),
        ({}, "interrupted", 1200, "unfinished (interrupted after 1,200 updates)"),
        ({"total_updates": 100}, "running", 60, ""),
        ({"total_updates": 100}, "unknown", 60, ""),
        ({"sinks": [{"kind": "jsonl", "lost": 3}, {"lost": "x"}, 3]}, "finished", None,
         "records lost (3)"),
        ({"sinks": 3, "health": {"a": 1, "b": {"lanes": "x"}}}, "finished", None, ""),
    ],
)  # fmt: skip
def test_in_words(facts: Mapping[str, Any], status: str, done: int | None, expected: str) -> None:
    found = health_of(facts, status, done)
    assert str(found) == expected
    assert bool(found) == bool(expected)
    assert isinstance(found, Health)


def test_run_json_has_it_after_a_run_and_after_a_kill(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(total_updates=8, log_frequency=1, sinks=[{"kind": "jsonl"}])

    def train(seed: jax.Array) -> None:
        def update(carry: None, step: jax.Array) -> tuple[None, None]:
            returns = jnp.where((seed == 1) & (step >= 5), jnp.nan, 1.0) + jnp.zeros(2)
            ended = jnp.full(2, step != 7)  # nothing ends at the last
            jaxlog.batch_step(logger, step, {"episode_returns": returns}, where=ended)
            return carry, None

        jax.lax.scan(update, None, jnp.arange(8))

    with logger.open(tmp_path) as run:
        jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(3)))
        run.flush()
        facts = json.loads((tmp_path / "run.json").read_text())
        assert str(health_of(facts, "running")) == "diverged (1 of 3 lanes, from step 5)"
    facts = json.loads((tmp_path / "run.json").read_text())
    found = health_of(facts, facts["status"])
    assert str(found) == "diverged (1 of 3 lanes, from step 5)"
    assert found.why == "episode_return"
