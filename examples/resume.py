"""A run that goes on where it was killed: PPO on CartPole, with Orbax.

Beside the train state, which has the window in it, a checkpoint holds the logger's: two numbers.
Kill it whenever you like, with Ctrl-C or `kill -9`, and start it again: it goes on from its last
checkpoint, and its log is, line for line, that of a run that nobody killed.

Run it with `python examples/resume.py runs/resumed`. It needs the extras `demo` and `checkpoint`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
import ppo_cartpole as ppo

import jaxlog


def main() -> None:
    """Train, from the last checkpoint if there is one."""
    parser = argparse.ArgumentParser(description="PPO on CartPole-v1 that can be killed.")
    parser.add_argument("directory", type=Path, help="of the run and its checkpoints")
    parser.add_argument("--num-updates", type=int, default=100)
    parser.add_argument("--num-seeds", type=int, default=2)
    parser.add_argument("--save-every", type=int, default=10, help="updates between checkpoints")
    parser.add_argument("--config", type=Path, help="settings; by default JSONL, every 5 updates")
    arguments = parser.parse_args()

    settings = ppo.Settings(num_updates=arguments.num_updates)
    config: Any = arguments.config or {
        "batched_logging_enabled": True,
        "log_frequency": 5,
        "sample_frequency": 20,
        "sinks": [{"kind": "jsonl"}],
    }
    logger = jaxlog.Logger(config, total_steps=settings.num_updates)
    start, advance = ppo.make_training(settings, logger)
    seeds = jnp.arange(arguments.num_seeds)
    carry = jax.jit(jax.vmap(start))(seeds)
    train = jax.jit(jax.vmap(advance, in_axes=(0, 0, None)))

    with ocp.CheckpointManager(arguments.directory.absolute() / "checkpoints") as manager:
        done, state = manager.latest_step() or 0, None
        if done:
            restore = ocp.args.Composite(
                train=ocp.args.StandardRestore(carry), logger=ocp.args.StandardRestore()
            )
            found = manager.restore(done, args=restore)
            carry, state = found["train"], found["logger"]
        # Killed before the first checkpoint, it begins anew.
        if_exists = "resume" if done else "replace"
        with logger.open(arguments.directory, if_exists=if_exists, state=state) as run:
            while done < settings.num_updates:
                until = min(done + arguments.save_every, settings.num_updates)
                carry, _ = train(seeds, carry, jnp.arange(done, until))
                done = until
                save = ocp.args.Composite(
                    train=ocp.args.StandardSave(carry),
                    logger=ocp.args.StandardSave(run.state()),
                )
                manager.save(done, args=save)


if __name__ == "__main__":
    main()
