"""A sweep in one compiled program: which learning rate trains CartPole best, and how sure is that?

The training of examples/ppo_cartpole.py, with the learning rate as an argument, under two `vmap`s:
over rates and over seeds. Labels name the lanes, and with configs/sweep.yaml each is a W&B run of
its own, with its rate and its seed in its config. `jaxlog.compare` reads the run back.

Run it with `python examples/sweep.py --help`. It needs the extras `demo`, `wandb` and `explore`.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import ppo_cartpole as ppo
import tyro

import jaxlog

CONFIG = Path(__file__).parent.parent / "configs" / "sweep.yaml"


def print_winner(found: jaxlog.Comparison) -> None:
    """Say how each learning rate did, which was best, and which may be as good."""
    best, *others = found.frame.sort("iqm", descending=True).iter_rows(named=True)
    print("\nMean return at the end; interquartile mean over seeds, and its 95 % interval:")
    for row in (best, *others):
        known = row["lower"] is not None  # one seed has no interval
        interval = f"{row['lower']:.1f} to {row['upper']:.1f}" if known else "unknown"
        print(f"  learning rate {row['learning_rate']:<8g} {row['iqm']:6.1f}   {interval}")
    print(f"{best['learning_rate']:g} won.")
    for row in others:
        if None in (row["upper"], best["lower"]) or row["upper"] >= best["lower"]:
            print(f"{row['learning_rate']:g} may be as good: more seeds would tell.")


def main(
    directory: Path | None = None,
    learning_rates: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1),
    num_seeds: int = 4,
    num_updates: int = 100,
    wandb_mode: Literal["offline", "online", "disabled"] = "offline",
) -> None:
    """PPO on CartPole-v1 with several learning rates; says which was best.

    Args:
      directory: Of the run. By default a new one in `runs`.
      learning_rates: What is compared.
      num_seeds: How many train with each.
      num_updates: How often each of them collects and learns.
      wandb_mode: Whether W&B's runs are kept in files, sent, or not made.
    """
    settings = ppo.Settings(num_envs=16, rollout_length=64, num_updates=num_updates)
    config = jaxlog.load_config(
        CONFIG,
        f"sinks.wandb.mode={wandb_mode}",
        env_steps_per_update=settings.num_envs * settings.rollout_length,
        exclude=["learning_rate"],  # the metric, annealed; the label says how it began
    )
    logger = jaxlog.Logger(config, total_updates=num_updates)

    def train(learning_rate: jax.Array, seed: jax.Array) -> ppo.Params:
        own = dataclasses.replace(settings, learning_rate=learning_rate)
        params, _ = ppo.make_train(own, logger, labels={"learning_rate": learning_rate})(seed)
        return params

    over_seeds = jax.vmap(train, in_axes=(None, 0))
    over_rates = jax.vmap(over_seeds, in_axes=(0, None))

    directory = directory or Path("runs") / time.strftime("sweep-%Y%m%d-%H%M%S")
    hyper_parameters = dataclasses.asdict(settings) | {"learning_rate": learning_rates}
    with logger.open(directory, config=hyper_parameters):
        params = jax.jit(over_rates)(jnp.array(learning_rates), jnp.arange(num_seeds))
        jax.block_until_ready(params)

    if not logger.enabled:  # with JAXLOG=off there is nothing to compare
        return
    print_winner(jaxlog.compare(directory, "episode_return_mean", by="learning_rate"))
    print(f"\nThe run is in {directory}. To look at it:")
    print(f"  jaxlog report {directory} -o sweep.html")
    if wandb_mode == "offline":
        print(f"  wandb sync {directory}/wandb/offline-run-*")


if __name__ == "__main__":
    tyro.cli(main)
