"""A run that can be killed and resumed: PPO on CartPole, with Orbax.

A checkpoint holds the train state, which includes the window, and the state of the run: two small
arrays. Kill the program at any time, with Ctrl-C or `kill -9`, and start it again: it resumes from
its last checkpoint, and its log is, line for line, that of a run that was never killed.

Run it with `python examples/resume.py`, or with `--help`. It needs the extras `demo` and
`checkpoint`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
import ppo_cartpole as ppo
import tyro

SETTINGS = Path(__file__).parent.parent / "configs" / "batched.yaml"


def main(
    settings: Path = SETTINGS,
    directory: Path = Path("runs/resume"),
    num_updates: int = 100,
    num_seeds: int = 2,
    save_every: int = 10,
) -> None:
    """PPO on CartPole-v1, which can be killed and started again.

    Args:
      settings: Settings file of the logger.
      directory: Directory of the run and its checkpoints; the same at each start.
      num_updates: Number of updates of each seed.
      num_seeds: Number of seeds that train side by side.
      save_every: Updates between checkpoints.
    """
    config = ppo.Config(num_updates=num_updates)
    logger = ppo.make_logger(config, settings)
    start, advance = ppo.make_training(config, logger)
    seeds = jnp.arange(num_seeds)
    carry = jax.jit(jax.vmap(start))(seeds)
    train = jax.jit(jax.vmap(advance, in_axes=(0, 0, None)))

    with ocp.CheckpointManager(directory.absolute() / "checkpoints") as manager:
        done, state = manager.latest_step() or 0, None
        if done:
            restore = ocp.args.Composite(
                train=ocp.args.StandardRestore(carry), logger=ocp.args.StandardRestore()
            )
            found = manager.restore(done, args=restore)
            carry, state = found["train"], found["logger"]
            print(f"The run is resumed from update {done} of {config.num_updates}.")
        # A run that was killed before its first checkpoint starts again.
        if_exists = "resume" if done else "replace"
        with logger.open(
            directory, config=dataclasses.asdict(config), if_exists=if_exists, state=state
        ) as run:
            while done < config.num_updates:
                until = min(done + save_every, config.num_updates)
                carry, _ = train(seeds, carry, jnp.arange(done, until))
                done = until
                save = ocp.args.Composite(
                    train=ocp.args.StandardSave(carry),
                    logger=ocp.args.StandardSave(run.state()),
                )
                manager.save(done, args=save)

    print(f"\nThe run is in {directory}. To look at it:")
    print(f"  jaxlog show {directory}")


if __name__ == "__main__":
    tyro.cli(main)
