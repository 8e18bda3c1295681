"""One environment, step by step, from plain Python."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import jaxlog


class State(NamedTuple):
    board: Any
    turn: Any
    key: Any


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def a_logger(*kinds: str, **settings: Any) -> jaxlog.Logger:
    return jaxlog.Logger(settings | {"sinks": [{"kind": kind} for kind in kinds]})


def test_a_loop_of_python_leaves_a_line_for_all_it_told(tmp_path: Path) -> None:
    logger = a_logger("jsonl", "memory")  # no batched logging in the settings
    with logger.open(tmp_path) as run:
        for task in range(2):
            logger.log_task_start({"task_id": f"maze-{task}", "size": 3, "map": np.eye(3)})
            for step in range(3):
                logger.log_step({"reward": step / 2, "state": jnp.full((2, 2), step)})
            logger.log_episode_summary({"total_reward": 1.5, "total_steps": 3, "success": True})
        logger.log_evaluation_summary({"success_rate": np.float32(0.5), "best": "maze-1"})
    assert [line["task"]["task_id"] for line in lines(tmp_path / "tasks.jsonl")] == [
        "maze-0",
        "maze-1",
    ]
    steps = lines(tmp_path / "steps.jsonl")
    assert [line["step"] for line in steps] == [0, 1, 2, 3, 4, 5]
    assert [line["episode"] for line in steps] == [0, 0, 0, 1, 1, 1]
    assert [line["labels"]["task_id"] for line in steps] == ["maze-0"] * 3 + ["maze-1"] * 3
    assert steps[4]["values"] == {"reward": 0.5}
    assert steps[4]["details"] == {"state": [[1, 1], [1, 1]]}
    episodes = lines(tmp_path / "episodes.jsonl")
    assert [line["step"] for line in episodes] == [2, 5]
    assert episodes[1]["episode"] == {"total_reward": 1.5, "total_steps": 3, "success": True}
    (evaluation,) = lines(tmp_path / "evaluations.jsonl")
    assert evaluation["step"] == 5
    assert evaluation["evaluation"] == {"success_rate": 0.5, "best": "maze-1"}
    sink = run.sink("memory")
    assert (len(sink.tasks), len(sink.steps), len(sink.episodes), len(sink.evaluations)) == (
        2, 6, 2, 1,
    )  # fmt: skip
    assert run.arrived == 11
    assert [account.written for account in run.accounts()] == [11, 11]
    assert sink.tasks[0].details["map"].tolist() == np.eye(3).tolist()


def test_whatever_is_told_keeps_its_values_its_order_and_its_structure() -> None:
    logger, board = a_logger("memory"), np.arange(4)
    state = State(board, jnp.int32(1), jax.random.key(3))
    with logger.open() as run:
        logger.log_step(
            {
                "z": 1,
                "state": state,
                "action": [0.5, 1.5],
                "huge": 2**64 - 1,
                "half": ml_dtypes.bfloat16(0.5),
                "text": "a\udcff",
                "none": None,
                "nested": {"b": {"c": True}},
            }
        )
        board[:] = 9  # an environment may write into its state
    (event,) = run.sink("memory").steps
    assert list(event.values) == ["z", "state.turn", "huge", "half", "text", "nested.b.c"]
    assert list(event.details) == ["state.board", "state.key", "action"]
    assert event.values["huge"] == 2**64 - 1
    assert event.values["text"] == "a?"
    assert event.details["state.board"].tolist() == [0, 1, 2, 3]
    assert event.details["action"].tolist() == [0.5, 1.5]
    assert isinstance(event.tree["state"], State)
    assert event.tree["state"].board is event.details["state.board"]
    assert event.tree["nested"] == {"b": {"c": True}}


def test_episodes_alone_are_counted_by_their_steps() -> None:
    logger = a_logger("memory")
    with logger.open() as run:
        logger.log_episode_summary({"total_steps": 20})
        logger.log_episode_summary({"total_steps": np.int64(5)})
        logger.log_episode_summary({"total_reward": 1.0})
    assert [event.step for event in run.sink("memory").episodes] == [19, 24, 25]


def test_without_a_run_it_is_counted_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    logger = a_logger("memory")
    with caplog.at_level(logging.WARNING, "jaxlog"):
        logger.log_step({"reward": 1.0})
        logger.log_episode_summary({"total_reward": 1.0})
    assert logger.dropped == 2
    assert len(caplog.records) == 1
    assert "while no run was open" in caplog.text


def test_switched_off_it_does_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAXLOG", "off")
    logger = a_logger("jsonl")
    with logger.open(tmp_path / "run") as run:
        logger.log_step({"reward": 1.0})
        jaxlog.log(logger, 0, {"loss": 1.0})
        run.log({"loss": 1.0})
    assert (run.arrived, logger.dropped) == (0, 0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (3, r"step: got int, expected a dict by name"),
        ({1: 2}, r"step: got the key 1, expected a name"),
        ({"a": {"b": object()}}, r"step\['a.b'\]: got object, expected a number, a text, an array"),
        ({"a": np.array(["x"])}, r"step\['a'\]: got <U1 array, expected a number"),
        ({"a": np.zeros(3, "V8")}, r"step\['a'\]: got \|V8 array, expected a number"),
        ({"a": {1: 1.0, "b": 2.0}}, r"step\['a'\]: is not a pytree"),
    ],
)
def test_what_cannot_be_logged_is_refused(given: Any, text: str) -> None:
    logger = a_logger("memory")
    with logger.open() as run, pytest.raises(TypeError, match=text):
        logger.log_step(given)
    assert run.arrived == 0


@pytest.mark.parametrize("given", [{"a": {"b": 1}, "a.b": 2}, {"a": {"b.c": 1, "b": {"c": 2}}}])
def test_two_values_of_one_name_are_refused(given: Any) -> None:
    logger = a_logger("memory")
    with logger.open(), pytest.raises(ValueError, match=r"step: two values are called 'a\.b"):
        logger.log_step(given)


def test_lists_of_lists_are_arrays_and_long_doubles_doubles(tmp_path: Path) -> None:
    logger = a_logger("memory", "jsonl")
    with logger.open(tmp_path) as run:
        logger.log_step({"state": [[1, 2], [3, 4]], "ragged": [[1], [2, 3]]})
        logger.log_step({"x": np.longdouble(1.5), "y": np.ones(2, np.longdouble)})
    first, second = run.sink("memory").steps
    assert first.details["state"].tolist() == [[1, 2], [3, 4]]
    assert [first.details[f"ragged.{i}"].tolist() for i in (0, 1)] == [[1], [2, 3]]
    assert second.values["x"].dtype == second.details["y"].dtype == np.float64
    assert [account.written for account in run.accounts()] == [2, 2]


@pytest.mark.parametrize(("length", "step"), [(20.0, 19), (True, 0), (-5, 0), (2**62, 0)])
def test_a_length_that_cannot_be_counts_as_one(length: Any, step: int) -> None:
    logger = a_logger("memory")
    with logger.open() as run:
        logger.log_episode_summary({"total_steps": length})
    assert run.sink("memory").episodes[0].step == step


def test_an_evaluation_stands_at_the_last_step() -> None:
    logger = a_logger("memory", log_frequency=1)
    with logger.open() as run:
        for step in range(0, 30, 10):
            jaxlog.log(logger, step, {"loss": 1.0})
            logger.log_evaluation_summary({"success_rate": 1.0})
        logger.log_evaluation_summary({"success_rate": 1.0}, step=7)
        with pytest.raises(TypeError, match=r"step: got 1\.5, expected an integer"):
            logger.log_evaluation_summary({}, step=1.5)  # pyright: ignore[reportArgumentType]
    assert [event.step for event in run.sink("memory").evaluations] == [0, 10, 20, 7]


def test_in_a_program_it_points_to_what_works_there() -> None:
    logger = a_logger("memory")
    with (
        logger.open(),
        pytest.raises(TypeError, match=r"step\['x'\]: .* traced; use jaxlog.log in there"),
    ):
        jax.jit(lambda x: logger.log_step({"x": x}))(1.0)


def test_threads_lose_no_step() -> None:
    logger = a_logger("memory")

    def steps() -> None:
        for _ in range(200):
            logger.log_step({"reward": 1.0})

    with logger.open() as run:
        threads = [threading.Thread(target=steps) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(event.step for event in run.sink("memory").steps) == list(range(800))


def test_a_run_goes_on_where_its_state_was_taken(tmp_path: Path) -> None:
    def episode(logger: jaxlog.Logger) -> None:
        for reward in (0.0, 1.0, 2.0):
            logger.log_step({"reward": reward})
        logger.log_episode_summary({"total_reward": 3.0})

    first = a_logger("jsonl")
    with first.open(tmp_path) as run:
        episode(first)
        state = run.state()
        episode(first)
    again = a_logger("jsonl")
    with again.open(tmp_path, if_exists="resume", state=state) as run:
        assert run.info.resumes_at == 3
        assert run.info.session == 1
        episode(again)
        episode(again)
    assert [line["step"] for line in lines(tmp_path / "steps.jsonl")] == list(range(9))
    assert [line["step"] for line in lines(tmp_path / "episodes.jsonl")] == [2, 5, 8]
    assert [line["episode"] for line in lines(tmp_path / "steps.jsonl")][::3] == [0, 1, 2]
    last = a_logger("jsonl")
    with last.open(tmp_path, if_exists="resume"):
        episode(last)
    assert [line["step"] for line in lines(tmp_path / "steps.jsonl")] == list(range(12))


def test_a_run_goes_on_in_the_middle_of_an_episode(tmp_path: Path) -> None:
    first = a_logger("jsonl")
    with first.open(tmp_path) as run:
        first.log_task_start({"task_id": "t"})
        for _ in range(5):
            first.log_step({"reward": 1.0})
        state = run.state()
    again = a_logger("jsonl")
    with again.open(tmp_path, if_exists="resume", state=state) as run:
        again.log_evaluation_summary({"rate": 1.0})
        again.log_episode_summary({"total_steps": 5})
        again.log_step({"reward": 1.0})
    assert [line["step"] for line in lines(tmp_path / "evaluations.jsonl")] == [4]
    assert [line["step"] for line in lines(tmp_path / "episodes.jsonl")] == [4]
    last = lines(tmp_path / "steps.jsonl")[-1]
    assert (last["step"], last["episode"], last["labels"]) == (5, 1, {"task_id": "t"})


def test_a_program_and_a_single_environment_go_on_each_at_its_own_step(tmp_path: Path) -> None:
    settings = {"sampling_enabled": True, "sample_frequency": 1, "batched_logging_enabled": True}

    def batch(logger: jaxlog.Logger, step: int) -> None:
        jaxlog.batch_step(logger, step, {"episode_returns": jnp.ones(2)})

    first = a_logger("svg", "jsonl", log_frequency=1, **settings)
    with first.open(tmp_path) as run:
        for step in range(6):
            first.log_step({"state": np.eye(3) * step})
        batch(first, 0)
        run.log({"x": 1.0}, step=1000)  # another call's counter
        state = run.state()
        batch(first, 1)
        first.log_step({"state": np.eye(3)})
    pictures = tmp_path / "svg"
    assert len(list((pictures / "steps").rglob("*.svg"))) == 7
    again = a_logger("svg", "jsonl", log_frequency=1, **settings)
    with again.open(tmp_path, if_exists="resume", state=state) as run:
        assert run.info.resumes == {"steps": 6, "batch": 1, "eval": 1001}
        assert len(list((pictures / "steps").rglob("*.svg"))) == 6
        assert [path.name for path in (pictures / "batch").iterdir()] == ["step_0000000000"]
        batch(again, 1)
        run.log({"x": 1.0})
    assert [line["step"] for line in lines(tmp_path / "batch_metrics.jsonl")] == [0, 1]
    assert lines(tmp_path / "eval_metrics.jsonl")[-1]["step"] == 1000
    third = a_logger("jsonl")
    with third.open(tmp_path, if_exists="resume") as run:
        run.log({"x": 1.0})
        third.log_step({"reward": 1.0})
    assert lines(tmp_path / "eval_metrics.jsonl")[-1]["step"] == 1000
    assert lines(tmp_path / "steps.jsonl")[-1]["step"] == 6
