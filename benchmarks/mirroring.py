"""How much longer does a training take while its run is uploaded to a store?

It is examples/ppo_cartpole.py with four seeds, logged at every update: once into a directory, and
once to an address. The store is a directory, too, so that a machine without a network measures it.
The run is uploaded every second, which is ten times as often as by default.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp

import jaxlog
from benchmarks.timing import Row, tell
from examples import ppo_cartpole

UPDATES = 30
SECONDS = 1.0
"""The seconds between two uploads."""


def main(turns: int = 15) -> list[Row]:
    """Measures it in pairs; writes `results/mirroring.json`."""
    config = ppo_cartpole.Config(num_updates=UPDATES)
    settings = {"log_frequency": 1, "mirror_seconds": SECONDS, "sinks": [{"kind": "jsonl"}]}
    logger = jaxlog.Logger(settings, total_updates=UPDATES)
    train = jax.jit(jax.vmap(ppo_cartpole.make_train(config, logger)))
    number = itertools.count()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name, "runs")
        address = f"file://{name}/store"

        def seconds(where: str | Path) -> float:
            with logger.open(f"{where}/{next(number)}"):
                start = time.perf_counter()
                jax.block_until_ready(train(jnp.arange(4)))
                return time.perf_counter() - start

        seconds(directory)  # compiles
        seconds(address)  # imports the packages
        ratios: list[float] = []
        taken: list[float] = []
        for turn in range(turns):
            order = (directory, address) if turn % 2 else (address, directory)
            found = {str(where): seconds(where) for where in order}
            ratios.append(found[address] / found[str(directory)])
            taken.append(found[str(directory)])
    row = Row("PPO whose run is uploaded", "a local run", statistics.median(ratios), "x", 1.01)
    grid = [
        {
            "pairs": turns,
            "seconds of a training": statistics.median(taken),
            "lowest ratio": min(ratios),
            "highest ratio": max(ratios),
        }
    ]
    tell("mirroring", [row], grid, turns=turns)
    return [row]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=15)
    main(parser.parse_args().turns)
