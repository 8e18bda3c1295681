"""Measures one case of many lanes in a process of its own, and prints the figures as JSON.

It uses only jaxlog's public functions, so that it runs with an earlier jaxlog, too.
`benchmarks.before` runs it with both.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

METRICS = 10
PRODUCTS = 22
"""The products of matrices in a step of a program: at 10 000 lanes it takes about 2 ms."""


def write(kinds: list[str], lanes: int, steps: int, path: Path) -> dict[str, float]:
    """Writes records that a program returned: the CPU of the host, and nothing of the program."""
    import jaxlog

    settings = {"delivery": "return", "log_frequency": 1, "sinks": _sinks(kinds)}
    logger = jaxlog.Logger(settings)
    run_program, inputs = _program(logger, lanes, steps)
    seeds, numbers = inputs
    first, records = run_program(seeds, numbers[:1]), run_program(seeds, 1 + numbers)
    records.words.block_until_ready()
    seconds = sizes = 0.0
    for place in (path.with_name("warm"), path):  # the first run needs new memory; used again later
        with contextlib.redirect_stdout(io.StringIO()), logger.open(place) as run:
            logger.write(first)  # lanes are numbered and named
            run.flush()
            time.sleep(1.0)  # a thread notes, once a run, what was run
            sizes = _size(place)
            start = time.process_time()
            logger.write(records)
            run.flush()
            seconds = time.process_time() - start
    rows = lanes * steps
    return {"cpu": seconds / rows, "bytes": (_size(path) - sizes) / rows}


def train(kinds: list[str], lanes: int, steps: int, path: Path) -> dict[str, float]:
    """Runs a program that logs each step, and the same one without its records, in turns."""
    import jax

    import jaxlog

    logger = jaxlog.Logger({"log_frequency": 1, "sinks": _sinks(kinds)})
    programs = {"silent": _program(None, lanes, steps), "logged": _program(logger, lanes, steps)}
    found: dict[str, list[float]] = {"silent": [], "logged": [], "written": [], "cpu": []}
    first = memory = 0
    with contextlib.redirect_stdout(io.StringIO()), logger.open(path) as run:
        for turn in range(4):
            for name, (run_program, (seeds, numbers)) in programs.items():
                start, cpu = time.perf_counter(), time.process_time()
                jax.block_until_ready(run_program(seeds, turn * steps + numbers))
                found[name].append((time.perf_counter() - start) / steps)
                run.flush()
                if name == "logged":
                    found["written"].append((time.perf_counter() - start) / steps)
                    found["cpu"].append((time.process_time() - cpu) / steps)
                memory = max(memory, _peak())
                first = first or memory
    least = {name: min(values[1:]) for name, values in found.items()}  # the first turn compiles
    return {**least, "memory": memory - first}


def read(path: Path) -> dict[str, float]:
    """Reads all metrics into a frame."""
    import polars  # noqa: F401  # pyright: ignore[reportUnusedImport]

    import jaxlog

    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert len(jaxlog.read_run(path).metrics)
        times.append(time.perf_counter() - start)
    return {"seconds": min(times)}


def report(path: Path) -> dict[str, float]:
    """Makes a report, as the command does."""
    from jaxlog._cli.main import main

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()):
        status = main(["report", str(path), "--output", f"{directory}/report.html"])
    assert not status
    return {"seconds": time.perf_counter() - start, "memory": _peak()}


def _sinks(kinds: list[str]) -> list[dict[str, Any]]:
    more = {"wandb": {"mode": "offline", "project": "bench"}}
    return [{"kind": kind, **more.get(kind, {})} for kind in kinds]


def _program(logger: Any, lanes: int, steps: int) -> tuple[Any, tuple[Any, ...]]:
    """A program under `vmap` that logs ten float32 metrics at each step; None logs nothing."""
    import jax
    import jax.numpy as jnp

    import jaxlog

    matrix = jnp.sin(jnp.arange(256.0).reshape(16, 16))

    def lane(seed: Any, numbers: Any) -> Any:
        def update(weights: Any, step: Any) -> Any:
            for _ in range(PRODUCTS):
                weights = jnp.tanh(matrix @ weights + 0.01 * step)
            record = None
            if logger is not None:
                values = {f"metric_{i}": weights[i] for i in range(METRICS)}
                record = jaxlog.log(logger, step, values, labels={"seed": seed}, name="batch")
            return weights, record

        weights = jnp.sin(jnp.arange(16.0) + seed)
        last, records = jax.lax.scan(update, weights, numbers)
        return last if records is None else records

    inputs = jnp.arange(lanes, dtype=jnp.int32), jnp.arange(steps, dtype=jnp.int32)
    return jax.jit(jax.vmap(lane, (0, None))), inputs


def _size(path: Path) -> int:
    files = [*path.glob("*_metrics.jsonl"), *path.glob("*_metrics*.arrows")]
    return sum(file.stat().st_size for file in files)


def _peak() -> int:
    """The most memory that the process has had, in bytes; the count begins anew each time."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                peak = 1024 * int(line.split()[1])
                Path("/proc/self/clear_refs").write_text("5")
                return peak
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("write", "train", "read", "report"))
    parser.add_argument("path", type=Path)
    parser.add_argument("--kinds", nargs="+", default=["jsonl"])
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10)
    given = parser.parse_args()
    os.environ["WANDB_SILENT"] = "true"
    if given.what in ("write", "train"):
        measure = write if given.what == "write" else train
        figures = measure(given.kinds, given.lanes, given.steps, given.path)
    else:
        figures = (read if given.what == "read" else report)(given.path)
    print(json.dumps(figures))
