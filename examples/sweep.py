"""A sweep in one compiled program: which learning rate trains CartPole best, and how sure is that?

It runs the training of examples/ppo_cartpole.py, with the learning rate as an argument, under two
`vmap`s: over rates and over seeds. Labels name the lanes. With configs/sweep.yaml each lane is a
W&B run, with its rate and its seed in its config. `jaxlog.compare` reads the run and compares.

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

SETTINGS = Path(__file__).parent.parent / "configs" / "sweep.yaml"


def print_winner(found: jaxlog.Comparison) -> None:
    """Print the score of each learning rate, the best one, and those that may be as good."""
    best, *others = found.frame.sort("iqm", descending=True).iter_rows(named=True)
    print("\nMean return at the end; interquartile mean over seeds, and its 95 % interval:")
    for row in (best, *others):
        known = row["lower"] is not None  # there is no interval for one seed
        interval = f"{row['lower']:.1f} to {row['upper']:.1f}" if known else "unknown"
        print(f"  learning rate {row['learning_rate']:<8g} {row['iqm']:6.1f}   {interval}")
    print(f"{best['learning_rate']:g} won.")
    for row in others:
        if None in (row["upper"], best["lower"]) or row["upper"] >= best["lower"]:
            print(f"{row['learning_rate']:g} may be as good; use more seeds to decide.")


def main(
    directory: Path | None = None,
    learning_rates: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1),
    num_seeds: int = 4,
    num_updates: int = 100,
    wandb_mode: Literal["offline", "online", "disabled"] = "offline",
) -> None:
    """Train PPO on CartPole-v1 with several learning rates, and print which is best.

    Args:
      directory: Directory of the run; by default a new one in `runs`.
      learning_rates: Learning rates to compare.
      num_seeds: Number of seeds for each learning rate.
      num_updates: Number of updates of each lane.
      wandb_mode: `offline` keeps W&B's runs in files, `online` sends them.
    """
    config = ppo.Config(num_envs=16, rollout_length=64, num_updates=num_updates)
    settings = jaxlog.load_config(
        SETTINGS,
        f"sinks.wandb.mode={wandb_mode}",
        env_steps_per_update=config.num_envs * config.rollout_length,
        exclude=["learning_rate"],  # the annealed metric; the label has its initial value
    )
    logger = jaxlog.Logger(settings, total_updates=num_updates)

    def train(learning_rate: jax.Array, seed: jax.Array) -> ppo.Params:
        own = dataclasses.replace(config, learning_rate=learning_rate)
        params, _ = ppo.make_train(own, logger, labels={"learning_rate": learning_rate})(seed)
        return params

    over_seeds = jax.vmap(train, in_axes=(None, 0))
    over_rates = jax.vmap(over_seeds, in_axes=(0, None))

    directory = directory or Path("runs") / time.strftime("sweep-%Y%m%d-%H%M%S")
    hyper_parameters = dataclasses.asdict(config) | {"learning_rate": learning_rates}
    with logger.open(directory, config=hyper_parameters):
        params = jax.jit(over_rates)(jnp.array(learning_rates), jnp.arange(num_seeds))
        jax.block_until_ready(params)

    if not logger.enabled:  # with JAXLOG=off no run is written
        return
    print_winner(jaxlog.compare(directory, "episode_return_mean", by="learning_rate"))
    print(f"\nThe run is in {directory}. To look at it:")
    print(f"  jaxlog report {directory} -o sweep.html")
    if wandb_mode == "offline":
        print(f"  wandb sync {directory}/wandb/offline-run-*")


if __name__ == "__main__":
    tyro.cli(main)
