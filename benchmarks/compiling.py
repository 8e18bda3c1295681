"""How much longer does a training step take to compile with logging in it?

The step is that of examples/ppo_cartpole.py, for four seeds, from tracing to machine code: once
with windows, and once with `batch_step` instead. With and without logging, the program returns the
logged arrays; otherwise XLA would remove the computation of arrays that nothing logs. The step with
windows is also compiled by two processes that share JAX's persistent cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp

import jaxlog
from benchmarks.timing import Program, Row, tell, typical
from examples import ppo_cartpole


def each_update(logger: jaxlog.Logger, window: Any, *arguments: Any, **how: Any) -> Any:
    """Replaces `window_step`, and logs single updates."""
    return jaxlog.batch_step(logger, *arguments, **how), window


def compiled(*, log: bool, windows: bool) -> Program:
    """Compiles the training of a few updates, without a cache."""
    config = ppo_cartpole.Config(num_updates=3)
    logger = jaxlog.Logger({"batched_logging_enabled": log}, total_updates=3)

    def run() -> None:
        jax.clear_caches()
        train = jax.vmap(ppo_cartpole.make_train(config, logger, lambda *kept: kept))
        jax.jit(train).lower(jnp.arange(4)).compile()

    def run_with_batch_step() -> None:
        with (
            patch.object(jaxlog, "window_step", each_update),
            patch.object(jaxlog, "empty_window", lambda *_: jaxlog.Window()),
        ):
            run()

    return run if windows else run_with_batch_step


def machine_code() -> float:
    """The seconds from the lowered program to machine code, with JAX's persistent cache if any."""
    config = ppo_cartpole.Config(num_updates=3)
    logger = jaxlog.Logger({"batched_logging_enabled": True}, total_updates=3)
    train = jax.vmap(ppo_cartpole.make_train(config, logger))
    lowered = jax.jit(train).lower(jnp.arange(4))
    start = time.perf_counter()
    lowered.compile()
    return time.perf_counter() - start


def second_start() -> float:
    """The seconds that a second process takes for it, relative to the first."""
    code = "from benchmarks.compiling import machine_code; print(machine_code())"
    with tempfile.TemporaryDirectory() as cache:
        shared = {"JAX_COMPILATION_CACHE_DIR": cache}
        first, second = (
            float(
                subprocess.run(
                    [sys.executable, "-c", code],
                    env=os.environ | shared,
                    stdout=subprocess.PIPE,
                    check=True,
                ).stdout
            )
            for _ in range(2)
        )
    return second / first


def main(turns: int = 9) -> list[Row]:
    """Measures, and reports the figures."""
    programs = {
        "off": compiled(log=False, windows=False),
        "batch_step": compiled(log=True, windows=False),
        "window_step": compiled(log=True, windows=True),
    }
    ratios = typical(programs, turns, "off")
    more = {name: (ratio - 1) * 100 for name, ratio in ratios.items()}
    what = "extra time to compile PPO on CartPole, with"
    rows = [
        Row(f"{what} batch_step", "logging off", more["batch_step"], "%", 4.0),
        Row(f"{what} window_step", "logging off", more["window_step"], "%", 9.0),
        Row("machine code in a second process", "the first process", second_start(), "x", 0.1),
    ]
    tell("compiling", rows, turns=turns)
    return rows


if __name__ == "__main__":
    main()
