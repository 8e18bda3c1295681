# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""A program as a typed user of jaxlog writes it: checked with pyright strict, and run by a test.

No line about jaxlog needs a `pyright: ignore`; those here are for functions of JAX that have
parameters without a type, and for the mistakes at the end, each of which has to be found.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

import jaxlog
from jaxlog.sinks import EpisodeEvent, Histogram, MetricsEvent, RunInfo, Sink
from jaxlog.statistics import (
    EpisodeTracker,
    Moments,
    QuantileSketch,
    histogram,
    sample_indices,
    sample_indices_where,
)

NUM_UPDATES = 20
NUM_ENVS = 4


class LossSink(Sink):
    """A sink of one's own: keeps what it is given, as numbers of Python's."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.losses: list[float] = []
        self.numbers: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.episode_returns: list[float] = []

    def open(self, run: RunInfo) -> None:
        """The run it is of."""
        self.name = run.name

    def write_metrics(self, event: MetricsEvent) -> None:
        """Numbers and histograms, each from its own mapping."""
        for lane in event.lanes:
            self.losses.append(float(lane.metrics["loss"]))
            for key, number in lane.metrics.items():
                self.numbers[f"{event.name}/{key}/{lane.index}"] = float(number)
            for key, counted in lane.histograms.items():
                self.counts[key] = sum(counted.counts) + counted.below + counted.above
            for key, value in lane.values.items():
                if not isinstance(value, Histogram):
                    assert float(value) == float(lane.metrics[key])

    def write_episode(self, event: EpisodeEvent) -> None:
        """An episode's own values."""
        self.episode_returns.append(float(event.episode["total_reward"]))


class TrainState(NamedTuple):
    """The carry of the loop."""

    skill: jax.Array
    tracker: EpisodeTracker
    window: jaxlog.Window
    moments: Moments


def settings_in_every_form(sink: LossSink) -> list[jaxlog.LoggingConfig]:
    """Settings as models and as dicts; keys that are left out have their defaults."""
    kept: jaxlog.SettingsDict = {"log_frequency": 5, "sinks": [{"kind": "memory"}, sink]}
    kept["strict"] = True
    plain = {"log_frequency": 5, "sinks": [{"kind": "jsonl"}, {"kind": "memory"}]}
    model = jaxlog.LoggingConfig(batched_logging_enabled=True)
    return [
        model,
        jaxlog.LoggingConfig(),
        jaxlog.LoggingConfig(log_frequency=5, statistics=("mean", "p90"), sinks=(sink,)),
        jaxlog.LoggingConfig(
            statistics={"default": ("mean",), "episode_returns": ["mean", "std"]},
            histograms={
                "episode_returns": (0.0, 1.0, 2.0),
                "advantages": {"low": -1.0, "high": 1.0, "bins": 4},
            },
            sinks=[{"kind": "memory"}, sink],
        ),
        jaxlog.load_config(kept),
        jaxlog.load_config(plain),
        jaxlog.load_config({"statistics": ["mean"], "sinks": [{"kind": "memory"}]}),
        jaxlog.load_config(model, "log_frequency=2", strict=True),
        jaxlog.Logger(plain, total_updates=3).settings,
    ]


def make_logger(sink: LossSink) -> jaxlog.Logger:
    """A logger whose settings are a dict, as most write them."""
    return jaxlog.Logger(
        {
            "batched_logging_enabled": True,
            "log_frequency": 5,
            "sample_frequency": 10,
            "num_samples": 1,
            "statistics": {"default": ["mean", "std"], "episode_returns": ["mean", "median"]},
            "histograms": {"episode_returns": {"low": 0.0, "high": 20.0, "bins": 4}},
            "sinks": [{"kind": "jsonl"}, {"kind": "memory"}, sink],
        },
        total_updates=NUM_UPDATES,
    )


