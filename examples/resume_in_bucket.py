"""A run on a machine that may be taken away: PPO on CartPole, with its log and state in a bucket.

The run is opened with an address, such as `s3://bucket/runs/first`. Its log is uploaded while it
trains, and the train state is one object beside it. Take the machine away at any time, with its
disk, and start the program on another one: it resumes from the last state, and its log is, line for
line, that of a run that was never stopped.

Run it with `python examples/resume_in_bucket.py s3://bucket/runs/first`, or with `--help`. It needs
the extras `demo` and `cloud`, and the package of the store, such as s3fs.
"""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import fsspec
import jax
import jax.numpy as jnp
import numpy as np
import ppo_cartpole as ppo
import tyro

SETTINGS = Path(__file__).parent.parent / "configs" / "batched.yaml"


class StatesInStore:
    """The train states of a run: an object each, with a name that is used once.

    Args:
      address: of the folder.
    """

    def __init__(self, address: str) -> None:
        # Only a file system on a disk needs a folder before there are files in it.
        options = {"auto_mkdir": True} if address.startswith(("file:", "local:")) else {}
        self._files, self._folder = fsspec.url_to_fs(address, use_listings_cache=False, **options)

    def save(self, done: int, state: Any) -> None:
        """Stores the state after some updates, and then deletes older ones."""
        leaves = [_plain(leaf) for leaf in jax.tree.leaves(state)]
        data = io.BytesIO()
        np.savez(data, *leaves)
        self._files.pipe_file(f"{self._folder}/{done:08d}.npz", data.getvalue())
        for name in self._names()[:-2]:
            self._files.rm_file(name)

    def last(self, like: Any) -> tuple[int, Any]:
        """The number of updates of the last state, and that state; 0 and `like` without one."""
        names = self._names()
        if not names:
            return 0, like
        with np.load(io.BytesIO(self._files.cat_file(names[-1]))) as found:
            arrays = [found[name] for name in found.files]
        leaves, structure = jax.tree.flatten(like)
        leaves = [_as(leaf, array) for leaf, array in zip(leaves, arrays, strict=True)]
        return int(Path(names[-1]).stem), jax.tree.unflatten(structure, leaves)

    def _names(self) -> list[str]:
        return sorted(self._files.find(self._folder))


def _plain(leaf: Any) -> np.ndarray:
    is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _as(leaf: Any, array: np.ndarray) -> Any:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(array))
    return jnp.asarray(array) if isinstance(leaf, jax.Array) else array


def main(
    address: tyro.conf.Positional[str],
    settings: Path = SETTINGS,
    num_updates: int = 100,
    num_seeds: int = 2,
    save_every: int = 10,
) -> None:
    """PPO on CartPole-v1, which can be resumed on another machine.

    Args:
      address: The address of the run, such as s3://bucket/runs/first; the same at each start.
      settings: Settings file of the logger.
      num_updates: Number of updates of each seed.
      num_seeds: Number of seeds that train side by side.
      save_every: Updates between two states in the store.
    """
    config = ppo.Config(num_updates=num_updates)
    logger = ppo.make_logger(config, settings)
    start, advance = ppo.make_training(config, logger)
    seeds = jnp.arange(num_seeds)
    carry = jax.jit(jax.vmap(start))(seeds)
    train = jax.jit(jax.vmap(advance, in_axes=(0, 0, None)))

    states = StatesInStore(f"{address}-states")
    nothing = {"run": np.array(0, np.uint32), "mark": np.array(0, np.int32)}
    done, (carry, state) = states.last((carry, nothing))
    if done:
        print(f"The run is resumed from update {done} of {config.num_updates}.")
    # A run that was stopped before its first state starts again.
    with logger.open(
        address,
        config=dataclasses.asdict(config),
        if_exists="resume" if done else "replace",
        state=state if done else None,
    ) as run:
        while done < config.num_updates:
            until = min(done + save_every, config.num_updates)
            carry, _ = train(seeds, carry, jnp.arange(done, until))
            done = until
            states.save(done, (carry, run.state()))

    print(f"\nThe run is in {address}. To look at it:")
    print(f"  jaxlog show {address}")


if __name__ == "__main__":
    tyro.cli(main)
