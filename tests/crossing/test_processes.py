"""What only shows with processes of their own: the persistent cache, and training in several."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jaxlog._crossing import delivery

JAX_VERSION = tuple(int(part) for part in jax.__version__.split(".")[:2])

CACHED = """
import json, sys
import jax, jax.numpy as jnp, jaxlog

cache, delivery = sys.argv[1:]
jax.config.update("jax_compilation_cache_dir", cache)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
hits = []
jax.monitoring.register_event_listener(
    lambda event, **_: event == "/jax/compilation_cache/cache_hits" and hits.append(event)
)
logger = jaxlog.Logger(
    {
        "batched_logging_enabled": True,
        "log_frequency": 1,
        "delivery": delivery,
        "sinks": [{"kind": "memory"}],
    }
)

@jax.jit
def train_this_one(x):
    def update(x, step):
        return x + 1.0, jaxlog.batch_step(logger, step, {"episode_returns": x})
    x, records = jax.lax.scan(update, x, jnp.arange(3))
    return x, (records if delivery == "return" else None)

start = jnp.ones(4)
hits.clear()
with logger.open() as run:
    x, records = jax.block_until_ready(train_this_one(start))
    if delivery == "return":
        logger.write(records)
means = [float(e.lanes[0].metrics["episode_return_mean"]) for e in run.sink("memory").metrics]
print(json.dumps({"hits": len(hits), "means": means}))
"""


def python(code: str, *arguments: Any, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process: subprocess.Popen[str]) -> Any:
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err[-4000:]
    return json.loads(out.splitlines()[-1])


@pytest.mark.parametrize(
    "how",
    [
        "return",
        pytest.param(
            "live",
            marks=pytest.mark.skipif(
                delivery.kind() == "callback" and JAX_VERSION < (0, 11),
                reason="JAX stores programs with a Python callback from 0.11 on",
            ),
        ),
    ],
)
def test_a_program_is_loaded_from_the_persistent_cache(how: str, tmp_path: Path) -> None:
    first = result(python(CACHED, tmp_path, how))
    assert first["hits"] == 0
    entries = [path.name for path in tmp_path.glob("jit_train_this_one-*-cache")]
    assert len(entries) == 1
    second = result(python(CACHED, tmp_path, how))
    assert second["hits"] > 0
    assert first["means"] == second["means"] == [1.0, 2.0, 3.0]


TOGETHER = """
import json, sys
import jax, jax.numpy as jnp, numpy as np

process, port, directory = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=process)
import jaxlog
from jax.sharding import NamedSharding, PartitionSpec

logger = jaxlog.Logger(
    {
        "batched_logging_enabled": True,
        "log_frequency": 1,
        "sample_frequency": 2,
        "sinks": [{"kind": "jsonl"}],
    }
)
mesh = jax.make_mesh((4,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
spec = PartitionSpec("devices")

def train(returns, axis_name=None):
    def update(returns, step):
        jaxlog.batch_step(
            logger, step, {"episode_returns": returns}, where=returns > 2, axis_name=axis_name,
            name="whole" if axis_name is None else "shares",
        )
        return returns + 1.0, None
    return jax.lax.scan(update, returns, jnp.arange(4))[0]

share = np.arange(8.0, dtype=np.float32).reshape(2, 4)[process]
returns = jax.make_array_from_process_local_data(NamedSharding(mesh, spec), share)
with logger.open(directory) as run:
    whole = jax.jit(train)(returns)
    shares = jax.shard_map(
        lambda x: train(x, "devices"), mesh=mesh, in_specs=spec, out_specs=spec
    )
    jax.block_until_ready((whole, jax.jit(shares)(returns)))
    last = run.last("episode_return_mean", call="whole")
    same = last, str(run.directory), int(run.state()["mark"])
own = {"arrived": run.arrived, "dropped": logger.dropped, "writes": run.writes}
print(json.dumps(own | {"same": same}))
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_several_processes_make_one_run(tmp_path: Path) -> None:
    port, directory = free_port(), tmp_path / "run"
    processes = [python(TOGETHER, number, port, directory) for number in range(2)]
    try:
        first, second = (result(process) for process in processes)
    finally:
        for process in processes:
            process.kill()
    same = [6.5, str(directory), 1]
    assert first.pop("same") == second.pop("same") == same
    assert first == {"arrived": 8, "dropped": 0, "writes": True}
    assert second == {"arrived": 0, "dropped": 0, "writes": False}
    picks = {}
    for name in ("whole", "shares"):
        text = (directory / f"{name}_metrics.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["step"] for line in lines] == [0, 1, 2, 3]
        for step, line in enumerate(lines):
            counted = np.arange(8.0) + step
            counted = counted[counted > 2]
            assert line["metrics"]["episode_count"] == len(counted)
            assert line["metrics"]["episode_return_mean"] == pytest.approx(counted.mean())
            assert line["metrics"]["episode_return_std"] == pytest.approx(counted.std())
        episodes = map(json.loads, (directory / "episodes.jsonl").read_text().splitlines())
        picks[name] = [(e["step"], e["episode"]) for e in episodes if e["name"] == name]
    assert len(picks["whole"]) == 6
    assert picks["whole"] == picks["shares"]
