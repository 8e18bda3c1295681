"""How long a run has been open, how fast its calls log, compile time, and memory of devices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxlog
from jaxlog._crossing import delivery
from jaxlog._crossing.delivery import DeviceMemory
from jaxlog._format.timing import Stopwatch, Timing
from tests.conftest import MakeLogger

Clock = list[float]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The times at which the next deliveries arrive, in their order."""
    times: Clock = []
    pass_on = delivery.pass_on

    def at_a_time(words: Any, _: float) -> None:
        pass_on(words, times.pop(0))

    monkeypatch.setattr(delivery, "pass_on", at_a_time)
    return times


def rates(sink: Any, call: str = "train") -> list[tuple[float | None, float | None]]:
    events = sorted(sink.metrics, key=lambda event: event.timestamp)
    found = [event.timing for event in events if event.name == call]
    return [(timing.updates_per_second, timing.env_steps_per_second) for timing in found]


def steps(logger: jaxlog.Logger, *indices: int, call: str = "train", lanes: int = 1) -> None:
    """Logs some steps, each from a program of its own."""
    log = lambda step, x: jaxlog.log(logger, step, {"x": x}, every=1, name=call)  # noqa: E731
    program = jax.jit(log if lanes == 1 else jax.vmap(log, (None, 0)))
    for step in indices:
        program(step, jnp.float32(0.0) if lanes == 1 else jnp.zeros(lanes))
        jax.effects_barrier()


@pytest.mark.parametrize("lanes", [1, 64])
def test_rates_are_those_between_two_lines(
    lanes: int, make_logger: MakeLogger, clock: Clock
) -> None:
    logger = make_logger(env_steps_per_update=128)
    clock += [100.0, 104.0, 104.5, 124.5]
    with logger.open() as run:
        steps(logger, 0, 10, 20, 30, lanes=lanes)
    # Once for all lanes, and with the pause before the last line.
    assert rates(run.sink("memory")) == [(None, None), (2.5, 320.0), (20.0, 2560.0), (0.5, 64.0)]


def test_each_call_has_its_own_rates(make_logger: MakeLogger, clock: Clock) -> None:
    logger = make_logger()
    clock += [100.0, 101.0, 102.0, 106.0]
    with logger.open() as run:
        steps(logger, 0)
        steps(logger, 0, call="eval")
        steps(logger, 10)
        steps(logger, 50, call="eval")
    assert rates(run.sink("memory")) == [(None, None), (5.0, None)]
    assert rates(run.sink("memory"), "eval") == [(None, None), (10.0, None)]


def test_a_new_pass_and_a_repeated_step_have_no_rate(make_logger: MakeLogger, clock: Clock) -> None:
    logger = make_logger()
    clock += [100.0, 101.0, 102.0, 103.0, 105.0]
    with logger.open() as run:
        steps(logger, 10, 20, 20, 0, 10)
    assert [rate for rate, _ in rates(run.sink("memory"))] == [None, 10.0, None, None, 5.0]


def test_steps_of_a_block_in_reverse_have_the_rate_of_the_blocks() -> None:
    stopwatch = Stopwatch(100.0)
    times = {0: 100.4, 1: 100.3, 2: 100.2, 3: 100.1, 4: 100.8, 5: 100.7, 8: 101.2}
    found = [stopwatch.time("train", 0, *at(step, time)) for step, time in times.items()]
    rates = [timing.updates_per_second for timing in found]
    assert rates == [None, None, None, None, pytest.approx(10.0), None, pytest.approx(10.0)]


def at(step: int, timestamp: float) -> tuple[int, None, float]:
    return step, None, timestamp


def test_records_that_a_program_returns_have_no_timing(make_logger: MakeLogger) -> None:
    logger = make_logger(delivery="return", log_frequency=1)
    program = lambda: jax.lax.scan(  # noqa: E731
        lambda _, step: (None, jaxlog.log(logger, step, {"x": 1.0})), None, jnp.arange(3)
    )
    with logger.open() as run:
        logger.write(program()[1])
    assert [event.timing for event in run.sink("memory").metrics] == [None] * 3


def test_a_python_loop_is_timed(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1)
    with logger.open() as run:
        for step in range(3):
            jaxlog.log(logger, step, {"x": 1.0})
        run.log({"y": 1.0}, step=2)
    events: list[Any] = run.sink("memory").metrics
    first, second, third, last = events
    for one, other in ((first, second), (second, third)):
        assert other.timing.updates_per_second == 1 / (other.timestamp - one.timestamp)
    assert last.timing.updates_per_second is None  # the first line of its call
    assert 0 <= first.timing.seconds <= last.timing.seconds


