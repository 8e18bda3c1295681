"""A run that goes on where it was killed: PPO on CartPole, with Orbax.

Beside the train state, which has the window in it, a checkpoint holds the logger's: two numbers.
Kill it whenever you like, with Ctrl-C or `kill -9`, and start it again: it goes on from its last
checkpoint, and its log is, line for line, that of a run that nobody killed.

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

CONFIG = Path(__file__).parent.parent / "configs" / "batched.yaml"


def main(
    config: Path = CONFIG,
    directory: Path = Path("runs/resume"),
    num_updates: int = 100,
    num_seeds: int = 2,
    save_every: int = 10,
) -> None:
    """PPO on CartPole-v1 that can be killed, and goes on where it is started again.

    Args:
      config: The logger's settings.
      directory: Of the run and its checkpoints; the same whenever it is started.
      num_updates: How often each seed collects and learns.
      num_seeds: How many train side by side.
      save_every: Updates between checkpoints.
    """
    settings = ppo.Settings(num_updates=num_updates)
    logger = ppo.make_logger(settings, config)
    start, advance = ppo.make_training(settings, logger)
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
            print(f"It goes on from update {done} of {settings.num_updates}.")
        # Killed before the first checkpoint, it begins anew.
        if_exists = "resume" if done else "replace"
        with logger.open(
            directory, config=dataclasses.asdict(settings), if_exists=if_exists, state=state
        ) as run:
            while done < settings.num_updates:
                until = min(done + save_every, settings.num_updates)
                carry, _ = train(seeds, carry, jnp.arange(done, until))
                done = until
                save = ocp.args.Composite(
                    train=ocp.args.StandardSave(carry),
                    logger=ocp.args.StandardSave(run.state()),
                )
                manager.save(done, args=save)

    print(f"\nThe run is in {directory}, in one piece. To look at it:")
    print(f"  jaxlog show {directory}")


if __name__ == "__main__":
    tyro.cli(main)
