from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog import sinks
from jaxlog._crossing.delivery import barrier
from jaxlog._host import retries
from jaxlog._say import Once
from jaxlog.sinks.memory import MemorySink
from tests.conftest import MakeLogger


def program(logger: jaxlog.Logger, num_steps: int = 5) -> Callable[[], Any]:
    def body(_: None, step: jax.Array) -> tuple[None, jax.Array]:
        jaxlog.batch_step(logger, step, {"x": step})
        return None, step * 2

    compiled = jax.jit(lambda: jax.lax.scan(body, None, jnp.arange(num_steps))[1])
    return lambda: jax.block_until_ready(compiled())


class BrokenSettings(jaxlog.sinks.SinkSettings, frozen=True):
    kind: Literal["broken"] = "broken"
    at: str = "write"


class Broken(jaxlog.sinks.Sink):
    """A sink that raises at one of its methods."""

    Settings = BrokenSettings

    def check(self, run: jaxlog.sinks.RunInfo) -> None:
        if self.settings.at == "check":
            raise RuntimeError("not installed")

    def open(self, run: jaxlog.sinks.RunInfo) -> None:
        if self.settings.at == "open":
            raise RuntimeError("no connection")

    def write_metrics(self, event: jaxlog.sinks.MetricsEvent) -> None:
        if self.settings.at == "write":
            raise RuntimeError("no connection")

    def flush(self) -> None:
        if self.settings.at == "flush":
            raise RuntimeError("no connection")

    def close(self) -> None:
        if self.settings.at == "close":
            raise RuntimeError("no connection")


@pytest.fixture
def with_broken(make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sinks._SINKS, "broken", f"{__name__}:Broken")
    monkeypatch.setattr(retries, "RETRY_DELAYS", (0.001,))
    monkeypatch.setattr(retries, "OUTAGE_DELAYS", ())

    def make(at: str, **settings: Any) -> jaxlog.Logger:
        sinks = [{"kind": "broken", "at": at}, {"kind": "memory"}]
        return make_logger(log_frequency=1, sinks=sinks, **settings)

    return make


