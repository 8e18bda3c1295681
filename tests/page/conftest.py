"""Runs that the page shows, and the answers to what it asks for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxlog
from jaxlog._page.answers import Answers
from jaxlog._page.followed import FollowedRuns
from tests.conftest import MakeLogger

STEPS = 60
RATES = (0.001, 0.003, 0.01)

Ask = Callable[..., Any]


class Page:
    """What the page is answered about a directory.

    Args:
      directory: the directory of the runs.
    """

    def __init__(self, directory: Path) -> None:
        self.followed = FollowedRuns(directory)
        self.answers = Answers(self.followed)

    def look(self) -> None:
        """Reads everything that is new."""
        self.followed.look(all_of_it=True)

    def body(self, address: str) -> bytes:
        """The body of an answer."""
        name, _, query = address.partition("?")
        found = self.answers.of(name, query)
        assert found is not None
        return found.body

    def __call__(self, address: str) -> Any:
        """An answer in JSON."""
        return json.loads(self.body(address))

    def ids(self) -> dict[str, str]:
        """The id of each run, by its name."""
        return {run.row.name: run.id for run in self.followed.runs()}


def value(rate: float, run: int, lane: int, step: int) -> float:
    """The value of the metric `score` in the runs of `sweep`."""
    if run == 1 and lane == 2 and step > 40:
        return math.nan
    if run == 4 and lane == 0 and 10 < step < 20:
        return math.inf
    return 100.0 * (1.0 - math.exp(-rate * step * 20)) + 3.0 * lane + run


def write_sweep(make_logger: MakeLogger, directory: Path, kind: str = "jsonl") -> None:
    """Six runs of four lanes: three learning rates, two seeds; one lane diverges, one run fails."""
    for number in range(6):
        rate = RATES[number % 3]
        config = {"lr": rate, "net": {"width": 64}, "seed": number // 3}
        settings = {"sinks": [{"kind": kind}], "env_steps_per_update": 16}
        logger = make_logger(**settings, total_updates=STEPS)
        lanes = [{"env": ("a", "b")[lane % 2], "seed": lane} for lane in range(4)]
        run = logger.open(directory / f"run-{number}", config=config, lanes=lanes)
        for step in range(STEPS if number != 5 else 30):
            scores = [value(rate, number, lane, step) for lane in range(4)]
            run.log({"score": scores, "loss": 1.0 / (step + 1)}, step=step)
            if step % 10 == 0:
                run.log({"score": scores[0]}, step=step, name="probe")
        run.close(ValueError("no luck") if number == 5 else None)


@pytest.fixture
def sweep(make_logger: MakeLogger, tmp_path: Path) -> Path:
    """The runs of `write_sweep`."""
    write_sweep(make_logger, tmp_path / "sweep")
    return tmp_path / "sweep"


@pytest.fixture(scope="session")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with episodes that have states, histograms and arrays."""
    settings: dict[str, Any] = {
        "batched_logging_enabled": True,
        "log_frequency": 1,
        "sample_frequency": 5,
        "num_samples": 2,
        "histograms": {"episode_returns": {"low": 0, "high": 40, "bins": 4}},
        "sinks": [{"kind": "jsonl"}, {"kind": "svg"}],
    }
    logger = jaxlog.Logger(settings, total_updates=20)

    def update(seed: jax.Array, step: jax.Array) -> None:
        returns = jnp.arange(8.0) * 3 + step + seed
        states = jnp.zeros((8, 3, 3), jnp.int32).at[:, 1, 1].set(seed)
        jaxlog.batch_step(
            logger,
            step,
            {"episode_returns": returns, "success_mask": returns > 15},
            where=jnp.ones(8, bool),
            details={"initial_state": states, "final_state": states + 1},
            labels={"seed": seed},
        )
        jaxlog.log(logger, step, arrays={"table": jnp.eye(3) * step})

    directory = tmp_path_factory.mktemp("pictures") / "runs" / "grid"
    with jax.numpy_dtype_promotion("standard"), logger.open(directory, config={"gamma": 0.99}):
        every = jax.jit(jax.vmap(update, in_axes=(0, None)))
        for step in range(20):
            every(jnp.arange(3), step)
    return directory
