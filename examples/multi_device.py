"""Data-parallel training on several devices, with one logged line for each step.

Under `jax.shard_map` each device plays its share of the episodes, and gradients are averaged over
all shares. `axis_name` tells `jaxlog.batch_step` over which axis the batch is divided, so that it
logs the whole batch. On 1, 2 or 4 devices the numbers are the same, up to rounding.

The task is a thruster in the plane that must come to rest at the origin. Its policy is trained with
gradients through the physics.

Run it with `python examples/multi_device.py --help`. It needs the extra `demo`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import optax
import tyro
from jax.sharding import AxisType, Mesh, PartitionSpec

import jaxlog

SETTINGS = Path(__file__).parent.parent / "configs" / "batched.yaml"

AXIS = "devices"  # of the mesh, over which episodes are divided
EPISODE_LENGTH, DT, WIDTH = 50, 0.1, 32

Params = dict[str, jax.Array]


def init(key: jax.Array) -> Params:
    """Return a policy whose thrust is near zero."""
    hidden_key, out_key = jax.random.split(key)
    return {
        "hidden": 0.5 * jax.random.normal(hidden_key, (4, WIDTH)),
        "out": 0.01 * jax.random.normal(out_key, (WIDTH, 2)),
    }


def play(params: Params, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Play one episode: return the sum of its rewards, and the position, [2], that it ends in."""

    def move(
        state: tuple[jax.Array, jax.Array], _: None
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        position, velocity = state
        hidden = jnp.tanh(jnp.concatenate([position, velocity]) @ params["hidden"])
        thrust = jnp.tanh(hidden @ params["out"])
        velocity = velocity + DT * thrust
        position = position + DT * velocity
        reward = -DT * (position @ position + 0.1 * thrust @ thrust)
        return (position, velocity), reward

    position, velocity = jax.random.uniform(key, (2, 2), minval=-1.0, maxval=1.0)
    (position, _), rewards = jax.lax.scan(move, (position, velocity), length=EPISODE_LENGTH)
    return rewards.sum(), position


def make_train(
    logger: jaxlog.Logger, mesh: Mesh, num_updates: int
) -> Callable[[Params, jax.Array], Params]:
    """Return `train(params, keys)`, with a key for each episode of a batch.

    The number of keys must be a multiple of the number of devices.
    """
    optimizer = optax.adam(1e-2)

    def train(params: Params, keys: jax.Array) -> Params:
        """Train on one device, with its share of the keys; all devices have the same `params`."""

        def update(
            carry: tuple[Params, optax.OptState], step: jax.Array
        ) -> tuple[tuple[Params, optax.OptState], None]:
            params, opt_state = carry
            # Keys belong to episodes, not to devices, so any number of devices gives these numbers.
            episode_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, step)

            def loss_of(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
                returns, positions = jax.vmap(play, in_axes=(None, 0))(params, episode_keys)
                # The loss of the whole batch, so that its gradient is the one of the whole batch.
                return -jax.lax.pmean(returns.mean(), AXIS), (returns, positions)

            value_and_grad = jax.value_and_grad(loss_of, has_aux=True)
            (loss, (returns, positions)), gradients = value_and_grad(params)
            changes, opt_state = optimizer.update(gradients, opt_state, params)
            jaxlog.batch_step(
                logger,
                step,
                {
                    "episode_returns": returns,  # of this device's share
                    "success_mask": jnp.linalg.norm(positions, axis=-1) < 0.1,
                    "loss": loss,
                    "gradient_norm": optax.tree.norm(gradients),
                },
                details={"final_state": positions},
                axis_name=AXIS,
            )
            return (cast("Params", optax.apply_updates(params, changes)), opt_state), None

        carry = (params, optimizer.init(params))
        (params, _), _ = jax.lax.scan(update, carry, jnp.arange(num_updates))
        return params

    same, divided = PartitionSpec(), PartitionSpec(AXIS)
    return jax.jit(jax.shard_map(train, mesh=mesh, in_specs=(same, divided), out_specs=same))


def main(
    directory: Path | None = None,
    num_devices: int = 4,
    num_updates: int = 300,
    num_episodes: int = 240,
) -> None:
    """Train a thruster on several devices, with data parallelism.

    Args:
      directory: Directory of the run; by default a new one in `runs`.
      num_devices: Number of GPUs or TPUs; if there are fewer, JAX simulates devices on the CPU.
      num_updates: Number of updates; each plays all episodes and learns from them.
      num_episodes: Episodes in each update, on all devices; a multiple of `num_devices`.
    """
    jax.config.update("jax_num_cpu_devices", num_devices)  # before JAX looks for devices
    devices = jax.devices() if jax.device_count() >= num_devices else jax.devices("cpu")
    mesh = jax.make_mesh((num_devices,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)
    logger = jaxlog.Logger(jaxlog.load_config(SETTINGS), total_updates=num_updates)
    train = make_train(logger, mesh, num_updates)
    init_key, play_key = jax.random.split(jax.random.key(0))
    directory = directory or Path("runs") / time.strftime("multi_device-%Y%m%d-%H%M%S")
    hyper_parameters = {"num_devices": num_devices, "num_episodes": num_episodes}
    with logger.open(directory, config=hyper_parameters):
        jax.block_until_ready(train(init(init_key), jax.random.split(play_key, num_episodes)))

    print(f"\nThe run is in {directory}. To look at it:")
    print(f"  jaxlog show {directory}")
    print(f"  wc -l {directory}/batch_metrics.jsonl  # one line for each step that was due")
    print("With another --num-devices the numbers are the same, up to rounding.")


if __name__ == "__main__":
    tyro.cli(main)
