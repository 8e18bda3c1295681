"""Searches a learning rate with Optuna: each trial is a run of its own, and reports its value.

Run it with `python examples/optuna_search.py`, also in several processes at once: they share the
study, and no two trials get the same directory. Then `jaxlog runs runs/search --sort=-return`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import optuna  # pyright: ignore[reportMissingImports]  # no part of jaxlog's extras

import jaxlog

DIRECTORY = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/search")
SEEDS, PIECES, UPDATES = 8, 5, 20

logger = jaxlog.Logger(
    {"log_frequency": 5, "sinks": [{"kind": "jsonl"}]}, total_updates=PIECES * UPDATES
)


def train(rate: jax.Array, first: jax.Array, weights: jax.Array, seed: jax.Array) -> jax.Array:
    """Make some updates of one seed: a parameter walks towards 3 along noisy gradients."""

    def update(weight: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        noise = jax.random.normal(jax.random.fold_in(jax.random.key(seed), step))
        weight = weight - rate * (weight - 3.0 + noise)
        values = {"return": -jnp.square(weight - 3.0)}
        jaxlog.log(logger, step, values, name="train", labels={"seed": seed})
        return weight, None

    return jax.lax.scan(update, weights, first + jnp.arange(UPDATES))[0]


program = jax.jit(jax.vmap(train, in_axes=(None, None, 0, 0)))


def objective(trial: optuna.Trial) -> float:
    """Train one setting, and report its return after each piece."""
    rate = trial.suggest_float("learning_rate", 1e-3, 1.5, log=True)
    config = {"learning_rate": rate, "trial": trial.number}
    with logger.open(DIRECTORY / "trial", if_exists="next", config=config) as run:
        weights, seeds = jnp.zeros(SEEDS), jnp.arange(SEEDS)
        for piece in range(PIECES):
            weights = program(jnp.float32(rate), jnp.int32(piece * UPDATES), weights, seeds)
            trial.report(run.last("return"), piece)
            if trial.should_prune():
                break
    if trial.should_prune():  # outside of the block, since an exception there is a failure
        raise optuna.TrialPruned
    return run.last("return")


if __name__ == "__main__":
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    # A file to which several processes may add at once; SQLite's tables can be made by one only.
    file = optuna.storages.journal.JournalFileBackend(str(DIRECTORY / "study.log"))
    storage = optuna.storages.JournalStorage(file)
    study = optuna.create_study(
        study_name="search",
        storage=storage,
        direction="maximize",
        load_if_exists=True,
    )
    study.optimize(objective, n_trials=12)
    print(f"the best of {len(study.trials)} trials: {study.best_params}, {study.best_value:.3f}")
