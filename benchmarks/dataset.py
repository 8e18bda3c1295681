"""What do thousands of runs cost to read: in two processes, and as a data set?

The runs are those of `finding.py`. Reading in processes is compared with one process, in turns, by
the clock; the processes have been started before, as in a notebook. One process has several threads
where polars parses lines: so half of its processor time is the least that two processes need on two
cores, even if nothing had to be sent, and the table shows it. A query is the mean of a metric
for each value of a key of the config; as the first of a process it is measured with its imports.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

import jaxlog
from benchmarks.finding import RUNS, write
from benchmarks.page import ROOT
from benchmarks.query_case import query
from benchmarks.timing import Program, Row, fastest, tell
from jaxlog._dataset.extend import extend
from jaxlog._reading.finding import named_runs

MANY = 15_000
"""The runs of a larger data set, for its memory."""
FIRST = """
import json, resource, sys, time
before = time.perf_counter()
from benchmarks.query_case import query
query(sys.argv[1])
seconds = time.perf_counter() - before
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000]))
"""


def read(directory: Path, executor: Executor | None) -> Program:
    """Reads the metrics of all runs."""

    def program() -> None:
        assert len(jaxlog.read_runs(directory, executor=executor).metrics) == RUNS * 100

    return program


def first(where: Path, bytecode: Path) -> tuple[float, float]:
    """The seconds of a query in a new process, with imports, and its peak memory in megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST, str(where)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(bytecode)}
        | {"PYTHONDONTWRITEBYTECODE": ""},
    )
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def main(turns: int) -> list[Row]:
    """Measures it; writes `results/dataset.json`."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(2, mp_context=context) as two:
        root = Path(name)
        for directory, runs in (("runs", RUNS), ("many", MANY)):
            (root / directory).mkdir()
            write(root / directory, runs)
            extend(root / f"{directory}-set", named_runs(root / directory), two)
        times = fastest(
            {
                "one process": read(root / "runs", None),
                "two processes": read(root / "runs", two),
                "query, data set": partial(query, root / "runs-set"),
                "query, runs": partial(query, root / "runs"),
            },
            turns,
        )
        one = {"one process": read(root / "runs", None)}
        least = fastest(one, turns, time.process_time)["one process"] / 2
        new = {
            what: [first(root / what, root / "bytecode") for _ in range(turns)]
            for what in ("runs", "runs-set", "many-set")
        }
    seconds = {what: min(one for one, _ in found) for what, found in new.items()}
    memory = {what: max(one for _, one in found) for what, found in new.items()}
    rows = [
        Row(
            f"reading {RUNS:,} runs in two processes",
            "one process",
            times["two processes"] / times["one process"],
            "x",
            0.6,
        ),
        Row(
            f"query over the data set of {RUNS:,} runs",
            "the same over the runs",
            times["query, data set"] / times["query, runs"],
            "x",
            0.1,
        ),
        Row(
            f"memory of the query over {MANY:,} runs",
            f"over {RUNS:,}",
            memory["many-set"] / memory["runs-set"],
            "x",
            1.5,
        ),
    ]
    grid = [{"program": what, "seconds": found} for what, found in times.items()]
    grid.append({"program": "half of the processor time of one process", "seconds": least})
    grid += [
        {"program": f"{what}, first of a process", "seconds": seconds[directory]}
        for what, directory in (("query, data set", "runs-set"), ("query, runs", "runs"))
    ]
    tell("dataset", rows, grid, f"{RUNS:,} runs of 100 lines", memory=memory)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    main(parser.parse_args().turns)
