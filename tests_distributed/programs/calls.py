"""Every call of jaxlog, in programs that run on the devices of several processes."""

from __future__ import annotations

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxlog

process, count, port, directory = (int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=count, process_id=process)
mesh = jax.make_mesh((2 * count,), ("devices",), axis_types=(AxisType.Auto,))
divided = PartitionSpec("devices")
sharding = NamedSharding(mesh, divided)
data = np.arange(4.0 * count, dtype=np.float32).reshape(count, 4)[process]  # of this process
returns = jax.make_array_from_process_local_data(sharding, data)
seeds = jax.make_array_from_process_local_data(sharding, np.arange(2) + 2 * process)

settings = {"log_frequency": 1, "sample_frequency": 2, "sinks": [{"kind": "jsonl"}]}
logger = jaxlog.Logger(settings)


def batch(returns, axis_name=None):
    def update(returns, step):
        name = "batch_whole" if axis_name is None else "batch_shares"
        metrics = {"episode_returns": returns}
        jaxlog.batch_step(logger, step, metrics, where=returns > 2, axis_name=axis_name, name=name)
        return returns + 1.0, None

    return jax.lax.scan(update, returns, jnp.arange(4))[0]


def window(returns, axis_name=None):
    name = "window_whole" if axis_name is None else "window_shares"
    start = jaxlog.empty_window(logger, {"episode_returns": returns}, name=name)

    def update(carry, step):
        returns, window = carry
        _, window = jaxlog.window_step(
            logger, window, step, {"episode_returns": returns}, axis_name=axis_name, every=2
        )
        return (returns + 1.0, window), None

    return jax.lax.scan(update, (returns, start), jnp.arange(4))[0][0]


def scalars(returns, axis_name=None):
    def update(returns, step):
        name = "log_whole" if axis_name is None else "log_shares"
        jaxlog.log(logger, step, {"loss": returns.mean()}, axis_name=axis_name, name=name)
        return returns + 1.0, None

    return jax.lax.scan(update, returns, jnp.arange(4))[0]


def recorded(returns, axis_name=None):
    name = "recorded_whole" if axis_name is None else "recorded_shares"
    recorder = jaxlog.empty_recorder(
        logger, {"state": returns}, num_episodes=1, max_steps=8, name=name
    )

    def update(carry, step):
        returns, recorder = carry
        ended = jnp.broadcast_to(step % 4 == 3, returns.shape)
        recorder = jaxlog.record_step(recorder, {"state": returns}, returns, ended)
        _, recorder = jaxlog.log_episodes(logger, recorder, step, axis_name=axis_name, every=4)
        return (returns + 1.0, recorder), None

    return jax.lax.scan(update, (returns, recorder), jnp.arange(9))[0][0]


def lanes(seed):
    def update(loss, step):
        jaxlog.log(logger, step, {"loss": loss}, labels={"seed": seed}, name="lanes")
        return loss + 1.0, None

    return jax.lax.scan(update, 10.0 * seed, jnp.arange(3))[0]


def shares(train):
    """The program in which each device has its share of the batch."""
    mapped = jax.shard_map(
        lambda returns: train(returns, "devices"), mesh=mesh, in_specs=divided, out_specs=divided
    )
    return jax.jit(mapped)


with logger.open(directory, if_exists="next", config={"processes": count}) as run:
    for train in (batch, window, scalars, recorded):
        jax.block_until_ready((jax.jit(train)(returns), shares(train)(returns)))
    jax.block_until_ready(jax.jit(jax.vmap(lanes))(seeds))
    run.log({"score": float(process)}, step=3)
    run.log({"whole_mean": jnp.mean(returns)}, step=4)
    values = [run.last("score"), run.last("loss", call="log_whole")]
    try:
        run.last("missing")
    except LookupError as error:
        values.append(str(error).removeprefix("process 0: "))
    state = {name: int(number) for name, number in run.state().items()}

returning = jaxlog.Logger({"log_frequency": 1, "delivery": "return", "sinks": [{"kind": "jsonl"}]})


def with_records(seed):
    def update(loss, step):
        labels = {"seed": seed}
        return loss + 1.0, jaxlog.log(returning, step, {"loss": loss}, labels=labels, name="lanes")

    return jax.lax.scan(update, 10.0 * seed, jnp.arange(3))[1]


with returning.open(f"{directory}-returned"):
    returning.write(jax.jit(jax.vmap(with_records))(seeds))

try:
    logger.open(run.directory)
except FileExistsError as error:
    values.append(str(error).removeprefix("process 0: "))

found = {"directory": str(run.directory), "id": run.info.id, "values": values, "state": state}
own = {"writes": run.writes, "arrived": run.arrived > 0, "dropped": logger.dropped}
print(json.dumps({"same": found, "own": own}))