@pytest.mark.parametrize("at", ["write", "flush", "close"])
def test_a_sink_that_raises_touches_neither_training_nor_the_others(
    at: str, with_broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    logger = with_broken(at)
    with caplog.at_level(logging.WARNING, "jaxlog"), logger.open() as run:
        result = program(logger)()
    assert result.tolist() == [0, 2, 4, 6, 8]
    assert [event.step for event in run.sink("memory").metrics] == [0, 1, 2, 3, 4]
    assert f"the sink broken could not {at}: RuntimeError: no connection" in caplog.text
    # What failed to flush was flushed by close; what failed to close was flushed before.
    assert ("the sink broken lost 5 of 5 records" in caplog.text) == (at == "write")


def test_a_sink_that_cannot_open_is_off_and_the_others_go_on(
    with_broken: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = with_broken("open")
    with logger.open(tmp_path / "run") as run:
        result = program(logger)()
    assert result.tolist() == [0, 2, 4, 6, 8]
    assert [event.step for event in run.sink("memory").metrics] == [0, 1, 2, 3, 4]
    assert "the sink broken could not open: RuntimeError: no connection" in caplog.text
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [(sink["kind"], sink["written"], sink["lost"]) for sink in facts["sinks"]] == [
        ("broken", 0, 5),
        ("memory", 5, 0),
    ]


def test_what_the_user_has_to_mend_is_said_before_training(
    with_broken: Any, tmp_path: Path
) -> None:
    logger = with_broken("check")
    for _ in range(2):
        with (
            pytest.raises(RuntimeError, match="not installed"),
            logger.open(tmp_path / "run"),
        ):
            raise AssertionError("training began")
        assert list(tmp_path.iterdir()) == []  # and leaves nothing behind


@pytest.mark.parametrize("at", ["write", "flush", "close", "open"])
def test_a_strict_run_raises_what_went_wrong(at: str, with_broken: Any) -> None:
    logger = with_broken(at, strict=True)
    train = program(logger)
    runs: list[jaxlog.Run] = []

    def strictly() -> None:
        with logger.open() as run:
            runs.append(run)
            assert train().tolist() == [0, 2, 4, 6, 8]

    with pytest.raises(jaxlog.LoggingError, match="the sink broken") as raised:
        strictly()
    group = raised.value.__cause__
    assert isinstance(group, BaseExceptionGroup)
    (cause,) = group.exceptions
    assert str(cause) == "no connection"
    assert [len(run.sink("memory").metrics) for run in runs] == ([] if at == "open" else [5])
    with_broken("nowhere", strict=True).open().close()


def test_a_strict_run_does_not_hide_the_error_of_the_program(with_broken: Any) -> None:
    logger = with_broken("write", strict=True)

    def diverges() -> None:
        with logger.open():
            program(logger)()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        diverges()
    assert "the sink broken lost 5 of 5 records" in raised.value.__notes__[0]


def test_runs_follow_each_other_on_one_program(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1)
    train = program(logger)
    for _ in range(3):
        with logger.open() as run:
            train()
        assert [event.step for event in run.sink("memory").metrics] == [0, 1, 2, 3, 4]


def test_two_loggers_have_a_run_each(make_logger: MakeLogger) -> None:
    first, second = make_logger(log_frequency=1), make_logger(log_frequency=2)
    train_first, train_second = program(first), program(second)
    with first.open() as run_first, second.open() as run_second:
        train_first()
        train_second()
    assert len(run_first.sink("memory").metrics) == 5
    assert len(run_second.sink("memory").metrics) == 3


def test_all_is_written_when_training_raises(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1)
    opened: list[Any] = []

    def training_that_fails() -> None:
        with logger.open() as run:
            opened.append(run)
            program(logger)()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        training_that_fails()
    assert len(opened[0].sink("memory").metrics) == 5
    with logger.open():  # and the logger is free again
        pass


def test_records_without_a_run_are_said_once(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(log_frequency=1)
    train = program(logger)
    with caplog.at_level(logging.WARNING, "jaxlog"):
        train()
        train()
        barrier()
    assert len(caplog.records) == 1
    assert "received records while no run was open" in caplog.text


def test_a_logger_that_is_gone_is_said_once(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jaxlog._crossing import delivery

    monkeypatch.setattr(delivery, "_unclaimed", Once())
    held = [make_logger(log_frequency=1)]

    @jax.jit
    def train() -> None:
        jaxlog.batch_step(held[0], 0, {"x": 1.0})

    with held[0].open() as run:
        train()
    assert run.arrived == 1
    held.clear()  # nobody holds it now, jaxlog neither
    successor = make_logger(log_frequency=1)
    jaxlog.batch_step(successor, 0, {"x": 1.0})  # knows the same schema
    barrier()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "jaxlog"), successor.open() as run:
        train()
        train()
    assert run.arrived == 0  # and it is not taken for another
    assert len(caplog.records) == 1
    assert "a Logger that no longer exists" in caplog.text


def test_a_second_run_at_once_is_refused(make_logger: MakeLogger) -> None:
    logger = make_logger()
    with (
        logger.open(name="one"),
        pytest.raises(RuntimeError, match="has the run 'one' open"),
        logger.open(),
    ):
        pass


def test_a_sink_that_writes_files_needs_a_directory(make_logger: MakeLogger) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with (
        pytest.raises(ValueError, match="directory: is missing, and the sink 'jsonl'"),
        logger.open(),
    ):
        pass


def test_a_directory_with_a_run_is_not_written_over(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger()
    with logger.open(tmp_path):
        pass
    with pytest.raises(FileExistsError, match="holds a run already"), logger.open(tmp_path):
        pass


def test_a_file_is_no_directory(make_logger: MakeLogger, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(NotADirectoryError, match="is a file, and a run"), make_logger().open(path):
        pass
    with pytest.raises(OSError, match="cannot be made"), make_logger().open(path / "run"):
        pass


def test_a_directory_that_cannot_be_written(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid() == 0:  # root may write anywhere: let the system say what it says to others
        monkeypatch.setattr(os, "access", lambda *_: False)
    tmp_path.chmod(0o500)
    try:
        with (
            pytest.raises(PermissionError, match="cannot be written; choose"),
            make_logger().open(tmp_path),
        ):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_run_tells_of_itself(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(5, log_frequency=1)
    with logger.open(tmp_path / "a" / "run", config={"lr": 0.1, "path": Path("x")}, tags=("t",)):
        program(logger)()
    facts = json.loads((tmp_path / "a" / "run" / "run.json").read_text())
    assert facts["name"] == "run"
    assert facts["config"] == {"lr": 0.1, "path": "x"}
    assert facts["tags"] == ["t"]
    assert facts["total_updates"] == 5
    assert facts["arrived"] == 5
    assert facts["sinks"] == [{"kind": "memory", "written": 5, "lost": 0, "failure": None}]
    assert "error" not in facts
    assert facts["ended"] >= facts["started"]


def test_a_run_that_failed_says_so(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=1)

    def fail() -> None:
        with logger.open(tmp_path, config={"odd": object}):
            program(logger)()
            raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"):
        fail()
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["error"] == "ValueError: diverged"
    assert facts["arrived"] == 5


def test_a_run_that_failed_before_it_began_gives_its_directory_free(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}])

    def with_losses(losses: Any) -> None:
        with logger.open(tmp_path):
            jax.jit(lambda: jaxlog.batch_step(logger, 0, {"loss": losses}))()

    with pytest.raises(ValueError, match="the batch's shape cannot be inferred"):
        with_losses(jnp.ones((4, 4)))
    with_losses(1.0)
    with pytest.raises(FileExistsError, match="holds a run already"):
        with_losses(1.0)


def test_lines_of_another_run_are_not_added_to(make_logger: MakeLogger, tmp_path: Path) -> None:
    (tmp_path / "batch_metrics.jsonl").write_text('{"step": 1')
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with pytest.raises(FileExistsError, match="has the lines of another run"):
        logger.open(tmp_path).__enter__()


def test_a_config_is_taken_down_when_the_run_opens(make_logger: MakeLogger, tmp_path: Path) -> None:
    config: dict[Any, Any] = {"schedule": {1: 0.5}}
    with make_logger().open(tmp_path, config=config):
        config["schedule"][2] = {(1, 2): object()}
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["config"] == {"schedule": {"1": 0.5}}
    with (
        pytest.raises(ValueError, match=r"config\['seed'\]: got the integer 11805"),
        make_logger().open(tmp_path / "next", config={"seed": 2**70}),
    ):
        pass


def test_the_program_may_go_elsewhere(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with logger.open("run"):
        monkeypatch.chdir(tmp_path / "elsewhere")
        program(logger)()
    assert len((tmp_path / "run" / "batch_metrics.jsonl").read_text().splitlines()) == 5
    assert json.loads((tmp_path / "run" / "run.json").read_text())["arrived"] == 5


def test_leaving_the_block_waits_for_the_program(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1)

    @jax.jit
    def train(x: jax.Array) -> jax.Array:
        def body(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            x = jnp.tanh(x @ x)
            jaxlog.batch_step(logger, step, {"x": x[0, 0]})
            return x, None

        return jax.lax.scan(body, x, jnp.arange(100))[0]

    x = jnp.ones((400, 400))
    train.lower(x).compile()
    with logger.open() as run:
        train(x)  # dispatched, and not waited for
    assert [event.step for event in run.sink("memory").metrics] == list(range(100))


def test_lanes_may_differ_from_call_to_call(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1)
    with logger.open() as run:
        for lanes in (2, 4, 2, 1):
            jax.vmap(lambda x: jaxlog.batch_step(logger, 0, {"x": x}))(jnp.arange(lanes))
    assert [len(event.lanes) for event in run.sink("memory").metrics] == [2, 4, 2, 1]


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_while_it_is_waited_for_closes_the_run(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])

    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(jaxlog._logger, "barrier", interrupted)
    with pytest.raises(KeyboardInterrupt), logger.open(tmp_path / "first"):
        jax.block_until_ready(jaxlog.batch_step(logger, 0, {"x": 1.0}))
    facts = json.loads((tmp_path / "first" / "run.json").read_text())
    assert facts["status"] == "interrupted"
    assert len((tmp_path / "first" / "batch_metrics.jsonl").read_text().splitlines()) == 1
    monkeypatch.undo()
    with logger.open(tmp_path / "second"):
        pass


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_while_a_sink_closes_lets_the_others_close(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "memory"}, {"kind": "jsonl"}])
    closing = MemorySink.close

    def slow(self: Any) -> None:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # pyright: ignore
        time.sleep(0.5)
        closing(self)

    monkeypatch.setattr(MemorySink, "close", slow)
    with pytest.raises(KeyboardInterrupt), logger.open(tmp_path / "run"):
        jaxlog.batch_step(logger, 0, {"x": 1.0})
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["ended"]
    assert [sink["kind"] for sink in facts["sinks"]] == ["memory", "jsonl"]
    for thread in threading.enumerate():
        if thread.name in ("jaxlog-memory", "jaxlog-jsonl"):
            thread.join(20)
    lines = (tmp_path / "run" / "batch_metrics.jsonl").read_text().splitlines()
    assert len(lines) == 1


def test_a_copy_of_a_logger(make_logger: MakeLogger) -> None:
    logger = make_logger(7)
    assert copy.deepcopy(logger) is copy.copy(logger) is logger
    other = pickle.loads(pickle.dumps(logger))
    assert (other.settings, other.total_updates) == (logger.settings, 7)
    assert other._handle != logger._handle


def test_an_unknown_sink_of_a_run(make_logger: MakeLogger) -> None:
    with make_logger().open() as run, pytest.raises(LookupError, match="this run's sinks are: mem"):
        run.sink("jsonl")


@pytest.mark.parametrize(("total", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_total_updates_is_a_number_of_updates(total: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"total_updates: got {total}"):
        jaxlog.Logger({}, total_updates=total)


def test_lanes_are_named_by_the_program_and_by_the_run(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    """A sweep over seeds and learning rates, with what is no number beside them."""
    logger = make_logger(num_samples=1, sinks=[{"kind": "jsonl"}])

    def train(learning_rate: jax.Array, seed: jax.Array) -> None:
        labels = {"learning_rate": learning_rate, "seed": seed}
        returns = jnp.broadcast_to(learning_rate * seed.astype(np.float32), 4)
        jaxlog.batch_step(logger, 0, {"episode_returns": returns}, labels=labels)

    sweep = jax.vmap(jax.vmap(train, in_axes=(None, 0)), in_axes=(0, None))
    names = [{"env": env, "seed": "shadowed"} for env in ("a", "a", "a", "b", "b", "b")]
    with logger.open(tmp_path / "sweep", lanes=names):
        jax.block_until_ready(jax.jit(sweep)(jnp.array([0.5, 0.25]), jnp.arange(3)))
    for name in ("batch_metrics", "episodes"):
        text = (tmp_path / "sweep" / f"{name}.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        assert [(line["lane"], line["lane_position"], line["labels"]) for line in lines] == [
            (3 * i + seed, [i, seed], {"env": env, "seed": seed, "learning_rate": rate})
            for i, (env, rate) in enumerate([("a", 0.5), ("b", 0.25)])
            for seed in range(3)
        ]


def test_labels_for_other_lanes_are_left_out_and_told_of(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(log_frequency=1)

    def log(x: jax.typing.ArrayLike, step: int = 0, **how: Any) -> None:
        jaxlog.batch_step(logger, step, {"x": x}, **how)

    with logger.open(lanes=[{"env": "a"}, {"env": "b"}]) as run:
        jax.vmap(log)(jnp.arange(2))
        log(7, name="eval")  # outside of the vmap there are no lanes
    assert [[lane.labels for lane in event.lanes] for event in run.sink("memory").metrics] == [
        [{"env": "a"}, {"env": "b"}],
        [{}],
    ]
    assert caplog.messages == []
    with logger.open(lanes=[{"env": "a"}, {"env": "b"}]) as run:
        jax.vmap(log)(jnp.arange(3))
        jax.vmap(partial(log, step=1))(jnp.arange(3))
    (said,) = caplog.messages
    assert "the call 'batch' logs 3 lanes, but open(lanes=...) got labels for 2" in said
    assert [lane.labels for lane in run.sink("memory").metrics[0].lanes] == [{}, {}, {}]


@pytest.mark.parametrize(
    ("lanes", "text"),
    [
        ("ab", "lanes: got str, expected a dict of labels for each lane, like"),
        ({"env": "a"}, "lanes: got dict, expected a dict of labels for each lane"),
        (["a"], r"lanes\[0\]: got str, expected a dict of labels for each lane"),
        ([{"env": ["a"]}], r"lanes\[0\]\['env'\]: got list \['a'\], expected a number or a text"),
        ([{1: "a"}], r"lanes\[0\]: got the key 1, expected a name"),
    ],
)
def test_lanes_have_to_be_labels(lanes: Any, text: str, make_logger: MakeLogger) -> None:
    with pytest.raises(TypeError, match=text), make_logger().open(lanes=lanes):
        pass


@pytest.mark.parametrize("value", ["off", "OFF", "0", "false"])
def test_the_environment_can_switch_it_off(
    value: str,
    make_logger: MakeLogger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """No file, no line in the terminal, nothing in the program; and the code runs as it is."""
    monkeypatch.setenv("JAXLOG", value)
    sinks = [{"kind": "jsonl"}, {"kind": "console"}, {"kind": "memory"}]
    logger = make_logger(sinks=sinks)

    def train(x: jax.typing.ArrayLike) -> jax.typing.ArrayLike:
        jaxlog.batch_step(logger, 0, {"x": x})
        return x

    assert str(jax.make_jaxpr(train)(1.0)) == str(jax.make_jaxpr(lambda x: x)(1.0))
    before = set(threading.enumerate())  # one of an earlier run may be about to end
    with logger.open(tmp_path / "run") as run:
        train(1.0)
        assert not {t for t in threading.enumerate() if t.name.startswith("jaxlog")} - before
    assert run.sink("memory").metrics == []
    assert run.directory == tmp_path / "run"
    assert list(tmp_path.iterdir()) == []
    assert caplog.messages == []


def test_the_environment_can_leave_it_on(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("", "on", "1"):
        monkeypatch.setenv("JAXLOG", value)
        assert make_logger().enabled
    monkeypatch.setenv("JAXLOG", "of")
    with pytest.raises(jaxlog.ConfigError, match="JAXLOG: got 'of', expected 'off' or 'on'"):
        make_logger()


def test_a_program_of_another_logger_is_told_from_one_without_a_run(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    """A notebook: the cell of the logger is run again, and the one that compiles is not."""
    old = make_logger()
    train = jax.jit(lambda: jaxlog.batch_step(old, 0, {"loss": 1.0}))
    with make_logger().open(name="second") as run:
        for _ in range(2):
            train()
            barrier()
    assert (run.arrived, old.dropped) == (0, 2)
    assert caplog.messages == [
        "jaxlog: <jaxlog.Logger 'jaxlog'> received a record, but has no open run; the open run "
        "'second' belongs to another Logger. A program logs to the Logger it was traced "
        "with: in a notebook, run the cell that compiles it again, after the cell that makes the "
        "Logger. Said once; logger.dropped counts."
    ]


@pytest.mark.parametrize("under", [jax.jit, jax.vmap, jax.grad])
def test_a_logger_or_a_run_in_a_function_that_is_traced_is_refused(
    under: Callable[..., Any], make_logger: MakeLogger
) -> None:
    logger = make_logger()

    def makes(x: jax.Array) -> jax.Array:
        make_logger()
        return x

    def opens(x: jax.Array) -> jax.Array:
        with logger.open():
            return x

    given = jnp.ones(2) if under is jax.vmap else 1.0
    with pytest.raises(
        RuntimeError, match=r"^Logger: is made in a function that JAX traces, which"
    ):
        under(makes)(given)
    with pytest.raises(
        RuntimeError, match=r"^open: is called in a function that JAX traces, which"
    ):
        under(opens)(given)
    with logger.open():
        pass


def test_a_run_says_what_it_is(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "cartpole") as run:
        where = f"<jaxlog.Run 'cartpole' in {tmp_path / 'cartpole'}"
        assert repr(run) == f"{where}: running, 0 records>"
        run.log({"loss": 0.5}, step=0)
        run.flush()
    assert repr(run) == f"{where}: finished, 1 record>"
    with make_logger(batched_logging_enabled=False, sinks=[]).open() as run:
        assert ": " in repr(run)
