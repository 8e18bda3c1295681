"""What plain Python gives to a run: values of lanes, and what is refused at the door."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from tests.conftest import MakeLogger

FOUR = np.array([0.8, 0.9, 1.0, 0.7])


def test_a_vector_in_a_run_without_lanes_is_refused_with_what_to_do(
    make_logger: MakeLogger,
) -> None:
    logger = make_logger()
    with logger.open() as run:
        run.log({"accuracy": 0.9}, step=0)
        with pytest.raises(ValueError, match="per_class") as raised:
            run.log({"accuracy": 0.9, "per_class": FOUR}, step=0)
        run.log({"one": np.ones(1), "accuracy": [0.9]}, step=1)  # of the one lane there is
    assert str(raised.value) == (
        "values['per_class']: got float64[4], expected a number, since this run has no lanes; "
        "name each entry, as in {'per_class/0': ...}, or log one number, like .mean(); where the "
        "entries are lanes, give open a dict of labels for each, lanes=[{'seed': 0}, ...]"
    )
    assert run.arrived == 2
    first, second = run.sink("memory").metrics
    assert [len(event.lanes) for event in (first, second)] == [1, 1]
    assert second.lanes[0].metrics == {"one": 1.0, "accuracy": 0.9}


def test_the_lanes_are_those_of_open_and_of_the_programs_calls(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1)

    def train(shape: tuple[int, ...]) -> None:
        call = functools.partial(jaxlog.log, logger, 0)
        for _ in shape:
            call = jax.vmap(call)
        call({"loss": jnp.ones(shape)})

    with logger.open(lanes=[{"seed": 0}, {"seed": 1}]) as run:
        run.log({"x": [1.0, 2.0]}, step=0)
        with pytest.raises(ValueError, match="since this run has 2 lanes; name each entry"):
            run.log({"x": FOUR}, step=0)
    assert [lane.labels for lane in run.sink("memory").metrics[0].lanes] == [
        {"seed": 0},
        {"seed": 1},
    ]
    with logger.open() as run:
        train((4,))
        run.log({"x": FOUR}, step=0)  # what was dispatched is waited for
        with pytest.raises(ValueError, match="this run has 4 lanes"):
            run.log({"x": FOUR[:3]}, step=0)
        train((2, 3))
        run.log({"x": np.arange(6)}, step=0)
        with pytest.raises(ValueError, match="this run has 4, 6 lanes"):
            run.log({"x": FOUR[:3]}, step=0)
    assert [event.num_lanes for event in run.sink("memory").metrics if event.name == "eval"] == [
        4,
        6,
    ]


def test_a_run_that_goes_on_has_the_lanes_it_had(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path):
        jax.vmap(lambda x: jaxlog.log(logger, 0, {"loss": x}))(jnp.ones(4))
    for _ in range(2):
        with logger.open(tmp_path, if_exists="resume") as run:
            run.log({"x": FOUR}, step=0)
            with pytest.raises(ValueError, match="this run has 4 lanes"):
                run.log({"x": FOUR[:3]}, step=0)
    facts = json.loads((tmp_path / "run.json").read_text())
    for odd in ("4", [True, "4", 2.0], {"4": 4}, [[4]]):
        (tmp_path / "run.json").write_text(json.dumps(facts | {"lane_counts": odd}))
        with (
            logger.open(tmp_path, if_exists="resume") as run,
            pytest.raises(ValueError, match="this run has no lanes"),
        ):
            run.log({"x": FOUR}, step=0)


def nested(depth: int) -> Any:
    return functools.reduce(lambda inner, _: [inner], range(depth), 1.0)


def itself() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


TORN = "a\ud800"
NAME = "got the key 'a\\ud800', which is not valid Unicode"
LARGE = "got the integer 18446744073709551616, expected -2**63 to 2**64 - 1"


def in_a_program(call: Callable[[jaxlog.Logger], Any]) -> Callable[[jaxlog.Logger, Any], Any]:
    return lambda logger, run: jax.jit(lambda: call(logger))()


DOORS: list[tuple[Callable[[jaxlog.Logger, jaxlog.Run], Any], str]] = [
    (lambda logger, run: run.log({TORN: 1.0}, step=0), f"values: {NAME}"),
    (lambda logger, run: run.log({"a": 1.0}, step=0, labels={TORN: 1}), f"labels: {NAME}"),
    (lambda logger, run: run.log({"a": 2**64}, step=0), f"values['a']: {LARGE}"),
    (lambda logger, run: run.log({"a": 1}, step=0, labels={"b": 2**64}), f"labels['b']: {LARGE}"),
    (
        lambda logger, run: run.log({"a": itself()}, step=0),
        "values['a']: got a container that holds",
    ),
    (lambda logger, run: jaxlog.log(logger, 0, {TORN: 1.0}), f": {NAME}"),
    (lambda logger, run: jaxlog.log(logger, 0, {"a": 2**64}), f"values['a']: {LARGE}"),
    (lambda logger, run: logger.log_step({TORN: 1.0}), f"step: {NAME}"),
    (
        lambda logger, run: logger.log_step({"b": {TORN: 1.0}}),
        "step: got the key 'b.a\\ud800', which",
    ),
    (lambda logger, run: logger.log_step({"a": 2**64}), f"step['a']: {LARGE}"),
    (lambda logger, run: logger.log_step({"a": -(2**63) - 1}), "step['a']: got the integer -9223"),
    (lambda logger, run: logger.log_step({"a": {"b": [2**64, "x"]}}), f"step['a.b.0']: {LARGE}"),
    (
        lambda logger, run: logger.log_step({"a": itself()}),
        "step['a']: got a container that holds itself",
    ),
    (
        lambda logger, run: logger.log_step({"a": nested(5000)}),
        "step['a']: got containers nested more than 32",
    ),
    (lambda logger, run: logger.log_task_start({TORN: 1.0}), f"task: {NAME}"),
    (lambda logger, run: logger.log_task_start({"task_id": 2**64}), f"task['task_id']: {LARGE}"),
    (lambda logger, run: logger.log_episode_summary({TORN: 1.0}), f"summary: {NAME}"),
    (
        lambda logger, run: logger.log_evaluation_summary({"a": nested(40)}),
        "summary['a']: got containers",
    ),
    (in_a_program(lambda logger: jaxlog.log(logger, 0, {TORN: 1.0})), f": {NAME}"),
    (in_a_program(lambda logger: jaxlog.batch_step(logger, 0, {TORN: 1.0})), f": {NAME}"),
    (
        in_a_program(lambda logger: jaxlog.batch_step(logger, 0, {"a": 1.0}, labels={TORN: 1})),
        f"labels: {NAME}",
    ),
    (
        in_a_program(
            lambda logger: jaxlog.batch_step(
                logger, 0, {"episode_returns": jnp.ones(2)}, details={TORN: jnp.ones(2)}
            )
        ),
        f"details: {NAME}",
    ),
    (
        in_a_program(
            lambda logger: jaxlog.batch_step(
                logger, 0, {"episode_returns": jnp.ones(2)}, details=itself()
            )
        ),
        "details: got a container that holds itself",
    ),
]


@pytest.mark.parametrize("number", range(len(DOORS)))
def test_what_no_file_can_hold_is_refused_at_the_door(
    number: int, make_logger: MakeLogger, tmp_path: Path
) -> None:
    call, text = DOORS[number]
    kinds = ("memory", "jsonl", "tensorboard")
    logger = make_logger(log_frequency=1, sinks=[{"kind": kind} for kind in kinds])
    with logger.open(tmp_path) as run:
        with pytest.raises(ValueError, match="got") as raised:
            call(logger, run)
        assert text in str(raised.value)
        logger.log_step({"reward": 1.0, "text": TORN, "limits": [2**64 - 1, -(2**63)]})
        run.log({"a": 2**64 - 1}, step=0, labels={"b": 2**64 - 1, "c": TORN})
    for account in run.accounts():
        assert (account.arrived, account.written, account.failure) == (2, 2, None)
    (line,) = map(json.loads, (tmp_path / "eval_metrics.jsonl").read_text().splitlines())
    assert (line["metrics"], line["labels"]) == ({"a": 2**64 - 1}, {"b": 2**64 - 1, "c": "a?"})


def test_labels_of_plain_python_are_numbers_and_texts(make_logger: MakeLogger) -> None:
    labels = {
        "a": np.float32(0.1),
        "b": jnp.int32(3),
        "c": np.int64(2),
        "d": np.float64(0.5),
        "e": np.str_("x"),
        "f": np.True_,
        "g": jnp.float32(0.1),
        "h": np.array("y"),
    }
    with make_logger().open() as run:
        run.log({"x": 1.0}, step=0, labels=labels)
    (event,) = run.sink("memory").metrics
    expected = {"a": 0.1, "b": 3, "c": 2, "d": 0.5, "e": "x", "f": True, "g": 0.1, "h": "y"}
    assert json.dumps(event.lanes[0].labels) == json.dumps(expected)
