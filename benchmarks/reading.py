"""How long does it take to read a run, compared with polars on the same file?

`jaxlog.read_run` reads a file of 200 000 lines and 30 columns, with labels and metrics as columns.
`polars.read_ndjson` leaves them nested, and drops columns that first appear late. The same is
measured with a NaN on each line, and with an invalid line, with which polars cannot read the file.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import polars as pl

import jaxlog
from benchmarks.timing import Program, Row, fastest, tell
from jaxlog.sinks import Lane, MetricsEvent, RunInfo
from jaxlog.sinks.jsonl import JsonlSettings, JsonlSink

LINES, METRICS, LANES = 200_000, 29, 16


def write(directory: Path, *, diverged: bool = False) -> Path:
    """Writes a run of many steps; if it diverged, each line has a value that is not finite."""
    directory.mkdir()
    rng = np.random.default_rng(0)
    keys = [f"metric_{i}" for i in range(METRICS)]
    sink = JsonlSink(JsonlSettings())
    sink.open(RunInfo("run", directory))
    for step in range(LINES // LANES):
        values = rng.normal(size=(LANES, METRICS)).astype(np.float32)
        if diverged:
            values[:, step % METRICS] = np.nan
        lanes = tuple(
            Lane(i, {"seed": np.int32(i)}, dict(zip(keys, row, strict=True)))
            for i, row in enumerate(values)
        )
        sink.write_metrics(MetricsEvent("batch", step, None, 1.7e9 + step, lanes, {}))
    sink.close()
    return directory


def break_a_line(run: Path, directory: Path) -> Path:
    """Copies the run and adds an invalid line."""
    directory.mkdir()
    data = (run / "batch_metrics.jsonl").read_bytes()
    (directory / "batch_metrics.jsonl").write_bytes(b"{\n" + data)
    return directory


def by_jaxlog(run: Path) -> Program:
    """Reads a run, and ignores the warning about invalid lines."""

    def read() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert jaxlog.read_run(run).metrics.shape == (LINES, METRICS + 4)

    return read


def by_polars(run: Path) -> Program:
    """Reads the file of the run with polars."""

    def read() -> None:
        assert len(pl.read_ndjson(run / "batch_metrics.jsonl")) == LINES

    return read


def main(turns: int) -> list[Row]:
    """Measures it; writes `results/reading.json`."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        plain, diverged = write(root / "plain"), write(root / "diverged", diverged=True)
        broken = break_a_line(plain, root / "broken")
        megabytes = (plain / "batch_metrics.jsonl").stat().st_size / 1e6
        runs = {"as it is": plain, "a NaN on each line": diverged, "a broken line": broken}
        programs = {what: by_jaxlog(run) for what, run in runs.items()}
        times = fastest(programs | {"polars": by_polars(plain)}, turns)
    ratios = {what: times[what] / times["polars"] for what in runs}
    budgets = {"as it is": 3.0, "a NaN on each line": 3.0}
    rows = [
        Row(f"reading 200 000 lines, {what}", "polars.read_ndjson", ratios[what], "x", budget)
        for what, budget in budgets.items()
    ]
    grid = [{"a run": what, "seconds": times[what], "x polars": ratios[what]} for what in runs]
    tell("reading", rows, grid, f"{megabytes:.0f} MB", threads=pl.thread_pool_size())
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    main(parser.parse_args().turns)
