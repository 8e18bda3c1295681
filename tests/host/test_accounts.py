"""Whatever happens, in whatever order: what arrived is written, dropped as a replay, or lost."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import jaxlog
from jaxlog import sinks
from jaxlog._format.delivery import Delivery, buffers_of, header
from jaxlog._format.schema import METRICS_DUE, Field, Schema
from jaxlog._host import retries, worker
from jaxlog.sinks.memory import MemorySink
from tests.conftest import MakeLogger

SCHEMA = Schema(
    "batch",
    (Field(("step",), np.dtype(np.int32)), Field(("scalars", "x"), np.dtype(np.float32))),
)


class MoodySettings(jaxlog.sinks.SinkSettings, frozen=True):
    kind: Literal["moody"] = "moody"


class Moody(jaxlog.sinks.Sink):
    """Fails as often as it is told to; what it has flushed lasts."""

    Settings = MoodySettings
    failures: ClassVar[dict[str, int]] = {}
    lasting: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.kept: list[tuple[int, int]] = []

    def _may_fail(self, what: str) -> None:
        if self.failures.get(what, 0):
            self.failures[what] -= 1
            raise OSError(f"{what}: in a mood")

    def open(self, run: jaxlog.sinks.RunInfo) -> None:
        self._may_fail("open")
        del self.lasting[
            (run.position or {}).get("lasting", 0) if run.if_exists == "resume" else 0 :
        ]

    def write_metrics(self, event: jaxlog.sinks.MetricsEvent) -> None:
        self._may_fail("write")
        self.kept += [(event.step, lane.index) for lane in event.lanes]

    def flush(self) -> None:
        self._may_fail("flush")
        self.lasting.extend(self.kept)
        self.kept.clear()

    def position(self) -> dict[str, int]:
        return {"lasting": len(self.lasting)}

    def close(self) -> None:
        self._may_fail("close")
        self.flush()


class Accounts(RuleBasedStateMachine):
    """Opens, emits, fails, flushes, takes states, closes and resumes."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setitem(sinks._SINKS, "moody", f"{__name__}:Moody")
        self.patch.setattr(retries, "RETRY_DELAYS", (0.0, 0.0))
        self.patch.setattr(retries, "OUTAGE_DELAYS", ())
        self.patch.setattr(worker, "LINGER", 0.001)
        self.root = Path(tempfile.mkdtemp())
        self.logger = jaxlog.Logger(
            {"batched_logging_enabled": True, "sinks": [{"kind": "moody"}, {"kind": "jsonl"}]}
        )
        self.logger._learn(SCHEMA)
        Moody.failures = {}
        Moody.lasting = []
        self.step = 0
        self.run: jaxlog.Run | None = None
        self.emitted: list[tuple[int, int]] = []  # what has to be in the file
        self.states: list[tuple[Any, int, int]] = []  # with what was emitted then, and the step

    @precondition(lambda self: self.run is None)
    @rule(how=st.sampled_from(["replace", "end", "state"]))
    def open(self, how: str) -> None:
        state = None
        if how == "state" and self.states:
            state, emitted, self.step = self.states[-1]
            del self.emitted[emitted:]
        elif how != "end":
            self.emitted.clear()
            self.states.clear()
        if_exists = "resume" if state is not None or how == "end" else "replace"
        self.run = self.logger.open(self.root / "run", if_exists=if_exists, state=state)
        self.arrived = self.replayed = 0
        self.lasting = len(Moody.lasting)

    @precondition(lambda self: self.run is not None)
    @rule(due=st.lists(st.booleans(), min_size=1, max_size=3), times=st.integers(1, 3))
    def emit(self, due: list[bool], times: int) -> None:
        """Lanes that have ended, and are sent again for as long as one runs that does not log."""
        if not any(due):
            return
        bits = np.where([*due, False], METRICS_DUE, 0).astype(np.uint32)
        words = np.array([[self.step, lane] for lane in range(len(due) + 1)], np.uint32)
        for turn in range(times):
            head = header(
                self.logger._handle, SCHEMA.call_number, SCHEMA.head_words, (len(due) + 1,)
            )
            words[-1, 0] = self.step + turn
            (buffer,) = buffers_of(head, bits[None], words[None], SCHEMA.head_words)
            self.logger._receive(Delivery(buffer), time.time())
            self.arrived += sum(due)
            self.replayed += sum(due) if turn else 0
        self.emitted += [(self.step, lane) for lane, is_due in enumerate(due) if is_due]
        self.step += times

    @rule(what=st.sampled_from(["open", "write", "flush", "close"]), times=st.integers(1, 10))
    def fail(self, what: str, times: int) -> None:
        Moody.failures[what] = times

    @rule()
    def recover(self) -> None:
        Moody.failures.clear()

    @precondition(lambda self: self.run is not None)
    @rule()
    def flush(self) -> None:
        assert self.run is not None
        self.run.flush()
        assert self.in_the_file() == self.emitted

    @precondition(lambda self: self.run is not None)
    @rule()
    def take_state(self) -> None:
        assert self.run is not None
        self.states.append((self.run.state(), len(self.emitted), self.step))

    @precondition(lambda self: self.run is not None)
    @rule()
    def close(self) -> None:
        assert self.run is not None
        run, self.run = self.run, None
        run.close()
        facts = json.loads((self.root / "run" / "run.json").read_text())
        assert facts["arrived"] == run.arrived == self.arrived
        assert facts["replayed"] == run.replayed == self.replayed
        for sink in facts["sinks"]:
            assert self.arrived == sink["written"] + sink["lost"] + self.replayed
            assert (sink["failure"] is None) or sink["kind"] == "moody"
        moody, jsonl = facts["sinks"]
        assert jsonl["lost"] == 0
        assert self.in_the_file() == self.emitted
        assert moody["written"] == len(Moody.lasting) - self.lasting

    def in_the_file(self) -> list[tuple[int, int]]:
        path = self.root / "run" / "batch_metrics.jsonl"
        text = path.read_text() if path.exists() else ""
        return [(line["step"], line["lane"]) for line in map(json.loads, text.splitlines())]

    @invariant()
    def nothing_arrives_unseen(self) -> None:
        if getattr(self, "run", None) is not None:
            assert self.run is not None
            assert self.run.arrived == self.arrived

    def teardown(self) -> None:
        if hasattr(self, "root"):
            if self.run is not None:
                self.close()
            self.patch.undo()
            Moody.failures = {}
            shutil.rmtree(self.root)


