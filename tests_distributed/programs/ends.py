"""A training in several processes, one of which ends early."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

import jaxlog

process, count, port, how, directory = (int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
jax.distributed.initialize(
    f"127.0.0.1:{port}",
    num_processes=count,
    process_id=process,
    heartbeat_timeout_seconds=45,
    shutdown_timeout_seconds=10,
)
mesh = jax.make_mesh((2 * count,), ("devices",))
sharding = NamedSharding(mesh, PartitionSpec("devices"))
data = np.arange(4.0 * count, dtype=np.float32).reshape(count, 4)[process]
returns = jax.make_array_from_process_local_data(sharding, data)
logger = jaxlog.Logger({"log_frequency": 1, "sinks": [{"kind": "jsonl"}]}, total_updates=1000)


@jax.jit
def update(returns, step):
    jaxlog.batch_step(logger, step, {"episode_returns": returns})
    return returns - returns.mean()


with logger.open(directory) as run:
    for step in range(1000):
        returns = jax.block_until_ready(update(returns, jnp.int32(step)))
        time.sleep(0.01)
        if step == 20 and process == 2:
            if how == "error":
                raise ValueError("a bad batch")
            os.kill(os.getpid(), getattr(signal, how))
        if multihost_utils.reached_preemption_sync_point(step):
            break
print(json.dumps({"last": step}))
