"""What do many lanes cost, compared with jaxlog when an event held an object for each lane?

That tree is taken from the history. Both trees run `lanes_case.py`, in turns, each time in a
process of its own. Of several turns the least figure counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.history import extract
from benchmarks.page import ROOT
from benchmarks.timing import ONE_THREAD, Row, tell

BEFORE = "8e1bcbc5b30ec0e2aebf7bedfe3822943d22397b"
"""The last commit in whose events each lane was an object."""
CASE = Path(__file__).with_name("lanes_case.py")
FOUR = ("jsonl", "console", "tensorboard", "svg")

Figures = Mapping[str, float]


class Case(NamedTuple):
    """One program.

    Attributes:
      what: what it measures: a choice of `lanes_case.py`.
      lanes: the number of lanes.
      steps: the number of steps.
      kinds: the sinks.
      before: whether the tree before runs it.
      path: the run that it reads; None if it writes one.
      environment: more variables of its process.
    """

    what: str
    lanes: int = 1
    steps: int = 1
    kinds: Sequence[str] = ("jsonl",)
    before: bool = False
    path: Path | None = None
    environment: Mapping[str, str] = {}


class Bench:
    """Runs cases.

    Args:
      directory: an empty directory, for the tree before and for runs.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._before = extract(BEFORE, directory / "before")

    def run(self, case: Case) -> tuple[Figures, Path]:
        """Returns the figures, and the directory of the run."""
        path = case.path or Path(tempfile.mkdtemp(dir=self._directory), "run")
        arguments = [case.what, path, "--lanes", case.lanes, "--steps", case.steps, "--kinds"]
        tree = self._before if case.before else ROOT
        done = subprocess.run(
            [sys.executable, "-P", CASE, *map(str, arguments), *case.kinds],
            env=os.environ | case.environment | {"PYTHONPATH": str(tree)},
            cwd=self._directory,  # Python would import the tree in which it is started
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{case} failed:\n{done.stderr}")
        return json.loads(done.stdout), path

    def least(self, cases: Sequence[Case], turns: int) -> list[Figures]:
        """The least figures of each case, after some turns in which all of them run."""
        found = [[self.run(case)[0] for case in cases] for _ in range(turns)]
        return [
            {key: min(figures[key] for figures in of_case) for key in of_case[0]}
            for of_case in zip(*found, strict=True)
        ]


def costs(bench: Bench, turns: int) -> list[Row]:
    """The CPU and the bytes of a line, without a program."""
    columns, lines, lines_before, *others = bench.least(
        [
            Case("write", 10_000, 20, ("arrow",)),
            Case("write", 10_000, 20),
            Case("write", 10_000, 20, before=True),
            Case("write", 1000, 100),
            Case("write", 1000, 100, before=True),
            Case("write", 16, 4000, FOUR),
            Case("write", 16, 4000, FOUR, before=True),
            Case("write", 1, 10_000),
            Case("write", 1, 10_000, before=True),
        ],
        turns,
    )
    many, four, one = (
        now["cpu"] / before["cpu"] for now, before in zip(others[::2], others[1::2], strict=True)
    )
    cpu, size = (columns[key] / lines_before[key] for key in ("cpu", "bytes"))
    jsonl = lines["cpu"] / lines_before["cpu"]
    before = "jsonl before"
    return [
        Row("host CPU of a line, arrow, 10,000 lanes", before, cpu, "x", 0.02),
        Row("bytes of a line, arrow, 10,000 lanes", before, size, "x", 0.3),
        Row("host CPU of a line, jsonl, 10,000 lanes", before, jsonl, "x", 0.5),
        Row("host CPU of a line, jsonl, 1,000 lanes", before, many, "x", 0.5),
        Row("host CPU of a line, jsonl, one lane", before, one, "x", 1.0),
        Row("host CPU of a record, four sinks, 16 lanes", "the same before", four, "x", 0.5),
    ]


def reading(bench: Bench, turns: int) -> list[Row]:
    """Reading a run back, and its report."""
    runs = {
        (kind, lanes): bench.run(Case("write", lanes, steps, (kind,)))[1]
        for lanes, steps in ((10_000, 7), (10_001, 19), (100_000, 4))  # and a step before them
        for kind in ("jsonl", "arrow")
    }
    read, read_before = bench.least(
        [
            Case("read", path=runs["arrow", 10_000]),
            Case("read", path=runs["jsonl", 10_000], before=True),
        ],
        turns,
    )
    seconds = read["seconds"] / read_before["seconds"]
    rows = [Row("reading 80,000 lines, arrow", "jsonl before", seconds, "x", 0.05)]
    reference, _ = bench.run(Case("report", path=runs["jsonl", 10_001], before=True))
    # The tree before had not ended a report of 100,000 lanes after 25 minutes, and takes 4.9 GB:
    # the budgets are below a twentieth of that time, and a tenth of that memory.
    for lanes, shown, time, memory in (
        (10_001, "10,000 lanes, 20 steps", 0.3, 0.5),
        (100_000, "100,000 lanes, 5 steps", 1.0, 1.0),
    ):
        for kind in ("jsonl", "arrow"):
            found, _ = bench.run(Case("report", path=runs[kind, lanes]))
            for key, name, budget in (("seconds", "time", time), ("memory", "memory", memory)):
                ratio = found[key] / reference[key]
                what = f"{name} of a report, {kind}, {shown}"
                rows.append(Row(what, "10,000 lanes before", ratio, "x", budget))
    return rows


def training(bench: Bench) -> tuple[list[Row], list[dict[str, object]]]:
    """A program that logs each step, and the memory that it needs."""
    grid: list[dict[str, object]] = []
    memory: dict[str, float] = {}
    for lanes, steps in ((1000, 2000), (10_000, 300), (100_000, 5)):
        for kind in ("jsonl", "arrow"):
            found, _ = bench.run(Case("train", lanes, steps, (kind,)))
            memory[kind] = found["memory"]
            grid.append(
                {
                    "lanes": f"{lanes:,}",
                    "sink": kind,
                    "no logging, ms a step": 1e3 * found["silent"],
                    "training, ms a step": 1e3 * found["logged"],
                    "until all is written, ms a step": 1e3 * found["written"],
                    "CPU of the process, µs a lane and step": 1e6 * found["cpu"] / lanes,
                }
            )
    before, _ = bench.run(Case("train", 100_000, 5, before=True))
    rows = [
        Row(
            f"memory of 100,000 lanes in flight, {kind}",
            "jsonl before",
            found / before["memory"],
            "x",
            0.25,
        )
        for kind, found in memory.items()
    ]
    found, _ = bench.run(Case("train", 10_000, 300, ("arrow",), environment=ONE_THREAD))
    ratio = found["logged"] / found["silent"]
    what = "training with 10,000 lanes, arrow, a step of 2 ms on one core"
    return [*rows, Row(what, "no logging", ratio, "x", 1.1)], grid


def main(turns: int = 5) -> list[Row]:
    """Measures, and writes `results/lanes.json`."""
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        of_training, grid = training(bench)
        rows = [*costs(bench, turns), *reading(bench, turns), *of_training]
    tell("lanes", rows, grid, "ten float32 metrics and a label at each step", before=BEFORE)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    main(parser.parse_args().turns)
