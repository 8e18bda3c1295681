"""What the system lacks for a while: disk, descriptors, threads. No sink ends, nothing is left."""

from __future__ import annotations

import builtins
import errno
import io
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._host import outage, retries, signals, worker
from jaxlog._say import Once
from tests.conftest import MakeLogger


class Clock:
    """Knows whether an outage lasts; one begins at `start` and lasts for what was waited."""

    def __init__(self) -> None:
        self.left = 0.0
        self.failed = 0

    def start(self, seconds: float = 3.0) -> None:
        self.left = seconds

    def check(self, number: int) -> None:
        """Fails while the outage lasts."""
        if self.left > 0:
            self.failed += 1
            raise OSError(number, os.strerror(number))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Waiting takes no time: it only shortens the outage."""
    clock = Clock()

    def pause(self: worker.Worker, seconds: float, **_: Any) -> None:
        clock.left -= seconds

    def sleep(seconds: float) -> None:
        clock.left -= seconds

    monkeypatch.setattr(worker.Worker, "_pause", pause)
    monkeypatch.setattr(outage, "sleep", sleep)
    return clock


@pytest.fixture(params=[errno.ENOSPC, errno.EMFILE, errno.EIO], ids=["ENOSPC", "EMFILE", "EIO"])
def broken(
    request: pytest.FixtureRequest, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Clock:
    """Files below `tmp_path` can be neither opened to write nor written while it lasts."""
    real_open, real_os_open, real_replace = io.open, os.open, os.replace

    class File(io.FileIO):
        def write(self, data: Any) -> int:
            clock.check(request.param)
            return super().write(data)

    def opens(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        ours = isinstance(file, str | os.PathLike) and str(file).startswith(str(tmp_path))
        if not ours or not set(mode) & set("wax+"):
            return real_open(file, mode, *arguments, **options)
        clock.check(request.param)
        if "b" in mode and "+" not in mode:
            return File(file, mode.replace("b", ""))
        return real_open(file, mode, *arguments, **options)

    def os_opens(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        ours = str(path).startswith(str(tmp_path))
        if ours and flags & (os.O_WRONLY | os.O_RDWR):
            clock.check(request.param)
        return real_os_open(path, flags, *arguments, **options)

    def replaces(source: Any, target: Any) -> None:
        clock.check(request.param)
        real_replace(source, target)

    monkeypatch.setattr(io, "open", opens)
    monkeypatch.setattr(builtins, "open", opens)
    monkeypatch.setattr("jaxlog.sinks.growing.FileIO", File)
    monkeypatch.setattr("jaxlog._host.directory.FileIO", File)
    monkeypatch.setattr(os, "open", os_opens)
    monkeypatch.setattr(os, "replace", replaces)
    return clock


SINKS = [{"kind": "jsonl"}, {"kind": "tensorboard"}, {"kind": "svg"}]


@pytest.mark.parametrize("at", ["before anything", "between", "at the end"])
def test_three_seconds_without_disk_or_descriptors_end_no_sink(
    at: str,
    broken: Clock,
    make_logger: MakeLogger,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = make_logger(log_frequency=1, sample_frequency=2, num_samples=1, sinks=SINKS)

    @jax.jit
    def train(steps: jax.Array) -> None:
        def update(_: None, step: jax.Array) -> Any:
            returns = jnp.arange(4.0) + step.astype(np.float32)
            details = {"state": jnp.ones((4, 2, 2), np.uint8)}
            jaxlog.batch_step(logger, step, {"episode_returns": returns}, details=details)
            return None, None

        jax.lax.scan(update, None, steps)

    with (
        caplog.at_level(logging.WARNING, "jaxlog"),
        logger.open(tmp_path / "run") as run,
    ):
        if at == "before anything":
            broken.start()
        train(jnp.arange(4))
        if at == "between":
            run.flush()
            broken.start()
        train(jnp.arange(4, 8))
        run.flush()
        if at == "at the end":
            broken.start()
            train(jnp.arange(8, 9))
    assert broken.failed
    for account in run.accounts():
        assert (account.off, account.written) == (False, account.arrived)
    assert "switched off" not in caplog.text
    assert "records" not in caplog.text  # none is lost
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["status"] == "finished"
    assert all(sink["lost"] == 0 for sink in facts["sinks"])
    lines = (tmp_path / "run" / "batch_metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(
        range(9 if at == "at the end" else 8)
    )


def test_a_sink_that_opens_in_an_outage_opens_after_it(
    clock: Clock, make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jaxlog.sinks.jsonl import JsonlSink

    opens = JsonlSink.open

    def fails(self: JsonlSink, run: Any) -> None:
        clock.check(errno.EMFILE)
        opens(self, run)

    monkeypatch.setattr(JsonlSink, "open", fails)
    clock.start()
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path) as run:
        run.log({"x": 1.0}, step=0)
    assert [(account.written, account.off) for account in run.accounts()] == [(1, False)]
    clock.start(60.0)  # but training does not wait for a minute
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path, if_exists="replace") as run:
        assert 60.0 - 10.0 < clock.left < 60.0
        assert [account.off for account in run.accounts()] == [True]


def test_a_state_taken_in_an_outage_is_kept(
    broken: Clock, make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path) as run:
        run.log({"x": 1.0}, step=3)
        run.flush()
        broken.start()
        state = run.state()
        run.log({"x": 2.0}, step=4)
    assert broken.failed
    with logger.open(tmp_path, if_exists="resume", state=state) as run:
        assert run.info.resumes_at == 4


def test_the_outage_of_one_event_is_not_held_against_later_ones(clock: Clock) -> None:
    from tests.host.test_worker import Odd, RunInfo, arrival, decoding

    steps: list[int] = []

    def on_write(event: Any) -> None:
        if event.step % 3 == 1 and event.step not in steps:
            steps.append(event.step)
            clock.start()
        clock.check(errno.ENOSPC)

    sink = Odd(on_write)
    running = worker.Worker(sink, RunInfo("odd"), decoding())
    for step in range(60):  # twenty outages, of a minute together
        running.put(arrival(step))
    assert running.request_flush().done.wait(20)
    running.close()
    assert (running.written, running.lost) == (60, 0)


def test_what_is_no_outage_is_not_waited_for(clock: Clock) -> None:
    from tests.host.test_worker import Odd, RunInfo, arrival, decoding

    def fail(event: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "removed")

    clock.left = 0.0
    running = worker.Worker(Odd(fail), RunInfo("odd"), decoding())
    running.put(arrival(0))
    assert running.request_flush().done.wait(20)
    assert clock.left == pytest.approx(-sum(retries.RETRY_DELAYS))
    running.close()
    assert running.lost == 1


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_outage_is_told_by_the_error_or_by_its_cause(wrapped: bool) -> None:
    full = OSError(errno.ENOSPC, "full")
    error: BaseException = full
    if wrapped:
        error = RuntimeError("could not save")
        error.__cause__ = full
    assert outage.is_outage(error)
    itself = ValueError()
    itself.__context__ = ring = ValueError()
    ring.__context__ = itself
    for other in (itself, OSError("no number"), FileNotFoundError(errno.ENOENT, "gone"), None):
        assert not outage.is_outage(other)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets no thread start whose name begins so, as when the system has none left."""
    names: list[str] = []
    starts = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if any(self.name.startswith(name) for name in names):
            raise RuntimeError("can't start new thread")
        starts(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    return lambda *those: names.extend(those)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_a_sink_without_a_thread_is_left_out(
    no_threads: Callable[..., None],
    make_logger: MakeLogger,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    no_threads("jaxlog-jsonl")
    sinks = [{"kind": "jsonl"}, {"kind": "memory"}]
    with (
        caplog.at_level(logging.WARNING, "jaxlog"),
        make_logger(sinks=sinks).open(tmp_path) as run,
    ):
        run.log({"x": 1.0}, step=0)
    assert len(run.sink("memory").metrics) == 1
    assert [(account.written, account.off) for account in run.accounts()] == [(0, True), (1, False)]
    why = "its thread could not be started: can't start new thread"
    first, last = [record.getMessage() for record in caplog.records]
    assert first == f"jaxlog: the sink jsonl is switched off for this run: {why}"
    assert last.endswith(f"the sink jsonl lost 1 of 1 record: {why}")
    facts = json.loads((tmp_path / "run.json").read_text())
    assert (facts["status"], facts["sinks"][0]["failure"]) == ("finished", why)


def test_a_strict_run_without_a_thread_does_not_open_and_leaves_nothing(
    no_threads: Callable[..., None], make_logger: MakeLogger, tmp_path: Path
) -> None:
    no_threads("jaxlog-jsonl")
    logger = make_logger(sinks=[{"kind": "jsonl"}], strict=True)
    before = open_descriptors()
    with pytest.raises(jaxlog.LoggingError, match="its thread could not be started"):
        logger.open(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    for _ in range(1000):  # the thread that watched signals closes its socket by itself
        if open_descriptors() <= before:
            break
        time.sleep(0.01)
    assert open_descriptors() <= before
    with make_logger(sinks=[{"kind": "memory"}]).open(tmp_path / "run"):
        pass


@pytest.mark.parametrize("at", ["thread", "sockets"])
def test_signals_that_cannot_be_watched_leave_nothing_behind(
    at: str,
    no_threads: Callable[..., None],
    make_logger: MakeLogger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(signals, "_is_first_warning", Once())
    if at == "thread":
        no_threads("jaxlog-signals")
    else:

        def none_left() -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr("socket.socketpair", none_left)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup, before = signal.set_wakeup_fd(-1), open_descriptors()
    signal.set_wakeup_fd(wakeup)
    logger = make_logger()
    with caplog.at_level(logging.WARNING, "jaxlog"):
        for _ in range(2):
            with logger.open() as run:
                assert signals._watch is None
                assert open_descriptors() <= before
                assert {n: signal.getsignal(n) for n in handlers} == handlers
                found = signal.set_wakeup_fd(-1)
                signal.set_wakeup_fd(found)
                assert found == wakeup
                run.log({"x": 1.0}, step=0)
            assert len(run.sink("memory").metrics) == 1
    (record,) = caplog.records
    why = "can't start new thread" if at == "thread" else "[Errno 24] Too many open files"
    assert record.getMessage() == (
        f"jaxlog: signals are not watched: {why}. Ctrl-C and SIGTERM act as they do without "
        "jaxlog: records that are not written by then may be lost. Said once."
    )
    monkeypatch.undo()
    with logger.open():
        assert signals._watch is not None
    assert {n: signal.getsignal(n) for n in handlers} == handlers
