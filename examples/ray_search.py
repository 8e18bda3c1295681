"""Searches a learning rate with Ray Tune: each trial is a run of its own, and reports its value.

Run it with `python examples/ray_search.py`; trials are processes that Ray starts, here or on a
cluster whose machines share the directory. Then `jaxlog runs runs/search --sort=-return`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ray  # pyright: ignore[reportMissingImports]  # no part of jaxlog's extras
from ray import tune  # pyright: ignore[reportMissingImports]
from ray.tune.schedulers import ASHAScheduler  # pyright: ignore[reportMissingImports]

import jaxlog

DIRECTORY = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/search").absolute()
SEEDS, PIECES, UPDATES, TRIALS = 8, 5, 20, 12


def search(config: dict[str, Any]) -> None:
    """Train one setting in a process of Ray, and report its return after each piece."""
    logger = jaxlog.Logger(
        {"log_frequency": 5, "sinks": [{"kind": "jsonl"}]}, total_updates=PIECES * UPDATES
    )

    def train(first: jax.Array, weights: jax.Array, seed: jax.Array) -> jax.Array:
        def update(weight: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            noise = jax.random.normal(jax.random.fold_in(jax.random.key(seed), step))
            weight = weight - config["learning_rate"] * (weight - 3.0 + noise)
            values = {"return": -jnp.square(weight - 3.0)}
            jaxlog.log(logger, step, values, name="train", labels={"seed": seed})
            return weight, None

        return jax.lax.scan(update, weights, first + jnp.arange(UPDATES))[0]

    program = jax.jit(jax.vmap(train, in_axes=(None, 0, 0)))
    with logger.open(DIRECTORY / "trial", if_exists="next", config=config) as run:
        weights, seeds = jnp.zeros(SEEDS), jnp.arange(SEEDS)
        for piece in range(PIECES):
            weights = program(jnp.int32(piece * UPDATES), weights, seeds)
            if piece < PIECES - 1:
                tune.report({"return": run.last("return")})  # Ray may end the trial here
    tune.report({"return": run.last("return")})


if __name__ == "__main__":
    ray.init(num_cpus=min(2, os.cpu_count() or 1), include_dashboard=False)
    tuner = tune.Tuner(
        search,
        param_space={"learning_rate": tune.loguniform(1e-3, 1.5)},
        tune_config=tune.TuneConfig(
            metric="return",
            mode="max",
            num_samples=TRIALS,
            scheduler=ASHAScheduler(grace_period=1, max_t=PIECES),
        ),
        run_config=tune.RunConfig(storage_path=str(DIRECTORY / "ray"), verbose=0),
    )
    results = tuner.fit()
    best = results.get_best_result()
    assert best.config is not None
    assert best.metrics is not None
    rate, value = best.config["learning_rate"], best.metrics["return"]
    print(f"the best of {len(results)} trials: learning_rate {rate:.3g}, {value:.3f}")
