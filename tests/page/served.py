"""A real `jaxlog serve`, as a process, and runs for it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import jaxlog

STEPS = 60
RATES = (0.001, 0.01, 0.1)
SEEDS = 4
HOSTILE = "<img src=x onerror=\"document.title='run'\"> & </script>"
"""A value that breaks out of HTML, attributes and scripts, wherever it is not text."""


@contextlib.contextmanager
def served(directory: Path, *arguments: str) -> Iterator[str]:
    """Runs `jaxlog serve` and yields the address that it prints."""
    command = [sys.executable, "-m", "jaxlog", "serve", str(directory), "--port", "0", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"http://\S+token=\S+", line):
                yield found[0]
                break
        else:
            raise AssertionError(f"jaxlog serve ended with {process.wait()}")
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def logger() -> jaxlog.Logger:
    """What logs the runs: lines only."""
    settings = {"batched_logging_enabled": True, "log_frequency": 1, "sinks": [{"kind": "jsonl"}]}
    return jaxlog.Logger(settings, total_updates=STEPS)


def returns(rate: float, seed: int) -> np.ndarray:
    """The returns of a lane at each step."""
    noise = np.random.default_rng([int(rate * 1e4), seed]).normal(size=STEPS)
    return 1e3 * rate * np.sqrt(np.arange(STEPS)) + 3.0 * seed + noise


def write_runs(directory: Path, rates: Sequence[float] = RATES) -> None:
    """One run for each learning rate, with a lane for each seed; of the last, a lane diverges."""
    one = logger()
    for rate in rates:
        config = {"learning_rate": rate, "note": HOSTILE, "gamma": 0.99}
        lanes = [{"seed": seed} for seed in range(SEEDS)]
        scores = np.array([returns(rate, seed) for seed in range(SEEDS)])
        if rate == rates[-1]:
            scores[3, STEPS // 2 :] = np.nan
        with one.open(directory / f"rate-{rate}", config=config, lanes=lanes) as run:
            for step in range(STEPS):
                score = scores[:, step]
                metrics = {
                    "score": score,
                    "wind": np.where(np.isnan(score), score, 1 / (1 + step)),
                }
                run.log(metrics, step=step, name="train")