def make_train(
    logger: jaxlog.Logger, learning_rate: float
) -> Callable[[jax.Array], tuple[TrainState, jax.Array]]:
    """The compiled program, with each of the calls that log."""
    environments = jnp.arange(NUM_ENVS)  # pyright: ignore[reportUnknownMemberType]
    steps = jnp.arange(NUM_UPDATES)  # pyright: ignore[reportUnknownMemberType]

    def update(state: TrainState, step: jax.Array) -> tuple[TrainState, jax.Array]:
        reward = state.skill + environments.astype(jnp.float32)
        done = (environments + step) % 2 == 0
        tracker, episodes, ended = state.tracker.step(reward, done)
        loss = 1.0 / (1.0 + step.astype(jnp.float32))
        jaxlog.batch_step(
            logger,
            step,
            {**episodes, "loss": loss},
            where=ended,
            details={"state": reward[:, None]},
            labels={"learning_rate": learning_rate},
        )
        arrays = {"rewards": reward}
        jaxlog.log(logger, step, {"loss": loss, "learning_rate": learning_rate}, arrays=arrays)
        _, window = jaxlog.window_step(logger, state.window, step, {"loss": loss})
        moments = state.moments.merge(Moments.of(reward, where=done))
        return TrainState(state.skill + learning_rate, tracker, window, moments), loss

    def train(skill: jax.Array) -> tuple[TrainState, jax.Array]:
        window = jaxlog.empty_window(logger, {"loss": 0.0}, name="window")
        start = TrainState(skill, EpisodeTracker.empty(NUM_ENVS), window, Moments.empty())
        return jax.lax.scan(update, start, steps)

    return jax.jit(train)  # pyright: ignore[reportUnknownMemberType]


def statistics(rewards: jax.Array) -> dict[str, float]:
    """The pure functions that the calls compute with."""
    moments, sketch = Moments.of(rewards), QuantileSketch.of(rewards)
    indices, chosen = sample_indices_where(0, rewards > 0, 2)
    return {
        "mean": float(moments.mean),
        "count": float(moments.merge(Moments.empty()).count),
        "median": float(sketch.merge(QuantileSketch.empty()).quantile(0.5)),
        "counted": float(histogram(rewards, (0.0, 10.0)).sum()),
        "picked": float(sample_indices(0, 10, 2).size + indices.size + chosen.sum()),
    }


def read(directory: Path) -> dict[str, float]:
    """What the runs below a directory logged, one by one and compared."""
    run = jaxlog.read_run(directory / "first")
    runs = jaxlog.read_runs(directory)
    comparison = jaxlog.compare(runs, "loss", call="train", by="rate", at="last")
    steps: list[int] = run.metrics["step"].to_list()
    arrays = run.logged_arrays("rewards", call="train", lane=0)
    sizes = {array.value.size for array in arrays}
    return {
        "lines": float(run.metrics.height),
        "last_step": float(steps[-1]),
        "calls": float(len(run.calls)),
        "arrays": float(len(arrays) * len(sizes) + run.logged_arrays("losses")[-1].value.size),
        "runs": float(len(runs) + sum(one.status == "finished" for one in runs)),
        "groups": float(comparison.frame.height + len(comparison.notes)),
    }


def main(directory: Path) -> LossSink:
    """Trains twice, logs by hand too, and returns the sink."""
    sink = LossSink()
    logger = make_logger(sink)
    for name, learning_rate in (("first", 0.5), ("second", 0.25)):
        train = make_train(logger, learning_rate)
        with logger.open(directory / name, config={"rate": learning_rate}, tags=["typed"]) as run:
            state, losses = train(jnp.float32(1.0))
            jaxlog.log_window(logger, state.window, NUM_UPDATES)
            last = {"loss": losses[-1], "accuracy": 0.5}
            run.log(last, step=NUM_UPDATES, arrays={"losses": losses}, labels={"seed": 0})
            assert run.info.name == name
            assert run.directory == directory / name
        events = run.sink("memory").metrics
        lanes = [lane for event in events for lane in event.lanes]
        assert all(float(lane.metrics["loss"]) <= 1.0 for lane in lanes)
        assert sum(account.written for account in run.accounts()) == 3 * run.arrived
    return sink


if TYPE_CHECKING:
    jaxlog.LoggingConfig(log_frequenzy=5)  # pyright: ignore[reportCallIssue]
    jaxlog.LoggingConfig(statistics=5)  # pyright: ignore[reportArgumentType]
    often: jaxlog.SettingsDict = {"log_frequency": "often"}  # pyright: ignore[reportAssignmentType]
    jaxlog.sinks.Lane(0, {}, {"loss": "low"})  # pyright: ignore[reportArgumentType]