def test_a_slow_sink_gets_the_timing_of_a_fast_one(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jaxlog._host.decoding.DECODED_BYTES", 0)  # the slow one decodes again
    slow = Slow()
    logger = make_logger(sinks=[{"kind": "memory"}, slow], log_frequency=1)
    with logger.open() as run:
        jax.block_until_ready(
            jax.lax.scan(
                lambda _, step: (None, jaxlog.log(logger, step, {"x": 1.0})), None, jnp.arange(50)
            )
        )
    fast = run.sink("memory")
    assert [e.timing for e in slow.events] == [e.timing for e in fast.metrics]
    assert sum(e.timing.updates_per_second is not None for e in slow.events) > 40


class Slow(jaxlog.sinks.Sink):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def write_metrics(self, event: Any) -> None:
        self.events.append(event)


def test_plain_lines_of_the_console_show_rates_and_progress(
    make_logger: MakeLogger, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    sinks = [{"kind": "console", "live": False}]
    logger = make_logger(31, sinks=sinks, env_steps_per_update=128)
    clock += [100.0, 104.0, 104.5, 604.5]
    with logger.open():
        steps(logger, 0, 10, 20, 30, lanes=2)
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "train · step 0 · 1/31 updates done  x 0",
        "train · step 10 · 11/31 updates done · 2.5 updates/s · 320 env steps/s  x 0",
        "train · step 20 · 21/31 updates done · 20 updates/s · 2560 env steps/s  x 0",
        "train · step 30 · 31/31 updates done · 50 s/update · 2.56 env steps/s  x 0",
    ]
    assert max(map(len, shown)) <= 120


def test_plain_lines_without_environment_steps_and_total_show_updates_per_second(
    make_logger: MakeLogger, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(sinks=[{"kind": "console", "live": False}])
    clock += [100.0, 104.0, 105.0]
    with logger.open():
        steps(logger, 0, 10, 0)  # the last begins a new pass
    assert capsys.readouterr().out.splitlines() == [
        "train · step 0  x 0",
        "train · step 10 · 2.5 updates/s  x 0",
        "train · step 0  x 0",
    ]


# Over sessions, and as readers compute them.


def test_seconds_go_on_when_a_run_is_resumed(
    make_logger: MakeLogger, clock: Clock, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}, {"kind": "memory"}], env_steps_per_update=4)
    path = tmp_path / "run"

    def session(indices: tuple[int, ...], after: tuple[float, ...], **how: Any) -> Any:
        with logger.open(path, if_exists="resume", **how) as run:
            opened = run._engine._progress.opened
            clock[:] = [opened + seconds for seconds in after]
            steps(logger, *indices)
            state = run.state()
        timings = [event.timing for event in run.sink("memory").metrics]
        return state, opened, timings, run._engine._progress.seconds_before

    state, _, first, before = session((0, 10), (0.002, 0.004))
    assert before == 0.0
    assert [timing.seconds for timing in first] == pytest.approx([0.002, 0.004], rel=1e-3)
    marked = json.loads((path / "marks.jsonl").read_text())["seconds"]
    _, _, second, before = session((20, 30), (0.001, 0.006), state=state)
    assert before == marked
    assert [timing.seconds for timing in second] == pytest.approx(
        [before + 0.001, before + 0.006], rel=1e-3
    )
    assert [timing.updates_per_second for timing in second] == [None, pytest.approx(2000, rel=1e-3)]

    data = jaxlog.read_run(path)
    assert data.info["seconds"] >= before
    assert data.info["sessions"][0]["seconds"] >= marked
    frame = data.timing_of("train")
    assert frame.columns[:4] == ["timestamp", "step", "env_step", "lane"]
    for name in ("seconds", "updates_per_second", "env_steps_per_second"):
        live = [getattr(timing, name) for timing in first + second]
        assert frame[name].to_list() == [None if x is None else pytest.approx(x) for x in live]


def test_readers_give_all_lanes_of_a_line_the_same_rates(
    make_logger: MakeLogger, clock: Clock, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "run") as run:
        clock[:] = [run._engine._progress.opened + seconds for seconds in (2.0, 4.0)]
        steps(logger, 0, 10, lanes=3)
    frame = jaxlog.read_run(tmp_path / "run").timing_of()
    assert frame["lane"].to_list() == [0, 1, 2] * 2
    assert frame["updates_per_second"].to_list() == [None] * 3 + [pytest.approx(5.0)] * 3
    assert frame["seconds"].to_list() == pytest.approx([2.0] * 3 + [4.0] * 3)


def test_lines_are_those_without_a_timing(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}], log_frequency=1)
    with logger.open(tmp_path / "run"):
        jaxlog.log(logger, 0, {"x": 1.0})
    line = json.loads((tmp_path / "run" / "train_metrics.jsonl").read_text())
    assert list(line) == ["timestamp", "step", "lane", "labels", "metrics"]


# Compile time, and memory.


def test_the_time_that_xla_compiled_while_the_run_was_open(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}], log_frequency=1)
    heard: list[float] = []

    def hear(event: str, duration_secs: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            heard.append(duration_secs)

    jax.jit(lambda x: x * 3.0)(jnp.ones(7))  # before the run
    with logger.open(tmp_path / "run"):
        jax.monitoring.register_event_duration_secs_listener(hear)
        jax.block_until_ready(jax.jit(lambda x: jnp.sin(x) * 5.0)(jnp.ones(11)))
    jax.monitoring.unregister_event_duration_listener(hear)
    found = jaxlog.read_run(tmp_path / "run").info["compile_seconds"]
    assert heard
    assert found == pytest.approx(sum(heard), abs=2e-3)


def test_memory_is_not_known_on_a_cpu() -> None:
    assert DeviceMemory()() is None


def test_memory_is_that_of_the_device_that_uses_most(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        def __init__(self, used: int) -> None:
            self.used = used

        def memory_stats(self) -> dict[str, int]:
            return {"bytes_in_use": self.used, "bytes_limit": 100}

    devices = [Device(3), Device(8)]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    memory = DeviceMemory()
    assert memory() == 8
    devices[0].used = 9
    assert memory() == 8  # it is asked once a second
    monkeypatch.setattr(delivery, "MEMORY_PERIOD", 0.0)
    assert memory() == 9
    assert Stopwatch(0.0, device_memory=memory).time("train", 0, 0, None, 1.0) == Timing(
        1.0, device_memory=9
    )
