"""What does it cost to log from inside a compiled scan?

For the budgets the scan multiplies matrices, so that callbacks run on XLA's threads, as in real
training. For the grid it does nearly nothing, so that small costs are seen beside it. The cost of a
way to log is its time minus the time of the same scan without logging.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback

import jaxlog
from benchmarks.timing import Program, Row, fastest, measured_on_one_thread, print_measured, tell
from jaxlog._crossing import native_target

STEPS, SIZE = 400, 256
LANES, METRICS = (1, 16, 64, 256), (4, 30, 100)
Log = Callable[[jax.Array, jax.Array], Any]


def scan(
    log: Log,
    metrics: int = 30,
    lanes: int | None = None,
    steps: int = STEPS,
    *,
    products: bool = True,
) -> Program:
    """A compiled scan that multiplies matrices and calls `log(step, values)` at each step.

    Without `products` a step multiplies only a row by a number. With `lanes` it is under a `vmap`.
    All lanes then share the matrices, and only the values differ between lanes: the programs for
    one lane and for many differ only in the values they log.
    """

    def train(seed: jax.Array) -> Any:
        def update(carry: jax.Array, step: jax.Array) -> tuple[jax.Array, Any]:
            carry = jnp.tanh(carry @ carry) if products else carry * 1.0001
            return carry, log(step, carry[0, :metrics] + seed)

        rows = SIZE if products else 1
        start = jax.random.normal(jax.random.key(0), (rows, SIZE)) / SIZE**0.5
        return jax.lax.scan(update, start, jnp.arange(steps))

    program = jax.jit(train if lanes is None else jax.vmap(train))
    seeds = jnp.float32(0) if lanes is None else jnp.arange(lanes, dtype=jnp.float32)

    def run() -> Any:
        out = jax.block_until_ready(program(seeds))
        jax.effects_barrier()
        return out

    return run


def nothing(step: jax.Array, values: jax.Array) -> None:
    """The scan alone."""


def one_buffer(step: jax.Array, values: jax.Array) -> None:
    """A bare callback with the same data in one array."""
    words = jax.lax.bitcast_convert_type(values, np.uint32)
    io_callback(lambda _: None, None, jnp.concatenate([step[None].astype(np.uint32), words]))


def named_scalars(step: jax.Array, values: jax.Array) -> None:
    """The usual pattern: one callback, with one argument per number."""
    jax.debug.callback(lambda *_: None, step, named(values))


def returned(step: jax.Array, values: jax.Array) -> Any:
    """The metrics as outputs of the scan."""
    return step, named(values)


def only_named(_: jax.Array, values: jax.Array) -> None:
    """The arguments of `logged`, without logging."""
    named(values)


def named(values: jax.Array) -> dict[str, jax.Array]:
    """Each value under its own name."""
    return {f"m{i}": values[i] for i in range(values.size)}


def logged(logger: jaxlog.Logger, step: jax.Array, values: jax.Array) -> jaxlog.Record | None:
    """The same values as named scalars, through jaxlog."""
    record = jaxlog.batch_step(logger, step, named(values))
    return record if logger.settings.delivery == "return" else None


def make_logger(*kinds: str, **settings: Any) -> jaxlog.Logger:
    """A logger with sinks of these kinds that logs every step."""
    every_step = {"batched_logging_enabled": True, "log_frequency": 1, "sample_frequency": 1}
    return jaxlog.Logger(every_step | {"sinks": [{"kind": kind} for kind in kinds]} | settings)


@contextmanager
def runs(*loggers: jaxlog.Logger) -> Iterator[None]:
    """Opens a run of each logger until the block ends."""
    if not loggers:
        yield
        return
    with loggers[0].open(), runs(*loggers[1:]):
        yield


def by_callback(program: Program) -> Program:
    """The program, compiled for the crossing in Python."""
    with patch.object(native_target, "is_registered", lambda: False):
        program()
    return program


def drained(logger: jaxlog.Logger, program: Program) -> Program:
    """The program in its own run; its time includes writing and closing."""

    def run() -> None:
        with tempfile.TemporaryDirectory() as directory, logger.open(directory):
            program()

    return run


def budgets(turns: int) -> list[Row]:
    """The rows about the crossing."""
    bare, python, jsonl, one, many = (make_logger(*kinds) for kinds in ((), (), ("jsonl",), (), ()))
    with runs(python):
        in_python = by_callback(scan(partial(logged, python)))
    programs = {
        "nothing": scan(nothing),
        "returned": scan(returned),
        "io_callback": scan(one_buffer),
        "debug.callback": scan(named_scalars),
        "jaxlog": scan(partial(logged, bare)),
        "python": in_python,
        "jsonl": drained(jsonl, scan(partial(logged, jsonl))),
        "1 lane": scan(partial(logged, one), lanes=1),
        "64 lanes": scan(partial(logged, many), lanes=64),
    }
    with runs(bare, python, one, many):
        times = fastest(programs, turns)

    def cost(name: str, other: str = "nothing") -> float:
        return times[name] - times[other]

    def ratio(name: str, reference: str) -> float:
        return cost(name) / cost(reference)

    def more(name: str, reference: str) -> float:
        return cost(name, reference) / STEPS * 1e6

    record = "one record, 30 metrics, no sink"
    bare_callback = "a bare io_callback of the same words"
    named_callback = "jax.debug.callback with 30 named scalars"
    in_python_too = f"{record}, crossing in Python"
    alone = "one record, 30 metrics, in a scan that does little else"
    light = in_light_scan(turns)
    return [
        Row(record, bare_callback, ratio("jaxlog", "io_callback"), "x", 0.05),
        Row(record, named_callback, ratio("jaxlog", "debug.callback"), "x", 0.005),
        Row(record, "the metrics returned from scan", more("jaxlog", "returned"), "µs", 1.0),
        Row(in_python_too, bare_callback, ratio("python", "io_callback"), "x", 0.3),
        Row(
            "the same with jsonl, all written",
            bare_callback,
            ratio("jsonl", "io_callback"),
            "x",
            0.8,
        ),
        Row("64 vmapped lanes, no sink", "1 vmapped lane", more("64 lanes", "1 lane"), "µs", 1.0),
        Row(
            "a step that is not due, two masked metrics of 32x64",
            "no logging",
            not_due(turns) * 1e6,
            "µs",
            2.0,
        ),
        Row(alone, "no logging", light["native"] * 1e6, "µs", 3.0),
        Row(f"{alone}, crossing in Python", "no logging", light["python"] * 1e6, "µs", 60.0),
        Row("a jitted step, called from Python", "no logging", dispatched(turns), "x", 16.0),
        Row("logging off", "lines of the jaxpr that differ", off(), "", 0),
    ]


def not_due(turns: int) -> float:
    """The seconds that a step costs if nothing is due."""
    steps, rare = 20_000, make_logger(log_frequency=2**30, sample_frequency=2**30)

    def train(log: bool, start: jax.Array) -> jax.Array:
        def update(carry: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            carry = carry * 1.0001
            if log:
                metrics = {"episode_returns": carry, "episode_lengths": carry}
                jaxlog.batch_step(rare, step, metrics, where=carry > 0)
            return carry, None

        return jax.lax.scan(update, start, jnp.arange(1, steps))[0]

    def program(log: bool) -> Program:
        compiled, start = jax.jit(partial(train, log)), jnp.ones((32, 64))
        return lambda: jax.block_until_ready(compiled(start))

    times = fastest({"with": program(True), "without": program(False)}, turns)
    return (times["with"] - times["without"]) / steps


def in_light_scan(turns: int) -> dict[str, float]:
    """The seconds that a record costs a scan whose steps take less than a microsecond, by crossing.

    So few steps that the queue takes the records of a turn without waiting for the thread.
    """
    logger, steps = make_logger(), 2_000
    native, python = (scan(partial(logged, logger), steps=steps, products=False) for _ in range(2))
    without = scan(only_named, steps=steps, products=False)
    with runs(logger):
        programs = {"native": native, "python": by_callback(python), "without": without}
        times = fastest(programs, turns)
    return {name: (times[name] - times["without"]) / steps for name in ("native", "python")}


def dispatched(turns: int) -> float:
    """The time of a short jitted step that logs, called from Python, relative to a silent one.

    JAX has a faster way to call programs without effects.
    """
    logger, calls = make_logger(), 500

    def program(log: Log) -> Program:
        @jax.jit
        def update(carry: jax.Array, step: jax.Array) -> jax.Array:
            log(step, carry)
            return carry * 1.0001

        steps = list(jnp.arange(calls))

        def run() -> None:
            carry = jnp.ones(30)
            for step in steps:
                carry = update(carry, step)
            jax.block_until_ready(carry)

        return run

    programs = {"with": program(partial(logged, logger)), "without": program(only_named)}
    with runs(logger):
        times = fastest(programs, turns)
    return times["with"] / times["without"]


def off() -> float:
    """The number of lines of the jaxpr that a switched-off call adds or changes."""
    logger = make_logger(batched_logging_enabled=False)

    def jaxpr(log: Log) -> list[str]:
        def update(carry: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            log(step, carry)
            return carry * 2.0, None

        program = jax.vmap(lambda start: jax.lax.scan(update, start, jnp.arange(9)))
        return str(jax.make_jaxpr(program)(jnp.ones((4, 8)))).splitlines()

    got, expected = jaxpr(partial(logged, logger)), jaxpr(only_named)
    return float(
        sum(a != b for a, b in zip(got, expected, strict=False)) + abs(len(got) - len(expected))
    )


def grid(turns: int) -> list[dict[str, Any]]:
    """Microseconds per step by lanes and metrics, for each way to get metrics out of a scan.

    The plain callbacks are called once per lane, so they run fewer steps. Their program grows with
    lanes and arguments, and soon takes minutes to compile, so they are left out beyond 16 lanes.
    """
    found = []
    for lanes in LANES:
        for metrics in METRICS:
            live, silent = make_logger(), make_logger(delivery="return")
            few = max(4, STEPS // lanes)
            shape: dict[str, Any] = {"metrics": metrics, "lanes": lanes, "products": False}
            many_steps = {
                "nothing": scan(nothing, **shape),
                "returned from scan": scan(returned, **shape),
                "jaxlog, returned": scan(partial(logged, silent), **shape),
                "jaxlog": scan(partial(logged, live), **shape),
            }
            few_steps = {
                "nothing": scan(nothing, **shape, steps=few),
                "io_callback": scan(one_buffer, **shape, steps=few),
                "debug.callback": scan(named_scalars, **shape, steps=few),
            }
            if lanes > 16:
                few_steps = {}
            with runs(live):
                costs = dict[str, Any]()
                for programs, steps in ((many_steps, STEPS), (few_steps, few)):
                    times = fastest(programs, turns)
                    for name in programs:
                        costs[name] = (times[name] - times["nothing"]) / steps * 1e6
            callbacks = {"io_callback": None, "debug.callback": None}
            del costs["nothing"]
            found.append({"lanes": lanes, "metrics": metrics} | callbacks | costs)
            jax.clear_caches()
    return found


def main(turns: int = 25) -> list[Row]:
    """Measures, and reports the figures."""
    rows, costs = measured_on_one_thread("benchmarks.crossing", turns)
    of_grid = "microseconds a step, over the same program without logging"
    tell("crossing", rows, costs, of_grid, turns=turns, steps=STEPS, matrices=SIZE)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=25)
    parser.add_argument("--here", action="store_true", help="measure, and print JSON")
    given = parser.parse_args()
    if given.here:
        print_measured(budgets(given.turns), grid(max(3, given.turns // 5)))
    else:
        main(given.turns)
