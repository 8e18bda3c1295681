"""What do statistics and sampling cost, at any size of a batch?

Statistics are compared with separate masked reductions of `jnp` that skip values that are not
finite, and with `jnp.sum`; named parts with one array of as many entries; sampling with
`mask.sum()` and `jax.random.choice`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import Program, Row, fastest, tell, typical
from jaxlog import Logger, batch_step, parts, sample_indices, sample_indices_where
from jaxlog.statistics import Moments, QuantileSketch

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000, 4_000_000)
NUM_SAMPLES = 3
NUM_PARTS = 10
OF_PARTS = (10_000, 100_000, 1_000_000)
"""The sizes at which named parts are measured. The last has no budget: there, the transposition of
the array counts most."""
RETURNS = Logger({"log_frequency": 1, "sampling_enabled": False, "delivery": "return"})
"""A logger whose records are outputs of the program, so that only the program is measured."""


def separate(values: jax.Array, where: jax.Array) -> Any:
    """The reductions of a program without jaxlog: one per statistic."""
    ok = where & jnp.isfinite(values)
    return (
        jnp.mean(values, where=ok),
        jnp.std(values, where=ok),
        jnp.min(values, where=ok, initial=jnp.inf),
        jnp.max(values, where=ok, initial=-jnp.inf),
        jnp.sum(ok),
    )


def moments(values: jax.Array, where: jax.Array | None = None) -> Any:
    """The same five statistics, with jaxlog."""
    found = Moments.of(values, where)
    return found.mean, found.std, found.min, found.max, found.count


def quantiles(values: jax.Array, where: jax.Array) -> Any:
    """Three quantiles, with jaxlog."""
    sketch = QuantileSketch.of(values, where)
    return [sketch.quantile(q) for q in (0.05, 0.5, 0.95)]


def exact_quantiles(values: jax.Array, where: jax.Array) -> Any:
    """The same three quantiles, by sorting."""
    return jnp.nanquantile(jnp.where(where, values, jnp.nan), jnp.array([0.05, 0.5, 0.95]))


def chosen(step: jax.Array, population: int) -> jax.Array:
    """A sample without replacement, with `jax.random`."""
    return jax.random.choice(jax.random.key(step), population, (NUM_SAMPLES,), replace=False)


def logged(values: Any, where: jax.Array) -> Any:
    """The words of a record with the statistics of one metric."""
    record = batch_step(RETURNS, 0, {"x": values}, where=where)
    assert record is not None
    return record.words


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Program, int]:
    """Compiles a program; returns it, and the bytes it needs in addition to its arguments."""
    program = jax.jit(function).lower(*arguments).compile()
    memory = program.memory_analysis()
    extra = 0 if memory is None else int(memory.temp_size_in_bytes)
    return lambda: jax.block_until_ready(program(*arguments)), extra


def batch(size: int) -> tuple[jax.Array, jax.Array]:
    """Values, some of which are not finite, and a mask of half of them."""
    rng = np.random.default_rng(0)
    values = rng.normal(10, 3, size).astype(np.float32)
    values[:: max(1, size // 5)] = np.nan
    return jnp.asarray(values), jnp.asarray(rng.random(size) < 0.5)


def measure(size: int, turns: int) -> dict[str, Any]:
    """Microseconds of each program at one size, and the memory of the statistics."""
    values, mask = batch(size)
    step = jnp.int32(7)
    programs = {
        "jnp.sum": compiled(jnp.sum, values),
        "five jnp reductions": compiled(separate, values, mask),
        "Moments, masked": compiled(moments, values, mask),
        "Moments": compiled(moments, values),
        "three quantiles": compiled(quantiles, values, mask),
        "mask.sum()": compiled(jnp.sum, mask),
        "sample masked": compiled(
            lambda step, mask: sample_indices_where(step, mask, NUM_SAMPLES), step, mask
        ),
    }
    if size <= 1_000_000:  # these sort: seconds, beyond
        programs["jnp.nanquantile"] = compiled(exact_quantiles, values, mask)
        programs["jax.random.choice"] = compiled(lambda step: chosen(step, size), step)
    # What a program that reads 16 MB leaves of the cache is not this one's affair.
    sample, _ = compiled(lambda step: sample_indices(step, size, NUM_SAMPLES), step)
    times = fastest({name: program for name, (program, _) in programs.items()}, turns)
    times |= fastest({"sample": sample}, 1000)
    of_parts = None
    if size in OF_PARTS:
        rows, marked = values.reshape(-1, NUM_PARTS), mask[::NUM_PARTS]
        one, _ = compiled(logged, values, jnp.repeat(marked, NUM_PARTS))
        each, _ = compiled(lambda v, m: logged(parts(v, "part"), m), rows, marked)
        pair = {"one array": one, "named parts": each}
        times |= fastest(pair, turns * 10)
        # The fastest turns may differ in how many processors were free.
        of_parts = typical(pair, turns * 10, "one array")["named parts"]
    found: dict[str, Any] = {name: seconds * 1e6 for name, seconds in times.items()}
    if of_parts is not None:
        found["named parts / one array, median of turns"] = of_parts
    found["MB beside the batch, Moments"] = programs["Moments, masked"][1] / 1e6
    found["MB beside the batch, jnp"] = programs["five jnp reductions"][1] / 1e6
    return found


def main(turns: int = 40) -> list[Row]:
    """Measures, and reports the figures."""
    by_size = {size: measure(size, turns * 5 if size <= 10_000 else turns) for size in SIZES}
    ratios = {
        size: line["Moments, masked"] / line["five jnp reductions"]
        for size, line in by_size.items()
    }
    worst = max(ratios, key=lambda size: ratios[size])
    million = by_size[1_000_000]
    ratio_of_parts = {
        size: by_size[size]["named parts / one array, median of turns"] for size in OF_PARTS[:-1]
    }
    largest = max(ratio_of_parts, key=lambda size: ratio_of_parts[size])
    reductions = "five masked jnp reductions"
    rows = [
        Row(f"masked statistics, the worst size ({worst})", reductions, ratios[worst], "x", 1.3),
        Row("masked statistics of 4e6", reductions, ratios[4_000_000], "x", 0.5),
        Row(
            f"{NUM_PARTS} named parts, the worst of two sizes ({largest})",
            "one array of as many entries",
            ratio_of_parts[largest],
            "x",
            1.2,
        ),
        Row(
            "masked sampling of 1e6",
            "mask.sum()",
            million["sample masked"] / million["mask.sum()"],
            "x",
            5.0,
        ),
        Row(
            "sampling 3 of 1e6, no mask",
            "sampling 3 of 100",
            million["sample"] / by_size[100]["sample"],
            "x",
            3.0,
        ),
    ]
    grid = [
        {"values": name} | {f"{size:,}": by_size[size].get(name) for size in SIZES}
        for name in dict.fromkeys(name for size in SIZES for name in by_size[size])
    ]
    tell("statistics", rows, grid, "microseconds", turns=turns, samples=NUM_SAMPLES)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=40)
    main(parser.parse_args().turns)
