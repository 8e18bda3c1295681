"""Sinks that are given to `Logger` as objects, without a package around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxlog
from jaxlog.sinks import EpisodeEvent, MetricsEvent, RunInfo, Sink


class Steps(Sink):
    """Keeps the steps of what it is given; it calls no `Sink.__init__`."""

    def __init__(self, *, fails: bool = False) -> None:
        self.calls: list[Any] = []
        self._fails = fails

    def open(self, run: RunInfo) -> None:
        self.calls.append(f"open {run.name}")

    def write_metrics(self, event: MetricsEvent) -> None:
        if self._fails:
            raise ValueError("no more")
        self.calls.append(event.step)

    def close(self) -> None:
        self.calls.append("close")


class Episodes(Sink):
    """Takes episodes, and has no constructor of its own."""

    count = 0

    def write_episode(self, event: EpisodeEvent) -> None:
        self.count += 1


class NoSink:
    """Has the methods, but not all."""

    def write_metrics(self, event: MetricsEvent) -> None: ...


def train(logger: jaxlog.Logger) -> None:
    def update(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        jaxlog.batch_step(logger, step, {"episode_returns": x})
        return x + 1.0, None

    jax.block_until_ready(jax.jit(lambda x: jax.lax.scan(update, x, jnp.arange(21)))(jnp.ones(4)))


def test_it_is_given_what_a_run_logs(tmp_path: Path) -> None:
    steps, episodes = Steps(), Episodes()
    logger = jaxlog.Logger({"sinks": [steps, {"kind": "jsonl"}, episodes]})
    with logger.open(tmp_path / "run") as run:
        train(logger)
        assert run.sink("Steps") is steps
        assert run.sink("Episodes") is episodes
    assert steps.calls == ["open run", 0, 10, 20, "close"]
    assert episodes.count == 3
    accounts = {account.kind: account for account in run.accounts()}
    assert list(accounts) == ["Steps", "jsonl", "Episodes"]
    for account in accounts.values():
        assert account.written == account.arrived == run.arrived > 0
        assert (account.failure, account.off) == (None, False)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [sink["kind"] for sink in facts["settings"]["sinks"]] == ["Steps", "jsonl", "Episodes"]
    assert facts["settings"]["sinks"][0] == {"kind": "Steps"}
    assert [sink["kind"] for sink in facts["sinks"]] == ["Steps", "jsonl", "Episodes"]


def test_a_second_run_opens_it_again() -> None:
    steps = Steps()
    logger = jaxlog.Logger({"sinks": [steps]})
    for name in ("first", "second"):
        with logger.open(name=name):
            train(logger)
    run = [0, 10, 20, "close"]
    assert steps.calls == ["open first", *run, "open second", *run]


def test_what_it_raises_is_accounted_for() -> None:
    logger = jaxlog.Logger({"sinks": [Steps(fails=True), {"kind": "memory"}], "strict": True})
    why = r"the sink Steps lost 3 of 3 records: .*no more"
    with pytest.raises(jaxlog.LoggingError, match=why), logger.open() as run:
        train(logger)
    assert [event.step for event in run.sink("memory").metrics] == [0, 10, 20]


def test_two_of_a_class_are_two_sinks() -> None:
    first, second = Steps(), Steps()
    config = jaxlog.load_config({"sinks": [first, second]}, log_frequency=20)
    config = jaxlog.load_config(config, sampling_enabled=False)  # and settings made of settings
    assert config == jaxlog.load_config(config, strict=False)
    assert isinstance(hash(config), int)
    logger = jaxlog.Logger(config)
    with logger.open() as run:
        train(logger)
    assert first.calls == second.calls == ["open jaxlog", 0, 20, "close"]
    assert run.sink("Steps") is first


@pytest.mark.parametrize(
    ("sink", "why"),
    [
        (Steps, "got the class Steps, expected an object of it, like Steps()"),
        (
            NoSink(),
            "got an object of NoSink, which is not a jaxlog.sinks.Sink; derive the class from it",
        ),
        (
            NoSink,
            "got the class NoSink, which is not a jaxlog.sinks.Sink; derive the class from it",
        ),
    ],
)
def test_what_is_no_sink_is_refused(sink: Any, why: str) -> None:
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.Logger({"sinks": [{"kind": "memory"}, sink]})
    assert str(caught.value) == f"settings: sinks.1: {why}"


def test_one_object_is_given_once() -> None:
    steps = Steps()
    with pytest.raises(jaxlog.ConfigError, match=r"sinks\.1: Steps is listed twice"):
        jaxlog.Logger({"sinks": [steps, steps]})


def test_an_object_of_an_open_run_is_refused(tmp_path: Path) -> None:
    steps, own = Steps(), Steps()
    first = jaxlog.Logger({"sinks": [steps]})
    second = jaxlog.Logger({"sinks": [own, steps, {"kind": "jsonl"}]})
    with first.open(name="first"):
        with pytest.raises(RuntimeError) as caught:
            second.open(tmp_path / "second")
        with jaxlog.Logger({"sinks": [own]}).open(
            name="third"
        ):  # it was not kept by the refused one
            pass
    assert str(caught.value) == (
        "sinks: the object of 'Steps' is in use by the run 'first', which is open; close that run "
        "first, or make an object for each run"
    )
    assert not (tmp_path / "second").exists()
    assert steps.calls == ["open first", "close"]
    with second.open(tmp_path / "second"):
        pass
    assert steps.calls == ["open first", "close", "open second", "close"]


def test_an_object_is_free_again_after_an_open_that_failed(tmp_path: Path) -> None:
    steps = Steps()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "batch_metrics.jsonl").write_text("another run's\n")
    with pytest.raises(OSError, match="lines of another run"):
        jaxlog.Logger({"sinks": [steps, {"kind": "jsonl"}]}).open(tmp_path / "run")
    with pytest.raises(TypeError, match="tags: got the text"):
        jaxlog.Logger({"sinks": [steps]}).open(tags="one")
    with jaxlog.Logger({"sinks": [steps]}).open(name="run"):
        pass
    assert steps.calls == ["open run", "close"]


def test_sampled_episodes_that_no_object_takes_are_said() -> None:
    with pytest.warns(jaxlog.ConfigWarning, match=r"no sink takes them \(there is: Steps\)"):
        jaxlog.Logger({"num_samples": 2, "sinks": [Steps()]})
    jaxlog.Logger({"num_samples": 2, "sinks": [Episodes()]})
