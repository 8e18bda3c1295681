"""A run to report on, with lanes in groups and episodes with states."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import jaxlog

STEPS = 40


@pytest.fixture(scope="session")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two learning rates, three seeds each."""
    settings = {
        "batched_logging_enabled": True,
        "log_frequency": 1,
        "sample_frequency": 10,
        "num_samples": 1,
        "env_steps_per_update": 64,
        "sinks": [{"kind": "jsonl"}, {"kind": "svg"}],
    }
    logger = jaxlog.Logger(settings, total_updates=STEPS)

    def update(seed: jax.Array, rate: jax.Array, step: jax.Array) -> None:
        returns = 10.0 * rate * step + seed + jnp.arange(8.0)
        metrics = {
            "episode_returns": returns,
            "policy_loss": jnp.where((seed == 1) & (step == 5), jnp.nan, 1.0 / (step + 1.0)),
        }
        states = jnp.zeros((8, 3, 3), jnp.int32).at[:, 1, 1].set(seed)
        jaxlog.batch_step(
            logger,
            step,
            metrics,
            where=jnp.arange(8) % 4 == step % 4,
            details={"initial_state": states, "final_state": states + 1},
            labels={"learning_rate": rate, "seed": seed},
        )

    directory = tmp_path_factory.mktemp("reports") / "sweep"
    rates, seeds = jnp.repeat(jnp.array([0.5, 2.0]), 3), jnp.tile(jnp.arange(3), 2)
    config = {"gamma": 0.99, "api_key": "hunter2"}
    with jax.numpy_dtype_promotion("standard"), logger.open(directory, config=config):
        every = jax.jit(jax.vmap(update, in_axes=(0, 0, None)))
        for step in range(STEPS):
            every(seeds, rates, step)
    return directory
