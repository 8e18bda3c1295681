"""The schedule of each call: `every=`, the settings by call, evaluations, `total_updates=`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import jaxlog
from jaxlog._cli.tail import tail
from jaxlog._format.events import Key, Lane, MetricsEvent, RunInfo
from jaxlog._format.schedule import is_evaluation
from jaxlog.sinks.console.run_display import RunDisplay
from tests.conftest import MakeLogger, without_rates

Run = Callable[..., Any]


def steps_of(sink: Any, call: str) -> list[int]:
    return [event.step for event in sink.metrics if event.name == call]


def sampled_of(sink: Any, call: str) -> list[int]:
    return [event.step for event in sink.episodes if event.name == call]


def training(logger: jaxlog.Logger, *, updates: int = 50, apart: int = 7, **arguments: Any) -> Any:
    """A training whose update evaluates in a `cond`, every 7 updates."""

    def update(skill: Any, step: Any) -> Any:
        returns = skill + jnp.arange(4.0)

        def evaluate() -> None:
            jaxlog.batch_step(logger, step, {"episode_returns": returns}, **arguments)

        jaxlog.log(logger, step, {"loss": skill})
        jax.lax.cond(step % apart == apart - 1, evaluate, lambda: None)
        return skill + 1.0, None

    return jax.jit(lambda: jax.lax.scan(update, 0.0, jnp.arange(updates))[0])


AT_SEVENS = [6, 13, 20, 27, 34, 41, 48]


@pytest.mark.parametrize(
    ("settings", "arguments", "logged"),
    [
        ({}, {"name": "eval"}, AT_SEVENS),
        ({}, {"name": "test_hard"}, AT_SEVENS),
        ({}, {"name": "probe"}, [20]),
        ({}, {"name": "probe", "every": 1}, AT_SEVENS),
        ({}, {"name": "eval", "every": 2}, [6, 20, 34, 48]),
        ({"log_frequency": {"eval": 3}}, {"name": "eval"}, [6, 27, 48]),
        ({"log_frequency": {"eval": 3}}, {"name": "eval", "every": 2}, [6, 20, 34, 48]),
        ({"log_frequency": {"eval": 3}}, {"name": "eval_hard"}, AT_SEVENS),
        ({"log_frequency": {"default": 50}}, {"name": "eval"}, AT_SEVENS),
        ({"log_frequency": {"probe": 1}}, {"name": "probe"}, AT_SEVENS),
        ({"log_frequency": {"default": 2}}, {"name": "probe"}, [6, 20, 34, 48]),
    ],
)
def test_evaluations_in_a_cond_arrive_by_their_own_schedule(
    settings: Any, arguments: Any, logged: list[int], make_logger: MakeLogger, caplog: Any
) -> None:
    logger = make_logger(**settings)
    with logger.open() as run:
        jax.block_until_ready(training(logger, **arguments)())
    assert steps_of(run.sink("memory"), arguments["name"]) == logged
    default = settings.get("log_frequency", {}).get("default", 10)
    assert steps_of(run.sink("memory"), "train") == list(range(0, 50, default))
    unused = settings.get("log_frequency", {}).keys() - {"default", arguments["name"]}
    assert len(caplog.records) == len(unused)


@pytest.mark.parametrize("delivery", ["live", "return"])
def test_evaluations_in_an_outer_scan_all_arrive(delivery: str, make_logger: MakeLogger) -> None:
    logger = make_logger(delivery=delivery)

    def update(skill: Any, step: Any) -> Any:
        record = jaxlog.batch_step(logger, step, {"episode_returns": skill + jnp.arange(4.0)})
        return skill + 1.0, record

    def epoch(skill: Any, index: Any) -> Any:
        first = 7 * index
        skill, records = jax.lax.scan(update, skill, first + jnp.arange(7))
        own = jaxlog.log(logger, first + 6, {"return": skill}, name="eval")
        return skill, (records, own)

    program = jax.jit(lambda: jax.lax.scan(epoch, 0.0, jnp.arange(4)))
    with logger.open() as run:
        _, records = jax.block_until_ready(program())
        if delivery == "return":
            logger.write(records)
    sink = run.sink("memory")
    assert steps_of(sink, "eval") == [6, 13, 20, 27]
    values = [float(e.lanes[0].metrics["return"]) for e in sink.metrics if e.name == "eval"]
    assert values == [7.0, 14.0, 21.0, 28.0]
    assert steps_of(sink, "batch") == [0, 10, 20]


def test_under_vmap_each_evaluation_has_all_lanes(make_logger: MakeLogger) -> None:
    logger = make_logger()

    def train(skill: Any) -> Any:
        def update(skill: Any, step: Any) -> Any:
            jaxlog.log(logger, step, {"x": skill}, when=step % 7 == 6, name="eval")
            return skill + 1.0, None

        return jax.lax.scan(update, skill, jnp.arange(20))[0]

    with logger.open() as run:
        jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(3.0)))
    events = run.sink("memory").metrics
    assert [(e.step, [float(lane.metrics["x"]) for lane in e.lanes]) for e in events] == [
        (6, [6.0, 7.0, 8.0]),
        (13, [13.0, 14.0, 15.0]),
    ]


# A Python loop follows the same schedule.


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("settings", "arguments", "expected"),
    [
        ({}, {}, [0, 10, 20]),
        ({}, {"every": 4}, [0, 4, 8, 12, 16, 20, 24]),
        ({}, {"every": 7, "total_updates": 19}, [0, 7, 14, 18, 19, 21]),
        ({"log_frequency": {"train": 8}}, {}, [0, 8, 16, 24]),
        ({}, {"name": "eval"}, list(range(25))),
        ({}, {"name": "eval", "every": 20}, [0, 20]),
        ({"log_frequency": {"default": 20, "eval": 12}}, {"name": "eval"}, [0, 12, 24]),
    ],
)
def test_a_python_loop_and_a_program_log_the_same_steps(
    compiled: bool, settings: Any, arguments: Any, expected: list[int], make_logger: MakeLogger
) -> None:
    logger = make_logger(**settings)
    log = lambda step: jaxlog.log(logger, step, {"x": 1.0}, **arguments)  # noqa: E731
    with logger.open() as run:
        if compiled:
            jax.lax.scan(lambda _, step: (None, log(step)), None, jnp.arange(25))
        else:
            for step in range(25):
                log(step)
    assert steps_of(run.sink("memory"), arguments.get("name", "train")) == expected


def test_a_window_has_its_own_schedule(make_logger: MakeLogger) -> None:
    logger = make_logger()

    def update(window: Any, step: Any) -> Any:
        values = {"loss": step.astype(float)}
        _, window = jaxlog.window_step(logger, window, step, values, every=4, total_updates=10)
        return window, None

    with logger.open() as run:
        start = jaxlog.empty_window(logger, {"loss": 0.0})
        jax.block_until_ready(jax.lax.scan(update, start, jnp.arange(10))[0])
    found = [(e.step, e.lanes[0].metrics) for e in run.sink("memory").metrics]
    assert [(step, int(m["update_count"]), float(m["loss"])) for step, m in found] == [
        (0, 1, 0.0),
        (4, 4, 2.5),
        (8, 4, 6.5),
        (9, 1, 9.0),
    ]


# Sampled episodes.


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({}, {"eval": [0, 20], "batch": [0, 20]}),
        ({"sampling_enabled": {"eval": False}}, {"eval": [], "batch": [0, 20]}),
        ({"sampling_enabled": {"default": False, "eval": True}}, {"eval": [0, 20], "batch": []}),
        (
            {"sample_frequency": {"default": 15, "eval": 7}},
            {"eval": [0, 7, 14, 21], "batch": [0, 15]},
        ),
    ],
)
def test_episodes_are_sampled_by_call(
    settings: Any, calls: dict[str, list[int]], make_logger: MakeLogger
) -> None:
    logger = make_logger(**{"sample_frequency": 20, "num_samples": 1} | settings)

    def update(skill: Any, step: Any) -> Any:
        for name in calls:
            jaxlog.batch_step(logger, step, {"episode_returns": skill + jnp.arange(4.0)}, name=name)
        return skill + 1.0, None

    with logger.open() as run:
        jax.block_until_ready(jax.lax.scan(update, 0.0, jnp.arange(25))[0])
    assert {name: sampled_of(run.sink("memory"), name) for name in calls} == calls


# Names.


def test_evaluations_are_known_by_their_first_word() -> None:
    names = ("eval", "eval_hard", "eval-2", "test.levels", "evaluation", "val", "validation")
    assert all(map(is_evaluation, names))
    assert not any(map(is_evaluation, ("evaluator", "tests", "batch", "train_eval", "values")))


def test_a_setting_for_a_call_that_was_never_made_is_said(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(log_frequency={"evl": 1}, sampling_enabled={"train": False, "b": True})
    with logger.open():
        jaxlog.log(logger, 0, {"x": 1.0})
    with logger.open():  # nothing was logged at all: the settings are not the cause
        pass
    assert [record.getMessage() for record in caplog.records] == [
        "jaxlog: run jaxlog: log_frequency has an entry for the call 'evl', which was never made; "
        "the calls were: train.",
        "jaxlog: run jaxlog: sampling_enabled has an entry for the call 'b', which was never made; "
        "the calls were: train.",
    ]


# Bad arguments.

BAD = [
    (0, ValueError, "got 0, expected 1 to 2**31 - 1"),
    (-3, ValueError, "got -3, expected 1 to 2**31 - 1"),
    (2**31, ValueError, f"got {2**31}, expected 1 to 2**31 - 1"),
    (True, TypeError, "got True, expected a Python int or None"),
    (10.0, TypeError, "got 10.0, expected a Python int or None"),
    ("10", TypeError, "got '10', expected a Python int or None"),
    (np.int32(3), TypeError, "got np.int32(3), expected a Python int or None"),
]


@pytest.mark.parametrize("argument", ["every", "total_updates"])
@pytest.mark.parametrize(("value", "kind", "text"), BAD)
def test_a_schedule_that_cannot_be_is_refused(
    argument: str, value: Any, kind: type[Exception], text: str, make_logger: MakeLogger
) -> None:
    logger = make_logger()
    window = jaxlog.empty_window(logger, {"x": 0.0})
    calls: list[Callable[..., Any]] = [
        lambda **how: jaxlog.log(logger, 0, {"x": 0.0}, **how),
        lambda **how: jaxlog.batch_step(logger, 0, {"x": 0.0}, **how),
        lambda **how: jaxlog.window_step(logger, window, 0, {"x": 0.0}, **how),
    ]
    jaxlog.log(logger, 0, {"x": 0.0}, every=1)  # what was accepted once is not looked up for True
    for call in calls:
        with pytest.raises(kind) as error:
            call(**{argument: value})
        assert str(error.value) == f"{argument}: {text}"


def test_a_traced_schedule_is_refused(make_logger: MakeLogger) -> None:
    logger = make_logger()
    with pytest.raises(TypeError) as error:
        jax.jit(lambda n: jaxlog.log(logger, n, {"x": 0.0}, every=n))(jnp.int32(3))
    assert str(error.value) == (
        "every: got a traced int32[], expected a Python int, because it is a constant of the "
        "program; pass a condition that the program computes as when="
    )


def test_the_program_is_that_of_the_same_frequency_in_the_settings(
    make_logger: MakeLogger,
) -> None:
    def jaxpr(logger: jaxlog.Logger, **how: Any) -> str:
        def program(x: Any) -> None:
            values = {"episode_returns": x, "loss": x[0]}
            jaxlog.batch_step(logger, x[0].astype(int), values, name="a", **how)

        return str(jax.make_jaxpr(program)(jnp.ones(4)))

    settings = {"log_frequency": 7, "total_updates": 9}
    logger = make_logger(**settings)
    by_settings = jaxpr(logger).replace(str(logger._handle), "HANDLE")
    logger = make_logger()
    by_call = jaxpr(logger, every=7, total_updates=9).replace(str(logger._handle), "HANDLE")
    assert by_call == by_settings


# Calls that count other updates than the rest of the program.


def epochs(logger: jaxlog.Logger, num_epochs: int, *, in_python: bool) -> None:
    """Epochs of 10 updates, each with an evaluation that counts epochs, of which there are 4."""

    def epoch(index: Any) -> None:
        for step in range(10):
            jaxlog.log(logger, 10 * index + step, {"loss": 1.0})
        jaxlog.log(logger, index, {"return": 2.0}, total_updates=4, name="eval")

    for index in range(num_epochs):
        if in_python:
            epoch(index)
        else:
            jax.block_until_ready(jax.jit(epoch)(index))


@pytest.mark.parametrize("in_python", [True, False])
@pytest.mark.parametrize(
    ("total_updates", "num_epochs", "unfinished"),
    [
        (40, 4, ""),
        (40, 3, "21 of 40 updates, eval: 3 of 4 updates"),
        (30, 3, "eval: 3 of 4 updates"),
        (None, 4, ""),
    ],
)
def test_a_call_counts_its_own_updates(
    in_python: bool,
    total_updates: int | None,
    num_epochs: int,
    unfinished: str,
    make_logger: MakeLogger,
    tmp_path: Path,
    capsys: Any,
    caplog: Any,
) -> None:
    sinks = [{"kind": "jsonl"}, {"kind": "console", "live": False}]
    logger = make_logger(total_updates, sinks=sinks)
    with logger.open(tmp_path / "run"):
        epochs(logger, num_epochs, in_python=in_python)
    assert caplog.records == []
    data = jaxlog.read_run(tmp_path / "run")
    assert data.info["calls"]["eval"]["total_updates"] == 4
    assert "total_updates" not in data.info["calls"]["train"]
    shown = without_rates(capsys.readouterr().out).splitlines()
    assert data.health.unfinished == unfinished
    of = "" if total_updates is None else f" · 11/{total_updates} updates done"
    assert f"train · step 10{of}  loss 1" in shown
    assert "eval · step 2 · 3/4 updates done  return 2" in shown
    tail(tmp_path / "run", lines=100)
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(shown)


def test_the_progress_of_a_run_is_not_that_of_a_call_with_its_own_total() -> None:
    def event(name: str, step: int, own: int | None) -> MetricsEvent:
        lanes, keys = (Lane(0, {}, {"x": 1.0}),), {"x": Key("other", "x", "", "x")}
        return MetricsEvent(name, step, None, step + 1.0, lanes, keys, total_updates=own)

    def drawn(display: RunDisplay) -> str:
        console = Console(width=80)
        with console.capture() as capture:
            console.print(display.draw(80, None, 300.0))
        return capture.get()

    of_run = RunDisplay(RunInfo("run", total_updates=200), 0.0)
    of_calls = RunDisplay(RunInfo("run"), 0.0)
    for display, own in ((of_run, None), (of_calls, 200)):
        display.add(event("train", 49, own))
        display.add(event("eval", 120, 1000 if own is None else 150))
        assert "50/200" in drawn(display)
    of_one = RunDisplay(RunInfo("run"), 0.0)  # how many updates the other makes is not known
    of_one.add(event("eval", 3, 4))
    of_one.add(event("train", 49, None))
    assert " 50\n" in drawn(of_one)


def test_a_call_that_goes_beyond_its_own_total_is_said(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(5)
    with logger.open():
        for step in range(10):
            jaxlog.log(logger, step, {"x": 1.0}, total_updates=10)
            jaxlog.log(logger, step, {"x": 1.0}, total_updates=7, name="eval")
    assert [record.getMessage().partition(", but")[0] for record in caplog.records] == [
        "jaxlog: run jaxlog: the call 'eval' logged step 7 (lane 0)"
    ]
