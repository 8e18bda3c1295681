"""How much longer does a training step take to compile with logging in it?

The step is that of examples/ppo_cartpole.py, for four seeds, from tracing to machine code. With and
without, the program returns the arrays that are logged: otherwise XLA would leave out the work that
makes them, where nothing logs them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

import jaxlog
from benchmarks.timing import Program, Row, fastest, tell
from examples import ppo_cartpole


def compiled(*, log: bool) -> Program:
    """Compiles the training of a few updates, anew each time."""
    settings = ppo_cartpole.Settings(num_updates=3)
    logger = jaxlog.Logger({"batched_logging_enabled": log}, total_steps=3)

    def run() -> None:
        jax.clear_caches()
        train = jax.vmap(ppo_cartpole.make_train(settings, logger, lambda *kept: kept))
        jax.jit(train).lower(jnp.arange(4)).compile()

    return run


def main(turns: int = 9) -> list[Row]:
    """Measures and tells."""
    times = fastest({"with": compiled(log=True), "without": compiled(log=False)}, turns)
    more = (times["with"] / times["without"] - 1) * 100
    rows = [Row("extra time to compile PPO on CartPole", "logging off", more, "%", 10.0)]
    tell("compiling", rows, turns=turns, seconds=times)
    return rows


if __name__ == "__main__":
    main()
