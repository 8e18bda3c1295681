"""A month of runs: two algorithms, several learning rates, and what went wrong with some.

Each run trains eight seeds, the lanes of a `vmap`. Judged by the last finite value of each lane,
`sac` at 0.1 is the best: five of its seeds diverged, after higher returns than any other run has.
In truth `ppo` at 0.1 is the best. One run kills its own process: it is trained in another,
`python -m tests.month DIRECTORY NAME`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxlog

SEEDS = 8
UPDATES = 100
CHUNK = 10
"""The number of updates in one call of the compiled program."""
IDLE = 7
"""No episode ends at the updates 3, 3 + IDLE, 3 + 2 * IDLE, ..."""


@dataclass(frozen=True)
class Planned:
    """The plan of one run.

    Attributes:
      algorithm: a key of its config.
      learning_rate: another.
      level: what its mean return rises to.
      diverged: from which update on the returns of a seed are NaN, by seed.
      stopped_at: how many updates it makes before it is killed or fails; None for all.
      status: how it ends, as `jaxlog.read_run` says.
    """

    algorithm: str
    learning_rate: float
    level: float
    diverged: Mapping[int, int] = field(default_factory=dict)
    stopped_at: int | None = None
    status: str = "finished"


RUNS: Mapping[str, Planned] = {
    "ppo-0.01": Planned("ppo", 0.01, 40.0),
    "ppo-0.1": Planned("ppo", 0.1, 60.0),
    "ppo-1.0": Planned("ppo", 1.0, 56.0, {1: 60, 4: 30, 6: 61}),
    "ppo-10.0": Planned("ppo", 10.0, 70.0, {seed: 20 + seed for seed in range(SEEDS)}),
    "sac-0.01": Planned("sac", 0.01, 80.0, stopped_at=30, status="killed"),
    "sac-0.1": Planned("sac", 0.1, 100.0, {seed: 50 + seed for seed in (0, 2, 3, 5, 7)}),
    "sac-1.0": Planned("sac", 1.0, 50.0, {2: 15}, stopped_at=70, status="failed"),
}
"""The plan of each run, by the name of its directory."""
KILLED = "sac-0.01"
FAILED = "sac-1.0"
ERROR = "the environment's server does not answer"
"""The message of the exception that ends the failing run."""


def alive(name: str, step: int) -> int:
    """Counts the lanes of a run that have not diverged at an update."""
    return SEEDS - sum(first <= step for first in RUNS[name].diverged.values())


def returns_at(name: str, step: int) -> np.ndarray:
    """The mean return of each seed at an update, NaN from where it diverged, float64 `[SEEDS]`."""
    run = RUNS[name]
    found = run.level * (1 - np.exp(-(step + 1) / 25)) + np.arange(SEEDS) / 2
    dies = np.array([run.diverged.get(seed, UPDATES) for seed in range(SEEDS)])
    return np.where(step < dies, found, np.nan)


def has_episodes(step: int) -> bool:
    """True if any episode ends at an update."""
    return step % IDLE != 3


def build(directory: Path) -> Path:
    """Makes all runs, below a directory; takes some ten seconds.

    Returns:
      The directory.
    """
    for name, run in RUNS.items():
        if run.status == "killed":
            command = [sys.executable, "-m", "tests.month", str(directory), name]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            assert ended.returncode == -signal.SIGKILL, ended.stderr
        else:
            train(directory, name)
    return directory


def train(directory: Path, name: str) -> None:
    """Makes one run; returns when it has ended, if it is not killed."""
    planned = RUNS[name]
    logger = jaxlog.Logger(
        {"batched_logging_enabled": True, "log_frequency": 1, "sinks": [{"kind": "jsonl"}]},
        total_updates=UPDATES,
    )
    dies = jnp.array([planned.diverged.get(seed, UPDATES) for seed in range(SEEDS)])

    @jax.jit
    def updates(start: jax.Array) -> jax.Array:
        def lane(seed: jax.Array, dies: jax.Array) -> jax.Array:
            def update(last: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
                time = (step + 1).astype(jnp.float32)
                mean = planned.level * (1 - jnp.exp(-time / 25)) + seed.astype(jnp.float32) / 2
                mean = jnp.where(step < dies, mean, jnp.nan)
                metrics = {
                    "episode_returns": mean + jnp.array([-1.0, 0.0, 0.0, 1.0]),
                    "episode_lengths": jnp.full(4, 20),
                    "loss": 100 / (10 + mean),
                }
                ended = jnp.full(4, step % IDLE != 3)
                jaxlog.batch_step(logger, step, metrics, where=ended, labels={"seed": seed})
                return mean, None

            return jax.lax.scan(update, jnp.float32(0), start + jnp.arange(CHUNK))[0]

        return jax.vmap(lane)(jnp.arange(SEEDS), dies)

    config = {"algorithm": planned.algorithm, "learning_rate": planned.learning_rate}
    stop = UPDATES if planned.stopped_at is None else planned.stopped_at
    try:
        with logger.open(directory / name, config=config) as run:
            for start in range(0, stop, CHUNK):
                jax.block_until_ready(updates(jnp.asarray(start)))
            if planned.status == "killed":
                jax.effects_barrier()
                run.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            if planned.status == "failed":
                raise ConnectionError(ERROR)
    except ConnectionError:
        pass


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2])