TestAccounts = Accounts.TestCase
TestAccounts.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_two_threads_train_with_a_run_each(make_logger: MakeLogger, tmp_path: Path) -> None:
    """Each run has its own records, all of them, and is closed by the thread that trained."""
    loggers = [make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}]) for _ in range(2)]

    def train(number: int) -> None:
        @jax.jit
        def program(x: jax.Array) -> jax.Array:
            def update(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
                jaxlog.batch_step(loggers[number], step, {"x": x})
                return x + 1.0, None

            return jax.lax.scan(update, x, jnp.arange(300))[0]

        for turn in range(3):
            with loggers[number].open(tmp_path / f"{number}-{turn}"):
                program(jnp.float32(1000 * number))

    threads = [threading.Thread(target=train, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(2):
        for turn in range(3):
            text = (tmp_path / f"{number}-{turn}" / "batch_metrics.jsonl").read_text()
            values = [json.loads(line)["metrics"]["x"] for line in text.splitlines()]
            assert values == [1000.0 * number + i for i in range(300)]


def test_a_directory_that_is_removed_is_told_of(
    make_logger: MakeLogger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}, {"kind": "memory"}])
    with logger.open(tmp_path / "run") as run:
        jaxlog.batch_step(logger, 0, {"x": 1.0})
        run.flush()
        shutil.rmtree(tmp_path / "run")
        jaxlog.batch_step(logger, 1, {"x": 1.0})
    assert "batch_metrics.jsonl: was removed while the run is open" in caplog.text
    assert "the sink jsonl lost 1 of 2 records" in caplog.text
    assert "run.json could not be written" in caplog.text
    assert [event.step for event in run.sink("memory").metrics] == [0, 1]


def test_a_directory_that_another_run_has_taken_is_not_written_into(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    first, second = make_logger(log_frequency=1), make_logger()
    with first.open(tmp_path / "run", name="first"):
        jaxlog.batch_step(first, 0, {"x": 1.0})
        shutil.rmtree(tmp_path / "run")
        with second.open(tmp_path / "run", name="second"):
            jaxlog.batch_step(second, 0, {"x": 1.0})
    assert json.loads((tmp_path / "run" / "run.json").read_text())["name"] == "second"


def test_what_fails_now_and_then_holds_nothing_up(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each failure would take five seconds of trying again."""
    monkeypatch.setitem(sinks._SINKS, "moody", f"{__name__}:Odd")
    monkeypatch.setattr(Moody, "failures", {})
    monkeypatch.setattr(retries, "RETRY_DELAYS", (0.05, 5.0))
    monkeypatch.setattr(retries, "PATIENCE", 0.5)
    logger = make_logger(log_frequency=1, sinks=[{"kind": "moody"}, {"kind": "memory"}])
    began = time.monotonic()
    with logger.open() as run:
        for step in range(60):
            jaxlog.batch_step(logger, step, {"x": 1.0})
    assert time.monotonic() - began < 60
    accounts = {w.kind: (w.written, w.lost) for w in run._engine._workers}
    assert accounts == {"moody": (30, 30), "memory": (60, 0)}


def test_an_outage_is_waited_for(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sinks._SINKS, "moody", f"{__name__}:Moody")
    monkeypatch.setattr(retries, "OUTAGE_DELAYS", (0.2, 0.4, 0.8))
    monkeypatch.setattr(Moody, "failures", {"flush": 4})
    monkeypatch.setattr(Moody, "lasting", [])
    logger = make_logger(
        log_frequency=1, sampling_enabled=False, strict=True, sinks=[{"kind": "moody"}]
    )
    with logger.open() as run:
        for step in range(20):
            jaxlog.batch_step(logger, step, {"x": 1.0})
        run.flush()
    assert [step for step, _ in Moody.lasting] == list(range(20))
    assert "the sink moody cannot flush, and tries again: OSError" in caplog.text


def test_who_closes_second_waits_for_the_first(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logger = make_logger(log_frequency=1)
    monkeypatch.setattr(MemorySink, "close", lambda _: time.sleep(0.5))
    run = logger.open(tmp_path)
    closing = threading.Thread(target=run.close)
    closing.start()
    time.sleep(0.1)
    run.close()
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "finished"
    closing.join()


class Odd(Moody):
    def write_metrics(self, event: jaxlog.sinks.MetricsEvent) -> None:
        if event.step % 2:
            raise ValueError("odd")


class Sleepy(Moody):
    awake = threading.Event()

    def open(self, run: jaxlog.sinks.RunInfo) -> None:
        self.awake.wait(200)


def test_a_sink_that_hangs_when_it_opens_does_not_keep_the_training(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sinks._SINKS, "moody", f"{__name__}:Sleepy")
    monkeypatch.setattr(worker, "STALL_TIMEOUT", 0.2)
    logger = make_logger(sinks=[{"kind": "moody"}, {"kind": "memory"}])
    began = time.monotonic()
    with logger.open() as run:
        jaxlog.batch_step(logger, 0, {"x": 1.0})
        run.flush()
        assert len(run.sink("memory").metrics) == 1
    assert time.monotonic() - began < 100
    Sleepy.awake.set()
    assert (
        "the sink moody is switched off for this run: it did not open within 0.2 s" in caplog.text
    )
    assert "the sink moody lost 1 of 1 record" in caplog.text
