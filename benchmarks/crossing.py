"""What does it cost to log from inside a compiled scan?

Each figure is a ratio to a reference that ran in the same process, in turns with it, on the same
scan: a body with a matrix product, so that callbacks run on XLA's threads, as in real training.
The median over the turns is told, and the budget that `docs/performance.md` names.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback
from rich.console import Console
from rich.table import Table

import jaxlog

STEPS, METRICS, SIZE = 300, 30, 256
Log = Callable[[jax.Array, jax.Array], None]
Program = Callable[[], None]


def scan(log: Log, lanes: int | None = None) -> Program:
    """A compiled scan that multiplies matrices and calls `log(step, values)` at each step.

    With `lanes` it is under a `vmap`. The matrices are then those of all lanes, and only the
    values are a lane's own: the programs for one lane and for many differ in what they log alone.
    """

    def train(seed: jax.Array) -> jax.Array:
        def update(carry: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            carry = jnp.tanh(carry @ carry)
            log(step, carry[0, :METRICS] + seed)
            return carry, None

        start = jax.random.normal(jax.random.key(0), (SIZE, SIZE)) / SIZE**0.5
        return jax.lax.scan(update, start, jnp.arange(STEPS))[0]

    program = jax.jit(train if lanes is None else jax.vmap(train))
    seeds = jnp.float32(0) if lanes is None else jnp.arange(lanes, dtype=jnp.float32)
    return lambda: jax.block_until_ready(program(seeds))


def one_buffer(step: jax.Array, values: jax.Array) -> None:
    """The reference: a bare callback with the same words in one array."""
    words = jax.lax.bitcast_convert_type(values, np.uint32)
    words = jnp.concatenate([step[None].astype(np.uint32), words])
    io_callback(lambda _: None, None, words)


def named_scalars(step: jax.Array, values: jax.Array) -> None:
    """The usual pattern: one callback, an argument for each number."""
    named = {f"m{i}": values[i] for i in range(METRICS)}
    jax.debug.callback(lambda *_: None, step, named)


def logged(logger: jaxlog.Logger) -> Log:
    """The same thirty values as named scalars, through jaxlog."""

    def log(step: jax.Array, values: jax.Array) -> None:
        jaxlog.batch_step(logger, step, {f"m{i}": values[i] for i in range(METRICS)})

    return log


def logger(*kinds: str, frequency: int = 1) -> jaxlog.Logger:
    """A logger with sinks of some kinds."""
    return jaxlog.Logger(
        {
            "batched_logging_enabled": True,
            "log_frequency": frequency,
            "sample_frequency": frequency,
            "sinks": [{"kind": kind} for kind in kinds],
        }
    )


def drained(of: jaxlog.Logger, program: Program) -> Program:
    """The program in a run of its own; the time until all is written counts."""

    def run() -> None:
        with tempfile.TemporaryDirectory() as directory, of.open(directory):
            program()

    return run


def settled(program: Program) -> Program:
    """The program, and the wait for its callbacks."""

    def run() -> None:
        program()
        jax.effects_barrier()

    return run


def seconds(programs: Mapping[str, Program], turns: int) -> dict[str, list[float]]:
    """The times of some programs that take turns."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for program in programs.values():
        program()
    for _ in range(turns):
        for name, program in programs.items():
            start = time.perf_counter()
            program()
            times[name].append(time.perf_counter() - start)
    return times


def median_ratio(times: dict[str, list[float]], name: str, reference: str) -> float:
    """The median of the turns' ratios of what two programs cost over the one without logging."""
    return statistics.median(
        (a - c) / (b - c)
        for a, b, c in zip(times[name], times[reference], times["nothing"], strict=True)
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=15)
    turns = parser.parse_args().turns

    bare, jsonl, one, many = logger(), logger("jsonl"), logger(), logger()
    programs = {
        "nothing": settled(scan(lambda *_: None)),
        "io_callback": settled(scan(one_buffer)),
        "debug.callback": settled(scan(named_scalars)),
        "jaxlog": drained(bare, scan(logged(bare))),
        "jaxlog, jsonl": drained(jsonl, scan(logged(jsonl))),
        "jaxlog, 1 lane": drained(one, scan(logged(one), 1)),
        "jaxlog, 64 lanes": drained(many, scan(logged(many), 64)),
    }
    times = seconds(programs, turns)
    table = Table(title=f"jax {jax.__version__}, {METRICS} metrics, {STEPS} steps, {turns} turns")
    for column in ("what", "against", "ratio", "budget"):
        table.add_column(column)
    rows = [
        ("one record, no sink", "bare io_callback", "jaxlog", "io_callback", "1.2"),
        ("one record, jsonl, drained", "bare io_callback", "jaxlog, jsonl", "io_callback", "1.5"),
        ("one record, no sink", "debug.callback, 30 scalars", "jaxlog", "debug.callback", "0.2"),
        ("64 lanes, no sink", "1 lane", "jaxlog, 64 lanes", "jaxlog, 1 lane", "2.5"),
    ]
    for what, against, name, reference, budget in rows:
        table.add_row(what, against, f"{median_ratio(times, name, reference):.2f}", budget)
    not_due = not_due_cost(turns)
    table.add_row("a step that is not due", "µs", f"{not_due * 1e6:.2f}", "2")
    Console().print(table)
    for name, values in times.items():
        print(f"{name}: {statistics.median(values) / STEPS * 1e6:.1f} µs a step")


def not_due_cost(turns: int) -> float:
    """Seconds that a step costs at which nothing is due: two masked metrics of 32 x 64."""
    steps = 20_000

    def train(log: Callable[..., Any], start: jax.Array) -> jax.Array:
        def update(carry: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            carry = carry * 1.0001
            log(step, carry)
            return carry, None

        return jax.lax.scan(update, start, jnp.arange(1, steps))[0]

    rare = logger(frequency=2**30)

    def log(step: jax.Array, carry: jax.Array) -> None:
        jaxlog.batch_step(
            rare,
            step,
            {"episode_returns": carry, "episode_lengths": carry},
            where=carry > 0,
        )

    start = jnp.ones((32, 64))
    programs = {}
    for name, body in (("with", log), ("without", lambda *_: None)):
        compiled = jax.jit(lambda start, body=body: train(body, start))
        programs[name] = settled(lambda compiled=compiled: jax.block_until_ready(compiled(start)))
    times = seconds(programs, turns)
    return (statistics.median(times["with"]) - statistics.median(times["without"])) / steps


if __name__ == "__main__":
    main()
